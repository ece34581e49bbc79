"""Reasoning: how much, what is heard of it, and that it goes back as the model signed it."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, Unsaid, saying
from tests.clients.pairing.features.tools import OSLO, offering
from tests.clients.pairing.says import SIGNATURE, Says, Used
from tests.clients.pairing.wire import Among

THOUGHT = "Norway. Its capital is Oslo."
SPENT = Used(11, 30, reasoning=20)

EFFORT = Feature(
    name="effort",
    title="How hard to think",
    asks=saying(
        chat={"reasoning_effort": "high"},
        messages={"output_config": {"effort": "high"}},
        responses={"reasoning": {"effort": "high"}},
    ),
    sent={
        "chat": {"reasoning_effort": "high"},
        "responses": {"reasoning": {"effort": "high"}},
        "anthropic": {"output_config": {"effort": "high"}},
        "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    },
    says=(Says(used=SPENT),),
)

BUDGET = Feature(
    name="thinking-budget",
    title="Tokens to think with",
    asks=saying(
        chat={"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
        messages={"thinking": {"type": "enabled", "budget_tokens": 1024}},
        responses=Unsaid("thinking"),
    ),
    sent={
        "chat": {"reasoning_effort": "low"},
        "responses": {"reasoning": {"effort": "low"}},
        "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}},
    },
    says=(Says(used=SPENT),),
)

HEARD = Feature(
    name="thinking",
    title="What the model thought",
    asks=saying(
        chat={"reasoning_effort": "low"},
        messages={"thinking": {"type": "enabled", "budget_tokens": 1024}},
        responses={"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    sent={
        "chat": {"reasoning_effort": "low"},
        "responses": {"reasoning": {"effort": "low"}},
        "anthropic": {"output_config": {"effort": "low"}},
        "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    },
    says=(Says(thoughts=(THOUGHT,), used=SPENT),),
)

LOOP = Feature(
    name="thinking-loop",
    title="Thinking, signed, through a tool loop",
    asks=offering(
        chat={"reasoning_effort": "low"},
        messages={"thinking": {"type": "enabled", "budget_tokens": 1024}},
        responses={"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False},
    ),
    says=(Says("", thoughts=(THOUGHT,), calls=(OSLO,), used=SPENT), Says("Rain.", used=SPENT)),
    results=(("rain",),),
    sent={
        "chat": {
            "messages": [
                {"role": "user"},
                {"role": "assistant", "reasoning_content": THOUGHT},
                {"role": "tool", "content": "rain"},
            ]
        },
        "responses": {"input": Among({"type": "reasoning", "encrypted_content": SIGNATURE})},
        "anthropic": {
            "messages": [
                {"role": "user"},
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}, {"type": "tool_use"}],
                },
                {"role": "user", "content": [{"type": "tool_result"}]},
            ]
        },
        "gemini": {"contents": Among({"role": "model", "parts": Among({"thoughtSignature": SIGNATURE})})},
    },
)

TWICE = Feature(
    name="thinking-twice",
    title="Two thoughts, each signed, through a tool loop",
    asks=LOOP.asks,
    says=(Says("", thoughts=("Oslo? ", "Oslo."), calls=(OSLO,), used=SPENT), Says("Rain.", used=SPENT)),
    spoken=("responses", "anthropic"),
    results=(("rain",),),
    sent={
        "responses": {
            "input": [
                {"role": "user"},
                {"type": "reasoning", "encrypted_content": SIGNATURE},
                {"type": "reasoning", "encrypted_content": SIGNATURE},
                {"type": "function_call"},
                {"type": "function_call_output"},
            ]
        },
        "anthropic": {
            "messages": [
                {"role": "user"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Oslo? ", "signature": SIGNATURE},
                        {"type": "thinking", "thinking": "Oslo.", "signature": SIGNATURE},
                        {"type": "tool_use"},
                    ],
                },
                {"role": "user", "content": [{"type": "tool_result"}]},
            ]
        },
    },
)

FEATURES = (EFFORT, BUDGET, HEARD, LOOP, TWICE)
