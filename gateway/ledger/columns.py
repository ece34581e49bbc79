"""Records as the columns of their table: what a store writes of a batch.

By column, because a batch then costs a few calls for each column and not for each value: most columns of most batches hold
the same plain value throughout, and are looked at once. Knows the tables and no store.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from gateway.ledger.tables import Kind, Table
from gateway.usage import Usage

Values = Sequence[Any]


def columns_of(table: Table, records: Sequence[msgspec.Struct]) -> list[Values]:
    """The values of each of the table's columns, in the order of the records. Raises ValueError for what can never be kept."""
    if not records:
        return [()] * len(table.columns)
    try:
        fields: dict[str, Values] = dict(zip(records[0].__struct_fields__, zip(*map(astuple, records), strict=True), strict=True))
        usage = _of_usages(fields["usage"]) if "usage" in fields else {}
        return [_ENCODED[c.kind](usage[c.of] if c.of else fields[c.name]) for c in table.columns]
    except (TypeError, AttributeError, KeyError, OverflowError, RecursionError) as exc:
        raise ValueError(f"not a value that a ledger can keep: {exc!r}") from exc


def by_column(rows: Iterable[Sequence[Any]]) -> list[Values]:
    """Rows as columns; none of either."""
    return list(zip(*rows, strict=True))


def _of_usages(usages: Sequence[Usage | None]) -> dict[str, Values]:
    rows = [_NO_USAGE if usage is None else astuple(usage) for usage in usages]
    return dict(zip(Usage.__struct_fields__, by_column(rows), strict=True))


def _as_they_are(values: Values) -> Values:
    return values


def _flags(values: Values) -> Values:
    return [None if value is None else int(value) for value in values]


def _numbers(values: Values) -> Values:
    # SQLite would keep NULL for what is not a number, and PostgreSQL NaN, which makes NaN of every sum.
    if any(map(operator.ne, values, values)):
        raise ValueError("not a number is no value that a ledger can keep")
    return values


def _texts(values: Values) -> Values:
    return [msgspec.json.encode(value).decode() if value else _EMPTY[type(value)] for value in values]


_NO_USAGE: Final = (None,) * len(Usage.__struct_fields__)
_EMPTY: Final[dict[type, str | None]] = {type(None): None, dict: "{}", list: "[]"}
_ENCODED: Final[dict[Kind, Callable[[Values], Values]]] = {
    "text": _as_they_are,
    "integer": _as_they_are,
    "flag": _flags,
    "real": _numbers,
    "json": _texts,
}
