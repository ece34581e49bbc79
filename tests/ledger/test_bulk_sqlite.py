"""Inserts by few statements: what is in the table is what was given, however the batches look."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.bulk_sqlite import BATCHES_REMEMBERED, SIZES, Inserts
from gateway.ledger.columns import by_column

values = st.sampled_from([None, 0, 1, 2, 200, "", "ok", "it's", "?", "{}", 0.0, -1.5]) | st.text(max_size=3)
batches = st.lists(st.lists(st.tuples(values, values), max_size=2 * SIZES[1] + 1), max_size=6)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
    yield connection
    connection.close()


@given(batches)
def test_all_rows_of_all_batches_are_there_in_their_order(given_batches: list[list[tuple[object, object]]]) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
    inserts, given_rows = Inserts("t", ("id", "a", "b")), []
    for batch in given_batches:
        rows = [(len(given_rows) + n, a, b) for n, (a, b) in enumerate(batch)]
        assert inserts.run(db, by_column(rows)) == len(rows)
        given_rows += rows
    assert db.execute("SELECT id, a, b FROM t ORDER BY id").fetchall() == given_rows
    db.close()


@pytest.mark.parametrize("count", [1, SIZES[1], SIZES[0] - 1, SIZES[0], 2 * SIZES[0] + SIZES[1] + 1])
def test_rows_that_are_there_are_told_from_those_that_are_new(db: sqlite3.Connection, count: int) -> None:
    db.execute("INSERT INTO t VALUES (0, 'first', NULL)")
    inserts = Inserts("t", ("id", "a", "b"), "ON CONFLICT (id) DO NOTHING")
    assert inserts.run(db, [range(count), ["new"] * count, [None] * count]) == count - 1
    assert db.execute("SELECT count(*), sum(a = 'first') FROM t").fetchone() == (count, 1)


def test_the_statement_stays_the_same_while_the_traffic_does(db: sqlite3.Connection) -> None:
    statements: list[str] = []
    db.set_trace_callback(lambda statement: statements.append(statement.split(" VALUES ")[1]))
    inserts = Inserts("t", ("id", "a", "b"))
    for n, b in enumerate([None, None, "rare", None]):
        inserts.run(db, [[n], [f"varies {n}"], [b]])
    assert [said.strip() for said in statements] == [
        "(0, 'varies 0', NULL)",
        "(1, 'varies 1', NULL)",
        "(2, 'varies 2', 'rare')",
        "(3, 'varies 3', NULL)",
    ]
    assert inserts._words == ["?", "?", "?"]
    for n in range(4, 4 + BATCHES_REMEMBERED):
        inserts.run(db, [[n], [f"varies {n}"], [None]])
    assert inserts._words == ["?", "?", "NULL"]
