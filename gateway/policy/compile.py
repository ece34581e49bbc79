"""From the text of a policy file to an immutable Policy, or to every problem it has, with lines.

Pure: files, environment and prices are handed in. What can be checked before a request is, here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.policy import schema, schema_models, schema_routes
from gateway.policy.budgets import Alerts, BudgetRule
from gateway.policy.capability import Capability
from gateway.policy.catalog import CannotLookup, Model, NamesLike, PriceLookup, Provider
from gateway.policy.compile_budgets import alerts, budget_rules
from gateway.policy.compile_cache import cache_rule, check_cache, check_setup
from gateway.policy.compile_cascade import Rungs, compile_rungs, savings
from gateway.policy.compile_failover import check_failover, failover
from gateway.policy.compile_limits import limit_rules
from gateway.policy.compile_models import Lookup, serve
from gateway.policy.compile_responses import responses_rule
from gateway.policy.conditions import BadCondition, Condition, Test, compile_condition, model_globs
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.failover import PLAIN, Failover
from gateway.policy.limits import LimitRule
from gateway.policy.model import AnswerRule, CacheMode, CacheRule, Calibration, Plan, Retry, Saving, SelectRule, Timeouts
from gateway.policy.problems import problem_of, unknown_name
from gateway.policy.responses import UNSAID, ResponsesRule
from gateway.policy.schema_cache import CacheSetup, CacheSpec
from gateway.policy.select import misplaced
from gateway.policy.source import Path, Source, parse_source

DIRECT = "direct"  # the ledger's route name of a request that names a model outright
RESERVED_ROUTES = frozenset({DIRECT})
ReadFile = Callable[[str], str]
_File = TypeVar("_File", bound=BaseModel)


@dataclass(frozen=True)
class Route:
    """A row of the policy, compiled. Exactly one of `arms`, `balance`, `cascade`, `select` and `answer` is there.

    arms: (model, upper bound of its share in [0, 1]); one arm of 1.0 unless the route splits.
    balance: (model, weight) of models that are as good as each other.
    cascade: the rungs in order, each with when its answer stands; None for the last. savings: by rung, where prices say.
    """

    name: str
    when: Condition | None
    arms: tuple[tuple[str, float], ...]
    cascade: Rungs
    savings: Mapping[str, Saving]
    select: SelectRule | None
    fallback: tuple[str, ...]
    answer: AnswerRule | None
    timeouts: Timeouts
    retry: Retry
    cache: CacheRule
    uses_class: bool
    balance: tuple[tuple[str, float], ...] = ()
    failover: Failover = PLAIN

    @cached_property
    def plain(self) -> Plan:
        """The plan of a route with one arm when all of its models can be asked, decided by its rule: nearly always the same."""
        first = self.arms[0][0]
        targets = tuple(dict.fromkeys((first, *self.fallback)))
        by, rules = f"rule:{self.name}", (self.timeouts, self.retry, self.cache)
        return Plan(self.name, by, first, targets, *rules, failover=self.failover)

    @property
    def calibrations(self) -> tuple[str, ...]:
        """The calibration files that its cascade names."""
        return tuple(rule.calibration.file for _, rule in self.cascade if rule is not None and rule.calibration is not None)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that a request of this route may be sent to."""
        chosen = self.select.models if self.select else ()
        ways = (*self.arms, *self.balance, *self.cascade)
        return tuple(dict.fromkeys((*(m for m, _ in ways), *chosen, *self.fallback)))


@dataclass(frozen=True)
class Policy:
    """Everything the gateway takes from the file. Never changed, only replaced."""

    hash: str
    file: str
    providers: Mapping[str, Provider]
    unavailable: Mapping[str, str]  # provider name → why it cannot be called (its key is not set)
    models: Mapping[str, Model]
    baseline: str | None
    classifier: schema.ClassifierSpec | None
    timeouts: Timeouts
    retry: Retry
    cache: CacheRule  # of the defaults
    failover: Failover  # of the defaults
    cache_setup: CacheSetup
    routes: tuple[Route, ...]
    faqs: Mapping[str, schema.FaqFile]
    globs: tuple[Test, ...]  # names other than `auto` and the models' that some route asks for
    needs: frozenset[str]  # facts that some decision looks at
    tests: tuple[schema.TestSpec, ...]
    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[BudgetRule, ...] = ()
    alerts: Alerts | None = None
    responses: ResponsesRule = UNSAID

    @cached_property
    def lacking(self) -> frozenset[Capability]:
        """What some model of it cannot do; nothing else has to be looked for in a request."""
        return frozenset(name for model in self.models.values() for name in model.cannot)

    @property
    def cache_modes(self) -> frozenset[CacheMode]:
        """How any request may use the cache: those of the routes and of the defaults."""
        return frozenset((self.cache.mode, *(route.cache.mode for route in self.routes)))


