"""The litellm adapter against a scripted server: what is asked, what comes back, what goes wrong, and what stays quiet."""

import asyncio
import importlib.util
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.chat import decode_body, read_head
from gateway.chat_forms import assemble
from gateway.errors import ClientError, UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.base import Call, Piece
from gateway.providers.litellm import MISSING, LiteLLMProvider, _load
from gateway.request import ChatRequest
from gateway.sse import EventParser, event_data
from gateway.usage import Usage
from tests.scripted_server import CUT, HANG, Reply, Request, ScriptedServer, Step, json_reply, split, sse_reply

HAS_LITELLM = importlib.util.find_spec("litellm") is not None
needs_litellm = pytest.mark.skipif(not HAS_LITELLM, reason="the litellm package is not installed")
pytestmark = [
    pytest.mark.timeout(60),  # whoever comes first imports litellm
    # litellm's modules and models emit these on import and on use; nothing of ours is filtered.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning:httpx"),
]
KEY = "sk-test-0123456789"
MODEL = Model(name="tail", provider="tail", id="some-model", context_tokens=None, price=None)


@pytest.fixture(scope="module", autouse=True)
def _prepared() -> None:
    """litellm takes seconds to import, which no test of a deadline should pay for."""

    async def load() -> None:
        provider = LiteLLMProvider("tail", "openai")
        await provider.start()
        await provider.aclose()

    if HAS_LITELLM:
        asyncio.run(load())


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(15):
            return await coroutine

    return asyncio.run(bounded())


def call_of(**fields: Any) -> Call:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    return Call(ChatRequest(request_id="r1", body=body, head=read_head(body)), MODEL, connect_s=2.0)


async def ask(script: Sequence[Reply], call: Call, vendor: str = "openai") -> tuple[list[Piece], list[Request]]:
    async with ScriptedServer(script) as server:
        base_url = server.url if vendor == "anthropic" else f"{server.url}/v1"
        provider = LiteLLMProvider("tail", vendor, api_key=KEY, base_url=base_url)
        try:
            exchange = await provider.open(call)
            pieces: list[Piece] = []
            try:
                while not (pieces and pieces[-1].is_end):
                    pieces += await exchange.read()
            finally:
                await exchange.aclose()
            return pieces, server.requests
        finally:
            await provider.aclose()


def failure(reply: Reply, vendor: str = "openai", **fields: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        run(ask([reply], call_of(**fields), vendor))
    assert KEY not in caught.value.message
    assert "Traceback" not in caught.value.message
    assert caught.value.message.startswith("tail: ")
    return caught.value


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "some-model"}
    return f"data: {json.dumps({**head, 'choices': [choice], **fields})}\n\n".encode()


DONE = b"data: [DONE]\n\n"
COUNTED = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
BEGIN = chunk({"role": "assistant", "content": ""})
END = [chunk({}, "stop"), chunk({}, choices=[], usage=COUNTED), DONE]
HELLO = [BEGIN, chunk({"content": "Hel"}), chunk({"content": "lo"}), *END]
WHOLE = {
    "id": "c-2",
    "object": "chat.completion",
    "created": 1,
    "model": "some-model",
    "service_tier": "default",  # litellm's groq fails without it
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": COUNTED,
}
VENDORS = ["openai", "groq", "mistral"]


def chunks_of(pieces: Sequence[Piece]) -> list[ChatCompletionChunk]:
    events = EventParser().feed(b"".join(piece.data for piece in pieces))
    return [ChatCompletionChunk.model_validate_json(data, strict=True) for e in events if (data := event_data(e))]


def said(pieces: Sequence[Piece]) -> str | None:
    whole = ChatCompletion.model_validate_json(assemble(p.data for p in pieces if p.data), strict=True)
    return whole.choices[0].message.content


# --- import


