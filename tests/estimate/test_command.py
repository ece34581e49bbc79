"""`turnout estimate` as its users run it, and its page: every output that docs/estimate.md shows is the command's own."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.estimate.schema import GivenPrice, MachineSpec, ModelSpec, Speeds, WorkSpec
from gateway.policy.grammar import Strict

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/estimate.md").read_text()
SHOWN = re.findall(r"^```sh\n\.venv/bin/turnout ([^\n]*)\n```\n\n```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["estimate", *words]) == 0
    return capsys.readouterr().out


def parsed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(printed(capsys, *words, "--json"))


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_page_shows_what_the_command_prints(command: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, *shlex.split(command)[1:]) == output


def test_the_page_shows_every_view() -> None:
    assert len(SHOWN) == 4 == PAGE.count("```sh")


@pytest.mark.parametrize("kind", [WorkSpec, ModelSpec, GivenPrice, MachineSpec, Speeds])
def test_the_page_names_every_key(kind: type[Strict]) -> None:
    assert kind.model_fields.keys() <= set(re.findall(r"[a-z_]+", PAGE))


def test_a_job_is_a_list_of_costs_by_model(capsys: pytest.CaptureFixture[str]) -> None:
    rows = parsed(capsys, "examples/wikipedia.yaml")
    assert [list(row) for row in rows] == [["model", "input_usd", "output_usd", "training_usd", "total_usd"]] * 9
    assert rows[6] == {
        "model": "davinci-tuned",
        "input_usd": 720_000,
        "output_usd": 360_000,
        "training_usd": 180_000,
        "total_usd": 1_260_000,
    }
    assert [round(row["total_usd"], -2) for row in rows] == [
        *(720_000, 360_000, 180_000, 162_000, 18_000, 2_100),
        *(1_260_000, 126_000, 3_500),
    ]


def test_a_service_has_its_month_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    api, _, own, _ = parsed(capsys, "examples/support.yaml")
    assert (api["total_usd"], api["month_usd"], api["gpus"], api["utilisation"]) == (3000, 3000, None, None)
    assert (own["month_usd"], own["gpus"]) == (1800, 1)
    assert own["utilisation"] == pytest.approx(20_000 * (1500 / 12_000 + 250 / 1500) / 86_400)


def test_break_even_is_a_list_of_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = parsed(capsys, "examples/support.yaml", "--break-even")
    assert [(row["model"], row["against"], row["requests_per_day"]) for row in rows] == [
        ("own-8b", "large-api", 12_000),
        ("own-8b", "small-api", 60_000),
        ("own-70b", "large-api", 48_000),
        ("own-70b", "small-api", None),
    ]
    assert [row["utilisation"] <= 1 for row in rows] == [True, True, True, False]


def test_the_published_size_stands_beside_the_stored_one(capsys: pytest.CaptureFixture[str]) -> None:
    size = parsed(capsys, "--size", "examples/opt-350m.json")
    by_count = {row["count"]: row for row in size["counts"]}
    assert (by_count["by_hand"]["parameters"], by_count["by_hand"]["fp32_bytes"]) == (356_714_496, 1_426_857_984)
    assert (by_count["stored"]["parameters"], by_count["stored"]["fp16_bytes"]) == (331_196_416, 662_392_832)
    assert size["kv_cache"] == {"bytes_per_token": 98_304, "context": 2048, "batch": 1, "bytes": 201_326_592}
    assert all(gpu["fp32"]["fits"] for gpu in size["gpus"])


def test_what_does_not_fit_says_how_many_gpus_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        '{"model_type": "llama", "vocab_size": 128256, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, '
        '"num_attention_heads": 64, "num_key_value_heads": 8, "max_position_embeddings": 131072}'
    )
    words = ("--size", str(config), "--context", "8192", "--batch", "4")
    h100 = next(gpu for gpu in parsed(capsys, *words)["gpus"] if gpu["gpu"] == "H100 SXM")
    assert {p: h100[p]["gpus"] for p in ("fp32", "fp16", "int8", "int4")} == {"fp32": 5, "fp16": 3, "int8": 2, "int4": 1}
    assert h100["int8"]["write_ms_per_token"] is None
    assert h100["int4"]["write_ms_per_token"] == max(h100["int4"]["memory_ms_per_token"], h100["int4"]["compute_ms_per_token"])
    (line,) = [line for line in printed(capsys, *words).splitlines() if line.startswith("H100 SXM")]
    assert line.split()[3:6] == ["×5", "×3", "×2"]


def test_prices_by_name_say_of_which_day_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("workload: {requests: 1, input_tokens: 2, output_tokens: 3}\nmodels: {m: {price: openai/gpt-4.1}}")
    assert re.search(r"^prices by name: price map of \d{4}-\d\d-\d\d$", printed(capsys, str(file)), re.MULTILINE)
    assert "price map" not in printed(capsys, "examples/support.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give one of FILE, --size CONFIG and --schema"),
        (["w.yaml", "--size", "c.json"], "give one of FILE, --size CONFIG and --schema"),
        (["w.yaml", "--batch", "2"], "--context and --batch go with --size"),
        (["--schema", "--break-even"], "--break-even goes with FILE"),
        (["--size", "examples/opt-350m.json", "--context", "2049"], "--context 2049 is more than the 2048 tokens that"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_count_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["estimate", "--size", "examples/opt-350m.json", "--batch", "0"])
    assert caught.value.code == 2
    assert "'0' is not a whole number from 1" in capsys.readouterr().err


def test_a_wrong_file_is_one_line_with_its_place_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("workload: {requests: 1, input_tokens: 2, output_tokens: 3}\nmodels: {m: {}}\n")
    assert main(["estimate", str(file)]) == 1
    assert capsys.readouterr().err == f"{file}:2: `models.m`: has neither of `price` and `gpu`; give the one that is billed\n"
    assert main(["estimate", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err == f"turnout: cannot read '{tmp_path}/none.yaml': No such file or directory\n"


def test_break_even_without_both_sides_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("workload: {requests: 1, input_tokens: 2, output_tokens: 3}\nmodels: {m: {price: {input: 1, output: 1}}}\n")
    assert main(["estimate", str(file), "--break-even"]) == 1
    assert capsys.readouterr().err == "turnout: --break-even: the file needs a model with `gpu` and one with `price`\n"


def test_the_schema_is_printed_as_it_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--schema") == (ROOT / "examples/estimate.schema.json").read_text()
