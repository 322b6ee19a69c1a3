"""The plane on which the page shows the space."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_worlds import config, data

from cmir_ref import runs
from cmir_ref.app import plane as planes
from cmir_ref.app.answers import Question, answer
from cmir_ref.app.describe import describe_run
from cmir_ref.app.plane import plane_of, point_of
from cmir_ref.app.served import serve_run
from cmir_ref.records import Items


def test_a_space_of_one_dimension_lies_on_a_line(tmp_path):
    """The setting d_v (or AMFMN's d) may be 1."""
    run = runs.train(config("d_v=1", "distance=euclidean"), data(), tmp_path / "run")
    plane = plane_of(run)
    assert plane.axes.tolist() == [[1, 0]] and plane.share.tolist() == [1, 0]
    for m, rows in plane.rows.items():
        np.testing.assert_allclose(plane.points[m], np.c_[run.encoded[m]["v"][rows] - plane.mean, 0 * rows], atol=1e-6)
    served = serve_run(tmp_path / "run", "run")
    told = answer(served, Question(item=("b", int(run.parts.test["b"][0]))), "a", 3)
    assert [point[1] for point in (told["point"], *(hit["point"] for hit in told["hits"]))] == [0] * 4
    assert json.dumps(describe_run(served)["plane"])


@pytest.fixture
def spread(monkeypatch):
    """(a run by its settings, its gallery): vectors that spread most along their third axis, and then their second."""
    rng = np.random.default_rng(0)
    encoded = {m: {"v": 5 + rng.normal(size=(n, 4)) * [0.1, 3, 9, 0.2]} for m, n in (("a", 30), ("b", 20))}
    rows = {"a": np.arange(100, 130), "b": np.arange(20)}
    monkeypatch.setattr(planes, "items_of", lambda run, letters, part: Items(rows, encoded))
    dataset = SimpleNamespace(modalities=dict.fromkeys("ab"))
    return lambda *changes: SimpleNamespace(config=config(*changes), dataset=dataset), rows, encoded


def test_the_plane_is_the_one_of_the_most_variance(spread, monkeypatch):
    make_run, rows, encoded = spread
    run = make_run("distance=euclidean")
    plane = plane_of(run)
    x = np.concatenate([arrays["v"] for arrays in encoded.values()])
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(plane.share, (s**2 / (s**2).sum())[:2])
    found = np.concatenate(list(plane.points.values()))
    np.testing.assert_allclose(np.abs(found), np.abs(u * s)[:, :2], atol=1e-9)  # either way round
    np.testing.assert_allclose(point_of(run, plane, {"v": encoded["b"]["v"][3:4]}), plane.points["b"][3])
    assert all(np.array_equal(plane.rows[m], rows[m]) for m in "ab")
    monkeypatch.setattr(planes, "MOST_POINTS", 3)
    few = plane_of(run)
    assert few.rows["a"].tolist() == [100, 114, 129]
    np.testing.assert_array_equal(few.points["a"], plane.points["a"][[0, 14, 29]])


def test_by_the_angle_a_length_says_nothing(spread):
    make_run, _, encoded = spread
    run = make_run("distance=cosine")
    plane = plane_of(run)
    unit = encoded["a"]["v"] / np.linalg.norm(encoded["a"]["v"], axis=1, keepdims=True)
    np.testing.assert_allclose(plane.points["a"], (unit - plane.mean) @ plane.axes, atol=1e-12)
    encoded["a"]["v"][:] *= 7
    np.testing.assert_allclose(plane_of(run).points["a"], plane.points["a"], atol=1e-9)


def test_without_vectors_of_one_width_there_is_no_plane(spread):
    make_run, _, encoded = spread
    encoded["b"]["v"] = np.ones((20, 5))
    assert plane_of(make_run()) is None
