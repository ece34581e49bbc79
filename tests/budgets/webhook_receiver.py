"""A receiver of webhooks on a real port: answers as it is told, and keeps what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Receiver:
    """statuses: of its first answers; then 200. hangs: never answers at all."""

    def __init__(self, *statuses: int, retry_after: str | None = None, hangs_s: float = 0.0) -> None:
        left, self.got, self.headers = list(statuses), [], []
        got: list[dict[str, Any]] = self.got
        headers: list[dict[str, str]] = self.headers

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                headers.append({name.lower(): value for name, value in self.headers.items()})
                time.sleep(hangs_s)
                self.send_response(left.pop(0) if left else 200)
                if retry_after is not None:
                    self.send_header("retry-after", retry_after)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test looks at what it got."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/T0/B0/secret"

    def wait_for(self, count: int, within_s: float = 15.0) -> Sequence[dict[str, Any]]:
        """What it got, once there are so many."""
        until = time.monotonic() + within_s
        while len(self.got) < count:
            assert time.monotonic() < until, f"only {len(self.got)} of {count} have come"
            time.sleep(0.02)
        return self.got

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
