"""Verdicts are found again by their text, and the memory is bounded."""

from gateway.judging.memo import Memo, text_key


def test_what_was_put_is_found_and_counted() -> None:
    memo: Memo[int] = Memo()
    assert memo.get(b"a") is None
    memo.put(b"a", 1)
    assert memo.get(b"a") == 1
    assert (memo.hits, memo.misses) == (1, 1)


def test_the_least_recently_asked_for_goes_first() -> None:
    memo: Memo[int] = Memo(texts_max=2)
    memo.put(b"a", 1)
    memo.put(b"b", 2)
    memo.get(b"a")
    memo.put(b"c", 3)
    assert [memo.get(k) for k in (b"a", b"b", b"c")] == [1, None, 3]
    assert len(memo) == 2


def test_a_key_tells_texts_and_versions_apart() -> None:
    keys = {text_key(text, version) for text in ("a", "b", "", "\ud83d") for version in ("1", "2")}
    assert len(keys) == 8
    assert all(len(key) == 16 for key in keys)
