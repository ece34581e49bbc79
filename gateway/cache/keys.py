"""The key of a request: canonical JSON of what matters, as digests."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from gateway.cache.base import CacheKey
from gateway.chat import decode_body
from gateway.policy.model import CacheScope
from gateway.request import COMPLETIONS, ChatRequest
from gateway.tenant import Tenant

# Fields that say how an answer is delivered or who is billed, not what it is.
NOT_IN_KEY = frozenset({"model", "stream", "stream_options", "user", "metadata", "store", "service_tier", "safety_identifier"})

_encode: Final = msgspec.json.Encoder(order="sorted").encode

# Two names of one field: OpenAI's older one, which Anthropic's dialect becomes as well, and the newer one, of Responses.
_RENAMED: Final = {"max_completion_tokens": "max_tokens"}


def cache_key(request: ChatRequest, tenant: Tenant, scope: CacheScope, route: str, target: str, space: str = "") -> CacheKey:
    """The key of a request. Raises ClientError for a body that cannot be read whole.

    target: the route's first model and its provider, so that a policy's change of mind counts. space: the name of the
    embedding, of which only the partition depends: vectors of two embeddings are never compared.
    """
    fields = decode_body(request.body)
    messages: list[Any] = fields.pop("messages")
    last = messages.pop()
    asked = _encode(last)
    question = _question(last) if last.get("role") == "user" else None
    rest = {_RENAMED.get(k, k): _plain(v) for k, v in fields.items() if k not in NOT_IN_KEY}
    context = [owner(tenant, scope), route, target, rest, messages]
    if request.dialect == COMPLETIONS:  # whose answers go on from the prompt; in the other dialects they are answers to it
        context.append(COMPLETIONS)
    if question is not None:
        del last["content"]
        context.append(last)
    partition = hashlib.sha256(_encode(context))
    exact = partition.copy()
    exact.update(asked)
    partition.update(space.encode())
    return CacheKey(partition.digest(), exact.digest(), question)


def owner(tenant: Tenant, scope: CacheScope) -> str:
    """Who shares an answer. A team's scope narrows to the key for a caller without a team: sharing is never a side effect."""
    if scope == "all":
        return "all"
    return f"team:{tenant.team}" if scope == "team" and tenant.team else f"key:{tenant.key}"


def _question(message: dict[str, Any]) -> str | None:
    """The message's text if it is text alone."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        return "\n".join(str(p.get("text", "")) for p in content)
    return None


def _plain(value: Any) -> Any:
    """1.0 and 1 are the same temperature."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
