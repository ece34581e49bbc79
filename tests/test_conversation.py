"""Which turns stand on their own, and which are judged with the ones before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chat import ContentPart, Message
from gateway.conversation import CHARS_MAX, TURNS_BEFORE_MAX, Turn, last_turn, leaning

QUESTION = "Write a function that merges two sorted lists."


def talk(*texts: str | None) -> list[Message]:
    """User and assistant in turns, the user first."""
    return [Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    "text",
    [
        "and in Python?", "why?", "continue", "Continue please", "make it shorter", "in one sentence", "what about Italy?",
        "How does that work?", "?", "👍", "again", "more", "Who is he?", "explain this code", "shorter", "for kids",
        "give me another example", "und auf Deutsch?", "¿por qué?", "pourquoi", "Почему?", "为什么?", "なぜ?", "もっと短く",
        "Is that right?", "are you sure", "But are you really sure?", "what if n is negative?", "I don't understand",
        "Sorry, I still don't get it.", "is this possible?",
    ],
)  # fmt: skip
def test_a_turn_that_asks_for_more_of_what_went_before_leans_on_it(text: str) -> None:
    assert leaning(text) == "request"


@pytest.mark.parametrize(
    "text", ["that was quick", "wow", "it was nice to talk to you", "this was a good chat", "your answer was good"]
)
def test_a_remark_on_what_went_before_may_call_for_no_answer(text: str) -> None:
    assert leaning(text) in ("remark", None)


@pytest.mark.parametrize("text", ["继续", "Tokyo", "no", "blue ones", "two litres", "the second option"])
def test_a_turn_that_is_hardly_a_sentence_leans(text: str) -> None:
    assert leaning(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "thanks!", "Thank you so much", "great, thanks a lot", "that was helpful, thanks", "bye", "good morning",
        "hello", "how are you?", "interesting", "got it, thanks", "ok", "makes sense",
        "What is the capital of France?", "Prove that 7 is prime", "Write a poem about spring",
        "Is it safe to eat snow?", "How long does it take to fly to Mars?", "What does a bill need before it becomes a law?",
        "Define entropy", "translate hello", "how many people live in Peru?", "请给我写一首关于春天的诗",
        "Why is the sky blue at noon and red at dusk?", "word " * CHARS_MAX,
        "Why do people not understand irony?", "Is a square a rectangle?", "I don't understand the Doppler effect",
    ],
)  # fmt: skip
def test_a_question_of_its_own_and_a_courtesy_do_not(text: str) -> None:
    assert leaning(text) is None


@pytest.mark.parametrize("text", ["yes", "no", "ok", "sure, go ahead", "great", "four people", "yes, thanks", "the blue one"])
def test_after_a_question_a_short_reply_leans(text: str) -> None:
    assert leaning(text, is_asked=True) == "reply"


@pytest.mark.parametrize("text", ["thanks!", "thank you, bye", "Prove that 7 is prime", "What is the time in Lima?"])
def test_after_a_question_thanks_and_new_questions_do_not(text: str) -> None:
    assert leaning(text, is_asked=True) is None


def test_a_follow_up_is_judged_with_the_turn_before() -> None:
    turn = last_turn(talk(QUESTION, "def merge(a, b): ...", "and in Rust?"))
    assert turn == Turn("and in Rust?", f"{QUESTION}\nand in Rust?", 1, can_skip=False)
    assert turn.basis == "the last user message with the turn before"


def test_follow_ups_on_follow_ups_go_back_to_what_they_are_about() -> None:
    turn = last_turn(talk("hello", "Hi.", QUESTION, "…", "and in Rust?", "…", "shorter"))
    assert turn.whole == f"{QUESTION}\nand in Rust?\nshorter"
    assert turn.basis == "the last user message with the 2 turns before"


def test_no_further_back_than_a_few_turns() -> None:
    turn = last_turn(talk(QUESTION, *["…", "shorter"] * 10))
    assert turn.turns_before == TURNS_BEFORE_MAX
    assert QUESTION not in turn.whole


@pytest.mark.parametrize("asked", ["Shall I go on?", "There are two ways.\n\nWhich one do you want? Just say."])
def test_a_yes_to_a_question_is_a_reply(asked: str) -> None:
    turn = last_turn(talk(QUESTION, asked, "yes"))
    assert (turn.turns_before, turn.can_skip) == (1, False)


def test_a_short_remark_may_be_nothing_to_answer() -> None:
    assert last_turn(talk(QUESTION, "def merge(a, b): ...", "wow")).can_skip


def test_a_question_that_the_assistant_answered_itself_was_none_to_the_user() -> None:
    assert last_turn(talk(QUESTION, "What is merging? It is weaving.\n\nHere is the code.", "ok")).can_skip


def test_a_first_turn_stands_alone() -> None:
    assert last_turn(talk("and in Rust?")) == Turn("and in Rust?", "and in Rust?")
    assert last_turn([Message("system", "Be brief."), *talk("why?")]).basis == "the last user message"


def test_only_what_users_wrote_is_taken_along() -> None:
    messages = [
        Message("user", [ContentPart("text", QUESTION), ContentPart("image_url")]),
        Message("assistant", None),
        Message("tool", "a long result?"),
        Message("user", "and this?"),
    ]
    assert last_turn(messages).whole == f"{QUESTION}\nand this?"
    assert last_turn([Message("tool", "x")]) == Turn("", "")


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "system"]), st.none() | st.text(max_size=200))))
def test_any_conversation_has_a_last_turn(said: list[tuple[str, str | None]]) -> None:
    turn = last_turn([Message(role, text) for role, text in said])  # type: ignore[arg-type]
    assert turn.whole.endswith(turn.last)
    assert turn.turns_before <= TURNS_BEFORE_MAX
    assert (turn.whole == turn.last) or turn.turns_before
