"""What every request has around its answering, in any dialect: a place in the ledger, the caller's limits, an end that is booked.

A pipeline is an Act in this frame: it says what is between, and what it costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gateway.attempt import Attempt
from gateway.budgets.claim import Claim
from gateway.draining import Drain
from gateway.errors import LedgerUnavailable, TurnoutError, status_of
from gateway.execute import Execution
from gateway.ledger.base import Entry, EntryOutcome
from gateway.ledger.booking import outcome_of
from gateway.ledger.writer import LedgerWriter
from gateway.limits.allowance import Allowance
from gateway.limits.limits import Limits
from gateway.metrics import Metrics
from gateway.reply import ClientStalled, Headers, Sink
from gateway.request import ChatRequest
from gateway.runtime import CurrentRuntime, Runtime
from gateway.tenant import Tenant

R = TypeVar("R", bound=ChatRequest)


class Work(msgspec.Struct, Generic[R], eq=False):
    """A request under way: what was given, and the entry that grows with it.

    has_begun: a stream's headers are out. allowance: what is reserved of the caller's limits, if it has any; claim: of budgets,
    if the policy has any.
    """

    request: R
    tenant: Tenant
    runtime: Runtime
    sink: Sink
    entry: Entry
    started: float
    compromise: str | None = None
    execution: Execution | None = None
    has_begun: bool = False
    allowance: Allowance | None = None
    claim: Claim | None = None
    attempts: Sequence[Attempt] = ()
    is_booked: bool = False

    def ask(self, execution: Execution) -> Execution:
        """From now on this is what asks, and its attempts are the request's."""
        self.execution, self.attempts = execution, execution.attempts
        return execution

    @property
    def answering(self) -> Attempt | None:
        return self.execution.answering if self.execution is not None else None

    def ended(self, outcome: EntryOutcome, status: int, error: str | None = None) -> None:
        """How it went; an entry that was handed over is the ledger's, and says how it was then."""
        if not self.is_booked:
            self.entry.outcome, self.entry.status, self.entry.error = outcome, status, error


W = TypeVar("W", bound=Work[Any])
R_contra = TypeVar("R_contra", bound=ChatRequest, contravariant=True)


class Act(Protocol[R_contra, W]):
    """What happens inside the frame."""

    def begin(self, request: R_contra, tenant: Tenant, runtime: Runtime, sink: Sink, now: float) -> W:
        """The work that a request is, from this moment on the clock."""
        ...

    async def serve(self, work: W) -> None:
        """Answer through the work's sink. Raises TurnoutError, of which the caller is then told."""
        ...

    def price(self, work: W) -> None:
        """Fill in what the entry was, and what it cost."""
        ...

    def headers(self, work: W) -> Headers:
        """What is known of the answer by now."""
        ...

    def leave(self, work: W) -> None:
        """The work is over; let go of what it holds."""
        ...


class Frame:
    """clock: monotonic seconds."""

    def __init__(
        self,
        current: CurrentRuntime,
        ledger: LedgerWriter,
        limits: Limits,
        metrics: Metrics,
        drain: Drain,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._current, self._ledger, self._limits = current, ledger, limits
        self._metrics, self._drain, self.clock = metrics, drain, clock

    async def run(self, act: Act[R, W], request: R, tenant: Tenant, sink: Sink) -> None:
        """Answer one request through the sink, by the policy of this moment, and book it, whatever happens."""
        try:
            self._ledger.reserve()
        except LedgerUnavailable as exc:
            await sink.fail(exc, [("x-request-id", request.request_id)])
            return
        work = act.begin(request, tenant, self._current.now, sink, self.clock())
        try:
            with self._drain.breakable():
                if tenant.limits or work.runtime.policy.limits:
                    await self._limited(work)
                await act.serve(work)
        except (asyncio.CancelledError, ClientStalled):
            work.ended("cancelled", 499)  # the client has left, as nginx books it
            raise
        except TurnoutError as exc:
            await self._failed(act, work, exc)
        except BaseException as exc:
            work.ended("error", 500, repr(exc))
            raise
        finally:
            try:
                if work.execution is not None and not work.is_booked:  # else all of it has ended
                    await work.execution.aclose()
            finally:
                act.leave(work)
                self.book(act, work)  # cancelled in between as well: it holds a place in the ledger

    def book(self, act: Act[Any, W], work: W) -> None:
        """Price the entry and hand it to the ledger; once. Before the last byte goes out, so that none is lost."""
        if work.is_booked:
            return
        work.is_booked = True
        entry, attempts = work.entry, work.attempts
        act.price(work)
        duration_ms = entry.duration_ms = (self.clock() - work.started) * 1000
        entry.overhead_ms = max(duration_ms - sum([attempt.duration_ms for attempt in attempts]), 0.0)
        if work.allowance is not None:
            work.allowance.settle(attempts)
        if work.claim is not None:
            work.claim.settle(entry)  # before the ledger has it
        self._metrics.answered(entry.route, entry.outcome, attempts)
        self._ledger.put(entry)

    async def _limited(self, work: Work[Any]) -> None:
        work.allowance = self._limits.of_caller(work.runtime.policy.limits, work.tenant, work.request)
        if work.allowance is not None:
            await work.allowance.reserve()

    async def _failed(self, act: Act[Any, W], work: W, exc: TurnoutError) -> None:
        """Say in the caller's dialect what went wrong, as far as the caller can still be told."""
        work.ended(outcome_of(exc), status_of(exc), exc.message)
        if work.execution is not None:
            await work.execution.aclose()
        self.book(act, work)
        if work.has_begun:
            await work.sink.break_off(exc)
        else:
            await work.sink.fail(exc, act.headers(work))
