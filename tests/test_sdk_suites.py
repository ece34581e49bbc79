"""What is made of the SDKs' own suites: their results read, each failure explained or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.loading import load_router
from tools.sdk_suites import SUITES, Suite, read_results, report

XML = """<?xml version="1.0"?><testsuites><testsuite>
<testcase classname="tests.api_resources.chat.test_completions.TestCompletions" name="test_method_create[strict]"/>
<testcase classname="tests.api_resources.test_models.TestAsyncModels" name="test_method_delete[loose]"><failure/></testcase>
<testcase classname="tests.api_resources.test_models.TestModels" name="test_method_list[loose]"><error message="gone"/></testcase>
<testcase classname="tests.api_resources.test_models.TestModels" name="test_other"><skipped/></testcase>
</testsuite></testsuites>"""
CREATE = "chat/test_completions.TestCompletions.test_method_create[strict]"
DELETE = "test_models.TestAsyncModels.test_method_delete[loose]"
LIST = "test_models.TestModels.test_method_list[loose]"


def suite(**explained: str) -> Suite:
    return Suite(
        files=[], provider="kind: openai", models=["gpt"], base="", explained={f"_{k}": why for k, why in explained.items()}
    )


def test_results_are_read_by_file_class_and_function() -> None:
    assert read_results(XML) == {CREATE: True, DELETE: False, LIST: False}


def test_failures_are_counted_by_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    direct = {CREATE: True, DELETE: True, LIST: False}
    assert report(suite(delete="nobody may"), direct, {CREATE: True, DELETE: False, LIST: False}) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 tests, 2 pass at the mock alone, 1 of these through the gateway",
        "  1 explained: nobody may",
    ]


def test_failure_without_a_reason_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(suite(), {CREATE: True}, {CREATE: False}) == 1
    assert report(suite(), {CREATE: True}, {}) == 1
    assert capsys.readouterr().out.count(f"FAILED {CREATE}") == 2


def test_reason_that_nothing_needs_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(suite(delete="nobody may"), {DELETE: True}, {DELETE: True}) == 1
    assert "an explanation that nothing needs: _delete" in capsys.readouterr().out


def test_suite_in_which_nothing_passes_at_the_mock_says_nothing_good() -> None:
    assert report(suite(), {CREATE: False}, {CREATE: False}) == 1


@pytest.mark.parametrize("name", sorted(SUITES))
def test_policy_of_a_suite_takes_any_model(name: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(SUITES[name].policy("http://127.0.0.1:4010"))
    router = load_router(file)
    assert [route.name for route in router.policy.routes] == ["named", "rest"]
    assert set(SUITES[name].models) <= set(router.policy.models)
