"""Answers of the chat dialect for tests of cascades, whole and as events, with log-probabilities on demand."""

from typing import Any

import msgspec

HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m-1"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def logprobs(tokens: list[str], logprob: float, lead: float = 2.0) -> dict[str, Any]:
    """A choice's `logprobs`: every token the same, ahead of the next by `lead`."""
    return {
        "content": [
            {
                "token": token,
                "logprob": logprob,
                "bytes": list(token.encode()),
                "top_logprobs": [{"token": token, "logprob": logprob}, {"token": "?", "logprob": logprob - lead}],
            }
            for token in tokens
        ]
    }


def tokens_of(text: str) -> list[str]:
    words = text.split(" ")
    return [word if i == 0 else f" {word}" for i, word in enumerate(words)] if text else []


def message(text: str | None = None, calls: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        made["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ]
    return made


def whole(*choices: dict[str, Any], **more: Any) -> bytes:
    """A body; each choice is {"message", "finish_reason", maybe "logprobs"}."""
    numbered = [{"index": i, "finish_reason": "stop", **choice} for i, choice in enumerate(choices)]
    return msgspec.json.encode({**HEAD, "object": "chat.completion", "choices": numbered, "usage": USAGE, **more})


def said(text: str, logprob: float | None = None, lead: float = 2.0, finish: str = "stop") -> dict[str, Any]:
    """A choice with a text."""
    choice: dict[str, Any] = {"message": message(text), "finish_reason": finish}
    if logprob is not None:
        choice["logprobs"] = logprobs(tokens_of(text), logprob, lead)
    return choice


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return b"data: " + msgspec.json.encode({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


def usage_event() -> bytes:
    fields = {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def events(text: str, logprob: float | None = None, lead: float = 2.0, finish: str = "stop") -> list[bytes]:
    """A stream of one choice, a word an event, without usage and [DONE]."""
    made = [event({"role": "assistant", "content": ""})]
    for token in tokens_of(text):
        more = {} if logprob is None else {"logprobs": logprobs([token], logprob, lead)}
        made.append(event({"content": token}, **more))
    return [*made, event({}, finish)]
