"""What Anthropic would refuse in a conversation that models of other providers have taken part in. Bytes to bytes, no I/O."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.dialects.fields import Raw, RawObject
from gateway.dialects.sealed_reasoning import is_sealed
from gateway.tool_ids import anthropic_tool_id

_IDS: Final = {"tool_use": "id", "tool_result": "tool_use_id"}

_decode_body = msgspec.json.Decoder(RawObject).decode
_decode_turns = msgspec.json.Decoder(list[RawObject]).decode
_decode_content = msgspec.json.Decoder(str | list[RawObject]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_text_or_none = msgspec.json.Decoder(str | None).decode


def mended(body: bytes) -> bytes:
    """The request as Anthropic takes it: without thinking that it has not signed, and with ids of calls in its alphabet.

    body: one that has been read. A message of which nothing is left goes with it. All else keeps its bytes.
    """
    fields = _decode_body(body)
    turns = []
    for turn in _decode_turns(fields["messages"]):
        content = _decode_content(turn["content"])
        if isinstance(content, str):
            turns.append(turn)
        elif blocks := [mended_block for block in content if (mended_block := _block(block)) is not None]:
            turns.append({**turn, "content": Raw(msgspec.json.encode(blocks))})
    fields["messages"] = Raw(msgspec.json.encode(turns))
    return msgspec.json.encode(fields)


def _block(block: RawObject) -> RawObject | None:
    kind = _decode_text(block["type"])
    if kind == "thinking":
        signature = _decode_text_or_none(block.get("signature", Raw(b"null"))) or ""
        return block if signature and not is_sealed(signature) else None
    name = _IDS.get(kind)
    if name is None:
        return block
    return {**block, name: Raw(msgspec.json.encode(anthropic_tool_id(_decode_text(block[name]))))}
