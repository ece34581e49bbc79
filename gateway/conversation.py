"""Which of the user's words a decision is about: the last turn alone, or with the turns that it leans on.

"and in Python?" says nothing by itself. Rules, not a model: they cost microseconds, and one can say why they hold.
Pure; reads what users wrote, and of the assistant only whether it asked something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from classifiers.text.word_groups import GROUPS
from gateway.chat import Message

TURNS_BEFORE_MAX: Final = 3  # of the user, taken along while each of them leans on the one before it
CHARS_MAX: Final = 160  # a longer turn stands on its own
WORDS_MAX: Final = 12
ANSWER_WORDS_MAX: Final = 6
NAMED_BY: Final = 5  # words; "what is its name?", but "what hill does a bill sit on before it becomes a law?"
Leaning = Literal["reply", "request", "remark"]
ASKED_CHARS: Final = 300  # of the end of an answer, in which a question to the user stands


class Turn(msgspec.Struct, frozen=True):
    """What is judged. last: the last message by the user. whole: it with the turns before that it leans on, oldest first.

    turns_before: how many those are. can_skip: not where it answers the assistant's question or asks for more of what went
    before: then there is something to answer, however little the words say by themselves.
    """

    last: str
    whole: str
    turns_before: int = 0
    can_skip: bool = True

    @property
    def basis(self) -> str:
        """What was judged, for people."""
        if not self.turns_before:
            return "the last user message"
        before = "the turn" if self.turns_before == 1 else f"the {self.turns_before} turns"
        return f"the last user message with {before} before"


def last_turn(messages: Sequence[Message]) -> Turn:
    """The last user turn of a conversation, in the light of what went before it."""
    places = [i for i, message in enumerate(messages) if message.role == "user"]
    if not places:
        return Turn("", "")
    last = messages[places[-1]].text()
    if len(places) == 1 or len(last) > CHARS_MAX:
        return Turn(last, last)
    how = leaning(last, is_asked=_asks(messages[places[-2] + 1 : places[-1]]))
    if how is None:
        return Turn(last, last)
    taken = [last]
    for place in reversed(places[-1 - TURNS_BEFORE_MAX : -1]):
        taken.append(messages[place].text())
        if leaning(taken[-1]) is None:
            break
    return Turn(last, "\n".join(reversed(taken)), len(taken) - 1, can_skip=how == "remark")


def leaning(text: str, *, is_asked: bool = False) -> Leaning | None:
    """Why a user's turn means little without the ones before it; None if it stands on its own.

    `reply`: it answers what the assistant has just asked (is_asked). `request`: it asks for more, or for something else,
    of what went before. `remark`: it is hardly a sentence ("Tokyo") or speaks of what went before ("that was quick"), and
    may call for no answer. Thanks and greetings stand alone.
    """
    if len(text) > CHARS_MAX:
        return None
    lowered = text.lower().replace("’", "'")
    words = _WORD.findall(lowered)
    if not words:
        return "request" if text.strip() else None  # "?", an emoji
    count = len(words) + sum(map(len, _UNSPACED.findall(lowered))) // 2
    said, first, is_question = set(words), words[0], text.rstrip().endswith("?")
    if count > WORDS_MAX:
        return None
    if is_asked and said & _ANSWERS and count <= ANSWER_WORDS_MAX:
        return "reply"
    if said <= _COURTEOUS and not said <= _CONTINUES:
        return None
    if is_asked and count <= ANSWER_WORDS_MAX and first not in _OPENERS and not is_question:
        return "reply"
    if said <= _CONTINUES or first in _STARTERS or (count <= 4 and first in _PREPOSITIONS) or _STUCK.search(lowered):
        return "request"
    if _points_back(words, lowered):
        return "request" if is_question or first in _OPENERS else "remark"
    return "remark" if count == 1 or (count == 2 and first not in _OPENERS) else None


def _points_back(words: Sequence[str], lowered: str) -> bool:
    """Whether it speaks of something that it does not name. A pronoun further on has been given its noun by then."""
    pronouns = _PRONOUNS.intersection(words[:NAMED_BY])
    if pronouns and not (pronouns == {"it"} and _EMPTY_IT.search(lowered)):
        return True
    return _POINTER.search(lowered) is not None


def _asks(between: Sequence[Message]) -> bool:
    """Whether the assistant's last words were a question, or ended on one."""
    said = next((m.text() for m in reversed(between) if m.role == "assistant" and m.content), "")
    return "?" in _LAST_LINES.split(said[-ASKED_CHARS:].rstrip())[-1]


