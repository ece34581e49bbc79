"""What the gateway asks on its own account (embeddings for its cache, audits, their judge) is on the provider's bill as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from classifiers.text.embed import StaticEmbedder
from gateway.cache.embedding_probe import TEXTS
from gateway.ledger.sqlite_reader import SqliteReader
from tests.embeddings_upstream import embeddings, items_of
from tests.live_gateway import LiveGateway
from tests.scenario.reconciliation.published import prompt_tokens, tokens
from tests.scenario.reconciliation.sheet import BIG, EMBEDDER, MINI, SHEETS, Tokens, price_nusd
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply

WORDLLAMA = StaticEmbedder.load()
THINGS = ("seat", "password", "delivery address", "flight", "user name", "subscription")
ASKED = ("How do I change my {}?", "how can I change my {}")
POLICY = """
version: 1
providers:
  one: {{kind: openai, base_url: "{url}/v1", api_key: sk-1}}
models:
  mini: {{provider: one, id: {mini}, price: {mini_price}}}
  big: {{provider: one, id: {big}, price: {big_price}}}
  vectors: {{provider: one, id: {embedder}, price: {embedder_price}}}
baseline: big
cache: {{embedder: {{model: vectors}}, judge: big}}
routes:
  - {{name: all, model: mini, cache: {{mode: semantic, ttl: 1h, min_similarity: 0.8, false_hit_budget: 0.5, audit: 1}}}}
"""


class Billing:
    """Answers, and writes down what for. self_test: what the embedder's test cost, which no request is charged for."""

    def __init__(self) -> None:
        self.nusd = {MINI: 0, BIG: 0, EMBEDDER: 0}
        self.self_test_nusd = 0

    def reply(self, request: Request) -> Reply:
        body = request.json()
        if body["model"] == EMBEDDER:
            return self._embeds(body)
        text = "SAME" if body["model"] == BIG else "Under your name, in the settings."
        read, wrote = prompt_tokens(body["model"], body["messages"]), tokens(body["model"], text)
        self.nusd[body["model"]] += price_nusd(body["model"], Tokens(read, wrote))
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        return json_reply({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})

    def _embeds(self, body: dict[str, Any]) -> Reply:
        texts = items_of(body["input"])
        counted = sum(tokens(EMBEDDER, text) for text in texts)
        cost = price_nusd(EMBEDDER, Tokens(counted))
        if set(texts) <= set(TEXTS):
            self.self_test_nusd += cost
        else:
            self.nusd[EMBEDDER] += cost
        usage = {"prompt_tokens": counted, "total_tokens": counted}
        return json_reply(embeddings(body, WORDLLAMA.encode) | {"usage": usage})


def test_the_ledger_has_every_call_that_no_caller_made(tmp_path: Path) -> None:
    billing = Billing()
    with Upstream.of(billing.reply) as upstream, LiveGateway(tmp_path, policy(upstream.url)) as gateway:
        gateway.chat("The first question has the embedder tested.")
        until(lambda: gateway.http.get("/health/ready").json()["problems"] == [])
        caches = [gateway.chat(text.format(thing)).headers["x-turnout-cache"] for text in ASKED for thing in THINGS]
        hits = caches.count("hit-semantic")
        assert hits >= 3
        until(lambda: len(rows(gateway, "SELECT id FROM entry WHERE purpose = 'audit'")) == hits)
        paid = rows(gateway, "SELECT purpose, sum(cost_nusd) AS cost, sum(overhead_nusd) AS overhead FROM entry GROUP BY purpose")
        attempts = rows(gateway, "SELECT model, sum(cost_nusd) AS cost FROM attempt GROUP BY model ORDER BY model")
    assert {row["model"]: row["cost"] for row in attempts} == {"mini": billing.nusd[MINI], "big": billing.nusd[BIG]}
    by_purpose = {row["purpose"]: (row["cost"], row["overhead"]) for row in paid}
    asked_nusd, embedded_nusd = by_purpose["request"]
    assert by_purpose["audit"] == (0, billing.nusd[MINI] + billing.nusd[BIG] - asked_nusd)
    assert embedded_nusd == billing.nusd[EMBEDDER] > 0
    assert sum(cost + overhead for cost, overhead in by_purpose.values()) == sum(billing.nusd.values())
    assert billing.self_test_nusd > 0


def policy(url: str) -> str:
    prices = {f"{name}_price": SHEETS[model].yaml() for name, model in (("mini", MINI), ("big", BIG), ("embedder", EMBEDDER))}
    return POLICY.format(url=url, mini=MINI, big=BIG, embedder=EMBEDDER, **prices)


def rows(gateway: LiveGateway, query: str) -> list[dict[str, Any]]:
    reader = SqliteReader(gateway.settings.ledger)
    try:
        return reader.rows(query)
    finally:
        reader.close()


def until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up, "it did not come to that"
        time.sleep(0.05)
