"""`turnout calibrate --cascade`: from graded answers of a rung to the confidence that its log-probabilities deserve."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.errors import DataError
from classifiers.labelled import read_objects
from gateway.cli.artifacts import needs_training_extra
from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def run_cascade(args: argparse.Namespace) -> int:
    """Fit, write and print what each threshold would accept."""
    if args.out is None:
        raise UsageError("--cascade needs --out FILE, the calibration to write; name it in `accept: {calibration: FILE}`")
    for option in ("artifact", "data", "weak", "strong", "policy", "budget", "target_strong_share", "write"):
        if getattr(args, option):
            raise UsageError(f"--cascade calibrates a rung's confidence; leave out {option.replace('_', '-')}")
    try:
        from classifiers.cascade.confidence_fit import fit_confidence
    except ImportError as exc:
        raise needs_training_extra(exc) from exc
    try:
        rows = read_objects(args.cascade)
        fit = fit_confidence(rows)
    except (DataError, ValueError) as exc:
        raise ConfigError(f"{args.cascade}: {exc}" if isinstance(exc, ValueError) else str(exc)) from exc
    right, unseen = np.array([bool(row["right"]) for row in rows]), np.array(fit.unseen)
    levels = [_level(level, unseen, right) for level in LEVELS]
    found: dict[str, Any] = {
        "rows": fit.rows,
        "right": fit.share_right,
        "auc": fit.auc,
        "ece": fit.ece,
        "highest": float(unseen.max()),
        "levels": levels,
    }
    if args.target_quality is not None:
        found["threshold"] = _threshold(args.target_quality, unseen, right)
    card = {
        "purpose": "The probability that an answer is right, from the log-probabilities of its tokens.",
        "data": {"file": args.cascade.name, "rows": fit.rows, "right": round(fit.share_right, 3)},
        "measured": {"folds": fit.folds, "auc": round(fit.auc, 3), "ece": round(fit.ece, 3), "brier": round(fit.brier, 3)},
    }
    try:
        args.out.write_text(json.dumps({**fit.as_json(), "card": card}, indent=2) + "\n", "utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot write {args.out}: {exc.strerror}") from exc
    print(json.dumps(found, indent=2) if args.json else _told(found, args.out))
    return 0


def _level(level: float, confidence: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> dict[str, float | None]:
    accepted = confidence >= level
    return {
        "confidence": level,
        "accepted": float(accepted.mean()),
        "right": float(right[accepted].mean()) if accepted.any() else None,
    }


def _threshold(target: float, confidence: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float | None:
    """The lowest confidence from which at least `target` of the answers are right; None if there is none."""
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # answers of equal confidence are accepted together
    enough = np.flatnonzero(last & (share >= target))
    return float(confidence[order][enough[-1]]) if len(enough) else None


def _told(found: dict[str, Any], out: Path) -> str:
    rows = [
        [f">={x['confidence']:g}", f"{x['accepted']:.1%}", "–" if x["right"] is None else f"{x['right']:.1%}"]
        for x in found["levels"]
    ]
    lines = [
        f"{found['rows']:,} graded answers, {found['right']:.1%} right; each judged by a model that had not seen it:",
        f"AUC {found['auc']:.3f}, expected calibration error {found['ece']:.3f}, highest confidence {found['highest']:.2f}",
        "",
        table(["confidence", "accepted", "of these right"], rows),
    ]
    if "threshold" in found:
        said = (
            "no confidence reaches that"
            if found["threshold"] is None
            else f'accept: {{confidence: ">={found["threshold"]:.3f}"}}'
        )
        lines += ["", f"for the quality asked for: {said}"]
    return "\n".join([*lines, "", f"wrote {out}"])
