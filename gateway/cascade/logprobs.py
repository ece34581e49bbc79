"""Log-probabilities on the wire: ask for them, read them, and take them out again for a caller who did not ask.

The dialect's fields are `logprobs` and `top_logprobs` of a request, `choices[].logprobs.content` of an answer. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from classifiers.cascade.confidence import TokenChance, bounded
from gateway.chat import data_of
from gateway.providers.base import Piece
from gateway.sse import EventParser

Raw = msgspec.Raw
TOP = 2  # alternatives a token: the likeliest and the next are what a margin is made of

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_choices = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_NOTHING = (b"", b"null")


def asking_for_logprobs(body: bytes) -> tuple[bytes, bool]:
    """A request that asks for them, and whether its caller had asked already; then his own numbers stand."""
    fields = _fields(body)
    is_callers = bytes(fields.get("logprobs", Raw(b""))) == b"true"
    if not is_callers:
        fields.pop("top_logprobs", None)
    fields["logprobs"] = Raw(b"true")
    if bytes(fields.get("top_logprobs", Raw(b""))) in _NOTHING:
        fields["top_logprobs"] = Raw(b"%d" % TOP)
    return msgspec.json.encode(fields), is_callers


def _decoded(logprobs: bytes) -> Any:
    """What stands there; None where it cannot be read. Providers pass it on unread: a token cut inside a character, -1e999."""
    try:
        return msgspec.json.decode(logprobs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def token_chances(logprobs: Any) -> list[TokenChance]:
    """The tokens of a choice's `logprobs`, decoded; [] for none or for something else.

    A token without text is no content: llama.cpp lists the end of the answer, in whole answers only.
    """
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    chances = []
    for token in content if isinstance(content, list) else ():
        if not isinstance(token, Mapping) or not token.get("token"):
            continue
        given = token.get("logprob")
        if isinstance(given, int | float):
            chances.append(TokenChance(bounded(given), _lead(token.get("top_logprobs"))))
    return chances


def _lead(alternatives: Any) -> float | None:
    given = [a.get("logprob") for a in alternatives if isinstance(a, Mapping)] if isinstance(alternatives, list) else []
    numbers = sorted((bounded(n) for n in given if isinstance(n, int | float)), reverse=True)
    return numbers[0] - numbers[1] if len(numbers) > 1 else None


class LogprobTally:
    """Reads them off an answer's pieces as they come. keeps: the caller wants to see them; else they are taken out.

    by_choice: an answer's tokens so far, by the choice's index.
    """

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self.by_choice: dict[int, list[TokenChance]] = {}

    def take(self, piece: Piece, *, is_stream: bool) -> Piece:
        """The piece as the caller gets it."""
        if b'"logprobs"' not in piece.data:
            return piece
        if not is_stream:
            return msgspec.structs.replace(piece, data=self._read(piece.data))
        events = (self._event(event) for event in EventParser().feed(piece.data))
        return msgspec.structs.replace(piece, data=b"".join(events))

    def _event(self, event: bytes) -> bytes:
        data = data_of(event)
        if b'"logprobs"' not in data:
            return event
        read = self._read(data)
        return event if read is data else b"data: " + read + b"\n\n"

    def _read(self, data: bytes) -> bytes:
        """`data`, an answer's or an event's JSON, without them; what else it holds keeps its bytes."""
        fields = _fields(data)
        choices = _choices(fields["choices"]) if bytes(fields.get("choices", Raw(b""))) not in _NOTHING else []
        for choice in choices:
            raw = bytes(choice.get("logprobs", Raw(b"")))
            if raw not in _NOTHING:
                index = msgspec.json.decode(choice["index"]) if "index" in choice else 0
                self.by_choice.setdefault(index, []).extend(token_chances(_decoded(raw)))
                choice["logprobs"] = Raw(b"null")  # as OpenAI writes it where nobody asked
        if self._keeps:
            return data
        fields["choices"] = Raw(msgspec.json.encode(choices))
        return msgspec.json.encode(fields)
