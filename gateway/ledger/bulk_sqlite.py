"""Many rows into a table of SQLite, by few statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Final

from gateway.ledger.columns import Values

# Rows to a statement, the most first. With 64 an entry costs a third of what it does with one: less around each row, and the
# interpreter's lock is given up and fought for once a statement. More of them gain nothing.
SIZES: Final = (64, 8, 1)
BATCHES_REMEMBERED: Final = 64

# What may stand in the statement instead of being bound to it, which costs ten times as much.
_WORDS: Final = ("", "{}", "ok", "request", "miss", "bypass", "openai_chat")
_PLAIN: Final[dict[object, str]] = {None: "NULL", 0: "0", 1: "1", 200: "200", **{word: f"'{word}'" for word in _WORDS}}


class Inserts:
    """Into one table, through one connection after the other; not from two threads at a time.

    A column that holds one plain value, as NULL, in all rows of all batches of late is said in the statement. SQLite takes
    longer to prepare a statement than to run it, so it stays the same for as long as the traffic does.
    """

    def __init__(self, table: str, names: Sequence[str], then: str = "") -> None:
        """then: what ends the statement, as `ON CONFLICT (uid) DO NOTHING`."""
        self._head, self._then = f"INSERT INTO {table} ({', '.join(names)}) VALUES", then
        self._words = [""] * len(names)  # for each column what stands for its values: a plain one, or `?`
        self._varied = [0] * len(names)  # the last batch in which its values were others than the word says
        self._batches = 0
        self._statements: dict[int, str] = {}

    def run(self, db: sqlite3.Connection, columns: Sequence[Values]) -> int:
        """Insert the rows that the columns make, in their order. Returns how many were inserted or changed.

        Raises sqlite3.Error, OverflowError.
        """
        count = len(columns[0]) if columns else 0
        if not count:
            return 0
        self._look_at(columns)
        bound = [values for values, word in zip(columns, self._words, strict=True) if word == "?"]
        rows = list(zip(*bound, strict=True)) if bound else [()] * count
        changed = done = 0
        for size in SIZES:
            while count - done >= size:
                values = tuple(chain.from_iterable(rows[done : done + size]))
                changed += db.execute(self._statement(size), values).rowcount
                done += size
        return changed

    def _look_at(self, columns: Sequence[Values]) -> None:
        self._batches += 1
        words = [self._word(place, values) for place, values in enumerate(columns)]
        if words != self._words:
            self._words, self._statements = words, {}

    def _word(self, place: int, values: Values) -> str:
        first, word = values[0], self._words[place]
        is_plain = isinstance(first, str | int | float | None) and first in _PLAIN and values.count(first) == len(values)
        plain = _PLAIN[first] if is_plain else "?"
        if plain == "?" or word not in ("", "?", plain):
            self._varied[place] = self._batches
            return "?"
        return "?" if word == "?" and self._batches - self._varied[place] <= BATCHES_REMEMBERED else plain

    def _statement(self, size: int) -> str:
        """The same string each time: sqlite3 keeps what it has prepared by it."""
        statement = self._statements.get(size)
        if statement is None:
            row = f"({', '.join(self._words)})"
            statement = self._statements[size] = f"{self._head} {', '.join([row] * size)} {self._then}"
        return statement


# A NULL that is bound costs more than any other value, since sqlite3 asks around for how None is to be adapted; it costs half
# as much when somebody has said so.
sqlite3.register_adapter(type(None), lambda none: none)
