"""Fixtures: the static embedder and the shipped artifact, loaded once."""

from pathlib import Path

import pytest

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.text.embed import StaticEmbedder

DEFAULT = Path(classifiers.__file__).parent / "artifacts" / "default"


@pytest.fixture(scope="session")
def embedder() -> StaticEmbedder:
    return StaticEmbedder.load()


@pytest.fixture(scope="session")
def default_path() -> Path:
    return DEFAULT


@pytest.fixture(scope="session")
def shipped(embedder: StaticEmbedder) -> Artifact:
    return load_artifact(DEFAULT, embedder)
