"""Why each target gave no answer, and the error that all of it comes to."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import CONTEXT_LENGTH, AllTargetsFailed, ClientError, DeadlineExceeded, TurnoutError, UpstreamError
from gateway.policy.model import Plan
from gateway.running import Target

NOT_ASKED = ("unavailable", "busy", "limited")


class Causes:
    """The last cause of each target, in the order in which they were first tried."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_model: dict[str, dict[str, object]] = {}
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
        if asked and all(cause.get("code") == CONTEXT_LENGTH for cause in asked):
            return ClientError(str(asked[-1]["message"]), code=CONTEXT_LENGTH, param="messages")
        if is_over:
            return DeadlineExceeded(f"no answer within {self._plan.timeouts.total_s:g} s. {named}", causes)
        if asked and len(asked) == len(told) and all(cause["fault"] in ("timeout", "slow") for cause in asked):
            return DeadlineExceeded(f"no model began to answer in time. {named}", causes)
        every = f"every model of route '{self._plan.route}'"
        wait_s = self._wait_s(targets)
        is_limited = told and all(cause["fault"] == "limited" or cause.get("status") == 429 for cause in told)
        if is_limited or (self._is_limited and not told):
            message = f"{every} is at its rate limit. {named}"
            return AllTargetsFailed(message, causes, retry_after_s=wait_s, status=429, code="rate_limit_exceeded")
        if (told and not asked) or (self._is_waiting and not told):
            message = f"{every} has as many requests as it takes. {named}"
            return AllTargetsFailed(message, causes, retry_after_s=wait_s, status=503, code="overloaded")
        return AllTargetsFailed(f"{every} failed. {named}", causes, retry_after_s=wait_s)

    def _wait_s(self, targets: Sequence[Target]) -> float | None:
        """Seconds after which the first of them may answer again, None where nothing says so."""
        cooling = [t.health.breaker.cooling_s for t in targets]
        if cooling and min(cooling) > 0:
            return min(cooling)
        return min(self._waits_s) if self._waits_s else None


def callers(exc: UpstreamError) -> ClientError:
    """The provider's own word on a request that is at fault itself."""
    return ClientError(exc.message, status=exc.status or 400, code=exc.code or "invalid_request", param=exc.param)
