"""The engine's own values: what it is given and what it says. Frozen, comparable, free of I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from gateway.policy.capability import Capability
from gateway.policy.catalog import TokenPrice
from gateway.policy.failover import PLAIN, Failover

FactValue = bool | float | int | str

NOT_ALLOWED: Final = "the caller's key may not use it"  # why a candidate is unavailable to one caller
UNSURE = "unsure"  # the classifier's word for "I would be guessing"


class Facts(msgspec.Struct, frozen=True):
    """What is known of a request: one map from a fact's name to its value.

    Only facts that the policy needs are there. `missing` says why one that it needs is not, for explain.
    Tags stand under `tag.NAME`, predicted qualities under `quality.MODEL`. `class_reason`: one word for why the class is none
    that the classifier gave. uses: of what some model of the policy cannot do, that which the request asks for. scores: the
    classifier's probabilities, by class; no condition asks for them.
    """

    values: Mapping[str, FactValue]
    missing: Mapping[str, str] = msgspec.field(default_factory=dict)
    uses: frozenset[Capability] = frozenset()
    scores: Mapping[str, float] = msgspec.field(default_factory=dict)


class Candidate(msgspec.Struct, frozen=True):
    """A model as the engine sees it just now.

    unavailable: the reason it cannot be called, if it cannot. load: seconds that one more call would take there, as far as
    can be told: what it takes now times the calls in flight. lacks: what the request uses and the model cannot do, which the
    engine fills in.
    """

    model: str
    provider: str
    context_tokens: int | None = None
    unavailable: str | None = None
    load: float = 0.0
    lacks: frozenset[Capability] = frozenset()


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
CacheScope = Literal["key", "team", "all"]


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Whether answers are kept and looked up, for how long, and who may share them.

    stale_s: after ttl_s, seconds in which an answer is still given while it is asked for anew. false_hit_budget: of the
    answers given to a similar question, the share that may be wrong. audit: share of those that is asked upstream too.
    min_similarity: cosine under which two questions are not even compared. max_temperature: of what is kept at all.
    """

    mode: CacheMode = "off"
    ttl_s: float = 3600.0
    scope: CacheScope = "key"
    stale_s: float = 0.0
    false_hit_budget: float = 0.01
    audit: float = 0.01
    min_similarity: float = 0.7
    max_temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How to answer without an LLM. Exactly one of `static` (the text) and `faq` (a file's name) is set."""

    static: str | None = None
    faq: str | None = None
    min_similarity: float = 0.8


@dataclass(frozen=True, slots=True)
class Agreement:
    """The same question asked `samples` times; at least `share` of the answers must say the same."""

    samples: int = 3
    share: float = 0.6


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes a confidence of log-probabilities: a file's name, and its logistic model.

    weights: of mean_logprob, lowest_window, margin and the logarithm of the tokens, in this order. curve: points of
    (log-odds, probability), none if the log-odds are taken at their word.
    """

    file: str
    weights: tuple[float, float, float, float]
    bias: float
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptRule:
    """When the answer of a cascade's rung stands. None: not looked at.

    confidence: probability that the answer is right, calibrated, from its log-probabilities. mean_logprob,
    lowest_window: natural logarithms, at most 0. margin: between the likeliest token and the next, 0 or more.
    calibration: None is the one that is shipped.
    """

    confidence: float | None = None
    mean_logprob: float | None = None
    lowest_window: float | None = None
    margin: float | None = None
    min_chars: int | None = None
    max_chars: int | None = None
    agreement: Agreement | None = None
    calibration: Calibration | None = None
    valid_json: bool = True
    no_refusal: bool = True
    no_repetition: bool = True

    @property
    def needs_logprobs(self) -> bool:
        """Whether the model must say how likely its tokens were."""
        return not (self.confidence is None and self.mean_logprob is None and self.lowest_window is None and self.margin is None)

    def __str__(self) -> str:
        """As in the policy, in one line: for explain and the dry run."""
        floors = ("confidence", "mean_logprob", "lowest_window", "margin")
        parts = [f"{name} >= {getattr(self, name):g}" for name in floors if getattr(self, name) is not None]
        parts += [f"{name} {getattr(self, name)}" for name in ("min_chars", "max_chars") if getattr(self, name) is not None]
        if self.agreement is not None:
            parts.append(f"agreement {self.agreement.share:g} of {self.agreement.samples}")
        if self.calibration is not None:
            parts.append(f"calibration {self.calibration.file}")
        parts += [name for name in ("valid_json", "no_refusal", "no_repetition") if getattr(self, name)]
        return ", ".join(parts) or "ends well"


EXPECTED_TOKENS_OUT = 256  # of an answer, where two models are compared by price before either is asked


@dataclass(frozen=True, slots=True)
class Saving:
    """What a rung of a cascade costs, and what the last one does. times: how often the rung is asked."""

    rung: TokenPrice
    last: TokenPrice
    times: int = 1

    def is_any(self, tokens_in: int) -> bool:
        """Whether asking it first can save anything for a request of so many tokens."""
        rung, last = self.rung.rates(tokens_in), self.last.rates(tokens_in)
        input_pusd, output_pusd = last.input - self.times * rung.input, last.output - self.times * rung.output
        return tokens_in * input_pusd + EXPECTED_TOKENS_OUT * output_pusd > 0


@dataclass(frozen=True, slots=True)
class SelectRule:
    """Choose the cheapest of `models` such that, on the whole, `quality` of the best one's quality is kept.

    bar: the share of the best predicted quality that is enough for one prompt, as measured on held-out prompts; 1, which
    asks the best one always, until a classifier has said it.
    """

    models: tuple[str, ...]
    quality: float = 0.95
    bar: float = 1.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One route in the story of a decision."""

    route: str
    matched: bool
    why: str


class Plan(msgspec.Struct, frozen=True):
    """Ask these models in this order. `left_out`: models of the route that cannot be asked now, and why.

    wanted: the model that the policy would have asked first. accept: of a cascade, by model: when its answer stands;
    a target that is not in it is the last rung, or a fallback. rungs: of a cascade, or of models that are as good as each
    other, the targets that are not fallbacks, whose answers are what the policy wants. choice: why that model, where the
    route leaves it open.
    """

    route: str
    decided_by: str
    wanted: str
    targets: tuple[str, ...]
    timeouts: Timeouts
    retry: Retry
    cache: CacheRule
    left_out: tuple[tuple[str, str], ...] = ()
    accept: Mapping[str, AcceptRule] = msgspec.field(default_factory=dict)
    rungs: tuple[str, ...] = ()
    choice: str | None = None
    failover: Failover = PLAIN

    @property
    def compromise(self) -> str | None:
        """Why the wanted model is not even asked, None if it is: what the caller and the operator should know."""
        return next((f"{model} is left out: {why}" for model, why in self.left_out if model == self.wanted), None)


class Answer(msgspec.Struct, frozen=True):
    """Answer without an LLM. If the handler has nothing to say, decide again with this route passed over."""

    route: str
    decided_by: str
    rule: AnswerRule


class Denial(msgspec.Struct, frozen=True):
    """Nothing in the policy serves this request, or nothing that the caller may use. param: the field that is at fault."""

    code: Literal["model_not_found", "route_not_found", "model_not_allowed", "route_not_allowed", "unsupported_feature"]
    message: str
    param: str | None = None

    @property
    def status(self) -> int:
        """Of HTTP."""
        if self.code == "unsupported_feature":
            return 400
        return 403 if self.code in ("model_not_allowed", "route_not_allowed") else 404


Decision = Plan | Answer | Denial
