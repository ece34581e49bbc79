"""What a policy needs to have learned: the embedder, classifiers, the answers to a FAQ, and what tells questions apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.errors import ArtifactError
from classifiers.intents.artifact import IntentArtifact, load_intents
from classifiers.pairs.verifier import Verifier as PairVerifier
from classifiers.pairs.verifier import shipped as shipped_pairs
from classifiers.text.embed import StaticEmbedder
from gateway.answers.faq import Faq
from gateway.cache.own_cosines import OwnCosines
from gateway.cache.semantic import Verifier
from gateway.errors import ConfigError
from gateway.judging.judge import Judge
from gateway.policy.compile import Policy, Route
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.source import Path as Place
from gateway.policy.source import parse_source
from gateway.router import Router

ARTIFACTS = Path(classifiers.__file__).parent / "artifacts"


def learned_router(policy: Policy, path: Path, text: str) -> Router:
    """The policy with what it needs. path, text: of its file. Raises ConfigError and PolicyError."""
    needs_classifier = bool({"class", "confidence", "quality"} & policy.needs)
    is_semantic = "semantic" in policy.cache_modes
    try:
        embedder = _embedder()
        classifier = load_artifact(artifact_folder(policy, path), embedder) if needs_classifier else None
        intents = load_intents(intents_folder(policy, path), embedder) if "intent" in policy.needs else None
        verifier = _verifier(policy, path, embedder) if is_semantic else None
    except ArtifactError as exc:
        raise ConfigError(str(exc)) from exc
    grades: Mapping[str, str] = {}
    if "quality" in policy.needs and classifier is not None:
        policy, grades = _graded(policy, classifier, text)
    faqs = {name: Faq(file, embedder) for name, file in policy.faqs.items()}
    return Router(policy, classifier, _judge(policy, classifier, intents, grades), embedder, faqs, verifier)


def artifact_folder(policy: Policy, path: Path) -> Path:
    """Where the policy's routing artifact is. Raises ConfigError if it is not there."""
    assert policy.classifier is not None
    return _folder(policy.classifier.artifact, path, "artifact")


def intents_folder(policy: Policy, path: Path) -> Path:
    """Where the policy's intent artifact is. Raises ConfigError if it is not there."""
    assert policy.classifier is not None and policy.classifier.intents is not None
    return _folder(policy.classifier.intents, path, "intents")


def _verifier(policy: Policy, path: Path, embedder: StaticEmbedder) -> Verifier:
    """What tells similar questions apart. Raises ConfigError and ArtifactError."""
    setup = policy.cache_setup
    wanted = setup.embedder if isinstance(setup.embedder, str) else "wordllama"
    if setup.verifier is None:
        pairs = shipped_pairs(wanted)
    else:
        try:
            pairs = PairVerifier.load(path.parent / setup.verifier)
        except ArtifactError as exc:
            line = _line(path, "cache", "verifier")
            raise ConfigError(f"{path}:{line}: cache.verifier: {exc}") from exc
    if pairs.embedder != wanted:
        line = _line(path, "cache", "verifier")
        message = f"'{setup.verifier}' was fitted with the embedder '{pairs.embedder}', and `embedder` is '{wanted}'"
        raise ConfigError(
            f"{path}:{line}: cache.verifier: {message}; fit it again with `turnout cache train --embedder {wanted}`"
        )
    return pairs if isinstance(setup.embedder, str) else OwnCosines(pairs, embedder)


def _folder(name: str, path: Path, key: str) -> Path:
    """A name is a folder of ours; anything with a slash is a path from the policy's own folder."""
    folder = path.parent / name if "/" in name else ARTIFACTS / name
    if not folder.is_dir():
        known = ", ".join(sorted(p.name for p in ARTIFACTS.iterdir() if p.is_dir()))
        line = _line(path, "classifier", key)
        raise ConfigError(f"{path}:{line}: classifier.{key}: there is no folder '{folder}'; shipped: {known}")
    return folder


def _line(path: Path, *place: str) -> int:
    """Where this key stands in the policy's file."""
    return parse_source(str(path), path.read_text(encoding="utf-8")).line_of(place)


@functools.cache
def _embedder() -> StaticEmbedder:
    return StaticEmbedder.load()


def _judge(
    policy: Policy,
    classifier: Artifact | None,
    intents: IntentArtifact | None,
    grades: Mapping[str, str],
) -> Judge | None:
    if policy.classifier is None or (classifier is None and intents is None):
        return None
    return Judge(policy.classifier, classifier, intents, grades)


def _graded(policy: Policy, classifier: Artifact, text: str) -> tuple[Policy, dict[str, str]]:
    """The policy with the bar of each `select`, and for each of their models the name it was graded under.

    Raises PolicyError for models that the classifier cannot predict the quality of, or not compare.
    """
    source = parse_source(policy.file, text)
    grades: dict[str, str] = {}
    routes: list[Route] = []
    problems: list[Problem] = []
    for i, route in enumerate(policy.routes):
        place: Place = ("routes", i, "models")
        models = route.select.models if route.select is not None else ()
        for k, name in enumerate(models):
            known = next((n for n in (name, policy.models[name].id) if n in classifier.graded), None)
            if known is None:
                message = _ungraded(name, policy.models[name].id, classifier)
                problems.append(Problem(policy.file, source.line_of((*place, k)), message))
            else:
                grades[name] = known
        if route.select is not None and grades.keys() >= set(models):
            try:
                bar = classifier.bar_for([grades[name] for name in models], route.select.quality)
            except ArtifactError as exc:
                problems.append(Problem(policy.file, source.line_of(place), str(exc)))
            else:
                route = replace(route, select=replace(route.select, bar=bar))
        routes.append(route)
    if problems:
        raise PolicyError(problems)
    return replace(policy, routes=tuple(routes)), grades


def _ungraded(name: str, model_id: str, classifier: Artifact) -> str:
    known = ", ".join(classifier.graded)
    remedy = f"it knows {known}; name the model after one of them" if known else "it learned from no grades"
    return (
        f"artifact '{classifier.name}' does not predict the quality of model '{name}' ('{model_id}'): {remedy}, "
        "or train one on graded answers with `turnout train`"
    )
