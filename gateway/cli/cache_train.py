"""`turnout cache train`: fit the cache's verifier to a deployment's own labelled pairs."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.errors import ArtifactError, DataError
from classifiers.pairs import store
from classifiers.pairs.blocks import EMBEDDERS, WORDLLAMA
from classifiers.pairs.labelled import ALL, Pair, read_labelled
from classifiers.pairs.measure import Share, auc, hit_rate_at, served
from classifiers.pairs.model import Fitted, bar_of, curves_of
from classifiers.pairs.refit import fit_verifier, scores_of
from classifiers.pairs.verifier import Verifier, shipped
from gateway.cli.artifacts import Progress
from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError

EPILOG = """example:
  turnout cache train --pairs judged.jsonl --out my-verifier

A row: {"text_a": TEXT, "text_b": TEXT, "label": 1 if an answer to one answers the other, else 0}. Some hundreds of pairs that
your cache met as near neighbours are worth more than thousands of others'. Hits that were thumbed down are pairs with label 0."""
BUDGET = 0.01


def add(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of `turnout cache`."""
    command = subcommands.add_parser(
        "train",
        help="fit the verifier to your own labelled pairs",
        description="Fit the shipped verifier to your own labelled pairs, and say what it gains on pairs held out in turn.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--pairs", metavar="FILE", type=Path, nargs="+", required=True, help="JSON lines, plain or gzip")
    command.add_argument("--split", metavar="S", default=ALL, help="read only rows whose `split` is S (default: all)")
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="the verifier's directory; written over")
    command.add_argument("--embedder", choices=EMBEDDERS, default=WORDLLAMA, help=f"whose vectors (default: {WORDLLAMA})")
    command.add_argument("--base", metavar="DIR", type=Path, help="the verifier to start from (default: the shipped one)")
    command.add_argument("--seed", metavar="N", type=int, default=7, help="for the folds (default: 7)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit, measure and write."""
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out}: a file is there; name a directory")
    progress = Progress()
    try:
        pairs = read_labelled(args.pairs, args.split)
        base = Verifier.load(args.base) if args.base else shipped(args.embedder)
        if base.embedder != args.embedder:
            raise UsageError(f"--base {args.base} is for --embedder {base.embedder}")
        before = scores_of(base, pairs, lambda done: progress(0.4 * done, "scoring with the base"))
        fitted = fit_verifier(pairs, base, args.seed, lambda done: progress(0.4 + 0.6 * done, "fitting"))
        report = _report(pairs, before, base, fitted)
        card = store.write(args.out, fitted.arrays, _card(args, pairs, base, fitted, report), args.embedder)
    except (DataError, ArtifactError) as exc:
        raise ConfigError(str(exc)) from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {exc.filename or args.out}: {exc.strerror}") from exc
    finally:
        progress.close()
    print(_told(pairs, report))
    print(f"wrote {args.out} ({card['name']} {card['version']}); its card: {args.out / 'card.md'}")
    if bar_of(curves_of(fitted.arrays), BUDGET) > 1:
        print(
            f"warning: so few pairs cannot show that a budget of {BUDGET:.0%} is kept, so a route that asks for it serves no "
            "similar question; give more pairs, or a larger false_hit_budget",
            file=sys.stderr,
        )
    return 0


def _report(pairs: list[Pair], before: Any, base: Verifier, fitted: Fitted) -> dict[str, dict[str, float]]:
    """Numbers of the pairs before, by the base, and after, held out in turn."""
    labels = np.array([pair.label for pair in pairs])
    report = {}
    for name, scores, bar in (
        ("before", before, base.bar(BUDGET)),
        ("after", fitted.held_out, bar_of(curves_of(fitted.arrays), BUDGET)),
    ):
        at = served(scores, labels, bar)
        report[name] = {
            "auc": auc(scores, labels),
            "hit_rate_at_95": hit_rate_at(scores, labels, 0.95),
            "hits": at.wrong.whole,
            "wrong": at.wrong.part,
            "hit_rate": at.right.value,
        }
    return report


def _told(pairs: list[Pair], report: dict[str, dict[str, float]]) -> str:
    rows = [
        [
            name,
            f"{found['auc']:.3f}",
            f"{found['hit_rate_at_95']:.1%}",
            f"{found['hit_rate']:.1%}",
            str(Share(int(found["wrong"]), int(found["hits"]))),
        ]
        for name, found in report.items()
    ]
    headings = ("held out", "AUC", "hits at 95 % precision", f"hits at a budget of {BUDGET:.0%}", "of these wrong")
    same = sum(pair.label for pair in pairs)
    return f"{len(pairs):,} pairs, {same:,} the same question\n{table(headings, rows)}"


def _card(
    args: argparse.Namespace, pairs: list[Pair], base: Verifier, fitted: Fitted, report: dict[str, dict[str, float]]
) -> dict[str, Any]:
    command = ["turnout", "cache", "train", "--pairs", *(path.name for path in args.pairs), "--out", args.out.name]
    return {
        "name": args.out.resolve().name,
        "purpose": "Tells whether two texts are the same question, so that an answer to one may be served to the other.",
        "model": f"{base.name}, its line and calibration fitted to {len(pairs)} pairs",
        "columns": list(fitted.names),
        "base": base.name,
        "made": datetime.now(UTC).date().isoformat(),
        "seed": args.seed,
        "command": shlex.join([*command, *(["--embedder", args.embedder] if args.embedder != WORDLLAMA else [])]),
        "pairs": {"rows": len(pairs), "same": sum(pair.label for pair in pairs), "split": args.split},
        "own_pairs": report,
    }
