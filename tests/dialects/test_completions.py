"""OpenAI's older completions dialect: requests into the canonical form, answers out of it, as OpenAI's SDK reads them."""

import asyncio
import json
from typing import Any

import httpx
import msgspec
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from gateway.chat import DONE, sse
from gateway.chat_forms import to_events
from gateway.dialects.completions_answer import CompletionWriter
from gateway.edge.completions import CompletionsDialect
from gateway.edge.dialect import Incoming
from gateway.errors import ClientError, TurnoutError
from gateway.reply import Closing
from gateway.request import ChatRequest
from gateway.tenant import ANONYMOUS
from gateway.usage import Usage

Json = dict[str, Any]

HEAD: Json = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
COUNTED = Usage(input=5, output=2)
WIRE_COUNT: Json = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def read(body: Json | bytes) -> ChatRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(CompletionsDialect().read(Incoming("req_1", raw, {}, b"", ANONYMOUS)))


def refused(body: Json | bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        read(body)
    return caught.value


def chunk(delta: Json, finish: str | None = None, index: int = 0) -> bytes:
    return sse({**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})


def chat(*texts: str, finish: str = "stop", **message: Any) -> bytes:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        for n, text in enumerate(texts)
    ]
    return msgspec.json.encode({**HEAD, "object": "chat.completion", "choices": choices, "usage": WIRE_COUNT})


def chunks(data: bytes) -> list[Json]:
    """The events' payloads; each must be what the SDK takes for one."""
    payloads = [json.loads(event[6:]) for event in data.decode().split("\n\n") if event and event != "data: [DONE]"]
    for payload in payloads:
        Completion.model_validate({**payload, "choices": [{**c, "finish_reason": "stop"} for c in payload["choices"]]})
    return payloads


# Requests.


def test_prompt_becomes_a_users_message() -> None:
    body = {"model": "auto", "prompt": "Once  upon", "max_tokens": 5, "stop": ["x"], "n": 2, "user": "u", "logit_bias": {"1": 5}}
    request = read(body)
    assert json.loads(request.body) == {
        **{name: value for name, value in body.items() if name != "prompt"},
        "messages": [{"role": "user", "content": "Once  upon"}],
    }
    assert request.native is not None
    assert (request.native.body, request.native.only) == (json.dumps(body).encode(), ())
    assert (request.dialect, request.head.model, request.choices, request.output_bound) == ("openai_completions", "auto", 2, 5)


def test_list_of_one_prompt_is_a_prompt() -> None:
    request = read({"model": "m", "prompt": ["Hi"]})
    assert request.head.messages[0].content == "Hi"
    assert request.native is not None
    assert request.native.only == ()


@pytest.mark.parametrize(
    ("fields", "only"),
    [
        ({"prompt": ["a", "b"]}, ("prompt",)),
        ({"prompt": [1, 2]}, ("prompt",)),
        ({"prompt": [[1, 2], [3]]}, ("prompt",)),
        ({"suffix": "end"}, ("suffix",)),
        ({"echo": True}, ("echo",)),
        ({"best_of": 3}, ("best_of",)),
        ({"logprobs": 0}, ("logprobs",)),
        ({"min_p": 0.1, "suffix": "x"}, ("min_p", "suffix")),
        ({"suffix": None, "echo": False, "best_of": 1, "logprobs": None, "min_p": None}, ()),
        ({"suffix": ""}, ()),
    ],
)
def test_what_a_chat_cannot_hold_is_named(fields: Json, only: tuple[str, ...]) -> None:
    request = read({"model": "m", "prompt": "Hi", **fields})
    assert request.native is not None
    assert request.native.only == only


def test_requests_that_differ_in_what_a_chat_cannot_hold_differ_in_the_canonical_form() -> None:
    prompts: list[Any] = ["Hi", ["Hi", "Hi"], [1, 2], [[1, 2]], [1, 3]]
    bodies = [read({"model": "m", "prompt": prompt}).body for prompt in prompts]
    bodies += [read({"model": "m", "prompt": "Hi", **more}).body for more in ({"echo": True}, {"suffix": "x"}, {"logprobs": 2})]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"[]", "invalid_type", None),
        ({"prompt": "Hi"}, "invalid_type", "model"),
        ({"model": "m"}, "invalid_type", "prompt"),
        ({"model": "", "prompt": "Hi"}, "invalid_model", "model"),
        ({"model": "m", "prompt": None}, "invalid_type", "prompt"),
        ({"model": "m", "prompt": []}, "empty_input", "prompt"),
        ({"model": "m", "prompt": ["a", 1]}, "invalid_type", "prompt"),
        ({"model": "m", "prompt": {"a": 1}}, "invalid_type", "prompt"),
        ({"model": "m", "prompt": "Hi", "logprobs": True}, "invalid_type", "logprobs"),
        ({"model": "m", "prompt": "Hi", "n": "2"}, "invalid_type", "n"),
        ({"model": "m", "prompt": "Hi", "stream_options": []}, "invalid_type", "stream_options"),
        ({"model": "m", "prompt": "Hi", "messages": []}, "invalid_request", "messages"),
        ({"model": "m", "prompt": "Hi", "tools": 5}, "invalid_type", "tools"),
    ],
)
def test_wrong_request_is_refused_by_name(body: Json | bytes, code: str, param: str | None) -> None:
    error = refused(body)
    assert (error.status, error.code, error.param) == (400, code, param)


