"""Sees within half a second that a key was made, rotated or revoked, by whichever process."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Hashable

from gateway.keys.directory import Directory
from gateway.keys.store import KeyStore, KeysUnavailable

log = logging.getLogger("turnout.keys")

POLL_S = 0.5


class KeyWatch:
    """Brings what the store holds into the directory. When the store cannot be read, the keys that are known hold on."""

    def __init__(self, store: KeyStore, directory: Directory, *, counts_apart: bool = False, poll_s: float = POLL_S) -> None:
        """counts_apart: this process is one of several, each of which counts what callers use by itself."""
        self._store, self._directory, self._counts_apart, self._poll_s = store, directory, counts_apart, poll_s
        self._lock = threading.Lock()  # a look may still be on its way in its thread when the end comes
        self._version: Hashable = None
        self._trouble: str | None = None

    @property
    def problem(self) -> str | None:
        """What is amiss, with the remedy; None when nothing is."""
        if self._trouble is not None:
            return self._trouble
        if self._counts_apart and (limited := self._directory.limited) is not None:
            return (
                f"key '{limited}' has limits, and each worker counts them by itself, so that it gets a multiple of them; "
                "set TURNOUT_REDIS_URL, where workers count together, or run one worker"
            )
        return None

    def look(self) -> None:
        """Read the keys if there was a change. Raises KeysUnavailable."""
        with self._lock:
            version = self._store.version()
            if version is None and self._directory.is_closed:
                raise KeysUnavailable(
                    "the virtual keys' file is gone; bring it back, or make new keys with `turnout keys create`"
                )
            if version != self._version:
                held = self._store.held()
                if not held and self._directory.is_closed:  # no command takes a key out of the list
                    raise KeysUnavailable(
                        "the virtual keys' file holds no key; bring the old one back, or make new keys with `turnout keys create`"
                    )
                self._directory.replace(held)
                self._version = version

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._store.close()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._poll_s)
                await self._look_again()
        except BaseException as exc:
            if not isinstance(exc, asyncio.CancelledError):
                self._trouble = f"changes of virtual keys are no longer seen, start the gateway anew: {exc!r}"
                log.error(self._trouble, exc_info=exc)
            raise

    async def _look_again(self) -> None:
        was_closed = self._directory.is_closed
        try:
            await asyncio.to_thread(self.look)  # another process may hold the file
        except KeysUnavailable as exc:
            if self._trouble is None:
                log.error("%s; until then the keys that are known hold", exc)
            self._trouble = exc.message
            self._directory.close()  # where there is none, it may be the first that cannot be read
            return
        if self._trouble is not None:
            log.info("the virtual keys can be read again")
            self._trouble = None
        if self._directory.is_closed and not was_closed:
            log.info("the first virtual key was made: from now on callers need one")
