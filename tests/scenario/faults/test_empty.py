"""An answer with nothing in it is a fault; one that says something in another way than by text is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.faults.wires import SPARE, body, chat_body, chat_events, sse
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply, sse_reply

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
EMPTY: dict[str, tuple[dict[str, Any], str | None]] = {
    "no text": ({"content": ""}, "stop"),
    "null": ({"content": None}, "stop"),
    "no calls": ({"content": "", "tool_calls": []}, "stop"),
    "no reason": ({"content": "", "reasoning_content": ""}, "stop"),
}
SAYS_SOMETHING: dict[str, tuple[dict[str, Any], str | None]] = {
    "a space": ({"content": " "}, "stop"),
    "a tool call": ({"content": None, "tool_calls": [CALL]}, "tool_calls"),
    "a tool call that stops": ({"content": None, "tool_calls": [CALL]}, "stop"),
    "a refusal": ({"content": None, "refusal": "No."}, "stop"),
    "reasoning": ({"content": "", "reasoning_content": "Hm."}, "stop"),
    "an image": ({"content": "", "images": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, "stop"),
    "its length": ({"content": ""}, "length"),
    "a filter": ({"content": ""}, "content_filter"),
}
CASES = EMPTY | SAYS_SOMETHING
HEAD = {"id": "c", "created": 1, "model": "m-1"}
USAGE = {"prompt_tokens": 11, "completion_tokens": 4}


class Sayings(Upstream):
    """A provider that says what the prompt names; under the path /spare, that it is the spare."""

    def __init__(self) -> None:
        super().__init__(lambda call: pytest.fail("it is asked in bytes"))

    def _reply(self, request: Request) -> Reply:
        asked = request.json()
        is_stream = asked.get("stream") is True
        if request.path.startswith("/spare"):
            return sse_reply(chat_events(SPARE)) if is_stream else json_reply(chat_body(SPARE))
        said, finish = CASES[asked["messages"][-1]["content"]]
        if is_stream:
            deltas = [({"role": "assistant", "content": ""}, None), (said, None), ({}, finish)]
            chunks = [sse({**HEAD, "choices": [{"index": 0, "delta": d, "finish_reason": f}]}) for d, f in deltas]
            return sse_reply(*chunks, sse({**HEAD, "choices": [], "usage": USAGE}), b"data: [DONE]\n\n")
        choices = [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish}]
        if asked.get("n") == 2:
            choices.append({"index": 1, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"})
        return json_reply(body({**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with Sayings() as upstream:
        yield from _gateway(upstream.url, tmp_path_factory.mktemp("empty"))


def _gateway(url: str, folder: Path) -> Iterator[LiveGateway]:
    policy = f"""
version: 1
providers:
  sayings: {{kind: openai, base_url: "{url}/first/v1", breaker: {{failures: 1000}}}}
  spare: {{kind: openai, base_url: "{url}/spare/v1"}}
models:
  first: {{provider: sayings, id: m-1, price: {{input: 1, output: 2}}}}
  second: {{provider: spare, id: m-2, price: {{input: 1, output: 2}}}}
defaults: {{retry: {{attempts: 1}}}}
routes: [{{name: all, model: first, fallback: [second]}}]
"""
    with LiveGateway(folder, policy) as live:
        yield live


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", EMPTY)
def test_nothing_falls_back_and_is_paid_for(gateway: LiveGateway, what: str, stream: bool) -> None:
    response = gateway.chat(what, stream=stream)
    assert text_of(response) == SPARE
    first, second = gateway.entry(response)["attempts"]
    assert (first["outcome"], first["fault"], second["outcome"]) == ("error", "empty", "ok")
    assert (first["usage"]["input"], first["usage"]["output"], first["usage"]["estimated"]) == (11, 4, False)
    assert first["cost"] == 11 * 1000 + 4 * 2000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("what", SAYS_SOMETHING)
def test_what_says_something_is_passed_on(gateway: LiveGateway, what: str, stream: bool) -> None:
    response = gateway.chat(what, stream=stream)
    assert gateway.attempts(response) == [("first", "ok")]
    said, finish = SAYS_SOMETHING[what]
    if stream:
        assert events(response)[-1] == "[DONE]"
        deltas = [choice["delta"] for event in events(response)[:-1] for choice in event["choices"]]
        assert said in deltas
    else:
        choice = response.json()["choices"][0]
        assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", **said}, finish)


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_gives_stop_texts_may_get_nothing(gateway: LiveGateway, stream: bool) -> None:
    response = gateway.chat("no text", stream=stream, stop=["\n"])
    assert gateway.attempts(response) == [("first", "ok")]
    assert text_of(response) == ""


@pytest.mark.parametrize("stop", [None, [], ""])
def test_no_stop_texts_are_none(gateway: LiveGateway, stop: object) -> None:
    assert gateway.attempts(gateway.chat("no text", stop=stop))[0] == ("first", "error")


def test_one_choice_that_says_something_is_enough(gateway: LiveGateway) -> None:
    assert gateway.attempts(gateway.chat("no text", n=2)) == [("first", "ok")]
