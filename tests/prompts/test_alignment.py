"""What texts have in common: a template that all of them match, made of nothing that one of them lacks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prompts.alignment import Sample, common_shape
from gateway.prompts.view import View

WORDS = st.lists(
    st.sampled_from(["the", "a", "of", "cat", "dog", ":", "\n", '"', "4711", "字", "x@y.zz", "🙂", "."]), max_size=30
)


def template(*users: str, systems: tuple[str, ...] | None = None) -> str:
    return common_shape([Sample(View(s, u)) for s, u in zip(systems or ("",) * len(users), users, strict=True)]).text


@given(st.lists(WORDS, min_size=2, max_size=5), st.booleans(), st.randoms(use_true_random=False))
def test_the_template_matches_all_and_holds_nothing_that_one_lacks(
    rows: list[list[str]], is_spaced: bool, chance: random.Random
) -> None:
    samples = [Sample(View("", (" " if is_spaced else "").join(row))) for row in rows]
    shape = common_shape(samples)
    for sample in samples:
        assert shape.matches(sample.view)
        assert all(part in sample.view.user for part in shape.user.parts)
    chance.shuffle(samples)
    assert common_shape(samples) == shape, "whatever the order"


@given(st.lists(WORDS, min_size=2, max_size=4))
def test_a_template_and_its_prompt_have_no_more_in_common_than_the_template(rows: list[list[str]]) -> None:
    samples = [Sample(View("", " ".join(row))) for row in rows]
    shape = common_shape(samples)
    again = common_shape([Sample.of(shape), samples[0]])
    assert all(any(part in known for known in shape.user.parts) for part in again.user.parts)


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (
            ("Translate 'hi' into French: now", "Translate cat into French: x", "Translate the big dog. into French: hello you"),
            "Translate <*> into French: <*>",
        ),
        (("Summarise:\n\nThe cat sat.", "Summarise:\n\nA dog ran", "Summarise:\n\nAnna 123456"), "Summarise:\n\n<*>"),
        (('{"task": "a", "text": "b c"}', '{"task": "a", "text": ""}'), '{"task": "a", "text": "<*>"}'),
        (("Great film\n\nGood or bad?", "So so, 10 of 10\n\nGood or bad?"), "<*>\n\nGood or bad?"),
        (("翻译成英文：你好", "翻译成英文：再见了", "翻译成英文：天气"), "翻译成英文：<*>"),
        (("لخص الرسالة: مرحبا", "لخص الرسالة: شكرا جزيلا"), "لخص الرسالة: <*>"),
        (("🙂 Mood: good", "🙂 Mood: so so"), "🙂 Mood: <*>"),
        (("Order 12345 of 2026-01-02: late", "Order 12346 of 2026-01-03: lost"), "Order <*> of <*>: <*>"),
        (("Order 12345 is late", "Order 12345 is late"), "Order <*> is late"),
    ],
)
def test_templates_read_as_their_apps_wrote_them(texts: tuple[str, ...], meant: str) -> None:
    assert template(*texts) == meant


def test_a_system_text_may_have_slots_of_its_own() -> None:
    systems = tuple(
        f"You help {name}. Today is 2026-11-{day}. Be polite.\nDocs:\n{doc}\nEnd of docs."
        for name, day, doc in (("Anna", 20, "x y"), ("Bob", 21, "z"), ("Çelik Öz", 22, "k l m"))
    )
    meant = "You help <*>. Today is <*>. Be polite.\nDocs:\n<*>\nEnd of docs.\n<|user|>\n<*>"
    assert template("hi", "hello", "yo!", systems=systems) == meant


def test_a_long_text_and_a_short_one_are_of_one_template() -> None:
    long, short = ("Summarise this article in one line:\n\n" + "word " * n + "\n\nOne line only!" for n in (5_000, 20))
    views = [View("", text if len(text) < 1280 else f"{text[:640]}\n[…]\n{text[-640:]}") for text in (long, short)]
    shape = common_shape([Sample(view) for view in views])
    assert shape.text.startswith("Summarise this article in one line:\n\n") and shape.text.endswith("\n\nOne line only!")