def compile_policy(
    file: str,
    text: str,
    *,
    env: Mapping[str, str],
    price_of: PriceLookup,
    read_file: ReadFile,
    cannot_of: CannotLookup = lambda provider, model_id: frozenset(),
    names_like: NamesLike = lambda provider, model_id: (),
    now: float = math.inf,
) -> Policy:
    """Compile a policy file. Raises PolicyError with all problems found.

    file: its name, for messages. env: for `${NAME}`. price_of, cannot_of: the price map; names_like: its names for
    what it does not have.
    read_file: text of a file that the policy names (relative to it); raises OSError or UnicodeDecodeError.
    now: seconds since 1970, UTC, for prices with dates; without it, the latest hold.
    """
    source = parse_source(file, text)
    spec = _validated(schema.PolicyFile, source)
    return _Compiler(source, spec, env, Lookup(price_of, cannot_of, names_like, now), read_file).policy()


def parse_faq(file: str, text: str) -> schema.FaqFile:
    """A FAQ file. Raises PolicyError; ids must be unique."""
    source = parse_source(file, text)
    faq = _validated(schema.FaqFile, source)
    seen: set[str] = set()
    problems = []
    for i, entry in enumerate(faq.entries):
        if entry.id in seen:
            line = source.line_of(("entries", i, "id"))
            problems.append(Problem(file, line, f"duplicate entry `{entry.id}`; give it another id"))
        seen.add(entry.id)
    if problems:
        raise PolicyError(problems)
    return faq


def _validated(kind: type[_File], source: Source) -> _File:
    try:
        return kind.model_validate(source.data)
    except ValidationError as exc:
        raise PolicyError([problem_of(source, error) for error in exc.errors(include_url=False)]) from exc


