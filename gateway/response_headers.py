"""The headers in which an answer tells its ledger entry, in every dialect."""

from __future__ import annotations

from gateway.ledger.base import Entry
from gateway.pricing.cost import usd
from gateway.reply import Headers


def entry_headers(entry: Entry, attempts: int | None = None) -> Headers:
    """What is known once it is decided who answers; a new list, to be added to.

    attempts: how many there are, while the entry has not got them yet.
    """
    headers = [
        ("x-request-id", entry.request_id),
        ("x-turnout-policy", entry.policy_hash),
        ("x-turnout-cache", entry.cache),
        ("x-turnout-attempts", str(len(entry.attempts) if attempts is None else attempts)),
    ]
    if entry.route is not None:
        headers.append(("x-turnout-route", entry.route))
    if entry.decided_by is not None:
        headers.append(("x-turnout-decided-by", entry.decided_by))
    return headers


def cost_headers(entry: Entry) -> Headers:
    """What only a whole answer can say in its headers, once its entry is priced."""
    cost, saved = usd(entry.cost_nusd), usd(entry.saved_nusd)
    return [
        ("x-turnout-cost-usd", "unknown" if cost is None else f"{cost:.9f}"),
        ("x-turnout-saved-usd", "unknown" if saved is None else f"{saved:.9f}"),
        ("x-turnout-overhead-ms", f"{entry.overhead_ms:.3f}"),
    ]
