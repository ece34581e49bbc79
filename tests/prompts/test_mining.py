"""Templates are found in mixed traffic, free chat is not one, slips do not spoil them, and nothing private is kept."""

import json
import random
from collections import Counter

import pytest

from benchmarks.prompt_traffic import TEMPLATES, Gateway, Prompt, free_chat, pair_scores, traffic
from gateway.prompts.mining import Found, Miner
from gateway.prompts.pool import Pool
from gateway.prompts.view import View


def learn(*users: str, system: str = "", miner: Miner | None = None) -> list[Found]:
    miner = miner or Miner()
    return [found for user in users for found in miner.learn(View(system, user), {})]


def texts(found: list[Found]) -> list[str]:
    return [one.shape.text for one in found]


SUMMARIES = [
    f"Summarise the following article in three sentences:\n\n{rest}" for rest in ("A dog ran.", "Rain fell", "Who knows?")
]


def reported(gateway: Gateway, ids: list[str | None]) -> list[str | None]:
    return [None if id_ is None else gateway.recogniser.families.of(id_) for id_ in ids]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_prompts_are_grouped_by_their_templates(seed: int) -> None:
    prompts = traffic(seed, each=30, chats=1_000)
    gateway = Gateway()
    found = reported(gateway, [gateway.ask(prompt) for prompt in prompts])
    meant = [prompt.template for prompt in prompts]
    precision, recall = pair_scores(found, meant)
    assert precision >= 0.98 and recall >= 0.85, "from the first prompt on"
    count: Counter[str] = Counter()
    late: list[int] = []
    for n, name in enumerate(meant):
        if name is None or count[name] >= 10:
            late.append(n)
        if name is not None:
            count[name] += 1
    precision, recall = pair_scores([found[n] for n in late], [meant[n] for n in late])
    assert 2 * precision * recall / (precision + recall) >= 0.98, "of templates that came ten times"


def test_free_chat_has_no_template() -> None:
    gateway = Gateway()
    ids = [gateway.ask(Prompt("", text, None)) for text in free_chat()]
    in_templates = sum(id_ is not None and id_.startswith("t-") for id_ in ids)
    assert in_templates <= 0.005 * len(ids), gateway.written
    assert sum(id_ is None for id_ in ids) >= 0.7 * len(ids), "asked once, booked without an id"


def test_the_order_of_prompts_makes_little_difference() -> None:
    prompts = traffic(4, each=20, chats=300)
    partitions = []
    for seed in range(3):
        gateway = Gateway()
        shuffled = random.Random(seed).sample(prompts, len(prompts))
        for prompt in shuffled:
            gateway.ask(prompt)
        partitions.append(reported(gateway, [gateway.ask(prompt) for prompt in prompts]))
    for other in partitions[1:]:
        precision, recall = pair_scores(other, partitions[0])
        assert min(precision, recall) >= 0.95


def test_two_gateways_that_read_each_other_agree() -> None:
    prompts = traffic(5, each=30, chats=500)
    one, two = Gateway(), Gateway()
    ids = []
    for n, prompt in enumerate(prompts):
        ids.append((one, two)[n % 2].ask(prompt))
        if n % 100 == 99:
            one.read(two)
            two.read(one)
    while len(one.written) + len(two.written) > (before := one.read_so_far + two.read_so_far):
        one.read(two)
        two.read(one)
        assert one.read_so_far + two.read_so_far > before, "they come to an end"
    assert reported(one, ids) == reported(two, ids)
    precision, recall = pair_scores(reported(one, ids), [prompt.template for prompt in prompts])
    assert precision >= 0.98 and recall >= 0.75
    for prompt in prompts:
        assert one.template_of(prompt) == two.template_of(prompt)


def test_three_different_texts_make_a_template_and_two_do_not() -> None:
    assert texts(learn(*SUMMARIES[:2])) == []
    assert texts(learn(*SUMMARIES[:2], SUMMARIES[1])) == [], "the same again is not different"
    assert texts(learn(*SUMMARIES)) == ["Summarise the following article in three sentences:\n\n<*>"]


def test_texts_that_differ_in_a_number_alone_are_not_different() -> None:
    letter = "Dear Dr. Smith, about my diagnosis of {0}: please call me, my number is 555{0}, and tell nobody at work.\n\nMax"
    assert texts(learn(*(letter.format(n) for n in range(1000, 1010)))) == []


def test_a_system_text_that_differs_in_its_date_alone_is_one() -> None:
    pool = Pool()
    miner = Miner(pool)
    for day in range(10, 20):
        assert miner.learn(View(f"Today is 2026-11-{day}. You look after the plants of Max Mustermann alone.", ""), {}) == []
    assert len(pool) == 1


