"""Put the gateway together: the only place that names concrete backends. Opens them in a stack, closes them in turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway import __version__
from gateway.adapters import Adapters
from gateway.budgets.budgets import Budgets
from gateway.budgets.opening import open_budgets
from gateway.cache.base import Store
from gateway.cache.embedding_vectors import VectorCache
from gateway.cache.feedback import CacheFeedback
from gateway.cache.guarded import Guarded, for_people
from gateway.cache.opening import make_store, see_store
from gateway.caching.audit import Auditor
from gateway.caching.background import Background
from gateway.caching.refresh import Refresher
from gateway.caching.visit import Caching
from gateway.edge.asgi import ASGIApp
from gateway.edge.auth import Entrance, Operator
from gateway.edge.chat_completions import CHAT_PATH, ChatDialect
from gateway.edge.completions import COMPLETIONS_PATH, CompletionsDialect
from gateway.edge.dialect import Dialect
from gateway.edge.embeddings import EMBEDDINGS_PATH, EmbeddingsDialect
from gateway.edge.endpoint import Endpoint, Handler, R
from gateway.edge.late_api import LateApi
from gateway.edge.messages import MESSAGES_PATH, MessagesDialect
from gateway.edge.responses import RESPONSES_PATH, ResponsesDialect
from gateway.edge.responses_compact import COMPACT_PATH, CompactDialect
from gateway.edge.status import Status
from gateway.embeddings_pipeline import EmbeddingsPipeline
from gateway.fleet import Fleet
from gateway.frame import Frame
from gateway.front import Gateway
from gateway.gpu.settling import HourlySettlement, billed
from gateway.health.model import Health
from gateway.health.opening import open_sharing
from gateway.keys.directory import Directory
from gateway.keys.opening import keys_exist, open_keys
from gateway.keys.watch import KeyWatch
from gateway.ledger.base import Entry
from gateway.ledger.opening import open_reader, open_store
from gateway.ledger.retention import Retention
from gateway.ledger.spool import Spool
from gateway.ledger.writer import LedgerWriter
from gateway.limits.limits import Limits
from gateway.limits.opening import open_limiter
from gateway.loading import load_router
from gateway.matching import Matching
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.prompts.ids import PromptIds
from gateway.providers.http import HttpClient
from gateway.reload import PolicyWatch
from gateway.request import ChatRequest
from gateway.responses.opening import check_responses, open_responses
from gateway.router import Router
from gateway.runtime import CurrentRuntime, Runtime
from gateway.sessions import Sessions
from gateway.settings import Settings, check_address
from gateway.shared_metrics import SharedMetrics
from gateway.workers import check_workers, say_what_is_apart

log = logging.getLogger("turnout.app")


def build_app(settings: Settings) -> Gateway:
    """The gateway for these settings. Raises ConfigError and PolicyError.

    What can be unusable (policy, embedder, the cache's address, ledger) is known before the gateway listens; everything else
    opens with the ASGI lifespan, inside the loop that serves.
    """
    directory = Directory()
    keys = KeyWatch(
        open_keys(settings, is_gateway=True), directory, counts_apart=settings.workers > 1 and settings.redis_url is None
    )
    if keys_exist(settings):
        directory.close()  # so that a file that goes before the look below lets nobody in
    keys.look()
    check_address(settings, has_keys=directory.is_closed)
    router = load_router(settings.policy)
    check_workers(router.policy, settings)
    check_responses(router.policy.responses, settings.redis_url, settings.workers)
    if router.embedder is not None:
        from gateway.cache.embedding_setup import check_embedder  # which imports numpy, as what is checked does

        check_embedder(router.policy, router.embedder)
    metrics = Metrics()
    store = make_store(settings.redis_url, settings.cache_bytes_max, metrics.store_failed)
    ledger = LedgerWriter(open_store(settings), Spool(settings.spool))
    ready = _Ready(settings, router, ledger, store, metrics, keys)

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await _open(ready, gateway, stack)
            yield

    entrance = Entrance(directory, Operator(settings.admin_key), is_insecure=settings.is_insecure)
    gateway = Gateway(lifespan, directory, entrance)
    return gateway


@dataclass(frozen=True)
class _Ready:
    """What is known to be usable before the gateway listens."""

    settings: Settings
    router: Router
    ledger: LedgerWriter
    store: Store
    metrics: Metrics
    keys: KeyWatch


async def _open(ready: _Ready, gateway: Gateway, stack: contextlib.AsyncExitStack) -> None:
    settings, router, ledger = ready.settings, ready.router, ready.ledger
    store, metrics, keys = ready.store, ready.metrics, ready.keys
    ledger.start()
    stack.push_async_callback(ledger.aclose)
    prompts = await _open_prompts(settings, ledger, stack)
    http = HttpClient(f"turnout/{__version__}")
    stack.push_async_callback(http.aclose)
    has_limits = bool(router.policy.limits) or gateway.directory.limited is not None
    limiter = await open_limiter(settings.redis_url, metrics.limits_failed, is_wanted=has_limits)
    stack.push_async_callback(limiter.aclose)
    limits = Limits(limiter, metrics)
    look = partial(open_reader, settings)
    budgets = await stack.enter_async_context(
        open_budgets(settings.redis_url, settings.data_dir, look, ledger.written, router.policy, http, metrics)
    )
    sharing = await stack.enter_async_context(open_sharing(settings.redis_url))
    fleet = Fleet(Adapters(http), Health(sharing=sharing, opened=metrics.breaker_opened), limits)
    stack.push_async_callback(fleet.aclose)
    stack.push_async_callback(store.aclose)
    await see_store(store)
    matching = Matching(http)
    stack.push_async_callback(matching.aclose)
    background = Background()  # ends first: what it does is asked of all the others
    stack.push_async_callback(background.aclose)
    runtime = Runtime(router, await fleet.targets(router.policy), await matching.matcher(router))
    current = gateway.current = CurrentRuntime(runtime)
    metrics.states = lambda: {**current.now.gauges(), **budgets.gauges()}
    sessions = Sessions()
    auditor = Auditor(store, ledger, background, metrics, charge=budgets.charge)
    caching = Caching(store, metrics, background, auditor, Refresher(store, ledger, background, charge=budgets.charge))
    watched = store if isinstance(store, Guarded) else None
    kept = _keep_books(settings, ledger, current, budgets, stack)
    responses = await open_responses(
        lambda: current.now.policy.responses, settings.redis_url, settings.workers, metrics.responses_failed
    )
    stack.push_async_callback(responses.aclose)
    parts = [matching, limits, budgets, keys, responses, *kept, *(part for part in (watched, sharing) if part)]
    status = Status(current, ledger, gateway.drain, parts)
    say_what_is_apart(router.policy, settings)
    if settings.worker is not None and settings.metrics_folder is not None:
        shared = SharedMetrics(metrics, settings.metrics_folder, settings.worker)
        stack.push_async_callback(_cancel, asyncio.create_task(shared.run(), name="shared-metrics"))
    _watch_policy(settings, current, fleet, matching, budgets, status, stack)
    stack.callback(keys.close)
    stack.push_async_callback(_cancel, asyncio.create_task(keys.run(), name="key-watch"))

    responses_dialect = ResponsesDialect(responses, current, settings.body_bytes_max)

    def make_api() -> ASGIApp:
        from gateway.edge.rest import build_api  # here, since nothing else needs FastAPI

        return build_api(
            current=current,
            ledger=ledger,
            sessions=sessions,
            status=status,
            entrance=gateway.entrance,
            operator=Operator(settings.admin_key),
            budgets=budgets,
            http=http,
            responses=responses,
            dialect=responses_dialect,
            store=store,
            problem=lambda: watched.problem if watched else None,
            feedback=CacheFeedback(for_people(store), matching.embed),
            metrics=metrics,
            kind="redis" if watched else "memory",
            body_bytes_max=settings.body_bytes_max,
        )

    gateway.api = LateApi(make_api)
    stack.push_async_callback(gateway.api.aclose)
    frame = Frame(current, ledger, limits, metrics, gateway.drain)
    chat = Pipeline(frame, caching, sessions, budgets, prompt_id=prompts)
    embeddings = EmbeddingsPipeline(frame, VectorCache(store), http, metrics, budgets)

    def endpoint(dialect: Dialect[R], pipeline: Handler[R]) -> Endpoint[R]:
        return Endpoint(dialect, pipeline, settings.body_bytes_max, settings.keep_alive_s)

    gateway.hot = {
        CHAT_PATH: endpoint(ChatDialect(), chat),
        MESSAGES_PATH: endpoint(MessagesDialect(), chat),
        RESPONSES_PATH: endpoint(responses_dialect, chat),
        COMPACT_PATH: endpoint(CompactDialect(responses_dialect), chat),
        COMPLETIONS_PATH: endpoint(CompletionsDialect(), chat),
        EMBEDDINGS_PATH: endpoint(EmbeddingsDialect(), embeddings),
    }


async def _open_prompts(
    settings: Settings, ledger: LedgerWriter, stack: contextlib.AsyncExitStack
) -> Callable[[ChatRequest], str | None]:
    """What gives a request its prompt id."""
    if not settings.has_prompt_ids:
        return lambda request: None
    prompts = PromptIds(ledger, open_reader(settings))
    stack.push_async_callback(prompts.aclose)
    await prompts.start()  # the templates known already: ids are right from the first request on
    return prompts.id_of


def _keep_books(
    settings: Settings, ledger: LedgerWriter, current: CurrentRuntime, budgets: Budgets, stack: contextlib.AsyncExitStack
) -> list[HourlySettlement | Retention]:
    """What is done for the ledger by the hour and by the day; begun when the budgets know what was spent before it."""

    def charge(entries: Sequence[Entry]) -> None:
        for entry in entries:
            budgets.charge(entry)

    hours = HourlySettlement(ledger, lambda: current.now.policy, billed(partial(open_reader, settings)), charge)
    stack.push_async_callback(hours.aclose)
    hours.start()
    if settings.retention_s is None:
        return [hours]
    retention = Retention(ledger, settings.retention_s)
    stack.push_async_callback(_cancel, asyncio.create_task(retention.run(), name="ledger-retention"))
    return [hours, retention]


def _watch_policy(
    settings: Settings,
    current: CurrentRuntime,
    fleet: Fleet,
    matching: Matching,
    budgets: Budgets,
    status: Status,
    stack: contextlib.AsyncExitStack,
) -> None:
    async def adopt(new: Router) -> None:
        check_workers(new.policy, settings)
        check_responses(new.policy.responses, settings.redis_url, settings.workers)
        old = current.now.policy
        matcher = await matching.matcher(new)
        await budgets.adopt(new.policy)
        current.now = Runtime(new, await fleet.targets(new.policy), matcher)
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


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
