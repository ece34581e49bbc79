"""Another model takes over, in mid-stream or before anything is said: what the official clients make of it, and the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.clients.upstream.cue import Answer, Failure, ToolCall
from tests.live_gateway import LiveGateway
from tests.scenario.dialects.callers import CALLERS, Ask
from tests.scenario.dialects.providers import KINDS, Call, Providers, policy
from tests.scenario.upstream import Upstream

# Every pair of two providers, so that each caller meets its own dialect first, second and not at all.
PAIRS = tuple(itertools.permutations(KINDS, 2))
CASCADED = "cascade: [{{model: {first}, accept: {{min_chars: 12}}}}, {{model: {second}-dear}}]"
HEDGED = "model: {first}, fallback: [{second}], hedge: {{after: 50ms, budget: 1.0, tools: true}}"
WAYS = {
    "restart": "model: {first}, fallback: [{second}], midstream: restart",
    "continue": "model: {first}, fallback: [{second}], midstream: continue",
    "error": "model: {first}, fallback: [{second}]",
    "cascade": CASCADED,
    "hedge": HEDGED,
}
TEXT = "One two three four five six seven eight nine ten."
CALL = ToolCall("weather", '{"city": "Paris"}', "call_0")


def play(call: Call) -> Answer:
    """The first of a pair fails in the way that the prompt begins with; the second does what remains."""
    kind, first = call.prompt.split()[0], call.prompt.split()[1]
    if call.model == first:
        return {
            "cut": Answer(text=TEXT, cut=True),
            "thinks": Answer(text=TEXT, thinking="Let me count.", cut=True),
            "unsure": Answer(text="No idea."),
            "late": Answer(text="It is late.", pause_s=30.0),
            "down": Answer(fail=Failure(503)),
            "well": Answer(text="A long and good answer.", thinking="Hm."),
        }[kind]
    if call.body.get("messages", [{}])[-1].get("role") == "assistant":
        return Answer(text=" and the rest.")
    given = call.body.get("input")
    if isinstance(given, list) and given[-1].get("role") == "assistant":
        return Answer(text=" and the rest.")
    return Answer(text="The other answers.", thinking="I see.", calls=(CALL,))


PROVIDERS = Providers(play)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    routes = [
        f"  - {{name: {way}-{n}, when: {{model: {way}-{n}}}, {how.format(first=first, second=second)}}}"
        for way, how in WAYS.items()
        for n, (first, second) in enumerate(PAIRS)
    ]
    # Breakers stay closed: each case has its own failure.
    steady = "breaker: {failures: 1000, share: 1.0, min_calls: 1000000}"
    with Upstream.of(PROVIDERS.reply) as upstream:
        rules = policy(upstream.url, "\n".join([*routes, "  - {name: rest, model: talks-chat}"]), provider=steady)
        with LiveGateway(tmp_path_factory.mktemp("takeover"), rules) as live:
            yield live


def entry(gateway: LiveGateway, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.http.get(f"/v1/requests/{id_}").json()
    return found


pairs = pytest.mark.parametrize("pair", range(len(PAIRS)), ids=["-".join(pair).replace("talks-", "") for pair in PAIRS])
callers = pytest.mark.parametrize("dialect", CALLERS)
both_ways = pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])


@callers
@pairs
def test_a_stream_that_goes_on_elsewhere_is_one_answer(gateway: LiveGateway, dialect: str, pair: int) -> None:
    first, second = PAIRS[pair]
    id_ = f"continue-{dialect}-{pair}"
    said = CALLERS[dialect](gateway.url, Ask(f"cut {first} {id_}", id_, f"continue-{pair}", is_stream=True))
    booked = entry(gateway, id_)
    begun, rest = said.text[: -len(" and the rest.")], " and the rest."
    assert said.text.endswith(rest) and begun and TEXT.startswith(begun)
    assert [(one["model"], one["outcome"], one["seam"]) for one in booked["attempts"]] == [
        (first, "error", None),
        (second, "ok", "continue"),
    ]
    assert (booked["outcome"], booked["dialect"], booked["model"]) == ("ok", dialect, second)
    assert said.cost_usd is not None and round(said.cost_usd * 1e9) == booked["cost_nusd"] > 0


@callers
@pairs
@pytest.mark.parametrize("kind", ["cut", "thinks"])
def test_a_stream_that_begins_anew_elsewhere_is_one_answer(gateway: LiveGateway, dialect: str, pair: int, kind: str) -> None:
    first, second = PAIRS[pair]
    id_ = f"restart-{kind}-{dialect}-{pair}"
    said = CALLERS[dialect](gateway.url, Ask(f"{kind} {first} {id_}", id_, f"restart-{pair}", is_stream=True, has_tool=True))
    booked = entry(gateway, id_)
    assert said.text.endswith("The other answers.") and said.thought.endswith("I see.")
    assert said.calls == (("weather", {"city": "Paris"}),)
    assert [(one["model"], one["outcome"]) for one in booked["attempts"]] == [(first, "error"), (second, "ok")]
    assert said.cost_usd is not None and round(said.cost_usd * 1e9) == booked["cost_nusd"] > 0


@callers
@pairs
def test_a_stream_that_nobody_takes_over_raises_in_its_client(gateway: LiveGateway, dialect: str, pair: int) -> None:
    id_ = f"error-{dialect}-{pair}"
    with pytest.raises((openai.APIError, anthropic.APIError)) as broken:
        CALLERS[dialect](gateway.url, Ask(f"cut {PAIRS[pair][0]} {id_}", id_, f"error-{pair}", is_stream=True))
    assert "cut" in str(broken.value) or "mid-answer" in str(broken.value) or "closed" in str(broken.value)
    booked = entry(gateway, id_)
    assert (booked["outcome"], booked["status"], booked["dialect"], len(booked["attempts"])) == ("error", 502, dialect, 1)


@callers
@pairs
@both_ways
@pytest.mark.parametrize(("way", "kind"), [("error", "down"), ("cascade", "unsure"), ("hedge", "late")])
def test_whoever_answers_is_heard_in_the_callers_dialect(
    gateway: LiveGateway, dialect: str, pair: int, is_stream: bool, way: str, kind: str
) -> None:
    first, second = PAIRS[pair]
    id_ = f"{way}-{kind}-{dialect}-{pair}-{is_stream}"
    said = CALLERS[dialect](gateway.url, Ask(f"{kind} {first} {id_}", id_, f"{way}-{pair}", is_stream=is_stream, has_tool=True))
    assert (said.text, said.thought) == ("The other answers.", "I see.")
    assert said.calls == (("weather", {"city": "Paris"}),)
    booked = entry(gateway, id_)
    how = {"error": "error", "cascade": "unconvincing", "hedge": "lost_hedge"}[way]
    last = f"{second}-dear" if way == "cascade" else second
    assert [(one["model"], one["outcome"]) for one in booked["attempts"]] == [(first, how), (last, "ok")]
    assert (booked["dialect"], booked["model"]) == (dialect, last)


@callers
@pairs
@both_ways
def test_a_first_rung_that_convinces_is_heard(gateway: LiveGateway, dialect: str, pair: int, is_stream: bool) -> None:
    first, _ = PAIRS[pair]
    id_ = f"convinces-{dialect}-{pair}-{is_stream}"
    said = CALLERS[dialect](gateway.url, Ask(f"well {first} {id_}", id_, f"cascade-{pair}", is_stream=is_stream))
    assert (said.text, said.thought) == ("A long and good answer.", "Hm.")
    assert [(one["model"], one["outcome"]) for one in entry(gateway, id_)["attempts"]] == [(first, "ok")]
