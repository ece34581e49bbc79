"""Kept answers for people: which are meant, as selectors say it, and how one is shown. For the admin API and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from gateway.cache.base import Kept, Selection
from gateway.caching.keeping import text_of
from gateway.policy.grammar import seconds

SELECTORS: Final = ("id", "tenant", "route", "older_than")
ANSWER_CHARS_MAX: Final = 500
LIMIT: Final = 100
LIMIT_MAX: Final = 1_000


def read_selection(given: Mapping[str, str]) -> Selection:
    """given: some of SELECTORS to what was typed. Raises ValueError that names the selector and its value."""
    empty = next((name for name, text in given.items() if not text), None)
    if empty is not None:
        raise ValueError(f"{empty} is empty; say which entries, or leave it out")
    older_than_s = None
    if "older_than" in given:
        try:
            older_than_s = seconds(given["older_than"])
        except ValueError as exc:
            raise ValueError(f"older_than: {exc}") from exc
    return Selection(given.get("id"), given.get("tenant"), given.get("route"), older_than_s)


def read_limit(text: str) -> int:
    """Raises ValueError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= LIMIT_MAX:
        raise ValueError(f"limit {text[:40]!r} is not a number from 1 to {LIMIT_MAX}")
    return int(text)


def kept_json(kept: Kept) -> dict[str, Any]:
    """An entry as people are shown it: times as ISO 8601; the answer's text, cut, None for one that is no text alone."""
    answer = kept.answer
    text = text_of(answer)
    return {
        "id": answer.id,
        "tenant": answer.tenant,
        "route": answer.route,
        "question": answer.question,
        "answer": text if text is None or len(text) <= ANSWER_CHARS_MAX else f"{text[:ANSWER_CHARS_MAX]}…",
        "model": answer.model,
        "provider": answer.provider,
        "form": answer.form,
        "usage": msgspec.structs.asdict(answer.usage),
        "space": answer.space,
        "stored_at": _iso(answer.stored_at),
        "fresh_until": _iso(answer.fresh_until),
        "expires_at": _iso(kept.expires_at),
        "size_bytes": kept.size_bytes,
        "observations": [{"score": o.score, "is_same": o.is_same} for o in kept.observations],
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
