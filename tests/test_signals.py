"""Facts: what the policy looks at and no more, and what the classifier's word is when it has none."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from classifiers.text.embed import StaticEmbedder
from gateway.chat import read_head
from gateway.conversation import last_turn
from gateway.judging.judge import INLINE_CHARS_MAX, Judge
from gateway.pii import TEXT_CHARS_MAX
from gateway.policy.affinity import Pinned
from gateway.policy.compile import Policy, compile_policy
from gateway.policy.model import Facts
from gateway.prompt import Prompt
from gateway.request import ChatRequest
from gateway.signals import PII_INLINE_CHARS_MAX, gather, wanted_of
from tests.judging.fakes import FakeEmbedder, FakeScorer, verdict

SMALL = verdict(small=1.0)
EMBEDDER = cast(StaticEmbedder, FakeEmbedder())


def policy(when: str, classifier: str = "{abstain_below: 0.6, max_ms: 20, on_error: strong}") -> Policy:
    text = f"""
version: 1
providers: {{p: {{kind: fake}}}}
models: {{m: {{provider: p, id: x, price: unknown}}}}
classifier: {classifier}
routes:
  - {{name: first, when: {when}, model: m}}
  - {{name: rest, model: m}}
"""
    return compile_policy("p.yaml", text, env={}, price_of=lambda provider, id_: None, read_file=lambda name: "")


def facts(when: str, scorer: FakeScorer, content: Any = "hello", pinned: Pinned | None = None, **fields: Any) -> Facts:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": content}], **fields}).encode()
    request = ChatRequest("id", body, read_head(body))
    compiled = policy(when)
    assert compiled.classifier is not None
    judge = Judge(compiled.classifier, scorer)
    turn = last_turn(request.head.messages)
    return asyncio.run(gather(request, compiled, turn, judge, pinned))


def test_only_what_the_policy_looks_at_is_computed() -> None:
    scorer = FakeScorer(SMALL)
    found = facts("{has_tools: true}", scorer)
    assert found.values == {"model": "auto", "has_tools": False}
    assert scorer.asked == []


def test_what_the_classifier_says_is_among_the_facts() -> None:
    found = facts("{class: small}", FakeScorer(verdict(small=0.7, strong=0.3)))
    assert (found.values["class"], found.values["confidence"], found.scores["strong"]) == ("small", 0.7, 0.3)


def test_why_it_says_nothing_is_told_too() -> None:
    found = facts("{class: small}", FakeScorer(SMALL, takes_s=0.3), "word " * INLINE_CHARS_MAX)
    assert found.values["class"] == "strong", "on_error's word"
    assert "max_ms: 20" in found.missing["confidence"]


def test_what_holds_the_conversation_is_a_fact() -> None:
    found = facts("{has_tools: true}", FakeScorer(SMALL), pinned=Pinned("m", "session", 2_000, 100, 50))
    assert found.values == {
        "model": "auto", "has_tools": False, "pinned": "m", "pinned.by": "session",
        "pinned.cached_tokens": 2_000, "pinned.new_tokens": 100, "pinned.output_tokens": 50,
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "   ", [{"type": "image_url", "image_url": {"url": "x"}}], None])
def test_without_words_by_the_user_the_class_is_unsure(content: Any) -> None:
    scorer = FakeScorer(SMALL)
    found = facts("{class: small}", scorer, content)
    assert (found.values["class"], found.values["confidence"], scorer.asked) == ("unsure", 0.0, [])


def test_a_model_named_outright_is_not_scored() -> None:
    scorer = FakeScorer(SMALL)
    assert "class" not in facts("{class: small}", scorer, model="m").values
    assert scorer.asked == []


SELECT = """
version: 1
providers: {p: {kind: fake}}
models: {m: {provider: p, id: x, price: unknown}, n: {provider: p, id: y, price: unknown}}
classifier: {intents: mine}
routes:
  - {name: money, when: {intent: refund}, model: m}
  - {name: sure, when: {confidence: ">=0.9"}, model: m}
  - {name: rest, select: cheapest-above-quality, models: [m, n]}
"""


@pytest.mark.parametrize(
    ("model", "route", "wanted"),
    [
        ("auto", None, {"intent", "class", "quality"}),
        ("m", None, set()),
        ("nothing", None, set()),
        ("auto", "rest", {"quality"}),
        ("auto", "sure", set()),
    ],
)
def test_classifiers_are_asked_only_for_what_decides(model: str, route: str | None, wanted: set[str]) -> None:
    compiled = compile_policy("p.yaml", SELECT, env={}, price_of=lambda provider, id_: None, read_file=lambda name: "")
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()
    assert wanted_of(compiled, ChatRequest("id", body, read_head(body), forced_route=route)) == wanted


def test_tags_and_personal_data_are_facts() -> None:
    found = facts("{pii: true}", FakeScorer(SMALL), "write to jane@example.com")
    assert found.values["pii"] is True


def test_a_long_text_is_searched_for_personal_data_off_the_event_loop() -> None:
    assert not others_ran("hello")
    assert others_ran("word " * PII_INLINE_CHARS_MAX)


def others_ran(content: str) -> bool:
    """Whether the event loop got to something else while the facts were gathered."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": content}]}).encode()
    request = ChatRequest("id", body, read_head(body))
    ran = []

    async def gathered() -> None:
        asyncio.get_running_loop().call_soon(ran.append, True)
        await gather(request, policy("{pii: true}"), last_turn([]), Prompt("", None), None)
        ran.append(False)

    asyncio.run(gathered())
    return ran[0]


def test_the_users_messages_have_one_bound_together() -> None:
    def holds_pii(messages: list[dict[str, str]]) -> object:
        return facts("{pii: true}", FakeScorer(SMALL), messages=messages).values["pii"]

    part = "a" * (TEXT_CHARS_MAX // 40)
    users = [{"role": "user", "content": part}] * 40
    assert holds_pii([*users, {"role": "system", "content": part}]) is False
    assert holds_pii([*users, {"role": "user", "content": "a"}]) is True, "more than is looked at counts as holding some"


@pytest.mark.parametrize(
    ("role", "found"), [("user", True), ("tool", True), ("assistant", True), ("system", False), ("developer", False)]
)
def test_personal_data_counts_wherever_it_came_from_but_not_in_the_apps_own_words(role: str, found: bool) -> None:
    messages = [{"role": role, "content": "jane@example.com"}, {"role": "user", "content": "and now?"}]
    assert facts("{pii: true}", FakeScorer(SMALL), messages=messages).values["pii"] is found
