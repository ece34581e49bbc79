"""A ledger in a list, that adds up what was used by looking at every attempt: what the real stores must come to as well."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import LedgerUnavailable
from gateway.ledger.base import Entry, GpuUse
from gateway.ledger.rollups import HOUR_S, hour_of

Group = tuple[str | None, str, str | None]


class MemoryLedger:
    """is_away: the database does not answer. is_full: it takes no entries either."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._found: dict[tuple[str, str], Entry] = {}  # the latest that came by put, or that settles
        self.settled = 0
        self.is_away = self.is_full = False

    def reserve(self) -> None:
        if self.is_full:
            raise LedgerUnavailable("the disk is full")

    def put(self, record: Entry) -> None:
        if all(record.uid != entry.uid for entry in self.entries):
            self._keep(record)

    async def find(self, request_id: str, key: str | None = None) -> Entry | None:
        if self.is_away:
            raise OSError("the database is away")
        return None if key is None else self._found.get((request_id, key))

    async def settle_hour(self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]) -> Sequence[Entry]:
        await asyncio.sleep(0)
        self.settled += 1
        written = share(self.uses(model, hour))
        for entry in written:
            self._keep(entry)
        return written

    async def billed(self, since: float) -> set[str]:
        return {entry.model or "" for entry in self.entries if entry.purpose == "gpu" and entry.at >= since}

    def _keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._found[entry.request_id, entry.key] = entry

    def uses(self, model: str, hour: int) -> list[GpuUse]:
        groups: dict[Group, GpuUse] = {}
        for entry in self.entries:
            if not hour <= entry.at < hour + HOUR_S:
                continue
            name = entry.route, entry.key, entry.team
            parts = [
                GpuUse(
                    *name,
                    a.busy_s,
                    a.prefill_s,
                    a.usage.input if a.usage else 0,
                    a.usage.output if a.usage else 0,
                    a.cost_nusd or 0,
                )
                for a in entry.attempts
                if a.model == model
            ]
            if entry.purpose == "gpu" and entry.model == model:
                parts.append(GpuUse(*name, 0.0, 0.0, 0, 0, entry.cost_nusd or 0))
            for part in parts:
                groups[name] = _added(groups[name], part) if name in groups else part
        return list(groups.values())

    def paid(self, model: str) -> int:
        """Everything that was booked for the machine, in nano-USD."""
        hours = {hour_of(entry.at) for entry in self.entries}
        return sum(use.cost_nusd for hour in hours for use in self.uses(model, hour))

    def of_gpu(self) -> list[tuple[str | None, str, int | None]]:
        return [(e.route, e.key, e.cost_nusd) for e in self.entries if e.purpose == "gpu"]


def _added(one: GpuUse, other: GpuUse) -> GpuUse:
    return GpuUse(
        one.route,
        one.key,
        one.team,
        one.busy_s + other.busy_s,
        one.prefill_s + other.prefill_s,
        one.input + other.input,
        one.output + other.output,
        one.cost_nusd + other.cost_nusd,
    )
