"""Who is at the door: from the headers of a request to a Tenant."""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from typing import Final

from gateway.edge.asgi import Scope
from gateway.edge.door import is_here, refused
from gateway.errors import ClientError
from gateway.keys.directory import Directory
from gateway.tenant import OPERATOR, Tenant, tenant_of_credential

KEYED: Final = "/v1"  # what lies under it is for callers; the rest is the operator's, or tells nothing
_TENANT: Final = "turnout.tenant"


def credential_of(headers: dict[bytes, bytes]) -> bytes | None:
    """What stands in `x-api-key`, else behind `authorization: Bearer`; None without either."""
    credential = headers.get(b"x-api-key")
    if not credential:  # some clients send the header they have nothing for
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        credential = value.strip() if scheme.lower() == b"bearer" else None
    return credential or None


def keyless_tenant(headers: dict[bytes, bytes]) -> Tenant:
    """The caller behind these headers as long as no virtual key exists: any credential, or none, is let in."""
    credential = credential_of(headers)
    return tenant_of_credential(credential.decode("latin-1") if credential else None)


def tenant_of(scope: Scope) -> Tenant:
    """The caller that the entrance has let in."""
    tenant: Tenant = scope[_TENANT]
    return tenant


class Operator:
    """Whoever has the admin key. key: None where none is set; then nobody is the operator."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode("utf-8", "surrogateescape") if key else None

    def is_at_the_door(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the request is the operator's."""
        return self.is_known_by(credential_of(headers))

    def is_known_by(self, credential: bytes | None) -> bool:
        """Compared in constant time."""
        return self._key is not None and credential is not None and hmac.compare_digest(credential, self._key)

    def require(self, headers: dict[bytes, bytes]) -> None:
        """Let the operator pass. Raises ClientError: 403 where there is no admin key, 401 for a wrong one or none."""
        if self._key is None:
            message = "the admin API is closed: set TURNOUT_ADMIN_KEY, start the gateway anew, and send it as a bearer token"
            raise ClientError(message, status=403, code="admin_disabled")
        if not self.is_at_the_door(headers):
            message = "this is not the admin key; send TURNOUT_ADMIN_KEY as `authorization: Bearer …` or `x-api-key`"
            raise ClientError(message, status=401, code="invalid_admin_key")


@dataclass(frozen=True, slots=True)
class Admission:
    """Whose requests with a head are. Until ends_at, and as long as the directory is in this edition."""

    tenant: Tenant
    ends_at: float
    edition: object


class Entrance:
    """The one way in: every request passes here before anything reads it.

    While no virtual key exists, anybody on this machine is let in; is_insecure: from anywhere. Once one exists, callers need
    one for all that lies under /v1.
    """

    def __init__(self, directory: Directory, operator: Operator, *, is_insecure: bool) -> None:
        self._directory, self._operator, self._is_insecure = directory, operator, is_insecure

    def admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Let the request in, and note in the scope whose it is. Raises ClientError (401, 403)."""
        tenant = self.caller(scope["path"], headers)
        if tenant is not None:
            scope[_TENANT] = tenant

    def caller(self, path: str, headers: dict[bytes, bytes]) -> Tenant | None:
        """Whose request this is; None for paths that are not for callers, once there are keys. Raises ClientError (401, 403)."""
        if self._directory.is_closed and path != KEYED and not path.startswith(f"{KEYED}/"):
            return None
        return self.admission(headers).tenant

    def admission(self, headers: dict[bytes, bytes]) -> Admission:
        """Let a caller's request in. Raises ClientError (401, 403)."""
        edition = self._directory.edition  # before all else: the keys are read in another thread
        if self._directory.is_closed:
            credential = credential_of(headers)
            if self._operator.is_known_by(credential):
                return Admission(OPERATOR, math.inf, edition)
            caller = self._directory.caller_of(credential)
            return Admission(caller.tenant, caller.ends_at, edition)
        error = None if self._is_insecure else refused(headers)
        if error is not None:
            raise error
        return Admission(keyless_tenant(headers), math.inf, edition)

    def upholds(self, admission: Admission) -> bool:
        """Whether the same headers would be let in again, as the same caller's."""
        return admission.edition is self._directory.edition and self._directory.now() < admission.ends_at

    def sees(self, scope: Scope) -> str | None:
        """The key whose entries the caller may see; None: all of them.

        While no virtual key exists every caller is the operator. A team's keys do not see each other's: who shares a budget
        need not share what was asked.
        """
        tenant = tenant_of(scope)
        return tenant.key if self._directory.is_closed and tenant is not OPERATOR else None

    def opens_accounts(self, scope: Scope) -> bool:
        """Whether what the operator's accounts at the providers hold is the caller's to see and to delete.

        The admin key's. While no virtual key exists also of programs on this machine; whom --insecure lets in besides may ask
        models, and no more.
        """
        if self._directory.is_closed:
            return tenant_of(scope) is OPERATOR
        headers: dict[bytes, bytes] = dict(scope["headers"])
        return self._operator.is_at_the_door(headers) or is_here(scope.get("client"), headers)
