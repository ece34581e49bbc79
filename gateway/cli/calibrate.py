"""`turnout calibrate`: from the quality, share or money that is wanted to the policy's number."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifiers.artifact import load_artifact
from classifiers.errors import ArtifactError, DataError
from classifiers.labelled import read_graded
from classifiers.measure.dial import Choose, for_quality, for_share, settle
from classifiers.measure.evaluate import Graded
from gateway.cli.artifacts import add_data, add_pair, artifact_path, pair, share
from gateway.cli.calibrate_cascade import run_cascade
from gateway.cli.call_prices import CallPrices, call_prices
from gateway.cli.policy_edit import set_classifier_number
from gateway.errors import ConfigError, UsageError
from gateway.judging.class_rule import FAMILIAR_MIN
from gateway.learned import artifact_folder
from gateway.loading import load_policy
from gateway.policy.compile import Policy

EPILOG = """examples:
  turnout calibrate classifiers/artifacts/mine --data graded.jsonl --split dev --target-quality 0.95
  turnout calibrate --policy policies/default.yaml --data graded.jsonl --budget 50usd/day --requests-per-day 20000 --write
  turnout calibrate --cascade graded-answers.jsonl --target-quality 0.9 --out policies/rung.json

The score compared with the threshold is P(strong); rows that the artifact was trained on are left out. Intervals are 95 %
and hold for as many new rows of the same kind."""
_BUDGET = re.compile(r"^([0-9]+(?:\.[0-9]+)?)\s*usd/(hour|day|week|month)$")
_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}
KEY = "strong_above"


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Find the threshold from which requests go to the strong model, with what it costs and the quality it keeps."
    )
    command.epilog = EPILOG
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("artifact", metavar="ARTIFACT", nargs="?", help="a directory or a shipped name (default: --policy's)")
    add_data(command, is_required=False)
    add_pair(command, "default: the pair it was trained for")
    target = command.add_mutually_exclusive_group()
    target.add_argument("--target-quality", metavar="SHARE", type=share, help="of the strong model's mean quality, as 0.95")
    target.add_argument("--target-strong-share", metavar="SHARE", type=share, help="of the calls, as 0.3")
    target.add_argument("--budget", metavar="MONEY", type=_budget, help="as 50usd/day; per hour, day, week or month")
    command.add_argument("--policy", metavar="FILE", type=Path, help="prices come from its models, and --write goes into it")
    command.add_argument("--tokens-in", metavar="N", type=_count, default=500, help="a request's input tokens (default: 500)")
    command.add_argument("--tokens-out", metavar="N", type=_count, default=300, help="a request's output tokens (default: 300)")
    command.add_argument("--usd-per-call", metavar=("WEAK", "STRONG"), type=_usd, nargs=2, help="instead of --policy's prices")
    command.add_argument("--requests-per-day", metavar="N", type=_count, help="what the budget has to serve")
    command.add_argument("--write", action="store_true", help=f"put the threshold into --policy as classifier.{KEY}")
    command.add_argument(
        "--cascade",
        metavar="FILE",
        type=Path,
        help="instead: calibrate a rung's confidence by graded answers, see docs/policy.md",
    )
    command.add_argument("--out", metavar="FILE", type=Path, help="with --cascade: the calibration to write")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Find, print and, if asked, write."""
    if args.cascade is not None:
        return run_cascade(args)
    if args.data is None or args.out is not None:
        raise UsageError("--data FILE is needed: graded rows to measure by" if args.data is None else "--out goes with --cascade")
    if args.target_quality is None and args.target_strong_share is None and args.budget is None:
        raise UsageError("say what is wanted: --target-quality, --target-strong-share or --budget")
    if args.write and args.policy is None:
        raise UsageError("--write needs --policy FILE, the file to write the number into")
    if args.budget is not None and args.requests_per_day is None:
        raise UsageError("--budget needs --requests-per-day N: what the money has to serve")
    policy = load_policy(args.policy) if args.policy is not None else None
    try:
        artifact = load_artifact(_path(args, policy))
        weak, strong = pair(args, artifact)
        prices = call_prices(policy, weak, strong, args.usd_per_call, args.tokens_in, args.tokens_out)
        graded = Graded(artifact, read_graded(args.data, args.split), weak, strong)
        kept = graded.unseen
        choose, asked = _wanted(args, prices)
        setting = settle(choose, graded.scores.p_strong[kept], graded.weak[kept], graded.strong[kept])
    except (ArtifactError, DataError) as exc:
        raise ConfigError(str(exc)) from exc
    threshold = min(setting.threshold, 1.0)
    report: dict[str, Any] = {
        "asked": asked,
        "artifact": {"name": artifact.name, "version": artifact.version},
        "weak": weak,
        "strong": strong,
        "threshold": threshold,
        "unsure_share": float((graded.scores.familiarity[kept] < FAMILIAR_MIN).mean()),
        **{name: _known(value) for name, value in asdict(setting).items() if name != "threshold"},
    }
    if prices is not None:
        report["usd_per_1000_calls"] = prices.per_1000(setting.strong_share)
        report["usd_per_1000_calls_interval"] = [prices.per_1000(bound) for bound in setting.strong_share_interval]
        report["usd_per_1000_calls_all_strong"] = prices.per_1000(1.0)
        if args.requests_per_day is not None:
            report["usd_per_day"] = prices.per_1000(setting.strong_share) * args.requests_per_day / 1000
    print(json.dumps(report, indent=2) if args.json else _told(report))
    if args.write:
        _write(args.policy, threshold)
    return 0


