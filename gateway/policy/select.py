"""Which of a route's models to ask: the cheapest whose predicted quality for this prompt is near enough to the best one's.

Pure. How near is near enough was measured on held-out prompts when the policy was loaded: the rule's `bar`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.policy.catalog import Model, TokenPrice
from gateway.policy.model import Facts, SelectRule

ROUNDING = 1e-9  # 0.8 * 0.9 is a little more than 0.72
QUALITY = "quality."  # a model's predicted quality stands under `quality.MODEL` among the facts


@dataclass(frozen=True, slots=True)
class Choice:
    """model: the one to ask. quality: predicted for it, None where none is known. why: for people."""

    model: str
    quality: float | None
    why: str


def choose(rule: SelectRule, facts: Facts, askable: Collection[str]) -> Choice:
    """The first of the rule's models, cheapest first, that is good enough for this prompt and can be asked.

    Good enough is at least `bar` of the best predicted quality among all of them, whether or not that one can be asked.
    None good enough can be asked: the best of those that can. No prediction: the dearest that can, which is the safe side.
    askable: some of the rule's models; with none of them, all count.
    """
    models = [m for m in rule.models if m in askable] or list(rule.models)
    known = {m: q for m in rule.models if isinstance(q := facts.values.get(f"{QUALITY}{m}"), float)}
    if not any(m in known for m in models):
        reason = facts.values.get("class_reason") or facts.missing.get("quality", "none was made")
        return Choice(models[-1], None, f"no predicted quality ({reason}): the dearest, to be safe")
    needed = rule.bar * max(known.values()) - ROUNDING
    told = ", ".join(f"{m} {q:.2f}" for m, q in known.items())
    for model in models:
        if known.get(model, -1.0) >= needed:
            return Choice(model, known[model], f"predicted quality {told}; {needed:.2f} is enough")
    best = max(models, key=lambda m: known.get(m, -1.0))
    return Choice(best, known[best], f"predicted quality {told}; {needed:.2f} would be enough, and cannot be had now")


def misplaced(names: Sequence[str], models: Mapping[str, Model]) -> Iterator[tuple[int, str]]:
    """(place, message) of each name that makes the list not go from the cheapest to the dearest.

    Known token prices count, of input and of output, as they are for short requests: a model is too late in the list if one
    before it is dearer for one of the two and cheaper for neither. Tiers do not count, since no request is known yet.
    """
    for k, name in enumerate(names):
        if name in names[:k]:
            yield k, f"model '{name}' is in this list already; each is another model"
            continue
        price = models[name].price if name in models else None
        for earlier in names[:k]:
            other = models[earlier].price if earlier in models else None
            if isinstance(price, TokenPrice) and isinstance(other, TokenPrice) and _is_dearer(other, price):
                yield k, f"`models` goes from the cheapest to the dearest, but '{earlier}' costs more than '{name}'; put it after"
                break


def _is_dearer(one: TokenPrice, other: TokenPrice) -> bool:
    return one.input >= other.input and one.output >= other.output and (one.input, one.output) != (other.input, other.output)
