"""One call of one model, as the ledger keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.usage import Usage

Seam = Literal["restart", "continue"]
Outcome = Literal["ok", "error", "timeout", "cancelled", "lost_hedge", "rejected", "unconvincing"]


class Attempt(msgspec.Struct, omit_defaults=True, gc=False):
    """Filled in by the executor while the call runs; priced once, when it ends.

    outcome: `rejected` means that it was not sent at all (breaker open, no credentials); `unconvincing` that it was
    answered and a cascade did not accept the answer.
    ttft_ms: from sending to the first content; None when none came. cost_nusd: nano-USD, None if unknown.
    busy_s: its share of the machine's time, for models that are paid by the hour; prefill_s: the part of it up to the first
    content, in which the machine read.
    error: what went wrong, in words; status: the provider's HTTP status. accept: of a judged answer, what was measured
    and whether it was accepted; of a sample, its number and whether it agreed.
    seam: how it took over an answer that had begun, anew or where the other broke off, None if it did not; seam_chars: how
    many characters the caller had got by then. is_hedge: it was started because another target was late.
    """

    provider: str
    model: str
    outcome: Outcome = "ok"
    status: int | None = None
    ttft_ms: float | None = None
    duration_ms: float = 0.0
    busy_s: float = 0.0
    prefill_s: float = 0.0
    usage: Usage | None = None
    cost_nusd: int | None = 0
    error: str | None = None
    fault: str | None = None
    accept: dict[str, bool | float | int | str] | None = None
    seam: Seam | None = None
    seam_chars: int | None = None
    is_hedge: bool = False
