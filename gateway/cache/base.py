"""Answers given before: what is kept, and the port of the store that keeps it. Keys are made in gateway/cache/keys.py.

A key has three parts. `exact` stands for the whole request. `partition` for everything that must be equal before two
questions may share an answer: who asks, the route and its model, the system prompt, tools, parameters and earlier turns,
and the embedding in use. `question` is the text of the last message by the user. Stores never look across partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

from gateway.usage import Usage

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Embedding: TypeAlias = "npt.NDArray[np.float32]"
Form = Literal["whole", "stream"]

OBSERVATIONS_MAX = 64
"""Of one subject; the oldest are forgotten first."""


class CacheKey(msgspec.Struct, frozen=True, gc=False):
    """partition, exact: digests of 32 bytes. question: the text for semantic look-ups, None where only equality will do."""

    partition: bytes
    exact: bytes
    question: str | None


class CachedAnswer(msgspec.Struct, frozen=True, gc=False):
    """A complete answer as its provider sent it.

    id: of the request that it was given to first. form `stream`: data is its events, without [DONE] and usage; `whole`:
    data is the body. tenant, route: whose it is, for people. space: the name of the embedding that the question was
    kept under, None without one. stored_at: when it was asked for; fresh_until: after it, it may be given only while it is asked
    for anew; both in seconds since 1970.
    """

    id: str
    form: Form
    data: bytes
    usage: Usage
    model: str
    provider: str
    question: str | None
    tenant: str = ""
    route: str = ""
    space: str | None = None
    stored_at: float = 0.0
    fresh_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What became known of a pair of questions. score: the verifier's, in [0, 1]. is_same: whether one answer does for both."""

    score: float
    is_same: bool


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A kept question near the one asked. similarity: cosine. observations: of this entry, the oldest first."""

    similarity: float
    exact: bytes
    id: str
    question: str
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class Objection:
    """A counter-example: an answer kept for `kept` was given to `asked`, and was wrong. similarity: cosine of `asked`
    and what is looked for."""

    asked: str
    kept: str
    similarity: float = 1.0


@dataclass(frozen=True, slots=True)
class Near:
    """What lies near a question, the nearest first."""

    answers: tuple[Neighbour, ...] = ()
    objections: tuple[Objection, ...] = ()


@dataclass(frozen=True, slots=True)
class Served:
    """One semantic hit, remembered so that feedback on it can be understood.

    request_id: who got it. asked: the question. exact: the entry that answered it. score: the verifier's.
    """

    request_id: str
    partition: bytes
    exact: bytes
    asked: str
    score: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is kept. embedding: None for one that is matched exactly only."""

    partition: bytes
    exact: bytes
    question: str | None
    embedding: Embedding | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant: those that match all that is given. older_than_s: seconds since they were stored."""

    id: str | None = None
    tenant: str | None = None
    route: str | None = None
    older_than_s: float | None = None

    def matches(self, answer: CachedAnswer, now: float) -> bool:
        """now: seconds since 1970."""
        return (
            self.id in (None, answer.id)
            and self.tenant in (None, answer.tenant)
            and self.route in (None, answer.route)
            and (self.older_than_s is None or now - answer.stored_at > self.older_than_s)
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as people are shown it. expires_at: seconds since 1970."""

    answer: CachedAnswer
    size_bytes: int
    expires_at: float
    observations: tuple[Observation, ...] = ()


class Store(Protocol):
    """Where answers are kept. Bounded; forgets the least recently used first; forgets what is past its time.

    Backends raise StoreUnavailable when they cannot be asked.
    """

    async def get(self, exact: bytes) -> CachedAnswer | None:
        """The answer to exactly this request."""
        ...

    async def nearest(self, partition: bytes, embedding: Embedding, count: int) -> Near:
        """At most `count` answers of the partition, and its counter-examples among as many, the nearest first."""
        ...

    async def serve(self, served: Served) -> CachedAnswer | None:
        """The answer of a neighbour; that it was served is remembered as long as the answer is. None if it has gone meanwhile."""
        ...

    async def put(self, key: CacheKey, answer: CachedAnswer, embedding: Embedding | None, ttl_s: float) -> None:
        """Keep an answer for ttl_s seconds, in place of an earlier one to the same request.

        What was observed of the earlier one is forgotten with it.
        """
        ...

    async def served(self, request_id: str) -> Served | None:
        """Which entry this request was answered from, if it was a semantic hit and is still remembered."""
        ...

    async def find(self, id_: str) -> Place | None:
        """Where the answer with this id is kept."""
        ...

    async def remove(self, partition: bytes, exacts: Sequence[bytes]) -> int:
        """Forget these entries; how many there were."""
        ...

    async def oppose(self, partition: bytes, objection: Objection, embedding: Embedding, ttl_s: float) -> None:
        """Remember a counter-example for ttl_s seconds. embedding: of `objection.asked`. The same pair is kept once."""
        ...

    async def observe(self, subject: bytes, observation: Observation, ttl_s: float) -> None:
        """Add to what is known of an entry (its exact digest) or of a route (any other bytes); at most OBSERVATIONS_MAX each.

        ttl_s: seconds from now after which the subject's observations may be forgotten.
        """
        ...

    async def observations(self, subject: bytes) -> tuple[Observation, ...]:
        """What was observed of a subject, the oldest first."""
        ...

    async def entries(self, selection: Selection, limit: int) -> list[Kept]:
        """At most `limit` entries that match, the newest first. For people: may take long in a large store."""
        ...

    async def evict(self, selection: Selection) -> int:
        """Forget every entry that matches; how many there were."""
        ...

    async def aclose(self) -> None: ...
