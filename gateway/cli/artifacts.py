"""What `train`, `calibrate` and `evaluate` share: arguments for labelled data, and where an artifact is."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from classifiers.artifact import Artifact
from gateway.errors import ConfigError, UsageError
from gateway.learned import ARTIFACTS

PROGRESS_AFTER_S = 1.0


def add_data(command: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """The arguments that say which labelled rows to read."""
    command.add_argument(
        "--data", metavar="FILE", type=Path, nargs="+", required=is_required, action="extend",
        help="labelled rows: JSON lines, plain or gzip; see docs/classifier.md",
    )  # fmt: skip
    command.add_argument("--split", metavar="S", default="all", help="read only rows whose `split` is S (default: all)")


def add_pair(command: argparse.ArgumentParser, otherwise: str) -> None:
    """The arguments that say between which two models to decide. otherwise: what holds without them."""
    command.add_argument("--weak", metavar="MODEL", help=f"the cheaper model, as it is named in the rows' `q` ({otherwise})")
    command.add_argument("--strong", metavar="MODEL", help=f"the dearer one ({otherwise})")


def pair(args: argparse.Namespace, artifact: Artifact) -> tuple[str, str]:
    """The two models of `add_pair`: as given, else those that the artifact was trained for. Raises UsageError."""
    weak, strong = args.weak or artifact.weak, args.strong or artifact.strong
    if weak is None or strong is None:
        raise UsageError(f"'{artifact.name}' was not trained for one pair of models; give --weak and --strong")
    return weak, strong


def artifact_path(name: str) -> Path:
    """A directory, or the name of a shipped artifact. Raises ConfigError."""
    given, shipped = Path(name), ARTIFACTS / name
    if given.is_dir():
        return given
    if "/" not in name and shipped.is_dir():
        return shipped
    known = ", ".join(sorted(p.name for p in ARTIFACTS.iterdir() if p.is_dir()))
    raise ConfigError(f"there is no artifact '{name}': no such directory, and shipped are: {known}")


def share(text: str) -> float:
    """A number between 0 and 1, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share; give a number above 0 and up to 1, as 0.95")
    return value


def needs_training_extra(exc: ImportError) -> UsageError:
    """What to say when the libraries for training are not installed."""
    return UsageError(f"training needs scikit-learn ({exc}); install it: pip install 'turnout[train]'")


class Progress:
    """A bar on standard error for what takes longer than a second; on a terminal one line, else a line a tenth."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._tenth = -1
        self._is_open = False

    def __call__(self, done: float, what: str) -> None:
        """done: from 0 to 1. what: is done just now."""
        elapsed_s = time.monotonic() - self._began
        if elapsed_s < PROGRESS_AFTER_S:
            return
        if sys.stderr.isatty():
            full = round(30 * min(done, 1.0))
            print(f"\r[{'#' * full}{'.' * (30 - full)}] {done:4.0%} {elapsed_s:4.0f} s  {what:<40.40}", end="", file=sys.stderr)
            self._is_open = True
        elif int(done * 10) > self._tenth:
            self._tenth = int(done * 10)
            print(f"{done:4.0%} {elapsed_s:4.0f} s  {what}", file=sys.stderr)

    def close(self) -> None:
        """End the line."""
        if self._is_open:
            print(file=sys.stderr)
            self._is_open = False
