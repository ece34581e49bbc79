"""Errors of the provider, as the caller's SDK raises them."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, saying
from tests.clients.pairing.says import Fails


def failing(status: int, title: str, raises: str, *, retry_after_s: int | None = None) -> Feature:
    fails = Fails(status, f"the provider says {status}", retry_after_s)
    return Feature(name=f"error-{status}", title=title, asks=saying(), says=(fails,), raises=raises)


TOO_LONG = Feature(
    name="error-too-long",
    title="400: the prompt is too long for the model",
    asks=saying(),
    says=(Fails(400, "maximum context length is 8192 tokens"),),
    raises="BadRequestError",
)

IN_STREAM = Feature(
    name="error-in-stream",
    title="An error after the first words",
    asks=saying(),
    says=(Fails(500, "the provider broke", after_text="Oslo is "),),
    raises="APIError",
    only=("stream",),
)

FEATURES = (
    failing(400, "400: the request is wrong", "BadRequestError"),
    failing(401, "401: the gateway's key is wrong", "InternalServerError"),
    failing(404, "404: no such model there", "InternalServerError"),
    failing(429, "429 with `retry-after`", "RateLimitError", retry_after_s=17),
    failing(500, "500", "InternalServerError"),
    failing(529, "529: overloaded", "InternalServerError"),
    TOO_LONG,
    IN_STREAM,
)
