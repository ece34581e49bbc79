"""Is the ledger what the provider bills? Mixed requests with faults against a provider that writes an invoice of its own.

    python -m benchmarks.reconcile --requests 10000 --seed 1

Prints what happened, both sums in nano-USD, and where they differ; exit 1 if they do. The cases are those of
tests/scenario/reconciliation.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.scenario.reconciliation.books import Books, keep_books

SHOWN = 20  # differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        books = asyncio.run(keep_books(Path(folder), args.requests, args.seed))
    print(f"{args.requests} requests, seed {args.seed}, {time.monotonic() - began:.0f} s")
    return _report(books)


def _report(books: Books) -> int:
    outcomes = Counter(attempt.outcome for _, entry, _ in books.entries for attempt in entry.attempts)
    estimated = sum(a.usage is not None and a.usage.estimated for _, entry, _ in books.entries for a in entry.attempts)
    print("attempts:", ", ".join(f"{count} {name}" for name, count in outcomes.most_common()), f"({estimated} estimated)")
    print(f"billed {books.billed_nusd:>16,} nano-USD in {len(books.invoice)} lines")
    print(f"booked {books.paid_nusd:>16,} nano-USD in {len(books.entries)} entries")
    problems = [*books.differences(), *books.told_otherwise()]
    print(*problems[:SHOWN], f"{len(problems)} differences", sep="\n")
    return 1 if problems or books.paid_nusd != books.billed_nusd else 0


if __name__ == "__main__":
    sys.exit(main())
