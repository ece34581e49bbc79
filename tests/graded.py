"""An artifact that learned from graded answers: three models, of which the cheap ones fail where it gets hard."""

from __future__ import annotations

import json
from pathlib import Path

from classifiers.training import Order, train_routing

THINGS = ("apple", "river", "violin", "candle", "window", "garden", "pencil", "mirror", "carpet", "ladder", "basket", "lantern")
NUMBERS = (
    "primes",
    "squares",
    "cubes",
    "integers",
    "fractions",
    "matrices",
    "groups",
    "rings",
    "fields",
    "graphs",
    "series",
    "sets",
)
EASY = [f"What is the plural of {t}?" for t in THINGS] + [f"Translate the word {t} into French." for t in THINGS]
MIDDLING = [f"Write a short story about a {t} that gets lost." for t in THINGS]
HARD = [f"Prove rigorously that there is a bijection between these {n} and the reals." for n in NUMBERS]
HARD += [f"Derive a tight asymptotic bound for the number of {n} of order n." for n in NUMBERS]
QUALITY = {"easy": (0.9, 0.9, 0.9), "middling": (0.4, 0.8, 0.9), "hard": (0.05, 0.2, 0.9)}
MODELS = ("tiny-1", "middle", "large-1")


def train_graded(folder: Path) -> Path:
    """Train it and write it to `folder`/graded."""
    kinds = (("easy", EASY), ("middling", MIDDLING), ("hard", HARD))
    rows = [{"prompt": p, "q": dict(zip(MODELS, QUALITY[kind], strict=True))} for kind, prompts in kinds for p in prompts]
    data = folder / "graded.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    order = Order(files=[data], split="all", out=folder / "graded", name="graded", seed=0, command="test")
    train_routing(order, "tiny-1", "large-1", lambda done, what: None)
    return order.out
