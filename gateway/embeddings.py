"""OpenAI's embeddings dialect as bytes and values: what the gateway reads of a request and of an answer. No I/O.

A request holds items: texts, or arrays of tokens. Each has its vector in the answer; what either says stays bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.chat import ChatHead
from gateway.errors import ClientError
from gateway.lazily import lazily
from gateway.request import ChatRequest, DialectName
from gateway.usage import Usage, estimate_tokens

DIALECT: Final[DialectName] = "openai_embeddings"
Raw = msgspec.Raw


class EmbeddingsHead(msgspec.Struct):
    """The fields of a request that the gateway looks at; what they may say is the provider's to judge."""

    model: str
    input: Raw
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


class EmbeddingsRequest(ChatRequest, frozen=True, dict=True):
    """One embeddings request as the edge understood it. items: the JSON of each.

    To the executor, the cache's directives and the ledger it is a request like any other, so it has the same fields; its
    head has no messages.
    """

    items: tuple[bytes, ...] = ()

    @lazily
    def tokens_in(self) -> int:
        """Estimated tokens of all items; those of token arrays are counted."""
        return sum(tokens_of(item) for item in self.items)

    @lazily
    def tokens_expected(self) -> int:
        """Those of its items: vectors cost no output."""
        return self.tokens_in

    @lazily
    def output_bound(self) -> int | None:
        """None is written at all."""
        return 0


def tokens_of(item: bytes) -> int:
    """Tokens of one item: of a text an estimate, of an array its length."""
    return item.count(b",") + 1 if item.startswith(b"[") else estimate_tokens(len(item) - 2)


def read_head(body: bytes) -> tuple[EmbeddingsHead, tuple[bytes, ...]]:
    """The head of a request and its items.

    Raises ClientError for an `input` that is none, and as msgspec does for what is no embeddings request at all.
    """
    head = _decode_head(body)
    if not head.model:
        raise ClientError("`model` is empty; name a model of the policy", code="invalid_model", param="model")
    return head, _items(bytes(head.input))


def chat_head(head: EmbeddingsHead) -> ChatHead:
    """The head of a request without messages."""
    return ChatHead(model=head.model, messages=[])


def _items(data: bytes) -> tuple[bytes, ...]:
    if data.startswith(b'"'):
        return (_checked(data, str),)
    if not data.startswith(b"["):
        raise _no_input(f"`input` begins with {data[:20].decode('utf-8', 'replace')!r}")
    parts = tuple(bytes(part) for part in _decode_list(data))
    if not parts:
        raise ClientError("`input` is empty; give at least one text", code="empty_input", param="input")
    if parts[0].startswith(b'"'):
        _checked(data, list[str])
        return parts
    if parts[0].startswith(b"["):
        _checked(data, list[list[int]])
        return parts
    return (_checked(data, list[int]),)


def _checked(data: bytes, kind: type) -> bytes:
    try:
        msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as exc:
        problem, _, path = str(exc).partition(" - at `$")
        raise _no_input(f"`input{path.rstrip('`')}`: {problem}") from exc
    return data


def _no_input(why: str) -> ClientError:
    message = f"{why}; `input` is a text, a list of texts, an array of tokens or a list of such arrays"
    return ClientError(message, code="invalid_type", param="input")


def with_items(body: bytes, items: Sequence[bytes]) -> bytes:
    """The same request for these items; everything else keeps its bytes."""
    fields = _decode_raw(body)
    fields["input"] = Raw(b"[" + b",".join(items) + b"]")
    return msgspec.json.encode(fields)


class Vector(msgspec.Struct):
    """One vector of an answer: numbers, or their bytes in base64. index: of its item; None where the server gives none."""

    embedding: Raw
    index: int | None = None


class EmbeddingsAnswer(msgspec.Struct):
    """An answer, as far as the gateway looks at it."""

    data: list[Vector] | None = None
    model: str | None = None
    usage: Raw = Raw(b"null")
    error: Raw = Raw(b"null")

    def vectors(self, count: int) -> list[bytes]:
        """The JSON of each item's vector, in the order of the items. Raises ValueError unless each of `count` has one."""
        given = self.data or []
        if len(given) != count:
            raise ValueError(f"{len(given)} vectors for {count} inputs")
        # The place of an only vector is no question, whatever number a server gives it.
        places = [place if vector.index is None or count == 1 else vector.index for place, vector in enumerate(given)]
        if sorted(places) != list(range(count)):
            raise ValueError(f"the indexes of its vectors are not 0 to {count - 1}")
        ordered = sorted(zip(places, given, strict=True), key=lambda pair: pair[0])
        vectors = [bytes(vector.embedding) for _, vector in ordered]
        empty = next((place for place, vector in enumerate(vectors) if vector in _EMPTY), None)
        if empty is not None:
            raise ValueError(f"vector {empty} is empty")
        return vectors


_EMPTY: Final = (b"null", b"[]", b'""', b"{}")


def read_answer(body: bytes) -> EmbeddingsAnswer:
    """An answer of a provider. Raises msgspec.DecodeError."""
    return _decode_answer(body)


def answer_of(vectors: Sequence[bytes], model: str, usage: Usage) -> bytes:
    """A whole answer around vectors that are known already."""
    data = [{"object": "embedding", "index": place, "embedding": Raw(vector)} for place, vector in enumerate(vectors)]
    counted = {"prompt_tokens": usage.input, "total_tokens": usage.input}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": counted})


def shares(usage: Usage, items: Sequence[bytes]) -> list[Usage]:
    """What each item has of a request's tokens, by its size; the shares add up to the whole.

    A guess where there are several items, since providers count all of them in one.
    """
    sizes = [max(tokens_of(item), 1) for item in items]
    whole, upto, given = sum(sizes), 0, 0
    parts = []
    for size in sizes:
        upto += size
        part = usage.input * upto // whole - given
        given += part
        parts.append(Usage(input=part, estimated=usage.estimated or len(items) > 1))
    return parts


_decode_head = msgspec.json.Decoder(EmbeddingsHead).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_raw = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_answer = msgspec.json.Decoder(EmbeddingsAnswer).decode
