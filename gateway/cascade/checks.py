"""What is plainly wrong with an answer's text, each check a pure function: None, or what is wrong, in a few words.

A reason never quotes the answer: it goes into the ledger and into headers.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

# Declining, at the very beginning of an answer. An answer that quotes one, or a story that holds one, begins otherwise.
_CANNOT = (
    r"(?:can(?:'|no|\sno)t|am (?:unable|not able|not allowed|not permitted)|'m (?:unable|not able|not allowed)|won't|will not)"
)
_DOING = (
    r"(?: to)? (?:\w+ly )?(?:help|assist|provide|answer|fulfil|comply|complete|create|generate|write|share|give you|offer|access|"
    r"discuss|engage|support|browse|open|do (?:that|this)|tell you|determine|process|continue|produce|translate|respond|"
    r"participate|verify|(?:see|view) (?:the|any|your) (?:image|picture|photo|file|attachment|link))"
)
_LACK = (
    r"(?:do not|don't) (?:have|possess) (?:\w+ )?(?:access|the ability|the capability|(?:enough |any |that |this |real-time |"
    r"personal |specific |current )+(?:information|data|knowledge|opinions?|feelings?|context|details))|(?:do not|don't) know\b"
)
_DECLINES = rf"(?:{_CANNOT}{_DOING}|{_LACK}|must decline|have to decline|refuse to)"
_REFUSALS = [
    rf"i ?{_DECLINES}",
    rf"(?:i'm|i am|we're|we are)?(?: so| very| really| truly)? ?sorry[,.!]?(?: but)? (?:i|we|as an ai\b[^.]*? i) ?"
    rf"(?:{_CANNOT}|{_LACK})",
    rf"(?:i apologi[sz]e|my apologies|apologies)\b[^.]{{0,60}}? i ?(?:{_CANNOT}|{_LACK})",
    rf"unfortunately,? (?:as an ai\b[^.]*? )?i ?(?:{_CANNOT}|{_LACK})",
    r"as an? (?:ai|artificial intelligence|(?:large )?language model|virtual assistant|text-based)\b[^.]{0,60}?\bi ?"
    r"(?:do not|don't|can(?:'|no|\sno)t|am (?:not|unable)|'m (?:not|unable)|lack|have no)",
    r"(?:es )?tut mir (?:sehr )?leid,? (?:aber )?(?:ich|als|das|dabei|da)\b[^.]*\b(?:nicht|kein\w*)",
    r"(?:leider )?(?:kann|darf) ich (?:\w+ ){0,3}?(?:nicht|keine)\b",
    r"ich (?:kann|darf) (?:\w+ ){0,3}?nicht (?:\w+ ){0,3}?(?:helfen|beantworten|bereitstellen|weiterhelfen)",
    r"ich bin (?:leider )?nicht in der lage|als (?:ki|künstliche intelligenz|sprachmodell)\b[^.]*\b(?:nicht|kein\w*)",
    r"(?:je suis )?désolée?,? (?:mais )?(?:je|en tant)\b|je ne (?:peux|suis pas en mesure)\b[^.]{0,20}(?:pas|de)\b",
    r"en tant (?:que modèle|qu'ia|qu'intelligence)\b|malheureusement,? je ne\b",
    r"lo siento,? (?:pero )?(?:no |como )|no puedo (?:ayudar|proporcionar|responder|ofrecer|crear|acceder)",
    r"(?:como|soy) (?:un )?modelo de lenguaje|lamentablemente,? no (?:puedo|tengo)",
    r"mi dispiace,? (?:ma )?(?:non|come|in quanto)\b|non posso (?:aiutar|fornir|risponder)|purtroppo non posso",
    r"(?:sinto muito|desculpe|lamento),? (?:mas )?(?:não|eu|como)\b|não posso (?:ajudar|fornecer|responder)",
    r"(?:het spijt me|sorry),? maar ik\b|ik kan (?:je |u )?(?:daar |hier )?niet (?:mee |bij )?helpen",
    r"(?:很)?(?:抱歉|对不起)[,,]?(?:但)?(?:是)?我(?:无法|不能|没有)|作为(?:一个|一名)?(?:ai|人工智能|语言模型)|我(?:无法|不能)(?:提供|回答|帮)",
    r"申し訳(?:ありません|ございません)が|죄송(?:합니다|하지만)",
]
_REFUSAL = re.compile("|".join(f"(?:{pattern})" for pattern in _REFUSALS))
_REFUSAL_CHARS = 300  # of the beginning

_ENUMERATOR = re.compile(r"^\s*(?:[-*+•>#|]+|\(?\w{1,3}[.):])\s*")
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_STUTTER_COPIES = 12
_STUTTER = re.compile(rf"(.{{2,40}}?)\1{{{_STUTTER_COPIES - 1},}}", re.DOTALL)
_UNBROKEN = re.compile(r"\S{40,}")
_WORDS_READ = 1_500  # of the end: an answer that begins to run in circles goes on with it
_CHARS_READ = 6_000
_UNIT_WORDS_MAX = 40
_COPIES_MIN = 5  # of a phrase, one after the other; a refrain has verses in between
_LOOP_WORDS_MIN = 24
_LINE_CHARS_MIN = 16
_LINE_COPIES_MIN = 4
_LINE_SHARE_MIN = 0.6  # every second line may be a refrain
_SQUEEZABLE = 0.45  # of its bytes are left by zlib; a text that is not is not looked at further
_ZLIB_CHARS_MIN = 600

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def too_short(text: str, chars_min: int) -> str | None:
    """Space at the ends does not count."""
    chars = len(text.strip())
    return f"{chars} characters are fewer than {chars_min}" if chars < chars_min else None


def too_long(text: str, chars_max: int) -> str | None:
    """Space at the ends does not count."""
    chars = len(text.strip())
    return f"{chars} characters are more than {chars_max}" if chars > chars_max else None


def refuses(text: str) -> str | None:
    """Whether it begins by declining: in English, German, French, Spanish, Italian, Portuguese, Dutch, Chinese, Japanese, Korean.

    Looks at its beginning only, and only there where declining stands in the first person.
    """
    beginning = text[:_REFUSAL_CHARS].lstrip(" \t\r\n*_#>").replace("’", "'").casefold().strip()
    if "  " in beginning or not beginning.isprintable():  # no other space than " " is: most need not be taken apart
        beginning = " ".join(beginning.split())
    return "it begins by declining" if _REFUSAL.match(beginning) else None


def repeats(text: str) -> str | None:
    """Whether it runs in circles: a phrase or a stutter over and over, or most of its lines the same one.

    Lists, tables, code and poems with a refrain repeat too, but not one thing right after itself, word by word; what has
    no letters (rules, zeros, brackets) is not looked at, nor, for phrases, what stands in a fenced block.
    """
    if len(text) >= _ZLIB_CHARS_MIN:
        data = text.encode("utf-8", "replace")
        if len(zlib.compress(data, 1)) > _SQUEEZABLE * len(data):
            return None
    return _repeated_line(text) or _repeated_phrase(text) or _stutter(text)


def _repeated_line(text: str) -> str | None:
    lines = [_ENUMERATOR.sub("", line).strip().casefold() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) < _LINE_COPIES_MIN:
        return None
    long_ones = (line for line in lines if len(line) >= _LINE_CHARS_MIN and len(_LETTER.findall(line)) >= _LINE_CHARS_MIN // 2)
    _, copies = max(Counter(long_ones).items(), key=lambda item: item[1], default=("", 0))
    if copies >= _LINE_COPIES_MIN and copies >= _LINE_SHARE_MIN * len(lines):
        return f"{copies} of its {len(lines)} lines are the same"
    return None


def _repeated_phrase(text: str) -> str | None:
    words = _FENCED.sub(" ", text).casefold().split()[-_WORDS_READ:]
    for unit in _periods(words):
        run = 0  # words that equal the one a unit before
        for i in range(unit, len(words)):
            run = run + 1 if words[i] == words[i - unit] else 0
            copies = run // unit + 1
            if run + unit >= _LOOP_WORDS_MIN and copies >= _COPIES_MIN and _LETTER.search(" ".join(words[i - unit + 1 : i + 1])):
                what = "word" if unit == 1 else f"{unit} words"
                return f"the same {what} at least {copies} times in a row"
    return None


def _periods(words: Sequence[str]) -> list[int]:
    """After how many words pairs of words come back, often enough for a loop; few in any sane text, the shortest first."""
    last: dict[tuple[str, str], int] = {}
    backs: Counter[int] = Counter()
    for i, pair in enumerate(pairwise(words)):
        if pair in last and i - last[pair] <= _UNIT_WORDS_MAX:
            backs[i - last[pair]] += 1
        last[pair] = i
    return sorted(period for period, count in backs.items() if count >= _COPIES_MIN - 2)


def _stutter(text: str) -> str | None:
    """Of characters, in what has no spaces between words."""
    for unbroken in _UNBROKEN.findall(_FENCED.sub(" ", text)[-_CHARS_READ:]):
        for found in _STUTTER.finditer(unbroken):
            if _LETTER.search(found[1]):
                return f"the same {len(found[1])} characters at least {_STUTTER_COPIES} times in a row"
    return None


def not_json(text: str, response_format: Mapping[str, Any]) -> str | None:
    """Whether it is not what the request's `response_format` asks for: json_object, or json_schema.

    Of a schema the top level is looked at: whether it is the type it must be, has what is required, each with its type.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return "it is not JSON"
    if response_format.get("type") == "json_object":
        return None if isinstance(value, dict) else "it is not a JSON object"
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    return _misfit(value, schema) if isinstance(schema, Mapping) else None


