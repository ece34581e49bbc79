"""`turnout estimate`: a workload priced, or a model sized up, with no traffic at all."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from gateway.cli import estimate_size
from gateway.cli.table import table
from gateway.errors import ConfigError, UsageError
from gateway.estimate.cost import BreakEven, Cost, Month, break_evens, costs, months
from gateway.estimate.schema import estimate_json_schema
from gateway.estimate.workload import Api, Workload, read_workload
from gateway.pricing.book import open_book
from gateway.pricing.cost import usd
from gateway.settings import data_folder

EPILOG = """examples:
  turnout estimate examples/wikipedia.yaml
  turnout estimate examples/support.yaml --break-even
  turnout estimate --size examples/opt-350m.json --context 1024 --batch 8"""


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Price a workload (requests, tokens, fine-tuning) over models paid by the token or by the GPU-hour; "
        "or say how large a model is, which GPUs it fits and how fast it cannot be there."
    )
    command.epilog = EPILOG
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the workload, in YAML")
    command.add_argument("--break-even", action="store_true", help="from how many requests a day a GPU beats an API")
    command.add_argument("--size", metavar="CONFIG", type=Path, help="a decoder's config.json, as Hugging Face has it")
    command.add_argument(
        "--context", metavar="N", type=_count, help="with --size: tokens of a conversation (default: all it can)"
    )
    command.add_argument("--batch", metavar="N", type=_count, help="with --size: conversations at a time (default: 1)")
    command.add_argument("--schema", action="store_true", help="print the JSON Schema of FILE, for editors")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the one estimate that is asked for."""
    if sum((args.file is not None, args.size is not None, args.schema)) != 1:
        raise UsageError("estimate: give one of FILE, --size CONFIG and --schema")
    if args.size is None and (args.context or args.batch):
        raise UsageError("estimate: --context and --batch go with --size")
    if args.file is None and args.break_even:
        raise UsageError("estimate: --break-even goes with FILE")
    if args.schema:
        print(json.dumps(estimate_json_schema(), indent=2, ensure_ascii=False))
    elif args.size is not None:
        estimate_size.show(str(args.size), _read(args.size), args.context, args.batch or 1, is_json=args.json)
    else:
        book = open_book(data_folder(os.environ))
        work = read_workload(str(args.file), _read(args.file), book.price, book.names)
        if args.break_even:
            _show_break_evens(work, is_json=args.json)
        else:
            _show_costs(work, is_json=args.json)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read '{path}': {reason}") from exc


def _show_costs(work: Workload, *, is_json: bool) -> None:
    once, monthly = costs(work), months(work)
    if is_json:
        print(json.dumps([_cost_json(name, once[name], monthly.get(name)) for name in once], indent=2, ensure_ascii=False))
        return
    what = "a job" if work.is_job else "a month"
    print(f"{what} of {work.requests:,} requests, {work.input_tokens:,} tokens in and {work.output_tokens:,} out")
    if work.training_tokens:
        print(f"fine-tuning on {work.training_tokens:,} tokens")
    headings = ("model", "input USD", "output USD", "training USD", "total USD", "GPU hours")
    print(f"\n{table(headings, [_cost_cells(name, cost) for name, cost in once.items()])}")
    if monthly:
        print(f"\n{work.requests_per_day:,} requests a day for 30 days, GPUs paid day and night, no training")
        print(table(("model", "month USD", "GPUs", "busy"), [_month_cells(name, month) for name, month in monthly.items()]))
    listed = {model.price.source for model in work.models.values() if isinstance(model, Api)} - {"given"}
    for source in sorted(listed):
        print(f"\nprices by name: {source}")


def _cost_json(name: str, cost: Cost, month: Month | None) -> dict[str, object]:
    row: dict[str, object] = {
        "model": name,
        "input_usd": usd(cost.input_nusd),
        "output_usd": usd(cost.output_nusd),
        "training_usd": usd(cost.training_nusd),
        "total_usd": usd(cost.total_nusd),
    }
    if month is not None:
        row["month_usd"] = usd(month.total_nusd)
        row["gpus"] = month.gpus
        row["utilisation"] = None if month.utilisation is None else float(month.utilisation)
    return row


def _cost_cells(name: str, cost: Cost) -> list[str]:
    hours = "" if cost.gpu_hours is None else f"{float(cost.gpu_hours):,.1f}"
    return [name, *(_usd(n) for n in (cost.input_nusd, cost.output_nusd, cost.training_nusd, cost.total_nusd)), hours]


def _month_cells(name: str, month: Month) -> list[str]:
    busy = "" if month.utilisation is None else f"{float(month.utilisation):.1%}"
    return [name, _usd(month.total_nusd), "" if month.gpus is None else f"{month.gpus:,}", busy]


def _show_break_evens(work: Workload, *, is_json: bool) -> None:
    found = break_evens(work)
    if not found:
        raise ConfigError("--break-even: the file needs a model with `gpu` and one with `price`")
    if is_json:
        print(json.dumps([_break_even_json(even) for even in found], indent=2, ensure_ascii=False))
        return
    print(f"requests of {work.input_tokens:,} tokens in and {work.output_tokens:,} out, GPUs paid day and night\n")
    headings = ("on GPUs", "against", "cheaper from requests a day", "busy then")
    print(table(headings, [_break_even_cells(even) for even in found], left=2))
    if any(even.requests_per_day is None for even in found):
        print("\nnever: so many requests would not fit in the day, or the API is free")


def _break_even_json(even: BreakEven) -> dict[str, object]:
    return {
        "model": even.machine,
        "against": even.api,
        "requests_per_day": even.requests_per_day,
        "utilisation": None if even.utilisation is None else float(even.utilisation),
    }


def _break_even_cells(even: BreakEven) -> list[str]:
    requests = "never" if even.requests_per_day is None else f"{even.requests_per_day:,}"
    return [even.machine, even.api, requests, "" if even.utilisation is None else f"{float(even.utilisation):.1%}"]


def _usd(nusd: int) -> str:
    """Cents, and what is smaller than a dollar to the millionth."""
    return f"{nusd / 1e9:,.2f}" if nusd == 0 or nusd >= 1e9 else f"{nusd / 1e9:,.6f}"
