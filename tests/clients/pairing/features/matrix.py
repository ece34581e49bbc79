"""The matrix: every feature, by group."""

from __future__ import annotations

from collections.abc import Mapping

from tests.clients.pairing.feature import Cell, Feature, cells
from tests.clients.pairing.features import (
    answers,
    conversation,
    failures,
    media,
    output,
    prompt_cache,
    thinking,
    tool_choice,
    tools,
)

GROUPS: Mapping[str, tuple[Feature, ...]] = {
    "Prompts": conversation.FEATURES,
    "Tools": tools.FEATURES + tool_choice.FEATURES,
    "Images and documents": media.FEATURES,
    "Form of the answer": output.FEATURES,
    "Reasoning": thinking.FEATURES,
    "The provider's cache": prompt_cache.FEATURES,
    "Answers": answers.FEATURES,
    "Errors": failures.FEATURES,
}
FEATURES: tuple[Feature, ...] = tuple(feature for group in GROUPS.values() for feature in group)
CELLS: tuple[Cell, ...] = tuple(cells(FEATURES))
