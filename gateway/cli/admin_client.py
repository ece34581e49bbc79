"""A running gateway's admin API, asked from the command line."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import ConfigError, UsageError

TIMEOUT_S: Final = 30.0  # a large store takes its time to be gone through


class AdminClient:
    """url: of the gateway, as http://127.0.0.1:8080. key: TURNOUT_ADMIN_KEY. What goes wrong is a ConfigError with the remedy."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url: {url!r} is not a gateway's address; write it as http://127.0.0.1:8080")
        self._url, self._key = url.rstrip("/"), key
        # The key is for the gateway alone: no proxy sees it, and no redirection takes it elsewhere.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirection())

    def entries(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Kept answers, as `GET /admin/cache/entries` gives them."""
        found: list[dict[str, Any]] = self._ask("GET", "/admin/cache/entries", query)["entries"]
        return found

    def evict(self, query: Mapping[str, str]) -> int:
        """Forget those that match; how many there were."""
        return int(self._ask("DELETE", "/admin/cache/entries", query)["evicted"])

    def _ask(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        if self._key is None:
            raise ConfigError("TURNOUT_ADMIN_KEY is not set; set it to the one that the gateway was started with")
        headers = {"authorization": f"Bearer {self._key}"}
        try:
            request = urllib.request.Request(f"{self._url}{path}?{urllib.parse.urlencode(query)}", method=method, headers=headers)
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return _decoded(response.read(), self._url)
        except urllib.error.HTTPError as exc:
            with exc:
                raise ConfigError(self._refusal(exc.code, exc.read())) from exc
        except (OSError, ValueError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            raise ConfigError(
                f"no gateway answers at {self._url}: {reason}; start it with `turnout serve`, or give --url"
            ) from exc

    def _refusal(self, status: int, body: bytes) -> str:
        try:
            message = str(json.loads(body)["error"]["message"])
        except (ValueError, LookupError, TypeError):
            return _no_gateway(self._url, f"it answers with status {status}")
        return f"the gateway at {self._url} says: {message}"


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer like any other."""

    def redirect_request(self, *args: object) -> None:
        """Do not follow it."""


def _decoded(body: bytes, url: str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as exc:
        raise ConfigError(_no_gateway(url, "its answer is not JSON")) from exc
    if not isinstance(fields, dict) or not fields.keys() & {"entries", "evicted"}:
        raise ConfigError(_no_gateway(url, "its answer has neither entries nor a count"))
    return fields


def _no_gateway(url: str, why: str) -> str:
    return f"what listens at {url} is not a gateway: {why}; give --url"
