"""How providers count, in all the ways that were seen of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.usage import Usage
from gateway.wire_usage import (
    TOKENS_MAX,
    _PlainRead,
    _PlainUsage,
    _PlainWritten,
    _Read,
    _read_parts,
    _WireUsage,
    _Written,
    read_usage,
    wire_usage,
)

COUNTS = st.integers(0, 10**6)
COUNTED = st.builds(
    lambda fresh, cached_input, cache_write, **more: Usage(
        input=fresh + cached_input + cache_write, cached_input=cached_input, cache_write=cache_write, **more
    ),
    fresh=COUNTS,
    output=st.integers(1, 10**6),
    cached_input=COUNTS,
    cache_write=st.integers(100, 10**6),
    reasoning=COUNTS,
    cache_write_1h=st.integers(0, 100),
    audio_input=COUNTS,
    audio_output=COUNTS,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")


def read(told: Any, tier: Any = None) -> Usage | None:
    return read_usage(msgspec.Raw(msgspec.json.encode(told)), msgspec.Raw(msgspec.json.encode(tier)))


@given(COUNTED)
def test_what_is_written_reads_back(usage: Usage) -> None:
    assert read(wire_usage(usage)) == usage


@given(st.fixed_dictionaries({}, optional={name: JSON for name in FIELDS}))
def test_nothing_on_the_wire_is_an_error_or_a_count_that_cannot_be(told: dict[str, Any]) -> None:
    usage = read(told)
    if usage is not None:
        assert all(0 <= count <= 2 * TOKENS_MAX for count in msgspec.structs.astuple(usage) if isinstance(count, int))


NEARLY_PLAIN = st.sampled_from([0, 1, 2, 3, 0.0, 2.0, False, -1, "1", None, TOKENS_MAX, TOKENS_MAX + 1, {}, [], "flex"])


@given(
    st.fixed_dictionaries(
        {name: st.integers(0, 2) | NEARLY_PLAIN for name in FIELDS[:3]},
        optional={
            "prompt_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(_Read.__struct_fields__), st.just(0) | NEARLY_PLAIN, max_size=2),
            "completion_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(_Written.__struct_fields__), st.just(0) | NEARLY_PLAIN, max_size=2),
            **{name: st.just(0) | NEARLY_PLAIN for name in _WireUsage.__struct_fields__ if name not in FIELDS},
            "queue_time": JSON,
        },
    )
)
def test_what_is_plain_reads_as_if_it_were_read_part_by_part(told: dict[str, Any]) -> None:
    assert read(told) == _read_parts(msgspec.Raw(msgspec.json.encode(told)), None)


@pytest.mark.parametrize(("plain", "any_"), [(_PlainUsage, _WireUsage), (_PlainRead, _Read), (_PlainWritten, _Written)])
def test_what_is_plain_has_a_field_for_whatever_is_read(plain: type[msgspec.Struct], any_: type[msgspec.Struct]) -> None:
    assert set(plain.__struct_fields__) == set(any_.__struct_fields__)


def test_the_parts_of_an_openai_count() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5, "accepted_prediction_tokens": 0},
    }
    assert read(told) == Usage(100, 50, cached_input=64, reasoning=30, audio_input=10, audio_output=5)


@pytest.mark.parametrize(
    ("tier", "service"),
    [
        *((usual, None) for usual in (None, "default", "auto", "standard", "on_demand")),
        *((other, other) for other in ("batch", "flex", "priority")),
        *((odd, None) for odd in (7, [], {"x": 1}, "")),
    ],
)
def test_the_tier_it_was_served_in(tier: Any, service: str | None) -> None:
    assert read({"prompt_tokens": 1, "completion_tokens": 1}, tier) == Usage(1, 1, service=service)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        # xAI: beside completion_tokens, and in the total.
        (
            {
                **{"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135},
                **{"completion_tokens_details": {"reasoning_tokens": 94}},
            },
            Usage(32, 103, reasoning=94),
        ),
        # Gemini's OpenAI endpoint: in the total alone.
        ({"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 150}, Usage(8, 142, reasoning=133)),
        # OpenAI: in completion_tokens.
        (
            {
                **{"prompt_tokens": 8, "completion_tokens": 99, "total_tokens": 107},
                **{"completion_tokens_details": {"reasoning_tokens": 94}},
            },
            Usage(8, 99, reasoning=94),
        ),
        # A server that leaves the cached input out of prompt_tokens, but not of the total.
        (
            {
                **{"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 57},
                **{"prompt_tokens_details": {"cached_tokens": 40}},
            },
            Usage(48, 9, cached_input=40),
        ),
        # Another, which leaves it out of the total as well: more of it than there is in all cannot be in there.
        (
            {
                **{"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17},
                **{"prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 5}},
            },
            Usage(53, 9, cached_input=40, cache_write=5),
        ),
        # The total gives away what was read.
        ({"completion_tokens": 9, "total_tokens": 17}, Usage(8, 9)),
        # The reasoning happens to be as long as what was cached.
        (
            {
                **{"prompt_tokens": 80, "completion_tokens": 9, "total_tokens": 129},
                **{"prompt_tokens_details": {"cached_tokens": 40}, "completion_tokens_details": {"reasoning_tokens": 40}},
            },
            Usage(80, 49, cached_input=40, reasoning=40),
        ),
        ({"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 3}, Usage(8, 9)),
    ],
)
def test_reasoning_is_output_wherever_it_stands(told: dict[str, Any], usage: Usage) -> None:
    assert read(told) == usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": "many", "completion_tokens": 3}, None),
        (["?"], None),
        ({"prompt_tokens": 5.0, "completion_tokens": "7"}, Usage(5, 7)),
        ({"prompt_tokens": -5, "completion_tokens": 7}, Usage(0, 7)),
        ({"prompt_tokens": 2**62, "completion_tokens": 10**30}, Usage(TOKENS_MAX, TOKENS_MAX)),
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        ("none", None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": ["?"]}, Usage(5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": "?"}}, Usage(5, 2)),
        ({"prompt_tokens": 5}, Usage(5, 0, estimated=True)),  # of a chat; nothing is said of what was written
        ({"prompt_tokens": 5, "total_tokens": 5}, Usage(5)),  # embeddings write nothing
        ({"prompt_tokens": 50, "completion_tokens": 2, "prompt_cache_hit_tokens": 40}, Usage(50, 2, cached_input=40)),
        (
            {"prompt_tokens": 50, "completion_tokens": 2, "total_tokens": 52, "prompt_cache_hit_tokens": 40},
            Usage(50, 2, cached_input=40),
        ),
    ],
)
def test_counts_that_are_odd(told: Any, usage: Usage | None) -> None:
    assert read(told) == usage
