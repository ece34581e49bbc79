"""A stream of OpenAI Responses events as chat chunks. No I/O.

Says what a whole answer says (responses_answer.py). An item that came without deltas is said when it is done. The answer is
whole with response.completed or response.incomplete and not before: a response.failed is an error, whatever came before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.chat import sse
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.pieces import sold
from gateway.providers.refusal import UNREADABLE
from gateway.providers.responses_answer import PARAGRAPH
from gateway.providers.responses_wire import (
    NOTHING,
    CustomCall,
    Event,
    EventHead,
    FunctionCall,
    Item,
    Json,
    Message,
    Raw,
    Reasoning,
    Response,
    chat_annotation,
    chat_logprobs,
    chat_usage,
    failed,
    read_item,
    unpriced_item,
)
from gateway.wire_usage import read_usage

_TEXTS: Final = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning_content",
    "response.reasoning_summary_text.delta": "reasoning_content",
}
_ARGUMENTS: Final = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
_ANNOTATION: Final = "response.output_text.annotation.added"
_ENDS: Final = ("response.completed", "response.incomplete")
_FAILURES: Final = ("response.failed", "response.cancelled")
_READ: Final = frozenset(
    {
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_item.done",
        _ANNOTATION,
        *_TEXTS,
        *_ARGUMENTS,
        *_ENDS,
        *_FAILURES,
    }
)
_decode_head = msgspec.json.Decoder(EventHead).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_response = msgspec.json.Decoder(Response).decode


class _Open:
    """An item under way. call: its place among the tool calls. said: characters of it that have been passed on. thinks_in: which
    events its reasoning is taken from, since some servers tell it in full and in summary. paragraph: of the summary.
    """

    def __init__(self, item: Item | None = None, call: int | None = None) -> None:
        self.item, self.call = item, call
        self.said = 0
        self.fields: set[str] = set()  # in which it has been said
        self.thinks_in: str | None = None
        self.paragraph = 0


class ResponsesTranslation:
    """One stream: feed it each event's data, in order. secret: kept out of errors.

    is_native: the caller gets the events themselves as well, so that an item of a type unknown here is content.
    """

    def __init__(self, name: str, secret: str | None = None, *, is_native: bool = False) -> None:
        self._name, self._secret, self._is_native = name, secret, is_native
        self._head: Json = {}
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._said = {"content": 0, "reasoning_content": 0, "refusal": 0}  # characters so far
        self._part_starts = 0  # where the part under way begins in the content: citations count from there
        self._entries = {"annotations": 0, "reasoning_details": 0}
        self._has_items = False
        self._unpriced: str | None = None  # what was sold that no price is for

    def feed(self, data: bytes) -> list[Piece]:
        """What the event says to the caller, often one piece. Raises UpstreamError."""
        try:
            head = _decode_head(data)
            if head.type == "error" or bytes(head.error) != b"null":
                raise failed(self._name, data, self._secret)
            # Others are the ends of what has been said, or of OpenAI's own tools, or new.
            return list(self._read(_decode_event(data))) if head.type in _READ else []
        except UNREADABLE as exc:
            raise self._malformed(f"a stream event is not a Responses event: {exc}") from exc

    def _read(self, event: Event) -> Iterator[Piece]:
        match event.type:
            case "response.created":
                self._head = _decode_response(event.response).head("chat.completion.chunk")
                yield self._piece({"role": "assistant", "content": ""}, has_content=False)
            case "response.output_item.added":
                self._sold(event.item)
                yield from self._begun(event.output_index, read_item(event.item))
            case "response.content_part.added":
                item = self._item(event)
                self._part_starts = self._said["content"] + len(self._between(item, "content"))
            case kind if kind == _ANNOTATION:
                annotation = msgspec.json.decode(event.annotation, type=Json)
                yield self._entered("annotations", [chat_annotation(annotation, self._part_starts)])
            case "response.output_item.done":
                self._sold(event.item)
                yield from self._done(self._open.pop(event.output_index, _Open()), read_item(event.item))
            case kind if kind in _ENDS:
                yield from self._ended(_decode_response(event.response))
            case kind if kind in _FAILURES:
                raise failed(self._name, bytes(_decode_response(event.response).error), self._secret)
            case kind if kind in _TEXTS:
                yield from self._grown(event)
            case kind if kind in _ARGUMENTS:
                item = self._item(event)
                if item.call is not None:  # else it is said when it is done
                    yield from self._called(item, event.delta or "")

    def _malformed(self, what: str) -> UpstreamError:
        return UpstreamError(f"{self._name}: {what}", fault="malformed")

    def _item(self, event: Event) -> _Open:
        return self._open.setdefault(event.output_index, _Open())

    def _begun(self, index: int, item: Item | None) -> Iterator[Piece]:
        self._has_items = True
        begun = self._open[index] = _Open(item)
        if isinstance(item, FunctionCall | CustomCall):
            yield self._call_begun(begun, item)
        elif item is None and self._is_native:
            yield sold(Piece(has_content=True), self._unpriced)

    def _sold(self, item: Raw) -> None:
        self._unpriced = self._unpriced or unpriced_item(item)

    def _call_begun(self, begun: _Open, item: FunctionCall | CustomCall) -> Piece:
        begun.item, begun.call = item, self._calls
        self._calls += 1
        return self._piece({"tool_calls": [{"index": begun.call, **item.fields("")}]}, text=item.name)

    def _called(self, begun: _Open, arguments: str) -> Iterator[Piece]:
        item = begun.item
        if arguments and isinstance(item, FunctionCall | CustomCall):
            begun.said += len(arguments)
            yield self._piece({"tool_calls": [{"index": begun.call, **item.more(arguments)}]}, text=arguments)

    def _grown(self, event: Event) -> Iterator[Piece]:
        item, field, between = self._item(event), _TEXTS[event.type], ""
        if field == "reasoning_content":
            if item.thinks_in not in (None, event.type):
                return
            item.thinks_in = event.type
            between = PARAGRAPH if item.said and event.summary_index != item.paragraph else ""
            item.paragraph = event.summary_index
        yield from self._told(item, field, event.delta or "", event.logprobs, between)

    def _told(self, item: _Open, field: str, text: str, logprobs: Raw = NOTHING, between: str = "") -> Iterator[Piece]:
        if text:
            text = (between if field in item.fields else self._between(item, field)) + text
            item.fields.add(field)
            item.said += len(text)
            self._said[field] += len(text)
            yield self._piece({field: text}, text=text, logprobs=chat_logprobs(logprobs))

    def _entered(self, field: str, entries: list[Json]) -> Piece:
        """More of a list, each with its place in it: SDKs that put deltas together insist on that."""
        first = self._entries[field]
        self._entries[field] += len(entries)
        return self._piece({field: [{"index": n, **entry} for n, entry in enumerate(entries, start=first)]})

    def _between(self, item: _Open, field: str) -> str:
        """What stands before the first words of another item than the first."""
        return PARAGRAPH if self._said[field] and field != "refusal" and field not in item.fields else ""

    def _done(self, begun: _Open, item: Item | None) -> Iterator[Piece]:
        """What has not been said of an item."""
        self._has_items = True
        match item:
            case Message() if not begun.said:
                for part in item.content or []:
                    yield from self._told(begun, "refusal", part.refusal or "")
                    starts = self._said["content"] + len(self._between(begun, "content"))
                    yield from self._told(begun, "content", part.text or "", part.logprobs)
                    cited = [chat_annotation(one, starts) for one in part.annotations or []]
                    if cited:
                        yield self._entered("annotations", cited)
            case Reasoning():
                if not begun.said:
                    yield from self._told(begun, "reasoning_content", item.text())
                if sealed := item.sealed():
                    yield self._entered("reasoning_details", [sealed])
            case FunctionCall() | CustomCall():
                if begun.call is None:
                    yield self._call_begun(begun, item)
                yield from self._called(begun, item.given()[begun.said :])

    def _ended(self, response: Response) -> Iterator[Piece]:
        if not self._head:
            self._head = response.head("chat.completion.chunk")
        if not self._has_items:  # a server that tells all of it at the end
            for raw in response.output or []:
                yield from self._done(_Open(), read_item(raw))
        for raw in response.output or []:
            self._sold(raw)
        finish = response.finish(has_calls=self._calls > 0)
        yield sold(self._piece({}, finish=finish, has_content=False), self._unpriced)
        usage = chat_usage(response.usage)
        if usage is not None:
            tier = {} if bytes(response.service_tier) == b"null" else {"service_tier": response.service_tier}
            counted = read_usage(Raw(msgspec.json.encode(usage)), response.service_tier)
            told = Piece(sse({**self._head, "choices": [], **tier, "usage": usage}), usage=counted, is_usage_only=True)
            yield sold(told, self._unpriced)
        yield Piece(is_end=True)

    def _piece(
        self,
        delta: Json,
        finish: str | None = None,
        *,
        text: str = "",
        logprobs: list[Json] | None = None,
        has_content: bool = True,
    ) -> Piece:
        if not self._head:
            raise self._malformed("the stream does not begin with response.created")
        told = {"content": logprobs, "refusal": None} if logprobs else None
        data = sse({**self._head, "choices": [{"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish}]})
        return Piece(data, has_content=has_content, text=text, finish=finish)
