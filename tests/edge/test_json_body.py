"""What is said of a body that is not what it should be."""

from __future__ import annotations

import msgspec
import pytest

from gateway.edge.json_body import read_json
from gateway.errors import ClientError


class Given(msgspec.Struct):
    """What is decoded here."""

    model: str
    many: list[int] = []


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the body is empty; send a JSON object with `model`", None),
        (b" \r\n\t", "the body is empty; send a JSON object with `model`", None),
        (b"{", "the body is not valid JSON: Input data was truncated", None),
        (b"\xc3\xa9 \xff", "the body is not UTF-8 (byte 3); encode it so", None),
        (b"[]", "Expected `object`, got `array`", None),
        (b"{}", "`model` is missing", "model"),
        (b'{"model": "x", "many": [1, "2"]}', "`many[1]`: Expected `int`, got `str`", "many[1]"),
        (b'{"model": "x", "else": "\xff"}', "the body is not UTF-8 (byte 24); encode it so", None),
    ],
)
def test_the_fault_is_named(body: bytes, message: str, param: str | None) -> None:
    with pytest.raises(ClientError) as caught:
        read_json(body, msgspec.json.Decoder(Given).decode, "`model`")
    assert (caught.value.message, caught.value.param) == (message, param)


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ClientError, match="nested too deeply"):
        read_json(b"[" * 100_000, msgspec.json.decode, "`model`")


def test_what_is_right_is_read() -> None:
    assert read_json(b' {"model": "x"}\n', msgspec.json.Decoder(Given).decode, "`model`") == Given("x")
