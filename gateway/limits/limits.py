"""The limits of a policy at work: whose they are, and who counts them."""

from __future__ import annotations

from typing import Final

from gateway.limits.allowance import Allowance
from gateway.limits.base import Limiter, Window, windows_of
from gateway.limits.quota import ModelQuota
from gateway.metrics import Metrics
from gateway.policy.limits import LimitRule, Per, rules_for
from gateway.request import ChatRequest
from gateway.tenant import Tenant

CALLERS: Final[tuple[Per, ...]] = ("key", "team")


class Limits:
    """For whichever policy is in force: counts are kept under the names of those who are limited, over every reload."""

    def __init__(self, limiter: Limiter, metrics: Metrics) -> None:
        self._limiter, self._metrics = limiter, metrics

    @property
    def problem(self) -> str | None:
        """Why limits are not what they should be just now, with the remedy; None when all is well."""
        return self._limiter.problem

    def of_caller(self, rules: tuple[LimitRule, ...], tenant: Tenant, request: ChatRequest) -> Allowance | None:
        """What this caller may have for this request; None where no limit holds for it."""
        windows = [*(window for per in CALLERS for window in _windows(rules, per, tenant)), *_own(tenant)]
        return Allowance(self._limiter, self._metrics, windows, request.tokens_expected) if windows else None

    def of_model(self, rules: tuple[LimitRule, ...], model: str) -> ModelQuota | None:
        """What this model may be sent; None where no limit holds for it."""
        windows = windows_of(rules_for(rules, "model", model), model, model)
        return ModelQuota(self._limiter, self._metrics, windows) if windows else None


def _own(tenant: Tenant) -> list[Window]:
    """Of the limits that the key itself has, which hold besides the policy's and are counted apart from them."""
    holder = f"(own) {tenant.key}"
    return [Window("key", holder, tenant.key, unit, rate.amount, rate.window_s, place=None) for unit, rate in tenant.limits]


def _windows(rules: tuple[LimitRule, ...], per: Per, tenant: Tenant) -> list[Window]:
    """As long as a key has no team, it is a team by itself."""
    if per == "key":
        holder = name = tenant.key
    elif tenant.team is not None:
        holder = name = tenant.team
    else:
        holder, name = f"(key) {tenant.key}", tenant.key  # apart from a team that has the key's name
    return windows_of(rules_for(rules, per, name), holder, name)
