"""The Anthropic Messages API over HTTP. What is said in which dialect is decided next door, in anthropic_*.py."""

from __future__ import annotations

import functools
import re
from typing import Final

from gateway.chat import patched_body
from gateway.errors import UpstreamError
from gateway.offload import offloaded
from gateway.policy.catalog import Model
from gateway.providers.anthropic_events import AnthropicEvents, AnthropicWhole, NativeEvents
from gateway.providers.anthropic_request import anthropic_body
from gateway.providers.base import Call, Exchange
from gateway.providers.event_stream import EventStream, brings_events
from gateway.providers.http import Destination, HttpClient, addressed
from gateway.providers.http_response import HttpResponse
from gateway.providers.refusal import no_page, refusal
from gateway.providers.token_counting import read_counted
from gateway.request import DialectName, Native

# The version that still takes temperature and top_p; 2026-10-21 refuses them whatever the model.
VERSION = "2023-06-01"
BETA: Final = "anthropic-beta"
# Anthropic answers 400 also where this account or this model is the trouble, and another target would do better.
_NOT_THE_CALLERS = re.compile(
    r"credit balance|(not|n't) support|deprecated for this model|for this model|maximum allowed number of output tokens",
    re.IGNORECASE,
)


class AnthropicProvider:
    """base_url goes without /v1. headers come on top and may name another anthropic-version or anthropic-beta."""

    dialects: frozenset[DialectName] = frozenset({"anthropic_messages"})

    def __init__(
        self,
        name: str,
        http: HttpClient,
        base_url: str,
        *,
        api_key: str | None = None,
        headers: dict[str, str] | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._name, self._http, self._api_key = name, http, api_key
        self._url = base_url.rstrip("/") + "/v1/messages"
        named = {name.lower(): value for name, value in (headers or {}).items()}
        self._headers = {"content-type": "application/json", "anthropic-version": VERSION, **named}
        if api_key:
            self._headers["x-api-key"] = api_key
        self._destination = http.destination(self._url, self._headers)
        self.unavailable = unavailable

    async def open(self, call: Call) -> Exchange:
        is_stream, is_native = call.request.is_stream, call.native is not None
        destination, body = await self._said(call)
        response = await self._http.ask(destination, body, connect_s=call.connect_s, sending=call.sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise self._refusal(response, error)
            no_page(self._name, response.headers)
            has_events = is_stream and brings_events(response)
        except BaseException:
            response.close()
            raise
        if has_events:
            reader = (NativeEvents if is_native else AnthropicEvents)(self._name, self._api_key)
            return EventStream(self._name, response, reader)
        return AnthropicWhole(self._name, response, as_stream=is_stream, is_native=is_native, secret=self._api_key)

    async def count_tokens(self, asked: Native, model: Model, *, connect_s: float) -> int:
        """How many input tokens the question has for this model. Costs nothing. Raises UpstreamError."""
        body = patched_body(asked.body, model.id, wants_usage=False)
        url = addressed(f"{self._url}/count_tokens", asked.query)
        response = await self._http.post(url, self._with_callers(asked), body, connect_s=connect_s)
        try:
            if response.status != 200:
                raise self._refusal(response, await response.read_error())
            return read_counted(self._name, await response.read_whole())
        finally:
            response.close()

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""

    async def _said(self, call: Call) -> tuple[Destination, bytes]:
        """Address, headers and body of the request: the caller's own, where it came in this dialect."""
        native = call.native
        if native is not None:
            patch = functools.partial(patched_body, model=call.model.id, wants_usage=False)
            destination = self._http.destination(addressed(self._url, native.query), self._with_callers(native))
            return destination, await offloaded(patch, native.body)
        translate = functools.partial(anthropic_body, model_id=call.model.id, is_stream=call.request.is_stream)
        return self._destination, await offloaded(translate, call.request.body)

    def _with_callers(self, native: Native) -> dict[str, str]:
        """The configured headers and the caller's, whose version it is that the body was written for. Betas add up."""
        headers = {**self._headers, **native.headers}
        betas = [beta.strip() for said in (self._headers, native.headers) for beta in said.get(BETA, "").split(",")]
        joined = ",".join(dict.fromkeys(beta for beta in betas if beta))
        return {**headers, BETA: joined} if joined else headers

    def _refusal(self, response: HttpResponse, body: bytes) -> UpstreamError:
        error = refusal(self._name, response.status, response.headers, body, self._api_key)
        if error.is_callers_fault and _NOT_THE_CALLERS.search(error.message):
            error.is_callers_fault = False
        return error
