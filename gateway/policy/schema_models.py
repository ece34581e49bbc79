"""The grammar of `providers:` and `models:`: who can answer, and what it costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.capability import Capability
from gateway.policy.grammar import Day, Duration, Name, Strict
from gateway.policy.schema_failover import BreakerSpec, CapacitySpec


class _Served(CapacitySpec):
    """What every kind of provider has."""

    breaker: BreakerSpec | None = None


WireDialect = Literal["chat", "responses", "completions"]


class OpenAIProvider(_Served):
    """Any server that speaks the OpenAI API."""

    kind: Literal["openai"]
    base_url: Annotated[str, Field(description="up to and with /v1")] = "https://api.openai.com/v1"
    api_key: str | None = None
    headers: dict[str, str] = {}
    dialects: Annotated[
        list[WireDialect] | None,
        Field(min_length=1, description="what it speaks; left out, what is known of its address, else chat and completions"),
    ] = None

    @model_validator(mode="after")
    def _can_be_asked(self) -> OpenAIProvider:
        if self.dialects is not None and set(self.dialects) == {"completions"}:
            raise PydanticCustomError("no_conversation", "`dialects` has completions alone; add chat or responses to it")
        return self


class AnthropicProvider(_Served):
    """The Anthropic Messages API."""

    kind: Literal["anthropic"]
    base_url: str = "https://api.anthropic.com"
    api_key: str | None = None
    headers: dict[str, str] = {}


class LiteLLMParams(Strict):
    """What some of litellm's providers need besides a key and an address. No caller can set any of it."""

    api_version: Annotated[str | None, Field(description="of Azure OpenAI, as 2024-10-21")] = None
    aws_access_key_id: str | None = None
    aws_profile_name: str | None = None
    aws_region_name: str | None = None
    aws_role_name: Annotated[str | None, Field(description="the ARN of a role to take on")] = None
    aws_secret_access_key: str | None = None
    aws_session_name: str | None = None
    aws_session_token: str | None = None
    azure_ad_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    organization: str | None = None
    project_id: Annotated[str | None, Field(description="of watsonx")] = None
    space_id: str | None = None
    tenant_id: str | None = None
    vertex_credentials: Annotated[str | None, Field(description="JSON of a service account, or the path of its file")] = None
    vertex_location: str | None = None
    vertex_project: str | None = None

    def given(self) -> dict[str, str]:
        """Those that are there, by name."""
        return self.model_dump(exclude_none=True)


class LiteLLMProvider(_Served):
    """The long tail of providers, through litellm's SDK; imported only when a policy names it."""

    kind: Literal["litellm"]
    litellm_provider: Annotated[str, Field(min_length=1, description="litellm's name of the provider, as `bedrock`")]
    base_url: str | None = None
    api_key: str | None = None
    params: LiteLLMParams = LiteLLMParams()


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


class RatesSpec(Strict):
    """US dollars per million tokens; `image` US dollars per image, on top of its tokens.

    A cached rate left out is charged as input; reasoning and audio as the tokens they are part of. In a tier and in a service
    what is left out keeps its proportion to `input` or `output`.
    """

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Annotated[Usd | None, Field(description="a cache write that is kept for an hour")] = None
    reasoning: Usd | None = None
    audio_input: Usd | None = None
    audio_output: Usd | None = None
    image: Usd | None = None


class TierSpec(RatesSpec):
    """The rates of all tokens of a request with more than so many input tokens."""

    above: Annotated[int, Field(ge=1, description="input tokens")]


class TariffSpec(RatesSpec):
    """The rates of one way to be served."""

    tiers: Annotated[list[TierSpec], Field(description="dearer rates of long requests, shortest first")] = []


class ServicesSpec(Strict):
    """Rates of requests that the provider says it served another way than usual."""

    batch: TariffSpec | None = None
    flex: TariffSpec | None = None
    priority: TariffSpec | None = None
    ultrafast: TariffSpec | None = None


class PriceSpec(TariffSpec):
    """What a model costs by the token."""

    service: ServicesSpec = ServicesSpec()


class DatedPriceSpec(PriceSpec):
    """A price and the day from which it holds, beginning at midnight UTC."""

    from_: Annotated[Day, Field(alias="from")]


class Throughput(Strict):
    """Tokens per second that one GPU reaches."""

    input: Annotated[float, Field(gt=0)]
    output: Annotated[float, Field(gt=0)]


def _shape(value: object) -> str:
    """Which branch of a word, mapping or list is meant, so that a typo in one is not reported for all."""
    if isinstance(value, list):
        return "dated"
    return "keys" if isinstance(value, (dict, BaseModel)) else "word"


Dated = Annotated[list[DatedPriceSpec], Field(min_length=1, description="prices by the day from which they hold, oldest first")]


GivenPrice = Annotated[
    Annotated[Literal["unknown"], Tag("word")] | Annotated[PriceSpec, Tag("keys")] | Annotated[Dated, Tag("dated")],
    Discriminator(_shape),
]
GivenSpeed = Annotated[
    Annotated[Literal["measured"], Tag("word")] | Annotated[Throughput, Tag("keys")],
    Discriminator(_shape),
]

GivenShare = Annotated[
    Annotated[Literal["measured"], Tag("word")] | Annotated[float, Tag("number"), Field(gt=0, le=1)],
    Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
]


class GpuSpec(Strict):
    """What the machine behind a self-hosted model costs, and how that becomes a price a request.

    tokens_per_second: `measured`: a request pays for the seconds in which it kept the machine busy, shared with those beside
    it. Numbers: a request pays for its tokens at that speed. utilisation: the share of its time in which the machine is busy.
    A number: a request pays for the idle time as well, in that proportion. `measured`: what it pays is provisional, and each
    hour is settled by what the machine really did in it.
    """

    usd_per_hour: Usd
    count: Annotated[int, Field(ge=1)] = 1
    tokens_per_second: GivenSpeed = "measured"
    utilisation: GivenShare = "measured"


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

    cannot: Annotated[
        list[Capability] | None,
        Field(description="what requests that use it are not sent here for; left out, what the price map says that it lacks"),
    ] = None

    @model_validator(mode="after")
    def _one_price(self) -> ModelSpec:
        if self.price is not None and self.gpu is not None:
            raise PydanticCustomError("two_prices", "has both `price` and `gpu`; keep the one that is billed")
        return self
