"""The fake provider's bytes of OpenAI's dialects: chat, the older completions, and Responses; whole and in events. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.scenario.reconciliation.cases import Play
from tests.scenario.reconciliation.published import tokens
from tests.scenario.reconciliation.sheet import Tokens
from tests.scripted_server import Reply, json_reply


@dataclass(frozen=True)
class Wire:
    """events: a first one, then one for each chunk, then all the others. counts_on_the_way: servers may, in each event."""

    events: Callable[[str, Play, Tokens], Iterator[bytes]]
    whole: Callable[[str, Play, Tokens], Reply]
    counts_on_the_way: bool = True


# Chat.


def _openai_usage(used: Tokens, *, is_apart: bool = False) -> dict[str, Any]:
    """is_apart: as xAI does, reasoning stands beside completion_tokens, and in the total."""
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output - (used.reasoning if is_apart else 0),
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached_input, "audio_tokens": used.audio_input},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": used.audio_output},
    }


def _told(play: Play, used: Tokens) -> Any:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    unreadable = {"prompt_tokens": "many", "completion_tokens": []}
    odd: dict[str, Any] = {"none": None, "zeros": zeros, "garbage": unreadable}
    return odd[play.counted] if play.counted in odd else _openai_usage(used, is_apart=play.counted == "apart")


def _call(name: str | None, arguments: str) -> list[dict[str, Any]]:
    first = {} if name is None else {"id": "call_1", "type": "function"}
    return [{"index": 0, **first, "function": {**({} if name is None else {"name": name}), "arguments": arguments}}]


def _delta(play: Play, place: int) -> dict[str, Any]:
    chunk = play.chunks[place]
    if play.is_call:
        return {"tool_calls": _call(chunk, "") if place == 0 else _call(None, chunk)}
    return {"reasoning_content": chunk} if place < play.thoughts else {"content": chunk}


def _openai_events(model: str, play: Play, used: Tokens) -> Iterator[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    head |= {"service_tier": used.service or "default"}

    def event(choices: list[dict[str, Any]], usage: Any = None) -> bytes:
        return b"data: " + json.dumps({**head, "choices": choices, "usage": usage}).encode() + b"\n\n"

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    yield event(choice({"role": "assistant", "content": ""}))
    for place in range(len(play.chunks)):
        sofar = replace(used, output=tokens(model, "".join(play.chunks[: place + 1])), audio_output=0)
        yield event(choice(_delta(play, place)), _openai_usage(sofar) if play.counted == "continuous" else None)
    finish = "tool_calls" if play.is_call else "stop"
    yield event(choice({}, finish), _told(play, used) if play.counted == "finish" else None)
    if play.counted not in ("finish", "none"):
        yield event([], _told(play, used))
    yield b"data: [DONE]\n\n"


def _openai_whole(model: str, play: Play, used: Tokens) -> Reply:
    text, thought = "".join(play.chunks[play.thoughts :]), "".join(play.chunks[: play.thoughts])
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if play.is_call:
        call = {"id": "call_1", "type": "function", "function": {"name": play.chunks[0], "arguments": "".join(play.chunks[1:])}}
        message |= {"content": None, "tool_calls": [call]}
    if thought:
        message["reasoning_content"] = thought
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if play.is_call else "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return json_reply({**body, "service_tier": used.service or "default", "usage": _told(play, used)})


# Completions: text alone.


def _completion_events(model: str, play: Play, used: Tokens) -> Iterator[bytes]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model}
    head |= {"service_tier": used.service or "default"}

    def event(choices: list[dict[str, Any]], usage: Any = None) -> bytes:
        return b"data: " + json.dumps({**head, "choices": choices, "usage": usage}).encode() + b"\n\n"

    def choice(text: str, finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]

    yield event(choice(""))
    for place, chunk in enumerate(play.chunks):
        sofar = replace(used, output=tokens(model, "".join(play.chunks[: place + 1])), audio_output=0)
        yield event(choice(chunk), _openai_usage(sofar) if play.counted == "continuous" else None)
    yield event(choice("", "stop"), _told(play, used) if play.counted == "finish" else None)
    if play.counted not in ("finish", "none"):
        yield event([], _told(play, used))
    yield b"data: [DONE]\n\n"


def _completion_whole(model: str, play: Play, used: Tokens) -> Reply:
    choice = {"index": 0, "text": "".join(play.chunks), "logprobs": None, "finish_reason": "stop"}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "choices": [choice]}
    return json_reply({**head, "service_tier": used.service or "default", "usage": _told(play, used)})


# Responses, whose events carry no usage but the last one.


def _responses_usage(play: Play, used: Tokens) -> Any:
    odd: dict[str, Any] = {"none": None, "zeros": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, "garbage": "soon"}
    details = {"cached_tokens": used.cached_input, "cache_write_tokens": used.cache_write}
    told = {
        "input_tokens": used.input,
        "input_tokens_details": details,
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }
    return odd.get(play.counted, told)


def _items(play: Play) -> list[dict[str, Any]]:
    if play.is_call:
        name, *arguments = play.chunks
        call = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
        return [{**call, "name": name, "arguments": "".join(arguments)}]
    thought, text = "".join(play.chunks[: play.thoughts]), "".join(play.chunks[play.thoughts :])
    summary = [{"type": "summary_text", "text": thought}]
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": content}
    return [*([{"id": "rs_1", "type": "reasoning", "summary": summary}] if thought else []), message]


def _response(model: str, play: Play, used: Tokens) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": model, "status": "completed", "error": None}
    rest = {"incomplete_details": None, "output": _items(play), "service_tier": used.service or "default"}
    return {
        **head,
        **rest,
        "parallel_tool_calls": True,
        "tools": [],
        "tool_choice": "auto",
        "usage": _responses_usage(play, used),
    }


def _responses_events(model: str, play: Play, used: Tokens) -> Iterator[bytes]:
    sent = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal sent
        sent += 1
        payload = {"type": kind, "sequence_number": sent - 1, **fields}
        return f"event: {kind}\ndata: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()

    whole = _response(model, play, used)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun) + event("response.in_progress", response=begun)
    place, said = 0, 0
    for index, item in enumerate(whole["output"]):
        at = {"item_id": item["id"], "output_index": index}
        opened = {**item, **{name: [] for name in ("content", "summary") if name in item}}
        if play.is_call:
            opened["arguments"] = ""
        beginning = event("response.output_item.added", output_index=index, item=opened)
        if play.is_call:
            yield beginning  # the name comes with it
            for chunk in play.chunks[1:]:
                yield event("response.function_call_arguments.delta", **at, delta=chunk)
        else:
            kind, place = ("reasoning_summary_text", play.thoughts) if "summary" in item else ("output_text", len(play.chunks))
            for chunk in play.chunks[said:place]:
                yield beginning + event(f"response.{kind}.delta", **at, content_index=0, summary_index=0, delta=chunk)
                beginning = b""
            said = place
        if index == len(whole["output"]) - 1:
            yield event("response.output_item.done", output_index=index, item=item) + event("response.completed", response=whole)


def _responses_whole(model: str, play: Play, used: Tokens) -> Reply:
    return json_reply(json.dumps(_response(model, play, used), ensure_ascii=False).encode())


CHAT: Final = Wire(_openai_events, _openai_whole)
COMPLETIONS: Final = Wire(_completion_events, _completion_whole)
RESPONSES: Final = Wire(_responses_events, _responses_whole, counts_on_the_way=False)
