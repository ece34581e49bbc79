"""The embedded ledger: what goes in comes out, for several processes at once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.errors import ConfigError
from gateway.ledger.base import Entry, Feedback, new_uid
from gateway.ledger.spend import last_uses, spend
from gateway.ledger.sqlite import SqliteLedger, connect
from gateway.usage import Usage
from tests.ledger.entries import answered, entry
from tests.ledger.layouts import as_of_layout

counts = st.integers(0, 2**40)
maybe = st.none() | counts
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
usages = st.none() | st.builds(Usage, counts, counts, counts, counts, counts, st.booleans())
attempts = st.builds(
    Attempt,
    provider=texts,
    model=texts,
    outcome=st.sampled_from(["ok", "error", "timeout", "cancelled", "rejected", "unconvincing"]),
    status=maybe,
    ttft_ms=st.none() | st.floats(0, 1e6),
    duration_ms=st.floats(0, 1e6),
    busy_s=st.floats(0, 1e6),
    usage=usages,
    cost_nusd=maybe,
    error=st.none() | texts,
    fault=st.none() | texts,
    accept=st.none() | st.dictionaries(texts, st.booleans() | counts | st.floats(-20, 1) | texts, max_size=3),
    seam=st.sampled_from([None, "restart", "continue"]),
    seam_chars=maybe,
    is_hedge=st.booleans(),
)
entries = st.builds(
    Entry,
    request_id=st.just("the-one"),
    at=st.floats(0, 4e9),
    dialect=texts,
    requested_model=texts,
    stream=st.booleans(),
    key=texts,
    policy_hash=texts,
    draw=st.floats(0, 1, exclude_max=True),
    tags=st.dictionaries(texts, texts, max_size=3),
    scores=st.dictionaries(texts, st.floats(0, 1), max_size=3),
    attempts=st.lists(attempts, max_size=3),
    usage=usages,
    cost_nusd=maybe,
    baseline_nusd=maybe,
    error=st.none() | texts,
    purpose=st.sampled_from(["request", "audit", "refresh"]),
    of=st.none() | texts,
    verdict=st.none() | st.sampled_from(["right", "wrong", "unsure"]),
)


@given(entries)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entry_comes_back_as_it_went_in(tmp_path: Path, one: Entry) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([one])
    assert ledger.find("the-one") == one
    ledger.close()


def test_the_latest_of_two_entries_with_one_id_is_found_and_both_are_kept(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([entry("same", route="first"), entry("same", route="second")])
    found = ledger.find("same")
    assert found is not None and found.route == "second"
    assert ledger.find("other") is None
    ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert db.execute("SELECT count(*) FROM entry").fetchone() == (2,)
    db.close()


def test_what_is_handed_over_twice_is_kept_once_whatever_its_request_id(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    first, namesake = answered("same", "r", "m", 7), answered("same", "r", "m", 7)
    liked = Feedback("same", 5.0, 1.0)
    ledger.append([first, liked])
    ledger.append([first, namesake, liked, first, Feedback("same", 5.0, 1.0)])
    found = ledger.find("same")
    ledger.close()
    assert found is not None and (found.uid, len(found.feedback)) == (namesake.uid, 2)
    db = connect(tmp_path / "ledger.db", read_only=True)
    assert [tuple(row) for row in db.execute("SELECT uid FROM entry ORDER BY id")] == [(first.uid,), (namesake.uid,)]
    assert tuple(db.execute("SELECT count(*) FROM attempt").fetchone()) == (2,)
    db.close()


def test_ids_of_records_differ_and_sort_by_time() -> None:
    made = [new_uid() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [uid[:12] for uid in made] == sorted(uid[:12] for uid in made)
    assert {len(uid) for uid in made} == {32}


def test_several_processes_write_one_ledger_and_nothing_is_lost(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.entries import answered
ledger = SqliteLedger(Path(sys.argv[1]))
for batch in range(20):
    ledger.append([answered(f"{sys.argv[2]}-{batch}-{i}", "r", "m", 7) for i in range(5)])
ledger.close()
"""
    path = tmp_path / "new" / "ledger.db"  # made by whoever comes first
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
    assert [w.wait(50) for w in writers] == [0, 0, 0]
    db = connect(path, read_only=True)
    assert tuple(db.execute("SELECT count(*), sum(cost_nusd) FROM entry").fetchone()) == (300, 2_100)
    assert tuple(db.execute("SELECT count(*) FROM attempt").fetchone()) == (300,)
    db.close()


