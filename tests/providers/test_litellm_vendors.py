"""Vendors through litellm, each against a server that speaks that vendor's own wire."""

import asyncio
import importlib.util
import json
import sys
import types
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from openai.types.chat import ChatCompletion

from gateway.chat import read_head
from gateway.chat_forms import assemble
from gateway.errors import UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.base import Call, Piece
from gateway.providers.litellm import LiteLLMProvider
from gateway.request import ChatRequest
from gateway.sse import EventParser
from gateway.usage import Usage
from tests.providers.litellm_wire import (
    AWS,
    BEDROCK,
    COHERE,
    GEMINI,
    GROQ,
    KEY,
    MESSAGE_START,
    MISTRAL,
    PIXEL,
    VENDORS,
    VERTEX,
    Vendor,
    converse,
    delta,
    frame,
    generated,
    stop,
)
from tests.scripted_server import Reply, Request, ScriptedServer, json_reply

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="the litellm package is not installed"),
    pytest.mark.timeout(60),  # whoever comes first imports litellm
    # litellm's modules and models emit these on import and on use; nothing of ours is filtered.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
    pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning:httpx"),
]
TOOLS = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
]
IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
]
every_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
every_stream = pytest.mark.parametrize(
    "vendor", [v for v in VENDORS.values() if v.streams], ids=lambda v: f"{v.provider}-{v.model}"
)


class Credentials:
    """Google's, always fresh. google-auth is not among litellm's own requirements, so a stand-in takes its place."""

    token, project_id, quota_project_id, token_state = "vertex-token", "proj", "proj", "FRESH"
    expired, valid = False, True

    def refresh(self, request: object) -> None:
        """Fresh already."""


@pytest.fixture(autouse=True)
def _google(monkeypatch: pytest.MonkeyPatch) -> None:
    class TokenState:
        FRESH: ClassVar[str] = "FRESH"
        STALE: ClassVar[str] = "STALE"
        INVALID: ClassVar[str] = "INVALID"

    modules: dict[str, dict[str, Any]] = {
        "google": {"__path__": []},
        "google.auth": {"__path__": [], "default": lambda scopes=None: (Credentials(), "proj")},
        "google.auth.credentials": {"TokenState": TokenState, "Credentials": Credentials},
        "google.auth.transport": {"__path__": []},
        "google.auth.transport.requests": {"Request": lambda *args, **fields: None},
    }
    for name, contents in modules.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)


@dataclass(frozen=True)
class Heard:
    """pieces: of the answer. request: as the vendor got it."""

    pieces: Sequence[Piece]
    request: Request

    @property
    def message(self) -> Any:
        return self.completion.choices[0].message

    @property
    def finish(self) -> str:
        return self.completion.choices[0].finish_reason

    @property
    def usage(self) -> Usage | None:
        return [piece.usage for piece in self.pieces if piece.usage is not None][-1]

    @property
    def completion(self) -> ChatCompletion:
        data = b"".join(piece.data for piece in self.pieces)
        body = data if data.startswith(b"{") else assemble(EventParser().feed(data))
        return ChatCompletion.model_validate_json(body, strict=True)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await coroutine

    return asyncio.run(bounded())


def ask(vendor: Vendor, reply: Reply, **fields: Any) -> Heard:
    async def asked() -> Heard:
        body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
        model = Model(name="tail", provider="tail", id=vendor.model, context_tokens=None, price=None)
        call = Call(ChatRequest(request_id="r1", body=body, head=read_head(body)), model, connect_s=5.0)
        async with ScriptedServer([reply]) as server:
            provider = LiteLLMProvider(
                "tail", vendor.provider, api_key=vendor.key, base_url=server.url + vendor.base, params=vendor.params
            )
            try:
                exchange = await provider.open(call)
                pieces: list[Piece] = []
                try:
                    while not (pieces and pieces[-1].is_end):
                        pieces += await exchange.read()
                finally:
                    await exchange.aclose()
                return Heard(pieces, server.requests[0])
            finally:
                await provider.aclose()

    heard: Heard = run(asked())
    return heard


def failure(vendor: Vendor, reply: Reply, **fields: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        ask(vendor, reply, **fields)
    said = caught.value.message
    assert said.startswith("tail: ") and "litellm" not in said and "Traceback" not in said
    assert not any(secret in said for secret in (KEY, *AWS.values()) if secret != "us-east-1")
    return caught.value


# --- what is asked, and what comes back


@every_vendor
def test_a_whole_answer(vendor: Vendor) -> None:
    heard = ask(vendor, json_reply(vendor.hello))
    assert (heard.message.content, heard.finish, heard.usage) == ("Hello", "stop", Usage(input=5, output=2))
    assert heard.request.path == vendor.path
    name, value = vendor.headers
    assert heard.request.headers[name].startswith(value)
    told = json.loads(heard.pieces[0].data)
    assert set(told) <= {"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"}
    assert set(told["choices"][0]["message"]) == {"role", "content", "refusal"}


@every_vendor
def test_a_call_of_a_tool(vendor: Vendor) -> None:
    heard = ask(vendor, json_reply(vendor.call), tools=TOOLS)
    [call] = heard.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments), heard.finish) == ("f", {"a": 1}, "tool_calls")
    assert b'"f"' in heard.request.body and b'"integer"' in heard.request.body


