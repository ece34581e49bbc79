"""No credential leaves with an error: whole, in part, or somebody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.secrets import redacted

SECRET = "sk-proj-AbCd1234EfGh5678IjKl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no: {SECRET}", "no: ***"),
        ("no: sk-proj-AbCd…IjKl", "no: ***…***"),
        ("no: sk-proj-AbCd...IjKl", "no: ***...***"),
        ("no: sk-pr************IjKl, see", "no: ***, see"),
        ("a key ending in IjKl", "a key ending in ***"),
        ("another's sk-ant-api03-0123456789abcdef", "another's ***"),
        ("gsk_0123456789abcdefghij", "***"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstu", "***"),
        ("AKIAIOSFODNN7EXAMPLE is no key", "*** is no key"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer ***"),
    ],
)
def test_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redacted(text, SECRET) == shown


@pytest.mark.parametrize(
    "text",
    [
        "the model `gpt-4.1-mini` does not exist",
        "sk-learn is a library",
        "max_tokens: 5 ** 2 is too **large**",
        "see https://platform.openai.com/docs/guides/error-codes",
        "claude-haiku-4-5-20251001",
        "task-0123456789abcdef0123",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text, SECRET) == text


def test_several_secrets_and_none() -> None:
    assert redacted("one-secret-1 and other-secret-2", "one-secret-1", None, "other-secret-2") == "*** and ***"
    assert redacted("plain") == "plain"


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_whole_secret_is_never_in_a_text(before: str, after: str) -> None:
    assert SECRET not in redacted(before + SECRET + after, SECRET)
