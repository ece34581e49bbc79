"""What `/health/ready` says: whether requests can be answered, and what is amiss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from gateway.draining import Drain
from gateway.ledger.writer import LedgerWriter
from gateway.runtime import CurrentRuntime


class Watched(Protocol):
    """A part that says what is amiss with it; None when nothing is."""

    @property
    def problem(self) -> str | None: ...


class Status:
    """What `/health/ready` says. reload_error: why a changed policy was not taken."""

    def __init__(self, current: CurrentRuntime, ledger: LedgerWriter, drain: Drain, cache: Sequence[Watched]) -> None:
        """cache: the parts of the cache that may be away without a request failing."""
        self._current, self._ledger, self._drain, self._cache = current, ledger, drain, cache
        self.reload_error: str | None = None

    def report(self) -> dict[str, Any]:
        runtime = self._current.now
        models = {name: c.unavailable or "ok" for name, c in runtime.candidates().items()}
        problems = []
        if self.reload_error is not None:
            problems.append(f"the changed policy was not taken: {self.reload_error}")
        problems += self._ledger.problems
        problems += [part.problem for part in self._cache if part.problem is not None]
        can_answer = any(state == "ok" for state in models.values())
        status = "unavailable" if not can_answer else "degraded" if problems else "ok"
        return {
            "status": "draining" if self._drain.is_draining else status,
            "policy": runtime.policy.hash,
            "models": models,
            "problems": problems,
        }
