"""`turnout train`: fit a classifier to labelled data."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from classifiers.errors import ArtifactError, DataError
from gateway.cli.artifacts import Progress, add_data, add_pair, artifact_path, needs_training_extra
from gateway.errors import ConfigError, UsageError

EPILOG = """examples:
  turnout train --data graded.jsonl.gz --weak small --strong gpt-4.1 --out classifiers/artifacts/mine
  turnout train --task intent --data intents.jsonl --out my-intents
  turnout train --add new-model --base classifiers/artifacts/mine --data graded.jsonl --out classifiers/artifacts/mine2

A row for routing: {"prompt": TEXT, "q": {MODEL: QUALITY from 0 to 1, …}}; for intents: {"text": TEXT, "intent": NAME}.
A few hundred rows of your own traffic are worth more than thousands of others'."""


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Fit a classifier to labelled data, and write it with a card that says what it learned from and how it "
        "measures. The same data, options and seed give the same artifact."
    )
    command.epilog = EPILOG
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("--task", choices=("routing", "intent"), default="routing", help="what to learn (default: routing)")
    add_data(command)
    add_pair(command, "default: if the rows grade two models, told by their mean quality")
    command.add_argument("--out", metavar="DIR", type=Path, required=True, help="the artifact's directory; written over")
    command.add_argument("--name", help="the artifact's name (default: the last part of --out)")
    command.add_argument("--seed", type=_seed, default=7, help="for folds and learners (default: 7)")
    command.add_argument("--add", metavar="MODEL", help="let MODEL join --base by its grades in --data, nothing else refitted")
    command.add_argument("--base", metavar="ARTIFACT", help="the artifact that --add extends")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train and write."""
    if (args.add is None) != (args.base is None):
        raise UsageError("--add and --base go together: which model joins which artifact")
    if args.task == "intent" and (args.add is not None or args.weak or args.strong):
        raise UsageError("--add, --weak and --strong are for --task routing")
    if args.add is not None and (args.weak or args.strong):
        raise UsageError("--weak and --strong are fixed by --base; leave them out beside --add")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out}: a file is there; name a directory")
    try:
        from classifiers.training import Order, join, train_intents, train_routing
    except ImportError as exc:
        raise needs_training_extra(exc) from exc
    progress = Progress()
    order = Order(
        files=args.data,
        split=args.split,
        out=args.out,
        name=args.name or args.out.resolve().name,
        seed=args.seed,
        command=_command(args),
    )
    try:
        if args.task == "intent":
            made = train_intents(order, progress)
        elif args.add is not None:
            made = join(order, artifact_path(args.base), args.add, progress)
        else:
            made = train_routing(order, args.weak, args.strong, progress)
    except (DataError, ArtifactError) as exc:
        raise ConfigError(str(exc)) from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {exc.filename or args.out}: {exc.strerror}") from exc
    finally:
        progress.close()
    print(made.summary)
    print(f"wrote {args.out} ({made.name} {made.version}); its card: {args.out / 'card.md'}")
    return 0


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def _command(args: argparse.Namespace) -> str:
    """The command as it goes on the card: with the names of the files, not where they lay."""
    words = ["turnout", "train"]
    words += ["--task", args.task] if args.task != "routing" else []
    words += ["--data", *(path.name for path in args.data)]
    for option in ("split", "weak", "strong", "seed", "add"):
        value = getattr(args, option)
        if value not in (None, "all", 7):
            words += [f"--{option}", str(value)]
    words += ["--base", Path(args.base).name] if args.base else []
    return shlex.join([*words, "--out", args.out.name])
