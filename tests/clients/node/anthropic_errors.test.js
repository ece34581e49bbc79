// What Anthropic's client throws, and when it asks again, for what can go wrong behind the gateway.

import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { all, CALLERS_KEY, CHAT, CLAUDE, GATEWAY, last, left, play, recorded } from "./stand.js";

const options = { baseURL: GATEWAY, apiKey: CALLERS_KEY };
const client = new Anthropic({ ...options, maxRetries: 0 });
const asking = (model, cue, more = {}) => ({ model, max_tokens: 55, messages: [{ role: "user", content: play(cue) }], ...more });

for (const model of [CLAUDE, CHAT]) {
  test(`${model}: a request that the provider finds at fault is a BadRequestError with its message`, async () => {
    const failing = client.messages.create(asking(model, { fail: { status: 400, message: "temperature is too hot" } }));
    await assert.rejects(failing, (error) => {
      assert.ok(error instanceof Anthropic.BadRequestError);
      assert.equal(error.error.error.type, "invalid_request_error");
      assert.match(error.message, /temperature is too hot/);
      return true;
    });
    assert.equal((await recorded()).length, 1);
  });

  test(`${model}: a provider that fails is an InternalServerError`, async () => {
    const failing = client.messages.create(asking(model, { fail: { status: 500, message: "out of order" } }));
    await assert.rejects(failing, (error) => error instanceof Anthropic.InternalServerError && error.status === 502);
    assert.equal((await recorded()).length, 1);
  });

  test(`${model}: an error in the middle of a stream is thrown, after what came before it`, async () => {
    const heard = [];
    const stream = await client.messages.create(
      asking(model, { text: "one two three four five six", broken: "overloaded" }, { stream: true }),
    );
    await assert.rejects(
      async () => {
        for await (const event of stream) if (event.delta?.type === "text_delta") heard.push(event.delta.text);
      },
      (error) => error instanceof Anthropic.APIError && /overloaded/.test(error.message),
    );
    assert.match(heard.join(""), /^one/);
    assert.equal((await last()).body.stream, true);
  });

  test(`${model}: a stream that is cut off is thrown too`, async () => {
    const stream = await client.messages.create(
      asking(model, { text: "one two three four five six", cut: true }, { stream: true }),
    );
    await assert.rejects(all(stream), (error) => error instanceof Anthropic.APIError);
    assert.equal((await recorded()).length, 1);
  });
}

for (const model of ["limited-anthropic-2", "limited-openai-2"]) {
  test(`${model}: a rate limit is waited for as long as the provider says, then asked again`, async () => {
    const patient = new Anthropic({ ...options, maxRetries: 2 });
    const began = Date.now();
    const message = await patient.messages.create(
      asking(model, { text: "here at last", fail: { status: 429, retry_after: 1, times: 1 } }),
    );
    assert.equal(message.content[0].text, "here at last");
    assert.ok(Date.now() - began >= 950, "it did not wait");
    assert.equal((await recorded()).length, 2);
  });
}

test("a model that nobody knows is a NotFoundError", async () => {
  await assert.rejects(client.messages.create(asking("no-such-model", {})), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError);
    assert.equal(error.error.error.type, "not_found_error");
    return true;
  });
  assert.deepEqual(await recorded(), []);
});

test("a request that cannot be read is a BadRequestError that names its field", async () => {
  const wrong = { model: CLAUDE, max_tokens: 55, messages: [{ role: "user", content: [{ type: "text", text: 7 }] }] };
  await assert.rejects(client.messages.create(wrong), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.match(error.message, /messages\.0\.content\.0\.text/);
    return true;
  });
  assert.deepEqual(await recorded(), []);
});

test("a client that gives up waiting closes what is asked upstream", async () => {
  const hasty = new Anthropic({ ...options, maxRetries: 0, timeout: 700 });
  await assert.rejects(hasty.messages.create(asking(CLAUDE, { hang: true })), Anthropic.APIConnectionTimeoutError);
  assert.equal((await left()).left, true);
});
