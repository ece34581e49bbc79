"""What is read off texts is remembered within its bytes, whatever the texts are."""

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest

from classifiers.pairs import reading, screen, view
from classifiers.pairs.blocks import static_embedder
from classifiers.pairs.features import VIEWS_BYTES_MAX, PairFeatures
from classifiers.pairs.memo import ENTRY_BYTES, Memo
from classifiers.pairs.view import RARITY_BUCKETS, View, Words

PROSE = "why do the two red kites circle over our garden every other morning and what can they be looking for there, "


def test_a_text_is_read_once_and_what_it_gave_is_shared():
    numbers = count()
    memo = Memo(lambda text: (text, next(numbers)), lambda value: 0, 10_000)
    assert memo("a") == memo("a") == ("a", 0)
    assert memo("b") == ("b", 1)
    assert memo("a") is memo("a")


def test_the_least_recently_wanted_is_forgotten_first():
    read = []
    memo = Memo(read.append, lambda value: 1_000 - ENTRY_BYTES - 1, 3_000)
    for text in "abc" + "a" + "d" + "ac" + "b":
        memo(text)
    assert read == ["a", "b", "c", "d", "b"]
    assert (len(memo), memo.size_bytes) == (3, 3_000)


def test_what_is_larger_than_all_of_it_is_given_but_not_kept():
    memo = Memo(str.upper, len, 1_000)
    assert memo("a" * 2_000) == "A" * 2_000
    assert (len(memo), memo.size_bytes) == (0, 0)


def test_texts_count_with_what_their_characters_take():
    ascii_only, wide = Memo(len, lambda value: 0, 10_000), Memo(len, lambda value: 0, 10_000)
    ascii_only("a" * 100)
    wide("\U0001f600" * 100)
    assert (ascii_only.size_bytes, wide.size_bytes) == (ENTRY_BYTES + 100, ENTRY_BYTES + 400)


def test_many_threads_leave_it_within_its_bounds_and_its_sum_right():
    memo = Memo(str.upper, len, 20_000)
    texts = [f"text {n % 97}" * (n % 5 + 1) for n in range(4_000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(memo, texts)) == [text.upper() for text in texts]
    assert memo.size_bytes == sum(size for _, size in memo._kept.values()) <= 20_000


@pytest.mark.parametrize("words", [8, 30, 90, 400])
@pytest.mark.parametrize("kind", ["reading", "view", "outline"])
def test_what_a_value_is_said_to_take_is_what_it_takes(kind, words):
    table = Words(static_embedder(), np.ones(RARITY_BUCKETS, np.float32))
    texts = [f"{n} " + " ".join((PROSE * 25).split()[n : n + words]) for n in range(24)]
    made: Callable[[str], object]
    if kind == "reading":
        made, bytes_of = reading.Reading, reading._bytes_of
    elif kind == "outline":
        made, bytes_of = screen.Outline.of, lambda value: screen.OUTLINE_BYTES
    else:
        made, bytes_of = (lambda text: View(text, table)), view.bytes_of
    for text in texts:  # what is remembered of single words is not a text's
        made(text)
    reading.read.forget()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        values = [made(text) for text in texts]
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    said = sum(map(bytes_of, values))
    # Of prose, whose words were met before. Words that nobody has met take twice as much.
    assert 0.5 * said < taken < 1.15 * said


def test_columns_of_many_long_texts_take_no_more_than_their_bound():
    features = PairFeatures(static_embedder(), np.ones(RARITY_BUCKETS, np.float32))
    words = (PROSE * 5).split()
    texts = [" ".join([*words[n % 20 : n % 20 + 80], str(n)]) for n in range(120)]  # some 300 kB each
    features.rows(texts[0], texts[1:20], [0.9] * 19)
    features._view.forget()
    tracemalloc.start()
    try:
        for asked in texts:
            features.rows(asked, [texts[0]], [0.9])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.8 * VIEWS_BYTES_MAX < taken < 1.2 * VIEWS_BYTES_MAX
