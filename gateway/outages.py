"""What is said of a store's faults: a line when its state changes, and none for each request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.errors import StoreUnavailable

QUIET_S: Final = 60.0
"""A cause is not logged again for so long, so that a store which comes and goes does not fill the log."""
REMEDIES: Final = {
    "timeout": "look at its load, and at the network between",
    "connection": "see that it runs, and that the address is right",
    "auth": "set the user and password in TURNOUT_REDIS_URL right",
    "denied": "allow the user all commands on keys that begin with {keys}",
    "loading": "it reads its data from disk; wait",
    "full": "raise its maxmemory, or set maxmemory-policy allkeys-lru",
    "readonly": "have TURNOUT_REDIS_URL point to the primary, and see that it can write to its disk",
    "protocol": "see that the address is a Redis server's",
    "foreign": "let nothing else write keys that begin with {keys}",
    "broken": "let nothing else write keys that begin with {keys}",
    "dimension": "let nothing else write keys that begin with {keys}",
    "unsupported": "use {server}",
    "error": "look at its log",
}
OF_WRITES: Final = frozenset({"full", "readonly", "denied"})


@dataclass(frozen=True, slots=True)
class Effects:
    """What comes of a store's faults, in the words of the log, which begin with the store's name.

    away: it cannot be asked. met: one command failed. unwritable, writes_again: for one that can be read meanwhile.
    keys: what the names of its keys begin with. server: what it must be.
    """

    away: str
    met: str
    keys: str
    server: str
    unwritable: str = "takes no writes"
    writes_again: str = "takes writes again"


class Outages:
    """name: of the store, for the log and for readiness. clock: monotonic seconds."""

    def __init__(self, name: str, effects: Effects, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._name, self._effects, self._log, self._clock = name, effects, log, clock
        self._said_at: dict[str, float] = {}
        self._away: StoreUnavailable | None = None
        self._unwritable: StoreUnavailable | None = None
        self._is_return_awaited = False  # in the log
        self._is_writing_awaited = False

    @property
    def problem(self) -> str | None:
        """What is the matter now, with the remedy."""
        fault = self._away or self._unwritable
        return None if fault is None else f"{self._name}: {fault} ({fault.cause}); {self._remedy(fault)}"

    def begins(self, fault: StoreUnavailable) -> None:
        """The store cannot be asked, or still cannot."""
        is_known = self._away is not None and self._away.cause == fault.cause and self._is_return_awaited
        self._away = fault
        if not is_known and self._say(fault, self._effects.away):
            self._is_return_awaited = True

    def ends(self) -> None:
        """The store can be asked again."""
        self._away = None
        if self._is_return_awaited:
            self._log.info("%s serves again", self._name)
        self._is_return_awaited = False

    def met(self, fault: StoreUnavailable) -> None:
        """One command failed, others may not."""
        if fault.cause not in OF_WRITES:
            self._say(fault, self._effects.met)
            return
        if self._unwritable is None or self._unwritable.cause != fault.cause or not self._is_writing_awaited:
            self._is_writing_awaited |= self._say(fault, self._effects.unwritable)
        self._unwritable = fault

    def writes_again(self) -> None:
        """A write succeeded."""
        self._unwritable = None
        if self._is_writing_awaited:
            self._log.info("%s %s", self._name, self._effects.writes_again)
        self._is_writing_awaited = False

    def _say(self, fault: StoreUnavailable, effect: str) -> bool:
        now = self._clock()
        if now - self._said_at.get(fault.cause, -QUIET_S) < QUIET_S:
            return False
        self._said_at[fault.cause] = now
        self._log.warning("%s %s (%s: %s); %s", self._name, effect, fault.cause, fault, self._remedy(fault))
        return True

    def _remedy(self, fault: StoreUnavailable) -> str:
        return REMEDIES[fault.cause].format(keys=self._effects.keys, server=self._effects.server)
