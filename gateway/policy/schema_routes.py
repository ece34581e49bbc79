"""The grammar of `routes:` and of what they inherit from `defaults:`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import Duration, Name, Share, Strict, Timeout


class TimeoutsSpec(Strict):
    """Deadlines of a request; what is not given comes from `defaults`."""

    connect: Timeout | None = None
    first_token: Timeout | None = None
    idle: Timeout | None = None
    total: Timeout | None = None


class RetrySpec(Strict):
    """How often one target is asked, the first time included, and the wait before the second time."""

    attempts: Annotated[int, Field(ge=1, le=10)] | None = None
    backoff: Duration | None = None


class CacheSpec(Strict):
    """Whether answers are kept. `scope`: who may share them, never wider than said."""

    mode: Literal["off", "exact", "semantic"]
    ttl: Timeout | None = None
    scope: Literal["key", "team"] | None = None
    min_similarity: Share | None = None


class DefaultsSpec(Strict):
    """What a route has unless it says otherwise; also for a request that names a model outright."""

    timeouts: TimeoutsSpec = TimeoutsSpec()
    retry: RetrySpec = RetrySpec()
    cache: CacheSpec | None = None


class AnswerSpec(Strict):
    """Answer without an LLM: the same text always, or the nearest entry of a FAQ file."""

    static: Annotated[str, Field(min_length=1)] | None = None
    faq: Annotated[str, Field(min_length=1, description="a file beside the policy")] | None = None
    min_similarity: Share = 0.8
    otherwise: Literal["next"] | None = None

    @model_validator(mode="after")
    def _one_handler(self) -> AnswerSpec:
        if (self.static is None) == (self.faq is None):
            raise PydanticCustomError("handlers", "takes exactly one of `static` and `faq`")
        if self.static is not None and ("otherwise" in self.model_fields_set or "min_similarity" in self.model_fields_set):
            raise PydanticCustomError("static_else", "`static` always answers: remove `otherwise` and `min_similarity`")
        return self


class SplitArm(Strict):
    """One arm of an experiment; weights are relative."""

    model: Name
    weight: Annotated[float, Field(gt=0)]


class RouteSpec(Strict):
    """A named row: when it applies and where the request goes. Exactly one of model, split and answer."""

    name: Name
    when: dict[str, Any] | None = None  # its grammar is conditions.py's
    model: Name | None = None
    split: Annotated[list[SplitArm], Field(min_length=2)] | None = None
    answer: AnswerSpec | None = None
    fallback: list[Name] = []
    timeouts: TimeoutsSpec = TimeoutsSpec()
    retry: RetrySpec = RetrySpec()
    cache: CacheSpec | None = None

    @model_validator(mode="after")
    def _one_way(self) -> RouteSpec:
        ways = [w for w in ("model", "split", "answer") if getattr(self, w) is not None]
        if len(ways) != 1:
            given = f"has {' and '.join(f'`{w}`' for w in ways)}" if ways else "says nowhere to go"
            raise PydanticCustomError(
                "ways",
                "{given}; give exactly one of `model`, `split` and `answer`",
                {"given": f"route '{self.name}' {given}"},
            )
        if self.answer is not None:
            for key in ("fallback", "timeouts", "retry", "cache"):
                if key in self.model_fields_set:
                    raise PydanticCustomError(
                        "answer_with",
                        "`{key}` has no effect beside `answer`, which calls no model; remove it",
                        {"key": key},
                    )
        return self
