"""The ledger's tables as data: what columns they have, and how a row becomes a record. No SQL, no store.

Both stores make their tables, inserts and reading of this, and the export its schema, so that a column is added here alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, get_args

import msgspec

from gateway.attempt import Attempt
from gateway.ledger.base import Entry, Feedback, Template
from gateway.usage import Usage

Kind = Literal["text", "integer", "real", "flag", "json"]


@dataclass(frozen=True, slots=True)
class Column:
    """kind: `flag` is kept as 0 or 1, `json` as JSON text. is_required: never NULL. of: the field of the record's usage
    that it is made of; "" for the record's own field of that name."""

    name: str
    kind: Kind
    is_required: bool = False
    of: str = ""


@dataclass(frozen=True)
class Table:
    """id: the column that orders rows as they came, given by the store; "" if it has none. key: of a table of sums, the columns
    that tell its rows apart; they are the first."""

    name: str
    columns: tuple[Column, ...]
    id: str = ""
    key: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of its columns, without the id."""
        return tuple(column.name for column in self.columns)


def _columns(said: str) -> tuple[Column, ...]:
    """Of words as `team:text`, or `key:text!` for one that is never NULL."""
    words = [word.partition(":") for word in said.split()]
    return tuple(Column(name, _KINDS[kind.rstrip("!")], kind.endswith("!")) for name, _, kind in words)


_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in get_args(Kind)}
_USAGE_KINDS: Final[dict[str, Kind]] = {"estimated": "flag", "service": "text", "unpriced": "text"}
_OF_USAGE: Final = tuple(Column(f"usage_{name}", _USAGE_KINDS.get(name, "integer"), of=name) for name in Usage.__struct_fields__)
_OFTEN_SUMMED: Final = ("usage_input", "usage_output")

ENTRY: Final = Table(
    "entry",
    # Those that reports sum up stand first: both stores decode a row up to the last column that is asked for.
    _columns("""
        at:real! purpose:text! route:text model:text provider:text key:text! team:text prompt_id:text cache:text! outcome:text!
        verdict:text cost_nusd:integer overhead_nusd:integer! baseline_nusd:integer
    """)
    + tuple(column for column in _OF_USAGE if column.name in _OFTEN_SUMMED)
    + _columns("""
        request_id:text! tags:json! session:text dialect:text! requested_model:text! stream:flag! decided_by:text scores:json!
        draw:real! policy_hash:text! cache_entry:text status:integer! error:text ttft_ms:real duration_ms:real!
        overhead_ms:real! of:text uid:text
    """)
    + tuple(column for column in _OF_USAGE if column.name not in _OFTEN_SUMMED),
    id="id",
)

OF_ENTRY: Final = _columns("entry:integer! n:integer! at:real!")
"""The first columns of an attempt: the id of its entry, its place among the entry's attempts from 1, and the entry's time."""

ATTEMPT: Final = Table(
    "attempt",
    _columns("""
        provider:text! model:text! outcome:text! status:integer error:text fault:text is_hedge:flag! cost_nusd:integer
        ttft_ms:real duration_ms:real! busy_s:real! prefill_s:real! seam:text seam_chars:integer accept:json
    """)
    + _OF_USAGE,
)
"""Without OF_ENTRY, which the attempt itself does not know."""

FEEDBACK: Final = Table(
    "feedback",
    _columns("request_id:text! at:real! value:real! comment:text tags:json! uid:text entry:text"),
    id="id",
)

TEMPLATE: Final = Table("template", _columns("id:text! at:real! text:text! stands_for:json! uid:text"), id="n")


def _sums(name: str, key: tuple[Column, ...], summed: tuple[Column, ...]) -> Table:
    return Table(name, key + summed, key=tuple(column.name for column in key))


_OF_ENTRIES: Final = _columns(
    "purpose:text! route:text! model:text! provider:text! key:text! team:text! prompt_id:text! cache:text! outcome:text!"
)
_ENTRIES_SUMMED: Final = _columns("""
    requests:integer! input_tokens:integer! output_tokens:integer! cached_input_tokens:integer! reasoning_tokens:integer!
    estimated:integer! cost_nusd:integer! overhead_nusd:integer! baseline_nusd:integer! saved_nusd:integer!
    comparable_cost_nusd:integer! comparable_baseline_nusd:integer! unpriced:integer! not_comparable:integer!
    duration_ms:real! judged_right:integer! judged_wrong:integer! judged_unsure:integer!
""")
ROLLUP: Final = _sums("rollup", _columns("hour:integer!") + _OF_ENTRIES, _ENTRIES_SUMMED)
"""Sums over the entries of an hour; "" where an entry has none."""

ROLLUP_DAY: Final = _sums("rollup_day", _columns("day:integer!") + _OF_ENTRIES, _ENTRIES_SUMMED)
"""The same over those of a day (UTC)."""

ROLLUP_ATTEMPT: Final = _sums(
    "rollup_attempt",
    _columns("""
        hour:integer! purpose:text! route:text! key:text! team:text! entry_model:text! entry_provider:text! model:text!
        provider:text! outcome:text! is_hedge:flag!
    """),
    _columns("""
        calls:integer! input_tokens:integer! output_tokens:integer! cost_nusd:integer! settled_nusd:integer!
        comparable_nusd:integer! unpriced:integer! busy_s:real! prefill_s:real!
    """),
)
"""Sums over the attempts of an hour's entries."""

SUMS: Final = (ROLLUP, ROLLUP_DAY, ROLLUP_ATTEMPT)
TABLES: Final = (ENTRY, ATTEMPT, FEEDBACK, TEMPLATE, *SUMS)


def exported(table: Table) -> list[Column]:
    """All columns of a table as readers see it, the store's own ones first."""
    if table is ATTEMPT:
        return [*OF_ENTRY, *table.columns]
    return [*([Column(table.id, "integer", True)] if table.id else []), *table.columns]


def entry_of(row: Mapping[str, Any], attempts: Iterable[Mapping[str, Any]], feedback: Iterable[Mapping[str, Any]]) -> Entry:
    """The entry that a row was made of, with the attempts and the feedback of theirs."""
    return Entry(
        **_fields(ENTRY, row),
        usage=_usage_of(row),
        attempts=[Attempt(**_fields(ATTEMPT, one), usage=_usage_of(one)) for one in attempts],
        feedback=[Feedback(**_fields(FEEDBACK, one)) for one in feedback],
    )


def template_of(row: Mapping[str, Any]) -> Template:
    """The template that a row was made of."""
    return Template(**_fields(TEMPLATE, row))


def _fields(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {c.name: _decoded(c.kind, row[c.name]) for c in table.columns if not c.of}


def _usage_of(row: Mapping[str, Any]) -> Usage | None:
    if row["usage_input"] is None:
        return None
    # What is NULL was written when there was no such column.
    said = {c.of: _decoded(c.kind, row[c.name]) for c in _OF_USAGE}
    return Usage(**{name: value for name, value in said.items() if value is not None})


def _decoded(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "json":
        return msgspec.json.decode(value)
    return bool(value) if kind == "flag" else value
