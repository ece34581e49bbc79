"""Made-up graded prompts and intents, for the commands that train, measure and calibrate."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

EASY = ("What is the capital of {}?", "Translate 'good night' into the language of {}.", "How far is it to {} by train?",
        "Name three dishes from {}.", "What do people in {} call a cat?")  # fmt: skip
HARD = ("Prove that the number of {}s that divide n! is even for n above {}.",
        "Derive the variance of the {} estimator for k = {}.",
        "Find the bug in this lock-free {} with {} threads and prove your fix.",
        "Show that every {} graph on {} vertices has a cover of half its size.")  # fmt: skip
PLACES = "Norway Kenya Peru Japan Malta Chad Fiji Laos Oman Cuba Iran Mali Togo Nepal Spain Ghana".split()
THINGS = "prime square bipartite regular median queue matrix lattice kernel prefix tree ring".split()
MODELS = ("tiny", "middle", "large")
INTENTS = {
    "opening_hours": ("when do you open {}", "are you open {}", "what are your hours {}", "closing time {}?"),
    "parking": ("where can I park {}", "is there parking {}", "how much is parking {}", "a space for my car {}"),
    "greeting": ("hello {}", "hi there {}", "good morning {}", "hey {}"),
    "oos": ("who won the match {}", "my knee hurts {}", "sing me an opera {}", "what is the boiling point of tin {}"),
}
TIMES = "today tomorrow tonight please now on Sunday on Monday at noon this week in May".split(" ")


def graded(n: int, seed: int = 0, models: tuple[str, ...] = MODELS) -> list[dict[str, Any]]:
    """n rows: easy ones nearly all models answer, hard ones hardly any but the last. Every fourth row is `dev`."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        is_hard = rng.random() < 0.5
        place, thing = rng.choice(PLACES), rng.choice(THINGS)
        prompt = rng.choice(HARD).format(thing, rng.randrange(3, 99)) if is_hard else rng.choice(EASY).format(place)
        chances = {model: 0.9 - is_hard * 0.75 * (1 - k / (len(MODELS) - 1)) for k, model in enumerate(MODELS)}
        q = {model: float(rng.random() < chances[model]) for model in models}
        rows.append({"id": f"row-{i}", "prompt": f"{prompt} ({i})", "q": q, "split": "dev" if i % 4 == 3 else "train",
                     "topic": "hard" if is_hard else "easy"})  # fmt: skip
    return rows


def intents(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """n texts of three intents and `oos`. Every fourth row is `dev`."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        intent = rng.choice(list(INTENTS))
        text = f"{rng.choice(INTENTS[intent]).format(rng.choice(TIMES))} {i}"
        rows.append({"text": text, "intent": intent, "split": "dev" if i % 4 == 3 else "train"})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as JSON lines, packed if the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path
