"""What it takes to start a contender, and what is then asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Launch:
    """What a contender is given. folder: its own, empty. upstream: the provider, without /v1. cores: of what stands beside it,
    such as a Redis; it shares the provider's."""

    folder: Path
    port: int
    upstream: str
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """How to start one. env: besides ours. headers, model: of every request to it."""

    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = "auto"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
