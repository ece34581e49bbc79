"""Every error the gateway raises, split by who must act. Edges render them in the caller's dialect.

Bottom of the import order: imports nothing of the gateway. The policy and the classifiers have trees
of their own (PolicyError, ArtifactError), since they do not know the gateway.
"""

from __future__ import annotations

from typing import Literal

Fault = Literal[
    "connect",  # refused, DNS, TLS, or closed before an answer began
    "timeout",  # a deadline of ours passed
    "status",  # the provider answered with an error status
    "cut",  # the answer ended before it was complete
    "malformed",  # bytes that are not the dialect
    "reported",  # an error event inside a stream, or an error body under a 200
    "empty",  # a finished answer without an answer in it
    "unavailable",  # never tried: no credentials, the local model is not up, its breaker is open
    "unsupported",  # this provider cannot carry something the request asks for
    "busy",  # never sent: as many calls as allowed were in flight, and none ended in time
    "limited",  # never sent: the model's own rate limit is spent
    "slow",  # given up by us, though it was alive: slower than is normal for it, or than the policy asks
]


CONTEXT_LENGTH = "context_length_exceeded"
OURS: tuple[Fault, ...] = ("busy", "limited", "slow")  # our own doing, which says nothing against the model
# Codes of errors that another model may not give, but this one will give to this request only.
REQUESTS_OWN = frozenset({CONTEXT_LENGTH, "unsupported_value", "unsupported_parameter"})


class TurnoutError(Exception):
    """Base of them all. `message` names the thing, the value and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(TurnoutError):
    """The operator must act: a flag, a variable, a file."""


class UsageError(ConfigError):
    """The command line is wrong: exit status 2."""


class ClientError(TurnoutError):
    """The caller must act. Rendered with its status and a stable code."""

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class Refused(TurnoutError):
    """The policy, a limit or the gateway's own load says no. `retry_after_s` is set where waiting helps."""

    def __init__(self, message: str, *, status: int, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class UpstreamError(TurnoutError):
    """A provider failed one attempt.

    status: the provider's HTTP status where there was one. retry_after_s: what it asked for.
    is_retryable: the same target may be asked again. is_callers_fault: no other target would do better,
    so the provider's own message goes to the caller.
    """

    def __init__(
        self,
        message: str,
        *,
        fault: Fault,
        status: int | None = None,
        retry_after_s: float | None = None,
        is_retryable: bool = False,
        is_callers_fault: bool = False,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.status = status
        self.retry_after_s = retry_after_s
        self.is_retryable = is_retryable
        self.is_callers_fault = is_callers_fault
        self.code = code
        self.param = param

    @property
    def kind(self) -> str:
        """What failed, without the provider's words."""
        return f"status {self.status}" if self.status is not None else self.fault

    @property
    def says_something_of_the_model(self) -> bool:
        """Whether others would meet the same failure. What only this request brought about must not shut them out."""
        is_requests_own = self.is_callers_fault or self.fault == "unsupported" or self.code in REQUESTS_OWN
        return not is_requests_own and self.fault not in OURS


class AllTargetsFailed(TurnoutError):
    """Every target of the plan failed. causes: the last cause of each, in the order they were tried.

    status, code: 429 `rate_limit_exceeded` when each was at its rate limit, or `insufficient_quota` when none has any left; 503
    `overloaded` when none had room. is_lasting: asking again would end the same way, until the operator acts.
    """

    def __init__(
        self,
        message: str,
        causes: list[dict[str, object]],
        *,
        retry_after_s: float | None = None,
        status: int = 502,
        code: str = "all_targets_failed",
        is_lasting: bool = False,
    ) -> None:
        super().__init__(message)
        self.causes = causes
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        self.is_lasting = is_lasting


class DeadlineExceeded(TurnoutError):
    """The request's total deadline passed before an answer began."""

    def __init__(self, message: str, causes: list[dict[str, object]]) -> None:
        super().__init__(message)
        self.causes = causes


class LedgerUnavailable(Refused):
    """The ledger cannot take an entry: better refuse than serve unbilled."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=503, code="ledger_unavailable", retry_after_s=5)


class ShuttingDown(Refused):
    """The gateway stops, and this answer did not end within the grace time. Another replica, or the next start, has time."""

    def __init__(self) -> None:
        message = "the gateway is shutting down; send the request again"
        super().__init__(message, status=503, code="shutting_down", retry_after_s=1)


class InternalError(TurnoutError):
    """A mistake of the gateway's own; only its log says more."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error; the gateway's log has it under request {request_id}")


class StoreUnavailable(Exception):
    """A store over the network cannot be asked just now. No caller sees it: whoever asks goes on without."""

    def __init__(self, cause: str, message: str) -> None:
        """cause: one word for metrics (timeout, connection, full, readonly, auth, unsupported, protocol …)."""
        super().__init__(message)
        self.cause = cause


def status_of(error: TurnoutError) -> int:
    """The HTTP status that says so."""
    if isinstance(error, ClientError | Refused | AllTargetsFailed):
        return error.status
    if isinstance(error, DeadlineExceeded):
        return 504
    if isinstance(error, UpstreamError):
        return 502
    return 500


def code_of(error: TurnoutError) -> str:
    """The stable code that callers may rely on, in every dialect."""
    if isinstance(error, ClientError | Refused | AllTargetsFailed):
        return error.code
    if isinstance(error, DeadlineExceeded):
        return "deadline_exceeded"
    if isinstance(error, UpstreamError):
        return f"upstream_{error.fault}"
    return "internal_error"
