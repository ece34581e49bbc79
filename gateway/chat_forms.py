"""One answer in its two forms, the whole body and the stream's events, and from each to the other. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.chat import data_of, sse
from gateway.usage import Usage
from gateway.wire_usage import wire_usage

_NOT_IN_DELTA = frozenset({"message", "finish_reason", "index", "logprobs"})
_NUMBERED = ("annotations", "reasoning_details", "thinking_blocks")  # lists whose entries, in a stream, tell their place in them


def to_events(body: bytes) -> bytes:
    """A whole answer as a stream: role and content, then the finish; without usage and the final [DONE]."""
    whole: dict[str, Any] = msgspec.json.decode(body)
    head = {k: v for k, v in whole.items() if k not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    events = []
    for choice in whole["choices"]:
        index, message = choice.get("index", 0), dict(choice["message"])
        calls = message.get("tool_calls")
        if calls:
            message["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls)]
        delta = {k: v for k, v in message.items() if v is not None}
        rest = {k: v for k, v in choice.items() if k not in _NOT_IN_DELTA}
        said = {"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}
        # What stands beside the finish_reason tells more of it: the text that ended the answer, as vLLM and SGLang do.
        last = {"index": index, "delta": {}, "logprobs": None, "finish_reason": choice.get("finish_reason"), **rest}
        events += [sse({**head, "choices": [said]}), sse({**head, "choices": [last]})]
    return b"".join(events)


def assemble(events: Iterable[bytes], counted: Usage | None = None) -> bytes:
    """A complete stream's events as one whole answer. Unknown fields are kept, the last value wins.

    counted: the usage, for events without any.
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] | None = None
    for event in events:
        data = data_of(event)
        if not data or data == b"[DONE]":
            continue
        fields: dict[str, Any] = msgspec.json.decode(data)
        usage = fields.pop("usage", None) or usage
        for choice in fields.pop("choices", None) or []:
            _add_choice(choices.setdefault(choice.get("index", 0), {"message": {}}), choice)
        whole.update(fields)
    whole["object"] = "chat.completion"
    whole["choices"] = [_finished(index, choices[index]) for index in sorted(choices)]
    if usage is None and counted is not None:
        usage = wire_usage(counted)
    if usage is not None:
        usage.pop("cost", None)
        whole["usage"] = usage
    return msgspec.json.encode(whole)


def _add_choice(into: dict[str, Any], choice: dict[str, Any]) -> None:
    message = into["message"]
    for key, value in (choice.get("delta") or {}).items():
        if key == "tool_calls":
            for call in value or []:
                _add_call(message.setdefault("tool_calls", {}), call)
        elif key == "role":
            message["role"] = value
        elif isinstance(value, str | list) and isinstance(message.get(key), str | list):
            message[key] = _joined(message[key], value)
        elif value is not None or key not in message:
            message[key] = value
    logprobs = choice.get("logprobs")
    if logprobs:
        kept = into.setdefault("logprobs", {})
        for key, value in logprobs.items():
            kept[key] = (kept.get(key) or []) + value if isinstance(value, list) else value
    rest = {k: v for k, v in choice.items() if k not in ("delta", "logprobs", "index") and v is not None}
    if rest.get("finish_reason") == "":  # which is none, and may come behind the one there is
        del rest["finish_reason"]
    into.update(rest)


def _joined(kept: str | list[Any], more: str | list[Any]) -> str | list[Any]:
    """Content in pieces: texts, lists of parts, or a text behind a list, from models that think aloud."""
    if isinstance(kept, str) and isinstance(more, str):
        return kept + more
    return _parts(kept) + _parts(more)


def _parts(content: str | list[Any]) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _add_call(calls: dict[int, dict[str, Any]], call: dict[str, Any]) -> None:
    """Merge one fragment of a tool call; `arguments`, and a custom tool's `input`, arrive in pieces."""
    kept = calls.setdefault(call.get("index", len(calls)), {})
    for key, value in call.items():
        if key == "function":
            function = kept.setdefault("function", {"name": "", "arguments": ""})
            function["name"] = added_name(function["name"], value.get("name") or "")
            function["arguments"] += value.get("arguments") or ""
        elif key == "custom":
            custom = kept.setdefault("custom", {"name": "", "input": ""})
            custom["name"] = added_name(custom["name"], value.get("name") or "")
            custom["input"] += value.get("input") or ""
        elif key != "index" and value is not None:
            kept[key] = value


def added_name(name: str, more: str) -> str:
    """A call's name with what a stream adds to it: a piece, or the whole of it again, as some servers do in every event."""
    return name if more == name else name + more


def _finished(index: int, choice: dict[str, Any]) -> dict[str, Any]:
    message = choice["message"]
    calls = message.pop("tool_calls", None)
    message = {"role": "assistant", "content": None, **message}
    if calls:
        message["tool_calls"] = [calls[i] for i in sorted(calls)]
    for name in _NUMBERED:
        if isinstance(entries := message.get(name), list):
            message[name] = [_without_index(entry) for entry in entries]
    rest = {k: v for k, v in choice.items() if k not in ("message", "logprobs", "finish_reason")}
    return {
        "index": index,
        "message": message,
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason"),
        **rest,
    }


def _without_index(entry: Any) -> Any:
    return {key: value for key, value in entry.items() if key != "index"} if isinstance(entry, dict) else entry
