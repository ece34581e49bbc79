"""What the ledger says was spent: the same from hourly sums, from entries and from what was counted, in both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.budgets.base import Account, Family
from gateway.budgets.claim import charges_for, payer_of
from gateway.budgets.ledger import read_spent
from gateway.budgets.memory import MemoryCounts
from gateway.ledger.base import IDLE, Entry, LedgerReader, LedgerStore
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.postgres_reader import PostgresReader
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.policy.budgets import Per, Period
from tests.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]

AT = datetime(2026, 12, 2, 10, 30, 15, tzinfo=UTC).timestamp()
PERIODS = [Period(86_400, "day"), Period(7 * 86_400, "week"), Period(31 * 86_400, "month"), Period(7200), Period(30 * 86_400)]
KINDS: list[tuple[Per, str | None]] = [
    ("key", None),
    ("team", None),
    ("tag", "app"),
    ("tag", "a.b/c"),
    ("route", None),
    ("gateway", None),
]


def entry(n: int, ago_s: float, **fields: object) -> Entry:
    plain = {"request_id": f"r{n}", "at": AT - ago_s, "dialect": "openai_chat", "requested_model": "auto", "stream": False}
    return Entry(**(plain | {"key": "k1", "policy_hash": "x", "draw": 0.0, "cost_nusd": 10**n} | fields))  # type: ignore[arg-type]


ENTRIES = [
    entry(0, 0, route="a", team="t", tags={"app": "web"}),
    entry(1, 60, route="a", key="k2", tags={"app": "it's", "a.b/c": "x"}, overhead_nusd=5),
    entry(2, 1800, route="b", team="k2"),
    entry(3, 5400, route=None, outcome="refused", cost_nusd=0),
    entry(4, 7200 + 119, route="a", tags={"app": "web"}),
    entry(5, 11 * 3600, route="a", purpose="audit", cost_nusd=0, overhead_nusd=10**5),  # the day before
    entry(6, 40 * 3600, route="a", cost_nusd=None, overhead_nusd=7),
    entry(7, 4 * 86_400, route="b"),  # the month before, and the week before
    entry(8, 29.9 * 86_400, route="b", tags={"app": "web"}),
    entry(9, 40 * 86_400, route="b"),
    entry(10, 5 * 3600, purpose="gpu", key=IDLE, cost_nusd=10**10),
    entry(11, 5 * 3600, purpose="gpu", key="k1", route="a", team="t", cost_nusd=-3),
    entry(12, 600, purpose="gpu", key="k1", route="a", cost_nusd=10**12),  # to be charged when it is settled
]
COUNTED = [one for one in ENTRIES if not (one.purpose == "gpu" and AT - one.at < 7200)]


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerReader]:
    """A reader of a ledger with all of these entries."""
    store: LedgerStore
    reader: LedgerReader
    if request.param == "sqlite":
        store, reader = SqliteLedger(tmp_path / "ledger.db"), SqliteReader(tmp_path / "ledger.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
        store, reader = PostgresLedger(url), PostgresReader(url)
    store.append(ENTRIES)
    yield reader
    reader.close()
    store.close()


def test_the_ledger_and_what_was_counted_come_to_the_same(ledger: LedgerReader) -> None:
    seen = 0
    for per, tag in KINDS:
        for period in PERIODS:
            family = Family(per, tag, period)
            counts = MemoryCounts(lambda *_: None)
            for one in COUNTED:
                holder = payer_of(one).holder(family, one.route)
                if holder is not None:
                    counts.settle(charges_for(one, [Account(family, holder)], AT))
            expected = {holder: nusd for holder, nusd in counts.spent(family, AT).items() if nusd}
            spent = {holder: sum(buckets.values()) for holder, buckets in read_spent(ledger, family, AT).items()}
            assert {holder: nusd for holder, nusd in spent.items() if nusd} == expected, family
            filled = MemoryCounts(lambda *_: None)
            filled.fill_now(family, read_spent(ledger, family, AT), AT)
            counts.fill_now(family, read_spent(ledger, family, AT), AT)
            assert {h: n for h, n in counts.spent(family, AT).items() if n} == expected, "nothing is counted twice"
            assert {h: n for h, n in filled.spent(family, AT).items() if n} == expected
            seen += len(expected)
    assert seen > 40


def test_a_key_without_a_team_is_one_by_itself(ledger: LedgerReader) -> None:
    spent = read_spent(ledger, Family("team", None, PERIODS[0]), AT)
    assert {holder: sum(buckets.values()) for holder, buckets in spent.items()} == {
        "t": 1 - 3,
        "(key) k2": 15,
        "k2": 100,
        "(key) k1": 10**4,
    }
