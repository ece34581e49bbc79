"""From a key to those that have it, for a great many keys."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Postings(Generic[K, V]):
    """Most keys have one value, which then needs no set of its own. A value is no set itself.

    Ten thousands of small sets would slow every full collection of the garbage collector down, and with it all requests.
    """

    def __init__(self) -> None:
        self._at: dict[K, V | set[V]] = {}

    def add(self, key: K, value: V) -> None:
        there = self._at.get(key)
        if there is None:
            self._at[key] = value
        elif isinstance(there, set):
            there.add(value)
        elif there != value:
            self._at[key] = {there, value}

    def remove(self, key: K, value: V) -> None:
        there = self._at.get(key)
        if isinstance(there, set):
            there.discard(value)
            if not there:
                del self._at[key]
        elif there == value:
            del self._at[key]

    def at(self, key: K) -> Collection[V]:
        there = self._at.get(key)
        if there is None:
            return ()
        return there if isinstance(there, set) else (there,)
