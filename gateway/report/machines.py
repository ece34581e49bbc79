"""Self-hosted models: what their hours cost, what was used of them, and whether the baseline's price would have been less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway.ledger.base import LedgerReader
from gateway.report.period import DAY_S, HOUR_S, Period

SETTLED_S: Final = HOUR_S + 300  # after an hour's begin: then what nobody used of it is in the ledger


@dataclass(frozen=True, slots=True)
class Machine:
    """A model's settled hours. Money in nano-USD.

    hours: that were paid for. bill_nusd: all of it, busy and idle. busy_s, prefill_s: machine seconds, of all replicas that
    measured them, and the part of them in which it read. requests: that the model answered; baseline_nusd: what the baseline
    would have cost for them, where that is known (`compared` of them).
    """

    model: str
    hours: int
    bill_nusd: int
    busy_s: float
    prefill_s: float
    input_tokens: int
    output_tokens: int
    requests: int
    compared: int
    baseline_nusd: int

    @property
    def busy_share(self) -> float:
        """Of the hours; at most 1."""
        return min(self.busy_s / (self.hours * HOUR_S), 1.0) if self.hours else 0.0

    @property
    def usd_per_million(self) -> tuple[float | None, float | None]:
        """What a million tokens in, and out, really cost, idle time included; the bill is split as the busy time was."""
        if not self.busy_s:
            return None, None
        reading = self.bill_nusd * self.prefill_s / self.busy_s
        return _per_million(reading, self.input_tokens), _per_million(self.bill_nusd - reading, self.output_tokens)

    @property
    def break_even(self) -> float | None:
        """Requests a day, like those that came, from which on the machine is cheaper than the baseline; None if nothing tells."""
        if not self.hours or not self.compared or self.baseline_nusd <= 0:
            return None
        return (self.bill_nusd / self.hours * DAY_S / HOUR_S) / (self.baseline_nusd / self.compared)

    @property
    def requests_per_day(self) -> float:
        return self.requests / self.hours * DAY_S / HOUR_S if self.hours else 0.0

    def as_json(self) -> dict[str, Any]:
        """In dollars."""
        paid_in, paid_out = self.usd_per_million
        return {
            "model": self.model,
            "hours": self.hours,
            "bill_usd": self.bill_nusd / 1e9,
            "busy_share": self.busy_share,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "usd_per_million_input": paid_in,
            "usd_per_million_output": paid_out,
            "requests": self.requests,
            "requests_per_day": self.requests_per_day,
            "baseline_usd": self.baseline_nusd / 1e9 if self.compared else None,
            "break_even_requests_per_day": self.break_even,
        }


def machines(reader: LedgerReader, period: Period, now: float) -> list[Machine]:
    """Of the hours of the period that are settled; the dearest first. Raises OSError.

    An hour counts from the roll-ups as a whole when its begin is in the period.
    """
    during, values = Period(period.since, min(period.end(now), now - SETTLED_S + 1)).within("hour")
    paid = {
        row["model"]: row
        for row in reader.rows(
            f"SELECT model, count(DISTINCT hour) AS hours, sum(cost_nusd) AS cost FROM rollup "
            f"WHERE purpose = 'gpu' AND {during} GROUP BY 1",
            values,
        )
    }
    hours = f"SELECT DISTINCT model AS paid_model, hour AS paid_hour FROM rollup WHERE purpose = 'gpu' AND {during}"
    calls = reader.rows(
        f"""
        SELECT model, sum(cost_nusd) AS cost, sum(busy_s) AS busy_s, sum(prefill_s) AS prefill_s,
               sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
        FROM rollup_attempt JOIN ({hours}) AS paid ON paid_model = model AND paid_hour = hour GROUP BY 1
        """,
        values,
    )
    used = {row["model"]: row for row in calls}
    asked = reader.rows(
        f"""
        SELECT model, sum(requests) AS requests, sum(requests - not_comparable) AS compared,
               sum(comparable_baseline_nusd) AS baseline_nusd
        FROM rollup JOIN ({hours}) AS paid ON paid_model = model AND paid_hour = hour WHERE purpose = 'request' GROUP BY 1
        """,
        values,
    )
    answered = {row["model"]: row for row in asked}
    found = [_machine(row, used.get(model, {}), answered.get(model, {})) for model, row in paid.items()]
    return sorted(found, key=lambda machine: (-machine.bill_nusd, machine.model))


def _machine(paid: dict[str, Any], used: dict[str, Any], answered: dict[str, Any]) -> Machine:
    return Machine(
        model=paid["model"],
        hours=paid["hours"],
        bill_nusd=paid["cost"] + used.get("cost", 0),
        busy_s=used.get("busy_s", 0.0),
        prefill_s=used.get("prefill_s", 0.0),
        input_tokens=used.get("input_tokens", 0),
        output_tokens=used.get("output_tokens", 0),
        requests=answered.get("requests", 0),
        compared=answered.get("compared", 0),
        baseline_nusd=answered.get("baseline_nusd", 0),
    )


def _per_million(nusd: float, tokens: int) -> float | None:
    return nusd / 1e9 / tokens * 1e6 if tokens else None
