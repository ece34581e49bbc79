"""From a policy file on disk to a Router: reads the file, what it names, the price map and the classifiers."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.cascade.confidence import shipped_model
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
from gateway.policy.compile import Policy, Route, compile_policy
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.source import Path as Place
from gateway.policy.source import parse_source
from gateway.pricing.book import FILE_NAME, open_book
from gateway.router import Router
from gateway.settings import data_folder
from gateway.signals import JUDGED

ARTIFACTS = Path(classifiers.__file__).parent / "artifacts"


def load_policy(path: Path, env: Mapping[str, str] | None = None) -> Policy:
    """Raises ConfigError when the file cannot be read, PolicyError when it is not a policy."""
    return _compiled(path, _read(path), env)


def load_router(path: Path, env: Mapping[str, str] | None = None) -> Router:
    """A policy with everything that decisions need. Raises ConfigError and PolicyError."""
    text = _read(path)
    policy = _compiled(path, text, env)
    needs_classifier = bool({"class", "confidence", "quality"} & policy.needs)
    is_semantic = "semantic" in policy.cache_modes
    needs_embedder = bool((JUDGED | {"confidence"}) & policy.needs) or bool(policy.faqs) or is_semantic
    try:
        embedder = _embedder() if needs_embedder else None
        classifier = load_artifact(artifact_folder(policy, path), embedder) if needs_classifier else None
        intents = load_intents(intents_folder(policy, path), embedder) if "intent" in policy.needs else None
        verifier = _verifier(policy, path, embedder) if is_semantic and embedder is not None else None
    except ArtifactError as exc:
        raise ConfigError(str(exc)) from exc
    grades: Mapping[str, str] = {}
    if "quality" in policy.needs and classifier is not None:
        policy, grades = _graded(policy, classifier, text)
    faqs = {name: Faq(file, embedder) for name, file in policy.faqs.items()} if embedder else {}
    return Router(policy, classifier, _judge(policy, classifier, intents, grades), embedder, faqs, verifier)


def watched_files(policy: Policy, path: Path) -> list[Path]:
    """The files whose change is a change of the policy, or of its prices."""
    calibrations = {name for route in policy.routes for name in route.calibrations}
    prices = data_folder(os.environ) / FILE_NAME
    return [path, prices, *(path.parent / name for name in (*policy.faqs, *sorted(calibrations)))]


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
            line = parse_source(str(path), _read(path)).line_of(("cache", "verifier"))
            raise ConfigError(f"{path}:{line}: cache.verifier: {exc}") from exc
    if pairs.embedder != wanted:
        line = parse_source(str(path), _read(path)).line_of(("cache", "verifier"))
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
        line = parse_source(str(path), _read(path)).line_of(("classifier", key))
        raise ConfigError(f"{path}:{line}: classifier.{key}: there is no folder '{folder}'; shipped: {known}")
    return folder


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the policy '{path}': {reason}; set --policy or TURNOUT_POLICY") from exc


def _compiled(path: Path, text: str, env: Mapping[str, str] | None) -> Policy:
    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8")

    env = os.environ if env is None else env
    book = open_book(data_folder(env))
    policy = compile_policy(
        str(path),
        text,
        env=env,
        price_of=book.prices_of,
        read_file=read_file,
        cannot_of=book.cannot_of,
        names_like=book.ids_like,
        now=time.time(),
    )
    problems = list(_unreachable(policy, text))
    if problems:
        raise PolicyError(problems)
    return policy


def _unreachable(policy: Policy, text: str) -> Iterator[Problem]:
    """Rungs that want more confidence than the shipped model ever says; of a calibration file the compiler sees to it."""
    for i, route in enumerate(policy.routes):
        for k, (_, rule) in enumerate(route.cascade):
            if rule is None or rule.confidence is None or rule.calibration is not None:
                continue
            curve = shipped_model().curve
            highest = curve[-1][1] if curve else 1.0
            if rule.confidence > highest:
                line = parse_source(policy.file, text).line_of(("routes", i, "cascade", k, "accept", "confidence"))
                message = (
                    f"no answer reaches {rule.confidence:g}: {highest:.3g} is the highest that the shipped model says; "
                    "ask for less, or name a `calibration` of your own"
                )
                yield Problem(policy.file, line, message)


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
