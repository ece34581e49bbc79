"""`turnout prices`: what models cost by the price map, and a newer map."""

from __future__ import annotations

import argparse
import fnmatch
import json
from collections.abc import Iterator
from decimal import Decimal

from gateway.cli import prices_refresh
from gateway.cli.table import table
from gateway.errors import ConfigError
from gateway.policy.catalog import Rates, TokenPrice, price_at
from gateway.policy.grammar import day
from gateway.policy.rates import RATES
from gateway.pricing.book import PriceBook, names_like, open_book
from gateway.pricing.listing import Listed
from gateway.settings import load_settings

HEADINGS = ("model", "input", "output", "cached input", "cache write", "also")
IN_USD = "US dollars per million tokens"


def define(prices: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    prices.description = (
        "What models cost where a policy does not say: by the map that ships with the gateway, or a newer one in the "
        "data directory ($TURNOUT_DATA_DIR)."
    )
    prices.epilog = "example: turnout prices list 'openai/gpt-4.1*'"
    kinds = prices.add_subparsers(dest="kind", metavar="ACTION", required=True)
    listing = kinds.add_parser(
        "list",
        help="the models that have a price",
        description=f"The models that have a price, in {IN_USD}.",
        epilog="example: turnout prices list 'anthropic/*' --json",
    )
    listing.add_argument("glob", metavar="GLOB", nargs="?", default="*", help="which, as 'openai/*' (default: all)")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_prices)
    show = kinds.add_parser(
        "show",
        help="everything that one model costs",
        description="Every rate of one model, what is charged by default where its source names none, and what it cost before.",
        epilog="example: turnout prices show openai/gpt-4.1 --at 2026-11-22",
    )
    show.add_argument("name", metavar="NAME", help="the provider, a slash and the model's id, as `turnout prices list` has it")
    show.add_argument("--at", metavar="DATE", type=_day, help="as it was when this day began, UTC (default: the latest)")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=show_price)
    prices_refresh.add(kinds)


def _day(text: str) -> float:
    try:
        return day(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def list_prices(args: argparse.Namespace) -> int:
    """Print the models whose names match."""
    book = open_book(load_settings().data_dir)
    names = sorted(name for name in book.names if fnmatch.fnmatchcase(name, args.glob))
    if not names:
        raise ConfigError(
            f"no name in the {book.title} matches '{args.glob}'; `turnout prices list` prints all {len(book.names)}"
        )
    found = [(name, listed) for name in names if (listed := book.listed(name)) is not None]
    if args.json:
        print(json.dumps([_listed_json(name, listed) for name, listed in found], indent=2, ensure_ascii=False))
        return 0
    print(table(HEADINGS, [_listed_cells(name, listed) for name, listed in found]))
    print(f"\n{len(found)} models, {IN_USD}; {_about(book)}")
    return 0


def _listed_cells(name: str, listed: Listed) -> list[str]:
    rates = (listed.input, listed.output, listed.cached_input, listed.cache_write)
    tiers = [f"above {tier.above:,} tokens" for tier in listed.tiers]
    gone = [f"gone {listed.gone}"] if listed.gone is not None else []
    return [name, *("" if rate is None else _usd(rate) for rate in rates), ", ".join([*tiers, *listed.service, *gone])]


def _listed_json(name: str, listed: Listed) -> dict[str, object]:
    return {
        "model": name,
        "usd_per_million": {rate: _number(pico, rate) for rate, pico in listed.named().items()},
        "tiers_above": [tier.above for tier in listed.tiers],
        "services": sorted(listed.service),
        "context": listed.context,
        "gone": listed.gone,
    }


def show_price(args: argparse.Namespace) -> int:
    """Print every rate of one model."""
    book = open_book(load_settings().data_dir)
    listed = book.listed(args.name)
    if listed is None:
        near = names_like(args.name, book.names)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `turnout prices list`"
        raise ConfigError(f"the {book.title} has no '{args.name}'; {hint}")
    dated = listed.prices(book.title)
    price = dated[-1].price if args.at is None else price_at(dated, args.at)
    rows = list(_rows(price))
    if args.json:
        print(json.dumps(_price_json(args.name, listed, price, rows), indent=2, ensure_ascii=False))
        return 0
    kinds = [rate for rate in RATES if any(getattr(rates, rate) is not None for _, _, rates in rows)]
    cells = [
        [_row_name(service, above), *(_cell(getattr(rates, rate), rate) for rate in kinds)] for service, above, rates in rows
    ]
    when = price.source.removeprefix(book.title)  # ", until …" for what no longer holds
    print(f"{args.name}{when}, {IN_USD}{' (image: US dollars each)' if 'image' in kinds else ''}")
    print(table(("", *(rate.replace("_", " ") for rate in kinds)), cells))
    for earlier in listed.was:
        print(f"until {earlier.until}: input {_usd(earlier.input)}, output {_usd(earlier.output)}")
    if listed.gone is not None:
        print(f"gone from its source on {listed.gone}; this is its last price")
    print(f"\n{_about(book)}")
    return 0


def _rows(price: TokenPrice) -> Iterator[tuple[str | None, int, Rates]]:
    """(service, input tokens above which they hold, rates) of everything in a price; the usual ones first."""
    yield None, 0, price
    yield from ((None, tier.above, tier.rates) for tier in price.tiers)
    for service in price.services:
        yield service.name, 0, service.rates
        yield from ((service.name, tier.above, tier.rates) for tier in service.tiers)


def _row_name(service: str | None, above: int) -> str:
    length = f"above {above:,} tokens" if above else ""
    return " ".join(part for part in (service, length) if part) or "usual"


def _price_json(name: str, listed: Listed, price: TokenPrice, rows: list[tuple[str | None, int, Rates]]) -> dict[str, object]:
    return {
        "model": name,
        "source": price.source,
        "rates": [
            {
                "service": service,
                "above_tokens": above,
                "usd_per_million": {rate: _number(getattr(rates, rate), rate) for rate in RATES},
            }
            for service, above, rates in rows
        ],
        "was_until": [earlier.until for earlier in listed.was],
        "gone": listed.gone,
    }


def _cell(pico: int | None, rate: str) -> str:
    return "" if pico is None else _usd(pico, rate)


def _usd(pico: int, rate: str = "") -> str:
    """pico-USD per token as dollars per million of them; per image as dollars. All digits and no more."""
    return f"{Decimal(pico).scaleb(-12 if rate == 'image' else -6).normalize():f}"


def _number(pico: int | None, rate: str) -> float | None:
    return None if pico is None else float(_usd(pico, rate))


def _about(book: PriceBook) -> str:
    whose = "shipped" if book.path is None else str(book.path)
    version = f", litellm {book.version}" if book.version else ""
    return f"price map of {book.date} ({whose}{version})"
