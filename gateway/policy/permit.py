"""What a caller may use of a policy: which models and which routes. Values only."""

from __future__ import annotations

import fnmatch
import functools
import re
from dataclasses import dataclass

Globs = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """models, routes: globs, as in `when: {model: …}`, of which a name must match one; None allows all, () none.

    Naming a model outright is a route too, under the name that the ledger has for it: `direct`.
    """

    models: Globs | None = None
    routes: Globs | None = None

    def may_ask(self, model: str) -> bool:
        """Whether a request may be sent to this model."""
        return self.models is None or matches(self.models, model)

    def may_take(self, route: str) -> bool:
        """Whether a request may be answered by this route."""
        return self.routes is None or matches(self.routes, route)


ANYTHING = Permit()
NOTHING = Permit((), ())


def matches(globs: Globs, name: str) -> bool:
    """Whether one of the globs is the name."""
    return _pattern(globs).match(name) is not None


@functools.lru_cache(maxsize=1024)
def _pattern(globs: Globs) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)")
