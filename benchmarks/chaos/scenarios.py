"""What happens in each scenario, and how each contender is set up for it. Seconds at scale 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.chaos.contender import litellm_router, turnout, upstream
from benchmarks.chaos.load import Load
from benchmarks.chaos.run import Start
from benchmarks.chaos.script import Kind, Phase
from benchmarks.server import Server

COOLDOWN_S = 1
TURNOUT = "Turnout"
LITELLM = "LiteLLM Router"
PLAIN = "Turnout without it"
"""The same policy without the feature that the scenario is about."""


@dataclass(frozen=True)
class Contender:
    """rate: questions a second, where it does not bear the scenario's: one process of it would have no core left."""

    start: Start
    rate: float | None = None


@dataclass(frozen=True)
class Scenario:
    """phases: by target, in the order in which a route prefers them. contenders: who is put through it, by name."""

    name: str
    load: Load
    phases: dict[str, list[Phase]]
    contenders: dict[str, Contender]

    def load_of(self, contender: str) -> Load:
        rate = self.contenders[contender].rate
        return self.load if rate is None else msgspec.structs.replace(self.load, rate=rate)

    def scaled(self, factor: float) -> Scenario:
        """The same, with everything that happens lasting so many times as long."""
        replace = msgspec.structs.replace
        phases = {name: [replace(p, until_s=p.until_s * factor) for p in phases] for name, phases in self.phases.items()}
        load = replace(self.load, seconds=self.load.seconds * factor)
        return Scenario(self.name, load, phases, self.contenders)


def outage() -> Scenario:
    """Three targets. First a is down and b fails at 30 %, then a fails at 30 % and b is down; c works."""

    def first(kind: Kind, error_share: float = 0.0) -> Phase:
        return Phase(75, kind, error_share=error_share)

    def then(kind: Kind, error_share: float = 0.0) -> Phase:
        return Phase(125, kind, error_share=error_share)

    before, after = Phase(25), Phase(150)
    phases = {
        "a": [before, first("down"), then("errors", 0.3), after],
        "b": [before, first("errors", 0.3), then("down"), after],
        "c": [after],
    }
    contenders = {
        TURNOUT: Contender(_turnout({"model": "a", "fallback": ["b", "c"], "midstream": "continue"})),
        LITELLM: Contender(_litellm(num_retries=3), rate=6),
    }
    # So many that none failed says 99.95 %, with 95 % confidence.
    return Scenario("outage", Load(rate=40, seconds=150), phases, contenders)


def spike() -> Scenario:
    """The first target takes ten times as long as usual for the first token, for a while."""
    ttft_s = 0.06
    spread = 0.35  # one healthy answer in forty is over 2x normal: a guard that takes fright at one is seen to
    phases = {
        "a": [Phase(8, "healthy", ttft_s, spread), Phase(32, "slow", 10 * ttft_s, spread), Phase(40, "healthy", ttft_s, spread)],
        "b": [Phase(40, "healthy", 2 * ttft_s, 0.2)],
    }
    guard = {"ttft": ">2x normal", "for": "5s", "then": "b"}
    strategy = {"routing_strategy": "latency-based-routing", "routing_strategy_args": {"ttl": 10}}
    contenders = {
        TURNOUT: Contender(_turnout({"model": "a", "fallback": ["b"], "latency_guard": guard})),
        LITELLM: Contender(_litellm(num_retries=3, ordered=False, **strategy), rate=6),
    }
    return Scenario("spike", Load(rate=40, seconds=40, stream_share=1.0), phases, contenders)


def tail() -> Scenario:
    """The first target's time to the first token has a long tail; hedging cuts it."""
    phases = {"a": [Phase(20, ttft_s=0.05, spread=1.4)], "b": [Phase(20, ttft_s=0.06, spread=0.5)]}
    route = {"model": "a", "fallback": ["b"]}
    contenders = {
        TURNOUT: Contender(_turnout({**route, "hedge": {"after": "p95", "budget": 0.05}}, first_token="10s")),
        PLAIN: Contender(_turnout(route, first_token="10s")),
    }
    return Scenario("tail", Load(rate=40, seconds=20, stream_share=0.75), phases, contenders)


def drip() -> Scenario:
    """One in ten answers of the first target drips, a word a second."""
    phases = {"a": [Phase(8, "slow", drip_share=0.1, drip_gap_s=1.0)], "b": [Phase(8)]}
    route = {"model": "a", "fallback": ["b"]}
    contenders = {
        TURNOUT: Contender(_turnout({**route, "min_tokens_per_second": 5}, idle="2s")),
        PLAIN: Contender(_turnout(route, idle="2s")),
    }
    return Scenario("drip", Load(rate=20, seconds=8, stream_share=1.0), phases, contenders)


SCENARIOS = {"outage": outage, "spike": spike, "tail": tail, "drip": drip}


def _turnout(route: Mapping[str, Any], *, first_token: str = "1s", idle: str = "1s") -> Start:
    def start(folder: Path, ports: Mapping[str, int]) -> Server:
        breaker = {"cooldown": f"{COOLDOWN_S}s"}
        provider = {"kind": "openai", "api_key": "sk-chaos", "breaker": breaker}
        providers = {name: {**provider, "base_url": upstream(port)} for name, port in ports.items()}
        price = {"input": 1.0, "output": 4.0}
        models = {name: {"provider": name, "id": f"chaos-{name}", "price": price, "prefill": True} for name in ports}
        timeouts = {"connect": "500ms", "first_token": first_token, "idle": idle, "total": "12s"}
        return turnout(
            folder,
            {
                "version": 1,
                "providers": providers,
                "models": models,
                "baseline": next(iter(ports)),
                "defaults": {"timeouts": timeouts, "retry": {"attempts": 2, "backoff": "100ms"}},
                "routes": [{"name": "chat", **route}],
            },
        )

    return start


def _litellm(*, ordered: bool = True, **options: Any) -> Start:
    def start(folder: Path, ports: Mapping[str, int]) -> Server:
        models = []
        for order, (name, port) in enumerate(ports.items(), 1):
            params = {"model": f"openai/chaos-{name}", "api_base": upstream(port), "api_key": "sk-chaos"}
            models.append({"model_name": "chat", "litellm_params": {**params, "order": order} if ordered else params})
        limits = {"timeout": 6, "stream_timeout": 1, "cooldown_time": COOLDOWN_S, "allowed_fails": 3}
        return litellm_router(folder, {"model_list": models, **limits, **options})

    return start
