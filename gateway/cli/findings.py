"""What is there and what is missing, with the remedy: for `turnout doctor`."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from gateway.cli.budgets_findings import find_budgets
from gateway.cli.cache_findings import find_cache
from gateway.cli.finding import Finding
from gateway.cli.key_findings import find_keys, find_unmatched
from gateway.cli.ledger_findings import find_ledger
from gateway.cli.limits_findings import find_limits
from gateway.cli.model_findings import find_models, host_of
from gateway.cli.process_findings import find_spool, find_workers
from gateway.errors import ConfigError
from gateway.loading import load_router
from gateway.policy import schema_models
from gateway.policy.catalog import BusyPrice, Provider
from gateway.policy.compile import Policy
from gateway.policy.errors import PolicyError
from gateway.policy.grammar import day
from gateway.policy.model import Candidate
from gateway.pricing.book import open_book
from gateway.providers import litellm
from gateway.providers.local import LocalModelError, find_weights
from gateway.settings import Settings, check_address

REACH_S = 3.0
CLOCK_SKEW_S = 60.0
PRICES_OLD_DAYS = 180


def find_all(settings: Settings) -> Iterator[Finding]:
    """Everything the doctor looks at, as it is found. Never raises for what it is meant to find."""
    keys = find_keys(settings)
    yield keys.finding
    try:
        check_address(settings, has_keys=keys.exist)
        yield Finding("ok", "address", f"{settings.host}:{settings.port} may be listened on")
    except ConfigError as exc:
        yield Finding("broken", "address", str(exc))
    try:
        router = load_router(settings.policy)
    except PolicyError as exc:
        for line in str(exc).splitlines():
            yield Finding("broken", "policy", line, "mend it; turnout policy check FILE says the same")
        return
    except ConfigError as exc:  # something that the policy needs: the file itself, the price map, a classifier's artifact
        yield Finding("broken", "policy", str(exc))
        return
    policy = router.policy
    yield Finding("ok", "policy", f"{settings.policy} ({policy.hash}): {len(policy.routes)} routes, {len(policy.models)} models")
    if router.classifier is not None:
        yield Finding("ok", "classifier", f"{router.classifier.name} {router.classifier.version}")
    yield from find_unmatched(policy, keys.held)
    yield from find_models(policy, _candidates(policy))
    yield from _prices(policy, settings.data_dir)
    yield from find_ledger(settings)
    yield from find_spool(settings)
    yield from find_workers(settings, policy)
    yield from find_cache(settings, router)
    yield from find_limits(settings, policy)
    yield from find_budgets(settings, policy)
    for name, provider in policy.providers.items():
        if any(m.provider == name for m in policy.models.values()) and name not in policy.unavailable:
            yield from _reach(name, provider)
            yield from _unchecked(name, provider)


def _candidates(policy: Policy) -> dict[str, Candidate]:
    """The models as far as can be told without starting anything."""
    return {
        name: Candidate(name, m.provider, m.context_tokens, _unavailable(policy, m.provider, m.id))
        for name, m in policy.models.items()
    }


def _unavailable(policy: Policy, provider_name: str, model_id: str) -> str | None:
    provider = policy.providers[provider_name]
    if provider_name in policy.unavailable:
        return policy.unavailable[provider_name]
    if isinstance(provider, schema_models.LocalProvider):
        if importlib.util.find_spec("xllamacpp") is None:
            return "the package xllamacpp is not installed: pip install 'turnout[local]'"
        try:
            find_weights(model_id)
        except LocalModelError as exc:
            return str(exc)
    if isinstance(provider, schema_models.LiteLLMProvider) and importlib.util.find_spec("litellm") is None:
        return litellm.MISSING
    return None


def _prices(policy: Policy, data_dir: Path) -> Iterator[Finding]:
    try:
        book = open_book(data_dir)
    except ConfigError as exc:
        yield Finding("broken", "prices", str(exc))
        return
    whose = "the shipped price map" if book.path is None else f"the price map {book.path}"
    age_days = (time.time() - day(book.date)) / 86400
    if age_days > PRICES_OLD_DAYS:
        remedy = "turnout prices refresh; or give `price:` in the policy"
        yield Finding("missing", "prices", f"{whose} is of {book.date}, {age_days:.0f} days old", remedy)
    unknown = [name for name, m in policy.models.items() if m.price is None]
    if unknown:
        remedy = "give `price:` or `gpu:` in the policy, else their spend is unknown"
        yield Finding("missing", "prices", f"price: unknown for {', '.join(unknown)}", remedy)
    else:
        yield Finding("ok", "prices", f"every model has one; {whose} is of {book.date}")
    if policy.baseline is None:
        yield Finding("missing", "baseline", "no `baseline:` in the policy", "name the model that savings are counted against")
    elif isinstance(policy.models[policy.baseline].price, BusyPrice):
        remedy = "give it tokens_per_second, or name a model with token prices"
        yield Finding("missing", "baseline", f"'{policy.baseline}' is paid by machine time, so savings are unknown", remedy)


def _unchecked(name: str, provider: Provider) -> Iterator[Finding]:
    """Of kind litellm nobody can tell without a call what credentials it will find, and where."""
    if isinstance(provider, schema_models.LiteLLMProvider) and provider.api_key is None:
        what = f"{name}: its credentials are not checked: litellm looks for them itself, when it is first asked"
        yield Finding("missing", "check", what, "send one request to a model of it, or give an `api_key` if it has one")


def _reach(name: str, provider: Provider) -> Iterator[Finding]:
    """Whether the provider's server answers at all, and whether its clock agrees with ours. Asks no model."""
    url = getattr(provider, "base_url", None)
    if not url:
        return
    host = host_of(url)
    try:
        with urllib.request.urlopen(urllib.parse.urlsplit(url)._replace(netloc=host).geturl(), timeout=REACH_S) as response:
            date = response.headers.get("date")
    except urllib.error.HTTPError as exc:
        date = exc.headers.get("date")  # an error status is an answer
        exc.close()
    except (OSError, ValueError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", exc)
        remedy = "check base_url, the network and HTTPS_PROXY"
        if isinstance(reason, ConnectionRefusedError | socket.gaierror | TimeoutError):
            remedy = "is it running? " + remedy
        yield Finding("broken", "reach", f"{name}: {host} does not answer: {reason}", remedy)
        return
    yield Finding("ok", "reach", f"{name}: {host} answers")
    if date:
        skew_s = time.time() - parsedate_to_datetime(date).timestamp()
        if abs(skew_s) > CLOCK_SKEW_S:
            said = f"this machine's clock is {skew_s:+.0f} s off {host}'s"
            yield Finding("broken", "clock", said, "set the clock (NTP); the ledger's days depend on it")
