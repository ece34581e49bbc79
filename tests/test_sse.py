"""Server-sent events out of bytes: the same events however the network cuts them, whatever ends the lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import EVENT_BYTES_MAX, EventParser, EventTooLong, event_data, event_name, line_event
from tests.scripted_server import split

BOM = b"\xef\xbb\xbf"


def parsed(*chunks: bytes) -> list[tuple[str, bytes]]:
    """(name, data) of every event with data."""
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [(event_name(event), data) for event in events if (data := event_data(event)) is not None]


def by_the_standard(text: bytes) -> list[tuple[str, bytes]]:
    """The algorithm of the WHATWG standard, 9.2.6, line by line; slow and plain."""
    events, name, data = [], "", []
    for line in text.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                events.append((name or "message", b"\n".join(data)))
            name, data = "", []
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return events


LINES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data:  c",
        b"data",
        b"data:",
        b"",
        b"",
        b": comment",
        b"event: error",
        b"event",
        b"id: 7",
        b"datax: d",
        b"data: caf\xc3\xa9 \xf0\x9f\x98\x80",
        b'data: {"a": "b:c"}',
        b"retry: 5",
        b" data: e",
        b"data: \x0b\x0c\x1c",
    ]
)
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=25).map(b"".join)
CUTS = st.lists(st.integers(0, 300), max_size=12)


@given(STREAMS, CUTS, st.booleans())
def test_any_chunking_gives_the_events_of_the_standard(stream: bytes, cuts: list[int], has_mark: bool) -> None:
    # The comment shows whether a CR at the end was a line end of its own.
    whole = (BOM if has_mark else b"") + stream + b": end\n"
    assert parsed(*split(whole, cuts)) == by_the_standard(whole)


@given(STREAMS)
def test_one_byte_at_a_time_gives_the_same(stream: bytes) -> None:
    whole = BOM + stream + b": end\n"
    assert parsed(*(whole[i : i + 1] for i in range(len(whole)))) == by_the_standard(whole)


@given(STREAMS, CUTS)
def test_no_byte_is_lost_or_made(stream: bytes, cuts: list[int]) -> None:
    parser = EventParser()
    events = [event for chunk in split(stream, cuts) for event in parser.feed(chunk)]
    assert b"".join(events) + parser.rest == stream


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_events_or_a_rest(stream: bytes, cuts: list[int]) -> None:
    for name, data in parsed(*split(stream, cuts)):
        assert isinstance(name, str)
        assert isinstance(data, bytes)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_ends_lines(end: bytes) -> None:
    text = end.join([b"event: x", b"data: a", b"data: b", b"", b": ping", b"", b"data: c", b"", b""])
    assert parsed(text + b"d") == [("x", b"a\nb"), ("message", b"c")]


def test_carriage_return_at_the_end_waits_for_its_line_feed() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\n\r") == []
    assert parser.feed(b"\ndata: b\n\n") == [b"data: a\r\n\r\n", b"data: b\n\n"]


@pytest.mark.parametrize("chunks", [[BOM + b"data: a\n\n"], [BOM[:1], BOM[1:] + b"data: a\n\n"], [BOM, b"data: a\n\n"]])
def test_byte_order_mark_is_taken_off_however_it_is_cut(chunks: list[bytes]) -> None:
    assert parsed(*chunks) == [("message", b"a")]


def test_only_the_first_byte_order_mark_is_one() -> None:
    assert parsed(b"data: a\n\n", BOM + b"data: b\n\n") == [("message", b"a")]


def test_comments_and_other_fields_hold_no_data() -> None:
    assert event_data(b": ping\n\n") is None
    assert event_data(b"event: x\nid: 1\n\n") is None
    assert event_data(b"data:\n\n") == b""


def test_one_space_after_the_colon_is_not_data() -> None:
    assert [event_data(e) for e in (b"data: a\n\n", b"data:a\n\n", b"data:  a\n\n")] == [b"a", b"a", b" a"]


def test_a_blank_line_too_many_is_not_lost() -> None:
    parser = EventParser()
    assert b"".join(parser.feed(b"data: 1\n\ndata: 2\n\n\n")) + parser.rest == b"data: 1\n\ndata: 2\n\n\n"
    assert [event_data(event) for event in parser.feed(b"data: 3\n\n")] == [b"3"]


def test_event_never_ended_stays_a_rest() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\n\ndata: b\n") == [b"data: a\n\n"]
    assert parser.rest == b"data: b\n"


def test_event_that_is_too_long_is_refused() -> None:
    parser = EventParser()
    piece = b"x" * (1024 * 1024)
    with pytest.raises(EventTooLong):
        for _ in range(EVENT_BYTES_MAX // len(piece) + 1):
            parser.feed(piece)


def test_many_events_may_be_longer_together() -> None:
    parser = EventParser()
    event = b"data: " + b"x" * (1024 * 1024) + b"\n\n"
    assert sum(len(parser.feed(event * 2)) for _ in range(10)) == 20


@given(
    st.lists(
        st.sampled_from([b"data: ", b"data:", b"{}", b"\n", b"\n\n", b"\r", b"\r\n", b": ping", b"event: error", b"x"]),
        max_size=8,
    )
)
def test_what_is_told_to_be_lines_is_what_feeding_it_gives(parts: list[bytes]) -> None:
    chunk = b"".join(parts)
    parser, other = EventParser(), EventParser()
    for each in (parser, other):
        each.feed(b"data: first\n\n")
    if (lines := parser.lines(chunk)) is not None:
        assert line_event(*lines) == chunk
        assert [event_data(event) for event in other.feed(chunk)] == lines and not other.rest


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"data: a",
        b"data: a\n\ndata: b\n",
        b"data: a\ndata: b\n\n",
        b"data: a\nid: 1\n\ndata: b\n\n",
        b"data: a\n\n: ping\n\n",
        b"data: a\n\n\n\n",
        b"data: a\r\n\r\n",
        b"data: a\r\n\n",
        BOM + b"data: a\n\n",
    ],
)
def test_anything_but_whole_events_of_one_line_is_to_be_fed(chunk: bytes) -> None:
    assert EventParser().lines(chunk) is None


def test_events_of_one_line_are_read_together_unless_part_of_another_waits() -> None:
    parser = EventParser()
    assert parser.lines(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]
    assert parser.feed(BOM + b"data: c\n\ndata: d") == [BOM + b"data: c\n\n"], "a byte order mark comes first"
    assert parser.lines(b"data: e\n\n") is None
    assert parser.feed(b"\n\n") == [b"data: d\n\n"]
    assert parser.lines(b"data: f\n\n") == [b"f"]
