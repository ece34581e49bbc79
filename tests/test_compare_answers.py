"""Whether two answers come to the same, by text and by a judge's word."""

import msgspec
import pytest

from gateway.caching.compare import SHOWN_CHARS, Verdict, compare_texts, judge_body, read_verdict
from gateway.chat import read_head

TIP = "Heat water, add it to the tea, let it stand, remove the tea. Use a warm pot and good tea for the best taste."
TAX = "A tax return must be handed in by the end of July, with all of the receipts for the year that has passed."
COFFEE = "Put the coffee into a filter, pour the water over it and wait until all of it has run through into the jug."
LONG = "Boil the kettle, pour the water over the leaves, wait for four minutes and then take the leaves out of the pot."


@pytest.mark.parametrize(
    ("kept", "fresh", "cosine", "verdict"),
    [
        ("Paris.", "It is Paris.", 0.8, "right"),
        ("The answer is 42.", "So the result is 42", 0.3, "right"),
        ("The answer is 42.", "So the result is 41", 0.99, "wrong"),
        ("Yes, it is open.", "No, it is closed on Sundays.", 0.9, "wrong"),
        ("Canberra", "Ottawa", 0.6, "wrong"),
        (LONG, LONG.replace("pour", "then pour"), 0.99, "right"),
        (LONG, TIP, 0.95, "right"),
        (LONG, TAX, 0.2, "wrong"),
        (LONG, COFFEE, 0.75, "unsure"),
        (f"{LONG} Take 2 spoons.", LONG.replace("Boil", "Heat").replace("leaves", "tea") + " Take 3 spoons.", 0.97, "wrong"),
        (f"{LONG * 2} Take 2 spoons.", LONG.replace("leaves", "tea") * 2 + " It takes 3 spoons, as I said.", 0.97, "unsure"),
        ("...", "Paris", 0.0, "unsure"),
    ],
)  # fmt: skip
def test_texts_are_right_or_wrong_only_where_that_is_clear(kept: str, fresh: str, cosine: float, verdict: Verdict) -> None:
    assert compare_texts(kept, fresh, cosine) == verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("SAME", "right"),
        ("Both name Paris.\n\n**Same**", "right"),
        ("The first is about Spain.\nDIFFERENT.", "wrong"),
        ("not the same", "unsure"),
        ("SAME or DIFFERENT, hard to say", "unsure"),
        ("SAME\nI hope this helps", "unsure"),
        ("", "unsure"),
    ],
)
def test_a_judge_is_taken_at_its_last_line(reply: str, verdict: Verdict) -> None:
    assert read_verdict(reply) == verdict


def test_what_the_judge_is_shown_is_bounded_and_survives_braces_and_quotes() -> None:
    body = judge_body("strong", 'why "{}" {0}?', "a" * (SHOWN_CHARS + 9), "%s\n```")
    head = read_head(body)
    assert head.model == "strong"
    shown = msgspec.json.decode(head.messages[-1].text())
    assert shown == {"question": 'why "{}" {0}?', "reply_a": "a" * SHOWN_CHARS, "reply_b": "%s\n```"}
