"""What a server of the OpenAI embeddings API answers, for scripted servers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.scripted_server import Reply, Request, json_reply

Embed = Callable[[Any], Sequence[float]]


def digest_vector(item: Any) -> list[float]:
    """Three numbers that only this text, or array of tokens, has."""
    digest = hashlib.sha256(repr(item).encode()).digest()
    return [byte / 256 + 1 / 512 for byte in digest[:3]]


def items_of(given: Any) -> list[Any]:
    """What is to be embedded, one by one: of a text, of an array of tokens, or of a list of either."""
    return [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)


def embeddings(body: dict[str, Any], embed: Embed = digest_vector, tokens_each: int = 5, **more: Any) -> dict[str, Any]:
    """The answer to a request's body, as OpenAI gives it."""
    items = items_of(body["input"])
    data = []
    for index, item in enumerate(items):
        vector = np.asarray(embed(item), "<f4")
        is_base64 = body.get("encoding_format") == "base64"
        shown = base64.b64encode(vector.tobytes()).decode() if is_base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    used = tokens_each * len(items)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "data": data, "model": f"{body['model']}-0001", "usage": usage, **more}


def embeds(request: Request) -> Reply:
    """A server that does what it is asked."""
    return json_reply(embeddings(request.json()))
