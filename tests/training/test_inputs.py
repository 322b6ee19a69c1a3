"""Normalisation, augmentation, batches."""

import itertools
import threading
import time

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.data import split
from cmir_ref.data.features import in_floats
from cmir_ref.training.augment import random_shift, random_symmetry, shift_sounds, symmetries
from cmir_ref.training.inputs import Source, ahead, epoch_batches, fit_normaliser, steps_per_epoch
from cmir_ref.training.transfer import Sent, Turned


@pytest.mark.parametrize("shape", [(150, 3), (150, 4, 5, 3)])
def test_each_way_to_normalise(shape):
    random = np.random.default_rng(0)
    x = (random.standard_normal(shape) * [1, 5, 0.1] + [10, 0, -3]).astype(np.float32)
    index = np.arange(0, 150, 2)
    part, axes = x[index].astype(float), tuple(range(len(shape) - 1))
    fitted = {how: fit_normaliser(x, index, how) for how in ("standardise", "centre", "scale", "unit", "none")}
    np.testing.assert_allclose(fitted["standardise"].mean, part.mean(axes), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted["standardise"].std, part.std(axes), rtol=1e-4)
    np.testing.assert_allclose(fitted["centre"](part).mean(axes), 0, atol=1e-5)
    assert (fitted["centre"].std == 1).all()
    assert (fitted["scale"](part) ** 2).mean() == pytest.approx(1, rel=1e-5)
    assert (fitted["scale"].mean == 0).all() and len(set(fitted["scale"].std.tolist())) == 1
    unit = fitted["unit"](x)
    np.testing.assert_allclose((unit**2).mean(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(unit[..., 1:] / unit[..., :1], x[..., 1:] / x[..., :1], rtol=1e-4)
    assert unit.dtype == np.float32
    np.testing.assert_array_equal(fitted["none"](x), x)
    assert fitted["standardise"](x[:1]).dtype == np.float32


def test_constants_stay_finite():
    x = np.ones((70, 2), np.float32) * [0, 7]
    for how in ("standardise", "centre", "scale", "unit"):
        assert np.isfinite(fit_normaliser(x, np.arange(70), how)(x)).all()
    assert (fit_normaliser(0 * x, np.arange(70), "scale")(x) == x).all()


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1e9])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_each_channel_has_its_own_unit(unit, offset):
    x = np.random.default_rng(0).standard_normal((200, 3)) + np.array([0, offset, 0])
    x = (x * [1, unit, 1]).astype(np.float32)
    normal = fit_normaliser(x, np.arange(200))(x)
    np.testing.assert_allclose(normal.std(axis=0), 1, rtol=1e-2)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 255, 1e20])
def test_the_rounding_of_a_constant_channel_is_no_variance(value):
    x = np.random.default_rng(0).standard_normal((999, 3)).astype(np.float32)
    x[:, 1:] = value
    x[::2, 2] = np.nextafter(np.float32(value), np.float32(0))
    normal = fit_normaliser(x, np.arange(999))
    assert normal.std[1:].tolist() == [1, 1] and normal(x)[:, 0].std() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("offset", [1e7, 1e9])
def test_samples_that_float32_cannot_hold_are_normalised_before_they_become_it(offset):
    x = np.random.default_rng(0).standard_normal((200, 3))
    x[:, 1] += offset
    x[:, 2] = offset
    normaliser = fit_normaliser(x, np.arange(200))
    normal = normaliser(x)
    assert normal.dtype == np.float32 and normaliser.std[2] == 1
    np.testing.assert_allclose(normal[:, :2], (x - x.mean(axis=0))[:, :2] / x.std(axis=0)[:2], atol=1e-6)
    assert in_floats(x).dtype == np.float64 and in_floats(x[:, ::2]).dtype == np.float32
    assert in_floats(x.astype(np.float32)).dtype == np.float32
    assert fit_normaliser(x[:, ::2], np.arange(200)).mean.dtype == np.float32


