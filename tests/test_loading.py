"""What a policy names must be there when it is loaded; what is not is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.loading import load_router
from gateway.policy.errors import PolicyError
from tests.graded import train_graded

pytestmark = pytest.mark.timeout(60)  # one of them trains

HEAD = """version: 1
providers:
  near: {kind: fake}
models:
  tiny: {provider: near, id: tiny-1, price: unknown}
  large: {provider: near, id: large-1, price: unknown}
  other: {provider: near, id: other-1, price: unknown}
"""
INTENTS = """classifier:
  intents: FOLDER
routes:
  - {name: money, when: {intent: refund}, model: large}
  - {name: rest, model: tiny}
"""
SELECT = """classifier: {artifact: ./graded}
routes:
  - name: rest
    select: cheapest-above-quality
    models:
      - tiny
      - large
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    train_graded(folder)
    return folder


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(HEAD + text)
    return path


@pytest.mark.parametrize("folder", ["no-such-intents", "./here"])
def test_an_intent_artifact_that_is_not_there_is_told_with_its_line(tmp_path: Path, folder: str) -> None:
    path = written(tmp_path, INTENTS.replace("FOLDER", folder))
    with pytest.raises(ConfigError) as caught:
        load_router(path)
    assert str(caught.value).startswith(f"{path}:9: classifier.intents: there is no folder ")
    assert "shipped: default" in str(caught.value)


def test_a_model_whose_quality_is_not_predicted_is_told_with_its_line_and_the_remedy(graded: Path) -> None:
    path = written(graded, SELECT.replace("- large", "- other"))
    with pytest.raises(PolicyError) as caught:
        load_router(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), 14)
    assert problem.message == (
        "artifact 'graded' does not predict the quality of model 'other' ('other-1'): it knows large-1, middle, tiny-1; "
        "name the model after one of them, or train one on graded answers with `turnout train`"
    )


def test_an_artifact_without_grades_cannot_choose(tmp_path: Path) -> None:
    path = written(tmp_path, SELECT.replace("./graded", "default"))
    with pytest.raises(PolicyError) as caught:
        load_router(path)
    assert [problem.line for problem in caught.value.problems] == [13, 14]
    assert "artifact 'default' does not predict" in caught.value.problems[0].message
    assert "it learned from no grades" in caught.value.problems[0].message


def test_a_select_has_the_bar_that_keeps_its_quality_and_models_go_by_name_or_id(graded: Path) -> None:
    def bar(quality: str) -> float:
        route = load_router(written(graded, SELECT + f"    quality: {quality}\n")).policy.routes[0]
        assert route.select is not None
        return route.select.bar

    assert 0 <= bar("0.5") <= bar("0.8") <= bar("0.95") <= 1
    assert bar("0.5") < 1


def test_a_confidence_that_the_shipped_model_never_says_is_told_with_its_line(tmp_path: Path) -> None:
    cascade = """routes:
  - name: rest
    cascade:
      - model: tiny
        accept:
          confidence: ">=0.95"
      - {model: large}
"""
    path = written(tmp_path, cascade)
    with pytest.raises(PolicyError) as caught:
        load_router(path)
    assert str(caught.value).startswith(f"{path}:13: no answer reaches 0.95: 0.906 is the highest that the shipped model says")
    load_router(written(tmp_path, cascade.replace("0.95", "0.9")))
