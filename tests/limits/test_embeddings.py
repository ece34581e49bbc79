"""Limits on embeddings: the same ones as on chat, with the tokens of the input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.live_gateway import LiveGateway
from tests.scenario.test_embeddings import EmbeddingsUpstream, policy

TEXT = "x" * 40  # 10 tokens


def ask(gateway: LiveGateway, *texts: str, **fields: Any) -> httpx.Response:
    return gateway.http.post("/v1/embeddings", json={"model": "vectors", "input": list(texts), **fields})


def test_a_key_is_held_to_its_requests_and_its_tokens_by_both_kinds(tmp_path: Path) -> None:
    limits = "limits:\n  - {per: key, requests: 4/h, tokens: 300/h}\n"
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url) + limits) as gateway:
        first = ask(gateway, TEXT, TEXT + "y")
        assert first.status_code == 200
        assert first.headers["x-ratelimit-remaining-tokens"] == str(300 - 10 - 11)
        kept = ask(gateway, TEXT)
        assert kept.headers["x-turnout-cache"] == "hit-exact"
        assert kept.headers["x-ratelimit-remaining-tokens"] == str(300 - 10 - 10), "the server counts 5 for each"
        many = ask(gateway, *(f"{TEXT}{n}" for n in range(40)))
        assert many.status_code == 429
        assert many.json()["error"]["code"] == "rate_limit_exceeded"
        assert gateway.entry(many)["outcome"] == "refused"
        for _ in range(2):
            assert gateway.chat(model="answers", max_tokens=10).status_code == 200
        assert ask(gateway, TEXT).status_code == 429
        assert gateway.chat(model="answers", max_tokens=10).headers["x-ratelimit-remaining-requests"] == "0"
        assert len(upstream.inputs) == 1


def test_a_model_for_embeddings_has_a_limit_too(tmp_path: Path) -> None:
    limits = "limits:\n  - {per: model, of: [vectors], requests: 1/h}\n"
    with EmbeddingsUpstream() as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: 'off'}") + limits) as gateway:
        assert ask(gateway, TEXT).status_code == 200
        refused = ask(gateway, TEXT)
        assert refused.status_code == 429
        assert "model 'vectors' may be sent 1 request an hour" in refused.json()["error"]["message"]
        assert len(upstream.inputs) == 1
