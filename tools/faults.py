"""Write docs/faults.md from the fault matrix that the tests play: `python -m tools.faults`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.scenario.faults.cells import Cell, Try, story
from tests.scenario.faults.matrix import FAULTS, GROUPS, MODES, Fault, Kind, Mode
from tests.scenario.faults.outcomes import Breaks, Fails, Outcome, Passes, Wait

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"

HEAD = """# What happens to a request when a provider fails

Made by `python -m tools.faults` from the data of `tests/scenario/faults/`, whose tests play every line of it through a running
gateway: streamed and not, with a fallback behind the failing model and alone, with providers of each kind, for callers of chat,
Messages, Responses and embeddings. They look at what the caller gets, at the ledger's attempts and what they cost, at the time it
takes, and that the provider's connection is closed.

**The rule.** Until the first token has been sent, a failure is not the caller's: the target is asked again where that may help,
then the route's `fallback` is. A beginning without a token in it (the role, an Anthropic `message_start`) is held back, so that
this holds for streams as well; a whole answer is sent when all of it is here. After the first token nothing can be taken back:
under `midstream: error`, the default, the stream ends with an error event and without its terminator. An answer that is not
complete never looks complete. What else `midstream` can do is in [failover.md](failover.md).

**How to read the tables.** They hold for `retry: {attempts: 2}`. *With a fallback* and *alone* is what the caller gets; the
errors are those of [http.md](http.md#errors), whose `details` name the last cause of each target. *Attempts* is what the ledger
has of the failing model (`GET /v1/requests/{id}`): how each ended, its `fault` or the status, and what was booked for it: the
provider's count, our estimate, or nothing. *At most* is how long the failing model holds the request up, in the policy's
[`timeouts`](policy.md#defaults-and-routes). Embeddings go as whole answers do, without a fallback, since they name their model.

**Callers of other dialects** have the same lines, whether the failing provider speaks their dialect or not, and whichever dialect
the fallback speaks; the error is in theirs:

| caller | before the first token | in mid-answer | the terminator that then is missing |
| --- | --- | --- | --- |
| chat | `{"error": {…}}` | an event with an `error` | `[DONE]` |
| Messages | `{"type": "error", "error": {…}}` | `event: error` | `message_stop` |
| Responses | `{"error": {…}}` | `response.failed` with what there is of the response, then `error` | `response.completed` |
"""

NOTES = {
    "No connection": """Nothing was sent, so nothing is booked; the same target is asked again.""",
    "Nothing comes in time": """A target that is silent is not asked again: it would be silent for longer. Its connection is
closed, which cancels the answer at most providers; what they may have read and written is booked as an estimate. While there is
another target, a whole answer may take half of what is left of `total`; alone, all of it.""",
    "The answer breaks": """JSON that stops in the middle counts as cut, however well the body ended. An answer is empty when it
ends well and holds no text, no tool call, no refusal, no reasoning, no image and no sound. A caller that gave `stop` texts gets
an empty answer all the same, and so does a conversation that ends in a tool's result, to which a model may have nothing to add; a
cascade judges it by its own rules.""",
    "The provider refuses": """`retry-after` is honoured in both of its forms: a target that asks for more than a second is left
for the next one, and waited for where there is none, within `total`. A request that the provider calls wrong is not tried
elsewhere. A 500 that says that the model's chat template cannot take these messages or tools (llama.cpp) is the fault
`unsupported`: the next model is asked, and it does not count against the model.""",
    "Odd answers": """They are passed on whole. What the provider did not count is estimated.""",
    "The caller": """The provider sees its connection closed, whether the answer was to be streamed or not. The entry is
`cancelled`, with status 499, and has an estimate of what was read and written.""",
}

WAITS: dict[Wait, str] = {
    "none": "at once",
    "connect": "`connect`, each time",
    "first_token": "`first_token`",
    "idle": "`idle`",
    "total": "`total`",
    "slow": "until it is there",
    "retry-after": "`retry-after`",
    "error body": "1 s, each time",
}
FORMS: dict[Mode, str] = {"stream": "streamed", "whole": "whole"}
KIND_NAMES: dict[Kind, str] = {
    "openai": "`openai`",
    "anthropic": "`anthropic`",
    "responses": "`openai` that speaks Responses alone",
    "litellm": "`litellm`, as OpenAI",
    "litellm-anthropic": "`litellm`, as Anthropic",
}
COLUMNS = ("", "with a fallback", "alone", "attempts", "at most")


def page() -> str:
    """The page as the matrix has it."""
    return "\n".join([HEAD, *_groups(), *_differences()]) + "\n"


def _groups() -> Iterator[str]:
    for name, faults in GROUPS.items():
        yield f"## {name}\n\n{NOTES[name]}\n"
        yield _table(COLUMNS, [row for fault in faults for row in _rows(fault)])


def _rows(fault: Fault) -> Iterator[tuple[str, ...]]:
    """One row, or two where a stream and a whole answer differ."""
    rows = {mode: _row(fault, mode, "openai") for mode in MODES if fault.outcome(mode, "openai") is not None}
    if len(set(rows.values())) == 1 and len(rows) == len(MODES):
        yield (fault.title, *rows["stream"])
        return
    for mode, row in rows.items():
        yield (f"{fault.title}, {FORMS[mode]}", *row)


def _row(fault: Fault, mode: Mode, kind: Kind) -> tuple[str, ...]:
    backed, alone = (Cell(fault, "chat", mode, kind, has_fallback) for has_fallback in (True, False))
    with_fallback, without = story(backed), story(alone)
    tried = [[attempt for attempt in told.attempts if attempt.model == "first"] for told in (with_fallback, without)]
    attempts = _tried(tried[1])
    if len(tried[0]) != len(tried[1]):
        attempts += f"; {len(tried[0])} with a fallback"
    return with_fallback.client, without.client, attempts, _wait(alone.outcome, mode)


def _tried(attempts: Sequence[Try]) -> str:
    """`2 × error connect, nothing booked`."""
    said = []
    for attempt, same in itertools.groupby(attempts):
        count = len(list(same))
        times = f"{count} × " if count > 1 else ""
        what = attempt.status if attempt.fault == "status" else attempt.fault
        how = attempt.outcome if what is None or what == attempt.outcome else f"{attempt.outcome} `{what}`"
        booked = {"none": "nothing booked", "counted": "as counted", "estimated": "estimated"}[attempt.usage]
        said.append(f"{times}{how}, {booked}")
    return "; then ".join(said)


def _wait(outcome: Outcome, mode: Mode) -> str:
    match outcome:
        case Fails(wait="first_token") if mode == "whole":
            return "half of `total`; alone `total`"
        case Fails(wait=wait) | Breaks(wait=wait) | Passes(wait=wait):
            return WAITS[wait]
    return WAITS["none"]


def _differences() -> Iterator[str]:
    yield """## Where kinds of provider differ

The tables are those of kind `openai`. `anthropic` and `litellm` go the same way but for these. litellm reads the provider's
answer itself, and does not always tell what was wrong with it; whatever it was, a broken answer is not passed on.
"""
    rows = []
    for fault in FAULTS:
        for (kind, mode), outcome in fault.but.items():
            if outcome != fault.outcome(mode, "openai"):
                _, alone, attempts, _ = _row(fault, mode, kind)
                rows.append((f"{fault.title}, {FORMS[mode]}", KIND_NAMES[kind], alone, attempts))
    yield _table(("", "provider", "alone", "attempts"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