def test_importing_the_adapter_does_not_import_litellm() -> None:
    code = "import sys, gateway.providers.litellm as m; m.LiteLLMProvider('x', 'groq'); sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert LiteLLMProvider("x", "groq").unavailable == MISSING
    assert LiteLLMProvider("x", "groq", unavailable="no key").unavailable == "no key"


@needs_litellm
def test_loading_neither_blocks_the_loop_nor_touches_the_network() -> None:
    """In a fresh interpreter, where any socket but the loop's own is an error."""
    code = """
import asyncio, socket, sys, time
from gateway.providers.litellm import LiteLLMProvider
def no_network(*args, **kwargs): raise SystemExit("the import opened a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = no_network
async def main():
    beats, provider = 0, LiteLLMProvider("x", "groq")
    await provider.start()
    loading = asyncio.create_task(provider.aclose())  # waits for the import
    while not loading.done():
        await asyncio.sleep(0.01)
        beats += 1
    await loading
    sys.exit(0 if beats > 20 else f"the loop ran {beats} times only")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=55)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- what is asked


@needs_litellm
def test_the_request_goes_on_with_the_models_own_id_and_key() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    call = call_of(stream=True, temperature=0.3, tools=tools, max_tokens=9, user="u-1", metadata={"a": "b"})
    # With tools litellm needs the mcp package, which is not among its own requirements, unless it is told to skip it.
    _, [request] = run(ask([sse_reply(*HELLO)], call))
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = request.json()
    assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
    assert body == {
        "model": "some-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.3,
        "tools": tools,
        "max_tokens": 9,
    }  # without `user`, a hint that litellm knows of some models only


@needs_litellm
@pytest.mark.parametrize(
    "field", ["api_base", "base_url", "api_key", "mock_response", "fallbacks", "extra_headers", "num_retries", "callbacks"]
)
def test_a_caller_cannot_set_litellms_own_parameters(field: str) -> None:
    """With api_base a caller would send the operator's key where he likes."""
    error = failure(json_reply(WHOLE), **{field: "http://evil.example"})
    assert (error.fault, error.param, error.is_callers_fault) == ("unsupported", field, False)


@needs_litellm
def test_what_the_vendor_cannot_carry_is_refused_and_hints_are_left_out() -> None:
    error = failure(json_reply(WHOLE), "mistral", logit_bias={"1": 2})
    assert (error.fault, error.is_callers_fault) == ("unsupported", False)
    assert "logit_bias" in error.message
    assert failure(sse_reply(*HELLO), n=2, stream=True).param == "n"
    pieces, [request] = run(ask([json_reply(WHOLE)], call_of(store=True, service_tier="auto", seed=4), "mistral"))
    assert pieces[-1].is_end
    assert "store" not in request.json()


