"""What the classifier costs: milliseconds to load, microseconds a decision. python -m benchmarks.classifier

Every decision is of another text: the tokenizer remembers short texts it has seen.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.embed import StaticEmbedder
from classifiers.features import features

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
        texts.append(" ".join(words[: tokens * tokens // max(len(embedder.token_ids(" ".join(words))), 1)]))
    return texts


def median_us(act: Callable[[str], object], texts: Sequence[str]) -> float:
    """Median microseconds of the act over the texts."""
    taken = []
    for text in texts:
        begun = time.perf_counter()
        act(text)
        taken.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(taken)


def table(artifact: Artifact, embedder: StaticEmbedder, count: int) -> None:
    """Print one line for each length of text. A decision is embedding and score together."""
    print(f"{'tokens':>8}{'embed':>10}{'features':>10}{'score':>10}{'decision':>10}   (median us)")
    for tokens in (20, 200, 512):
        texts = texts_of(tokens, 4 * count, embedder)
        embedding = embedder.encode(texts[0])
        acts: tuple[Callable[[str], object], ...] = (
            embedder.encode,
            features,
            partial(artifact.score, embedding=embedding),
            lambda text: artifact.score(text, embedder.encode(text)),
        )
        row = [median_us(act, texts[i * count : (i + 1) * count]) for i, act in enumerate(acts)]
        print(f"{tokens:>8}" + "".join(f"{value:>10.0f}" for value in row))


def main() -> None:
    """Measure the artifact the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", type=Path, default=DEFAULT, metavar="DIR", help="default: the shipped one")
    parser.add_argument("--count", type=int, default=1_000, help="decisions for each number (default 1000)")
    arguments = parser.parse_args()
    loads = load_ms(arguments.artifact, 7)
    print(f"load: median {statistics.median(loads):.0f} ms, least {min(loads):.0f} ms, over {len(loads)} processes")
    embedder = StaticEmbedder.load()
    table(load_artifact(arguments.artifact, embedder), embedder, arguments.count)


if __name__ == "__main__":
    main()
