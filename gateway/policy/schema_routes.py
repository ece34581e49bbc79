"""The grammar of `routes:` and of what they inherit from `defaults:`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import Duration, Floor, Name, Share, Strict, Timeout
from gateway.policy.schema_cache import CacheSpec
from gateway.policy.schema_failover import FailoverSpec, GuardSpec


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


class DefaultsSpec(FailoverSpec):
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


class BalanceArm(Strict):
    """One of several models that are as good as each other; a weight of 2 takes twice the load of 1."""

    model: Name
    weight: Annotated[float, Field(gt=0)] = 1.0


class SplitArm(Strict):
    """One arm of an experiment; weights are relative."""

    model: Name
    weight: Annotated[float, Field(gt=0)]


class AgreementSpec(Strict):
    """Ask the same model several times: the answer stands when enough of the samples say the same."""

    samples: Annotated[int, Field(ge=2, le=5, description="answers in all, the first included")] = 3
    share: Annotated[float, Field(gt=0, le=1, description="of the samples that must say the same")] = 0.6


class AcceptSpec(Strict):
    """When a rung's answer stands. Each given bound must hold, and each check that is not switched off."""

    confidence: Annotated[Floor, Field(ge=0, le=1)] | None = None
    mean_logprob: Annotated[Floor, Field(le=0)] | None = None
    lowest_window: Annotated[Floor, Field(le=0)] | None = None
    margin: Annotated[Floor, Field(ge=0)] | None = None
    min_chars: Annotated[int, Field(ge=0)] | None = None
    max_chars: Annotated[int, Field(ge=1)] | None = None
    agreement: AgreementSpec | None = None
    calibration: Annotated[
        str | None, Field(min_length=1, description="a file beside the policy, of `turnout calibrate --cascade`")
    ] = None
    valid_json: Annotated[bool, Field(description="where the request asks for JSON, the answer must be JSON")] = True
    no_refusal: Annotated[bool, Field(description="the answer must not decline the question")] = True
    no_repetition: Annotated[bool, Field(description="the answer must not run in circles")] = True


class ConfidenceWeights(Strict):
    """Log-odds by measure."""

    mean_logprob: float
    lowest_window: float
    margin: float
    log_tokens: float


class ConfidenceFile(Strict):
    """A calibration file: the logistic model behind `confidence`. `card` is for people."""

    bias: float
    weights: ConfidenceWeights
    curve: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = []
    card: dict[str, Any] = {}

    @model_validator(mode="after")
    def _rising(self) -> ConfidenceFile:
        rises = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(self.curve))
        if not rises or not all(0 <= p <= 1 for _, p in self.curve):
            raise PydanticCustomError("curve", "the points of `curve` must rise, to probabilities in [0, 1]; fit it anew")
        return self


class RungSpec(Strict):
    """A model of a cascade, and when its answer stands; the last one's always does."""

    model: Name
    accept: AcceptSpec | None = None


WAYS = ("model", "split", "balance", "cascade", "select", "answer")


class RouteSpec(FailoverSpec):
    """A named row: when it applies and where the request goes.

    Exactly one of model, split, balance, cascade, select and answer.
    """

    name: Name
    when: dict[str, Any] | None = None  # its grammar is conditions.py's
    model: Name | None = None
    split: Annotated[list[SplitArm], Field(min_length=2)] | None = None
    balance: Annotated[list[BalanceArm], Field(min_length=2)] | None = None
    cascade: Annotated[list[RungSpec], Field(min_length=2)] | None = None
    select: Literal["cheapest-above-quality"] | None = None
    models: Annotated[list[Name], Field(min_length=2, description="what `select` chooses from")] | None = None
    quality: Annotated[float, Field(gt=0, le=1, description="share of the best model's quality to keep")] | None = None
    answer: AnswerSpec | None = None
    fallback: list[Name] = []
    timeouts: TimeoutsSpec = TimeoutsSpec()
    retry: RetrySpec = RetrySpec()
    cache: CacheSpec | None = None
    latency_guard: GuardSpec | None = None

    @model_validator(mode="after")
    def _one_way(self) -> RouteSpec:
        ways = [w for w in WAYS if getattr(self, w) is not None]
        if len(ways) != 1:
            given = f"has {' and '.join(f'`{w}`' for w in ways)}" if ways else "says nowhere to go"
            raise PydanticCustomError(
                "ways",
                "{given}; give exactly one of {known}",
                {"given": f"route '{self.name}' {given}", "known": ", ".join(f"`{w}`" for w in WAYS)},
            )
        if (self.select is None) != (self.models is None):
            raise PydanticCustomError("select_models", "`select` and `models` go together: which way to choose, and from what")
        if self.select is None and self.quality is not None:
            raise PydanticCustomError("select_quality", "`quality` has no effect without `select`; remove it")
        for rung in (self.cascade or ())[:-1]:
            if rung.accept is None:
                message = f"cascade: '{rung.model}' has no `accept`, so what follows is never asked; add one, as `accept: {{}}`"
                raise PydanticCustomError("rung", "{message}", {"message": message})
        if self.cascade is not None and self.cascade[-1].accept is not None:
            message = f"cascade: '{self.cascade[-1].model}' is the last rung, its answer always stands; remove its `accept`"
            raise PydanticCustomError("last_rung", "{message}", {"message": message})
        if self.answer is not None:
            for key in ("fallback", "timeouts", "retry", "cache", "latency_guard", *FailoverSpec.model_fields):
                if key in self.model_fields_set:
                    raise PydanticCustomError(
                        "answer_with",
                        "`{key}` has no effect beside `answer`, which calls no model; remove it",
                        {"key": key},
                    )
        return self
