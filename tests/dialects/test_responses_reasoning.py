"""Reasoning sealed in Responses items: it comes back as it was, in pieces or not."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.responses_delta import Delta
from gateway.dialects.responses_fields import ReasoningItem
from gateway.dialects.responses_items import Output
from gateway.dialects.responses_reasoning import is_ours, unsealed
from gateway.dialects.sealed_reasoning import Sealed, merged, seal

Json = dict[str, Any]
BLOCKS = st.lists(
    st.dictionaries(st.text(max_size=4), st.text() | st.integers(-(2**53), 2**53) | st.none(), max_size=3), max_size=3
)


@given(BLOCKS, BLOCKS)
def test_what_is_sealed_comes_back(blocks: list[Json], details: list[Json]) -> None:
    content = seal(Sealed(blocks, details))
    assert is_ours({"encrypted_content": content})
    assert unsealed(ReasoningItem("reasoning", encrypted_content=content), "input[0]") == Sealed(blocks, details)


def test_details_that_are_streamed_in_pieces_are_one() -> None:
    pieces: list[Json] = [
        {"type": "reasoning.text", "index": 0, "text": "let me ", "signature": None},
        {"type": "reasoning.text", "index": 0, "text": "see", "signature": None},
        {"type": "reasoning.text", "index": 0, "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 0, "id": "a", "data": "x"},
        {"type": "reasoning.encrypted", "index": 0, "id": "b", "data": "y"},
        {"type": "reasoning.summary", "summary": "z"},
        {"type": "reasoning.summary", "summary": "z"},
    ]
    details: list[Json] = []
    for piece in pieces:
        details = merged(details, piece)
    assert details == [
        {"type": "reasoning.text", "index": 0, "text": "let me see", "signature": "c2ln"},
        {"type": "reasoning.encrypted", "index": 0, "id": "a", "data": "x"},
        {"type": "reasoning.encrypted", "index": 0, "id": "b", "data": "y"},
        {"type": "reasoning.summary", "summary": "z"},
        {"type": "reasoning.summary", "summary": "z"},
    ]


def test_signed_blocks_are_sealed_without_the_index_that_a_stream_gives_them() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    output = Output(has_logprobs=False)
    unsigned = {"type": "thinking", "thinking": "", "signature": ""}
    output.grow(Delta(thinking_blocks=[{**block, "index": 0}, unsigned]), [])
    output.close()
    [item] = output.items
    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert unsealed(ReasoningItem("reasoning", encrypted_content=item["encrypted_content"]), "").thinking_blocks == [block]


def test_very_many_details_take_no_longer_each_than_a_few() -> None:
    started, details = time.process_time(), list[Json]()
    for index in range(30_000):
        details = merged(details, {"type": "reasoning.encrypted", "index": index, "data": "x"})
    details = merged(details, {"type": "reasoning.encrypted", "index": 29_999, "data": "y"})
    assert (len(details), details[-1]["data"]) == (30_000, "xy")
    assert time.process_time() - started < 5, "it was 40 s when each was compared with all before it"
