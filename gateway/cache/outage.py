"""What is said of a store's faults: a line when its state changes, and none for each request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gateway.errors import StoreUnavailable

log = logging.getLogger("turnout.cache")

QUIET_S: Final = 60.0
"""A cause is not logged again for so long, so that a store which comes and goes does not fill the log."""
REMEDIES: Final = {
    "timeout": "look at its load, and at the network between",
    "connection": "see that it runs, and that the address is right",
    "auth": "set the user and password in TURNOUT_REDIS_URL right",
    "denied": "allow the user all commands on keys that begin with turnout:cache:",
    "loading": "it reads its data from disk; wait",
    "full": "raise its maxmemory, or set maxmemory-policy allkeys-lru",
    "readonly": "have TURNOUT_REDIS_URL point to the primary, and see that it can write to its disk",
    "protocol": "see that the address is a Redis server's",
    "foreign": "let nothing else write keys that begin with turnout:cache:",
    "broken": "let nothing else write keys that begin with turnout:cache:",
    "dimension": "let nothing else write keys that begin with turnout:cache:",
    "unsupported": "use one primary of Redis 8.0 or later",
    "error": "look at its log",
}
OF_WRITES: Final = frozenset({"full", "readonly", "denied"})


class Outages:
    """name: of the store, for the log and for readiness. clock: monotonic seconds."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name, self._clock = name, clock
        self._said_at: dict[str, float] = {}
        self._away: StoreUnavailable | None = None
        self._unwritable: StoreUnavailable | None = None
        self._is_return_awaited = False  # in the log
        self._is_writing_awaited = False

    @property
    def problem(self) -> str | None:
        """What is the matter now, with the remedy."""
        fault = self._away or self._unwritable
        return None if fault is None else f"{self._name}: {fault} ({fault.cause}); {REMEDIES[fault.cause]}"

    def begins(self, fault: StoreUnavailable) -> None:
        """The store cannot be asked, or still cannot."""
        is_known = self._away is not None and self._away.cause == fault.cause and self._is_return_awaited
        self._away = fault
        if not is_known and self._say(fault, "does not serve: requests go on without the cache"):
            self._is_return_awaited = True

    def ends(self) -> None:
        """The store can be asked again."""
        self._away = None
        if self._is_return_awaited:
            log.info("%s serves again", self._name)
        self._is_return_awaited = False

    def met(self, fault: StoreUnavailable) -> None:
        """One command failed, others may not."""
        if fault.cause not in OF_WRITES:
            self._say(fault, "met a fault that costs a miss")
            return
        if self._unwritable is None or self._unwritable.cause != fault.cause or not self._is_writing_awaited:
            self._is_writing_awaited |= self._say(fault, "takes no answers: those that it has are served")
        self._unwritable = fault

    def writes_again(self) -> None:
        """A write succeeded."""
        self._unwritable = None
        if self._is_writing_awaited:
            log.info("%s takes answers again", self._name)
        self._is_writing_awaited = False

    def _say(self, fault: StoreUnavailable, effect: str) -> bool:
        now = self._clock()
        if now - self._said_at.get(fault.cause, -QUIET_S) < QUIET_S:
            return False
        self._said_at[fault.cause] = now
        log.warning("%s %s (%s: %s); %s", self._name, effect, fault.cause, fault, REMEDIES[fault.cause])
        return True
