"""One gateway for all that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.bad_input import world
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream


@dataclass(frozen=True)
class World:
    """A gateway, and the provider behind it."""

    gateway: LiveGateway
    provider: Upstream


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        world.provider() as provider,
        LiveGateway(tmp_path_factory.mktemp("bad-input"), world.policy(provider.url), admin_key=world.ADMIN_KEY) as gateway,
    ):
        yield World(gateway, provider)
        assert gateway.chat("still there?").status_code == 200
