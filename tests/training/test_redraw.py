"""The augmentation of drawings: moved, turned, scaled, with another pen, spots wiped off; paper stays paper."""

import math
from itertools import product

import numpy as np
import pytest
import worlds

from cmir_ref.cmirnet.system import fit_inputs, input_source
from cmir_ref.records import Splits
from cmir_ref.training.augment import draw_hands, random_symmetry, redraw, sample_bilinear, with_pen


def drawings(n, side=64, paper=-0.7, ink=2.0):
    x = np.full((n, side, side, 1), paper, np.float32)
    x[:, 20:44, 30:33] = ink
    x[:, 20:23, 30:50] = ink
    return x


def redrawn(x, rng):
    return redraw(x, next(draw_hands(x.shape, [len(x)], rng, np)))


def test_each_is_another_drawing_of_the_same_on_the_same_paper():
    x = drawings(40)
    out = redrawn(x, np.random.default_rng(0))
    assert out.shape == x.shape and out.dtype == x.dtype and out.min() == np.float32(-0.7) and out.max() <= 2.0001
    assert len({o.tobytes() for o in out}) == 40 and (out[:, 0, 0] == np.float32(-0.7)).mean() > 0.9
    ink = (out > 0.5).sum(axis=(1, 2, 3))
    assert (ink > 0).mean() > 0.95 and ink.min() < 0.6 * (x[0] > 0.5).sum() and ink.max() > (x[0] > 0.5).sum()
    np.testing.assert_array_equal(x, drawings(40), "the samples are not written to")
    np.testing.assert_array_equal(out, redrawn(x, np.random.default_rng(0)))
    assert (out != redrawn(x, np.random.default_rng(1))).any()


def test_drawings_are_turned_moved_and_scaled():
    out = redrawn(drawings(60), np.random.default_rng(2))[..., 0] > 0.5
    middles = np.array([np.argwhere(o).mean(axis=0) for o in out if o.any()])
    assert middles.std(axis=0).min() > 3
    wide = np.array([np.ptp(np.argwhere(o), axis=0) for o in out if o.sum() > 20])
    assert (wide[:, 0] > wide[:, 1]).any() and (wide[:, 0] < wide[:, 1]).any()


def numbers_of(n=20_000, seed=0):
    """What is drawn for n sketches, column by column."""
    return next(draw_hands((1, 64, 64, 1), [n], np.random.default_rng(seed), np)).host.T.astype(float)


def place(image, row, column, paper):
    """One value of an image (H, W) between its four neighbours; beyond the edge is paper."""
    r, c = math.floor(row), math.floor(column)
    value = 0.0
    for i, j in product((r, r + 1), (c, c + 1)):
        inside = 0 <= i < len(image) and 0 <= j < image.shape[1]
        value += (1 - abs(row - i)) * (1 - abs(column - j)) * (image[i, j] if inside else paper)
    return value


def test_each_is_redrawn_by_its_own_numbers():
    """Against a loop over pixels: where each comes from, by its matrix and shift; then the spots are paper."""
    x = np.random.default_rng(1).uniform(0, 2, (12, 9, 7, 1)) + np.arange(12)[:, None, None, None]
    view = next(draw_hands(x.shape, [12], np.random.default_rng(4), np))
    out, height, width = redraw(x, view), *x.shape[1:3]
    for one, seen, row in zip(x, out[..., 0], view.host.astype(float), strict=True):
        (yy, yx, xy, xx, down, right, pen, count), spots = row[:8], row[8:].reshape(3, 3).T
        drawn, paper = with_pen(one[None], np.full((1, 1, 1), pen))[0, ..., 0], one.min()
        for i, j in product(range(height), range(width)):
            y, x_ = (i + 0.5) / height, (j + 0.5) / width
            dy, dx = y - 0.5 - down, x_ - 0.5 - right
            from_ = (yy * dy + yx * dx + 0.5) * height - 0.5, (xy * dy + xx * dx + 0.5) * width - 0.5
            wiped = any((y - r) ** 2 + (x_ - c) ** 2 < radius**2 for r, c, radius in spots[: int(count)])
            assert seen[i, j] == pytest.approx(paper if wiped else place(drawn, *from_, paper), abs=1e-4)
    assert set(view.host[:, 7]) >= {0, 1, 2}, "some are wiped, and some are not"


