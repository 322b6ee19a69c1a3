"""Sketches that are traced from photos."""

import numpy as np
import pytest
from PIL import Image

from cmir_ref.data import Modality
from cmir_ref.data.outlines import canny, strokes, trace_photos


def square(noise=2.0, seed=0):
    grey = np.full((128, 128), 60.0)
    grey[32:96, 40:88] = 180
    return grey + np.random.default_rng(seed).normal(0, noise, grey.shape)


def test_canny_finds_the_edge_of_a_square_one_pixel_wide():
    edges = canny(square(0))
    assert edges.dtype == bool
    y, x = np.nonzero(edges)
    on_the_square = (np.minimum(abs(y - 31.5), abs(y - 95.5)) < 2) | (np.minimum(abs(x - 39.5), abs(x - 87.5)) < 2)
    assert on_the_square.all() and 150 < edges.sum() < 2.2 * (64 + 48) * 1.2
    assert edges[64].sum() == 2 and edges[:, 64].sum() == 2


def test_nothing_is_no_edge():
    assert not canny(np.full((64, 64), 7.0)).any()
    assert canny(3 * square(0) + 100).sum() == canny(square(0)).sum(), "contrast and brightness do not matter"


def test_weak_edges_count_where_they_are_joined_to_strong_ones():
    edges, strong = canny(square(12), low=0.3, high=0.95), canny(square(12), low=0.95, high=0.95)
    assert (edges | ~strong).all() and edges.sum() > strong.sum()


def two_squares():
    """A square of much contrast on the left, one of little on the right."""
    grey = np.full((128, 128), 60.0)
    grey[20:76, 10:50] = 180
    grey[40:92, 75:115] = 90
    return grey


def test_a_weak_edge_that_touches_no_strong_one_is_none():
    edges, weak = canny(two_squares(), low=0.05, high=0.6), canny(two_squares(), low=0.05, high=0.05)
    assert edges[:, :62].any() and not edges[:, 62:].any() and weak[:, 62:].any()


@pytest.mark.parametrize("slope", [1, -1, 3])
def test_a_slanted_edge_that_fades_is_one_edge(slope):
    """Its pixels touch at their corners only."""
    y, x = np.mgrid[:128, :128] - 64
    across = (slope * x - y + 0.3) / np.hypot(slope, 1)
    edges = canny(120 + (60 - 0.4 * y) * np.tanh(across / 6), low=0.2, high=0.9)
    assert edges[4:-4].any(axis=1).all()


def test_strokes_take_the_longest_edge_that_is_not_left_out_until_there_is_ink_enough():
    """A step from top to bottom, and one that fades from a quarter of the height on."""
    grey = np.full((128, 128), 60.0)
    grey[:, 30:] += 120
    grey[:, 90:] -= 120 * (0.75 - np.arange(128)[:, None] / 128).clip(0, 0.5) / 0.5
    drawn = [strokes(grey, np.random.default_rng(seed), budget=0.1) for seed in range(50)]
    long, short = np.array([(x[:, :60].any(), x[:, 60:].any()) for x in drawn]).T
    assert not (long & short).any(), "each alone is more ink than a tenth as many pixels as there are rows"
    assert 2 <= (~long).sum() <= 15 and short.any(), "15 % are left out"


def test_each_photo_is_drawn_by_another_hand(tmp_path):
    Image.fromarray(square(5).clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
    x, two = np.zeros((2, 64, 64, 3), np.uint8), np.zeros(2, int)
    photos = Modality("photo", "image", x, two, ("p", "q"), (str(tmp_path / "a.png"),) * 2, np.array(["s", "s"]))
    hands = [trace_photos(photos, "strokes", 64, seed).x for seed in (0, 1)]
    assert len({sketch.tobytes() for sketch in (*hands[0], *hands[1])}) == 4


def test_strokes_are_few_and_waver():
    a, b = (strokes(square(12), np.random.default_rng(seed)) for seed in (1, 2))
    assert a.dtype == bool and 0 < a.sum() < 8 * 128 * 3 and (a != b).any()
    np.testing.assert_array_equal(a, strokes(square(12), np.random.default_rng(1)))


def test_a_straight_edge_becomes_a_line_three_pixels_wide_that_wavers():
    """White noise, smoothed by a Gaussian of 12 pixels, has the deviation 1/(2√π 12): 25 times that is 0.59 pixels."""
    grey = np.full((512, 512), 60.0)
    grey[:, 256:] = 180
    drawn = [strokes(grey, np.random.default_rng(seed))[20:-20] for seed in range(6)]
    drawn = [lines for lines in drawn if lines.any()]  # 15 % are left out
    places = np.concatenate([lines @ np.arange(512) / lines.sum(axis=1) for lines in drawn])
    assert 2.7 < np.mean([lines.sum(axis=1) for lines in drawn]) < 3.3
    assert 0.4 < places.std() < 0.8 and abs(places.mean() - 255.5) < 1


@pytest.mark.parametrize("how", ["canny", "strokes"])
def test_every_photo_gets_one(how, tmp_path):
    paths = []
    for k in range(3):
        paths.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(square(5, k).clip(0, 255).astype(np.uint8)).save(paths[-1])
    x = np.zeros((3, 64, 64, 3), np.uint8)
    photos = Modality(
        "photo", "image", x, np.array([0, 1, 1]), ("p", "q", "r"), tuple(paths), np.array(["s", "t", "t"])
    )
    traced = trace_photos(photos, how, 64, seed=0)
    assert traced.kind == "sketch" and traced.x.shape == (3, 64, 64, 1) and traced.paths is None
    assert traced.ids == tuple(f"{name} ({how})" for name in "pqr") and traced.x.any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(traced.x, trace_photos(photos, how, 64, seed=0).x)
