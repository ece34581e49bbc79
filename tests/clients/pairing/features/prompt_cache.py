"""Marks of what the provider should keep of a prompt."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, LeftOut, Unsaid, saying

MARK = {"type": "ephemeral"}
MARKED = {"type": "text", "text": "Long instructions.", "cache_control": MARK}
ASKED = {"type": "text", "text": "A long document.", "cache_control": MARK}
SCHEMA = {"type": "object", "properties": {}}
IMPLIED = LeftOut("the provider finds by itself what it has seen before", lost=("cache_control",))
OPENAIS = LeftOut("a hint that OpenAI's and Azure's servers alone are sent", lost=("prompt_cache_key",))

MARKS = Feature(
    name="cache-control",
    title="Prompt-cache markers (`cache_control`)",
    asks={
        "chat": {
            "messages": [{"role": "system", "content": [MARKED]}, {"role": "user", "content": [ASKED]}],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}, "cache_control": MARK}],
        },
        "messages": {
            "system": [MARKED],
            "messages": [{"role": "user", "content": [ASKED]}],
            "tools": [{"name": "look", "input_schema": SCHEMA, "cache_control": MARK}],
            "max_tokens": 2048,
        },
        "responses": Unsaid(
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "?", "cache_control": MARK}]}]}
        ),
    },
    sent={
        "anthropic": {
            "system": [MARKED],
            "messages": [{"role": "user", "content": [ASKED]}],
            "tools": [{"name": "look", "input_schema": SCHEMA, "cache_control": MARK}],
        }
    },
    but={
        ("any", "responses"): IMPLIED,
        ("any", "gemini"): IMPLIED,
        ("messages", "chat"): IMPLIED,
    },
)

KEY = Feature(
    name="prompt-cache-key",
    title="`prompt_cache_key`",
    asks=saying(chat={"prompt_cache_key": "app-1"}, messages=Unsaid("prompt_cache_key"), responses={"prompt_cache_key": "app-1"}),
    sent={"responses": {"prompt_cache_key": "app-1"}},
    but={("any", "anthropic"): OPENAIS, ("any", "gemini"): OPENAIS, ("responses", "chat"): OPENAIS},
)

FEATURES = (MARKS, KEY)
