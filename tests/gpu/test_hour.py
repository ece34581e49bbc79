"""One hour's bill over those who used the machine: always the whole bill, whoever comes in which order."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.gpu.hour import IDLE, PaidHour, divided, opened_by
from gateway.ledger.base import Entry, GpuUse

PAID = PaidHour("own", "rack", 7200, bill_nusd=1_000, policy_hash="p1")
ROUTES = st.sampled_from([None, "easy", "hard"])
KEYS = st.sampled_from(["app", "batch", IDLE])
TEAMS = st.sampled_from([None, "red"])


def use(key: str, busy_s: float, cost: int = 0, route: str | None = "easy", team: str | None = None) -> GpuUse:
    return GpuUse(route, key, team, busy_s, busy_s / 2, 100, 10, cost)


def charged(entries: list[Entry]) -> dict[str, int | None]:
    return {entry.key: entry.cost_nusd for entry in entries}


def test_idle_time_goes_with_what_was_used() -> None:
    assert charged(PAID.differences([use("app", 30.0), use("batch", 90.0)])) == {"app": 250, "batch": 750}


def test_what_was_charged_already_is_taken_off() -> None:
    assert charged(PAID.differences([use("app", 30.0, cost=25), use("batch", 90.0, cost=750)])) == {"app": 225}


def test_who_was_charged_too_much_gets_it_back() -> None:
    """Given speeds may be too slow, and several gateways that measure apart find the machine busier than it was."""
    assert charged(PAID.differences([use("app", 30.0, cost=900), use("batch", 90.0, cost=900)])) == {"app": -650, "batch": -150}


def test_an_hour_that_nobody_used_is_paid_for_as_well() -> None:
    (entry,) = PAID.differences([])
    assert (entry.key, entry.route, entry.team, entry.cost_nusd) == (IDLE, None, None, 1_000)
    assert (entry.purpose, entry.at, entry.model, entry.provider, entry.baseline_nusd) == ("gpu", 7200.0, "own", "rack", 0)


def test_a_late_attempt_takes_over_what_was_nobodys() -> None:
    settled = use(IDLE, 0.0, cost=1_000, route=None)
    assert charged(PAID.differences([settled, use("app", 2.0, cost=5)])) == {IDLE: -1_000, "app": 995}


def test_nothing_is_written_twice() -> None:
    assert PAID.differences([use("app", 30.0, cost=250), use("batch", 90.0, cost=750)]) == []


def test_the_opening_is_the_same_from_every_process_and_tells_the_bill() -> None:
    opening = PAID.opening()
    assert opening.uid == PAID.opening().uid
    assert opening.uid is not None and len(opening.uid) == 32
    others = [PaidHour("own", "rack", 10_800, 1_000, "p1"), PaidHour("other", "rack", 7200, 1_000, "p1")]
    assert len({opening.uid, *(hour.opening().uid for hour in others)}) == 3
    assert (opening.cost_nusd, opening.key) == (0, IDLE)
    assert opened_by(opening) == PAID
    assert all(opened_by(entry) == PAID for entry in PAID.differences([]))


def test_a_callers_entry_opens_no_hour() -> None:
    entry = PAID.opening()
    entry.purpose = "request"
    assert opened_by(entry) is None


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**13), min_size=1, max_size=30).filter(any))
def test_parts_add_up_and_are_off_by_less_than_one(whole: int, weights: list[int]) -> None:
    parts = divided(whole, weights)
    assert sum(parts) == whole
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - whole * weight) < sum(weights)
        assert weight > 0 or part == 0


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    assert divided(1, [1, 2]) == [0, 1]
    assert divided(10, [7, 9, 4]) == [4, 4, 2], "3.5, 4.5 and 2: among equals the first"


USES = st.lists(
    st.builds(
        GpuUse,
        ROUTES,
        KEYS,
        TEAMS,
        st.floats(0, 4000, allow_nan=False),
        st.just(0.0),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.integers(-(10**12), 10**12),
    ),
    max_size=12,
    unique_by=lambda use: (use.route, use.key, use.team),
)


@given(st.integers(0, 10**12), USES)
def test_all_that_is_booked_is_the_bill(bill: int, uses: list[GpuUse]) -> None:
    entries = PaidHour("own", "rack", 0, bill, "p").differences(uses)
    assert sum(use.cost_nusd for use in uses) + sum(entry.cost_nusd or 0 for entry in entries) == bill
    groups = [(entry.route, entry.key, entry.team) for entry in entries]
    assert len(set(groups)) == len(groups)
    assert all(entry.cost_nusd for entry in entries)


@given(st.integers(0, 10**12), USES, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(bill: int, uses: list[GpuUse], chance: object) -> None:
    paid = PaidHour("own", "rack", 0, bill, "p")
    mixed = sorted(uses, key=lambda _: chance.random())  # type: ignore[attr-defined]

    def told(of: list[GpuUse]) -> list[tuple[str | None, str, str | None, int | None]]:
        return [(e.route, e.key, e.team, e.cost_nusd) for e in paid.differences(of)]

    assert told(uses) == told(mixed)
