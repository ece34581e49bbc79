"""How often a class changes by form alone, and how often a hard prompt is called easy. python -m benchmarks.robustness

Every prompt of classifiers/shipped/regressions.jsonl as it stands and varied in each way of shipped/perturb.py, with wordings
that no training row was varied with. Intervals are at 95 %; those of totals come from resampling prompts, not variants.
"""

import argparse
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import classifiers
from classifiers.artifact import load_artifact
from classifiers.shipped.perturb import KINDS
from classifiers.shipped.robustness import ABSTAIN_BELOW, PLAIN, UNSURE, Verdict, flips, judge, pairs, read_regressions

DEFAULT: Final = Path(classifiers.__file__).parent / "artifacts" / "default"
Z: Final = 1.96
DRAWS: Final = 1_000
SHOWN_CHARS: Final = 90


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share. Wilson, "Probable inference" (1927); (0, 1) for no cases."""
    if not total:
        return 0.0, 1.0
    share = hits / total
    middle = share + Z * Z / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    whole = 1 + Z * Z / total
    return max((middle - spread) / whole, 0.0), min((middle + spread) / whole, 1.0)


def resampled(by_prompt: Sequence[tuple[int, int]], seed: int = 0) -> tuple[float, float]:
    """95 % interval of hits over cases, where the cases of one prompt come and go together. by_prompt: (hits, cases)."""
    draw = random.Random(seed)
    shares = []
    for _ in range(DRAWS):
        chosen = draw.choices(by_prompt, k=len(by_prompt))
        cases = sum(n for _, n in chosen)
        shares.append(sum(hits for hits, _ in chosen) / cases if cases else 0.0)
    shares.sort()
    return shares[int(0.025 * DRAWS)], shares[int(0.975 * DRAWS)]


def print_flips(verdicts: Sequence[Verdict]) -> None:
    """By way of varying: how many variants of decided prompts are decided otherwise, and how many become unsure."""
    compared, flipped = pairs(verdicts), {id(varied) for _, varied in flips(verdicts)}
    print(f"\n{'variation':<22}{'prompts':>8}{'flips':>7}{'rate':>9}   {'95 % interval':<18}{'unsure':>7}")
    for kind in KINDS:
        mine = [varied for _, varied in compared if varied.variation == kind]
        hits = sum(id(varied) in flipped for varied in mine)
        _print_row(kind, hits, len(mine), wilson(hits, len(mine)), sum(varied.decided == UNSURE for varied in mine))
    by_prompt: dict[str, list[bool]] = {}
    for plain, varied in compared:
        by_prompt.setdefault(plain.text, []).append(id(varied) in flipped)
    interval = resampled([(sum(hits), len(hits)) for hits in by_prompt.values()])
    unsure = sum(varied.decided == UNSURE for _, varied in compared)
    _print_row("all", len(flipped), len(compared), interval, unsure)


def print_violations(verdicts: Sequence[Verdict]) -> None:
    """By kind of prompt: how many get a class they must never get, as they stand and varied."""
    print(f"\n{'prompt':<22}{'cases':>8}{'wrong':>7}{'rate':>9}   {'95 % interval':<18}{'unsure':>7}")
    kinds = list(dict.fromkeys(verdict.regression.kind for verdict in verdicts))
    for is_varied in (False, True):
        for kind in kinds:
            by_prompt: dict[str, list[Verdict]] = {}
            for verdict in verdicts:
                if verdict.regression.kind == kind and (verdict.variation != PLAIN) == is_varied:
                    by_prompt.setdefault(verdict.regression.prompt, []).append(verdict)
            counts = [(sum(verdict.is_violation for verdict in mine), len(mine)) for mine in by_prompt.values()]
            hits, cases = sum(hits for hits, _ in counts), sum(cases for _, cases in counts)
            unsure = sum(verdict.decided == UNSURE for mine in by_prompt.values() for verdict in mine)
            interval = resampled(counts) if is_varied else wilson(hits, cases)
            _print_row(f"{kind}, {'varied' if is_varied else 'plain'}", hits, cases, interval, unsure)


def _print_row(name: str, hits: int, cases: int, interval: tuple[float, float], unsure: int) -> None:
    low, high = interval
    rate = f"{hits / cases:>9.1%}" if cases else f"{'–':>9}"
    print(f"{name:<22}{cases:>8}{hits:>7}{rate}   {f'{low:.1%} to {high:.1%}':<18}{unsure:>7}")


def print_worst(verdicts: Sequence[Verdict], count: int) -> None:
    """The surest wrong classes, then the surest flips."""
    wrong = sorted((verdict for verdict in verdicts if verdict.is_violation), key=lambda verdict: -verdict.confidence)
    print(f"\n{len(wrong)} wrong classes, the surest first")
    for verdict in wrong[:count]:
        origin = f"{verdict.regression.kind}/{verdict.variation}"
        print(f"  {verdict.decided:<7}{verdict.confidence:.2f}  {origin}: {_line(verdict.text)}")
    flipped = sorted(flips(verdicts), key=lambda pair: -pair[1].confidence)
    print(f"\n{len(flipped)} flips, the surest first")
    for plain, varied in flipped[:count]:
        print(f"  {plain.decided} to {varied.decided} {varied.confidence:.2f}  {varied.variation}: {_line(varied.text)}")


def _line(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…")


def main() -> int:
    """Measure the artifact the arguments name; 1 if a hard prompt as it stands is called easy or an easy one strong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("artifact", type=Path, nargs="?", default=DEFAULT, metavar="ARTIFACT", help="default: the shipped one")
    parser.add_argument("--seed", type=int, default=0, help="of the variants (default 0)")
    parser.add_argument("--abstain-below", type=float, default=ABSTAIN_BELOW, metavar="P", help="default 0.55")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="list the N worst examples of each sort")
    arguments = parser.parse_args()
    artifact = load_artifact(arguments.artifact)
    verdicts = judge(artifact, read_regressions(), arguments.seed, abstain_below=arguments.abstain_below)
    print(f"{artifact.name} {artifact.version}, {len(verdicts)} texts, unsure below {arguments.abstain_below:g}")
    print_flips(verdicts)
    print_violations(verdicts)
    if arguments.show:
        print_worst(verdicts, arguments.show)
    return int(any(verdict.is_violation for verdict in verdicts if verdict.variation == PLAIN))


if __name__ == "__main__":
    sys.exit(main())
