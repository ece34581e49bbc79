"""What must survive any pairing: every feature, asked for by every SDK, of every provider, streamed and not.

A cell has the verdict that is declared beside its feature, and the test finds it true (playing.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.pairing.callers.base import CALLERS, CallerName
from tests.clients.pairing.feature import SAME, Cell, Feature, LeftOut, Refused, Unsaid, saying
from tests.clients.pairing.features.matrix import CELLS, FEATURES
from tests.clients.pairing.playing import check
from tests.clients.pairing.request_types import arguments, strangers
from tests.clients.pairing.says import Says, expected
from tests.clients.pairing.stage import Stage

pytestmark = [
    # litellm's modules and models emit these on import and on use; nothing of ours is filtered.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning:httpx"),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("pairing"), CELLS) as made:
        yield made


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_pairing(stage: Stage, cell: Cell) -> None:
    check(stage, cell)


REFUSED = [cell for cell in CELLS if isinstance(cell.verdict, Refused)]


@pytest.mark.parametrize("cell", REFUSED, ids=lambda cell: cell.id)
def test_route_goes_on_to_a_model_that_can_do_what_the_first_cannot(stage: Stage, cell: Cell) -> None:
    stage.vendors.play(cell.feature.says)
    answer = stage.callers[cell.caller].ask({"model": stage.route(cell), **cell.asked}, is_stream=cell.mode == "stream")
    assert [vendor for vendor, _ in stage.vendors.asked] == [SAME[cell.caller]]
    (said,) = cell.feature.says
    assert isinstance(said, Says)
    assert answer.heard == expected(said)


UNSAID = [(feature, caller) for feature in FEATURES for caller in CALLERS if isinstance(feature.asks[caller], Unsaid)]


@pytest.mark.parametrize(("feature", "caller"), UNSAID, ids=lambda value: getattr(value, "name", value))
def test_sdk_has_no_word_for_the_feature(feature: Feature, caller: CallerName) -> None:
    unsaid = feature.asks[caller]
    assert isinstance(unsaid, Unsaid)
    if isinstance(unsaid.missing, str):
        assert unsaid.missing not in arguments(SAME[caller])
    else:
        assert strangers(SAME[caller], {"model": "any", **unsaid.missing}) != []


def test_every_feature_that_is_asked_for_says_what_must_arrive() -> None:
    """No cell is without a claim on what the provider gets, but for those whose matter is the answer to a plain question."""
    plain = saying()
    for cell in CELLS:
        is_claimed = SAME[cell.caller] == cell.provider or cell.provider in cell.feature.sent
        is_claimed |= isinstance(cell.verdict, Refused) or (isinstance(cell.verdict, LeftOut) and bool(cell.verdict.lost))
        assert is_claimed or cell.asked == plain[cell.caller], cell.id


def test_every_declaration_is_of_a_pair_that_there_is() -> None:
    for feature in FEATURES:
        for caller, provider, *_ in feature.but:
            assert caller == "any" or not isinstance(feature.asks[caller], Unsaid), f"{feature.name}: {caller} cannot ask for it"
            assert provider in (*feature.spoken, "any"), f"{feature.name}: {provider} cannot answer so"
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
