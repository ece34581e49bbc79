"""Marks are counted as by looking for each of them, though next to none is looked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.text.marks import CASED, MARKUP, count_marks
from classifiers.text.scan import scan

ALL = [mark for own in MARKUP.values() for mark in own]
BETWEEN = ["", " ", "  ", "\n", "x", "X", "sss", "Dddd", ":", ";", "é", "\ud800", "?"]
TEXTS = st.lists(st.sampled_from(ALL) | st.sampled_from(BETWEEN) | st.text(max_size=4), max_size=40).map("".join)


def counted(text: str) -> dict[str, int]:
    own = scan(text)
    return dict(zip(MARKUP, count_marks(own.seen, own.lowered, own.ascii), strict=True))


def counted_plainly(text: str) -> dict[str, int]:
    own = scan(text)
    return {name: sum(map((own.seen if name == CASED else own.lowered).count, all_of)) for name, all_of in MARKUP.items()}


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_every_mark_is_counted_wherever_it_stands(text: str) -> None:
    assert counted(text) == counted_plainly(text)


@pytest.mark.parametrize("mark", ALL)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("so ", " what"), ("aaa", "zzz"), ("É", "é")])
def test_a_mark_is_found_by_itself_and_among_others(mark: str, before: str, after: str) -> None:
    name = next(name for name, own in MARKUP.items() if mark in own)
    assert counted(f"{before}{mark}{after}")[name] == counted_plainly(f"{before}{mark}{after}")[name] > 0


def test_of_a_text_without_marks_hardly_any_is_looked_for() -> None:
    class Watched(str):
        asked = 0

        def count(self, *given: object) -> int:
            Watched.asked += 1
            return super().count(*given)  # type: ignore[arg-type]

    own = scan("our warehouse ships some four hundred parcels a day, most of them before noon, and the carrier comes twice. " * 6)
    count_marks(own.seen, Watched(own.lowered), own.ascii)
    assert Watched.asked < len(ALL) / 10
