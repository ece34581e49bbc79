"""docs/messages.md lists the fields that there are, and what only Anthropic can hold as the tests of requests find it."""

import re
from pathlib import Path

from gateway.dialects.messages_request import MessagesRequest
from gateway.edge.token_counts import DOCUMENT_TOKENS
from gateway.pricing.tokens import IMAGE_TOKENS
from gateway.providers.openai_request import EFFORTS
from tests.dialects.test_messages_request import ONLY

PAGE = (Path(__file__).parents[2] / "docs/messages.md").read_text()
UNKNOWN = {"a_field_of_tomorrow", "messages.*.content.*.tomorrow", "metadata.tomorrow"}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_field_is_explained() -> None:
    table = section("What becomes what") + section("What only Anthropic can hold") + section("What is left out")
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert set(MessagesRequest.__struct_fields__) - named == set()


def test_what_only_anthropic_can_hold_is_what_the_tests_found() -> None:
    found = {re.sub(r"\.\d+", ".*", path) for _, only in ONLY for path in only} - UNKNOWN
    listed = set(re.findall(r"^- .*?(?=^- |\Z)", section("What only Anthropic can hold"), re.MULTILINE | re.DOTALL))
    named = {name for item in listed for name in re.findall(r"`([a-z_.*]+)`", item)} - {"custom", "standard"}
    assert named == found


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{IMAGE_TOKENS} tokens for a picture and {DOCUMENT_TOKENS:,} for a document" in " ".join(PAGE.split())
    assert ", ".join(f"{name} to {most:,}{' tokens' * (name == 'low')}" for most, name in EFFORTS) in PAGE
