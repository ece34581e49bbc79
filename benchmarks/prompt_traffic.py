"""Made-up traffic of apps that fill templates, mixed with free chat, and what is known of it: which prompt is of which template.

Nothing here is random but for its seed. The templates are of the kinds that apps have: with the text first or last or in the
middle, in JSON, with a system text that has slots of its own, with few examples, in several scripts, short ones and long ones.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.chat import ChatHead, Message
from gateway.prompts.families import is_template
from gateway.prompts.mining import Miner
from gateway.prompts.pattern import Shape
from gateway.prompts.recogniser import Recogniser
from gateway.prompts.view import View, view_of
from gateway.request import ChatRequest

SHAPES = None
CHAT = Path(__file__).resolve().parents[1] / "classifiers" / "shipped" / "train_extra.jsonl"
TYPO_SHARE = 0.01
NAMES = "Anna Bob Chidi Dana Emre Farid Grace Hana Ines Jonas Kofi Lena Mei Nils Olga Pedro Quinn Rosa Sven Tariq".split()
LANGUAGES = "French German Spanish Italian Portuguese Dutch Polish Turkish".split()
THINGS = "invoice parcel router subscription password refund laptop ticket account delivery keyboard contract".split()
WORDS = (
    "the of and a to in is was for on with as by at from it that this are be has had not but or an they which were their one "
    "all we can more if will about up out so time year people way day man thing woman life child world school state family "
    "student group country problem hand part place case week company system program question work number night point home water "
    "room mother area money story fact month lot right study book eye job word business issue side kind head house service "
    "friend father power hour game line end member law car city community name president team minute idea body information back "
    "parent face others level office door health person art war history party result change morning reason research girl guy "
    "moment air teacher force education foot boy age policy music market sense nation plan college interest death experience"
).split()
CHINESE = "今天天气很好我们去公园散步吧请问火车站怎么走这个产品质量不错但是物流太慢了希望改进服务态度谢谢"
ARABIC = "مرحبا أريد معرفة موعد وصول الطلب لم يصل المنتج حتى الآن شكرا جزيلا الخدمة ممتازة".split()
SQL = "You write PostgreSQL. The tables are orders(id, customer, at, total) and customers(id, name). Answer with a query only."
ASSISTANT = "You are a helpful assistant."

Fill = Callable[[random.Random], tuple[str, str]]  # the system text and the user's


@dataclass(frozen=True)
class Prompt:
    """template: its name; None in free chat."""

    system: str
    user: str
    template: str | None

    def request(self) -> ChatRequest:
        system = [Message("system", self.system)] if self.system else []
        return ChatRequest("req", b"{}", ChatHead("auto", [*system, Message("user", self.user)]))


def prose(rng: random.Random, least: int, most: int) -> str:
    """Sentences of common words: what they share with others is what any texts share."""
    count = rng.randint(least, most)
    said = (" ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 18))).capitalize() + "." for _ in range(count))
    return " ".join(said)


def _phrase(rng: random.Random) -> str:
    return prose(rng, 1, 1)[:-1]


def _support(rng: random.Random) -> tuple[str, str]:
    system = (
        f"You are the support assistant of Nordwind Mobile. You are talking to {rng.choice(NAMES)}, customer since "
        f"{rng.randint(2001, 2025)}. Today is 2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}. Be brief, be friendly, "
        "never promise a refund, and hand over to a person when you do not know.\n\nWhat the handbook says:\n"
        f"{prose(rng, 3, 12)}\n"
    )
    return system, f"my {rng.choice(THINGS)} {rng.choice(WORDS)} {rng.choice(WORDS)}, {rng.choice(WORDS)}?"


def _documents(rng: random.Random) -> tuple[str, str]:
    documents = "\n".join(f"[{n}] {prose(rng, 2, 5)}" for n in range(1, rng.randint(3, 6)))
    system = 'Answer from the documents alone, and name the one that you used. If they do not say, answer "I don\'t know".'
    return system, f"Documents:\n{documents}\n\nQuestion: {_phrase(rng)}?\nAnswer:"


def _examples(rng: random.Random) -> tuple[str, str]:
    examples = "Text: I love it!\nLabel: positive\n\nText: Broke after a day.\nLabel: negative\n\n"
    return "", f"Classify the text as positive, negative or neutral.\n\n{examples}Text: {prose(rng, 1, 2)}\nLabel:"


def _triage(rng: random.Random) -> tuple[str, str]:
    sender = f"{rng.choice(NAMES).lower()}@example.com"
    ticket = {"ticket": rng.randint(1000, 99999), "from": sender, "text": prose(rng, 1, 4)}
    return "You sort tickets. Answer with JSON only.", msgspec.json.encode(ticket).decode()


def _commit(rng: random.Random) -> tuple[str, str]:
    diff = f"- {_phrase(rng)}\n+ {_phrase(rng)}\n"
    return "", f"Write a commit message for this diff.\n\n```diff\n{diff}```\n\nOne line, imperative mood."


def _letter(rng: random.Random) -> tuple[str, str]:
    order = rng.randint(10**6, 10**7)
    about = f"{rng.choice(NAMES)} about the {rng.choice(THINGS)} (order {order})"
    return "", f"Dear assistant, please write a polite reply to {about}. Mention that {prose(rng, 1, 2)}"


def _arabic(rng: random.Random) -> tuple[str, str]:
    return "", f"لخص رسالة العميل التالية في جملة واحدة: {' '.join(rng.choices(ARABIC, k=rng.randint(3, 12)))}"


TEMPLATES: dict[str, Fill] = {
    "support-bot": _support,
    "documents": _documents,
    "examples": _examples,
    "triage-json": _triage,
    "commit": _commit,
    "letter": _letter,
    "arabic": _arabic,
    "chinese": lambda rng: ("", f"请将以下评论分类为正面或负面：{''.join(rng.choices(CHINESE, k=rng.randint(6, 40)))}"),
    "translate": lambda rng: ("", f"Translate the following text into {rng.choice(LANGUAGES)}:\n\n{prose(rng, 1, 4)}"),
    "translate-short": lambda rng: ("", f"Translate '{_phrase(rng)}' into {rng.choice(LANGUAGES)}: short and polite, please"),
    "summary": lambda rng: ("", f"Summarise the following article in three sentences:\n\n{prose(rng, 5, 40)}"),
    "summary-points": lambda rng: ("", f"Summarise the following e-mail thread as bullet points:\n\n{prose(rng, 3, 30)}"),
    "question-last": lambda rng: ("", f"{prose(rng, 1, 6)}\n\nIs this review positive or negative? Answer with one word."),
    "sql": lambda rng: (SQL, f"{_phrase(rng)}?"),
    "keywords": lambda rng: (ASSISTANT, f"Extract the five most important keywords:\n{prose(rng, 3, 3)}"),
    "title": lambda rng: (ASSISTANT, f"Write a title of at most {rng.randint(4, 12)} words for: {prose(rng, 2, 2)}"),
}


def free_chat() -> list[str]:
    """Texts as people type them, each of them once."""
    texts = (msgspec.json.decode(line)["text"] for line in CHAT.read_text("utf-8").splitlines())
    return list(dict.fromkeys(texts))


def traffic(seed: int, each: int, chats: int) -> list[Prompt]:
    """`each` prompts of every template among `chats` of free chat, shuffled. One in a hundred of the former has a slip in it."""
    rng = random.Random(seed)
    prompts = [_filled(rng, name) for name in TEMPLATES for _ in range(each)]
    chat = free_chat()
    prompts += [Prompt("", text, None) for text in rng.sample(chat, min(chats, len(chat)))]
    rng.shuffle(prompts)
    return prompts


def _filled(rng: random.Random, name: str) -> Prompt:
    system, user = TEMPLATES[name](rng)
    if rng.random() < TYPO_SHARE:
        at = rng.randrange(len(user) - 1)
        user = user[:at] + user[at + 1] + user[at] + user[at + 2 :]
    return Prompt(system, user, name)


class Gateway:
    """What a gateway does with prompts, one after the other, without the ledger and without waiting.

    written: what it would write to the ledger. read_so_far: how much of another's it has read.
    """

    def __init__(self) -> None:
        # A second for each request: what is measured is not how many get an id.
        self.recogniser, self.miner = Recogniser(clock=itertools.count().__next__), Miner()
        self.written: list[tuple[str, str, tuple[str, ...]]] = []
        self.read_so_far = 0

    def ask(self, prompt: Prompt) -> str | None:
        """The id that the request is booked with; then the prompt is learned from, if it is one to learn from."""
        view = view_of(prompt.request())
        assert view is not None
        id_ = self.recogniser.id_of(view)
        while self.recogniser.waiting:
            self.learn(self.recogniser.waiting.pop())
        return id_

    def template_of(self, prompt: Prompt) -> str | None:
        """The id of its template, if that is known; nothing is learned."""
        view = view_of(prompt.request())
        id_ = None if view is None else self.recogniser.id_of(view)
        self.recogniser.waiting.clear()
        return id_ if id_ is not None and is_template(id_) else None

    def learn(self, view: View) -> None:
        for found in self.miner.learn(view, self.recogniser.matched):
            self._take(found.shape.id, found.shape.text, found.stands_for)

    def read(self, other: Gateway) -> None:
        """What the other has found since this one last looked."""
        new = other.written[self.read_so_far :]
        self.read_so_far = len(other.written)
        for id_, text, stands_for in new:
            for taken in stands_for:
                self.miner.forget(taken)
            self.recogniser.adopt(id_, text, stands_for)
            for found in self.miner.adopt(Shape.parse(text)):
                self._take(found.shape.id, found.shape.text, found.stands_for)

    def _take(self, id_: str, text: str, stands_for: tuple[str, ...]) -> None:
        self.written.append((id_, text, stands_for))
        self.recogniser.adopt(id_, text, stands_for)


def pair_scores(found: Sequence[str | None], meant: Sequence[str | None]) -> tuple[float, float]:
    """Precision and recall over pairs of prompts: of those put together, how many belong together, and the other way round.

    None belongs to nothing, not even to another None.
    """
    both = Counter((f, m) for f, m in zip(found, meant, strict=True) if f is not None and m is not None)
    together = _pairs(both.values())
    put = _pairs(Counter(f for f in found if f is not None).values())
    belong = _pairs(Counter(m for m in meant if m is not None).values())
    return together / put if put else 1.0, together / belong if belong else 1.0


def _pairs(sizes: Collection[int]) -> int:
    return sum(n * (n - 1) // 2 for n in sizes)
