"""Sessions and tool loops through the whole gateway: who stays with whom, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_gateway import LiveGateway, text_of

POLICY = """
version: 1
providers:
  near: {kind: fake, words: 5}
  far: {kind: fake, words: 5}
  shaky: {kind: fake, words: 5, script: ["500"]}
models:
  small: {provider: near, id: s-1, price: {input: 1, output: 2}}
  large: {provider: far, id: l-1, price: {input: 3, cached_input: 0.3, output: 15}}
  flaky: {provider: shaky, id: f-1, price: {input: 3, output: 15}}
routes:
  - {name: private, when: {any: [{pii: true}, {tag.data: confidential}]}, model: small}
  - {name: shaky, when: {tag.way: shaky}, model: flaky}
  - {name: trial, when: {tag.way: trial}, split: [{model: small, weight: 1}, {model: large, weight: 1}]}
  - {name: kept, when: {tag.way: kept}, model: large, cache: {mode: exact, ttl: 1h}}
  - {name: hard, when: {tag.way: hard}, model: large, fallback: [small]}
  - {name: long, when: {tokens_in: ">3000", has_tools: true}, model: large, fallback: [small]}
  - {name: rest, model: small, fallback: [large]}
"""
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
DOCUMENT = "The river is long and the bridge is old. " * 250  # some 2,500 tokens


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("sessions"), POLICY) as live:
        yield live


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def called(result: str) -> list[dict[str, Any]]:
    """A tool's call and what it brought."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]


def headers(session: str | None = None, way: str | None = None, **more: str) -> dict[str, str]:
    found = {"x-turnout-session": session, "x-turnout-tags": f"way={way}" if way else None, **more}
    return {name.replace("_", "-"): value for name, value in found.items() if value is not None}


def ask(gateway: LiveGateway, *messages: dict[str, Any], how: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "auto", "messages": list(messages), **fields}
    response = gateway.http.post("/v1/chat/completions", json=body, headers=how)
    response.read()
    return response


def who(response: httpx.Response) -> tuple[str, str]:
    return response.headers["x-turnout-model"], response.headers["x-turnout-decided-by"]


# Sessions.


@pytest.mark.parametrize("stream", [False, True])
def test_a_session_stays_while_moving_would_cost_its_warm_prefix(gateway: LiveGateway, stream: bool) -> None:
    session = f"warm-{stream}"
    first = ask(gateway, user(DOCUMENT), how=headers(session, "hard"), stream=stream)
    talk = (user(DOCUMENT), assistant(text_of(first)), user("What is the name of the river?"))
    second = ask(gateway, *talk, how=headers(session), stream=stream)
    assert who(first) == ("large", "rule:hard")
    # staying: some 2,560 × 0.30 + a few new ones; going: all of them × 1.00
    assert who(second) == ("large", "session:large")
    assert gateway.entry(second)["session"] == session
    assert who(ask(gateway, *talk)) == ("small", "rule:rest"), "without the session nothing is known of it"


def test_a_session_with_a_short_prefix_goes_where_the_route_wants(gateway: LiveGateway) -> None:
    ask(gateway, user("Short."), how=headers("short", "hard"))
    second = ask(gateway, user("Short."), assistant("Yes."), user("And now?"), how=headers("short"))
    assert who(second) == ("small", "rule:rest")


def test_the_policys_wish_for_a_dearer_model_is_followed(gateway: LiveGateway) -> None:
    assert who(ask(gateway, user(DOCUMENT), how=headers("up")))[0] == "small"
    second = ask(gateway, user(DOCUMENT), assistant("Yes."), user("Why?"), how=headers("up", "hard"))
    assert who(second) == ("large", "rule:hard")


def test_a_private_route_beats_the_pin(gateway: LiveGateway) -> None:
    ask(gateway, user(DOCUMENT), how=headers("private", "hard"))
    mail = ask(gateway, user(DOCUMENT), assistant("Yes."), user("write to jane@example.com"), how=headers("private"))
    assert who(mail) == ("small", "rule:private")
    assert gateway.attempts(mail) == [("small", "ok")]


def test_sessions_of_the_same_name_are_each_callers_own(gateway: LiveGateway) -> None:
    mine, yours = {"authorization": "Bearer mine"}, {"authorization": "Bearer yours"}
    ask(gateway, user(DOCUMENT), how=headers("shared", "hard", **mine))
    talk = (user(DOCUMENT), assistant("Yes."), user("Why?"))
    assert who(ask(gateway, *talk, how=headers("shared", **yours)))[0] == "small"
    assert who(ask(gateway, *talk, how=headers("shared", **mine))) == ("large", "session:large")