def test_all_entries_of_a_batch_are_kept_or_none(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    broken = answered("broken", "r", "m", 7)
    broken.cost_nusd = "not money"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="not a value that the ledger"):
        ledger.append([entry("fine"), broken])
    assert ledger.find("fine") is None
    ledger.append([entry("fine")])
    assert ledger.find("fine") is not None
    ledger.close()


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="newer Turnout"):
        SqliteLedger(tmp_path / "ledger.db")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_ledger_of_an_earlier_layout_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(version, path)
    ledger = SqliteLedger(path)
    judged = answered("new", "r", "m", 7, purpose="audit", of="old", verdict="wrong")
    judged.attempts[0].accept = {"accepted": False, "margin": 0.5}
    said = Feedback("old", 5.0, -1.0)
    ledger.append([judged, said])
    old, new = ledger.find("old"), ledger.find("new")
    ledger.close()
    assert old is not None and new is not None
    assert (old.purpose, old.of, old.verdict, old.attempts[0].accept) == ("request", None, None, None)
    assert (old.uid, old.attempts[0].seam, old.attempts[0].is_hedge) == (None, None, False)
    assert old.feedback == [said]
    assert new == judged
    if version == 3:
        ledger = SqliteLedger(path)
        ledger.append([entry("older")])
        found = ledger.find("older")
        ledger.close()
        assert found is not None and [(f.value, f.uid) for f in found.feedback] == [(1.0, None)]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_whoever_only_reads_can_read_an_earlier_layout_and_leaves_it_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / "ledger.db"
    as_of_layout(version, path)
    db = connect(path, read_only=True)
    assert tuple(db.execute("SELECT sum(cost_nusd) FROM attempt").fetchone()) == (7,)
    (row,) = spend(db, "route", 0.0)
    assert (row.name, row.requests, row.cost_nusd, row.saved_nusd) == ("r", 1, 7, 2)
    assert [r.name for r in spend(db, "model", 0.0)] == ["m"]
    assert last_uses(db) == {"anonymous": 1_000_000.0}
    assert db.execute("PRAGMA user_version").fetchone()[0] == version
    db.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'feedback'").fetchone() == (int(version == 3),)
    db.close()


def test_feedback_is_found_with_its_entry_the_latest_last(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    first = Feedback("r-1", 10.0, -0.5, comment="that is Austria's", tags={"by": "reviewer"})
    last = Feedback("r-1", 9.0, 1.0, tags=["mended", "seen"])  # in the order they came, whatever the clocks say
    ledger.append([first, entry("r-1"), entry("r-2"), last])
    found, other = ledger.find("r-1"), ledger.find("r-2")
    ledger.close()
    assert found is not None and found.feedback == [first, last]
    assert other is not None and other.feedback == []


def test_feedback_that_cannot_be_kept_takes_its_batch_along(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    with pytest.raises(ValueError, match="not a value that the ledger"):
        ledger.append([entry("fine"), Feedback("fine", 1.0, "bad")])  # type: ignore[arg-type]
    assert ledger.find("fine") is None
    ledger.close()


def test_a_ledger_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE feedback")
    db.close()
    ledger.append([entry("r-1")])
    with pytest.raises(OSError, match=r"cannot read the ledger '.*ledger\.db': no such table: feedback"):
        ledger.find("r-1")
    ledger.close()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is not a database, " * 100)
    with pytest.raises(ConfigError, match=r"ledger\.db.*TURNOUT_DATA_DIR"):
        SqliteLedger(path)


@pytest.mark.parametrize("value", [2**63, float("nan"), [1], "\ud800"])
def test_value_that_can_never_be_kept_is_told_from_a_disk_that_is_full(tmp_path: Path, value: object) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    broken = entry("broken")
    setattr(broken, "error" if isinstance(value, str) else "duration_ms" if isinstance(value, float) else "cost_nusd", value)
    with pytest.raises(ValueError):
        ledger.append([broken])
    ledger.append([entry("fine")])
    ledger.close()


def test_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot open the ledger '.*file/ledger\.db': .*set TURNOUT_DATA_DIR"):
        SqliteLedger(tmp_path / "file" / "ledger.db")


def test_empty_ledger_that_is_only_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(ConfigError, match=r"ledger\.db' is empty.*start the gateway, or set TURNOUT_DATA_DIR"):
        connect(path, read_only=True)
    assert path.stat().st_size == 0


def test_ledger_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot open the ledger"):
        connect(tmp_path / "none" / "ledger.db", read_only=True)
    assert not (tmp_path / "none").exists()


def test_an_id_that_two_keys_gave_is_found_for_each_with_the_feedback_on_its_own(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    hers, his = entry("same", key="ann"), entry("same", key="bob")
    liked, disliked = Feedback("same", 5.0, 1.0, entry=hers.uid), Feedback("same", 6.0, -1.0, entry=his.uid)
    before = Feedback("same", 4.0, 0.5)  # of the time when feedback named no entry
    ledger.append([before, hers, his, disliked, liked])
    found = {key: ledger.find("same", key) for key in ("ann", "bob", "eve", None)}
    ledger.close()
    assert found["eve"] is None
    of = {key: (one.key, one.feedback) for key, one in found.items() if one is not None}
    assert of == {"ann": ("ann", [before, liked]), "bob": ("bob", [before, disliked]), None: ("bob", [before, disliked])}


def test_feedback_on_one_of_two_requests_with_one_id_counts_for_that_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    hit = {"cache": "hit-semantic", "route": "r"}
    hers, his = entry("same", key="ann", **hit), entry("same", key="bob", **hit)
    ledger.append([hers, his, Feedback("same", 5.0, 1.0, entry=hers.uid)])
    ledger.close()
    db = connect(path, read_only=True)
    assert {row.name: (row.cache.good, row.cache.bad) for row in spend(db, "key", 0.0)} == {"ann": (1, 0), "bob": (0, 0)}
    assert [row.name for row in spend(db, "team", 0.0)] == ["(none)"]
    db.close()
