"""What other providers' models need back of their reasoning, as the signature of an Anthropic thinking block. No I/O.

Anthropic signs a block; others hand out encrypted or signed entries beside their text (`reasoning_details`). Sealed by us these
stand where the signature does, which callers send back unread, and never go to Anthropic.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.dialects.messages_content import Json
from gateway.dialects.sealed_reasoning import Sealed, merged, seal


def signature(details: Iterable[object]) -> str:
    """A signature that holds these entries, or their fragments in a stream; "" if a model needs none of them back."""
    kept: list[Json] = []
    for detail in details:
        if isinstance(detail, dict):
            kept = merged(kept, detail)
    needed = [detail for detail in kept if detail.get("data") or detail.get("signature")]
    bare = [{name: value for name, value in detail.items() if name != "index"} for detail in needed]
    return seal(Sealed(reasoning_details=bare)) if bare else ""
