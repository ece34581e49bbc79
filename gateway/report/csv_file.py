"""Tables as CSV (RFC 4180): a header, NULL as nothing, money in whole nano-USD where the column says so."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from gateway.ledger.tables import Column

# Of a text, what makes spreadsheets take it for a formula (OWASP, CSV Injection); the wide forms are the same to some.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


class CsvFile:
    """A table in a file, or in what is open for text, written in parts. Raises OSError.

    is_for_people: who may open it in a spreadsheet. A text that this would compute has a `'` before it, and is shown as it is.
    """

    def __init__(self, file: Path | TextIO, columns: Sequence[Column], *, is_for_people: bool = False) -> None:
        self._is_for_people = is_for_people
        self._names = [column.name for column in columns]
        self._file = file.open("w", encoding="utf-8", newline="") if isinstance(file, Path) else file
        self._is_ours = isinstance(file, Path)
        self._writer = csv.writer(self._file, lineterminator="\r\n")  # which has it quote either of the two
        self._writer.writerow(self._names)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._writer.writerows([self._cell(row[name]) for name in self._names] for row in rows)

    def _cell(self, value: object) -> object:
        if self._is_for_people and isinstance(value, str) and value.startswith(FORMULA_STARTS):
            return f"'{value}"
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_ours:
            self._file.close()
