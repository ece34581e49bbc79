"""Well-known providers: where they are, what they speak, which variable holds their key. Values only.

Each was looked up in the documentation that `source` names. What an address speaks is what its documentation lists; a dialect
that it may speak besides is not here, since a request in it would be answered with a 404.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.policy.schema_models import WireDialect

Kind = Literal["openai", "anthropic", "litellm"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider as a policy names it.

    base_url: with `${NAME}` where it is everybody's own; "" for the default of its kind. key: the environment variable that
    holds its key, "" if it needs none. dialects: of kind openai. model: an id to begin with. alias: what a policy may call it.
    params: of kind litellm. start: how a server on one's own machine is started. source: where these facts are from. note: what
    else one should know.
    """

    name: str
    title: str
    kind: Kind
    base_url: str
    key: str
    alias: str
    model: str
    source: str
    dialects: tuple[WireDialect, ...] = ()
    litellm_provider: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    note: str = ""

    @property
    def host(self) -> str:
        """By which its address is known; "" where everybody has another one."""
        host = urllib.parse.urlsplit(self.base_url).hostname or ""
        return "" if "$" in self.base_url or host == "localhost" else host


def _hosted(
    name: str, title: str, base_url: str, key: str, alias: str, model: str, source: str, *dialects: WireDialect, note: str = ""
) -> Preset:
    return Preset(name, title, "openai", base_url, key, alias, model, source, dialects=("chat", *dialects), note=note)


def _own(
    name: str, title: str, port: int, alias: str, model: str, source: str, *dialects: WireDialect, start: str, note: str = ""
) -> Preset:
    return Preset(
        *(name, title, "openai", f"http://localhost:{port}/v1", "", alias, model, source),
        dialects=("chat", *dialects),
        start=start,
        note=note,
    )


def _litellm(
    name: str,
    title: str,
    litellm_provider: str,
    key: str,
    alias: str,
    model: str,
    *,
    params: Mapping[str, str] | None = None,
    base_url: str = "",
    page: str = "",
    note: str = "",
) -> Preset:
    return Preset(
        *(name, title, "litellm", base_url, key, alias, model),
        f"https://docs.litellm.ai/docs/providers/{page or litellm_provider}",
        litellm_provider=litellm_provider,
        params=params or {},
        note=note,
    )


