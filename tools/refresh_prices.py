"""Write gateway/ledger/prices.json, the dated price map we ship, from the table inside the litellm package.

Run it by hand after moving litellm to a newer version: `.venv/bin/python tools/refresh_prices.py`. Nothing at
run time calls it, and it never imports litellm (3 s, 168 MB, and it opens a network connection): it finds the
package's data file and reads that. The table is MIT, see the package's LICENSE.

How to look a price up. A key is `<provider>/<id>`, both as a policy file spells them:

    provider kind          key                            example
    openai, api.openai.com openai/<id>                    openai/gpt-4.1
    anthropic              anthropic/<id>                 anthropic/claude-sonnet-4-5
    litellm                <litellm_provider>/<id>        bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0

`<id>` is what is sent upstream as `model`, dated ids and aliases each being an entry. It may contain slashes
(`groq/openai/gpt-oss-20b`, `fireworks_ai/accounts/fireworks/models/deepseek-r1`), and a region where the price
depends on it (`azure/eu/gpt-4o-2024-08-06`, `bedrock/eu-west-1/...`). litellm's sub-providers are folded into the
one people name: bedrock_converse into bedrock, cohere_chat into cohere, azure_text into azure, vertex_ai-* into
vertex_ai, text-completion-* into what follows. No key, no price: that model's cost is `unknown`, not 0.

What an entry says. `input`, `output`, `cached_input` (read from the provider's prompt cache) and `cache_write`
are integers in pico-USD (1e-12 USD) a token: 1 USD per million tokens is 1 000 000. Nano-USD would not do: 3.75
cents per million tokens is 37.5 of them. A request's cost in nano-USD is the sum of tokens x price, divided by
1 000 once, at the end. The source was computed in binary floats here and there (0.000015000020000000002); such
prices are rounded and their models listed under `rounded`; all others are exact. A missing `cached_input` or
`cache_write` means the table has none: charge `input`. `context` is the longest input in tokens and `output_max`
the longest answer. `capabilities` names only what is claimed; absence is "not known", not "no".

What is left out: entries without both prices; entries with an input or output price of 0, because the table writes
0 alike for free previews, for self-hosted weights and for models billed in another way; and entries above 1 000 USD
per million tokens, which are prices per thousand tokens in the wrong column (two of them in 1.106.2, both jais).
Long-context tiers, batch, flex and priority rates, and per-image, per-second and per-search fees have no place here
yet: a request above a tier's threshold costs more than this map says.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

PRICES_PATH = Path(__file__).resolve().parent.parent / "gateway" / "ledger" / "prices.json"
TABLE_NAME = "model_prices_and_context_window_backup.json"
PICO_EXPONENT = 12
PRICE_MAX_PICO = 1_000_000_000  # 1 000 USD per million tokens; the dearest real model, o1-pro, asks 600

# The order settles which entry wins when two spellings fold into one key.
MODES = ("chat", "responses", "completion")
FOLDED_PROVIDERS = {"bedrock_converse": "bedrock", "cohere_chat": "cohere", "azure_text": "azure"}
PRICE_FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
SIZE_FIELDS = {"context": "max_input_tokens", "output_max": "max_output_tokens"}
CAPABILITY_FIELDS = {
    "tools": "supports_function_calling",
    "images": "supports_vision",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}

Entry = dict[str, Any]


def read_table() -> tuple[dict[str, Entry], str]:
    """litellm's entries by their key there, numbers as Decimal, and the version they came with.

    Raises SystemExit when litellm is not installed.
    """
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise SystemExit("litellm is not installed here; run `make setup` and use .venv/bin/python")
    text = (Path(spec.origin).parent / TABLE_NAME).read_text(encoding="utf-8")
    # Decimal from the digits in the file: 1.5e-07 read as a float is not 0.00000015.
    return json.loads(text, parse_float=Decimal), importlib.metadata.version("litellm")


def price_map(table: Mapping[str, Entry], version: str, date: str) -> dict[str, Any]:
    """The shipped map: models by `<provider>/<id>`, sorted. `rounded` lists those whose source price was not exact."""
    models: dict[str, Entry] = {}
    rounded: set[str] = set()
    for litellm_key in sorted(table, key=lambda key: _precedence(key, table[key])):
        source = table[litellm_key]
        if source.get("mode") not in MODES:
            continue
        key = model_key(litellm_key, source["litellm_provider"])
        entry, is_exact = _entry(source)
        if entry is None or key in models:
            continue
        models[key] = entry
        if not is_exact:
            rounded.add(key)
    return {
        "source": f"litellm/{TABLE_NAME}",
        "licence": "MIT",
        "version": version,
        "date": date,
        "unit": "pico-USD per token (1e-12 USD)",
        "rounded": sorted(rounded),
        "models": dict(sorted(models.items())),
    }


def model_key(litellm_key: str, litellm_provider: str) -> str:
    """`<provider>/<id>` for an entry of the table, whose own keys carry the provider only sometimes."""
    provider = _folded(litellm_provider)
    head, slash, rest = litellm_key.partition("/")
    has_prefix = bool(slash) and head.replace("-", "_") in {
        provider.replace("-", "_"),
        litellm_provider.replace("-", "_"),
    }
    return f"{provider}/{rest if has_prefix else litellm_key}"


def encoded(prices: Mapping[str, Any]) -> bytes:
    """Compact JSON, a line a model, so that a refresh reads well as a diff."""
    head = {name: value for name, value in prices.items() if name != "models"}
    lines = [f"{_json(name)}:{_json(value)}" for name, value in head.items()]
    models = ",\n".join(f"{_json(key)}:{_json(entry)}" for key, entry in prices["models"].items())
    return ("{" + ",\n".join([*lines, '"models":{\n' + models]) + "\n}}\n").encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _folded(litellm_provider: str) -> str:
    if litellm_provider.startswith("vertex_ai-"):
        return "vertex_ai"
    return FOLDED_PROVIDERS.get(litellm_provider, litellm_provider.removeprefix("text-completion-"))


def _precedence(litellm_key: str, source: Entry) -> tuple[int, bool, str]:
    """Chat before the rest, then the spelling that names its provider, then the alphabet."""
    mode = source.get("mode")
    return (MODES.index(mode) if mode in MODES else len(MODES), "/" not in litellm_key, litellm_key)


def _entry(source: Entry) -> tuple[Entry | None, bool]:
    """The entry to ship, or None without a believable input and output price; and whether every price is exact."""
    entry: Entry = {}
    is_exact = True
    for name, field in PRICE_FIELDS.items():
        price = _number(source.get(field))
        if price is None or price <= 0:
            continue
        scaled = price.scaleb(PICO_EXPONENT)
        pico = int(scaled.to_integral_value(ROUND_HALF_EVEN))
        if pico > 0:
            entry[name] = pico
            is_exact = is_exact and pico == scaled
    if "input" not in entry or "output" not in entry or max(entry.values()) > PRICE_MAX_PICO:
        return None, is_exact
    for name, field in SIZE_FIELDS.items():
        size = source.get(field)
        if isinstance(size, int) and size > 0:
            entry[name] = size
    capabilities = [name for name, field in CAPABILITY_FIELDS.items() if source.get(field) is True]
    if capabilities:
        entry["capabilities"] = capabilities
    return entry, is_exact


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Decimal(value)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the shipped price map from litellm's table.")
    parser.add_argument(
        "--date",
        type=datetime.date.fromisoformat,
        default=None,
        help="the day the prices were taken, YYYY-MM-DD (default: today, UTC)",
    )
    parser.add_argument("--output", type=Path, default=PRICES_PATH, help="where to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    date: datetime.date = arguments.date or datetime.datetime.now(datetime.UTC).date()
    table, version = read_table()
    prices = price_map(table, version, date.isoformat())
    content = encoded(prices)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(content)
    print(
        f"{arguments.output}: {len(prices['models'])} models of litellm {version}, {date.isoformat()}, "
        f"{len(content)} bytes, {len(prices['rounded'])} rounded"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
