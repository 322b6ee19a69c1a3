"""The augmentation of images: turned, a part of them, in another light, with a gap."""

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.amfmn.system import image_source
from cmir_ref.cmirnet.system import input_source
from cmir_ref.config import Looks, load_config
from cmir_ref.errors import InputError
from cmir_ref.training.augment import (
    crop_images,
    cut_squares,
    draw_looks,
    draw_symmetries,
    relight,
    sample_bilinear,
    sample_rows,
    see_again,
    symmetries,
    turn_images,
)
from cmir_ref.training.inputs import Normaliser, Source
from cmir_ref.training.transfer import Turned

SHAPES = pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8, 1), (6, 9, 4), (5, 1, 2)])
LIT, CROPPED, CUT = Looks(light=0.4), Looks(crops=0.5), Looks(cut_out=0.5)
ALL = Looks(light=0.4, crops=0.5, cut_out=0.5)
PARTS, SQUARES, GAIN, LIFTS = slice(1, 5), slice(5, 8), 8, slice(9, None)  # columns of what is drawn


def images(n, shape=(8, 8, 3)):
    return np.random.default_rng(5).standard_normal((n, *shape)).astype(np.float32)


def drawn(looks, sizes=(40,), shape=(8, 8, 3), seed=0):
    """The views of batches of these sizes."""
    return list(draw_looks((1, *shape), sizes, np.random.default_rng(seed), np, looks=looks))


# ---- each part by its formula ---------------------------------------------------------------------------------------


@SHAPES
def test_each_image_is_lit_by_its_own_numbers(shape):
    """Against a loop over images."""
    x, gain, lifts = images(40, shape), *np.split(images(40, (1 + shape[2],)), [1], axis=1)
    out = relight(x, gain[:, 0], lifts)
    for k in range(40):
        np.testing.assert_allclose(out[k], np.exp(gain[k, 0]) * x[k] + lifts[k], rtol=1e-5, atol=1e-6)
    assert out.dtype == x.dtype


def test_a_lift_is_of_the_channels_that_are_seen():
    """A trunk sees three of MUL's four bands, and PAN's only one three times."""
    x = images(5)
    np.testing.assert_array_equal(
        relight(x, np.zeros(5, "f4"), np.arange(20, dtype="f4").reshape(5, 4))[0, 0, 0],
        x[0, 0, 0] + np.float32([0, 1, 2]),
    )
    np.testing.assert_array_equal(relight(x, np.zeros(5, "f4"), np.full((5, 1), 2, "f4")), x + 2)


@SHAPES
def test_a_part_is_blown_up_pixel_by_pixel(shape):
    """Against plain sums over four neighbours, and against `sample_bilinear`."""
    x, (height, width, _) = images(30, shape), shape
    parts = drawn(CROPPED, [30], shape)[0].there[:, PARTS]
    out, wanted = crop_images(x, parts), np.zeros_like(x)
    at_y, at_x = np.zeros((30, height)), np.zeros((30, width))
    for k, (top, left, high, wide) in enumerate(parts.astype(float)):
        at_y[k] = [min(max((top + (i + 0.5) / height * high) * height - 0.5, 0), height - 1) for i in range(height)]
        at_x[k] = [min(max((left + (j + 0.5) / width * wide) * width - 0.5, 0), width - 1) for j in range(width)]
        for i in range(height):
            for j in range(width):
                r, c = int(at_y[k, i]), int(at_x[k, j])
                down, right = at_y[k, i] - r, at_x[k, j] - c
                below, beside = min(r + 1, height - 1), min(c + 1, width - 1)
                upper = (1 - right) * x[k, r, c] + right * x[k, r, beside]
                wanted[k, i, j] = (1 - down) * upper + down * (
                    (1 - right) * x[k, below, c] + right * x[k, below, beside]
                )
    np.testing.assert_allclose(out, wanted, atol=2e-5)
    whole = sample_bilinear(x, at_y[:, :, None], at_x[:, None], x[:, :1, :1])
    np.testing.assert_allclose(out, whole, atol=2e-5)
    assert out.dtype == x.dtype


