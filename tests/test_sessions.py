"""Which model a conversation is with: whose it is, for how long, and what moving would lose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chat import read_head
from gateway.policy.affinity import Pinned
from gateway.request import ChatRequest
from gateway.sessions import CACHE_S, CACHED_TOKENS_MIN, IDLE_S, OUTPUT_TOKENS, Sessions, session_draw
from gateway.tenant import Tenant
from gateway.usage import Usage

ME = Tenant("me", "blue")
TOOLS = [{"type": "function", "function": {"name": "look"}}]
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How warm is it in Lima?"}]
LOOKED = [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "19 °C"},
]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def request(*messages: dict[str, Any], session: str | None = None, **fields: Any) -> ChatRequest:
    body = msgspec.json.encode(
        {"model": "auto", "messages": list(messages) or [{"role": "user", "content": "x" * 400}], **fields}
    )
    return ChatRequest("id", body, read_head(body), session=session)


def test_the_last_answers_model_is_pinned() -> None:
    sessions = Sessions()
    first = request(session="s")
    assert sessions.pinned(first, ME) is None
    sessions.answered(first, ME, "small", Usage(100, 10))
    sessions.answered(first, ME, "large", Usage(100, 10))
    assert sessions.pinned(first, ME) == Pinned("large", "session", 0, 100, 10)


@pytest.mark.parametrize("other", [Tenant("you", "blue"), Tenant("me", "red"), Tenant("me")])
def test_sessions_of_the_same_name_are_each_tenants_own(other: Tenant) -> None:
    sessions = Sessions()
    sessions.answered(request(session="s"), ME, "large", None)
    assert sessions.pinned(request(session="s"), other) is None
    assert session_draw("s", ME) != session_draw("s", other)


def test_a_request_without_session_and_tools_leaves_nothing() -> None:
    sessions = Sessions()
    sessions.answered(request(), ME, "large", None)
    assert len(sessions) == 0


def test_a_session_is_forgotten_after_an_hour_without_an_answer() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    sessions.answered(request(session="s"), ME, "large", None)
    clock.now += IDLE_S - 1
    assert sessions.pinned(request(session="s"), ME) is not None
    clock.now += 1
    assert sessions.pinned(request(session="s"), ME) is None
    sessions.answered(request(session="t"), ME, "large", None)
    assert len(sessions) == 1


def test_the_oldest_goes_when_there_are_too_many() -> None:
    sessions = Sessions(kept_max=2)
    for name in ("a", "b", "a", "c"):
        sessions.answered(request(session=name), ME, "large", None)
    assert [sessions.pinned(request(session=n), ME) is not None for n in "abc"] == [True, False, True]
    assert len(sessions) == 2


def test_a_look_up_changes_nothing() -> None:
    sessions = Sessions(kept_max=2)
    for name in "ab":
        sessions.answered(request(session=name), ME, "large", None)
    sessions.pinned(request(session="a"), ME)
    sessions.answered(request(session="c"), ME, "large", None)
    assert sessions.pinned(request(session="a"), ME) is None, "a was looked at, and is the oldest all the same"


# What moving would lose.


def grown(seconds: float, chars: int, read: int = 5_000, **fields: Any) -> Pinned:
    """A session of 400 characters of which the model read `read` tokens, so much later and longer."""
    clock = Clock()
    sessions = Sessions(clock)
    sessions.answered(request(session="s"), ME, "large", Usage(read, 70))
    clock.now += seconds
    found = sessions.pinned(request({"role": "user", "content": "x" * chars}, session="s", **fields), ME)
    assert found is not None
    return found


def test_what_was_read_within_minutes_is_still_cached() -> None:
    assert grown(CACHE_S - 1, 800) == Pinned("large", "session", 5_000, 100, 70)


def test_what_was_read_longer_ago_is_not() -> None:
    assert grown(CACHE_S, 800) == Pinned("large", "session", 0, 5_100, 70)


def test_a_short_prefix_is_never_cached() -> None:
    assert grown(1, 800, read=CACHED_TOKENS_MIN).cached_tokens == CACHED_TOKENS_MIN
    assert grown(1, 800, read=CACHED_TOKENS_MIN - 1).cached_tokens == 0


def test_a_conversation_that_got_shorter_has_another_beginning() -> None:
    assert grown(1, 200) == Pinned("large", "session", 0, 50, 70)


@pytest.mark.parametrize(
    ("fields", "expected"), [({"max_tokens": 20}, 20), ({"max_completion_tokens": 30}, 30), ({"max_tokens": 900}, 70)]
)
def test_the_answer_is_expected_to_be_as_long_as_the_last_or_as_asked(fields: dict[str, int], expected: int) -> None:
    assert grown(1, 800, **fields).output_tokens == expected


def test_without_usage_the_length_is_our_own_estimate() -> None:
    sessions = Sessions()
    sessions.answered(request(session="s"), ME, "large", None)
    assert sessions.pinned(request(session="s"), ME) == Pinned("large", "session", 0, 100, OUTPUT_TOKENS)


# Tool loops.


def test_a_tool_result_goes_on_with_the_model_that_called_the_tool() -> None:
    sessions = Sessions()
    sessions.answered(request(*ASKED, tools=TOOLS), ME, "large", None)
    step = sessions.pinned(request(*ASKED, *LOOKED, tools=TOOLS), ME)
    assert step is not None and (step.model, step.by) == ("large", "tool-loop")
    again = sessions.pinned(request(*ASKED, *LOOKED, *LOOKED, tools=TOOLS), ME)
    assert again is not None and again.model == "large"


def test_a_loop_is_told_by_its_tenant_and_by_all_up_to_the_users_last_message() -> None:
    sessions = Sessions()
    sessions.answered(request(*ASKED, tools=TOOLS), ME, "large", None)
    assert sessions.pinned(request(*ASKED, *LOOKED, tools=TOOLS), Tenant("you")) is None
    assert sessions.pinned(request(ASKED[1], *LOOKED, tools=TOOLS), ME) is None
    elsewhere = {"role": "user", "content": "How warm is it in Rome?"}
    assert sessions.pinned(request(ASKED[0], elsewhere, *LOOKED, tools=TOOLS), ME) is None


def test_a_new_question_ends_the_loop() -> None:
    sessions = Sessions()
    sessions.answered(request(*ASKED, tools=TOOLS), ME, "large", None)
    assert sessions.pinned(request(*ASKED, *LOOKED, {"role": "user", "content": "And in Rome?"}, tools=TOOLS), ME) is None
    assert sessions.pinned(request(*ASKED, tools=TOOLS), ME) is None, "asked anew, not continued"


def test_a_loop_goes_before_its_session() -> None:
    sessions = Sessions()
    sessions.answered(request(*ASKED, tools=TOOLS, session="s"), ME, "large", None)
    sessions.answered(request(session="s"), ME, "small", None)
    step = sessions.pinned(request(*ASKED, *LOOKED, tools=TOOLS, session="s"), ME)
    assert step is not None and (step.model, step.by) == ("large", "tool-loop")


def test_a_loop_without_a_users_message_is_told_by_what_it_was_told() -> None:
    sessions = Sessions()
    one, other = {"role": "system", "content": "Water the plants."}, {"role": "system", "content": "Feed the cat."}
    sessions.answered(request(one, tools=TOOLS), ME, "large", None)
    assert sessions.pinned(request(one, *LOOKED, tools=TOOLS), ME) is not None
    assert sessions.pinned(request(other, *LOOKED, tools=TOOLS), ME) is None


def test_long_messages_are_told_apart_by_length_and_ends() -> None:
    sessions = Sessions()
    long = {"role": "user", "content": "a" * 100_000}
    sessions.answered(request(long, tools=TOOLS), ME, "large", None)
    assert sessions.pinned(request(long, *LOOKED, tools=TOOLS), ME) is not None
    for content in ("a" * 99_999, "b" + "a" * 99_999, "a" * 99_999 + "b"):
        assert sessions.pinned(request({"role": "user", "content": content}, *LOOKED, tools=TOOLS), ME) is None


@pytest.mark.parametrize(
    ("place", "content", "is_told_apart"),
    [(0, "y" * 9, True), (-1, "y" * 9, True), (50, "y" * 8, True), (50, "y" * 9, False)],
)
def test_long_conversations_are_told_apart_by_shape_and_ends(place: int, content: str, is_told_apart: bool) -> None:
    sessions = Sessions()
    turns = [{"role": "user", "content": f"turn {n:04}"} for n in range(100)]
    sessions.answered(request(*turns, tools=TOOLS), ME, "large", None)
    turns[place] = {"role": "user", "content": content}
    assert (sessions.pinned(request(*turns, *LOOKED, tools=TOOLS), ME) is None) is is_told_apart


# The draw.


def test_a_sessions_draw_is_the_same_everywhere_and_always() -> None:
    assert session_draw("abc", Tenant("anonymous")) == 0.5887571596536243


@given(st.text(min_size=1, max_size=50), st.text(max_size=20), st.none() | st.text(max_size=20))
def test_a_draw_is_a_draw(session: str, key: str, team: str | None) -> None:
    assert 0 <= session_draw(session, Tenant(key, team)) < 1


def test_the_draws_of_many_sessions_are_spread_evenly() -> None:
    draws = [session_draw(f"session-{i}", ME) for i in range(2_000)]
    assert abs(sum(d < 0.1 for d in draws) / 2_000 - 0.1) < 0.025
