"""The grammar of the file that `turnout estimate` prices: how much work, and the models it could go to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import Name, Strict
from gateway.policy.problems import Keys, fields

# Bounds far above anything real, so that every sum of money still is a number that JSON can carry.
Count = Annotated[int, Field(ge=0, le=10**15)]
SomeCount = Annotated[int, Field(ge=1, le=10**15)]
Usd = Annotated[float, Field(ge=0, le=1e9)]
Speed = Annotated[float, Field(ge=0.001, le=1e12)]


class WorkSpec(Strict):
    """How many requests, of how many tokens each."""

    requests: Annotated[SomeCount | None, Field(description="a job that is done once; without it, a month is priced")] = None
    requests_per_day: Annotated[SomeCount | None, Field(description="a service that runs every day")] = None
    input_tokens: Annotated[Count, Field(description="of a request")]
    output_tokens: Annotated[Count, Field(description="of an answer")]
    training_tokens: Annotated[SomeCount | None, Field(description="of the whole fine-tuning, once")] = None

    @model_validator(mode="after")
    def _some_requests(self) -> WorkSpec:
        if self.requests is None and self.requests_per_day is None:
            raise PydanticCustomError("no_requests", "give `requests` for a job, or `requests_per_day` for a service")
        return self


class GivenPrice(Strict):
    """US dollars per million tokens."""

    input: Usd
    output: Usd
    training: Annotated[Usd | None, Field(description="makes this a fine-tuned model")] = None


class Speeds(Strict):
    """Tokens per second that one GPU (or one node, if `usd_per_hour` is a node's) gets through."""

    input: Annotated[Speed, Field(description="reading")]
    output: Annotated[Speed, Field(description="writing")]
    training: Annotated[Speed | None, Field(description="makes this a fine-tuned model")] = None


class MachineSpec(Strict):
    """What a model runs on that is paid by the hour."""

    usd_per_hour: Usd
    count: Annotated[int, Field(ge=1, le=10**6, description="GPUs that run as one; each costs and does as much")] = 1
    tokens_per_second: Speeds


def _shape(value: object) -> str:
    """Which branch of a word-or-mapping is meant, so that a typo in one is not reported for both."""
    return "keys" if isinstance(value, (dict, BaseModel)) else "word"


def _name(value: object) -> object:
    if not isinstance(value, str):
        message = "write {input: …, output: …} in US dollars per million tokens, or a name of the price map"
        raise PydanticCustomError("price", "{message}", {"message": message})
    return value


Listed = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string"}, mode="validation")]
Price = Annotated[Annotated[Listed, Tag("word")] | Annotated[GivenPrice, Tag("keys")], Discriminator(_shape)]


class ModelSpec(Strict):
    """A model paid by the token, or one on a machine paid by the hour."""

    price: Annotated[
        Price | None, Field(description="per million tokens, or a name in the shipped price map such as `openai/gpt-4.1`")
    ] = None
    gpu: MachineSpec | None = None

    @model_validator(mode="after")
    def _one_price(self) -> ModelSpec:
        if (self.price is None) == (self.gpu is None):
            had = "neither" if self.price is None else "both"
            raise PydanticCustomError("one_price", "has {had} of `price` and `gpu`; give the one that is billed", {"had": had})
        return self


class EstimateFile(Strict):
    """A workload, and the models to price it over."""

    version: Literal[1] = 1
    workload: WorkSpec
    models: Annotated[dict[Name, ModelSpec], Field(min_length=1)]


KEYS = Keys(
    known={
        "policy": fields(EstimateFile),
        "workload": fields(WorkSpec),
        "model": fields(ModelSpec),
        "price": fields(GivenPrice),
        "gpu": fields(MachineSpec),
        "tokens_per_second": fields(Speeds),
    },
    later={},
)


def estimate_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file."""
    schema = EstimateFile.model_json_schema()
    schema["properties"]["models"]["additionalProperties"] = False  # a key that is not a Name
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
