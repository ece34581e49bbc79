"""A few hundred prompts through a running gateway, and what became of them: routes, models, cache, time and money.

    python -m benchmarks.demo [--requests N] [--keep]

Starts `turnout serve` with policies/demo.yaml on a free port and a data directory of its own, sends the prompts of
benchmarks/demo_prompts.yaml in a fixed order, stops it, and ends with `turnout spend`, by route and by prompt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import yaml

from benchmarks.server import TURNOUT, Server, ServerFailed, environment
from gateway.cli.table import coloured, table
from gateway.providers.local import free_port

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = Path(__file__).with_name("demo_prompts.yaml")
POLICY = ROOT / "policies" / "demo.yaml"
SEED = 7
CONCURRENCY = 2  # as many as the policy's local model answers at a time
MAX_TOKENS = 32
# One sentence is enough, and an answer that ends by itself may be cached; one cut off at max_tokens may not.
STOP = [". ", ".\n", "! ", "? "]
STREAM_EVERY = 3
# Questions of the file as other people put them: a semantic cache may answer some of these, and only some.
REWORDINGS = (
    "how can I reset my password",
    "Please tell me how to reset my password.",
    "hi, how do I reset the password?",
    "Where do I download my invoices?",
    "opening hours on public holidays?",
    "Could you tell me what the capital of Australia is?",
    "what's the capital city of Australia",
    "how many legs has a spider got?",
    "who was it that painted the Mona Lisa",
    "What's the biggest mammal?",
    "whats the chemical symbol for potassium",
    "Hello! How can I cancel my subscription, please? Thanks",
    "Please translate 'thank you for your patience' to Spanish",
    "which planet is the closest one to the sun",
    "Who wrote Pride and Prejudice?",
    "Please, what does inflation mean in economics?",
)
START_S = 60.0
ANSWER_S = 90.0
ROUTES_MIN = 4
FAILED_SHARE_MAX = 0.1
STRONG = {"strong": "OPENAI_API_KEY", "backup": "ANTHROPIC_API_KEY"}  # model of the policy: what it needs
GROUPS = {
    "none": "without any LLM",
    "exact": "from the cache, same question",
    "semantic": "from the cache, same meaning",
    "small": "by the small model",
    "strong": "by the strong model",
    "rehearsal": "by the rehearsal, for the strong model",
}


class DemoFailed(Exception):
    """The demonstration did not show what it should."""


@dataclass(frozen=True)
class Ask:
    """tool: the name of one that the request offers. system: the system text. app: which program asks, for its tag."""

    prompt: str
    tool: str | None = None
    system: str | None = None
    app: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How one request went. error: what the gateway said, for one that was not answered."""

    group: str
    attempts: int
    duration_ms: float
    error: str | None = None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, metavar="N", help="how many prompts to send (default: each of the file once)")
    parser.add_argument("--keep", action="store_true", help="leave the data directory, to look into the ledger afterwards")
    args = parser.parse_args(argv)
    if args.requests is not None and args.requests < 1:
        parser.error(f"--requests {args.requests}: send at least 1")
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="turnout-demo-"))
    try:
        run(folder, args.requests)
    except (DemoFailed, ServerFailed) as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if args.keep:
            print(f"The data directory is {folder}; look into it with TURNOUT_DATA_DIR={folder} turnout spend --by model")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def run(folder: Path, requests: int | None) -> None:
    """The whole demonstration. Raises DemoFailed and ServerFailed."""
    asks = choose({**yaml.safe_load(PROMPTS.read_text("utf-8")), "rewordings": REWORDINGS}, requests)
    port = free_port()
    env = environment(TURNOUT_DATA_DIR=str(folder))
    print(f"Starting the gateway with {POLICY.relative_to(ROOT)} …", flush=True)
    command = [*TURNOUT, "serve", "--policy", str(POLICY), "--host", "127.0.0.1", "--port", str(port)]
    with Server("the gateway", command, f"http://127.0.0.1:{port}", folder / "gateway.log", env=env) as server:
        server.wait_ready("/health/ready", START_S)
        introduce(server)
        began = time.monotonic()
        outcomes = asyncio.run(send(server, asks))
        lasted_s = time.monotonic() - began
    print(f"\n{len(outcomes)} requests in {lasted_s:.0f} s.\n\n$ turnout spend --by route")
    print(_spend(env, "--by", "route"), end="")
    print("\n$ turnout spend --by prompt")
    print(_spend(env, "--by", "prompt"), end="")
    print()
    print(summary(outcomes))
    check(json.loads(_spend(env, "--by", "route", "--json")), outcomes, server)
    if requests is None:  # of a few prompts there may be no template that came often enough
        check_prompts(json.loads(_spend(env, "--by", "prompt", "--json")), asks)


