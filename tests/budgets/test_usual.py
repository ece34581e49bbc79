"""How long answers usually are: the longest of the last hundred or two, not for ever, and in little memory."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.budgets.usual import AGE_S, ANSWERS, COLD_TOKENS, ENOUGH, MODELS_MAX, UsualOutput

Answers = list[tuple[float, int]]  # seconds since the one before, tokens

ANSWERED = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 60.0, AGE_S / 2, AGE_S, 2 * AGE_S]), st.integers(0, 50_000)), max_size=3 * ANSWERS
)


@given(ANSWERED, st.sampled_from([0.0, AGE_S / 2, AGE_S, 3 * AGE_S]))
@example([(0.0, 30_000), (1.5 * AGE_S, 0)], AGE_S / 2)
@example([(0.0, 30_000)] + [(1.0, 0)] * ANSWERS, AGE_S / 2)
def test_it_is_the_longest_of_the_last_hundred_at_least_and_of_two_hundred_at_most(answers: Answers, later_s: float) -> None:
    usual, at, seen = UsualOutput(), 0.0, []
    for after_s, tokens in answers:
        at += after_s
        usual.wrote("m", tokens, at)
        seen.append((at, tokens))
    now = at + later_s
    surely = [tokens for when, tokens in seen[-ANSWERS:] if now - when < AGE_S]
    perhaps = [tokens for when, tokens in seen[-2 * ANSWERS :] if now - when < 2 * AGE_S]
    least = COLD_TOKENS if len(perhaps) < ENOUGH else 0
    most = COLD_TOKENS if len(surely) < ENOUGH else 0
    assert max([least, *surely]) <= usual.of("m", now) <= max([most, *perhaps])


def test_one_long_answer_is_forgotten() -> None:
    usual = UsualOutput()
    usual.wrote("m", 30_000, 0.0)
    for _ in range(2 * ANSWERS - 1):
        usual.wrote("m", 10, 1.0)
    assert usual.of("m", 1.0) == 30_000
    usual.wrote("m", 10, 1.0)
    assert usual.of("m", 1.0) == 10


def test_short_answers_are_believed_when_there_were_enough() -> None:
    usual = UsualOutput()
    for _ in range(ENOUGH - 1):
        usual.wrote("m", 10, 0.0)
    assert usual.of("m", 0.0) == COLD_TOKENS
    usual.wrote("m", 12, 0.0)
    assert usual.of("m", 0.0) == 12


def test_one_long_answer_is_forgotten_where_nothing_more_is_let_through() -> None:
    usual = UsualOutput()
    usual.wrote("m", 30_000, 0.0)
    assert usual.of("m", 2 * AGE_S - 1) == 30_000
    assert usual.of("m", 2 * AGE_S) == COLD_TOKENS


def test_models_are_learned_apart_and_those_asked_longest_ago_forgotten() -> None:
    usual = UsualOutput()
    for n in range(MODELS_MAX):
        usual.wrote(f"m{n}", 2000 + n, 0.0)
    usual.wrote("m0", 1, 0.0)
    usual.wrote("one more", 9000, 0.0)
    assert [usual.of(name, 0.0) for name in ("m0", "m1", "m2", "one more")] == [2000, COLD_TOKENS, 2002, 9000]
