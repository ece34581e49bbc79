"""What is said of a type, against what is decoded into it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.json_schema import REF, Schema, Schemas


class Inner(msgspec.Struct):
    kind: Literal["a", "b"]
    more: list[Inner] | None = None


class Tagged(msgspec.Struct, tag_field="type", tag="tagged", forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0


class Body(msgspec.Struct, rename={"class_": "class"}):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=3, pattern="^[a-z]*$")]
    class_: bool | None = None
    unread: msgspec.Raw = msgspec.Raw(b"null")
    ratio: float | None = None
    inner: Inner | None = None
    items: Annotated[list[int | str], msgspec.Meta(max_length=2)] | None = None
    named: dict[str, Tagged] | None = None
    either: str | list[Inner] | None = None


def described(kind: Any) -> Schema:
    """The schema with what it refers to."""
    schemas = Schemas("")
    return {**schemas.of(kind), "components": {"schemas": schemas.by_name}}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([0.5, -1.5])
    | st.sampled_from(["", "a", "b", "abcd", "tagged", "B"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "class", "ratio", "inner", "kind", "more", "items", "type", "count", "x"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)
BODIES = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "abc"])},
    optional={name: VALUES for name in ("class", "unread", "ratio", "inner", "items", "named", "either")},
)


@given(value=BODIES | VALUES)
def test_it_says_yes_and_no_where_the_decoder_does(value: Any) -> None:
    is_valid = jsonschema.Draft202012Validator(described(Body)).is_valid(value)
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=Body)
    except msgspec.ValidationError:
        assert not is_valid
    else:
        assert is_valid


def test_a_struct_is_described_once_under_its_prefix() -> None:
    schemas = Schemas("Own")
    assert schemas.of(list[Inner]) == {"type": "array", "items": {"$ref": f"{REF}OwnInner"}}
    schemas.of(Body)
    assert set(schemas.by_name) == {"OwnInner", "OwnBody", "OwnTagged"}


def test_two_structs_of_one_name_are_told_apart() -> None:
    schemas = Schemas("")
    schemas.of(Inner)
    with pytest.raises(ValueError, match="Inner is the name of"):
        schemas.of(msgspec.defstruct("Inner", [("x", int)]))


def test_a_type_that_nobody_has_described_is_named() -> None:
    with pytest.raises(TypeError, match="say it here"):
        Schemas("").of(set[int])
