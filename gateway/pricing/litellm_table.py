"""From litellm's public table of prices to ours. Pure; never imports litellm.

The table is part of the litellm package and of its repository, under the MIT licence. How to look a price up. A key is
`<provider>/<id>`, both as a policy file spells them:

    provider kind          key                            example
    openai, api.openai.com openai/<id>                    openai/gpt-4.1
    anthropic              anthropic/<id>                 anthropic/claude-sonnet-4-5
    litellm                <litellm_provider>/<id>        bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0

`<id>` is what is sent upstream as `model`, dated ids and aliases each being an entry. It may contain slashes
(`groq/openai/gpt-oss-20b`, `fireworks_ai/accounts/fireworks/models/deepseek-r1`), and a region where the price
depends on it (`azure/eu/gpt-4o-2024-08-06`, `bedrock/eu-west-1/...`). litellm's sub-providers are folded into the
one people name: bedrock_converse into bedrock, cohere_chat into cohere, azure_text into azure, vertex_ai-* into
vertex_ai, text-completion-* into what follows.

The source was computed in binary floats here and there (0.000015000020000000002); such prices are rounded to the
pico-USD and their models listed under `rounded`; all others are exact.

What is left out: models without both prices; those with a price of 0, because the table writes 0 alike for free
previews, for self-hosted weights and for models billed in another way (an embedding model's output is really
free); those above 1,000 USD per million tokens, which are prices per thousand tokens in the wrong column (two of
them in 1.106.2, both jais); tiers and services with only one of the two prices. Prices per image of models that
chat: they say again what the image's tokens cost (0.0011 USD an image are 560 tokens at 2 USD per million). Prices
by the hour of the day, and fees per second, per search and per page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from gateway.pricing.listing import Listed

PRICE_MAX_PICO = 1_000_000_000  # 1 000 USD per million tokens; the dearest real model, o1-pro, asks 600
NUMBER_MAX = 10**9  # of tokens or of dollars: what is greater cannot be meant

# The order settles which entry wins when two spellings fold into one key.
MODES = ("chat", "responses", "completion", "embedding")
FOLDED_PROVIDERS = {"bedrock_converse": "bedrock", "cohere_chat": "cohere", "azure_text": "azure"}
FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "image": "input_cost_per_image",
}
SERVICES = {"batch": "_batches", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast"}
CAPABILITIES = {
    "tools": "supports_function_calling",
    "images": "supports_vision",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
LACKS = {  # what the source says in so many words that a model cannot do; of what it is silent nothing is known
    "tools": "supports_function_calling",
    "images": "supports_vision",
    "documents": "supports_pdf_input",
    "audio": "supports_audio_input",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
_TIER = re.compile(r"^input_cost_per_token_above_([0-9]+)k_tokens$")

Entry = Mapping[str, Any]
Tiers = list[tuple[int, dict[str, int]]]


@dataclass(frozen=True, slots=True)
class Converted:
    """Models by `<provider>/<id>`. rounded: those whose price in the source is no whole number of pico-USD."""

    models: Mapping[str, Listed]
    rounded: tuple[str, ...]


def read_table(text: str | bytes) -> dict[str, Entry]:
    """The table's entries by their key there, numbers as Decimal. Raises ValueError for what is no such table."""
    # Decimal from the digits in the file: 1.5e-07 read as a float is not 0.00000015.
    table = json.loads(text, parse_float=Decimal)
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ValueError("a JSON object of objects is expected")
    return table


def converted(table: Mapping[str, Entry]) -> Converted:
    """The priced models of a table. Entries of another shape are left out."""
    models: dict[str, Listed] = {}
    rounded: set[str] = set()
    for litellm_key in sorted(table, key=lambda key: _precedence(key, table[key])):
        source = table[litellm_key]
        provider = source.get("litellm_provider")
        if source.get("mode") not in MODES or not isinstance(provider, str):
            continue
        key = model_key(litellm_key, provider)
        reader = _Reader(source)
        if key in models or (listed := reader.listed()) is None:
            continue
        models[key] = listed
        if not reader.is_exact:
            rounded.add(key)
    return Converted(models, tuple(sorted(rounded)))


