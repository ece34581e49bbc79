"""What litellm makes of a provider's answer, back into chat bytes and Pieces. Imports no litellm."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.chat import read_chunk, read_service_tier, sse
from gateway.errors import UpstreamError
from gateway.providers.base import Piece
from gateway.providers.litellm_errors import upstream_error
from gateway.providers.litellm_gemini import Ends
from gateway.providers.pieces import piece_of, whole_pieces
from gateway.wire_usage import read_usage

Json = dict[str, Any]


class LiteLLMStream:
    """A streamed answer; each of litellm's chunks becomes one stream event, the usage one of its own at the end."""

    def __init__(self, name: str, chunks: Any, secrets: tuple[str, ...], ends: Ends | None = None) -> None:
        """ends: of a provider whose ends litellm makes up, who knows better."""
        self._name, self._chunks, self._secrets, self._ends = name, chunks, secrets, ends
        self._thoughts = _Thoughts()
        self._usage: Json | None = None
        self._head: Json = {}
        self._has_begun = False  # with some providers litellm sends the request at the first read
        self._is_finished = False

    async def read(self) -> list[Piece]:
        while True:
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return self._end()
            except Exception as exc:  # as in open()
                raise upstream_error(self._name, exc, self._secrets, is_under_way=self._has_begun) from exc
            self._has_begun = True
            piece = self._piece(chunk.model_dump(exclude_none=True))
            if piece is not None:
                return [piece]

    async def aclose(self) -> None:
        # litellm's wrapper closes the stream it wraps, if that can be closed. Some of its own (Anthropic's) cannot, and would
        # hold the connection until the garbage collector comes by.
        wrapped = getattr(self._chunks, "completion_stream", None)
        await self._chunks.aclose()
        close = getattr(getattr(wrapped, "streaming_response", None), "aclose", None)
        if close is not None:
            await close()

    def _piece(self, fields: Json) -> Piece | None:
        given = fields.pop("usage", None)
        _name_service(fields, given)
        usage = _wire_usage(given)
        if usage is not None:
            self._usage = usage  # the last count wins, wherever it stands
        choices = [_stream_choice(choice, self._thoughts) for choice in fields.get("choices") or ()]
        if any(choice["finish_reason"] for choice in choices):
            self._finish()
        choices = [c for c in choices if c["delta"] or c["finish_reason"]]
        fields = _told(fields)
        self._head = {**{k: fields[k] for k in ("id", "object", "created", "model") if k in fields}, "choices": []}
        if not choices:
            return None
        data = _encoded(self._name, {**fields, "choices": choices})
        try:
            piece = piece_of(b"data: " + data + b"\n\n", read_chunk(data))
            if usage is None:
                return piece
            # Should the stream break off, this is what is known of it.
            return msgspec.structs.replace(piece, usage=read_usage(msgspec.Raw(msgspec.json.encode(usage))))
        except msgspec.DecodeError as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a chat chunk: {exc}", fault="malformed") from exc

    def _finish(self) -> None:
        """Believe a finish_reason only if the provider sent one.

        Where a stream ends without, litellm makes up a "stop", which would pass a cut answer off as whole.
        """
        seen = [getattr(self._chunks, name, "?") for name in ("received_finish_reason", "intermittent_finish_reason")]
        if not any(seen) or (self._ends is not None and not self._ends.is_finished):
            raise self._cut()
        self._is_finished = True

    def _end(self) -> list[Piece]:
        if not self._is_finished:
            raise self._cut()
        if self._usage is None:
            return [Piece(is_end=True)]
        data = sse({**self._head, "usage": self._usage})
        usage = read_usage(read_chunk(data[6:]).usage, read_service_tier(data[6:]))
        return [Piece(data, usage=usage, is_usage_only=True), Piece(is_end=True)]

    def _cut(self) -> UpstreamError:
        return UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)


class LiteLLMWhole:
    """A whole answer, which litellm has read already. as_stream: the caller asked for a stream and got none.

    bound: the most tokens that were asked for, where litellm does not say whether they were all used up.
    """

    def __init__(self, name: str, answer: Any, *, as_stream: bool, secrets: tuple[str, ...], bound: int | None) -> None:
        self._name, self._answer, self._as_stream, self._secrets, self._bound = name, answer, as_stream, secrets, bound

    async def read(self) -> list[Piece]:
        fields: Json = self._answer.model_dump(exclude_none=True)
        given = fields.pop("usage", None)
        _name_service(fields, given)
        usage = _wire_usage(given)
        fields["choices"] = [_whole_choice(choice) for choice in fields.get("choices") or ()]
        if self._bound is not None and usage is not None and usage["completion_tokens"] >= self._bound:
            for choice in fields["choices"]:
                choice["finish_reason"] = "length"
        fields = _told(fields)
        body = _encoded(self._name, fields if usage is None else {**fields, "usage": usage})
        return whole_pieces(self._name, body, as_stream=self._as_stream, secret=next(iter(self._secrets), None))

    async def aclose(self) -> None:
        """The connection was given back when the answer had been read."""


