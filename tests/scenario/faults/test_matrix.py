"""Every fault on every path: what the caller sees, what the ledger has, how long it takes, and that nothing is left open."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.scenario.faults.cells import bounds_s, cells, story
from tests.scenario.faults.playing import Seen, play

CELLS = {cell.id: cell for cell in cells()}

pytestmark = [
    pytest.mark.timeout(420),  # the first test plays all of them
    # litellm's modules and models emit these on import and on use; nothing of ours is filtered.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    pytest.mark.filterwarnings("ignore:Item .* is using the `ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning:httpx"),
]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Seen], int]:
    """What came of each cell that a test was chosen for, and the handshakes left open."""
    asked = [item.callspec.params.get("id_") for item in request.session.items if hasattr(item, "callspec")]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "*")  # an unknown name must not be looked up by a proxy
        return play([CELLS[id_] for id_ in asked if id_ in CELLS], tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("id_", CELLS)
def test_cell(id_: str, played: tuple[Mapping[str, Seen], int]) -> None:
    cell, seen = CELLS[id_], played[0][id_]
    assert seen.story == story(cell)
    at_least_s, at_most_s = bounds_s(cell)
    assert at_least_s <= seen.took_s <= at_most_s
    assert not seen.open, "the provider's connection was left open"
    assert not seen.miscounted


def test_no_handshake_is_left_open(played: tuple[Mapping[str, Seen], int]) -> None:
    assert played[1] == 0
