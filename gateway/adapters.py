"""From a provider's settings to its adapter: beside `app`, the only place that names them."""

from __future__ import annotations

from gateway.policy import schema_models
from gateway.policy.catalog import Model
from gateway.policy.catalog import Provider as ProviderSpec
from gateway.policy.dialects import spoken
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.base import Provider
from gateway.providers.fake import FakeProvider
from gateway.providers.http import HttpClient
from gateway.providers.litellm import LiteLLMProvider
from gateway.providers.local import LocalModel, LocalModelError, LocalServer, find_weights, threads_to_spare
from gateway.providers.local_provider import LocalProvider
from gateway.providers.openai import OpenAIProvider

CONTEXT_TOKENS = 2048  # of a local model whose `context` the policy does not say


class Adapters:
    """Makes them. http: the client that they share."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    def __call__(self, name: str, spec: ProviderSpec, model: Model, unavailable: str | None) -> Provider:
        match spec:
            case schema_models.OpenAIProvider():
                return OpenAIProvider(
                    name,
                    self._http,
                    spec.base_url,
                    api_key=spec.api_key,
                    headers=spec.headers,
                    unavailable=unavailable,
                    dialects=spoken(spec),
                    is_sure=spec.dialects is not None,
                )
            case schema_models.AnthropicProvider():
                return AnthropicProvider(
                    name, self._http, spec.base_url, api_key=spec.api_key, headers=spec.headers, unavailable=unavailable
                )
            case schema_models.LiteLLMProvider():
                return LiteLLMProvider(
                    name,
                    spec.litellm_provider,
                    api_key=spec.api_key,
                    base_url=spec.base_url,
                    params=spec.params.given(),
                    unavailable=unavailable,
                )
            case schema_models.LocalProvider():
                return self._local(name, spec, model)
            case schema_models.FakeProvider():
                return FakeProvider(
                    name, ttft_s=spec.ttft, tokens_per_second=spec.tokens_per_second, words=spec.words, script=spec.script
                )

    def _local(self, name: str, spec: schema_models.LocalProvider, model: Model) -> Provider:
        try:
            weights = find_weights(model.id)
        except LocalModelError as exc:
            return OpenAIProvider(name, self._http, "http://127.0.0.1/v1", unavailable=str(exc))
        local = LocalModel(
            alias=model.id,
            gguf=weights,
            context_tokens=model.context_tokens or CONTEXT_TOKENS,
            parallel=spec.parallel,
            threads=spec.threads or threads_to_spare(),
        )
        return LocalProvider(name, LocalServer(local), self._http)
