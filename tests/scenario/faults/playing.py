"""Play cells through one running gateway, many at a time, and see what came of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.live_gateway import LiveGateway
from tests.scenario.faults.cells import DEFAULTS, LEFT, NATIVE, TRIES, Cell, Story, Timeouts
from tests.scenario.faults.heard import PRICE, attempted, heard, miscounted
from tests.scenario.faults.matrix import KINDS, Kind
from tests.scenario.faults.outcomes import Leaves
from tests.scenario.faults.provider import FaultyProvider
from tests.scenario.faults.wires import ANSWER

AT_ONCE = 24
QUESTION = "May the train go?"
SPARES: Mapping[str, Kind] = {"spare": "openai", **{f"spare-{kind}": kind for kind in NATIVE.values()}}
CLOSED_S = 5.0
PATIENCE_S = 40.0  # whatever takes longer hangs
WARM_S = 120  # litellm's import, on a machine that is busy with all else


@dataclass(frozen=True)
class Seen:
    """What came of a cell. open: requests whose connection was still open CLOSED_S later. miscounted: what is wrong with the
    money, in words."""

    story: Story
    took_s: float
    open: Sequence[int]
    miscounted: Sequence[str]


def play(cells: Sequence[Cell], folder: Path) -> tuple[dict[str, Seen], int]:
    """What came of each cell, by its id; and how many TLS handshakes that never ended were left open."""

    async def scenario() -> tuple[dict[str, Seen], int]:
        # Shuffled, always in the same way: else the heaviest, or those that only wait, come all at once.
        by_id = {cell.id: cell for cell in sorted(cells, key=lambda cell: zlib.crc32(cell.id.encode()))}
        room = asyncio.Semaphore(AT_ONCE)
        async with FaultyProvider(by_id) as provider, asyncio.timeout(10 * PATIENCE_S):
            with LiveGateway(folder, policy(cells, provider)) as gateway:
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
                async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S, limits=limits) as client:
                    await _warm_up(client, {cell.kind for cell in cells})
                    players = [Player(cell, client, provider) for cell in by_id.values()]
                    seen = await asyncio.gather(*(player.play(room) for player in players))
                return dict(zip(by_id, seen, strict=True)), provider.silent_tls.open

    return asyncio.run(scenario())


async def _warm_up(client: httpx.AsyncClient, kinds: set[Kind]) -> None:
    """One answer of each kind of provider: litellm is imported at the first call, for seconds."""
    for kind in sorted(kinds):
        response = await client.post("/v1/chat/completions", json=_chat(f"try-warm-{kind}", is_stream=False), timeout=WARM_S)
        assert response.status_code == 200, response.text


def policy(cells: Sequence[Cell], provider: FaultyProvider) -> str:
    """A policy with a provider, a model and a route for each cell, so that breakers know nothing of other cells."""
    providers: dict[str, Any] = {name: _provider(kind, provider.base_url(kind, name)) for name, kind in SPARES.items()}
    models: dict[str, Any] = {name: {"provider": name, "id": "spare", "price": PRICE} for name in SPARES}
    routes: list[dict[str, Any]] = []

    def add(name: str, kind: Kind, base_url: str, **route: Any) -> None:
        providers[name] = _provider(kind, base_url)
        models[name] = {"provider": name, "id": "m-1", "price": PRICE}
        routes.append({"name": name, "when": {"model": f"try-{name}"}, "model": name, **route})

    for kind in KINDS:
        add(
            f"warm-{kind}",
            kind,
            provider.base_url(kind, "warm"),
            timeouts={name: f"{WARM_S}s" for name in ("first_token", "total")},
        )
    for cell in cells:
        fallback = [cell.spare] if cell.has_fallback else []
        add(cell.id, cell.kind, provider.address(cell), fallback=fallback, timeouts=_timeouts(cell.timeouts))
    defaults = {"timeouts": _timeouts(DEFAULTS), "retry": {"attempts": TRIES, "backoff": "20ms"}}
    rest = {"name": "rest", "answer": {"static": "no such cell"}}
    made = {"version": 1, "providers": providers, "models": models, "defaults": defaults, "routes": [*routes, rest]}
    return json.dumps(made)  # which is YAML


def _provider(kind: Kind, base_url: str) -> dict[str, Any]:
    if kind in ("openai", "anthropic"):
        return {"kind": kind, "base_url": base_url, "api_key": "sk-test"}
    if kind == "responses":
        return {"kind": "openai", "dialects": ["responses"], "base_url": base_url, "api_key": "sk-test"}
    vendor = "openai" if kind == "litellm" else "anthropic"
    return {"kind": "litellm", "litellm_provider": vendor, "base_url": base_url, "api_key": "sk-test"}


def _timeouts(timeouts: Timeouts) -> dict[str, str]:
    return {name: f"{round(value * 1000)}ms" for name, value in vars(timeouts).items()}


def _chat(model: str, *, is_stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": is_stream}


def _asked(cell: Cell) -> tuple[str, dict[str, Any]]:
    """Where the cell's caller posts what."""
    if cell.dialect == "embeddings":
        return "/v1/embeddings", {"model": cell.id, "input": QUESTION}
    chat = _chat(f"try-{cell.id}", is_stream=cell.mode == "stream")
    if cell.dialect == "messages":
        return "/v1/messages", {**chat, "max_tokens": 64}
    if cell.dialect == "responses":
        return "/v1/responses", {"model": chat["model"], "input": QUESTION, "stream": chat["stream"]}
    return "/v1/chat/completions", chat


