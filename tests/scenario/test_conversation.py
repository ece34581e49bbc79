"""What is said of a turn in the middle of a conversation, and of what is hardly a turn at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.live_gateway import LiveGateway

POLICY = """
version: 1
providers:
  near: {kind: fake, words: 3}
models:
  small: {provider: near, id: s-1, price: {input: 1, output: 2}}
  large: {provider: near, id: l-1, price: {input: 3, output: 15}}
classifier: {artifact: default, max_ms: 5000}
routes:
  - {name: courtesy, when: {class: skip}, answer: {static: "You are welcome."}}
  - {name: hard, when: {class: strong}, model: large}
  - {name: easy, when: {class: small}, model: small}
  - {name: doubt, model: large}
"""
HARD = "Prove that there are infinitely many primes of the form 4k+3."
EASY = "What is the capital of France?"
URL = "/v1/chat/completions"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("conversation"), POLICY) as live:
        yield live


def dialogue(*texts: Any) -> dict[str, Any]:
    """A request body: user and assistant in turns, the user first."""
    return {"model": "auto", "messages": [{"role": "assistant" if i % 2 else "user", "content": t} for i, t in enumerate(texts)]}


def route(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.headers["x-turnout-route"])


@pytest.mark.parametrize("follow_up", ["and in two dimensions?", "why?", "continue", "make it shorter", "?"])
def test_a_follow_up_on_something_hard_is_hard(gateway: LiveGateway, follow_up: str) -> None:
    assert route(gateway.http.post(URL, json=dialogue(HARD))) == "hard"
    assert route(gateway.http.post(URL, json=dialogue(HARD, "Suppose there are finitely many.", follow_up))) == "hard"


def test_a_follow_up_on_something_easy_is_easy(gateway: LiveGateway) -> None:
    assert route(gateway.http.post(URL, json=dialogue(EASY, "Paris.", "and of Spain?"))) == "easy"


def test_thanks_in_the_middle_of_something_hard_asks_for_nothing(gateway: LiveGateway) -> None:
    assert route(gateway.http.post(URL, json=dialogue(HARD, "Suppose there are finitely many.", "thanks!"))) == "courtesy"


@pytest.mark.parametrize("reply", ["yes", "no", "ok", "sure", "yes please", "great"])
def test_a_reply_to_a_question_is_never_nothing_to_answer(gateway: LiveGateway, reply: str) -> None:
    body = dialogue(HARD, "Suppose there are finitely many. Shall I go on?", reply)
    assert route(gateway.http.post(URL, json=body)) == "hard"
    story = gateway.http.post("/v1/route", json=body).json()
    assert story["scores"]["skip"] == 0


def test_the_dry_run_tells_what_was_judged(gateway: LiveGateway) -> None:
    def judged(*texts: str) -> object:
        return gateway.http.post("/v1/route", json=dialogue(*texts)).json()["judged"]

    assert judged(HARD) == judged(EASY, "Paris.", HARD) == "the last user message"
    assert judged(HARD, "Well.", "why?") == "the last user message with the turn before"
    assert judged(HARD, "Well.", "why?", "Hm.", "go on") == "the last user message with the 2 turns before"
    assert gateway.http.post("/v1/route", json={**dialogue(HARD), "model": "small"}).json()["judged"] is None


NO_WORDS = "classifier:unsure(no-words)"
NO_TEXT = "classifier:unsure(no-text)"


@pytest.mark.parametrize(
    ("content", "decided_by"),
    [
        (None, NO_TEXT),
        ("", NO_TEXT),
        (" \n ", NO_TEXT),
        ([], NO_TEXT),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}], NO_TEXT),
        ("data:image/png;base64,iVBORw0KGgo=", NO_TEXT),
        ("🙃🙃🙃", NO_WORDS),
        ("?!", NO_WORDS),
        ("\x00\x01\x02", NO_WORDS),
        ("\x00a\x01b\x02c" * 40, "classifier:unsure(not-text)"),
    ],
)
def test_what_is_no_text_is_answered_and_told_apart(gateway: LiveGateway, content: Any, decided_by: str) -> None:
    response = gateway.http.post(URL, json=dialogue(content))
    assert (route(response), response.headers["x-turnout-decided-by"]) == ("doubt", decided_by)
    entry = gateway.entry(response)
    assert (entry["decided_by"], entry["scores"]) == (decided_by, {})


@pytest.mark.parametrize(
    "content",
    [
        "word " * 200_000,
        "x" * 1_000_000,
        "\n" * 1_000_000 + "hi",
        "data:a;base64," * 70_000,
        "继续" * 300_000,
        "مرحبا hello мир 世界",
    ],
    ids=["words", "letters", "lines", "prefixes", "unspaced", "mixed"],
)
def test_any_text_is_decided_and_the_decision_says_by_what(gateway: LiveGateway, content: str) -> None:
    response = gateway.http.post(URL, json=dialogue(content))
    assert route(response) in ("courtesy", "hard", "easy", "doubt")
    assert response.headers["x-turnout-decided-by"].startswith("classifier:")


def test_a_classifier_that_takes_too_long_is_told_apart_from_one_that_is_unsure(tmp_path_factory: pytest.TempPathFactory) -> None:
    policy = POLICY.replace("max_ms: 5000", "max_ms: 0.001, on_error: small")
    with LiveGateway(tmp_path_factory.mktemp("slow"), policy) as live:
        for _ in range(2):  # a fallback is not remembered for a verdict, nor a verdict asked twice for a fallback
            response = live.chat("word " * 2_000)
            assert (route(response), response.headers["x-turnout-decided-by"]) == ("easy", "classifier:small(timeout)")
        assert live.chat(EASY).headers["x-turnout-decided-by"].startswith("classifier:small@")
