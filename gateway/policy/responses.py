"""What a policy says of Responses that callers go on from. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ResponseStoreKind = Literal["memory", "shared", "off"]


@dataclass(frozen=True, slots=True)
class ResponsesRule:
    """Where finished Responses are kept, for how long, and how many bytes of them in memory.

    store: None where the policy does not say; then in the memory of a process that serves alone, and else nowhere.
    """

    store: ResponseStoreKind | None = None
    ttl_s: float = 86_400.0
    bytes_max: int = 64 * 1024 * 1024


UNSAID: Final = ResponsesRule()