def _path(args: argparse.Namespace, policy: Policy | None) -> Path:
    if args.artifact is not None:
        return artifact_path(args.artifact)
    if policy is None or policy.classifier is None:
        raise UsageError("name an ARTIFACT, or a --policy that has a classifier")
    return artifact_folder(policy, args.policy)


def _wanted(args: argparse.Namespace, prices: CallPrices | None) -> tuple[Choose, str]:
    if args.target_quality is not None:
        return for_quality(args.target_quality), f"quality {args.target_quality:g} of the strong model's"
    if args.target_strong_share is not None:
        return for_share(args.target_strong_share), f"at most {args.target_strong_share:.1%} strong calls"
    if prices is None:
        raise UsageError("--budget needs prices: give --policy FILE, or --usd-per-call WEAK STRONG")
    per_call = args.budget / args.requests_per_day
    affordable = prices.strong_share_for(per_call)
    if affordable is None:
        least = prices.per_1000(0.0) * args.requests_per_day / 1000
        raise UsageError(
            f"--budget: {args.budget:g} usd/day do not even pay the weak model for all: that costs {least:.2f} usd/day"
        )
    return for_share(affordable), f"{args.budget:g} usd/day for {args.requests_per_day:,} requests"


def _told(report: dict[str, Any]) -> str:
    def span(key: str, form: Callable[[float], str]) -> str:
        low, high = report[f"{key}_interval"]
        return f"{form(report[key])}  [{form(low)}, {form(high)}]"

    kept = span("kept", "{:.1%}".format) if report["kept"] is not None else "–"
    lines = [
        f"asked for      {report['asked']}",
        f"threshold      {report['threshold']:.6f}  (classifier.{KEY})",
        f"strong calls   {span('strong_share', '{:.1%}'.format)}",
        f"quality        {span('quality', '{:.3f}'.format)}",
        f"kept           {kept} of {report['strong']}'s",
    ]
    if "usd_per_1000_calls" in report:
        cost, whole = report["usd_per_1000_calls"], report["usd_per_1000_calls_all_strong"]
        saved = f"; {1 - cost / whole:.1%} saved" if whole else ""
        lines.append(
            f"cost           {span('usd_per_1000_calls', '${:.3f}'.format)} per 1,000 calls; all strong ${whole:.3f}{saved}"
        )
    if "usd_per_day" in report:
        lines.append(f"a day          ${report['usd_per_day']:.2f}")
    if report["unsure_share"]:
        lines.append(
            f"unsure         {report['unsure_share']:.1%} of these rows, unlike the training data; counted as if they were not"
        )
    lines.append(f"measured on {report['rows']:,} rows; intervals are 95 %, for as many new ones")
    return "\n".join(lines)


def _known(value: Any) -> Any:
    """As JSON can say it: null for what is no number, as a share of a strong model's quality that is 0."""
    if isinstance(value, tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, threshold: float) -> None:
    try:
        changed = set_classifier_number(path.read_text("utf-8"), KEY, threshold)
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    path.write_text(changed, "utf-8")
    load_policy(path)
    print(f"wrote classifier.{KEY}: {threshold:.6f} into {path}")


def _budget(text: str) -> float:
    """US dollars a day."""
    found = _BUDGET.match(text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no budget; write it as 50usd/day (hour, day, week or month)")
    return float(found[1]) / _DAYS[found[2]]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _usd(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount in US dollars")
    return value
