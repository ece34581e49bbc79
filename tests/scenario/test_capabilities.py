"""What a model cannot do goes to one that can, or back to the caller with its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.live_gateway import LiveGateway

POLICY = """version: 1
providers:
  near: {kind: fake}
  locked: {kind: fake, script: ["401"]}
models:
  blind: {provider: near, id: blind, price: unknown, cannot: [images, n]}
  able: {provider: near, id: able, price: unknown, cannot: [n]}
  shut: {provider: locked, id: shut, price: unknown}
routes:
  - {name: locked, when: {tag.app: locked}, model: shut}
  - {name: all, model: blind, fallback: [able]}
"""
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path, POLICY) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_goes_to_the_model_that_can(gateway: LiveGateway, stream: bool) -> None:
    assert gateway.chat("hello", stream=stream).headers["x-turnout-model"] == "blind"
    seen = gateway.chat(messages=IMAGE, stream=stream)
    assert (seen.status_code, seen.headers["x-turnout-model"]) == (200, "able")
    assert seen.headers["x-turnout-compromise"] == "blind is left out: it cannot do: images"
    assert gateway.attempts(seen) == [("able", "ok")]


def test_the_dry_run_says_who_is_left_out_and_why(gateway: LiveGateway) -> None:
    story: dict[str, Any] = gateway.http.post("/v1/route", json={"model": "auto", "messages": IMAGE}).json()
    assert (story["model"], story["uses"]) == ("able", ["images"])
    assert story["left_out"] == [{"model": "blind", "why": "it cannot do: images"}]


@pytest.mark.parametrize("model", ["auto", "blind", "able"])
def test_what_no_model_can_do_is_refused_by_name(gateway: LiveGateway, model: str) -> None:
    refused = gateway.chat("hello", n=2, model=model)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "unsupported_feature", "n")
    assert "more than one choice" in error["message"]
    assert gateway.entry(refused)["attempts"] == []


def test_an_sdk_raises_a_bad_request_and_asks_once(gateway: LiveGateway) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="any")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="blind", messages=IMAGE)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == ("unsupported_feature", "messages")


def test_what_only_the_operator_can_mend_is_not_tried_again(gateway: LiveGateway) -> None:
    refused = gateway.chat("hello", headers={"x-turnout-tags": "app=locked"})
    assert (refused.status_code, refused.headers["x-should-retry"]) == (502, "false")
    assert json.loads(refused.text)["error"]["code"] == "all_targets_failed"
    assert "x-should-retry" not in gateway.chat("hello", n=2).headers