@every_stream
def test_a_stream(vendor: Vendor) -> None:
    heard = ask(vendor, vendor.stream(vendor.hello_stream), stream=True)
    assert (heard.message.content, heard.finish, heard.usage) == ("Hello", "stop", Usage(input=5, output=2))
    assert [piece.text for piece in heard.pieces if piece.has_content] == ["Hel", "lo"]
    assert [(p.is_usage_only, p.is_end) for p in heard.pieces[-2:]] == [(True, False), (False, True)]


@every_stream
def test_a_call_of_a_tool_in_a_stream(vendor: Vendor) -> None:
    heard = ask(vendor, vendor.stream(vendor.call_stream), stream=True, tools=TOOLS)
    [call] = heard.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments), heard.finish) == ("f", {"a": 1}, "tool_calls")


@pytest.mark.parametrize("is_tool", [False, True])
def test_where_litellm_cannot_read_streams_the_whole_answer_is_one(is_tool: bool) -> None:
    heard = ask(COHERE, json_reply(COHERE.call if is_tool else COHERE.hello), stream=True, tools=TOOLS)
    assert heard.request.json()["stream"] is False
    assert heard.pieces[0].data.startswith(b"data: ")
    assert heard.finish == ("tool_calls" if is_tool else "stop")
    assert heard.usage == Usage(input=5, output=2)


@every_vendor
def test_an_image_is_sent_in_the_vendors_words(vendor: Vendor) -> None:
    heard = ask(vendor, json_reply(vendor.hello), messages=[{"role": "user", "content": IMAGE}])
    assert vendor.image.replace(" ", "") in heard.request.body.decode().replace(" ", "")


@every_vendor
def test_a_turn_with_a_tools_result_goes_back(vendor: Vendor) -> None:
    """With all that the canonical form has besides OpenAI's: thoughts, marks of what to cache, a tool that failed."""
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    thought = {"type": "thinking", "thinking": "let me see", "signature": "U0lH"}
    asked = {
        "role": "assistant",
        "content": "",
        "tool_calls": [call],
        "thinking_blocks": [thought],
        "reasoning_content": "let me see",
    }
    result = {
        "role": "tool",
        "tool_call_id": "t1",
        "content": "it broke",
        "is_error": True,
        "cache_control": {"type": "ephemeral"},
    }
    heard = ask(vendor, json_reply(vendor.hello), messages=[{"role": "user", "content": "Hi"}, asked, result], tools=TOOLS)
    body = heard.request.body
    assert b"it broke" in body and b"is_error" not in body
    knows_thoughts = vendor.provider in ("bedrock", "gemini", "vertex_ai")
    assert (b"let me see" in body) is knows_thoughts
    assert (b"thinking_blocks" in body, b"reasoning_content" in body) == (False, False)
    if not knows_thoughts:
        assert b"cache" not in body and b"U0lH" not in body


def test_thoughts_come_whole_and_signed() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm, well", "signature": "SIG"}}}
    block = {"type": "thinking", "thinking": "hm, well", "signature": "SIG"}
    whole = ask(BEDROCK, json_reply(converse([thought, {"text": "Hello"}])), reasoning_effort="low", max_tokens=4000)
    assert json.loads(whole.pieces[0].data)["choices"][0]["message"]["thinking_blocks"] == [block]
    parts = [
        *(MESSAGE_START, delta(0, reasoningContent={"text": "hm, "}), delta(0, reasoningContent={"text": "well"})),
        *(delta(0, reasoningContent={"signature": "SIG"}), delta(1, text="Hello"), *stop("end_turn")),
    ]
    heard = ask(BEDROCK, BEDROCK.stream(parts), stream=True, reasoning_effort="low", max_tokens=4000)
    deltas = [json.loads(p.data[6:])["choices"][0]["delta"] for p in heard.pieces if p.data and not p.is_usage_only]
    assert [d["thinking_blocks"] for d in deltas if "thinking_blocks" in d] == [[block]]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == "hm, well"


def test_what_bedrock_read_from_its_cache_counts() -> None:
    usage = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7, "cacheReadInputTokens": 30, "cacheWriteInputTokens": 10}
    heard = ask(BEDROCK, json_reply(converse([{"text": "Hello"}], usage=usage)))
    assert heard.usage == Usage(input=45, output=2, cached_input=30, cache_write=10)
    assert json.loads(heard.pieces[0].data)["usage"]["total_tokens"] == 47


def test_a_bedrock_key_is_a_bearer_token() -> None:
    keyed = Vendor(**{**vars(BEDROCK), "key": "bedrock-key-0123456789", "params": {"aws_region_name": "us-east-1"}})
    assert ask(keyed, json_reply(BEDROCK.hello)).request.headers["authorization"] == "Bearer bedrock-key-0123456789"


