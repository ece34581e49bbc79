"""A provider's error answer: what it means for retry, fallback and the caller, and what of it may be shown."""

import email.utils
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.refusal import error_fields, refusal, reported, retry_after_s

OPENAI = {
    "error": {"message": "no such parameter", "type": "invalid_request_error", "param": "top_q", "code": "unknown_parameter"}
}


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999999 23:59:59 GMT"}, None),
    ],
)
def test_retry_after_has_its_forms(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers) == wait_s


def test_retry_after_may_be_a_date() -> None:
    wait_s = retry_after_s({"retry-after": email.utils.formatdate(time.time() + 90, usegmt=True)})
    assert wait_s is not None
    assert 80 < wait_s <= 90


@given(st.sampled_from(["retry-after", "retry-after-ms"]), st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_none(name: str, value: str) -> None:
    wait_s = retry_after_s({name: value})
    assert wait_s is None or 0 <= wait_s < float("inf")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (OPENAI, ("no such parameter", "unknown_parameter", "top_q")),
        ({"error": {"message": "m", "type": "t", "code": None}}, ("m", "t", None)),
        ({"error": {"message": "m", "type": "t", "code": 400}}, ("m", "t", None)),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            ("Overloaded", "overloaded_error", None),
        ),
        ({"error": "plain words"}, ("plain words", None, None)),
        ({"error": None, "message": "m"}, ("m", None, None)),
        ({"message": "m", "code": "c"}, ("m", "c", None)),
        ({"detail": "Not Found"}, ("Not Found", None, None)),
        ({"detail": [{"msg": "field required"}]}, ('[{"msg":"field required"}]', None, None)),
        ([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}], ("m", None, None)),
        ("words in quotes", ("words in quotes", None, None)),
        ({}, ("", None, None)),
        ([], ("", None, None)),
        (None, ("", None, None)),
        (7, ("", None, None)),
    ],
)
def test_error_bodies_have_their_shapes(body: object, fields: tuple[str, str | None, str | None]) -> None:
    assert error_fields(json.dumps(body).encode()) == fields


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream busy", "upstream busy"),
        (b"", ""),
        (b"<html><h1>502</h1>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"error": "caf\xe9"}', '{"error": "caf\ufffd"}'),
        (b"[" * 100_000, "[" * 500),
        (b"x" * 900, "x" * 500),
    ],
)
def test_body_that_is_no_json_is_its_own_message(body: bytes, message: str) -> None:
    assert error_fields(body) == (message, None, None)


@given(
    st.binary(max_size=100)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "param", "detail"]), inner, max_size=4)
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_any_body_gives_texts(body: bytes) -> None:
    message, code, param = error_fields(body)
    assert isinstance(message, str)
    assert code is None or isinstance(code, str)
    assert param is None or isinstance(param, str)
    refusal("p", 400, {}, body, "secret")
    reported("p", body, "secret")


@pytest.mark.parametrize(
    ("status", "is_retryable", "is_callers"),
    [
        (400, False, True),
        (401, False, False),
        (402, False, False),
        (403, False, False),
        (404, False, False),
        (408, True, False),
        (409, True, False),
        (413, False, True),
        (422, False, True),
        (425, True, False),
        (429, True, False),
        (301, False, False),
        (500, True, False),
        (502, True, False),
        (503, True, False),
        (504, True, False),
        (529, True, False),
    ],
)
def test_status_says_what_to_do(status: int, is_retryable: bool, is_callers: bool) -> None:
    error = refusal("p", status, {"retry-after": "3"}, b"no")
    assert (error.fault, error.status, error.is_retryable, error.is_callers_fault) == ("status", status, is_retryable, is_callers)
    assert error.retry_after_s == 3.0


def test_a_text_too_long_to_embed_is_not_a_failure_of_the_server() -> None:
    said = b'{"error": {"message": "input (5001 tokens) is too large to process. increase the physical batch size"}}'
    error = refusal("p", 500, {}, said)
    assert (error.code, error.is_retryable, error.says_something_of_the_model) == ("context_length_exceeded", False, False)


