"""What the fake provider charges: its price sheet, and what a call comes to by it. Shares no code with the gateway.

Dollars per million tokens, in Decimal; a call is rounded once, half up, to nano-dollars. Every kind of token is charged once, at
its own rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

NANO: Final = Decimal("1e-9")

Rates = Mapping[str, str]

MINI, BIG, OLD, CLAUDE, EMBEDDER = "gpt-4o-mini", "gpt-4.1", "gpt-4", "claude-sonnet-4-5", "text-embedding-3-small"
DEEP = "gpt-5.1"  # whose provider is asked in Responses

# What the policy calls them.
NAMES: Final = {MINI: "mini", BIG: "big", OLD: "old", CLAUDE: "claude", DEEP: "deep", EMBEDDER: "embedder"}


@dataclass(frozen=True)
class Sheet:
    """usual: the rates; above, long: those of calls with more input tokens than so many; batch: those of the batch tier."""

    usual: Rates
    above: int | None = None
    long: Rates | None = None
    batch: Rates | None = None

    def rates(self, tokens_in: int, service: str | None) -> Rates:
        if service == "batch" and self.batch is not None:
            return self.batch
        return self.long if self.above is not None and self.long is not None and tokens_in > self.above else self.usual

    def yaml(self) -> dict[str, Any]:
        """As a policy's `price`."""
        said: dict[str, Any] = _numbers(self.usual)
        if self.long is not None:
            said["tiers"] = [{"above": self.above, **_numbers(self.long)}]
        if self.batch is not None:
            said["service"] = {"batch": _numbers(self.batch)}
        return said


def _numbers(rates: Rates) -> dict[str, float]:
    return {kind: float(rate) for kind, rate in rates.items()}


SHEETS: Final[dict[str, Sheet]] = {
    MINI: Sheet(
        {"input": "0.15", "output": "0.60", "cached_input": "0.075", "cache_write": "0.15", "reasoning": "0.90"},
        batch={"input": "0.075", "output": "0.30", "cached_input": "0.0375", "cache_write": "0.075", "reasoning": "0.45"},
    ),
    BIG: Sheet(
        {
            **{"input": "2.00", "output": "8.00", "cached_input": "0.50", "cache_write": "2.00", "reasoning": "8.00"},
            **{"audio_input": "32.00", "audio_output": "64.00"},
        },
        above=120,
        long={
            **{"input": "4.00", "output": "12.00", "cached_input": "1.003", "cache_write": "4.00", "reasoning": "12.50"},
            **{"audio_input": "40.00", "audio_output": "80.00"},
        },
    ),
    OLD: Sheet({"input": "30.00", "output": "60.00", "cached_input": "30.00", "cache_write": "30.00"}),
    CLAUDE: Sheet(
        {
            **{"input": "3.00", "output": "15.00", "cached_input": "0.30"},
            **{"cache_write": "3.75", "cache_write_1h": "6.00"},
        },
        batch={
            **{"input": "1.50", "output": "7.50", "cached_input": "0.15"},
            **{"cache_write": "1.875", "cache_write_1h": "3.00"},
        },
    ),
    DEEP: Sheet(
        {"input": "1.25", "output": "10.00", "cached_input": "0.125", "cache_write": "1.50", "reasoning": "10.00"},
        batch={"input": "0.625", "output": "5.00", "cached_input": "0.0625", "cache_write": "0.75", "reasoning": "5.00"},
    ),
    EMBEDDER: Sheet({"input": "0.02", "output": "0.00"}),
}


@dataclass(frozen=True)
class Tokens:
    """Of one call. input, output: all of them; the others are parts of those."""

    input: int
    output: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    service: str | None = None


TOKEN_KINDS: Final = tuple(field.name for field in fields(Tokens))


def price_nusd(model: str, tokens: Tokens) -> int:
    """What one call costs, in nano-dollars."""
    rates = SHEETS[model].rates(tokens.input, tokens.service)
    rest_in = tokens.input - tokens.cached_input - tokens.cache_write - tokens.audio_input
    rest_out = tokens.output - tokens.reasoning - tokens.audio_output
    assert rest_in >= 0 and rest_out >= 0, "a provider does not bill more parts than there are"
    million = Decimal(0)
    for count, kind, otherwise in (
        (rest_in, "input", "input"),
        (tokens.cached_input, "cached_input", "input"),
        (tokens.cache_write - tokens.cache_write_1h, "cache_write", "input"),
        (tokens.cache_write_1h, "cache_write_1h", "cache_write"),
        (tokens.audio_input, "audio_input", "input"),
        (rest_out, "output", "output"),
        (tokens.reasoning, "reasoning", "output"),
        (tokens.audio_output, "audio_output", "output"),
    ):
        if count:
            million += count * Decimal(rates.get(kind) or rates[otherwise])
    dollars = (million / 1_000_000).quantize(NANO, ROUND_HALF_UP)
    return int(dollars / NANO)
