"""Answer from a FAQ: the entry with the nearest question that is near enough and, the verifier says, the same question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from classifiers.pairs.rules import differs
from classifiers.text.embed import StaticEmbedder
from gateway.policy.schema import FaqFile
from gateway.prompt import Prompt

TRIED_MAX: Final = 8  # questions; the verifier takes some 0.2 ms each


@dataclass(frozen=True, slots=True)
class FaqAnswer:
    """similarity: cosine between the prompt and the entry's question that it was found to be."""

    entry: str
    text: str
    similarity: float


class Faq:
    """A FAQ file with the embeddings of its questions, (questions, dim) float32 of unit length."""

    def __init__(self, file: FaqFile, embedder: StaticEmbedder) -> None:
        asked = [(entry, question) for entry in file.entries for question in entry.questions]
        self._asked = asked
        self._plain = {_plain(question): entry for entry, question in asked}
        self._questions = embedder.encode_many([question for _, question in asked])

    def answer(self, prompt: Prompt, min_similarity: float) -> FaqAnswer | None:
        """None when no question is near enough and the same, or when the prompt is too long to have been seen whole."""
        same = self._plain.get(_plain(prompt.text))
        if same is not None:
            return FaqAnswer(same.id, same.answer, 1.0)
        if not prompt.text.strip() or not prompt.is_whole:
            return None
        similarity = self._questions @ prompt.embedding()
        for i in np.argsort(-similarity, kind="stable")[:TRIED_MAX]:
            if similarity[i] < min_similarity:
                return None
            entry, question = self._asked[i]
            # "who are they?" is as near to "who are you?" as "who are you really?" is: the cosine alone does not do.
            if differs(prompt.text, question) is None:
                return FaqAnswer(entry.id, entry.answer, float(similarity[i]))
        return None


def _plain(text: str) -> str:
    """A text without case, punctuation at its ends and extra blanks."""
    return " ".join(text.casefold().split()).strip(" .!?,;:…")
