"""Hedged requests: a second target when the first is late, as often as a budget allows.

J. Dean, L. A. Barroso, "The Tail at Scale" (2013): wait for the 95th percentile, and hedging costs 5 % at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.errors import ClientError
from gateway.failover.lane import Lane
from gateway.policy.failover import HedgeRule
from gateway.policy.model import Plan
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from gateway.target import Target

SAVED_MAX = 10.0  # hedges that a quiet time may save up for a bad one


class HedgeBudget:
    """Of one route: each of its requests earns `share` of a hedge, so that no more than this share is ever hedged."""

    def __init__(self) -> None:
        self._saved = 0.0

    def earn(self, share: float) -> None:
        """A request came that could be hedged."""
        self._saved = min(self._saved + share, SAVED_MAX)

    def spend(self) -> bool:
        """Whether one may go out now; it then has."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


class HedgeBudgets:
    """By route; they outlive a reload of the policy."""

    def __init__(self) -> None:
        self._by_route: dict[str, HedgeBudget] = {}

    def of(self, route: str) -> HedgeBudget:
        """The budget of this route."""
        return self._by_route.setdefault(route, HedgeBudget())


def hedge_after_s(rule: HedgeRule, plan: Plan, request: ChatRequest, first: Target) -> float | None:
    """Seconds after which a second target is asked; None for a request that is not hedged.

    Asked twice, tools could be called twice: such requests are left out unless the rule says otherwise. A percentile of
    what is not known yet is no time.
    """
    if len(plan.targets) < 2 or plan.accept or (request.has_tools and not rule.tools):
        return None
    if rule.after_s is not None:
        return rule.after_s
    assert rule.quantile is not None, "the grammar sees to it that one of the two is there"
    return first.health.pace.quantile_s(rule.quantile, request.tokens_in, request.is_stream)


Ask = Callable[[Lane], Coroutine[Any, Any, list[Piece] | None]]


async def race(
    ask: Ask, first: Lane, second: Callable[[], Lane | None], after_s: float
) -> tuple[Lane | None, list[Piece] | None]:
    """The lane whose targets answer first, and what they say; (None, None) when those of neither do.

    second: asked for after after_s seconds, if the first has brought nothing and has not failed. The loser is cancelled, and
    has ended when this returns. Raises what a lane raises.
    """
    lanes = {asyncio.create_task(ask(first)): first}
    winner: Lane | None = None
    try:
        done, _ = await asyncio.wait(lanes, timeout=after_s)
        hedge = None if done else second()
        if hedge is not None:
            lanes[asyncio.create_task(ask(hedge))] = hedge
        pending = set(lanes)
        while pending:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task, lane in lanes.items():
                if pending and lane.is_hedge and task.done() and isinstance(task.exception(), ClientError):
                    continue  # the first may well take what the second refuses; else it is raised when that has failed
                if task.done() and (pieces := task.result()) is not None:
                    winner = lane
                    return lane, pieces
        return None, None
    finally:
        await _end(lanes, winner)


async def _end(lanes: dict[asyncio.Task[list[Piece] | None], Lane], winner: Lane | None) -> None:
    losers = [lane.running for lane in lanes.values() if lane is not winner and lane.running is not None]
    for running in losers if winner is not None else ():
        running.lose()
    for task in lanes:
        task.cancel()
    try:
        # A lane must have ended before we do: it holds a connection.
        await asyncio.gather(*lanes, return_exceptions=True)
    except asyncio.CancelledError:
        if winner is not None and winner.running is not None:
            await winner.running.end("cancelled")  # nobody reads on
        raise
    finally:
        for running in losers:
            await running.end("lost_hedge" if winner is not None else "cancelled")
