"""From the policy's `cache: {embedder: …}` to the embedder that it names."""

from __future__ import annotations

import functools
from collections.abc import Hashable

from classifiers.errors import ArtifactError
from classifiers.text.embed import StaticEmbedder
from classifiers.text.minilm import MiniLMEmbedder
from gateway.cache.embedding import CacheEmbedder
from gateway.cache.embedding_endpoint import EndpointEmbedder
from gateway.cache.embedding_local import InlineEmbedder, ThreadedEmbedder, why_local_unfit
from gateway.errors import ConfigError
from gateway.policy.compile import Policy
from gateway.policy.schema_cache import EmbeddingModel
from gateway.policy.schema_models import OpenAIProvider
from gateway.providers.http import HttpClient
from gateway.providers.openai_embeddings import OpenAIEmbeddings


def make_embedder(policy: Policy, static: StaticEmbedder, http: HttpClient) -> CacheEmbedder:
    """The policy's embedder. static: wordllama's, which the caller has already. http: for one behind an API.

    Raises ConfigError that names `cache.embedder` when it cannot be loaded, or does not tell questions apart; one
    behind an API says so later, by `problem`.
    """
    wanted = policy.cache_setup.embedder
    if isinstance(wanted, EmbeddingModel):
        return _endpoint(policy, wanted, http)
    local = _local(policy, static)
    return InlineEmbedder(local) if isinstance(local, StaticEmbedder) else ThreadedEmbedder(local)


def check_embedder(policy: Policy, static: StaticEmbedder | None) -> None:
    """Load the policy's embedder if it is one of this process's, and see that it tells questions apart. Raises ConfigError.

    static: None where no route looks for similar questions, or decides by a classifier.
    """
    if static is not None and "semantic" in policy.cache_modes and not isinstance(policy.cache_setup.embedder, EmbeddingModel):
        _local(policy, static)


def embedder_recipe(policy: Policy) -> Hashable:
    """All that `make_embedder` makes the embedder of: with the same recipe it is the same."""
    wanted = policy.cache_setup.embedder
    if not isinstance(wanted, EmbeddingModel):
        return wanted
    model = policy.models[wanted.model]
    spec = policy.providers[model.provider]
    return (wanted.dimensions, model, spec.model_dump_json(), policy.unavailable.get(model.provider))


def _local(policy: Policy, static: StaticEmbedder) -> StaticEmbedder | MiniLMEmbedder:
    wanted = policy.cache_setup.embedder
    local = static if wanted == "wordllama" else _minilm(policy.file)
    why = _unfit(local)
    if why is not None:
        raise ConfigError(f"{policy.file}: cache.embedder: {wanted} ({local.name}) {why}; reinstall its package, or use another")
    return local


def _endpoint(policy: Policy, wanted: EmbeddingModel, http: HttpClient) -> EndpointEmbedder:
    model = policy.models[wanted.model]
    spec = policy.providers[model.provider]
    assert isinstance(spec, OpenAIProvider), "the compiler takes no other"
    api = OpenAIEmbeddings(model.provider, http, spec, unavailable=policy.unavailable.get(model.provider))
    return EndpointEmbedder(api, model, spec.base_url, wanted.dimensions)


def _minilm(file: str) -> MiniLMEmbedder:
    try:
        return _loaded()
    except ArtifactError as exc:
        raise ConfigError(f"{file}: cache.embedder: minilm: {exc}") from exc


@functools.cache
def _loaded() -> MiniLMEmbedder:
    """Once for all policies: 0.2 s and 100 MB."""
    return MiniLMEmbedder.load()


@functools.cache
def _unfit(embedder: StaticEmbedder | MiniLMEmbedder) -> str | None:
    return why_local_unfit(embedder)
