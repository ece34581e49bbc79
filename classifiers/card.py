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
        _held_out(card["held_out"]) if "held_out" in card else "",
        _joined(card["joined"]) if "joined" in card else "",
        _metrics(card["metrics"], card["classes"]) if "metrics" in card else "",
        _comparison(card["comparison"]) if "comparison" in card else "",
        "\n".join(["## Limits", "", *(f"- {line}" for line in card["limits"])]) if "limits" in card else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(card: dict[str, Any]) -> str:
    known = {
        "Task": card["task"],
        "Classes": ", ".join(card["classes"]) if "classes" in card else None,
        "Intents": len([name for name in card["settings"]["classes"] if name != "oos"]) if card["task"] == "intent" else None,
        "Pair": f"{card['weak']} → {card['strong']}" if "weak" in card else None,
        "Graded models": ", ".join(card["graded"]["models"]) if "graded" in card else None,
        "Model": card.get("model"),
        "Calibration": card.get("calibration"),
        "Embedder": card["embedder"],
        "Hand features": len(card["feature_names"]) if card["task"] == "routing" else None,
        "Made": card.get("made"),
        "Seed": card.get("seed"),
        "Command": f"`{card['command']}`" if "command" in card else None,
        "SHA-256 of the weights": card["weights_sha256"],
        "Digest of weights and card": card["digest"],
    }
    return "\n".join(f"- {name}: {value}" for name, value in known.items() if value is not None)


def _sources(sources: Sequence[dict[str, Any]]) -> str:
    known = ("name", "origin", "licence", "labels", "weight", "rows", "split", "train", "dev", "sha256")
    columns = [column for column in known if any(column in source for source in sources)]
    rows = [[source.get(column) if column != "sha256" else source[column][:12] for column in columns] for source in sources]
    weighed = "`weight` is the set's share of all training weight. " if "weight" in columns else ""
    return f"## Data\n\n{_table(columns, rows)}\n\n{weighed}No text of these sets is in the weights."


def _held_out(measured: dict[str, Any]) -> str:
    spans = {name: found for name, found in measured.items() if isinstance(found, dict)}
    plain = {name: value for name, value in measured.items() if name not in spans}
    rows = [[name, found["value"], *found["interval"]] for name, found in spans.items()]
    rows += [[name, value, None, None] for name, value in plain.items()]
    note = (
        "Each training row predicted by a model that had seen neither it nor its near-duplicates; 95 % intervals by bootstrap. "
        "What the numbers mean: docs/classifier.md."
    )
    return f"## Measured on held-out rows\n\n{_table(('measure', 'value', 'from', 'to'), rows)}\n\n{note}"


def _joined(newcomers: Sequence[dict[str, Any]]) -> str:
    rows = [[one["model"], one["rows"], one["mean_quality"]] for one in newcomers]
    return f"## Joined later\n\n{_table(('model', 'graded answers', 'mean quality'), rows)}"


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
            *_calibration(metrics),
            *_skipped(metrics),
            "By set, unweighted. APGR: how much of the quality gap between weak and strong model ranking by P(strong) "
            "recovers (RouteLLM, arXiv 2406.18665; random 0.5), rows that neither model answers included.",
            _table(("set", "rows", "accuracy", "ECE", "APGR"), by_source),
        ]
    )


def _calibration(metrics: dict[str, Any]) -> list[str]:
    """Each class's probability against how often it is the class; nothing for a card without."""
    if "reliability" not in metrics:
        return []
    rows = [[name, one["mean"], one["share"], one["weight"]] for name, bins in metrics["reliability"].items() for one in bins]
    found = ", ".join(f"`{name}` {_text(value)}" for name, value in metrics["ece_by_class"].items())
    note = f"Expected calibration error of each class's probability, one against the rest: {found}. Its bins:"
    return [note, _table(("class", "mean probability", "share of the class", "share of weight"), rows)]


def _skipped(metrics: dict[str, Any]) -> list[str]:
    if not metrics.get("skipped"):
        return []
    rows = [[one["at"], one["small_talk"], f"{one['other_commands']:.4f}"] for one in metrics["skipped"]]
    note = "Skipped at this probability of `skip` or more: CLINC150's small talk; commands of its other intents and banking77."
    return [note, _table(("from", "small talk", "other commands"), rows)]


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
