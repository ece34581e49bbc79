"""From the text of a policy file to an immutable Policy, or to every problem it has, with lines.

Pure: files, environment and prices are handed in. What can be checked before a request is, here.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.policy import schema
from gateway.policy.catalog import BusyPrice, Model, Price, PriceLookup, Provider, TokenPrice
from gateway.policy.conditions import BadCondition, Every, Test, compile_condition, model_globs
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.model import AnswerRule, CacheRule, Retry, Timeouts
from gateway.policy.problems import problem_of, unknown_name
from gateway.policy.source import Path, Source, parse_source

AUTO = "auto"
DIRECT = "direct"  # the ledger's route name of a request that names a model outright
RESERVED_ROUTES = frozenset({DIRECT})
ReadFile = Callable[[str], str]
_File = TypeVar("_File", bound=BaseModel)


@dataclass(frozen=True)
class Route:
    """A row of the policy, compiled. Exactly one of `arms` and `answer` is there.

    arms: (model, upper bound of its share in [0, 1]); one arm of 1.0 unless the route splits.
    """

    name: str
    when: Every | None
    arms: tuple[tuple[str, float], ...]
    fallback: tuple[str, ...]
    answer: AnswerRule | None
    timeouts: Timeouts
    retry: Retry
    cache: CacheRule
    uses_class: bool


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
    cache: CacheRule
    routes: tuple[Route, ...]
    faqs: Mapping[str, schema.FaqFile]
    globs: tuple[Test, ...]  # names other than `auto` and the models' that some route asks for
    needs: frozenset[str]  # facts that some decision looks at
    tests: tuple[schema.TestSpec, ...]


def compile_policy(file: str, text: str, *, env: Mapping[str, str], price_of: PriceLookup, read_file: ReadFile) -> Policy:
    """Compile a policy file. Raises PolicyError with all problems found.

    file: its name, for messages. env: for `${NAME}`. price_of: the shipped price map.
    read_file: text of a file that the policy names (relative to it); raises OSError or UnicodeDecodeError.
    """
    source = parse_source(file, text)
    spec = _validated(schema.PolicyFile, source)
    return _Compiler(source, spec, env, price_of, read_file).policy()


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
        price_of: PriceLookup,
        read_file: ReadFile,
    ) -> None:
        self.source, self.spec, self.env, self.price_of, self.read_file = source, spec, env, price_of, read_file
        self.problems: list[Problem] = []
        self.unavailable: dict[str, str] = {}
        self.without_address: set[str] = set()  # providers whose base_url is wrong, or in a variable that is not set
        self.faqs: dict[str, schema.FaqFile] = {}
        self.digest = hashlib.sha256(source.text.encode())

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(self.source.file, self.source.line_of(path), message))

    def policy(self) -> Policy:
        spec = self.spec
        providers = {name: self.provider(name, p) for name, p in spec.providers.items()}
        models = {name: self.model(name, m, providers) for name, m in spec.models.items()}
        if spec.baseline is not None:
            self.known_model(spec.baseline, ("baseline",))
        timeouts = _timeouts(Timeouts(), spec.defaults.timeouts)
        retry = _retry(Retry(), spec.defaults.retry)
        cache = _cache(CacheRule(), spec.defaults.cache)
        routes = tuple(self.route(i, r, timeouts, retry, cache) for i, r in enumerate(spec.routes))
        self.reachable()
        for i, test in enumerate(spec.tests):
            self.test(i, test)
        if self.problems:
            raise PolicyError(self.problems)
        conditions = [r.when for r in routes if r.when is not None]
        needs = {fact for condition in conditions for fact in condition.facts()}
        if any(m.context_tokens for m in models.values()):
            needs.add("tokens_in")
        return Policy(
            hash=self.digest.hexdigest()[:12],
            file=self.source.file,
            providers=providers,
            unavailable=self.unavailable,
            models=models,
            baseline=spec.baseline,
            classifier=spec.classifier,
            timeouts=timeouts,
            retry=retry,
            cache=cache,
            routes=routes,
            faqs=self.faqs,
            globs=tuple(test for condition in conditions for test in model_globs(condition)),
            needs=frozenset(needs),
            tests=tuple(spec.tests),
        )

    def provider(self, name: str, spec: Provider) -> Provider:
        changed: dict[str, Any] = {}
        for key in ("base_url", "api_key"):
            text = getattr(spec, key, None)
            if text is not None:
                changed[key] = self.expand(name, text, ("providers", name, key))
        headers = getattr(spec, "headers", None)
        if headers:
            changed["headers"] = {k: self.expand(name, v, ("providers", name, "headers", k)) for k, v in headers.items()}
        url = changed.get("base_url")
        if url is not None and not _is_address(url):
            self.without_address.add(name)
            if "${" not in (getattr(spec, "base_url", None) or ""):
                self.problem(("providers", name, "base_url"), f"{_without_user(url)!r} is not an http:// or https:// address")
        return spec.model_copy(update=changed)

    def expand(self, provider: str, text: str, path: Path) -> str:
        """`${NAME}` and `${NAME:-default}` from the environment; an unset NAME makes the provider unavailable.

        `${NAME:-}` is for what may be left out.
        """

        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            text = self.env.get(name) or default
            if text is None:
                self.unavailable.setdefault(provider, f"{name} is not set")
            return text or ""

        expanded = _VARIABLE.sub(value, text)
        if "${" in _VARIABLE.sub("", text):
            self.problem(path, f"cannot read the variable in {text!r}; write ${{NAME}} or ${{NAME:-default}}")
        return expanded

    def model(self, name: str, spec: schema.ModelSpec, providers: Mapping[str, Provider]) -> Model:
        path: Path = ("models", name)
        if name == AUTO:
            self.problem(path, "`auto` is the name of the policy's own choice; call this model something else")
        price: Price | None = None
        provider = providers.get(spec.provider)
        if provider is None:
            self.problem((*path, "provider"), unknown_name("provider", spec.provider, providers, f"model '{name}'"))
        elif spec.price != "unknown":
            price = self.price(name, spec, provider)
        return Model(name, spec.provider, spec.id, spec.context, price)

    def price(self, name: str, spec: schema.ModelSpec, provider: Provider) -> Price | None:
        if isinstance(spec.price, schema.PriceSpec):
            return _given_price(spec.price)
        if spec.gpu is not None:
            return _gpu_price(spec.gpu)
        if spec.provider in self.without_address:
            return None  # the map goes by the address; nobody can ask this model before it is there
        found = self.price_of(provider, spec.id)
        if found is None:
            self.problem(
                ("models", name),
                f"model '{name}': '{spec.id}' has no price in the shipped map. Add the one that holds to it: "
                "price: {input: …, output: …}  (US dollars per million tokens), or "
                "gpu: {usd_per_hour: …, count: 1, tokens_per_second: measured}, or  price: unknown",
            )
        return found

    def known_model(self, name: str, path: Path) -> None:
        if name not in self.spec.models:
            self.problem(path, unknown_name("model", name, self.spec.models))

    def route(self, i: int, spec: schema.RouteSpec, timeouts: Timeouts, retry: Retry, cache: CacheRule) -> Route:
        path: Path = ("routes", i)
        if spec.name in RESERVED_ROUTES:
            self.problem((*path, "name"), f"`{spec.name}` is what requests that name a model outright are booked under")
        if spec.model is not None:
            self.known_model(spec.model, (*path, "model"))
        for k, arm in enumerate(spec.split or ()):
            self.known_model(arm.model, (*path, "split", k, "model"))
        for k, name in enumerate(spec.fallback):
            self.known_model(name, (*path, "fallback", k))
        when = self.when(spec, path)
        uses = set(when.facts()) if when else set()
        uses_class = bool(uses & {"class", "confidence"})
        if uses_class and self.spec.classifier is None:
            self.problem((*path, "when"), "`class` and `confidence` need a `classifier:` section, as `classifier: {}`")
        return Route(
            name=spec.name,
            when=when,
            arms=_arms(spec),
            fallback=tuple(spec.fallback),
            answer=self.answer(spec.answer, path) if spec.answer else None,
            timeouts=_timeouts(timeouts, spec.timeouts),
            retry=_retry(retry, spec.retry),
            cache=_cache(cache, spec.cache),
            uses_class=uses_class,
        )

    def when(self, spec: schema.RouteSpec, path: Path) -> Every | None:
        if spec.when is None:
            return None
        try:
            return compile_condition(spec.when)
        except BadCondition as exc:
            self.problem((*path, "when", *exc.path), exc.message)
            return None

    def answer(self, spec: schema.AnswerSpec, path: Path) -> AnswerRule:
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
    def takes_all_of(upper: schema.RouteSpec, lower: schema.RouteSpec) -> bool:
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


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a bracket or a port that is none
        return False


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)


def _arms(spec: schema.RouteSpec) -> tuple[tuple[str, float], ...]:
    if spec.model is not None:
        return ((spec.model, 1.0),)
    total = sum(arm.weight for arm in spec.split or ())
    arms, upto = [], 0.0
    for arm in spec.split or ():
        upto += arm.weight
        arms.append((arm.model, upto / total))
    return tuple(arms)


def _timeouts(base: Timeouts, spec: schema.TimeoutsSpec) -> Timeouts:
    return Timeouts(
        connect_s=base.connect_s if spec.connect is None else spec.connect,
        first_token_s=base.first_token_s if spec.first_token is None else spec.first_token,
        idle_s=base.idle_s if spec.idle is None else spec.idle,
        total_s=base.total_s if spec.total is None else spec.total,
    )


def _retry(base: Retry, spec: schema.RetrySpec) -> Retry:
    return Retry(
        attempts=base.attempts if spec.attempts is None else spec.attempts,
        backoff_s=base.backoff_s if spec.backoff is None else spec.backoff,
    )


def _cache(base: CacheRule, spec: schema.CacheSpec | None) -> CacheRule:
    if spec is None:
        return base
    return CacheRule(
        mode=spec.mode,
        ttl_s=base.ttl_s if spec.ttl is None else spec.ttl,
        scope=base.scope if spec.scope is None else spec.scope,
        min_similarity=base.min_similarity if spec.min_similarity is None else spec.min_similarity,
    )


def _given_price(spec: schema.PriceSpec) -> TokenPrice:
    return TokenPrice(
        input=_pusd(spec.input),
        output=_pusd(spec.output),
        cached_input=_pusd(spec.input if spec.cached_input is None else spec.cached_input),
        cache_write=_pusd(spec.input if spec.cache_write is None else spec.cache_write),
        source="policy",
    )


def _pusd(usd_per_million: float) -> int:
    return round(usd_per_million * 1e6)


def _gpu_price(spec: schema.GpuSpec) -> Price:
    pusd_per_second = spec.usd_per_hour * spec.count / 3600 * 1e12
    if spec.tokens_per_second == "measured":
        return BusyPrice(round(pusd_per_second), source="GPU-hours, measured")
    speed = spec.tokens_per_second
    # count GPUs cost count times as much and are count times as fast
    read = round(spec.usd_per_hour / 3600 * 1e12 / speed.input)
    write = round(spec.usd_per_hour / 3600 * 1e12 / speed.output)
    return TokenPrice(input=read, output=write, cached_input=read, cache_write=read, source="GPU-hours, given speed")
