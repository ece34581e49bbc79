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


class PolicyWatch:
    """adopt: makes a router the one that serves. said: told why a change was not taken, or None when one was."""

    def __init__(
        self,
        path: Path,
        current: CurrentRuntime,
        adopt: Callable[[Router], Awaitable[None]],
        said: Callable[[str | None], None],
    ) -> None:
        self._path, self._current, self._adopt, self._said = path, current, adopt, said
        self._seen = self._fingerprint()

    async def run(self) -> None:
        """Until cancelled. Polls, since that works on every file system and behind every kind of mount."""
        while True:
            await asyncio.sleep(POLL_S)
            seen = self._fingerprint()
            if seen != self._seen:
                self._seen = seen
                await self.reload()

    async def reload(self) -> None:
        """Take the file as it is now, if it is a policy."""
        try:
            router = await asyncio.to_thread(load_router, self._path)
        except (PolicyError, ConfigError) as exc:
            reason = str(exc)
            log.error("the changed policy was not taken, the old one stays: %s", reason)
            self._said(reason)
            return
        before = self._current.now.policy.hash
        await self._adopt(router)
        self._said(None)
        if router.policy.hash != before:
            log.info("policy %s replaces %s", router.policy.hash, before)

    def _fingerprint(self) -> list[tuple[int, int, int] | None]:
        return [_stat(p) for p in watched_files(self._current.now.policy, self._path)]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None  # while an editor replaces it; reading it says more
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
