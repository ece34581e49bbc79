"""What several texts have in common, in order: the constant words of the template that they may be of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Final

from gateway.prompts.fingerprint import fingerprints
from gateway.prompts.pattern import SLOT, Pattern, Shape
from gateway.prompts.tokens import VARIES, is_layout, tokens_of
from gateway.prompts.view import View

BEGIN: Final = "\1"
END: Final = "\2"
SENTENCE_ENDS: Final = " .,;!?…。！？"  # a text ends with one as a rule: no word of a template
GAP: Final = "\0"  # where the text of a pattern has a slot; in no constant part


class Text:
    """One text in tokens, and its shingles: every three tokens in a row that could be constant, as a hash of this process.

    Its beginning and its end are tokens too, so that short constants there are seen.
    """

    def __init__(self, text: str, field: str, gap: str = "") -> None:
        raw: list[str] = []
        compared: list[str] = []
        for n, part in enumerate(text.split(gap) if gap else [text]):
            if n:
                raw.append(GAP)
                compared.append(VARIES)
            part_raw, part_compared = tokens_of(part)
            raw += part_raw
            compared += part_compared
        self.text = text.replace(gap, GAP) if gap else text
        # Tuples of strings are of no interest to the garbage collector, thousands of lists would be.
        self.raw, self.compared = tuple(raw), tuple(compared)
        row = (field + BEGIN, *self.compared, END)
        self.shingles = {hash(three) for three in zip(row, row[1:], row[2:], strict=False) if VARIES not in three}

    @cached_property
    def pieces(self) -> set[int]:
        """What runs of constant tokens are made of: every three in a row, and every two of layout."""
        row = self.compared
        pairs = {hash(two) for two in pairwise(row) if is_layout(two[0]) and is_layout(two[1])}
        return pairs | {hash(three) for three in zip(row, row[1:], row[2:], strict=False) if VARIES not in three}


class Sample:
    """The two texts of a prompt or of a template."""

    def __init__(self, view: View, gap: str = "") -> None:
        self.view = view
        self.system, self.user = Text(view.system, "s", gap), Text(view.user, "u", gap)
        self.shingles = self.system.shingles | self.user.shingles

    @cached_property
    def masked(self) -> View:
        """The two texts without what varies by nature. Prompts that differ in a time or a number alone are not different."""
        return View("".join(self.system.compared), "".join(self.user.compared))

    @cached_property
    def fingerprints(self) -> tuple[str, ...]:
        return fingerprints(self.view)

    @staticmethod
    def of(shape: Shape) -> Sample:
        """A template as one more prompt, with gaps that are like nothing."""
        return Sample(View(str(shape.system), str(shape.user)), gap=SLOT)


def common_shape(samples: Sequence[Sample]) -> Shape:
    """The narrowest template that all of them are of, at least two, as far as their words go."""
    return Shape(align([s.system for s in samples]), align([s.user for s in samples]))


def align(texts: Sequence[Text]) -> Pattern:
    """The constant parts of all these texts: at their beginning, at their end, and runs of three tokens or more between.

    The same for any order of the texts.
    """
    shortest = min(texts, key=lambda t: (len(t.raw), t.text))
    count = len(shortest.raw)
    head = _shared([t.compared for t in texts], count)
    if all(len(t.raw) == head for t in texts):
        return Pattern.of(_extended(_split(shortest, 0, head), texts))
    tail = _shared([t.compared[::-1] for t in texts], count - head)
    begin, end = _split(shortest, 0, head), _split(shortest, count - tail, count)
    if end[-1] and not end[-1].strip(SENTENCE_ENDS):
        tail, end = 0, [""]
    starts = [len("".join(t.raw[:head])) for t in texts]
    stops = [len("".join(t.raw[: len(t.raw) - tail])) for t in texts]
    runs = _in_order(_runs(shortest, texts, head, count - tail), texts, starts, stops)
    return Pattern.of(_extended([*begin, *runs, *end], texts))


def _split(text: Text, start: int, stop: int) -> list[str]:
    """These tokens as constant parts, with a slot for each that varies."""
    parts = [""]
    for raw, compared in zip(text.raw[start:stop], text.compared[start:stop], strict=True):
        if compared == VARIES:
            parts.append("")
        else:
            parts[-1] += raw
    return [parts[0], *(part for part in parts[1:-1] if part), *parts[1:][-1:]]


def _shared(rows: Sequence[Sequence[str]], at_most: int) -> int:
    """How many tokens all rows begin with; what varies in all of them at the same place is one."""
    first, *others = rows
    for n in range(at_most):
        if any(other[n] != first[n] for other in others):
            return n
    return at_most


def _runs(text: Text, texts: Sequence[Text], start: int, end: int) -> list[str]:
    """Runs of tokens of one text, between `start` and `end`, of which all texts have every piece."""
    row = text.compared
    inside = set.intersection(*(t.pieces for t in texts))
    is_common = [False] * len(row)
    for size in (2, 3):
        for n in range(start, end - size + 1):
            if hash(row[n : n + size]) in inside:
                is_common[n : n + size] = [True] * size
    runs: list[str] = []
    n = start
    while n < end:
        stop = n
        while stop < end and is_common[stop]:
            stop += 1
        if stop > n:
            runs.append("".join(text.raw[n:stop]))
        n = stop + 1
    return runs


def _in_order(runs: list[str], texts: Sequence[Text], starts: Sequence[int], stops: Sequence[int]) -> list[str]:
    """Those runs that come one after the other in every text, between where its beginning stops and its end starts."""
    placed: list[str] = []
    at = list(starts)
    for run in runs:
        found = [t.text.find(run, start, stop) for t, start, stop in zip(texts, at, stops, strict=True)]
        if min(found) >= 0:
            placed.append(run)
            at = [place + len(run) for place in found]
    return placed


def _extended(parts: list[str], texts: Sequence[Text]) -> list[str]:
    """Parts with the spaces and signs that stand beside them in all texts, and slots that are empty everywhere closed."""
    slots = [Pattern(tuple(parts)).slots(t.text) for t in texts]
    whole = [parts[0]]
    for n, part in enumerate(parts[1:]):
        values = [row[n] for row in slots]
        after = _signs(values)
        values = [value[after:] for value in values]
        before = _signs([value[::-1] for value in values])
        left, right = slots[0][n][:after], values[0][len(values[0]) - before :]
        if any(len(value) > before for value in values):
            whole[-1] += left
            whole.append(right + part)
        else:
            whole[-1] += left + right + part
    return whole


def _signs(values: list[str]) -> int:
    """How many characters all of these begin with that are no letters and no digits."""
    shortest = min(values, key=len)
    for n, character in enumerate(shortest):
        if character.isalnum() or not (character.isprintable() or character in "\n\t\r"):
            return n
        if character in SENTENCE_ENDS and character != " ":
            return n
        if any(value[n] != character for value in values):
            return n
    return len(shortest)
