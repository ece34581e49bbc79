"""Hashed n-grams: what is counted, what is bounded, and that no text is refused."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text.ngrams import both_ngrams, char_ngrams, token_ngrams
from classifiers.text.normalise import flattened

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates included
FROZEN_CHARS = [35676, 35735, 57714]
FROZEN_TOKENS = [2215, 6648]


def test_runs_of_characters_are_counted_with_their_word_bounds() -> None:
    buckets, counts = char_ngrams("abab", [2], 30)  # " abab ": two of "ab", one each of " a", "ba", "b "
    assert sorted(counts.tolist()) == [1.0, 1.0, 1.0, 2.0]
    again, _ = char_ngrams("ab", [2], 30)
    assert set(again.tolist()) < set(buckets.tolist())


def test_case_and_white_space_make_no_difference() -> None:
    one, two = char_ngrams("Hello  World\n", [3, 4], 18), char_ngrams(" hello world", [3, 4], 18)
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


def test_sizes_share_a_table_without_sharing_buckets() -> None:
    short, _ = char_ngrams("the quick brown fox", [3], 30)
    long, _ = char_ngrams("the quick brown fox", [4], 30)
    assert not set(short.tolist()) & set(long.tolist())


def test_runs_of_tokens_know_their_order() -> None:
    (forward, _), (backward, _) = token_ngrams([5, 9], [2], 30), token_ngrams([9, 5], [2], 30)
    assert forward.tolist() != backward.tolist()
    assert len(token_ngrams([5, 9, 5], [1, 2], 30)[0]) == 4


def test_token_zero_counts_as_a_token() -> None:
    assert set(token_ngrams([0], [1], 30)[0].tolist()).isdisjoint(token_ngrams([0, 0], [2], 30)[0].tolist())


def test_buckets_do_not_change_between_versions() -> None:
    assert char_ngrams("abc", [3], 16)[0].tolist() == FROZEN_CHARS
    assert token_ngrams([1, 2, 3], [2], 16)[0].tolist() == FROZEN_TOKENS


def test_buckets_spread_evenly() -> None:
    buckets, _ = token_ngrams(range(32_000), [1], 12)
    loads = np.bincount(token_ngrams(range(32_000), [1], 20)[0] >> 8, minlength=4_096)
    assert len(buckets) > 4_000  # of 4,096, 1.6 would be missed by chance
    assert loads.max() < 30  # 7.8 expected


def test_long_text_is_bounded_and_keeps_both_ends() -> None:
    started = time.perf_counter()
    buckets, counts = char_ngrams("start " + "x" * 5_000_000 + " the end", [5], 18)
    assert time.perf_counter() - started < 0.5
    assert counts.sum() < 4_200
    for part in ("start", "the end"):
        assert np.isin(char_ngrams(part, [5], 18)[0][1:-1], buckets).all()


@given(ANY_TEXT, st.integers(1, 32))
def test_every_text_has_sorted_distinct_buckets_within_the_table(text: str, bits: int) -> None:
    buckets, counts = char_ngrams(text, [1, 3, 5], bits)
    assert buckets.dtype == np.uint32 and counts.dtype == np.float32 and len(buckets) == len(counts)
    assert (np.diff(buckets.astype(np.int64)) > 0).all()
    assert not len(buckets) or int(buckets.max()) < 2**bits
    normalised = " ".join(text.lower().split())
    expected = sum(max(len(normalised) + 3 - n, 0) for n in (1, 3, 5)) if normalised else 0
    assert counts.sum() == expected


@given(st.lists(st.integers(0, 2**31)))
def test_every_list_of_ids_is_counted_whole(ids: list[int]) -> None:
    assert token_ngrams(ids, [1, 2], 18)[1].sum() == max(2 * len(ids) - 1, 0)


@given(ANY_TEXT, st.lists(st.integers(0, 31_999), max_size=60))
def test_both_at_once_are_what_each_is_alone(text: str, ids: list[int]) -> None:
    places, counts, of_chars = both_ngrams(flattened(text.lower()), (3, 4, 5), np.array(ids, np.int64), (1, 2), 16)
    chars, char_counts = char_ngrams(text, (3, 4, 5), 16)
    tokens, token_counts = token_ngrams(ids, (1, 2), 16)
    assert places.tolist() == [*chars.tolist(), *(tokens.astype(int) + 2**16).tolist()]
    assert counts.tolist() == [*char_counts.tolist(), *token_counts.tolist()]
    assert of_chars == len(chars)


@pytest.mark.parametrize(("sizes", "bits"), [([], 10), ([0, 2], 10), ([2], 0), ([2], 33)])
def test_impossible_sizes_and_tables_are_refused(sizes: list[int], bits: int) -> None:
    with pytest.raises(ValueError, match="must be 1 or above"):
        char_ngrams("text", sizes, bits)
