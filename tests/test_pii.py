"""Personal data in texts: what is found, what is not taken for it, and that no text breaks the search."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.pii
from gateway.pii import PIECE_CHARS, TEXT_CHARS_MAX, find_pii

FOUND = [
    ("email", "write to jane.doe+news@mail.example.co.uk please"),
    ("email", "JOSÉ@EXAMPLE.ORG"),
    ("card", "my card is 4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111, thanks"),
    ("card", "number:4111111111111111."),
    ("card", "378282246310005 is an Amex"),
    ("card", "4111 1111 1111 1111 123 is card and CVV"),
    ("card", "4111 1111 1111 1111 12 26"),
    ("card", "on line 7 4111 1111 1111 1111"),
    ("card", "customer 12345678 4111111111111111"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "IBAN DE89370400440532013000."),
    ("iban", "pay GB29 NWBK 6016 1331 9268 19 today"),
    ("iban", "NO93 8601 1117 947"),
    ("iban", "to BE68 5390 0754 7034 SOON"),
    ("ssn", "SSN 123-45-6789"),
    ("phone", "call +49 170 1234567"),
    ("phone", "call +1 (555) 123-4567"),
    ("phone", "(555) 123-4567"),
    ("phone", "555-123-4567"),
    ("phone", "0170 1234567"),
]
NOTHING = [
    "",
    "What is the capital of France?",
    "@everyone look here",
    "a @ b",
    "it was on 2026-01-15 at 10:30:00",
    "1,234,567,890 people",
    "3.14159265358979323846",
    "0.4111111111111111",
    "1111111111111111",
    "4111 1111 1111 1112",
    "version 10.12.5.1 of 192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000",
    "000-12-3456 and 666-12-3456 and 123-00-4567",
    "12 45 67 89 23 41 67 85 90 11 13 57 24 68 35 79",
    "1999 2001 2003 2005 2007 2009 2011 2013",
    "GB29 NWBK 6016 1331 9268 18",
    "range(100000, 200000)",
]


@pytest.mark.parametrize(("kind", "text"), FOUND, ids=[text for _, text in FOUND])
def test_personal_data_is_found(kind: str, text: str) -> None:
    assert find_pii(text) == kind


@pytest.mark.parametrize("text", NOTHING)
def test_other_things_are_not_taken_for_it(text: str) -> None:
    assert find_pii(text) is None


def test_text_too_long_to_be_read_counts_as_holding_some() -> None:
    assert find_pii("a" * (TEXT_CHARS_MAX + 1)) == "unread"
    assert find_pii("a" * TEXT_CHARS_MAX) is None


def test_many_texts_have_one_bound_together() -> None:
    texts = ["a" * (TEXT_CHARS_MAX // 40)] * 40
    assert find_pii(*texts) is None
    assert find_pii(*texts, "a") == "unread"
    assert find_pii() is None
    assert find_pii("hello", "call +49 170 1234567") == "phone"


@pytest.mark.parametrize(("kind", "datum"), [("email", "jane@x.org"), ("card", "4111 1111 1111 1111"), ("ssn", "123-45-6789")])
@pytest.mark.parametrize("cut", range(-30, 5))
def test_what_lies_over_the_edge_of_a_piece_is_found(kind: str, datum: str, cut: int) -> None:
    assert find_pii("z " * ((PIECE_CHARS + cut) // 2) + datum + " z" * PIECE_CHARS) == kind


def test_piece_that_begins_within_a_number_does_not_begin_one() -> None:
    number = "0.1" + "4111111111111111"
    for before in range(PIECE_CHARS - len(number), PIECE_CHARS + 1):
        assert find_pii(" " * before + number) is None


def luhn_digit(digits: list[int]) -> int:
    doubled = (d * 2 - 9 if d > 4 else d * 2 for d in digits[::-2])
    return -(sum(doubled) + sum(digits[-2::-2])) % 10


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.sampled_from(["", " ", "-"]), st.integers(1, 5))
def test_any_card_number_is_found_however_it_is_grouped(digits: list[int], sign: str, size: int) -> None:
    number = "".join(map(str, [*digits, luhn_digit(digits)]))
    grouped = sign.join(number[i : i + size] for i in range(0, len(number), size))
    if len(set(number)) > 1:
        assert find_pii(f"it is {grouped}, ok?") is not None


@given(st.from_regex(r"[A-Za-z0-9._+-]{1,20}@[a-z0-9]{1,10}\.(com|org|co\.uk)", fullmatch=True))
def test_any_plain_address_is_found(address: str) -> None:
    assert find_pii(f"mail {address} now") == "email"


@given(st.text() | st.text(alphabet=string.digits + " -.()+@AZaz", max_size=300))
def test_any_text_has_a_kind_or_none(text: str) -> None:
    assert find_pii(text) in (None, "email", "card", "iban", "ssn", "phone")


@given(st.lists(st.sampled_from([*(text for _, text in FOUND), *NOTHING, "7", " ", "(", "+", "-", ".", "\n", "٣"])).map("".join))
def test_no_number_stands_where_it_is_not_looked_for(text: str) -> None:
    numbers = (pattern.search(text) for pattern in (gateway.pii._SSN, gateway.pii._PHONE))
    has_card = any(gateway.pii._has_card(found.group()) for found in gateway.pii._DIGITS.finditer(text))
    if has_card or any(numbers):
        assert find_pii(text) is not None


@given(st.text(alphabet=string.ascii_letters + " ,.!?", max_size=200))
def test_words_alone_hold_nothing(text: str) -> None:
    assert find_pii(text) is None


HOSTILE = [
    "a" * 64 + "@",
    "a",
    "a@",
    "a.",
    "4567 ",
    "4170-",
    "AB12 ",
    "1 ",
    "12-",
    "A1 ",
    "123-45-678 ",
    "@1.",
    "+1 (1",
    "(",
    "1.2.3.",
    "٣٤٥٦ ",
    "The fox jumps. ",
]


def cpu_s(*texts: str) -> list[float]:
    """The least of five runs for each, in time of this thread: what else the machine does then hardly counts."""
    times: list[list[float]] = [[] for _ in texts]
    for _ in range(5):
        for text, taken in zip(texts, times, strict=True):
            begun = time.thread_time()
            find_pii(text)
            taken.append(time.thread_time() - begun)
    return [min(taken) for taken in times]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("ending", ["", "@x"])
def test_time_grows_as_the_text_does(unit: str, ending: str) -> None:
    def hostile(chars: int) -> str:
        return (unit * chars)[:chars] + ending

    short, long = cpu_s(hostile(2_000), hostile(32_000))
    assert long < 32 * short + 0.002, "sixteen times the text; a square would be 64, as the pieces are of 8,000"
    assert long < 0.07, "2 µs a character; the slowest takes 0.6"


@pytest.mark.parametrize("unit", ["a" * 64, "a.", "12-", "4567-"])
def test_one_at_sign_does_not_make_prose_slow(unit: str) -> None:
    """Each character before it used to begin an address of up to 64 characters, in vain: 0.6 to 0.9 µs a character."""
    text = (unit * 32_000)[:32_000]
    with_sign, without = cpu_s(text + " @", text)
    assert with_sign < 2 * without + 0.003
