"""The card of an artifact as Markdown. Takes every number from the card's JSON form, computes none."""

from collections.abc import Iterable, Sequence
from typing import Any


def render(card: dict[str, Any]) -> str:
    """`card.md` for a card. Sections whose facts the card lacks are left out."""
    parts = [
        f"# {card['name']} {card['version']}",
        str(card["purpose"]) if "purpose" in card else "",
        _facts(card),
        _sources(card["data"]) if "data" in card else "",
        _metrics(card["metrics"], card["classes"]) if "metrics" in card else "",
        _comparison(card["comparison"]) if "comparison" in card else "",
        "\n".join(["## Limits", "", *(f"- {line}" for line in card["limits"])]) if "limits" in card else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(card: dict[str, Any]) -> str:
    known = {
        "Classes": ", ".join(card["classes"]),
        "Model": card.get("model"),
        "Calibration": card.get("calibration"),
        "Embedder": card["embedder"],
        "Hand features": len(card["feature_names"]),
        "Made": card.get("made"),
        "Seed": card.get("seed"),
        "Command": f"`{card['command']}`" if "command" in card else None,
        "SHA-256 of the weights": card["weights_sha256"],
        "Digest of weights and card": card["digest"],
    }
    return "\n".join(f"- {name}: {value}" for name, value in known.items() if value is not None)


def _sources(sources: Sequence[dict[str, Any]]) -> str:
    columns = ("name", "origin", "licence", "labels", "weight", "train", "dev", "sha256")
    rows = [[*(source[column] for column in columns[:-1]), source["sha256"][:12]] for source in sources]
    note = "Rows with a label; `weight` is the set's share of all training weight. No text of these sets is in the weights."
    return f"## Data\n\n{_table(columns, rows)}\n\n{note}"


def _metrics(metrics: dict[str, Any], classes: Sequence[str]) -> str:
    whole, sure = metrics["all"], metrics["sure_skip"]
    by_source = [
        [name, part["rows"], part["accuracy"], part["ece"], part.get("apgr")] for name, part in metrics["by_source"].items()
    ]
    by_class = [[name, part["rows"], part["precision"], part["recall"]] for name, part in whole["by_class"].items()]
    confusion = [[f"is {name}", *row] for name, row in zip(classes, whole["confusion"], strict=True)]
    return "\n\n".join(
        [
            "## Measured on dev",
            f"{whole['rows']} rows, sets weighted as in training: accuracy {_text(whole['accuracy'])}, expected "
            f"calibration error {_text(whole['ece'])} ({_text(metrics['ece_uncalibrated'])} before calibration), log "
            f"loss {_text(whole['log_loss'])}. Abstaining below {whole['abstain_below']}, it decides "
            f"{_text(whole['coverage'])} of the weight with accuracy {_text(whole['accuracy_when_kept'])}.",
            f"`skip` at confidence {sure['threshold']} or more: {sure['rows']} rows, precision "
            f"{_text(sure['precision'])}, recall {_text(sure['recall'])} (unweighted).",
            _table(("class", "rows", "precision", "recall"), by_class),
            _table(("rows", *(f"said {name}" for name in classes)), confusion),
            "By set, unweighted. APGR: how much of the quality gap between weak and strong model ranking by P(strong) "
            "recovers (RouteLLM, arXiv 2406.18665; random 0.5), rows that neither model answers included.",
            _table(("set", "rows", "accuracy", "ECE", "APGR"), by_source),
        ]
    )


def _comparison(learners: Sequence[dict[str, Any]]) -> str:
    columns = ("learner", "accuracy", "ece", "log_loss", "apgr_mmlu", "apgr_gsm8k", "apgr_llmrouter")
    rows = [[learner[column] for column in columns] for learner in learners]
    note = "Same rows, same columns, each calibrated on held-out folds of train; measured on dev. The first is shipped."
    return f"## Learners compared\n\n{_table(columns, rows)}\n\n{note}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_text(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
