"""Every endpoint that takes a body: the least it takes, how it says that something is wrong, and where texts stand in it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx

Json = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """body: the least that is answered. texts: places where a text may stand, to a body with it there.

    is_anthropic: its errors have Anthropic's shape. needs: its required fields.
    """

    path: str
    body: Json
    needs: tuple[str, ...]
    texts: dict[str, Callable[[str], Json]] = field(default_factory=dict)
    is_anthropic: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def filled(self, **fields: Any) -> Json:
        """The body with these fields besides, or instead."""
        return {**copy.deepcopy(self.body), **fields}

    def without(self, name: str) -> Json:
        return {key: value for key, value in self.body.items() if key != name}

    def post(self, http: httpx.Client, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """body: bytes are sent as they are."""
        sent = {"content-type": "application/json", **self.headers, **(headers or {})}
        if isinstance(body, bytes):
            return http.post(self.path, content=body, headers=sent)
        return http.post(self.path, json=body, headers=sent)

    def error(self, response: httpx.Response) -> Json:
        """The error in this response; it must have the shape of the endpoint's dialect."""
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-request-id"]
        said = response.json()
        error: Json = said["error"]
        if self.is_anthropic:
            assert said["type"] == "error"
            assert said["request_id"] == response.headers["x-request-id"]
        else:
            assert set(said) == {"error"}
            assert {"message", "type", "param", "code"} <= set(error)
        assert isinstance(error["message"], str) and error["message"]
        return error


def _tool(**function: Any) -> Json:
    return {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}, **function}}


def _called(text: str) -> list[Json]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": text}}
    return [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": text},
    ]


def _chat(text: str = "hello") -> list[Json]:
    return [{"role": "user", "content": text}]


_CHAT: Final[dict[str, Callable[[str], Json]]] = {
    "prompt": lambda text: {"model": "auto", "messages": _chat(text)},
    "part": lambda text: {"model": "auto", "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
    "system": lambda text: {"model": "auto", "messages": [{"role": "system", "content": text}, *_chat()]},
    "tool": lambda text: {"model": "auto", "messages": _chat(), "tools": [_tool(description=text)]},
    "arguments": lambda text: {"model": "auto", "messages": _called(text), "tools": [_tool()]},
    "stop": lambda text: {"model": "auto", "messages": _chat(), "stop": [text]},
    "user": lambda text: {"model": "auto", "messages": _chat(), "user": text},
}

CHAT: Final = Endpoint("/v1/chat/completions", {"model": "auto", "messages": _chat()}, ("model", "messages"), _CHAT)
ROUTE: Final = Endpoint("/v1/route", {"model": "auto", "messages": _chat()}, ("model", "messages"), _CHAT)
EMBEDDINGS: Final = Endpoint(
    "/v1/embeddings",
    {"model": "vectors", "input": "hello"},
    ("model", "input"),
    {
        "input": lambda text: {"model": "vectors", "input": text},
        "inputs": lambda text: {"model": "vectors", "input": ["hello", text]},
        "user": lambda text: {"model": "vectors", "input": "hello", "user": text},
    },
)
FEEDBACK: Final = Endpoint(
    "/v1/feedback",
    {"request_id": "nothing-is-known-of-this", "value": 1},
    ("request_id", "value"),
    {
        "comment": lambda text: {"request_id": "r", "value": 1, "comment": text},
        "tags": lambda text: {"request_id": "r", "value": 1, "tags": {text[:200]: text[:200]}},
        "request_id": lambda text: {"request_id": text, "value": 1},
    },
)


def _messages(**fields: Any) -> Json:
    return {"model": "auto", "max_tokens": 100, "messages": _chat(), **fields}


def _used(text: str) -> list[Json]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"of": text}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
    return [*_chat(), {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


def _counted(make: Callable[[str], Json], text: str) -> Json:
    return {name: value for name, value in make(text).items() if name != "max_tokens"}


_MESSAGES: Final[dict[str, Callable[[str], Json]]] = {
    "prompt": lambda text: _messages(messages=_chat(text)),
    "block": lambda text: _messages(messages=[{"role": "user", "content": [{"type": "text", "text": text}]}]),
    "system": lambda text: _messages(system=text),
    "system block": lambda text: _messages(system=[{"type": "text", "text": text}]),
    "tool": lambda text: _messages(tools=[{"name": "look_up", "description": text, "input_schema": {"type": "object"}}]),
    "result": lambda text: _messages(messages=_used(text), tools=[{"name": "look_up", "input_schema": {"type": "object"}}]),
}
MESSAGES: Final = Endpoint(
    "/v1/messages",
    _messages(),
    ("model", "messages", "max_tokens"),
    _MESSAGES | {"stop": lambda text: _messages(stop_sequences=[text])},
    is_anthropic=True,
    headers={"anthropic-version": "2023-06-01"},
)
COUNT_TOKENS: Final = Endpoint(
    "/v1/messages/count_tokens",
    MESSAGES.without("max_tokens"),
    ("model", "messages"),
    {place: partial(_counted, make) for place, make in _MESSAGES.items()},
    is_anthropic=True,
    headers={"anthropic-version": "2023-06-01"},
)


def _responses(**fields: Any) -> Json:
    return {"model": "auto", "input": "hello", **fields}


def _output(text: str) -> list[Json]:
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": text}
    return [*_chat(), call, {"type": "function_call_output", "call_id": "call_1", "output": text}]


RESPONSES: Final = Endpoint(
    "/v1/responses",
    _responses(),
    ("input",),
    {
        "input": lambda text: _responses(input=text),
        "message": lambda text: _responses(input=_chat(text)),
        "part": lambda text: _responses(input=[{"role": "user", "content": [{"type": "input_text", "text": text}]}]),
        "instructions": lambda text: _responses(instructions=text),
        "tool": lambda text: _responses(
            tools=[
                {"type": "function", "name": "look_up", "description": text, "parameters": {"type": "object"}, "strict": False}
            ]
        ),
        "output": lambda text: _responses(input=_output(text)),
    },
)
INPUT_TOKENS: Final = Endpoint("/v1/responses/input_tokens", _responses(), ("input",), RESPONSES.texts)
COMPLETIONS: Final = Endpoint(
    "/v1/completions",
    {"model": "auto", "prompt": "hello"},
    ("model", "prompt"),
    {
        "prompt": lambda text: {"model": "auto", "prompt": text},
        "stop": lambda text: {"model": "auto", "prompt": "hello", "stop": [text]},
    },
)
MODEL_ENDPOINTS: Final = (CHAT, MESSAGES, RESPONSES, COMPLETIONS, EMBEDDINGS)
ENDPOINTS: Final = (*MODEL_ENDPOINTS, COUNT_TOKENS, INPUT_TOKENS, ROUTE, FEEDBACK)
