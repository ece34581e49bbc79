"""Which of a policy's budgets hold for an account, found without a search: asked several times by each request."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.budgets.base import Account, Family, family_of
from gateway.policy.budgets import BudgetRule


class Rules:
    """The budgets of one policy. all: as they stand there; families: of all of them, in that order."""

    def __init__(self, rules: Sequence[BudgetRule]) -> None:
        self.all = tuple(rules)
        self.families = tuple(dict.fromkeys(family_of(rule) for rule in rules))
        self._named: dict[Family, dict[str, list[BudgetRule]]] = {}
        self._others: dict[Family, list[BudgetRule]] = {}
        for family in self.families:
            of_kind = [rule for rule in rules if rule.per == family.per and rule.tag == family.tag]
            # Whoever is named for one time is no "each one" for another.
            named: dict[str, list[BudgetRule]] = {name: [] for rule in of_kind for name in rule.of}
            mine = [rule for rule in of_kind if rule.period == family.period]
            for rule in mine:
                for name in rule.of:
                    named[name].append(rule)
            self._named[family] = named
            self._others[family] = [rule for rule in mine if not rule.of]

    def of(self, account: Account) -> Sequence[BudgetRule]:
        """Those that hold for it: the ones that name its holder, else, if none of its kind does, the ones that name nobody."""
        named = self._named.get(account.family)
        if named is None:  # of a policy that was in force before
            return ()
        found = named.get(account.name)
        return self._others[account.family] if found is None else found
