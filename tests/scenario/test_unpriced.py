"""What a provider sells besides tokens, through whole gateways: booked as unknown, never as nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live_gateway import LiveGateway
from tests.providers import responses_events as wire
from tests.providers.test_anthropic import finish, start, text_block
from tests.providers.test_anthropic_native import FOUND, SEARCH, block, whole_of
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply, sse_reply

ADMIN_KEY = "the-operator"
FOUND_PAGES = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
TOKENS_READ = 20_000  # with what was found
SEARCHES = {"input_tokens": TOKENS_READ, "server_tool_use": {"web_search_requests": 1}}


def policy(url: str) -> str:
    return f"""
version: 1
providers:
  claude: {{kind: anthropic, base_url: "{url}", api_key: sk-1}}
  gpt: {{kind: openai, base_url: "{url}/v1", api_key: sk-1, dialects: [responses]}}
models:
  claude: {{provider: claude, id: c, price: {{input: 1000, output: 1000}}}}
  gpt: {{provider: gpt, id: g, price: {{input: 1000, output: 1000}}}}
baseline: gpt
routes:
  - {{name: c, when: {{model: claude}}, model: claude}}
  - {{name: all, model: gpt}}
budgets:
  - {{per: gateway, usd: 100/day}}
"""


def answer(request: Request) -> Reply:
    body = request.json()
    searches = bool(body.get("tools"))
    if request.path.startswith("/v1/responses"):
        said = [*([FOUND_PAGES] if searches else []), wire.message("So.")]
        usage = {**wire.USAGE, "input_tokens": TOKENS_READ, "total_tokens": TOKENS_READ + 4} if searches else wire.USAGE
        events = wire.wire(*wire.stream(*said, usage=usage))
        return sse_reply(*events) if body.get("stream") else json_reply(wire.response(*said, usage=usage))
    if not body.get("stream"):
        whole = whole_of([*([SEARCH, FOUND] if searches else []), {"type": "text", "text": "So."}])
        return json_reply({**whole, "usage": {**whole["usage"], **(SEARCHES if searches else {})}})
    ran = [*block(0, SEARCH), *block(1, FOUND)] if searches else []
    return sse_reply(start(), *ran, *text_block(2, "So."), *finish(**(SEARCHES if searches else {})))


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_search_by_the_provider_is_booked_with_an_unknown_cost(tmp_path: Path, path: str, is_stream: bool) -> None:
    asked: dict[str, Any] = {"model": "gpt", "input": "x", "max_output_tokens": 50, "stream": is_stream}
    tool = {"type": "web_search"}
    if path == "/v1/messages":
        asked = {"model": "claude", "messages": [{"role": "user", "content": "x"}], "max_tokens": 50, "stream": is_stream}
        tool = {"type": "web_search_20250305", "name": "web_search"}
    with Upstream.of(answer) as upstream, LiveGateway(tmp_path, policy(upstream.url), admin_key=ADMIN_KEY) as gateway:
        priced = gateway.http.post(path, json=asked)
        assert (priced.status_code, gateway.entry(priced)["cost_nusd"] > 0) == (200, True)
        before = spent_nusd(gateway)
        searched = gateway.http.post(path, json={**asked, "tools": [tool]})
        assert "So." in searched.text
        entry = gateway.entry(searched)
        assert (entry["outcome"], entry["cost_nusd"], entry["baseline_nusd"], entry["saved_nusd"]) == ("ok", None, None, None)
        assert [attempt["cost"] for attempt in entry["attempts"]] == [None]
        assert entry["usage"]["output"] > 0
        if is_stream:
            assert '"cost":null' in searched.text
        # No less than its tokens cost, of which far fewer were reserved.
        assert spent_nusd(gateway) - before >= TOKENS_READ * 1_000_000


def spent_nusd(gateway: LiveGateway) -> int:
    found = gateway.http.get("/admin/budgets", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    [row] = found.json()["budgets"]
    assert row["reserved_nusd"] == 0
    return int(row["spent_nusd"])
