"""The questions that confidence is fitted on grade answers as a person would."""

import pytest

from benchmarks.graded_questions import Question, questions

BY_PROMPT = {q.prompt: q for q in questions(7)}
COUNT = next(q for q in BY_PROMPT.values() if q.kind == "count")


def question(prompt: str) -> Question:
    return BY_PROMPT[prompt]


@pytest.mark.parametrize(
    ("prompt", "right", "wrong"),
    [
        ("What is the capital of France?", ["Paris.", "The capital of France is Paris."], ["Lyon", "paris is lower case", ""]),
        ("Is the Sun a star? Answer yes or no.", ["Yes.", "yes, it is"], ["No.", "It is a star.", "No, yes."]),
        ("How many legs does a spider have?", ["8", "Eight legs."], ["Six.", "80"]),
        ('What is the opposite of "hot"? Answer with one word.', ["Cold", 'It is "cold".'], ["Warm", "colder"]),
        ('What is the plural of the word "sheep"?', ["sheep", 'The plural of "sheep" is "sheep".'], ["sheeps", 'The "sheep".']),
        ('What is the first letter of the word "garden"?', ['It is "G".', 'The first letter of "garden" is g.'], ["It is a."]),
        ('How many letters are in the word "garden"?', ["It has 6 letters.", "six"], ["It has 5.", "garden"]),
        ("Which day comes after Monday?", ["Tuesday.", "After Monday comes Tuesday"], ["Monday", "Sunday"]),
        ("Which month comes right before January?", ["December"], ["November."]),
        ("List the seven days of the week in order.",
         ["Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"], ["Monday, Wednesday", "Tuesday, Monday"]),
    ],
)  # fmt: skip
def test_right_and_wrong_are_told_apart(prompt: str, right: list[str], wrong: list[str]) -> None:
    asked = question(prompt)
    assert [asked.is_right(text) for text in right] == [True] * len(right)
    assert [asked.is_right(text) for text in wrong] == [False] * len(wrong)


def test_sums_are_read_off_what_follows_them() -> None:
    asked = next(q for q in BY_PROMPT.values() if q.kind == "sum" and len(set(numbers(q.prompt))) == 2)
    a, b = numbers(asked.prompt)
    assert asked.is_right(f"{a} + {b} = {a + b}")
    assert asked.is_right(f"{a} + {b} = {a + b}\n\nIn mathematics, {a} + {b} is a sum.")
    assert asked.is_right(str(a + b))
    assert not asked.is_right(f"{a} + {b} = {a + b + 1}")
    assert not asked.is_right(f"The sum of {a} and {b}")


def test_the_larger_number_must_be_said_to_be_it() -> None:
    asked = next(q for q in BY_PROMPT.values() if q.kind == "larger")
    large, small = sorted(numbers(asked.prompt), reverse=True)
    assert asked.is_right(f"{large}")
    assert asked.is_right(f"Of {small} and {large}, {large} is larger.")
    assert not asked.is_right(f"{small} is larger than {large}.")
    assert not asked.is_right(f"{small} or {large}")


def test_counting_must_be_complete_and_in_order() -> None:
    first, last = numbers(COUNT.prompt)
    assert COUNT.is_right(", ".join(map(str, range(first, last + 1))))
    assert not COUNT.is_right(", ".join(map(str, range(first, last))))


def test_there_are_several_hundred_of_many_kinds_and_the_same_for_a_seed() -> None:
    assert len(BY_PROMPT) > 450
    assert len({q.kind for q in BY_PROMPT.values()}) > 15
    assert [q.prompt for q in questions(3)] == [q.prompt for q in questions(3)] != [q.prompt for q in questions(4)]


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.replace("?", " ").replace(",", " ").replace(".", " ").split() if word.isdigit()]
