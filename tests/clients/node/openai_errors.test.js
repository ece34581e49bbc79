// What the `openai` client throws, and when it asks again, for what can go wrong behind the gateway.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { all, CALLERS_KEY, CLAUDE, GATEWAY, last, left, OPENAI, play, recorded, RESPONSES } from "./stand.js";

const options = { baseURL: `${GATEWAY}/v1`, apiKey: CALLERS_KEY };
const client = new OpenAI({ ...options, maxRetries: 0 });
const asking = (model, cue, more = {}) => ({ model, messages: [{ role: "user", content: play(cue) }], ...more });

for (const model of [OPENAI, RESPONSES, CLAUDE]) {
  test(`${model}: a request that the provider finds at fault is a BadRequestError with its message`, async () => {
    const failing = client.chat.completions.create(asking(model, { fail: { status: 400, message: "temperature is too hot" } }));
    await assert.rejects(failing, (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.match(error.message, /temperature is too hot/);
      return true;
    });
    assert.equal((await recorded()).length, 1);
  });

  test(`${model}: a provider that fails is an InternalServerError`, async () => {
    const failing = client.chat.completions.create(asking(model, { fail: { status: 500, message: "out of order" } }));
    await assert.rejects(failing, (error) => error instanceof OpenAI.InternalServerError && error.status === 502);
    assert.equal((await recorded()).length, 1);
  });

  test(`${model}: an error in the middle of a stream is thrown, after what came before it`, async () => {
    const heard = [];
    const stream = await client.chat.completions.create(
      asking(model, { text: "one two three four", broken: "overloaded" }, { stream: true }),
    );
    await assert.rejects(
      async () => {
        for await (const chunk of stream) heard.push(chunk.choices[0]?.delta.content ?? "");
      },
      (error) => error instanceof OpenAI.APIError && /overloaded/.test(error.message),
    );
    assert.match(heard.join(""), /^one/);
    assert.equal((await last()).body.stream, true);
  });

  test(`${model}: a stream that is cut off is thrown too`, async () => {
    const stream = await client.chat.completions.create(
      asking(model, { text: "one two three four", cut: true }, { stream: true }),
    );
    await assert.rejects(all(stream), (error) => error instanceof OpenAI.APIError);
    assert.equal((await recorded()).length, 1);
  });
}

for (const model of ["limited-openai-1", "limited-anthropic-1"]) {
  test(`${model}: a rate limit is waited for as long as the provider says, then asked again`, async () => {
    const patient = new OpenAI({ ...options, maxRetries: 2 });
    const began = Date.now();
    const answer = await patient.chat.completions.create(
      asking(model, { text: "at last", fail: { status: 429, retry_after: 1, times: 1 } }),
    );
    assert.equal(answer.choices[0].message.content, "at last");
    assert.ok(Date.now() - began >= 950, "it did not wait");
    assert.equal((await recorded()).length, 2);
  });
}

test("a model that nobody knows is a NotFoundError", async () => {
  await assert.rejects(client.chat.completions.create(asking("no-such-model", {})), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  assert.deepEqual(await recorded(), []);
});

test("a request that cannot be read names its field", async () => {
  await assert.rejects(client.chat.completions.create({ model: OPENAI, messages: [] }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "messages");
    return true;
  });
  assert.deepEqual(await recorded(), []);
});

test("a client that gives up waiting closes what is asked upstream", async () => {
  const hasty = new OpenAI({ ...options, maxRetries: 0, timeout: 700 });
  await assert.rejects(hasty.chat.completions.create(asking(OPENAI, { hang: true })), OpenAI.APIConnectionTimeoutError);
  assert.equal((await left()).left, true);
});

test("an aborted request that is not streamed closes what is asked upstream", async () => {
  const abort = new AbortController();
  const asked = client.chat.completions.create(asking(CLAUDE, { hang: true }), { signal: abort.signal });
  const refused = assert.rejects(asked, OpenAI.APIUserAbortError);
  while ((await recorded()).length === 0) await new Promise((resume) => setTimeout(resume, 20));
  abort.abort();
  await refused;
  assert.equal((await left()).path, "/v1/messages");
});
