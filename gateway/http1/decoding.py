"""A body that was compressed though nobody asked for it, taken out of its gzip or deflate piece by piece."""

from __future__ import annotations

import zlib
from typing import Final

from gateway.http1.failures import BrokenOff, NotHttp

PIECE_BYTES_MAX: Final = 1024 * 1024  # of what one call gives: a few bytes can expand to gigabytes
FED_BYTES: Final = 8 * 1024  # at a time: what is behind the end of a gzip is copied, and a body can be thousands of empty ones
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_BEGINS: Final = b"\x1f\x8b"
_UNREADABLE: Final = frozenset({"br", "zstd"})


class BodyDecoder:
    """Feed it the body; take what it gives until it is empty."""

    def __init__(self, is_gzip: bool) -> None:
        self._is_gzip, self._has_begun = is_gzip, False
        self._inflating = zlib.decompressobj(_GZIP)
        self._rest = memoryview(b"")
        self._is_full = False

    @property
    def is_pending(self) -> bool:
        """Whether what was fed may give more."""
        return self._is_full or bool(self._rest)

    def decode(self, data: bytes) -> bytes:
        """The next piece, b"" if that needs more bytes. data: b"" while it is_pending. Raises BrokenOff."""
        if data:
            self._rest = memoryview(bytes(self._rest) + data if self._rest else data)
        if not self.is_pending:
            return b""
        data = bytes(self._rest[:FED_BYTES])
        if not self._has_begun:
            self._has_begun = True
            if not self._is_gzip:
                # "deflate" is in zlib's wrapping, and from some servers bare.
                self._inflating = zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS)
        elif self._inflating.eof:
            # gzip may be several, one behind the other. Any other bytes behind the end say nothing.
            if not self._is_gzip or not data.startswith(_GZIP_BEGINS[: len(data)]):
                self._rest, self._is_full = memoryview(b""), False
                return b""
            self._inflating = zlib.decompressobj(_GZIP)
        try:
            piece = self._inflating.decompress(data, PIECE_BYTES_MAX)
        except zlib.error as exc:
            raise BrokenOff(f"the body is not compressed as it says: {exc}") from exc
        self._rest = self._rest[len(data) - len(self._inflating.unconsumed_tail or self._inflating.unused_data) :]
        self._is_full = len(piece) == PIECE_BYTES_MAX  # then the last bytes may have more in them
        return piece

    def end(self) -> None:
        """The body has ended. Raises BrokenOff if a deflate stream has not; a gzip stream is often only flushed."""
        if self._has_begun and not self._is_gzip and not self._inflating.eof:
            raise BrokenOff("the compressed body is incomplete")


def decoder_for(encoding: str) -> BodyDecoder | None:
    """encoding: the content-encoding header. None for a body that is as it is, or in a coding that nobody knows.

    Raises NotHttp for a known one that cannot be read here.
    """
    name = encoding.strip().lower()
    if name in _UNREADABLE:
        raise NotHttp(f"the answer is encoded in {name}, which was not asked for")
    return BodyDecoder(name == "gzip") if name in ("gzip", "deflate") else None
