"""What a recorded request holds, against what a feature declares and what the vendor's SDK would have sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Absent:
    """There is no such field."""


ABSENT: Final = Absent()


@dataclass(frozen=True)
class Parsed:
    """A text that is this as JSON."""

    value: Any


@dataclass(frozen=True)
class Among:
    """A list that holds this."""

    item: Any


def mismatches(given: Any, wanted: Any, where: str = "body") -> Iterator[str]:
    """Where `given` is not what is wanted: an object may hold more than the wanted fields, a list no more items."""
    match wanted:
        case Parsed(value):
            yield from mismatches(json.loads(given), value, f"{where} as JSON")
        case Among(item):
            if not isinstance(given, list) or all(any(mismatches(one, item)) for one in given):
                yield f"{where} holds no {item!r}: {given!r}"
        case Mapping() if isinstance(given, dict):
            for name, value in wanted.items():
                if value is ABSENT:
                    if name in given:
                        yield f"{where}.{name} should not be there, and is {given[name]!r}"
                elif name not in given:
                    yield f"{where}.{name} is missing, among {sorted(given)}"
                else:
                    yield from mismatches(given[name], value, f"{where}.{name}")
        case list() if isinstance(given, list) and len(given) == len(wanted):
            for i, (one, other) in enumerate(zip(given, wanted, strict=True)):
                yield from mismatches(one, other, f"{where}[{i}]")
        case _:
            if given != wanted:
                yield f"{where} is {given!r}, not {wanted!r}"


def names(value: Any) -> Iterator[str]:
    """Every field name in a body, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner)
