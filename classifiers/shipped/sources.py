"""The labelled texts a classifier is trained on: which files, which rows, which label, how much weight.

Labels: `skip` for small talk a fixed answer serves, `small` where a small model suffices, `strong` where it does not.
Only sets whose licence allows it are read; of chat_prompts only the Arena-Hard rows. No text is copied from here.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SMALL_TALK_SET: Final = "clinc150-smalltalk"
# Sets of requests to an assistant that does things; what they hold is a command, not a question of knowledge.
COMMANDS: Final = ("clinc150-tasks", "banking77")
EXTRA: Final = Path(__file__).with_name("train_extra.jsonl")

# What a table of fixed answers can serve without knowing the conversation. Not here: yes, no, maybe, cancel and
# repeat (they lean on the turn before), jokes and fun facts (asked for by topic), dice and clocks (need a function).
SMALL_TALK: Final = frozenset(
    "greeting goodbye thank_you what_is_your_name are_you_a_bot who_made_you who_do_you_work_for how_old_are_you "
    "where_are_you_from what_are_your_hobbies do_you_have_pets what_can_i_ask_you meaning_of_life".split()
)

# Of MMLU's law, medicine and security a small model's right choice among four says nothing for the open question that
# users ask, and such a question must not be called easy: rows that would be `small` get no label.
NEVER_SMALL: Final = frozenset(
    "professional_law international_law jurisprudence clinical_knowledge college_medicine professional_medicine virology "
    "computer_security".split()
)


@dataclass(frozen=True, slots=True)
class Example:
    """One text. label: None where neither model was right, or being right proves little: only the ranking counts it."""

    text: str
    label: str | None
    source: str
    is_dev: bool
    weak: float | None = None  # quality of the weak and the strong model on the prompt, 0 to 1
    strong: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A set of texts. mass: its share of all weight, whatever its number of rows."""

    name: str
    file: str  # below the data directory
    licence: str
    origin: str
    labels: str
    mass: float
    read: Callable[[dict[str, Any]], Example | None]


def _split(row: dict[str, Any]) -> bool | None:
    """Whether the row is dev; None for the official test part, which is left alone."""
    return {"train": False, "dev": True}.get(row["split"])


def _clinc(name: str, is_wanted: Callable[[str], bool], label: str) -> Callable[[dict[str, Any]], Example | None]:
    def read(row: dict[str, Any]) -> Example | None:
        is_dev = _split(row)
        if is_dev is None or not is_wanted(row["intent"]):
            return None
        return Example(row["text"], label, name, is_dev)

    return read


def _routing(name: str, weak: str, strong: str) -> Callable[[dict[str, Any]], Example | None]:
    def read(row: dict[str, Any]) -> Example | None:
        is_dev, q_weak, q_strong = _split(row), float(row["q"][weak]), float(row["q"][strong])
        if is_dev is None:
            return None
        label = "small" if q_weak >= 0.5 and q_weak >= q_strong - 0.25 else None
        if label is None and q_strong > q_weak:
            label = "strong"
        if label == "small" and row.get("subject") in NEVER_SMALL:
            label = None
        return Example(row["prompt"], label, name, is_dev, q_weak, q_strong)

    return read


def _arena(row: dict[str, Any]) -> Example | None:
    is_dev = _split(row)
    if is_dev is None or not row["source"].startswith("arena-hard"):
        return None
    return Example(row["prompt"], "strong", "arena-hard", is_dev)


def _own(row: dict[str, Any]) -> Example | None:
    return Example(row["text"], row["label"], "own", row["split"] == "dev")


SOURCES: Final = (
    Source("clinc150-smalltalk", "intent/clinc150.jsonl.gz", "CC-BY-3.0", "clinc/oos-eval",
           f"skip: {len(SMALL_TALK)} small-talk intents", 0.063,
           _clinc("clinc150-smalltalk", SMALL_TALK.__contains__, "skip")),
    Source("clinc150-tasks", "intent/clinc150.jsonl.gz", "CC-BY-3.0", "clinc/oos-eval",
           "small: all other intents and out-of-scope", 0.163,
           _clinc("clinc150-tasks", lambda intent: intent not in SMALL_TALK, "small")),
    Source("banking77", "intent/banking77.jsonl.gz", "CC-BY-4.0", "PolyAI-LDN/task-specific-datasets",
           "small", 0.036, _clinc("banking77", lambda _: True, "small")),
    Source("mmlu", "routing/mmlu.jsonl.gz", "Apache-2.0 (questions: MIT)", "lm-sys/RouteLLM",
           "small: mixtral-8x7b right, save in law, medicine and security; strong: only gpt-4-1106 right", 0.19,
           _routing("mmlu", "mixtral-8x7b", "gpt-4-1106")),
    Source("gsm8k", "routing/gsm8k.jsonl.gz", "Apache-2.0 (questions: MIT)", "lm-sys/RouteLLM",
           "small: mixtral-8x7b right; strong: only gpt-4-1106 right", 0.045,
           _routing("gsm8k", "mixtral-8x7b", "gpt-4-1106")),
    Source("llmrouter", "routing/llmrouter.jsonl.gz", "MIT", "ulab-uiuc/LLMRouter",
           "small: mistral-7b-instruct-v0.3 as good; strong: llama-3.1-nemotron-51b-instruct better", 0.1,
           _routing("llmrouter", "mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct")),
    Source("arena-hard", "traffic/chat_prompts.jsonl.gz", "Apache-2.0", "lmarena/arena-hard-auto",
           "strong: prompts chosen for being hard", 0.073, _arena),
    Source("own", EXTRA.name, "Apache-2.0", "written for this project", "all three", 0.33, _own),
)  # fmt: skip


def file_of(source: Source, root: Path) -> Path:
    """Where the source's rows are; the project's own lie beside this module."""
    return EXTRA if source.file == EXTRA.name else root / source.file


def read_source(source: Source, root: Path) -> list[Example]:
    """The source's examples in file order. Raises ValueError naming file and line for a row that does not fit."""
    path, examples = file_of(source, root), []
    for number, row in _rows(path):
        try:
            example = source.read(row)
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"{path}:{number}: not a row of {source.name} ({exc!r})") from exc
        if example is not None:
            examples.append(example)
    return examples


def sha256_of(path: Path) -> str:
    """Hex digest of the file as it lies on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with opened as lines:
        for number, line in enumerate(lines, 1):
            yield number, json.loads(line)
