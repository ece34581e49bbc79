"""What a model needs back of its reasoning, sealed as one text that callers send back unread. No I/O.

Signed and encrypted thoughts are fields of the canonical assistant message for which other dialects have no place but a text that
nobody reads: a version, and base64 of the fields.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

PREFIX: Final = "turnout-reasoning-v1:"
GROWING_MAX: Final = 32  # details of one answer that come in pieces at the same time

Json = dict[str, Any]


class Sealed(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a canonical assistant message that a model needs back as they were."""

    thinking_blocks: list[Json] = []
    reasoning_details: list[Json] = []

    def __bool__(self) -> bool:
        return bool(self.thinking_blocks or self.reasoning_details)

    def add(self, other: Sealed) -> None:
        """Have those of another item behind these."""
        self.thinking_blocks = [*self.thinking_blocks, *other.thinking_blocks]
        for detail in other.reasoning_details:
            self.reasoning_details = merged(self.reasoning_details, detail)


_decode = msgspec.json.Decoder(Sealed).decode


def seal(sealed: Sealed) -> str:
    """The text."""
    return PREFIX + base64.b64encode(msgspec.json.encode(sealed)).decode()


def is_sealed(text: str) -> bool:
    """Whether the gateway made it; a provider would not know it."""
    return text.startswith(PREFIX)


def opened(text: str) -> Sealed | None:
    """What it holds; None if it was changed on its way."""
    try:
        return _decode(base64.b64decode(text.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None


def merged(details: list[Json], more: Json) -> list[Json]:
    """The same list, with one more detail or with a fragment of one that has its index: OpenRouter streams them in pieces.

    Only the last GROWING_MAX can grow, so that the time it takes does not grow with them all.
    """
    index = more.get("index")
    for n in range(max(len(details) - GROWING_MAX, 0) if index is not None else len(details), len(details)):
        kept = details[n]
        is_same = kept.get("type") == more.get("type") and more.get("id") in (None, kept.get("id"))
        if kept.get("index") == index and is_same:
            joined = {name: _joined(name, kept.get(name), value) for name, value in more.items() if value is not None}
            details[n] = {**kept, **joined}
            return details
    details.append(more)
    return details


def _joined(name: str, kept: Any, more: Any) -> Any:
    is_grown = name in ("text", "summary", "data") and isinstance(kept, str) and isinstance(more, str)
    return kept + more if is_grown else more
