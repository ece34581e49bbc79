"""The whole gateway for a test: the real application on a real port, in a thread, with its own data directory."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import uvicorn

from gateway.app import build_app
from gateway.cli.server import config
from gateway.settings import Settings

START_S = 20.0


class LiveGateway:
    """Use as a context manager. `policy` is the YAML text; `files` are written beside it."""

    def __init__(self, folder: Path, policy: str, files: dict[str, str] | None = None, **settings: Any) -> None:
        self.policy_path = folder / "policy.yaml"
        self.policy_path.write_text(policy)
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        self.settings = Settings(policy=self.policy_path, data_dir=folder, ledger=folder / "ledger.db", **settings)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> LiveGateway:
        self.app = build_app(self.settings)
        self._server = uvicorn.Server(self.served_with())
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert self._server.started, "the gateway did not start"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()
        assert not self._thread.is_alive(), "the gateway did not stop"

    def served_with(self) -> uvicorn.Config:
        """uvicorn's configuration: as `turnout serve` has it."""
        served_with = config(self.app)
        served_with.timeout_graceful_shutdown = 5
        return served_with

    def chat(self, prompt: str = "hello", *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """One chat request, not streamed unless `stream=True` is given (then the whole stream is read)."""
        body = {"model": "auto", "messages": [{"role": "user", "content": prompt}], **fields}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def entry(self, response: httpx.Response) -> dict[str, Any]:
        """The ledger's entry of a response."""
        found = self.http.get(f"/v1/requests/{response.headers['x-request-id']}")
        assert found.status_code == 200, found.text
        fields: dict[str, Any] = found.json()
        return fields

    def attempts(self, response: httpx.Response) -> list[tuple[str, str]]:
        """(model, outcome) of each attempt."""
        return [(a["model"], a["outcome"]) for a in self.entry(response)["attempts"]]


def events(response: httpx.Response) -> list[Any]:
    """The payloads of a stream; the terminator as the text "[DONE]"."""
    payloads = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [p if p == "[DONE]" else json.loads(p) for p in payloads]


def text_of(response: httpx.Response) -> str:
    """The answer's text, of a stream or a whole answer."""
    if response.headers["content-type"].startswith("text/event-stream"):
        chunks = [e for e in events(response) if e != "[DONE]" and "choices" in e]
        return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    return str(response.json()["choices"][0]["message"]["content"])
