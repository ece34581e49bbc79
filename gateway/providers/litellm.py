"""The long tail of providers, through litellm's SDK. Of litellm, acompletion() is used and nothing else.

Importing this module does not import litellm: that takes seconds and 170 MB, and happens in a thread, at the first
call or after start(). Retries, fallbacks and deadlines are the executor's, so litellm's are off.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from gateway.chat import decode_body
from gateway.errors import UpstreamError
from gateway.offload import offloaded
from gateway.providers.base import Call, Exchange
from gateway.providers.litellm_answer import LiteLLMStream, LiteLLMWhole
from gateway.providers.litellm_errors import upstream_error
from gateway.providers.litellm_gemini import watched
from gateway.providers.unsupported import unsupported
from gateway.request import DialectName

MISSING = "the litellm package is not installed; pip install 'turnout[litellm]'"
# Deadlines are carried by the caller; litellm wants a number all the same, and its own default is ten minutes.
UNBOUNDED_S = 24 * 3600.0

# INVARIANT: nothing else of the caller's body reaches acompletion(). Among its parameters are api_base, api_key,
# mock_response, fallbacks and extra_headers: a caller who could set them would steer where the operator's key goes.
CARRIED = frozenset(
    """
    messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    modalities n parallel_tool_calls presence_penalty reasoning_effort response_format stop temperature thinking
    tool_choice tools top_k top_logprobs top_p verbosity web_search_options
    """.split()
)
# An answer without these is still an answer to the question: left out where the provider does not know them.
HINTS = frozenset({"prediction", "prompt_cache_key", "safety_identifier", "seed", "service_tier", "store", "user"})
# Never passed on: litellm reads `metadata` as settings of its own.
LEFT_OUT = frozenset(
    {"model", "stream", "stream_options", "metadata", "prompt_cache_retention", "prompt_cache_options", "cache_control"}
)
# Vendors that are sent chat bytes as they are, and know tools that are no functions.
OPENAIS: Final = frozenset({"openai", "azure"})
# Vendors to whom litellm gives back the thoughts of earlier turns, and marks of what to cache. Others refuse fields they do not
# know, and both are of no use to them.
THINKERS: Final = frozenset({"anthropic", "azure_ai", "bedrock", "gemini", "vertex_ai"})
REASONERS: Final = THINKERS | {"deepseek", "moonshot", "openrouter", "zai"}  # who take `reasoning_content` back
# Vendors whose streams litellm cannot read: of Cohere's events it takes each line for JSON. They are asked for whole answers, of
# which it says in any case that they ended well.
WHOLE_ONLY: Final = frozenset({"cohere", "cohere_chat"})
# Vendors whose APIs cannot be told to make one call at a time: litellm sends them the tools, and leaves that out.
ALWAYS_PARALLEL: Final = frozenset({"gemini"})

# Of a policy's `params`, what is no secret.
PUBLIC: Final = frozenset(
    """
    api_version aws_profile_name aws_region_name aws_role_name aws_session_name organization project_id space_id
    vertex_location vertex_project
    """.split()
)

Json = dict[str, Any]


class LiteLLMProvider:
    """litellm_provider: litellm's name of it, as `bedrock`. Without an api_key litellm looks for its own variables."""

    dialects: frozenset[DialectName] = frozenset()
    _users: ClassVar[int] = 0  # litellm has one pool of connections; the last provider to go closes it

    def __init__(
        self,
        name: str,
        litellm_provider: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        params: Mapping[str, str] | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._name, self._litellm_provider = name, litellm_provider
        self._api_key, self._base_url, self._params = api_key, base_url, dict(params or {})
        hidden = [value for key, value in self._params.items() if key not in PUBLIC]
        self._secrets = tuple(secret for secret in (api_key, *hidden) if secret)
        if unavailable is None and importlib.util.find_spec("litellm") is None:
            unavailable = MISSING
        self.unavailable = unavailable
        self._loading: asyncio.Task[Any] | None = None
        LiteLLMProvider._users += 1

    async def start(self) -> None:
        """Begin to import litellm, so that the first call does not wait for all of it. Returns at once."""
        if self.unavailable is None:
            self._loading = asyncio.create_task(asyncio.to_thread(_load), name=f"import-litellm-{self._name}")

    async def open(self, call: Call) -> Exchange:
        call.sending.has_line = False
        litellm = await self._loaded()
        call.sending.has_line = True  # from here on it cannot be told
        fields = self._fields(litellm, call, await offloaded(decode_body, call.request.body))
        try:
            answer = await litellm.acompletion(**fields)
            ends = await watched(answer, self._litellm_provider)
        except Exception as exc:  # whatever SDK litellm called; all of it is one failed attempt
            raise upstream_error(self._name, exc, self._secrets, is_under_way=False) from exc
        if hasattr(answer, "__aiter__"):
            return LiteLLMStream(self._name, answer, self._secrets, ends)
        bound = call.request.output_bound if self._litellm_provider in WHOLE_ONLY else None
        return LiteLLMWhole(self._name, answer, as_stream=call.request.is_stream, secrets=self._secrets, bound=bound)

    async def aclose(self) -> None:
        """Close litellm's connections, if nobody else uses them."""
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
        LiteLLMProvider._users -= 1
        if LiteLLMProvider._users == 0 and _load.cache_info().currsize:
            cleanup = importlib.import_module("litellm.llms.custom_httpx.async_client_cleanup")
            await cleanup.close_litellm_async_clients()

    async def _loaded(self) -> Any:
        try:
            if self._loading is not None:
                # Shielded: a call that is cancelled must not cancel the import that others wait for.
                return await asyncio.shield(self._loading)
            return _load() if _load.cache_info().currsize else await asyncio.to_thread(_load)
        except ImportError as exc:
            self.unavailable = self.unavailable or f"litellm cannot be imported: {exc}"
            raise UpstreamError(f"{self._name}: {self.unavailable}", fault="unavailable") from exc

    def _fields(self, litellm: Any, call: Call, body: Json) -> Json:
        """The arguments of acompletion(). body: the call's, decoded. Raises UpstreamError, naming what is not carried."""
        given: Json = {k: v for k, v in body.items() if v is not None}
        is_stream = call.request.is_stream and self._litellm_provider not in WHOLE_ONLY
        for field in given:
            if field not in CARRIED and field not in HINTS and field not in LEFT_OUT:
                raise unsupported(field, "is not a field of the chat API that can be passed on", provider=self._name)
        if is_stream and given.get("n", 1) != 1:
            raise unsupported("n", "is more than 1: litellm loses the ends of all but the last choice", provider=self._name)
        self._check_parts(given)
        if isinstance(given.get("messages"), list):
            given["messages"] = [self._message(message) for message in given["messages"]]
        known = litellm.get_supported_openai_params(call.model.id, self._litellm_provider) or ()
        fields: Json = {k: v for k, v in given.items() if k in CARRIED or (k in HINTS and k in known)}
        if is_stream:
            fields["stream_options"] = {"include_usage": True}
        if "tools" in fields:
            # Else litellm looks for tools that it would run itself, with code of its proxy that is not installed.
            fields["_skip_mcp_handler"] = True
        httpx = importlib.import_module("httpx")  # litellm's own client library
        return {
            **fields,
            **self._params,
            "model": f"{self._litellm_provider}/{call.model.id}",
            "stream": is_stream,
            "api_key": self._api_key,
            "base_url": self._base_url,
            "timeout": httpx.Timeout(UNBOUNDED_S, connect=call.connect_s),
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,
            "caching": False,
        }

    def _check_parts(self, given: Json) -> None:
        """Raises UpstreamError for parts of the canonical form that litellm has no word for."""
        is_serial = given.get("parallel_tool_calls") is False and bool(given.get("tools"))
        if is_serial and self._litellm_provider in ALWAYS_PARALLEL:
            raise unsupported(
                "parallel_tool_calls", "is false, and this vendor's models call as many as they like", provider=self._name
            )
        for i, tool in enumerate(given.get("tools") or ()):
            if isinstance(tool, dict) and tool.get("type") != "function" and self._litellm_provider not in OPENAIS:
                raise unsupported(f"tools[{i}].type", "is not `function`", provider=self._name)
        for i, message in enumerate(given.get("messages") or ()):
            parts = message.get("content") if isinstance(message, dict) else None
            for k, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict) and isinstance(part.get("file"), dict) and "file_url" in part["file"]:
                    where = f"messages[{i}].content[{k}].file.file_url"
                    raise unsupported(where, "cannot be passed on: send the document itself (file_data)", provider=self._name)

    def _message(self, message: Any) -> Any:
        """A message of the canonical form as this vendor knows it. That a tool failed, its result says in words."""
        if not isinstance(message, dict):
            return message
        vendor = self._litellm_provider
        left = {"is_error"} if vendor in REASONERS else {"is_error", "reasoning_content"}
        if vendor not in THINKERS:
            left |= {"thinking_blocks", "cache_control"}
        return {k: v for k, v in message.items() if k not in left}


