"""`turnout cache score` and `turnout cache train`, as a user runs them, on made-up pairs."""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from classifiers.pairs.verifier import Verifier
from gateway.cli import cache_score, cache_train
from gateway.errors import ConfigError, UsageError

PAIRS = [
    {"id": "one", "text_a": "How do I prune a fig tree?", "text_b": "how do i prune a fig tree", "label": 1},
    {"id": 2, "text_a": "How do I prune a fig tree?", "text_b": "How do I prune a plum tree?", "label": 0},
    {"text_a": "Lone \ud800 half", "text_b": "", "label": 0},
]


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    subcommands = parser.add_subparsers(required=True)
    cache_score.add(subcommands)
    cache_train.add(subcommands)
    args = parser.parse_args([str(word) for word in words])
    status: int = args.run(args)
    return status


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    return [json.loads(line) for line in lines]


def own_pairs(count: int = 60) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i in range(count):
        thing = ("kettle", "heater", "lamp", "fridge", "mixer")[i % 5]
        rows.append({"text_a": f"How do I reset {thing} {i}?", "text_b": f"how do I reset the {thing} {i}", "label": 1})
        rows.append({"text_a": f"How do I reset {thing} {i}?", "text_b": f"How do I reset {thing} {i + 1}?", "label": 0})
    return rows


@pytest.mark.parametrize("names", [("pairs.jsonl", "scores.jsonl"), ("pairs.jsonl.gz", "scores.jsonl.gz")])
def test_each_pair_is_scored_in_its_place(tmp_path: Path, names: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    pairs, scores = write(tmp_path / names[0], PAIRS), tmp_path / names[1]
    assert run("score", "--pairs", pairs, "--scores", scores) == 0
    rows = read(scores)
    assert [row["id"] for row in rows] == ["one", 2, 3]
    assert [row["hit"] for row in rows] == [True, False, False]
    assert all(set(row) == {"id", "cosine", "score", "hit"} and 0 <= row["score"] <= 1 for row in rows)
    assert rows[0]["cosine"] > 0.8 > abs(rows[2]["cosine"])
    assert "scored 3 pairs" in capsys.readouterr().out
    first = scores.read_bytes()
    assert run("score", "--pairs", pairs, "--scores", scores) == 0
    assert scores.read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_smaller_budget_hits_no_more(tmp_path: Path) -> None:
    pairs, hits = write(tmp_path / "pairs.jsonl", own_pairs()), []
    for budget in ("0.00001", "0.01", "0.05", "0.5"):
        assert run("score", "--pairs", pairs, "--scores", tmp_path / "out", "--false-hit-budget", budget) == 0
        hits.append(sum(row["hit"] for row in read(tmp_path / "out")))
    assert hits == sorted(hits)
    assert hits[0] == 0 < hits[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        ('{"text_a": "x", "text_b": "y"}\n[1]\n', ":2: a JSON object is expected, not list"),
        ('\n{"text_a": "x", "text_b": "y"}\nhello\n', ":3: not JSON"),
        (
            '{"text_a": "x", "text_b": "y"}\n{"id": 1, "text_a": "x"}\n',
            ":2: `text_b` is missing or no text; keys there: id, text_a",
        ),
        ('{"text_a": 3, "text_b": "y"}\n', ":1: `text_a` is missing or no text"),
    ],
)
def test_a_file_that_cannot_be_scored_is_told_and_nothing_written(tmp_path: Path, content: str | None, words: str) -> None:
    pairs = tmp_path / "pairs.jsonl"
    if content is not None:
        pairs.write_text(content, "utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=words):
        run("score", "--pairs", pairs, "--scores", tmp_path / "scores.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == before


def test_scores_never_write_over_the_pairs(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", PAIRS)
    (tmp_path / "link").symlink_to(pairs)
    for out in (pairs, tmp_path / "link"):
        with pytest.raises(UsageError, match="the file of the pairs"):
            run("score", "--pairs", pairs, "--scores", out)
    with pytest.raises(UsageError, match="a directory is there"):
        run("score", "--pairs", pairs, "--scores", tmp_path)
    with pytest.raises(ConfigError, match=r"cannot write .*nowhere/scores: No such file"):
        run("score", "--pairs", pairs, "--scores", tmp_path / "nowhere" / "scores")
    assert read(pairs) == PAIRS


@pytest.mark.parametrize("budget", ["0", "1", "-0.1", "nan", "much"])
def test_a_budget_is_a_share(budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("score", "--pairs", "x", "--scores", "y", "--false-hit-budget", budget)
    assert "is not a share" in capsys.readouterr().err


def test_a_verifier_is_fitted_and_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write(tmp_path / "own.jsonl.gz", own_pairs())
    assert run("train", "--pairs", pairs, "--out", tmp_path / "mine") == 0
    told = capsys.readouterr().out
    assert "120 pairs, 60 the same question" in told
    assert "before" in told
    assert "after" in told
    mine = Verifier.load(tmp_path / "mine")
    assert mine.name.startswith("mine-")
    assert "own_pairs" in (tmp_path / "mine" / "card.json").read_text("utf-8")
    assert run("score", "--pairs", pairs, "--scores", tmp_path / "out", "--verifier", tmp_path / "mine") == 0
    assert len(read(tmp_path / "out")) == 120
    assert run("train", "--pairs", pairs, "--out", tmp_path / "again", "--base", tmp_path / "mine") == 0


def test_pairs_that_cannot_be_learned_from_are_told(tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl", own_pairs(5))
    with pytest.raises(ConfigError, match="give 40 or more"):
        run("train", "--pairs", few, "--out", tmp_path / "mine")
    odd = write(tmp_path / "odd.jsonl", [{**PAIRS[0], "label": "yes"}])
    with pytest.raises(ConfigError, match=r"odd\.jsonl:1: `label` is 'yes'"):
        run("train", "--pairs", odd, "--out", tmp_path / "mine")
    with pytest.raises(ConfigError, match="no rows of the split 'dev'"):
        run("train", "--pairs", few, "--split", "dev", "--out", tmp_path / "mine")
    with pytest.raises(UsageError, match="a file is there"):
        run("train", "--pairs", few, "--out", few)
    with pytest.raises(ConfigError, match="there is no such folder; make a verifier with `turnout cache train`"):
        run(
            "train",
            "--pairs",
            write(tmp_path / "own.jsonl", own_pairs()),
            "--out",
            tmp_path / "mine",
            "--base",
            tmp_path / "none",
        )
    assert not (tmp_path / "mine").exists()
