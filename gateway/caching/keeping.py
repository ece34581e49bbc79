"""Which answers are kept for others: complete, of the model that was wanted, and no refusal. Pure."""

from __future__ import annotations

from typing import Final

from gateway.attempt import Attempt
from gateway.cache.base import CachedAnswer, CacheKey, Form
from gateway.cache.keys import owner
from gateway.caching.asking import Errand, form_of
from gateway.cascade.checks import refuses
from gateway.cascade.draft import Draft, UnreadableAnswer, read_drafts
from gateway.chat import WELL_FINISHED
from gateway.policy.model import Plan
from gateway.request import ChatRequest

KEYED_BYTES_MAX: Final = 64 * 1024  # a larger request (images, documents) is not taken apart to make a key of it
KEPT_BYTES_MAX: Final = 256 * 1024  # a longer answer is not kept


def is_cacheable(request: ChatRequest, plan: Plan) -> bool:
    """Whether this request reads or fills the cache at all. plan: of a route with a cache."""
    if request.cache == "bypass" or not plan.targets:
        return False
    if request.native is not None and request.native.only:
        return False  # neither the key nor what is kept would have that part of it
    temperature = request.temperature
    if temperature is not None and temperature > plan.cache.max_temperature:  # whoever asks for variety gets it
        return False
    return len(request.body) <= KEYED_BYTES_MAX


def may_keep(plan: Plan, answering: Attempt, finish: str | None, data: bytes, form: Form) -> bool:
    """Whether an answer may be given to others. data: all of its events, or its body.

    Not one that is empty or was cut short (`length`, `content_filter`), nor a fallback's: it would stand in for the
    wanted model's long after that one is well again. Nor one that did not convince, which is given for want of better,
    nor one that declines: asked again, or by somebody else, the model may well answer. Nor one of two models' making.
    """
    if answering.usage is None or answering.ttft_ms is None or answering.outcome == "unconvincing" or answering.seam is not None:
        return False
    if finish not in WELL_FINISHED or answering.model not in (plan.rungs or plan.targets[:1]):
        return False
    try:
        drafts = read_drafts(data, is_stream=form == "stream", chances={})
    except UnreadableAnswer:
        return False
    return bool(drafts) and all([_is_answer(draft, data) for draft in drafts])


def _is_answer(draft: Draft, data: bytes) -> bool:
    """Whether there is something in it, and that does not decline."""
    if draft.refusal:
        return False
    if draft.calls:
        return True
    return bool(draft.text or b'"audio"' in data) and refuses(draft.text) is None


def keep_s(errand: Errand) -> float:
    """Seconds for which an answer is kept, and how old one may be to be given: what the route, and the caller, allow."""
    rule, asked_s = errand.plan.cache, errand.request.cache_ttl_s
    return rule.ttl_s + rule.stale_s if asked_s is None else min(asked_s, rule.ttl_s + rule.stale_s)


def kept_answer(
    errand: Errand, key: CacheKey, id_: str, data: bytes, answering: Attempt, space: str | None, asked_at: float
) -> CachedAnswer:
    """An answer as the store keeps it. id_: of the entry that has its cost. space: of the embedding kept with it.

    asked_at: seconds since 1970; its age counts from there, and of two answers the one asked for later is the newer.
    """
    assert answering.usage is not None, "an answer without usage is not kept"
    request, plan = errand.request, errand.plan
    return CachedAnswer(
        id=id_,
        form=form_of(request),
        data=data,
        usage=answering.usage,
        model=answering.model,
        provider=answering.provider,
        question=key.question,
        tenant=owner(errand.tenant, plan.cache.scope),
        route=plan.route,
        space=space,
        stored_at=asked_at,
        fresh_until=asked_at + min(plan.cache.ttl_s, request.cache_ttl_s or plan.cache.ttl_s),
    )


def text_of(answer: CachedAnswer) -> str | None:
    """The text of a kept answer's first choice; None for one that is no text alone."""
    return answer_text(answer.data, answer.form)


def answer_text(data: bytes, form: Form) -> str | None:
    """The text of an answer's first choice; None where there is more than a text, or nothing."""
    try:
        drafts = read_drafts(data, is_stream=form == "stream", chances={})
    except UnreadableAnswer:
        return None
    return drafts[0].text if len(drafts) == 1 and drafts[0].text and not drafts[0].calls else None
