"""Keys for tests, without the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.keys.model import VirtualKey
from gateway.keys.secret import digest_of, new_id, new_secret
from gateway.keys.sqlite import SqliteKeys


def a_key(**fields: Any) -> VirtualKey:
    """A key made at the time 1000, and whatever else is given."""
    return VirtualKey(**{"id": new_id(), "created_at": 1000.0, **fields})


def make(folder: Path, **fields: Any) -> tuple[VirtualKey, str]:
    """A key in the data directory, and its secret."""
    key, secret = a_key(**fields), new_secret()
    store = SqliteKeys(folder / "keys.db")
    store.add(key, digest_of(secret.encode()))
    store.close()
    return key, secret


def bearer(secret: str, **more: str) -> dict[str, str]:
    """Headers that send it."""
    return {"authorization": f"Bearer {secret}", **more}
