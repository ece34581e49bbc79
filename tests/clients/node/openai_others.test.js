// The `openai` client's embeddings, models and older completions with nothing changed but the base URL.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { all, CALLERS_KEY, CHAT, EVERY_MODEL, GATEWAY, last, play, recorded } from "./stand.js";

const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: CALLERS_KEY, maxRetries: 0 });
const EMBEDDER = "text-embedding-3-small";
const INSTRUCT = "gpt-3.5-turbo-instruct";

test("embeddings of several texts, in their order and with usage", async () => {
  const answer = await client.embeddings.create({ model: EMBEDDER, input: ["one", "two", "Grüße"], encoding_format: "float" });
  assert.deepEqual(
    answer.data.map((item) => [item.index, item.embedding.length]),
    [
      [0, 4],
      [1, 4],
      [2, 4],
    ],
  );
  assert.equal(answer.usage.prompt_tokens, 15);
  const asked = await last();
  assert.deepEqual([asked.path, asked.body.input], ["/v1/embeddings", ["one", "two", "Grüße"]]);
});

test("embeddings as the client asks for them by itself, in base64, of the size that was asked for", async () => {
  const packed = await client.embeddings.create({ model: EMBEDDER, input: "hello", dimensions: 8 });
  assert.equal((await last()).body.encoding_format, "base64");
  const plain = await client.embeddings.create({ model: EMBEDDER, input: "hello", dimensions: 8, encoding_format: "float" });
  assert.deepEqual(Array.from(packed.data[0].embedding), plain.data[0].embedding);
  assert.equal((await last()).body.dimensions, 8);
});

test("embeddings that fail are the client's own exception", async () => {
  const failing = client.embeddings.create({ model: EMBEDDER, input: play({ fail: { status: 400, message: "too long" } }) });
  await assert.rejects(failing, (error) => error instanceof OpenAI.BadRequestError && /too long/.test(error.message));
  assert.equal((await recorded()).length, 1);
});

test("the models are the policy's, and nobody is asked for them", async () => {
  const ids = (await all(client.models.list())).map((model) => model.id);
  for (const model of [...EVERY_MODEL, "auto"]) assert.ok(ids.includes(model), `${model} is not in ${ids}`);
  assert.equal((await client.models.retrieve(CHAT)).id, CHAT);
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
  assert.deepEqual(await recorded(), []);
});

test("a completion of a provider that has them", async () => {
  const answer = await client.completions.create({
    model: INSTRUCT,
    prompt: play({ text: "once upon" }),
    max_tokens: 9,
    suffix: "the end",
  });
  assert.equal(answer.choices[0].text, "once upon");
  assert.equal(answer.object, "text_completion");
  const asked = await last();
  assert.deepEqual([asked.path, asked.body.max_tokens, asked.body.suffix], ["/v1/completions", 9, "the end"]);
});

test("a completion is streamed", async () => {
  const prompt = play({ text: "once upon a time" });
  const chunks = await all(
    await client.completions.create({ model: INSTRUCT, prompt, stream: true, stream_options: { include_usage: true } }),
  );
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), "once upon a time");
  assert.equal(chunks.at(-1).usage.total_tokens, 18);
  assert.equal((await last()).body.stream, true);
});

for (const model of EVERY_MODEL) {
  test(`${model}: a completion of a model that chats`, async () => {
    const answer = await client.completions.create({ model, prompt: play({ text: "once upon" }), max_tokens: 9 });
    assert.deepEqual([answer.choices[0].text, answer.choices[0].finish_reason], ["once upon", "stop"]);
    assert.equal((await recorded()).length, 1);
  });
}
