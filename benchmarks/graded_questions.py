"""Questions whose answers can be graded by program: made here, by a seed, for fitting how much an answer can be trusted.

Each has a test of its own for being right. No question is taken from a benchmark.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Grade = Callable[[str], bool]

CAPITALS = dict(
    line.split(":")
    for line in """France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Austria:Vienna Greece:Athens
    Poland:Warsaw Norway:Oslo Sweden:Stockholm Finland:Helsinki Denmark:Copenhagen Ireland:Dublin Hungary:Budapest
    Japan:Tokyo China:Beijing India:Delhi Thailand:Bangkok Vietnam:Hanoi Russia:Moscow Turkey:Ankara Egypt:Cairo
    Kenya:Nairobi Nigeria:Abuja Morocco:Rabat Canada:Ottawa Mexico:Mexico Cuba:Havana Peru:Lima Chile:Santiago
    Argentina:Buenos Brazil:Bras Australia:Canberra Iceland:Reykjav Belgium:Brussels Netherlands:Amsterdam
    Switzerland:Bern Romania:Bucharest Bulgaria:Sofia Serbia:Belgrade Croatia:Zagreb Ukraine:K Iran:Tehran
    Iraq:Baghdad Mongolia:Ulaan Nepal:Kathmandu Ethiopia:Addis Ghana:Accra Senegal:Dakar Jordan:Amman""".split()
)
ANTONYMS = dict(
    line.split(":")
    for line in """hot:cold big:small|little up:down fast:slow day:night light:dark|heavy old:young|new rich:poor
    happy:sad|unhappy open:closed|close|shut early:late hard:soft|easy high:low long:short full:empty wet:dry
    strong:weak thick:thin clean:dirty loud:quiet|silent|soft near:far true:false win:lose begin:end ancient:modern
    brave:cowardly|afraid|timid|cowardice arrive:depart|leave generous:stingy|selfish|greedy|miserly tight:loose
    victory:defeat|loss|failure expand:contract|shrink|contraction accept:reject|refuse|decline|deny""".split()
)
PLURALS = dict(
    line.split(":")
    for line in """child:children mouse:mice foot:feet tooth:teeth man:men goose:geese leaf:leaves knife:knives city:cities
    box:boxes sheep:sheep fish:fish|fishes wolf:wolves baby:babies potato:potatoes ox:oxen cactus:cacti|cactuses
    person:people bus:buses church:churches life:lives hero:heroes half:halves berry:berries""".split()
)
PAST = dict(
    line.split(":")
    for line in """go:went eat:ate run:ran see:saw write:wrote take:took drink:drank swim:swam buy:bought teach:taught
    fly:flew break:broke sing:sang give:gave sleep:slept find:found speak:spoke catch:caught bring:brought fall:fell
    drive:drove begin:began leave:left think:thought wear:wore""".split()
)
FACTS = [
    ("Is the Sun a star?", True), ("Do fish live in water?", True), ("Is ice colder than steam?", True),
    ("Is Mount Everest a river?", False), ("Can penguins fly long distances?", False), ("Is gold a metal?", True),
    ("Does a triangle have four sides?", False), ("Is the Moon larger than the Earth?", False),
    ("Do spiders have eight legs?", True),
    ("Is London in France?", False), ("Is blue a colour?", True), ("Is a whale a mammal?", True), ("Is 7 an even number?", False),
    ("Do plants need light to grow?", True), ("Is the Pacific an ocean?", True), ("Is a tomato a mineral?", False),
    ("Is 12 larger than 20?", False), ("Did the dinosaurs build the pyramids?", False), ("Is Africa a continent?", True),
    ("Is milk usually black?", False), ("Do bees make honey?", True), ("Is Japan an island nation?", True),
    ("Is iron lighter than air?", False), ("Does a week have nine days?", False), ("Is a violin a musical instrument?", True),
    ("Is Venus a planet?", True), ("Can dogs bark?", True), ("Is snow hot?", False), ("Is a year longer than a month?", True),
    ("Is Brazil in Europe?", False),
]  # fmt: skip
MISC = [
    ("How many legs does a spider have?", "8|eight"), ("How many days are in a leap year?", "366"),
    ("Which planet is closest to the Sun?", "mercury"), ("What is the chemical symbol for gold?", "au"),
    ("What is the chemical formula of water?", "h2o|h₂o"), ("Who wrote the play Hamlet?", "shakespeare"),
    ("Which ocean is the largest?", "pacific"), ("What colour do you get when you mix blue and yellow?", "green"),
    ("What is the largest planet in our solar system?", "jupiter"), ("How many continents are there?", "7|seven"),
    ("Which animal is known as the king of the jungle?", "lion|lions"), ("What gas do humans need to breathe?", "oxygen"),
    ("What is the freezing point of water in degrees Celsius?", "0|zero"), ("How many minutes are in an hour?", "60|sixty"),
    ("Who painted the Mona Lisa?", "leonardo|vinci"), ("Which language is mainly spoken in Brazil?", "portuguese"),
    ("What is the tallest mountain on Earth?", "everest"), ("What is the square root of 81?", "9|nine"),
    ("Which metal is liquid at room temperature?", "mercury"), ("How many strings does a violin have?", "4|four"),
    ("What is the largest organ of the human body?", "skin"), ("Which planet is known as the red planet?", "mars"),
    ("What currency is used in Japan?", "yen"), ("Which vitamin does sunlight give us?", "d"),
    ("How many sides does a hexagon have?", "6|six"), ("Who developed the theory of relativity?", "einstein"),
    ("What is the opposite direction of north?", "south"),
    ("What do caterpillars turn into?", "butterfly|butterflies|moth|moths"),
    ("Which season comes after winter?", "spring"), ("What is the boiling point of water in degrees Celsius?", "100"),
    ("How many players are in a football (soccer) team on the field?", "11|eleven"),
    ("What is the longest river in Africa?", "nile"),
    ("What instrument measures temperature?", "thermometer"), ("Which country gave the Statue of Liberty to the USA?", "france"),
    ("How many letters are in the English alphabet?", "26|twenty-six"), ("Which bird is a symbol of peace?", "dove"),
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = "January February March April May June July August September October November December".split()
WORDS = "garden window bottle candle river planet market bridge engine forest letter pocket silver thunder castle basket".split()
NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True)
class Question:
    """A prompt, what kind it is, and whether an answer to it is right."""

    kind: str
    prompt: str
    is_right: Grade


def questions(seed: int) -> list[Question]:
    """All of them, in a random order."""
    draw = random.Random(seed)
    made = [*_facts(), *_words(draw), *_numbers(draw), *_orders(draw), *_long(draw)]
    draw.shuffle(made)
    return made


def _facts() -> Iterator[Question]:
    for country, capital in CAPITALS.items():
        yield Question("capital", f"What is the capital of {country}?", _begins_word(capital))
    for text, is_true in FACTS:
        yield Question("fact", f"{text} Answer yes or no.", _verdict(is_true))
    for text, answers in MISC:
        yield Question("knowledge", text, _says(answers))


def _words(draw: random.Random) -> Iterator[Question]:
    for word, answers in ANTONYMS.items():
        yield Question("antonym", f'What is the opposite of "{word}"? Answer with one word.', _says(answers))
    for word, answers in PLURALS.items():
        yield Question("plural", f'What is the plural of the word "{word}"?', _says(answers, after=word))
    for word, answers in PAST.items():
        yield Question("past", f'What is the past tense of the verb "{word}"?', _says(answers))
    for word in WORDS:
        yield Question("first letter", f'What is the first letter of the word "{word}"?', _letter(word[0]))
        yield Question("length", f'How many letters are in the word "{word}"?', _number(len(word)))


def _numbers(draw: random.Random) -> Iterator[Question]:
    for top, count in ((9, 40), (50, 35), (500, 15)):
        for _ in range(count):
            a, b = draw.randint(1, top), draw.randint(1, top)
            yield Question("sum", f"What is {a} + {b}?", _number(a + b, a, b))
    for _ in range(30):
        a, b = sorted((draw.randint(1, 40), draw.randint(1, 40)))
        yield Question("difference", f"What is {b} - {a}?", _number(b - a, a, b))
    for _ in range(40):
        a, b = draw.randint(2, 12), draw.randint(2, 12)
        yield Question("product", f"What is {a} times {b}? Give just the number.", _number(a * b, a, b))
    for _ in range(30):
        a, b = draw.sample(range(1, 200), 2)
        yield Question("larger", f"Which number is larger, {a} or {b}?", _larger(max(a, b), min(a, b)))


def _orders(draw: random.Random) -> Iterator[Question]:
    for i, day in enumerate(DAYS):
        yield Question("day", f"Which day comes after {day}?", _says(DAYS[(i + 1) % 7], after=day))
        yield Question("day", f"Which day comes before {day}?", _says(DAYS[i - 1], after=day))
    for i, month in enumerate(MONTHS):
        yield Question("month", f"Which month comes after {month}?", _says(MONTHS[(i + 1) % 12], after=month))
        yield Question("month", f"Which month comes right before {month}?", _says(MONTHS[i - 1], after=month))
    for _ in range(20):
        a, b = draw.sample(WORDS, 2)
        ask = f'Which word comes first in alphabetical order, "{a}" or "{b}"?'
        yield Question("alphabet", ask, _first_of(min(a, b), max(a, b)))


def _long(draw: random.Random) -> Iterator[Question]:
    yield Question("list", "List the seven days of the week in order.", _in_order(DAYS))
    yield Question("list", "Name the twelve months of the year in order.", _in_order(MONTHS))
    for _ in range(24):
        first = draw.randint(1, 60)
        last = first + draw.randint(4, 12)
        numbers = [str(n) for n in range(first, last + 1)]
        yield Question("count", f"Count from {first} to {last}.", _in_order(numbers))
    for _ in range(24):
        words = draw.sample(WORDS, draw.randint(3, 6))
        yield Question("sort", f"Sort these words alphabetically: {', '.join(words)}", _in_order(sorted(words)))
        yield Question("copy", f"Repeat this list exactly: {', '.join(words)}", _in_order(words))


# How an answer is read: words and numbers of it, in small letters.


def _tokens(text: str) -> list[str]:
    return re.findall(r"[a-zà-ÿ₂]+(?:-[a-z]+)?\d*[a-z]*|\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d{3})", "", text.lower()))


def _says(answers: str, after: str = "") -> Grade:
    """One of the words stands in it. after: the question's own word, which an answer may well repeat."""
    wanted = set(answers.lower().split("|"))

    def is_right(text: str) -> bool:
        found = _tokens(text)
        if after.lower() in wanted:
            return found.count(after.lower()) >= 2 or found == [after.lower()]
        return bool(wanted & set(found))

    return is_right


