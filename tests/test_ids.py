"""Ids: each of them once, in every process."""

from __future__ import annotations

import os

from gateway.ids import new_uid


def test_ids_differ_and_sort_by_time() -> None:
    made = [new_uid() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [uid[:12] for uid in made] == sorted(uid[:12] for uid in made)
    assert {len(uid) for uid in made} == {32}


def test_a_process_and_its_fork_do_not_make_the_same_ones() -> None:
    new_uid()  # some chance is drawn by now
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_uid()[12:] for _ in range(10)).encode())
        os._exit(0)
    os.close(writing)
    ours = [new_uid()[12:] for _ in range(10)]
    with os.fdopen(reading, "rb") as said:
        text = said.read().decode()
    os.waitpid(child, 0)
    theirs = [text[at : at + 20] for at in range(0, len(text), 20)]
    assert len(set(ours + theirs)) == 20
