"""What Anthropic's own SDK makes of bytes that the gateway would send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.sse import EventParser, event_data

EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
ASKED: dict[str, Any] = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def client(status: int, content_type: str, body: bytes, **headers: str) -> anthropic.Anthropic:
    """The SDK in front of a server that answers so."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type, **headers}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="x", base_url="http://gateway", http_client=transport, max_retries=0)


def accumulated(stream: bytes, seen: Callable[[Any], None] = lambda event: None) -> dict[str, Any]:
    """The final message of a stream, as the SDK puts it together. seen: told each event."""
    sdk = client(200, "text/event-stream", stream)
    with sdk.messages.stream(**ASKED) as events:
        for event in events:
            seen(event)
        return events.get_final_message().model_dump(mode="json", exclude_unset=False)


def parsed(body: bytes) -> dict[str, Any]:
    """A whole message as the SDK has it, which is of its type."""
    Message.model_validate_json(body, strict=True)
    return client(200, "application/json", body).messages.create(**ASKED).model_dump(mode="json", exclude_unset=False)


def kinds(stream: bytes) -> list[tuple[str, int | None]]:
    """(type, index) of each event, each checked against the SDK's types; pings are none of them."""
    found = []
    for event in EventParser().feed(stream):
        data = event_data(event)
        assert data is not None
        if data != b'{"type":"ping"}':
            EVENTS.validate_json(data)
        fields = TypeAdapter(dict[str, Any]).validate_json(data)
        assert event.startswith(b"event: " + fields["type"].encode() + b"\ndata: ")
        found.append((fields["type"], fields.get("index")))
    return found
