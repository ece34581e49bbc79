"""What is sold besides tokens: told from what costs nothing, and from the usual."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.policy.catalog import BusyPrice, TokenPrice
from gateway.pricing.cost import cost_nusd
from gateway.unpriced import of_block, of_item, of_usage
from gateway.usage import Usage
from gateway.wire_usage import read_usage


@pytest.mark.parametrize(
    ("told", "unpriced"),
    [
        ({}, None),
        ({"speed": "standard", "inference_geo": "global", "server_tool_use": None, "iterations": None}, None),
        ({"speed": "fast"}, "speed fast"),
        ({"inference_geo": "us"}, "inference_geo us"),
        ({"inference_geo": ""}, None),
        ({"server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 3, "tool_search_requests": 1}}, None),
        ({"server_tool_use": {"web_search_requests": 1}}, "web_search_requests"),
        ({"server_tool_use": {"tool_of_tomorrow": 1}}, "tool_of_tomorrow"),
        ({"server_tool_use": [1], "iterations": {"type": "x"}}, None),
        ({"iterations": [{"type": "message"}, {}, 7]}, None),
        ({"iterations": [{"type": "compaction"}, {"type": "message"}]}, "an iteration of type compaction"),
        ({"iterations": [{"type": ["odd"]}]}, "an iteration of type ['odd']"),
        ({"num_server_side_tools_used": 0, "num_sources_used": 0}, None),
        ({"num_server_side_tools_used": 2}, "num_server_side_tools_used"),
        ({"num_sources_used": 5}, "num_sources_used"),
    ],
)
def test_a_usage_tells_what_has_no_price(told: dict[str, Any], unpriced: str | None) -> None:
    assert of_usage(msgspec.Raw(json.dumps(told).encode())) == unpriced
    chat = read_usage(msgspec.Raw(json.dumps({"prompt_tokens": 1, "completion_tokens": 2, **told}).encode()))
    assert chat is not None
    assert (chat.unpriced, chat.input, chat.output) == (unpriced, 1, 2)


def test_what_is_no_object_tells_nothing() -> None:
    assert of_usage(msgspec.Raw(b"[1]")) is None


def test_blocks_and_items_that_are_paid_for_apart() -> None:
    assert of_block("server_tool_use", "web_search") == "web_search"
    assert of_block("server_tool_use", "web_fetch") is None
    assert of_block("tool_use", "web_search") is None
    assert of_item("web_search_call") == "web_search_call"
    assert of_item("item_of_tomorrow") == "item_of_tomorrow"
    assert [of_item(kind) for kind in ("message", "mcp_call", "computer_call")] == [None] * 3


def test_without_a_price_the_cost_is_unknown_but_on_a_machine_that_is_paid_anyway() -> None:
    price = TokenPrice(input=1000, output=2000, cached_input=1000, cache_write=1000, source="test")
    usage = Usage(1000, 500)
    sold = msgspec.structs.replace(usage, unpriced="web_search")
    assert (cost_nusd(price, usage), cost_nusd(price, sold)) == (2000, None)
    assert cost_nusd(BusyPrice(1000, "test"), sold, 2.0) == cost_nusd(BusyPrice(1000, "test"), usage, 2.0) == 2
    assert (usage + sold).unpriced == (sold + usage).unpriced == "web_search"
