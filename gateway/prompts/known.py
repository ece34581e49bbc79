"""The templates that are known, kept so that the one of a prompt is found at once."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Final, Generic, TypeVar

from gateway.prompts.pattern import Pattern, Shape
from gateway.prompts.view import View

T = TypeVar("T")
_Drawer = dict[str, dict[Pattern, T]]

ANCHOR_CHARS: Final = (32, 12, 4)  # a pattern is looked up by so many characters of its beginning, or else of its end
TRIED_MAX: Final = 64  # patterns compared with one text: a bound on the time, each takes a fraction of a microsecond
SYSTEMS_REMEMBERED: Final = 256  # an app has few system texts, and sends them with every request


class Known:
    """What a prompt is compared with."""

    def __init__(self) -> None:
        self._systems: _Index[_Index[Shape]] = _Index()
        self._of_system = lru_cache(SYSTEMS_REMEMBERED)(self._systems.matching)

    def add(self, shape: Shape) -> None:
        users = self._systems.get(shape.system)
        if users is None:
            users = _Index()
            self._systems.put(shape.system, users)
            self._of_system.cache_clear()
        users.put(shape.user, shape)

    def remove(self, shape: Shape) -> None:
        users = self._systems.get(shape.system)
        if users is not None:
            users.drop(shape.user)

    def find(self, view: View) -> Shape | None:
        """The template of this prompt; of several, the one that says the most."""
        system, user = view
        best: Shape | None = None
        for users in self._of_system(system):
            for shape in users.matching(user):
                if best is None or (shape.chars, shape.id) > (best.chars, best.id):
                    best = shape
        return best


class _Index(Generic[T]):
    """From patterns to values: a pattern lies under its whole text, else under how it begins, else under how it ends."""

    def __init__(self) -> None:
        cuts = [*(slice(0, n) for n in ANCHOR_CHARS), *(slice(-n, None) for n in ANCHOR_CHARS), slice(0, 0)]
        self._whole: _Drawer[T] = {}
        self._drawers: list[tuple[slice, _Drawer[T]]] = [(cut, {}) for cut in cuts]
        self._anchored: list[tuple[slice, _Drawer[T]]] = []  # those with something in them

    def get(self, pattern: Pattern) -> T | None:
        drawer, key = self._place(pattern)
        return drawer.get(key, {}).get(pattern)

    def put(self, pattern: Pattern, value: T) -> None:
        drawer, key = self._place(pattern)
        drawer.setdefault(key, {})[pattern] = value
        self._anchored = [(cut, drawer) for cut, drawer in self._drawers if drawer]

    def drop(self, pattern: Pattern) -> None:
        drawer, key = self._place(pattern)
        if pattern in drawer.get(key, {}):
            del drawer[key][pattern]
            if not drawer[key]:
                del drawer[key]
        self._anchored = [(cut, drawer) for cut, drawer in self._drawers if drawer]

    def matching(self, text: str) -> list[T]:
        """The values of all patterns that the text matches."""
        found = [*self._whole[text].values()] if text in self._whole else []  # no more has to be compared
        for cut, drawer in self._anchored:
            there = drawer.get(text[cut])
            if there is not None:
                for pattern, value in islice(there.items(), TRIED_MAX):
                    if pattern.matches(text):
                        found.append(value)
        return found

    def _place(self, pattern: Pattern) -> tuple[_Drawer[T], str]:
        begin, end = pattern.parts[0], pattern.parts[-1]
        *anchored, (_, others) = self._drawers
        if len(pattern.parts) == 1:
            return self._whole, begin
        for cut, drawer in anchored:
            part, chars = (begin, cut.stop) if cut.stop else (end, -cut.start)
            if len(part) >= chars:
                return drawer, part[cut]
        return others, ""