def _misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    if not _is_of(value, schema.get("type")):
        return f"its JSON is not of type {schema['type']}"
    if not isinstance(value, dict):
        return None
    required = schema.get("required")
    missing = [name for name in required if name not in value] if isinstance(required, list) else []
    if missing:
        return f"its JSON lacks {len(missing)} of {len(required or ())} required keys"
    properties = schema.get("properties")
    for name, wanted in properties.items() if isinstance(properties, Mapping) else ():
        if name in value and isinstance(wanted, Mapping) and not _is_of(value[name], wanted.get("type")):
            return f"its JSON has a key that is not of type {wanted['type']}"
    return None


def _is_of(value: Any, wanted: Any) -> bool:
    """Whether it has the schema's type, or one of its types; what the schema does not say is right."""
    names: Sequence[Any] = wanted if isinstance(wanted, list) else [wanted]
    known = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
    if not known:
        return True
    if isinstance(value, bool):
        return any(bool in kinds for kinds in known)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 is an integer to JSON Schema
    return any(isinstance(value, kinds) for kinds in known)


def bad_call(name: str, arguments: str, offered: frozenset[str]) -> str | None:
    """Whether a tool call cannot be carried out: a tool that the request does not offer, or arguments that are not JSON."""
    if name not in offered:
        return "it calls a tool that the request does not offer"
    try:
        decoded = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return "the arguments of its tool call are not JSON"
    return None if isinstance(decoded, dict) else "the arguments of its tool call are not a JSON object"
