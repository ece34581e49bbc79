"""Write docs/compatibility.md from the matrix that the tests play: `python -m tools.compatibility`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.clients.pairing.callers.base import CALLERS, CallerName
from tests.clients.pairing.feature import MODES, PROVIDERS, SAME, Feature, LeftOut, ProviderName, Refused, Unsaid, Verdict
from tests.clients.pairing.features.matrix import CELLS, FEATURES, GROUPS

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"

HEAD = """# Which feature works between which client and which provider

Made by `python -m tools.compatibility` from the data of `tests/clients/pairing/`, whose tests play every cell of it through a
running gateway: the real `openai` and `anthropic` clients ask, streamed and not; a server that speaks each vendor's API answers,
and records what it was asked. Of each cell they look at both ends: that the request is what the vendor's own client could have
sent and holds the feature in the vendor's form, and that the caller's client hands its user all of the answer, with its usage.
How to set up each client is in [clients](clients/README.md).

**How to read the tables.** A table for each client, a column for each kind of provider behind the gateway.

| | |
|---|---|
| **✓** | the provider speaks the client's dialect: what each says is passed on as it is, but for the model and a stream's cost |
| ✓ | translated, and nothing is lost |
| ✓ ¹ | it works, and something is told otherwise, or left out without which the answer is the same: see the note |
| 400 `field` | refused before anything is sent, with an error that names the field; a route goes on to a model that can do it |
| – | the provider's API has no such thing |

Where a stream differs from a whole answer, both are told. To play a row: `pytest tests/clients/pairing -k seed`, with a name of
the second column; a cell's test is `test_pairing[FEATURE-CLIENT-PROVIDER-MODE]`, with the client `chat`, `messages` or
`responses`, the provider `chat`, `responses`, `anthropic` or `gemini`, and the mode `stream` or `whole`.
"""
CLIENTS: dict[CallerName, str] = {
    "chat": "## OpenAI chat: `openai`, `client.chat.completions`",
    "messages": "## Anthropic messages: `anthropic`, `client.messages`",
    "responses": "## OpenAI responses: `openai`, `client.responses`",
}
VENDORS: dict[ProviderName, str] = {
    "chat": "OpenAI chat, and all that speak it",
    "responses": "OpenAI responses",
    "anthropic": "Anthropic",
    "gemini": "litellm (Gemini)",
}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Notes:
    """What is left out, numbered as it comes."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, why: str) -> str:
        return str(self._numbers.setdefault(why, len(self._numbers) + 1)).translate(SUPERSCRIPTS)

    def lines(self) -> Iterator[str]:
        for why, number in self._numbers.items():
            yield f"{str(number).translate(SUPERSCRIPTS)} {why}.  "


def page() -> str:
    """The page as the matrix has it."""
    notes = Notes()
    parts = [HEAD, _counted()]
    for caller in CALLERS:
        parts += [CLIENTS[caller] + "\n", _table(caller, notes)]
    return "\n".join([*parts, "## Notes\n", *notes.lines()]) + "\n"


def _counted() -> str:
    kinds = Counter(type(cell.verdict).__name__ for cell in CELLS)
    return (
        f"{len(FEATURES)} features make {len(CELLS)} cells: {kinds['Works']} work, {kinds['LeftOut']} work with something "
        f"left out, {kinds['Refused']} are refused by name.\n"
    )


def _table(caller: CallerName, notes: Notes) -> str:
    columns = ("", "test", *(VENDORS[provider] for provider in PROVIDERS))
    rows: list[Sequence[str]] = [columns, ["---"] * len(columns)]
    for group, features in GROUPS.items():
        rows.append([f"**{group}**", *[""] * (len(columns) - 1)])
        for feature in features:
            if not isinstance(feature.asks[caller], Unsaid):
                told = [_cell(feature, caller, provider, notes) for provider in PROVIDERS]
                rows.append([feature.title, f"`{feature.name}`", *told])
    unsaid = [f"`{feature.name}`" for feature in FEATURES if isinstance(feature.asks[caller], Unsaid)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\nThis dialect has no word for {', '.join(unsaid)}.\n"


def _cell(feature: Feature, caller: CallerName, provider: ProviderName, notes: Notes) -> str:
    if provider not in feature.spoken:
        return "–"
    if provider in feature.unplayed:
        return f"not played {notes.mark(feature.unplayed[provider])}"
    told = {mode: _said(feature, caller, provider, feature.verdict(caller, provider, mode), notes) for mode in feature.only}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{told[mode]} {'streamed' if mode == 'stream' else 'whole'}" for mode in MODES if mode in told)


def _said(feature: Feature, caller: CallerName, provider: ProviderName, verdict: Verdict, notes: Notes) -> str:
    works = "**✓**" if SAME[caller] == provider else "✓"
    if isinstance(verdict, Refused):
        return f"400 `{verdict.field}`"
    if feature.fails:
        return f"`{feature.raises}`"
    note = verdict.why if isinstance(verdict, LeftOut) else verdict.told
    return f"{works} {notes.mark(note)}" if note else works


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
