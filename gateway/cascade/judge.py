"""Whether a rung's answer stands: a rule of the policy and an answer in, a verdict out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from classifiers.cascade.confidence import ConfidenceModel, Measures, measure, shipped_model
from gateway.cascade import checks
from gateway.cascade.draft import Draft
from gateway.policy.model import AcceptRule
from gateway.request import ChatRequest

SMALL_TOKENS = 256  # a caller who sets no more than this wants to be cut short
NO_LOGPROBS = "the model gave no log-probabilities"

_BROKEN, _POOR, _UNSURE, _FINE = 3, 2, 1, 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """rule: what the answer failed by, None if it stands; why: in words and numbers, never the answer's own.

    measures: what was found, for the ledger. badness: of several answers that did not convince, the least is the best.
    """

    rule: str | None = None
    why: str = ""
    measures: dict[str, float | int] = field(default_factory=dict)
    badness: int = _FINE

    @property
    def is_accepted(self) -> bool:
        return self.rule is None


@dataclass(frozen=True)
class Terms:
    """What the request itself demands of an answer. tools: names on offer. response_format: None for free text."""

    tools: frozenset[str]
    response_format: dict[str, Any] | None
    cut_is_meant: bool

    @classmethod
    def of(cls, request: ChatRequest) -> Terms:
        """Read from the request's body, which the edge has found well-formed."""
        head = request.head
        fields = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw]) if request.has_json_schema else {}
        asked = msgspec.json.decode(fields["response_format"]) if fields else None
        tokens_max = head.max_completion_tokens or head.max_tokens
        return cls(_offered(request), asked, tokens_max is not None and tokens_max <= SMALL_TOKENS)


def judge(rule: AcceptRule, terms: Terms, drafts: Sequence[Draft]) -> Verdict:
    """The verdict on an answer: of several choices, all must convince. Agreement is not looked at.

    The measures are those of the choice that fails, or else of the least likely one.
    """
    verdicts = [_judged(rule, terms, draft) for draft in drafts]
    if not verdicts:
        return Verdict("answer", "it has no choice", badness=_BROKEN)
    failed = [v for v in verdicts if not v.is_accepted]
    if failed:
        return max(failed, key=lambda v: v.badness)
    return min(verdicts, key=lambda v: v.measures.get("mean_logprob", 0.0))


def _judged(rule: AcceptRule, terms: Terms, draft: Draft) -> Verdict:
    measures = measure(draft.chances)
    model = _model(rule)
    found = _found(measures, model)
    for name, why, badness in (*_endings(terms, draft), *_texts(rule, terms, draft), *_bounds(rule, measures, model)):
        if why is not None:
            return Verdict(name, why, found, badness)
    return Verdict(measures=found)


Finding = tuple[str, str | None, int]


def _endings(terms: Terms, draft: Draft) -> list[Finding]:
    """However a rule reads, an answer that ended badly does not stand."""
    cut = "it was cut short (length)" if draft.finish == "length" and not terms.cut_is_meant else None
    ended = f"it ended with {draft.finish}" if draft.finish in ("content_filter", "error") else None
    is_empty = not (draft.text.strip() or draft.refusal or draft.calls)
    calls = (checks.bad_call(call.name, call.arguments, terms.tools) for call in draft.calls)
    return [
        ("finish", ended or cut, _BROKEN),
        ("empty", "it is empty" if is_empty else None, _BROKEN),
        ("tool_call", next((why for why in calls if why), None), _BROKEN),
    ]


def _texts(rule: AcceptRule, terms: Terms, draft: Draft) -> list[Finding]:
    findings: list[Finding] = []
    if rule.no_refusal:
        findings.append(("no_refusal", "it declines" if draft.refusal else checks.refuses(draft.text), _POOR))
    if draft.calls:
        return findings  # what is said beside a call is not the answer
    if rule.min_chars is not None:
        findings.append(("min_chars", checks.too_short(draft.text, rule.min_chars), _POOR))
    if rule.max_chars is not None:
        findings.append(("max_chars", checks.too_long(draft.text, rule.max_chars), _POOR))
    if rule.valid_json and terms.response_format is not None:
        findings.append(("valid_json", checks.not_json(draft.text, terms.response_format), _BROKEN))
    if rule.no_repetition:
        findings.append(("no_repetition", checks.repeats(draft.text), _POOR))
    return findings


def _bounds(rule: AcceptRule, measures: Measures | None, model: ConfidenceModel | None) -> list[Finding]:
    values: list[tuple[str, float | None, float | None]] = [
        ("confidence", rule.confidence, model.confidence(measures) if model and measures else None),
        ("mean_logprob", rule.mean_logprob, measures.mean_logprob if measures else None),
        ("lowest_window", rule.lowest_window, measures.lowest_window if measures else None),
        ("margin", rule.margin, measures.margin if measures else None),
    ]
    return [(name, _below(name, value, bound), _UNSURE) for name, bound, value in values if bound is not None]


def _below(name: str, value: float | None, bound: float) -> str | None:
    if value is None:
        return NO_LOGPROBS
    if value >= bound:
        return None
    shown = f"{value:.2f}" if f"{value:.2f}" != f"{bound:.2f}" else f"{value:.4f}"
    return f"{name} {shown} is below {bound:g}"


def _found(measures: Measures | None, model: ConfidenceModel | None) -> dict[str, float | int]:
    """What is kept of an answer, under the names that fit_confidence reads."""
    found: dict[str, float | int] = {}
    if measures is not None:
        found = {k: round(v, 5) if isinstance(v, float) else v for k, v in asdict(measures).items() if v is not None}
        confidence = model.confidence(measures) if model is not None else None
        if confidence is not None:
            found["confidence"] = round(confidence, 5)
    return found


def _model(rule: AcceptRule) -> ConfidenceModel | None:
    if not rule.needs_logprobs:
        return None
    if rule.calibration is not None:
        return ConfidenceModel(rule.calibration.weights, rule.calibration.bias, rule.calibration.curve)
    return shipped_model()


def _offered(request: ChatRequest) -> frozenset[str]:
    functions = [msgspec.json.decode(bytes(tool["function"])) for tool in request.head.tools or () if "function" in tool]
    names = [f.get("name") for f in functions if isinstance(f, dict)]
    names += [msgspec.json.decode(bytes(f["name"])) for f in request.head.functions or () if "name" in f]
    return frozenset(name for name in names if isinstance(name, str))
