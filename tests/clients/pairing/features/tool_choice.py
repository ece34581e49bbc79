"""Which tool to call: every value of `tool_choice`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.clients.pairing.callers.base import CallerName
from tests.clients.pairing.feature import Feature, ProviderName
from tests.clients.pairing.features.tools import OSLO, offering
from tests.clients.pairing.says import Json, Says


def choosing(name: str, title: str, asked: Mapping[CallerName, object], sent: Mapping[ProviderName, Json], says: Says) -> Feature:
    """One value of `tool_choice`."""
    asks = offering(**{caller: {"tool_choice": choice} for caller, choice in asked.items()})
    return Feature(name=f"tool-choice-{name}", title=title, asks=asks, sent=sent, says=(says,))


AUTO = choosing(
    "auto",
    "`tool_choice`: as the model likes",
    {"chat": "auto", "messages": {"type": "auto"}, "responses": "auto"},
    {
        "chat": {"tool_choice": "auto"},
        "responses": {"tool_choice": "auto"},
        "anthropic": {"tool_choice": {"type": "auto"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
    },
    Says(),
)
NONE = choosing(
    "none",
    "`tool_choice`: none",
    {"chat": "none", "messages": {"type": "none"}, "responses": "none"},
    {
        "chat": {"tool_choice": "none"},
        "responses": {"tool_choice": "none"},
        "anthropic": {"tool_choice": {"type": "none"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
    },
    Says(),
)
REQUIRED = choosing(
    "any",
    "`tool_choice`: any, but one",
    {"chat": "required", "messages": {"type": "any"}, "responses": "required"},
    {
        "chat": {"tool_choice": "required"},
        "responses": {"tool_choice": "required"},
        "anthropic": {"tool_choice": {"type": "any"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    },
    Says("", calls=(OSLO,)),
)
NAMED = choosing(
    "named",
    "`tool_choice`: this one",
    {
        "chat": {"type": "function", "function": {"name": "weather"}},
        "messages": {"type": "tool", "name": "weather"},
        "responses": {"type": "function", "name": "weather"},
    },
    {
        "chat": {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        "responses": {"tool_choice": {"type": "function", "name": "weather"}},
        "anthropic": {"tool_choice": {"type": "tool", "name": "weather"}},
        "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowed_function_names": ["weather"]}}},
    },
    Says("", calls=(OSLO,)),
)

FEATURES = (AUTO, NONE, REQUIRED, NAMED)
