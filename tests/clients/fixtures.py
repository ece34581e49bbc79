"""What every client test is given: the scripted upstream, and a gateway in front of it. One of each for a whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.processes import Upstream, running_gateway, running_upstream
from tests.clients.python.policy import policy


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def gateway(_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gateway's address."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), policy(_upstream.url)) as url:
        yield url


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """It has forgotten what other tests asked."""
    _upstream.forget()
    return _upstream
