"""The port of what keeps virtual keys: the command line writes there, every gateway and worker reads."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from gateway.errors import ConfigError
from gateway.keys.model import Held, VirtualKey


class KeysUnavailable(ConfigError):
    """The keys cannot be read or written just now."""


class NoSuchKey(ConfigError):
    """There is no key with this id."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"key {id_!r} is not there; `turnout keys list` shows those that are")


class KeyStore(Protocol):
    """Called from one thread at a time; may block. Every method raises KeysUnavailable when it cannot do its work."""

    def version(self) -> Hashable:
        """Another value after every change, whoever made it; None where no key was ever made. Cheap: it is asked often."""
        ...

    def held(self) -> Sequence[Held]:
        """Every secret that was ever made, with its key as it is now, the oldest key first."""
        ...

    def held_unless_lost(self) -> Sequence[Held]:
        """As held. Raises KeysUnavailable also where keys were made and none is there any more."""
        ...

    def add(self, key: VirtualKey, digest: bytes) -> None:
        """Keep a new key with its first secret."""
        ...

    def rotate(self, id_: str, digest: bytes, until: float) -> VirtualKey:
        """Give a key another secret; those it had are its secrets until then at the latest. Raises NoSuchKey."""
        ...

    def revoke(self, id_: str, at: float) -> VirtualKey:
        """The key, revoked: from `at`, or since it was the first time. Raises NoSuchKey."""
        ...

    def close(self) -> None: ...
