"""The nouns of virtual keys: a key, and the secrets that open it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from gateway.policy.limits import Rate, Unit
from gateway.policy.permit import ANYTHING, Permit
from gateway.tenant import Tenant

State = Literal["valid", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A credential of the gateway's own. Times are seconds since 1970, UTC.

    id: safe to log. name: for people. team: who pays. tags, permit, limits: as a Tenant's. expires_at: None for never.
    """

    id: str
    created_at: float
    name: str | None = None
    team: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    permit: Permit = ANYTHING
    limits: tuple[tuple[Unit, Rate], ...] = ()
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> State:
        """How it stands at that time."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"

    @property
    def tenant(self) -> Tenant:
        """Whoever sends one of its secrets."""
        return Tenant(self.id, self.team, self.tags, self.permit, self.limits)


@dataclass(frozen=True, slots=True)
class Held:
    """A secret as it is kept. until: when it stops being one of its key's, if another has taken its place."""

    digest: bytes
    key: VirtualKey
    until: float | None = None


def iso(at: float) -> str:
    """A time for people, in ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
