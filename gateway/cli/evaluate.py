"""`turnout evaluate`: how good a classifier is on labelled rows that it was not trained on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifiers.artifact import load_artifact
from classifiers.errors import ArtifactError, DataError
from classifiers.intents.artifact import load_intents
from classifiers.labelled import read_graded, read_intents
from classifiers.measure.evaluate import Graded, evaluate_intents, evaluate_routing, intent_lines
from classifiers.measure.picture import draw
from classifiers.store import task_of
from gateway.cli.artifacts import add_data, add_pair, artifact_path, pair
from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError

EPILOG = """examples:
  turnout evaluate classifiers/artifacts/mine --data graded.jsonl.gz --split dev --picture quality.svg
  turnout evaluate my-intents --task intent --data intents.jsonl --json --scores scores.jsonl

Rows that the artifact was trained on are scored but left out of every number. APGR: the share of the quality gap between the
two models that this ranking recovers (random 0.5). Intervals are 95 %, by bootstrap over the rows."""
NAMES = {
    "apgr": "APGR",
    "cpt50": "strong calls for half the gap",
    "cpt80": "strong calls for 80 % of the gap",
    "strong_calls_at_q": "strong calls for 95 % of the quality",
    "cost_saved_at_q": "cost saved at 95 % of the quality",
    "in_scope_accuracy": "accuracy in scope",
    "oos_recall_at_95": "out-of-scope refused, 95 % in scope kept",
}


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = "Measure a classifier on labelled rows, beside random, length, nearest neighbours and an oracle."
    command.epilog = EPILOG
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("artifact", metavar="ARTIFACT", help="a directory, or the name of a shipped artifact")
    command.add_argument("--task", choices=("routing", "intent"), help="what it is for (default: what its card says)")
    add_data(command)
    add_pair(command, "default: the pair it was trained for")
    command.add_argument(
        "--scores",
        metavar="OUT",
        type=Path,
        help="write a line for each row: id, score (higher: the strong model) and p_strong; or id, text, intent and confidence",
    )
    command.add_argument("--picture", metavar="OUT.svg", type=Path, help="draw quality over cost, and the reliability")
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    path = artifact_path(args.artifact)
    try:
        task = task_of(path)
        if args.task not in (None, task):
            raise UsageError(f"--task {args.task}: '{args.artifact}' is an artifact for {task}")
        report = _routing(args, path) if task == "routing" else _intents(args, path)
    except (ArtifactError, DataError) as exc:
        raise ConfigError(str(exc)) from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {exc.filename}: {exc.strerror}") from exc
    print(json.dumps(report, indent=2) if args.json else _told(report))
    return 0


def _write_scores(out: Path | None, lines: Sequence[dict[str, Any]]) -> None:
    """Before anything is measured: rows too few for numbers are scored all the same."""
    if out is not None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        out.write_text(text, "utf-8", "backslashreplace")  # lone surrogates


def _routing(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    artifact = load_artifact(path)
    weak, strong = pair(args, artifact)
    graded = Graded(artifact, read_graded(args.data, args.split), weak, strong)
    _write_scores(args.scores, graded.lines())
    report, curves = evaluate_routing(artifact, graded, weak, strong)
    if args.picture is not None:
        bins = [(b["said"], b["came_true"], b["rows"]) for b in report["calibration"]["bins"]]
        title = f"{artifact.name} {artifact.version}: {weak} → {strong}, {report['rows']:,} rows"
        args.picture.write_text(draw(curves, bins, title), "utf-8")
    return report


def _intents(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    if args.weak or args.strong or args.picture:
        raise UsageError("--weak, --strong and --picture are for routing artifacts")
    artifact, rows = load_intents(path), read_intents(args.data, args.split)
    said = artifact.predict([row.text for row in rows])
    _write_scores(args.scores, intent_lines(rows, said))
    return evaluate_intents(artifact, rows, said)


def _told(report: dict[str, Any]) -> str:
    about = report["artifact"]
    lines = [f"{about['name']} {about['version']}, {report['rows']:,} rows it was not trained on"]
    if report["seen_in_training"]:
        lines.append(f"({report['seen_in_training']:,} rows were trained on and are left out)")
    if report["task"] == "routing":
        quality = report["quality"]
        pair = report["trained_for"]
        if pair is not None and pair != [report["weak"], report["strong"]]:
            lines.append(f"(it was trained for {' → '.join(pair)}; its ranking is measured for another pair)")
        lines.append(f"{report['weak']} {quality['weak']:.3f} → {report['strong']} {quality['strong']:.3f}")
        columns = list(report["metrics"])
        rows = [["this artifact", *(_cell(report["metrics"][c]) for c in columns)]]
        rows += [[name, *(_cell(found[c]) for c in columns)] for name, found in report["beside"].items()]
        lines += ["", table(["", *(NAMES[c] for c in columns)], rows)]
        if report["models"]:
            models = [[m, f"{x['rows']:,}", f"{x['quality']:.3f}", f"{x['predicted']:.3f}"] for m, x in report["models"].items()]
            lines += ["", table(["model", "rows", "quality", "predicted"], models)]
    else:
        rows = [[NAMES[name], _cell(found)] for name, found in report["metrics"].items()]
        lines += ["", table(["", "value [95 % interval]"], rows)]
    calibration = report["calibration"]
    bins = [[f"{b['said']:.3f}", f"{b['came_true']:.3f}", f"{b['rows']:,}"] for b in calibration["bins"]]
    lines += ["", f"{calibration['of']}: expected calibration error {calibration['ece']:.3f}"]
    lines.append(table(["said", "came true", "rows"], bins, left=0))
    if report["slices"]:
        keys = [key for key in report["slices"][0] if key not in ("by", "value")]
        parts = [[f"{part['by']} {part['value']}", *(_number(part.get(key)) for key in keys)] for part in report["slices"]]
        lines += ["", table(["slice", *(NAMES.get(key, key) for key in keys)], parts)]
    return "\n".join(lines)


def _cell(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{_number(found['value'])} [{_number(low)}, {_number(high)}]"


def _number(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
