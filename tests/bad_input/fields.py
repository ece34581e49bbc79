"""What each endpoint reads of a body, by field and the kinds of JSON that are right there; and what it does not look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.bad_input.endpoints import CHAT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, FEEDBACK, MESSAGES, RESPONSES, ROUTE, Endpoint

# One value of each kind that JSON has; a list and an object hold what is nowhere right.
KINDS: Final[dict[str, Any]] = {
    "null": None,
    "flag": True,
    "integer": 7,
    "number": 1.5,
    "text": "x",
    "list": [True],
    "object": {"x": True},
}
PLAIN: Final = ("flag", "integer", "number", "text")


@dataclass(frozen=True)
class Field:
    """path: as `messages.0.role`. right: the kinds that are not refused. within: what stands at its first step."""

    endpoint: Endpoint
    path: str
    right: tuple[str, ...]
    within: Any = None

    @property
    def wrong(self) -> list[str]:
        return [kind for kind in KINDS if kind not in self.right]

    def body(self, value: Any) -> dict[str, Any]:
        """A right body but for this field."""
        first, *steps = self.path.split(".")
        if not steps:
            return self.endpoint.filled(**{first: value})
        return self.endpoint.filled(**{first: _put(self.within, steps, value)})

    @property
    def name(self) -> str:
        """As errors call it."""
        first, *steps = self.path.split(".")
        if self.endpoint.is_anthropic:
            return ".".join([first, *steps])
        return first + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)


def _put(within: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if step.isdigit():
        return [*within[: int(step)], _put(within[int(step)], rest, value), *within[int(step) + 1 :]]
    return {**within, step: _put(within.get(step), rest, value)}


def _chat(endpoint: Endpoint) -> list[Field]:
    said = [{"role": "user", "content": "hello"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    return [
        Field(endpoint, "model", ("text",)),
        Field(endpoint, "messages", ()),
        Field(endpoint, "messages.0", (), said),
        Field(endpoint, "messages.0.role", (), said),
        Field(endpoint, "messages.0.content", ("null", "text"), said),
        Field(endpoint, "messages.0.content.0", ("object",), parts),
        Field(endpoint, "messages.0.content.0.type", ("text",), parts),
        Field(endpoint, "messages.0.content.0.text", ("null", "text"), parts),
        Field(endpoint, "stream", ("null", "flag")),
        Field(endpoint, "stream_options", ("null", "object")),
        Field(endpoint, "stream_options.include_usage", ("null", "flag"), {}),
        Field(endpoint, "tools", ("null",)),
        Field(endpoint, "tools.0", ("object",), [{}]),
        Field(endpoint, "tool_choice", ("null", "text", "object")),
        Field(endpoint, "functions", ("null",)),
        Field(endpoint, "response_format", ("null", "object")),
        Field(endpoint, "response_format.type", ("text",), {}),
        Field(endpoint, "max_tokens", ("null", "integer")),
        Field(endpoint, "max_completion_tokens", ("null", "integer")),
        Field(endpoint, "n", ("null", "integer")),
    ]


def _messages(endpoint: Endpoint) -> list[Field]:
    said = [{"role": "user", "content": "hello"}]
    blocks = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    image = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}
    pictures = [{"role": "user", "content": [{"type": "image", "source": image}]}]
    call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    calls = [*said, {"role": "assistant", "content": [call]}]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}
    results = [*calls, {"role": "user", "content": [result]}]
    tools = [{"name": "look_up", "input_schema": {"type": "object"}}]
    return [
        Field(endpoint, "model", ("text",)),
        Field(endpoint, "messages", ()),
        Field(endpoint, "messages.0", (), said),
        Field(endpoint, "messages.0.role", (), said),
        Field(endpoint, "messages.0.content", ("text",), said),
        Field(endpoint, "messages.0.content.0", (), blocks),
        Field(endpoint, "messages.0.content.0.type", ("text",), blocks),
        Field(endpoint, "messages.0.content.0.text", ("text",), blocks),
        Field(endpoint, "messages.0.content.0.source", (), pictures),
        Field(endpoint, "messages.0.content.0.source.data", ("text",), pictures),
        Field(endpoint, "messages.0.content.0.source.media_type", ("text",), pictures),
        Field(endpoint, "messages.1.content.0.id", ("text",), calls),
        Field(endpoint, "messages.1.content.0.name", ("text",), calls),
        Field(endpoint, "messages.1.content.0.input", ("object",), calls),
        Field(endpoint, "messages.2.content.0.tool_use_id", ("text",), results),
        Field(endpoint, "messages.2.content.0.content", ("null", "text"), results),
        Field(endpoint, "messages.2.content.0.is_error", ("null", "flag"), results),
        Field(endpoint, "system", ("null", "text")),
        Field(endpoint, "tools", ("null",)),
        Field(endpoint, "tools.0", (), tools),
        Field(endpoint, "tools.0.name", ("text",), tools),
        Field(endpoint, "tools.0.description", ("null", "text"), tools),
        Field(endpoint, "tools.0.input_schema", ("object",), tools),
        Field(endpoint, "tool_choice", ("null",)),
        Field(endpoint, "thinking", ("null", "object")),
        Field(endpoint, "output_config", ("null", "object")),
        Field(endpoint, "cache_control", ("null", "object")),
        Field(endpoint, "context_management", ("null", "object")),
    ]


def _responses() -> list[Field]:
    said = [{"role": "user", "content": "hello"}]
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
    calls = [*said, call, {"type": "function_call_output", "call_id": "call_1", "output": "found"}]
    tools = [{"type": "function", "name": "look_up", "parameters": {"type": "object"}, "strict": False}]
    texts = ("instructions", "previous_response_id", "user", "safety_identifier", "prompt_cache_key", "service_tier")
    return [
        Field(RESPONSES, "model", ("text",)),
        Field(RESPONSES, "input", ("text",)),
        Field(RESPONSES, "input.0", ("object",), said),
        Field(RESPONSES, "input.0.role", (), said),
        Field(RESPONSES, "input.0.content", ("text",), said),
        Field(RESPONSES, "input.0.content.0", ("object",), parts),
        Field(RESPONSES, "input.0.content.0.text", ("text",), parts),
        Field(RESPONSES, "input.1.call_id", ("text",), calls),
        Field(RESPONSES, "input.1.name", ("text",), calls),
        Field(RESPONSES, "input.1.arguments", ("text",), calls),
        Field(RESPONSES, "input.2.call_id", ("text",), calls),
        Field(RESPONSES, "input.2.output", ("text",), calls),
        *(Field(RESPONSES, name, ("null", "text")) for name in texts),
        Field(RESPONSES, "tools", ("null",)),
        Field(RESPONSES, "tools.0", ("object",), tools),
        Field(RESPONSES, "tools.0.name", ("text",), tools),
        Field(RESPONSES, "tools.0.parameters", ("null", "object"), tools),
        Field(RESPONSES, "tools.0.strict", ("null", "flag"), tools),
        Field(RESPONSES, "tool_choice", ("null", "object")),
        Field(RESPONSES, "text", ("null", "object")),
        Field(RESPONSES, "text.format", ("null",), {}),
        Field(RESPONSES, "text.format.type", (), {"format": {"type": "text"}}),
        Field(RESPONSES, "reasoning", ("null", "object")),
        Field(RESPONSES, "reasoning.effort", ("null", "text"), {}),
        *(Field(RESPONSES, name, ("null", "integer")) for name in ("max_output_tokens", "top_logprobs")),
        *(Field(RESPONSES, name, ("null", "integer", "number")) for name in ("temperature", "top_p")),
        *(Field(RESPONSES, name, ("null", "flag")) for name in ("stream", "store", "background", "parallel_tool_calls")),
        Field(RESPONSES, "stream_options", ("null", "object")),
        Field(RESPONSES, "include", ("null",)),
        Field(RESPONSES, "metadata", ("null",)),
        Field(RESPONSES, "truncation", ("null",)),
    ]


def _completions() -> list[Field]:
    integers, numbers = (
        ("max_tokens", "n", "best_of", "logprobs", "seed"),
        ("temperature", "top_p", "frequency_penalty", "presence_penalty"),
    )
    return [
        Field(COMPLETIONS, "model", ("text",)),
        Field(COMPLETIONS, "prompt", ("text",)),
        *(Field(COMPLETIONS, name, ("null", "integer")) for name in integers),
        *(Field(COMPLETIONS, name, ("null", "integer", "number")) for name in numbers),
        *(Field(COMPLETIONS, name, ("null", "flag")) for name in ("stream", "echo")),
        *(Field(COMPLETIONS, name, ("null", "text")) for name in ("suffix", "user", "stop")),
        Field(COMPLETIONS, "stream_options", ("null", "object")),
        Field(COMPLETIONS, "logit_bias", ("null",)),
    ]


READ: Final[list[Field]] = [
    *_chat(CHAT),
    *_chat(ROUTE),
    *_messages(MESSAGES),
    *_messages(COUNT_TOKENS),
    Field(MESSAGES, "max_tokens", ("integer",)),
    Field(MESSAGES, "stream", ("null", "flag")),
    Field(MESSAGES, "stop_sequences", ("null",)),
    Field(MESSAGES, "temperature", ("null", "integer", "number")),
    Field(MESSAGES, "top_p", ("null", "integer", "number")),
    Field(MESSAGES, "top_k", ("null", "integer")),
    Field(MESSAGES, "metadata", ("null", "object")),
    Field(MESSAGES, "service_tier", ("null",)),
    *_responses(),
    *_completions(),
    Field(EMBEDDINGS, "model", ("text",)),
    Field(EMBEDDINGS, "input", ("text",)),
    Field(EMBEDDINGS, "encoding_format", ("null", "text")),
    Field(EMBEDDINGS, "dimensions", ("null", "integer")),
    Field(EMBEDDINGS, "user", ("null", "text")),
    Field(FEEDBACK, "request_id", ("text",)),
    Field(FEEDBACK, "value", ()),
    Field(FEEDBACK, "comment", ("null", "text")),
    Field(FEEDBACK, "tags", ("null",)),
]

# What these say is for the provider to judge: whatever it is, it goes there as it came.
UNREAD: Final[list[tuple[Endpoint, tuple[str, ...]]]] = [
    (
        CHAT,
        (
            "frequency_penalty",
            "logit_bias",
            "metadata",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "safety_identifier",
            "seed",
            "service_tier",
            "stop",
            "temperature",
            "top_logprobs",
            "top_p",
            "user",
            "verbosity",
            "a_field_of_tomorrow",
        ),
    ),
    (EMBEDDINGS, ("a_field_of_tomorrow",)),
]
