"""Ids that nothing else has. Knows nothing of what they are for."""

from __future__ import annotations

import os
import time

_CHANCE_BYTES = 10
_AT_ONCE = 256
_chance: list[str] = []  # each of them is used once. Asking the kernel for 256 costs what asking for one does


def new_uid() -> str:
    """An id that no other record has, in 32 hexadecimal digits; later ones sort after earlier ones, to the millisecond.

    48 bits of time, then chance, as UUID version 7 (RFC 9562): new rows go to the end of the index. From any thread.
    """
    try:
        chance = _chance.pop()
    except IndexError:
        chance = _more()
    return f"{time.time_ns() // 1_000_000:012x}{chance}"


def _more() -> str:
    """One to be used at once, with the others kept."""
    drawn = os.urandom(_CHANCE_BYTES * _AT_ONCE).hex()
    width = 2 * _CHANCE_BYTES
    _chance.extend(drawn[at : at + width] for at in range(width, len(drawn), width))
    return drawn[:width]


os.register_at_fork(after_in_child=_chance.clear)  # or parent and child would give the same ones
