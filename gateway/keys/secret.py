"""A virtual key's secret: how it is made, told from what is none, and what is stored instead of it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

PREFIX: Final = "sk-turnout-"
RANDOM_BYTES: Final = 32
RANDOM_CHARS: Final = 43  # 32 bytes in base64 without its padding
CHECK_CHARS: Final = 4
ID_PREFIX: Final = "key_"
ID_BYTES: Final = 9  # 12 characters


def new_secret() -> str:
    """A secret nobody has yet: 256 random bits, and check digits after them."""
    return _checked(PREFIX + _text(secrets.token_bytes(RANDOM_BYTES)))


def new_id() -> str:
    """An id for a key, safe to log."""
    return ID_PREFIX + _text(secrets.token_bytes(ID_BYTES))


def is_secret(text: str) -> bool:
    """Whether it begins as a secret of ours does."""
    return text.startswith(PREFIX)


def is_whole(text: str) -> bool:
    """Whether its check digits are right: of those mistyped or cut short, 1 in 16 million passes."""
    return len(text) == len(PREFIX) + RANDOM_CHARS + CHECK_CHARS and _checked(text[:-CHECK_CHARS]) == text


def digest_of(secret: bytes) -> bytes:
    """What is stored, and looked up by: SHA-256.

    A fast hash is right for 256 random bits: there is nothing to guess, so nothing that a slow one would make dearer.
    """
    return hashlib.sha256(secret).digest()


def _checked(text: str) -> str:
    check = hashlib.sha256(b"check digits of " + text.encode()).digest()
    return text + _text(check)[:CHECK_CHARS]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
