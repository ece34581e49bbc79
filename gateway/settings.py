"""Flags, environment and defaults, in this order of strength, as one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import ConfigError, UsageError
from gateway.loopback import is_loopback

PACKAGE = Path(__file__).resolve().parent


def _shipped_policies() -> Path:
    """In a wheel the policies lie inside the package, in a checkout beside it."""
    inside = PACKAGE / "policies"
    return inside if inside.is_dir() else PACKAGE.parent / "policies"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs. Sizes in bytes."""

    policy: Path
    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path(".turnout")
    ledger: Path = Path(".turnout/ledger.db")
    is_insecure: bool = False
    body_bytes_max: int = 16 * 1024 * 1024
    cache_bytes_max: int = 64 * 1024 * 1024
    admin_key: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)  # may hold a password

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
) -> Settings:
    """Settings from flags (None where not given) and the environment. Raises ConfigError."""
    env = os.environ if env is None else env
    data_dir = Path(env.get("TURNOUT_DATA_DIR") or ".turnout")
    settings = Settings(
        policy=Path(policy or env.get("TURNOUT_POLICY") or default_policy()),
        host=host or env.get("TURNOUT_HOST") or "127.0.0.1",
        port=_port(port if port is not None else env.get("TURNOUT_PORT") or 8080),
        data_dir=data_dir,
        ledger=_ledger_path(env.get("TURNOUT_LEDGER_URL"), data_dir),
        is_insecure=is_insecure,
        body_bytes_max=_megabytes(env, "TURNOUT_MAX_BODY_MB", 16),
        cache_bytes_max=_megabytes(env, "TURNOUT_CACHE_MB", 64),
        admin_key=env.get("TURNOUT_ADMIN_KEY") or None,
        redis_url=env.get("TURNOUT_REDIS_URL") or env.get("REDIS_URL") or None,
    )
    if (env.get("TURNOUT_WORKERS") or "1") != "1":
        raise ConfigError(f"TURNOUT_WORKERS is {env['TURNOUT_WORKERS']!r}; more than one worker is not supported yet")
    return settings


def default_policy() -> Path:
    """policies/default.yaml of the current folder, else the one that ships with the package."""
    here = Path("policies/default.yaml")
    return here if here.is_file() else _shipped_policies() / "default.yaml"


def check_address(settings: Settings) -> None:
    """Without keys any caller is served, so only this machine's may come. Raises ConfigError."""
    if settings.is_insecure or is_loopback(settings.host):
        return
    raise ConfigError(
        f"refusing to listen on {settings.host}: anybody who reaches it could spend your money, since virtual keys are "
        "not supported yet. Listen on 127.0.0.1, or give --insecure if something in front of it keeps others out"
    )


def _port(value: int | str) -> int:
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 < port < 65536:
        raise UsageError(f"port {value!r} is not a number from 1 to 65535; set --port or TURNOUT_PORT")
    return port


def _megabytes(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name)
    try:
        size = float(text) if text else float(default)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e6:
        raise ConfigError(f"{name} is {text!r}; give a number of megabytes, such as {default}")
    return int(size * 1024 * 1024)


def _ledger_path(url: str | None, data_dir: Path) -> Path:
    if not url:
        return data_dir / "ledger.db"
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    if url.startswith("postgres"):
        raise ConfigError("TURNOUT_LEDGER_URL: PostgreSQL is not supported yet; use sqlite:///path/to/ledger.db")
    raise ConfigError(f"TURNOUT_LEDGER_URL {url!r} is not a ledger's address; use sqlite:///path/to/ledger.db")
