"""From a request to the id of its prompt, with the templates that are known so far. Pure, and quick enough for every request."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from gateway.prompts.families import Families
from gateway.prompts.fingerprint import Seen, fingerprints
from gateway.prompts.known import Known
from gateway.prompts.mining import TEMPLATES_MAX
from gateway.prompts.pattern import Shape
from gateway.prompts.view import View

WAITING_MAX: Final = 64  # prompts that wait to be learned from
# A second, at some 40 µs each, which would be a tenth of all that a request costs. Who asks more often than that asks
# nearly everything again before long.
FINGERPRINTED_PER_S: Final = 200


class Recogniser:
    """matched: how many prompts each template has had. waiting: prompts to be learned from, the latest last; more are dropped.

    dropped: ids of templates that are no longer compared with, since others are used more.
    """

    def __init__(self, templates_max: int = TEMPLATES_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._templates_max, self._clock = templates_max, clock
        self._second, self._fingerprinted = 0, 0
        self._known, self._seen = Known(), Seen()
        self._in_use: OrderedDict[str, Shape] = OrderedDict()  # the last used last
        self.families = Families()
        self.matched: Counter[str] = Counter()
        self.waiting: deque[View] = deque(maxlen=WAITING_MAX)
        self.dropped: deque[str] = deque()

    def id_of(self, view: View) -> str | None:
        """The id of its template; else a fingerprint that a template claims or that came before; else None.

        None as well for what is like no template once FINGERPRINTED_PER_S others were in the same second.
        """
        shape = self._known.find(view)
        if shape is None:
            self.waiting.append(view)
            return self._fingerprint(view) if self._may_fingerprint() else None
        id_ = shape.id
        self.matched[id_] += 1
        self._in_use.move_to_end(id_)
        if shape.user.is_free:
            self.waiting.append(view)  # it may be of a narrower one within
        return self.families.head(id_)

    def adopt(self, id_: str, text: str, stands_for: Sequence[str]) -> None:
        """Take in what was found of a template, here or elsewhere."""
        self.families.add(id_, text, stands_for)
        for taken in stands_for:
            self._drop(taken)
        shape = Shape.parse(text)
        if shape.id != id_ or self.families.is_taken(id_) or id_ in self._in_use:
            return  # an id that its text does not make was not written by this code: good for reports, not to compare with
        self._known.add(shape)
        self._in_use[id_] = shape
        if len(self._in_use) > self._templates_max:
            oldest = next(iter(self._in_use))
            self._drop(oldest)  # if its prompts come back it is found again, under the same id
            self.dropped.append(oldest)

    def _fingerprint(self, view: View) -> str | None:
        ids = fingerprints(view)
        again = self._seen.again(ids)
        return next((id_ for id_ in ids if self.families.is_claimed(id_)), again)

    def _may_fingerprint(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._fingerprinted = second, 0
        self._fingerprinted += 1
        return self._fingerprinted <= FINGERPRINTED_PER_S

    def _drop(self, id_: str) -> None:
        shape = self._in_use.pop(id_, None)
        if shape is not None:
            self._known.remove(shape)
            del self.matched[id_]
