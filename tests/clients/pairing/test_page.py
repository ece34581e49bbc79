"""docs/compatibility.md is what the matrix says."""

from __future__ import annotations

from tools.compatibility import PAGE, page


def test_the_page_is_what_the_matrix_has() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tools.compatibility`"
