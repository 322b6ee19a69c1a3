"""Drawings of the simulated world: what they show, and that scenes are what they were."""

import hashlib

import numpy as np
import pytest

from cmir_ref.data.ucmerced import CLASS_NAMES
from cmir_ref.data.world import drawing, object_scene
from cmir_ref.errors import InputError


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_dark_lines_on_white_of_every_class(name):
    one, again, other = drawing(0, name, 3), drawing(0, name, 3), drawing(0, name, 4)
    assert one.scene_class == name and one.sketch.shape == (256, 256) and one.sketch.dtype == np.uint8
    np.testing.assert_array_equal(one.sketch, again.sketch)
    assert (one.sketch != other.sketch).any()
    assert 0.4 < (one.sketch > 250).mean() < 1 and one.sketch.min() < 150


@pytest.mark.parametrize("name", ["runway", "tenniscourt", "airplane"])
def test_many_leave_most_of_the_paper_white_and_some_are_off_centre(name):
    inks = [drawing(0, name, k).sketch < 200 for k in range(24)]
    assert np.mean([ink.mean() < 0.05 for ink in inks]) > 0.25
    middles = np.array([np.argwhere(ink).mean(axis=0) for ink in inks if ink.any()])
    assert (np.abs(middles - 128).max(axis=1) > 40).sum() >= 2


def test_without_both_shares_it_is_the_sketch_of_a_whole_scene():
    for k in range(6):
        ink = drawing(0, "freeway", k, 0.0, 0.0).sketch < 200
        rows, columns = ink.any(axis=1), ink.any(axis=0)
        assert (rows[:4].any() and rows[-4:].any()) or (columns[:4].any() and columns[-4:].any())


def test_an_unknown_class_is_refused():
    with pytest.raises(InputError, match="zoo: no class of the simulated world"):
        drawing(0, "zoo", 0)


def test_scenes_are_drawn_as_before():
    """Demo, samples and golden figures rest on these pixels."""
    digest = hashlib.sha256()
    for item in (0, 17, 20):
        scene = object_scene(0, item)
        digest.update(scene.rgb.tobytes() + scene.sketch.tobytes())
    assert digest.hexdigest() == "9b02c44d9783bcaaf7b1218e7fd119c3595f77df0b6a29e35b41976129a5a2cb"
