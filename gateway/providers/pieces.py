"""From chat bytes that any adapter has in hand to Pieces."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.chat import Choice, Chunk, read_service_tier, read_whole, worst_finish
from gateway.chat_forms import to_events
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.refusal import UNREADABLE, reported, unreadable
from gateway.sse import event_data
from gateway.usage import Usage
from gateway.wire_usage import ABSENT, read_usage

NO_CHOICE: Final = Choice()  # of an answer that has none: there is no message in it either


def piece_of(event: bytes, chunk: Chunk) -> Piece:
    """What a well-formed event means."""
    has_content, text, finish = False, "", None
    for choice in chunk.choices or ():
        if choice.finish_reason:
            finish = worst_finish(finish, choice.finish_reason)
        if choice.delta is not None and (said := choice.delta.said()) is not None:
            has_content = True
            text += said
    is_counted = chunk.usage != ABSENT
    return Piece(
        data=event,
        has_content=has_content,
        text=text,
        usage=read_usage(chunk.usage, read_service_tier(event_data(event) or b"{}")) if is_counted else None,
        is_usage_only=is_counted and not chunk.choices,
        finish=finish,
    )


def sold(piece: Piece, unpriced: str | None) -> Piece:
    """The piece, telling that something was sold that no price is for, also where nothing else is counted. None: it was not."""
    if unpriced is None:
        return piece
    usage = piece.usage or Usage(estimated=True)
    return msgspec.structs.replace(piece, usage=msgspec.structs.replace(usage, unpriced=unpriced))


def whole_pieces(name: str, body: bytes, *, as_stream: bool, secret: str | None = None) -> list[Piece]:
    """A whole answer, checked, as pieces. Raises UpstreamError if it is an error or no answer at all."""
    try:
        chunk = read_whole(body)
    except UNREADABLE as exc:
        raise unreadable(name, "a chat completion", body, exc) from exc
    if chunk.error != ABSENT:
        raise reported(name, bytes(chunk.error), secret)
    finish, said, has_content = None, "", False
    for choice in chunk.choices or (NO_CHOICE,):
        if choice.message is None:
            raise UpstreamError(f"{name}: the answer holds no message", fault="empty", is_retryable=True)
        finish = worst_finish(finish, choice.finish_reason)
        if (text := choice.message.said()) is not None:
            has_content = True
            said += text
    usage = read_usage(chunk.usage, chunk.service_tier)
    if not as_stream:
        return [Piece(data=body, has_content=has_content, text=said, usage=usage, finish=finish, is_end=True)]
    events = to_events(body)
    return [Piece(data=events, has_content=has_content, text=said, usage=usage, finish=finish), Piece(is_end=True)]
