"""From what a value check found to a message with line and remedy: unknown keys, near misses, keys of a later version."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gateway.policy import schema, schema_budgets, schema_cache, schema_failover, schema_limits, schema_models, schema_routes
from gateway.policy.errors import Problem
from gateway.policy.source import Path, Source


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a kind of file, by the place they stand in (see `_place`): those it has, those it will have."""

    known: Mapping[str, tuple[str, ...]]
    later: Mapping[str, frozenset[str]]


def unknown_name(kind: str, name: str, known: Any, where: str = "") -> str:
    """A reference to something that is not defined, with the nearest name that is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known) or 'none'}"
    return f"{where + ': ' if where else ''}{kind} '{name}' is not defined{hint}"


def problem_of(source: Source, error: ErrorDetails, keys: Keys | None = None) -> Problem:
    """One of pydantic's findings in the words of the file. keys: of a file that is not a policy."""
    path = _path_in(source.data, error["loc"])
    line = source.line_of(path)
    where = _shown(path)
    key = str(path[-1]) if path else ""
    kind, context, given = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "extra_forbidden":
        return Problem(source.file, line, _extra_key(path, keys or _POLICY_KEYS))
    if kind == "missing":
        owner = _shown(path[:-1])
        return Problem(source.file, line, f"{f'{owner}: ' if owner else ''}`{key}` is missing; add it")
    if kind == "literal_error":
        message = f"`{where}` is {given!r}; it must be {context.get('expected')}"
    elif kind.startswith("union_tag"):
        known = "openai, anthropic, litellm, local, fake"
        given_kind = given.get("kind") if isinstance(given, dict) else given
        said = f"kind {given_kind!r} is not known" if given_kind is not None else "`kind` is missing"
        message = f"`{where}`: {said}; give one of {known}"
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        message = f"`{where}`: a mapping of keys is expected here, not {given!r}"
    elif kind == "string_pattern_mismatch" and key == "per":
        message = f"`{where}` is {given!r}; it must be key, team, route, gateway, or tag:NAME for each value of a tag"
    elif kind == "string_pattern_mismatch":
        message = f"`{where}`: {given!r} is not a name; use letters, digits and . _ : / -, starting with a letter or digit"
    else:
        is_shown = kind in ("duration", "day") or isinstance(given, (dict, list))
        shown = "" if is_shown else f" (it is {given!r})"
        prefix = f"`{where}`: " if where else ""
        message = f"{prefix}{error['msg'][:1].lower()}{error['msg'][1:]}{shown}"
    return Problem(source.file, line, message)


def _path_in(data: Any, loc: tuple[int | str, ...]) -> Path:
    """Pydantic's location without the names of union branches, which are not in the file."""
    path: list[int | str] = []
    here = data
    for n, part in enumerate(loc):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (n == len(loc) - 1 and isinstance(here, dict) and isinstance(part, str)):
            continue
        elif part in _BRANCHES:
            continue
        path.append(part)
    return tuple(path)


_BRANCHES = frozenset({"openai", "anthropic", "litellm", "local", "fake", "word", "keys", "dated", "number", "[key]"})


def _extra_key(path: Path, keys: Keys) -> str:
    key, place = str(path[-1]), _place(path)
    owner = _shown(path[:-1])
    prefix = f"{owner}: " if owner else ""
    if key in keys.later.get(place, ()):
        return f"{prefix}`{key}` is not supported yet; remove it"
    known = keys.known.get(place, ())
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}" if known else "remove it"
    return f"{prefix}unknown key `{key}`; {hint}"


def _place(path: Path) -> str:
    """What kind of mapping the last key of the path stands in."""
    if len(path) == 1:
        return "policy"
    if len(path) == 2 and path[0] == "cache":
        return "cache of all routes"
    words = [p for p in path[:-1] if isinstance(p, str)]
    if words[-1:] == ["price"] and isinstance(path[-2], int):
        return "dated price"
    if len(path) == 3 and path[0] in _SINGULAR:
        return _SINGULAR[str(path[0])]
    return words[-1] if words else "policy"


_SINGULAR = {
    "providers": "provider",
    "models": "model",
    "routes": "route",
    "tests": "test",
    "entries": "entry",
    "limits": "limit",
    "budgets": "budget",
}


def fields(kind: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a mapping, as they are written in the file."""
    return tuple(f.alias or name for name, f in kind.model_fields.items())


_PROVIDERS = (
    schema_models.OpenAIProvider,
    schema_models.AnthropicProvider,
    schema_models.LiteLLMProvider,
    schema_models.LocalProvider,
    schema_models.FakeProvider,
)
_KEYS: dict[str, tuple[str, ...]] = {
    "policy": fields(schema.PolicyFile),
    "provider": tuple(dict.fromkeys(name for p in _PROVIDERS for name in fields(p))),
    "model": fields(schema_models.ModelSpec),
    "price": fields(schema_models.PriceSpec),
    "dated price": fields(schema_models.DatedPriceSpec),
    "tiers": fields(schema_models.TierSpec),
    "service": fields(schema_models.ServicesSpec),
    **dict.fromkeys(fields(schema_models.ServicesSpec), fields(schema_models.TariffSpec)),
    "gpu": fields(schema_models.GpuSpec),
    "tokens_per_second": fields(schema_models.Throughput),
    "classifier": fields(schema.ClassifierSpec),
    "defaults": fields(schema_routes.DefaultsSpec),
    "route": fields(schema_routes.RouteSpec),
    "timeouts": fields(schema_routes.TimeoutsSpec),
    "retry": fields(schema_routes.RetrySpec),
    "hedge": fields(schema_failover.HedgeSpec),
    "latency_guard": fields(schema_failover.GuardSpec),
    "breaker": fields(schema_failover.BreakerSpec),
    "queue": fields(schema_failover.QueueSpec),
    "balance": fields(schema_routes.BalanceArm),
    "cache": fields(schema_cache.CacheSpec),
    "cache of all routes": fields(schema_cache.CacheSetup),
    "embedder": fields(schema_cache.EmbeddingModel),
    "answer": fields(schema_routes.AnswerSpec),
    "split": fields(schema_routes.SplitArm),
    "cascade": fields(schema_routes.RungSpec),
    "accept": fields(schema_routes.AcceptSpec),
    "agreement": fields(schema_routes.AgreementSpec),
    "limit": fields(schema_limits.LimitSpec),
    "budget": fields(schema_budgets.BudgetSpec),
    "then": fields(schema_budgets.ThenRoute),
    "alerts": fields(schema_budgets.AlertsSpec),
    "test": fields(schema.TestSpec),
    "expect": fields(schema.Expectation),
    "entry": fields(schema.FaqEntry),
}
_POLICY_KEYS = Keys(_KEYS, schema.LATER)


def _shown(path: Path) -> str:
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out
