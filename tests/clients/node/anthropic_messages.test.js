// Anthropic's own client with nothing changed but the base URL, whichever provider answers.

import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import * as seen from "./seen.js";
import {
  all,
  CALLERS_KEY,
  CHAT,
  CLAUDE,
  COST_USD,
  EVERY_MODEL,
  GATEWAY,
  IDS,
  last,
  left,
  PIXEL,
  play,
  recorded,
} from "./stand.js";

const client = new Anthropic({ baseURL: GATEWAY, apiKey: CALLERS_KEY, maxRetries: 0 });
const asking = (model, content, more = {}) => ({ model, max_tokens: 55, messages: [{ role: "user", content }], ...more });
const City = z.object({ city: z.string() });
const TWO_CITIES = play({
  calls: [
    { name: "weather", arguments: { city: "Łódź" }, id: "call_a" },
    { name: "weather", arguments: { city: "Rome" }, id: "call_b" },
  ],
  then: [{ text: "Both are warm." }],
});

for (const model of EVERY_MODEL) {
  test(`${model}: a plain answer with a system prompt and earlier turns`, async () => {
    const messages = [
      { role: "user", content: "I am Ada." },
      { role: "assistant", content: "Hello Ada." },
      { role: "user", content: "Who am I?" },
    ];
    const answer = await client.messages.create({ model, max_tokens: 55, system: "Be brief.", messages });
    assert.equal(answer.content[0].text, "Heard: Who am I?");
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.model, IDS[model]);
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [11, 7]);
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

  test(`${model}: a stream has Anthropic's events in Anthropic's order`, async () => {
    const events = await all(
      await client.messages.create(asking(model, play({ text: "One, zwei — 三 🙂", split: 7 }), { stream: true })),
    );
    const kinds = events.map((event) => event.type).filter((kind, at, every) => kind !== every[at - 1] && kind !== "ping");
    assert.deepEqual(kinds, [
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const closing = events.find((event) => event.type === "message_delta");
    assert.equal(closing.delta.stop_reason, "end_turn");
    assert.equal(closing.usage.output_tokens, 7);
    assert.ok(Math.abs(closing.usage.cost - COST_USD) < 1e-9);
    assert.equal((await last()).body.stream, true);
  });

  test(`${model}: the stream helper tells the text as it comes, and the message`, async () => {
    const stream = client.messages.stream(asking(model, play({ text: "one two three" })));
    const heard = [];
    stream.on("text", (delta) => heard.push(delta));
    const message = await stream.finalMessage();
    assert.equal(heard.join(""), "one two three");
    assert.ok(heard.length > 1);
    assert.equal(message.content[0].text, "one two three");
    assert.equal(message.usage.output_tokens, 7);
    assert.equal((await recorded()).length, 1);
  });

  test(`${model}: streamed arguments come together`, async () => {
    const tools = [
      { name: "weather", description: "Of a city", input_schema: { type: "object", properties: { city: { type: "string" } } } },
    ];
    const message = await client.messages.stream(asking(model, TWO_CITIES, { tools })).finalMessage();
    const made = message.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(
      made.map((block) => block.input),
      [{ city: "Łódź" }, { city: "Rome" }],
    );
    assert.equal(message.stop_reason, "tool_use");
    assert.deepEqual([seen.tool(await last()).name, seen.tool(await last()).description], ["weather", "Of a city"]);
  });

  test(`${model}: the tool runner runs two tools at once and answers with what they said`, async () => {
    const weather = betaZodTool({
      name: "weather",
      description: "Of a city",
      inputSchema: City,
      run: ({ city }) => `sunny in ${city}`,
    });
    const message = await client.beta.messages.toolRunner(asking(model, TWO_CITIES, { tools: [weather] }));
    const asked = await last();
    const results = seen
      .turns(asked)
      .filter(([role]) => role === "tool")
      .map(([, text]) => text);
    assert.deepEqual(results, ["sunny in Łódź", "sunny in Rome"]);
    if (model === CLAUDE) {
      // The runner lets Anthropic keep the conversation, so that each turn sends only what is new.
      assert.deepEqual(asked.body.thread, { type: "continue", previous_message_id: "msg_1" });
      assert.equal(message.content[0].text, "The tools say: sunny in Łódź; sunny in Rome");
    } else {
      assert.equal(message.content[0].text, "Both are warm.");
      assert.deepEqual(seen.calls(asked), [
        ["weather", { city: "Łódź" }],
        ["weather", { city: "Rome" }],
      ]);
    }
  });

  test(`${model}: a parsed answer keeps to its schema`, async () => {
    const message = await client.messages.parse(
      asking(model, play({ text: '{"city": "Oslo"}' }), { output_config: { format: zodOutputFormat(City) } }),
    );
    assert.deepEqual(message.parsed_output, { city: "Oslo" });
    assert.deepEqual(seen.schema(await last()).required, ["city"]);
  });

  test(`${model}: images by address and in the request itself`, async () => {
    const content = [
      { type: "text", text: play({ text: "A cat." }) },
      { type: "image", source: { type: "url", url: "https://example.com/cat.png" } },
      { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
    ];
    const message = await client.messages.create(asking(model, content));
    assert.equal(message.content[0].text, "A cat.");
    assert.deepEqual(seen.images(await last()), ["https://example.com/cat.png", `data:image/png;base64,${PIXEL}`]);
  });

  test(`${model}: an answer that was too long for its bound says so`, async () => {
    const message = await client.messages.create(asking(model, play({ text: "and so on and", finish: "length" })));
    assert.equal(message.stop_reason, "max_tokens");
    assert.equal(seen.tokensMax(await last()), 55);
  });

  test(`${model}: an abort closes what is asked upstream`, async () => {
    const stream = client.messages.stream(asking(model, play({ text: "one two three four", hang: true })));
    stream.on("text", () => stream.abort());
    await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
    assert.equal((await left()).left, true);
  });

  test(`${model}: tokens are counted before anything is asked for`, async () => {
    const { input_tokens: counted } = await client.messages.countTokens({
      model,
      messages: [{ role: "user", content: "How many?" }],
    });
    assert.ok(Number.isInteger(counted) && counted > 0);
    const paths = (await recorded()).map((asked) => asked.path);
    assert.deepEqual(paths, model === CLAUDE ? ["/v1/messages/count_tokens"] : []);
    if (model === CLAUDE) assert.equal(counted, 101);
  });
}

test("thinking comes with its signature, and goes back with it", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const more = { max_tokens: 2048, thinking };
  const first = await client.messages
    .stream(asking(CLAUDE, play({ thinking: "Hm, a riddle.", signature: "c2ln", text: "42" }), more))
    .finalMessage();
  assert.deepEqual(first.content[0], { type: "thinking", thinking: "Hm, a riddle.", signature: "c2ln" });
  assert.deepEqual((await last()).body.thinking, thinking);
  const messages = [
    { role: "user", content: "?" },
    { role: "assistant", content: first.content },
    { role: "user", content: "Sure?" },
  ];
  await client.messages.create({ model: CLAUDE, messages, ...more });
  assert.deepEqual((await last()).body.messages[1].content[0], first.content[0]);
});

test("thinking is asked of a model that reasons in OpenAI's way", async () => {
  const more = { max_tokens: 4096, thinking: { type: "enabled", budget_tokens: 2048 } };
  const message = await client.messages.create(asking("gpt-5.1", play({ thinking: "Hm.", text: "42" }), more));
  assert.deepEqual(
    message.content.map((block) => block.type),
    ["thinking", "text"],
  );
  assert.equal(message.content[0].thinking, "Hm.");
  assert.equal(typeof (await last()).body.reasoning.effort, "string");
});

test("marks for the prompt cache and betas reach the provider as they are, and what was cached is told", async () => {
  const system = [{ type: "text", text: "Long instructions.", cache_control: { type: "ephemeral", ttl: "1h" } }];
  const cue = play({ text: "ok", usage: { input: 100, cached: 60, cache_write: 30, output: 5 } });
  const message = await client.beta.messages.create({ ...asking(CLAUDE, cue), system, betas: ["extended-cache-ttl-2025-04-11"] });
  const { usage } = message;
  assert.deepEqual([usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens], [10, 60, 30]);
  const asked = await last();
  assert.deepEqual(asked.body.system, system);
  assert.match(asked.headers["anthropic-beta"], /extended-cache-ttl-2025-04-11/);
});

test("a document reaches a provider that reads it", async () => {
  const source = { type: "base64", media_type: "application/pdf", data: "JVBERi0xLjQK" };
  const content = [
    { type: "document", source, title: "Terms" },
    { type: "text", text: play({ text: "Read." }) },
  ];
  assert.equal((await client.messages.create(asking(CLAUDE, content))).content[0].text, "Read.");
  assert.deepEqual((await last()).body.messages[0].content[0].source, source);
});

test("the message's headers tell where it went and what it cost", async () => {
  const { response, request_id: id } = await client.messages.create(asking(CHAT, "hi")).withResponse();
  assert.equal(response.headers.get("x-turnout-model"), CHAT);
  assert.ok(Math.abs(Number(response.headers.get("x-turnout-cost-usd")) - COST_USD) < 1e-9);
  assert.ok(id);
  assert.equal((await recorded()).length, 1);
});

test("the models are the policy's, as Anthropic lists them", async () => {
  const models = await all(client.models.list());
  for (const model of EVERY_MODEL)
    assert.ok(
      models.some(({ id }) => id === model),
      `${model} is not listed`,
    );
  for (const model of models)
    assert.deepEqual([model.type, typeof model.display_name, typeof model.created_at], ["model", "string", "string"]);
  assert.equal((await client.models.retrieve(CLAUDE)).id, CLAUDE);
  assert.deepEqual(await recorded(), []);
});
