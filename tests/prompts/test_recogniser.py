"""From prompts to ids: what is claimed has an id at once, and what is kept has a bound."""

from gateway.prompts.fingerprint import fingerprints
from gateway.prompts.pattern import Shape
from gateway.prompts.recogniser import FINGERPRINTED_PER_S, WAITING_MAX, Recogniser
from gateway.prompts.view import View


def test_a_fingerprint_that_a_template_claims_is_an_id_from_the_first_prompt_on() -> None:
    view = View("", "Please sort the following tickets, all of them")
    assert Recogniser().id_of(view) is None
    claimed = fingerprints(view)[1]
    recogniser = Recogniser()
    recogniser.adopt(Shape.parse("Sort: <*>").id, "Sort: <*>", [claimed])
    assert recogniser.id_of(view) == claimed


def test_templates_in_use_and_prompts_that_wait_are_bounded() -> None:
    recogniser = Recogniser(templates_max=2)
    texts = [f"{word} the following text: <*>" for word in ("Sort", "Sum", "Tell")]
    ids = [Shape.parse(text).id for text in texts]
    for n, text in enumerate(texts):
        recogniser.adopt(ids[n], text, [])
        recogniser.id_of(View("", text.replace("<*>", "a dog")))
    assert list(recogniser.dropped) == ids[:1]
    assert recogniser.id_of(View("", "Sort the following text: a dog")) is None, "compared with those in use alone"
    assert recogniser.id_of(View("", "Tell the following text: a dog")) == ids[2]
    for n in range(WAITING_MAX + 10):
        recogniser.id_of(View("", f"{chr(97 + n % 26) * (n + 1)} is new"))
    assert len(recogniser.waiting) == WAITING_MAX


def test_at_thousands_a_second_only_so_many_prompts_get_a_fingerprint_and_templates_are_found_for_all() -> None:
    now = 0.0
    recogniser = Recogniser(clock=lambda: now)
    recogniser.adopt(Shape.parse("Sort the following text: <*>").id, "Sort the following text: <*>", [])
    again = View("", "what is the weather like in Paris today")
    assert recogniser.id_of(again) is None
    assert recogniser.id_of(again) == fingerprints(again)[0]
    for n in range(FINGERPRINTED_PER_S):
        recogniser.id_of(View("", f"something else, {chr(97 + n % 26) * (n + 1)}"))
    assert recogniser.id_of(again) is None
    assert recogniser.id_of(View("", "Sort the following text: a dog")) is not None
    now = 1.0
    assert recogniser.id_of(again) == fingerprints(again)[0]
