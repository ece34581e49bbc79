"""Compressed bodies: all that went in comes out, however it was cut and however large it is, at a cost that grows no faster."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1.decoding import FED_BYTES, PIECE_BYTES_MAX, BodyDecoder
from gateway.http1.failures import BrokenOff
from tests.http1.played import cut
from tests.http1.wires import deflated

GZIP, ZLIB, BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decoded(pieces: Iterable[bytes], *, is_gzip: bool) -> tuple[BodyDecoder, bytes]:
    decoder, out = BodyDecoder(is_gzip), b""
    for piece in pieces:
        out += decoder.decode(piece)
        while decoder.is_pending:
            out += decoder.decode(b"")
    return decoder, out


@given(
    st.sampled_from([GZIP, ZLIB, BARE]),
    st.binary(max_size=200),
    st.integers(1, 500),
    st.lists(st.integers(0, 50_000), max_size=5),
)
def test_what_went_in_comes_out(bits: int, text: bytes, times: int, places: list[int]) -> None:
    decoder, out = decoded(cut(deflated(text * times, bits), places), is_gzip=bits == GZIP)
    decoder.end()
    assert out == text * times


@pytest.mark.parametrize("more", range(0, 300, 7))
def test_the_last_bytes_of_a_piece_hold_more_than_fits_into_it(more: int) -> None:
    text = bytes(PIECE_BYTES_MAX + more)
    decoder, out = decoded([deflated(text, BARE)], is_gzip=False)
    decoder.end()
    assert len(out) == len(text)


@pytest.mark.parametrize("more", range(0, 300, 7))
def test_what_was_flushed_is_given_though_the_body_goes_on(more: int) -> None:
    press = zlib.compressobj(wbits=GZIP)
    wire = press.compress(bytes(PIECE_BYTES_MAX + more)) + press.flush(zlib.Z_SYNC_FLUSH)
    _, out = decoded([wire[:-4]], is_gzip=True)  # without the empty block that marks a flush
    assert len(out) == PIECE_BYTES_MAX + more


def test_thousands_of_empty_gzips_cost_little_each() -> None:
    def cost_s(count: int) -> float:
        began = time.thread_time()
        decoder, out = decoded([gzip.compress(b"") * count + gzip.compress(b"end")], is_gzip=True)
        assert out == b"end" and not decoder.is_pending
        return time.thread_time() - began

    few = min(cost_s(4_000) for _ in range(3))
    assert cost_s(80_000) < 100 * few  # twenty times as much, and not four hundred


@pytest.mark.parametrize("behind", [b"\x00" * (3 * FED_BYTES), b"\x1f", b"junk"])
def test_bytes_behind_the_end_say_nothing(behind: bytes) -> None:
    assert decoded([gzip.compress(b"abc") + behind], is_gzip=True)[1] == b"abc"
    assert decoded([gzip.compress(b"abc"), behind], is_gzip=True)[1] == b"abc"
    assert decoded([deflated(b"abc", ZLIB) + behind], is_gzip=False)[1] == b"abc"
    exact = deflated(bytes(PIECE_BYTES_MAX), ZLIB)
    assert len(decoded([exact + behind], is_gzip=False)[1]) == PIECE_BYTES_MAX


def test_what_is_not_compressed_or_not_to_its_end_is_broken_off() -> None:
    with pytest.raises(BrokenOff):
        decoded([gzip.compress(b"abc") + gzip.compress(b"abc")[:10] + b"\xff" * 9], is_gzip=True)
    with pytest.raises(BrokenOff):
        decoded([deflated(b"abc" * 100, BARE)[:-2]], is_gzip=False)[0].end()
