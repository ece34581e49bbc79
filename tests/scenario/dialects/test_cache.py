"""An answer that was kept for a caller of one dialect is an answer for those of all others, streamed or not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
import pytest

from tests.clients.upstream.cue import Answer, ToolCall
from tests.live_gateway import LiveGateway
from tests.scenario.dialects.callers import CALLERS, Ask, Said
from tests.scenario.dialects.providers import KINDS, Call, Providers, policy
from tests.scenario.upstream import Upstream

ROUTES = "\n".join(
    f"  - {{name: {name}, when: {{model: via-{name}}}, model: {name}, cache: {{mode: exact, ttl: 1h}}}}" for name in KINDS
)
ALIKE = "  - {name: alike, when: {model: alike}, model: talks-chat, cache: {mode: semantic, ttl: 1h, min_similarity: 0.8}}"
OUR_OWN = "  - {name: ours, when: {model: ours}, answer: {static: The office opens at nine.}}"
FORMS = tuple(itertools.product(CALLERS, (True, False)))
ANSWERS = {
    "text": Answer(text="Paris it is.", thinking="Which one? The capital."),
    "tool": Answer(text="Let me look.", calls=(ToolCall("weather", '{"city": "Köln"}', "call_0"),)),
}
SAID = {
    "text": Said("Paris it is.", "Which one? The capital."),
    "tool": Said("Let me look.", "", (("weather", {"city": "Köln"}),)),
}


def play(call: Call) -> Answer:
    kind, _, rest = call.prompt.partition(" ")
    return ANSWERS.get(kind, Answer(text=f"{rest} is {call.number}", pause_s=1.0 if kind == "slow" else 0.0))


PROVIDERS = Providers(play)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with Upstream.of(PROVIDERS.reply) as upstream:
        rules = policy(upstream.url, f"{ROUTES}\n{ALIKE}\n{OUR_OWN}\n  - {{name: rest, model: talks-chat}}")
        with LiveGateway(tmp_path_factory.mktemp("dialects"), rules) as live:
            yield live


def entry(gateway: LiveGateway, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = gateway.http.get(f"/v1/requests/{id_}").json()
    return found


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize(("kept_for", "was_streamed"), FORMS)
def test_it_is_said_to_each_in_its_own_dialect(
    gateway: LiveGateway, kept_for: str, was_streamed: bool, model: str, kind: str
) -> None:
    prompt = f"{kind} of {kept_for} {was_streamed} {model}"

    def ask(dialect: str, is_stream: bool) -> tuple[Said, dict[str, Any]]:
        id_ = f"{prompt} {dialect} {is_stream}".replace(" ", "-")
        said = CALLERS[dialect](gateway.url, Ask(prompt, id_, f"via-{model}", is_stream=is_stream, has_tool=kind == "tool"))
        return said, entry(gateway, id_)

    first, booked = ask(kept_for, was_streamed)
    assert (first.text, first.thought, first.calls) == (SAID[kind].text, SAID[kind].thought, SAID[kind].calls)
    assert (booked["cache"], booked["dialect"]) == ("miss", kept_for)
    for dialect, is_stream in FORMS:
        said, booked = ask(dialect, is_stream)
        assert (said.text, said.thought, said.calls) == (first.text, first.thought, first.calls), dialect
        assert (booked["cache"], booked["dialect"], booked["cost_nusd"]) == ("hit-exact", dialect, 0)
        assert said.cost_usd == (0 if is_stream else None)
    assert PROVIDERS.asked(prompt) == [model]


def test_a_question_asked_in_other_words_and_another_dialect_has_the_same_answer(gateway: LiveGateway) -> None:
    first = CALLERS["anthropic_messages"](gateway.url, Ask("How can I reset my password?", "words-1", "alike"))
    for n, (dialect, is_stream) in enumerate(FORMS, start=2):
        said = CALLERS[dialect](gateway.url, Ask("how can I reset my password", f"words-{n}", "alike", is_stream=is_stream))
        assert (said.text, entry(gateway, f"words-{n}")["cache"]) == (first.text, "hit-semantic"), dialect


def test_one_call_serves_callers_of_all_dialects_at_once(gateway: LiveGateway) -> None:
    prompt = "slow train"
    with ThreadPoolExecutor(len(FORMS)) as pool:
        asks = [
            pool.submit(CALLERS[dialect], gateway.url, Ask(prompt, f"flight-{n}", "via-talks-messages", is_stream=is_stream))
            for n, (dialect, is_stream) in enumerate(FORMS)
        ]
        assert {ask.result().text for ask in asks} == {"train is 1"}
    assert PROVIDERS.asked(prompt) == ["talks-messages"]
    booked = [entry(gateway, f"flight-{n}") for n in range(len(FORMS))]
    assert sorted(one["cache"] for one in booked) == ["hit-exact"] * (len(FORMS) - 1) + ["miss"]


@pytest.mark.parametrize(("dialect", "is_stream"), FORMS)
def test_an_answer_of_our_own_is_said_in_the_callers_dialect(gateway: LiveGateway, dialect: str, is_stream: bool) -> None:
    id_ = f"ours-{dialect}-{is_stream}"
    said = CALLERS[dialect](gateway.url, Ask("When do you open?", id_, "ours", is_stream=is_stream))
    assert said.text == "The office opens at nine."
    booked = entry(gateway, id_)
    assert (booked["attempts"], booked["cost_nusd"], booked["dialect"]) == ([], 0, dialect)
    assert said.cost_usd == (0 if is_stream else None)


@pytest.mark.parametrize(("dialect", "is_stream"), FORMS)
def test_who_wants_what_is_kept_only_is_told_that_there_is_nothing(gateway: LiveGateway, dialect: str, is_stream: bool) -> None:
    ask = Ask("never asked", f"only-{dialect}-{is_stream}", "via-talks-chat", is_stream, headers={"x-turnout-cache": "only"})
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)) as failed:
        CALLERS[dialect](gateway.url, ask)
    assert failed.value.status_code == 504
    body: Any = failed.value.body
    assert (body["error"] if dialect == "anthropic_messages" else body)["code"] == "cache_miss"
    assert PROVIDERS.asked("never asked") == []
