"""How good the router's brain is, and what a decision costs: `make bench-router`, or python -m benchmarks.router --data DIR

Trains with the commands a user has, `turnout train` without options, on each public set's `train` rows and measures with
`turnout evaluate` on its `dev` rows. DIR holds routing/*.jsonl.gz and intent/*.jsonl.gz, which are not part of this
repository. Takes about a quarter of an hour on two cores; --only picks rows of the table.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.labelled import read_graded

PAIR: Final = ("mixtral-8x7b", "gpt-4-1106")
PAIRS: Final = {
    "mmlu": PAIR,
    "gsm8k": PAIR,
    "llmrouter": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
    "alpacaeval": ("gpt-3.5-turbo-1106", "gpt-4-1106"),
}
FEW: Final = 250
DRAWS: Final = 3
TURNOUT: Final = [str(Path(sys.executable).with_name("turnout"))]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    name: str
    measure: str
    value: float
    goal: str
    low: float = float("nan")
    high: float = float("nan")


class Bench:
    """Runs the commands, in a directory of its own."""

    def __init__(self, data: Path, work: Path) -> None:
        self.data, self.work = data, work
        self.train_s: dict[str, float] = {}

    def routing(self, name: str) -> Path:
        """The file of a routing set."""
        return self.data / "routing" / f"{name}.jsonl.gz"

    def train(self, out: str, files: Sequence[Path], *options: str) -> Path:
        """Train once; the artifact's directory."""
        path = self.work / out
        if not path.exists():
            began = time.perf_counter()
            self._turnout("train", "--data", *map(str, files), "--out", str(path), *options)
            self.train_s[out] = time.perf_counter() - began
        return path

    def evaluate(self, artifact: Path, files: Sequence[Path], *options: str) -> dict[str, Any]:
        """The report of an evaluation."""
        report: dict[str, Any] = json.loads(
            self._turnout("evaluate", str(artifact), "--json", "--data", *map(str, files), *options)
        )
        return report

    def calibrate(self, artifact: Path, files: Sequence[Path], *options: str) -> dict[str, Any]:
        """What `turnout calibrate` says."""
        report: dict[str, Any] = json.loads(
            self._turnout("calibrate", str(artifact), "--json", "--data", *map(str, files), *options)
        )
        return report

    @staticmethod
    def _turnout(*words: str) -> str:
        done = subprocess.run([*TURNOUT, *words], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"turnout {' '.join(words)}\n{done.stderr}")
        return done.stdout


def own_traffic(bench: Bench) -> Iterator[Line]:
    """Trained on a set's train rows, measured on its dev rows."""
    goals = {"mmlu": "≥ 0.72", "gsm8k": "≥ 0.66", "llmrouter": "≥ 0.72"}
    for name, goal in goals.items():
        weak, strong = PAIRS[name]
        pair = ("--weak", weak, "--strong", strong)
        artifact = bench.train(name, [bench.routing(name)], "--split", "train", *pair)
        report = bench.evaluate(artifact, [bench.routing(name)], "--split", "dev", *pair)
        yield _line(name, "APGR", report["metrics"]["apgr"], goal)
        if name == "mmlu":
            yield _line(name, "cost saved at 95 % of the quality", report["metrics"]["cost_saved_at_q"], "≥ 0.62")
        yield Line(name, "calibration error of P(strong)", report["calibration"]["ece"], "≤ 0.03")
    both = [bench.routing("mmlu"), bench.routing("gsm8k")]
    pair = ("--weak", PAIR[0], "--strong", PAIR[1])
    artifact = bench.train("pooled", both, "--split", "train", *pair)
    report = bench.evaluate(artifact, both, "--split", "dev", *pair)
    yield _line("mmlu + gsm8k pooled", "APGR", report["metrics"]["apgr"], "≥ 0.72")


def few_labels(bench: Bench) -> Iterator[Line]:
    """Trained on 250 rows drawn at random, several times."""
    rows = [row for row in read_graded([bench.routing("mmlu")], "train") if set(PAIR) <= set(row.q)]
    found = []
    for draw in range(DRAWS):
        drawn = random.Random(draw).sample(rows, FEW)
        path = bench.work / f"few-{draw}.jsonl"
        path.write_text("".join(json.dumps({"prompt": row.prompt, "q": dict(row.q)}) + "\n" for row in drawn), "utf-8")
        pair = ("--weak", PAIR[0], "--strong", PAIR[1])
        artifact = bench.train(f"few-{draw}", [path], *pair)
        found.append(bench.evaluate(artifact, [bench.routing("mmlu")], "--split", "dev", *pair)["metrics"]["apgr"]["value"])
    yield Line(
        f"mmlu, {FEW} labels", f"APGR (mean and range of {DRAWS} draws)", statistics.mean(found), "≥ 0.64", min(found), max(found)
    )


