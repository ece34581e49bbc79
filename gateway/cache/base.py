"""Answers given before: what is kept, under which key, and the port that stores it.

A key has two parts. The partition is everything that must be equal before two questions may share an answer:
who asks, the route and its model, the system prompt, tools, parameters and earlier turns. The question is the text
of the last message by the user. Stores never look across partitions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.chat import decode_body
from gateway.policy.model import CacheScope
from gateway.request import ChatRequest
from gateway.tenant import Tenant
from gateway.usage import Usage

Embedding = npt.NDArray[np.float32]
Form = Literal["whole", "stream"]

# Fields that say how an answer is delivered or who is billed, not what it is.
NOT_IN_KEY = frozenset({"model", "stream", "stream_options", "user", "metadata", "store", "service_tier", "safety_identifier"})


@dataclass(frozen=True, slots=True)
class CacheKey:
    """partition, exact: digests. question: the text for semantic look-ups, None where only equality will do."""

    partition: bytes
    exact: bytes
    question: str | None


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A complete answer as its provider sent it.

    form `stream`: data is its events, without [DONE] and usage; `whole`: data is the body.
    """

    id: str
    form: Form
    data: bytes
    usage: Usage
    model: str
    provider: str
    question: str | None


class Store(Protocol):
    """Where answers are kept. Bounded; forgets the least recently used first; forgets what is past its time."""

    async def get(self, key: CacheKey) -> CachedAnswer | None:
        """The answer to exactly this request."""
        ...

    async def nearest(self, key: CacheKey, embedding: Embedding, count: int) -> list[tuple[float, CachedAnswer]]:
        """At most `count` answers of the key's partition with their cosine similarity, the nearest first."""
        ...

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        """Keep an answer for ttl_s seconds, in place of an earlier one to the same request."""
        ...


def cache_key(request: ChatRequest, tenant: Tenant, scope: CacheScope, route: str, target: str) -> CacheKey:
    """The key of a request. Raises ClientError for a body that cannot be read whole.

    target: the route's first model and its provider, so that a policy's change of mind counts. A team's scope narrows
    to the key for a caller without a team: sharing is never a side effect.
    """
    fields = decode_body(request.body)
    messages: list[Any] = fields.pop("messages")
    last = messages[-1]
    question = _question(last) if last.get("role") == "user" else None
    rest = {k: _plain(v) for k, v in fields.items() if k not in NOT_IN_KEY}
    who = f"team:{tenant.team}" if scope == "team" and tenant.team else f"key:{tenant.key}"
    context = [who, route, target, rest, messages[:-1]]
    if question is not None:
        context.append({k: v for k, v in last.items() if k != "content"})
    partition = hashlib.sha256(msgspec.json.encode(context, order="sorted"))
    exact = partition.copy()
    exact.update(msgspec.json.encode(last, order="sorted"))
    return CacheKey(partition.digest(), exact.digest(), question)


def _question(message: dict[str, Any]) -> str | None:
    """The message's text if it is text alone."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        return "\n".join(str(p.get("text", "")) for p in content)
    return None


def _plain(value: Any) -> Any:
    """1.0 and 1 are the same temperature."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
