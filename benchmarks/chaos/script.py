"""How the scripted providers behave, and when: data that the run, the provider's process and the picture share."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["healthy", "down", "errors", "slow"]
Fault = Literal["500", "503", "429", "silent", "cut", "reset", "stall", "event"]
FAULTS: tuple[Fault, ...] = ("500", "503", "429", "silent", "cut", "reset", "stall", "event")
"""silent: headers, then nothing. cut: half of the answer and a regular end of the body, without its last events. reset: half
of it and a TCP reset. stall: half of it, then nothing. event: an error event after a valid preamble."""


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's behaviour until a time. Times in seconds.

    until_s: after the run's zero. ttft_s: the median of a log-normal distribution, spread: the standard deviation of
    its logarithm. gap_s: between two tokens. error_share: of the calls, which then go by one of FAULTS, each equally
    likely. drip_share: of the calls, which have drip_gap_s between two tokens. `down` closes the listener and resets
    its connections.
    """

    until_s: float
    kind: Kind = "healthy"
    ttft_s: float = 0.06
    spread: float = 0.15
    gap_s: float = 0.005
    error_share: float = 0.0
    drip_share: float = 0.0
    drip_gap_s: float = 0.5


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A virtual provider: its name, its port, and its phases, the earliest first. The last one's end is not looked at."""

    name: str
    port: int
    phases: list[Phase]

    def at(self, time_s: float) -> Phase:
        """The phase at a time after zero."""
        return next((phase for phase in self.phases if time_s < phase.until_s), self.phases[-1])

    def spans(self) -> list[tuple[float, float, Phase]]:
        """(from, until, phase) in seconds after zero."""
        starts = [0.0, *(phase.until_s for phase in self.phases)]
        return [(start, phase.until_s, phase) for start, phase in zip(starts, self.phases, strict=False)]


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All providers of a run."""

    seed: int
    targets: list[Target]


class Call(msgspec.Struct, frozen=True):
    """One call as the provider saw it, a line of its log. A refused connection leaves none.

    case: whose question it was. at_s: after zero. played: `ok`, `drip`, `down` (in mid-answer), or the fault. tokens_out:
    written before it ended, the unit of its bill. is_whole: it was answered to the end. was_left: the caller went away.
    late_s: by how much the first token missed its time, which is the machine's fault and not the script's.
    """

    target: str
    case: str
    at_s: float
    kind: Kind
    played: str
    tokens_in: int
    tokens_out: int = 0
    is_whole: bool = False
    was_left: bool = False
    late_s: float = 0.0
