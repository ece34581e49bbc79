"""From the text of a workload file to exact numbers, or to every problem it has, with lines.

Pure: the price map is handed in. Money is integers of nano- and pico-USD, speeds are fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from pydantic import ValidationError

from gateway.estimate.schema import KEYS, EstimateFile, GivenPrice, MachineSpec, ModelSpec
from gateway.policy.catalog import TokenPrice
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.problems import problem_of
from gateway.policy.source import Path, Source, parse_source
from gateway.pricing.book import names_like

DAYS_A_MONTH = 30
EXAMPLE = "examples/wikipedia.yaml"


@dataclass(frozen=True, slots=True)
class Api:
    """A model paid by the token. training: pico-USD per token; None for a model that is taken as it is."""

    price: TokenPrice
    training: int | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A model on GPUs paid by the hour, `count` of which run as one; speeds in tokens per second of each."""

    nusd_per_hour: int
    count: int
    input: Fraction
    output: Fraction
    training: Fraction | None


Model: TypeAlias = Api | Machine


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be priced. requests: of the job, or of a month where only `requests_per_day` was given."""

    requests: int
    requests_per_day: int | None
    input_tokens: int
    output_tokens: int
    training_tokens: int
    models: Mapping[str, Model]
    is_job: bool


PriceOf: TypeAlias = Callable[[str], TokenPrice | None]


def read_workload(file: str, text: str, price_of: PriceOf, listed: Collection[str]) -> Workload:
    """The workload in a file. Raises PolicyError with all problems found.

    file: its name, for messages. price_of: the price map. listed: the names it has.
    """
    source = parse_source(file, text, EXAMPLE)
    try:
        spec = EstimateFile.model_validate(source.data)
    except ValidationError as exc:
        raise PolicyError([problem_of(source, error, KEYS) for error in exc.errors(include_url=False)]) from exc
    problems = _Problems(source)
    models = {name: _model(name, model, price_of, listed, problems) for name, model in spec.models.items()}
    work = spec.workload
    _check_training(spec, problems)
    found = {name: model for name, model in models.items() if model is not None}
    if problems.found:
        raise PolicyError(problems.found)
    return Workload(
        requests=work.requests or DAYS_A_MONTH * (work.requests_per_day or 0),
        requests_per_day=work.requests_per_day,
        input_tokens=work.input_tokens,
        output_tokens=work.output_tokens,
        training_tokens=work.training_tokens or 0,
        models=found,
        is_job=work.requests is not None,
    )


class _Problems:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Problem] = []

    def add(self, path: Path, message: str) -> None:
        self.found.append(Problem(self.source.file, self.source.line_of(path), message))


def _model(name: str, spec: ModelSpec, price_of: PriceOf, listed: Collection[str], problems: _Problems) -> Model | None:
    if spec.gpu is not None:
        return _machine(spec.gpu)
    if isinstance(spec.price, GivenPrice):
        return _given(spec.price)
    assert spec.price is not None
    price = price_of(spec.price)
    if price is None:
        near = names_like(spec.price, listed)
        hint = f"did you mean {' or '.join(near)}? Else give" if near else "give"
        message = f"model '{name}': the price map has no '{spec.price}'; {hint} the price: {{input: …, output: …}}"
        problems.add(("models", name, "price"), f"{message}  (US dollars per million tokens)")
        return None
    return Api(price, None)


def _given(price: GivenPrice) -> Api:
    tokens = TokenPrice(
        input=_pusd(price.input),
        output=_pusd(price.output),
        cached_input=_pusd(price.input),
        cache_write=_pusd(price.input),
        source="given",
    )
    return Api(tokens, None if price.training is None else _pusd(price.training))


def _machine(spec: MachineSpec) -> Machine:
    speed = spec.tokens_per_second
    return Machine(
        nusd_per_hour=round(_exact(spec.usd_per_hour) * 10**9),
        count=spec.count,
        input=_exact(speed.input),
        output=_exact(speed.output),
        training=None if speed.training is None else _exact(speed.training),
    )


def _pusd(usd_per_million: float) -> int:
    """pico-USD per token."""
    return round(_exact(usd_per_million) * 10**6)


def _exact(written: float) -> Fraction:
    """The number as it stands in the file, 0.1 as a tenth."""
    return Fraction(Decimal(repr(written)))


def _check_training(spec: EstimateFile, problems: _Problems) -> None:
    """Fine-tuning needs both how much and at what price; one without the other would be priced at nothing."""
    tuned: list[Path] = []
    for name, model in spec.models.items():
        if isinstance(model.price, GivenPrice) and model.price.training is not None:
            tuned.append(("models", name, "price", "training"))
        if model.gpu is not None and model.gpu.tokens_per_second.training is not None:
            tuned.append(("models", name, "gpu", "tokens_per_second", "training"))
    if tuned and spec.workload.training_tokens is None:
        problems.add(tuned[0], f"model '{tuned[0][1]}' is fine-tuned; say on how much: `training_tokens` under `workload`")
    if spec.workload.training_tokens is not None and not tuned:
        message = "`training_tokens`: no model is fine-tuned; give one a `training` price or speed, or remove this"
        problems.add(("workload", "training_tokens"), message)