class RecordingExecutor(ThreadPoolExecutor):
    """Of asyncio.to_thread, remembers what was handed over."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.handed_over: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.handed_over += getattr(fn, "args", ())[:1]  # a partial of Context.run
        return super().submit(fn, *args, **kwargs)


@needs_litellm
@pytest.mark.parametrize(("chars", "is_in_thread"), [(10, False), (100_000, True)])
def test_a_large_body_is_decoded_in_a_thread(chars: int, is_in_thread: bool) -> None:
    async def scenario() -> bool:
        executor = RecordingExecutor()
        asyncio.get_running_loop().set_default_executor(executor)
        await ask([json_reply(WHOLE)], call_of(messages=[{"role": "user", "content": "x" * chars}]))
        return decode_body in executor.handed_over

    assert run(scenario()) is is_in_thread


@needs_litellm
@pytest.mark.parametrize("padding", [0, 100_000])
def test_a_number_that_cannot_be_read_is_the_callers_error(padding: int) -> None:
    """In a field that the head passes over; in a small body and in one that is read in a thread."""
    good = call_of(x=0, y="y" * padding).request
    body = good.body.replace(b'"x": 0', b'"x": 1e999')
    call = Call(ChatRequest(request_id="r1", body=body, head=read_head(body)), MODEL, connect_s=2.0)
    with pytest.raises(ClientError) as caught:
        run(ask([json_reply(WHOLE)], call))
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@needs_litellm
@pytest.mark.parametrize(("setting", "value"), [("user_url_validation", False), ("user_url_allowed_hosts", ["127.0.0.1"])])
def test_an_image_url_does_not_reach_our_own_network(monkeypatch: pytest.MonkeyPatch, setting: str, value: object) -> None:
    """With some vendors litellm fetches the image itself, from where the gateway stands."""
    litellm = importlib.import_module("litellm")
    monkeypatch.setattr(litellm, setting, value)  # as another release might have it
    _load.__wrapped__()

    async def scenario() -> list[Request]:
        async with ScriptedServer([json_reply(CLAUDE)]) as server:
            provider = LiteLLMProvider("tail", "anthropic", api_key=KEY, base_url=server.url)
            image = {"type": "image_url", "image_url": {"url": f"{server.url}/latest/meta-data/{setting}.png"}}
            with pytest.raises(UpstreamError):
                await provider.open(call_of(messages=[{"role": "user", "content": [image]}]))
            await provider.aclose()
            return server.requests

    assert run(scenario()) == []


# --- what comes back


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_stream(vendor: str) -> None:
    pieces, _ = run(ask([sse_reply(*HELLO)], call_of(stream=True), vendor))
    chunks = chunks_of(pieces)
    assert said(pieces) == "Hello"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert {c.id for c in chunks} == {"c-1"}
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 7
    assert [len(p.text) for p in pieces if p.has_content] == [3, 2]
    assert pieces[0].has_content is False
    assert [(p.is_usage_only, p.is_end) for p in pieces[-2:]] == [(True, False), (False, True)]
    assert pieces[-2].usage == Usage(input=5, output=2, cached_input=3)


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_whole_answer(vendor: str) -> None:
    [piece], _ = run(ask([json_reply(WHOLE)], call_of(), vendor))
    answer = ChatCompletion.model_validate_json(piece.data, strict=True)
    assert (answer.id, answer.choices[0].message.content, answer.choices[0].finish_reason) == ("c-2", "Hello", "stop")
    assert (piece.is_end, piece.has_content, piece.text) == (True, True, "Hello")
    assert piece.usage == Usage(input=5, output=2, cached_input=3)


THOUGHT: dict[str, Any] = {
    **{"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52},
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 3},
}
THOUGHT_BESIDE = {**THOUGHT, "completion_tokens": 5}  # as xAI counts: 40 + 5 + 7


@needs_litellm
@pytest.mark.parametrize(("vendor", "usage"), [("openai", THOUGHT), ("xai", THOUGHT_BESIDE)])
def test_parts_of_a_count_and_reasoning_that_stands_beside_it(vendor: str, usage: dict[str, Any]) -> None:
    counted = Usage(input=40, output=12, cached_input=8, reasoning=7, audio_input=4, audio_output=3)
    [piece], _ = run(ask([json_reply({**WHOLE, "usage": usage})], call_of(), vendor))
    assert piece.usage == counted
    tail = [chunk({}, "stop"), chunk({}, choices=[], usage=usage), DONE]
    pieces, _ = run(ask([sse_reply(BEGIN, chunk({"content": "Hi"}), *tail)], call_of(stream=True), vendor))
    assert pieces[-2].usage == counted


@needs_litellm
def test_the_tier_and_how_long_its_cache_keeps_what_was_written() -> None:
    [piece], _ = run(ask([json_reply({**WHOLE, "service_tier": "flex"})], call_of()))
    assert piece.usage == Usage(input=5, output=2, cached_input=3, service="flex")
    kept = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}
    usage = {**CLAUDE_USAGE, "output_tokens": 9, "cache_creation": kept, "service_tier": "batch"}
    [piece], _ = run(ask([json_reply({**CLAUDE, "usage": usage})], call_of(), "anthropic"))
    assert piece.usage == Usage(input=9, output=9, cached_input=3, cache_write=2, cache_write_1h=2, service="batch")


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
def test_tool_calls(vendor: str) -> None:
    def part(**function: str) -> dict[str, Any]:
        return {
            "tool_calls": [{"index": 0, "function": function, **({"id": "a", "type": "function"} if "name" in function else {})}]
        }

    begin = chunk({"role": "assistant", "content": None, **part(name="f", arguments="")})
    stream = [begin, chunk(part(arguments='{"a"')), chunk(part(arguments=": 1}")), chunk({}, "tool_calls"), DONE]
    pieces, _ = run(ask([sse_reply(*stream)], call_of(stream=True), vendor))
    choice = ChatCompletion.model_validate_json(assemble(p.data for p in pieces if p.data)).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].type == "function"
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"a": 1}


@needs_litellm
def test_usage_that_nobody_counted_is_not_made_up() -> None:
    pieces, _ = run(ask([sse_reply(BEGIN, chunk({"content": "x"}), chunk({}, "stop"), DONE)], call_of(stream=True)))
    assert [p.usage for p in pieces] == [None] * len(pieces)
    [piece], _ = run(ask([json_reply({k: v for k, v in WHOLE.items() if k != "usage"})], call_of()))
    assert piece.usage is None
    assert "usage" not in json.loads(piece.data)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


CLAUDE_USAGE = {"input_tokens": 4, "output_tokens": 1, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {**CLAUDE_USAGE, "output_tokens": 9},
}


@needs_litellm
def test_the_anthropic_route() -> None:
    stream = [
        _event("message_start", message={**CLAUDE, "content": [], "stop_reason": None, "usage": CLAUDE_USAGE}),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}),
        _event("content_block_stop", index=0),
        _event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 9}),
        _event("message_stop"),
    ]
    pieces, [request] = run(ask([sse_reply(*stream)], call_of(stream=True), "anthropic"))
    assert (request.path, request.headers["x-api-key"]) == ("/v1/messages", KEY)
    assert said(pieces) == "Hello"
    assert pieces[-2].usage == Usage(input=9, output=9, cached_input=3, cache_write=2)
    [piece], _ = run(ask([json_reply(CLAUDE)], call_of(), "anthropic"))
    assert ChatCompletion.model_validate_json(piece.data).choices[0].message.content == "Hello"
    assert piece.usage == pieces[-2].usage
    assert failure(sse_reply(*stream[:3]), "anthropic", stream=True).fault == "cut"


@needs_litellm
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 1500), max_size=30), vendor=st.sampled_from(VENDORS))
def test_the_network_may_cut_a_stream_anywhere(cuts: list[int], vendor: str) -> None:
    wire = b"".join([BEGIN, chunk({"content": "Zürich, "}), chunk({"content": "東京"}), *END])
    pieces, _ = run(ask([sse_reply(*split(wire, cuts))], call_of(stream=True), vendor))
    assert said(pieces) == "Zürich, 東京"
    assert pieces[-2].usage == Usage(input=5, output=2, cached_input=3)


# --- what goes wrong


@needs_litellm
@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("vendor", [*VENDORS, "anthropic"])
@pytest.mark.parametrize(
    ("status", "is_retryable", "is_callers_fault"),
    [(400, False, True), (401, False, False), (404, False, False), (429, True, False), (500, True, False), (503, True, False)],
)
def test_error_statuses(vendor: str, status: int, is_retryable: bool, is_callers_fault: bool, is_stream: bool) -> None:
    body = {"error": {"message": f"no, {KEY}", "type": "some_type"}}
    error = failure(json_reply(body, status=status, headers={"retry-after": "7"}), vendor, stream=is_stream)
    assert (error.fault, error.status, error.retry_after_s) == ("status", status, 7.0)
    assert (error.is_retryable, error.is_callers_fault) == (is_retryable, is_callers_fault)
    # Some keys litellm takes out itself; its own wrapping of the message is gone.
    assert error.message in ("tail: no, ***", "tail: no, REDACTED")


@needs_litellm
def test_the_provider_is_asked_once() -> None:
    async def scenario() -> int:
        async with ScriptedServer([json_reply({"error": {"message": "no"}}, status=503)]) as server:
            provider = LiteLLMProvider("tail", "openai", api_key=KEY, base_url=server.url)
            with pytest.raises(UpstreamError):
                await provider.open(call_of())
            await provider.aclose()
            return len(server.requests)

    assert run(scenario()) == 1


@needs_litellm
def test_a_prompt_that_is_too_long_may_fit_elsewhere() -> None:
    body = {"error": {"message": "This model's maximum context length is 10 tokens", "code": "context_length_exceeded"}}
    error = failure(json_reply(body, status=400))
    assert (error.code, error.is_callers_fault) == ("context_length_exceeded", False)


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([CUT], "cut"),
        ([], "cut"),  # a clean end without finish_reason, which litellm itself takes for a "stop"
        ([b'data: {"error": {"message": "boom", "type": "server_error"}}\n\n'], "reported"),
    ],
)
def test_a_stream_that_breaks_off(vendor: str, steps: Sequence[Step], fault: str) -> None:
    error = failure(sse_reply(BEGIN, chunk({"content": "Hel"}), *steps), vendor, stream=True)
    assert (error.fault, error.is_retryable) == (fault, True)


@needs_litellm
@pytest.mark.parametrize(("vendor", "fault"), [("openai", "malformed"), ("mistral", "cut")])
def test_a_stream_with_bad_json(vendor: str, fault: str) -> None:
    # Of mistral's events litellm passes over those it cannot parse, so the answer counts as cut.
    error = failure(sse_reply(BEGIN, chunk({"content": "Hel"}), b"data: {nonsense\n\n"), vendor, stream=True)
    assert error.fault == fault


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("is_stream", [True, False])
def test_half_a_surrogate_pair_is_malformed(vendor: str, is_stream: bool) -> None:
    half = "\ud83d"  # which JSON can say, and UTF-8 cannot
    choices = [{"index": 0, "message": {"role": "assistant", "content": half}, "finish_reason": "stop"}]
    reply = sse_reply(BEGIN, chunk({"content": half}), *END) if is_stream else json_reply({**WHOLE, "choices": choices})
    assert failure(reply, vendor, stream=is_stream).fault == "malformed"


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (Reply([CUT], status=None), "connect"),
        (Reply([b"junk\r\n\r\n"], status=None), "connect"),
        (json_reply(b"{nonsense"), "malformed"),
    ],
)
def test_an_answer_that_is_none(vendor: str, reply: Reply, fault: str) -> None:
    assert failure(reply, vendor).fault == fault


@needs_litellm
@pytest.mark.parametrize("vendor", [*VENDORS, "anthropic"])
def test_a_whole_answer_that_is_cut(vendor: str) -> None:
    body = json.dumps(WHOLE).encode()
    cut = Reply([body[:40], CUT], 200, {"content-type": "application/json"}, content_length=True)
    error = failure(cut, vendor)
    assert (error.fault, error.is_retryable) == ("cut", True)


@needs_litellm
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("body", [b"<html>no</html>", b'data: {"a": 1}\n\n'])
def test_a_body_that_is_no_json_is_malformed(vendor: str, body: bytes) -> None:
    error = failure(Reply([body], 200, {"content-type": "text/html"}), vendor)
    assert (error.fault, error.status) == ("malformed", None)


@needs_litellm
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_failed_handshake_is_a_failed_connection(vendor: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(Path(__file__).parents[1] / "data" / "untrusted.pem")

    async def scenario() -> None:
        async with ScriptedServer([json_reply(WHOLE)], tls) as server:
            provider = LiteLLMProvider("tail", vendor, api_key=KEY, base_url=server.url)
            try:
                await provider.open(call_of())
            finally:
                await provider.aclose()

    with pytest.raises(UpstreamError) as caught:
        run(scenario())
    assert (caught.value.fault, caught.value.status, caught.value.is_retryable) == ("connect", None, True)


@needs_litellm
def test_the_status_is_the_providers_and_not_what_litellm_makes_of_it() -> None:
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    for status in (429, 529):
        error = failure(json_reply(busy, status=status, headers={"retry-after": "7"}), "anthropic")
        assert (error.fault, error.status, error.retry_after_s, error.is_retryable) == ("status", status, 7.0, True)


@needs_litellm
def test_an_error_under_a_200_is_no_answer() -> None:
    assert failure(json_reply({"error": {"message": "boom"}})).fault == "reported"


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
def test_an_error_beside_an_answer_does_not_show_the_key(vendor: str) -> None:
    """groq's litellm takes it for an answer and hands the error on as a field of it."""
    assert failure(json_reply({**WHOLE, "error": {"message": f"no: {KEY}"}}), vendor).message == "tail: no: ***"


