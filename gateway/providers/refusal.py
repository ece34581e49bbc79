"""From a provider's error answer to an UpstreamError: what it means for retry, fallback and the caller."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from typing import Final

from gateway.errors import CONTEXT_LENGTH, REQUESTS_OWN, UpstreamError
from gateway.providers.error_body import UNREADABLE, error_fields, retry_delay_s
from gateway.providers.secrets import HIDDEN, redacted

__all__ = ["UNREADABLE", "error_fields", "no_page", "refusal", "reported", "retry_after_s", "unreadable"]

# 424: of Bedrock and Text Generation Inference, whose model failed. 498: of Groq, which has no room.
RETRYABLE = frozenset({408, 409, 424, 425, 429, 498})
CALLERS = frozenset({400, 413, 415, 422})
UNSUPPORTED: Final = "unsupported_parameter"

# A prompt that is too long, as Anthropic, Bedrock, Gemini, Groq, Mistral, OpenAI, Text Generation Inference, vLLM, xAI put it.
_CONTEXT = re.compile(
    r"context.{0,20}(length|size|window)|maximum context|maximum prompt length|prompt is too long|input is too long"
    r"|too many (input )?tokens|exceed.{0,20}context|exceeds the maximum number of tokens|reduce the length of"
    r"|inputs`.{0,30}must (have less|be <=)|request too large for model",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\(byte (\d+)\)$")  # in msgspec's messages; a number that ends with the body is not called truncated
# What llama.cpp says, with status 500, of a text to embed: nothing is wrong with the server.
_BATCH = re.compile(r"input \(\d+ tokens\) is too large to process")
# What it says, with status 500, of messages and tools that it or the model's chat template cannot take.
_TEMPLATE = re.compile(r"failed to parse (tools|messages)|jinja exception|while executing \w+ at line", re.IGNORECASE)
# What this model or server lacks, as Bedrock, llama.cpp, Ollama, OpenRouter, vLLM put it; another may have it.
_LACKING = re.compile(
    r"(does not|doesn't) support (tool|function|image|vision|audio|document|file|multimodal|response_format|structured|json"
    r"|logprob|reasoning|thinking|stream)|is not a multimodal model|at most 0 (image|audio|video)"
    r"|(image|audio) input is not supported|no endpoints found that (can handle|support)|tool choice requires --",
    re.IGNORECASE,
)
# What is the operator's to mend though the status calls the request bad: a key, an account, the id of a model.
_OPERATORS = re.compile(
    r"api[ _]key not valid|invalid api[ _]key|credit balance is too low|user location is not supported"
    r"|model identifier is invalid|on-demand throughput isn.t supported|is not a valid model|invalid model"
    r"|model.{0,80}(does not exist|has been decommissioned)",
    re.IGNORECASE,
)
_OPERATORS_CODES = frozenset({"invalid_api_key", "invalid_model", "model_not_found", "model_decommissioned", "billing_error"})
_NO_QUOTA = re.compile(r"credit balance is too low|insufficient (balance|credits|quota)", re.IGNORECASE)
# Groq's, of what its model wrote: a tool call, or JSON, that is none.
_MODELS_OWN = frozenset({"tool_use_failed", "json_validate_failed"})
# Of errors under a 200 or inside a stream: another try would end the same way.
_LASTING = frozenset(
    """
    invalid_request_error authentication_error permission_error not_found_error billing_error insufficient_quota
    """.split()
)


def refusal(name: str, status: int, headers: Mapping[str, str], body: bytes, secret: str | None = None) -> UpstreamError:
    """What a status other than 200 means. name: the provider's. secret: taken out of the message if it is in it.

    A prompt that is too long is nobody's fault yet: another model may hold it. So is what this model or its server cannot do.
    """
    if secret:
        body = body.replace(secret.encode(), HIDDEN.encode())  # before the text is cut short, which may cut the secret
    said, code, param = error_fields(body)
    message = redacted(said, secret) or f"status {status} without a message"
    is_too_long = _is_too_long(status, code, message)
    is_unsupported = not is_too_long and _is_unsupported(status, message)
    if _NO_QUOTA.search(message):
        code = "insufficient_quota"
    is_operators = code in _OPERATORS_CODES or code == "insufficient_quota" or bool(_OPERATORS.search(message))
    is_lasting = is_too_long or is_unsupported or is_operators
    wait_s = retry_after_s(headers)
    return UpstreamError(
        f"{name}: {message}",
        fault="unsupported" if is_unsupported else "status",
        status=status,
        retry_after_s=retry_delay_s(body) if wait_s is None else wait_s,
        is_retryable=not is_lasting and _is_retryable(status, headers, code),
        is_callers_fault=status in CALLERS and not is_lasting and code not in REQUESTS_OWN and code not in _MODELS_OWN,
        code=CONTEXT_LENGTH if is_too_long else UNSUPPORTED if is_unsupported else code,
        param=param,
    )


def _is_too_long(status: int, code: str | None, message: str) -> bool:
    if status == 500:
        return bool(_BATCH.search(message))
    return status in CALLERS and (code in (CONTEXT_LENGTH, "exceed_context_size_error") or bool(_CONTEXT.search(message)))


def _is_unsupported(status: int, message: str) -> bool:
    if status == 500:
        return bool(_TEMPLATE.search(message) or _LACKING.search(message))
    return (status in CALLERS or status in (404, 501)) and bool(_LACKING.search(message))


def _is_retryable(status: int, headers: Mapping[str, str], code: str | None) -> bool:
    """OpenAI's and Anthropic's servers say it in a header, which their SDKs heed too."""
    told = headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return status in RETRYABLE or status >= 500 or code in _MODELS_OWN


def reported(name: str, error: bytes, secret: str | None = None) -> UpstreamError:
    """An error that came as a stream event, or as the body of a 200. error: its JSON, or plain text."""
    if secret:
        error = error.replace(secret.encode(), HIDDEN.encode())
    said, code, _ = error_fields(error)
    message = redacted(said, secret) or "an error without a message"
    is_lasting = code in _LASTING or bool(_OPERATORS.search(message) or _NO_QUOTA.search(message))
    return UpstreamError(f"{name}: {message}", fault="reported", code=code, is_retryable=not is_lasting)


def no_page(name: str, headers: Mapping[str, str]) -> None:
    """Raises UpstreamError for a web page under status 200, which is what some proxies say when they cannot reach the server."""
    if "html" in headers.get("content-type", "").lower():
        raise UpstreamError(f"{name}: answered with a web page; is base_url right?", fault="malformed")


def unreadable(name: str, what: str, body: bytes, exc: Exception) -> UpstreamError:
    """Of a body that is no JSON. what: what it should be. exc: of UNREADABLE.

    JSON that stops in the middle was cut, however well the body ended.
    """
    place = _PLACE.search(str(exc))
    if "truncated" in str(exc) or (place is not None and int(place[1]) >= len(body)):
        return UpstreamError(f"{name}: the answer ended in the middle of {what}", fault="cut", is_retryable=True)
    return UpstreamError(f"{name}: the answer is not {what}: {exc}", fault="malformed")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from retry-after-ms, or retry-after in either of its forms (RFC 9110, 10.2.3)."""
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after")
    wait_s = _number(value)
    if value is None or wait_s is not None:
        return wait_s
    try:
        when = email.utils.parsedate_to_datetime(value)
        return max(when.timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    """Not below 0; None for what is no number, "nan" and "inf" included."""
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None
