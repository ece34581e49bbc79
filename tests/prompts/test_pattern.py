"""Patterns match as the regular expressions do that they stand for, and are written down without loss."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.prompts.pattern import SLOT, USER, Pattern, Shape
from gateway.prompts.view import CUT, View

PARTS = st.lists(st.text(alphabet="ab<*>", max_size=4), min_size=1, max_size=4)


@given(PARTS, st.text(alphabet="ab<*>", max_size=12))
def test_a_pattern_matches_what_its_regular_expression_matches(parts: list[str], text: str) -> None:
    pattern = Pattern.of(parts)
    meant = re.compile(".*".join(map(re.escape, pattern.parts)), re.DOTALL)
    assert pattern.matches(text) == (meant.fullmatch(text) is not None)


@given(PARTS, st.text(alphabet="ab", max_size=12))
def test_parts_and_slots_together_are_the_text(parts: list[str], text: str) -> None:
    pattern = Pattern.of(parts)
    if pattern.matches(text):
        slots = pattern.slots(text)
        assert len(slots) == len(pattern.parts) - 1
        assert "".join(part + slot for part, slot in zip(pattern.parts, [*slots, ""], strict=True)) == text


@given(PARTS, PARTS)
def test_a_shape_is_read_as_it_was_written(system: list[str], user: list[str]) -> None:
    shape = Shape(Pattern.of(system), Pattern.of(user))
    assert Shape.parse(shape.text) == shape
    assert Shape.parse(shape.text).id == shape.id


def test_what_marks_a_slot_is_never_constant() -> None:
    for mark in (SLOT, USER, CUT):
        assert Pattern.of([f"before {mark} after"]).parts == ("before ", " after")


def test_a_shape_matches_both_texts() -> None:
    shape = Shape(Pattern(("Be brief.",)), Pattern(("Translate: ", "")))
    assert shape.matches(View("Be brief.", "Translate: hello"))
    assert not shape.matches(View("Be long.", "Translate: hello"))
    assert not shape.matches(View("Be brief.", "translate: hello"))


def test_text_shows_the_system_text_only_where_there_is_one() -> None:
    assert Shape(Pattern(("",)), Pattern(("Translate: ", ""))).text == "Translate: <*>"
    assert Shape(Pattern(("Be brief.",)), Pattern(("", ""))).text == "Be brief.\n<|user|>\n<*>"
