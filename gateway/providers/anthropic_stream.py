"""A stream of Anthropic's in the OpenAI chat dialect, event by event. No I/O.

Blocks and events of unknown types are passed over, as Anthropic's versioning asks of clients.
"""

from __future__ import annotations

import time

from gateway.chat import sse
from gateway.errors import UpstreamError
from gateway.providers.anthropic_answer import annotation, finished, thinking_block
from gateway.providers.anthropic_wire import (
    KNOWN_BLOCKS,
    Block,
    Delta,
    Event,
    Json,
    Message,
    StopDetails,
    WireUsage,
    decode_event,
    read_usage,
)
from gateway.providers.base import Piece
from gateway.providers.refusal import UNREADABLE, reported
from gateway.usage import Usage
from gateway.wire_usage import wire_usage


class StreamTranslation:
    """One stream: feed it each event's data, in order. secret: kept out of errors."""

    def __init__(self, name: str, secret: str | None = None) -> None:
        self._name, self._secret = name, secret
        self._head: Json = {}
        self._usage: WireUsage | None = None
        self._is_counted = False  # to the end; message_start has only the input
        self._blocks: dict[int, Block] = {}  # those under way
        self._calls: dict[int, int] = {}  # block index → index among the tool calls
        self._spoken: set[int] = set()  # tool blocks whose arguments have begun
        self._is_finished = False
        self._text_begin = self._text_end = 0  # of the latest block's text, within all of it
        self._listed: dict[str, int] = {}  # how many entries each list of the message has

    def feed(self, data: bytes) -> list[Piece]:
        """What the event says to the caller, often one piece. Raises UpstreamError."""
        return self.pieces(self.read(data))

    def read(self, data: bytes) -> Event:
        """The event. Raises UpstreamError."""
        try:
            return decode_event(data)
        except UNREADABLE as exc:
            raise self._malformed(f"a stream event is not Anthropic's: {exc}") from exc

    def pieces(self, event: Event) -> list[Piece]:
        """What the event says. Raises UpstreamError."""
        if event.type == "error" or bytes(event.error) != b"null":
            raise reported(self._name, bytes(event.error), self._secret)
        match event.type:
            case "message_start":
                return self._started(event.message)
            case "content_block_start" if event.content_block is not None:
                return self._block_started(event.index, event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._block_grown(event.index, event.delta)
            case "content_block_stop":
                return self._block_stopped(event.index)
            case "message_delta":
                return self._message_changed(event)
            case "message_stop":
                return self._ended()
        return []  # ping, and what may come

    def _malformed(self, what: str) -> UpstreamError:
        return UpstreamError(f"{self._name}: {what}", fault="malformed")

    def _event(self, delta: Json, **ending: str) -> bytes:
        if not self._head:
            raise self._malformed("the stream does not begin with message_start")
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **ending}
        return sse({**self._head, "choices": [choice]})

    def _started(self, message: Message | None) -> list[Piece]:
        if message is None:
            raise self._malformed("message_start holds no message")
        self._head = {
            "id": message.id,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": message.model,
        }
        self._usage = read_usage(message.usage)
        return [Piece(self._event({"role": "assistant", "content": ""}), usage=self.count())]

    def _block_started(self, index: int, block: Block) -> list[Piece]:
        self._blocks[index] = block
        self._text_begin = self._text_end
        if block.unpriced is not None:
            self._usage = (self._usage or WireUsage()).updated(WireUsage(unpriced=block.unpriced))
        if block.type == "text" and block.text:
            return [self._said("content", block.text)]
        if block.type == "thinking" and block.thinking:
            return [self._said("reasoning_content", block.thinking)]
        if block.type != "tool_use":
            return []
        self._calls[index] = len(self._calls)
        given = bytes(block.input).decode()
        given = "" if given == "{}" else given  # as a rule it is empty here and comes in deltas
        function = {"name": block.name, "arguments": given}
        return [self._called(index, {"id": block.id, "type": "function", "function": function}, given)]

    def _block_grown(self, index: int, delta: Delta) -> list[Piece]:
        block = self._blocks.get(index)
        if block is None:
            raise self._malformed(f"a delta for block {index}, which has not begun")
        if delta.text:
            return [self._said("content", delta.text)]
        if delta.thinking:
            block.thinking += delta.thinking
            return [self._said("reasoning_content", delta.thinking)]
        if delta.signature:
            block.signature = (block.signature or "") + delta.signature
        if delta.citation is not None and (note := annotation(delta.citation, self._text_begin, self._text_end)) is not None:
            return [Piece(self._event(self._entry("annotations", note)))]
        if delta.partial_json and index in self._calls:
            return [self._called(index, {"function": {"arguments": delta.partial_json}}, delta.partial_json)]
        return []

    def _block_stopped(self, index: int) -> list[Piece]:
        block = self._blocks.pop(index, None)
        if block is None:
            raise self._malformed(f"the end of block {index}, which has not begun")
        if index in self._calls and index not in self._spoken:
            # A tool without parameters: clients parse the arguments as JSON, which "" is not.
            return [self._called(index, {"function": {"arguments": "{}"}}, "{}")]
        thought = thinking_block(block)
        return [Piece(self._event(self._entry("thinking_blocks", thought)), has_content=True)] if thought else []

    def _message_changed(self, event: Event) -> list[Piece]:
        usage = read_usage(event.usage)
        if usage is not None:
            self._usage = (self._usage or WireUsage()).updated(usage)
            self._is_counted = usage.output_tokens is not None
        delta = event.delta or Delta()
        if not delta.stop_reason or self._is_finished:
            return []
        self._is_finished = True
        ending = finished(delta.stop_reason, delta.stop_sequence)
        details = delta.stop_details or StopDetails()
        refusal = details.explanation if ending["finish_reason"] == "content_filter" else None
        data = self._event({"refusal": refusal} if refusal else {}, **ending)
        return [Piece(data, has_content=bool(refusal), text=refusal or "", usage=self.count(), finish=ending["finish_reason"])]

    def _ended(self) -> list[Piece]:
        if not self._is_finished:
            raise UpstreamError(f"{self._name}: message_stop came without a stop_reason", fault="cut", is_retryable=True)
        usage = self.count()
        if usage is None or usage.estimated:
            return [Piece(is_end=True)]
        data = sse({**self._head, "choices": [], "usage": wire_usage(usage)})
        return [Piece(data, usage=usage, is_usage_only=True), Piece(is_end=True)]

    def count(self) -> Usage | None:
        """What the provider has counted so far: an estimate, until message_delta has the total."""
        return None if self._usage is None else self._usage.usage(estimated=not self._is_counted)

    def _entry(self, field: str, entry: Json) -> Json:
        """The next of a list, with its place in it: OpenAI's SDK puts lists together by the `index` of their entries."""
        index = self._listed[field] = self._listed.get(field, -1) + 1
        return {field: [{**entry, "index": index}]}

    def is_foreign(self, event: Event) -> bool:
        """Whether it is of a block that has no place in the chat dialect: a tool that Anthropic ran, and what came of it."""
        block = event.content_block or self._blocks.get(event.index)
        is_of_block = event.type in ("content_block_start", "content_block_delta")
        return is_of_block and block is not None and block.type not in KNOWN_BLOCKS

    def _said(self, field: str, text: str) -> Piece:
        if field == "content":
            self._text_end += len(text)
        return Piece(self._event({field: text}), has_content=True, text=text)

    def _called(self, index: int, call: Json, arguments: str) -> Piece:
        if arguments:
            self._spoken.add(index)
        data = self._event({"tool_calls": [{"index": self._calls[index], **call}]})
        return Piece(data, has_content=True, text=call["function"].get("name", "") + arguments)
