"""What is read off a text, kept for the next pair that the text is in: as much as a number of bytes allows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

ENTRY_BYTES: Final = 300  # of a text's head and its place here


class Memo(Generic[T]):
    """A function of a text that remembers its values; the least recently wanted are forgotten first.

    Bounded by bytes, not by a number of texts: what is read off a text is as large as the text is long, and a text of four
    thousand characters takes forty times what a question does. Safe to share between threads; a text that two of them
    want at once may be read twice.
    """

    def __init__(self, make: Callable[[str], T], bytes_of: Callable[[T], int], bytes_max: int) -> None:
        """bytes_of: what a value takes in memory, the text apart."""
        self._make, self._bytes_of, self._bytes_max = make, bytes_of, bytes_max
        # INVARIANT: the least recently wanted first.
        self._kept: dict[str, tuple[T, int]] = {}
        self._lock: Final = threading.Lock()
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many texts are remembered."""
        return len(self._kept)

    def __call__(self, text: str) -> T:
        with self._lock:
            known = self._kept.pop(text, None)
            if known is not None:
                self._kept[text] = known
                return known[0]
        value = self._make(text)
        # A text takes one, two or four bytes a character.
        size = ENTRY_BYTES + (len(text) if text.isascii() else 4 * len(text)) + self._bytes_of(value)
        with self._lock:
            self.size_bytes += size - self._kept.pop(text, (value, 0))[1]
            self._kept[text] = (value, size)
            while self.size_bytes > self._bytes_max:
                self.size_bytes -= self._kept.pop(next(iter(self._kept)))[1]
        return value

    def forget(self) -> None:
        """Remember nothing."""
        with self._lock:
            self._kept.clear()
            self.size_bytes = 0
