"""Facts: what the policy looks at and no more, and what the classifier's word is when it has none."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

import numpy as np
import pytest

from classifiers.artifact import Artifact
from classifiers.embed import StaticEmbedder
from gateway.chat import read_head
from gateway.pii import TEXT_CHARS_MAX
from gateway.policy.compile import Policy, compile_policy
from gateway.policy.model import Facts
from gateway.prompt import Prompt
from gateway.request import ChatRequest
from gateway.signals import INLINE_CHARS_MAX, PII_INLINE_CHARS_MAX, gather


class Scorer:
    """A classifier whose scores are given, and which may take its time."""

    def __init__(self, takes_s: float = 0.0, **scores: float) -> None:
        self.takes_s, self.scores, self.asked = takes_s, scores, 0

    def score(self, text: str, embedding: Any) -> dict[str, float]:
        self.asked += 1
        time.sleep(self.takes_s)
        return self.scores


class Embedder:
    def encode_whole(self, text: str) -> tuple[Any, bool]:
        return np.zeros(2, np.float32), True


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


def facts(when: str, scorer: Scorer, content: Any = "hello", **fields: Any) -> Facts:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": content}], **fields}).encode()
    request = ChatRequest("id", body, read_head(body))
    prompt = Prompt(request.last_user_text, cast(StaticEmbedder, Embedder()))
    return asyncio.run(gather(request, policy(when), prompt, cast(Artifact, scorer)))


def test_only_what_the_policy_looks_at_is_computed() -> None:
    scorer = Scorer(small=1.0)
    found = facts("{has_tools: true}", scorer)
    assert found.values == {"model": "auto", "has_tools": False}
    assert scorer.asked == 0


@pytest.mark.parametrize(
    ("scores", "kind"), [({"small": 0.7, "strong": 0.3}, "small"), ({"small": 0.55, "strong": 0.45}, "unsure")]
)
def test_the_class_is_the_likeliest_or_unsure_below_the_bar(scores: dict[str, float], kind: str) -> None:
    found = facts("{class: small}", Scorer(**scores))
    assert (found.values["class"], found.values["confidence"]) == (kind, max(scores.values()))
    assert found.values["score.strong"] == scores["strong"]


def test_a_classifier_that_takes_too_long_is_not_waited_for() -> None:
    found = facts("{class: small}", Scorer(takes_s=0.3, small=1.0), "word " * INLINE_CHARS_MAX)
    assert found.values["class"] == "strong", "on_error's word"
    assert "confidence" not in found.values
    assert "max_ms: 20" in found.missing["confidence"]


@pytest.mark.parametrize("content", ["", "   ", [{"type": "image_url", "image_url": {"url": "x"}}], None])
def test_without_words_by_the_user_the_class_is_unsure(content: Any) -> None:
    scorer = Scorer(small=1.0)
    found = facts("{class: small}", scorer, content)
    assert (found.values["class"], found.values["confidence"], scorer.asked) == ("unsure", 0.0, 0)


def test_a_model_named_outright_is_not_scored() -> None:
    scorer = Scorer(small=1.0)
    assert "class" not in facts("{class: small}", scorer, model="m").values
    assert scorer.asked == 0


def test_tags_and_personal_data_are_facts() -> None:
    found = facts("{pii: true}", Scorer(), "write to jane@example.com")
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
        await gather(request, policy("{pii: true}"), Prompt("", None), None)
        ran.append(False)

    asyncio.run(gathered())
    return ran[0]


def test_the_users_messages_have_one_bound_together() -> None:
    def holds_pii(messages: list[dict[str, str]]) -> object:
        return facts("{pii: true}", Scorer(), messages=messages).values["pii"]

    part = "a" * (TEXT_CHARS_MAX // 40)
    users = [{"role": "user", "content": part}] * 40
    assert holds_pii([*users, {"role": "system", "content": part}]) is False
    assert holds_pii([*users, {"role": "user", "content": "a"}]) is True, "more than is looked at counts as holding some"


@pytest.mark.parametrize(
    ("role", "found"), [("user", True), ("tool", True), ("assistant", True), ("system", False), ("developer", False)]
)
def test_personal_data_counts_wherever_it_came_from_but_not_in_the_apps_own_words(role: str, found: bool) -> None:
    messages = [{"role": role, "content": "jane@example.com"}, {"role": "user", "content": "and now?"}]
    assert facts("{pii: true}", Scorer(), messages=messages).values["pii"] is found
