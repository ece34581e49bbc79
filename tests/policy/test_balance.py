"""Spreading requests over equal models."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.balance import balanced
from gateway.policy.model import Candidate


def candidates(**loads: float) -> dict[str, Candidate]:
    return {name: Candidate(name, "p", load=load) for name, load in loads.items()}


def shares(arms: list[tuple[str, float]], models: dict[str, Candidate], draws: int = 10_000) -> Counter[str]:
    return Counter(balanced(arms, models, k / draws)[0][0] for k in range(draws))


def test_without_load_weights_decide() -> None:
    found = shares([("a", 2.0), ("b", 1.0), ("c", 1.0)], candidates(a=0, b=0, c=0))
    assert abs(found["a"] - 5000) < 100 and abs(found["b"] - 2500) < 100


def test_of_two_the_less_busy_one_is_asked_always() -> None:
    assert shares([("a", 1.0), ("b", 1.0)], candidates(a=0.9, b=0.1)) == {"b": 10_000}


def test_the_busiest_of_three_is_asked_never_and_the_idle_one_mostly() -> None:
    found = shares([("a", 1.0), ("b", 1.0), ("c", 1.0)], candidates(a=0.9, b=0.5, c=0.1))
    assert found["a"] == 0 and abs(found["c"] - 6667) < 200


def test_twice_the_weight_may_be_twice_as_busy() -> None:
    assert shares([("a", 2.0), ("b", 1.0)], candidates(a=0.3, b=0.2)) == {"a": 10_000}


def test_one_that_cannot_be_asked_is_not_drawn() -> None:
    models = candidates(a=0.9, b=0.0) | {"b": Candidate("b", "p", unavailable="no key")}
    assert balanced([("a", 1.0), ("b", 1.0)], models, 0.99) == (("a", "b"), None)


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=2, max_size=6),
    loads=st.lists(st.floats(0, 10), min_size=6, max_size=6),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_every_model_is_in_the_order_once(weights: list[float], loads: list[float], draw: float) -> None:
    arms = [(f"m{k}", w) for k, w in enumerate(weights)]
    models = {name: Candidate(name, "p", load=load) for (name, _), load in zip(arms, loads, strict=False)}
    names, why = balanced(arms, models, draw)
    assert sorted(names) == sorted(models) and why is not None
