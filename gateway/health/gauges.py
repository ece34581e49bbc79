"""How the models do just now, as gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.health.model import ModelHealth
from gateway.policy.failover import GuardRule

Gauges = dict[str, dict[str, float]]
"""By name of the gauge, then by its one label."""


def gauges(models: Iterable[tuple[str, str, ModelHealth]], rules: Iterable[GuardRule]) -> Gauges:
    """What to tell of each (model, provider, state). rules: of the latency guards that there are."""
    guards = tuple(rules)
    breakers, slow, running = dict[str, float](), dict[str, float](), dict[str, float]()
    speeds = dict[str, float]()
    waiting: dict[str, dict[int, int]] = {}
    for name, provider, health in models:
        breakers[name] = float(not health.breaker.is_closed)
        slow[name] = float(health.is_slow(guards))
        running[name] = float(health.busy.running)
        if health.pace.tokens_per_s is not None:
            speeds[name] = health.pace.tokens_per_s
        # By gate: two names of one model share its gate, and all models their provider's.
        for gate in (health.gate, health.provider.gate):
            waiting.setdefault(provider, {})[id(gate)] = gate.waiting
    return {
        "turnout_breaker_open": breakers,
        "turnout_latency_guard": slow,
        "turnout_in_flight": running,
        "turnout_output_tokens_per_second": speeds,
        "turnout_queue_waiting": {provider: float(sum(gates.values())) for provider, gates in waiting.items()},
    }
