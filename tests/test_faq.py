"""The shipped FAQ: what it answers by itself, and what only looks like small talk and goes on to a model."""

from pathlib import Path

import pytest

from classifiers.text.embed import StaticEmbedder
from gateway.answers.faq import Faq
from gateway.policy.compile import parse_faq
from gateway.policy.schema_routes import AnswerSpec
from gateway.prompt import Prompt

FILE = Path(__file__).resolve().parents[1] / "policies" / "faq.yaml"
MIN_SIMILARITY = AnswerSpec.model_fields["min_similarity"].default  # no shipped policy sets another

ANSWERED = [
    ("hi there!", "greeting"),
    ("hey there", "greeting"),
    ("hello!!", "greeting"),
    ("Hello", "greeting"),
    ("HELLO", "greeting"),
    ("good morning", "greeting-by-time-of-day"),
    ("Good morning!", "greeting-by-time-of-day"),
    ("thanks a lot", "thanks"),
    ("thank you so much!", "thanks"),
    ("Thank you very much", "thanks"),
    ("thank you", "thanks"),
    ("bye", "goodbye"),
    ("see you later", "goodbye"),
    ("see ya", "goodbye"),
    ("how are you doing today?", "how-are-you"),
    ("how are you doing?", "how-are-you"),
    ("How are you today?", "how-are-you"),
    ("who are you?", "who-are-you"),
    ("Who are you", "who-are-you"),
    ("so who are you?", "who-are-you"),
    ("what can you do?", "what-can-you-do"),
    ("what can you do for me?", "what-can-you-do"),
    ("are you a bot?", "are-you-a-bot"),
    ("Are you a robot?", "are-you-a-bot"),
    ("are you a human?", "are-you-a-bot"),
    ("are you a real human?", "are-you-a-bot"),
    ("hi, who are you?", "who-are-you"),
    ("hello, how are you?", "how-are-you"),
    ("hey how are you", "how-are-you"),
    ("hi how are you doing?", "how-are-you"),
    ("what's your name?", "who-are-you"),
    ("whats your name", "who-are-you"),
    ("tell me your name", "who-are-you"),
    ("please introduce yourself", "who-are-you"),
    ("good evening!", "greeting-by-time-of-day"),
    ("good night!", "good-night"),
    ("goodnight", "good-night"),
    ("thanks!", "thanks"),
    ("thx!", "thanks"),
    ("thanks so much", "thanks"),
    ("ok thanks", "thanks"),
    ("ok, thank you", "thanks"),
    ("great, thanks", "thanks"),
    ("thank you for your help", "thanks"),
    ("thanks for the help", "thanks"),
    ("bye!", "goodbye"),
    ("goodbye!", "goodbye"),
    ("ok bye", "goodbye"),
    ("bye for now", "goodbye"),
    ("talk to you later", "goodbye"),
    ("have a great day", "goodbye"),
    ("nice to meet you!", "nice-to-meet-you"),
    ("nice meeting you", "nice-to-meet-you"),
    ("who made you?", "who-made-you"),
    ("who built you", "who-made-you"),
    ("who is your creator?", "who-made-you"),
    ("are you chatgpt", "who-made-you"),
    ("are you gpt-4?", "who-made-you"),
    ("what model are you", "who-made-you"),
    ("what can you help with?", "what-can-you-do"),
    ("how can you help?", "what-can-you-do"),
    ("can you help me please?", "can-you-help"),
    ("please help me", "can-you-help"),
    ("I need your help", "can-you-help"),
    ("sorry!", "apology"),
    ("I am sorry", "apology"),
    ("my apologies", "apology"),
    ("are you sentient?", "feelings"),
    ("do you have feelings", "feelings"),
    ("test", "test"),
    ("this is just a test", "test"),
    ("great job", "praise"),
    ("you're great", "praise"),
    ("you are amazing", "praise"),
    ("good job!", "praise"),
    ("hello assistant", "greeting"),
    ("hi bot", "greeting"),
    ("is anyone there?", "can-you-help"),
    ("anyone there?", "can-you-help"),
    ("how's it going", "how-are-you"),
    ("what's up", "how-are-you"),
    ("whats up", "how-are-you"),
    ("sup", "how-are-you"),
    ("how are things?", "how-are-you"),
    ("are you ok?", "how-are-you"),
    ("pleased to meet you!", "nice-to-meet-you"),
]

NOT_ANSWERED = [
    "who are they?",
    "who are we?",
    "what are those?",
    "who created us?",
    "who made this?",
    "who made me?",
    "who made it?",
    "are they human?",
    "am I human?",
    "how are they?",
    "not nice to meet you",
    "take care of it",
    "are you sorry?",
    "I like it",
    "hi bye",
    "are you there yet?",
    "can I help you?",
    "what can I do?",
    "who is she?",
    "are we there?",
    "was it good?",
    "I am not sorry",
    "is he a bot?",
    "how am I?",
    "what is my name?",
    "do I have feelings?",
    "thanks for nothing",
    "no thanks",
    "I don't like you",
    "you are not helpful",
    "are you not a bot?",
    "good",
    "bad job",
    "good bye letter",
    "test this",
    "who do you like?",
    "who likes you?",
    "Hello world in Python",
    "help me with my taxes",
    "bye bye baby lyrics",
    "sleep well tips",
    "who made you laugh?",
    "what is your name in Spanish?",
    "do they sleep?",
    "are you married?",
    "can you help them?",
    "ok",
    "yes",
    "thank you letter",
    "morning sickness",
    "where are you?",
    "when are you available?",
    "who trained me?",
    "you like me",
    "good morning Vietnam",
    "how do I say thank you",
    "who were you?",
]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder.load()


@pytest.fixture(scope="module")
def faq(embedder: StaticEmbedder) -> Faq:
    return Faq(parse_faq("faq.yaml", FILE.read_text(encoding="utf-8")), embedder)


@pytest.mark.parametrize(("text", "entry"), ANSWERED)
def test_small_talk_is_answered(faq: Faq, embedder: StaticEmbedder, text: str, entry: str) -> None:
    found = faq.answer(Prompt(text, embedder), MIN_SIMILARITY)
    assert found is not None
    assert found.entry == entry


@pytest.mark.parametrize("text", NOT_ANSWERED)
def test_what_only_resembles_small_talk_is_not(faq: Faq, embedder: StaticEmbedder, text: str) -> None:
    assert faq.answer(Prompt(text, embedder), MIN_SIMILARITY) is None


def test_similarity_is_that_of_the_question_it_was_found_to_be(faq: Faq, embedder: StaticEmbedder) -> None:
    found = faq.answer(Prompt("Hello, who created you? Thanks", embedder), 0.5)
    assert found is not None
    assert found.entry == "who-made-you"
    assert 0.5 <= found.similarity < 1