def test_normalisers_of_a_run_see_the_training_part_alone():
    data, config = worlds.features(), worlds.config("normalise_features=standardise", "protocol=recordings")
    parts = split(data, protocol="recordings", test=0.3, validation=0.2, seed=0)

    def normalisers(data):
        tensors = runs.train(config, data).tensors
        return {
            k: v for k, v in tensors.items() if k.startswith(("input.", "features.")) and k.endswith(("mean", "std"))
        }

    def changed(part):
        modalities = {}
        for m, rows in getattr(parts, part).items():
            x = data.modalities[m].x.copy()
            x[rows] += 100
            modalities[m] = data.modalities[m]._replace(x=x)
        return normalisers(data._replace(modalities=modalities))

    original, other, training = normalisers(data), changed("test"), changed("train")
    assert sorted(original) == sorted(
        f"{p}.{m}/{s}" for p in ("input", "features") for m in "ab" for s in ("mean", "std")
    )
    for name, value in original.items():
        np.testing.assert_array_equal(other[name], value, err_msg=name)
    assert not np.allclose(training["input.a/mean"], original["input.a/mean"])
    # a validation sample may choose another epoch as the best, but has no say in the normaliser of the inputs
    np.testing.assert_array_equal(changed("validation")["input.a/mean"], original["input.a/mean"])


def test_a_square_has_eight_symmetries():
    image = np.arange(2 * 16).reshape(4, 4, 2)
    transposed = image.transpose(1, 0, 2)
    flips = [(slice(None, None, s), slice(None, None, t)) for s in (1, -1) for t in (1, -1)]
    wanted = {x[flip].tobytes() for x in (image, transposed) for flip in flips}
    found = {x.tobytes() for x in random_symmetry(np.stack([image] * 400), np.random.default_rng(0))}
    assert len(wanted) == 8
    assert found == wanted


def test_a_rectangle_has_four_symmetries():
    image = np.arange(2 * 15).reshape(5, 3, 2)
    flips = [(slice(None, None, s), slice(None, None, t)) for s in (1, -1) for t in (1, -1)]
    turned = random_symmetry(np.stack([image] * 200), np.random.default_rng(0))
    assert turned.shape == (200, 5, 3, 2)
    assert {x.tobytes() for x in turned} == {image[flip].tobytes() for flip in flips}


