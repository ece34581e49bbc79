"""How a provider plays each fault: a Reply for a streamed and for a whole answer, in any wire."""

from __future__ import annotations

import email.utils
import gzip
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.scenario.faults.wires import Wire
from tests.scripted_server import CUT, HANG, RESET, Reply, Step

SLOW_S = 2.0  # longer than the short timeouts' first_token, shorter than half of their total
DATE_S = 4  # of a retry-after: far enough for a second to be lost in rounding and another in waiting for the processor
DRIP_S = 0.1  # between the tokens of a trickle; shorter than the short timeouts' idle

JSON, EVENTS, HTML, TEXT = "application/json", "text/event-stream", "text/html; charset=utf-8", "text/plain; charset=utf-8"
BROKEN = b'data: {"oops\n\n'
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"


@dataclass(frozen=True)
class Asked:
    """What a reply may depend on. number: of this request among the cell's, from 1."""

    wire: Wire
    is_stream: bool
    number: int


Play = Callable[[Asked], Reply]


def _reply(asked: Asked, *steps: Step, headers: Mapping[str, str] | None = None) -> Reply:
    """In chunks, as a stream comes; or with a length, as a whole body does."""
    content_type = EVENTS if asked.is_stream else JSON
    return Reply(steps, 200, {"content-type": content_type, **(headers or {})}, content_length=not asked.is_stream)


def well(asked: Asked) -> Reply:
    """The whole answer, as it should be."""
    wire = asked.wire
    return _reply(asked, wire.preamble, *wire.tokens, wire.end) if asked.is_stream else _reply(asked, wire.whole)


def _half(asked: Asked) -> list[Step]:
    """An answer up to its middle."""
    wire = asked.wire
    return [wire.preamble, *wire.tokens[:2]] if asked.is_stream else [wire.whole[: len(wire.whole) // 2]]


def hang_up(asked: Asked) -> Reply:
    return Reply([CUT], status=None)


def silent(asked: Asked) -> Reply:
    return Reply([HANG], status=None)


def headers_only(asked: Asked) -> Reply:
    return _reply(asked, HANG)


def preamble_only(asked: Asked) -> Reply:
    return _reply(asked, asked.wire.preamble, HANG)


def slow_start(asked: Asked) -> Reply:
    if not asked.is_stream:
        return _reply(asked, SLOW_S, asked.wire.whole)
    return _reply(asked, asked.wire.preamble, SLOW_S, *asked.wire.tokens, asked.wire.end)


def trickle(asked: Asked) -> Reply:
    wire = asked.wire
    drops: list[Step] = [wire.preamble, *wire.tokens[:1] * 200] if asked.is_stream else [b" "] * 200
    return _reply(asked, *(step for drop in drops for step in (drop, DRIP_S)))


def stall(asked: Asked) -> Reply:
    return _reply(asked, *_half(asked), HANG)


def cut_before(asked: Asked) -> Reply:
    return _reply(asked, *([asked.wire.preamble] if asked.is_stream else []), CUT)


def cut(asked: Asked) -> Reply:
    return _reply(asked, *_half(asked), CUT)


def reset(asked: Asked) -> Reply:
    return _reply(asked, *_half(asked), RESET)


def ends_early(asked: Asked) -> Reply:
    return _reply(asked, *_half(asked))


def broken_json(asked: Asked) -> Reply:
    """Whatever follows it, the answer has a hole."""
    wire = asked.wire
    if not asked.is_stream:
        return _reply(asked, wire.whole.replace(b":", b";", 1))
    return _reply(asked, *_half(asked), BROKEN, *wire.tokens[2:], wire.end)


def broken_json_first(asked: Asked) -> Reply:
    return _reply(asked, asked.wire.preamble, BROKEN, *asked.wire.tokens, asked.wire.end)


def error_event(asked: Asked) -> Reply:
    return _reply(asked, *_half(asked), asked.wire.error_event, HANG)


def error_event_first(asked: Asked) -> Reply:
    return _reply(asked, asked.wire.preamble, asked.wire.error_event, HANG)


def error_body(asked: Asked) -> Reply:
    return Reply([asked.wire.error], headers={"content-type": JSON}, content_length=True)


def empty(asked: Asked) -> Reply:
    wire = asked.wire
    return _reply(asked, wire.preamble, wire.silent_end or wire.end) if asked.is_stream else _reply(asked, wire.silent)


def status(code: int, *, message: str | None = None, once: bool = False, retry_after: str | None = None) -> Play:
    """An error status. retry_after: in seconds, or `date` for a date DATE_S away. once: the second time all is well."""

    def play(asked: Asked) -> Reply:
        if once and asked.number > 1:
            return well(asked)
        headers = {"content-type": JSON}
        if retry_after is not None:
            wait = email.utils.formatdate(time.time() + DATE_S, usegmt=True) if retry_after == "date" else retry_after
            headers["retry-after"] = wait
        given = asked.wire.refusal if message is None else json.dumps({"error": {"message": message}}).encode()
        return Reply([given], code, headers, content_length=True)

    return play


def status_and_silence(asked: Asked) -> Reply:
    return Reply([asked.wire.refusal[:9], HANG], 500, {"content-type": JSON}, content_length=True)


def status_and_cut(asked: Asked) -> Reply:
    return Reply([asked.wire.refusal[:9], CUT], 500, {"content-type": JSON}, content_length=True)


def page(asked: Asked) -> Reply:
    return Reply([PAGE], headers={"content-type": HTML}, content_length=True)


def as_text(asked: Asked) -> Reply:
    played = well(asked)
    return Reply(played.steps, 200, {"content-type": TEXT}, content_length=played.content_length)


def other_form(asked: Asked) -> Reply:
    """A whole body where a stream was asked for, and the other way round."""
    return well(Asked(asked.wire, not asked.is_stream, asked.number))


def big(asked: Asked) -> Reply:
    wire = asked.wire
    return _reply(asked, wire.preamble, wire.big_token, wire.big_end or wire.end) if asked.is_stream else _reply(asked, wire.big)


def split(asked: Asked) -> Reply:
    """Events cut in the middle, and several at once."""
    whole = b"".join(step for step in well(asked).steps if isinstance(step, bytes))
    return _reply(asked, *(whole[i : i + 37] for i in range(0, len(whole), 37)))


def gzipped(asked: Asked) -> Reply:
    whole = b"".join(step for step in well(asked).steps if isinstance(step, bytes))
    return _reply(asked, gzip.compress(whole), headers={"content-encoding": "gzip"})


def gzip_cut(asked: Asked) -> Reply:
    """The body ends well, what is packed in it does not."""
    half = b"".join(step for step in _half(asked) if isinstance(step, bytes))
    packed = gzip.compress(half)
    return _reply(asked, packed[:-12], headers={"content-encoding": "gzip"})


def _http10(asked: Asked, *steps: Step) -> Reply:
    head = f"HTTP/1.0 200 OK\r\ncontent-type: {EVENTS if asked.is_stream else JSON}\r\n\r\n"
    return Reply([head.encode(), *steps, CUT], status=None)


def http10(asked: Asked) -> Reply:
    return _http10(asked, *well(asked).steps)


def http10_cut(asked: Asked) -> Reply:
    return _http10(asked, *_half(asked))


def uncounted(asked: Asked) -> Reply:
    wire = asked.wire
    if not asked.is_stream:
        return _reply(asked, wire.uncounted)
    return _reply(asked, wire.uncounted_preamble, *wire.tokens, wire.uncounted_end)
