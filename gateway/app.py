"""Put the gateway together: the only place that names concrete backends. Opens them in a stack, closes them in turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

from gateway import __version__
from gateway.cache.memory import MemoryStore
from gateway.edge.api import CHAT_PATH, Status, api_routes, render_errors
from gateway.edge.asgi import Receive, Scope, Send, respond, with_request_id
from gateway.edge.door import refused
from gateway.edge.openai_chat import ChatCompletions
from gateway.edge.openai_errors import error_response
from gateway.edge.request_headers import request_id
from gateway.fleet import Fleet
from gateway.health import Health
from gateway.ledger.base import LedgerStore
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.writer import LedgerWriter
from gateway.loading import load_router
from gateway.pipeline import Pipeline
from gateway.policy import schema_models
from gateway.policy.catalog import Model
from gateway.policy.catalog import Provider as ProviderSpec
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.base import Provider
from gateway.providers.fake import FakeProvider
from gateway.providers.http import HttpClient
from gateway.providers.litellm import LiteLLMProvider
from gateway.providers.local import LocalModel, LocalModelError, LocalServer, find_weights, threads_to_spare
from gateway.providers.local_provider import LocalProvider
from gateway.providers.openai import OpenAIProvider
from gateway.reload import PolicyWatch
from gateway.router import Router
from gateway.runtime import CurrentRuntime, Runtime
from gateway.sessions import Sessions
from gateway.settings import Settings, check_address

log = logging.getLogger("turnout.app")

CONTEXT_TOKENS = 2048  # of a local model whose `context` the policy does not say


class Gateway:
    """The ASGI application: the hot route straight to its handler, everything else to FastAPI.

    is_open: callers from anywhere are let in; else only those of this machine (see edge/door.py).
    """

    def __init__(self, api: FastAPI, *, is_open: bool) -> None:
        self.api = api
        self._is_open = is_open
        self.chat: ChatCompletions | None = None
        self.current: CurrentRuntime | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        headers = dict(scope["headers"])
        error = None if self._is_open else refused(headers)
        if error is not None:
            status, body, _ = error_response(error)
            await respond(send, status, body, [(b"x-request-id", request_id(headers).encode())])
        elif self.chat is not None and scope["path"] == CHAT_PATH and scope["method"] == "POST":
            # Past FastAPI's router and exception middleware, which cost more than the decision itself.
            await self.chat(scope, receive, send)
        else:
            await self.api(scope, receive, with_request_id(send, request_id(headers)))


def build_app(settings: Settings) -> Gateway:
    """The gateway for these settings. Raises ConfigError and PolicyError.

    The ledger is opened here, so that an unusable one is known before the gateway listens; everything else opens
    with the ASGI lifespan, inside the loop that serves.
    """
    check_address(settings)
    router = load_router(settings.policy)
    store = SqliteLedger(settings.ledger)

    @contextlib.asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await _open(settings, router, store, gateway, stack)
            yield

    api = FastAPI(title="Turnout", version=__version__, lifespan=lifespan)
    render_errors(api)
    gateway = Gateway(api, is_open=settings.is_insecure)
    return gateway


async def _open(
    settings: Settings, router: Router, store: LedgerStore, gateway: Gateway, stack: contextlib.AsyncExitStack
) -> None:
    ledger = LedgerWriter(store)
    ledger.start()
    stack.push_async_callback(ledger.aclose)
    http = HttpClient(f"turnout/{__version__}")
    stack.push_async_callback(http.aclose)
    fleet = Fleet(_Make(http), Health())
    stack.push_async_callback(fleet.aclose)
    current = gateway.current = CurrentRuntime(Runtime(router, await fleet.targets(router.policy)))
    sessions = Sessions()
    pipeline = Pipeline(current, ledger, MemoryStore(settings.cache_bytes_max), sessions)
    status = Status(current, ledger)

    async def adopt(new: Router) -> None:
        old = current.now.policy
        current.now = Runtime(new, await fleet.targets(new.policy))
        fleet.retire(old, new.policy)

    def said(problem: str | None) -> None:
        status.reload_error = problem

    watch = asyncio.create_task(PolicyWatch(settings.policy, current, adopt, said).run(), name="policy-watch")

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("the policy is no longer watched, by a mistake of the gateway's", exc_info=exc)
            said(f"the policy is no longer watched, start the gateway anew: {exc!r}")

    watch.add_done_callback(ended)
    stack.push_async_callback(_cancel, watch)
    gateway.api.include_router(api_routes(current, ledger, sessions, status, settings.body_bytes_max))
    gateway.chat = ChatCompletions(pipeline, settings.body_bytes_max)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _Make:
    """From a provider's settings to its adapter."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def __call__(self, name: str, spec: ProviderSpec, model: Model, unavailable: str | None) -> Provider:
        match spec:
            case schema_models.OpenAIProvider():
                return OpenAIProvider(
                    name, self._http, spec.base_url, api_key=spec.api_key, headers=spec.headers, unavailable=unavailable
                )
            case schema_models.AnthropicProvider():
                return AnthropicProvider(
                    name, self._http, spec.base_url, api_key=spec.api_key, headers=spec.headers, unavailable=unavailable
                )
            case schema_models.LiteLLMProvider():
                return LiteLLMProvider(
                    name, spec.litellm_provider, api_key=spec.api_key, base_url=spec.base_url, unavailable=unavailable
                )
            case schema_models.LocalProvider():
                return self._local(name, spec, model)
            case schema_models.FakeProvider():
                return FakeProvider(
                    name, ttft_s=spec.ttft, tokens_per_second=spec.tokens_per_second, words=spec.words, script=spec.script
                )

    def _local(self, name: str, spec: schema_models.LocalProvider, model: Model) -> Provider:
        try:
            weights = find_weights(model.id)
        except LocalModelError as exc:
            return OpenAIProvider(name, self._http, "http://127.0.0.1/v1", unavailable=str(exc))
        local = LocalModel(
            alias=model.id,
            gguf=weights,
            context_tokens=model.context_tokens or CONTEXT_TOKENS,
            parallel=spec.parallel,
            threads=spec.threads or threads_to_spare(),
        )
        return LocalProvider(name, LocalServer(local), self._http)
