"""Who is at the door: from the headers of a request to a Tenant."""

from __future__ import annotations

from gateway.tenant import Tenant, tenant_of_credential


def authenticate(headers: dict[bytes, bytes]) -> Tenant:
    """The caller behind `authorization: Bearer …` or `x-api-key`.

    No virtual keys can be made yet, so any credential, or none, is let in; the gateway listens on loopback only.
    """
    credential = headers.get(b"x-api-key")
    if credential is None:
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        credential = value.strip() if scheme.lower() == b"bearer" else None
    return tenant_of_credential(credential.decode("latin-1") if credential else None)
