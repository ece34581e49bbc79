"""Bodies that are wrong in their own ways, made here: each with its name, around what a right body would be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

DEPTH: Final = 100_000


def malformed(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of what is no JSON at all, or not in UTF-8. body: a right one."""
    right = json.dumps(body).encode()
    field = right[:-1] + b', "x": '
    yield "nothing", b""
    yield "blanks", b" \r\n\t"
    yield "cut short", right[:-1]
    yield "cut in a text", right[: right.rindex(b'"')]
    yield "trailing text", right + b" and more"
    yield "two bodies", right + right
    yield "trailing comma", right[:-1] + b",}"
    yield "single quotes", right.replace(b'"', b"'")
    yield "a comment", b"/* hello */" + right
    yield "a byte order mark", b"\xef\xbb\xbf" + right
    yield "UTF-16", json.dumps(body).encode("utf-16")
    yield "UTF-16 without a mark", json.dumps(body).encode("utf-16-le")
    yield "UTF-32", json.dumps(body).encode("utf-32")
    yield "Latin-1", field + '"é"}'.encode("latin-1")
    yield "half a character", field + b'"\xe2\x82"}'
    yield "a surrogate in UTF-8", field + b'"\xed\xa0\xbd"}'
    yield "an overlong slash", field + b'"\xc0\xaf"}'
    yield "past Unicode's end", field + b'"\xf4\x90\x80\x80"}'
    yield "a NUL behind it", right + b"\x00"
    yield "NULs alone", b"\x00" * 64
    yield "a NUL in a text", field + b'"a\x00b"}'
    yield "a line break in a text", field + b'"a\nb"}'
    yield "a wrong escape", field + rb'"\x41"}'
    yield "a short escape", field + rb'"\u12"}'
    yield "NaN", field + b"NaN}"
    yield "Infinity", field + b"-Infinity}"
    yield "a leading zero", field + b"01}"
    yield "a plus", field + b"+1}"
    yield "a hexadecimal number", field + b"0x10}"
    yield "a number cut short", field + b"1e}"
    yield "no quotes", field + b"yes}"
    yield "Python's None", field + b"None}"
    yield "a form", b"model=auto&messages=hello"
    yield "XML", b'<?xml version="1.0"?><model>auto</model>'
    yield "gzip", bytes.fromhex("1f8b0800") + right
    yield "deep lists", field + b"[" * DEPTH
    yield "deep objects", field + b'{"a":' * DEPTH
    yield "deep lists alone", b"[" * DEPTH
    yield "deep and closed", b"[" * DEPTH + b"]" * DEPTH
    yield "a long key without an end", b'{"' + b"k" * 1_000_000


def not_objects() -> Iterator[tuple[str, bytes]]:
    """JSON that is no object."""
    for text in ("null", "true", "7", "-1.5e300", '"auto"', "[]", "[{}]", '"' + "x" * 100_000 + '"'):
        yield text[:10], text.encode()


def odd(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """What parsers may read, or refuse: an answer or a 400 is right, a 500 never."""
    right = json.dumps(body).encode()
    field = right[:-1] + b', "x": '
    yield "a key twice", right[:-1] + b"," + right[1:]
    yield "a lone surrogate", field + rb'"\ud800"}'
    yield "surrogates the wrong way round", field + rb'"\udc00\ud800"}'
    yield "a NUL, escaped", field + rb'"\u0000"}'
    yield "a huge number", field + b"9" * 5000 + b"}"
    yield "a huge exponent", field + b"1e400}"
    yield "a tiny exponent", field + b"1e-400}"
    yield "a negative zero", field + b"-0}"
    yield "a long key", right[:-1] + b', "' + b"k" * 1_000_000 + b'": 1}'
    yield "an empty key", right[:-1] + b', "": 1}'
    yield "many keys", right[:-1] + b"".join(b', "k%d": 1' % place for place in range(20_000)) + b"}"
    yield "many lists", field + b"[" + b",".join([b"[]"] * 50_000) + b"]}"
    yield "deep in an unknown field, closed", field + b"[" * DEPTH + b"]" * DEPTH + b"}"
    yield "deep, but not too deep", field + b"[" * 500 + b"]" * 500 + b"}"
    yield "blanks around", b"\r\n\t " * 1000 + right + b" " * 1000
    yield "__proto__", right[:-1] + b', "__proto__": {"x": 1}}'