def test_symmetries_are_equally_likely_and_each_image_keeps_its_place():
    image = np.arange(16).reshape(1, 4, 4, 1)
    images = image + 100 * np.arange(4000).reshape(-1, 1, 1, 1)
    turned = random_symmetry(images, np.random.default_rng(0))
    np.testing.assert_array_equal(turned // 100, images // 100)
    counts = np.unique([(x % 100).tobytes() for x in turned], return_counts=True)[1]
    assert counts.min() > 420 and counts.max() < 580  # 500 expected, standard deviation 21
    assert (images == image + 100 * np.arange(4000).reshape(-1, 1, 1, 1)).all()  # not written into


def test_a_shifted_sound_keeps_its_edges_and_its_place():
    """A patch whose value is 100 · frame + band, plus 10⁴ for each sample, tells where every entry came from."""
    patch = 100 * np.arange(20)[:, None, None] + np.arange(9)[:, None]
    sounds = patch + 10_000 * np.arange(300)[:, None, None, None]
    moved = random_shift(sounds, np.random.default_rng(0))
    np.testing.assert_array_equal(moved // 10_000, sounds // 10_000)
    frame, band = moved[..., 0] % 10_000 // 100, moved[..., 0] % 100
    seen = set()
    for f, b in zip(frame, band, strict=True):
        later, higher = 10 - f[10, 4], 4 - b[10, 4]
        np.testing.assert_array_equal(f, np.broadcast_to((np.arange(20) - later).clip(0, 19)[:, None], (20, 9)))
        np.testing.assert_array_equal(b, np.broadcast_to((np.arange(9) - higher).clip(0, 8), (20, 9)))
        seen.add((int(later), int(higher)))
    assert {later for later, _ in seen} == set(range(-6, 7)) and {higher for _, higher in seen} == set(range(-2, 3))
    np.testing.assert_array_equal(sounds[:, 0, 0, 0], 10_000 * np.arange(300))  # not written into
    numbers = np.array([[3, 1]])
    assert shift_sounds(sounds[:1], Sent(numbers, numbers))[0, 10, 4, 0] == 703  # three frames later, a band higher


@pytest.mark.parametrize("size", [1, 4, 7, 30, 64])
def test_an_epoch_covers_each_row_once(size):
    rows = np.arange(100, 130)
    batches = list(epoch_batches(rows, size, 0, "stage", 3))
    seen = np.concatenate(batches)
    assert all(len(batch) <= size for batch in batches)
    assert sorted(seen.tolist()) == rows.tolist()


def test_the_batches_of_any_number_of_rows_are_counted():
    for rows, size in itertools.product(range(10), range(1, 12)):
        found = list(epoch_batches(np.arange(rows), size, 0, "stage", 0))
        assert len(found) == steps_per_epoch(rows, size), (rows, size)


def test_a_single_left_over_row_is_left_out():
    batches = list(epoch_batches(np.arange(9), 4, 0, "stage", 0))
    assert [len(batch) for batch in batches] == [4, 4]
    assert [batch.tolist() for batch in epoch_batches(np.arange(1), 4, 0, "stage", 0)] == [[0]]
    assert (steps_per_epoch(9, 4), steps_per_epoch(10, 4), steps_per_epoch(1, 4)) == (2, 3, 1)


def test_the_order_depends_on_seed_purpose_and_epoch_alone():
    def order(seed=0, purpose="stage", epoch=0):
        return np.concatenate(list(epoch_batches(np.arange(50), 8, seed, purpose, epoch))).tolist()

    assert order() == order()
    assert len({tuple(o) for o in (order(), order(seed=1), order(purpose="other"), order(epoch=1))}) == 4


def test_batches_are_made_ahead_and_in_order():
    made, threads = [], set()

    def batches():
        for k in range(20):
            made.append(k)
            threads.add(threading.get_ident())
            yield k

    coming = ahead(batches())
    assert next(coming) == 0
    for expected in range(1, 20):
        end = time.monotonic() + 10
        while len(made) < min(expected + 2, 20) and time.monotonic() < end:
            time.sleep(0.001)
        assert len(made) >= min(expected + 2, 20), "nothing is made ahead"
        assert next(coming) == expected
        assert len(made) <= expected + 3
    assert list(coming) == []
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_an_error_in_making_a_batch_reaches_the_loop_after_the_batches_before_it():
    def batches():
        yield "whole"
        raise OSError("unreadable")

    coming = ahead(batches())
    assert next(coming) == "whole"
    with pytest.raises(OSError, match="unreadable"):
        next(coming)


def test_a_loop_that_stops_early_leaves_no_thread_behind():
    coming = ahead(iter(range(100)))
    assert next(coming) == 0
    before = threading.active_count()
    coming.close()
    assert threading.active_count() == before - 1


# ---- what a frozen network makes of turned samples ------------------------------------------------------------------


def turned(views=3, n=5):
    """Row v·n + i holds (v, i)."""
    return Turned(np.array([(v, i) for v in range(views) for i in range(n)], np.float32), n)


def as_is(x):
    return x


def test_turned_features_are_an_array_of_the_samples_as_they_are():
    x = turned()
    assert (x.shape, len(x), x.views) == ((5, 2), 5, 3)
    np.testing.assert_array_equal(x[np.array([4, 0])], [[0, 4], [0, 0]])
    np.testing.assert_array_equal(Source(x, np.arange(5), "features", as_is).read(np.array([4, 0])), [[0, 4], [0, 0]])


def test_each_sample_is_read_under_its_own_symmetry():
    source, numbers = Source(turned(), np.arange(5), "features", as_is), np.array([2, 0, 1])
    found = source.read(np.array([4, 4, 1]), Sent(numbers, numbers))
    np.testing.assert_array_equal(found, [[2, 4], [0, 4], [1, 1]])


def test_all_symmetries_are_drawn_and_seeded():
    source, sizes = Source(turned(), np.arange(5), "features", as_is), [400, 400]
    drawn = [view.host for view in source.views(sizes, np.random.default_rng(0), np)]
    assert [len(view) for view in drawn] == sizes and not np.array_equal(*drawn)
    assert np.bincount(drawn[0], minlength=3).min() > 100 and drawn[0].max() == 2
    again = [view.host for view in source.views(sizes, np.random.default_rng(0), np)]
    np.testing.assert_array_equal(drawn, again)
    assert list(source.views([3], None, np)) == [None]


def test_every_view_of_turned_features_of_images_and_of_vectors():
    rows = np.array([1, 3])
    views = list(Source(turned(), np.arange(5), "features", as_is).each_view(rows))
    np.testing.assert_array_equal(views, [[[v, 1], [v, 3]] for v in range(3)])
    images = np.random.default_rng(0).random((4, 3, 3, 2))
    seen = list(Source(images, np.arange(4), "image", as_is).each_view(rows))
    assert len(seen) == 8
    for x, view in zip(seen, symmetries(images.shape), strict=True):
        np.testing.assert_array_equal(x, view(images[rows]))
    np.testing.assert_array_equal(list(Source(images, np.arange(4), "sketch", as_is).each_view(rows)), seen)
    (alone,) = Source(images, np.arange(4), "features", as_is).each_view(rows)
    np.testing.assert_array_equal(alone, images[rows])
