"""From a request to Facts: computes what the policy's conditions look at, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from gateway.conversation import Turn
from gateway.pii import find_pii
from gateway.policy.affinity import Pinned
from gateway.policy.capability import Capability
from gateway.policy.compile import Policy
from gateway.policy.engine import FORCED, is_routed
from gateway.policy.model import Facts, FactValue
from gateway.request import ChatRequest

if TYPE_CHECKING:  # a policy without a classifier does not need it
    from gateway.judging.judge import Judge

TOLD = ("system", "developer")  # the app's own words: an address in them would mark all of its traffic
# Up to this length the search for personal data stays on the event loop: of the texts made to be slow it takes 0.3 to
# 1 ms, of others 20 µs.
PII_INLINE_CHARS_MAX = 1_500
NOTHING_MISSING: Final[Mapping[str, str]] = {}
NO_SCORES: Final[Mapping[str, float]] = {}
NOTHING_USED: Final[frozenset[Capability]] = frozenset()
JUDGED: Final = frozenset({"class", "quality", "intent"})


async def gather(
    request: ChatRequest, policy: Policy, turn: Turn | None, judge: Judge | None, pinned: Pinned | None = None
) -> Facts:
    """The facts that this policy needs of this request. pinned: what holds the conversation.

    turn: what classifiers judge; None only where there are none.
    """
    values: dict[str, FactValue] = {"model": request.head.model}
    missing: Mapping[str, str] = NOTHING_MISSING
    scores: Mapping[str, float] = NO_SCORES
    if request.forced_route is not None:
        values[FORCED] = request.forced_route
    for name, read in _reads(policy.needs):
        values[name] = read(request)
    if "pii" in policy.needs:
        values["pii"] = await _holds_pii(request)
    for name, value in request.tags.items():
        values[f"tag.{name}"] = value
    if pinned is not None:
        values |= pinned.facts()
    if judge is not None and turn is not None and (wanted := wanted_of(policy, request)):
        judgement = await judge.judge(turn, wanted)
        values |= judgement.values
        missing, scores = judgement.missing, judgement.scores
    uses = frozenset([name for name in policy.lacking if _USES[name](request)]) if policy.lacking else NOTHING_USED
    return Facts(values, missing, uses, scores)


Read = Callable[[ChatRequest], FactValue]
_FACTS: Final[Mapping[str, Read]] = {
    "has_tools": attrgetter("has_tools"),
    "has_images": attrgetter("has_images"),
    "has_system": attrgetter("has_system"),
    "has_json_schema": attrgetter("has_json_schema"),
    "tokens_in": attrgetter("tokens_in"),
    "turns": attrgetter("user_turns"),
    "stream": attrgetter("is_stream"),
}


@lru_cache(maxsize=8)  # policies in force at a time: one, or two around a reload
def _reads(needs: frozenset[str]) -> tuple[tuple[str, Read], ...]:
    """Of the facts that a policy needs those that stand in the request."""
    return tuple((name, _FACTS[name]) for name in needs if name in _FACTS)


_USES: Mapping[Capability, Callable[[ChatRequest], bool]] = {
    "tools": lambda r: r.has_tools,
    "images": lambda r: r.has_images,
    "documents": lambda r: r.has_documents,
    "audio": lambda r: r.has_audio or r.wants_audio,
    "json_schema": lambda r: r.response_form == "json_schema",
    "json_object": lambda r: r.response_form == "json_object",
    "logprobs": lambda r: r.wants_logprobs,
    "n": lambda r: r.choices > 1,
    "reasoning": lambda r: r.wants_reasoning,
}


async def _holds_pii(request: ChatRequest) -> bool:
    texts = [m.text() for m in request.head.messages if m.role not in TOLD]
    if sum(len(text) for text in texts) <= PII_INLINE_CHARS_MAX:
        return find_pii(*texts) is not None
    return await asyncio.to_thread(find_pii, *texts) is not None  # at most pii.TEXT_CHARS_MAX: it ends by itself


def wanted_of(policy: Policy, request: ChatRequest) -> frozenset[str]:
    """What classifiers are asked for: nothing for a model named outright, of a forced route what it chooses by."""
    if request.forced_route is not None:
        chooses = any(r.name == request.forced_route and r.select is not None for r in policy.routes)
        return frozenset({"quality"}) if chooses else frozenset()
    if request.head.model in policy.models or not is_routed(policy, request.head.model):
        return frozenset()
    needs = policy.needs
    return needs & JUDGED | (frozenset({"class"}) if "confidence" in needs else frozenset())
