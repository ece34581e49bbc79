"""An embedder behind an OpenAI-compatible API: a model of the policy. Slow or away, it costs a cache miss, never a request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from gateway.cache.base import Embedding
from gateway.cache.embedding import Embedded
from gateway.cache.embedding_probe import TEXTS, ZERO, why_unfit
from gateway.embeddings import EmbeddingsAnswer
from gateway.errors import UpstreamError
from gateway.health.breaker import Breaker
from gateway.health.busy import BusyMeter
from gateway.policy.catalog import Model
from gateway.pricing.cost import cost_nusd, usd
from gateway.providers.openai_embeddings import OpenAIEmbeddings
from gateway.usage import CHARS_PER_TOKEN, Usage, estimate_tokens
from gateway.wire_usage import read_usage

log = logging.getLogger("turnout.embedder")

# What a request may wait for a vector. Hosted models take 0.1 to 0.5 s; after 2 s the answer itself has often begun.
DEADLINE_S: Final = 2.0
TEST_DEADLINE_S: Final = 20.0  # for all of the self-test, which no request waits for; a model may have to be loaded first
TEST_AGAIN_S: Final = 60.0  # from one self-test that could not be made, or was not passed, to the next
TEST_BATCH: Final = 16  # texts a call: some servers take no more than 32
# The tokens that a model is taken to read where the policy gives no `context`: many servers cut longer texts without a
# word, and this is what the smallest of their models read.
TOKENS_MAX: Final = 256
MEMORY_BYTES_MAX: Final = 16 * 1024 * 1024
OVERHEAD_BYTES: Final = 250  # an entry's Python objects, about


class EndpointEmbedder:
    """Asks one model of the policy, and remembers what it said.

    Nothing is embedded before the model has passed the self-test, which begins with the first text that is to be.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        api: OpenAIEmbeddings,
        model: Model,
        address: str,
        dimensions: int | None,
        clock: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """address: base URL of the API. dimensions: asked of the model, None for what it gives."""
        self._api, self._model, self._dimensions = api, model, dimensions
        self._clock, self._deadline_s = clock, deadline_s
        self._name = f"embedder {model.provider}/{model.id}"
        self._breaker, self._busy = Breaker(self._name, clock), BusyMeter()
        where = hashlib.sha256(address.encode()).hexdigest()[:8]  # what answers there may differ under the same name
        self.space: Final = f"{model.provider}-{where}/{model.id}/{dimensions or 'all'}"
        self._memory = VectorMemory(MEMORY_BYTES_MAX)
        self._dim = dimensions
        self._test: asyncio.Task[None] | None = None
        self._test_at = 0.0  # on the clock, before which no test is made
        self._is_fit = self._is_closed = False
        self._unfit: str | None = None

    @property
    def problem(self) -> str | None:
        if self._api.unavailable is not None:
            return f"cache.embedder: model '{self._model.name}': {self._api.unavailable}"
        if self._unfit is not None:
            return f"cache.embedder: model '{self._model.name}' {self._unfit}"
        if not self._is_fit:
            return f"cache.embedder: model '{self._model.name}' is not tested yet; the first question has it tested"
        if self._breaker.is_open:
            return f"cache.embedder: model '{self._model.name}' fails ({self._breaker.last_error})"
        return None

    async def embed(self, text: str) -> Embedded | None:
        if self._api.unavailable is not None or self._is_closed or not text.strip() or not self._is_in_reach(text):
            return None
        if not self._is_fit:
            self._begin_test()
            return None
        digest = hashlib.sha256(_utf8(text)).digest()
        if digest in self._memory:
            vector = self._memory.get(digest)
            return None if vector is None else Embedded(vector)
        return await self._asked(text, digest)

    async def self_test(self) -> str | None:
        """Raises UpstreamError when the model does not answer."""
        vectors: list[Embedding] = []
        used = Usage()
        async with asyncio.timeout(TEST_DEADLINE_S):
            for start in range(0, len(TEXTS), TEST_BATCH):
                batch = TEXTS[start : start + TEST_BATCH]
                answer = await self._ask(list(batch))
                vectors += [decoded(data) for data in answer.vectors(len(batch))]
                used += self._usage(answer, batch)
        cost = usd(self._cost_nusd(used, None))
        log.info("%s: self-test of %d tokens, %s", self._name, used.input, "cost unknown" if cost is None else f"{cost:.6f} USD")
        why = why_unfit(vectors)
        if why is None and self._dimensions not in (None, len(vectors[0])):
            why = f"gives vectors of {len(vectors[0])} dimensions; the policy asks for {self._dimensions}"
        if why is None:
            self._dim = len(vectors[0])
        return why

    async def aclose(self) -> None:
        self._is_closed = True
        if self._test is not None:
            self._test.cancel()
            await asyncio.gather(self._test, return_exceptions=True)

    @property
    def _tokens_max(self) -> int:
        return self._model.context_tokens or TOKENS_MAX

    def _is_in_reach(self, text: str) -> bool:
        """Whether the model may read all of it. By bytes: where a letter takes three of them it is a token or nearly one."""
        return len(text) <= self._tokens_max * CHARS_PER_TOKEN and estimate_tokens(len(_utf8(text))) <= self._tokens_max

    async def _asked(self, text: str, digest: bytes) -> Embedded | None:
        if not self._breaker.admits():
            return None
        is_probe, is_over = self._breaker.is_probing, False
        busy = self._busy.start(self._clock())
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._ask([text])
            vector = self._unit(answer)
            is_over = True
        except UpstreamError as exc:
            is_over = True
            self._failed(exc, digest, is_probe=is_probe)
            return None
        except TimeoutError:
            is_over = True
            late = UpstreamError(f"no vector within {self._deadline_s:g} s", fault="timeout")
            self._breaker.failed(late, is_probe=is_probe)
            return None
        finally:
            busy_s = self._busy.stop(busy, self._clock())
            if is_probe and not is_over:
                self._breaker.abandoned()  # the caller left
        self._breaker.succeeded()
        usage = self._usage(answer, [text])
        is_whole = usage.input < self._tokens_max or usage.estimated
        self._memory.put(digest, vector if is_whole else None)
        return Embedded(vector if is_whole else None, self._cost_nusd(usage, busy_s))

    def _cost_nusd(self, usage: Usage, busy_s: float | None) -> int | None:
        """What a call adds to the bill. A machine whose hours are settled is paid by them already, whoever used it."""
        machine = self._model.gpu
        if machine is not None and machine.is_settled:
            return 0
        return cost_nusd(self._model.price_at(time.time()), usage, busy_s)

    def _failed(self, exc: UpstreamError, digest: bytes, *, is_probe: bool) -> None:
        if exc.says_something_of_the_model:
            self._breaker.failed(exc, is_probe=is_probe)
            return
        self._memory.put(digest, None)  # this text it will never take
        if is_probe:
            self._breaker.abandoned()

    async def _ask(self, texts: list[str]) -> EmbeddingsAnswer:
        fields: dict[str, object] = {"model": self._model.id, "input": texts, "encoding_format": "float"}
        if self._dimensions is not None:
            fields["dimensions"] = self._dimensions
        try:
            body = msgspec.json.encode(fields)
        except UnicodeEncodeError as exc:  # JSON can carry a lone surrogate in, but not out
            raise UpstreamError(f"the text is no Unicode: {exc}", fault="unsupported") from exc
        return await self._api.ask(body, len(texts), self._deadline_s)

    def _unit(self, answer: EmbeddingsAnswer) -> Embedding:
        vector = decoded(answer.vectors(1)[0])
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if vector.shape != (self._dim,):
            raise UpstreamError(f"a vector of {len(vector)} dimensions, not {self._dim}", fault="malformed")
        if not np.isfinite(length) or length < ZERO:
            raise UpstreamError("a vector that is zero or no numbers", fault="malformed")
        return vector / np.float32(length)

    def _usage(self, answer: EmbeddingsAnswer, texts: list[str] | tuple[str, ...]) -> Usage:
        guess = Usage(input=sum(estimate_tokens(len(text)) for text in texts), estimated=True)
        return read_usage(answer.usage) or guess

    def _begin_test(self) -> None:
        if self._clock() >= self._test_at and (self._test is None or self._test.done()):
            self._test_at = self._clock() + TEST_AGAIN_S
            self._test = asyncio.create_task(self._run_test(), name="embedder-test")

    async def _run_test(self) -> None:
        try:
            why = await self.self_test()
        except UpstreamError as exc:
            why = f"cannot be tested: {exc.message}"
        except TimeoutError:
            why = f"cannot be tested: no answer within {TEST_DEADLINE_S:g} s"
        if why is None:
            self._is_fit = True
            if self._unfit is not None:
                log.info("%s answers, and is fit to find similar questions by", self._name)
        elif why != self._unfit:
            log.error("%s %s; similar questions are not looked for", self._name, why)
        self._unfit = why


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class VectorMemory:
    """Vectors by a digest of their text, bounded by bytes, least recently used out first. None: a text without one."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[bytes, Embedding | None] = OrderedDict()
        self.size_bytes = 0

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._kept

    def get(self, digest: bytes) -> Embedding | None:
        self._kept.move_to_end(digest)
        return self._kept[digest]

    def put(self, digest: bytes, vector: Embedding | None) -> None:
        """Once for each text; what is there stays."""
        if digest in self._kept:
            return
        self._kept[digest] = vector
        self.size_bytes += _size(vector)
        while self.size_bytes > self._bytes_max:
            _, forgotten = self._kept.popitem(last=False)
            self.size_bytes -= _size(forgotten)


def _size(vector: Embedding | None) -> int:
    return OVERHEAD_BYTES + (0 if vector is None else vector.nbytes)


_numbers = msgspec.json.Decoder(list[float]).decode


def decoded(data: bytes) -> Embedding:
    """(dim,) float32 from the JSON of a vector: numbers, or base64 of little-endian float32. Raises UpstreamError."""
    try:
        if data.startswith(b'"'):
            return np.frombuffer(base64.b64decode(data[1:-1], validate=True), "<f4").astype(np.float32)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which whoever looks at it refuses
            return np.array(_numbers(data), np.float32)
    except (msgspec.DecodeError, binascii.Error, ValueError) as exc:
        raise UpstreamError(f"a vector that cannot be read: {exc}", fault="malformed") from exc
