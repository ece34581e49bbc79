"""Answer from a FAQ: the entry with the nearest question, if it is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.embed import StaticEmbedder
from gateway.policy.schema import FaqFile
from gateway.prompt import Prompt


@dataclass(frozen=True, slots=True)
class FaqAnswer:
    """similarity: cosine between the prompt and the entry's nearest question."""

    entry: str
    text: str
    similarity: float


class Faq:
    """A FAQ file with the embeddings of its questions, (questions, dim) float32 of unit length."""

    def __init__(self, file: FaqFile, embedder: StaticEmbedder) -> None:
        asked = [(entry, question) for entry in file.entries for question in entry.questions]
        self._entries = [entry for entry, _ in asked]
        self._plain = {_plain(question): entry for entry, question in asked}
        self._questions = embedder.encode_many([question for _, question in asked])

    def answer(self, prompt: Prompt, min_similarity: float) -> FaqAnswer | None:
        """None when no question is near enough, or when the prompt is too long to have been seen whole."""
        same = self._plain.get(_plain(prompt.text))
        if same is not None:
            return FaqAnswer(same.id, same.answer, 1.0)
        if not prompt.text.strip() or not prompt.is_whole:
            return None
        similarity = self._questions @ prompt.embedding()
        best = int(np.argmax(similarity))
        if similarity[best] < min_similarity:
            return None
        return FaqAnswer(self._entries[best].id, self._entries[best].answer, float(similarity[best]))


def _plain(text: str) -> str:
    """A text without case, punctuation at its ends and extra blanks."""
    words: Sequence[str] = text.casefold().split()
    return " ".join(words).strip(" .!?,;:…")
