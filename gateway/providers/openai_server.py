"""What is known of servers that speak OpenAI's chat dialect, by their address: values only."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Server:
    """How a server differs from the next.

    is_openai: it has OpenAI's own rules, `developer` messages and `max_completion_tokens` among them, which its newer models
    insist on and most other servers refuse or pass over. is_strict: it refuses fields that are not OpenAI's; others have taken
    over `top_k`, and some (DeepSeek) insist on the `reasoning_content` of earlier turns.
    """

    is_openai: bool = False
    is_strict: bool = False


_OPENAI = Server(is_openai=True, is_strict=True)
_BY_HOST: Final = {"api.openai.com": _OPENAI, "api.groq.com": Server(is_strict=True), "api.mistral.ai": Server(is_strict=True)}
_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")


def server_at(base_url: str) -> Server:
    """What is known of the server at this address."""
    host = urllib.parse.urlsplit(base_url).hostname or ""
    return _OPENAI if host.endswith(_AZURE) else _BY_HOST.get(host, Server())
