"""The judge always has an answer: from the classifiers, from memory, or a fallback that says so."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.base import Verdict
from classifiers.text.embed import StaticEmbedder
from gateway.chat import Message
from gateway.conversation import Turn, last_turn
from gateway.judging.judge import INLINE_CHARS_MAX, Judge, Judgement
from gateway.policy.schema import ClassifierSpec
from tests.judging.fakes import FakeEmbedder, FakeIntents, FakeScorer, verdict

RULE = ClassifierSpec(abstain_below=0.6, max_ms=20, on_error="strong", intent_above=0.8)
EMBEDDER = cast(StaticEmbedder, FakeEmbedder())
SMALL = verdict(skip=0.1, small=0.8, strong=0.1, **{"m-1": 0.6, "m-2": 0.9})
CLASS = frozenset({"class"})
LONG = "word " * INLINE_CHARS_MAX
QUESTION = "Write a function that merges two sorted lists."


def judge(scorer: Any, rule: ClassifierSpec = RULE, **more: Any) -> Judge:
    return Judge(rule, scorer, **more)


def ask(judge: Judge, turn: str | Turn, wanted: frozenset[str] = CLASS) -> Judgement:
    turn = Turn(turn, turn) if isinstance(turn, str) else turn
    return asyncio.run(judge.judge(turn, wanted))


def talk(*texts: str) -> Turn:
    return last_turn([Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts)])


def test_a_verdict_becomes_facts() -> None:
    found = ask(judge(FakeScorer(SMALL)), "hello")
    assert found.values == {"class": "small", "confidence": 0.8, "familiarity": 1.0}
    assert found.scores == {"skip": 0.1, "small": 0.8, "strong": 0.1}
    assert found.missing == {}


def test_under_the_bar_it_is_unsure_and_says_by_how_much() -> None:
    found = ask(judge(FakeScorer(verdict(small=0.55, strong=0.45))), "hello")
    assert (found.values["class"], found.values["confidence"]) == ("unsure", 0.55)
    assert found.missing["class"] == "the likeliest class is small with 0.55, under abstain_below: 0.6"


def test_a_text_unlike_the_training_data_is_unsure_and_its_quality_unknown() -> None:
    scorer = FakeScorer(verdict(small=0.99, familiarity=0.01, **{"m-1": 0.9}))
    found = ask(judge(scorer, grades={"mine": "m-1"}), "hello", frozenset({"class", "quality"}))
    assert (found.values["class"], found.values["class_reason"]) == ("unsure", "unfamiliar")
    assert "quality.mine" not in found.values
    assert "unlike what the classifier was trained on" in found.missing["quality"]


def test_quality_stands_under_the_policys_names() -> None:
    found = ask(judge(FakeScorer(SMALL), grades={"cheap": "m-1", "dear": "m-2"}), "hello", frozenset({"quality"}))
    assert {k: v for k, v in found.values.items() if k.startswith("quality.")} == {"quality.cheap": 0.6, "quality.dear": 0.9}
    assert "class" not in found.values


# Conversations.


def test_a_follow_up_is_as_hard_as_what_it_is_about_and_never_nothing_to_answer() -> None:
    turn = talk(QUESTION, "def merge(a, b): ...", "why?")
    scorer = FakeScorer({turn.whole: verdict(skip=0.9, small=0.02, strong=0.08)})
    found = ask(judge(scorer), turn)
    assert (found.values["class"], found.scores["skip"]) == ("strong", 0.0)
    assert found.scores["strong"] == pytest.approx(0.8)


def test_a_short_remark_is_skipped_by_its_own_words_and_weighed_with_those_before() -> None:
    turn = talk(QUESTION, "def merge(a, b): ...", "wow")
    scorer = FakeScorer({"wow": verdict(skip=0.1, small=0.9), turn.whole: verdict(skip=0.0, small=0.2, strong=0.8)})
    found = ask(judge(scorer), turn)
    assert found.scores["skip"] == 0.1
    assert found.scores["strong"] == pytest.approx(0.72)


def test_thanks_in_the_middle_is_still_nothing_to_answer() -> None:
    scorer = FakeScorer({"thanks!": verdict(skip=0.95, small=0.05)})
    assert ask(judge(scorer), talk(QUESTION, "def merge(a, b): ...", "thanks!")).values["class"] == "skip"


def test_a_yes_to_a_question_is_never_nothing_to_answer() -> None:
    turn = talk(QUESTION, "In Python, or in Rust? Shall I do both?", "yes")
    scorer = FakeScorer({turn.whole: verdict(skip=0.9, small=0.01, strong=0.09)})
    found = ask(judge(scorer), turn)
    assert (found.values["class"], found.scores["skip"]) == ("strong", 0.0)
    assert scorer.asked == [turn.whole], "what `yes` means by itself does not matter"


def test_an_emoji_that_leans_is_judged_by_what_it_leans_on() -> None:
    turn = talk(QUESTION, "def merge(a, b): ...", "👍")
    assert ask(judge(FakeScorer({turn.whole: SMALL})), turn).scores["skip"] == 0.0


# What goes wrong.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no-text"),
        (" \n\t", "no-text"),
        ("👍🎉", "no-words"),
        ("?!…", "no-words"),
        ("\0\1\2ab" * 50, "not-text"),
        ("\ud800a" * 9, "not-text"),
    ],
)
def test_what_is_no_text_is_unsure_and_says_why(text: str, reason: str) -> None:
    scorer = FakeScorer(SMALL)
    found = ask(judge(scorer), text)
    assert (found.values["class"], found.values["confidence"], found.values["class_reason"]) == ("unsure", 0.0, reason)
    assert found.missing["class"]
    assert scorer.asked == []


@pytest.mark.parametrize(
    "text", ["hello мир 世界 مرحبا", "caf\ud83d and more words", "٣ + ٤", "a\tb\r\nc", "∫ x² dx", "naïve 👩‍👩‍👧"]
)
def test_any_script_is_text(text: str) -> None:
    assert ask(judge(FakeScorer(SMALL)), text).values["class"] == "small"


def test_one_that_takes_too_long_is_not_waited_for_nor_remembered() -> None:
    slow = judge(FakeScorer(SMALL, takes_s=0.3))
    found = ask(slow, LONG)
    assert (found.values["class"], found.values["class_reason"]) == ("strong", "timeout")
    assert "confidence" not in found.values
    assert "max_ms: 20" in found.missing["confidence"]
    assert len(slow.verdicts) == 0


def test_one_that_fails_costs_no_answer_and_is_not_remembered() -> None:
    failing = judge(FakeScorer({}))
    found = ask(failing, "hello", frozenset({"class", "quality"}))
    assert found.values == {"class": "strong", "class_reason": "error"}
    assert found.missing["quality"] == "the classifier failed: KeyError"
    assert len(failing.verdicts) == 0


def test_a_verdict_without_classes_is_a_failure_like_any_other() -> None:
    found = ask(judge(FakeScorer(Verdict({}, {}, 1.0))), "hello")
    assert found.values == {"class": "strong", "class_reason": "error"}


def test_each_kind_of_fallback_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.judging")
    failing = judge(FakeScorer({}))
    for text in ("one", "two", "👍", "👎", ""):
        ask(failing, text)
    said = [(record.levelname, record.args[0], bool(record.exc_info)) for record in caplog.records]  # type: ignore[index]
    assert said == [("WARNING", "error", True), ("INFO", "no-words", False), ("INFO", "no-text", False)]
    assert "one" not in caplog.records[0].getMessage()


# Memory, and the event loop.


def test_the_same_text_is_scored_once() -> None:
    scorer = FakeScorer(SMALL)
    one = judge(scorer)
    assert ask(one, "hello") == ask(one, "hello")
    assert scorer.asked == ["hello"]
    assert (one.verdicts.hits, one.verdicts.misses) == (1, 1)
    ask(one, "other")
    assert scorer.asked == ["hello", "other"]


def test_a_turn_is_remembered_by_each_of_its_texts() -> None:
    scorer = FakeScorer(SMALL)
    one = judge(scorer)
    for before in (QUESTION, "Prove Fermat's little theorem."):
        ask(one, talk(before, "…", "wow"))
    assert scorer.asked.count("wow") == 1
    assert len(scorer.asked) == 3


@pytest.mark.parametrize(("text", "is_beside"), [("hello", False), (LONG, True)])
def test_a_long_text_is_scored_beside_the_event_loop(text: str, is_beside: bool) -> None:
    scorer = FakeScorer(SMALL)
    assert ask(judge(scorer, ClassifierSpec(max_ms=5_000)), text).values["class"] == "small"
    assert (threading.get_ident() not in scorer.threads) is is_beside


def test_a_megabyte_reaches_the_classifier_bounded() -> None:
    scorer = FakeScorer(SMALL)
    ask(judge(scorer, ClassifierSpec(max_ms=5_000)), "first " + "x" * 1_000_000 + " last")
    (seen,) = scorer.asked
    assert len(seen) < 40_000
    assert seen.startswith("first ") and seen.endswith(" last")


# Intents.


@pytest.mark.parametrize(("confidence", "intent"), [(0.8, "refund"), (0.79, "oos")])
def test_an_intent_that_is_sure_enough_is_a_fact(confidence: float, intent: str) -> None:
    found = ask(judge(None, intents=FakeIntents("refund", confidence)), "my money back", frozenset({"intent"}))
    assert found.values == {"intent": intent, "intent.confidence": confidence}


def test_intents_are_remembered_and_are_of_the_turn_with_those_before() -> None:
    intents = FakeIntents("refund", 0.9)
    one = judge(None, intents=intents)
    turn = talk("I want my money back", "For which order?", "the last one")
    assert ask(one, turn, frozenset({"intent"})) == ask(one, turn, frozenset({"intent"}))
    assert intents.asked == ["I want my money back\nthe last one"]


def test_nothing_is_asked_that_is_not_wanted() -> None:
    scorer, intents = FakeScorer(SMALL), FakeIntents("refund", 0.9)
    ask(judge(scorer, intents=intents), "hello", frozenset({"intent"}))
    ask(judge(scorer, intents=intents), "hello", CLASS)
    assert (len(scorer.asked), len(intents.asked)) == (1, 1)


@given(
    st.lists(st.text(st.characters(codec=None, exclude_categories=[]), max_size=300), min_size=1, max_size=4),
    st.sampled_from([SMALL, verdict(), verdict(familiarity=0.0)]),
    st.none() | st.floats(0, 1),
)
def test_any_conversation_is_judged(texts: Sequence[str], says: Verdict, strong_above: float | None) -> None:
    rule = ClassifierSpec(max_ms=5_000, strong_above=strong_above)
    found = ask(
        judge(FakeScorer(says), rule, intents=FakeIntents("a", 0.5)), talk(*texts), frozenset({"class", "quality", "intent"})
    )
    assert found.values["class"] in ("skip", "small", "strong", "unsure")
    assert found.values["class"] != "unsure" or found.missing["class"]
