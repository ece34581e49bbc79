"""`when`: what matches, what does not, and why; a fact that is missing never fails a request."""

import fnmatch
import operator
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.conditions import COMBINERS, LEAVES, BadCondition, compile_condition, model_globs
from gateway.policy.model import Facts


def matches(when: dict[str, object], **values: object) -> bool:
    return compile_condition(when).matches({k.replace("tag_", "tag."): v for k, v in values.items()})  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wanted", "value", "is_match"),
    [
        (3, 3, True),
        (3, 3.0, True),
        (3, 4, False),
        (">=0.9", 0.9, True),
        (">=0.9", 0.89, False),
        (">0.9", 0.9, False),
        ("<5", 4, True),
        ("<=5", 5, True),
        ("==5", 5, True),
        (" > 30000 ", 30001, True),
        (">.5", 0.6, True),
    ],
)
def test_numbers_are_compared(wanted: object, value: float, is_match: bool) -> None:
    assert matches({"tokens_in": wanted}, tokens_in=value) is is_match


@pytest.mark.parametrize("wanted", ["5", "=5", "=>5", ">", "> -1", ">5 tokens", True, [1], None, "!=5"])
def test_what_is_no_comparison_is_refused(wanted: object) -> None:
    with pytest.raises(BadCondition, match="a number or a comparison"):
        compile_condition({"tokens_in": wanted})


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("value", [True, False])
def test_truth_values_are_compared(wanted: bool, value: bool) -> None:
    assert matches({"has_tools": wanted}, has_tools=value) is (wanted is value)


@pytest.mark.parametrize("wanted", ["true", 1, None, "yes"])
def test_what_is_no_truth_value_is_refused(wanted: object) -> None:
    with pytest.raises(BadCondition, match="true or false is expected"):
        compile_condition({"pii": wanted})


@pytest.mark.parametrize(
    ("wanted", "value", "is_match"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "my-gpt-4o", False),
        ("gpt-?", "gpt-4", True),
        (["auto", "gpt-*"], "auto", True),
        (["auto", "gpt-*"], "claude", False),
        (["a", "b"], "ab", False),
        ("GPT-*", "gpt-4o", False),
        ("*", "line\nbreak", True),
        ("a.b", "axb", False),
        ("a|b", "a", False),
        (["a", "a|b"], "a|b", True),
        ("[ab]c", "bc", True),
        ("[ab]c", "[ab]c", False),
        (["x", "[!a]"], "b", True),
    ],
)
def test_words_are_globs(wanted: object, value: str, is_match: bool) -> None:
    assert matches({"model": wanted}, model=value) is is_match


@pytest.mark.parametrize("wanted", ["", [], [""], 4, ["a", 4], None, {"a": "b"}])
def test_what_is_no_word_is_refused(wanted: object) -> None:
    with pytest.raises(BadCondition, match="a word or a list of words"):
        compile_condition({"model": wanted})


def test_classes_are_known_by_name() -> None:
    assert matches({"class": ["small", "unsure"]}, **{"class": "unsure"})
    for wrong in ("smal", ["small", "smal"], "sm*", [["small"]], {"a": "b"}, []):
        with pytest.raises(BadCondition, match="is not a class"):
            compile_condition({"class": wrong})


def test_all_keys_of_a_mapping_must_hold() -> None:
    when: dict[str, object] = {"class": "small", "confidence": ">=0.8"}
    assert matches(when, **{"class": "small", "confidence": 0.9})
    assert not matches(when, **{"class": "small", "confidence": 0.7})
    assert not matches(when, **{"class": "strong", "confidence": 0.9})


def test_combiners_combine() -> None:
    assert matches({"any": [{"turns": 1}, {"turns": 2}]}, turns=2)
    assert not matches({"any": [{"turns": 1}, {"turns": 2}]}, turns=3)
    assert matches({"all": [{"turns": ">1"}, {"turns": "<3"}]}, turns=2)
    assert not matches({"all": [{"turns": ">1"}, {"turns": "<3"}]}, turns=3)
    assert matches({"not": {"turns": 1}}, turns=2)
    assert not matches({"not": {"not": {"turns": 1}}}, turns=2)


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({}, ()),
        ({"any": []}, ("any",)),
        ({"any": {"turns": 1}}, ("any",)),
        ({"any": [{"turns": 1}, {}]}, ("any", 1)),
        ({"any": [{"turns": 1}, 3]}, ("any", 1)),
        ({"not": [{"turns": 1}]}, ("not",)),
        ({"all": [{"turn": 1}]}, ("all", 0, "turn")),
        ({"tag.": "x"}, ("tag.",)),
        ({"tag": "x"}, ("tag",)),
    ],
)
def test_bad_condition_says_where_it_stands(when: dict[str, object], path: tuple[object, ...]) -> None:
    with pytest.raises(BadCondition) as caught:
        compile_condition(when)
    assert caught.value.path == path


