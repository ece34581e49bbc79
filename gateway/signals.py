"""From a request to Facts: computes what the policy's conditions look at, and no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from classifiers.artifact import Artifact
from gateway.pii import find_pii
from gateway.policy.compile import Policy
from gateway.policy.engine import FORCED, is_routed
from gateway.policy.model import UNSURE, Facts, FactValue
from gateway.prompt import Prompt
from gateway.request import ChatRequest

log = logging.getLogger("turnout.signals")

# Up to this length scoring takes well under a millisecond and stays on the event loop; a longer text goes to a
# thread, where `max_ms` can hold it to its time (benchmarks/classifier.py).
TOLD = ("system", "developer")  # the app's own words: an address in them would mark all of its traffic
INLINE_CHARS_MAX = 4_000
# The same for the search for personal data: of the texts made to be slow it takes 0.3 to 1 ms, of others 20 µs.
PII_INLINE_CHARS_MAX = 1_500


async def gather(request: ChatRequest, policy: Policy, prompt: Prompt, classifier: Artifact | None) -> Facts:
    """The facts that this policy needs of this request."""
    values: dict[str, FactValue] = {"model": request.head.model}
    missing: dict[str, str] = {}
    if request.forced_route is not None:
        values[FORCED] = request.forced_route
    for name in policy.needs:
        if name in _FACTS:
            values[name] = _FACTS[name](request)
    if "pii" in policy.needs:
        values["pii"] = await _holds_pii(request)
    for name, value in request.tags.items():
        values[f"tag.{name}"] = value
    if policy.classifier is not None and classifier is not None and _is_scored(policy, request):
        await _classify(values, missing, policy, prompt, classifier)
    return Facts(values, missing)


_FACTS: Mapping[str, Callable[[ChatRequest], FactValue]] = {
    "has_tools": lambda r: r.has_tools,
    "has_images": lambda r: r.has_images,
    "has_system": lambda r: r.has_system,
    "has_json_schema": lambda r: r.has_json_schema,
    "tokens_in": lambda r: r.tokens_in,
    "turns": lambda r: r.user_turns,
    "stream": lambda r: r.is_stream,
}


async def _holds_pii(request: ChatRequest) -> bool:
    texts = [m.text() for m in request.head.messages if m.role not in TOLD]
    if sum(len(text) for text in texts) <= PII_INLINE_CHARS_MAX:
        return find_pii(*texts) is not None
    return await asyncio.to_thread(find_pii, *texts) is not None  # at most pii.TEXT_CHARS_MAX: it ends by itself


def _is_scored(policy: Policy, request: ChatRequest) -> bool:
    """A model named outright and a forced route need no score."""
    return (
        bool({"class", "confidence"} & policy.needs)
        and request.forced_route is None
        and request.head.model not in policy.models
        and is_routed(policy, request.head.model)
    )


async def _classify(
    values: dict[str, FactValue], missing: dict[str, str], policy: Policy, prompt: Prompt, classifier: Artifact
) -> None:
    rule = policy.classifier
    assert rule is not None
    if not prompt.text.strip():
        values["class"], values["confidence"] = UNSURE, 0.0
        missing["score"] = "there is no text by the user"
        return
    try:
        if len(prompt.text) <= INLINE_CHARS_MAX:
            scores = _score(prompt, classifier)
        else:
            scores = await asyncio.wait_for(asyncio.to_thread(_score, prompt, classifier), rule.max_ms / 1000)
    except TimeoutError:
        values["class"] = rule.on_error
        missing["confidence"] = f"the classifier took longer than max_ms: {rule.max_ms:g}"
        return
    best = max(scores, key=lambda name: scores[name])
    values["class"] = best if scores[best] >= rule.abstain_below else UNSURE
    values["confidence"] = scores[best]
    for name, score in scores.items():
        values[f"score.{name}"] = score


def _score(prompt: Prompt, classifier: Artifact) -> dict[str, float]:
    return classifier.score(prompt.text, prompt.embedding())
