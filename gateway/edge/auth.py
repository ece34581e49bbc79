"""Who is at the door: from the headers of a request to a Tenant."""

from __future__ import annotations

import hmac

from gateway.errors import ClientError
from gateway.tenant import Tenant, tenant_of_credential


def credential_of(headers: dict[bytes, bytes]) -> bytes | None:
    """What stands in `x-api-key` or behind `authorization: Bearer`; None without either."""
    credential = headers.get(b"x-api-key")
    if credential is None:
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        credential = value.strip() if scheme.lower() == b"bearer" else None
    return credential or None


def authenticate(headers: dict[bytes, bytes]) -> Tenant:
    """The caller behind the credential of its headers.

    No virtual keys can be made yet, so any credential, or none, is let in; the gateway listens on loopback only.
    """
    credential = credential_of(headers)
    return tenant_of_credential(credential.decode("latin-1") if credential else None)


class Operator:
    """Whoever has the admin key. key: None where none is set; then nobody is the operator."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode("utf-8", "surrogateescape") if key else None

    def is_at_the_door(self, headers: dict[bytes, bytes]) -> bool:
        """Compared in constant time."""
        credential = credential_of(headers)
        return self._key is not None and credential is not None and hmac.compare_digest(credential, self._key)

    def require(self, headers: dict[bytes, bytes]) -> None:
        """Let the operator pass. Raises ClientError: 403 where there is no admin key, 401 for a wrong one or none."""
        if self._key is None:
            message = "the admin API is closed: set TURNOUT_ADMIN_KEY, start the gateway anew, and send it as a bearer token"
            raise ClientError(message, status=403, code="admin_disabled")
        if not self.is_at_the_door(headers):
            message = "this is not the admin key; send TURNOUT_ADMIN_KEY as `authorization: Bearer …` or `x-api-key`"
            raise ClientError(message, status=401, code="invalid_admin_key")
