"""Ids of tool calls: of any provider's, one that Anthropic takes."""

from __future__ import annotations

import hashlib
import re

_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def anthropic_tool_id(given: str) -> str:
    """The id in [a-zA-Z0-9_-], which is all that Anthropic takes. A foreign one keeps apart from others by a hash."""
    clean = _NOT_IN_ID.sub("_", given)
    return clean if clean == given and clean else f"{clean[:48]}_{hashlib.sha256(given.encode()).hexdigest()[:12]}"
