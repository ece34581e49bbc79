"""Token ids word by word: always those of the whole text, whatever was met before, and never without bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

import classifiers.text.word_ids
from classifiers.text.embed import TOKENIZER_FILE, _installed_file
from classifiers.text.word_ids import WordIds

PARTS = [
    "the",
    " Harbour",
    " ",
    "  ",
    "    return x",
    "\n",
    "\n\n",
    "\t",
    "▁",
    "▁▁",
    "<s>",
    "</s>",
    "<unk>",
    "<0x00>",
    "\0",
    "é",
    "🙂",
    "\u3000",
    "1,000",
    "don't.",
    "b2b",
    " 00012",
    "²",
    "٣",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=80), st.lists(st.sampled_from(PARTS), max_size=20).map("".join)
)


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(_installed_file(TOKENIZER_FILE)))


@pytest.fixture(scope="module")
def whole() -> Tokenizer:
    return tokenizer()


@pytest.fixture(scope="module")
def words(whole: Tokenizer) -> WordIds:
    return WordIds(tokenizer(), whole.get_vocab())


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_ids_are_those_of_the_whole_text(words: WordIds, whole: Tokenizer, text: str) -> None:
    expected = whole.encode(text, add_special_tokens=False).ids
    assert words.of(text).tolist() == expected
    assert words.of(text).tolist() == expected  # from memory


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, whole: Tokenizer) -> None:
    monkeypatch.setattr(classifiers.text.word_ids, "WORDS_MAX", 50)
    words = WordIds(tokenizer(), whole.get_vocab())
    for start in range(0, 400, 20):
        text = " ".join(f"kettle{n}" for n in range(start, start + 20))
        assert words.of(text).tolist() == whole.encode(text, add_special_tokens=False).ids
        assert 0 < len(words._words) <= 50


def test_long_words_are_not_remembered(whole: Tokenizer) -> None:
    words = WordIds(tokenizer(), whole.get_vocab())
    secret = "k" * 60
    assert words.of(f"my {secret}").tolist() == whole.encode(f"my {secret}", add_special_tokens=False).ids
    assert list(words._words) == [" my"]


def test_numbers_are_made_of_digits_and_not_remembered(whole: Tokenizer) -> None:
    words = WordIds(tokenizer(), whole.get_vocab())
    for n in range(1_000):
        text = f"No. {n:08} of v{n}.5"
        assert words.of(text).tolist() == whole.encode(text, add_special_tokens=False).ids
    assert len(words._words) == 15  # " No.", " of", " v", " ", "." and ten digits


def test_other_tokenizers_are_refused() -> None:
    with pytest.raises(ValueError, match="byte-pair tokenizer"):
        WordIds(Tokenizer(BPE({"a": 0, "b": 1}, [])), ["a", "b"])
    with pytest.raises(ValueError, match="byte-pair tokenizer"):
        WordIds(tokenizer(), ["▁a", "a▁b"])
    with pytest.raises(ValueError, match="byte-pair tokenizer"):
        WordIds(tokenizer(), ["▁a", "b2"])
