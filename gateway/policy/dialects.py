"""Which of OpenAI's dialects a server is asked in: what the policy says of it, else what is known of its address."""

from __future__ import annotations

import urllib.parse
from typing import Final

from gateway.policy.presets import DIALECTS
from gateway.policy.schema_models import OpenAIProvider, WireDialect

# What nearly every compatible server has. That it has no completions after all is found out when it is asked for one.
USUAL: Final[frozenset[WireDialect]] = frozenset({"chat", "completions"})


def spoken(provider: OpenAIProvider) -> frozenset[WireDialect]:
    """The dialects of a provider whose address is filled in."""
    if provider.dialects is not None:
        return frozenset(provider.dialects)
    return DIALECTS.get(urllib.parse.urlsplit(provider.base_url).hostname or "", USUAL)
