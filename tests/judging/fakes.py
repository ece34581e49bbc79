"""Classifiers whose words are given, and which may take their time or fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classifiers.base import Verdict


def verdict(skip: float = 0.0, small: float = 0.0, strong: float = 0.0, familiarity: float = 1.0, **quality: float) -> Verdict:
    """A verdict; its probabilities need not add up."""
    return Verdict({"skip": skip, "small": small, "strong": strong}, quality, familiarity)


class FakeScorer:
    """says: the verdict on each text, or one for all. asked: the texts so far; threads: where."""

    version = "v1"

    def __init__(self, says: Verdict | Mapping[str, Verdict] | Callable[[str], Verdict], takes_s: float = 0.0) -> None:
        self.says, self.takes_s = says, takes_s
        self.asked: list[str] = []
        self.threads: set[int] = set()

    def judge(self, text: str) -> Verdict:
        self.asked.append(text)
        self.threads.add(threading.get_ident())
        time.sleep(self.takes_s)
        if isinstance(self.says, Verdict):
            return self.says
        return self.says(text) if callable(self.says) else self.says[text]


@dataclass(frozen=True)
class FakeIntent:
    intent: str
    confidence: float


class FakeIntents:
    """The same intent for every text."""

    version = "i1"

    def __init__(self, intent: str, confidence: float) -> None:
        self.found = FakeIntent(intent, confidence)
        self.asked: list[str] = []

    def score(self, text: str) -> FakeIntent:
        self.asked.append(text)
        return self.found


class FakeEmbedder:
    """The same two numbers for every text. encoded: what it was given."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_whole(self, text: str) -> tuple[Any, bool]:
        return self.encode(text), True

    def encode(self, text: str) -> Any:
        self.encoded.append(text)
        return np.zeros(2, np.float32)
