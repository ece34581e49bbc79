"""Which model embeds, and how it is asked. Pure. Embeddings name their model: nothing is left for routes to choose."""

from __future__ import annotations

from typing import Final

from gateway.embeddings import EmbeddingsRequest
from gateway.errors import ClientError
from gateway.policy.catalog import Model
from gateway.policy.compile import DIRECT, Policy
from gateway.policy.compile_models import AUTO
from gateway.policy.engine import denied_model, permitted_models
from gateway.policy.model import Plan
from gateway.policy.permit import ANYTHING, Permit
from gateway.policy.schema_models import OpenAIProvider

KIND: Final = "openai"  # of provider, that embeddings are asked of


def model_of(policy: Policy, request: EmbeddingsRequest, permit: Permit = ANYTHING) -> Model:
    """The model that a request names. Raises ClientError if it cannot be asked for embeddings, or not by this caller."""
    name = request.head.model
    providers = {n: policy.providers[policy.models[n].provider] for n in permitted_models(policy, permit)}
    askable = [n for n, provider in providers.items() if isinstance(provider, OpenAIProvider)]
    known = f"embeddings are served by models of providers of kind `{KIND}`: {', '.join(askable) or 'none that can be had here'}"
    if request.forced_route is not None:
        message = f"x-turnout-route: '{request.forced_route}': embeddings take no route; they name a model"
        raise ClientError(message, code="invalid_header")
    if name == AUTO:
        raise ClientError(
            f"embeddings name a model; `auto` chooses among models that answer. {known}", code="invalid_model", param="model"
        )
    model = policy.models.get(name)
    if model is None:
        message = f"model '{name}' is not served here; {known}"
        raise ClientError(message, status=404, code="model_not_found", param="model")
    denial = denied_model(policy, name, permit)
    if denial is not None:
        raise ClientError(denial.message, status=denial.status, code=denial.code, param="model")
    if name not in askable:
        kind = policy.providers[model.provider].kind
        message = f"model '{name}' is of provider '{model.provider}', of kind `{kind}`; {known}"
        raise ClientError(message, code="invalid_model", param="model")
    return model


def plan_for(policy: Policy, model: Model) -> Plan:
    """As for a chat request that names a model outright."""
    why = policy.unavailable.get(model.provider)
    return Plan(
        route=DIRECT,
        decided_by=f"requested:{model.name}",
        wanted=model.name,
        targets=(model.name,) if why is None else (),
        timeouts=policy.timeouts,
        retry=policy.retry,
        cache=policy.cache,
        failover=policy.failover,
        left_out=() if why is None else ((model.name, why),),
    )
