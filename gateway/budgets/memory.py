"""Budgets counted in this process, for itself alone: exact, since nothing comes between looking and counting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from gateway.budgets.base import Account, Ask, Changed, Charge, Family, Reply, Spent, State, Unknown
from gateway.budgets.frame import frame

HOLDERS_MAX: Final = 20_000
"""Of each family; with more, the one spent from longest ago is forgotten until the ledger is read the next time."""


class _Book:
    """What one account has spent, by bucket, and what is reserved of it, by hold."""

    __slots__ = ("buckets", "held", "reserved")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.held: dict[str, int] = {}
        self.reserved = 0

    def age(self, oldest: int) -> int:
        """Let go of buckets that no longer count; the sum of the others."""
        for bucket in [bucket for bucket in self.buckets if bucket < oldest]:
            del self.buckets[bucket]
        return sum(self.buckets.values())

    def state(self, account: Account, at: float) -> State:
        """As it stands."""
        spent = self.age(account.frame(at).oldest)
        return State(account, spent, self.reserved, dict(self.buckets))


class MemoryCounts:
    """Counts in this process's memory. changed: is told after each charge."""

    problem = None

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._books: dict[Family, OrderedDict[str, _Book]] = {}
        self._known: set[Family] = set()

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply:
        """lease_s: of no use here, where reservations end with the process."""
        if unknown := {ask.account.family for ask in asks} - self._known:
            raise Unknown(unknown)
        return self.reserve_alone(hold, asks, at)

    def reserve_alone(self, hold: str, asks: Sequence[Ask], at: float) -> Reply:
        # INVARIANT: nothing is awaited between looking and counting, so no other request comes in between.
        books = [self._book(ask.account) for ask in asks]
        states = tuple(book.state(ask.account, at) for ask, book in zip(asks, books, strict=True))
        is_held = all(ask.fits(state.standing_nusd) for ask, state in zip(asks, states, strict=True))
        if is_held:
            for ask, book in zip(asks, books, strict=True):
                if ask.amount_nusd:
                    book.held[hold] = book.held.get(hold, 0) + ask.amount_nusd
                    book.reserved += ask.amount_nusd
                    self._keep(ask.account, book)
        return Reply(is_held, states)

    def settle(self, charges: Sequence[Charge]) -> None:
        for charge in charges:
            book = self._book(charge.account)
            book.reserved -= book.held.pop(charge.hold, 0)
            if charge.nusd:
                book.buckets[charge.bucket] = book.buckets.get(charge.bucket, 0) + charge.nusd
            self._keep(charge.account, book)
            self._changed(charge.account, book.state(charge.account, charge.booked_at).spent_nusd, charge.booked_at)

    async def fill(self, family: Family, read: Callable[[], Spent], at: float) -> None:
        """INVARIANT: an entry is settled here before the ledger has it, so what the ledger has more was spent elsewhere."""
        self.fill_now(family, await asyncio.to_thread(read), at)

    def fill_now(self, family: Family, spent: Spent, at: float) -> None:
        for holder, buckets in spent.items():
            account = Account(family, holder)
            self.learn(State(account, 0, 0, buckets))  # some below 0, where machines cost less than was booked
            self._changed(account, self._book(account).state(account, at).spent_nusd, at)
        self._known.add(family)

    def learn(self, state: State) -> None:
        """Count no less than somebody who counts for others as well."""
        if state.buckets:
            book = self._book(state.account)
            for bucket, nusd in state.buckets.items():
                book.buckets[bucket] = max(book.buckets.get(bucket, nusd), nusd)
            self._keep(state.account, book)

    async def states(self, accounts: Sequence[Account], at: float) -> list[State]:
        return [self._book(account).state(account, at) for account in accounts]

    def holders(self, family: Family) -> list[str]:
        return list(self._books.get(family, ()))

    def spent(self, family: Family, at: float) -> dict[str, int]:
        books = self._books.get(family, OrderedDict())
        oldest = frame(family.period, at).oldest
        return {holder: book.age(oldest) for holder, book in books.items()}

    async def aclose(self) -> None:
        """Nothing is left to do."""

    def _book(self, account: Account) -> _Book:
        """The account's; a new one, not kept yet, if nothing was counted."""
        books = self._books.get(account.family)
        kept = None if books is None else books.get(account.holder)
        return _Book() if kept is None else kept

    def _keep(self, account: Account, book: _Book) -> None:
        books = self._books.setdefault(account.family, OrderedDict())
        books[account.holder] = book
        books.move_to_end(account.holder)
        # Two at most, so that each that comes pays for those that go, and none for all of them.
        for _ in range(2 if len(books) > HOLDERS_MAX else 0):
            holder, oldest = next(iter(books.items()))
            if oldest.reserved:  # for requests under way: not to be forgotten
                books.move_to_end(holder)
            elif len(books) > HOLDERS_MAX:
                del books[holder]
