"""How the fake provider counts: with tiktoken's own definitions of the published vocabularies, and OpenAI's cookbook."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any
from unittest import mock

import tiktoken
from tiktoken_ext import openai_public

from gateway.pricing.tokens import folder
from tests.scenario.reconciliation.sheet import EMBEDDER, OLD


@functools.cache
def _encoding(name: str) -> tiktoken.Encoding:
    assert (folder() / "anthropic_tokenizer.json").is_file(), f"the vocabularies are expected in {Path(folder())}"
    with mock.patch.dict(os.environ, TIKTOKEN_CACHE_DIR=str(folder())):
        return tiktoken.Encoding(**getattr(openai_public, name)())


def tokens(model: str, text: str) -> int:
    encoding = _encoding("cl100k_base" if model in (OLD, EMBEDDER) else "o200k_base")
    return len(encoding.encode(text, disallowed_special=()))


def prompt_tokens(model: str, messages: list[dict[str, Any]]) -> int:
    """cookbook.openai.com, "How to count tokens with tiktoken": num_tokens_from_messages."""
    count = 3  # every reply is primed with <|start|>assistant<|message|>
    for message in messages:
        count += 3
        for key, value in message.items():
            parts = [value] if isinstance(value, str) else [part["text"] for part in value]
            count += sum(tokens(model, part) for part in parts)
            if key == "name":
                count += 1
    return count
