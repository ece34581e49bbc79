"""The file of a workload: what is wrong with one is said with its line, the thing and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.estimate.schema import estimate_json_schema
from gateway.estimate.workload import Workload, read_workload
from gateway.policy.errors import PolicyError
from gateway.policy.source import parse_source
from gateway.pricing.book import shipped_book

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHIPPED = sorted(EXAMPLES.glob("*.yaml"))
WORK = "workload: {requests: 1, input_tokens: 2, output_tokens: 3}\n"
SERVICE = "workload: {requests_per_day: 7, input_tokens: 2, output_tokens: 3}\n"
PRICED = "models: {m: {price: {input: 1, output: 2}}}"


def read(text: str) -> Workload:
    return read_workload("w.yaml", text, shipped_book().price, shipped_book().names)


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "w.yaml:1: the file is empty; start from examples/wikipedia.yaml"),
        (PRICED, "w.yaml:1: `workload` is missing; add it"),
        (WORK, "w.yaml:1: `models` is missing; add it"),
        (WORK + "modles: {}\n" + PRICED, "w.yaml:2: unknown key `modles`; did you mean `models`?"),
        (
            "workload:\n  request: 1\n  requests: 2\n  input_tokens: 2\n  output_tokens: 3\n" + PRICED,
            "w.yaml:2: workload: unknown key `request`; did you mean `requests`?",
        ),
        (
            "workload: {input_tokens: 2, output_tokens: 3}\n" + PRICED,
            "w.yaml:1: `workload`: give `requests` for a job, or `requests_per_day` for a service",
        ),
        (
            "workload: {requests: 0, input_tokens: 2, output_tokens: 3}\n" + PRICED,
            "w.yaml:1: `workload.requests`: input should be greater than or equal to 1 (it is 0)",
        ),
        (
            "workload: {requests: 1, input_tokens: 2.5, output_tokens: 3}\n" + PRICED,
            "w.yaml:1: `workload.input_tokens`: input should be a valid integer (it is 2.5)",
        ),
        (WORK + "models: {m: {}}", "w.yaml:2: `models.m`: has neither of `price` and `gpu`; give the one that is billed"),
        (
            WORK
            + "models:\n  m:\n    price: {input: 1, output: 2}\n"
            + "    gpu: {usd_per_hour: 1, tokens_per_second: {input: 1, output: 1}}",
            "w.yaml:3: `models.m`: has both of `price` and `gpu`; give the one that is billed",
        ),
        (
            WORK + "models: {m: {price: 30}}",
            "w.yaml:2: `models.m.price`: write {input: …, output: …} in US dollars per million tokens, or a name of the price "
            "map (it is 30)",
        ),
        (
            WORK + "models: {m: {price: {input: 1.0e400, output: 1}}}",
            "w.yaml:2: `models.m.price.input`: input should be a finite number (it is inf)",
        ),
        (
            WORK + "models: {m: {gpu: {usd_per_hour: 1, tokens_per_second: {input: 0, output: 1}}}}",
            "w.yaml:2: `models.m.gpu.tokens_per_second.input`: input should be greater than or equal to 0.001 (it is 0)",
        ),
        (
            WORK + "models: {m: {price: openai/gpt-4.l}}",
            "w.yaml:2: model 'm': the price map has no 'openai/gpt-4.l'; did you mean openai/gpt-4.1 or openai/gpt-4 or "
            "openai/gpt-4o? Else give the price: {input: …, output: …}  (US dollars per million tokens)",
        ),
        (
            WORK + "models: {m: {price: nobody's-model}}",
            "w.yaml:2: model 'm': the price map has no 'nobody's-model'; give the price: {input: …, output: …}  "
            "(US dollars per million tokens)",
        ),
        (
            WORK + "models:\n  m:\n    price: {input: 1, output: 2, training: 3}",
            "w.yaml:4: model 'm' is fine-tuned; say on how much: `training_tokens` under `workload`",
        ),
        (
            "workload:\n  requests: 1\n  input_tokens: 2\n  output_tokens: 3\n  training_tokens: 4\n" + PRICED,
            "w.yaml:5: `training_tokens`: no model is fine-tuned; give one a `training` price or speed, or remove this",
        ),
    ],
)
def test_what_is_wrong_is_said_with_line_and_remedy(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_a_name_without_its_provider_is_offered_with_it() -> None:
    (problem,) = problems(WORK + "models: {m: {price: claude-haiku-4-5}}")
    assert "did you mean " in problem and "anthropic/claude-haiku-4-5" in problem


def test_all_problems_come_at_once() -> None:
    found = problems(WORK + "models:\n  a: {price: gpt-0}\n  b: {price: {input: 1, output: 2, training: 3}}")
    assert [line.split(":")[1] for line in found] == ["3", "4"]


def test_a_service_without_a_job_is_priced_by_the_month() -> None:
    month = read(SERVICE + PRICED)
    assert (month.requests, month.is_job) == (210, False)
    both = read(SERVICE.replace("{", "{requests: 5, ", 1) + PRICED)
    assert (both.requests, both.requests_per_day, both.is_job) == (5, 7, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["openai/gpt-4.1", "requests", "measured", ""]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "workload models requests requests_per_day input_tokens output_tokens training_tokens "
                    "m price gpu input output training usd_per_hour count tokens_per_second".split()
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_file_is_a_workload_or_has_a_problem_with_a_line(value: object) -> None:
    try:
        work = read(json.dumps(value))
    except PolicyError as exc:
        assert exc.problems
        assert all(problem.line == 1 and problem.message for problem in exc.problems)
    else:
        assert work.models


def test_shipped_schema_is_the_generated_one() -> None:
    shipped = json.loads((EXAMPLES / "estimate.schema.json").read_text())
    assert shipped == estimate_json_schema(), "generate it anew: turnout estimate --schema > examples/estimate.schema.json"
    Draft202012Validator.check_schema(shipped)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_example_validates_and_names_the_schema_beside_it(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=./estimate.schema.json\n")
    assert list(Draft202012Validator(estimate_json_schema()).iter_errors(parse_source(path.name, text).data)) == []


@pytest.mark.parametrize("change", ["{price: 30}", "{price: {input: 1}}", "{gpu: {usd_per_hour: 1}}", "{cost: 1}"])
def test_schema_refuses_what_the_reader_refuses(change: str) -> None:
    text = WORK + f"models: {{m: {change}}}"
    assert problems(text)
    assert list(Draft202012Validator(estimate_json_schema()).iter_errors(parse_source("w", text).data))