@pytest.mark.parametrize(
    ("vendor", "answer", "finish"),
    [
        (BEDROCK, converse([{"text": "Hel"}], "max_tokens"), "length"),
        (BEDROCK, converse([{"text": "no"}], "guardrail_intervened"), "content_filter"),
        (BEDROCK, converse([{"text": "no"}], "content_filtered"), "content_filter"),
        (GEMINI, generated({"text": "Hel"}, "MAX_TOKENS"), "length"),
        (GEMINI, generated({"text": "no"}, "SAFETY"), "content_filter"),
    ],
)
def test_why_an_answer_ended(vendor: Vendor, answer: Any, finish: str) -> None:
    assert ask(vendor, json_reply(answer)).finish == finish


def test_an_answer_that_used_up_its_tokens_is_not_whole_whatever_litellm_says() -> None:
    """It takes no finish_reason from Cohere, and says "stop" of every answer."""
    cut = json_reply({**COHERE.hello, "finish_reason": "MAX_TOKENS"})
    assert [ask(COHERE, cut, max_tokens=n).finish for n in (2, 3)] == ["length", "stop"]


# --- what is refused


@pytest.mark.parametrize("vendor", [BEDROCK, GEMINI, MISTRAL], ids=lambda v: v.provider)
def test_what_litellm_has_no_word_for_is_refused_by_name(vendor: Vendor) -> None:
    custom = failure(vendor, json_reply(vendor.hello), tools=[{"type": "custom", "custom": {"name": "f"}}])
    assert (custom.fault, custom.param) == ("unsupported", "tools[0].type")
    paper = [{"type": "file", "file": {"file_url": "https://example.com/a.pdf"}}]
    by_url = failure(vendor, json_reply(vendor.hello), messages=[{"role": "user", "content": paper}])
    assert (by_url.fault, by_url.param) == ("unsupported", "messages[0].content[0].file.file_url")


# --- what goes wrong

STATUSES = [
    (401, "some wrong key", {}, False, False),
    (403, "not allowed", {}, False, False),
    (404, "no such thing", {}, False, False),
    (429, "slow down", {"retry-after": "7"}, True, False),
    (400, "bad request", {}, False, True),
    (500, "broken", {}, True, False),
    (503, "busy", {"retry-after": "3"}, True, False),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("status", "message", "headers", "is_retryable", "is_callers"), STATUSES, ids=lambda v: str(v)[:3])
@every_vendor
def test_errors_keep_their_status_and_words(
    vendor: Vendor, status: int, message: str, headers: dict[str, str], is_retryable: bool, is_callers: bool, is_stream: bool
) -> None:
    error = failure(vendor, vendor.error(status, message, headers), stream=is_stream)
    assert (error.message, error.fault, error.status) == (f"tail: {message}", "status", status)
    assert (error.is_retryable, error.is_callers_fault) == (is_retryable, is_callers)
    assert error.retry_after_s == (float(headers["retry-after"]) if headers else None)


@every_vendor
def test_a_key_that_the_vendor_repeats_is_not_passed_on(vendor: Vendor) -> None:
    secret = vendor.key or vendor.params.get("aws_secret_access_key") or "AIzaSyA0123456789abcdefghijklmnopqrstu"
    error = failure(vendor, vendor.error(401, f"no: {secret}"))
    assert secret not in error.message and error.message.startswith("tail: no: ")


@every_stream
def test_a_stream_that_breaks_off_is_not_whole(vendor: Vendor) -> None:
    error = failure(vendor, vendor.stream(vendor.hello_stream[: vendor.cut_at]), stream=True)
    assert (error.fault, error.is_retryable) == ("cut", True)


@pytest.mark.parametrize(("vendor", "is_busy"), [(GEMINI, True), (VERTEX, True)], ids=["gemini", "vertex"])
def test_google_says_how_long_to_wait_in_the_body(vendor: Vendor, is_busy: bool) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}]
    body = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    for is_stream in (False, True):
        error = failure(vendor, json_reply(body, status=429), stream=is_stream)
        assert (error.retry_after_s, error.is_retryable) == (38.0, is_busy)


def test_an_error_inside_bedrocks_stream_is_reported() -> None:
    parts = [MESSAGE_START, delta(0, text="Hel"), frame("throttlingException", {"message": "wait a little"})]
    error = failure(BEDROCK, BEDROCK.stream(parts), stream=True)
    assert (error.fault, error.message, error.is_retryable) == ("reported", "tail: wait a little", True)


def test_without_googles_library_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "google" or name.startswith("google.")]:
        monkeypatch.setitem(sys.modules, name, None)
    elsewhere = Vendor(**{**vars(VERTEX), "params": {"vertex_project": "another", "vertex_location": "us-central1"}})
    with pytest.raises(UpstreamError) as caught:
        ask(elsewhere, json_reply(VERTEX.hello))
    assert "google" in caught.value.message and not caught.value.is_callers_fault


def test_groqs_own_limits_are_said() -> None:
    body = {
        "error": {
            "message": "Request too large on tokens per minute (TPM): reduce the length of it",
            "code": "rate_limit_exceeded",
        }
    }
    error = failure(GROQ, json_reply(body, status=413))
    assert (error.code, error.is_callers_fault) == ("context_length_exceeded", False)
