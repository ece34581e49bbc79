"""Takes credentials out of what a provider says, before it reaches a caller, the ledger or a log."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
# Some providers repeat a part of the key, which tells whose it is: "Incorrect API key provided: sk-ab…wxyz".
PREFIX_CHARS_MIN, SUFFIX_CHARS_MIN = 8, 4
_WORD = re.compile(r"[\w-]{4,}")
_STARRED = re.compile(r"[\w-]*\*{4,}[\w-]*")
_KEY = re.compile(
    r"""(?<![\w-])(
        (sk|rk|pk|csk|xai|pplx|nvapi|gsk|hf|fw|tgp|r8|ghp|gho|github_pat)[-_](?=[\w-]*\d)[\w-]{12,}  # OpenAI, Anthropic, xAI, …
        | AIza[\w-]{30,} | ya29\.[\w.-]{20,}  # Google
        | (AKIA|ASIA)[A-Z0-9]{16}             # AWS
        | (?<=Bearer\ )[\w.~+/=-]{12,}
    )""",
    re.VERBOSE,
)


def redacted(text: str, *secrets: str | None) -> str:
    """The text without the secrets: whole, shown by their beginning or end, and other words that look like a key."""
    known = [secret for secret in secrets if secret]
    for secret in known:
        text = text.replace(secret, HIDDEN)
    text = _STARRED.sub(HIDDEN, _KEY.sub(HIDDEN, text))
    for secret in known:
        text = _WORD.sub(lambda found, secret=secret: HIDDEN if _is_part(found[0], secret) else found[0], text)  # type: ignore[misc]
    return text


def _is_part(word: str, secret: str) -> bool:
    """Whether the word is the beginning or the end of the secret. Of a short one any part would give most of it away."""
    return (len(word) >= PREFIX_CHARS_MIN and secret.startswith(word)) or (
        SUFFIX_CHARS_MIN <= len(word) < len(secret) and secret.endswith(word)
    )
