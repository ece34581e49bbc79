"""How far the small model's answers can be trusted: ask it, grade it, fit `classifiers/cascade/confidence.json`.

    python -m benchmarks.cascade_confidence --rows ROWS.jsonl [--reuse] [--out classifiers/cascade/confidence.json]

Asks the packaged local model, started as the gateway starts it, graded questions of graded_questions.py, half of them
at temperature 0 and half at the server's own; ROWS.jsonl keeps what came back, in the form `fit_confidence` takes.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from benchmarks.graded_questions import Question, questions
from classifiers.cascade.confidence import measure
from classifiers.cascade.confidence_fit import REPEATS, Fit, fit_confidence
from gateway.cascade.logprobs import token_chances
from gateway.providers.local import LocalModel, LocalServer, find_weights

MODEL = "smollm2-135m-instruct"
ANSWER_TOKENS = 128
SHIPPED = Path(__file__).parents[1] / "classifiers" / "cascade" / "confidence.json"


async def collect(seed: int, path: Path) -> None:
    """Ask every question; a row each into `path`."""
    server = LocalServer(LocalModel("asked", find_weights(MODEL)))
    await server.start()
    try:
        if not await server.wait_ready(120):
            raise SystemExit(f"{MODEL}: {server.detail}")
        headers = {"authorization": f"Bearer {server.api_key}", "connection": "close"}
        async with httpx.AsyncClient(base_url=server.base_url, timeout=120, headers=headers) as client:
            with path.open("w") as file:
                asked = questions(seed)
                for number, question in enumerate(asked, 1):
                    for temperature in (0.0, None):
                        row = await ask(client, question, temperature, seed + number)
                        if row is not None:
                            file.write(json.dumps({**row, "group": number}) + "\n")
                    if number % 50 == 0:
                        print(f"{number} of {len(asked)} questions", flush=True)
    finally:
        await server.aclose()


async def ask(client: httpx.AsyncClient, question: Question, temperature: float | None, seed: int) -> dict[str, Any] | None:
    """One graded answer with its measures; None if nothing was said."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": question.prompt}],
        "max_tokens": ANSWER_TOKENS,
        "seed": seed,
        "logprobs": True,
        "top_logprobs": 2,
    }
    if temperature is not None:
        body["temperature"] = temperature
    response = await client.post("chat/completions", json=body)
    response.raise_for_status()
    (choice,) = response.json()["choices"]
    measures = measure(token_chances(choice["logprobs"]))
    if measures is None:
        return None
    text = choice["message"]["content"] or ""
    graded = {"right": int(question.is_right(text)), "kind": question.kind, "finish": choice["finish_reason"]}
    return {**asdict(measures), **graded, "temperature": temperature, "prompt": question.prompt, "said": text}


def card(fit: Fit, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What was fitted on what, for whoever reads the file."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        kinds[row["kind"]].append(row["right"])
    by_kind = {kind: {"rows": len(right), "right": round(sum(right) / len(right), 3)} for kind, right in sorted(kinds.items())}
    return {
        "purpose": "The probability that an answer is right, from the log-probabilities of its tokens.",
        "data": {
            "questions": "made and graded by benchmarks/graded_questions.py; no public benchmark",
            "answered_by": f"{MODEL} (GGUF, Q4_1) by llama.cpp, at temperature 0 and at the server's own (0.8); "
            f"those that ended within {ANSWER_TOKENS} tokens",
            "rows": fit.rows,
            "right": round(fit.share_right, 3),
            "by_kind": by_kind,
        },
        "made": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python -m benchmarks.cascade_confidence",
        "measured": {
            "how": f"{fit.folds}-fold cross-validation, mean of {REPEATS}; the rows of one question are in one fold",
            "auc": round(fit.auc, 3),
            "ece": round(fit.ece, 3),
            "brier": round(fit.brier, 3),
            "log_loss": round(fit.log_loss, 3),
            "highest_confidence": round(fit.model.curve[-1][1], 3) if fit.model.curve else None,
        },
        "limits": [
            "Short factual answers of one model. Another model's log-probabilities mean something else: fit it on graded "
            "answers of your own before you trust a number.",
            "It says how sure a model is of its words. A model that is sure and wrong looks right.",
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True, help="where the graded answers are kept")
    parser.add_argument("--reuse", action="store_true", help="fit on the rows that are there; ask nothing")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    if not args.reuse:
        asyncio.run(collect(args.seed, args.rows))
    # An answer that was cut short is judged by that alone, so nobody asks how likely it is right.
    rows = [row for row in map(json.loads, args.rows.read_text().splitlines()) if row["finish"] == "stop"]
    fit = fit_confidence(rows, seed=args.seed)
    args.out.write_text(json.dumps({**fit.as_json(), "card": card(fit, rows)}, indent=2, ensure_ascii=False) + "\n")
    print(f"{fit.rows} rows, {fit.share_right:.0%} right: AUC {fit.auc:.3f}, ECE {fit.ece:.3f}, Brier {fit.brier:.3f}")


if __name__ == "__main__":
    main()