@pytest.mark.parametrize("name", [*LEAVES, "tag.x"])
def test_missing_fact_does_not_match(name: str) -> None:
    wanted = {"class": "small", "words": "*", "number": ">=0", "share": ">=0", "truth": False}[LEAVES.get(name, ("words", ""))[0]]
    condition = compile_condition({name: wanted})
    assert not condition.matches({})
    assert "is not" in condition.why(Facts({}))
    assert list(condition.facts()) == [name]


def test_reason_names_the_fact_its_value_and_what_was_wanted() -> None:
    condition = compile_condition({"class": ["skip", "small"], "confidence": ">=0.9", "has_tools": False})
    facts = Facts({"class": "small", "confidence": 0.756, "has_tools": True})
    assert condition.why(facts) == "confidence 0.76 is not >= 0.9; has_tools true is not false"
    assert compile_condition({"tag.data": "x"}).why(Facts({})) == "tag.data is not set"
    missing = Facts({}, {"confidence": "the classifier took longer than max_ms: 5"})
    assert "took longer" in compile_condition({"confidence": ">0"}).why(missing)


def test_reason_of_any_is_the_part_that_matched_or_all_that_did_not() -> None:
    condition = compile_condition({"any": [{"pii": True}, {"turns": 2}]})
    assert condition.why(Facts({"pii": False, "turns": 2})) == "turns 2 is == 2"
    assert condition.why(Facts({"pii": False, "turns": 3})).startswith("none of: pii false is not true; turns 3 is not")


def test_one_part_says_what_a_list_of_one_does() -> None:
    for value in (True, False):
        facts = Facts({"pii": value})
        alone, all_of_one = compile_condition({"pii": True}), compile_condition({"all": [{"all": [{"pii": True}]}]})
        assert alone.matches(facts.values) == all_of_one.matches(facts.values) == value
        assert alone.why(facts) == all_of_one.why(facts) == f"pii {str(value).lower()} {'is' if value else 'is not'} true"


def test_model_globs_are_found_at_any_depth_but_not_below_a_not() -> None:
    condition = compile_condition({"any": [{"model": "a*"}, {"all": [{"model": ["b", "c"]}]}], "not": {"model": "d"}})
    tests = list(model_globs(condition))
    assert [any(test(name) for test in tests) for name in ("a1", "b", "c", "d")] == [True, True, True, False]


LEAF_VALUES = {
    "class": st.sampled_from(["skip", "small", "strong", "unsure"]),
    "number": st.integers(0, 5) | st.sampled_from([">1", ">=2", "<3", "<=4", "==2"]),
    "truth": st.booleans(),
    "words": st.sampled_from(["a", "a*", "?", ["a", "b*"]]),
    "share": st.sampled_from([0, 1, ">=0", ">0", "<1", "==1"]),
}
FACT_VALUES = {
    "class": LEAF_VALUES["class"],
    "number": st.integers(0, 5) | st.floats(0, 5),
    "share": st.floats(0, 1),
    "truth": st.booleans(),
    "words": st.sampled_from(["a", "b", "ab", ""]),
}
KINDS = {**{name: kind for name, (kind, _) in LEAVES.items()}, "tag.x": "words"}
LEAF = st.sampled_from(sorted(KINDS)).flatmap(lambda name: st.fixed_dictionaries({name: LEAF_VALUES[KINDS[name]]}))
WHEN = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).flatmap(lambda parts: st.sampled_from([{"any": parts}, {"all": parts}]))
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=6,
)
FACTS = st.fixed_dictionaries({}, optional={name: FACT_VALUES[kind] for name, kind in KINDS.items()})


NAMES = {">": "gt", ">=": "ge", "<": "lt", "<=": "le", "==": "eq"}


def naive(when: dict[str, object], facts: dict[str, object]) -> bool:
    """What `when` means, written down a second time."""
    return all(_holds(key, wanted, facts) for key, wanted in when.items())


def _holds(key: str, wanted: object, facts: dict[str, object]) -> bool:
    if key in COMBINERS:
        if isinstance(wanted, dict):
            return not naive(wanted, facts)
        assert isinstance(wanted, list)
        return any(naive(w, facts) for w in wanted) if key == "any" else all(naive(w, facts) for w in wanted)
    value = facts.get(key)
    if value is None:
        return False
    if KINDS[key] in ("words", "class"):
        return any(fnmatch.fnmatchcase(str(value), w) for w in (wanted if isinstance(wanted, list) else [wanted]))
    if isinstance(wanted, str):
        found = re.fullmatch(r"(\D+)(\d+)", wanted)
        assert found is not None
        return bool(getattr(operator, NAMES[found[1]])(value, int(found[2])))
    return value == wanted


@given(WHEN, FACTS)
def test_any_condition_means_what_it_says_for_any_facts(when: dict[str, object], facts: dict[str, object]) -> None:
    condition = compile_condition(when)
    assert condition.matches(facts) is naive(when, facts)  # type: ignore[arg-type]
    assert condition.why(Facts(facts))  # type: ignore[arg-type]
    assert set(condition.facts()) <= set(KINDS)


@pytest.mark.parametrize("value", [">=90", "<=-1", 1.5, ">1.01"])
def test_confidence_is_a_probability(value: object) -> None:
    with pytest.raises(BadCondition):
        compile_condition({"confidence": value})
