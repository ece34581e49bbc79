// The `openai` client's chat completions with nothing changed but the base URL, whichever provider answers.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
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
  OPENAI,
  PIXEL,
  play,
  recorded,
} from "./stand.js";

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: CALLERS_KEY, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const City = z.object({ city: z.string() });
const TWO_CITIES = play({
  calls: [
    { name: "weather", arguments: { city: "Łódź" }, id: "call_a" },
    { name: "weather", arguments: { city: "Rome" }, id: "call_b" },
  ],
  then: [{ text: "Both are warm." }],
});

for (const model of EVERY_MODEL) {
  test(`${model}: a plain answer, and the caller's own key stays here`, async () => {
    const answer = await client.chat.completions.create({ model, messages: user(play({ text: "Grüß dich" })) });
    assert.equal(answer.choices[0].message.content, "Grüß dich");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.model, IDS[model]);
    const asked = await last();
    assert.equal(asked.body.model, IDS[model]);
    assert.ok(!JSON.stringify(asked).includes(CALLERS_KEY));
  });

  test(`${model}: instructions, earlier turns and settings`, async () => {
    const messages = [
      { role: "developer", content: "Be brief." },
      { role: "user", content: "I am Ada." },
      { role: "assistant", content: "Hello Ada." },
      { role: "user", content: "Who am I?" },
    ];
    const answer = await client.chat.completions.create({ model, messages, max_completion_tokens: 55, temperature: 0.25 });
    assert.equal(answer.choices[0].message.content, "Heard: Who am I?");
    const asked = await last();
    const said = [
      ["system", "Be brief."],
      ["user", "I am Ada."],
      ["assistant", "Hello Ada."],
      ["user", "Who am I?"],
    ];
    assert.deepEqual(seen.turns(asked), said);
    assert.equal(asked.body.temperature, 0.25);
    assert.equal(seen.tokensMax(asked), 55);
  });

  test(`${model}: a stream cut anywhere, with usage and cost in its last chunk`, async () => {
    const chunks = await all(
      await client.chat.completions.create({
        model,
        messages: user(play({ text: "One, two, drei — 四 🙂", split: 7 })),
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "One, two, drei — 四 🙂");
    const { usage } = chunks.at(-1);
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [11, 7, 18]);
    assert.ok(Math.abs(usage.cost - COST_USD) < 1e-9);
    assert.equal((await last()).body.stream, true);
  });

  test(`${model}: the tool runner runs two tools at once and answers with what they said`, async () => {
    const runner = client.chat.completions.runTools({
      model,
      messages: user(TWO_CITIES),
      tools: [
        zodFunction({ name: "weather", description: "Of a city", parameters: City, function: ({ city }) => `sunny in ${city}` }),
      ],
    });
    assert.equal(await runner.finalContent(), "Both are warm.");
    const asked = await last();
    assert.equal(seen.tool(asked).description, "Of a city");
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
  });

  test(`${model}: streamed arguments come together`, async () => {
    const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
    const stream = client.chat.completions.stream({ model, messages: user(TWO_CITIES), tools });
    const whole = await stream.finalChatCompletion();
    const { tool_calls: made } = whole.choices[0].message;
    assert.deepEqual(
      made.map((call) => JSON.parse(call.function.arguments)),
      [{ city: "Łódź" }, { city: "Rome" }],
    );
    assert.equal(whole.choices[0].finish_reason, "tool_calls");
    assert.equal(seen.tool(await last()).name, "weather");
  });

  test(`${model}: a parsed answer keeps to its schema`, async () => {
    const answer = await client.chat.completions.parse({
      model,
      messages: user(play({ text: '{"city": "Oslo"}' })),
      response_format: zodResponseFormat(City, "place"),
    });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Oslo" });
    assert.deepEqual(seen.schema(await last()).required, ["city"]);
  });

  test(`${model}: images by address and in the request itself`, async () => {
    const inline = `data:image/png;base64,${PIXEL}`;
    const content = [
      { type: "text", text: play({ text: "A cat." }) },
      { type: "image_url", image_url: { url: "https://example.com/cat.png" } },
      { type: "image_url", image_url: { url: inline } },
    ];
    const answer = await client.chat.completions.create({ model, messages: user(content) });
    assert.equal(answer.choices[0].message.content, "A cat.");
    assert.deepEqual(seen.images(await last()), ["https://example.com/cat.png", inline]);
  });

  test(`${model}: an abort closes what is asked upstream`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: user(play({ text: "one two three four", hang: true })),
      stream: true,
    });
    const heard = [];
    await assert.doesNotReject(async () => {
      for await (const chunk of stream) {
        heard.push(chunk.choices[0]?.delta.content ?? "");
        if (heard.join("") !== "") stream.controller.abort();
      }
    });
    assert.notEqual(heard.join(""), "");
    assert.equal((await left()).left, true);
  });
}

test("several choices, stop, seed and logprobs reach a provider that has them", async () => {
  const answer = await client.chat.completions.create({
    model: OPENAI,
    messages: user(play({ text: "yes" })),
    n: 2,
    stop: ["\n"],
    seed: 7,
    logprobs: true,
    top_logprobs: 1,
  });
  assert.deepEqual(
    answer.choices.map((choice) => choice.message.content),
    ["yes", "yes"],
  );
  assert.equal(answer.choices[1].logprobs.content[0].token, "yes");
  const { n, stop, seed, logprobs, top_logprobs } = (await last()).body;
  assert.deepEqual({ n, stop, seed, logprobs, top_logprobs }, { n: 2, stop: ["\n"], seed: 7, logprobs: true, top_logprobs: 1 });
});

test("a field that no dialect knows passes to a provider of the caller's dialect", async () => {
  await client.chat.completions.create({ model: CHAT, messages: user("hi"), mirostat: 2 });
  assert.equal((await last()).body.mirostat, 2);
});

test("the response's headers tell where it went and what it cost", async () => {
  const {
    data,
    response,
    request_id: id,
  } = await client.chat.completions.create({ model: CLAUDE, messages: user("hi") }).withResponse();
  assert.equal(response.headers.get("x-turnout-model"), CLAUDE);
  assert.ok(Math.abs(Number(response.headers.get("x-turnout-cost-usd")) - COST_USD) < 1e-9);
  assert.equal(id, response.headers.get("x-request-id"));
  assert.equal(data.choices[0].message.content, "Heard: hi");
  assert.equal((await recorded()).length, 1);
});
