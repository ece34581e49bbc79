// The `openai` client's Responses with nothing changed but the base URL, whichever provider answers.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
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
  RESPONSES,
} from "./stand.js";

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: CALLERS_KEY, maxRetries: 0 });
const WEATHER = {
  type: "function",
  name: "weather",
  description: "Of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  strict: true,
};
const TWO_CITIES = play({
  calls: [
    { name: "weather", arguments: { city: "Łódź" }, id: "call_a" },
    { name: "weather", arguments: { city: "Rome" }, id: "call_b" },
  ],
  then: [{ text: "Both are warm." }],
});
const callsIn = (response) => response.output.filter((item) => item.type === "function_call");

for (const model of EVERY_MODEL) {
  test(`${model}: a plain answer with instructions, usage and cost`, async () => {
    const answer = await client.responses.create({
      model,
      instructions: "Be brief.",
      input: play({ text: "Grüß dich" }),
      max_output_tokens: 55,
    });
    assert.equal(answer.output_text, "Grüß dich");
    assert.equal(answer.status, "completed");
    assert.equal(answer.model, IDS[model]);
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens], [11, 7, 18]);
    const asked = await last();
    assert.deepEqual(seen.turns(asked)[0], ["system", "Be brief."]);
    assert.equal(seen.tokensMax(asked), 55);
    assert.ok(!JSON.stringify(asked).includes(CALLERS_KEY));
  });

  test(`${model}: a stream has OpenAI's events in OpenAI's order`, async () => {
    const events = await all(
      await client.responses.create({ model, input: play({ text: "One, zwei — 三 🙂", split: 7 }), stream: true }),
    );
    const kinds = events.map((event) => event.type).filter((kind, at, every) => kind !== every[at - 1]);
    assert.deepEqual(kinds, [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      events.map((_, at) => at),
    );
    const { response } = events.at(-1);
    assert.equal(response.output[0].content[0].text, "One, zwei — 三 🙂");
    assert.ok(Math.abs(response.usage.cost - COST_USD) < 1e-9);
    assert.equal((await last()).body.stream, true);
  });

  test(`${model}: the stream helper puts streamed arguments together`, async () => {
    const stream = client.responses.stream({ model, input: TWO_CITIES, tools: [WEATHER] });
    const whole = await stream.finalResponse();
    assert.deepEqual(
      callsIn(whole).map((call) => JSON.parse(call.arguments)),
      [{ city: "Łódź" }, { city: "Rome" }],
    );
    const asked = await last();
    assert.equal(seen.tool(asked).description, "Of a city");
    assert.deepEqual(seen.tool(asked).schema.required, ["city"]);
  });

  test(`${model}: the results of two tools come back in the next input`, async () => {
    const input = [{ role: "user", content: TWO_CITIES }];
    const first = await client.responses.create({ model, input, tools: [WEATHER] });
    input.push(...first.output);
    for (const call of callsIn(first)) {
      const { city } = JSON.parse(call.arguments);
      input.push({ type: "function_call_output", call_id: call.call_id, output: `sunny in ${city}` });
    }
    const second = await client.responses.create({ model, input, tools: [WEATHER] });
    assert.equal(second.output_text, "Both are warm.");
    const asked = await last();
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

  test(`${model}: a conversation goes on from a response that the gateway keeps`, async () => {
    const first = await client.responses.create({ model, input: "I am Ada." });
    assert.equal(first.output_text, "Heard: I am Ada.");
    const second = await client.responses.create({ model, input: "Who am I?", previous_response_id: first.id });
    assert.equal(second.output_text, "Heard: Who am I?");
    assert.equal(second.previous_response_id, first.id);
    const said = [
      ["user", "I am Ada."],
      ["assistant", "Heard: I am Ada."],
      ["user", "Who am I?"],
    ];
    assert.deepEqual(seen.turns(await last()), said);
  });

  test(`${model}: a parsed answer keeps to its schema`, async () => {
    const answer = await client.responses.parse({
      model,
      input: play({ text: '{"city": "Oslo"}' }),
      text: { format: zodTextFormat(z.object({ city: z.string() }), "place") },
    });
    assert.deepEqual(answer.output_parsed, { city: "Oslo" });
    assert.deepEqual(seen.schema(await last()).required, ["city"]);
  });

  test(`${model}: an image in the input`, async () => {
    const inline = `data:image/png;base64,${PIXEL}`;
    const content = [
      { type: "input_text", text: play({ text: "A dot." }) },
      { type: "input_image", image_url: inline, detail: "auto" },
    ];
    const answer = await client.responses.create({ model, input: [{ role: "user", content }] });
    assert.equal(answer.output_text, "A dot.");
    assert.deepEqual(seen.images(await last()), [inline]);
  });

  test(`${model}: an answer that was too long for its bound is incomplete`, async () => {
    const answer = await client.responses.create({
      model,
      input: play({ text: "and so on and", finish: "length" }),
      max_output_tokens: 16,
    });
    assert.equal(answer.status, "incomplete");
    assert.deepEqual(answer.incomplete_details, { reason: "max_output_tokens" });
    assert.equal(seen.tokensMax(await last()), 16);
  });

  test(`${model}: an abort closes what is asked upstream`, async () => {
    const stream = await client.responses.create({
      model,
      input: play({ text: "one two three four", hang: true }),
      stream: true,
    });
    for await (const event of stream) if (event.type === "response.output_text.delta") stream.controller.abort();
    assert.equal((await left()).left, true);
  });
}

test("a response is found again by its id, with what was asked, until it is deleted", async () => {
  const made = await client.responses.create({ model: CHAT, input: "Remember me." });
  assert.equal((await client.responses.retrieve(made.id)).output_text, "Heard: Remember me.");
  const items = await all(client.responses.inputItems.list(made.id));
  assert.deepEqual(
    items.map((item) => item.content[0].text),
    ["Remember me."],
  );
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
  assert.equal((await recorded()).length, 1);
});

test("thinking of a Claude comes as a reasoning item", async () => {
  const answer = await client.responses.create({
    model: CLAUDE,
    input: play({ thinking: "Hm, a riddle.", text: "42" }),
    reasoning: { effort: "low", summary: "auto" },
  });
  assert.deepEqual(
    answer.output.map((item) => item.type),
    ["reasoning", "message"],
  );
  assert.equal(answer.output[0].summary[0].text, "Hm, a riddle.");
  assert.deepEqual((await last()).body.output_config, { effort: "low" });
});

test("a tool that runs at the provider reaches one that has it, and is refused by name for one that has not", async () => {
  const tools = [{ type: "web_search" }];
  await client.responses.create({ model: RESPONSES, input: "news?", tools });
  assert.deepEqual((await last()).body.tools, tools);
  await assert.rejects(client.responses.create({ model: CLAUDE, input: "news?", tools }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /tools/);
    return true;
  });
  assert.equal((await recorded()).length, 1);
});

test("a failure is the client's own exception, whole and in the middle of a stream", async () => {
  const failing = client.responses.create({ model: CLAUDE, input: play({ fail: { status: 400, message: "too hot" } }) });
  await assert.rejects(failing, (error) => error instanceof OpenAI.BadRequestError && /too hot/.test(error.message));
  const broken = await client.responses.create({
    model: CLAUDE,
    input: play({ text: "one two three", broken: "overloaded" }),
    stream: true,
  });
  const kinds = [];
  await assert.rejects(async () => {
    for await (const event of broken) kinds.push(event.type);
  }, OpenAI.APIError);
  assert.ok(kinds.includes("response.output_text.delta") && !kinds.includes("response.completed"));
  assert.equal((await recorded()).length, 2);
});
