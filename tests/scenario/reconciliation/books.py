"""Run cases through the whole gateway, in process, against the provider over HTTP, and compare the ledger with the invoice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from gateway.app import build_app
from gateway.edge.asgi import ASGIApp, Message
from gateway.ledger.base import Entry
from gateway.ledger.sqlite import SqliteLedger
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.pricing.tokens import VOCABULARIES, load
from gateway.settings import Settings
from tests.scenario.reconciliation.cases import Case, Deck
from tests.scenario.reconciliation.dialects import PATHS, Caller, body_for, costs_usd, has_content
from tests.scenario.reconciliation.provider import Line, Provider
from tests.scenario.reconciliation.sheet import CLAUDE, DEEP, NAMES, SHEETS, TOKEN_KINDS, Tokens
from tests.scripted_server import ScriptedServer

AT_A_TIME: Final = 48
_ASKED: Final = {CLAUDE: "anthropic", DEEP: "responses"}
IDS: Final = {name: model for model, name in NAMES.items()}

# Breakers stay closed: what is shown here is who pays for failures, not who is spared them.
_STEADY: Final = {"failures": 1000, "share": 1.0, "min_calls": 1_000_000}
_RETRY: Final = {"attempts": 2, "backoff": "5ms"}
_TAKEN_OVER: Final = {"model": "mini", "fallback": ["big"], "retry": {"attempts": 1}}
_WAYS: Final[dict[str, dict[str, Any]]] = {
    "falls-back": {"model": "mini", "fallback": ["claude", "big"]},
    "climbs": {"cascade": [{"model": "mini", "accept": {}}, {"model": "claude"}]},
    "hedges": {"model": "mini", "fallback": ["big"], "hedge": {"after": "30ms", "budget": 1.0, "tools": True}},
    "restarts": {**_TAKEN_OVER, "midstream": "restart"},
    "continues": {**_TAKEN_OVER, "midstream": "continue"},
    "keeps": {"model": "mini", "cache": {"mode": "exact", "ttl": "1h", "max_temperature": 2}},
}


def policy(url: str) -> str:
    """The policy under which the cases are asked."""
    models = {
        name: {"provider": _ASKED.get(model, "openai"), "id": model, "price": SHEETS[model].yaml()}
        for model, name in NAMES.items()
    }
    models["big"]["prefill"] = True
    at = {"base_url": f"{url}/v1", "api_key": "sk-none", "breaker": _STEADY}
    return yaml.safe_dump(
        {
            "version": 1,
            "providers": {
                "openai": {"kind": "openai", **at},
                "anthropic": {"kind": "anthropic", **at, "base_url": url},
                "responses": {"kind": "openai", "dialects": ["responses"], **at},
            },
            "models": models,
            "baseline": "big",
            # Nothing here is late: a busy machine must not be taken for a slow provider.
            "defaults": {"retry": _RETRY, "timeouts": {"connect": "30s", "first_token": "50s", "idle": "50s", "total": "55s"}},
            "routes": [
                *({"name": name, "when": {"model": name}, **way} for name, way in _WAYS.items()),
                {"name": "rest", "model": "mini"},
            ],
        },
        sort_keys=False,
    )


@dataclass
class Heard:
    """What a client got. status: None if it left before there was one. cost_usd: as it was told, None if it was not.

    is_told: whether a whole answer tells it, as all do but streams to those who did not ask for usage.
    """

    is_told: bool
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def cost_usd(self) -> float | None:
        if "x-turnout-cost-usd" in self.headers:
            return float(self.headers["x-turnout-cost-usd"])
        return next(reversed([*costs_usd(self.body)]), None)


@dataclass
class Books:
    """invoice: the provider's. entries: the ledger's, with the case that each is for and what its client heard. paid_nusd: what
    the ledger says was paid in all.
    """

    invoice: list[Line]
    entries: list[tuple[int, Entry, Heard]]
    paid_nusd: int

    def differences(self) -> list[str]:
        """Where the two do not agree, case by case and call by call."""
        billed: dict[int, Counter[tuple[str, Tokens, int]]] = defaultdict(Counter)
        booked: dict[int, Counter[tuple[str, Tokens, int]]] = defaultdict(Counter)
        for line in self.invoice:
            billed[line.case][line.model, line.tokens, line.nusd] += 1
        for case, entry, _ in self.entries:
            booked[case].update(_calls(entry))
        return [
            f"case {case}: billed {list((billed[case] - booked[case]).elements())}, "
            f"booked {list((booked[case] - billed[case]).elements())}"
            for case in sorted({*billed, *booked})
            if billed[case] != booked[case]
        ]

    def told_otherwise(self) -> list[str]:
        """The clients who were told another cost than what was booked as such, or none where there should have been one."""
        return [
            f"case {case}: told {heard.cost_usd!r}, booked {entry.cost_nusd}"
            for case, entry, heard in self.entries
            if heard.cost_usd is not None or (heard.is_told and entry.outcome == "ok")
            if heard.cost_usd is None or round(heard.cost_usd * 1e9) != entry.cost_nusd
        ]

    @property
    def billed_nusd(self) -> int:
        return sum(line.nusd for line in self.invoice)


def _calls(entry: Entry) -> list[tuple[str, Tokens, int]]:
    calls = []
    for attempt in entry.attempts:
        if attempt.usage is not None:
            assert attempt.cost_nusd is not None, "every model has a price"
            used = Tokens(**{kind: getattr(attempt.usage, kind) for kind in TOKEN_KINDS})
            calls.append((IDS[attempt.model], used, attempt.cost_nusd))
        else:
            assert attempt.cost_nusd == 0, "nothing was used and something was paid"
    return calls


async def keep_books(folder: Path, count: int, seed: int) -> Books:
    """Ask `count` requests, as the seed draws them, and read what both sides have written."""
    cases = Deck(seed).cases(count)
    provider = Provider(cases, seed)
    for name in VOCABULARIES:
        load(name)  # else the first cut answers are counted by their length, while a thread still reads it
    async with ScriptedServer(provider.reply) as server:
        (folder / "policy.yaml").write_text(policy(server.url))
        settings = Settings(policy=folder / "policy.yaml", data_dir=folder, ledger=folder / "ledger.db")
        heard = await _asked(settings, cases)
    assert not provider.problems, provider.problems
    return _books(settings, provider.invoice, heard)


async def _asked(settings: Settings, cases: Sequence[Case]) -> list[tuple[int, str, Heard]]:
    """(case, request id, what the client heard) of each request. Those who ask again do so when all others have been answered."""
    app = build_app(settings)
    heard: list[tuple[int, str, Heard]] = []
    room = asyncio.Semaphore(AT_A_TIME)

    async def ask(case: Case, caller: Caller, request_id: str) -> None:
        async with room:
            heard.append((case.number, request_id, await _ask(app, case, caller, request_id)))

    async with app.lifespan():
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(ask(case, case.callers[0], f"case-{case.number}"))
        async with asyncio.TaskGroup() as group:
            for case in cases:
                for caller in case.callers[1:]:
                    group.create_task(ask(case, caller, f"case-{case.number}-{caller}"))
    return heard


async def _ask(app: ASGIApp, case: Case, caller: Caller, request_id: str) -> Heard:
    path, body = PATHS[caller], body_for(caller, case.body)
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
    if case.route is not None:
        headers.append((b"x-turnout-route", case.route.encode()))
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"", "http_version": "1.1"}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "raw_path": path.encode()}
    heard, given = (
        Heard(not case.is_stream or "stream_options" in body or caller in ("messages", "responses")),
        [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}],
    )
    rest = b""

    async def receive() -> Message:
        if given:
            return given.pop()
        await case.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal rest
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        data = message.get("body", b"")
        heard.body += data
        if case.is_stream and heard.status == 200:
            *events, rest = (rest + data).split(b"\n\n")
            case.hear(sum(has_content(event) for event in events))

    await app(scope, receive, send)
    return heard


def _books(settings: Settings, invoice: list[Line], heard: Sequence[tuple[int, str, Heard]]) -> Books:
    ledger = SqliteLedger(settings.ledger)
    try:
        found = [(case, ledger.find(request_id), got) for case, request_id, got in heard]
    finally:
        ledger.close()
    entries = [(case, entry, got) for case, entry, got in found if entry is not None]
    assert len(entries) == len(heard), "a request is not in the ledger"
    reader = SqliteReader(settings.ledger)
    try:
        paid = reader.rows("SELECT sum(cost_nusd) + sum(overhead_nusd) AS nusd FROM entry")[0]["nusd"]
    finally:
        reader.close()
    return Books(invoice, entries, paid)
