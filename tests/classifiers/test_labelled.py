"""Labelled rows out of files: every mistake is named with file and line."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import DataError
from classifiers.labelled import fingerprint, read_graded, read_intents

GRADED = [
    {"prompt": "2+2?", "q": {"small": 1, "strong": 1.0}, "id": "a", "split": "train", "subject": "sums"},
    {"prompt": "Prove it.", "q": {"small": 0, "strong": 0.5, "third": 0.25}, "split": "dev", "other": [1]},
]


def write(path, rows, packed=False):
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows"])
def test_plain_and_packed_files_read_alike_whatever_they_are_called(tmp_path, name):
    rows = read_graded([write(tmp_path / name, [*GRADED, ""], packed=name.endswith("gz"))])
    assert [(row.prompt, dict(row.q), row.id, row.topic, row.split) for row in rows] == [
        ("2+2?", {"small": 1.0, "strong": 1.0}, "a", "sums", "train"),
        ("Prove it.", {"small": 0.0, "strong": 0.5, "third": 0.25}, f"{name}:2", "", "dev"),
    ]
    assert rows[1].at.endswith(f"{name}:2")


def test_a_byte_order_mark_and_windows_line_ends_are_read_over(tmp_path):
    path = write(tmp_path / "rows.jsonl", GRADED)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [row.prompt for row in read_graded([path])] == ["2+2?", "Prove it."]


def test_a_null_is_a_grade_or_an_id_that_is_missing(tmp_path):
    (row,) = read_graded([write(tmp_path / "rows.jsonl", [{"prompt": "x", "q": {"a": 1, "b": None}, "id": None}])])
    assert (dict(row.q), row.id) == ({"a": 1.0}, "rows.jsonl:1")


def test_an_id_stays_what_it_is_in_the_file(tmp_path):
    rows = read_graded([write(tmp_path / "rows.jsonl", [{**GRADED[0], "id": given} for given in (7, "7", [7])])])
    assert [row.id for row in rows] == [7, "7", "[7]"]


def test_a_split_picks_its_rows_and_an_unknown_one_names_those_there(tmp_path):
    path = write(tmp_path / "rows.jsonl", GRADED)
    assert [row.prompt for row in read_graded([path], "dev")] == ["Prove it."]
    with pytest.raises(DataError, match="no rows of the split 'test'; splits there: dev, train"):
        read_graded([path], "test")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "rows.jsonl:2: not JSON"),
        ("[" * 100_000, "rows.jsonl:2: not JSON"),
        ("[1]", "rows.jsonl:2: a JSON object is expected, not list"),
        ({"q": {"a": 1}}, "rows.jsonl:2: `prompt` is missing"),
        ({"prompt": None, "q": {"a": 1}}, "rows.jsonl:2: `prompt` is missing"),
        ({"prompt": "x"}, "rows.jsonl:2: `q` is missing"),
        ({"prompt": "x", "q": {"a": 1.5}}, r"rows.jsonl:2: q\['a'\] is 1.5"),
        ({"prompt": "x", "q": {"a": True}}, r"q\['a'\] is True"),
        ('{"prompt": "x", "q": {"a": NaN}}', r"q\['a'\] is nan"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        read_graded([write(tmp_path / "rows.jsonl", [GRADED[0], row])])


@pytest.mark.parametrize("row", [{"text": "hi"}, {"text": "hi", "intent": ""}, {"text": "hi", "intent": 3}])
def test_an_intent_is_a_name(tmp_path, row):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: `intent`"):
        read_intents([write(tmp_path / "rows.jsonl", [row])])


def test_a_file_that_is_not_there_empty_cut_or_not_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.jsonl: No such file"):
        read_graded([tmp_path / "nothing.jsonl"])
    with pytest.raises(DataError, match="no rows"):
        read_graded([write(tmp_path / "empty.jsonl", [])])
    packed = gzip.compress(json.dumps(GRADED[0]).encode() * 50)
    (tmp_path / "cut.gz").write_bytes(packed[:-12])
    with pytest.raises(DataError, match=r"cut\.gz"):
        read_graded([tmp_path / "cut.gz"])
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(DataError, match=r"latin\.jsonl"):
        read_graded([tmp_path / "latin.jsonl"])


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_case_and_white_space_do_not_change_a_fingerprint(text):
    assert 0 <= fingerprint(text) < 2**64
    assert fingerprint(f"  {text}\n") == fingerprint(text)


def test_other_words_have_another_fingerprint():
    assert fingerprint("Is 7 prime?") == fingerprint("is  7 PRIME?") != fingerprint("Is 9 prime?")
