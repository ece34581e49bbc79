"""What a period's entries are to the savings: answers, failures, upkeep, and opinions each on its own entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ledger.base import Entry, EntryOutcome, Feedback, Purpose, Record
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.cells import cells
from gateway.report.dimension import parse
from gateway.report.period import Period
from gateway.report.said import Answered, Opinions, opinions
from tests.ledger.entries import answered


def booked(outcome: EntryOutcome, purpose: Purpose) -> Entry:
    return answered("1", "easy", "small", 10, 100, outcome=outcome, purpose=purpose, overhead_nusd=3)


@pytest.mark.parametrize("hours", [1, 60], ids=["from rows", "from sums"])
@pytest.mark.parametrize(
    ("outcome", "purpose", "kind"),
    [
        ("ok", "request", "answer"),
        ("cancelled", "request", "answer"),
        ("error", "request", "failed"),
        ("timeout", "request", "failed"),
        ("refused", "request", "failed"),
        ("ok", "audit", "upkeep"),
        ("ok", "refresh", "upkeep"),
        ("ok", "gpu", "fixed"),
    ],
)
def test_an_entry_is_of_a_kind_and_its_overhead_counts(
    tmp_path: Path, hours: int, outcome: EntryOutcome, purpose: Purpose, kind: str
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([answered(f"n-{hour}", "other", "small", 1, 1, at=3_600.0 * hour) for hour in range(hours)])
    ledger.append([booked(outcome, purpose)])
    ledger.close()
    reader = SqliteReader(tmp_path / "ledger.db")
    found = cells(reader, parse("route"), Period(0.0))
    reader.close()
    (i,) = (i for i, name in enumerate(found.names) if name == "easy")
    assert (found.kinds[i], found.requests[i]) == (kind, int(purpose == "request"))
    assert (found.baseline[i], found.cost[i], found.overhead[i]) == (100, 10, 3)


def test_feedback_is_on_the_entry_that_it_names_though_a_later_one_has_its_id(tmp_path: Path) -> None:
    first, later = answered("1", "easy", "small", 10, at=1_000.0), answered("1", "hard", "strong", 10, at=2_000.0)
    records: list[Record] = [first, later, Feedback("1", 3_000.0, -1.0, entry=first.uid), Feedback("1", 3_000.0, 1.0)]
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append(records)
    ledger.close()
    reader = SqliteReader(tmp_path / "ledger.db")
    said = opinions(reader, parse("route"), Period(0.0))
    reader.close()
    assert said == {
        ("easy", Answered("easy", "small")): Opinions(0, 1),
        ("hard", Answered("hard", "strong")): Opinions(1, 0),
    }
