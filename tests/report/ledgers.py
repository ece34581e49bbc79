"""Random ledgers for reports."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry, Feedback, Record
from gateway.usage import Usage
from tests.ledger.entries import entry

BEGIN = 1_696_000_000.0  # two days around the end of September 2023, so that there are two months
LASTS_S = 2 * 86_400

money = st.integers(0, 10**12)
calls = st.builds(
    lambda model, cost, outcome: Attempt(f"p-{model}", model, outcome=outcome, usage=Usage(1, 1), cost_nusd=cost, busy_s=0.5),
    st.sampled_from(["a", "b", "c"]),
    st.none() | money,
    st.sampled_from(["ok", "error", "lost_hedge"]),
)


@st.composite
def records(draw: Any, count: int = 8) -> list[Record]:
    """Entries of all kinds with feedback on some of them, as bookings leave them."""
    found: list[Record] = []
    for i in range(draw(st.integers(0, count))):
        attempts = draw(st.lists(calls, max_size=3))
        last = attempts[-1] if attempts else None
        paid = [a.cost_nusd for a in attempts if a.outcome != "lost_hedge"]
        lost = sum(a.cost_nusd or 0 for a in attempts if a.outcome == "lost_hedge")
        one: Entry = entry(
            f"r-{i % 5}",
            at=draw(st.floats(BEGIN, BEGIN + LASTS_S)),
            route=draw(st.sampled_from(["x", "y", None])),
            key=draw(st.sampled_from(["k", "l"])),
            team=draw(st.sampled_from(["t", None])),
            tags=draw(st.sampled_from([{}, {"app": "ide"}, {"app": "bot", "x": "1"}])),
            prompt_id=draw(st.sampled_from(["p-1", "t-2", None])),
            cache="bypass" if last else draw(st.sampled_from(["hit-exact", "hit-semantic", "miss"])),
            outcome=draw(st.sampled_from(["ok", "error", "cancelled"])),
            usage=draw(st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9))),
            model=last.model if last else None,
            provider=last.provider if last else None,
            attempts=attempts,
            cost_nusd=None if None in paid else sum(nusd or 0 for nusd in paid),
            baseline_nusd=draw(st.none() | money),
            overhead_nusd=draw(money) + lost,
            purpose=draw(st.sampled_from(["request", "request", "audit", "refresh"])),
            verdict=draw(st.sampled_from([None, "right", "wrong"])),
        )
        found.append(one)
        if draw(st.booleans()):
            said = draw(st.sampled_from([-1.0, 0.0, 1.0]))
            found.append(Feedback(one.request_id, one.at + 1, said, entry=draw(st.sampled_from([one.uid, None]))))
    return found


periods = st.tuples(st.floats(BEGIN - 9_000, BEGIN + LASTS_S), st.none() | st.floats(60, LASTS_S))
