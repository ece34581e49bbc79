"""Counting tokens: with the published vocabularies, bounded, and without them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.chat import read_head
from gateway.embeddings import DIALECT, EmbeddingsRequest, chat_head
from gateway.embeddings import read_head as read_embeddings_head
from gateway.pricing import tokens as counting
from gateway.pricing.tokens import CHARACTERS, COUNTED_CHARS_MAX, VOCABULARIES, Vocabularies, Vocabulary, encoding_of, load
from gateway.pricing.uncounted import Uncounted, completed
from gateway.request import ChatRequest
from gateway.usage import Usage
from tests.scenario.reconciliation import published
from tests.scenario.reconciliation.sheet import MINI, OLD

PROSE = "The railway switch sends a train down another track; nobody on board notices. "
ODD = (
    "",
    "a",
    " ",
    "\n\n\n",
    "naïve Straße 請求書 🚃🚋",
    "<|endoftext|>",
    "x" * 900,
    "1234567890.5",
    "don't WE'LL it's",
    "\ud800",
)


class Words:
    """Counts a token a word, unless it is told how to."""

    def __init__(self, count: Callable[[str], int] = lambda text: len(text.split())) -> None:
        self.count = count

    def prepare(self) -> None: ...


def chat(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    body = msgspec.json.encode({"model": "m", "messages": messages, **fields})
    return ChatRequest("r", body, read_head(body))


@pytest.mark.parametrize("model", [MINI, OLD])
def test_it_counts_as_tiktoken_does(model: str) -> None:
    count = load(encoding_of(model))
    assert count is not None, "tiktoken and the litellm package come with `make setup`"
    drawn = random.Random(1)
    noise = ["".join(chr(drawn.choice((drawn.randrange(32, 127), drawn.randrange(160, 0x3100)))) for _ in range(400))]
    for text in (*ODD, PROSE * 20, Path(__file__).read_text(), *noise):
        assert count(text) == published.tokens(model, text)


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        *((name, "cl100k_base") for name in ("gpt-4", "gpt-4-0613", "gpt-4-32k", "gpt-4-turbo", "ft:gpt-4:acme::1")),
        *((name, "cl100k_base") for name in ("gpt-3.5-turbo", "openai/gpt-3.5-turbo", "gpt-35-turbo", "text-embedding-3-small")),
        *((name, "o200k_base") for name in ("gpt-4o", "gpt-4o-mini", "ft:gpt-4o:acme", "gpt-4.1", "gpt-4.5-preview", "gpt-5")),
        *((name, "o200k_base") for name in ("o1", "o3-mini", "claude-sonnet-4-5", "llama-3.3-70b", "my-gpt-40-finetune")),
    ],
)
def test_each_model_has_a_vocabulary(model: str, vocabulary: str) -> None:
    assert encoding_of(model) == vocabulary


def test_a_long_text_is_counted_in_part() -> None:
    counted: list[int] = []

    def load_words() -> Any:
        return lambda text: counted.append(len(text)) or len(text.split())

    async def scenario() -> int:
        vocabulary = Vocabulary(load_words)
        vocabulary.prepare()
        await vocabulary.aclose()
        return vocabulary.count(PROSE * 10_000)

    exact = len(PROSE.split()) * 10_000
    assert asyncio.run(scenario()) == pytest.approx(exact, rel=0.02)
    assert sum(counted) <= COUNTED_CHARS_MAX


def test_until_the_vocabulary_is_there_it_counts_by_length() -> None:
    async def scenario() -> None:
        vocabularies = Vocabularies()
        counter = vocabularies.of("gpt-4o")
        assert counter.count(PROSE) == CHARACTERS.count(PROSE)
        counter.prepare()
        await vocabularies.aclose()
        assert counter.count(PROSE) == published.tokens("gpt-4o", PROSE) != CHARACTERS.count(PROSE)

    asyncio.run(scenario())


def test_without_the_packages_it_counts_by_length(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counting, "folder", lambda: tmp_path)
    assert [load.__wrapped__(name) for name in VOCABULARIES] == [None, None]
    for name in VOCABULARIES:
        (tmp_path / counting._FILES[name].name).write_bytes(b"IQ== 0\n")  # not what its name says
    assert [load.__wrapped__(name) for name in VOCABULARIES] == [None, None]


def test_a_chat_is_counted_as_openais_cookbook_has_it() -> None:
    """The example of cookbook.openai.com, with the count that its API gives for gpt-4 and gpt-4o."""
    messages = [
        {
            "role": "system",
            "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        },
        {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
        {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
        {
            "role": "system",
            "name": "example_user",
            "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        },
        {
            "role": "system",
            "name": "example_assistant",
            "content": "Let's talk later when we're less busy about how to do better.",
        },
        {
            "role": "user",
            "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
        },
    ]
    for model, count in (("gpt-4", 129), ("gpt-4o", 124)):
        by_name = load(encoding_of(model))
        assert by_name is not None
        assert counting.tokens_read(chat(*messages), Words(by_name)) == count


def test_what_else_is_read_is_counted() -> None:
    plain = counting.tokens_read(chat({"role": "user", "content": "one two"}), Words())
    assert plain == 3 + 1 + 2 + 3
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "two"}]
    assert counting.tokens_read(chat({"role": "user", "content": parts}), Words()) == plain + counting.IMAGE_TOKENS
    call = {"id": "c", "type": "function", "function": {"name": "f ", "arguments": '{"a": 1}'}}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert counting.tokens_read(chat(called), Words()) == 3 + 1 + 3 + 3
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert counting.tokens_read(chat({"role": "user", "content": "one two"}, tools=tools), Words()) == plain + 2


def test_a_prompt_that_is_gone_on_from_is_its_text_alone() -> None:
    assert counting.tokens_read(chat({"role": "user", "content": "one two"}), Words(), is_prompt=True) == 2


def test_items_to_embed_are_counted() -> None:
    body = b'{"model": "m", "input": ["one two", "three"]}'
    head, items = read_embeddings_head(body)
    request = EmbeddingsRequest("r", body, chat_head(head), dialect=DIALECT, items=items)
    assert counting.tokens_read(request, Words()) == 3
    arrays = EmbeddingsRequest("r", body, chat_head(head), dialect=DIALECT, items=(b"[1, 2, 3]", b"[4]"))
    assert counting.tokens_read(arrays, Words()) == 4


# What came of an answer.


def heard(*texts: str) -> Uncounted:
    uncounted = Uncounted()
    for text in texts:
        uncounted.heard(text)
    return uncounted


ASKED = chat({"role": "user", "content": "one two"})


def test_the_text_since_the_last_count_is_added_to_it() -> None:
    told = Usage(40, 5, cached_input=30)
    assert completed(told, ASKED, heard("a b c"), Words()) == Usage(40, 8, cached_input=30, estimated=True)
    assert completed(None, ASKED, heard("a b", " c"), Words()) == Usage(9, 3, estimated=True)


def test_a_count_that_was_not_the_last_word_keeps_what_it_knows_of_the_input() -> None:
    """Anthropic tells the input, its cached part too, as an answer begins, and 1 token of output."""
    began = Usage(5000, 1, cached_input=4000, cache_write=900, cache_write_1h=900, service="batch", estimated=True)
    cut = completed(began, ASKED, heard("a b c"), Words())
    assert cut == msgspec.structs.replace(began, output=3)
    assert completed(began, ASKED, heard(), Words()).output == 1


def test_of_a_long_answer_a_part_is_held_and_the_rest_measured() -> None:
    uncounted = heard(*["word "] * 20_000)
    assert uncounted.tokens(Words()) == pytest.approx(20_000, rel=0.01)
    assert sum(map(len, uncounted._parts)) == COUNTED_CHARS_MAX
    uncounted.clear()
    assert (uncounted.chars, uncounted.tokens(Words())) == (0, 0)
    assert heard("word " * 20_000).tokens(Words()) == pytest.approx(20_000, rel=0.01)
