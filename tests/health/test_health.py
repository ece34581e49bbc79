"""What is known of each model: kept by what makes its adapter, told as load and as gauges."""

import pytest

from gateway.errors import UpstreamError
from gateway.health.gauges import gauges
from gateway.health.model import Health
from gateway.policy.failover import BreakerRule, Capacity, GuardRule
from tests.health.clock import Clock

DOWN = UpstreamError("no", fault="connect")


def test_health_is_kept_by_what_makes_the_adapter_and_forgotten_with_it() -> None:
    health = Health(Clock())
    first = health.of(("openai", "https://one", "gpt"), "openai/gpt")
    assert health.of(("openai", "https://one", "gpt"), "openai/gpt") is first
    assert health.of(("openai", "https://two", "gpt"), "openai/gpt") is not first
    health.forget(("openai", "https://one", "gpt"))
    assert health.of(("openai", "https://one", "gpt"), "openai/gpt") is not first


def test_models_of_a_provider_share_its_breaker_and_its_places() -> None:
    health = Health(Clock())
    rule, capacity = BreakerRule(failures=1), Capacity(1)
    a = health.of("a", "p/a", health.provider("p", "provider p", rule, capacity), rule)
    b = health.of("b", "p/b", health.provider("p", "provider p", rule, capacity), rule)
    other = health.of("c", "q/c", health.provider("q", "provider q", rule, capacity), rule)
    assert a.provider is b.provider is not other.provider
    a.breaker.failed(DOWN)
    assert not b.breaker.admits() and other.breaker.admits()


def test_a_reload_changes_the_rules_and_forgets_nothing() -> None:
    clock = Clock()
    health = Health(clock)
    a = health.of("a", "p/a", health.provider("p", "provider p", BreakerRule(), Capacity()), BreakerRule(), Capacity())
    a.breaker.failed(DOWN)
    a.breaker.failed(DOWN)
    assert not a.is_bounded
    rule = BreakerRule(cooldown_s=2.0)
    again = health.of("a", "p/a", health.provider("p", "provider p", rule, Capacity(7)), rule, Capacity(3))
    assert again is a and a.is_bounded
    a.breaker.failed(DOWN)
    assert a.breaker.cooling_s == 2.0
    assert health.of("a", "p/a").is_bounded, "who only looks changes nothing"


def test_what_replicas_know_a_breaker_by_tells_no_credentials_and_differs_with_them() -> None:
    names = set()
    for key in ("sk-one", "sk-two"):
        model = Health(Clock()).of(("p", key, "gpt"), "p/gpt")
        again = Health(Clock()).of(("p", key, "gpt"), "p/gpt")
        shared = [part.shared_as for part in model.breaker.parts]
        assert shared == [part.shared_as for part in again.breaker.parts]
        assert not any(key in name for name in shared)
        names.update(shared)
    assert len(names) == 4


def test_load_is_the_latency_times_the_calls_in_flight() -> None:
    model = Health(Clock()).of("a", "p/a")
    assert model.load == 0.0
    model.pace.answered(100, True, 0.5)
    assert model.load == pytest.approx(0.5)
    started = [model.busy.start(100.0) for _ in range(3)]
    assert model.load == pytest.approx(2.0)
    model.busy.stop(started[0], 100.0)
    assert model.load == pytest.approx(1.5)


def test_a_model_that_fails_quickly_does_not_look_quick() -> None:
    health = Health(Clock())
    failing, slow = health.of("a", "p/a", rule=BreakerRule(failures=1000, share=1.0)), health.of("b", "p/b")
    for n in range(20):
        slow.pace.answered(100, True, 0.5)
        slow.breaker.succeeded()
        if n % 4 == 0:
            failing.pace.answered(100, True, 0.2)
            failing.breaker.succeeded()
        else:
            failing.breaker.failed(UpstreamError("no", fault="status", status=500))
    assert failing.load == pytest.approx(0.8) and slow.load == pytest.approx(0.5)


def test_one_guard_for_a_model_and_a_rule_wherever_it_sends_requests() -> None:
    health = Health(Clock())
    a, b = health.of("a", "p/a"), health.of("b", "p/b")
    guard = a.guard(GuardRule("x", ratio=2.0))
    assert a.guard(GuardRule("y", ratio=2.0)) is guard
    assert a.guard(GuardRule("x", ratio=3.0)) is not guard
    assert b.guard(GuardRule("x", ratio=2.0)) is not guard


def test_gauges_tell_how_models_do_just_now() -> None:
    clock = Clock()
    health = Health(clock)
    rule = GuardRule("b", ttft_s=1.0)
    provider = health.provider("p", "provider p", BreakerRule(), Capacity(1, 5, 5.0))
    a, b = health.of("a", "p/a", provider), health.of("b", "p/b", provider)
    models = [("a", "p", a), ("also-a", "p", a), ("b", "p", b)]
    a.busy.start(100.0)
    for _ in range(6):
        a.guard(rule).noted(1.0, 100, True, is_over=False)
    for _ in range(3):
        b.breaker.failed(UpstreamError("no", fault="status", status=500))
    for _ in range(100):
        b.pace.spoke(80, 2.0)
    speeds = gauges(models, [rule])["turnout_output_tokens_per_second"]
    assert speeds == {"b": pytest.approx(40.0, rel=0.05)}
    assert gauges(models, [rule]) == {
        "turnout_breaker_open": {"a": 0.0, "also-a": 0.0, "b": 1.0},
        "turnout_latency_guard": {"a": 1.0, "also-a": 1.0, "b": 0.0},
        "turnout_in_flight": {"a": 1.0, "also-a": 1.0, "b": 0.0},
        "turnout_output_tokens_per_second": speeds,
        "turnout_queue_waiting": {"p": 0.0},
    }
    assert gauges(models, [GuardRule("b", ttft_s=2.0)])["turnout_latency_guard"]["a"] == 0.0
    clock.now += 60
    assert gauges(models, [rule])["turnout_breaker_open"]["b"] == 1.0, "until a probe is answered"


def test_one_that_has_not_answered_yet_is_tried_by_one_call_at_a_time_and_not_while_it_fails() -> None:
    health = Health(Clock())
    new, known = health.of("a", "p/a"), health.of("b", "p/b")
    known.pace.answered(100, True, 0.5)
    assert new.load < known.load
    started = new.busy.start(100.0)
    assert new.load > known.load
    new.busy.stop(started, 100.0)
    assert new.load < known.load
    new.breaker.failed(DOWN)
    assert new.load > known.load