def test_the_dry_run_reads_the_pin_and_never_sets_it(gateway: LiveGateway) -> None:
    talk = [user(DOCUMENT), assistant("Yes."), user("Why?")]

    def dry(way: str | None = None) -> dict[str, Any]:
        found = gateway.http.post("/v1/route", json={"model": "auto", "messages": talk}, headers=headers("dry", way))
        story: dict[str, Any] = found.json()
        return story

    assert dry("hard")["model"] == "large"
    assert (dry()["model"], dry()["pinned"]) == ("small", None)
    ask(gateway, user(DOCUMENT), how=headers("dry", "hard"))
    story = dry()
    assert (story["model"], story["decided_by"], story["pinned"]) == ("large", "session:large", "large")
    assert "staying with 'large' costs about $" in story["choice"]
    assert [t["model"] for t in story["targets"]] == ["large", "small"]
    real = ask(gateway, *talk, how=headers("dry") | {"x-turnout-debug": "1"})
    assert who(real) == ("large", "session:large")
    assert "staying with 'large'" in real.headers["x-turnout-why"]


def test_what_failed_and_what_came_from_the_cache_pins_nothing(gateway: LiveGateway) -> None:
    talk = (user(DOCUMENT), assistant("Yes."), user("Why?"))
    ask(gateway, user(DOCUMENT), how=headers("fails", "hard"))
    assert ask(gateway, user("two"), how=headers("fails", "shaky")).status_code == 502
    assert who(ask(gateway, *talk, how=headers("fails"))) == ("large", "session:large")

    ask(gateway, user(DOCUMENT), how=headers(way="kept"))
    hit = ask(gateway, user(DOCUMENT), how=headers("cached", "kept"))
    assert hit.headers["x-turnout-cache"] == "hit-exact"
    assert who(ask(gateway, *talk, how=headers("cached")))[0] == "small"


def test_a_sessions_arm_of_a_split_stays_over_restarts(gateway: LiveGateway, tmp_path: Path) -> None:
    def arms(live: LiveGateway) -> dict[str, tuple[str, float]]:
        found = {}
        for i in range(8):
            entry = live.entry(ask(live, user(f"question {i}"), how=headers(f"s{i}", "trial")))
            found[f"s{i}"] = (entry["model"], entry["draw"])
        return found

    first = arms(gateway)
    assert arms(gateway) == first
    assert {model for model, _ in first.values()} == {"small", "large"}
    assert all(model == ("small" if draw < 0.5 else "large") for model, draw in first.values())
    with LiveGateway(tmp_path, POLICY) as other:
        assert arms(other) == first
        story = other.http.post("/v1/route", json={"model": "auto", "messages": [user("x")]}, headers=headers("s1", "trial"))
        assert (story.json()["model"], story.json()["draw"]) == first["s1"]


# Tool loops.


@pytest.mark.parametrize("session", [None, "agent"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_stays_with_its_model_though_its_next_step_would_go_elsewhere(
    gateway: LiveGateway, session: str | None, stream: bool
) -> None:
    question = user(f"How old is the bridge? ({session}, {stream})")
    how = headers(session)
    first = ask(gateway, question, how=how, tools=TOOLS, stream=stream)
    step = (question, *called(DOCUMENT * 2))
    second = ask(gateway, *step, how=how, tools=TOOLS, stream=stream)
    third = ask(gateway, *step, *called("1931"), how=how, tools=TOOLS, stream=stream)
    assert who(first) == ("small", "rule:rest")
    assert (second.headers["x-turnout-route"], *who(second)) == ("long", "small", "tool-loop:small")
    assert who(third) == ("small", "tool-loop:small")
    anew = ask(gateway, user("How long is it?"), *called(DOCUMENT * 2), tools=TOOLS)
    assert who(anew) == ("large", "rule:long"), "a loop that began elsewhere is not held"


def test_a_tool_loop_goes_to_a_private_route_all_the_same(gateway: LiveGateway) -> None:
    question = user("Who lives by the bridge?")
    assert who(ask(gateway, question, how=headers(way="hard"), tools=TOOLS))[0] == "large"
    step = (question, *called("jane@example.com does"))
    assert who(ask(gateway, *step, tools=TOOLS)) == ("small", "rule:private")


def test_a_tool_loop_is_each_callers_own(gateway: LiveGateway) -> None:
    question = user("How deep is the river?")
    ask(gateway, question, how=headers(way="hard", authorization="Bearer mine"), tools=TOOLS)
    step = (question, *called("four metres"))
    assert who(ask(gateway, *step, how={"authorization": "Bearer yours"}, tools=TOOLS)) == ("small", "rule:rest")
    assert who(ask(gateway, *step, how={"authorization": "Bearer mine"}, tools=TOOLS)) == ("large", "tool-loop:large")