def _encoded(name: str, fields: Json) -> bytes:
    """JSON of what litellm has read. Raises UpstreamError for half of a surrogate pair, which UTF-8 has no bytes for."""
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError as exc:
        raise UpstreamError(f"{name}: the answer holds a text that is no Unicode: {exc}", fault="malformed") from exc


def _told(fields: Json) -> Json:
    """Without what litellm adds for itself, and the empty lists of what there is none of."""
    return {k: v for k, v in fields.items() if k != "provider_specific_fields" and v not in ([], {})}


def _message(given: Json) -> Json:
    """A message, or what a stream adds to one. Gemini's signatures of thoughts stay: it wants them back in the next turn."""
    signatures = (given.get("provider_specific_fields") or {}).get("thought_signatures")
    kept = {"provider_specific_fields": {"thought_signatures": signatures}} if signatures else {}
    return {**_told(given), **kept}


def _stream_choice(choice: Json, thoughts: _Thoughts) -> Json:
    delta = _message(choice.get("delta") or {})
    blocks = thoughts.whole(delta.pop("thinking_blocks", None) or (), is_over=bool(choice.get("finish_reason")))
    if not delta.get("reasoning_content", "x"):
        del delta["reasoning_content"]
    return {
        "index": choice.get("index", 0),
        "delta": {**delta, "thinking_blocks": blocks} if blocks else delta,
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason"),
    }


def _whole_choice(choice: Json) -> Json:
    message = _message(choice.get("message") or {})
    finish = choice.get("finish_reason", "stop")
    return {
        "index": choice.get("index", 0),
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "logprobs": choice.get("logprobs"),
        "finish_reason": "tool_calls" if finish == "stop" and message.get("tool_calls") else finish,  # Cohere's
    }


class _Thoughts:
    """Puts thinking blocks together, which litellm hands on in pieces: in the canonical form each comes whole and signed."""

    def __init__(self) -> None:
        self._text = ""

    def whole(self, blocks: list[Json] | tuple[()], *, is_over: bool) -> list[Json]:
        """The blocks that these pieces complete. is_over: the answer ends, so a block that was never signed is left out."""
        found: list[Json] = []
        for block in blocks:
            if block.get("type") != "thinking":
                found.append(block)  # redacted thinking comes in one piece
                continue
            self._text += block.get("thinking") or ""
            if block.get("signature"):
                found.append({"type": "thinking", "thinking": self._text, "signature": block["signature"]})
                self._text = ""
        if is_over:
            self._text = ""
        return found


def _name_service(fields: Json, usage: Json | None) -> None:
    """Put the tier that Anthropic tells with its usage where OpenAI has it."""
    tier = (usage or {}).get("service_tier")
    if tier and not fields.get("service_tier"):
        fields["service_tier"] = tier


_READ: Final = ("cached_tokens", "cache_write_tokens", "cache_creation_token_details", "audio_tokens")
_WRITTEN: Final = ("reasoning_tokens", "audio_tokens")


def _wire_usage(usage: Json | None) -> Json | None:
    """litellm's usage as OpenAI writes it; None if nobody counted, which litellm shows as zeros."""
    if not usage or not (usage.get("prompt_tokens") or usage.get("completion_tokens")):
        return None
    details = {k: v for k, v in (usage.get("prompt_tokens_details") or {}).items() if k in _READ}
    written = usage.get("cache_creation_input_tokens")
    if written:
        details["cache_write_tokens"] = written
    spoken = {k: v for k, v in (usage.get("completion_tokens_details") or {}).items() if k in _WRITTEN and v}
    fields: Json = {k: usage.get(k) or 0 for k in ("prompt_tokens", "completion_tokens")}
    # Bedrock's own total leaves out what the cache read and wrote.
    fields["total_tokens"] = max(usage.get("total_tokens") or 0, fields["prompt_tokens"] + fields["completion_tokens"])
    if details:
        fields["prompt_tokens_details"] = details
    if spoken:
        fields["completion_tokens_details"] = spoken
    return fields
