"""What people say of an answer, told to the cache: a bad one goes, with what lies close to it, and is not found again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.cache.base import Embedding, Objection, Observation, Place, Served, Store
from gateway.errors import StoreUnavailable

NEAR: Final = 0.93
"""Cosine above which a question shares the fate of a bad answer's. On Quora's pairs, what is nearer asks the same in 76 %
(static embedding) to 83 % (MiniLM) of cases, and 3 to 4 % of pairs that ask something else are this near: few good answers
go as well, and those are asked for anew when they are wanted."""
NEIGHBOURHOOD_MAX: Final = 64
"""So many neighbours are looked at; evicting is bounded, however many wordings of one question there are."""
OBJECTION_KEPT_S: Final = 30 * 86_400.0
OBSERVATION_KEPT_S: Final = 30 * 86_400.0

HITS: Final = ("hit-exact", "hit-semantic")

Embed: TypeAlias = "Callable[[str], Awaitable[Embedding | None]]"


@dataclass(frozen=True, slots=True)
class Given:
    """The answer that somebody judges. key, team: whose request it was. cache: how the cache took part.

    entry: the id of the kept answer that was given; None where the answer came from upstream. is_repeat: this was said of it
    before; nobody makes evidence by saying it a hundred times.
    """

    request_id: str
    key: str
    team: str | None
    cache: str
    entry: str | None
    is_repeat: bool = False


class CacheFeedback:
    """embed: the embedding that questions are kept under now; None for a text that it cannot embed."""

    def __init__(self, store: Store, embed: Embed) -> None:
        self._store, self._embed = store, embed

    async def tell(self, given: Given, value: float) -> int:
        """Act on feedback from -1 to 1; how many kept answers were removed. Raises StoreUnavailable.

        Below zero, the answer and its close neighbourhood are removed, and a similar question that it was given to is
        remembered as a counter-example. Above zero, a similar question's hit is evidence for its entry. Of the route, which
        callers share who share no answers, only audits are evidence: one caller must not decide for the others.
        """
        if value == 0:
            return 0
        served = await self._store.served(given.request_id) if given.cache == "hit-semantic" else None
        if value > 0:
            if served is not None and given.entry is not None and not given.is_repeat:
                await self._confirm(served, given.entry)
            return 0
        if served is not None and given.entry is not None:
            return await retract(self._store, served, given.entry, await self._embed(served.asked))
        place = await self._place(given)
        return 0 if place is None else await _remove_around(self._store, place)

    async def _confirm(self, served: Served, entry: str) -> None:
        kept = await self._store.get(served.exact)
        if kept is not None and kept.id == entry:  # else another answer has taken its place, which nobody has praised
            await self._store.observe(served.exact, Observation(served.score, True), OBSERVATION_KEPT_S)

    async def _place(self, given: Given) -> Place | None:
        """Where the answer is kept: the one that a hit was answered from, or the caller's own, kept for others."""
        if given.cache in HITS:
            return await self._store.find(given.entry) if given.entry is not None else None
        place = await self._store.find(given.request_id)
        if place is None:
            return None
        # Callers choose their request ids: the answer kept under this one may be somebody else's.
        answer = await self._store.get(place.exact)
        owners = ("all", f"key:{given.key}", f"team:{given.team}")
        return place if answer is not None and answer.tenant in owners else None


async def retract(store: Store, served: Served, entry: str, embedding: Embedding | None) -> int:
    """Take back what a semantic hit gave, since it was wrong; how many kept answers were removed. Raises StoreUnavailable.

    entry: the id of the answer that was given. embedding: of the question asked, None where it cannot be had; that of the
    kept one then stands in for it. The entry and its close neighbourhood are removed, unless another answer has taken its
    place meanwhile, and the pair is kept as a counter-example.
    """
    kept = await store.get(served.exact)
    place = await store.find(kept.id) if kept is not None else None
    if place is None or place.exact != served.exact:
        place = Place(served.partition, served.exact, None, None)
    if embedding is None or (place.embedding is not None and embedding.shape != place.embedding.shape):
        embedding = place.embedding
    # The counter-example first: without the entry a second try would not know which question it answered. A store that is
    # full has room for it once the wrong answer has gone, which goes in any case.
    objection = Objection(served.asked, kept.question) if kept is not None and kept.question is not None else None
    is_opposed = objection is None or embedding is None
    if objection is not None and embedding is not None:
        is_opposed = await _opposed(store, served.partition, objection, embedding)
    count = await _remove_around(store, place) if kept is None or kept.id == entry else 0
    if not is_opposed and objection is not None and embedding is not None:
        await store.oppose(served.partition, objection, embedding, OBJECTION_KEPT_S)
    return count


async def _opposed(store: Store, partition: bytes, objection: Objection, embedding: Embedding) -> bool:
    """Whether the counter-example is kept; False where the store takes nothing just now. Raises StoreUnavailable."""
    try:
        await store.oppose(partition, objection, embedding, OBJECTION_KEPT_S)
    except StoreUnavailable as exc:
        if exc.cause != "full":
            raise
        return False
    return True


async def _remove_around(store: Store, place: Place) -> int:
    """Remove an entry and those whose questions lie close to its own."""
    exacts = [place.exact]
    if place.embedding is not None:
        near = await store.nearest(place.partition, place.embedding, NEIGHBOURHOOD_MAX)
        exacts += [n.exact for n in near.answers if n.similarity >= NEAR and n.exact != place.exact]
    return await store.remove(place.partition, exacts)