# Answers.


def test_whole_answer() -> None:
    said = json.loads(CompletionWriter().whole(chat("Hi", "Yo"), b""))
    Completion.model_validate(said, strict=True)
    assert said == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"text": "Hi", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "Yo", "index": 1, "logprobs": None, "finish_reason": "stop"},
        ],
        "usage": WIRE_COUNT,
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (chat("", refusal="No."), "No."),
        (chat("Hi", reasoning_content="hm"), "Hi"),
        (chat(None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]), ""),  # type: ignore[arg-type]
        (chat([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]), "Hi"),  # type: ignore[arg-type]
    ],
)
def test_all_that_is_text_is_said(body: bytes, text: str) -> None:
    assert json.loads(CompletionWriter().whole(body, b""))["choices"][0]["text"] == text


@pytest.mark.parametrize(("finish", "said"), [("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop")])
def test_finish(finish: str, said: str) -> None:
    assert json.loads(CompletionWriter().whole(chat("Hi", finish=finish), b""))["choices"][0]["finish_reason"] == said


def test_native_answer_passes_unread() -> None:
    assert CompletionWriter().whole(b"{}", b"native") == b"native"
    assert CompletionWriter().passing(b"data: x\n\n") == b"data: x\n\n"


def test_stream_says_texts_and_finish_alone() -> None:
    writer = CompletionWriter()
    assert writer.events(chunk({"role": "assistant", "content": ""})) == b""
    assert writer.events(chunk({"reasoning_content": "hm"})) == b""
    data = writer.events(chunk({"content": "Hi"}) + chunk({"content": "Yo"}, index=1)) + writer.events(chunk({}, "length"))
    assert [(c["choices"][0]["text"], c["choices"][0]["index"], c["choices"][0]["finish_reason"]) for c in chunks(data)] == [
        ("Hi", 0, None),
        ("Yo", 1, None),
        ("", 0, "length"),
    ]
    assert {c["id"] for c in chunks(data)} == {"cmpl-1"}


def test_usage_and_cost_come_if_they_are_wanted() -> None:
    event = sse({**HEAD, "choices": [], "usage": WIRE_COUNT})
    native = sse(
        {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [], "usage": WIRE_COUNT, "x": 1}
    )
    for closing in (Closing(COUNTED, 0.5, event), Closing(COUNTED, 0.5, event, native), Closing(COUNTED, 0.5)):
        assert CompletionWriter().end(closing) == DONE
        writer = CompletionWriter(wants_usage=True)
        writer.events(chunk({"content": "Hi"}))
        said = writer.end(closing)
        assert said.endswith(DONE)
        (usage,) = chunks(said)
        assert usage["usage"] == {**WIRE_COUNT, "cost": 0.5}
        assert (usage["id"], usage["object"], usage["choices"]) == ("cmpl-1", "text_completion", [])
    assert b'"x":1' in CompletionWriter(wants_usage=True).end(Closing(COUNTED, 0.5, event, native))


def test_usage_without_cost_says_so() -> None:
    assert b'"cost":null' in CompletionWriter(wants_usage=True).end(Closing(COUNTED, None))


def test_broken_stream_says_so_to_the_sdk() -> None:
    writer = CompletionWriter()
    body = writer.events(chunk({"content": "Hi"})) + writer.broken(TurnoutError("it broke"))
    with pytest.raises(openai.APIError, match="it broke"):
        list(streamed(body))


def streamed(body: bytes) -> Any:
    """As the SDK reads this body."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body))
    client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=httpx.Client(transport=transport), max_retries=0)
    return client.completions.create(model="m", prompt="Hi", stream=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.sampled_from(["stop", "length"]))
def test_the_sdk_reads_from_a_stream_what_the_whole_answer_says(texts: list[str], finish: str) -> None:
    body, writer = chat(*texts, finish=finish), CompletionWriter()
    whole = Completion.model_validate_json(writer.whole(body, b""))
    said = {choice.index: "" for choice in whole.choices}
    finishes: dict[int, str] = {}
    for completion in streamed(writer.events(to_events(body)) + writer.end(Closing(COUNTED, None))):
        for choice in completion.choices:
            said[choice.index] += choice.text
            if choice.finish_reason:
                finishes[choice.index] = choice.finish_reason
    assert said == {choice.index: choice.text for choice in whole.choices}
    assert finishes == {choice.index: choice.finish_reason for choice in whole.choices}
