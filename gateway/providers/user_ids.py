"""Who a request is for, as each provider takes it. Values only.

A name that a provider would refuse becomes a hash of it, by which it still tells one user from another.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

OPENAI_CHARS_MAX: Final = 64  # OpenRouter's are 128; Claude Code's `metadata.user_id` has some 150
ANTHROPIC_CHARS_MAX: Final = 256
# Anthropic answers 400 to an address or a telephone number.
_PERSONAL: Final = re.compile(r"@|^\+?[\d\s().-]{7,}$")


def openai_user(user: str) -> str:
    """As `user` of an OpenAI request."""
    return user if len(user) <= OPENAI_CHARS_MAX else _hashed(user)


def anthropic_user(user: str) -> str:
    """As `metadata.user_id` of an Anthropic request."""
    return user if len(user) <= ANTHROPIC_CHARS_MAX and not _PERSONAL.search(user) else _hashed(user)


def _hashed(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()
