"""What can come of a fault: the vocabulary of the matrix, and of docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Counted = Literal["none", "counted", "estimated"]
"""Of an attempt's usage: nothing is booked, the provider's count, or our estimate."""

Wait = Literal["none", "connect", "first_token", "idle", "total", "slow", "retry-after", "error body"]
"""What the caller waits for at most, by the policy's name for it. For a whole answer `first_token` is the time that the executor
gives it: what is left of `total`, or half of that while there is another target."""


@dataclass(frozen=True)
class Fails:
    """Nothing has been sent to the caller: the target is asked again or not, then the next one, else there is an error.

    tries: how often the target is asked where the policy says `retry: {attempts: 2}`.
    """

    fault: str
    status: int | None = None
    tries: int = 2
    usage: Counted = "none"
    wait: Wait = "none"


@dataclass(frozen=True)
class Breaks:
    """Content has been sent: the stream ends with an error event and without its terminator."""

    fault: str
    wait: Wait = "none"


@dataclass(frozen=True)
class Passes:
    """The answer is whole all the same. before: attempts at the same target that failed first."""

    usage: Counted = "counted"
    before: tuple[Fails, ...] = ()
    wait: Wait = "none"


@dataclass(frozen=True)
class Refuses:
    """The provider says that the request itself is at fault: no other target is asked, the caller gets its words."""

    status: int
    code: str = "invalid_request"


@dataclass(frozen=True)
class Leaves:
    """The caller goes away: the call is cancelled upstream and what it has cost is booked."""

    has_content: bool


Outcome = Fails | Breaks | Passes | Refuses | Leaves
