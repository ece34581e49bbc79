"""The most that a request may cost, before anybody is asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.budgets.usual import UsualOutput
from gateway.policy.catalog import BusyPrice, Model, TokenPrice
from gateway.policy.model import Plan
from gateway.pricing.cost import cost_nusd
from gateway.request import ChatRequest
from gateway.usage import Usage

IMAGE_TOKENS: Final = 1600  # of an image that is paid by its tokens: what large ones come to at most providers


def is_free(model: Model) -> bool:
    """Whether asking it costs nothing more: its machine is paid anyway, or its tokens are for nothing."""
    price = model.price
    if model.gpu is not None or isinstance(price, BusyPrice):
        return True
    return price is not None and not (price.input or price.output or price.cache_write or price.image)


def most_nusd(plan: Plan, models: Mapping[str, Model], request: ChatRequest, at: float, usual: UsualOutput) -> int:
    """What a plan may cost, in nano-USD: of its targets the dearest, which may be the one that answers.

    All rungs of a cascade whose answers are judged come on top, as often as each is asked, and a second target where the
    route hedges. Retries do not: an attempt that failed before it answered is rarely paid. Output is what the request allows
    or, where it does not say, what is usual of each model and its context leaves. A model paid by machine time counts as
    nothing: what a request takes of it is known when it has answered, and its machine is paid either way.
    """
    costs = {name: _most(models[name], request, at, usual) for name in plan.targets}
    judged = sum(costs[name] * _times(plan, name) for name in plan.targets if name in plan.accept)
    others = sorted((costs[name] for name in plan.targets if name not in plan.accept), reverse=True)
    return judged + sum(others[: 1 if plan.failover.hedge is None else 2])


def _most(model: Model, request: ChatRequest, at: float, usual: UsualOutput) -> int:
    price = model.price_at(at)
    if not isinstance(price, TokenPrice):
        return 0
    read = request.tokens_in + IMAGE_TOKENS * request.images
    output = request.output_bound
    if output is None:
        output = usual.of(model.name, at)
        if model.context_tokens is not None:
            output = min(output, max(model.context_tokens - request.tokens_in, 0))
    usage = Usage(input=read, output=output * request.choices, images=request.images)
    written = msgspec.structs.replace(usage, cache_write=usage.input)  # all of it may be kept, for more than reading costs
    return max(cost_nusd(price, usage) or 0, cost_nusd(price, written) or 0)


def _times(plan: Plan, name: str) -> int:
    agreement = plan.accept[name].agreement
    return 1 if agreement is None else agreement.samples
