// What every test is given: the gateway's address, and the scripted upstream with what it was asked.

import { beforeEach } from "node:test";

const stand = JSON.parse(process.env.CLIENTS_STAND ?? "null");
if (stand === null) throw new Error("start the tests with `node run.js`, which starts the gateway");

export const GATEWAY = stand.gateway;
export const COST_USD = stand.cost_usd; // of an answer of 11 tokens in and 7 out
export const CALLERS_KEY = "sk-callers-own";
export const IDS = stand.ids; // model of the policy → what the upstream is asked for
export const CHAT = "llama-3.3-70b"; // its provider speaks chat alone
export const OPENAI = "gpt-4.1"; // speaks all of OpenAI's dialects
export const RESPONSES = "gpt-5.1"; // is asked in Responses, whatever the caller speaks
export const CLAUDE = "claude-sonnet-4-6"; // speaks Anthropic's
export const EVERY_MODEL = [OPENAI, RESPONSES, CHAT, CLAUDE];
export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const LEAVES_WITHIN_MS = 10_000;

/** A prompt that says what is to be answered; tests/clients/upstream/cue.py tells what can be said. */
export const play = (cue) => `play ${JSON.stringify(cue)}`;

/** What the upstream was asked since the test began, oldest first: {method, path, query, headers, body, left}. */
export async function recorded() {
  return (await fetch(`${stand.upstream}/recorded`)).json();
}

/** The latest of them, which must be there. */
export async function last() {
  const asked = (await recorded()).at(-1);
  if (asked === undefined) throw new Error("nothing reached the upstream");
  return asked;
}

/** The latest request, once its client has closed it before its end. */
export async function left() {
  for (const until = Date.now() + LEAVES_WITHIN_MS; Date.now() < until;) {
    const asked = await last();
    if (asked.left) return asked;
    await new Promise((resume) => setTimeout(resume, 20));
  }
  throw new Error(`the upstream's client had not left after ${LEAVES_WITHIN_MS} ms`);
}

/** Every item of an async iterable. */
export async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

beforeEach(async () => {
  await fetch(`${stand.upstream}/recorded`, { method: "DELETE" });
});
