"""The vectors of `/v1/embeddings`, kept one by one: a list of texts asks for those only that nobody asked for before."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from gateway.attempt import Attempt
from gateway.cache.base import CachedAnswer, CacheKey, Store
from gateway.cache.keys import NOT_IN_KEY, owner
from gateway.embeddings import EmbeddingsRequest, read_answer, shares
from gateway.policy.model import CacheRule, Plan
from gateway.tenant import Tenant

ITEMS_MAX: Final = 2048  # of a request; more than OpenAI takes
KEYED_BYTES_MAX: Final = 4 * 1024 * 1024  # a larger request is not taken apart
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024  # nor a larger answer; 500 vectors of 1536 numbers have about so much
VECTOR_BYTES_MAX: Final = 256 * 1024
INLINE_BYTES_MAX: Final = 64 * 1024  # taking a larger answer apart is not for the event loop
# Calls of the store under way for one request: each must be done in the 50 ms that a call over the network has, or the
# breaker opens for all. With 16 vectors of 30 kB at a time some were late on a busy machine; 4 take 0.25 ms each.
AT_ONCE: Final = 4
LOOKING_S: Final = 0.2  # for all items of a request; what was not looked up by then is asked for anew

T = TypeVar("T")


def is_cacheable(request: EmbeddingsRequest, rule: CacheRule) -> bool:
    """Whether this request reads or fills the cache at all. Vectors are exact: `semantic` is the same as `exact` to them."""
    if rule.mode == "off" or request.cache == "bypass":
        return False
    return len(request.items) <= ITEMS_MAX and len(request.body) <= KEYED_BYTES_MAX


def vector_keys(request: EmbeddingsRequest, tenant: Tenant, rule: CacheRule, target: str) -> list[CacheKey]:
    """The key of each item: who asks, of whom, with which fields, for what. Raises msgspec.DecodeError.

    target: the model's provider and id. It takes milliseconds for large requests.
    """
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    rest: dict[str, Any] = {"encoding_format": "float"}  # what it is when nobody says
    rest |= {k: msgspec.json.decode(v) for k, v in fields.items() if k != "input" and k not in NOT_IN_KEY}
    if rest["encoding_format"] is None:
        rest["encoding_format"] = "float"
    context = hashlib.sha256(msgspec.json.encode(["embeddings", owner(tenant, rule.scope), target, rest], order="sorted"))
    return [_key(context, item) for item in request.items]


def _key(context: Any, item: bytes) -> CacheKey:
    exact = context.copy()
    exact.update(msgspec.json.encode(msgspec.json.decode(item)))  # however its JSON was written
    return CacheKey(context.digest(), exact.digest(), None)


class VectorCache:
    """now: seconds since 1970. clock: monotonic seconds."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now, self._clock = store, now, clock

    async def look(self, request: EmbeddingsRequest, rule: CacheRule, keys: Sequence[CacheKey]) -> list[CachedAnswer | None]:
        """What is kept for each of the keys, as young as the policy and the caller want it."""
        found: list[CachedAnswer | None] = []
        oldest, until = self._now() - _ttl_s(request, rule), self._clock() + LOOKING_S
        for some in _batches(keys) if request.cache != "refresh" else ():
            found += await _together([functools.partial(self._store.get, key.exact) for key in some])
            if self._clock() > until:
                break
        kept = [answer if answer is not None and answer.stored_at > oldest else None for answer in found]
        return kept + [None] * (len(keys) - len(kept))

    async def keep(
        self,
        request: EmbeddingsRequest,
        tenant: Tenant,
        plan: Plan,
        asked: Sequence[tuple[int, CacheKey]],
        body: bytes,
        answering: Attempt,
    ) -> None:
        """Keep the vectors of an answer. asked: the place in the request, and the key, of each item that it was asked for."""
        if len(body) > ANSWER_BYTES_MAX or answering.usage is None:
            return
        is_small = len(body) <= INLINE_BYTES_MAX
        vectors = _vectors(body, len(asked)) if is_small else await asyncio.to_thread(_vectors, body, len(asked))
        parts = shares(answering.usage, [request.items[place] for place, _ in asked])
        now, ttl_s = self._now(), _ttl_s(request, plan.cache)
        puts = []
        for (place, key), data, usage in zip(asked, vectors, parts, strict=True):
            if len(data) > VECTOR_BYTES_MAX:
                continue
            answer = CachedAnswer(
                id=request.request_id if len(request.items) == 1 else f"{request.request_id}.{place}",
                form="whole",
                data=data,
                usage=usage,
                model=answering.model,
                provider=answering.provider,
                question=None,
                tenant=owner(tenant, plan.cache.scope),
                route=plan.route,
                stored_at=now,
                fresh_until=now + ttl_s,
            )
            puts.append(functools.partial(self._store.put, key, answer, None, ttl_s))
        for some in _batches(puts):
            await _together(some)


def _vectors(body: bytes, count: int) -> list[bytes]:
    return read_answer(body).vectors(count)


def _ttl_s(request: EmbeddingsRequest, rule: CacheRule) -> float:
    """Seconds for which a vector may be given. Not the policy's `stale` too: it is the same however often it is asked for."""
    return rule.ttl_s if request.cache_ttl_s is None else min(request.cache_ttl_s, rule.ttl_s)


def _batches(all_: Sequence[T]) -> Iterator[Sequence[T]]:
    return (all_[start : start + AT_ONCE] for start in range(0, len(all_), AT_ONCE))


async def _together(work: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    return [await work[0]()] if len(work) == 1 else await asyncio.gather(*(one() for one in work))
