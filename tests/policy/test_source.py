"""YAML in: what other readers of YAML let pass in silence is refused here, with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.errors import PolicyError
from gateway.policy.source import DEPTH_MAX, NODES_MAX, parse_source


def refused(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_source("p.yaml", text)
    return str(caught.value).splitlines()


def test_values_stand_at_their_lines() -> None:
    source = parse_source("p.yaml", "a: 1\nb:\n  - c: 2\n  - [3,\n     4]\n")
    assert source.data == {"a": 1, "b": [{"c": 2}, [3, 4]]}
    assert source.line_of(("a",)) == 1
    assert source.line_of(("b",)) == 2
    assert source.line_of(("b", 0, "c")) == 3
    assert source.line_of(("b", 1, 1)) == 5


def test_line_of_what_is_not_there_is_that_of_what_holds_it() -> None:
    source = parse_source("p.yaml", "a: 1\nb:\n  c: 2\n")
    assert source.line_of(("b", "missing", 7)) == 2
    assert source.line_of(("missing",)) == 1


def test_duplicate_key_is_refused_with_both_lines() -> None:
    assert refused("a: 1\nb: 2\na: 3\n") == ["p.yaml:3: duplicate key `a`, first given in line 1; remove one"]
    assert refused("b:\n  a: 1\n  c: 2\n  a: 3\n") == ["p.yaml:4: duplicate key `a`, first given in line 2; remove one"]


@pytest.mark.parametrize("word", ["off", "no", "yes", "on", "y", "n", "NO", "2026-01-01", "12:30:45", "0x1F", "1_000", "=", "<<"])
def test_words_of_yaml_1_1_stay_words(word: str) -> None:
    assert parse_source("p.yaml", f"a: {word}\n").data == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("7", 7), ("-7", -7), ("010", 10), ("08", 8)],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = parse_source("p.yaml", f"a: {text}\n").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-2.5E-1", -0.25)])
def test_decimals_are_floats(text: str, value: float) -> None:
    assert parse_source("p.yaml", f"a: {text}\n").data == {"a": value}


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5", "[a]", "{a: b}"])
def test_keys_are_words(key: str) -> None:
    (found,) = refused(f"a: 1\n? {key}\n: 2\n")
    assert found.startswith("p.yaml:2: keys are words")
    assert parse_source("p.yaml", '"1": a\n').data == {"1": "a"}


def test_merge_key_is_a_key_like_any_other() -> None:
    assert parse_source("p.yaml", "<<: {a: 1}\n").data == {"<<": {"a": 1}}


def test_alias_is_counted_out() -> None:
    assert parse_source("p.yaml", "a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (found,) = refused("\n".join(lines))
    assert f"more than {NODES_MAX} values" in found


def test_alias_that_holds_itself_is_refused() -> None:
    (found,) = refused("a: 1\nb: &b\n  - *b\n")
    assert "does an alias hold itself?" in found


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 5000])
def test_deep_nesting_is_refused(depth: int) -> None:
    (found,) = refused("a: " + "[" * depth + "]" * depth)
    assert found.startswith(f"p.yaml:1: nested more than {DEPTH_MAX} deep")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: *nobody\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ('a: 1\nb: "never closed\n', 3),
        ("a: 1\nb: \x07\n", 2),
        ("a: 1\nb: c: d\n", 2),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    (found,) = refused(text)
    assert found.startswith(f"p.yaml:{line}: not valid YAML")


@pytest.mark.parametrize("text", ["a: !!python/object:os.system {}\n", "a: !mine x\n", "a: !!int abc\n", f"a: {'9' * 5000}\n"])
def test_value_that_cannot_be_made_is_refused_with_its_line(text: str) -> None:
    try:
        assert isinstance(parse_source("p.yaml", text).data["a"], dict)  # a tag on a mapping has no meaning here
    except PolicyError as exc:
        assert str(exc).startswith("p.yaml:1: cannot read this value: ")


@pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n"])
def test_empty_file_is_refused(text: str) -> None:
    assert refused(text) == ["p.yaml:1: the file is empty; start from policies/default.yaml"]


@pytest.mark.parametrize(
    ("text", "kind"), [("[1]", "list"), ("word", "text"), ("3", "number"), ("true", "truth"), ("---\n", "null")]
)
def test_document_that_is_no_mapping_is_refused(text: str, kind: str) -> None:
    (found,) = refused(text)
    assert found.startswith("p.yaml:1: a mapping of keys is expected here, this is a ")
    assert kind in found


def test_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse_source("p.yaml", "\ufeffa: 1\n").data == {"a": 1}


YAML_LIKE = st.text(alphabet="ab:- []{}&*!?|>\"'#,\n\t\x00é1.~<%@", max_size=60)


@given(YAML_LIKE | st.text(max_size=60))
def test_any_text_is_a_mapping_or_a_policy_error(text: str) -> None:
    try:
        source = parse_source("p.yaml", text)
    except PolicyError as exc:
        assert exc.problems
        assert all(problem.line >= 1 for problem in exc.problems)
    else:
        assert isinstance(source.data, dict)
