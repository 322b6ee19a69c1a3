"""The augmentation of drawings: moved, turned, scaled, with another pen, spots wiped off; paper stays paper."""

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
