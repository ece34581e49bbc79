"""`POST /v1/embeddings` in the OpenAI dialect: bytes to an EmbeddingsRequest, an answer to bytes. Raw ASGI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from gateway.edge.asgi import ClientLeft, Receive, Scope, Send, bounded, read_body, run_while_connected
from gateway.edge.auth import tenant_of
from gateway.edge.json_body import read_json
from gateway.edge.openai_chat import OpenAISink
from gateway.edge.request_headers import read_headers, request_id
from gateway.embeddings import DIALECT, EmbeddingsRequest, chat_head, read_head
from gateway.embeddings_pipeline import EmbeddingsPipeline
from gateway.errors import ClientError
from gateway.providers.offload import offloaded
from gateway.reply import ClientStalled

log = logging.getLogger("turnout.edge")

EMBEDDINGS_PATH: Final = "/v1/embeddings"


class Embeddings:
    """The route, past FastAPI as that of chat: texts are embedded by the thousand."""

    def __init__(self, pipeline: EmbeddingsPipeline, body_bytes_max: int) -> None:
        self._pipeline, self._body_bytes_max = pipeline, body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        id_ = request_id(headers)
        tenant, sink = tenant_of(scope), OpenAISink(bounded(send))
        try:
            body = await read_body(headers, receive, self._body_bytes_max)
            request = await offloaded(lambda data: read_request(id_, data, headers, tenant.tags), body)
        except ClientLeft:
            return  # there is nobody to answer, and nothing was asked yet
        except ClientError as exc:
            await sink.fail(exc, [("x-request-id", id_)])
            return
        try:
            work = self._pipeline.handle(request, tenant, sink)
            await run_while_connected(work, receive, lambda: sink.is_complete)
        except ClientStalled:
            log.info("request %s: the client stopped reading its answer", id_)
        except Exception:  # the last resort: a mistake of ours must not take the server down, nor go unseen
            log.exception("request %s failed by a mistake of the gateway's", id_)
            await sink.crash(id_)


def read_request(id_: str, body: bytes, headers: dict[bytes, bytes], tags: Mapping[str, str]) -> EmbeddingsRequest:
    """Bytes to an EmbeddingsRequest. Raises ClientError that names the field and what is wrong with it.

    tags: the caller's, which hold where the request's own do not say otherwise.
    """
    head, items = read_json(body, read_head, "`model` and `input`")
    given = read_headers(headers)
    return EmbeddingsRequest(
        request_id=id_,
        body=body,
        head=chat_head(head),
        dialect=DIALECT,
        forced_route=given.route,
        tags={**tags, **given.tags},
        session=given.session,
        cache=given.cache,
        cache_ttl_s=given.cache_ttl_s,
        is_debug=given.is_debug,
        items=items,
    )
