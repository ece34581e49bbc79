"""The virtual keys that a running gateway knows, in memory: who is behind a credential costs a hash and a look-up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.errors import ClientError
from gateway.keys.model import Held, iso
from gateway.keys.secret import PREFIX, digest_of, is_secret, is_whole
from gateway.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Caller:
    """ends_at: from when on the secret is refused."""

    tenant: Tenant
    ends_at: float
    held: Held


class Directory:
    """is_closed: a key exists, or may exist where none can be read, so callers need one. It never opens again.

    A store that is lost must not let everybody in. edition: another object as soon as something else is known.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """now: seconds since 1970."""
        self.now = now
        self._callers: dict[bytes, Caller] = {}
        self.is_closed, self.edition = False, object()

    def replace(self, held: Iterable[Held]) -> None:
        """Know these secrets and no others, from now on."""
        self._callers = {one.digest: Caller(one.key.tenant, _ends_at(one), one) for one in held}
        self.is_closed, self.edition = self.is_closed or bool(self._callers), object()

    def close(self) -> None:
        """From now on callers need a key."""
        self.is_closed, self.edition = True, object()

    @property
    def limited(self) -> str | None:
        """The id of a key with limits of its own that opens something, None if no key has any."""
        return next((c.tenant.key for c in self._callers.values() if c.tenant.limits and self.now() < c.ends_at), None)

    def caller_of(self, credential: bytes | None) -> Caller:
        """Whose secret this is, and until when. Raises ClientError (401) if it is nobody's, or not any more.

        Not compared in constant time: it is looked up by its digest, and nobody can say of a digest how it begins, so the
        time that a look-up takes tells nothing of the secrets that there are.
        """
        if credential is None:
            raise _refused(
                "this gateway needs a key: send a virtual key as `authorization: Bearer …` or `x-api-key`; "
                "its operator makes one with `turnout keys create`"
            )
        caller = self._callers.get(digest_of(credential))
        if caller is None:
            raise _refused(_unknown(credential.decode("latin-1")))
        if self.now() >= caller.ends_at:
            raise _refused(_ended(caller.held, self.now()))
        return caller


def _ends_at(held: Held) -> float:
    if held.key.revoked_at is not None:
        return -math.inf
    return min(end for end in (held.key.expires_at, held.until, math.inf) if end is not None)


def _unknown(text: str) -> str:
    """What is wrong with a credential that nobody has. It is not repeated: it may be somebody's secret elsewhere."""
    if not is_secret(text):
        return f"this is no virtual key: those of this gateway begin with {PREFIX}; another provider's key is not needed here"
    if not is_whole(text):
        return "this virtual key was mistyped or not copied whole: its check digits are wrong"
    return "this virtual key is not known here; was it made for another gateway?"


def _ended(held: Held, now: float) -> str:
    state = held.key.state(now)
    if state == "revoked":
        return f"key '{held.key.id}' was revoked"
    if state == "expired" and held.key.expires_at is not None:
        return f"key '{held.key.id}' expired at {iso(held.key.expires_at)}"
    return f"this secret of key '{held.key.id}' was replaced by another one; send that"


def _refused(message: str) -> ClientError:
    return ClientError(message, status=401, code="invalid_api_key")