def elsewhere(bench: Bench) -> Iterator[Line]:
    """Trained on one set, measured on each other set: nine pairs of sets."""
    found = {}
    for source in ("mmlu", "gsm8k", "llmrouter"):
        weak, strong = PAIRS[source]
        artifact = bench.train(source, [bench.routing(source)], "--split", "train", "--weak", weak, "--strong", strong)
        for other in PAIRS:
            if other != source:
                pair = ("--weak", PAIRS[other][0], "--strong", PAIRS[other][1])
                report = bench.evaluate(artifact, [bench.routing(other)], *pair)
                found[f"{source} → {other}"] = report["metrics"]["apgr"]["value"]
                yield _line(f"{source} → {other}", "APGR", report["metrics"]["apgr"], "")
    values = list(found.values())
    yield Line("trained elsewhere", f"mean APGR of {len(values)}", statistics.mean(values), "≥ 0.56")
    yield Line("trained elsewhere", f"worst: {min(found, key=found.__getitem__)}", min(values), "≥ 0.48")


def intents(bench: Bench) -> Iterator[Line]:
    """Intents, and out-of-scope texts refused."""
    for name in ("clinc150", "banking77"):
        file = bench.data / "intent" / f"{name}.jsonl.gz"
        artifact = bench.train(name, [file], "--task", "intent", "--split", "train")
        report = bench.evaluate(artifact, [file], "--task", "intent", "--split", "dev")
        goal = "≥ 0.95" if name == "clinc150" else ""
        yield _line(name, "accuracy in scope", report["metrics"]["in_scope_accuracy"], goal)
        if "oos_recall_at_95" in report["metrics"]:
            yield _line(name, "out-of-scope recall, 95 % in scope kept", report["metrics"]["oos_recall_at_95"], "≥ 0.88")
        yield Line(name, "calibration error of the confidence", report["calibration"]["ece"], "≤ 0.03")


def dial(bench: Bench) -> Iterator[Line]:
    """`turnout calibrate --target-quality 0.95` on half of dev, and the quality then reached on the other half."""
    weak, strong = PAIR
    pair = ("--weak", weak, "--strong", strong)
    artifact = bench.train("mmlu", [bench.routing("mmlu")], "--split", "train", *pair)
    rows = read_graded([bench.routing("mmlu")], "dev")
    random.Random(0).shuffle(rows)
    halves = (rows[::2], rows[1::2])
    paths = [bench.work / "half-a.jsonl", bench.work / "half-b.jsonl"]
    for path, half in zip(paths, halves, strict=True):
        lines = (json.dumps({"id": row.id, "prompt": row.prompt, "q": dict(row.q)}) + "\n" for row in half)
        path.write_text("".join(lines), "utf-8")
    asked = bench.calibrate(artifact, paths[:1], *pair, "--target-quality", "0.95")
    scores = bench.work / "scores.jsonl"
    bench.evaluate(artifact, paths[1:], *pair, "--scores", str(scores))
    p_strong = {line["id"]: line["p_strong"] for line in map(json.loads, scores.read_text("utf-8").splitlines())}
    reached = statistics.mean(row.q[strong if p_strong[row.id] >= asked["threshold"] else weak] for row in halves[1])
    low, high = asked["quality_interval"]
    yield Line("calibrate, mmlu", "quality on the rows not used [as printed]", reached, "inside", low, high)
    yield Line("calibrate, mmlu", "share of strong calls", asked["strong_share"], "", *asked["strong_share_interval"])


PARTS: Final = {"own": own_traffic, "few": few_labels, "elsewhere": elsewhere, "intents": intents, "dial": dial}


def _line(name: str, measure: str, found: dict[str, Any], goal: str) -> Line:
    return Line(name, measure, found["value"], goal, *found["interval"])


def main() -> None:
    """Print the table as it grows, then what a decision costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.router", description="Measure the router's quality and speed.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="directory with routing/ and intent/")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="train into DIR, and use what is there already")
    args = parser.parse_args()
    if not (args.data / "routing").is_dir():
        sys.exit(f"{args.data}: there is no routing/ in it; name the directory of the public sets (make bench-router DATA=DIR)")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.data, args.keep or Path(folder))
        bench.work.mkdir(parents=True, exist_ok=True)
        print(f"{'set':<26}{'measure':<44}{'value':>8}  {'95 % interval':<18}goal")
        for part in args.only:
            for line in PARTS[part](bench):
                span = f"[{line.low:.3f}, {line.high:.3f}]" if line.low == line.low else ""
                print(f"{line.name:<26}{line.measure:<44}{line.value:>8.3f}  {span:<18}{line.goal}", flush=True)
        for name, seconds in bench.train_s.items():
            print(f"trained {name} in {seconds:.0f} s", file=sys.stderr)
    print()
    subprocess.run([sys.executable, "-m", "benchmarks.classifier"], check=True)


if __name__ == "__main__":
    main()
