"""What all the failures of a request come to: whose fault it is, and whether asking again may help."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import AllTargetsFailed, ClientError, TurnoutError, UpstreamError, code_of, status_of
from gateway.providers.refusal import refusal
from tests.execution import GONE, TOO_LONG, Bench, Scripted, fault

CANNOT = fault("unsupported", status=None, code="unsupported_parameter", param="logit_bias", message="p: `logit_bias` no")
REFUSED = fault(status=400, code="unsupported_value", param="temperature", message="q: temperature must be 1")
WRONG_KEY = fault(status=401, message="p: Incorrect API key provided: ***")
NO_QUOTA = fault(status=429, code="insufficient_quota", message="p: You exceeded your current quota")
TEMPLATE = fault("unsupported", status=500, code="server_error", message="p: failed to parse tools")


def failure(*errors: UpstreamError, left_out: Sequence[tuple[str, str]] = ()) -> TurnoutError:
    """What a plan over as many targets ends with, when each of them fails so."""

    async def run() -> TurnoutError:
        names = [f"m{i}" for i in range(len(errors))]
        bench = Bench(**{name: Scripted(error) for name, error in zip(names, errors, strict=True)})
        execution = bench.start(*names, attempts=1, left_out=tuple(left_out))
        try:
            with pytest.raises(TurnoutError) as caught:
                await execution.begin()
        finally:
            await execution.aclose()
        return caught.value

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("errors", "code", "param"),
    [
        ([CANNOT], "unsupported_parameter", "logit_bias"),
        ([REFUSED], "unsupported_value", "temperature"),
        ([TEMPLATE], "unsupported_parameter", None),
        ([CANNOT, REFUSED], "unsupported_parameter", "logit_bias"),
        ([REFUSED, CANNOT], "unsupported_value", "temperature"),  # the first cause is not hidden by later ones
        ([TOO_LONG, CANNOT], "unsupported_parameter", "logit_bias"),
        ([TOO_LONG, TOO_LONG], "context_length_exceeded", "messages"),
    ],
)
def test_what_suits_no_model_is_the_callers_to_change(errors: list[UpstreamError], code: str, param: str | None) -> None:
    error = failure(*errors)
    assert isinstance(error, ClientError)
    assert (error.status, error.code, error.param) == (400, code, param)


def test_the_refusal_names_each_model_and_what_it_said() -> None:
    message = failure(CANNOT, REFUSED).message
    assert message == "model 'm0' cannot take this: p: `logit_bias` no; model 'm1' cannot take this: q: temperature must be 1"


@pytest.mark.parametrize("other", [GONE, WRONG_KEY, NO_QUOTA])
def test_with_another_failure_beside_it_the_request_may_be_fine(other: UpstreamError) -> None:
    for errors in ([CANNOT, other], [other, CANNOT]):
        error = failure(*errors)
        assert isinstance(error, AllTargetsFailed)
        assert [cause["message"] for cause in error.causes] == [exc.message for exc in errors]


@pytest.mark.parametrize(
    ("errors", "is_lasting"),
    [
        ([WRONG_KEY], True),
        ([fault(status=404, message="p: no such model")], True),
        ([NO_QUOTA], True),
        ([WRONG_KEY, GONE], False),
        ([GONE], False),
        ([fault(status=503, is_retryable=True)], False),
        ([fault("timeout", status=None, is_retryable=True), WRONG_KEY], False),
    ],
)
def test_whether_asking_again_may_help(errors: list[UpstreamError], is_lasting: bool) -> None:
    error = failure(*errors)
    assert isinstance(error, AllTargetsFailed)
    assert error.is_lasting is is_lasting


def test_a_model_that_was_not_asked_may_answer_next_time() -> None:
    error = failure(WRONG_KEY, left_out=[("other", "its key is not set")])
    assert isinstance(error, AllTargetsFailed) and not error.is_lasting


def test_no_quota_left_is_said_so() -> None:
    error = failure(NO_QUOTA, NO_QUOTA)
    assert isinstance(error, AllTargetsFailed)
    assert (error.status, error.code, error.is_lasting) == (429, "insufficient_quota", True)
    mixed = failure(NO_QUOTA, fault(status=429, is_retryable=True))
    assert isinstance(mixed, AllTargetsFailed) and (mixed.code, mixed.is_lasting) == ("rate_limit_exceeded", False)


SAID = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "provider_errors.jsonl").read_text().splitlines()]


def reaching(said: Mapping[str, Any]) -> tuple[int, str | None]:
    """(status, code) by the table in docs/providers.md; None for the provider's own code."""
    match said["means"], said["status"]:
        case ("quota", 429):
            return 429, "insufficient_quota"
        case ("busy", 429):
            return 429, "rate_limit_exceeded"
        case ("too long", _):
            return 400, "context_length_exceeded"
        case ("unsupported", _):
            return 400, "unsupported_parameter"
        case ("request", status):
            return status, None
    return 502, "all_targets_failed"


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said['provider']}-{said['status']}-{said['means']}-{said['keeps']}")
def test_a_providers_error_reaches_the_caller_as_the_docs_say(said: dict[str, Any]) -> None:
    error = failure(refusal("p", said["status"], said.get("headers", {}), json.dumps(said["body"]).encode()))
    status, code = reaching(said)
    assert said["keeps"] in error.message
    assert status_of(error) == status
    assert code is None or code_of(error).replace("unsupported_value", "unsupported_parameter") == code
    if isinstance(error, AllTargetsFailed):
        assert error.is_lasting is (said["means"] in ("key", "quota"))
        assert error.retry_after_s == (pytest.approx(said["wait_s"], abs=1) if "wait_s" in said else None)
