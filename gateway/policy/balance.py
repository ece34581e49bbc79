"""Spread a route's requests over models that are as good as each other: of two drawn by weight, the less busy. Pure.

M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001); the load is a peak-sensitive moving
average of the latency times the calls in flight, as in Twitter's Finagle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.policy.model import Candidate

SECOND_DRAW = 1 << 20  # what is left of a draw below so many steps is as good as a draw of its own


def balanced(
    arms: Sequence[tuple[str, float]], candidates: Mapping[str, Candidate], draw: float
) -> tuple[tuple[str, ...], str | None]:
    """The models in the order in which to ask them, and why the first is first.

    arms: (model, weight). One that cannot be asked is not drawn, as long as another can; it keeps its place among the rest.
    """
    able = [(m, w) for m, w in arms if candidates[m].unavailable is None] or list(arms)
    first = _drawn(able, draw)
    rest = [arm for arm in able if arm[0] != first]
    if not rest:
        names = (first, *(m for m, _ in arms if m != first))
        return names, None
    second = _drawn(rest, draw * SECOND_DRAW % 1.0)
    weights = dict(arms)
    share = {m: candidates[m].load / w for m, w in weights.items()}
    if share[second] < share[first]:
        first, second = second, first
    why = f"'{first}' of the two drawn is the less busy one ({share[first]:.3g} s to {share[second]:.3g} s for '{second}')"
    others = sorted((m for m, _ in arms if m != first), key=lambda m: share[m])
    return (first, *others), why


def _drawn(arms: Sequence[tuple[str, float]], draw: float) -> str:
    left = draw * sum(weight for _, weight in arms)
    for model, weight in arms:
        left -= weight
        if left < 0:
            return model
    return arms[-1][0]
