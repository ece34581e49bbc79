"""Who is asking."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tenant:
    """The caller as limits, cache and ledger know it.

    key: an id that is safe to log, never the secret. team: who pays, None without teams.
    """

    key: str
    team: str | None = None


ANONYMOUS = Tenant(key="anonymous")


def tenant_of_credential(credential: str | None) -> Tenant:
    """The tenant behind a credential that nobody issued, as long as no virtual key exists.

    Two callers who send different credentials stay apart, in the cache above all. Only a digest is kept,
    because people paste their provider's real secret here.
    """
    if not credential:
        return ANONYMOUS
    digest = hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()
    return Tenant(key=f"open-{digest[:32]}")
