"""Rows of tokens met: always those that are stored, in whatever order and on whatever thread they are asked for."""

import threading

import numpy as np

from classifiers.text.token_rows import ROWS_FIRST, TokenRows

STORED = np.random.default_rng(1).normal(size=(5_000, 16)).astype(np.float16)


def test_rows_are_those_stored_and_only_those_met_take_room() -> None:
    rows = TokenRows(STORED)
    for ids in ([7], [7, 7, 3], [4_999, 0, 7]):
        assert np.array_equal(rows.take(np.array(ids)), STORED[ids].astype(np.float32))
    assert rows._met == 4 and len(rows._rows) == ROWS_FIRST


def test_more_than_there_is_room_for_makes_room() -> None:
    rows = TokenRows(STORED)
    some = np.arange(0, 5_000, 3)
    rows.take(some[:10])
    assert np.array_equal(rows.take(some), STORED[some].astype(np.float32))
    every = np.arange(5_000)[::-1]
    assert np.array_equal(rows.take(every), STORED[every].astype(np.float32))
    assert len(rows._rows) == 5_000


def test_a_small_vocabulary_takes_no_more_than_it_is() -> None:
    assert TokenRows(STORED[:3]).take(np.array([2, 0])).tolist() == STORED[[2, 0]].tolist()


def test_threads_that_meet_tokens_at_once_get_the_right_rows() -> None:
    rows, wrong = TokenRows(STORED), []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            ids = rng.integers(0, 5_000, 40)
            if not np.array_equal(rows.take(ids), STORED[ids].astype(np.float32)):
                wrong.append(ids)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and rows._met == 5_000
