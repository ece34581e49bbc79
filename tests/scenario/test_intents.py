"""Routes by what the user wants, with an intent artifact that was trained and saved for the purpose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from classifiers.intents.artifact import save_intents
from classifiers.intents.fit import fit_intents
from classifiers.text.embed import StaticEmbedder
from tests.live_gateway import LiveGateway

GOODS = ("parcel", "order", "package", "box", "shipment", "letter", "lamp", "chair")
TRADES = ("plumber", "gardener", "painter", "roofer", "carpenter", "tiler", "cleaner", "locksmith")
FRAMES = {
    "refund": [f"I want my money back for the {g}" for g in GOODS] + [f"please refund the {g} to my card" for g in GOODS],
    "booking": [f"book a {t} for Monday" for t in TRADES] + [f"I need a {t} to come by" for t in TRADES],
    "thanks": ["thanks a lot", "thank you so much", "cheers mate", "many thanks", "that was kind, thanks", "great, thank you"],
    "oos": [
        "who won the cup in ninety eight",
        "is the moon made of rock",
        "why do cats purr",
        "the capital of Peru",
        "name a noble gas",
        "explain compound interest",
        "how tall are giraffes",
        "what makes rain fall",
    ],
}
POLICY = """
version: 1
providers:
  near: {kind: fake, words: 3}
models:
  desk: {provider: near, id: desk-1, price: {input: 1, output: 2}}
  small: {provider: near, id: small-1, price: {input: 1, output: 2}}
classifier:
  intents: ./mine
  intent_above: 0.5
routes:
  - {name: money, when: {intent: refund}, model: desk}
  - {name: known, when: {intent: ["book*", thanks]}, model: small}
  - {name: rest, model: small}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    folder = tmp_path_factory.mktemp("intents")
    embedder = StaticEmbedder.load()
    rows = [{"text": text, "intent": intent} for intent, texts in FRAMES.items() for text in texts]
    save_intents(
        folder / "mine", {"name": "mine", "classes": list(FRAMES)}, fit_intents(rows, embedder=embedder), embedder, frozenset()
    )
    with LiveGateway(folder, POLICY) as live:
        yield live


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("give me my money back for the lamp please", "money"),
        ("I need a plumber on Tuesday", "known"),
        ("Why is the sky blue?", "rest"),
        ("🙃", "rest"),
    ],
)
def test_a_request_goes_where_its_intent_goes(gateway: LiveGateway, text: str, route: str) -> None:
    response = gateway.chat(text)
    assert response.headers["x-turnout-route"] == route
    assert response.headers["x-turnout-decided-by"] == f"rule:{route}"


def test_the_dry_run_tells_the_intent_and_how_sure_it_is(gateway: LiveGateway) -> None:
    def story(text: str) -> dict[str, object]:
        body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        found: dict[str, object] = gateway.http.post("/v1/route", json=body).json()
        return found

    known = story("give me my money back for the lamp please")
    assert known["intent"] == "refund"
    assert known["facts"]["intent.confidence"] >= 0.5  # type: ignore[index]
    assert known["class"] is None, "the policy asks for no class, so none is made"
    assert story("Why is the sky blue?")["intent"] == "oos"
    assert story("🙃")["missing"]["intent"] == "the user's text has no letter and no digit"  # type: ignore[index]


def test_a_follow_up_has_the_intent_of_what_it_follows(gateway: LiveGateway) -> None:
    talk = [("user", "I want my money back for the chair"), ("assistant", "For which order is that?"), ("user", "the last one")]
    response = gateway.chat(messages=[{"role": role, "content": text} for role, text in talk])
    assert response.headers["x-turnout-route"] == "money"
