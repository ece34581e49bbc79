"""The models that a caller may name, in the shape that its client expects."""

from __future__ import annotations

import pytest

from gateway.edge.models import anthropic_page
from gateway.errors import ClientError

NAMES = ["auto", "a", "b", "c", "d"]


def test_pages_forwards_and_back() -> None:
    first = anthropic_page(NAMES, {"limit": "2"})
    assert ([m["id"] for m in first["data"]], first["has_more"], first["first_id"], first["last_id"]) == (
        ["auto", "a"], True, "auto", "a",
    )  # fmt: skip
    second = anthropic_page(NAMES, {"limit": "3", "after_id": first["last_id"]})
    assert ([m["id"] for m in second["data"]], second["has_more"]) == (["b", "c", "d"], False)
    back = anthropic_page(NAMES, {"limit": "2", "before_id": "d"})
    assert ([m["id"] for m in back["data"]], back["has_more"]) == (["b", "c"], True)
    assert anthropic_page([], {}) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"limit": "1001"}, "limit"), ({"after_id": "z"}, "after_id")],
)
def test_a_page_that_is_none(query: dict[str, str], param: str) -> None:
    with pytest.raises(ClientError) as refused:
        anthropic_page(NAMES, query)
    assert refused.value.param == param
