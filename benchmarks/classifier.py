"""What the classifier costs: milliseconds to load, microseconds a decision. python -m benchmarks.classifier

Every decision is of another text: the tokenizer remembers short texts it has seen. Microseconds are this thread's time on
the processor, so that what else the machine does hardly counts.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.shipped.head import BITS, CHAR_SIZES, TOKEN_SIZES
from classifiers.text.embed import StaticEmbedder
from classifiers.text.features import features
from classifiers.text.ngrams import both_ngrams
from classifiers.text.normalise import flattened, normalise
from classifiers.text.scan import windowed

TOKENS: Final = (20, 200, 4_000)
DEFAULT: Final = Path(classifiers.__file__).parent / "artifacts" / "default"
WORDS: Final = (
    "please explain how the small river town keeps its old bridge safe when many heavy trucks cross every day and what "
    "would change if we prove that two of them can pass at once under the same limit of weight and speed"
).split()
LOAD_CODE: Final = """
import time
from pathlib import Path
import numpy
begun = time.perf_counter()
from classifiers.artifact import load_artifact
load_artifact(Path({path!r}))
print((time.perf_counter() - begun) * 1e3)
"""


def load_ms(path: Path, runs: int) -> list[float]:
    """Milliseconds in fresh processes to import the package (numpy apart) and load artifact and embedder."""
    command = [sys.executable, "-c", LOAD_CODE.format(path=str(path))]
    return [float(subprocess.run(command, capture_output=True, check=True, text=True).stdout) for _ in range(runs)]


def texts_of(tokens: int, count: int, embedder: StaticEmbedder) -> list[str]:
    """Different texts of about so many tokens."""
    rng = random.Random(tokens)
    texts = []
    for _ in range(count):
        words = [rng.choice(WORDS) for _ in range(tokens)]
        share = len(words[:200]) / len(embedder.token_ids(" ".join(words[:200])))  # words a token
        texts.append(" ".join(words[: int(tokens * share)]))
    return texts


def median_us(act: Callable[[str], object], texts: Sequence[str]) -> float:
    """Median microseconds of processor time that the act takes of the texts."""
    taken = []
    for text in texts:
        begun = time.thread_time_ns()
        act(text)
        taken.append((time.thread_time_ns() - begun) / 1e3)
    return statistics.median(taken)


def table(artifact: Artifact, embedder: StaticEmbedder, count: int) -> None:
    """Print one line for each length of text. The parts are of the window that a decision looks at."""

    def embed(text: str) -> object:
        return embedder.encode_ids(embedder.token_ids(text))

    def ngrams(text: str) -> object:
        return both_ngrams(flattened(text), CHAR_SIZES, np.arange(len(text) // 4), TOKEN_SIZES, BITS)

    acts = {"normalise": normalise, "features": features, "embedding": embed, "n-grams": ngrams}
    print(f"{'tokens':>8}" + "".join(f"{name:>12}" for name in (*acts, "decision")) + "   (median us)")
    for tokens in TOKENS:
        texts = texts_of(tokens, (1 + len(acts)) * count, embedder)
        row = []
        for n, act in enumerate(acts.values()):
            row.append(median_us(act, [windowed(text) for text in texts[n * count : (n + 1) * count]]))
        row.append(median_us(artifact.judge, texts[-count:]))
        print(f"{tokens:>8}" + "".join(f"{value:>12.0f}" for value in row))


def main() -> None:
    """Measure the artifact the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path, default=DEFAULT, metavar="DIR", help="default: the shipped one")
    parser.add_argument("--count", type=int, default=300, help="decisions for each number (default 300)")
    arguments = parser.parse_args()
    loads = load_ms(arguments.artifact, 7)
    print(f"load: median {statistics.median(loads):.0f} ms, least {min(loads):.0f} ms, over {len(loads)} processes")
    embedder = StaticEmbedder.load()
    table(load_artifact(arguments.artifact, embedder), embedder, arguments.count)


if __name__ == "__main__":
    main()
