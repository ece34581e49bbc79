"""`turnout train`, `evaluate` and `calibrate`, as a user runs them, on made-up rows."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.main import main
from tests.graded_rows import graded, intents, write

pytestmark = pytest.mark.timeout(120)  # trains
PAIR = ("--weak", "tiny", "--strong", "large")
POLICY = """version: 1
providers: {near: {kind: fake}}
models:
  tiny: {provider: near, id: t, price: {input: 1, output: 1}}
  large: {provider: near, id: l, price: {input: 10, output: 10}}
  machine: {provider: near, id: m, gpu: {usd_per_hour: 1}}
classifier: {artifact: ARTIFACT}  # ours
routes:
  - {name: hard, when: {class: strong}, model: large}
  - {name: rest, model: tiny}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With data, and an artifact of each kind."""
    path = tmp_path_factory.mktemp("classifier")
    write(path / "graded.jsonl.gz", graded(480))
    write(path / "intents.jsonl", intents(400))
    assert main(["train", "--data", str(path / "graded.jsonl.gz"), "--split", "train", *PAIR, "--out", str(path / "mine")]) == 0
    given = ["--task", "intent", "--data", str(path / "intents.jsonl"), "--split", "train", "--out", str(path / "wants")]
    assert main(["train", *given]) == 0
    (path / "policy.yaml").write_text(POLICY.replace("ARTIFACT", "./mine"), "utf-8")
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as exc:  # argparse
            status = int(str(exc.code))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_an_artifact_is_measured_on_rows_it_has_not_seen_with_intervals(folder: Path, run: Any) -> None:
    status, out, _ = run("evaluate", folder / "mine", "--data", folder / "graded.jsonl.gz", *PAIR, "--json")
    report = json.loads(out)
    assert status == 0
    # The whole file is given; what was trained on is known and left out.
    assert (report["rows"], report["seen_in_training"]) == (120, 360)
    apgr = report["metrics"]["apgr"]
    assert apgr["interval"][0] < apgr["value"] < apgr["interval"][1]
    assert apgr["value"] > 0.7 > report["beside"]["random"]["apgr"]["value"] == pytest.approx(0.5)
    assert report["beside"]["oracle"]["apgr"]["value"] >= apgr["value"]
    assert sum(b["rows"] for b in report["calibration"]["bins"]) == 120
    assert {(part["by"], part["value"]) for part in report["slices"]} >= {
        ("topic", "easy"),
        ("topic", "hard"),
        ("language", "en"),
    }
    assert set(report["models"]) == {"tiny", "middle", "large"}
    for model in report["models"].values():
        assert model["predicted"] == pytest.approx(model["quality"], abs=0.15)


def test_scores_are_written_for_every_row_in_order_and_rank_the_hard_ones_up(folder: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    assert run("evaluate", folder / "mine", "--data", folder / "graded.jsonl.gz", "--scores", out)[0] == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    rows = graded(480)
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    by_topic = {
        topic: [x["score"] for x, row in zip(lines, rows, strict=True) if row["topic"] == topic] for topic in ("easy", "hard")
    }
    assert min(sorted(by_topic["hard"])[20:]) > max(sorted(by_topic["easy"])[:-20])
    assert all(0 <= line["p_strong"] <= 1 for line in lines)


def test_every_row_is_scored_whatever_it_grades_and_keeps_its_id(folder: Path, run: Any, tmp_path: Path) -> None:
    rows = graded(90, seed=3)
    for i, row in enumerate(rows):
        row["id"] = i
        if i % 3 == 0:
            row["q"] = ({"tiny": 1.0}, {**row["q"], "large": None}, {})[i % 9 // 3]
    del rows[1]["id"]
    data, out = write(tmp_path / "gaps.jsonl", rows), tmp_path / "scores.jsonl"
    status, said, err = run("evaluate", folder / "mine", "--data", data, "--scores", out, "--json")
    assert (status, err) == (0, "") and json.loads(said)["rows"] == 60
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == [0, "gaps.jsonl:2", *range(2, 90)]


def test_rows_too_few_to_measure_by_are_scored_all_the_same(folder: Path, run: Any, tmp_path: Path) -> None:
    for artifact, rows in (("mine", graded(5, seed=3)), ("wants", intents(5, seed=3))):
        out = tmp_path / f"{artifact}.jsonl"
        given = ("--data", write(tmp_path / "few.jsonl", rows), "--scores", out)
        status, _, err = run("evaluate", folder / artifact, *given)
        assert status == 1 and "too few to measure by" in err
        assert len(out.read_text("utf-8").splitlines()) == 5


def test_another_pair_than_the_trained_one_is_measured_and_said(folder: Path, run: Any) -> None:
    given = ("evaluate", folder / "mine", "--data", folder / "graded.jsonl.gz", "--weak", "tiny", "--strong", "middle")
    assert "trained for tiny → large" in run(*given)[1]
    report = json.loads(run(*given, "--json")[1])
    assert (report["strong"], report["trained_for"]) == ("middle", ["tiny", "large"])


def test_few_texts_out_of_scope_leave_an_interval_not_an_error(folder: Path, run: Any, tmp_path: Path) -> None:
    inside = [row for row in intents(120, seed=3) if row["intent"] != "oos"][:60]
    rows = [*inside, {"text": "who painted that ceiling", "intent": "oos"}]
    status, out, err = run("evaluate", folder / "wants", "--data", write(tmp_path / "one.jsonl", rows), "--json")
    assert (status, err) == (0, "")
    low, high = json.loads(out)["metrics"]["oos_recall_at_95"]["interval"]
    assert 0 <= low <= high <= 1
    status, out, _ = run("evaluate", folder / "wants", "--data", write(tmp_path / "none.jsonl", inside))
    (line,) = [line for line in out.splitlines() if line.startswith("out-of-scope refused")]
    assert status == 0 and line.endswith(" – [–, –]")


def test_the_table_for_people_names_what_it_measured(folder: Path, run: Any, tmp_path: Path) -> None:
    picture = tmp_path / "quality.svg"
    status, out, _ = run("evaluate", folder / "mine", "--data", folder / "graded.jsonl.gz", "--picture", picture)
    assert status == 0
    for word in (
        "APGR",
        "oracle",
        "length",
        "random",
        "tiny",
        "expected calibration error",
        "topic hard",
        "360 rows were trained on",
    ):
        assert word in out
    assert picture.read_text("utf-8").startswith("<svg")


def test_the_same_data_and_seed_give_the_same_artifact(folder: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    status, said, _ = run("train", "--data", folder / "graded.jsonl.gz", "--split", "train", *PAIR, "--out", out)
    assert status == 0 and "APGR" in said
    for name in ("weights.npz", "card.json", "card.md"):
        assert (out / name).read_bytes() == (folder / "mine" / name).read_bytes()


def test_no_text_of_the_data_is_in_the_artifact(folder: Path) -> None:
    whole = b"".join(path.read_bytes() for path in (folder / "mine").iterdir())
    assert b"Norway" not in whole and b"lock-free" not in whole and str(folder).encode() not in whole


def test_a_pair_is_told_by_quality_where_the_data_has_only_two_models(run: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "two.jsonl", graded(160, models=("large", "tiny")))
    status, _, _ = run("train", "--data", data, "--out", tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text("utf-8"))
    assert status == 0 and (card["weak"], card["strong"]) == ("tiny", "large")


def test_a_new_model_joins_by_a_handful_of_grades(folder: Path, run: Any, tmp_path: Path) -> None:
    rows = [{**r, "prompt": f"Well. {r['prompt']}", "q": {"newcomer": r["q"]["large"]}} for r in graded(60, seed=5)]
    data = write(tmp_path / "new.jsonl", rows)
    out = tmp_path / "with-new"
    assert run("train", "--add", "newcomer", "--base", folder / "mine", "--data", data, "--out", out)[0] == 0
    fresh = write(tmp_path / "fresh.jsonl", [{**r, "q": {**r["q"], "newcomer": r["q"]["large"]}} for r in graded(200, seed=9)])
    report = json.loads(run("evaluate", out, "--data", fresh, "--json")[1])
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert [(one["name"], one["rows"]) for one in card["data"]] == [("graded.jsonl.gz", 360), ("new.jsonl", 60)]
    newcomer = report["models"]["newcomer"]
    assert newcomer["predicted"] == pytest.approx(newcomer["quality"], abs=0.15)
    before = json.loads(run("evaluate", folder / "mine", "--data", fresh, "--json")[1])
    assert report["metrics"] == before["metrics"]
    assert report["models"]["tiny"] == before["models"]["tiny"]


def test_intents_are_measured_and_scored_in_the_documented_form(folder: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    given = ("--task", "intent", "--data", folder / "intents.jsonl", "--scores", out)
    report = json.loads(run("evaluate", folder / "wants", *given, "--json")[1])
    assert report["metrics"]["in_scope_accuracy"]["value"] > 0.85
    assert report["metrics"]["oos_recall_at_95"]["value"] > 0.5
    assert (report["rows"], report["seen_in_training"]) == (100, 300)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["text"] for line in lines] == [row["text"] for row in intents(400)]
    assert all(set(line) >= {"text", "intent", "confidence"} and 0 <= line["confidence"] <= 1 for line in lines)


def test_calibration_finds_the_threshold_for_a_quality(folder: Path, run: Any) -> None:
    given = (folder / "mine", "--data", folder / "graded.jsonl.gz")
    report = json.loads(run("calibrate", *given, "--target-quality", "0.9", "--json")[1])
    assert report["kept"] >= 0.9 and 0 < report["strong_share"] < 1 and report["rows"] == 120
    low, high = report["quality_interval"]
    assert low < report["quality"] < high
    status, out, _ = run("calibrate", *given, "--target-strong-share", "0.3")
    assert status == 0 and "classifier.strong_above" in out and "for as many new ones" in out


def test_prompts_of_one_score_stay_on_the_side_that_the_numbers_say(folder: Path, run: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "alike.jsonl", [{**row, "prompt": "The same words each time."} for row in graded(120, seed=3)])
    policy, scores = tmp_path / "policy.yaml", tmp_path / "scores.jsonl"
    policy.write_text(POLICY.replace("ARTIFACT", f"{folder}/mine"), "utf-8")
    given = ("--policy", policy, "--data", data, "--target-quality", 0.95, "--write", "--json")
    status, out, err = run("calibrate", *given)
    assert (status, err) == (0, "")
    assert json.loads(out.partition("\nwrote ")[0])["strong_share"] == 1.0
    run("evaluate", folder / "mine", "--data", data, "--scores", scores)
    p_strong = json.loads(scores.read_text("utf-8").splitlines()[0])["p_strong"]
    assert p_strong >= yaml.safe_load(policy.read_text("utf-8"))["classifier"]["strong_above"]


def test_rows_that_a_policy_would_call_unsure_are_told(folder: Path, run: Any, tmp_path: Path) -> None:
    rows = graded(120, seed=3)
    for row in rows[:30]:
        row["prompt"] = f"{'0x7f3a;{}[]<> ' * 40}{row['id']}"
    given = ("calibrate", folder / "mine", "--data", write(tmp_path / "odd.jsonl", rows), "--target-strong-share", 0.5)
    assert json.loads(run(*given, "--json")[1])["unsure_share"] == pytest.approx(0.25, abs=0.03)
    assert "unlike the training data" in run(*given)[1]


def test_a_share_of_nothing_is_no_number_and_still_json(folder: Path, run: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "nil.jsonl", [{**row, "q": {"tiny": 0, "large": 0}} for row in graded(120, seed=3)])
    given = ("calibrate", folder / "mine", "--data", data, "--target-quality", 0.95)
    status, out, _ = run(*given, "--json")
    report = json.loads(out, parse_constant=pytest.fail)
    assert (status, report["kept"], report["kept_interval"]) == (0, None, [None, None])
    assert "kept           – of large's" in run(*given)[1]


def test_a_budget_becomes_a_share_by_the_policys_prices(folder: Path, run: Any) -> None:
    # 1,000 tokens in all: 0.001 USD weak, 0.01 strong. 5.5 USD for 1,000 calls pay half of them strong.
    given = ("--policy", folder / "policy.yaml", "--data", folder / "graded.jsonl.gz", "--tokens-in", 700, "--tokens-out", 300)
    report = json.loads(run("calibrate", *given, "--budget", "5.5usd/day", "--requests-per-day", 1000, "--json")[1])
    assert 0.4 < report["strong_share"] <= 0.5
    assert report["usd_per_day"] == pytest.approx(1 + 9 * report["strong_share"])
    assert report["usd_per_1000_calls_all_strong"] == pytest.approx(10)


def test_the_threshold_is_written_into_the_policy_and_nothing_else_changes(folder: Path, run: Any, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("ARTIFACT", f"{folder}/mine"), "utf-8")
    given = ("--policy", policy, "--data", folder / "graded.jsonl.gz", "--target-quality", 0.9, "--write")
    status, out, err = run("calibrate", *given)
    assert status == 0, err
    text = policy.read_text("utf-8")
    number = yaml.safe_load(text)["classifier"]["strong_above"]
    assert 0 < number < 1 and f"{number:.6f}" in out
    assert text.replace(f", strong_above: {number:.6f}", "") == POLICY.replace("ARTIFACT", f"{folder}/mine")
    assert run("policy", "check", policy)[0] == 0


def test_mistakes_are_said_in_one_line_with_the_remedy(folder: Path, run: Any, tmp_path: Path) -> None:
    data = folder / "graded.jsonl.gz"
    few = write(tmp_path / "few.jsonl", graded(8))
    alike = write(tmp_path / "alike.jsonl", [{**row, "prompt": "The same words each time."} for row in graded(120)])
    same = write(tmp_path / "same.jsonl", [{"prompt": f"p {i}", "q": {"a": 1, "b": 1}} for i in range(60)])
    one_intent = write(tmp_path / "one.jsonl", [{"text": f"t {i}", "intent": "only"} for i in range(30)])
    poor = (folder / "mine", "--data", data, "--budget", "1usd/day", "--requests-per-day", 10**6)
    cases = [
        (("train", "--data", tmp_path / "no.jsonl", "--out", tmp_path / "o"), 1, "no.jsonl"),
        (("train", "--data", data, "--out", tmp_path / "o"), 1, "--weak"),
        (("train", "--data", data, "--weak", "tiny", "--strong", "huge", "--out", tmp_path / "o"), 1, "huge"),
        (("train", "--data", data, "--weak", "large", "--strong", "tiny", "--out", tmp_path / "o"), 1, "better"),
        (("train", "--data", few, *PAIR, "--out", tmp_path / "o"), 1, "rows"),
        (("train", "--data", same, "--weak", "a", "--strong", "b", "--out", tmp_path / "o"), 1, "better"),
        (("train", "--data", alike, *PAIR, "--out", tmp_path / "o"), 1, "near-duplicates"),
        (("train", "--data", data, *PAIR, "--seed", "-1", "--out", tmp_path / "o"), 2, "whole number from 0"),
        (("train", "--data", data, *PAIR, "--out", data), 2, "--out"),
        (("train", "--data", data, "--add", "x", "--out", tmp_path / "o"), 2, "--base"),
        (("train", "--task", "intent", "--data", one_intent, "--out", tmp_path / "o"), 1, "intent"),
        (("train", "--task", "intent", "--data", data, "--out", tmp_path / "o"), 1, "intent"),
        (("evaluate", folder / "nothing", "--data", data), 1, "no artifact"),
        (("evaluate", folder / "mine", "--task", "intent", "--data", data), 2, "--task"),
        (("evaluate", folder / "mine", "--data", data, "--split", "train"), 1, "not trained on"),
        (("evaluate", folder / "mine", "--data", data, "--weak", "no", "--strong", "large"), 1, "'no'"),
        (("calibrate", folder / "mine", "--data", data, "--target-quality", "95"), 2, "share"),
        (("calibrate", folder / "mine", "--data", data, "--budget", "much"), 2, "50usd/day"),
        (("calibrate", folder / "mine", "--data", data, "--budget", "5usd/day"), 2, "--requests-per-day"),
        (("calibrate", "--data", data, "--target-quality", "0.9"), 2, "ARTIFACT"),
        (("calibrate", folder / "mine", "--data", data, "--target-quality", "0.9", "--write"), 2, "--policy"),
        (("calibrate", folder / "wants", "--data", data, "--target-quality", "0.9"), 1, "routing"),
        (("calibrate", *poor, "--usd-per-call", "0.001", "0.01"), 2, "do not even pay"),
    ]
    for words, status, said in cases:
        got, _, err = run(*words)
        assert (got, said in err) == (status, True), (words, got, err)
        assert "Traceback" not in err
    assert not (tmp_path / "o").exists()


def test_a_rungs_confidence_is_calibrated_by_graded_answers(run: Any, tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = []
    for i in range(400):
        mean = -3 * rng.random()
        right = int(rng.random() < 1.05 + mean / 3)
        rows.append(
            {"mean_logprob": mean, "lowest_window": 1.5 * mean, "margin": 3 + mean, "tokens": 9, "right": right, "group": i}
        )
    graded_answers, out, policy = write(tmp_path / "answers.jsonl", rows), tmp_path / "rung.json", tmp_path / "policy.yaml"
    status, said, _ = run("calibrate", "--cascade", graded_answers, "--target-quality", 0.8, "--out", out, "--json")
    report = json.loads(said)
    assert status == 0 and report["auc"] > 0.7 and 0.4 < report["threshold"] < 0.9
    accepted = {level["confidence"]: level["right"] for level in report["levels"]}
    assert accepted[0.5] < accepted[0.7]
    policy.write_text(
        "version: 1\nproviders: {near: {kind: fake}}\nmodels: {a: {provider: near, id: a, price: unknown},"
        " b: {provider: near, id: b, price: unknown}}\nroutes:\n  - name: r\n    cascade:\n"
        '      - {model: a, accept: {confidence: ">=0.7", calibration: rung.json}}\n      - {model: b}\n',
        "utf-8",
    )
    assert run("policy", "check", policy)[0] == 0
    few = write(tmp_path / "few.jsonl", rows[:5])
    for words, said in (
        (("--cascade", few, "--out", out), "at least 40 rows"),
        (("--cascade", graded_answers), "--out FILE"),
        (("--cascade", graded_answers, "--out", out, "--budget", "5usd/day"), "budget"),
    ):
        status, _, err = run("calibrate", *words)
        assert status in (1, 2) and said in err
