"""Which ids are one prompt: the rules by which reports, and every gateway, read what was found of templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Finding = tuple[str, str, Sequence[str]]  # a template's id, its text, and the ids that it stands for


class Families:
    """All that is known of templates, from all gateways. The order in which it was found makes no difference.

    A template that takes another in and that one are a family, and so are all that hang together in this way. A
    fingerprint belongs to a family if no other family claims it too.
    """

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._texts: dict[str, str] = {}
        self._links: dict[str, set[str]] = {}  # a template and those it hangs together with, both ways
        self._claims: dict[str, set[str]] = {}  # a fingerprint and the templates that claim it
        self._taken: set[str] = set()
        self._heads: dict[str, str] = {}
        for id_, text, stands_for in findings:
            self.add(id_, text, stands_for)

    def add(self, id_: str, text: str, stands_for: Sequence[str]) -> None:
        """Take in what one record says."""
        self._texts[id_] = text
        for other in stands_for:
            if is_template(other):
                self._links.setdefault(id_, set()).add(other)
                self._links.setdefault(other, set()).add(id_)
                self._taken.add(other)
            else:
                self._claims.setdefault(other, set()).add(id_)
        self._heads.clear()

    def of(self, id_: str) -> str:
        """The id that this one is reported as; itself when nothing is known of it, or too much."""
        if not is_template(id_):
            heads = {self.head(claimant) for claimant in self._claims.get(id_, ())}
            return heads.pop() if len(heads) == 1 else id_
        return self.head(id_)

    def text(self, id_: str) -> str | None:
        """The words of a template, `<*>` where they differ."""
        return self._texts.get(id_)

    def members(self, id_: str) -> set[str]:
        """All ids that are reported as this one."""
        return {id_} | {other for other in (*self._texts, *self._links, *self._claims) if self.of(other) == id_}

    def is_claimed(self, fingerprint: str) -> bool:
        """Whether a template claims it."""
        return fingerprint in self._claims

    def is_taken(self, id_: str) -> bool:
        """Whether another template has taken this one in."""
        return id_ in self._taken

    def head(self, id_: str) -> str:
        """What a template is reported as: the widest of its family, which no other takes in; of several, that of fewest words."""
        if id_ not in self._links:
            return id_
        if id_ not in self._heads:
            family, found = {id_}, [id_]
            while found:
                new = self._links[found.pop()] - family
                family |= new
                found += new
            known = [member for member in family if member in self._texts] or list(family)
            head = min(known, key=lambda m: (m in self._taken, len(self._texts.get(m, "")), m))
            self._heads |= dict.fromkeys(family, head)
        return self._heads[id_]


def is_template(id_: str) -> bool:
    """Whether the id is a template's, and no fingerprint."""
    return id_.startswith("t-")