def choose(kinds: Mapping[str, Any], count: int | None) -> list[Ask]:
    """So many prompts, all of them by default: every kind in its proportion, in an order that never changes."""
    placed: list[tuple[float, Ask]] = []
    for name, entries in kinds.items():
        asks = [ask for entry in entries for ask in _asks(name, entry)]
        placed += [((i + 0.5) / len(asks), ask) for i, ask in enumerate(asks)]
    ordered = [ask for _, ask in sorted(placed, key=lambda item: item[0])]
    wanted = len(ordered) if count is None else count
    chosen = [ordered[i % len(ordered)] for i in range(wanted)]
    random.Random(SEED).shuffle(chosen)
    return chosen


def _asks(kind: str, entry: Any) -> Iterator[Ask]:
    """The requests of one entry of the prompts file, whose head says what each kind holds."""
    match kind, entry:
        case "with_tools", {"prompt": prompt, "tool": tool}:
            yield Ask(prompt, tool)
        case "repeats_exact", {"prompt": prompt, "times": times}:
            yield from [Ask(prompt)] * times
        case "paraphrases", [*prompts]:
            yield from map(Ask, prompts)
        case "near_misses", {"first": first, "second": second}:
            yield from (Ask(first), Ask(second))
        case "apps", {"app": app, "prompt": prompt, "fills": fills}:
            for fill in fills:
                yield Ask(prompt.format(*fill), system=entry["system"].format(*fill) if "system" in entry else None, app=app)
        case _, str():
            yield Ask(entry)
        case _:
            raise DemoFailed(f"{PROMPTS.name}: cannot read an entry of '{kind}': {entry!r}")


def introduce(server: Server) -> None:
    """Say who answers, and above all whether the strong model is one. Raises DemoFailed when the small one is missing."""
    models: dict[str, str] = httpx.get(f"{server.url}/health/ready", trust_env=False, timeout=10).json()["models"]
    if models["small"] != "ok":
        raise DemoFailed(f"the small model cannot run here: {models['small']}")
    print(f"  the small model is real: it runs on this machine's CPU, {CONCURRENCY} answers at a time")
    real = [name for name in STRONG if models[name] == "ok"]
    if real:
        print(f"  the strong model is real: {' and '.join(STRONG[name] for name in real)} is set; this costs a few cents")
    else:
        print(coloured("  the strong model is a REHEARSAL: no real model, and nothing is paid for it.", "yellow"))
        print("  A fake provider plays it, priced as gpt-4.1, so its spend below is what gpt-4.1 would have cost.")
        print(f"  For a real one: export {' or '.join(STRONG.values())}")
    print("  one provider is down on purpose: what is sent there falls back\n", flush=True)


