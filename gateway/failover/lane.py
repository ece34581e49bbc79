"""One line of attempts of a request. A hedge is a second one beside the first; a takeover in mid-stream is another."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.attempt import Attempt, Seam
from gateway.request import ChatRequest
from gateway.running import Running


@dataclass
class Lane:
    """request: what its targets are asked. seam, seam_chars: of one that takes over an answer in mid-stream; has_others:
    after its own targets, others may take over.

    running: its latest call. answering: the attempt that gave what the lane brought.
    """

    request: ChatRequest
    is_hedge: bool = False
    seam: Seam | None = None
    seam_chars: int | None = None
    has_others: bool = False
    running: Running | None = None
    answering: Attempt | None = None
