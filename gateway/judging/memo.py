"""Verdicts by the hash of the text they are on: bounded, the least recently asked for out first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")
TEXTS_MAX: Final = 4_096


def text_key(text: str, version: str) -> bytes:
    """16 bytes that stand for a text and for who judges it; the text cannot be had back from them."""
    return hashlib.blake2b(f"{version}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Memo(Generic[Value]):
    """For one thread. hits, misses: look-ups so far."""

    def __init__(self, texts_max: int = TEXTS_MAX) -> None:
        self._texts_max = texts_max
        self._kept: OrderedDict[bytes, Value] = OrderedDict()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Value | None:
        """What was said, None if it was not or is forgotten."""
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, value: Value) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._texts_max:
            self._kept.popitem(last=False)
