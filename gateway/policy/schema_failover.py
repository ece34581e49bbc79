"""The grammar of what a policy says of bad days: hedges, the latency guard, breakers, queues."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import Name, Share, Strict, Timeout, seconds

_QUANTILE = re.compile(r"^p([1-9][0-9]?)$")
_RATIO = re.compile(r"^\s*>\s*([0-9]+(?:\.[0-9]+)?)\s*x\s+normal\s*$")
_BOUND = re.compile(r"^\s*>\s*([0-9]+(?:\.[0-9]+)?(?:ms|s|m))\s*$")


def _after(value: object) -> tuple[str, float]:
    found = _QUANTILE.match(value) if isinstance(value, str) else None
    if found:
        return "quantile", int(found[1]) / 100
    try:
        wait_s = seconds(value)
    except ValueError:
        wait_s = 0.0
    if wait_s <= 0:
        message = 'a percentile of the first target\'s own time, such as "p95", or a duration is expected'
        raise PydanticCustomError("after", "{message}", {"message": message})
    return "seconds", wait_s


def _slow(value: object) -> tuple[str, float]:
    if isinstance(value, str) and (found := _RATIO.match(value)) and float(found[1]) > 1:
        return "ratio", float(found[1])
    if isinstance(value, str) and (found := _BOUND.match(value)) and seconds(found[1]) > 0:
        return "seconds", seconds(found[1])
    message = 'a bound such as ">2x normal" (more than 1) or ">3s" is expected'
    raise PydanticCustomError("slow", "{message}", {"message": message})


After = Annotated[
    tuple[str, float],
    BeforeValidator(_after),
    WithJsonSchema({"type": "string", "pattern": r"^(p[1-9][0-9]?|[0-9]+(\.[0-9]+)?(ms|s|m|h|d))$"}, mode="validation"),
]
"""When a hedge goes out: a percentile or a time."""

Slow = Annotated[
    tuple[str, float],
    BeforeValidator(_slow),
    WithJsonSchema({"type": "string", "pattern": f"({_RATIO.pattern})|({_BOUND.pattern})"}, mode="validation"),
]
"""When a model counts as slow: times its normal, or a time."""


class HedgeSpec(Strict):
    """Ask the next target too when the first is late; the first content wins.

    `budget`: the share of the route's requests that may be asked twice. `tools`: also those that offer tools.
    """

    after: After
    budget: Annotated[float, Field(gt=0, le=1)] = 0.05
    tools: bool = False


class GuardSpec(Strict):
    """While the first target is slow, send new requests to `then`; after `for`, some try it again."""

    ttft: Slow
    then: Name
    for_: Annotated[Timeout, Field(alias="for")] = 30.0


class BreakerSpec(Strict):
    """When calls to a model, or to the whole provider, stop for a while."""

    failures: Annotated[int, Field(ge=1, le=1000, description="in a row")] = 3
    share: Annotated[Share, Field(gt=0, description="of the calls in the window that failed")] = 0.5
    window: Timeout = 30.0
    min_calls: Annotated[int, Field(ge=1, description="in the window, before `share` counts")] = 20
    cooldown: Timeout = 5.0
    max_cooldown: Timeout = 60.0

    @model_validator(mode="after")
    def _growing(self) -> BreakerSpec:
        if self.max_cooldown < self.cooldown:
            raise PydanticCustomError("cooldowns", "`max_cooldown` is shorter than `cooldown`")
        return self


class QueueSpec(Strict):
    """Requests that wait for a place, by priority, and for how long at most."""

    length: Annotated[int, Field(ge=1, le=100_000)] = 64
    wait: Timeout = 5.0


class CapacitySpec(Strict):
    """What a provider, and a model, have in common: how much they take at a time."""

    max_in_flight: Annotated[int | None, Field(ge=1, description="calls at a time; others wait, if there is a `queue`")] = None
    queue: QueueSpec | None = None

    @model_validator(mode="after")
    def _queue_of_something(self) -> CapacitySpec:
        if self.queue is not None and self.max_in_flight is None:
            raise PydanticCustomError("queue", "`queue` has no effect without `max_in_flight`; add it, or remove `queue`")
        return self


class FailoverSpec(Strict):
    """What `defaults` and routes may both say of trouble."""

    midstream: Annotated[
        Literal["error", "restart", "continue"] | None,
        Field(description="a stream that breaks off: say so, begin anew with the next model, or have it go on"),
    ] = None
    hedge: HedgeSpec | None = None
    min_tokens_per_second: Annotated[
        float | None, Field(gt=0, description="a stream that begins slower is left for the next model, unseen")
    ] = None
    priority: Literal["high", "normal", "low"] | None = None
