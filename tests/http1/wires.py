"""Answers as servers write them: good ones, odd ones and broken ones. Each is all that comes before the connection is closed."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

TEXT: Final = b'{"answer": "' + b"yes, " * 20 + b'"}'


def answer(*headers: bytes, body: bytes = b"", status: bytes = b"200 OK", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"HTTP/" + version + b" " + status, *headers, b"", body])


def sized(body: bytes, *headers: bytes, **more: bytes) -> bytes:
    return answer(b"Content-Length: %d" % len(body), *headers, body=body, **more)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: tuple[bytes, ...] = (), **more: bytes) -> bytes:
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return answer(b"Transfer-Encoding: chunked", *headers, body=body + end, **more)


def deflated(body: bytes, bits: int) -> bytes:
    press = zlib.compressobj(wbits=bits)
    return press.compress(body) + press.flush()


GOOD: Final = {
    "length": sized(TEXT, b"Content-Type: application/json"),
    "length of 0": sized(b"", status=b"404 Not Found"),
    "chunks": chunked(b"a", TEXT, b"0\r\n\r\n", b"\xff\x00"),
    "chunk extensions": answer(b"Transfer-Encoding: chunked", body=b'3;x=y;z="a b"\r\nabc\r\n0;last\r\n\r\n'),
    "trailers": chunked(b"abc", end=b"0\r\nX-Sum: 5\r\nContent-Type: none\r\n\r\n"),
    "until the end": answer(b"Content-Type: text/plain", body=TEXT),
    "until the end, empty": answer(b"Connection: close"),
    "HTTP/1.0": answer(b"Content-Type: text/plain", body=TEXT, version=b"1.0"),
    "HTTP/1.0 with a length": sized(TEXT, version=b"1.0"),
    "HTTP/1.0 kept": sized(TEXT, b"Connection: keep-alive", version=b"1.0"),
    "closed": sized(TEXT, b"Connection: close"),
    "no content": answer(b"X-A: b", status=b"204 No Content"),
    "not modified": answer(b"ETag: x", status=b"304 Not Modified"),
    "continue": answer(status=b"100 Continue") + sized(TEXT),
    "unknown interim": answer(b"X: y", b"Content-Length: 0", status=b"104 Upload Resumption Supported") + sized(TEXT),
    "early hints": answer(b"Link: </x>", status=b"103 Early Hints") * 3 + sized(TEXT),
    "processing": answer(status=b"102 Processing") + chunked(TEXT),
    "no reason": sized(TEXT, status=b"200"),
    "empty reason": sized(TEXT, status=b"200 "),
    "odd status": sized(TEXT, status=b"799 What"),
    "reason with odd bytes": sized(TEXT, status=b"200 \xe4\xf6 ok"),
    "upgrade offered": sized(TEXT, b"Upgrade: h2c", b"Connection: upgrade"),
    "bare line feeds": sized(TEXT, b"A: b").replace(b"\r\n", b"\n"),
    "folded header": sized(TEXT, b"X-Long: a\r\n  b\r\n\tc", b"X-After: d"),
    "spaces around a value": sized(TEXT, b"X-A:   b c \t ", b"X-B:d"),
    "empty value": sized(TEXT, b"X-Empty:", b"X-B: "),
    "latin-1 value": sized(TEXT, b"X-Name: J\xe4ger"),
    "utf-8 value": sized(TEXT, "X-Name: Jäger 😀".encode()),
    "control byte in a value": sized(TEXT, b"X-A: a\x01b"),
    "two of a name": sized(TEXT, b"Set-Cookie: a", b"set-cookie: b", b"Set-Cookie: c"),
    "long header": sized(TEXT, b"X-Long: " + b"y" * 8000),
    "line feeds before": b"\r\n\r\n" + sized(TEXT),
    "line feeds behind": sized(TEXT) + b"\r\n\r\n",
    "length of two spellings": answer(b"cOnTeNt-LeNgTh: 3", body=b"abc"),
    "more than the length": sized(TEXT) + b"and more",
    "another answer behind": sized(TEXT) + sized(b"not asked for"),
    "another answer behind chunks": chunked(TEXT) + sized(b"not asked for"),
    "gzip": sized(gzip.compress(TEXT), b"Content-Encoding: gzip"),
    "gzip in chunks": chunked(
        gzip.compress(TEXT)[:9], gzip.compress(TEXT)[9:10], gzip.compress(TEXT)[10:], headers=(b"Content-Encoding: GZIP",)
    ),
    "gzip until the end": answer(b"Content-Encoding: gzip", body=gzip.compress(TEXT)),
    "gzip, empty": sized(b"", b"Content-Encoding: gzip"),
    "two gzips": sized(gzip.compress(TEXT) + gzip.compress(b"!"), b"Content-Encoding: gzip"),
    "deflate": sized(deflated(TEXT, zlib.MAX_WBITS), b"Content-Encoding: deflate"),
    "bare deflate": sized(deflated(TEXT, -zlib.MAX_WBITS), b"Content-Encoding: deflate"),
    "identity": sized(TEXT, b"Content-Encoding: identity"),
    "unknown coding": sized(TEXT, b"Content-Encoding: utf-8"),
}
BROKEN: Final = {
    "nothing": b"",
    "half a status line": b"HTTP/1.",
    "half a head": answer(b"Content-Length: 3")[:-4],
    "less than the length": sized(TEXT)[:-1],
    "length and nothing": answer(b"Content-Length: 5"),
    "no last chunk": chunked(TEXT, end=b""),
    "half a chunk": chunked(TEXT, end=b"5\r\nab"),
    "no chunk": chunked(end=b""),
    "half a trailer": chunked(TEXT, end=b"0\r\nX: y\r\n"),
    "bad chunk size": chunked(TEXT, end=b"xyz\r\n"),
    "negative chunk size": chunked(end=b"-1\r\nabc\r\n"),
    "chunk longer than its size": answer(b"Transfer-Encoding: chunked", body=b"2\r\nabc\r\n0\r\n\r\n"),
    "HTML": b"<html><body>502</body></html>",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x16",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "HTTP/3.0": sized(TEXT, version=b"3.0"),
    "letters for a status": sized(TEXT, status=b"abc OK"),
    "status 099": sized(TEXT, status=b"099 What"),
    "interim with a body": answer(b"Content-Length: 9", status=b"104 Upload", body=sized(TEXT)[:9]) + sized(TEXT),
    "interim with chunks": chunked(b"abc", status=b"150 Odd") + sized(TEXT),
    "two digits for a status": sized(TEXT, status=b"20 OK"),
    "two lengths": answer(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd"),
    "length and chunks": answer(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    "length in words": answer(b"Content-Length: three", body=b"abc"),
    "negative length": answer(b"Content-Length: -3", body=b"abc"),
    "length without end": answer(b"Content-Length: " + b"9" * 30, body=b"abc"),
    "null in a value": sized(TEXT, b"X-A: a\x00b"),
    "null in a name": sized(TEXT, b"X\x00A: ab"),
    "space in a name": sized(TEXT, b"X A: ab"),
    "no name": sized(TEXT, b": ab"),
    "no colon": sized(TEXT, b"nothing"),
    "other protocol": answer(b"Upgrade: websocket", b"Connection: upgrade", status=b"101 Switching Protocols"),
    "gzip that is none": sized(b"this is no gzip at all", b"Content-Encoding: gzip"),
    "deflate that is none": sized(b"\xff\xff\xff\xff\xff", b"Content-Encoding: deflate"),
    "half a deflate": sized(deflated(TEXT, zlib.MAX_WBITS)[:-6], b"Content-Encoding: deflate"),
    "brotli": sized(b"\x0b\x02\x80hello\x03", b"Content-Encoding: br"),
}
WIRES: Final = {**GOOD, **BROKEN}
