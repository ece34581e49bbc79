// `node run.js [FILE…]`: the tests of the Node clients, against one gateway in front of one scripted upstream, reported as TAP.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import path from "node:path";
import { run } from "node:test";
import { tap } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const NODE_MIN = 20;
const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../../..");
const PYTHON = path.join(ROOT, ".venv/bin/python");

function fail(message) {
  console.error(message);
  process.exit(2);
}

function check() {
  const major = Number(process.versions.node.split(".")[0]);
  const remedy = "npm exec --yes --package=node@22 -- node run.js";
  if (major < NODE_MIN) fail(`the Node clients need Node ${NODE_MIN} or newer, this is ${process.versions.node}; try: ${remedy}`);
  if (!existsSync(path.join(HERE, "node_modules"))) fail(`${HERE}/node_modules is missing: run npm ci there`);
  if (!existsSync(PYTHON)) fail(`${PYTHON} is missing: run make setup`);
}

/** The gateway and its upstream: {child, addresses}. They end when the child's input closes. */
async function started() {
  const child = spawn(PYTHON, ["-m", "tests.clients.stand"], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) return { child, addresses: line };
  return fail("the gateway and its upstream did not start");
}

function testFiles() {
  const named = process.argv.slice(2).map((name) => path.resolve(name));
  return named.length > 0
    ? named
    : readdirSync(HERE)
        .filter((name) => name.endsWith(".test.js"))
        .sort()
        .map((name) => path.join(HERE, name));
}

check();
const { child, addresses } = await started();
process.env.CLIENTS_STAND = addresses;
// One file at a time: each test asks what reached the upstream last.
const results = run({ files: testFiles(), concurrency: 1, timeout: 60_000 });
results.on("test:fail", () => {
  process.exitCode = 1;
});
results.on("end", () => child.stdin.end());
results.compose(tap).pipe(process.stdout);
