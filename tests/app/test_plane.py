"""The plane on which the page shows the space."""

import json

import numpy as np
from drawn_worlds import config, data

from cmir_ref import runs
from cmir_ref.app.answers import Question, answer
from cmir_ref.app.describe import describe_run
from cmir_ref.app.plane import plane_of
from cmir_ref.app.served import serve_run


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