def test_what_one_user_said_stays_out_whatever_the_system_text_says() -> None:
    miner, said = Miner(), "My name is Max Mustermann and I was diagnosed with diabetes: what may I eat now, and what not?"
    found = []
    for words in ("bread and rice", "fish or meat", "sugar", "milk, eggs", "fruit of all kinds", "salt"):
        system = f"You answer from the documents alone, and say which one you used.\nDocuments:\n{words}\nEnd of documents."
        found += learn(said, system=system, miner=miner)
    assert texts(found) == [
        "You answer from the documents alone, and say which one you used.\nDocuments:\n<*>\nEnd of documents.\n<|user|>\n<*>"
    ]


def test_only_words_that_three_texts_share_are_written() -> None:
    prompts = traffic(6, each=12, chats=200)
    gateway = Gateway()
    for prompt in prompts:
        gateway.ask(prompt)
    assert len(gateway.written) >= len(TEMPLATES) - 2
    for _, text, _ in gateway.written:
        for part in text.replace("<|user|>", "<*>").split("<*>"):
            holders = {prompt.user for prompt in prompts if part.strip() in f"{prompt.system}\n{prompt.user}"}
            assert len(holders) >= 3, part


def test_a_hash_of_what_one_prompt_said_is_not_written_either() -> None:
    (found,) = learn(*SUMMARIES)
    assert len(found.stands_for) == 1, "their common beginning; their ends are three different ones"


def test_a_slot_that_had_one_value_turns_out_to_be_one() -> None:
    miner = Miner()
    ask = "Translate the following text into {}:\n\n{}"
    french = learn(*(ask.format("French", text) for text in ("good day", "see you", "my cat is ill")), miner=miner)
    assert texts(french) == ["Translate the following text into French:\n\n<*>"]
    later = [
        ask.format(language, text) for language in ("German", "Dutch") for text in ("hello", "the sun", "where is it?", "no")
    ]
    found = learn(*later, miner=miner)
    assert texts(found)[-1] == "Translate the following text into <*>:\n\n<*>"
    assert french[0].shape.id in found[-1].stands_for


def test_a_narrower_template_is_found_within_a_common_system_text() -> None:
    miner, system = Miner(), "You are a helpful assistant."
    assert texts(learn("hi", "what is up", "tell me a joke", system=system, miner=miner)) == [f"{system}\n<|user|>\n<*>"]
    assert texts(learn(*SUMMARIES, system=system, miner=miner)) == [
        f"{system}\n<|user|>\nSummarise the following article in three sentences:\n\n<*>"
    ]


def test_templates_that_begin_alike_stay_apart() -> None:
    points = [f"Summarise the following e-mail thread as bullet points:\n\n{rest}" for rest in ("Hi all", "Dear Ms. Li", "Ok?")]
    mixed = [text for pair in zip(SUMMARIES, points, strict=True) for text in pair]
    assert len({one.shape.id for one in learn(*mixed)}) == 2


def test_slips_of_the_pen_do_not_widen_a_template() -> None:
    miner = Miner()
    matched = {learn(*SUMMARIES, miner=miner)[0].shape.id: 100}
    slips = (
        "Sumarise the following article",
        "Summarise the folowing article",
        "Summarise the following artcle",
        "Sumarise that article",
    )
    for n, slip in enumerate(slips):
        assert miner.learn(View("", f"{slip} in three sentences:\n\n{'abcd'[n]}"), matched) == []


def test_what_comes_often_is_a_variant_and_no_slip() -> None:
    miner = Miner()
    (known,) = learn(*SUMMARIES, miner=miner)
    others = [f"Summarise the following letter in three sentences:\n\n{rest}" for rest in ("A", "Bee", "Cat", "Do", "Eel", "Fox")]
    found = [one for text in others for one in miner.learn(View("", text), {known.shape.id: 20})]
    assert texts(found)[-1] == "Summarise the following <*> in three sentences:\n\n<*>"
    assert known.shape.id in found[-1].stands_for


def test_what_is_remembered_is_bounded() -> None:
    pool = Pool(samples_max=10, shingles_max=100)
    miner = Miner(pool)
    rng = random.Random(1)
    for _ in range(200):
        miner.learn(View("", " ".join(rng.choice("abcdefghijkl") * rng.randint(1, 9) for _ in range(20))), {})
    assert 0 < len(pool) <= 10


def test_templates_in_json_are_found() -> None:
    asks = [json.dumps({"task": "classify", "labels": ["spam", "ham"], "text": text}) for text in ("Buy!", "Hi mum", "see you")]
    assert texts(learn(*asks)) == ['{"task": "classify", "labels": ["spam", "ham"], "text": "<*>"}']
