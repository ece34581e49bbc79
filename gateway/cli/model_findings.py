"""What there is to say of a policy's models: for the first screen and for `turnout doctor`."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping

from gateway.cli.finding import Finding
from gateway.policy.catalog import Provider
from gateway.policy.compile import Policy
from gateway.policy.model import Candidate


def find_models(policy: Policy, candidates: Mapping[str, Candidate]) -> Iterator[Finding]:
    """Each model of the policy: there, or why not."""
    for name, model in policy.models.items():
        provider = policy.providers[model.provider]
        what = f"{name}: {model.id} at {model.provider}{_where(provider)}"
        why = candidates[name].unavailable
        if why is None:
            yield Finding("ok", "model", what)
        else:
            yield Finding("missing", "model", f"{what}: {why}", _remedy(name, why))


def _remedy(name: str, why: str) -> str:
    if why.endswith("is not set"):
        variable = why.removesuffix(" is not set")
        return f"export {variable}=… and start again; until then routes that want '{name}' use their next model"
    return ""


def _where(provider: Provider) -> str:
    url = getattr(provider, "base_url", None)
    return f" ({host_of(url)})" if url else f" (kind {provider.kind})"


def host_of(url: str) -> str:
    """Host and port without the user and the password that may stand before them: this goes to screens and logs."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
