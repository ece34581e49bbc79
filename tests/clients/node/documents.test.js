// What the pages for Node clients tell a user to type works.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { GATEWAY, recorded } from "./stand.js";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PAGES = ["openai-node", "anthropic-node", "vercel-ai"];
const DOCUMENTED = "http://127.0.0.1:8080";

function blocks(page, language) {
  const text = readFileSync(path.join(HERE, `../../../docs/clients/${page}.md`), "utf8").replaceAll(DOCUMENTED, GATEWAY);
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code]) => code);
}

/** What a module prints. variables: of its environment, besides this one's. */
async function printed(code, variables = {}) {
  const { stdout } = await promisify(execFile)("node", ["--input-type=module", "-e", code], {
    cwd: HERE, // where the packages are
    env: { ...process.env, ...variables },
  });
  return stdout;
}

for (const page of PAGES) {
  const codes = blocks(page, "js");

  for (const [at, code] of codes.entries()) {
    test(`${page}: program ${at + 1} of ${codes.length} prints the answer`, async () => {
      assert.equal((await printed(code)).split("\n")[0], "Heard: What is the capital of France?");
      assert.equal((await recorded()).length, 1);
    });
  }

  for (const exported of blocks(page, "sh")) {
    test(`${page}: the environment alone sends a program through the gateway`, async () => {
      const variables = Object.fromEntries(
        [...exported.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
      );
      assert.equal(Object.keys(variables).length, 2);
      const unchanged = codes[0].replace(/^ +(baseURL|apiKey): .*\n/gm, "");
      assert.ok(!unchanged.includes(GATEWAY));
      assert.equal(await printed(unchanged, variables), "Heard: What is the capital of France?\n");
      assert.equal((await recorded()).length, 1);
    });
  }
}
