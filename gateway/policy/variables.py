"""`${NAME}` and `${NAME:-default}` in a policy's values: secrets and addresses that stand in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Expanded:
    """text: with the values filled in. unset: the first NAME that has none and no default. is_readable: every `${` is one."""

    text: str
    unset: str | None
    is_readable: bool


def expand(text: str, env: Mapping[str, str]) -> Expanded:
    """The text with its variables filled in; `${NAME:-}` is for what may be left out."""
    unset = next((found[1] for found in VARIABLE.finditer(text) if not env.get(found[1]) and found[2] is None), None)
    filled = VARIABLE.sub(lambda found: env.get(found[1]) or found[2] or "", text)
    return Expanded(filled, unset, "${" not in VARIABLE.sub("", text))