def _begins_word(start: str) -> Grade:
    return lambda text: re.search(rf"\b{re.escape(start)}", text) is not None


def _verdict(is_true: bool) -> Grade:
    def is_right(text: str) -> bool:
        said = next((word for word in _tokens(text) if word in ("yes", "no")), None)
        return said == ("yes" if is_true else "no")

    return is_right


def _number(wanted: int, *operands: int) -> Grade:
    """The first number that is not one of the question's own is this one; where the result is one of those, the last."""

    def is_right(text: str) -> bool:
        found = [str(NUMBER_WORDS.index(t)) if t in NUMBER_WORDS else t for t in _tokens(text)]
        numbers = [float(t) for t in found if re.fullmatch(r"\d+(?:\.\d+)?", t)]
        if wanted in operands:
            return numbers[-1:] == [wanted]
        return [n for n in numbers if n not in operands][:1] == [wanted]

    return is_right


def _larger(right: int, wrong: int) -> Grade:
    """It says so of the right one, or names no other."""

    def is_right(text: str) -> bool:
        said = re.findall(rf"\b({right}|{wrong}) is (?:the )?(?:larger|greater|bigger|largest)", text)
        named = said or [t for t in _tokens(text) if t in (str(right), str(wrong))]
        return set(named) == {str(right)}

    return is_right


def _first_of(right: str, wrong: str) -> Grade:
    """Of the two it names the right one first."""

    def is_right(text: str) -> bool:
        named = [t for t in _tokens(text) if t in (right.lower(), wrong.lower())]
        return bool(named) and named[0] == right.lower()

    return is_right


def _letter(letter: str) -> Grade:
    """Alone, after the first "is"."""

    def is_right(text: str) -> bool:
        said = re.split(r"\bis\b", text, maxsplit=1)[-1]
        return re.search(rf"[\"'*“ ]{letter}[\"'*”. ,]", f" {said} ", re.IGNORECASE) is not None

    return is_right


def _in_order(items: list[str]) -> Grade:
    """These, in this order and nothing else among them."""
    wanted = [item.lower() for item in items]
    return lambda text: [t for t in _tokens(text) if t in wanted] == wanted
