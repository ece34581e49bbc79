"""A model's breaker and its provider's, as one: what counts for which, and whose probe it is."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fault, UpstreamError
from gateway.health.breaker import Breaker
from gateway.health.model_breaker import ModelBreaker
from gateway.policy.failover import BreakerRule
from tests.health.clock import Clock

RULE = BreakerRule()


def fault(kind: Fault = "status", status: int | None = 500, retry_after_s: float | None = None) -> UpstreamError:
    return UpstreamError("no", fault=kind, status=status, retry_after_s=retry_after_s)


REFUSED = fault("connect", None)
BROKEN = fault()
LATE = fault("timeout", None)


def pair(clock: Clock) -> tuple[ModelBreaker, ModelBreaker]:
    """Two models of one provider."""
    provider = Breaker("provider p", clock)
    return ModelBreaker(Breaker("p/a", clock), provider), ModelBreaker(Breaker("p/b", clock), provider)


def fail(breaker: ModelBreaker, exc: UpstreamError, times: int = RULE.failures) -> None:
    for _ in range(times):
        breaker.failed(exc)


@pytest.mark.parametrize(
    "exc", [BROKEN, LATE, fault("cut", None), fault("empty", 200), fault(status=429, retry_after_s=9.0)], ids=str
)
def test_what_fails_at_one_model_leaves_its_neighbours_alone(exc: UpstreamError) -> None:
    a, b = pair(Clock())
    fail(a, exc)
    assert not a.admits()
    assert b.admits() and b.is_closed


@pytest.mark.parametrize("exc", [REFUSED, fault(status=401), fault(status=403)], ids=["connect", "401", "403"])
def test_what_fails_with_the_provider_shuts_all_its_models_out(exc: UpstreamError) -> None:
    a, b = pair(Clock())
    fail(a, exc, RULE.failures - 1)
    fail(b, exc, 1)
    assert not a.admits() and not b.admits(), "failures in a row, whichever model met them"
    assert (b.is_open, b.cooling_s, b.last_error) == (True, RULE.cooldown_s, exc.kind)


def test_an_answer_of_any_model_clears_the_provider() -> None:
    a, b = pair(Clock())
    fail(a, REFUSED, RULE.failures - 1)
    b.succeeded()
    fail(a, REFUSED, 1)
    assert b.admits()
    assert not a.admits(), "its own failures are in a row"


def test_one_probe_for_all_models_of_a_provider() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert b.admits() and b.is_probing
    assert not a.admits() and not b.admits()
    b.answers()
    assert b.admits() and not b.is_probing
    assert a.admits() and a.is_probing, "its own breaker is due for a probe of its own"


def test_a_probe_of_both_closes_both() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert a.admits() and a.is_probing
    assert not b.admits()
    a.answers()
    assert a.admits() and b.admits() and a.is_closed and b.is_closed


def test_a_model_that_still_cools_down_does_not_take_the_providers_probe() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, fault(status=429, retry_after_s=60.0), 1)
    fail(b, REFUSED)
    clock.now += RULE.cooldown_s
    assert not a.admits()
    assert b.admits() and b.is_probing


def test_a_failed_probe_doubles_the_providers_cooldown() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert b.admits()
    b.failed(REFUSED, is_probe=True)
    assert a.cooling_s == b.cooling_s == 2 * RULE.cooldown_s


def test_a_probe_that_is_late_says_that_the_provider_is_not_back() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert b.admits()
    b.failed(LATE, is_probe=True)
    assert not a.admits() and not b.admits()


def test_a_probe_that_meets_a_fault_of_the_model_only_says_that_the_provider_is_back() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert b.admits()
    b.failed(BROKEN, is_probe=True)
    assert a.provider.is_closed
    assert b.admits(), "one failure of its own"
    assert a.admits() and a.is_probing


@pytest.mark.parametrize("end", ["abandoned", "slow"])
def test_a_probe_given_back_is_there_for_the_next_call(end: str) -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert b.admits()
    b.abandoned() if end == "abandoned" else b.failed(fault("slow", None), is_probe=True)
    assert a.admits() and a.is_probing


def test_an_older_call_neither_ends_the_probe_of_another_model_nor_fails_it() -> None:
    clock = Clock()
    a, b = pair(clock)
    fail(a, REFUSED)
    clock.now += RULE.cooldown_s
    assert a.admits()
    fail(b, BROKEN, 1)
    b.abandoned()
    assert a.is_probing and not b.admits()


def test_a_wait_that_the_provider_asked_for_is_known_as_such() -> None:
    a, b = pair(Clock())
    fail(a, REFUSED)
    assert not a.waits_as_asked
    fail(a, fault(status=429, retry_after_s=20.0), 1)
    assert a.waits_as_asked and a.cooling_s == 20.0
    assert not b.waits_as_asked


# Leases.


def test_a_probe_that_another_replica_makes_is_given_back() -> None:
    clock = Clock()
    asked: list[list[str]] = []
    answers = [False, True]

    async def lease(breakers: Sequence[Breaker]) -> bool:
        asked.append([breaker.name for breaker in breakers])
        return answers.pop(0)

    async def scenario() -> None:
        breaker = ModelBreaker(Breaker("p/a", clock), Breaker("provider p", clock), lease)
        fail(breaker, REFUSED)
        clock.now += RULE.cooldown_s
        assert breaker.admits()
        assert not await breaker.leased()
        assert not breaker.is_probing
        assert breaker.admits()
        assert await breaker.leased()
        assert breaker.is_probing
        assert asked == [["p/a", "provider p"]] * 2

    asyncio.run(scenario())


def test_a_caller_that_leaves_while_the_lease_is_asked_for_gives_the_probe_back() -> None:
    clock = Clock()

    async def lease(breakers: Sequence[Breaker]) -> bool:
        await asyncio.sleep(3600)
        return True

    async def scenario() -> None:
        breaker = ModelBreaker(Breaker("p/a", clock), Breaker("provider p", clock), lease)
        fail(breaker, BROKEN)
        clock.now += RULE.cooldown_s
        assert breaker.admits()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await breaker.leased()
        assert breaker.admits()

    asyncio.run(scenario())


def test_alone_a_replica_need_not_ask() -> None:
    clock = Clock()
    a, _ = pair(clock)
    fail(a, BROKEN)
    clock.now += RULE.cooldown_s
    assert a.admits()
    assert asyncio.run(a.leased())


FAULTS = [REFUSED, BROKEN, LATE, fault(status=401), fault("slow", None), fault(status=429, retry_after_s=30.0)]


@given(
    st.lists(st.tuples(st.sampled_from(["ask", "fail", "answer", "succeed", "abandon", "wait"]), st.integers(0, 11)), max_size=60)
)
def test_whatever_happens_both_models_are_asked_again_in_the_end(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    models = pair(clock)
    asking: list[tuple[ModelBreaker, bool]] = []
    for what, number in steps:
        if what == "wait":
            clock.now += number
        elif what == "ask":
            model = models[number % 2]
            if model.admits():
                asking.append((model, model.is_probing))
                assert sum(is_probe for m, is_probe in asking if m is model) <= 1 or not model.provider.is_probing
        elif asking:
            model, is_probe = asking.pop(number % len(asking))
            if what == "fail":
                model.failed(FAULTS[number % len(FAULTS)], is_probe=is_probe)
            elif what == "succeed":
                model.succeeded()
            elif what == "answer" and is_probe:
                model.answers()
            elif is_probe:
                model.abandoned()
    for model, is_probe in asking:
        model.failed(BROKEN, is_probe=is_probe)
    clock.now += 1000
    for model in models:
        assert model.admits()
        model.succeeded()
    assert all(model.is_closed for model in models)
