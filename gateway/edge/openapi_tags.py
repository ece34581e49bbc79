"""The groups in which viewers of the API's description show its operations."""

from __future__ import annotations

from typing import Final, Literal

Tag = Literal["chat", "messages", "responses", "completions", "embeddings", "models", "ledger", "health", "admin"]

TAGS: Final[dict[Tag, str]] = {
    "chat": "OpenAI's chat completions.",
    "messages": "Anthropic's Messages.",
    "responses": "OpenAI's Responses.",
    "completions": "OpenAI's older completions.",
    "embeddings": "OpenAI's embeddings.",
    "models": "What a caller may name, and where a request would go.",
    "ledger": "What was booked, and what was thought of it.",
    "health": "For load balancers and Prometheus.",
    "admin": "For the operator.",
}
_TAG_OF: Final[dict[str, Tag]] = {
    "/v1/chat/": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/v1/route": "models",
    "/v1/requests/": "ledger",
    "/v1/feedback": "ledger",
    "/health": "health",
    "/metrics": "health",
    "/admin/": "admin",
}


def tag_of(path: str) -> Tag:
    """The group of the operations at this path."""
    return next(tag for beginning, tag in _TAG_OF.items() if path.startswith(beginning))
