"""Tools: offered, called, and told what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.clients.pairing.callers.base import CallerName
from tests.clients.pairing.feature import Asks, Feature, LeftOut, ProviderName, Refused, Unsaid, saying
from tests.clients.pairing.says import Called, Json, Says
from tests.clients.pairing.wire import Parsed

PROMPT = "What is the weather in Oslo and Rome?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"name": "weather", "description": "The weather now."}
OFFERS: Mapping[CallerName, Json] = {
    "chat": {"type": "function", "function": {**WEATHER, "parameters": SCHEMA}},
    "messages": {**WEATHER, "input_schema": SCHEMA},
    "responses": {"type": "function", **WEATHER, "parameters": SCHEMA, "strict": False},
}
SENT: Mapping[ProviderName, Json] = {
    "chat": {"tools": [{"type": "function", "function": {**WEATHER, "parameters": SCHEMA}}]},
    "responses": {"tools": [{"type": "function", **WEATHER, "parameters": SCHEMA}]},
    "anthropic": {"tools": [{**WEATHER, "input_schema": SCHEMA}]},
    "gemini": {
        "tools": [
            {"function_declarations": [{**WEATHER, "parameters": {"properties": SCHEMA["properties"], "required": ["city"]}}]}
        ]
    },
}
OSLO, ROME = Called("weather", {"city": "Oslo"}), Called("weather", {"city": "Rome"})


def offering(**more: Json | Unsaid) -> Asks:
    """The prompt with the tool, and what each dialect is given besides."""
    given: dict[str, Json | Unsaid] = {}
    for name, offer in OFFERS.items():
        extra = more.get(name, {})
        given[name] = extra if isinstance(extra, Unsaid) else {"tools": [offer], **extra}
    return saying(PROMPT, chat=given["chat"], messages=given["messages"], responses=given["responses"])


ONE = Feature(name="tool", title="A tool call", asks=offering(), sent=SENT, says=(Says("", calls=(OSLO,)),))
WITH_TEXT = replace(ONE, name="tool-with-text", title="A text and a call", says=(Says("I look. ", calls=(OSLO,)),))
PARALLEL = replace(ONE, name="tools-parallel", title="Several calls at once", says=(Says("", calls=(OSLO, ROME)),))
NO_ARGUMENTS = replace(
    ONE, name="tool-no-arguments", title="A call without arguments", says=(Says("", calls=(Called("weather", {}),)),)
)

LOOP = Feature(
    name="tool-loop",
    title="Results of calls, told by the caller",
    asks=offering(),
    says=(Says("", calls=(OSLO, ROME)), Says("Rain, and sun.")),
    results=(("rain", "sun"),),
    sent={
        "chat": {
            "messages": [
                {"role": "user"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_0",
                            "type": "function",
                            "function": {"name": "weather", "arguments": Parsed({"city": "Oslo"})},
                        },
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": Parsed({"city": "Rome"})},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
            ]
        },
        "responses": {
            "input": [
                {"role": "user"},
                {"type": "function_call", "call_id": "call_0", "name": "weather", "arguments": Parsed({"city": "Oslo"})},
                {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": Parsed({"city": "Rome"})},
                {"type": "function_call_output", "call_id": "call_0", "output": "rain"},
                {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
            ]
        },
        "anthropic": {
            "messages": [
                {"role": "user"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": "toolu_0", "name": "weather", "input": {"city": "Oslo"}},
                        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "toolu_0", "content": [{"type": "text", "text": "rain"}]},
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sun"}]},
                    ],
                },
            ]
        },
        "gemini": {
            "contents": [
                {"role": "user"},
                {
                    "role": "model",
                    "parts": [
                        {"function_call": {"name": "weather", "args": {"city": "Oslo"}}},
                        {"function_call": {"name": "weather", "args": {"city": "Rome"}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"function_response": {"name": "weather", "response": {"content": "rain"}}},
                        {"function_response": {"name": "weather", "response": {"content": "sun"}}},
                    ],
                },
            ]
        },
    },
)

KEPT = replace(
    LOOP,
    name="previous-response",
    title="A conversation that the gateway keeps (`previous_response_id`)",
    asks=offering(chat=Unsaid("previous_response_id"), messages=Unsaid("previous_response_id"), responses={"store": True}),
    is_kept=True,
)

FAILED = Feature(
    name="tool-failed",
    title="A result that is an error (`is_error`)",
    asks={
        "chat": Unsaid({"messages": [{"role": "tool", "tool_call_id": "c", "content": "no such city", "is_error": True}]}),
        "messages": {
            "max_tokens": 2048,
            "tools": [OFFERS["messages"]],
            "messages": [
                {"role": "user", "content": PROMPT},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "call_0", "name": "weather", "input": {"city": "Oslo"}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "no such city", "is_error": True}],
                },
            ],
        },
        "responses": Unsaid(
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "no such city", "is_error": True}]}
        ),
    },
    sent={
        "chat": {"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "tool", "content": "no such city"}]},
        "responses": {
            "input": [{"role": "user"}, {"type": "function_call"}, {"type": "function_call_output", "output": "no such city"}]
        },
        "gemini": {
            "contents": [
                {"role": "user"},
                {"role": "model"},
                {"role": "user", "parts": [{"function_response": {"name": "weather", "response": {"content": "no such city"}}}]},
            ]
        },
    },
    but={
        ("messages", "chat"): LeftOut("the text of the error is sent, and not that it is one", lost=("is_error",)),
        ("messages", "responses"): LeftOut("the text of the error is sent, and not that it is one", lost=("is_error",)),
        ("messages", "gemini"): LeftOut("the text of the error is sent, and not that it is one", lost=("is_error",)),
    },
)

ONE_AT_A_TIME = Feature(
    name="tools-one-at-a-time",
    title="One call at a time",
    asks=offering(
        chat={"parallel_tool_calls": False},
        messages={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        responses={"parallel_tool_calls": False},
    ),
    sent={
        "chat": {"parallel_tool_calls": False},
        "responses": {"parallel_tool_calls": False},
        "anthropic": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    },
    says=(Says("", calls=(OSLO,)),),
    but={("any", "gemini"): Refused("parallel_tool_calls")},
)

STRICT = Feature(
    name="tool-strict",
    title="Arguments held to their schema (`strict`)",
    asks=offering(
        chat={"tools": [{"type": "function", "function": {**WEATHER, "parameters": SCHEMA, "strict": True}}]},
        messages={"tools": [{**WEATHER, "input_schema": SCHEMA, "strict": True}]},
        responses={"tools": [{"type": "function", **WEATHER, "parameters": SCHEMA, "strict": True}]},
    ),
    sent={
        "chat": {"tools": [{"function": {"name": "weather", "strict": True}}]},
        "responses": {"tools": [{"name": "weather", "strict": True}]},
        "anthropic": {"tools": [{"name": "weather", "strict": True}]},
    },
    says=(Says("", calls=(OSLO,)),),
    but={("any", "gemini"): LeftOut("Gemini has the schema, and no such promise", lost=("strict",))},
)

CUSTOM = Feature(
    name="tool-custom",
    title="A custom tool, called with free text",
    asks=saying(
        PROMPT,
        chat={"tools": [{"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}]},
        messages=Unsaid(
            {"messages": [], "max_tokens": 1, "tools": [{"type": "custom", "name": "sql", "description": "Runs a query."}]}
        ),
        responses={"tools": [{"type": "custom", "name": "sql", "description": "Runs a query."}]},
    ),
    sent={
        "chat": {"tools": [{"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}]},
        "responses": {"tools": [{"type": "custom", "name": "sql", "description": "Runs a query."}]},
    },
    says=(Says("", calls=(Called("sql", "select 1"),)),),
    but={("any", "anthropic"): Refused("tools[0]"), ("any", "gemini"): Refused("tools[0]")},
)

FEATURES = (
    ONE,
    WITH_TEXT,
    PARALLEL,
    NO_ARGUMENTS,
    LOOP,
    KEPT,
    FAILED,
    ONE_AT_A_TIME,
    STRICT,
    CUSTOM,
)
