"""Asks the classifiers about a turn. Whatever the turn is made of, and whatever goes wrong, there is an answer with its reason.

A text is scored once; its verdict is remembered, and a fallback never is. Long texts are scored beside the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final, Protocol

import msgspec

from classifiers.base import Verdict
from gateway.conversation import Turn
from gateway.judging.class_rule import UNFAMILIAR, classed, merged
from gateway.judging.memo import Memo, Value, text_key
from gateway.policy.model import UNSURE, FactValue
from gateway.policy.schema import ClassifierSpec
from gateway.prompt import readable

log = logging.getLogger("turnout.judging")

# Up to this many characters scoring keeps the event loop under 2 ms: 0.6 ms, or 1.7 with an artifact that learned from
# grades. More go to a thread, where `max_ms` can hold them to their time (benchmarks/classifier.py).
INLINE_CHARS_MAX: Final = 2_000
SCORED: Final = frozenset({"class", "quality"})  # what a verdict tells
OUT_OF_SCOPE: Final = "oos"
OURS: Final = ("timeout", "error")  # reasons that are not in the text itself
JUNK_SHARE_MAX: Final = 0.1
JUNK_CHARS: Final = 3_000  # of a text's beginning, in which junk is looked for

_WORD: Final = re.compile(r"[^\W_]")
_JUNK: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffd\ufffe\uffff]")
_ASCII_JUNK: Final = bytes(code for code in range(128) if _JUNK.match(chr(code)))


class Scorer(Protocol):
    """What a routing artifact does."""

    @property
    def version(self) -> str: ...

    def judge(self, text: str) -> Verdict:
        """The verdict on one text, of any length."""
        ...


class Intended(Protocol):
    """What a text wants, with the probability that it does."""

    @property
    def intent(self) -> str: ...

    @property
    def confidence(self) -> float: ...


class IntentScorer(Protocol):
    """What an intent artifact does."""

    @property
    def version(self) -> str: ...

    def score(self, text: str) -> Intended: ...


class Judgement(msgspec.Struct, frozen=True):
    """Facts, and for those that are not there the reason in words. scores: the classifier's probabilities, by class."""

    values: dict[str, FactValue] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)
    scores: dict[str, float] = msgspec.field(default_factory=dict)


