"""Who is behind a credential: known keys, and why the others are refused. The clock is the test's."""

from __future__ import annotations

import pytest

from gateway.errors import ClientError
from gateway.keys.directory import Directory
from gateway.keys.model import Held
from gateway.keys.secret import digest_of, new_secret
from gateway.policy.limits import Rate
from gateway.policy.permit import Permit
from gateway.tenant import Tenant
from tests.keys.making import a_key


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def held(secret: str, until: float | None = None, **fields: object) -> Held:
    return Held(digest_of(secret.encode()), a_key(**fields), until)


def refusal(directory: Directory, credential: str | None) -> str:
    with pytest.raises(ClientError) as refused:
        directory.caller_of(None if credential is None else credential.encode())
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")
    assert credential is None or credential not in refused.value.message
    return refused.value.message


def test_a_key_is_a_tenant_with_all_that_was_said_of_it() -> None:
    secret, directory = new_secret(), Directory(Clock())
    permit, limits = Permit(("small",), ("r*",)), (("requests", Rate(5, 60)),)
    directory.replace([held(secret, id="key_1", team="search", tags={"app": "ide"}, permit=permit, limits=limits)])
    tenant = directory.caller_of(secret.encode()).tenant
    assert tenant == Tenant("key_1", "search", {"app": "ide"}, permit, limits)
    assert directory.caller_of(secret.encode()).tenant is tenant, "made once, not for each request"


def test_without_a_key_the_directory_is_open_and_with_one_it_stays_closed() -> None:
    directory = Directory(Clock())
    directory.replace([])
    assert not directory.is_closed
    directory.replace([held(new_secret(), revoked_at=1.0)])
    assert directory.is_closed, "a revoked key is a key"
    directory.replace([])
    assert directory.is_closed, "keys that are lost let nobody in"


def test_each_refusal_says_what_is_wrong_and_never_repeats_the_secret() -> None:
    secret, directory = new_secret(), Directory(Clock())
    directory.replace([held(secret)])
    assert "send a virtual key as `authorization: Bearer …` or `x-api-key`" in refusal(directory, None)
    assert "this is no virtual key: those of this gateway begin with sk-turnout-" in refusal(directory, "sk-proj-abc")
    assert "its check digits are wrong" in refusal(directory, secret[:-1])
    assert "not known here" in refusal(directory, new_secret())
    assert "this is no virtual key" in refusal(directory, "ключ")


def test_a_key_ends_when_it_expires() -> None:
    secret, clock = new_secret(), Clock()
    directory = Directory(clock)
    directory.replace([held(secret, id="key_1", expires_at=2000.0)])
    clock.now = 1999.9
    assert directory.caller_of(secret.encode()).tenant.key == "key_1"
    clock.now = 2000.0
    assert refusal(directory, secret) == "key 'key_1' expired at 1970-01-01T00:33:20Z"
    assert directory.is_closed


def test_a_revoked_key_is_refused_with_all_of_its_secrets() -> None:
    old, new, directory = new_secret(), new_secret(), Directory(Clock())
    key = a_key(id="key_1", revoked_at=900.0)
    directory.replace([Held(digest_of(old.encode()), key, 5000.0), Held(digest_of(new.encode()), key)])
    assert refusal(directory, old) == refusal(directory, new) == "key 'key_1' was revoked"


def test_a_rotated_secret_holds_for_its_overlap() -> None:
    old, new, clock = new_secret(), new_secret(), Clock()
    directory, key = Directory(clock), a_key(id="key_1")
    directory.replace([Held(digest_of(old.encode()), key, 1500.0), Held(digest_of(new.encode()), key)])
    assert directory.caller_of(old.encode()).tenant == directory.caller_of(new.encode()).tenant
    clock.now = 1500.0
    assert refusal(directory, old) == "this secret of key 'key_1' was replaced by another one; send that"
    assert directory.caller_of(new.encode()).tenant.key == "key_1"


def test_a_rotated_secret_does_not_outlive_its_key() -> None:
    old, clock = new_secret(), Clock()
    directory = Directory(clock)
    directory.replace([held(old, until=5000.0, id="key_1", expires_at=2000.0)])
    clock.now = 3000.0
    assert "expired" in refusal(directory, old)


def test_limited_names_a_key_whose_own_limits_hold() -> None:
    directory, limits = Directory(Clock()), (("requests", Rate(5, 60)),)
    directory.replace([held(new_secret()), held(new_secret(), limits=limits, revoked_at=5.0)])
    assert directory.limited is None
    directory.replace([held(new_secret(), id="key_2", limits=limits)])
    assert directory.limited == "key_2"
