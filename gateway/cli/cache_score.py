"""`turnout cache score`: what the shipped verifier says of pairs of texts."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from classifiers.errors import ArtifactError, DataError
from classifiers.pairs.blocks import EMBEDDERS, WORDLLAMA, embedder_of
from classifiers.pairs.labelled import read_asked
from classifiers.pairs.verifier import Verifier, shipped
from gateway.cli.artifacts import Progress
from gateway.errors import ConfigError, UsageError

EPILOG = """example:
  turnout cache score --pairs pairs.jsonl.gz --scores scores.jsonl --false-hit-budget 0.01

A row: {"id": ID, "text_a": TEXT, "text_b": TEXT}; other keys are ignored. A row of the scores, in the same order:
{"id": ID, "cosine": C, "score": S, "hit": true or false}. score: probability that both ask the same. hit: the score reaches
the bar that keeps wrong hits within the budget's share of all hits. Files whose name ends in .gz are gzip."""
DEFAULT_BUDGET = 0.01
PROGRESS_EACH = 200


def add(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of `turnout cache`."""
    command = subcommands.add_parser(
        "score",
        help="score pairs of texts with the verifier",
        description="Score pairs of texts: is an answer to one an answer to the other?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--pairs", metavar="FILE", type=Path, required=True, help="JSON lines, plain or gzip")
    command.add_argument("--scores", metavar="OUT", type=Path, required=True, help="where to write; written over")
    command.add_argument("--embedder", choices=EMBEDDERS, default=WORDLLAMA, help=f"whose vectors (default: {WORDLLAMA})")
    command.add_argument("--verifier", metavar="DIR", type=Path, help="one of your own, from `turnout cache train`")
    command.add_argument(
        "--false-hit-budget", metavar="SHARE", type=_budget, default=DEFAULT_BUDGET,
        help=f"share of the hits that may be wrong (default: {DEFAULT_BUDGET})",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score and write."""
    if args.scores.is_dir():
        raise UsageError(f"--scores {args.scores}: a directory is there; name a file")
    args.scores = args.scores.resolve()  # a link stays a link
    if args.scores.exists() and not args.scores.is_file():
        raise UsageError(f"--scores {args.scores}: that is no plain file, and would be replaced by one; name another")
    if args.scores.exists() and args.pairs.exists() and os.path.samefile(args.scores, args.pairs):
        raise UsageError(f"--scores {args.scores}: that is the file of the pairs; name another")
    progress = Progress()
    try:
        verifier = Verifier.load(args.verifier) if args.verifier else shipped(args.embedder)
        if verifier.embedder != args.embedder:
            raise UsageError(f"--verifier {args.verifier} is for --embedder {verifier.embedder}")
        with _beside(args.scores) as out:
            count = _score(args, verifier, out, progress)
    except (DataError, ArtifactError) as exc:
        raise ConfigError(str(exc)) from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {args.scores}: {exc.strerror}") from exc
    finally:
        progress.close()
    bar = verifier.bar(args.false_hit_budget)
    told = f"hit from {bar:.4f}" if bar <= 1 else "no hits: no bar keeps this budget"
    print(f"scored {count:,} pairs with {verifier.name}, {told}: {args.scores}")
    return 0


def _score(args: argparse.Namespace, verifier: Verifier, out: TextIO, progress: Progress) -> int:
    embedder = embedder_of(args.embedder)
    bar = verifier.bar(args.false_hit_budget)
    total = sum(1 for _ in read_asked(args.pairs))  # a broken row is told before the first is scored
    done = 0
    for pair in read_asked(args.pairs):
        cosine = float(embedder.encode(pair.text_a) @ embedder.encode(pair.text_b))
        (score,) = verifier.scores(pair.text_a, [pair.text_b], [cosine])
        row: dict[str, Any] = {"id": pair.id, "cosine": cosine, "score": score, "hit": score >= bar}
        out.write(json.dumps(row) + "\n")
        done += 1
        if done % PROGRESS_EACH == 0:
            progress(done / total, f"{done:,} of {total:,} pairs")
    return done


@contextmanager
def _beside(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of `path` when all is written; it is opened first, so that no work is lost."""
    part = path.with_name(f".{path.name}.part")
    try:
        # The name and the hour stay out of it: the same scores are the same bytes.
        with part.open("wb") as raw:
            packed: Any = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(packed, "utf-8") as text:
                yield text
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _budget(text: str) -> float:
    """A share above 0 and below 1, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; give a number above 0 and below 1, as 0.01")
    return value
