"""What is plainly wrong with an answer's text, and what only looks like it."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.checks import bad_call, not_json, refuses, repeats, too_long, too_short

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I cannot assist with this request.",
    "I am sorry, I am unable to open links.",
    "Sorry, but I can't provide that information.",
    "I apologize, but I'm not able to access the internet.",
    "My apologies, but as a text model I can't open files.",
    "As an AI language model, I don't have personal opinions.",
    "As a large language model, I cannot browse the web.",
    "I don't have access to real-time data.",
    "I do not have enough information to say.",
    "I am unable to determine the date.",
    "I can't assist with that.",
    "I cannot see the image you are talking about.",
    "Unfortunately, I don't have access to your calendar.",
    "**I'm sorry, but I can't do that.**",
    "  \n I don't know.",
    "Es tut mir leid, aber dabei kann ich nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Als KI-Sprachmodell habe ich keine Meinung.",
    "Je suis désolé, mais je ne peux pas répondre.",
    "En tant que modèle de langage, je n'ai pas d'avis.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Como modelo de lenguaje, no tengo opiniones.",
    "Mi dispiace, ma non posso aiutarti.",
    "Desculpe, mas não posso ajudar com isso.",
    "Het spijt me, maar ik kan dat niet.",
    "抱歉,我无法回答这个问题。",
    "作为一个AI语言模型,我没有个人观点。",
    "申し訳ありませんが、お答えできません。",
]
NO_REFUSALS = [
    "Paris.",
    "I'm sorry to hear that your cat is ill. Keep her warm and call a vet.",
    "I am sorry for the delay; the answer is 42.",
    '"I can\'t help you," said the old woman, and closed the door.',
    "I can't wait to tell you: the show begins at eight.",
    "I can't recommend this book enough.",
    "I cannot see the stars tonight,\nthe clouds are low and grey.",
    "As an AI researcher, you will want to read papers daily.",
    "As an artist, I don't follow rules.",
    "Sorry is a word that costs nothing.",
    "The assistant answered: I'm sorry, but I can't help with that.",
    'A model that says "As an AI language model, I don\'t have opinions" is declining.',
    "Unfortunately, the river burst its banks in May.",
    "I don't have a car, so I took the train. She doesn't know it yet.",
    "Unable to wait, he ran. I am unable, he thought.",
    "Write: 'I apologize for the late delivery. I will send a new one.'",
    "Leider regnet es morgen.",
    "Ich kann Ihnen das sehr empfehlen.",
    "Je suis désolé pour le retard du train.",
    "Lo siento mucho por tu pérdida.",
    "Lo siento, no ",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_declining_is_seen(text: str) -> None:
    assert refuses(text) == "it begins by declining"


@pytest.mark.parametrize("space", ["  ", "\n", "\t ", "\u00a0", "\u3000", "\x1c"])
def test_space_of_any_kind_is_one_space(space: str) -> None:
    assert all(refuses(text.replace(" ", space)) for text in REFUSALS)


@pytest.mark.parametrize("text", NO_REFUSALS)
def test_what_only_sounds_like_it_is_not(text: str) -> None:
    assert refuses(text) is None


def test_a_refusal_in_the_middle_of_a_story_is_none() -> None:
    assert refuses("Once upon a time there was a robot. " * 3 + "I'm sorry, but I can't help with that, it said.") is None


LOOPS = {
    "sentence": "The sky is blue because of the light. " * 9,
    "sentence after an answer": "Rayleigh scattering explains it, as every book says. " + "It is the light that scatters. " * 12,
    "word": "the answer is " + "very " * 40,
    "lines": "Here is the list:\n" + "- Drink enough water every day.\n" * 6,
    "numbered lines": "".join(f"{n}. Always check the oil before you drive.\n" for n in range(1, 9)),
    "phrase in a long text": " ".join(random.Random(1).choices("red green blue dog cat house tree".split(), k=80))
    + " and so it goes on and on" * 60,
    "no spaces": "答案是这样的" * 30,
    "letters": "hahaha" * 30,
    "code line": "```\n" + "result = compute_value(result)\n" * 12 + "```",
}
NO_LOOPS = {
    "short": "Paris. Paris.",
    "emphasis": "No, no, no, no, no! Never do that.",
    "list": "\n".join(f"- {item} is a fruit" for item in "apple pear plum fig cherry grape lemon lime mango kiwi".split()),
    "table": "| name | n |\n|------|---|\n" + "".join(f"| row {n} | {n} |\n" for n in range(40)),
    "zeros": "[" + "0, " * 200 + "0]",
    "rule": "Heading\n" + "=" * 120 + "\ntext below it",
    "code": "\n".join(
        f"def test_{name}(self):\n    result = self.client.get('/{name}')\n    self.assertEqual(result.status_code, 200)\n"
        for name in "home about login logout users orders items basket".split()
    ),
    "bytes in code": "```c\nstatic const char z[] = {" + "0x00, " * 100 + "};\n```",
    "poem": "\n".join(
        f"{line}\nand the river runs to the sea.\n"
        for line in (
            "The mill has stopped, the wheel is still,",
            "My brother left when the snow was deep,",
            "The bell rang once for the captain's ship,",
            "I plant a tree where the house once stood,",
            "The children sing what their mothers sang,",
        )
    ),
    "song with a chorus": "Row on, row on.\n" * 3
    + "We left the harbour at break of day,\nthe wind was fair and the sea was grey.\n" * 1,
    "json": json.dumps([{"id": n, "name": f"item {n}", "is_open": True, "price": n * 1.5} for n in range(60)], indent=1),
    "csv": "\n".join(f"2024-01-{d:02d},open,closed,{d * 7}" for d in range(1, 29)),
    "times table": "\n".join(f"{a} x {b} = {a * b}" for a in range(1, 10) for b in range(1, 10)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_running_in_circles_is_seen(name: str) -> None:
    assert repeats(LOOPS[name]) is not None


@pytest.mark.parametrize("name", NO_LOOPS)
def test_what_repeats_by_its_nature_is_left_alone(name: str) -> None:
    assert repeats(NO_LOOPS[name]) is None


def test_a_reason_says_how_often_and_not_what() -> None:
    said = repeats("my secret word is plum. " * 10)
    assert said == "the same 5 words at least 5 times in a row"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["ab " * 90_000, "x" * 250_000, "a b c d e f g h " * 15_000, "wort\n" * 50_000])
def test_long_texts_are_judged_in_bounded_time(text: str) -> None:
    assert repeats(text) is not None


@given(st.text())
def test_checks_are_total(text: str) -> None:
    for found in (refuses(text), repeats(text), not_json(text, {"type": "json_object"}), too_short(text, 3), too_long(text, 3)):
        assert found is None or found


def test_lone_surrogates_are_read_like_any_other_text() -> None:
    assert refuses("\ud800 I'm sorry") is None
    assert repeats("\ud800 over and over. " * 60) is not None
    assert not_json('{"a": "\ud800"}', {"type": "json_object"}) is not None


def test_lengths_count_without_the_space_around() -> None:
    assert too_short("  ok \n", 3) == "2 characters are fewer than 3"
    assert too_short("  fine \n", 4) is None
    assert too_long("hello", 4) == "5 characters are more than 4"
    assert too_long("hello  ", 5) is None


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["city", "age"],
    "properties": {
        "city": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": ["array", "null"]},
        "score": {"type": "number"},
        "open": {"type": "boolean"},
        "free": {"enum": [1, "x"]},
    },
}


def wrapped(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


@pytest.mark.parametrize(
    ("text", "format_", "why"),
    [
        ('{"a": 1}', {"type": "json_object"}, None),
        (' {"a": 1}\n', {"type": "json_object"}, None),
        ("[1]", {"type": "json_object"}, "it is not a JSON object"),
        ("", {"type": "json_object"}, "it is not JSON"),
        ('{"a": 1', {"type": "json_object"}, "it is not JSON"),
        ('```json\n{"a": 1}\n```', {"type": "json_object"}, "it is not JSON"),
        ("Here you are: {}", {"type": "json_object"}, "it is not JSON"),
        ('{"city": "Ulm", "age": 3}', wrapped(SCHEMA), None),
        ('{"city": "Ulm", "age": 3.0, "tags": null, "score": 1, "open": true, "free": {}}', wrapped(SCHEMA), None),
        ('{"city": "Ulm"}', wrapped(SCHEMA), "its JSON lacks 1 of 2 required keys"),
        ('{"city": 7, "age": 3}', wrapped(SCHEMA), "its JSON has a key that is not of type string"),
        ('{"city": "Ulm", "age": true}', wrapped(SCHEMA), "its JSON has a key that is not of type integer"),
        ('{"city": "Ulm", "age": 3, "open": 1}', wrapped(SCHEMA), "its JSON has a key that is not of type boolean"),
        ('{"city": "Ulm", "age": 3, "tags": {}}', wrapped(SCHEMA), "its JSON has a key that is not of type ['array', 'null']"),
        ("[]", wrapped(SCHEMA), "its JSON is not of type object"),
        ("[]", wrapped({"type": "array"}), None),
        ("3", wrapped({}), None),
        ("3", {"type": "json_schema"}, None),
        ("x", {"type": "json_schema"}, "it is not JSON"),
    ],
)
def test_json_is_what_the_request_asks_for(text: str, format_: dict[str, Any], why: str | None) -> None:
    assert not_json(text, format_) == why


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("weather", '{"city": "Ulm"}', None),
        ("weather", "", None),
        ("weather", '{"city": ', "the arguments of its tool call are not JSON"),
        ("weather", '"Ulm"', "the arguments of its tool call are not a JSON object"),
        ("launch", "{}", "it calls a tool that the request does not offer"),
    ],
)
def test_tool_calls_must_be_ones_that_can_be_carried_out(name: str, arguments: str, why: str | None) -> None:
    assert bad_call(name, arguments, frozenset({"weather"})) == why
