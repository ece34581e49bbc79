"""The grammar of `providers:` and `models:`: who can answer, and what it costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import Duration, Name, Strict
from gateway.policy.schema_failover import BreakerSpec, CapacitySpec


class _Served(CapacitySpec):
    """What every kind of provider has."""

    breaker: BreakerSpec | None = None


class OpenAIProvider(_Served):
    """Any server that speaks the OpenAI API."""

    kind: Literal["openai"]
    base_url: Annotated[str, Field(description="up to and with /v1")] = "https://api.openai.com/v1"
    api_key: str | None = None
    headers: dict[str, str] = {}


class AnthropicProvider(_Served):
    """The Anthropic Messages API."""

    kind: Literal["anthropic"]
    base_url: str = "https://api.anthropic.com"
    api_key: str | None = None
    headers: dict[str, str] = {}


class LiteLLMProvider(_Served):
    """The long tail of providers, through litellm's SDK; imported only when a policy names it."""

    kind: Literal["litellm"]
    litellm_provider: Annotated[str, Field(min_length=1, description="litellm's name of the provider, as `bedrock`")]
    base_url: str | None = None
    api_key: str | None = None


class LocalProvider(_Served):
    """A model that the gateway runs itself on the CPU, as a child process that it watches."""

    kind: Literal["local"]
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    parallel: Annotated[int, Field(ge=1, le=64, description="answers generated at a time")] = 2


FakeStep = Literal[
    "ok", "unsure", "declining", "circling",
    "refuse", "stall", "cut", "malformed", "reported", "empty", "400", "401", "429", "500", "503",
]  # fmt: skip


class FakeProvider(_Served):
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


class ModelSpec(CapacitySpec):
    """A named model: who serves it, under which id, what it holds and what it costs."""

    provider: Name
    id: Annotated[str, Field(min_length=1)]
    context: Annotated[int, Field(ge=1, description="tokens, input and output together")] | None = None
    price: GivenPrice | None = None
    gpu: GpuSpec | None = None
    prefill: Annotated[
        bool | Literal["vllm"] | None,
        Field(description="whether it goes on from a last message of the assistant's, as `midstream: continue` asks it to"),
    ] = None

    @model_validator(mode="after")
    def _one_price(self) -> ModelSpec:
        if self.price is not None and self.gpu is not None:
            raise PydanticCustomError("two_prices", "has both `price` and `gpu`; keep the one that is billed")
        return self
