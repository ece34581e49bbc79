"""Whether a provider says no to a parameter, or to something else."""

import pytest

from gateway.cascade.refused import refuses
from gateway.errors import UpstreamError


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        (UpstreamError("x: logprobs are not supported with this model", fault="status", status=400), True),
        (UpstreamError("x: unsupported parameter", fault="status", status=400, param="top_logprobs"), True),
        (UpstreamError("x: `logprobs` is not carried", fault="unsupported"), True),
        (UpstreamError("x: bad temperature", fault="status", status=400, param="temperature"), False),
        (UpstreamError("x: busy, logprobs or not", fault="status", status=503), False),
    ],
)
def test_a_refusal_of_the_parameter_is_told_from_others(error: UpstreamError, is_refused: bool) -> None:
    assert refuses(error, "logprobs") is is_refused
