"""The headers of an answer, kept as the bytes they came in, and decoded one by one when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

Default = TypeVar("Default")


class Headers(Mapping[str, str]):
    """By name, in any case. Of several headers of a name the first counts."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        """raw: names in lower case."""
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return _text(self._raw[name.lower().encode()])

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: Default) -> str | Default: ...
    def get(self, name: str, /, default: object = None) -> object:
        value = self._raw.get(name.lower().encode())
        return default if value is None else _text(value)


def _text(value: bytes) -> str:
    """UTF-8 where it is; what is not comes back unchanged when it is encoded again the same way."""
    return value.rstrip(b" \t").decode("utf-8", "surrogateescape")
