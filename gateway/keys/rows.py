"""A virtual key as a row of a table: the same columns wherever keys are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.keys.model import VirtualKey
from gateway.policy.limits import Rate
from gateway.policy.permit import Globs, Permit

COLUMNS: Final = "id name team tags models routes limits created_at expires_at revoked_at".split()


def row_of(key: VirtualKey) -> list[Any]:
    """The values of the columns. Lists and mappings are JSON text."""
    limits = [[unit, rate.amount, rate.window_s] for unit, rate in key.limits]
    said = [key.id, key.name, key.team, json.dumps(dict(key.tags)), _json(key.permit.models), _json(key.permit.routes)]
    return [*said, json.dumps(limits), key.created_at, key.expires_at, key.revoked_at]


def key_of(row: Mapping[str, Any]) -> VirtualKey:
    """The key that a row was made of."""
    return VirtualKey(
        id=row["id"],
        created_at=row["created_at"],
        name=row["name"],
        team=row["team"],
        tags=json.loads(row["tags"]),
        permit=Permit(_globs(row["models"]), _globs(row["routes"])),
        limits=tuple((unit, Rate(amount, window_s)) for unit, amount, window_s in json.loads(row["limits"])),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _json(globs: Globs | None) -> str | None:
    return None if globs is None else json.dumps(globs)


def _globs(text: str | None) -> Globs | None:
    return None if text is None else tuple(json.loads(text))
