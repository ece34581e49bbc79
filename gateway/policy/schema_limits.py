"""The grammar of `limits:`: how many requests and tokens in which time."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from gateway.policy.grammar import RATE, Name, Strict, rate


def _rate(value: object) -> tuple[int, int]:
    try:
        return rate(value)
    except ValueError as exc:
        raise PydanticCustomError("duration", "{message}", {"message": str(exc)}) from exc


RateText = Annotated[
    tuple[int, int], BeforeValidator(_rate), WithJsonSchema({"type": "string", "pattern": RATE.pattern}, mode="validation")
]
"""An amount and the seconds in which it is allowed."""


class LimitSpec(Strict):
    """How much a key, a team or a model may have in any window of a length.

    `of`: whom it holds for, each for itself; else for each that no other limit names. `on_error`: while Redis is away each
    replica counts alone (`open`), or requests are refused (`closed`).
    """

    per: Literal["key", "team", "model"]
    requests: RateText | None = None
    tokens: RateText | None = None
    of: Annotated[list[Name] | None, Field(min_length=1, description="ids of keys, names of teams or of models")] = None
    on_error: Literal["open", "closed"] = "open"

    @model_validator(mode="after")
    def _bounds_something(self) -> LimitSpec:
        if self.requests is None and self.tokens is None:
            raise PydanticCustomError("limit", "limits nothing; give `requests` or `tokens`, as `requests: 600/min`")
        return self