_VENDORS: Final = (
    _hosted(
        *("openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-mini", "gpt-4.1-mini"),
        "https://developers.openai.com/api/reference",
        *("responses", "completions"),
    ),
    Preset(
        *("anthropic", "Anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "haiku", "claude-haiku-4-5"),
        "https://platform.claude.com/docs/en/api/messages",
    ),
    _hosted(
        "azure",
        "Azure OpenAI, v1 API",
        "${AZURE_OPENAI_ENDPOINT}/openai/v1",
        "AZURE_OPENAI_API_KEY",
        "gpt-mini", "gpt-4.1-mini",
        "https://learn.microsoft.com/en-us/azure/ai-services/openai/api-version-deprecation",
        "responses",
        note="AZURE_OPENAI_ENDPOINT is https://RESOURCE.openai.azure.com; `id` is the deployment's name. For API versions with a "
        "date, see azure-dated.",
    ),
    _hosted(
        "bedrock-openai",
        "Amazon Bedrock, OpenAI's API",
        "https://bedrock-runtime.${AWS_REGION}.amazonaws.com/openai/v1",
        "AWS_BEARER_TOKEN_BEDROCK",
        "gpt-oss", "openai.gpt-oss-120b-1:0",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html",
        "responses",
        note="Takes a Bedrock API key. Of the models some only; the others through bedrock.",
    ),
    _hosted(
        "gemini",
        "Google Gemini, OpenAI's API",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        "gemini-flash", "gemini-2.5-flash",
        "https://ai.google.dev/gemini-api/docs/openai",
        note="Gemini's own API is gemini-native.",
    ),
    _hosted("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "gpt-oss", "openai/gpt-oss-120b",
            "https://console.groq.com/docs/openai", "responses",
            note="Refuses logprobs and `n` above 1; say `cannot: [logprobs, n]` of its models."),
    _hosted("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral-small", "mistral-small-latest",
            "https://docs.mistral.ai/api"),
    _hosted("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "deepseek-flash", "deepseek-v4-flash",
            "https://api-docs.deepseek.com",
            note="Speaks Anthropic's Messages too: kind anthropic, base_url https://api.deepseek.com/anthropic."),
    _hosted("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", "grok", "grok-4.7", "https://docs.x.ai/developers/rest-api-reference",
            "responses", "completions"),
    _hosted("together", "Together AI", "https://api.together.ai/v1", "TOGETHER_API_KEY", "gpt-oss", "openai/gpt-oss-20b",
            "https://docs.together.ai/docs/inference/openai-compatibility", "completions"),
    _hosted("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY",
            "gpt-oss", "accounts/fireworks/models/gpt-oss-120b", "https://docs.fireworks.ai/nexus/apis-and-sdks",
            "responses", "completions",
            note="Speaks Anthropic's Messages too: kind anthropic, base_url https://api.fireworks.ai/inference."),
    _hosted("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "gpt-mini", "openai/gpt-4.1-mini",
            "https://openrouter.ai/docs/api/reference/responses/overview", "responses",
            note="Its Responses API is a beta and keeps nothing."),
    _hosted("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "gpt-oss", "gpt-oss-120b",
            "https://inference-docs.cerebras.ai/resources/openai"),
    _hosted("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", "sonar", "sonar",
            "https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility",
            note="Its Responses API is at https://api.perplexity.ai/v1 and has other models: a second provider, with "
            "`dialects: [responses]`."),
    _hosted("nvidia", "NVIDIA NIM", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "gpt-oss", "openai/gpt-oss-120b",
            "https://build.nvidia.com"),
    _hosted("huggingface", "Hugging Face Inference Providers", "https://router.huggingface.co/v1", "HF_TOKEN",
            "gpt-oss", "openai/gpt-oss-120b", "https://huggingface.co/docs/inference-providers/guides/responses-api", "responses",
            note="Its Responses API is a beta. `id` may end with the provider, as openai/gpt-oss-120b:groq."),
    _hosted("github", "GitHub Models", "https://models.github.ai/inference", "GITHUB_TOKEN", "gpt", "openai/gpt-4.1",
            "https://docs.github.com/en/rest/models/inference"),
    _hosted("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY",
            "gpt-oss", "openai/gpt-oss-120b", "https://docs.litellm.ai/docs/providers/deepinfra"),
    _hosted("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "moonshot", "moonshot-v1-auto",
            "https://docs.litellm.ai/docs/providers/moonshot"),
)  # fmt: skip

_OWN: Final = (
    _own(
        *("vllm", "vLLM", 8000, "gpt-oss", "openai/gpt-oss-20b", "https://docs.vllm.ai/en/stable/serving/online_serving/"),
        *("responses", "completions"),
        start="vllm serve openai/gpt-oss-20b",
        note="Tools need --enable-auto-tool-choice and a --tool-call-parser. Speaks Anthropic's Messages too: kind anthropic, "
        "base_url http://localhost:8000.",
    ),
    _own(
        *("ollama", "Ollama", 11434, "gpt-oss", "gpt-oss:20b", "https://docs.ollama.com/api/openai-compatibility"),
        *("responses", "completions"),
        start="ollama serve, then ollama pull gpt-oss:20b",
        note="Cuts prompts that are longer than its context, without a word: set OLLAMA_CONTEXT_LENGTH, and `context` to it.",
    ),
    _own(
        *("llamacpp", "llama.cpp", 8080, "local", "any", "https://github.com/ggml-org/llama.cpp/tree/master/tools/server"),
        *("responses", "completions"),
        start="llama-server -m MODEL.gguf --jinja",
        note="Speaks Anthropic's Messages too: kind anthropic, base_url http://localhost:8080.",
    ),
    _own(
        *("lmstudio", "LM Studio", 1234, "gpt-oss", "openai/gpt-oss-20b", "https://lmstudio.ai/docs/api/openai-api"),
        *("responses", "completions"),
        start="lms server start",
        note="Speaks Anthropic's Messages too: kind anthropic, base_url http://localhost:1234.",
    ),
    _own(
        *("sglang", "SGLang", 30000, "gpt-oss", "openai/gpt-oss-20b", "https://docs.sglang.io/docs/basic_usage/send_request"),
        "completions",
        start="python -m sglang.launch_server --model-path openai/gpt-oss-20b --port 30000",
    ),
    _own(
        *("tgi", "Text Generation Inference", 8080, "local", "tgi"),
        "https://huggingface.co/docs/text-generation-inference/messages_api",
        start="docker run --gpus all -p 8080:80 ghcr.io/huggingface/text-generation-inference:3.3.5 --model-id MODEL",
        note="Its makers advise vLLM or SGLang for what is new.",
    ),
    _own(
        *("localai", "LocalAI", 8080, "qwen", "qwen3-4b", "https://localai.io/docs/basics/try/"),
        "completions",
        start="local-ai run qwen3-4b",
    ),
)

_LITELLM: Final = (
    _litellm(
        *("bedrock", "Amazon Bedrock", "bedrock", "", "haiku", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        params={"aws_region_name": "${AWS_REGION}"},
        note="Finds AWS credentials as every AWS SDK does (variables, profile, role), or takes them from `params`; a Bedrock API "
        "key goes into `api_key`.",
    ),
    _litellm(
        *("vertex", "Google Vertex AI", "vertex_ai", "", "gemini-flash", "gemini-2.5-flash"),
        params={"vertex_project": "${VERTEX_PROJECT}", "vertex_location": "us-central1"},
        page="vertex",
        note="Gemini, and Claude (`id: claude-…`). Finds Google credentials as Google's SDK does, or in the file that "
        "`vertex_credentials` names; needs `pip install google-auth`.",
    ),
    _litellm("gemini-native", "Google Gemini, its own API", "gemini", "GEMINI_API_KEY", "gemini-flash", "gemini-2.5-flash"),
    _litellm(
        *("azure-dated", "Azure OpenAI, API versions with a date", "azure", "AZURE_OPENAI_API_KEY", "gpt-mini", "gpt-4.1-mini"),
        params={"api_version": "2024-10-21"},
        base_url="${AZURE_OPENAI_ENDPOINT}",
        note="AZURE_OPENAI_ENDPOINT is https://RESOURCE.openai.azure.com; `id` is the deployment's name.",
    ),
    _litellm(
        *("cohere", "Cohere", "cohere", "COHERE_API_KEY", "command", "command-a-03-2025"),
        note="Through its own API; its OpenAI endpoint refuses `stream_options`. Streams come in one piece, since litellm cannot "
        "read Cohere's.",
    ),
)

PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in (*_VENDORS, *_OWN, *_LITELLM)}

DIALECTS: Final[Mapping[str, frozenset[WireDialect]]] = {
    preset.host: frozenset(preset.dialects) for preset in PRESETS.values() if preset.kind == "openai" and preset.host
} | {"api.together.xyz": frozenset({"chat", "completions"})}  # Together's older address
"""What the servers of kind openai speak whose address tells who they are, by host."""
