"""What a Responses server sends, as far as it is looked at: the answer, its items, the stream's events. No I/O.

Items and events of types that are not read here are passed over, since servers and OpenAI itself add new ones at any time.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.chat import OPENAI_SEALED
from gateway.errors import UpstreamError
from gateway.providers.refusal import reported
from gateway.unpriced import of_item

Raw = msgspec.Raw
Json = dict[str, Any]
NOTHING: Final = Raw(b"null")  # not `Raw | None`, of which msgspec takes only the null

_USAGE_NAMES: Final = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
# Beginnings of the codes of what is wrong with the request and stays so.
_LASTING: Final = ("invalid_", "image_", "unsupported_", "empty_image", "failed_to_download_image", "bio_policy")


class _Typed(msgspec.Struct):
    type: str = ""


class Text(msgspec.Struct):
    """A part of a message or of reasoning. logprobs, annotations: of a message's text."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Json] | None = None
    logprobs: Raw = NOTHING


class Message(msgspec.Struct):
    """What the model says."""

    content: list[Text] | None = None


class Reasoning(msgspec.Struct):
    """What it thought: in its own words (content), in a summary, or sealed."""

    id: str | None = None
    summary: list[Text] | None = None
    content: list[Text] | None = None
    encrypted_content: str | None = None

    def text(self) -> str:
        """Its own words, else the summary's paragraphs."""
        said = [part.text or "" for part in self.content or []]
        return "".join(said) if any(said) else "\n\n".join(part.text or "" for part in self.summary or [])

    def sealed(self) -> Json | None:
        """As an entry of `reasoning_details`, which a caller sends back with the turn."""
        if not self.encrypted_content:
            return None
        return {"type": "reasoning.encrypted", "format": OPENAI_SEALED, "id": self.id, "data": self.encrypted_content}


class FunctionCall(msgspec.Struct):
    """A call of a function."""

    call_id: str = ""
    id: str | None = None
    name: str = ""
    arguments: str | None = None

    def given(self) -> str:
        """Its arguments. Of a function without any an empty object: clients parse them as JSON, which "" is not."""
        return self.arguments or "{}"

    def fields(self, said: str) -> Json:
        """As a tool call. said: so much of its arguments."""
        return {"id": self.call_id or self.id, "type": "function", "function": {"name": self.name, "arguments": said}}

    def more(self, said: str) -> Json:
        """The same call, growing."""
        return {"function": {"arguments": said}}


class CustomCall(msgspec.Struct):
    """A call of a custom tool, whose input is any text."""

    call_id: str = ""
    id: str | None = None
    name: str = ""
    input: str | None = None

    def given(self) -> str:
        """Its input."""
        return self.input or ""

    def fields(self, said: str) -> Json:
        """As a tool call. said: so much of its input."""
        return {"id": self.call_id or self.id, "type": "custom", "custom": {"name": self.name, "input": said}}

    def more(self, said: str) -> Json:
        """The same call, growing."""
        return {"custom": {"input": said}}


Item = Message | Reasoning | FunctionCall | CustomCall
_ITEMS: Final[dict[str, type[Item]]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": FunctionCall,
    "custom_tool_call": CustomCall,
}


class _Likely(msgspec.Struct):
    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None


class _Token(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_Likely] | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """The answer."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    output: list[Raw] | None = None
    error: Raw = NOTHING
    incomplete_details: _Incomplete | None = None
    usage: Raw = NOTHING
    service_tier: Raw = NOTHING

    def head(self, kind: str) -> Json:
        """What every chat object of this answer has. kind: its `object`."""
        return {"id": self.id or "", "object": kind, "created": int(self.created_at or 0), "model": self.model or ""}

    def finish(self, *, has_calls: bool) -> str:
        """The finish_reason."""
        if self.status == "incomplete":
            reason = self.incomplete_details.reason if self.incomplete_details is not None else None
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if has_calls else "stop"


class EventHead(msgspec.Struct):
    """What every stream event may have, also one of an unknown type."""

    type: str = ""
    error: Raw = NOTHING


class Event(msgspec.Struct):
    """A stream event that is read. Which of these are set depends on its type."""

    type: str
    output_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    item: Raw = NOTHING
    response: Raw = NOTHING
    logprobs: Raw = NOTHING
    annotation: Raw = NOTHING


_decode_typed = msgspec.json.Decoder(_Typed).decode


def read_item(raw: Raw) -> Item | None:
    """An item of the output; None for one of a type that is not known here. Raises msgspec.DecodeError."""
    kind = _ITEMS.get(_decode_typed(raw).type)
    return None if kind is None else msgspec.json.decode(raw, type=kind)


def unpriced_item(raw: Raw) -> str | None:
    """What an item stands for that no price is for, as a search; None if its tokens are all. Raises msgspec.DecodeError."""
    return of_item(_decode_typed(raw).type)


def failed(name: str, error: bytes, secret: str | None = None) -> UpstreamError:
    """The model failed to answer, under a status of 200. error: `{"code", "message"}`, or null.

    What is wrong with the request itself is not asked of this target again.
    """
    if error in (b"", b"null"):
        error = b'{"message": "the response failed without an error"}'
    exc = reported(name, error, secret)
    if exc.code is not None and exc.code.startswith(_LASTING):
        exc.is_retryable = False
    return exc


def chat_logprobs(raw: Raw) -> list[Json]:
    """Of tokens, with what the chat dialect has beside; [] where there are none. Raises msgspec.DecodeError."""
    tokens: list[Json] = msgspec.to_builtins(msgspec.json.decode(raw, type=list[_Token] | None)) or []
    return [{**token, "top_logprobs": token["top_logprobs"] or []} for token in tokens]


def chat_usage(raw: Raw) -> Json | None:
    """`usage` under the chat dialect's names, details and unknown fields kept; None where there is none."""
    try:
        usage = msgspec.json.decode(raw, type=Json | None)
    except msgspec.DecodeError:
        return None
    return {_USAGE_NAMES.get(name) or name: value for name, value in usage.items()} if usage else None


def chat_annotation(annotation: Json, offset: int) -> Json:
    """A citation in the chat dialect's shape. offset: characters of the answer before the text that it is counted in.

    Of other kinds than url_citation the chat dialect knows nothing; their fields are nested in the same way.
    """
    kind = str(annotation.get("type", ""))
    inner = {name: value for name, value in annotation.items() if name != "type"}
    for name in ("start_index", "end_index"):
        if isinstance(inner.get(name), int):
            inner[name] += offset
    return {"type": kind, kind: inner}