_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")  # scripts that put no blanks between words
_LAST_LINES: Final = re.compile(r"\n\s*\n")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COURTEOUS: Final = _words(" ".join(GROUPS[name] for name in ("greeting", "thanks", "farewell", "filler", "addressed"))) | _words(
    "a lot i that this was helpful help for your the all best got makes sense understood interesting noted gotcha then "
    "danke schön vielen dank tschüss beaucoup muchas obrigado"
)
_OPENERS: Final = _words(" ".join(GROUPS[name] for name in ("hard_verb", "easy_verb", "explain_verb", "asking"))) | _words(
    "how why is are was were can could do does did will would should make put use change move keep leave turn say let"
)
_ANSWERS: Final = _words(
    "yes yeah yep yup no nope nah ok okay k sure right correct exactly indeed absolutely definitely please fine great perfect "
    "true false agreed maybe both neither either none any first second third last former latter "
    "ja nein doch klar gerne genau oui non d'accord sí si claro vale sim não да нет"
)
_CONTINUES: Final = _words(
    "continue go on ahead keep going proceed more again next another elaborate expand explain clarify simplify rephrase rewrite "
    "repeat retry redo try shorten lengthen shorter longer simpler easier harder better faster slower different differently "
    "details detail further example examples give me show tell an one a some the too not do now first second other others else "
    "please why how so really seriously come what when where who which much many and or but in short brief briefer step steps "
    "weiter mehr nochmal noch einmal kürzer länger einfacher warum wieso weshalb wie genauer "
    "encore continuez plus pourquoi comment más otra vez sigue por qué continúa cómo mais porquê "
    "почему зачем дальше ещё подробнее короче 为什么 继续 详细一点 短一点 なぜ どうして 続けて もっと短く 왜 계속"
)
_STARTERS: Final = _words(
    "and or but also plus otherwise instead because same likewise und oder aber sondern außerdem et ou mais puis y o pero e ma"
)
_PREPOSITIONS: Final = _words(
    "in for with without as by from to on at of about into like using mit ohne für auf als en pour avec sans con sin para"
)
_PRONOUNS: Final = _words(
    "it its itself they them their he him she her his hers same above previous earlier ones "
    "ihn ihm dessen diese dieser dieses lui celui ello eso esto"
)
_EMPTY_IT: Final = re.compile(  # "is it safe to", "how long does it take to"
    r"\b(?:is|was|isn't|does|did|do|would|will|might|could|can) it(?: [\w']+){1,6} (?:to|that|if)\b"
    r"|\bit (?:takes?|costs?|means?|feels?|is|was|would|might)(?: [\w']+){1,6} (?:to|that)\b"
)
_STUCK: Final = re.compile(
    r"\bi (?:still )?(?:don't|do not|can't|cannot|didn't) (?:\w+ )?(?:get|understand|follow|see)"
    r"(?: why| how| it| that| this| at all)?\W*$"
)
# "that" and its like point back where no clause of their own follows: "does that work?", not "prove that 7 is prime".
_POINTER: Final = re.compile(
    r"\b(?:(?:that|this|these|those)(?=\s*$|\s*[.,;:!?)]|\s+(?:is|was|are|were|isn't|does|do|did|doesn't|work|works|mean|means|"
    r"again|in|into|to|for|as|with|without|and|or|but|more|too|now|please|so|at|on|better|one|ones|way|code|example|answer|text|"
    r"part|step|sentence|function|paragraph|list|point|idea|word|words|table|line|lines)\b)"
    r"|\b(?:that|this|it) (?:right|correct|true|wrong|possible|enough|okay|ok)(?=\W*$)"
    r"|^(?:\w+ )?are you (?:\w+ )?(?:sure|certain)(?=\W*$)"
    r"|^(?:and |but |so )?what if\b"
    r"|(?:what|how) about"
    r"|your (?:last |first |second )?(?:answer|reply|suggestion|example|code|list|explanation)"
    r"|the (?:first|second|third|last|other) (?:one|option|part|point|step|example|answer)"
    r"|the (?:former|latter)$)"
)