def test_hands_turn_mirror_and_shrink_evenly():
    """The matrix leads from the new sheet to the old one: a turn by any angle, a mirror or none, over the size."""
    yy, yx, xy, xx, *_ = numbers_of()
    size, mirrored = np.hypot(yy, xy) ** -1, yy * xx - yx * xy < 0
    np.testing.assert_allclose(yy * yx + xy * xx, 0, atol=1e-6)
    np.testing.assert_allclose(np.hypot(yx, xx), 1 / size, rtol=1e-5)
    assert size.min() == pytest.approx(0.5, abs=0.01) and size.max() == pytest.approx(1.2, abs=0.01)
    assert size.mean() == pytest.approx(0.85, abs=0.01) and mirrored.mean() == pytest.approx(0.5, abs=0.02)
    for hand in (mirrored, ~mirrored):
        quarter = np.floor(np.arctan2(xy, yy)[hand] / (np.pi / 2))
        np.testing.assert_allclose(np.unique(quarter, return_counts=True)[1] / hand.sum(), [0.25] * 4, atol=0.02)


def test_hands_move_small_drawings_farther():
    """What is drawn smaller has more room on its sheet: by up to 0.2 · (2 − size) of it, down and to the right."""
    yy, _, xy, _, down, right, *_ = numbers_of()
    room = 0.2 * (2 - 1 / np.hypot(yy, xy))
    for moved in (down, right):
        np.testing.assert_allclose(np.histogram(moved / room, 4, (-1, 1))[0] / len(room), [0.25] * 4, atol=0.02)
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.03


def test_pens_are_any_but_for_small_drawings_and_up_to_three_spots_are_wiped_off_every_second_one():
    yy, _, xy, _, _, _, pen, spots, *places = numbers_of()
    small = np.hypot(yy, xy) > 1 / 0.8
    assert set(pen[small]) == {1}, "a fine line would get lost where it shrinks"
    np.testing.assert_allclose(np.bincount(pen[~small].astype(int)) / (~small).sum(), [1 / 3] * 3, atol=0.02)
    np.testing.assert_allclose(np.bincount(spots.astype(int)) / len(spots), [5 / 8, 1 / 8, 1 / 8, 1 / 8], atol=0.02)
    for numbers, low, high in ((places[:6], 0.15, 0.85), (places[6:], 0.05, 0.15)):
        for each in numbers:
            assert low <= each.min() < low + 0.01 and high - 0.01 < each.max() <= high + 1e-6
    assert abs(np.corrcoef(places) - np.eye(9)).max() < 0.04, "each by itself"


def test_bilinear_samples():
    x = np.arange(12.0).reshape(1, 3, 4, 1)
    rows, columns = np.array([[[0, 1.5, 2, -1, 2.5]]]), np.array([[[0, 1.25, 3, 0, 3]]])
    out = sample_bilinear(x, rows, columns, np.array([[[[100.0]]]]))[0, 0, :, 0]
    assert out.tolist() == [0, 1.5 * 4 + 1.25, 11, 100, (11 + 100) / 2]


@pytest.mark.parametrize(("pen", "expected"), [(0, [0, 1, 0, 0]), (1, [1, 1, 0, 0]), (2, [0.5, 0.5, 0, 0])])
def test_pens(pen, expected):
    x = np.zeros((1, 4, 4, 1))
    x[:, :, 1] = 1
    assert with_pen(x, np.full((1, 1, 1), pen))[0, 0, :, 0].tolist() == expected


# ---- in a run -------------------------------------------------------------------------------------------------------

AS_IMAGES = [("no", "drawings"), ("no", "canny"), ("auto", "canny"), ("auto", "strokes")]
AS_DRAWN = [("yes", "drawings"), ("yes", "canny"), ("auto", "drawings"), ("auto", "scenes"), ("auto", "my/sketches")]


def seen(how, sketches):
    """Samples of a run's sketches as they are and as it augments them, both normalised."""
    data, rows = worlds.sketches(), np.arange(24)
    settings = worlds.config("stage1.augment=true", f"stage1.redraw={how}", f"sketches={sketches}")
    every = dict.fromkeys(data.modalities, rows)
    source = input_source(settings, "a", data, fit_inputs("a", settings, data, Splits(every, every, every), {}))
    (view,) = source.views([len(rows)], np.random.default_rng(0), np)
    return source.read(rows), source.read(rows, view)


@pytest.mark.parametrize(("how", "sketches"), AS_IMAGES)
def test_what_was_traced_from_photos_is_turned_and_nothing_else(how, sketches):
    plain, out = seen(how, sketches)
    np.testing.assert_array_equal(out, random_symmetry(plain, np.random.default_rng(0)))
    assert (out != plain).any()


@pytest.mark.parametrize(("how", "sketches"), AS_DRAWN)
def test_drawings_are_drawn_anew_in_a_run(how, sketches):
    plain, out = seen(how, sketches)
    np.testing.assert_array_equal(out, redrawn(plain, np.random.default_rng(0)))
