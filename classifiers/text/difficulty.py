"""Hand features that tell hard prompts from easy ones, beside `features`: numbers, rare words, logic, shape. numpy only.

For the routing model alone. Nothing here names a subject or a benchmark's wrapping: what is counted keeps its meaning
from one kind of prompt to another (how rare the tokens are, how many quantities there are to combine, how the question
is asked). Pure, bounded, any unicode.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from classifiers.base import Ids, Vector
from classifiers.text.embed import TOKENS_MAX
from classifiers.text.scan import Scan, scan

NUMBERS_MAX: Final = 200
NUMBER_MAX: Final = 1e9

# Each word is in one group; the first group that lists it keeps it.
WORD_GROUPS: Final[dict[str, str]] = {
    "number_word": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen twenty "
    "thirty forty fifty sixty hundred thousand million billion dozen first second third fourth fifth half quarter double "
    "triple twice thrice",
    "rate": "each per every apiece average total altogether remaining left rest both times ratio percent percentage rate "
    "fraction",
    "comparison": "more less fewer greater larger smaller older younger longer shorter higher lower than same equal most least",
    "unit": "minute minutes hour hours day days week weeks month months year years seconds mile miles km kilometers meter "
    "meters metres feet foot inch inches pound pounds kg grams ounces gallon gallons liters litres dollars cents cost costs "
    "price dollar degrees speed mph",
    "negation": "not no none never nor neither cannot without except false incorrect wrong isn't aren't doesn't don't didn't "
    "wasn't won't can't wouldn't unlikely",
    "conditional": "if then unless when given suppose assuming would could might may after before until while but however "
    "although",
    "reference": "which following statement statements above below described passage according refers called known termed "
    "best describes defined",
    "formal": "true valid invalid argument premise conclusion logic logical sentence imply implies entail contradiction",
    "person": "he she his her him they their man woman boy girl mother father friend student patient doctor old",
    "creative": "story poem essay write song letter email blog article paragraph title script dialogue draft review plan "
    "recipe ideas tips",
    "society": "war century king president treaty empire revolution government political policy act law court state rights "
    "party history",
    "science": "energy force velocity mass temperature pressure electron atom reaction acid cell gene molecule water gas "
    "charge field wave current",
}
GROUP_OF: Final = {word: group for group, words in reversed(WORD_GROUPS.items()) for word in words.split()}

NUMBER: Final = re.compile(r"\d\d{0,14}(?:,\d{3})*(?:\.\d{1,9})?")
FRACTION: Final = re.compile(r"\d/\d")
NAME: Final = re.compile(r" [A-Z](?<=[a-z,] [A-Z])[a-z]+")  # a capital within a sentence
SENTENCE: Final = re.compile(r"[.?!\n]\s*")
RARE_IDS: Final = (10_000, 20_000)  # token ids follow frequency: byte-pair merges are numbered in the order they were made

DIFFICULTY_NAMES: Final[tuple[str, ...]] = (
    "log_tokens",
    "tokens_per_word",
    "tokens_per_char",
    "log_id_mean",
    "log_id_deviation",
    "log_id_max",
    *(f"share_ids_over_{limit}" for limit in RARE_IDS),
    "distinct_tokens",
    "log_distinct_numbers",
    "log_number_max",
    "log_number_sum",
    "log_decimals",
    "log_percent_signs",
    "log_dollar_signs",
    "log_fractions",
    "log_question_marks",
    "log_question_words",
    "question_at",
    "log_names",
    "share_names",
    "log_blanks",
    "log_quotes",
    "log_brackets",
    "word_chars",
    "share_long_words",
    "distinct_words",
    "log_line_chars",
    "line_chars_variation",
    "share_short_lines",
    "log_last_line_chars",
    "log_first_sentence_chars",
    "log_sentence_words",
    *(f"log_{name}" for name in WORD_GROUPS),
    *(f"share_{name}" for name in WORD_GROUPS),
)


def difficulty(text: str, ids: Sequence[int] | Ids) -> Vector:
    """(len(DIFFICULTY_NAMES),) float32, finite for any str.

    ids: the text's token ids, at most the first TOKENS_MAX are looked at. Logs are natural, of 1 + count. Of a text over
    3,000 characters only the first 2,400 and the last 600 are looked at.
    """
    return difficulty_of(scan(text), ids)


def difficulty_of(own: Scan, ids: Sequence[int] | Ids) -> Vector:
    """`difficulty` of a text that has been scanned."""
    seen, words = own.seen, own.plain_words()
    word_total = max(len(words), 1)
    counted = Counter(filter(None, map(GROUP_OF.get, words)))
    groups = [counted[name] for name in WORD_GROUPS]
    numbers = [min(float(number.replace(",", "")), NUMBER_MAX) for number in _numbers(own)]
    lines = [len(line) for line in seen.split("\n") if line.strip()] or [0]
    sentences = [sentence for sentence in SENTENCE.split(seen) if sentence.strip()]
    lengths = list(map(len, words)) or [0]
    names = len(NAME.findall(seen))
    line_mean = sum(lines) / len(lines)
    line_deviation = (sum((line - line_mean) ** 2 for line in lines) / len(lines)) ** 0.5
    question_words, question_at = _question(seen)
    logs = np.log1p(
        [
            len(set(numbers)),
            max(numbers, default=0),
            sum(numbers),
            sum([number % 1 > 0 for number in numbers]),
            seen.count("%"),
            seen.count("$"),
            len(FRACTION.findall(seen)) if own.may_have_digits and "/" in seen else 0,
            seen.count("?"),
            question_words,
            names,
            seen.count("__"),
            seen.count('"') + seen.count("“"),
            seen.count("("),
            line_mean,
            lines[-1],
            len(sentences[0]) if sentences else 0,
            len(words) / max(len(sentences), 1),
            *groups,
        ]
    ).tolist()
    row = [
        *_rarity(ids[:TOKENS_MAX], word_total, len(seen)),
        *logs[:9],
        question_at,
        logs[9],
        names / word_total,
        *logs[10:13],
        sum(lengths) / len(lengths),
        sum([length >= 9 for length in lengths]) / len(lengths),
        len(set(words)) / word_total,
        logs[13],
        line_deviation / max(line_mean, 1),
        sum(line < 40 for line in lines) / len(lines),
        *logs[14:],
        *[count / word_total for count in groups],
    ]
    return np.array(row, np.float32)


def _numbers(own: Scan) -> list[str]:
    return NUMBER.findall(own.seen)[:NUMBERS_MAX] if own.may_have_digits else []


def _rarity(ids: Sequence[int] | Ids, words: int, chars: int) -> list[float]:
    """The first nine features: how many tokens, how many to a word, how rare they are."""
    if not len(ids):
        return [0.0] * 9
    numbers = np.asarray(ids, np.float64)
    logs = np.log1p(numbers)
    mean = float(logs.sum()) / len(ids)
    deviation = float(logs @ logs) / len(ids) - mean * mean
    return [
        float(np.log1p(len(ids))),
        len(ids) / words,
        len(ids) / max(chars, 1),
        mean,
        max(deviation, 0.0) ** 0.5,
        float(logs.max()),
        *(np.count_nonzero(numbers > limit) / len(ids) for limit in RARE_IDS),
        len(set(numbers.tolist())) / len(ids),
    ]


def _question(text: str) -> tuple[int, float]:
    """Words of the last sentence that ends in a question mark, and where that mark stands, 0 to 1. (0, 0) for none."""
    end = text.rfind("?")
    if end < 0:
        return 0, 0.0
    start = max(text.rfind(mark, 0, end) for mark in ".?!\n")
    return len(text[start + 1 : end].split()), end / len(text)
