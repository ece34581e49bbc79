"""An entry as others see it."""

from __future__ import annotations

import msgspec

from gateway.ledger.base import Entry, Feedback, as_fields
from gateway.usage import Usage
from tests.ledger.entries import answered


def test_all_fields_are_shown_though_its_own_json_leaves_out_what_is_as_usual() -> None:
    entry = answered("r-1", "r", "m", 7, tags={"app": "a"}, feedback=[Feedback("r-1", 1.0, -1.0)])
    shown, said = as_fields(entry), msgspec.json.decode(msgspec.json.encode(entry))
    assert list(shown) == list(Entry.__struct_fields__)
    assert (shown["tags"], shown["session"], shown["status"]) == ({"app": "a"}, None, 200)
    assert list(shown["usage"]) == list(shown["attempts"][0]["usage"]) == list(Usage.__struct_fields__)
    assert shown["feedback"][0]["tags"] == []
    assert {"session", "status", "verdict"}.isdisjoint(said)
    assert msgspec.json.decode(msgspec.json.encode(shown), type=Entry) == entry == msgspec.convert(said, Entry)
