"""What a workload costs on each model: once, by the month, and from how many requests a day a GPU of one's own is cheaper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from gateway.estimate.workload import DAYS_A_MONTH, Api, Machine, Workload

HOUR_S = 3600
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Cost:
    """nano-USD by what it is for. gpu_hours: for a machine, the hours it is busy with all of it."""

    input_nusd: int
    output_nusd: int
    training_nusd: int
    gpu_hours: Fraction | None = None

    @property
    def total_nusd(self) -> int:
        """The sum of the three."""
        return self.input_nusd + self.output_nusd + self.training_nusd


@dataclass(frozen=True, slots=True)
class Month:
    """Thirty days of a service, without training. gpus: how many run all day, utilisation: the share they are busy."""

    total_nusd: int
    gpus: int | None = None
    utilisation: Fraction | None = None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where a machine that runs all day costs what an API does.

    requests_per_day: from which the machine is cheaper; None if it never is. utilisation: the share of the day that so
    many requests keep it busy; above 1 they do not fit in it, and None if the API is free.
    """

    machine: str
    api: str
    requests_per_day: int | None
    utilisation: Fraction | None


def costs(work: Workload) -> dict[str, Cost]:
    """The cost of all requests and of the training, by model. A machine is paid for the hours it is busy."""
    return {name: _cost(work, model) for name, model in work.models.items()}


def months(work: Workload) -> dict[str, Month]:
    """The cost of a month at `requests_per_day`, by model; none if the file does not say. Machines are paid day and night."""
    if work.requests_per_day is None:
        return {}
    return {name: _month(work, model, work.requests_per_day) for name, model in work.models.items()}


def break_evens(work: Workload) -> list[BreakEven]:
    """Each machine against each API. Training is left out: it is paid once."""
    machines = [(name, model) for name, model in work.models.items() if isinstance(model, Machine)]
    apis = [(name, model) for name, model in work.models.items() if isinstance(model, Api)]
    return [_break_even(work, own, machine, other, api) for own, machine in machines for other, api in apis]


def _cost(work: Workload, model: Api | Machine) -> Cost:
    read, written = work.requests * work.input_tokens, work.requests * work.output_tokens
    if isinstance(model, Api):
        return Cost(
            input_nusd=_api_nusd(work, model, input_tokens=read),
            output_nusd=_api_nusd(work, model, output_tokens=written),
            training_nusd=_rounded(Fraction(work.training_tokens * (model.training or 0), 1000)),
        )
    reading = read / model.input / HOUR_S
    writing = written / model.output / HOUR_S
    training = work.training_tokens / model.training / HOUR_S if model.training else Fraction(0)
    return Cost(
        input_nusd=_rounded(reading * model.nusd_per_hour),
        output_nusd=_rounded(writing * model.nusd_per_hour),
        training_nusd=_rounded(training * model.nusd_per_hour),
        gpu_hours=reading + writing + training,
    )


def _api_nusd(work: Workload, model: Api, *, input_tokens: int = 0, output_tokens: int = 0) -> int:
    """So many tokens of all requests, at the rates that one request of the workload has."""
    rates = model.price.rates(work.input_tokens)
    return _rounded(Fraction(input_tokens * rates.input + output_tokens * rates.output, 1000))


def _rounded(nusd: Fraction) -> int:
    return math.floor(nusd + Fraction(1, 2))


def _busy_s(work: Workload, machine: Machine) -> Fraction:
    """Seconds that one request keeps one GPU busy."""
    return work.input_tokens / machine.input + work.output_tokens / machine.output


def _month(work: Workload, model: Api | Machine, requests_per_day: int) -> Month:
    if isinstance(model, Api):
        requests = DAYS_A_MONTH * requests_per_day
        read, written = requests * work.input_tokens, requests * work.output_tokens
        return Month(_api_nusd(work, model, input_tokens=read, output_tokens=written))
    busy = requests_per_day * _busy_s(work, model) / DAY_S
    gpus = model.count * max(1, math.ceil(busy / model.count))
    return Month(gpus * model.nusd_per_hour * 24 * DAYS_A_MONTH, gpus, busy / gpus)


def _break_even(work: Workload, own: str, machine: Machine, other: str, api: Api) -> BreakEven:
    day_pusd = machine.count * machine.nusd_per_hour * 24 * 1000
    rates = api.price.rates(work.input_tokens)
    request_pusd = work.input_tokens * rates.input + work.output_tokens * rates.output
    if request_pusd == 0:
        return BreakEven(own, other, None, None)
    requests = -(-day_pusd // request_pusd)
    utilisation = requests * _busy_s(work, machine) / (machine.count * DAY_S)
    return BreakEven(own, other, requests if utilisation <= 1 else None, utilisation)
