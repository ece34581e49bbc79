"""One hour of one machine: the entry that opens it, and the entries that make all of them add up to its bill. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from gateway.ledger.base import IDLE, Entry, GpuUse

GRACE_S: Final = 300  # after an hour's end: what came in it may be answered and booked until then
_BILL: Final = "bill_nusd"  # the tag in which the hour's entries say what it was settled to
_NOBODY: Final = GpuUse(None, IDLE, None, busy_s=0.0, prefill_s=0.0, input=0, output=0, cost_nusd=0)


@dataclass(frozen=True, slots=True)
class PaidHour:
    """An hour that is paid for, busy or idle. hour: seconds since 1970 at its begin."""

    model: str
    provider: str
    hour: int
    bill_nusd: int
    policy_hash: str

    def opening(self) -> Entry:
        """Says that the hour is paid for, and what: the settlement goes by it, whoever makes it and whatever policy holds then.

        Every process that serves the model makes the same one, with the same uid, so that the ledger keeps one.
        """
        digest = hashlib.sha256(self.model.encode()).hexdigest()
        return self._entry(_NOBODY, 0, uid=f"{self.hour * 1000:012x}{digest[:20]}")

    def differences(self, uses: Sequence[GpuUse]) -> list[Entry]:
        """What each group has to be charged on top, or less, so that what is booked comes to the bill, to the nano-dollar.

        Each group's part of the bill is its part of the machine's busy seconds; idle time goes with them. What nobody used
        is charged to IDLE. uses: every group once, with what it was charged so far.
        """
        groups = {_name(_NOBODY): _NOBODY} | {_name(use): use for use in uses}
        names = sorted(groups)  # so that every process rounds the same way
        weights = [max(round(groups[name].busy_s * 1e9), 0) for name in names]  # in integers, since floats would not add up
        if not any(weights):
            weights = [int(name == _name(_NOBODY)) for name in names]
        parts = zip(names, divided(self.bill_nusd, weights), strict=True)
        owed = [(groups[name], part - groups[name].cost_nusd) for name, part in parts]
        return [self._entry(use, nusd) for use, nusd in owed if nusd]

    def _entry(self, use: GpuUse, cost_nusd: int, uid: str | None = None) -> Entry:
        entry = Entry(
            request_id=name_of(self.model, self.hour),
            at=float(self.hour),
            dialect="",
            requested_model=self.model,
            stream=False,
            key=use.key,
            policy_hash=self.policy_hash,
            draw=0.0,
            team=use.team,
            tags={_BILL: str(self.bill_nusd)},
            route=use.route,
            model=self.model,
            provider=self.provider,
            cost_nusd=cost_nusd,
            purpose="gpu",
        )
        if uid is not None:
            entry.uid = uid
        return entry


def name_of(model: str, hour: int) -> str:
    """The request id of all entries that settle this hour."""
    return f"gpu-{model}-{hour}"


def opened_by(entry: Entry) -> PaidHour | None:
    """The hour that this entry of IDLE's opened or settled; None where it is some caller's."""
    if entry.purpose != "gpu" or entry.model is None or entry.provider is None or _BILL not in entry.tags:
        return None
    return PaidHour(entry.model, entry.provider, int(entry.at), int(entry.tags[_BILL]), entry.policy_hash)


def _name(use: GpuUse) -> tuple[str, str, str]:
    return use.route or "", use.key, use.team or ""


def divided(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` in parts proportional to the weights that add up to it: what rounding leaves goes to the largest remainders.

    weights: none negative, at least one above 0. The method of Hamilton, or of the largest remainder; among equals the first.
    """
    total = sum(weights)
    exact = [Fraction(whole * weight, total) for weight in weights]
    parts = [int(share) for share in exact]
    left = whole - sum(parts)
    for place in sorted(range(len(parts)), key=lambda n: parts[n] - exact[n])[:left]:
        parts[place] += 1
    return parts
