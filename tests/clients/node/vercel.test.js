// The Vercel AI SDK through each of its providers that take a base URL: OpenAI (Responses unless chat is said),
// OpenAI-compatible and Anthropic.

import assert from "node:assert/strict";
import test from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embed, embedMany, generateText, isStepCount, Output, streamText, tool, ToolLoopAgent } from "ai";
import { z } from "zod";
import * as seen from "./seen.js";
import { all, CALLERS_KEY, CHAT, CLAUDE, GATEWAY, IDS, last, left, OPENAI, PIXEL, play, recorded, RESPONSES } from "./stand.js";

const baseURL = `${GATEWAY}/v1`;
const openai = createOpenAI({ baseURL, apiKey: CALLERS_KEY });
const compatible = createOpenAICompatible({
  name: "turnout",
  baseURL,
  apiKey: CALLERS_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const anthropic = createAnthropic({ baseURL, apiKey: CALLERS_KEY });

// What a model is to its user, by the package that asks for it; each asks one that its wire is made for and one that it is not.
const MODELS = [
  ["openai, Responses", RESPONSES, openai(RESPONSES)],
  ["openai, Responses", CHAT, openai(CHAT)],
  ["openai, Responses", CLAUDE, openai(CLAUDE)],
  ["openai, chat", OPENAI, openai.chat(OPENAI)],
  ["openai-compatible", CHAT, compatible(CHAT)],
  ["openai-compatible", CLAUDE, compatible(CLAUDE)],
  ["anthropic", CLAUDE, anthropic(CLAUDE)],
  ["anthropic", OPENAI, anthropic(OPENAI)],
];
const weather = () =>
  tool({
    description: "Of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sunny in ${city}`,
  });
const TWO_CITIES = play({
  calls: [
    { name: "weather", arguments: { city: "Łódź" }, id: "call_a" },
    { name: "weather", arguments: { city: "Rome" }, id: "call_b" },
  ],
  then: [{ text: "Both are warm." }],
});

async function hasRunTheTools() {
  const asked = await last();
  assert.deepEqual([seen.tool(asked).name, seen.tool(asked).description], ["weather", "Of a city"]);
  assert.deepEqual(seen.tool(asked).schema.required, ["city"]);
  assert.deepEqual(seen.calls(asked), [
    ["weather", { city: "Łódź" }],
    ["weather", { city: "Rome" }],
  ]);
  const results = seen
    .turns(asked)
    .filter(([role]) => role === "tool")
    .map(([, text]) => text);
  assert.deepEqual(results, ["sunny in Łódź", "sunny in Rome"]);
}

for (const [name, id, model] of MODELS) {
  test(`${name} → ${id}: generateText with instructions and earlier turns`, async () => {
    const messages = [
      { role: "user", content: "I am Ada." },
      { role: "assistant", content: "Hello Ada." },
      { role: "user", content: "Who am I?" },
    ];
    const { text, finishReason, usage, response } = await generateText({
      model,
      instructions: "Be brief.",
      messages,
      maxOutputTokens: 55,
    });
    assert.deepEqual([text, finishReason], ["Heard: Who am I?", "stop"]);
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [11, 7]);
    assert.equal(response.modelId, IDS[id]);
    const asked = await last();
    const said = [
      ["system", "Be brief."],
      ["user", "I am Ada."],
      ["assistant", "Hello Ada."],
      ["user", "Who am I?"],
    ];
    assert.deepEqual(seen.turns(asked), said);
    assert.equal(seen.tokensMax(asked), 55);
    assert.ok(!JSON.stringify(asked).includes(CALLERS_KEY));
  });

  test(`${name} → ${id}: streamText`, async () => {
    const result = streamText({ model, prompt: play({ text: "One, zwei — 三 🙂", split: 7 }) });
    const heard = await all(result.textStream);
    assert.equal(heard.join(""), "One, zwei — 三 🙂");
    assert.ok(heard.length > 1);
    assert.equal(await result.finishReason, "stop");
    assert.equal((await result.usage).outputTokens, 7);
    assert.equal((await last()).body.stream, true);
  });

  test(`${name} → ${id}: tools in several steps`, async () => {
    const { text, steps } = await generateText({
      model,
      prompt: TWO_CITIES,
      tools: { weather: weather() },
      stopWhen: isStepCount(5),
    });
    assert.equal(text, "Both are warm.");
    assert.deepEqual(
      steps[0].toolResults.map((result) => result.output),
      ["sunny in Łódź", "sunny in Rome"],
    );
    await hasRunTheTools();
  });

  test(`${name} → ${id}: an agent's tools in several streamed steps`, async () => {
    const agent = new ToolLoopAgent({ model, tools: { weather: weather() } });
    const result = await agent.stream({ prompt: TWO_CITIES });
    assert.equal((await all(result.textStream)).join(""), "Both are warm.");
    assert.deepEqual(
      (await result.steps).map((step) => step.finishReason),
      ["tool-calls", "stop"],
    );
    await hasRunTheTools();
  });

  test(`${name} → ${id}: an object of a schema`, async () => {
    const output = Output.object({ schema: z.object({ city: z.string() }) });
    // Of a model that it does not know as Anthropic's, that provider asks for the object as the arguments of a tool.
    const isByTool = model.provider.startsWith("anthropic") && id !== CLAUDE;
    const cue = isByTool ? { calls: [{ name: "json", arguments: { city: "Oslo" } }] } : { text: '{"city": "Oslo"}' };
    const { output: place } = await generateText({ model, prompt: play(cue), output });
    assert.deepEqual(place, { city: "Oslo" });
    const asked = await last();
    assert.deepEqual((isByTool ? seen.tool(asked).schema : seen.schema(asked)).required, ["city"]);
  });

  test(`${name} → ${id}: an image`, async () => {
    const content = [
      { type: "text", text: play({ text: "A dot." }) },
      { type: "file", mediaType: "image/png", data: Buffer.from(PIXEL, "base64") },
    ];
    const { text } = await generateText({ model, messages: [{ role: "user", content }] });
    assert.equal(text, "A dot.");
    assert.deepEqual(seen.images(await last()), [`data:image/png;base64,${PIXEL}`]);
  });

  test(`${name} → ${id}: an error is an APICallError, and not asked again where that is vain`, async () => {
    const failing = generateText({ model, prompt: play({ fail: { status: 400, message: "too hot" } }) });
    await assert.rejects(failing, (error) => {
      assert.ok(APICallError.isInstance(error));
      assert.equal(error.statusCode, 400);
      assert.match(error.message, /too hot/);
      assert.equal(error.isRetryable, false);
      return true;
    });
    assert.equal((await recorded()).length, 1);
  });

  test(`${name} → ${id}: an abort closes what is asked upstream`, async () => {
    const abort = new AbortController();
    const result = streamText({ model, prompt: play({ text: "one two three four", hang: true }), abortSignal: abort.signal });
    for await (const part of result.fullStream) if (part.type === "text-delta") abort.abort();
    assert.equal((await left()).left, true);
  });
}

for (const [name, model] of [
  ["openai", openai.chat("limited-openai-3")],
  ["anthropic", anthropic("limited-anthropic-3")],
]) {
  test(`${name}: a rate limit is waited for as long as the provider says, then asked again`, async () => {
    const began = Date.now();
    const prompt = play({ text: "patience pays", fail: { status: 429, retry_after: 1, times: 1 } });
    assert.equal((await generateText({ model, prompt, maxRetries: 2 })).text, "patience pays");
    assert.ok(Date.now() - began >= 950, "it did not wait");
    assert.equal((await recorded()).length, 2);
  });
}

test("anthropic: thinking comes apart from the text, and goes back with its signature", async () => {
  const providerOptions = { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } };
  const first = await generateText({
    model: anthropic(CLAUDE),
    prompt: play({ thinking: "Hm.", signature: "c2ln", text: "42" }),
    providerOptions,
  });
  assert.deepEqual([first.reasoningText, first.text], ["Hm.", "42"]);
  const messages = [{ role: "user", content: "?" }, ...first.responseMessages, { role: "user", content: "Sure?" }];
  await generateText({ model: anthropic(CLAUDE), messages, providerOptions });
  const thought = (await last()).body.messages[1].content[0];
  assert.deepEqual([thought.type, thought.thinking, thought.signature], ["thinking", "Hm.", "c2ln"]);
});