async def send(server: Server, asks: Sequence[Ask]) -> list[Outcome]:
    """Put all questions, CONCURRENCY at a time. Raises ServerFailed if the gateway goes away."""
    outcomes: list[Outcome] = []
    progress = Progress(len(asks))
    waiting = iter(enumerate(asks))
    async with httpx.AsyncClient(base_url=server.url, timeout=ANSWER_S, trust_env=False) as client:

        async def ask_on() -> None:
            for number, ask in waiting:
                try:
                    outcomes.append(await put(client, ask, is_stream=number % STREAM_EVERY == 0))
                except httpx.TransportError as exc:
                    if not server.is_running:
                        raise server.failed("ended in the middle of the demonstration") from exc
                    outcomes.append(Outcome("failed", 0, 0.0, f"{type(exc).__name__}: {exc}"))
                progress.show(Counter(o.group for o in outcomes))

        results = await asyncio.gather(*(ask_on() for _ in range(CONCURRENCY)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return outcomes


async def put(client: httpx.AsyncClient, ask: Ask, *, is_stream: bool) -> Outcome:
    """One chat request, read to its end."""
    system = [{"role": "system", "content": ask.system}] if ask.system else []
    body: dict[str, Any] = {
        "model": "auto",
        "messages": [*system, {"role": "user", "content": ask.prompt}],
        "max_tokens": MAX_TOKENS,
        "stop": STOP,
        "temperature": 0,
        "stream": is_stream,
    }
    if ask.tool:
        parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
        body["tools"] = [{"type": "function", "function": {"name": ask.tool, "parameters": parameters}}]
    headers = {"x-turnout-tags": f"app={ask.app}"} if ask.app else {}
    began = time.perf_counter()
    response = await client.post("/v1/chat/completions", json=body, headers=headers)
    duration_ms = (time.perf_counter() - began) * 1000
    attempts = int(response.headers.get("x-turnout-attempts", 0))
    if response.status_code != 200 or (is_stream and "data: [DONE]" not in response.text):
        return Outcome("failed", attempts, duration_ms, f"{response.status_code}: {response.text[-300:]}")
    return Outcome(_group(response.headers, attempts), attempts, duration_ms)


def _group(headers: Mapping[str, str], attempts: int) -> str:
    cache = headers["x-turnout-cache"]
    if cache.startswith("hit-"):
        return cache.removeprefix("hit-")
    if attempts == 0:
        return "none"
    return {"small": "small", "rehearsal": "rehearsal"}.get(headers["x-turnout-model"], "strong")


class Progress:
    """A bar that moves on a terminal; elsewhere a line at every tenth."""

    WIDTH = 30

    def __init__(self, total: int) -> None:
        self._total, self._tenths, self._is_terminal = total, 0, sys.stdout.isatty()

    def show(self, groups: Mapping[str, int]) -> None:
        done = sum(groups.values())
        said = ", ".join(f"{name} {groups[name]}" for name in [*GROUPS, "failed"] if groups.get(name))
        if self._is_terminal:
            bar = ("█" * (done * self.WIDTH // self._total)).ljust(self.WIDTH, "░")
            columns = shutil.get_terminal_size().columns
            print("\r" + f"{bar} {done}/{self._total}  {said}"[: columns - 1].ljust(columns - 1), end="", flush=True)
        elif done * 10 // self._total > self._tenths:
            self._tenths = done * 10 // self._total
            print(f"{self._tenths * 10:3}%  {done}/{self._total}  {said}", flush=True)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Who answered how many and how fast, and what went wrong on the way."""
    rows = []
    for group, words in GROUPS.items():
        times = [o.duration_ms for o in outcomes if o.group == group]
        share = f"{100 * len(times) / len(outcomes):.0f} %"
        if times or group not in ("strong", "rehearsal"):
            rows.append([words, str(len(times)), share, f"{statistics.median(times):,.1f}" if times else "–"])
    lines = [table(("answered", "requests", "share", "p50 ms"), rows), ""]
    again = sum(o.attempts > 1 for o in outcomes)
    lines.append(f"{again} requests met a model that failed or did not convince, and were answered at another attempt.")
    if any(o.group == "rehearsal" for o in outcomes):
        lines.append("The rehearsal is no real model: its answers are canned, and its spend is what gpt-4.1 would have cost.")
    failed = [o for o in outcomes if o.group == "failed"]
    if failed:
        lines.append(f"{len(failed)} requests were NOT answered; the first: {failed[0].error}")
    return "\n".join(lines)


def check(report: Mapping[str, Any], outcomes: Sequence[Outcome], server: Server) -> None:
    """Raises DemoFailed when too few routes were taken, the ledger lacks requests or too many of them failed."""
    routes = [row["route"] for row in report["rows"]]
    booked = sum(row["requests"] for row in report["rows"])
    failed = sum(o.group == "failed" for o in outcomes)
    if len(routes) < ROUTES_MIN:
        what = f"only {len(routes)} routes were taken ({', '.join(routes)}), {ROUTES_MIN} are expected; send more requests"
    elif booked != len(outcomes):
        what = f"{len(outcomes)} requests were sent and {booked} are in the ledger"
    elif failed > FAILED_SHARE_MAX * len(outcomes):
        what = f"{failed} of {len(outcomes)} requests were not answered"
    else:
        return
    raise DemoFailed(f"{what}\n{server.failed('was stopped')}")


def check_prompts(report: Mapping[str, Any], asks: Sequence[Ask]) -> None:
    """Raises DemoFailed when fewer templates were recognised than there are apps that send them."""
    found = [row for row in report["rows"] if row["text"] is not None]
    apps = {ask.app for ask in asks if ask.app is not None}
    if len(found) < len(apps):
        raise DemoFailed(f"{len(apps)} apps sent templates, {len(found)} were recognised: {[row['text'] for row in found]}")


def _spend(env: Mapping[str, str], *options: str) -> str:
    """What `turnout spend` prints. Raises DemoFailed."""
    done = subprocess.run([*TURNOUT, "spend", *options], env=env, capture_output=True, text=True)
    if done.returncode:
        raise DemoFailed(f"turnout spend failed: {done.stderr.strip()}")
    return done.stdout


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends us the way Ctrl-C does, so that the gateway is stopped too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
