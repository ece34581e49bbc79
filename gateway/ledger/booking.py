"""What a request's attempts come to: prices each of them, and the entry as a whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import msgspec

from gateway.attempt import Attempt
from gateway.errors import ClientError, DeadlineExceeded, Refused, ShuttingDown, TurnoutError, UpstreamError
from gateway.ledger.base import Entry, EntryOutcome
from gateway.policy.catalog import BusyPrice, Model
from gateway.pricing.cost import cost_nusd

log = logging.getLogger("turnout.ledger")


def outcome_of(error: TurnoutError) -> EntryOutcome:
    """How a request has ended that ended with this error. A shutdown refuses nobody: it fails whom it cuts short."""
    if isinstance(error, DeadlineExceeded) or (isinstance(error, UpstreamError) and error.fault == "timeout"):
        return "timeout"
    if isinstance(error, ClientError | Refused) and not isinstance(error, ShuttingDown):
        return "refused"
    return "error"


def settle(
    entry: Entry,
    attempts: Sequence[Attempt],
    models: Mapping[str, Model],
    baseline: Model | None,
    answering: Attempt | None = None,
) -> None:
    """Fill in what was paid, by attempt and in all, and what the baseline would have cost, at the prices of the entry's time.

    A hedge that lost has bought speed and no answer: it is overhead, and every other attempt is cost, so that the two together
    are all that was paid. An unknown price makes the cost unknown; the overhead is then what is known of it.

    The entry's usage and time to first token are those of the attempt that answered; where nobody can say which one did
    (answering None), of the last that was answered or cut off answering; without one they stay as they are. No baseline,
    or one that cannot be priced by tokens: unknown.
    """
    if answering is None:
        _answered_last(entry, attempts)
    else:
        entry.usage, entry.ttft_ms = answering.usage, answering.ttft_ms
        if answering.seam is not None:
            _join(entry, attempts, answering)
    entry.attempts = list(attempts)
    total, lost = _priced(entry, attempts, models)
    entry.overhead_nusd += lost
    entry.cost_nusd = None if total is None else total - lost
    entry.baseline_nusd = None if baseline is None else _baseline_nusd(entry, baseline, answering)


def _baseline_nusd(entry: Entry, baseline: Model, answering: Attempt | None) -> int | None:
    if answering is not None and answering.model == baseline.name and answering.usage is entry.usage:
        if not isinstance(baseline.price, BusyPrice):
            return answering.cost_nusd  # the same tokens at the same price
    return cost_nusd(baseline.price_at(entry.at), entry.usage)


def _answered_last(entry: Entry, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        if attempt.outcome == "ok" or attempt.ttft_ms is not None:
            entry.usage, entry.ttft_ms = attempt.usage, attempt.ttft_ms


def _join(entry: Entry, attempts: Sequence[Attempt], answering: Attempt) -> None:
    """Of an answer that was taken over in mid-stream: it began with the first content of all.

    One that was continued is as long as its parts together, for the question asked once.
    """
    begun = [a for a in attempts if a.ttft_ms is not None and a.outcome not in ("lost_hedge", "unconvincing")]
    entry.ttft_ms = begun[0].ttft_ms
    parts = [a.usage for a in begun if a.usage is not None]
    if answering.seam == "continue" and parts:
        output = sum(part.output for part in parts)
        entry.usage = msgspec.structs.replace(parts[0], output=output, estimated=True)


def settle_background(entry: Entry, attempts: Sequence[Attempt], models: Mapping[str, Model]) -> None:
    """Fill in what the gateway paid for asking on its own account: nobody was answered, so the baseline is 0.

    A refresh buys an answer: its cost is a cost. An audit buys nothing but knowledge: all of it is overhead, and its cost is 0.
    An unknown price makes the cost unknown, in either case; an audit's overhead is then what is known of it.
    The entry's usage is that of the last attempt that was answered.
    """
    total, _ = _priced(entry, attempts, models)
    _answered_last(entry, attempts)
    entry.attempts = list(attempts)
    entry.baseline_nusd = 0
    if entry.purpose == "audit":
        entry.overhead_nusd += sum(attempt.cost_nusd or 0 for attempt in attempts)
        entry.cost_nusd = None if total is None else 0
    else:
        entry.cost_nusd = total


def _priced(entry: Entry, attempts: Sequence[Attempt], models: Mapping[str, Model]) -> tuple[int | None, int]:
    """Price each attempt by what held when the entry was made.

    Returns the sum, None if one of them is unknown, and what is known of hedges that lost.
    """
    total: int | None = 0
    lost = 0
    for attempt in attempts:
        cost = attempt.cost_nusd = cost_nusd(models[attempt.model].price_at(entry.at), attempt.usage, attempt.busy_s)
        if cost is None:
            total = None
            _say_unpriced(entry, attempt)
        else:
            if total is not None:
                total += cost
            if attempt.outcome == "lost_hedge":
                lost += cost
    return total, lost


def _say_unpriced(entry: Entry, attempt: Attempt) -> None:
    usage = attempt.usage
    if usage is not None and usage.unpriced is not None:
        log.info(
            "request %s: '%s' used %s, which has no price here: the cost is unknown",
            *(entry.request_id, attempt.model, usage.unpriced[:100]),
        )
