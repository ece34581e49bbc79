"""The grammar of `responses:`: whether the answers of `POST /v1/responses` are kept, for `previous_response_id`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.policy.grammar import Strict, Timeout


class ResponsesSpec(Strict):
    """Where finished Responses are kept, so that callers can go on from them. Never on disk.

    `store`: in this process's memory; `shared`, in Redis; or not at all. `max_mb`: of memory, for all callers together.
    """

    store: Annotated[
        Literal["memory", "shared", "off"] | None,
        Field(description="without it, memory for a process that serves alone, and off for several workers"),
    ] = None
    ttl: Annotated[Timeout | None, Field(description="24h if not given")] = None
    max_mb: Annotated[float | None, Field(gt=0, le=65_536, description="64 if not given")] = None
