"""Why each target gave no answer, and the error that all of it comes to."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import (
    CONTEXT_LENGTH,
    REQUESTS_OWN,
    AllTargetsFailed,
    ClientError,
    DeadlineExceeded,
    TurnoutError,
    UpstreamError,
)
from gateway.policy.model import Plan
from gateway.target import Target

NOT_ASKED = ("unavailable", "busy", "limited")
UNSUPPORTED = "unsupported_parameter"
NO_QUOTA = "insufficient_quota"


class Causes:
    """The last cause of each target, in the order in which they were first tried."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_model: dict[str, dict[str, object]] = {}
        self._unsuited: dict[str, UpstreamError] = {}  # models that the request does not suit: their last word
        self._is_lasting = True  # nothing that failed may go better by itself
        self._waits_s: list[float] = []  # that providers and limits asked for
        self._is_waiting = self._is_limited = False
        for model, reason in plan.left_out:
            self.passed_over(model, reason)

    def failed(self, target: Target, exc: UpstreamError) -> None:
        """One attempt failed, or could not be made."""
        cause: dict[str, object] = {
            "model": target.model.name,
            "provider": target.model.provider,
            "fault": exc.fault,
            "message": exc.message,
        }
        if exc.status is not None:
            cause["status"] = exc.status
        if exc.code is not None:
            cause["code"] = exc.code
        self._by_model[target.model.name] = cause
        if exc.fault == "unsupported" or exc.code in REQUESTS_OWN:
            self._unsuited[target.model.name] = exc
        else:
            self._unsuited.pop(target.model.name, None)
        # A refused answer that may not be asked for again, as of a wrong key; of what had no status nobody can tell.
        self._is_lasting = self._is_lasting and exc.status is not None and not exc.is_retryable
        if exc.retry_after_s is not None:
            self._waits_s.append(exc.retry_after_s)

    def passed_over(self, model: str, reason: str) -> None:
        """The target was not asked. What happened when it was asked says more, if it was."""
        self._by_model.setdefault(model, {"model": model, "fault": "unavailable", "message": reason})

    def unconvincing(self, model: str, message: str) -> None:
        """It answered, and the cascade did not accept the answer."""
        self._by_model[model] = {"model": model, "fault": "unconvincing", "message": message}

    def asked_to_wait(self, target: Target) -> None:
        """Each target's provider asked to be left alone, and this one, which is due first, for longer than there is time."""
        self._is_limited = target.health.breaker.last_error == "status 429"
        self._is_waiting = True

    def error(self, targets: Sequence[Target], *, is_over: bool) -> TurnoutError:
        """What the caller is told. is_over: the request's deadline has passed."""
        causes = list(self._by_model.values())
        named = "; ".join(f"{c['model']}: {c['message']}" for c in causes) or "the route has no target"
        told = [cause for cause in causes if cause["fault"] != "unavailable"]
        asked = [cause for cause in told if cause["fault"] not in NOT_ASKED]
        if asked and all(cause["model"] in self._unsuited for cause in asked):
            return self._unsuited_error([str(cause["model"]) for cause in asked])
        if is_over:
            return DeadlineExceeded(f"no answer within {self._plan.timeouts.total_s:g} s. {named}", causes)
        if asked and len(asked) == len(told) and all(cause["fault"] in ("timeout", "slow") for cause in asked):
            return DeadlineExceeded(f"no model began to answer in time. {named}", causes)
        every = f"every model of route '{self._plan.route}'"
        wait_s = self._wait_s(targets)
        is_limited = told and all(cause["fault"] == "limited" or cause.get("status") == 429 for cause in told)
        if is_limited or (self._is_limited and not told):
            message = f"{every} is at its rate limit. {named}"
            has_no_quota = bool(told) and all(cause.get("code") == NO_QUOTA for cause in told)
            code = NO_QUOTA if has_no_quota else "rate_limit_exceeded"
            return AllTargetsFailed(message, causes, retry_after_s=wait_s, status=429, code=code, is_lasting=has_no_quota)
        if (told and not asked) or (self._is_waiting and not told):
            message = f"{every} has as many requests as it takes. {named}"
            return AllTargetsFailed(message, causes, retry_after_s=wait_s, status=503, code="overloaded")
        is_lasting = bool(asked) and len(asked) == len(causes) and self._is_lasting
        return AllTargetsFailed(f"{every} failed. {named}", causes, retry_after_s=wait_s, is_lasting=is_lasting)

    def _unsuited_error(self, models: Sequence[str]) -> ClientError:
        """The caller's: each model that was asked says that the request does not suit it. The first one's code and field."""
        errors = [self._unsuited[model] for model in models]
        if all(exc.code == CONTEXT_LENGTH for exc in errors):
            return ClientError(errors[-1].message, code=CONTEXT_LENGTH, param="messages")
        first = next(exc for exc in errors if exc.code != CONTEXT_LENGTH)
        message = "; ".join(f"model '{model}' cannot take this: {exc.message}" for model, exc in zip(models, errors, strict=True))
        code = first.code if first.code in REQUESTS_OWN else UNSUPPORTED
        return ClientError(message, code=code or UNSUPPORTED, param=first.param)

    def _wait_s(self, targets: Sequence[Target]) -> float | None:
        """Seconds after which the first of them may answer again, None where nothing says so."""
        cooling = [t.health.breaker.cooling_s for t in targets]
        if cooling and min(cooling) > 0:
            return min(cooling)
        return min(self._waits_s) if self._waits_s else None


def callers(exc: UpstreamError) -> ClientError:
    """The provider's own word on a request that is at fault itself."""
    return ClientError(exc.message, status=exc.status or 400, code=exc.code or "invalid_request", param=exc.param)
