"""What a request may use and a model may lack: the words that a policy's `cannot:` has, and how a lack is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

Capability = Literal["tools", "images", "documents", "audio", "json_schema", "json_object", "logprobs", "n", "reasoning"]

CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)

# For people, and the field of a chat request that asks for it.
WORDS: Final[Mapping[Capability, tuple[str, str]]] = {
    "tools": ("tools", "tools"),
    "images": ("images", "messages"),
    "documents": ("documents", "messages"),
    "audio": ("audio", "messages"),
    "json_schema": ("answers bound to a JSON schema", "response_format"),
    "json_object": ("answers bound to JSON", "response_format"),
    "logprobs": ("log-probabilities", "logprobs"),
    "n": ("more than one choice (`n`)", "n"),
    "reasoning": ("reasoning", "reasoning_effort"),
}


def told(lacks: Iterable[Capability]) -> str:
    """What is lacking, for people, in the order of the words."""
    lacking = set(lacks)
    return ", ".join(WORDS[name][0] for name in CAPABILITIES if name in lacking)


def param_of(lacks: Iterable[Capability]) -> str | None:
    """The field of a chat request that asks for the first of them."""
    lacking = set(lacks)
    return next((WORDS[name][1] for name in CAPABILITIES if name in lacking), None)