def test_half_of_a_ramp_is_half_as_steep():
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[:, None, None], (16, 16, 1))[None]
    half = crop_images(ramp, np.float32([[0.25, 0, 0.5, 1]]))[0, :, :, 0]
    np.testing.assert_allclose(half, np.broadcast_to((3.75 + 0.5 * np.arange(16))[:, None], (16, 16)), atol=1e-5)
    np.testing.assert_allclose(crop_images(ramp, np.float32([[0, 0.3, 1, 0.5]])), ramp, atol=1e-5)


def test_all_of_an_image_is_the_image():
    x = images(4, (7, 12, 2))
    np.testing.assert_allclose(crop_images(x, np.float32([[0, 0, 1, 1]] * 4)), x, atol=1e-5)
    np.testing.assert_allclose(sample_rows(x.astype(float), np.zeros((4, 1)), np.ones((4, 1))), x, atol=1e-5)


def test_a_square_is_cut_out_where_it_was_drawn():
    x = 1 + abs(images(3, (8, 12, 2)))
    out = cut_squares(x, np.float32([[0.5, 0.5, 0.5], [0, 1, 0.5], [0.3, 0.3, 0]]))
    gap = (out == 0).all(axis=3)
    assert [tuple(map(set, np.nonzero(g))) for g in gap] == [
        ({2, 3, 4, 5}, {4, 5, 6, 7}),  # half of the shorter side, 8
        ({0, 1}, {10, 11}),  # over the edge
        (set(), set()),
    ]
    np.testing.assert_array_equal(out[~gap], x[~gap])
    assert out.dtype == x.dtype


# ---- what is drawn --------------------------------------------------------------------------------------------------


