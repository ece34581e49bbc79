"""The learned projection: finds the directions that matter, the same each time, and comes back from its arrays."""

import subprocess
import sys

import numpy as np
import pytest

from classifiers.pairs.projection import ProjectedFeatures, Projection, fit_projection, out_of_fold

DIM = 16
TELLING = 4  # directions that decide


class Table:
    """An embedder by heart."""

    name = "table"
    dim = DIM

    def __init__(self, vectors):
        self._vectors = vectors
        self.encoded = []

    def encode(self, text):
        self.encoded.append(text)
        return self._vectors[int(text)]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def pairs(n, seed):
    """Pairs that are the same where the telling directions are; the others are noise, as likely alike."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(n, DIM)), rng.normal(size=(n, DIM))
    labels = rng.integers(0, 2, n)
    v[labels == 1, :TELLING] = u[labels == 1, :TELLING] + rng.normal(size=(labels.sum(), TELLING)) * 0.4
    alike = rng.random(n) < 0.5
    v[alike, TELLING:] = u[alike, TELLING:]
    return unit(u), unit(v), labels


def area(scores, labels):
    yes, no = scores[labels == 1], scores[labels == 0]
    return float((yes[:, None] > no[None, :]).mean())


@pytest.fixture(scope="module")
def fitted():
    u, v, labels = pairs(4_000, 1)
    return fit_projection(u, v, labels, np.ones(len(labels)), seed=3)


def test_it_learns_which_directions_matter(fitted):
    u, v, labels = pairs(1_000, 2)
    assert area((u * v).sum(axis=1), labels) < 0.75
    assert area(fitted.score(u, v), labels) > 0.9


def test_it_scores_the_same_either_way_round(fitted):
    u, v, _ = pairs(50, 4)
    assert np.array_equal(fitted.score(u, v), fitted.score(v, u))
    assert fitted.score(u[0], v)[7] == pytest.approx(float(fitted.score(u[:1], v[7:8])[0]), abs=1e-4)


def test_the_same_data_and_seed_give_the_same_bytes():
    u, v, labels = pairs(500, 5)
    weights = np.ones(len(labels))
    one, two = (fit_projection(u, v, labels, weights, seed=9).arrays() for _ in range(2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    other = fit_projection(u, v, labels, weights, seed=10).arrays()
    assert other["hidden"].tobytes() != one["hidden"].tobytes()


def test_pairs_without_weight_teach_nothing():
    u, v, labels = pairs(3_000, 6)
    wrong = np.arange(len(labels)) % 3 == 0
    told = np.where(wrong, 1 - labels, labels)
    found = fit_projection(u, v, told, np.where(wrong, 0.0, 1.0))
    assert area(found.score(*pairs(500, 7)[:2]), pairs(500, 7)[2]) > 0.85


@pytest.mark.parametrize("n", [1, 2, 130])
def test_a_few_pairs_are_enough_to_run(n):
    u, v, labels = pairs(n, 8)
    assert np.isfinite(fit_projection(u, v, labels, np.ones(n)).score(u, v)).all()


def test_its_arrays_make_it_again(fitted):
    u, v, _ = pairs(50, 9)
    again = Projection.from_arrays(fitted.arrays(), DIM)
    assert np.array_equal(again.score(u, v), fitted.score(u, v))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hidden": None}, "arrays missing: hidden"),
        ({"mean": np.zeros(3, np.float32)}, "array mean must be"),
        ({"scale": np.zeros(2 * DIM, np.float32)}, "array scale must be above 0"),
        ({"output_bias": np.array([np.nan], np.float32)}, "array output_bias must be"),
        ({"hidden_bias": np.zeros((2, 2), np.float32)}, "array hidden_bias must be"),
        ({"output": np.zeros((2, 2), np.float32)}, "array hidden must be"),
        ({"mean": np.zeros(2 * DIM, np.int64)}, "array mean must be"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(fitted, change, told):
    arrays = {name: array for name, array in {**fitted.arrays(), **change}.items() if array is not None}
    with pytest.raises(ValueError, match=told):
        Projection.from_arrays(arrays, DIM)


def test_a_pair_is_scored_by_what_learned_from_the_other_folds():
    u, v, labels = pairs(600, 11)
    weights, folds = np.linspace(0.5, 2, 600), np.arange(600) % 3
    found = out_of_fold(u, v, labels, weights, folds, seed=2)
    held = folds == 1
    others = fit_projection(u[~held], v[~held], labels[~held], weights[~held], seed=2)
    assert np.array_equal(found[held], others.score(u[held], v[held]))
    assert not np.array_equal(found[~held], others.score(u[~held], v[~held]))


def test_the_column_is_the_score_and_each_text_is_embedded_once(fitted):
    u, v, _ = pairs(3, 12)
    table = Table(np.concatenate([u, v]))
    block = ProjectedFeatures(table, fitted, "learned")
    assert block.names == ("learned",)
    for _ in range(2):
        rows = block.rows("0", ["3", "4"], [0.0, 0.0])
    assert rows.shape == (2, 1)
    assert rows[:, 0] == pytest.approx(fitted.score(u[[0, 0]], v[:2]), abs=1e-4)
    assert sorted(table.encoded) == ["0", "3", "4"]
    assert block.rows("0", [], []).shape == (0, 1)


def test_a_projection_for_other_vectors_is_refused(fitted):
    table = Table(np.zeros((1, DIM), np.float32))
    table.dim = DIM + 1
    with pytest.raises(ValueError, match="does not fit table"):
        ProjectedFeatures(table, fitted, "learned")


def test_scoring_needs_numpy_alone():
    code = "import sys, classifiers.pairs.projection; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