class _Compiler:
    """Walks a validated file once, collecting problems; `policy()` raises them together."""

    def __init__(
        self,
        source: Source,
        spec: schema.PolicyFile,
        env: Mapping[str, str],
        listed: Lookup,
        read_file: ReadFile,
    ) -> None:
        self.source, self.spec, self.env, self.listed, self.read_file = source, spec, env, listed, read_file
        self.problems: list[Problem] = []
        self.faqs: dict[str, schema.FaqFile] = {}
        self.models: Mapping[str, Model] = {}
        self.digest = hashlib.sha256(source.text.encode())

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(self.source.file, self.source.line_of(path), message))

    def policy(self) -> Policy:
        spec = self.spec
        served = serve(spec, self.env, self.listed, self.problem)
        self.models = served.models
        if spec.baseline is not None:
            self.known_model(spec.baseline, ("baseline",))
        timeouts = _timeouts(Timeouts(), spec.defaults.timeouts)
        retry = _retry(Retry(), spec.defaults.retry)
        cache = cache_rule(CacheRule(), spec.defaults.cache)
        trouble = failover(PLAIN, spec.defaults)
        routes = tuple(self.route(i, r, timeouts, retry, cache, trouble) for i, r in enumerate(spec.routes))
        self.reachable()
        is_semantic = "semantic" in (cache.mode, *(r.cache.mode for r in routes))
        check_setup(spec.cache, spec, is_semantic, self.problem)
        limits = limit_rules(spec.limits, spec.models, self.problem)
        budgets = budget_rules(spec.budgets, routes, RESERVED_ROUTES, served.models, served.unavailable, self.problem)
        told = alerts(spec.alerts, self.env, self.problem)
        responses = responses_rule(spec.responses, self.problem)
        for i, test in enumerate(spec.tests):
            self.test(i, test)
        if self.problems:
            raise PolicyError(self.problems)
        conditions = [r.when for r in routes if r.when is not None]
        needs = {fact for condition in conditions for fact in condition.facts()}
        if any(r.select is not None for r in routes):
            needs.add("quality")
        if any(m.context_tokens for m in served.models.values()) or any(r.savings for r in routes):
            needs.add("tokens_in")
        return Policy(
            hash=self.digest.hexdigest()[:12],
            file=self.source.file,
            providers=served.providers,
            unavailable=served.unavailable,
            models=served.models,
            baseline=spec.baseline,
            classifier=spec.classifier,
            timeouts=timeouts,
            retry=retry,
            cache=cache,
            failover=trouble,
            cache_setup=spec.cache,
            routes=routes,
            faqs=self.faqs,
            globs=tuple(test for condition in conditions for test in model_globs(condition)),
            needs=frozenset(needs),
            tests=tuple(spec.tests),
            limits=limits,
            budgets=budgets,
            alerts=told,
            responses=responses,
        )

    @property
    def has_queue(self) -> bool:
        """Whether requests wait for a place somewhere, which is where priorities count."""
        return any(p.queue for p in (*self.spec.providers.values(), *self.spec.models.values()))

    def cache(self, base: CacheRule, spec: CacheSpec | None, path: Path) -> CacheRule:
        rule = cache_rule(base, spec)
        check_cache(spec, rule, (*path, "cache"), self.problem)
        return rule

    def known_model(self, name: str, path: Path) -> None:
        if name not in self.spec.models:
            self.problem(path, unknown_name("model", name, self.spec.models))

    def route(
        self, i: int, spec: schema_routes.RouteSpec, timeouts: Timeouts, retry: Retry, cache: CacheRule, trouble: Failover
    ) -> Route:
        path: Path = ("routes", i)
        if spec.name in RESERVED_ROUTES:
            self.problem((*path, "name"), f"`{spec.name}` is what requests that name a model outright are booked under")
        if spec.model is not None:
            self.known_model(spec.model, (*path, "model"))
        for k, arm in enumerate(spec.split or ()):
            self.known_model(arm.model, (*path, "split", k, "model"))
        for k, one in enumerate(spec.balance or ()):
            self.known_model(one.model, (*path, "balance", k, "model"))
            if one.model in [other.model for other in (spec.balance or ())[:k]]:
                self.problem((*path, "balance", k, "model"), f"model '{one.model}' is in this list already; give it a `weight`")
        for k, rung in enumerate(spec.cascade or ()):
            self.known_model(rung.model, (*path, "cascade", k, "model"))
        for key in ("models", "fallback"):
            for k, name in enumerate(getattr(spec, key) or ()):
                self.known_model(name, (*path, key, k))
        when = self.when(spec, path)
        uses = set(when.facts()) if when else set()
        uses_class = bool(uses & {"class", "confidence"})
        if uses_class and self.spec.classifier is None:
            self.problem((*path, "when"), "`class` and `confidence` need a `classifier:` section, as `classifier: {}`")
        if "intent" in uses and (self.spec.classifier is None or self.spec.classifier.intents is None):
            self.problem((*path, "when"), "`intent` needs an intent artifact, as `classifier: {intents: my-intents}`")
        if spec.select is not None and self.spec.classifier is None:
            self.problem(
                (*path, "select"), "`select` needs a classifier that predicts quality, as `classifier: {artifact: mine}`"
            )
        for k, message in misplaced(spec.models or (), self.models):
            self.problem((*path, "models", k), message)
        rungs = compile_rungs(
            spec.cascade or [], (*path, "cascade"), self.provider_of, self.models, self.calibration, self.problem
        )
        route = Route(
            name=spec.name,
            when=when,
            arms=_arms(spec),
            cascade=rungs,
            savings=savings(rungs, self.models),
            select=_select(spec.models, spec.quality) if spec.models else None,
            fallback=tuple(spec.fallback),
            answer=self.answer(spec.answer, path) if spec.answer else None,
            timeouts=_timeouts(timeouts, spec.timeouts),
            retry=_retry(retry, spec.retry),
            cache=self.cache(cache, spec.cache, path),
            uses_class=uses_class,
            balance=tuple((one.model, one.weight) for one in spec.balance or ()),
            failover=failover(trouble, spec, spec.latency_guard),
        )
        check_failover(spec, route.models, route.retry.attempts, self.models, self.has_queue, path, self.problem)
        return route

    def provider_of(self, model: str) -> schema_models.ProviderSpec | None:
        spec = self.spec.models.get(model)
        return self.spec.providers.get(spec.provider) if spec else None

    def calibration(self, name: str, path: Path) -> Calibration | None:
        """A calibration file; None, and a problem, if it is none."""
        try:
            text = self.read_file(name)
        except (OSError, ValueError) as exc:  # not there; not UTF-8
            reason = getattr(exc, "strerror", None) or str(exc)
            self.problem(path, f"cannot read calibration file '{name}': {reason}")
            return None
        self.digest.update(text.encode())
        try:
            found = _validated(schema_routes.ConfidenceFile, parse_source(name, text))
        except PolicyError as exc:
            self.problems.extend(p for p in exc.problems if p not in self.problems)
            return None
        w = found.weights
        curve = tuple((z, p) for z, p in found.curve)
        return Calibration(name, (w.mean_logprob, w.lowest_window, w.margin, w.log_tokens), found.bias, curve)

    def when(self, spec: schema_routes.RouteSpec, path: Path) -> Condition | None:
        if spec.when is None:
            return None
        try:
            return compile_condition(spec.when)
        except BadCondition as exc:
            self.problem((*path, "when", *exc.path), exc.message)
            return None

    def answer(self, spec: schema_routes.AnswerSpec, path: Path) -> AnswerRule:
        if spec.faq is not None and spec.faq not in self.faqs:
            try:
                text = self.read_file(spec.faq)
            except (OSError, ValueError) as exc:  # not there; not UTF-8
                reason = getattr(exc, "strerror", None) or str(exc)
                self.problem((*path, "answer", "faq"), f"cannot read FAQ file '{spec.faq}': {reason}")
            else:
                self.digest.update(text.encode())
                try:
                    self.faqs[spec.faq] = parse_faq(spec.faq, text)
                except PolicyError as exc:
                    self.problems.extend(p for p in exc.problems if p not in self.problems)  # another route may use it too
        return AnswerRule(static=spec.static, faq=spec.faq, min_similarity=spec.min_similarity)

    def reachable(self) -> None:
        """Each name once, a last route without `when`, and no route behind one that takes all of its requests."""
        seen: dict[str, int] = {}
        last = len(self.spec.routes) - 1
        for i, route in enumerate(self.spec.routes):
            path: Path = ("routes", i)
            if route.name in seen:
                first = self.source.line_of(("routes", seen[route.name], "name"))
                self.problem((*path, "name"), f"duplicate route `{route.name}`, first given in line {first}; rename one")
            seen.setdefault(route.name, i)
            if i == last and route.when is not None:
                self.problem(path, f"the last route is the default and has no `when`; add one behind '{route.name}'")
            if route.answer and route.answer.faq and i == last:
                self.problem((*path, "answer"), "a FAQ cannot be the default: it does not answer everything; add a route")
            for k in range(i):
                if self.takes_all_of(self.spec.routes[k], route):
                    message = f"route '{route.name}' is never reached: '{self.spec.routes[k].name}' above it takes all of it"
                    self.problem(path, message)
                    break

    @staticmethod
    def takes_all_of(upper: schema_routes.RouteSpec, lower: schema_routes.RouteSpec) -> bool:
        """Whether every request that `lower` could have is already gone at `upper` (as far as equal keys tell)."""
        if upper.answer is not None and upper.answer.faq is not None:
            return False
        if upper.when is None:
            return True
        wanted: Mapping[str, Any] = lower.when or {}
        return all(key in wanted and wanted[key] == value for key, value in upper.when.items())

    def test(self, i: int, test: schema.TestSpec) -> None:
        expect = test.expect
        if expect.route is not None and expect.route != DIRECT and expect.route not in {r.name for r in self.spec.routes}:
            names = [r.name for r in self.spec.routes]
            self.problem(("tests", i, "expect", "route"), unknown_name("route", expect.route, names))
        if expect.model is not None:
            self.known_model(expect.model, ("tests", i, "expect", "model"))
        if expect == schema.Expectation():
            self.problem(("tests", i, "expect"), "expects nothing, so it cannot fail; name a route, class, model or cache")


def _select(models: list[str], quality: float | None) -> SelectRule:
    return SelectRule(tuple(models)) if quality is None else SelectRule(tuple(models), quality)


def _arms(spec: schema_routes.RouteSpec) -> tuple[tuple[str, float], ...]:
    if spec.model is not None:
        return ((spec.model, 1.0),)
    total = sum(arm.weight for arm in spec.split or ())
    arms, upto = [], 0.0
    for arm in spec.split or ():
        upto += arm.weight
        arms.append((arm.model, upto / total))
    return tuple(arms)


def _timeouts(base: Timeouts, spec: schema_routes.TimeoutsSpec) -> Timeouts:
    return Timeouts(
        connect_s=base.connect_s if spec.connect is None else spec.connect,
        first_token_s=base.first_token_s if spec.first_token is None else spec.first_token,
        idle_s=base.idle_s if spec.idle is None else spec.idle,
        total_s=base.total_s if spec.total is None else spec.total,
    )


def _retry(base: Retry, spec: schema_routes.RetrySpec) -> Retry:
    return Retry(
        attempts=base.attempts if spec.attempts is None else spec.attempts,
        backoff_s=base.backoff_s if spec.backoff is None else spec.backoff,
    )
