"""The ledger's nouns, the entry of one request and the feedback on it, and the port of the store that keeps them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from gateway.attempt import Attempt
from gateway.usage import Usage

EntryOutcome = Literal["ok", "error", "timeout", "cancelled", "refused"]
CacheOutcome = Literal["hit-exact", "hit-semantic", "miss", "bypass"]
Purpose = Literal["request", "audit", "refresh"]
Verdict = Literal["right", "wrong", "unsure"]


def new_uid() -> str:
    """An id that no other record has, in 32 hexadecimal digits; later ones sort after earlier ones, to the millisecond.

    48 bits of time, then chance, as UUID version 7 (RFC 9562): new rows go to the end of the index.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


class Feedback(msgspec.Struct, frozen=True):
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


class Entry(msgspec.Struct):
    """One request. Money is in nano-USD; None is unknown, never 0.

    purpose: `request` is a caller's; the gateway itself asks in the background, for an `audit` of a semantic hit, or to
    `refresh` a kept answer past its time; `of` is then the id of the request that was the occasion, and `verdict` what the
    audit made of its answer.

    at: seconds since 1970, UTC. model, provider: who answered; None when nobody was asked.
    cost_nusd: paid to providers for all attempts. overhead_nusd: what deciding cost on top.
    baseline_nusd: what the policy's baseline model would have cost for this usage.
    feedback: the latest last; filled in when an entry is found, and written on its own.
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
    uid: str | None = msgspec.field(default_factory=new_uid)

    @property
    def saved_nusd(self) -> int | None:
        """Baseline less cost and overhead; may be negative; None when either is unknown."""
        if self.cost_nusd is None or self.baseline_nusd is None:
            return None
        return self.baseline_nusd - self.cost_nusd - self.overhead_nusd


Record = Entry | Feedback


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

    def close(self) -> None: ...
