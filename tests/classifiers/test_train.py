"""The training command, end to end on a tiny made-up data directory."""

import gzip
import json
import random
import subprocess
import sys

import pytest

from classifiers import train
from classifiers.artifact import load_artifact
from classifiers.augment import augment
from classifiers.sources import CLASSES, SMALL_TALK, SOURCES, Example, read_source

PAIRS = {
    "mmlu": ("mixtral-8x7b", "gpt-4-1106"),
    "gsm8k": ("mixtral-8x7b", "gpt-4-1106"),
    "llmrouter": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
}


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path):
    rng, root = random.Random(5), tmp_path / "data"

    def split(i):
        return "dev" if i % 4 == 3 else "train"

    intents = [*sorted(SMALL_TALK), "weather", "oos", "yes"]
    clinc = [{"text": f"{intent} sample {i}", "intent": intent, "split": split(i)} for intent in intents for i in range(8)]
    held_back = [{"text": "held back", "intent": "greeting", "split": "dev_test"}]
    _write(root / "intent/clinc150.jsonl.gz", clinc + held_back)
    _write(
        root / "intent/banking77.jsonl.gz",
        [{"text": f"card question {i}", "intent": "card", "split": split(i)} for i in range(24)],
    )
    for name, (weak, strong) in PAIRS.items():
        rows = []
        for i in range(48):
            is_hard = rng.random() < 0.5
            text = f"{'intricate lemma' if is_hard else 'plain sum'} {i}\nA. 1\nB. 2\nAnswer:"
            rows.append({"prompt": text, "q": {weak: float(not is_hard), strong: float(i % 9 > 0)}, "split": split(i)})
        _write(root / f"routing/{name}.jsonl.gz", rows)
    prompts = [("arena-hard-v2.0", "implement a scheduler"), ("mixeval-TriviaQA", "who was it")]
    _write(
        root / "traffic/chat_prompts.jsonl.gz",
        [{"prompt": f"{text} {i}", "source": name, "split": split(i)} for name, text in prompts for i in range(16)],
    )
    return root


def test_the_command_writes_an_artifact_that_loads_and_repeats_itself(data, tmp_path, capsys, embedder):
    out = tmp_path / "artifacts" / "tiny"
    arguments = ["--data", str(data), "--out", str(out), "--trees", "3"]
    assert train.main(arguments) == 0
    printed = capsys.readouterr().out
    for learner in ("logistic regression", "gradient boosting", "nearest neighbours"):
        assert learner in printed
    artifact = load_artifact(out, embedder)
    assert (artifact.name, artifact.classes) == ("tiny", CLASSES)
    assert artifact.card["command"] == f"python -m classifiers.train --data DIR --out {out} --trees 3"
    assert str(data) not in json.dumps(artifact.card)
    weights = (out / "weights.npz").read_bytes()
    assert train.main([*arguments, "--only-linear"]) == 0
    assert (out / "weights.npz").read_bytes() == weights


def test_training_uses_no_row_of_an_official_test_part_or_of_an_unlicensed_set(data):
    examples = [example for source in SOURCES for example in read_source(source, data)]
    assert examples
    assert not [example for example in examples if example.text.startswith(("held back", "who was it"))]


def test_a_prompt_neither_model_answers_has_no_label(data):
    examples = [e for source in SOURCES if source.name in PAIRS for e in read_source(source, data)]
    for example in examples:
        right = (example.weak >= 0.5, example.strong >= 0.5)
        assert example.label == {(False, False): None, (False, True): "strong"}.get(right, "small")


def test_missing_data_is_named_and_nothing_is_written(tmp_path, capsys):
    assert train.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "clinc150.jsonl.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_row_that_does_not_fit_is_named_with_its_line(data, tmp_path, capsys):
    _write(data / "routing/mmlu.jsonl.gz", [{"prompt": "no quality here", "split": "train"}])
    assert train.main(["--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "mmlu.jsonl.gz:1" in capsys.readouterr().err


def test_help_shows_an_example():
    run = subprocess.run(
        [sys.executable, "-m", "classifiers.train", "--help"], capture_output=True, text=True, check=True, timeout=50
    )
    assert "example:\n  python -m classifiers.train --data" in run.stdout


def test_variants_keep_number_label_and_seed():
    examples = [Example(f"set a timer for {i}", "small", "clinc150-tasks", False) for i in range(60)]
    examples += [Example(f"good day {i}", "skip", "clinc150-smalltalk", False) for i in range(60)]
    varied = augment(examples, 3)
    assert varied == augment(examples, 3) != augment(examples, 4)
    assert [example.label for example in varied] == [example.label for example in examples]
    assert all(
        new.text.rstrip("?.!").casefold() == old.text for old, new in zip(examples, varied, strict=True) if new.label == "skip"
    )
