"""One gateway for all cells, in front of one server that speaks each vendor's wire and records what it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from tests.clients.pairing.callers.base import Caller, CallerName
from tests.clients.pairing.callers.chat import ChatCaller
from tests.clients.pairing.callers.messages import MessagesCaller
from tests.clients.pairing.callers.responses import ResponsesCaller
from tests.clients.pairing.feature import PROVIDERS, SAME, Cell, ProviderName
from tests.clients.pairing.says import Fails, Json, Says
from tests.clients.pairing.wires import anthropic, gemini, openai_chat, openai_responses
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import Reply, Request, json_reply

# litellm treats models by their names: one that it knows.
MODEL_IDS: Mapping[ProviderName, str] = {
    "chat": "chat-1",
    "responses": "resp-1",
    "anthropic": "claude-1",
    "gemini": "gemini-2.5-flash",
}
ANSWERED_BY: Mapping[ProviderName, str] = {
    "chat": openai_chat.MODEL,
    "responses": openai_responses.MODEL,
    "anthropic": anthropic.MODEL,
    "gemini": gemini.MODEL,
}
"""What each vendor calls the model in its answers."""
PRICE = {"input": 1.00, "output": 2.00}
KEY = "sk-3f9a81c7d2e64b05a1"


class Vendors:
    """The upstream. `says` what it is told, an answer a request; `asked` is what it got: which wire, and the body."""

    def __init__(self) -> None:
        self._script: list[Says | Fails] = []
        self.asked: list[tuple[ProviderName, Json]] = []
        self._upstream = Upstream.of(self._reply)

    def __enter__(self) -> Vendors:
        self._upstream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._upstream.__exit__(kind, exc, trace)

    def play(self, script: Iterable[Says | Fails]) -> None:
        self._script, self.asked = list(script), []

    def base_url(self, provider: ProviderName) -> str:
        """As the policy names it."""
        version = "" if provider == "anthropic" else "/v1beta" if provider == "gemini" else "/v1"
        return f"{self._upstream.url}/{provider}{version}"

    def _reply(self, request: Request) -> Reply:
        body = json.loads(request.body)
        said = self._script.pop(0)
        match request.path.split("?")[0]:
            case "/chat/v1/chat/completions":
                self.asked.append(("chat", body))
                return openai_chat.reply(said, body)
            case "/responses/v1/responses":
                self.asked.append(("responses", body))
                return openai_responses.reply(said, body)
            case "/anthropic/v1/messages":
                self.asked.append(("anthropic", body))
                return anthropic.reply(said, body)
            case path if path.startswith(f"/gemini/v1beta/models/{MODEL_IDS['gemini']}:"):
                self.asked.append(("gemini", body))
                return gemini.reply(said, is_stream="streamGenerateContent" in path)
        return json_reply({"error": {"message": f"no vendor has {request.path}"}}, status=404)


class Stage:
    """The gateway and its callers, with a model for each provider."""

    def __init__(self, folder: Path, cells: Iterable[Cell]) -> None:
        self._folder, self._cells = folder, cells
        self.vendors = Vendors()

    def __enter__(self) -> Stage:
        self.vendors.__enter__()
        self._gateway = LiveGateway(self._folder, self._policy()).__enter__()
        url = self._gateway.url
        self.callers: dict[CallerName, Caller] = {
            "chat": ChatCaller(f"{url}/v1"),
            "messages": MessagesCaller(url),
            "responses": ResponsesCaller(f"{url}/v1"),
        }
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        for caller in self.callers.values():
            caller.close()
        self._gateway.__exit__(kind, exc, trace)
        self.vendors.__exit__(kind, exc, trace)

    @staticmethod
    def model(cell: Cell) -> str:
        """The name that the cell's caller asks for. Who fails has one alone, so that breakers know nothing of other cells."""
        return cell.id if cell.feature.fails else cell.provider

    @staticmethod
    def route(cell: Cell) -> str:
        """A route that begins with the cell's provider and goes on to one that speaks the caller's dialect."""
        return f"{cell.provider}-then-{SAME[cell.caller]}"

    def _policy(self) -> str:
        by_model = {self.model(cell): cell.provider for cell in self._cells}
        made = {
            "version": 1,
            "providers": {name: self._provider(provider) for name, provider in by_model.items()},
            "models": {name: {"provider": name, "id": MODEL_IDS[of], "price": PRICE} for name, of in by_model.items()},
            "defaults": {"timeouts": {"connect": "5s", "first_token": "60s", "total": "60s"}, "retry": {"attempts": 1}},
            "routes": [*self._routes(), {"name": "rest", "model": PROVIDERS[0]}],
        }
        return json.dumps(made)  # which is YAML

    @staticmethod
    def _routes() -> Iterator[Json]:
        for first in PROVIDERS:
            for then in SAME.values():
                if first != then:
                    name = f"{first}-then-{then}"
                    yield {"name": name, "when": {"model": name}, "model": first, "fallback": [then]}

    def _provider(self, provider: ProviderName) -> Json:
        common = {"base_url": self.vendors.base_url(provider), "api_key": KEY}
        match provider:
            case "chat" | "responses":
                return {"kind": "openai", "dialects": [provider], **common}
            case "anthropic":
                return {"kind": "anthropic", **common}
            case "gemini":
                return {"kind": "litellm", "litellm_provider": "gemini", **common}
