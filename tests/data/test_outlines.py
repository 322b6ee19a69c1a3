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


def test_strokes_are_few_and_waver():
    a, b = (strokes(square(12), np.random.default_rng(seed)) for seed in (1, 2))
    assert a.dtype == bool and 0 < a.sum() < 8 * 128 * 3 and (a != b).any()
    np.testing.assert_array_equal(a, strokes(square(12), np.random.default_rng(1)))


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
