"""Entries that are written together, with their attempts and their sums, as both stores write them: by column."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ledger.base import Entry
from gateway.ledger.columns import Values, columns_of
from gateway.ledger.rollups import Rows, rolled_up
from gateway.ledger.tables import ATTEMPT, ENTRY, Table


class Batch:
    """Raises ValueError for entries that can never be kept.

    columns: those of ENTRY, an item for each entry. owners: for each attempt the place of its entry in the batch.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.columns = columns_of(ENTRY, entries)
        self.owners = [place for place, entry in enumerate(entries) for _ in entry.attempts]
        self._attempts = columns_of(ATTEMPT, [attempt for entry in entries for attempt in entry.attempts])

    def only(self, places: Sequence[int]) -> Batch:
        """Those of the entries that stand at these places."""
        return self if len(places) == len(self.entries) else Batch([self.entries[place] for place in places])

    def attempts(self, ids: Sequence[int]) -> list[Values]:
        """The columns OF_ENTRY and those of ATTEMPT. ids: what the store calls the entries."""
        counted = [n for entry in self.entries for n in range(1, len(entry.attempts) + 1)]
        return [[ids[place] for place in self.owners], counted, [self.entries[p].at for p in self.owners], *self._attempts]

    def sums(self) -> list[tuple[Table, Rows]]:
        """What `rolled_up` makes of the entries."""
        entry = dict(zip(ENTRY.names, self.columns, strict=True))
        return rolled_up(entry, dict(zip(ATTEMPT.names, self._attempts, strict=True)), self.owners)
