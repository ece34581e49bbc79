"""Sends alerts to a webhook, off the requests' path: one after the other, again and again until one is taken or given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable
from typing import Final

from gateway.budgets.alarm import Alert
from gateway.budgets.told import Told
from gateway.errors import UpstreamError
from gateway.metrics import Metrics
from gateway.policy.budgets import Alerts
from gateway.providers.http import HttpClient

log = logging.getLogger("turnout.budgets")

WAITING_MAX: Final = 1000
TRIES: Final = 8  # some four minutes in all
FIRST_WAIT_S: Final = 1.0
WAIT_MAX_S: Final = 60.0
CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
CLOSE_S: Final = 2.0


class _Refused(Exception):
    """The webhook will never take this alert."""


class _NotYet(Exception):
    """It may take it later. wait_s: what it asks for."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Webhook:
    """Owned by the application's lifespan: `run` in a task, then `aclose`. where: what the policy in force says."""

    def __init__(
        self,
        http: HttpClient,
        told: Told,
        metrics: Metrics,
        where: Callable[[], Alerts | None],
        *,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self._http, self._told, self._metrics, self._where = http, told, metrics, where
        self._first_wait_s = first_wait_s
        self._waiting: asyncio.Queue[Alert] = asyncio.Queue(WAITING_MAX)

    def send(self, alert: Alert) -> None:
        try:
            self._waiting.put_nowait(alert)
        except asyncio.QueueFull:
            self._metrics.alerted("dropped")
            log.error("too many alerts wait to be sent, so this one is not: %s", alert.text)

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        while True:
            alert = await self._waiting.get()
            try:
                if await self._told.is_first(alert.id, alert.until):
                    log.warning("%s", alert.text)
                    await self._deliver(alert)
            finally:
                self._waiting.task_done()

    async def aclose(self, running: asyncio.Task[None]) -> None:
        """Let what waits go out, for a moment, then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._waiting.join()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        while not self._waiting.empty():
            log.error("the gateway stops, and this alert was not sent: %s", self._waiting.get_nowait().text)

    async def _deliver(self, alert: Alert) -> None:
        try:
            await self._delivered(alert)
        except asyncio.CancelledError:
            log.error("the gateway stops, and this alert was not sent; the next start sends it: %s", alert.text)
            await self._told.not_sent(alert.id)
            raise
        await self._told.sent(alert.id, alert.until)

    async def _delivered(self, alert: Alert) -> None:
        where = self._where()
        if where is None or where.unavailable is not None:
            self._metrics.alerted("logged")
            return
        wait_s = self._first_wait_s
        for tried in range(1, TRIES + 1):
            try:
                await self._post(where, alert)
            except _Refused as exc:
                self._given_up(alert, str(exc))
                return
            except _NotYet as exc:
                if tried == TRIES:
                    self._given_up(alert, str(exc))
                    return
                await asyncio.sleep(min(exc.wait_s or wait_s * random.uniform(0.8, 1.2), WAIT_MAX_S))
                wait_s *= 2
            else:
                self._metrics.alerted("sent")
                return

    def _given_up(self, alert: Alert, why: str) -> None:
        self._metrics.alerted("failed")
        log.error("the alerts' webhook does not take this alert: %s: %s", why, alert.text)

    async def _post(self, where: Alerts, alert: Alert) -> None:
        """Raises _Refused and _NotYet, neither with the address, which is a secret."""
        headers = {"content-type": "application/json", **where.headers}
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await self._http.post(where.webhook, headers, json.dumps(alert.body()).encode(), connect_s=CONNECT_S)
                await response.finish()
        except TimeoutError as exc:
            raise _NotYet(f"no answer within {ANSWER_S:g} s") from exc
        except UpstreamError as exc:
            raise _NotYet(exc.message) from exc
        if response.status < 300:
            return
        if response.status == 429 or response.status >= 500:
            raise _NotYet(f"status {response.status}", _seconds(response.headers.get("retry-after")))
        raise _Refused(f"status {response.status}")


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None
