"""Write gateway/pricing/prices.json, the dated price map we ship, from the table inside the litellm package.

Run it by hand after moving litellm to a newer version: `.venv/bin/python tools/refresh_prices.py`. Prices that have
changed since the file was last written stay in it with the day until which they held. What the file says, and what of
the table is left out: gateway/pricing/litellm_table.py. `turnout prices refresh` does the same for one installation.
"""

import argparse
import datetime
import sys
from pathlib import Path

import msgspec

from gateway.pricing.book import PriceBook
from gateway.pricing.history import merged
from gateway.pricing.listing import PriceMap, encoded
from gateway.pricing.litellm_table import converted, read_table
from gateway.pricing.source import installed_table

PRICES_PATH = Path(__file__).resolve().parent.parent / "gateway" / "pricing" / "prices.json"


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
    date = (arguments.date or datetime.datetime.now(datetime.UTC).date()).isoformat()
    table = installed_table()
    output: Path = arguments.output
    before = PriceBook(msgspec.json.decode(output.read_bytes(), type=PriceMap)).all_listed() if output.exists() else {}
    found = converted(read_table(table.content))
    models = merged(before, found.models, date)
    content = encoded(table.name, table.version, date, found.rounded, models)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(content)
    print(
        f"{output}: {len(models)} models of litellm {table.version}, {date}, {len(content)} bytes, {len(found.rounded)} rounded"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
