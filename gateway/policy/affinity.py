"""Whether a conversation stays with the model it is with. Pure arithmetic on prices and token counts.

A provider keeps what it has just read and asks less for reading it again; another model reads everything anew. So a
cheaper model can cost more: the move throws away a warm prefix (after katanemo/plano, pull request 982).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.policy.catalog import Price, TokenPrice
from gateway.policy.model import Facts, FactValue

PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Pinned:
    """The model that a conversation is with.

    by: what holds it there; a tool loop does so whatever it costs, since the model is in the middle of its work.
    cached_tokens: of this request's input, what its provider is likely to have kept. new_tokens: the rest of the input.
    output_tokens: the answer's expected length.
    """

    model: str
    by: Literal["session", "tool-loop"]
    cached_tokens: int = 0
    new_tokens: int = 0
    output_tokens: int = 0

    def facts(self) -> dict[str, FactValue]:
        """As the engine gets it."""
        return {
            PINNED: self.model,
            "pinned.by": self.by,
            "pinned.cached_tokens": self.cached_tokens,
            "pinned.new_tokens": self.new_tokens,
            "pinned.output_tokens": self.output_tokens,
        }


def pinned_of(facts: Facts) -> Pinned | None:
    """The pin among the facts."""
    values = facts.values
    if not isinstance(model := values.get(PINNED), str):
        return None
    cached, new, output = (int(values.get(f"pinned.{name}_tokens", 0)) for name in ("cached", "new", "output"))
    return Pinned(model, "tool-loop" if values.get("pinned.by") == "tool-loop" else "session", cached, new, output)


@dataclass(frozen=True, slots=True)
class Stay:
    """Whether to stay with the pinned model, and why, for people."""

    stays: bool
    why: str


def stay(pinned: Pinned, price: Price | None, chosen: str, chosen_price: Price | None) -> Stay:
    """Whether to stay, when the route's own choice is another model. price: the pinned model's.

    A dearer choice is a wish for quality, which is the policy's to decide: go. A cheaper one, or one that costs the same,
    has to be cheaper still with all of the input read anew, against what staying costs with the cached part at its rate.
    Without token prices there is nothing to lose that is known: go.
    """
    if pinned.by == "tool-loop":
        return Stay(True, f"'{pinned.model}' is in the middle of a tool loop")
    if not isinstance(price, TokenPrice) or not isinstance(chosen_price, TokenPrice):
        return Stay(False, f"the session was with '{pinned.model}'; no token prices to weigh a move to '{chosen}' by")
    tokens_in = pinned.cached_tokens + pinned.new_tokens
    there, here = chosen_price.rates(tokens_in), price.rates(tokens_in)
    go_pusd = tokens_in * there.input + pinned.output_tokens * there.output
    anew_pusd = tokens_in * here.input + pinned.output_tokens * here.output
    stay_pusd = anew_pusd - pinned.cached_tokens * (here.input - here.cached_input)
    told = f"staying with '{pinned.model}' costs about {_usd(stay_pusd)}, going to '{chosen}' {_usd(go_pusd)}"
    if go_pusd > anew_pusd:
        return Stay(False, f"{told}: the policy wants the dearer one")
    if go_pusd < stay_pusd:
        return Stay(False, told)
    return Stay(True, f"{told}, with {pinned.cached_tokens} tokens still cached")


def _usd(pusd: int) -> str:
    return f"${pusd / 1e12:.6f}"
