"""The ledger's nouns, the entry of one request and the feedback on it, and the port of the store that keeps them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Protocol

import msgspec

from gateway.attempt import Attempt
from gateway.ids import new_uid
from gateway.usage import Usage

EntryOutcome = Literal["ok", "error", "timeout", "cancelled", "refused"]
CacheOutcome = Literal["hit-exact", "hit-semantic", "miss", "bypass"]
Purpose = Literal["request", "audit", "refresh", "gpu"]
Verdict = Literal["right", "wrong", "unsure"]

IDLE: Final = "(idle)"  # the key of `gpu` entries for what nobody used


def as_fields(record: msgspec.Struct) -> dict[str, Any]:
    """All fields of a record as JSON has them, those within it too. Its own JSON leaves out what is as usual."""
    return {name: _as_json(getattr(record, name)) for name in record.__struct_fields__}


def _as_json(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return as_fields(value)
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return msgspec.to_builtins(value)


class Feedback(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What somebody thought of an answer.

    value: from -1, bad, to 1, good. at: seconds since 1970, UTC. tags: as they were given, names with values or alone.
    uid: as an entry's. entry: the uid of the entry that it is on; None in what was written before there were any, which is
    then on the latest entry of its request.
    """

    request_id: str
    at: float
    value: float
    comment: str | None = None
    tags: dict[str, str] | list[str] = []
    entry: str | None = None
    uid: str | None = msgspec.field(default_factory=new_uid)


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """One request. Money is in nano-USD; None is unknown, never 0.

    purpose: `request` is a caller's; the gateway itself asks in the background, for an `audit` of a semantic hit, or to
    `refresh` a kept answer past its time; `of` is then the id of the request that was the occasion, and `verdict` what the
    audit made of its answer. A `gpu` entry is no request at all: it settles an hour of a self-hosted model, so that all
    entries of that hour come to what the machine was paid.

    at: seconds since 1970, UTC. model, provider: who answered; None when nobody was asked.
    cost_nusd: paid to providers for all attempts. overhead_nusd: what deciding cost on top.
    baseline_nusd: what the policy's baseline model would have cost for this usage.
    feedback: the latest last; filled in when an entry is found, and written on its own.
    prompt_id: of the prompt template, see gateway.prompts.
    uid: of this record alone, where callers may give several requests one id; made once, so that a record that is handed
    over twice is kept once. None in what was written before there were any.
    """

    request_id: str
    at: float
    dialect: str
    requested_model: str
    stream: bool
    key: str
    policy_hash: str
    draw: float
    team: str | None = None
    tags: dict[str, str] = {}
    session: str | None = None
    route: str | None = None
    decided_by: str | None = None
    scores: dict[str, float] = {}
    cache: CacheOutcome = "bypass"
    cache_entry: str | None = None
    model: str | None = None
    provider: str | None = None
    attempts: list[Attempt] = []
    usage: Usage | None = None
    cost_nusd: int | None = 0
    overhead_nusd: int = 0
    baseline_nusd: int | None = 0
    ttft_ms: float | None = None
    duration_ms: float = 0.0
    overhead_ms: float = 0.0
    outcome: EntryOutcome = "ok"
    status: int = 200
    error: str | None = None
    purpose: Purpose = "request"
    of: str | None = None
    verdict: Verdict | None = None
    feedback: list[Feedback] = []
    prompt_id: str | None = None
    uid: str | None = msgspec.field(default_factory=new_uid)

    @property
    def saved_nusd(self) -> int | None:
        """Baseline less cost and overhead; may be negative; None when either is unknown."""
        if self.cost_nusd is None or self.baseline_nusd is None:
            return None
        return self.baseline_nusd - self.cost_nusd - self.overhead_nusd


class Template(msgspec.Struct, frozen=True):
    """What a prompt template was found to be. Append-only as well: later records on the same id say more.

    id: as entries have it in prompt_id. text: its constant parts in words, with `<*>` where they differ; only what several
    different requests had in common. stands_for: ids that entries were given before it was known, and those of templates that
    it takes in; they are reported as this one. at: seconds since 1970.
    """

    id: str
    at: float
    text: str
    stands_for: list[str] = []
    uid: str | None = msgspec.field(default_factory=new_uid)


Record = Entry | Feedback | Template


class GpuUse(msgspec.Struct, frozen=True):
    """What one group of callers had of a model in one hour: all attempts on it, and the money booked for them so far.

    cost_nusd: of the attempts, and of `gpu` entries for the group. busy_s, prefill_s: machine seconds. input, output: tokens.
    """

    route: str | None
    key: str
    team: str | None
    busy_s: float
    prefill_s: float
    input: int
    output: int
    cost_nusd: int


class Part(msgspec.Struct, frozen=True):
    """A stretch of time, a month as a rule, whose entries and attempts have tables of their own. begin, end: seconds since 1970.

    entry, attempt: the names of those tables, which have the columns of `entry` and `attempt` as every reader sees them.
    """

    entry: str
    attempt: str
    begin: float
    end: float


class LedgerStore(Protocol):
    """Append-only. Called from one thread at a time; may block."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep all of them or none. Raises OSError when it cannot just now, ValueError when one of them never can be.

        A record whose uid is there already is left as it is, so what may have been written can be written again.
        The feedback inside an entry is not written; feedback is a record of its own, and may come before its entry.
        """
        ...

    def find(self, request_id: str, key: str | None = None) -> Entry | None:
        """The latest entry with this id, with the feedback on it. key: of this key's only, since callers choose their ids.

        Raises OSError when the store cannot be read just now.
        """
        ...

    def settle_hour(self, model: str, hour: int, share: Callable[[Sequence[GpuUse]], Sequence[Entry]]) -> Sequence[Entry]:
        """Read what was used of a model in the hour that began at `hour` (seconds since 1970), and append what `share` makes
        of it, in one step that no other process comes between. Returns what was appended. Raises OSError.
        """
        ...

    def prune(self, before: float) -> Sequence[Part]:
        """Drop the parts that ended by then (seconds since 1970), with the feedback of their time. Returns those dropped.

        Sums by the hour and templates stay. Raises OSError.
        """
        ...

    def close(self) -> None: ...


Batches = Generator[list[dict[str, Any]], None, None]


class LedgerReader(Protocol):
    """Reads a ledger beside those that write it. Used by one thread; may block. Every method raises OSError.

    The tables are the same in every store, see gateway.ledger.tables; queries are written in the SQL that all of them know,
    with `?` for values. engine: for the few words that differ. where: the ledger's place, for people.
    """

    engine: Literal["sqlite", "postgres"]
    where: str

    def rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        """All rows. Numbers are int and float, never Decimal."""
        ...

    def batches(self, query: str, values: Sequence[object] = (), size: int = 10_000) -> Batches:
        """The rows, some at a time, without holding all of them. Close it if not all of them are taken."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read within it is of one moment, that of the first read, whatever is written meanwhile. Not nested."""
        ...

    def parts(self) -> Sequence[Part]:
        """What `entry` and `attempt` are made of, the oldest first. A large sum over rows is faster part by part."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Bytes on the disk of each table, with its indexes."""
        ...

    def close(self) -> None: ...
