"""What workloads cost: the published case to the dollar, and what holds for all of them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.estimate.cost import break_evens, costs, months
from gateway.estimate.workload import Workload, read_workload
from gateway.pricing.book import shipped_book

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Thousands of dollars: input, output, training. The node's speeds are published rounded, hence ten cents of tolerance.
PUBLISHED = {
    "gpt-4-32k": (360, 360, 0),
    "gpt-4-8k": (180, 180, 0),
    "davinci": (120, 60, 0),
    "claude-v1": (66, 96, 0),
    "curie": (12, 6, 0),
    "7b": (0.35, 1.75, 0),
    "davinci-tuned": (720, 360, 180),
    "curie-tuned": (72, 36, 18),
    "7b-tuned": (0.35, 1.75, 1.4),
}


def workload(text: str) -> Workload:
    return read_workload("w.yaml", text, shipped_book().price, shipped_book().names)


def service(models: str, *, requests_per_day: int = 1000, tokens: tuple[int, int] = (1000, 500)) -> Workload:
    work = f"{{requests_per_day: {requests_per_day}, input_tokens: {tokens[0]}, output_tokens: {tokens[1]}}}"
    return workload(f"workload: {work}\nmodels: {models}")


def test_the_published_summaries_cost_what_was_published() -> None:
    found = costs(workload((EXAMPLES / "wikipedia.yaml").read_text()))
    assert list(found) == list(PUBLISHED)
    for name, thousands in PUBLISHED.items():
        cost = found[name]
        parts = (cost.input_nusd, cost.output_nusd, cost.training_nusd)
        tolerance = 0 if cost.gpu_hours is None else 0.1 * 10**9
        for nusd, published in zip((*parts, cost.total_nusd), (*thousands, sum(thousands)), strict=True):
            assert nusd == pytest.approx(published * 10**12, rel=0, abs=tolerance), name


def test_gpu_hours_are_the_hours_of_reading_writing_and_training() -> None:
    text = (
        "workload: {requests: 3600, input_tokens: 100, output_tokens: 10, training_tokens: 7200}\n"
        "models: {own: {gpu: {usd_per_hour: 3, tokens_per_second: {input: 100, output: 5, training: 2}}}}"
    )
    cost = costs(workload(text))["own"]
    assert cost.gpu_hours == 1 + 2 + 1
    assert (cost.input_nusd, cost.output_nusd, cost.training_nusd) == (3 * 10**9, 6 * 10**9, 3 * 10**9)


def test_a_price_is_taken_as_it_is_written() -> None:
    # 0.07 as a float, times a million, is 70000.00000000001.
    work = workload("workload: {requests: 1, input_tokens: 1, output_tokens: 0}\nmodels: {m: {price: {input: 0.07, output: 0}}}")
    assert costs(work)["m"].input_nusd == 70


def test_a_name_is_priced_by_the_shipped_map() -> None:
    listed = shipped_book().price("openai/gpt-4.1")
    assert listed is not None
    work = workload("workload: {requests: 1, input_tokens: 1000, output_tokens: 1000}\nmodels: {m: {price: openai/gpt-4.1}}")
    cost = costs(work)["m"]
    assert (cost.input_nusd, cost.output_nusd) == (listed.input, listed.output)  # pico-USD a token, nano-USD a thousand


@pytest.mark.parametrize(("tokens_in", "usd"), [(200_000, 1.25), (200_001, 2.5)])
def test_each_request_is_priced_by_its_own_length_and_not_by_that_of_all(tokens_in: int, usd: float) -> None:
    text = f"{{requests: 10, requests_per_day: 10, input_tokens: {tokens_in}, output_tokens: 0}}"
    machine = "{gpu: {usd_per_hour: 1, tokens_per_second: {input: 1000000, output: 1}}}"
    work = workload(f"workload: {text}\nmodels: {{m: {{price: gemini/gemini-2.5-pro}}, own: {machine}}}")
    assert costs(work)["m"].total_nusd == 10 * tokens_in * usd * 1000
    assert months(work)["m"].total_nusd == 300 * tokens_in * usd * 1000
    (even,) = break_evens(work)
    assert even.requests_per_day == math.ceil(24 * 10**9 / (tokens_in * usd * 1000))


def test_a_month_pays_the_api_by_the_token_and_the_gpus_day_and_night() -> None:
    work = service(
        "{api: {price: {input: 1, output: 2}}, own: {gpu: {usd_per_hour: 2, tokens_per_second: {input: 1000, output: 500}}}}"
    )
    found = months(work)
    assert found["api"].total_nusd == 30 * 1000 * 2_000_000
    assert found["own"].total_nusd == 2 * 720 * 10**9
    assert (found["own"].gpus, found["own"].utilisation) == (1, Fraction(2000, 86_400))


@pytest.mark.parametrize(("requests", "count", "gpus"), [(43_200, 1, 1), (43_201, 1, 2), (43_200, 4, 4), (4 * 43_200 + 1, 4, 8)])
def test_a_month_takes_as_many_gpus_as_the_tokens_need(requests: int, count: int, gpus: int) -> None:
    own = (
        f"{{own: {{gpu: {{usd_per_hour: 1, count: {count}, tokens_per_second: {{input: 1000, output: 500}}}}}}}}"  # 2 s a request
    )
    month = months(service(own, requests_per_day=requests))["own"]
    assert month.gpus == gpus
    assert month.total_nusd == gpus * 720 * 10**9
    assert month.utilisation is not None and month.utilisation <= 1


def test_a_job_has_no_month() -> None:
    assert months(workload((EXAMPLES / "wikipedia.yaml").read_text())) == {}


def test_break_even_is_where_the_day_of_the_gpu_costs_what_the_api_does() -> None:
    # $48 a day against $0.002 a request; 1 s of GPU for each.
    work = service(
        "{api: {price: {input: 1, output: 2}}, own: {gpu: {usd_per_hour: 2, tokens_per_second: {input: 2000, output: 1000}}}}"
    )
    (even,) = break_evens(work)
    assert (even.machine, even.api) == ("own", "api")
    assert even.requests_per_day == 24_000
    assert even.utilisation == Fraction(24_000, 86_400)


def test_break_even_is_never_when_so_many_requests_do_not_fit_in_the_day() -> None:
    work = service(
        "{api: {price: {input: 1, output: 2}}, own: {gpu: {usd_per_hour: 2, tokens_per_second: {input: 400, output: 200}}}}"
    )
    (even,) = break_evens(work)
    assert even.requests_per_day is None
    assert even.utilisation == Fraction(5 * 24_000, 86_400)


def test_break_even_is_never_against_an_api_that_is_free() -> None:
    work = service(
        "{api: {price: {input: 0, output: 0}}, own: {gpu: {usd_per_hour: 2, tokens_per_second: {input: 1, output: 1}}}}"
    )
    (even,) = break_evens(work)
    assert (even.requests_per_day, even.utilisation) == (None, None)


@given(
    usd=st.decimals(0, 1000, places=4),
    hour=st.decimals("0.01", 100, places=2),
    speed=st.integers(1, 100_000),
    count=st.integers(1, 8),
    tokens=st.tuples(st.integers(1, 10_000), st.integers(0, 10_000)),
)
def test_the_month_turns_at_the_break_even(usd: object, hour: object, speed: int, count: int, tokens: tuple[int, int]) -> None:
    def at(requests: int) -> Workload:
        own = f"{{gpu: {{usd_per_hour: {hour}, count: {count}, tokens_per_second: {{input: {speed}, output: {speed}}}}}}}"
        return service(
            f"{{api: {{price: {{input: {usd}, output: {usd}}}}}, own: {own}}}", requests_per_day=requests, tokens=tokens
        )

    (even,) = break_evens(at(1))
    if even.requests_per_day is None:
        assert even.utilisation is None or even.utilisation > 1
        return
    months_at = months(at(even.requests_per_day))
    assert months_at["own"].total_nusd <= months_at["api"].total_nusd
    assert months_at["own"].gpus == count
    assert months_at["own"].utilisation == even.utilisation
    if even.requests_per_day > 1:
        before = months(at(even.requests_per_day - 1))
        assert before["own"].total_nusd > before["api"].total_nusd
