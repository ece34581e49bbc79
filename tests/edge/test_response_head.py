"""The header lines of an answer, whatever is said in them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.edge.response_head import header_lines

names = st.sampled_from(["x-turnout-route", "retry-after", "age"])


@given(st.lists(st.tuples(names, st.text())))
@example([])
@example([("age", "a\r\nb: c")])
@example([("age", "a\r"), ("age", "\nb")])
@example([("age", "caf\xe9"), ("age", "\ud800")])
@example([("age", "\x1f")])
@example([("age", "~ \x7f")])
def test_each_header_is_a_line_and_what_is_not_plain_is_replaced(headers: list[tuple[str, str]]) -> None:
    lines = [f"{name}: {''.join([c if ' ' <= c <= '~' else '?' for c in value])}\r\n" for name, value in headers]
    assert header_lines(headers) == "".join(lines).encode()