def model_key(litellm_key: str, litellm_provider: str) -> str:
    """`<provider>/<id>` for an entry of the table, whose own keys carry the provider only sometimes."""
    provider = _folded(litellm_provider)
    head, slash, rest = litellm_key.partition("/")
    has_prefix = bool(slash) and head.replace("-", "_") in {
        provider.replace("-", "_"),
        litellm_provider.replace("-", "_"),
    }
    return f"{provider}/{rest if has_prefix else litellm_key}"


def _folded(litellm_provider: str) -> str:
    if litellm_provider.startswith("vertex_ai-"):
        return "vertex_ai"
    return FOLDED_PROVIDERS.get(litellm_provider, litellm_provider.removeprefix("text-completion-"))


def _precedence(litellm_key: str, source: Entry) -> tuple[int, bool, str]:
    """Chat before the rest, then the spelling that names its provider, then the alphabet."""
    mode = source.get("mode")
    return (MODES.index(mode) if mode in MODES else len(MODES), "/" not in litellm_key, litellm_key)


class _Reader:
    """Reads one entry. is_exact: whether every price that was taken is a whole number of pico-USD."""

    def __init__(self, source: Entry) -> None:
        self._source = source
        self._is_embedding = source.get("mode") == "embedding"
        self.is_exact = True

    def listed(self) -> Listed | None:
        """None without a believable input and output price."""
        ranges = self._ranges()
        usual = self._rates({**self._source, **ranges[0][1]} if ranges else self._source, "")
        if usual is None:
            return None
        said: dict[str, object] = {
            **usual,
            "tiers": [{"above": above, **rates} for above, rates in self._longer(ranges) or self._tiers("")],
            "service": {
                name: {**rates, "tiers": [{"above": above, **long} for above, long in self._tiers(suffix)]}
                for name, suffix in SERVICES.items()
                if (rates := self._rates(self._source, suffix)) is not None
            },
            "context": self._size("max_input_tokens"),
            "output_max": self._size("max_output_tokens"),
            "capabilities": [name for name, claim in CAPABILITIES.items() if self._source.get(claim) is True],
            "cannot": [name for name, claim in LACKS.items() if self._source.get(claim) is False],
        }
        return msgspec.convert(said, Listed)

    def _ranges(self) -> list[tuple[int, Entry]]:
        """Prices by the length of the request, the shortest first, of models that have them in a list of their own."""
        listed = self._source.get("tiered_pricing")
        found = []
        for entry in listed if isinstance(listed, list) else ():
            span = entry.get("range") if isinstance(entry, dict) else None
            start = _number(span[0]) if isinstance(span, list) and span else None
            if start is None:
                return []
            found.append((int(start), entry))
        return sorted(found, key=lambda one: one[0])

    def _longer(self, ranges: list[tuple[int, Entry]]) -> Tiers:
        return [(above, rates) for above, entry in ranges[1:] if above > 0 and (rates := self._rates(entry, "")) is not None]

    def _tiers(self, service: str) -> Tiers:
        """Those that are named in the fields, for one way to be served."""
        above = sorted(int(found[1]) * 1000 for name in self._source if (found := _TIER.match(name)))
        suffixes = {n: f"_above_{n // 1000}k_tokens{service}" for n in above if n > 0}
        return [(n, rates) for n, suffix in suffixes.items() if (rates := self._rates(self._source, suffix)) is not None]

    def _rates(self, entry: Entry, suffix: str) -> dict[str, int] | None:
        """The rates whose fields end so; None unless there are an input and an output price that can be believed."""
        rates: dict[str, int] = {}
        is_exact = True
        for name, field in FIELDS.items():
            price = _number(entry.get(field + suffix))
            if price is None or price <= 0 or (name == "image" and not self._is_embedding):
                continue
            scaled = price.scaleb(12)
            pico = int(scaled.to_integral_value(ROUND_HALF_EVEN))
            if pico > 0:
                rates[name] = pico
                is_exact = is_exact and pico == scaled
        if self._is_embedding:
            rates.setdefault("output", 0)
        per_token = [rate for name, rate in rates.items() if name != "image"]
        if not {"input", "output"} <= rates.keys() or max(per_token) > PRICE_MAX_PICO:
            return None
        if rates.get("reasoning") == rates["output"]:
            del rates["reasoning"]  # which says nothing
        self.is_exact = self.is_exact and is_exact
        return rates

    def _size(self, field: str) -> int | None:
        size = self._source.get(field)
        return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size < NUMBER_MAX else None


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() and abs(number) < NUMBER_MAX else None
