"""The scripted vendors say what the vendors' own SDKs understand: asked straight, without the gateway, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.clients.pairing.callers.base import Caller, CallerName
from tests.clients.pairing.callers.chat import ChatCaller
from tests.clients.pairing.callers.messages import MessagesCaller
from tests.clients.pairing.callers.responses import ResponsesCaller
from tests.clients.pairing.feature import MODES, SAME, Feature, Mode, Unsaid
from tests.clients.pairing.features.matrix import FEATURES
from tests.clients.pairing.request_types import strangers
from tests.clients.pairing.says import Says, expected
from tests.clients.pairing.stage import Vendors

ASKED = [
    (feature, caller, mode)
    for feature in FEATURES
    for caller in SAME
    for mode in MODES
    if not isinstance(feature.asks[caller], Unsaid) and not feature.fails and len(feature.says) == 1
]


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors() as made:
        yield made


@pytest.fixture(scope="module")
def callers(vendors: Vendors) -> Iterator[Mapping[CallerName, Caller]]:
    made: dict[CallerName, Caller] = {
        "chat": ChatCaller(vendors.base_url("chat")),
        "messages": MessagesCaller(vendors.base_url("anthropic")),
        "responses": ResponsesCaller(vendors.base_url("responses")),
    }
    yield made
    for caller in made.values():
        caller.close()


@pytest.mark.parametrize(("feature", "caller", "mode"), ASKED, ids=lambda value: getattr(value, "name", value))
def test_sdk_hears_of_its_vendor_all_that_is_said(
    vendors: Vendors, callers: Mapping[CallerName, Caller], feature: Feature, caller: CallerName, mode: Mode
) -> None:
    vendors.play(feature.says)
    asked = feature.asks[caller]
    assert not isinstance(asked, Unsaid)
    answer = callers[caller].ask({"model": "model-1", **asked}, is_stream=mode == "stream")
    (said,) = feature.says
    assert isinstance(said, Says)
    assert answer.heard == expected(said)
    ((_, body),) = vendors.asked
    typed = {name: value for name, value in body.items() if name not in asked.get("extra_body", {})}
    # In chat, `cache_control` is OpenRouter's and litellm's word.
    assert [problem for problem in strangers(SAME[caller], typed) if ".cache_control " not in problem] == []
