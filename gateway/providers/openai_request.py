"""A request in the canonical form that came in another dialect, as a server of OpenAI's chat dialect takes it. No I/O.

The canonical form has fields of our own beside OpenAI's, which servers refuse or misread. What they mean is said in OpenAI's
words, or refused by name so that a plan goes on to a target that can carry it. Left out on purpose, since an answer without them
is still an answer to the question: marks for a cache (`cache_control`; these servers cache by themselves), `thinking_blocks`
(signed for another provider), and besides for servers other than OpenAI's own the HINTS below.

A chat caller's request never comes here: its bytes pass through.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.chat import decode_body
from gateway.providers.openai_messages import Json, openai_messages
from gateway.providers.openai_server import Server
from gateway.providers.unsupported import unsupported
from gateway.providers.user_ids import openai_user

# Of accounting and caching at OpenAI; strict servers refuse them.
HINTS: Final = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
    }
)
# Anthropic's budgets of tokens for thinking, as OpenAI's efforts: up to so many, this one; beyond, "high".
EFFORTS: Final = ((4_096, "low"), (16_384, "medium"))
_OURS = ("cache_control", "thinking", "top_k")


def openai_body(body: bytes, model_id: str, server: Server, *, is_stream: bool) -> bytes:
    """The body for POST /chat/completions. Raises UpstreamError: `unsupported`, naming the field."""
    fields: Json = decode_body(body)
    dropped = _OURS if server.is_openai else (*_OURS, *HINTS)
    translated = {name: value for name, value in fields.items() if name not in dropped}
    translated["model"] = model_id
    translated["messages"] = openai_messages(fields["messages"], server)
    if tools := fields.get("tools"):
        translated["tools"] = [{name: value for name, value in tool.items() if name != "cache_control"} for tool in tools]
    if is_stream:
        translated["stream_options"] = {**(fields.get("stream_options") or {}), "include_usage": True}
    top_k = fields.get("top_k")
    if top_k is not None:
        if server.is_strict:
            raise unsupported("top_k", "has no counterpart in the OpenAI API")
        translated["top_k"] = top_k
    effort = effort_of(fields)
    if effort is not None:
        translated["reasoning_effort"] = effort
    if isinstance(user := fields.get("user"), str):
        translated["user"] = openai_user(user)
    return msgspec.json.encode(_bounded(translated, server))


def effort_of(fields: Json) -> str | None:
    """The `reasoning_effort` that a request asks for, also by Anthropic's `thinking`; None where that is left to the model.

    `disabled` asks for what models without an effort do anyway, and most of those with one have no word for it.
    """
    effort: str | None = fields.get("reasoning_effort")
    if effort is not None:
        return effort
    thinking = fields.get("thinking")
    budget: Any = thinking.get("budget_tokens") if isinstance(thinking, dict) and thinking.get("type") == "enabled" else None
    if not isinstance(budget, int):
        return None
    return next((name for most, name in EFFORTS if budget <= most), "high")


def _bounded(fields: Json, server: Server) -> Json:
    """With the bound of the answer under the name that the server knows."""
    bounds = [fields.pop(name, None) for name in ("max_completion_tokens", "max_tokens")]
    bound = next((tokens for tokens in bounds if tokens is not None), None)
    if bound is not None:
        fields["max_completion_tokens" if server.is_openai else "max_tokens"] = bound
    return fields
