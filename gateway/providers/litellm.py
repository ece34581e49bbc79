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
from typing import Any, ClassVar

import msgspec

from gateway.chat import decode_body, read_chunk, read_service_tier, sse
from gateway.errors import UpstreamError
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.litellm_errors import upstream_error
from gateway.providers.offload import offloaded
from gateway.providers.pieces import piece_of, whole_pieces
from gateway.wire_usage import read_usage

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
LEFT_OUT = frozenset({"model", "stream", "stream_options", "metadata", "prompt_cache_retention", "prompt_cache_options"})

Json = dict[str, Any]


class LiteLLMProvider:
    """litellm_provider: litellm's name of it, as `bedrock`. Without an api_key litellm looks for its own variables."""

    _users: ClassVar[int] = 0  # litellm has one pool of connections; the last provider to go closes it

    def __init__(
        self,
        name: str,
        litellm_provider: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._name, self._litellm_provider = name, litellm_provider
        self._api_key, self._base_url = api_key, base_url
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
        except Exception as exc:  # whatever SDK litellm called; all of it is one failed attempt
            raise upstream_error(self._name, exc, self._api_key, is_under_way=False) from exc
        if hasattr(answer, "__aiter__"):
            return LiteLLMStream(self._name, answer, self._api_key)
        return LiteLLMWhole(self._name, answer, as_stream=call.request.is_stream, secret=self._api_key)

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
        is_stream = call.request.is_stream
        for field in given:
            if field not in CARRIED and field not in HINTS and field not in LEFT_OUT:
                raise _unsupported(self._name, field, "is not a field of the chat API that can be passed on")
        if is_stream and given.get("n", 1) != 1:
            raise _unsupported(self._name, "n", "is more than 1: litellm loses the ends of all but the last choice")
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


def _unsupported(name: str, param: str, why: str) -> UpstreamError:
    return UpstreamError(f"{name}: `{param}` {why}", fault="unsupported", code="unsupported_parameter", param=param)


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
    warnings.filterwarnings("ignore", message="Item .* is using the `ReadOnly` qualifier", category=UserWarning)
    # What a first call imports lazily (0.5 s and more, on the event loop), done here in the thread.
    importlib.import_module("openai.resources.chat.completions")
    warm = [{"role": "user", "content": "warm up"}]
    litellm.completion("openai/warm-up", messages=warm, mock_response="warm", api_key="none")  # goes nowhere
    return litellm


class LiteLLMStream:
    """A streamed answer; each of litellm's chunks becomes one stream event, the usage one of its own at the end."""

    def __init__(self, name: str, chunks: Any, secret: str | None) -> None:
        self._name, self._chunks, self._secret = name, chunks, secret
        self._usage: Json | None = None
        self._head: Json = {}
        self._has_begun = False  # with some providers litellm sends the request at the first read
        self._is_finished = False

    async def read(self) -> list[Piece]:
        while True:
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return self._end()
            except Exception as exc:  # as in open()
                raise upstream_error(self._name, exc, self._secret, is_under_way=self._has_begun) from exc
            self._has_begun = True
            piece = self._piece(chunk.model_dump(exclude_none=True))
            if piece is not None:
                return [piece]

    async def aclose(self) -> None:
        # litellm's wrapper closes the stream it wraps, if that can be closed. Some of its own (Anthropic's) cannot, and would
        # hold the connection until the garbage collector comes by.
        wrapped = getattr(self._chunks, "completion_stream", None)
        await self._chunks.aclose()
        close = getattr(getattr(wrapped, "streaming_response", None), "aclose", None)
        if close is not None:
            await close()

    def _piece(self, fields: Json) -> Piece | None:
        given = fields.pop("usage", None)
        _name_service(fields, given)
        usage = _wire_usage(given)
        if usage is not None:
            self._usage = usage  # the last count wins, wherever it stands
        choices = [_stream_choice(choice) for choice in fields.get("choices") or ()]
        if any(choice["finish_reason"] for choice in choices):
            self._finish()
        choices = [c for c in choices if c["delta"] or c["finish_reason"]]
        fields.pop("provider_specific_fields", None)
        self._head = {**fields, "choices": []}
        if not choices:
            return None
        data = _encoded(self._name, {**fields, "choices": choices})
        try:
            piece = piece_of(b"data: " + data + b"\n\n", read_chunk(data))
            if usage is None:
                return piece
            # Should the stream break off, this is what is known of it.
            return msgspec.structs.replace(piece, usage=read_usage(msgspec.Raw(msgspec.json.encode(usage))))
        except msgspec.DecodeError as exc:
            raise UpstreamError(f"{self._name}: a stream event is not a chat chunk: {exc}", fault="malformed") from exc

    def _finish(self) -> None:
        """Believe a finish_reason only if the provider sent one.

        Where a stream ends without, litellm makes up a "stop", which would pass a cut answer off as whole.
        """
        seen = [getattr(self._chunks, name, "?") for name in ("received_finish_reason", "intermittent_finish_reason")]
        if not any(seen):
            raise self._cut()
        self._is_finished = True

    def _end(self) -> list[Piece]:
        if not self._is_finished:
            raise self._cut()
        if self._usage is None:
            return [Piece(is_end=True)]
        data = sse({**self._head, "usage": self._usage})
        usage = read_usage(read_chunk(data[6:]).usage, read_service_tier(data[6:]))
        return [Piece(data, usage=usage, is_usage_only=True), Piece(is_end=True)]

    def _cut(self) -> UpstreamError:
        return UpstreamError(f"{self._name}: the stream ended in mid-answer", fault="cut", is_retryable=True)


class LiteLLMWhole:
    """A whole answer, which litellm has read already. as_stream: the caller asked for a stream and got none."""

    def __init__(self, name: str, answer: Any, *, as_stream: bool, secret: str | None) -> None:
        self._name, self._answer, self._as_stream, self._secret = name, answer, as_stream, secret

    async def read(self) -> list[Piece]:
        fields: Json = self._answer.model_dump(exclude_none=True)
        given = fields.pop("usage", None)
        _name_service(fields, given)
        usage = _wire_usage(given)
        fields["choices"] = [_whole_choice(choice) for choice in fields.get("choices") or ()]
        body = _encoded(self._name, fields if usage is None else {**fields, "usage": usage})
        return whole_pieces(self._name, body, as_stream=self._as_stream, secret=self._secret)

    async def aclose(self) -> None:
        """The connection was given back when the answer had been read."""


def _encoded(name: str, fields: Json) -> bytes:
    """JSON of what litellm has read. Raises UpstreamError for half of a surrogate pair, which UTF-8 has no bytes for."""
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError as exc:
        raise UpstreamError(f"{name}: the answer holds a text that is no Unicode: {exc}", fault="malformed") from exc


def _stream_choice(choice: Json) -> Json:
    delta = {k: v for k, v in (choice.get("delta") or {}).items() if k != "provider_specific_fields"}
    return {
        "index": choice.get("index", 0),
        "delta": delta,
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason"),
    }


def _whole_choice(choice: Json) -> Json:
    message = {k: v for k, v in (choice.get("message") or {}).items() if k != "provider_specific_fields"}
    return {
        "index": choice.get("index", 0),
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
        "logprobs": choice.get("logprobs"),
        "finish_reason": choice.get("finish_reason", "stop"),
    }


def _name_service(fields: Json, usage: Json | None) -> None:
    """Put the tier that Anthropic tells with its usage where OpenAI has it."""
    tier = (usage or {}).get("service_tier")
    if tier and not fields.get("service_tier"):
        fields["service_tier"] = tier


_READ = ("cached_tokens", "cache_write_tokens", "cache_creation_token_details", "audio_tokens")
_WRITTEN = ("reasoning_tokens", "audio_tokens")


def _wire_usage(usage: Json | None) -> Json | None:
    """litellm's usage as OpenAI writes it; None if nobody counted, which litellm shows as zeros."""
    if not usage or not (usage.get("prompt_tokens") or usage.get("completion_tokens")):
        return None
    details = {k: v for k, v in (usage.get("prompt_tokens_details") or {}).items() if k in _READ}
    written = usage.get("cache_creation_input_tokens")
    if written:
        details["cache_write_tokens"] = written
    spoken = {k: v for k, v in (usage.get("completion_tokens_details") or {}).items() if k in _WRITTEN and v}
    fields: Json = {k: usage.get(k, 0) for k in ("prompt_tokens", "completion_tokens", "total_tokens")}
    if details:
        fields["prompt_tokens_details"] = details
    if spoken:
        fields["completion_tokens_details"] = spoken
    return fields
