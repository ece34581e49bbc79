"""The engine's own values: what it is given and what it says. Frozen, comparable, free of I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FactValue = bool | float | int | str

UNSURE = "unsure"  # the classifier's word for "I would be guessing"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a request: one map from a fact's name to its value.

    Only facts that the policy needs are there. `missing` says why one that it needs is not, for explain.
    Tags stand under `tag.NAME`, the classifier's probabilities under `score.CLASS`.
    """

    values: Mapping[str, FactValue]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model as the engine sees it just now. `unavailable` is the reason it cannot be called, if it cannot."""

    model: str
    provider: str
    context_tokens: int | None = None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `first_token` binds streams; a whole answer is bound by what is left of `total`."""

    connect_s: float = 5.0
    first_token_s: float = 30.0
    idle_s: float = 30.0
    total_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts`: how often one target is asked at most, the first time included."""

    attempts: int = 2
    backoff_s: float = 0.2


CacheMode = Literal["off", "exact", "semantic"]
CacheScope = Literal["key", "team"]


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Whether answers are kept and looked up, for how long, and who may share them.

    min_similarity: cosine under which two questions are not even compared. Behind the verifier, precision hardly
    depends on it between 0.80 and 0.90 (benchmarks/verifier.py).
    """

    mode: CacheMode = "off"
    ttl_s: float = 3600.0
    scope: CacheScope = "key"
    min_similarity: float = 0.85


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How to answer without an LLM. Exactly one of `static` (the text) and `faq` (a file's name) is set."""

    static: str | None = None
    faq: str | None = None
    min_similarity: float = 0.8


@dataclass(frozen=True, slots=True)
class Tried:
    """One route in the story of a decision."""

    route: str
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Ask these models in this order. `left_out`: models of the route that cannot be asked now, and why.

    wanted: the model that the policy would have asked first.
    """

    route: str
    decided_by: str
    wanted: str
    targets: tuple[str, ...]
    timeouts: Timeouts
    retry: Retry
    cache: CacheRule
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def compromise(self) -> str | None:
        """Why the wanted model is not even asked, None if it is: what the caller and the operator should know."""
        return next((f"{model} is left out: {why}" for model, why in self.left_out if model == self.wanted), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer without an LLM. If the handler has nothing to say, decide again with this route passed over."""

    route: str
    decided_by: str
    rule: AnswerRule


@dataclass(frozen=True, slots=True)
class Denial:
    """Nothing in the policy serves this request."""

    code: Literal["model_not_found", "route_not_found"]
    message: str


Decision = Plan | Answer | Denial
