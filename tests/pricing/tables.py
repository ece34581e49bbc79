"""Tables of prices to test with, in the form of litellm's, and maps made of them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from gateway.pricing.book import PriceBook
from gateway.pricing.history import merged
from gateway.pricing.listing import Listed, PriceMap, encoded
from gateway.pricing.litellm_table import converted


def entry(**fields: Any) -> dict[str, Any]:
    """A model of OpenAI's at 2 USD per million tokens in and 8 out."""
    return {
        "mode": "chat",
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("0.000002"),
        "output_cost_per_token": Decimal("0.000008"),
        **fields,
    }


def listed(**fields: Any) -> Listed:
    """What becomes of such a model."""
    (model,) = converted({"m": entry(**fields)}).models.values()
    return model


def priced(input_: int, output: int, **more: Any) -> Listed:
    """A model by its rates in pico-USD."""
    return Listed(input=input_, output=output, **more)


def map_bytes(models: Mapping[str, Listed], date: str = "2026-01-31") -> bytes:
    """The file of a map that has these models."""
    return encoded("a table", "1.0", date, (), merged({}, models, date))


def book(models: Mapping[str, Listed], date: str = "2026-01-31") -> PriceBook:
    """Such a map to look things up in."""
    return PriceBook(msgspec.json.decode(map_bytes(models, date), type=PriceMap))
