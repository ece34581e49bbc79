"""Counts over Redis that never keep a request waiting: while Redis is away, each replica counts alone, or refuses.

What this process settles, what the ledger says, and what Redis said last is counted in its own memory as well, so that it has
something to go by when Redis goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from gateway.budgets.base import Account, Ask, Changed, Charge, Family, Reply, Spent, State, Unknown
from gateway.budgets.memory import MemoryCounts
from gateway.budgets.redis import PREFIX, RedisCounts
from gateway.errors import StoreUnavailable
from gateway.outages import OF_WRITES, Effects, Outages
from gateway.redis_script import TOGETHER_MAX
from gateway.settling import Settling
from gateway.store_guard import OPENING, PROBE_S, StoreGuard

log = logging.getLogger("turnout.budgets")

EFFECTS: Final = Effects(
    away="does not serve: each replica counts alone, and budgets that are `on_error: closed` refuse",
    met="met a fault: this request was counted alone, or refused",
    keys=PREFIX,
    server="one primary of Redis 7.0 or later",
)
DEADLINE_S: Final = 0.25  # longer than limits wait: to be late once is better than to spend what is not there
OWED_MAX: Final = 20_000  # charges that wait to be sent; the oldest give way, and are found in the ledger later
BATCH_MAX: Final = 200
SETTLE_S: Final = 1.0  # nobody waits for it
FOR_GOOD: Final = frozenset({"foreign", "broken", "error"})  # no better the next time; the ledger makes up for what is lost
FILL_S: Final = 5.0
CLOSE_S: Final = 2.0
POLL_S: Final = 0.05  # between two looks whether another replica has filled a family
SETTLED_S: Final = 3600
"""After a bucket's end, all that began in it is in Redis and in the ledger: what only the ledger has was lost on its way."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Charges that go together, under a name by which Redis knows that they came before."""

    name: str
    charges: tuple[Charge, ...]


class SharedCounts:
    """Owned by the application's lifespan. failed: is called with the cause of each fault. clock: monotonic seconds."""

    def __init__(
        self,
        counts: RedisCounts,
        changed: Changed,
        failed: Callable[[str], None],
        *,
        deadline_s: float = DEADLINE_S,
        probe_s: float = PROBE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts, self._changed = counts, changed
        self._outages = Outages(f"the budgets' store at {counts.address}", EFFECTS, log, clock)
        # Whatever keeps it from being written keeps it from counting.
        opening = OPENING | OF_WRITES | {"unsupported"}
        self._guard = StoreGuard(
            counts.ping, self._outages, failed, opening=opening, deadline_s=deadline_s, probe_s=probe_s, clock=clock
        )
        self._alone = MemoryCounts(self._changed_alone)
        self._owed: deque[Charge] = deque(maxlen=OWED_MAX)
        self._sending: _Batch | None = None
        self._settling = Settling("budgets-settling", self._guard, lambda: bool(self._owed or self._sending), self._send, probe_s)
        self._probe_s = probe_s

    @property
    def problem(self) -> str | None:
        return self._outages.problem

    @property
    def owed(self) -> int:
        """Charges that Redis has not counted yet."""
        return len(self._owed) + (len(self._sending.charges) if self._sending is not None else 0)

    async def check(self) -> None:
        """See whether Redis is there, so that readiness is right from the start, and the first request finds a connection."""
        await self._guard.check()

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply:
        try:
            reply = await self._guard.reply(lambda: self._counts.reserve(hold, asks, at, lease_s))
        except StoreUnavailable:
            if any(ask.on_error == "closed" for ask in asks):
                raise
            return self.reserve_alone(hold, asks, at)
        if reply is None:
            raise Unknown({ask.account.family for ask in asks})
        for state in reply.states:
            self._alone.learn(state)
        return reply

    def reserve_alone(self, hold: str, asks: Sequence[Ask], at: float) -> Reply:
        return self._alone.reserve_alone(hold, asks, at)

    def settle(self, charges: Sequence[Charge]) -> None:
        self._alone.settle(charges)
        self._owed.extend(charges)
        self._settling.wake()

    async def fill(self, family: Family, read: Callable[[], Spent], at: float) -> None:
        """A family that Redis does not know is filled by one replica; of one that it knows, what was lost long ago is made up."""
        is_mine: bool | None = None
        with contextlib.suppress(StoreUnavailable):  # the guard has told it
            is_mine = await self._begun(family)
        spent = await asyncio.to_thread(read)
        with contextlib.suppress(StoreUnavailable):  # likewise; the next request finds the family unknown again
            await self._guard.call(lambda: self._fill(family, spent, at, is_mine=is_mine is True), FILL_S)
        self._alone.fill_now(family, spent, at)

    async def states(self, accounts: Sequence[Account], at: float) -> list[State]:
        states: list[State] = []
        for n in range(0, len(accounts), TOGETHER_MAX):
            asks = [Ask(account, 0) for account in accounts[n : n + TOGETHER_MAX]]
            try:
                reply = await self._guard.reply(lambda: self._counts.reserve("", asks, at, 0.0))  # noqa: B023 - called at once
            except StoreUnavailable:
                return await self._alone.states(accounts, at)
            if reply is None:
                raise Unknown({account.family for account in accounts})
            states += reply.states
        return states

    def holders(self, family: Family) -> list[str]:
        return self._alone.holders(family)

    def spent(self, family: Family, at: float) -> dict[str, int]:
        return self._alone.spent(family, at)

    async def aclose(self) -> None:
        await self._settling.aclose(CLOSE_S)  # what is not told by then is in the ledger
        await self._guard.aclose()
        await self._counts.aclose()

    async def _begun(self, family: Family) -> bool | None:
        """Whether the family is ours to fill; None when it is filled, by whomever. Raises OSError while another fills it."""
        for _ in range(int(FILL_S / POLL_S)):
            is_mine = await self._guard.call(lambda: self._counts.begin_fill(family), SETTLE_S)
            if is_mine is not False:
                return is_mine
            await asyncio.sleep(POLL_S)
        raise OSError(f"another replica has been reading what was spent in '{family.id}' for {FILL_S:g} s")

    async def _fill(self, family: Family, spent: Spent, at: float, *, is_mine: bool) -> None:
        accounts = {Account(family, holder): buckets for holder, buckets in spent.items()}
        if not is_mine:
            ended = {account: int((at - SETTLED_S) // account.bucket_s) for account in accounts}
            accounts = {a: {b: nusd for b, nusd in buckets.items() if b < ended[a]} for a, buckets in accounts.items()}
        await self._counts.fill({a: buckets for a, buckets in accounts.items() if buckets}, (family, at) if is_mine else None)

    def _changed_alone(self, account: Account, spent_nusd: int, at: float) -> None:
        if self._guard.is_open:
            self._changed(account, spent_nusd, at)

    async def _send(self) -> None:
        """Tell Redis, until it has counted: the batch's name keeps it from counting twice."""
        if self._sending is None:
            charges = tuple(self._owed.popleft() for _ in range(min(len(self._owed), BATCH_MAX)))
            self._sending = _Batch(uuid4().hex, charges)
        batch = self._sending
        try:
            spent = await self._guard.call(lambda: self._counts.settle(batch.name, batch.charges), SETTLE_S)
        except StoreUnavailable as exc:  # the guard has told it
            if exc.cause in FOR_GOOD:
                self._sending = None
            else:
                await asyncio.sleep(self._probe_s)
            return
        self._sending = None
        at = max(charge.booked_at for charge in batch.charges)
        for account, nusd in spent.items():
            self._changed(account, nusd, at)
