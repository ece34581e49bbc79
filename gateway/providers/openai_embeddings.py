"""Any server that speaks the OpenAI embeddings API. The caller's dialect is the same, so bytes pass through."""

from __future__ import annotations

from gateway.chat import patched_body
from gateway.embeddings import EmbeddingsAnswer, EmbeddingsRequest, read_answer
from gateway.errors import UpstreamError
from gateway.offload import offloaded
from gateway.policy.schema_models import OpenAIProvider
from gateway.providers.base import Call, Exchange, Piece, Sending
from gateway.providers.http import HttpClient
from gateway.providers.http_response import HttpResponse
from gateway.providers.refusal import UNREADABLE, no_page, refusal, reported, unreadable
from gateway.request import DialectName
from gateway.wire_usage import read_usage


class OpenAIEmbeddings:
    """A Provider for embeddings: a call's answer is one piece. name: the provider's. unavailable: why it cannot be called."""

    dialects: frozenset[DialectName] = frozenset()  # a vector has one form

    def __init__(self, name: str, http: HttpClient, spec: OpenAIProvider, *, unavailable: str | None = None) -> None:
        self._name, self._http, self._api_key = name, http, spec.api_key
        headers = {"content-type": "application/json", **spec.headers}
        if spec.api_key:
            headers["authorization"] = f"Bearer {spec.api_key}"
        self._destination = http.destination(spec.base_url.rstrip("/") + "/embeddings", headers)
        self.unavailable = unavailable

    async def open(self, call: Call) -> Exchange:
        request = call.request
        assert isinstance(request, EmbeddingsRequest), "chat goes to the chat API"
        response = await self._post(patched_body(request.body, call.model.id, wants_usage=False), call.connect_s, call.sending)
        return EmbeddingsExchange(self._name, response, len(request.items), self._api_key)

    async def ask(self, body: bytes, count: int, connect_s: float) -> EmbeddingsAnswer:
        """The answer to a body that is not a caller's: `count` vectors. Raises UpstreamError; whoever asks bounds the time."""
        exchange = EmbeddingsExchange(self._name, await self._post(body, connect_s), count, self._api_key)
        try:
            answer, _ = await exchange.answer()
            return answer
        finally:
            await exchange.aclose()

    async def aclose(self) -> None:
        """The client belongs to whoever made it."""

    async def _post(self, body: bytes, connect_s: float, sending: Sending | None = None) -> HttpResponse:
        response = await self._http.ask(self._destination, body, connect_s=connect_s, sending=sending)
        try:
            if response.status != 200:
                error = await response.read_error()
                raise refusal(self._name, response.status, response.headers, error, self._api_key)
            no_page(self._name, response.headers)
        except BaseException:
            response.close()
            raise
        return response


class EmbeddingsExchange:
    """A call under way. count: of the vectors that the answer must have."""

    def __init__(self, name: str, response: HttpResponse, count: int, secret: str | None) -> None:
        self._name, self._response, self._count, self._secret = name, response, count, secret

    async def read(self) -> list[Piece]:
        answer, body = await self.answer()
        return [Piece(data=body, has_content=True, usage=read_usage(answer.usage), is_end=True)]

    async def answer(self) -> tuple[EmbeddingsAnswer, bytes]:
        """The answer, checked, and its bytes. Raises UpstreamError when it is an error or not whole."""
        body = await self._response.read_whole()
        return await offloaded(self._checked, body), body

    def _checked(self, body: bytes) -> EmbeddingsAnswer:
        try:
            answer = read_answer(body)
        except UNREADABLE as exc:
            raise unreadable(self._name, "a list of embeddings", body, exc) from exc
        if bytes(answer.error) != b"null":
            raise reported(self._name, bytes(answer.error), self._secret)
        if not answer.data:
            raise UpstreamError(f"{self._name}: the answer holds no embeddings", fault="empty", is_retryable=True)
        try:
            answer.vectors(self._count)
        except ValueError as exc:
            raise UpstreamError(f"{self._name}: not the embeddings that were asked for: {exc}", fault="malformed") from exc
        return answer

    async def aclose(self) -> None:
        self._response.close()
