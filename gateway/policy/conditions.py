"""The grammar of `when`: a mapping in, a Condition out that says yes or no, and why.

To add a condition, add a row to LEAVES. A fact that is missing does not match; it never fails a request.
"""

from __future__ import annotations

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.policy.model import UNSURE, Facts, FactValue

Path = tuple[str | int, ...]
Test = Callable[[Any], bool]
CLASSES = ("skip", "small", "strong", UNSURE)
COMBINERS = ("any", "all", "not")


class BadCondition(Exception):
    """Raised while compiling. `path` is relative to the `when`."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True)
class Leaf:
    """One fact held against one wanted value."""

    fact: str
    wanted: str
    test: Test

    def matches(self, values: Mapping[str, FactValue]) -> bool:
        value = values.get(self.fact)
        return value is not None and self.test(value)

    def why(self, facts: Facts) -> str:
        value = facts.values.get(self.fact)
        if value is None:
            if self.fact.startswith("tag."):
                return f"{self.fact} is not set"
            return f"{self.fact} is not known ({facts.missing.get(self.fact, 'not computed')})"
        verb = "is" if self.test(value) else "is not"
        return f"{self.fact} {_show(value)} {verb} {self.wanted}"

    def facts(self) -> Iterator[str]:
        yield self.fact


@dataclass(frozen=True)
class Every:
    """All parts match; with no part, always."""

    parts: tuple[Condition, ...]

    def matches(self, values: Mapping[str, FactValue]) -> bool:
        for part in self.parts:  # not all(): every request asks, and a generator costs it more than the conditions do
            if not part.matches(values):
                return False
        return True

    def why(self, facts: Facts) -> str:
        failed = [p for p in self.parts if not p.matches(facts.values)]
        return "; ".join(p.why(facts) for p in failed or self.parts) or "it has no condition"

    def facts(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.facts()


@dataclass(frozen=True)
class Some:
    """At least one part matches."""

    parts: tuple[Condition, ...]

    def matches(self, values: Mapping[str, FactValue]) -> bool:
        for part in self.parts:  # not any(), as above
            if part.matches(values):
                return True
        return False

    def why(self, facts: Facts) -> str:
        good = [p for p in self.parts if p.matches(facts.values)]
        return good[0].why(facts) if good else "none of: " + "; ".join(p.why(facts) for p in self.parts)

    def facts(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.facts()


@dataclass(frozen=True)
class Not:
    """The part does not match."""

    part: Condition

    def matches(self, values: Mapping[str, FactValue]) -> bool:
        return not self.part.matches(values)

    def why(self, facts: Facts) -> str:
        return f"not ({self.part.why(facts)})"

    def facts(self) -> Iterator[str]:
        yield from self.part.facts()


Condition = Leaf | Every | Some | Not


def compile_condition(when: Mapping[str, Any], path: Path = ()) -> Condition:
    """All keys of the mapping must hold. Raises BadCondition."""
    if not isinstance(when, Mapping):
        raise BadCondition(path, f"a mapping of conditions is expected here, not {when!r}")
    if not when:
        raise BadCondition(path, "an empty `when` matches everything; leave `when` out of the last route instead")
    return _every(tuple(_compile(key, value, (*path, key)) for key, value in when.items()))


def _every(parts: tuple[Condition, ...]) -> Condition:
    """One part says yes and no, and why, in the same words as all of it would."""
    return parts[0] if len(parts) == 1 else Every(parts)


def _compile(key: str, value: Any, path: Path) -> Condition:
    if key == "not":
        return Not(compile_condition(value, path))
    if key in COMBINERS:
        if not isinstance(value, list) or not value:
            raise BadCondition(path, f"`{key}` takes a list of conditions")
        parts = tuple(compile_condition(part, (*path, i)) for i, part in enumerate(value))
        return Some(parts) if key == "any" else _every(parts)
    kind = "words" if key.startswith("tag.") and len(key) > len("tag.") else LEAVES.get(key, ("", ""))[0]
    if not kind:
        raise BadCondition(path, f"unknown condition `{key}`; {_near(key, [*LEAVES, 'tag.NAME', *COMBINERS])}")
    try:
        wanted, test = _TESTS[kind](value)
    except ValueError as exc:
        raise BadCondition(path, f"`{key}`: {exc}") from exc
    return Leaf(key, wanted, test)


# The tests are callables of C where that can be: some are called several times a request.
_COMPARE = {">=": operator.le, "<=": operator.ge, ">": operator.lt, "<": operator.gt, "==": operator.eq}  # (bound, fact)
_WILD = re.compile(r"[*?[]")
_COMPARISON = re.compile(r"^\s*(>=|<=|==|>|<)\s*([0-9]*\.?[0-9]+)\s*$")


def _number(value: Any) -> tuple[str, Test]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"== {value}", partial(operator.eq, value)
    found = _COMPARISON.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'a number or a comparison such as ">=0.9" is expected, not {value!r}')
    return f"{found[1]} {found[2]}", partial(_COMPARE[found[1]], float(found[2]))


def _share(value: Any) -> tuple[str, Test]:
    shown, test = _number(value)
    if not 0 <= float(shown.split()[-1]) <= 1:
        raise ValueError(f"a probability lies between 0 and 1, {value!r} does not")
    return shown, test


def _truth(value: Any) -> tuple[str, Test]:
    if not isinstance(value, bool):
        raise ValueError(f"true or false is expected, not {value!r}")
    return str(value).lower(), partial(operator.is_, value)


def _words(value: Any) -> tuple[str, Test]:
    """A word or a list of words; `*` and `?` are wildcards. Case matters."""
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(w, str) and w for w in words):
        raise ValueError(f"a word or a list of words is expected, not {value!r}")
    shown = words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if not any(map(_WILD.search, words)):
        return shown, frozenset(words).__contains__
    pattern = re.compile("|".join(fnmatch.translate(w) for w in words))
    return shown, lambda fact: pattern.match(fact) is not None


def _class(value: Any) -> tuple[str, Test]:
    words = value if isinstance(value, list) else [value]
    unknown = [w for w in words if w not in CLASSES]
    if unknown or not words:
        wrong = unknown[0] if unknown else value
        raise ValueError(f"{wrong!r} is not a class; {_near(str(wrong), CLASSES)}")
    return _words(value)


_TESTS: Mapping[str, Callable[[Any], tuple[str, Test]]] = {
    "number": _number,
    "share": _share,
    "truth": _truth,
    "words": _words,
    "class": _class,
}

LEAVES: Mapping[str, tuple[str, str]] = {
    "class": ("class", "the classifier's word for the request: skip, small, strong or unsure"),
    "confidence": ("share", "the calibrated probability of that class"),
    "intent": ("words", "the intent that the text has, by `classifier.intents`; `oos` where it has none of them for sure"),
    "model": ("words", "the model name that the caller asked for; globs"),
    "has_tools": ("truth", "the request offers tools, or holds a tool's call or result"),
    "has_images": ("truth", "a message holds an image"),
    "has_system": ("truth", "the request has a system or developer message: the app has told the model what to be"),
    "has_json_schema": ("truth", "the request asks for a JSON object or a JSON schema"),
    "tokens_in": ("number", "estimated input tokens"),
    "turns": ("number", "messages by the user so far"),
    "stream": ("truth", "the caller wants a stream"),
    "pii": ("truth", "a message, a system one aside, holds personal data: e-mail, phone, card, IBAN, social security number"),
}


def model_globs(condition: Condition) -> Iterator[Test]:
    """The tests on the requested model's name that must or may hold for `condition`; none below a `not`."""
    if isinstance(condition, Leaf):
        if condition.fact == "model":
            yield condition.test
    elif not isinstance(condition, Not):
        for part in condition.parts:
            yield from model_globs(part)


def condition_schema() -> dict[str, Any]:
    """The JSON Schema of a `when`, out of the same table."""
    number = {"type": ["number", "string"], "pattern": _COMPARISON.pattern}
    word = {"type": "string", "minLength": 1}
    words = {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]}
    name = {"enum": list(CLASSES)}
    kinds: dict[str, dict[str, Any]] = {
        "number": number,
        "share": number,
        "truth": {"type": "boolean"},
        "words": words,
        "class": {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]},
    }
    properties: dict[str, Any] = {k: {**kinds[kind], "description": text} for k, (kind, text) in LEAVES.items()}
    this = {"$ref": "#/$defs/When"}
    many = {"type": "array", "items": this, "minItems": 1}
    properties |= {"any": many, "all": many, "not": this}
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {r"^tag\..+": words},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"


def _show(value: FactValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2f}" if isinstance(value, float) else str(value)
