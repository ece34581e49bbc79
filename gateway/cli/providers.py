"""`turnout providers`: the well-known ones, and what to write into a policy for each."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import textwrap

from gateway.cli.table import table
from gateway.errors import UsageError
from gateway.policy import schema_models
from gateway.policy.presets import PRESETS, Preset
from gateway.pricing.book import PriceBook, open_book
from gateway.settings import load_settings

HEADINGS = ("name", "provider", "speaks", "key", "address")
WIDTH = 100  # of the comments in printed YAML


def define(providers: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    providers.description = (
        "Without a name, lists the well-known providers; with one, prints what to paste into a policy. Any other "
        "server that speaks the OpenAI API needs its base_url only."
    )
    providers.epilog = "example: turnout providers groq"
    providers.add_argument("name", metavar="NAME", nargs="?", help="one of the list")
    providers.add_argument("--json", action="store_true", help="print JSON")
    providers.set_defaults(run=show)


def show(args: argparse.Namespace) -> int:
    """Print the list, or the YAML of one."""
    if args.name is None:
        print(json.dumps([_json(preset) for preset in PRESETS.values()], indent=2) if args.json else _listed())
        return 0
    preset = PRESETS.get(args.name)
    if preset is None:
        near = difflib.get_close_matches(args.name, PRESETS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`turnout providers` lists them"
        raise UsageError(f"no well-known provider is called '{args.name}'; {hint}")
    if args.json:
        print(json.dumps(_json(preset), indent=2))
    else:
        print(yaml_of(preset, open_book(load_settings().data_dir)), end="")
    return 0


def yaml_of(preset: Preset, book: PriceBook) -> str:
    """What to paste into a policy: the provider, and one model of it to begin with."""
    lines = [f"# {preset.title}: {preset.source}"]
    lines += [f"# {line}" for line in textwrap.wrap(preset.note, WIDTH)]
    if preset.start:
        lines.append(f"# start: {preset.start}")
    lines += ["providers:", f"  {preset.name}:", f"    kind: {preset.kind}"]
    if preset.litellm_provider:
        lines.append(f"    litellm_provider: {preset.litellm_provider}")
    if preset.base_url:
        lines.append(f"    base_url: {_quoted(preset.base_url)}")
    if preset.key:
        lines.append(f'    api_key: "${{{preset.key}}}"')
    if preset.kind == "openai" and not preset.host:  # nobody can tell by its address what it speaks
        lines.append(f"    dialects: [{', '.join(preset.dialects)}]")
    if preset.params:
        lines += ["    params:", *(f"      {key}: {_quoted(value)}" for key, value in preset.params.items())]
    lines += [
        "models:",
        f"  {preset.alias}:",
        f"    provider: {preset.name}",
        f"    id: {_quoted(preset.model)}",
    ]
    if not _is_priced(preset, book):
        lines.append("    price: unknown  # or {input: …, output: …}, US dollars per million tokens; or gpu: {usd_per_hour: …}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"' if any(char in text for char in "${}:") or text[:1].isdigit() else text


def _is_priced(preset: Preset, book: PriceBook) -> bool:
    provider: schema_models.ProviderSpec
    match preset.kind:
        case "openai":
            provider = schema_models.OpenAIProvider(kind="openai", base_url=preset.base_url)
        case "anthropic":
            provider = schema_models.AnthropicProvider(kind="anthropic")
        case "litellm":
            provider = schema_models.LiteLLMProvider(kind="litellm", litellm_provider=preset.litellm_provider)
    return book.prices_of(provider, preset.model) is not None


def _listed() -> str:
    rows = [(p.name, p.title, _speaks(p), p.key, p.base_url) for p in PRESETS.values()]
    told = (
        "`turnout providers NAME` prints the YAML to paste. Any other server that speaks the OpenAI API needs its base_url only."
    )
    return f"{table(HEADINGS, rows, left=len(HEADINGS))}\n\n{told}"


def _speaks(preset: Preset) -> str:
    if preset.kind == "openai":
        return ", ".join(preset.dialects)
    return "messages" if preset.kind == "anthropic" else "its own, through litellm"


def _json(preset: Preset) -> dict[str, object]:
    return {**dataclasses.asdict(preset), "params": dict(preset.params)}
