"""What a request's attempts come to: prices each of them, and the entry as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.price import cost_nusd
from gateway.policy.catalog import Model


def settle(
    entry: Entry,
    attempts: Sequence[Attempt],
    models: Mapping[str, Model],
    baseline: Model | None,
    answering: Attempt | None = None,
) -> None:
    """Fill in what was paid, by attempt and in all, and what the baseline would have cost.

    The entry's usage and time to first token are those of the attempt that answered; where nobody can say which one did
    (answering None), of the last that was answered or cut off answering; without one they stay as they are. No baseline,
    or one that cannot be priced by tokens: unknown.
    """
    total: int | None = 0
    for attempt in attempts:
        attempt.cost_nusd = cost_nusd(models[attempt.model].price, attempt.usage, attempt.busy_s)
        total = None if total is None or attempt.cost_nusd is None else total + attempt.cost_nusd
        if attempt.outcome == "ok" or attempt.ttft_ms is not None:
            entry.usage, entry.ttft_ms = attempt.usage, attempt.ttft_ms
    if answering is not None:
        entry.usage, entry.ttft_ms = answering.usage, answering.ttft_ms
    entry.attempts = list(attempts)
    entry.cost_nusd = total
    entry.baseline_nusd = None if baseline is None else cost_nusd(baseline.price, entry.usage)
