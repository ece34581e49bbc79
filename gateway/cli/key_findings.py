"""What there is to say of virtual keys: for the first screen and for `turnout doctor`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.keys.model import Held
from gateway.keys.opening import open_keys
from gateway.policy.compile import DIRECT, Policy
from gateway.policy.permit import matches
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The keys of a data directory, and what to say of them."""

    held: Sequence[Held]
    finding: Finding

    @property
    def exist(self) -> bool:
        """Whether any key was ever made."""
        return bool(self.held)


def find_keys(settings: Settings) -> FoundKeys:
    """Read them. Never raises."""
    try:
        store = open_keys(settings)
        try:
            held = store.held_unless_lost()
        finally:
            store.close()
    except ConfigError as exc:
        return FoundKeys((), Finding("broken", "keys", str(exc)))
    if not held and settings.is_insecure:
        what = "no virtual key, and --insecure: whoever reaches this gateway is served"
        return FoundKeys(held, Finding("missing", "keys", what, "make one with `turnout keys create`"))
    return FoundKeys(held, _finding(held, time.time()))


def _finding(held: Sequence[Held], now: float) -> Finding:
    if not held:
        return Finding("ok", "keys", "no virtual key: programs on this machine are served without one")
    states = [key.state(now) for key in {one.key.id: one.key for one in held}.values()]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state != "valid")
    count = states.count("valid")
    what = f"{count} virtual {'key' if count == 1 else 'keys'}" + (f" ({told} besides)" if told else "")
    if count == 0:
        remedy = "every request is refused; make one with `turnout keys create`"
        return Finding("missing", "keys", f"no virtual key is valid: {told}", remedy)
    return Finding("ok", "keys", f"{what}: callers need one")


def find_unmatched(policy: Policy, held: Sequence[Held]) -> Iterator[Finding]:
    """The globs of valid keys that no model, or no route, of the policy matches: likely a slip, or a renamed model."""
    now = time.time()
    routes = [DIRECT, *(route.name for route in policy.routes)]
    for key in {one.key.id: one.key for one in held if one.key.state(now) == "valid"}.values():
        for kind, globs, names in (("model", key.permit.models, list(policy.models)), ("route", key.permit.routes, routes)):
            for glob in globs or ():
                if not any(matches((glob,), name) for name in names):
                    remedy = f"the policy has {', '.join(names)}"
                    yield Finding("missing", "keys", f"{key.id}: --{kind} '{glob}' is none of the policy's {kind}s", remedy)
