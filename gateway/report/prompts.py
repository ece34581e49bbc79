"""Lines of a report by prompt: ids folded into the templates that they turned out to be, and the small rest into one line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from gateway.ledger.base import LedgerReader
from gateway.prompts.families import Families
from gateway.report.dimension import IDLE, NO_PROMPT
from gateway.report.row import Row

OTHERS: Final = "(other prompts)"
SHARE_MIN: Final = 0.02  # of all money: with less, a prompt of which no template is known has no line of its own


class Prompts:
    """The templates that the ledger knows of. Raises OSError."""

    def __init__(self, reader: LedgerReader) -> None:
        found = reader.rows("SELECT id, text, stands_for FROM template ORDER BY at, n")
        self._families = Families((row["id"], row["text"], json.loads(row["stands_for"])) for row in found)
        self._names: dict[str, str] = {}

    def fold(self, rows: Iterable[Row]) -> list[Row]:
        """The rows as the report names them. Call it once, before `name`."""
        folded: dict[str, Row] = {}
        for row in rows:
            self._names[row.name] = self._families.of(row.name)
            _into(folded, self._names[row.name], row)
        paid = sum(row.paid_nusd for row in folded.values())
        small = {
            name
            for name, row in folded.items()
            if not self.text(name) and not _is_special(name) and row.paid_nusd < SHARE_MIN * paid
        }
        self._names = {raw: OTHERS if name in small else name for raw, name in self._names.items()}
        named: dict[str, Row] = {}
        for name, row in folded.items():
            _into(named, OTHERS if name in small else name, row)
        return list(named.values())

    def name(self, id_: str) -> str:
        """What `fold` called the row of this id; an id that is in none of them is one of many."""
        name = self._names.get(id_) or self._families.of(id_)
        return name if self.text(name) or _is_special(name) or id_ in self._names else OTHERS

    def renamed(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of another period, under the names that `fold` gave."""
        named: dict[str, Row] = {}
        for row in rows:
            _into(named, self.name(row.name), row)
        return list(named.values())

    def text(self, name: str) -> str | None:
        """The template's words, `<*>` where they differ."""
        return self._families.text(name)


def _is_special(name: str) -> bool:
    return name in (NO_PROMPT, IDLE)


def _into(rows: dict[str, Row], name: str, row: Row) -> None:
    rows.setdefault(name, Row(name)).add(row)
