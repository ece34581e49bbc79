"""Flags, environment and defaults, in this order of strength, as one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import ConfigError, UsageError
from gateway.loopback import is_loopback
from gateway.policy.grammar import seconds

WORKERS_MAX = 256
GRACE_S_MAX = 3600
KEEP_ALIVE_S_MAX = 600
RETENTION_MIN_S = 86_400

PACKAGE = Path(__file__).resolve().parent


def _shipped_policies() -> Path:
    """In a wheel the policies lie inside the package, in a checkout beside it."""
    inside = PACKAGE / "policies"
    return inside if inside.is_dir() else PACKAGE.parent / "policies"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs. Sizes in bytes.

    workers: how many processes serve. worker: which of them this one is, from 1; None for one that is alone, or that starts
    the others. metrics_folder: where a worker and the others tell each other what they have counted; None for one that is alone.
    grace_s: what answers in flight get to finish when the gateway is told to stop. keep_alive_s: how long a stream may be silent
    before something is sent that says nothing; 0 for ever.
    ledger: the embedded ledger's file; ledger_url: the PostgreSQL that holds the ledger and the keys instead, None without one.
    retention_s: months that ended so long ago are dropped from the ledger; None to keep them all.
    has_prompt_ids: whether the templates of prompts are found.
    """

    policy: Path
    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path(".turnout")
    ledger: Path = Path(".turnout/ledger.db")
    ledger_url: str | None = field(default=None, repr=False)  # may hold a password
    retention_s: float | None = None
    has_prompt_ids: bool = True
    is_insecure: bool = False
    workers: int = 1
    worker: int | None = None
    metrics_folder: Path | None = None
    grace_s: float = 30.0
    keep_alive_s: float = 10.0
    body_bytes_max: int = 16 * 1024 * 1024
    cache_bytes_max: int = 64 * 1024 * 1024
    admin_key: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)  # may hold a password

    @property
    def spool(self) -> Path:
        """Where records wait for the ledger."""
        return self.data_dir / "spool"

    @property
    def keys(self) -> Path:
        """Where virtual keys are kept."""
        return self.data_dir / "keys.db"

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def load_settings(
    env: Mapping[str, str] | None = None,
    *,
    policy: str | None = None,
    host: str | None = None,
    port: int | None = None,
    is_insecure: bool = False,
    workers: int | None = None,
    worker: int | None = None,
    metrics_folder: str | None = None,
) -> Settings:
    """Settings from flags (None where not given) and the environment. Raises ConfigError."""
    env = os.environ if env is None else env
    data_dir = data_folder(env)
    return Settings(
        policy=Path(policy or env.get("TURNOUT_POLICY") or default_policy()),
        host=host or env.get("TURNOUT_HOST") or "127.0.0.1",
        port=_port(port if port is not None else env.get("TURNOUT_PORT") or 8080),
        data_dir=data_dir,
        ledger=_ledger_path(env.get("TURNOUT_LEDGER_URL"), data_dir),
        ledger_url=_ledger_url(env.get("TURNOUT_LEDGER_URL")),
        retention_s=_retention_s(env.get("TURNOUT_LEDGER_RETENTION")),
        has_prompt_ids=_is_on(env, "TURNOUT_PROMPT_IDS"),
        is_insecure=is_insecure,
        workers=_workers(workers if workers is not None else env.get("TURNOUT_WORKERS") or 1),
        worker=worker,
        metrics_folder=None if metrics_folder is None else Path(metrics_folder),
        grace_s=_grace_s(env.get("TURNOUT_GRACE_S")),
        keep_alive_s=_keep_alive_s(env.get("TURNOUT_KEEP_ALIVE_S")),
        body_bytes_max=_megabytes(env, "TURNOUT_MAX_BODY_MB", 16),
        cache_bytes_max=_megabytes(env, "TURNOUT_CACHE_MB", 64),
        admin_key=env.get("TURNOUT_ADMIN_KEY") or None,
        redis_url=env.get("TURNOUT_REDIS_URL") or env.get("REDIS_URL") or None,
    )


def data_folder(env: Mapping[str, str]) -> Path:
    """Where everything lies that the gateway keeps, as the environment says."""
    return Path(env.get("TURNOUT_DATA_DIR") or ".turnout")


def default_policy() -> Path:
    """policies/default.yaml of the current folder, else the one that ships with the package."""
    here = Path("policies/default.yaml")
    return here if here.is_file() else _shipped_policies() / "default.yaml"


def check_address(settings: Settings, *, has_keys: bool) -> None:
    """Without keys any caller is served, so only this machine's may come. Raises ConfigError."""
    if has_keys or settings.is_insecure or is_loopback(settings.host):
        return
    raise ConfigError(
        f"refusing to listen on {settings.host}: there is no virtual key, so anybody who reaches it could spend your money. "
        "Make one with `turnout keys create`, or listen on 127.0.0.1, or give --insecure if something in front keeps others out"
    )


def _port(value: int | str) -> int:
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 < port < 65536:
        raise UsageError(f"port {value!r} is not a number from 1 to 65535; set --port or TURNOUT_PORT")
    return port


def _workers(value: int | str) -> int:
    try:
        count = int(value)
    except ValueError:
        count = -1
    if not 0 < count <= WORKERS_MAX:
        raise UsageError(f"workers {value!r} is not a number from 1 to {WORKERS_MAX}; set --workers or TURNOUT_WORKERS")
    return count


def _grace_s(text: str | None) -> float:
    try:
        seconds = float(text) if text else 30.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= GRACE_S_MAX:
        raise ConfigError(f"TURNOUT_GRACE_S is {text!r}; give a number of seconds from 0 to {GRACE_S_MAX}, such as 30")
    return seconds


def _keep_alive_s(text: str | None) -> float:
    try:
        seconds = float(text) if text else 10.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= KEEP_ALIVE_S_MAX:
        message = f"TURNOUT_KEEP_ALIVE_S is {text!r}; give a number of seconds from 0 (never) to {KEEP_ALIVE_S_MAX}, such as 10"
        raise ConfigError(message)
    return seconds


def _megabytes(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name)
    try:
        size = float(text) if text else float(default)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e6:
        raise ConfigError(f"{name} is {text!r}; give a number of megabytes, such as {default}")
    return int(size * 1024 * 1024)


def _is_on(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "on"
    if text not in ("on", "off"):
        raise ConfigError(f"{name} is {text!r}; give on or off")
    return text == "on"


def _ledger_path(url: str | None, data_dir: Path) -> Path:
    if not url or _is_postgres(url):
        return data_dir / "ledger.db"
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    scheme, _, _ = url.partition(":")  # the rest may hold a password
    known = "sqlite:///path/to/ledger.db or postgresql://user:password@host:5432/database"
    raise ConfigError(f"TURNOUT_LEDGER_URL, which begins with {scheme[:20]!r}, is not a ledger's address; use {known}")


def _ledger_url(url: str | None) -> str | None:
    return url if url and _is_postgres(url) else None


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def _retention_s(text: str | None) -> float | None:
    if not text:
        return None
    try:
        age_s = seconds(text)
    except ValueError as exc:
        raise ConfigError(f"TURNOUT_LEDGER_RETENTION: {exc}") from exc
    if age_s < RETENTION_MIN_S:
        raise ConfigError(f"TURNOUT_LEDGER_RETENTION is {text!r}; give at least 1d, such as 400d, or nothing to keep all")
    return age_s
