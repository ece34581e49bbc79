"""What one call of the weak and of the strong model costs, for `turnout calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import UsageError
from gateway.policy.catalog import Model, TokenPrice
from gateway.policy.compile import Policy


@dataclass(frozen=True, slots=True)
class CallPrices:
    """US dollars a call."""

    weak: float
    strong: float

    def per_1000(self, strong_share: float) -> float:
        """US dollars for 1,000 calls, that share of them strong."""
        return 1000 * (self.weak + strong_share * (self.strong - self.weak))

    def strong_share_for(self, usd_per_call: float) -> float | None:
        """The share of strong calls that so much a call pays, at most 1; None if it does not pay the weak model."""
        if usd_per_call < self.weak:
            return None
        return 1.0 if self.strong <= usd_per_call else (usd_per_call - self.weak) / (self.strong - self.weak)


def call_prices(
    policy: Policy | None, weak: str, strong: str, given: Sequence[float] | None, tokens_in: int, tokens_out: int
) -> CallPrices | None:
    """From what was given, else from the policy's models of these names or ids; None without either. Raises UsageError."""
    if given is not None:
        return CallPrices(*given)
    if policy is None:
        return None
    found = [_price(policy, name, tokens_in, tokens_out) for name in (weak, strong)]
    return CallPrices(*found)


def _price(policy: Policy, name: str, tokens_in: int, tokens_out: int) -> float:
    model = _model(policy, name)
    if not isinstance(model.price, TokenPrice):
        priced_by = "unknown" if model.price is None else "by the second"
        raise UsageError(f"model '{model.name}' has no price a token (its price is {priced_by}); give --usd-per-call WEAK STRONG")
    rates = model.price.rates(tokens_in)
    return (tokens_in * rates.input + tokens_out * rates.output) / 1e12  # pico-USD


def _model(policy: Policy, name: str) -> Model:
    if name in policy.models:
        return policy.models[name]
    by_id = [model for model in policy.models.values() if model.id == name]
    if not by_id:
        known = ", ".join(f"{m.name} ({m.id})" for m in policy.models.values())
        raise UsageError(f"no model of {policy.file} is called '{name}', by name or id; known: {known}; or give --usd-per-call")
    return by_id[0]