@needs_litellm
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_server_is_a_failed_connection(vendor: str) -> None:
    async def scenario() -> None:
        provider = LiteLLMProvider("tail", vendor, api_key=KEY, base_url="http://127.0.0.1:9/v1")
        try:
            await provider.open(call_of())
        finally:
            await provider.aclose()

    with pytest.raises(UpstreamError) as caught:
        run(scenario())
    assert (caught.value.fault, caught.value.is_retryable) == ("connect", True)


@needs_litellm
def test_an_unknown_provider_is_not_the_callers_fault() -> None:
    error = failure(json_reply(WHOLE), "no_such_vendor")
    assert (error.is_callers_fault, error.is_retryable) == (False, False)


@pytest.fixture(params=["openai", "mistral"])
def hanging(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


@needs_litellm
@pytest.mark.parametrize("is_stream", [True, False])
def test_a_deadline_of_ours_cancels_upstream(hanging: str, is_stream: bool) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply([HANG], status=None)]) as server:
            provider = LiteLLMProvider("tail", hanging, api_key=KEY, base_url=f"{server.url}/v1")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await provider.open(call_of(stream=is_stream))
            await server.client_left(0)
            await provider.aclose()

    run(scenario())


@needs_litellm
def test_closing_a_stream_cancels_upstream(hanging: str) -> None:
    async def scenario() -> None:
        async with ScriptedServer([sse_reply(*HELLO[:2], HANG)]) as server:
            provider = LiteLLMProvider("tail", hanging, api_key=KEY, base_url=f"{server.url}/v1")
            exchange = await provider.open(call_of(stream=True))
            await exchange.read()
            await exchange.read()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await exchange.read()
            await exchange.aclose()
            await server.client_left(0)
            await provider.aclose()

    run(scenario())


@needs_litellm
def test_closing_lets_go_of_a_stream_that_litellm_cannot_close() -> None:
    begin = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}
    events = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in (begin, block, said)]

    async def scenario() -> None:
        async with ScriptedServer([sse_reply(*events, HANG)]) as server:
            provider = LiteLLMProvider("tail", "anthropic", api_key=KEY, base_url=server.url)
            exchange = await provider.open(call_of(stream=True))
            while not any(piece.has_content for piece in await exchange.read()):
                pass
            await exchange.aclose()
            await server.client_left(0)
            await provider.aclose()

    run(scenario())


@needs_litellm
def test_failures_print_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    failure(json_reply({"error": {"message": "no"}}, status=500))
    failure(sse_reply(BEGIN, CUT), stream=True)
    run(ask([json_reply(WHOLE)], call_of()))
    assert capfd.readouterr() == ("", "")
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
