"""Who is asking."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.policy.limits import Rate, Unit
from gateway.policy.permit import ANYTHING, NOTHING, Permit


@dataclass(frozen=True, slots=True)
class Tenant:
    """The caller as routing, limits, cache and ledger know it.

    key: an id that is safe to log, never the secret. team: who pays, None without teams. tags: what holds for its requests
    where they do not say otherwise. permit: what it may use. limits: its own, besides those of the policy. is_guest: nobody
    issued its credential, since there are no virtual keys; then what the provider's account holds is open to all.
    """

    key: str
    team: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    permit: Permit = ANYTHING
    limits: tuple[tuple[Unit, Rate], ...] = ()
    is_guest: bool = False


ANONYMOUS = Tenant(key="anonymous", is_guest=True)
OPERATOR = Tenant(key="operator", permit=NOTHING)
"""Whoever has the admin key where virtual keys exist: may look, and has no model answer."""


def tenant_of_credential(credential: str | None) -> Tenant:
    """The tenant behind a credential that nobody issued, as long as no virtual key exists.

    Two callers who send different credentials stay apart, in the cache above all. Only a digest is kept,
    because people paste their provider's real secret here.
    """
    if not credential:
        return ANONYMOUS
    digest = hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()
    return Tenant(key=f"open-{digest[:32]}", is_guest=True)
