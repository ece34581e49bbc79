"""A gateway for bad requests: every endpoint has somebody behind it, who notes what arrives."""

from __future__ import annotations

import json
from typing import Final

from tests.cascade import answers
from tests.embeddings_upstream import embeddings
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply, sse_reply

ADMIN_KEY: Final = "of-the-operator"


def provider() -> Upstream:
    """Answers chat with two words, and texts with vectors; `server.requests` has what it was asked."""
    return Upstream.of(_answer)


def _answer(request: Request) -> Reply:
    if not request.path.endswith(("/completions", "/embeddings")) or request.method != "POST":
        return json_reply({"error": {"message": "nothing is kept here"}}, status=404)
    body = json.loads(request.body, parse_int=str)  # some integers are longer than Python reads
    if request.path.endswith("/embeddings"):
        return json_reply(embeddings(body))
    if body.get("stream") is True:
        return sse_reply(*answers.events("all right"), answers.usage_event(), b"data: [DONE]\n\n")
    return json_reply(answers.whole({"message": answers.message("all right", []), "finish_reason": "stop"}))


def policy(url: str, *, is_played: bool = False) -> str:
    """One model for conversations and one for vectors, at the provider's `url`; is_played: the first by the gateway itself."""
    talks = "played" if is_played else "far"
    return f"""
version: 1
providers:
  far: {{kind: openai, base_url: "{url}/v1", api_key: sk-far, dialects: [chat]}}
  played: {{kind: fake, words: 6}}
models:
  talks: {{provider: {talks}, id: talks-1, price: {{input: 1.00, output: 2.00}}}}
  vectors: {{provider: far, id: vectors-1, price: {{input: 0.10, output: 0}}}}
baseline: talks
defaults:
  timeouts: {{connect: 2s, first_token: 10s, idle: 10s, total: 20s}}
  retry: {{attempts: 1}}
routes:
  - {{name: all, model: talks}}
"""
