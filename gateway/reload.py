"""Watch the policy's files; compile a change aside and swap it in whole, or keep the old one and say why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.errors import ConfigError
from gateway.loading import load_router, watched_files
from gateway.policy.errors import PolicyError
from gateway.router import Router
from gateway.runtime import CurrentRuntime

log = logging.getLogger("turnout.reload")

POLL_S = 0.5
RETRY_S = 5.0  # a policy that was not taken may want a file that was not there to be watched


class PolicyWatch:
    """adopt: makes a router the one that serves; raises ConfigError if it cannot.

    said: told why a change was not taken, or None when one was.
    """

    def __init__(
        self,
        path: Path,
        current: CurrentRuntime,
        adopt: Callable[[Router], Awaitable[None]],
        said: Callable[[str | None], None],
    ) -> None:
        self._path, self._current, self._adopt, self._said = path, current, adopt, said
        self._seen = self._fingerprint()
        self._problem: str | None = None

    async def run(self) -> None:
        """Until cancelled. Polls, since that works on every file system and behind every kind of mount."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
            seen = self._fingerprint()
            if seen != self._seen or (self._problem is not None and waited_s >= RETRY_S):
                self._seen, waited_s = seen, 0.0
                await self.reload()

    async def reload(self) -> None:
        """Take the files as they are now, if they are a policy."""
        policy = self._current.now.policy
        try:
            router = await asyncio.to_thread(load_router, self._path)
            is_new = (router.policy.hash, router.policy.models) != (policy.hash, policy.models)  # the same text, other prices
            if is_new or self._problem is not None:
                await self._adopt(router)
                log.info("policy %s is in force (before: %s)", router.policy.hash, policy.hash)
        except (PolicyError, ConfigError) as exc:
            if str(exc) != self._problem:
                log.error("the changed policy was not taken, the old one stays: %s", exc)
            self._problem = str(exc)
            self._said(self._problem)
            return
        self._problem = None
        self._said(None)

    def _fingerprint(self) -> list[tuple[int, int, int] | None]:
        return [_stat(p) for p in watched_files(self._current.now.policy, self._path)]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None  # while an editor replaces it; reading it says more
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
