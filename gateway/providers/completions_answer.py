"""Answers of OpenAI's older completions dialect as chat completions, whole and in chunks. No I/O."""

from __future__ import annotations

from typing import Any, Final

import msgspec

Json = dict[str, Any]

# What OpenAI says of a token whose probability it does not tell, as the first of an echoed prompt.
UNLIKELIEST: Final = -9999.0


class _Logprobs(msgspec.Struct):
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_choices = msgspec.json.Decoder(_Completion).decode


def chat_body(body: bytes) -> bytes:
    """A chat completion; what is no completion stays as it is. Raises msgspec.DecodeError."""
    return _said(body, "chat.completion", "message")


def chat_chunk(data: bytes) -> bytes:
    """A stream event's data as a chat chunk's. Raises msgspec.DecodeError."""
    return _said(data, "chat.completion.chunk", "delta")


def _said(data: bytes, kind: str, place: str) -> bytes:
    choices = _decode_choices(data).choices
    if choices is None:
        return data
    fields: Json = {**_decode_fields(data), "object": kind, "choices": [_choice(choice, place) for choice in choices]}
    return msgspec.json.encode(fields)


def _choice(choice: _Choice, place: str) -> Json:
    role = {"role": "assistant"} if place == "message" else {}
    return {
        "index": choice.index,
        place: {**role, "content": choice.text or ""},
        "logprobs": None if choice.logprobs is None else {"content": _tokens(choice.logprobs), "refusal": None},
        "finish_reason": choice.finish_reason,
    }


def _tokens(given: _Logprobs) -> list[Json]:
    tokens = given.tokens or []
    chances = given.token_logprobs or [None] * len(tokens)
    tops = given.top_logprobs or [None] * len(tokens)
    return [
        {**_token(token, chance), "top_logprobs": [_token(*one) for one in (top or {}).items()]}
        for token, chance, top in zip(tokens, chances, tops, strict=False)
    ]


def _token(token: str, chance: float | None) -> Json:
    return {"token": token, "logprob": UNLIKELIEST if chance is None else chance, "bytes": list(token.encode())}
