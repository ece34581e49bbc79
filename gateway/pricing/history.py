"""What changes from one price map to the next, whether that can be believed, and how the older prices are kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from gateway.pricing.listing import Earlier, Listed, ListedPrice

LOST_MAX = Fraction(1, 2)  # of the models: a source that lacks more of them is broken or another one
MOVED_MAX = 100  # times dearer or cheaper: a unit that was mistaken; what really falls in price does so by less at a time

Models = Mapping[str, Listed]


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of models. dearer, cheaper: by what a thousand tokens in and out cost together; another change is `changed`."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    dearer: tuple[str, ...]
    cheaper: tuple[str, ...]
    changed: tuple[str, ...]


def changes(before: Models, after: Models) -> Changes:
    """What a source that says `after` changes of a map that says `before`. Models that were gone before are new again."""
    here = {name for name, listed in before.items() if listed.gone is None}
    both = sorted(name for name in here & after.keys() if not _is_same(before[name], after[name]))
    weight = {name: _weight(after[name]) - _weight(before[name]) for name in both}
    return Changes(
        new=tuple(sorted(after.keys() - here)),
        gone=tuple(sorted(here - after.keys())),
        dearer=tuple(name for name in both if weight[name] > 0),
        cheaper=tuple(name for name in both if weight[name] < 0),
        changed=tuple(name for name in both if weight[name] == 0),
    )


def doubts(before: Models, after: Models) -> list[str]:
    """Why a source cannot be believed, for people; empty if it can."""
    found = []
    gone = changes(before, after).gone
    here = sum(listed.gone is None for listed in before.values())
    if len(gone) > LOST_MAX * here:
        found.append(f"it lacks {len(gone)} of the {here} models that have a price now")
    moved = [name for name in sorted(before.keys() & after.keys()) if _is_far(before[name], after[name])]
    if moved:
        shown = ", ".join(moved[:5]) + (", …" if len(moved) > 5 else "")
        found.append(f"{len(moved)} prices moved by more than {MOVED_MAX} times: {shown}")
    return found


def merged(before: Models, after: Models, date: str) -> dict[str, Listed]:
    """What `after` says, with what was before it. date: the day `after` was read, on which what differs was seen to change.

    A model that is no longer there keeps its last price: what it was asked in the past has still to be priced.
    """
    models = dict(after)
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            models[name] = old if old.gone is not None else msgspec.structs.replace(old, gone=date)
            continue
        was = list(old.was)
        # What held for no day, since the map was read twice in one, is not kept.
        if not _is_same(old, new) and (not was or was[-1].until < date):
            was.append(_earlier(old, date))
        models[name] = msgspec.structs.replace(new, was=was)
    return models


def _is_same(one: ListedPrice, other: ListedPrice) -> bool:
    """Whether both cost the same, whatever else is said of them."""
    return one.price("") == other.price("")


def _earlier(listed: Listed, until: str) -> Earlier:
    names = ListedPrice.__struct_fields__
    return Earlier(until=until, **{name: getattr(listed, name) for name in names})


def _weight(listed: Listed) -> int:
    return listed.input + listed.output


def _is_far(one: Listed, other: Listed) -> bool:
    pairs = ((one.input, other.input), (one.output, other.output))
    return any(max(pair) > MOVED_MAX * min(pair) for pair in pairs)