def test_gains_and_lifts_vary_as_much_as_the_setting_says():
    (view,) = drawn(Looks(light=0.3), [20_000])
    gain, lifts = view.there[:, GAIN], view.there[:, LIFTS]
    assert gain.std() == pytest.approx(0.3, rel=0.03) and abs(gain.mean()) < 0.01
    np.testing.assert_allclose(lifts.std(axis=0), 0.3 * 2**0.5, rtol=0.03)
    np.testing.assert_allclose(np.corrcoef(lifts.T)[np.triu_indices(3, 1)], 0.5, atol=0.03)
    assert abs(np.corrcoef(gain, lifts[:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("least", [0.3, 0.8])
def test_parts_have_every_size_shape_and_place(least):
    top, left, height, width = drawn(Looks(crops=least), [20_000])[0].there[:, PARTS].T.astype(float)
    assert (np.minimum(height, width) >= least * np.exp(-0.15) - 1e-6).all() and (np.maximum(height, width) <= 1).all()
    inside = np.maximum(height, width) < 1  # where a side is not cut to the image's own
    share, stretch = np.sqrt(height * width)[inside], np.log(height / width)[inside]
    assert share.min() < least + 0.01 and share.max() > 0.97 and abs(stretch).max() == pytest.approx(0.3, abs=0.02)
    below = share < np.exp(-0.15)  # of these every shape is inside
    assert abs(stretch[below].mean()) < 0.02 and stretch[below].std() == pytest.approx(0.3 / 3**0.5, rel=0.05)
    assert (share[below] < (least + np.exp(-0.15)) / 2).mean() == pytest.approx(0.5, abs=0.03), "evenly"
    for first, side in ((top, height), (left, width)):
        assert (first >= 0).all() and (first + side <= 1 + 1e-6).all()
        room = side < 0.99
        assert (first[room] / (1 - side[room])).mean() == pytest.approx(0.5, abs=0.02)


def test_half_of_the_images_lose_a_square_anywhere():
    down, right, side = drawn(Looks(cut_out=0.25), [20_000])[0].there[:, SQUARES].T
    assert set(side) == {0.0, 0.25} and (side > 0).mean() == pytest.approx(0.5, abs=0.02)
    for middle in (down, right):
        assert middle.min() < 0.01 and middle.max() > 0.99 and middle[side > 0].mean() == pytest.approx(0.5, abs=0.02)


def test_each_image_of_each_batch_of_an_epoch_is_seen_anew():
    first, second = drawn(ALL, [30, 30])
    numbers = np.concatenate([first.there[:, 1:], second.there[:, 1:]])
    for k in set(range(numbers.shape[1])) - {6}:  # a square's side is one of two
        assert len(set(numbers[:, k])) > 55, k
    assert (first.host != second.host).any() and drawn(ALL, []) == []
    np.testing.assert_array_equal(drawn(ALL)[0].there, drawn(ALL)[0].there)


def test_what_one_setting_draws_no_other_changes():
    one = drawn(ALL, [5, 9])
    for looks in (LIT, CROPPED, CUT):
        for view, other in zip(drawn(looks, [5, 9]), one, strict=True):
            np.testing.assert_array_equal(view.host, other.host)
            for name, columns in (("crops", PARTS), ("cut_out", SQUARES), ("light", GAIN), ("light", LIFTS)):
                same = np.array_equal(view.there[:, columns], other.there[:, columns])
                assert same == (getattr(looks, name) == getattr(ALL, name)), (looks, name)


def test_the_light_of_earlier_runs_is_the_light_of_today():
    """Batch by batch a symmetry, a gain, a lift of all channels and those of each."""
    rng = np.random.default_rng(0)
    for view in drawn(LIT, [4, 7]):
        n = len(view.host)
        np.testing.assert_array_equal(view.host, rng.integers(0, 8, n))
        gain, lift = rng.normal(0, 0.4, (n, 1)), rng.normal(0, 0.4, (n, 1))
        numbers = np.concatenate([gain, lift + rng.normal(0, 0.4, (n, 3))], axis=1).astype("float32")
        np.testing.assert_array_equal(view.there[:, GAIN:], numbers)


# ---- all of it ------------------------------------------------------------------------------------------------------


@SHAPES
def test_an_image_is_turned_then_cropped_then_lit_then_cut(shape):
    x = images(40, shape)
    (view,) = drawn(ALL, [40], shape)
    out, views, numbers = see_again(x, view, looks=ALL), symmetries(x.shape), view.there
    for k, number in enumerate(view.host):
        one = views[number](x[k : k + 1])
        one = relight(crop_images(one, numbers[k : k + 1, PARTS]), numbers[k : k + 1, GAIN], numbers[k : k + 1, LIFTS])
        np.testing.assert_allclose(out[k], cut_squares(one, numbers[k : k + 1, SQUARES])[0], atol=1e-5)
    assert out.dtype == x.dtype and out.shape == x.shape and set(view.host) == set(range(len(views)))
    np.testing.assert_array_equal(x, images(40, shape), "the samples are not written to")


@pytest.mark.parametrize("looks", [Looks(), LIT, CROPPED, CUT])
def test_what_a_setting_leaves_out_leaves_an_image_as_it_is(looks):
    x = images(20)
    (view,) = drawn(looks, [20])
    turned = turn_images(x, view._replace(there=np.argsort(view.host, kind="stable")))
    done = {
        "crops": lambda x: crop_images(x, view.there[:, PARTS]),
        "light": lambda x: relight(x, view.there[:, GAIN], view.there[:, LIFTS]),
        "cut_out": lambda x: cut_squares(x, view.there[:, SQUARES]),
    }
    wanted = turned
    for name in looks.beyond_turns:
        wanted = done[name](wanted)
        assert (wanted != turned).any()
    np.testing.assert_array_equal(see_again(x, view, looks=looks), wanted)


# ---- where it is done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [LIT, CROPPED, CUT, ALL])
def test_a_source_changes_what_is_normalised_and_nothing_but_images(looks):
    x = np.random.default_rng(1).integers(0, 255, (10, 8, 8, 3)).astype(np.uint8)
    source = Source(x, np.zeros(10, int), "image", Normaliser(np.float32(100), np.float32(50)), looks)
    rows, plain = np.arange(10), source._replace(looks=Looks())
    (view,) = source.views([10], np.random.default_rng(0), np)
    np.testing.assert_array_equal(source.read(rows, view), see_again(source.read(rows), view, looks=looks))
    assert (source.read(rows, view) != plain.read(rows, view._replace(there=np.argsort(view.host)))).any()
    for x_of, kind, width in ((np.zeros((10, 96, 64, 1), "f4"), "sound", 2), (x, "sketch", 17)):
        (numbers,) = source._replace(kind=kind, x=x_of).views([10], np.random.default_rng(0), np)
        assert len(numbers.host[0]) == width
    for kind in ("features", "maps"):
        assert next(source._replace(kind=kind).views([10], np.random.default_rng(0), np)) is None
    turned = source._replace(x=Turned(np.zeros((30, 4), "f4"), 10), kind="features")
    assert set(next(turned.views([50], np.random.default_rng(0), np)).host) == {0, 1, 2}
    np.testing.assert_array_equal(list(source.each_view(rows)), list(plain.each_view(rows)))


def test_without_any_of_it_nothing_but_the_symmetry_is_drawn():
    source = Source(images(10), np.zeros(10, int), "image", lambda x: x)
    (view,), (wanted,) = (
        source.views([10], np.random.default_rng(0), np),
        draw_symmetries((10, 8, 8, 3), [10], np.random.default_rng(0), np),
    )
    np.testing.assert_array_equal(view.host, wanted.host)
    np.testing.assert_array_equal(view.there, wanted.there)


@pytest.mark.parametrize(
    ("preset", "changes", "says"),
    [
        (
            "image-speech",
            ["stage1.light=0.3", "stage1.augment=false"],
            "stage1.light is a part of augment: set stage1.augment=true, or stage1.light=0",
        ),
        ("image-text", ["match.light=0.3", "match.augment=false"], "set match.augment=true, or match.light=0"),
        (
            "image-text",
            ["match.light=0", "match.crops=0.6", "match.augment=false"],
            "match.crops is a part of augment: .* or match.crops=1",
        ),
        ("photo-sketch", ["stage1.cut_out=0.3", "stage1.augment=false"], "is a part of augment: .* stage1.cut_out=0"),
        ("image-text_lite0", ["match.light=0.3"], "frozen part of lite0: set match.light=0"),
        ("image-text_lite0", ["match.cut_out=0.3"], "frozen part of lite0: set match.cut_out=0"),
        ("pan-mul_lite0", ["stage1.crops=0.6"], "frozen part of lite0: set stage1.crops=1"),
        ("pan-mul_lite0", ["stage1.crops=0.6", "trunk_training=last"], "frozen part of lite0: set stage1.crops=1"),
        ("pan-mul", ["stage1.light=-1"], "stage1.light"),
        ("pan-mul", ["stage1.crops=0"], "stage1.crops"),
        ("pan-mul", ["stage1.crops=1.1"], "stage1.crops"),
        ("image-text", ["match.cut_out=1"], "match.cut_out"),
        ("image-text", ["labels.crops=0.5"], "labels.crops: no such setting"),
    ],
)
def test_a_look_that_no_image_would_have_is_refused(preset, changes, says):
    with pytest.raises(InputError, match=says):
        load_config(preset, changes)


def test_a_trunk_that_is_trained_as_a_whole_sees_images():
    settings = load_config("pan-mul_lite0", ["trunk_training=all", "stage1.crops=0.6", "stage1.light=0.1"])
    assert input_source(settings, "a", worlds.pictures(), {}).looks.crops == 0.6


@pytest.mark.parametrize("change", ["light=0.3", "crops=0.5", "cut_out=0.5"])
def test_both_systems_see_images_so_in_training_alone(change):
    name, value = change.split("=")
    data = worlds.pictures()
    made = {f"input.{m}/{k}": np.float32(1) for m in "ab" for k in ("mean", "std")}
    settings = worlds.config("stage1.augment=true", f"stage1.{change}")
    assert getattr(input_source(settings, "a", data, made).looks, name) == float(value)
    text = load_config("image-text", [f"match.{change}"])
    assert getattr(image_source(text, data.modalities["a"], made).looks, name) == float(value)
    plain, seen = (runs.train(s, data) for s in (worlds.config("stage1.augment=true"), settings))
    assert any((plain.tensors[n] != w).any() for n, w in seen.tensors.items() if n.startswith("stage1.a/params"))
    assert all((plain.tensors[n] == w).all() for n, w in seen.tensors.items() if n.startswith("stage1.b/"))
    assert all((plain.tensors[n] == w).all() for n, w in seen.tensors.items() if n.startswith("input."))


def test_all_at_once_sees_images_so_too():
    changes = ("stages=end-to-end", "stage1.augment=true", "stage2.epochs=1")
    plain, seen = (
        runs.train(worlds.config(*changes, *more), worlds.pictures()) for more in ((), ("stage1.crops=0.5",))
    )
    assert any((plain.tensors[n] != w).any() for n, w in seen.tensors.items())
