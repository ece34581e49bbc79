"""`turnout prices refresh`: a newer price map for this installation."""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import ConfigError
from gateway.policy.grammar import day
from gateway.pricing.book import FILE_NAME, PriceBook, open_book, shipped_book
from gateway.pricing.history import Changes, changes, doubts, merged
from gateway.pricing.listing import Listed, encoded
from gateway.pricing.litellm_table import Converted, converted, read_table
from gateway.pricing.source import INSTALLED, PUBLIC_URL, Table, read_source
from gateway.settings import load_settings

SHOWN_MAX = 20  # of the models in each list of changes


def add(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of `turnout prices`."""
    refresh = kinds.add_parser(
        "refresh",
        help="take the prices of today",
        description="Read litellm's public table of prices (MIT licence) and write a price map to the data directory. Prices "
        "that changed are kept with the day until which they held. A gateway that runs takes the new map within a second.",
        epilog="example: turnout prices refresh --from installed",
    )
    refresh.add_argument(
        "--from",
        dest="source",
        metavar="URL|FILE",
        default=PUBLIC_URL,
        help=f"the table: an address, a file, or `{INSTALLED}` for that of the litellm package (default: {PUBLIC_URL})",
    )
    refresh.add_argument("--date", metavar="DATE", type=_date, help="the day the table is of, YYYY-MM-DD (default: today, UTC)")
    refresh.add_argument(
        "--force", action="store_true", help="take it even if it lacks most models, or moves prices beyond belief"
    )
    refresh.set_defaults(run=refresh_prices)


def _date(text: str) -> str:
    try:
        day(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    return text


def refresh_prices(args: argparse.Namespace) -> int:
    """Write the data folder's price map, and say what it changes."""
    data_dir = load_settings().data_dir
    book = open_book(data_dir)
    table = read_source(args.source)
    found = _converted(table)
    date = args.date or _date_of(table)
    if date < book.date:
        raise ConfigError(f"{table.name} is of {date}, the price map in use of {book.date}, so nothing was written")
    before = book.all_listed()
    why = doubts(before, found.models)
    if why and not args.force:
        raise ConfigError(f"{table.name}: {'; '.join(why)}; nothing was written. Look at it, and give --force if it is right")
    models = merged(before, found.models, date)
    path = data_dir / FILE_NAME
    _replace(path, encoded(table.name, table.version, date, found.rounded, models))
    _say(changes(before, found.models), before, models)
    print(f"{path}: {len(models)} models, prices of {date}, from {table.name}")
    return 0


def _converted(table: Table) -> Converted:
    try:
        found = converted(read_table(table.content))
    except (ValueError, RecursionError) as exc:  # no JSON, no UTF-8, or JSON of another shape
        raise ConfigError(f"{table.name} is not litellm's table of prices: {exc}") from exc
    if not found.models:
        raise ConfigError(f"{table.name} has no model with a price, so it is not litellm's table of prices")
    return found


def _date_of(table: Table) -> str:
    """Today; for the package that the shipped map was made of, the day of that map, since its prices are no newer."""
    shipped: PriceBook = shipped_book()
    if table.version and table.version == shipped.version:
        return shipped.date
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _replace(path: Path, content: bytes) -> None:
    """Write all of the file or leave it as it is. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # mkstemp's is for its owner only, and a gateway may run as another
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError as exc:
        raise ConfigError(f"cannot write '{path}': {exc.strerror}; set TURNOUT_DATA_DIR to a folder that can be") from exc


def _say(found: Changes, before: Mapping[str, Listed], after: Mapping[str, Listed]) -> None:
    for word in ("new", "gone", "dearer", "cheaper", "changed"):
        names: tuple[str, ...] = getattr(found, word)
        if not names:
            continue
        print(f"{word}: {len(names)}")
        for name in names[:SHOWN_MAX]:
            print(f"  {name}: {_change(word, before.get(name), after[name])}")
        if len(names) > SHOWN_MAX:
            print(f"  and {len(names) - SHOWN_MAX} more")
    if not any((found.new, found.gone, found.dearer, found.cheaper, found.changed)):
        print("no price has changed")


def _change(word: str, before: Listed | None, after: Listed) -> str:
    now = _rates(after)
    if before is None or word in ("new", "gone"):
        return now
    return f"{now}, in other rates" if _rates(before) == now else f"{_rates(before)} → {now}"


def _rates(listed: Listed) -> str:
    """Input and output, in US dollars per million tokens."""
    return f"{listed.input / 1e6:g}/{listed.output / 1e6:g}"