@pytest.mark.parametrize(
    "message",
    [
        'Failed to parse tools: Missing tool function: {"type":"function"}; tools = [\n  {\n    "type": "function"\n  }\n]',
        'Failed to parse messages: Unsupported tool call type: {"id":"1","type":"custom"}',
        "\n------------\nWhile executing CallExpression at line 3, column 4 in source:\n…\nError: Jinja Exception: roles must be",
    ],
)
def test_what_a_chat_template_cannot_take_says_nothing_of_the_model(message: str) -> None:
    error = refusal("p", 500, {}, json.dumps({"error": {"message": message, "type": "server_error", "code": 500}}).encode())
    assert (error.fault, error.status, error.is_retryable) == ("unsupported", 500, False)
    assert not error.says_something_of_the_model and not error.is_callers_fault  # another model's template may take it


def test_used_up_quota_is_not_waited_for() -> None:
    error = refusal("p", 429, {}, b'{"error": {"message": "pay", "code": "insufficient_quota"}}')
    assert not error.is_retryable
    assert not error.is_callers_fault


def test_parameter_that_this_model_does_not_take_may_suit_another() -> None:
    error = refusal("p", 400, {}, b'{"error": {"message": "no", "code": "unsupported_parameter", "param": "temperature"}}')
    assert (error.is_callers_fault, error.code, error.param) == (False, "unsupported_parameter", "temperature")


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "too long", "code": "context_length_exceeded"},
        {"message": "the request exceeds the available context size", "type": "exceed_context_size_error", "code": 400},
        {"message": "This model's maximum context length is 8192 tokens."},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
        {"message": "Too many input tokens"},
        {"message": "input length and `max_tokens` exceed context limit: 1 + 2 > 3"},
    ],
)
@pytest.mark.parametrize("status", [400, 413])
def test_request_that_is_too_long_is_nobodys_fault_yet(fields: dict[str, object], status: int) -> None:
    error = refusal("p", status, {}, json.dumps({"error": fields}).encode())
    assert (error.code, error.is_callers_fault, error.is_retryable) == ("context_length_exceeded", False, False)


def test_other_bad_request_is_not_taken_for_too_long() -> None:
    error = refusal("p", 400, {}, json.dumps(OPENAI).encode())
    assert (error.code, error.param, error.is_callers_fault) == ("unknown_parameter", "top_q", True)
    assert error.message == "p: no such parameter"


@given(st.integers(0, 600), st.booleans())
def test_secret_is_in_no_message_wherever_it_stands(offset: int, is_json: bool) -> None:
    secret = "sk-very-secret-0123456789"
    text = "x" * offset + secret
    body = json.dumps({"error": {"message": text}}) if is_json else text
    for error in (refusal("p", 401, {}, body.encode(), secret), reported("p", body.encode(), secret)):
        assert "very-secret" not in error.message
        assert not any(secret[:n] in error.message for n in range(6, len(secret)))


def test_refusal_without_a_message_names_its_status() -> None:
    assert refusal("p", 502, {}, b"<html>").message == "p: status 502 without a message"


@pytest.mark.parametrize(
    ("error", "message", "code", "is_retryable"),
    [
        (b'{"message": "Overloaded", "type": "overloaded_error"}', "p: Overloaded", "overloaded_error", True),
        (b'{"message": "no", "type": "invalid_request_error"}', "p: no", "invalid_request_error", False),
        (b'"overloaded"', "p: overloaded", None, True),
        (b"overloaded", "p: overloaded", None, True),
        (b'{"error": {"message": "inner"}}', "p: inner", None, True),
        (b"{}", "p: an error without a message", None, True),
    ],
)
def test_reported_error_has_its_shapes(error: bytes, message: str, code: str | None, is_retryable: bool) -> None:
    found = reported("p", error)
    assert (found.message, found.code, found.is_retryable, found.fault) == (message, code, is_retryable, "reported")
