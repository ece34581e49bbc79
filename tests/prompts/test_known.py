"""The template of a prompt is found whichever way its words stand, and among many the one that says the most."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.prompts.known import Known
from gateway.prompts.pattern import Pattern, Shape
from gateway.prompts.view import View

TEXTS = st.text(alphabet="ab", max_size=40)
PATTERNS = st.lists(st.text(alphabet="ab", max_size=36), min_size=1, max_size=3).map(Pattern.of)
SHAPES = st.builds(Shape, PATTERNS, PATTERNS)


@given(st.lists(SHAPES, max_size=12), st.lists(SHAPES, max_size=3), TEXTS, TEXTS)
def test_it_finds_what_trying_all_of_them_finds(shapes: list[Shape], gone: list[Shape], system: str, user: str) -> None:
    known, view = Known(), View(system, user)
    for shape in shapes + gone:
        known.add(shape)
    for shape in gone:
        known.remove(shape)
    left = [shape for shape in shapes if shape not in gone and shape.matches(view)]
    assert known.find(view) == max(left, key=lambda shape: (shape.chars, shape.id), default=None)


def test_a_template_is_found_for_a_system_text_that_came_before_it() -> None:
    known, view = Known(), View("Be brief.", "Translate: hello")
    assert known.find(view) is None
    for text in (
        "<*>\n<|user|>\n<*>",
        "Be <*>\n<|user|>\n<*>",
        "Be brief.\n<|user|>\n<*>",
        "Be brief.\n<|user|>\nTranslate: <*>",
    ):
        shape = Shape.parse(text)
        known.add(shape)
        assert known.find(view) == shape


def test_removing_what_is_not_there_changes_nothing() -> None:
    known, shape = Known(), Shape.parse("Translate: <*>")
    known.remove(shape)
    known.add(shape)
    known.remove(Shape.parse("Be brief.\n<|user|>\nTranslate: <*>"))
    assert known.find(View("", "Translate: hello")) == shape


def test_the_narrowest_of_several_is_found_whichever_came_first() -> None:
    shapes = [
        Shape.parse(text) for text in ("Be brief.\n<|user|>\n<*>", "Be brief.\n<|user|>\nTranslate: <*>", "<*>\n<|user|>\nTra<*>")
    ]
    for order in (shapes, shapes[::-1]):
        known = Known()
        for shape in order:
            known.add(shape)
        assert known.find(View("Be brief.", "Translate: hello")) == shapes[1]
        assert known.find(View("Be brief.", "What?")) == shapes[0]
        assert known.find(View("Be long.", "Translate: hello")) == shapes[2]
