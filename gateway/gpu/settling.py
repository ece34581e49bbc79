"""Opens each hour of every self-hosted model, and settles it when it is over. Owned by the application's lifespan."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from gateway.errors import ConfigError, LedgerUnavailable
from gateway.gpu.hour import GRACE_S, PaidHour, name_of, opened_by
from gateway.ledger.base import IDLE, Entry, GpuUse, LedgerReader
from gateway.ledger.rollups import HOUR_S, hour_of
from gateway.policy.catalog import Model
from gateway.policy.compile import Policy

log = logging.getLogger("turnout.gpu")

LOOK_BACK_S: Final = 7 * 24 * HOUR_S  # how late an attempt may reach the ledger and still be settled
_BILLED: Final = "SELECT DISTINCT model FROM rollup WHERE hour >= ? AND purpose = 'gpu'"
STEP_S: Final = 60.0  # how soon a model that a changed policy brings is seen


Billed = Callable[[float], Awaitable[Collection[str]]]
"""Of which models the ledger has hours that begin at a moment or later. Raises OSError."""


class Ledger(Protocol):
    """What is needed of gateway.ledger.writer."""

    def reserve(self) -> None: ...

    def put(self, record: Entry) -> None: ...

    async def find(self, request_id: str, key: str | None = None) -> Entry | None: ...

    async def settle_hour(
        self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]
    ) -> Sequence[Entry]: ...


class HourlySettlement:
    """Start, then aclose, before the ledger's. As many processes as there are may do this beside each other.

    An hour is paid for when a gateway that has the model was up in any part of it. That is written when the hour is opened,
    with its price, so that a change of the policy or a restart cannot make it another's; what was opened is settled by whoever
    is there. Each pass looks at the last week again: attempts may have waited in a spool.
    """

    def __init__(
        self,
        ledger: Ledger,
        policy: Callable[[], Policy],
        billed: Billed,
        on_settled: Callable[[Sequence[Entry]], None] = lambda entries: None,
        now: Callable[[], float] = time.time,
        step_s: float = STEP_S,
    ) -> None:
        """policy: the one in force. on_settled: told what this process has written. now: seconds since 1970."""
        self._ledger, self._policy, self._billed, self._on_settled = ledger, policy, billed, on_settled
        self._now, self._step_s = now, step_s
        self._opened: dict[str, int] = {}  # the last hour of each model, also of those that are in the policy no more
        self._settled_to: int | None = None  # the last hour of the last pass
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="gpu-hours")
        self._task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """What is not settled yet is by the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._step()
            await asyncio.sleep(self._step_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.problem = f"the hours of self-hosted models are no longer settled, start the gateway anew: {exc!r}"
            log.error(self.problem, exc_info=exc)

    async def _step(self) -> None:
        try:
            self._open()
            over = hour_of(self._now() - GRACE_S) - HOUR_S
            if self._settled_to != over:
                await self._settle(over)
                self._settled_to = over
        except (OSError, LedgerUnavailable) as exc:
            if self.problem is None:
                log.error("hours of self-hosted models wait to be settled: %s", exc)
            self.problem = f"hours of self-hosted models wait to be settled: {exc}"
        else:
            self.problem = None

    def _open(self) -> None:
        """Raises LedgerUnavailable."""
        policy, hour = self._policy(), hour_of(self._now())
        for model in _paid_by_the_hour(policy.models.values()):
            if self._opened.get(model.name) != hour:
                self._ledger.reserve()
                self._ledger.put(_hour_of(model, hour, policy.hash).opening())
                self._opened[model.name] = hour

    async def _settle(self, last: int) -> None:
        """All hours of the last week up to this one. Raises OSError."""
        first = last - LOOK_BACK_S + HOUR_S
        # By the ledger: a model that the policy had until a reload, or before this start, has hours as well.
        models = {*self._opened, *await self._billed(first)}
        for model in sorted(models):
            for hour in range(first, last + 1, HOUR_S):
                opening = await self._ledger.find(name_of(model, hour), IDLE)
                paid = None if opening is None else opened_by(opening)
                if paid is not None:
                    written = await self._ledger.settle_hour(model, hour, paid.differences)
                    if written:
                        self._on_settled(written)


def billed(open_reader: Callable[[], LedgerReader]) -> Billed:
    """Looks into a ledger, each time with a reader of its own."""

    def models(since: float) -> Collection[str]:
        try:
            reader = open_reader()
        except ConfigError as exc:
            raise OSError(str(exc)) from exc
        try:
            return {str(row["model"]) for row in reader.rows(_BILLED, [since])}
        finally:
            reader.close()

    async def off_loop(since: float) -> Collection[str]:
        return await asyncio.to_thread(models, since)

    return off_loop


def _paid_by_the_hour(models: Iterable[Model]) -> Iterable[Model]:
    return (model for model in models if model.gpu is not None and model.gpu.is_settled and model.gpu.pusd_per_hour)


def _hour_of(model: Model, hour: int, policy_hash: str) -> PaidHour:
    assert model.gpu is not None
    bill_nusd = (model.gpu.pusd_per_hour + 500) // 1000
    return PaidHour(model.name, model.provider, hour, bill_nusd, policy_hash)