@functools.cache
def _load() -> Any:
    """The litellm module, quiet and without habits of its own. Takes seconds; not for the event loop's thread."""
    # Else the import fetches a price list over the network, and waits for it where there is none.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    # Else the import reads a .env file into the environment.
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True  # else each error prints an advertisement
    litellm.drop_params = False  # what a provider cannot carry is an error, never dropped
    # For some providers litellm fetches a caller's image URLs itself. With this it refuses addresses of our own network
    # (cloud metadata, localhost), at redirects too. It is the default, but what a default guards is not left to it.
    litellm.user_url_validation, litellm.user_url_allowed_hosts = True, []
    litellm.num_retries = None
    litellm.cache = None
    litellm.callbacks, litellm.success_callback, litellm.failure_callback = [], [], []
    litellm.turn_off_message_logging = True
    # Else it invents usage where the provider sent none; we would book the guess as a count.
    litellm.disable_token_counter = True
    # Pydantic's remark on types of litellm's, once for each.
    warnings.filterwarnings("ignore", message="Items? .* using the `ReadOnly` qualifier", category=UserWarning)
    # What a first call imports lazily (0.5 s and more, on the event loop), done here in the thread.
    importlib.import_module("openai.resources.chat.completions")
    warm = [{"role": "user", "content": "warm up"}]
    litellm.completion("openai/warm-up", messages=warm, mock_response="warm", api_key="none")  # goes nowhere
    return litellm
