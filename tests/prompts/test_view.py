"""What of a request its prompt is told by: the system text and the user's first words, of any form and any size."""

import pytest

from gateway.chat import ChatHead, ContentPart, Message
from gateway.prompts.fingerprint import fingerprints
from gateway.prompts.view import CUT, END_CHARS, View, view_of
from gateway.request import ChatRequest


def request(*messages: Message) -> ChatRequest:
    return ChatRequest("req", b"{}", ChatHead("auto", list(messages)))


def test_all_turns_of_a_conversation_are_the_prompt_that_its_first_was() -> None:
    first = [Message("system", "Be brief."), Message("user", "Hi, who are you?")]
    later = [*first, Message("assistant", "A model."), Message("user", "And who made you?")]
    assert view_of(request(*later)) == view_of(request(*first)) == View("Be brief.", "Hi, who are you?")


def test_parts_are_read_as_their_text() -> None:
    parts = [ContentPart(text="Look at this:"), ContentPart("image_url"), ContentPart(text="What is it?")]
    assert view_of(request(Message("user", parts))) == View("", "Look at this:\nWhat is it?")


def test_system_texts_before_the_user_are_one() -> None:
    messages = [Message("system", "One."), Message("developer", "Two."), Message("user", "Hi"), Message("system", "Three.")]
    assert view_of(request(*messages)) == View("One.\nTwo.", "Hi")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [Message("user", "")],
        [Message("user", None)],
        [Message("user", [ContentPart("image_url")])],
        [Message("tool", "18 degrees"), Message("assistant", "Mild.")],
        [Message("assistant", None)] * 100 + [Message("user", "too late to be looked for")],
    ],
    ids=["none", "empty", "null", "image", "tools", "late"],
)
def test_where_nothing_is_said_there_is_no_prompt(messages: list[Message]) -> None:
    assert view_of(request(*messages)) is None


def test_a_system_text_alone_is_a_prompt() -> None:
    assert view_of(request(Message("system", "Write a poem."))) == View("Write a poem.", "")


def test_of_a_long_text_both_ends_are_seen() -> None:
    view = view_of(request(Message("user", "Summarise: " + "x" * 1_000_000 + " In one line.")))
    assert view is not None
    assert view.user.startswith("Summarise: x") and view.user.endswith("x In one line.") and CUT in view.user
    assert len(view.user) == 2 * END_CHARS + len(CUT)


@pytest.mark.parametrize(
    "content",
    ["word " * 200_000, [ContentPart(text="word " * 10)] * 100_000, [ContentPart(text="word " * 100_000)] * 10],
    ids=["text", "many parts", "long parts"],
)
def test_what_is_looked_at_is_bounded(content: str | list[ContentPart]) -> None:
    messages = [Message("system", content), Message("developer", content), Message("user", content)]
    view = view_of(request(*messages))
    assert view is not None
    assert max(map(len, view)) <= 2 * END_CHARS + len(CUT)
    assert len(fingerprints(view)) == 3