class Judge:
    """One policy's classifiers. grades: policy's model name → the name under which the scorer predicts its quality."""

    def __init__(
        self,
        rule: ClassifierSpec,
        scorer: Scorer | None,
        intents: IntentScorer | None = None,
        grades: Mapping[str, str] | None = None,
    ) -> None:
        self._rule, self._scorer, self._intents = rule, scorer, intents
        self._grades = grades or {}
        self._said: set[str] = set()
        self.verdicts: Memo[Verdict] = Memo()
        self.intended: Memo[Intended] = Memo()

    async def judge(self, turn: Turn, wanted: Set[str]) -> Judgement:
        """What is known of a turn. wanted: which of `class`, `quality` and `intent` a decision looks at."""
        last = readable(turn.last)
        whole = readable(turn.whole) if turn.turns_before else last
        unfit = _unfit(whole)
        if unfit is not None:
            reason, why = unfit
            self._say(reason, why)
            return _fallback(wanted, reason, why, UNSURE, {"confidence": 0.0})
        can_skip = turn.can_skip and _WORD.search(last) is not None
        try:
            return await self._judged(last if can_skip else None, whole, wanted)
        except TimeoutError:
            why = f"the classifier took longer than max_ms: {self._rule.max_ms:g}"
            self._say("timeout", why)
            return _fallback(wanted, "timeout", why, self._rule.on_error)
        except Exception as exc:  # a mistake in a classifier must cost no caller an answer; the policy says what then
            why = f"the classifier failed: {type(exc).__name__}"
            self._say("error", why, exc)
            return _fallback(wanted, "error", why, self._rule.on_error)

    async def _judged(self, last: str | None, whole: str, wanted: Set[str]) -> Judgement:
        """last: None for a turn that is no case for `skip`."""
        judgement = Judgement()
        texts = (whole,) if last is None or last == whole else (last, whole)
        verdicts, intents = await self._scored(texts, wanted)
        if verdicts:
            self._tell(judgement, None if last is None else verdicts[last], verdicts[whole], wanted)
        for intended in intents.values():
            is_sure = intended.confidence >= self._rule.intent_above
            judgement.values["intent"] = intended.intent if is_sure else OUT_OF_SCOPE
            judgement.values["intent.confidence"] = float(intended.confidence)
        return judgement

    async def _scored(self, texts: Sequence[str], wanted: Set[str]) -> tuple[dict[str, Verdict], dict[str, Intended]]:
        """A verdict on each text and the intent of the last one: remembered, or scored now."""
        verdicts: dict[str, Verdict] = {}
        intents: dict[str, Intended] = {}
        to_judge: dict[str, bytes] = {}
        to_read: dict[str, bytes] = {}
        if self._scorer is not None and not wanted.isdisjoint(SCORED):
            to_judge = _unknown(texts, self.verdicts, self._scorer.version, verdicts)
        if self._intents is not None and "intent" in wanted:
            to_read = _unknown(texts[-1:], self.intended, self._intents.version, intents)
        if not to_judge and not to_read:
            return verdicts, intents
        if sum(map(len, to_judge.keys() | to_read.keys())) <= INLINE_CHARS_MAX:
            judged, read = self._score(to_judge, to_read)
        else:
            work = asyncio.to_thread(self._score, to_judge, to_read)
            judged, read = await asyncio.wait_for(work, self._rule.max_ms / 1000)
        for text, verdict in judged.items():
            self.verdicts.put(to_judge[text], verdict)
        for text, intended in read.items():
            self.intended.put(to_read[text], intended)
        return verdicts | judged, intents | read

    def _score(self, to_judge: Iterable[str], to_read: Iterable[str]) -> tuple[dict[str, Verdict], dict[str, Intended]]:
        judged, read = {}, {}
        for text in to_judge:
            assert self._scorer is not None
            judged[text] = self._scorer.judge(text)
        for text in to_read:
            assert self._intents is not None
            read[text] = self._intents.score(text)
        return judged, read

    def _tell(self, judgement: Judgement, last: Verdict | None, whole: Verdict, wanted: Set[str]) -> None:
        """The facts of the verdicts. last: None for a turn that is no case for `skip`."""
        values, missing = judgement.values, judgement.missing
        classes = merged(last, whole)
        found = classed(classes, self._rule, whole.familiarity)
        values["familiarity"] = float(whole.familiarity)
        if found.is_unfamiliar:
            values["class_reason"] = UNFAMILIAR
        if found.why is not None:
            missing["class"] = found.why
        if "class" in wanted:
            values["class"], values["confidence"] = found.name, float(found.confidence)
            judgement.scores.update({name: float(score) for name, score in classes.items()})
        if "quality" in wanted and found.is_unfamiliar:
            missing["quality"] = str(found.why)
        elif "quality" in wanted:
            values |= {f"quality.{m}": float(whole.quality[g]) for m, g in self._grades.items() if g in whole.quality}

    def _say(self, reason: str, why: str, exc: Exception | None = None) -> None:
        """A line in the log the first time that a kind of fallback happens under this policy; decisions name each one."""
        kind = reason if exc is None else f"{reason} {type(exc).__name__}"
        if kind not in self._said:
            self._said.add(kind)
            level = logging.WARNING if reason in OURS else logging.INFO
            log.log(level, "decided without the classifier (%s): %s; not logged again for this policy", reason, why, exc_info=exc)


def _unknown(texts: Iterable[str], memo: Memo[Value], version: str, known: dict[str, Value]) -> dict[str, bytes]:
    """Those of the texts that are not remembered, with their keys; the others' values go into `known`."""
    unknown = {}
    for text in texts:
        key = text_key(text, version)
        value = memo.get(key)
        if value is None:
            unknown[text] = key
        else:
            known[text] = value
    return unknown


def _unfit(text: str) -> tuple[str, str] | None:
    """(reason, in words) why a text is nothing for a classifier; None if it is text."""
    if not text.strip():
        return "no-text", "there is no text by the user"
    if _WORD.search(text) is None:
        return "no-words", "the user's text has no letter and no digit"
    seen = text[:JUNK_CHARS]
    if seen.isascii():
        share = (len(seen) - len(seen.encode().translate(None, _ASCII_JUNK))) / len(seen)
    else:
        share = len(_JUNK.findall(seen)) / len(seen)
    if share > JUNK_SHARE_MAX:
        return "not-text", f"what the user sent is hardly text: {share:.0%} of it are control or private characters"
    return None


def _fallback(wanted: Set[str], reason: str, why: str, kind: str, more: Mapping[str, FactValue] | None = None) -> Judgement:
    values: dict[str, FactValue] = {"class_reason": reason}
    missing: dict[str, str] = {}
    if "class" in wanted:
        values |= {"class": kind, **(more or {})}
    for name in (*wanted, "confidence"):
        missing.setdefault(name, why)
    return Judgement(values, missing)