test("openai-compatible: the thinking of a Claude is its reasoning", async () => {
  const { reasoningText, text } = await generateText({
    model: compatible(CLAUDE),
    prompt: play({ thinking: "Hm.", text: "42" }),
  });
  assert.deepEqual([reasoningText, text], ["Hm.", "42"]);
  assert.equal((await last()).path, "/v1/messages");
});

test("openai: an error in the middle of a stream is told, after what came before it", async () => {
  const errors = [];
  const prompt = play({ text: "one two three four", broken: "overloaded" });
  const result = streamText({ model: openai.chat(OPENAI), prompt, maxRetries: 0, onError: ({ error }) => errors.push(error) });
  const heard = (await all(result.textStream)).join("");
  assert.match(heard, /^one/);
  assert.equal(errors.length, 1);
  assert.equal((await recorded()).length, 1);
});

for (const [name, model] of [
  ["openai", openai.embedding("text-embedding-3-small")],
  ["openai-compatible", compatible.embeddingModel("text-embedding-3-small")],
]) {
  test(`${name}: embeddings`, async () => {
    const { embedding } = await embed({ model, value: "one" });
    assert.equal(embedding.length, 4);
    const { embeddings, usage } = await embedMany({ model, values: ["one", "two"] });
    assert.deepEqual([embeddings.length, embeddings[0], usage.tokens], [2, embedding, 10]);
    assert.deepEqual((await last()).body.input, ["one", "two"]);
  });
}
