"""The training command, end to end on a tiny made-up data directory."""

import gzip
import json
import random
import subprocess
import sys

import pytest

from classifiers import store
from classifiers.shipped import command
from classifiers.shipped.augment import OPENERS, OWN_COPIES, augment
from classifiers.shipped.head import CLASSES, Head
from classifiers.shipped.rows import Rows, folds_of
from classifiers.shipped.sources import SMALL_TALK, SOURCES, Example, read_source

LEARNERS = ("logistic regression with n-grams", "logistic regression", "gradient boosting", "nearest neighbours")
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


@pytest.mark.timeout(120)  # four learners, four fits each, on the project's own rows
def test_the_command_writes_an_artifact_that_loads_and_repeats_itself(data, tmp_path, capsys, embedder):
    out = tmp_path / "artifacts" / "tiny"
    arguments = ["--data", str(data), "--out", str(out), "--trees", "3"]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    for learner in LEARNERS:
        assert learner in printed
    card, arrays = store.read(out, "routing", embedder.name)
    head = Head.from_arrays({name.removeprefix("head."): array for name, array in arrays.items()}, embedder)
    assert head.predict_proba(["hi", "prove it"]).sum(axis=1) == pytest.approx(1)
    assert (card["name"], card["classes"]) == ("tiny", list(CLASSES))
    assert card["command"] == f"python -m classifiers.shipped --data DIR --out {out} --trees 3"
    assert set(card["metrics"]["ece_by_class"]) == set(CLASSES)
    assert [row["learner"] for row in card["comparison"]] == list(LEARNERS)
    assert str(data) not in json.dumps(card)
    weights = (out / "weights.npz").read_bytes()
    assert command.main([*arguments, "--only-shipped"]) == 0
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
    assert command.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "clinc150.jsonl.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_row_that_does_not_fit_is_named_with_its_line(data, tmp_path, capsys):
    _write(data / "routing/mmlu.jsonl.gz", [{"prompt": "no quality here", "split": "train"}])
    assert command.main(["--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "mmlu.jsonl.gz:1" in capsys.readouterr().err


def test_a_right_choice_among_four_makes_no_question_of_law_easy(tmp_path):
    weak, strong = PAIRS["mmlu"]
    rows = [
        {"prompt": subject, "subject": subject, "q": {weak: right, strong: 1.0}, "split": "train"}
        for subject in ("professional_law", "astronomy")
        for right in (0.0, 1.0)
    ]
    _write(tmp_path / "routing/mmlu.jsonl.gz", rows)
    (mmlu,) = (source for source in SOURCES if source.name == "mmlu")
    assert [example.label for example in read_source(mmlu, tmp_path)] == ["strong", None, "strong", "small"]


def test_help_shows_an_example():
    run = subprocess.run(
        [sys.executable, "-m", "classifiers.shipped", "--help"], capture_output=True, text=True, check=True, timeout=50
    )
    assert "example:\n  python -m classifiers.shipped --data" in run.stdout


def test_variants_keep_number_label_and_seed():
    examples = [Example(f"set a timer for {i}", "small", "clinc150-tasks", False) for i in range(60)]
    examples += [Example(f"good day {i}", "skip", "clinc150-smalltalk", False) for i in range(60)]
    varied = augment(examples, 3)
    assert varied == augment(examples, 3) != augment(examples, 4)
    assert [example.label for example in varied] == [example.label for example in examples]
    small_talk = [(old.text, new.text) for old, new in zip(examples, varied, strict=True) if new.label == "skip"]
    assert sum(new.rstrip("?.!").casefold() == old for old, new in small_talk) > len(small_talk) / 2
    assert not any(opener.strip() in new for opener in OPENERS for _, new in small_talk if opener != "Hello there! ")


def test_the_projects_own_rows_are_copied_in_perturbed_form():
    examples = [Example(f"Name the capital of country {i}.", "small", "own", False) for i in range(40)]
    varied = augment(examples, 3)
    assert len(varied) == (1 + OWN_COPIES) * len(examples)
    copies = varied[len(examples) :]
    assert {copy.label for copy in copies} == {"small"}
    assert sum(copy.text != old.text for copy, old in zip(copies, examples * OWN_COPIES, strict=True)) > 0.8 * len(copies)


def test_a_text_its_copies_and_its_near_duplicates_are_in_one_fold(embedder):
    rng = random.Random(2)
    words = "river bridge lorry weight speed town limit night winter market stone paper garden window".split()
    texts = [" ".join(rng.choices(words, k=60)) for _ in range(60)]
    examples = [Example(text, "small", "own" if n % 2 else "banking77", False) for n, text in enumerate(texts)]
    examples += [Example(f"{text} indeed", "small", "banking77", False) for text in texts]
    fold = folds_of(examples, embedder, 3, 7)
    assert len(fold) == len(augment(examples, 7))
    assert fold[:60].tolist() == fold[60:120].tolist()
    assert fold[120:].tolist() == fold[1:60:2].tolist() * OWN_COPIES
    assert set(fold.tolist()) == {0, 1, 2}


def test_costly_rows_weigh_more_and_small_is_in_two_parts(embedder):
    examples = [
        Example("prove it", "strong", "own", False),
        Example("name a tree", "small", "own", False),
        Example("lights off", "small", "clinc150-tasks", False),
        Example("write a kernel", "strong", "arena-hard", False),
        Example("hello", "skip", "own", False),
    ]
    rows = Rows(examples, embedder)
    assert rows.parts.tolist() == ["strong", "question", "command", "strong", "skip"]
    costed = rows.costed(4.0, 2.0)
    assert costed.sum() == pytest.approx(1)
    ratio = costed / rows.weights
    assert ratio / ratio[1] == pytest.approx([4, 1, 2, 1, 1])
