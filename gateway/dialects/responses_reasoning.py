"""Reasoning of any provider in a Responses item, such that it finds back when the item is sent again. No I/O.

The item's text is for people. What a model needs to go on, its signed or encrypted thoughts, stands in `encrypted_content`,
sealed by us. OpenAI's own encrypted content stays as it is, and is `reasoning_details` in the canonical form.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.chat import OPENAI_SEALED
from gateway.dialects.responses_fields import Json, ReasoningItem
from gateway.dialects.sealed_reasoning import Sealed, is_sealed, opened
from gateway.errors import ClientError

ID_PREFIX: Final = "rs_turnout_"


def is_ours(item: Json) -> bool:
    """Whether the gateway made this reasoning item, which OpenAI would not know."""
    return is_sealed(str(item.get("encrypted_content") or "")) or str(item.get("id") or "").startswith(ID_PREFIX)


def unsealed(item: ReasoningItem, path: str) -> Sealed:
    """What the item holds for a model. Raises ClientError for one of ours that was changed."""
    content = item.encrypted_content
    if not content:
        return Sealed()
    if not is_sealed(content):
        detail = {"type": "reasoning.encrypted", "id": item.id, "data": content, "format": OPENAI_SEALED}
        return Sealed(reasoning_details=[detail])
    found = opened(content)
    if found is None:
        where = f"{path}.encrypted_content"
        message = f"`{where}` is not as this gateway gave it; send it back unchanged, or leave the item out"
        raise ClientError(message, code="invalid_value", param=where)
    return found


def openai_items(item: Json) -> list[Json]:
    """OpenAI's own reasoning items that are sealed in one of ours, for a provider that speaks Responses."""
    sealed = unsealed(msgspec.convert(item, ReasoningItem), "input")
    return [
        {"type": "reasoning", "id": detail.get("id"), "summary": [], "encrypted_content": detail.get("data")}
        for detail in sealed.reasoning_details
        if detail.get("format") == OPENAI_SEALED
    ]
