"""The grammar of a policy file, as types. The JSON Schema that editors use is generated from them.

A key that the format knows but this version cannot do is in LATER and is refused by name, never ignored.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.policy.conditions import condition_schema

_DURATION = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"

LATER: dict[str, frozenset[str]] = {
    "policy": frozenset({"limits", "budgets", "quality", "capture"}),
    "provider": frozenset({"max_in_flight"}),
    "route": frozenset({"cascade", "hedge", "latency_guard", "midstream", "output", "compress", "select", "quality"}),
    "cache": frozenset({"false_hit_budget"}),
    "gpu": frozenset({"utilisation"}),
}
"""Known keys of the format that are not built yet, by the place they stand in."""


def seconds(value: object) -> float:
    """`"200ms"`, `"2s"`, `"5m"`, `"24h"`, `"7d"` as seconds. Raises ValueError."""
    found = _DURATION.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'a duration with its unit is expected, such as "200ms", "2s", "5m", "24h" or "7d", not {value!r}')
    return float(found[1]) * _SECONDS[found[2]]


def _duration(value: object) -> float:
    try:
        return seconds(value)
    except ValueError as exc:
        raise PydanticCustomError("duration", "{message}", {"message": str(exc)}) from exc


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern}, mode="validation"),
]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
Timeout = Annotated[Duration, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Unknown keys are errors; values are what they are, not what they could be read as."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class OpenAIProvider(Strict):
    """Any server that speaks the OpenAI API."""

    kind: Literal["openai"]
    base_url: Annotated[str, Field(description="up to and with /v1")] = "https://api.openai.com/v1"
    api_key: str | None = None
    headers: dict[str, str] = {}


class AnthropicProvider(Strict):
    """The Anthropic Messages API."""

    kind: Literal["anthropic"]
    base_url: str = "https://api.anthropic.com"
    api_key: str | None = None
    headers: dict[str, str] = {}


class LiteLLMProvider(Strict):
    """The long tail of providers, through litellm's SDK; imported only when a policy names it."""

    kind: Literal["litellm"]
    litellm_provider: Annotated[str, Field(min_length=1, description="litellm's name of the provider, as `bedrock`")]
    base_url: str | None = None
    api_key: str | None = None


class LocalProvider(Strict):
    """A model that the gateway runs itself on the CPU, as a child process that it watches."""

    kind: Literal["local"]
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    parallel: Annotated[int, Field(ge=1, le=64, description="answers generated at a time")] = 2


FakeStep = Literal["ok", "refuse", "stall", "cut", "malformed", "reported", "empty", "400", "401", "429", "500", "503"]


class FakeProvider(Strict):
    """Plays a model: for demonstrations and rehearsals, with faults on demand."""

    kind: Literal["fake"]
    ttft: Duration = 0.0
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None
    words: Annotated[int, Field(ge=1, le=10_000, description="length of an answer")] = 40
    script: Annotated[list[FakeStep], Field(min_length=1, description="how each call goes, in turn, again and again")] = ["ok"]


ProviderSpec = Annotated[
    OpenAIProvider | AnthropicProvider | LiteLLMProvider | LocalProvider | FakeProvider, Field(discriminator="kind")
]

Usd = Annotated[float, Field(ge=0)]


class PriceSpec(Strict):
    """US dollars per million tokens. A cached rate left out is charged as input."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None


class Throughput(Strict):
    """Tokens per second that one GPU reaches."""

    input: Annotated[float, Field(gt=0)]
    output: Annotated[float, Field(gt=0)]


def _shape(value: object) -> str:
    """Which branch of a word-or-mapping is meant, so that a typo in one is not reported for both."""
    return "keys" if isinstance(value, (dict, BaseModel)) else "word"


GivenPrice = Annotated[
    Annotated[Literal["unknown"], Tag("word")] | Annotated[PriceSpec, Tag("keys")],
    Discriminator(_shape),
]
GivenSpeed = Annotated[
    Annotated[Literal["measured"], Tag("word")] | Annotated[Throughput, Tag("keys")],
    Discriminator(_shape),
]


class GpuSpec(Strict):
    """What the machine behind a self-hosted model costs, and how that becomes a price a request.

    `measured`: a request pays for the seconds in which it kept the machine busy, shared with those beside it.
    Numbers: a request pays for its tokens at that speed.
    """

    usd_per_hour: Usd
    count: Annotated[int, Field(ge=1)] = 1
    tokens_per_second: GivenSpeed = "measured"


class ModelSpec(Strict):
    """A named model: who serves it, under which id, what it holds and what it costs."""

    provider: Name
    id: Annotated[str, Field(min_length=1)]
    context: Annotated[int, Field(ge=1, description="tokens, input and output together")] | None = None
    price: GivenPrice | None = None
    gpu: GpuSpec | None = None

    @model_validator(mode="after")
    def _one_price(self) -> ModelSpec:
        if self.price is not None and self.gpu is not None:
            raise PydanticCustomError("two_prices", "has both `price` and `gpu`; keep the one that is billed")
        return self


class ClassifierSpec(Strict):
    """Which classifier scores requests, and what it is allowed."""

    artifact: Annotated[str, Field(min_length=1)] = "default"
    abstain_below: Share = 0.55
    max_ms: Annotated[float, Field(gt=0)] = 5.0
    on_error: Literal["unsure", "skip", "small", "strong"] = "unsure"


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


class Expectation(Strict):
    """What a test demands of the decision; each given key must hold."""

    route: Name | None = None
    class_: Annotated[Literal["skip", "small", "strong", "unsure"] | None, Field(alias="class")] = None
    model: Name | None = None
    cache: Literal["bypass", "off", "exact", "semantic"] | None = None


class TestSpec(Strict):
    """One prompt and where it must go; run by `turnout policy test`."""

    __test__ = False  # not pytest's

    prompt: str
    model: str = "auto"
    tags: dict[str, str] = {}
    has_tools: bool = False
    has_images: bool = False
    expect: Expectation


class PolicyFile(Strict):
    """A Turnout policy."""

    version: Literal[1]
    providers: Annotated[dict[Name, ProviderSpec], Field(min_length=1)]
    models: Annotated[dict[Name, ModelSpec], Field(min_length=1)]
    baseline: Name | None = None
    classifier: ClassifierSpec | None = None
    defaults: DefaultsSpec = DefaultsSpec()
    routes: Annotated[list[RouteSpec], Field(min_length=1)]
    tests: list[TestSpec] = []


class FaqEntry(Strict):
    """One answer and the ways people ask for it."""

    id: Name
    questions: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    answer: Annotated[str, Field(min_length=1)]


class FaqFile(Strict):
    """Answers that need no LLM, for a route's `answer: {faq: FILE}`."""

    entries: Annotated[list[FaqEntry], Field(min_length=1)]


def policy_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy file."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    for section in ("providers", "models"):
        schema["properties"][section]["additionalProperties"] = False  # a key that is not a Name
    schema["$defs"]["When"] = condition_schema()
    schema["$defs"]["RouteSpec"]["properties"]["when"] = {"anyOf": [{"$ref": "#/$defs/When"}, {"type": "null"}], "default": None}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
