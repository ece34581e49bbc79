"""A request in OpenAI's older completions dialect, in the canonical form: its prompt becomes a user's message. No I/O.

A chat model answers the prompt instead of going on with it. Where that would be something else than was asked for (several
prompts, tokens in place of text, `suffix`, `echo`, `best_of`, `logprobs` counted in tokens, and fields that only some servers
know), only a server that speaks the dialect may be asked. Without `max_tokens` the length is left to whoever answers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.chat import StreamOptions
from gateway.errors import ClientError

Raw = msgspec.Raw


class CompletionBody(msgspec.Struct):
    """The fields that are known, of the types that they must have."""

    model: str
    prompt: str | list[str | int | list[int]]
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None
    n: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    user: str | None = None


# Those that a chat request has too, in the same sense.
_SAME: Final = frozenset(CompletionBody.__struct_fields__) - {"prompt", "suffix", "echo", "best_of", "logprobs"}
# What asks for nothing that would not happen anyway.
_NEUTRAL: Final = {"suffix": (b'""',), "echo": (b"false",), "best_of": (b"1",)}

_decode = msgspec.json.Decoder(CompletionBody).decode
_decode_raw = msgspec.json.Decoder(dict[str, Raw]).decode


def read_body(body: bytes) -> CompletionBody:
    """Raises msgspec.DecodeError or its subclass ValidationError, which names the field."""
    return _decode(body)


def canonical_body(read: CompletionBody, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The request in the canonical form, and the fields that it cannot hold. body: that was read. Raises ClientError.

    Those fields stand in it all the same, so that two requests that differ in them differ.
    """
    given = _decode_raw(body)
    content, only = _content(read.prompt)
    fields: dict[str, object] = {"model": read.model, "messages": [{"role": "user", "content": content}]}
    for name, value in given.items():
        if name in ("model", "prompt") or bytes(value) == b"null" or bytes(value) in _NEUTRAL.get(name, ()):
            continue
        if name == "messages":
            raise ClientError("`messages` is of chat completions; give a `prompt`, or ask there", param="messages")
        fields[name] = value
        if name not in _SAME:
            only.append(name)
    return msgspec.json.encode(fields), tuple(only)


def _content(prompt: str | list[str | int | list[int]]) -> tuple[object, list[str]]:
    """What stands for the prompt, and whether it is more than that can hold."""
    if isinstance(prompt, str):
        return prompt, []
    if not prompt:
        raise ClientError("`prompt` is empty; give a text, or a list of texts", code="empty_input", param="prompt")
    if len({type(part) for part in prompt}) > 1:
        raise ClientError("`prompt` mixes texts and tokens; give a list of one kind", code="invalid_type", param="prompt")
    texts = [part for part in prompt if isinstance(part, str)]
    if len(texts) == 1:
        return texts[0], []
    if texts:
        return [{"type": "text", "text": text} for text in texts], ["prompt"]
    return msgspec.json.encode(prompt).decode(), ["prompt"]
