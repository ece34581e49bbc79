"""The nouns of budgets, and the port of what counts: reserve what a request may cost, settle what it did.

Money is in nano-USD, in buckets of time (see frame.py). An entry counts in the bucket that it began in, as in the ledger, so
that both come to the same sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.budgets.frame import Frame, bucket_s, frame
from gateway.policy.budgets import BudgetRule, Per, Period

KEY_ALONE: Final = "(key) "  # before the name of a key without a team, apart from a team that has the key's name


@dataclass(frozen=True, slots=True)
class Family:
    """All that spend by themselves under rules of one kind and one time: each key, each team, each value of a tag."""

    per: Per
    tag: str | None
    period: Period

    def __hash__(self) -> int:
        return hash((self.per, self.tag, self.period.length_s))  # asked for several times by each request

    @property
    def id(self) -> str:
        return f"{self.per if self.tag is None else f'{self.per}:{self.tag}'}/{self.period}"


@dataclass(frozen=True, slots=True)
class Account:
    """What is spent together. holder: the name to count under."""

    family: Family
    holder: str

    def __hash__(self) -> int:
        return hash(self.holder)

    @property
    def name(self) -> str:
        """The name to show, and to find rules by."""
        return self.holder.removeprefix(KEY_ALONE) if self.family.per == "team" else self.holder

    @property
    def id(self) -> str:
        return f"{self.family.id}:{self.holder}"

    @property
    def bucket_s(self) -> int:
        return bucket_s(self.family.period)

    def frame(self, at: float) -> Frame:
        return frame(self.family.period, at)


@dataclass(frozen=True, slots=True)
class Ask:
    """So much of an account is wanted. ceiling_nusd: what may be spent and reserved in all; None for no bound."""

    account: Account
    amount_nusd: int
    ceiling_nusd: int | None = None
    on_error: str = "open"

    def fits(self, standing_nusd: int) -> bool:
        """Whether it may be had beside what is spent and reserved. Nothing may once the ceiling is reached."""
        return self.ceiling_nusd is None or (
            standing_nusd < self.ceiling_nusd and standing_nusd + self.amount_nusd <= self.ceiling_nusd
        )


@dataclass(frozen=True, slots=True)
class State:
    """How an account stands. reserved_nusd: for requests under way. buckets: what was spent in each that counts."""

    account: Account
    spent_nusd: int
    reserved_nusd: int
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def standing_nusd(self) -> int:
        """What is spent, or may be any moment."""
        return self.spent_nusd + self.reserved_nusd

    def wait_s(self, ask: Ask, at: float) -> float | None:
        """Seconds until the ask fits, if nothing more is spent; None if it never will: it is more than the whole ceiling."""
        assert ask.ceiling_nusd is not None, "whatever has no ceiling fits"
        if ask.amount_nusd > ask.ceiling_nusd:
            return None
        window, standing = self.account.frame(at), self.standing_nusd
        for bucket, nusd in sorted(self.buckets.items()):
            if ask.fits(standing):
                break
            standing -= nusd
            if ask.fits(standing):
                return max(window.leaves_at(bucket) - at, 0.0)
        return 1.0  # it waits for requests under way only


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of asks. states: how each account stood before them; is_held: whether all were reserved, else none is."""

    is_held: bool
    states: tuple[State, ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """What an entry cost an account in truth. at: when it began; booked_at: when its cost was known; both since 1970.

    hold, reserved_nusd: of the reservation that it takes the place of; "" and 0 for none.
    """

    account: Account
    nusd: int
    at: float
    booked_at: float
    hold: str = ""
    reserved_nusd: int = 0

    @property
    def bucket(self) -> int:
        return int(self.at // self.account.bucket_s)


class Unknown(Exception):
    """What was spent in one of these families before is not known here: it is to be read from the ledger first."""

    def __init__(self, families: Collection[Family]) -> None:
        super().__init__(", ".join(family.id for family in families))
        self.families = families


Spent = Mapping[str, Mapping[int, int]]
"""By holder what was spent in each bucket: what the ledger says of a family."""

Changed = Callable[[Account, int, float], None]
"""(account, what it has spent now, at) is told after each charge."""


class Counts(Protocol):
    """Keeps what is spent and reserved. Owned by the application's lifespan."""

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply:
        """Reserve all that is asked for or, if one does not fit, nothing, in one step.

        hold: a name that no other has. at: seconds since 1970. lease_s: after which a reservation that nobody settled, because
        its process is gone, lapses. Raises Unknown for families that were never filled, StoreUnavailable when it cannot be
        counted and one of the asks is closed then.
        """
        ...

    def settle(self, charges: Sequence[Charge]) -> None:
        """Count these, at once or soon. Never fails, never waits."""
        ...

    def reserve_alone(self, hold: str, asks: Sequence[Ask], at: float) -> Reply:
        """As `reserve`, from what this process knows: for when nothing more can be had."""
        ...

    async def fill(self, family: Family, read: Callable[[], Spent], at: float) -> None:
        """Count no less than the ledger says. read: reads it, and may block. Raises OSError when it cannot be read."""
        ...

    async def states(self, accounts: Sequence[Account], at: float) -> list[State]:
        """How they stand."""
        ...

    def holders(self, family: Family) -> list[str]:
        """Those of whom something is known."""
        ...

    def spent(self, family: Family, at: float) -> dict[str, int]:
        """By holder, what was spent, as far as this process knows without asking anybody."""
        ...

    @property
    def problem(self) -> str | None:
        """Why budgets are not what they should be just now, with the remedy; None when all is well."""
        ...

    async def aclose(self) -> None:
        """Count what is still to be settled, and stop."""
        ...


def family_of(rule: BudgetRule) -> Family:
    """Where a rule's money is counted: rules of another `at` or sum share it."""
    return Family(rule.per, rule.tag, rule.period)
