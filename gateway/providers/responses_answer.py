"""A whole OpenAI Responses answer as a chat completion. No I/O.

Several messages of one answer become one, a paragraph each. Reasoning becomes `reasoning_content`: the model's own words, else
their summary; sealed reasoning an entry of `reasoning_details`. Items of other types (what OpenAI's own tools did) have no place
there; only callers who speak the dialect can ask for them, and they get the answer as it came.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import UpstreamError
from gateway.providers.refusal import UNREADABLE, unreadable
from gateway.providers.responses_wire import (
    CustomCall,
    FunctionCall,
    Json,
    Message,
    Reasoning,
    Response,
    chat_annotation,
    chat_logprobs,
    chat_usage,
    failed,
    read_item,
    unpriced_item,
)

PARAGRAPH: Final = "\n\n"
OBJECTS: Final = ("response", "response.compaction")
ENDED: Final = ("completed", "incomplete", None)  # None: servers that leave the status out

_decode_response = msgspec.json.Decoder(Response).decode


def chat_body(name: str, body: bytes, secret: str | None = None, *, may_wait: bool = False) -> bytes:
    """A chat completion. name: the provider's. secret: kept out of errors. Raises UpstreamError.

    may_wait: an answer that the provider is still working on is one, with nothing in it yet.
    """
    try:
        response = _decode_response(body)
        message = _Answer().read(response).message()
    except UNREADABLE as exc:
        raise unreadable(name, "a Responses answer", body, exc) from exc
    error = bytes(response.error)
    # OpenAI's failed responses say so in their status. An error beside an answer is no reason to withhold the answer.
    if response.status == "failed" or (error != b"null" and not response.output):
        raise failed(name, error, secret)
    if response.object not in OBJECTS:
        raise UpstreamError(f"{name}: the answer is {response.object!r}, not a response", fault="malformed")
    if response.status not in ENDED and not may_wait:
        raise UpstreamError(f"{name}: the response is {response.status}, not complete", fault="cut", is_retryable=True)
    logprobs = message.pop("logprobs")
    finish = response.finish(has_calls="tool_calls" in message)
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    fields: Json = {**response.head("chat.completion"), "choices": [choice]}
    usage = chat_usage(response.usage)
    if usage is not None:
        fields["usage"] = usage
    if bytes(response.service_tier) != b"null":
        fields["service_tier"] = response.service_tier
    return msgspec.json.encode(fields)


def holds_more(body: bytes) -> bool:
    """Whether an answer has something that a chat completion has no place for: an item of another type, or one still to come."""
    response = _decode_response(body)
    return response.status not in ENDED or any(read_item(raw) is None for raw in response.output or ())


def unpriced(body: bytes) -> str | None:
    """What was sold with an answer that no price is for; None if its tokens are all."""
    sold = (unpriced_item(raw) for raw in _decode_response(body).output or ())
    return next((one for one in sold if one is not None), None)


class _Answer:
    """What the items of an answer add up to."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._sealed: list[Json] = []
        self._calls: list[Json] = []
        self._annotations: list[Json] = []
        self._logprobs: list[Json] = []

    def read(self, response: Response) -> _Answer:
        for raw in response.output or []:
            match read_item(raw):
                case Message() as message:
                    self._hear(message)
                case Reasoning() as reasoning:
                    if thought := reasoning.text():
                        self._thoughts.append(thought)
                    if sealed := reasoning.sealed():
                        self._sealed.append(sealed)
                case FunctionCall() | CustomCall() as call:
                    self._calls.append(call.fields(call.given()))
        return self

    def message(self) -> Json:
        """The assistant's message, and with it `logprobs`."""
        refusal = "".join(self._refusals) or None
        is_silent = self._text is None and not self._calls and refusal is None
        fields: Json = {"role": "assistant", "content": "" if is_silent else self._text, "refusal": refusal}
        if self._thoughts:
            fields["reasoning_content"] = PARAGRAPH.join(self._thoughts)
        more = {"reasoning_details": self._sealed, "annotations": self._annotations, "tool_calls": self._calls}
        fields |= {name: values for name, values in more.items() if values}
        return {**fields, "logprobs": {"content": self._logprobs, "refusal": None} if self._logprobs else None}

    def _hear(self, message: Message) -> None:
        between = PARAGRAPH if self._text else ""
        for part in message.content or []:
            if part.refusal:
                self._refusals.append(part.refusal)
            if part.text:
                said = (self._text or "") + between
                self._annotations += [chat_annotation(one, len(said)) for one in part.annotations or []]
                self._logprobs += chat_logprobs(part.logprobs)
                self._text, between = said + part.text, ""
