"""A month of traffic as the ledger gets it: applications with keys, prompts and habits of their own. Always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.usage import Usage

DAYS = 30
APPS = 40
TEAMS = ("search", "support", "sales", "research", "platform")
ROUTES = {"easy": "small", "escalate": "strong", "doubtful": "small", "tools": "strong", "private": "own", "bulk": "own"}
PUSD = {
    "small": (150_000, 600_000),
    "strong": (2_000_000, 8_000_000),
    "backup": (3_000_000, 15_000_000),
    "own": (50_000, 200_000),
}
PROVIDERS = {"small": "openai", "strong": "openai", "backup": "anthropic", "own": "rack"}
OWN_NUSD_PER_S = 600_000  # of a machine at about two dollars an hour


@dataclass(frozen=True)
class App:
    """One application: a key, its team, the prompts it uses and where they go."""

    key: str
    team: str
    prompts: tuple[tuple[str, str], ...]  # the prompt's id, and its route
    weight: float


def entries(count: int, until: float, seed: int = 1) -> Iterator[Entry]:
    """So many in the DAYS before `until` (seconds since 1970), in order of time."""
    chance = random.Random(seed)
    apps = [_app(n, chance) for n in range(APPS)]
    weights = [app.weight for app in apps]
    length_s = DAYS * 86_400
    for n, app in enumerate(chance.choices(apps, weights, k=count)):
        yield _entry(n, until - length_s + length_s * n / count, app, chance)


def _app(number: int, chance: random.Random) -> App:
    routes = chance.sample(list(ROUTES), k=2)
    prompts = tuple((f"t-{chance.getrandbits(64):016x}", chance.choice(routes)) for _ in range(chance.randint(1, 5)))
    return App(f"app-{number}", TEAMS[number % len(TEAMS)], prompts, 1.0 / (1 + number))  # Zipf: few have most of it


def _entry(number: int, at: float, app: App, chance: random.Random) -> Entry:
    prompt_id, route = chance.choice(app.prompts)
    usage = Usage(input=chance.randint(50, 4_000), output=chance.randint(5, 800))
    entry = Entry(
        request_id=f"req-{number:08d}-{chance.getrandbits(48):012x}",
        at=at,
        dialect="openai_chat",
        requested_model="auto",
        stream=chance.random() < 0.6,
        key=app.key,
        policy_hash="5f3a9c1d",
        draw=chance.random(),
        team=app.team,
        tags={"app": app.key, "feature": f"f{number % 7}"},
        session=f"s-{chance.getrandbits(32):08x}" if chance.random() < 0.3 else None,
        route=route,
        decided_by=f"route:{route}",
        scores={"class_small": chance.random(), "class_strong": chance.random(), "confidence": chance.random()},
        prompt_id=prompt_id if chance.random() < 0.8 else None,
        overhead_ms=2.0,
        baseline_nusd=_priced("strong", usage),
    )
    luck = chance.random()
    if luck < 0.12:
        entry.cache, entry.cache_entry = ("hit-exact" if luck < 0.06 else "hit-semantic"), f"c-{number % 5000}"
        entry.usage, entry.duration_ms = usage, 4.0
    else:
        _ask(entry, ROUTES[route], usage, luck, chance)
    return entry


def _ask(entry: Entry, model: str, usage: Usage, luck: float, chance: random.Random) -> None:
    entry.cache = "miss"
    if luck > 0.95:  # the first try failed
        entry.attempts.append(
            Attempt(PROVIDERS[model], model, "error", 503, duration_ms=120.0, error="overloaded", fault="status")
        )
        model = "backup"
    busy_s = usage.input / 20_000 + usage.output / 900
    entry.attempts.append(
        Attempt(
            PROVIDERS[model],
            model,
            status=200,
            ttft_ms=chance.uniform(80, 900),
            duration_ms=chance.uniform(900, 9_000),
            busy_s=busy_s,
            prefill_s=usage.input / 20_000,
            usage=usage,
            cost_nusd=round(OWN_NUSD_PER_S * busy_s) if model == "own" else _priced(model, usage),
        )
    )
    answering = entry.attempts[-1]
    entry.model, entry.provider, entry.usage = model, answering.provider, usage
    entry.ttft_ms, entry.duration_ms, entry.cost_nusd = answering.ttft_ms, answering.duration_ms, answering.cost_nusd


def _priced(model: str, usage: Usage) -> int:
    into, out = PUSD[model]
    return (usage.input * into + usage.output * out + 500) // 1000