class Player:
    """One cell: asks, waits for what the ledger has, and sees to it that the provider was let go of."""

    def __init__(self, cell: Cell, client: httpx.AsyncClient, provider: FaultyProvider) -> None:
        self._cell, self._client, self._provider = cell, client, provider

    async def play(self, room: asyncio.Semaphore) -> Seen:
        """What came of the cell, once there is room for it."""
        async with room:
            began = time.monotonic()
            said = await self._ask()
            took_s = time.monotonic() - began
            still_open = [i for i in self._provider.asked(self._cell) if not await self._is_closed(i)]
            entry = await self._entry()
        story = Story(said, tuple(attempted(attempt) for attempt in entry["attempts"]), entry["outcome"], entry["status"])
        return Seen(story, took_s, still_open, list(miscounted(entry)))

    async def _ask(self) -> str:
        if not isinstance(self._cell.outcome, Leaves):
            response = await self._client.send(self._request())
            try:
                return heard(self._cell.dialect, response)
            except AssertionError as exc:
                return f"not what its dialect has: {exc}"  # the other cells are played all the same
        if self._cell.outcome.has_content and self._cell.mode == "stream":
            await self._leave_reading()
        else:
            await self._leave_waiting()
        return LEFT

    def _request(self) -> httpx.Request:
        path, body = _asked(self._cell)
        headers = {"x-request-id": self._cell.id}
        if self._cell.dialect != "embeddings":
            headers["x-turnout-route"] = self._cell.id  # else every route before it is tried
        return self._client.build_request("POST", path, json=body, headers=headers)

    async def _leave_reading(self) -> None:
        """Go away when the first words are here."""
        response = await self._client.send(self._request(), stream=True)
        came = ""
        async for text in response.aiter_text():
            came += text
            if ANSWER[0] in came:
                break
        await response.aclose()

    async def _leave_waiting(self) -> None:
        """Go away when the provider has the request."""
        asking = asyncio.create_task(self._client.send(self._request()))
        async with asyncio.timeout(PATIENCE_S):
            while not self._provider.asked(self._cell):  # noqa: ASYNC110 - nothing tells when it comes
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking

    async def _is_closed(self, request: int) -> bool:
        if not self._cell.is_endless:
            return True  # it was answered to the end, or closed by the provider
        try:
            async with asyncio.timeout(CLOSED_S):
                await self._provider.client_left(request)
        except TimeoutError:
            return False
        return True

    async def _entry(self) -> dict[str, Any]:
        """The ledger's, which is written a little after the answer."""
        where = f"/v1/requests/{self._cell.id}"
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self._client.get(where)).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        fields: dict[str, Any] = found.json()
        return fields
