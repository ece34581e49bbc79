"""Secrets: random, whole or not whole, and never kept."""

from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.secret import PREFIX, digest_of, is_secret, is_whole, new_id, new_secret

SECRET = "sk-turnout-Wy1EnAhj2FELnj38TudyiKl6GD7v91J9W8cK7HWyE4MJVu1"  # the same at each run


def test_a_secret_has_256_random_bits_in_43_characters_and_check_digits() -> None:
    found = {new_secret() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch(r"sk-turnout-[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{4}", secret) for secret in found)
    assert all(is_secret(secret) and is_whole(secret) for secret in found)


def test_an_id_is_safe_to_log() -> None:
    assert all(re.fullmatch(r"key_[A-Za-z0-9_-]{12}", new_id()) for _ in range(100))


@given(st.integers(len(PREFIX), len(SECRET) - 1), st.characters(codec="ascii", categories=("L", "N")))
def test_one_wrong_character_is_seen_without_looking_it_up(place: int, char: str) -> None:
    mistyped = SECRET[:place] + char + SECRET[place + 1 :]
    assert is_whole(mistyped) is (mistyped == SECRET)


@given(st.integers(1, len(SECRET) - 1))
def test_a_part_of_a_secret_is_not_whole(length: int) -> None:
    assert not is_whole(SECRET[:length])
    assert not is_whole(SECRET + SECRET[:length])


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    assert not is_whole(text)


def test_what_is_kept_is_its_sha_256() -> None:
    assert digest_of(SECRET.encode()) == hashlib.sha256(SECRET.encode()).digest()
