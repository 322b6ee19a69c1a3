"""The augmentation of images by light: another gain, and another lift of every channel."""

import numpy as np
import pytest
import worlds

from cmir_ref.amfmn.system import image_source
from cmir_ref.config import load_config
from cmir_ref.errors import InputError
from cmir_ref.training.augment import draw_lights, random_light, random_symmetry, relight, symmetries
from cmir_ref.training.inputs import Normaliser, Source
from cmir_ref.training.transfer import Sent


def images(n, shape=(8, 8, 3)):
    return np.random.default_rng(5).standard_normal((n, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8, 1), (6, 8, 4)])
def test_each_image_is_turned_and_then_lit_by_its_own_numbers(shape):
    """Against a loop over images."""
    x = images(40, shape)
    (view,) = draw_lights(x.shape, [40], np.random.default_rng(0), np, spread=0.4)
    out, views = relight(x, view), symmetries(x.shape)
    for k, number in enumerate(view.host):
        turned = views[number](x[k : k + 1])[0]
        np.testing.assert_allclose(out[k], np.exp(view.there[k, 1]) * turned + view.there[k, 2:], rtol=1e-5, atol=1e-6)
    assert out.dtype == x.dtype and set(view.host) == set(range(len(views)))
    np.testing.assert_array_equal(x, images(40, shape), "the samples are not written to")


def test_gains_and_lifts_vary_as_much_as_the_setting_says():
    (view,) = draw_lights((1, 8, 8, 3), [20_000], np.random.default_rng(0), np, spread=0.3)
    gain, lifts = view.there[:, 1], view.there[:, 2:]
    assert gain.std() == pytest.approx(0.3, rel=0.03) and abs(gain.mean()) < 0.01
    np.testing.assert_allclose(lifts.std(axis=0), 0.3 * 2**0.5, rtol=0.03)
    np.testing.assert_allclose(np.corrcoef(lifts.T)[np.triu_indices(3, 1)], 0.5, atol=0.03)
    assert abs(np.corrcoef(gain, lifts[:, 0])[0, 1]) < 0.03


def test_each_batch_of_an_epoch_is_lit_anew():
    first, second = draw_lights((1, 8, 8, 3), [30, 30], np.random.default_rng(0), np, spread=0.3)
    assert (first.there[:, 1:] != second.there[:, 1:]).all() and (first.host != second.host).any()
    again = next(draw_lights((1, 8, 8, 3), [30], np.random.default_rng(0), np, spread=0.3))
    np.testing.assert_array_equal(again.there, first.there)


def test_without_light_images_are_turned_alone():
    x = images(20)
    (view,) = draw_lights(x.shape, [20], np.random.default_rng(3), np, spread=0.0)
    plain = Sent(view.host, np.argsort(view.host, kind="stable"))
    from cmir_ref.training.augment import turn_images

    np.testing.assert_array_equal(relight(x, view), turn_images(x, plain))
    assert (random_light(x, np.random.default_rng(3), 0.2) != random_symmetry(x, np.random.default_rng(3))).any()


def test_a_source_lights_what_is_normalised_and_nothing_but_images():
    x = np.random.default_rng(1).integers(0, 255, (10, 8, 8, 3)).astype(np.uint8)
    source = Source(x, np.zeros(10, int), "image", Normaliser(np.float32(100), np.float32(50)), 0.3)
    rows = np.arange(10)
    (view,) = source.views([10], np.random.default_rng(0), np)
    np.testing.assert_array_equal(
        source.read(rows, view), random_light(source.read(rows), np.random.default_rng(0), 0.3)
    )
    (plain,) = source._replace(light=0.0).views([10], np.random.default_rng(0), np)
    np.testing.assert_array_equal(
        source._replace(light=0.0).read(rows, plain), random_symmetry(source.read(rows), np.random.default_rng(0))
    )
    sounds = source._replace(kind="sound", x=np.zeros((10, 96, 64, 1), np.float32))
    (shifts,) = sounds.views([10], np.random.default_rng(0), np)
    assert len(shifts.host[0]) == 2
    assert next(source._replace(kind="features").views([10], np.random.default_rng(0), np)) is None


@pytest.mark.parametrize(
    ("preset", "changes", "says"),
    [
        ("image-speech", ["stage1.light=0.3", "stage1.augment=false"], "light is a part of augment"),
        ("image-text", ["match.light=0.3", "match.augment=false"], "light is a part of augment"),
        ("image-text_lite0", ["match.light=0.3"], "from scratch: set light=0 with trunk lite0"),
        ("pan-mul_lite0", ["stage1.light=0.3"], "from scratch: set light=0 with trunk lite0"),
        ("pan-mul", ["stage1.light=-1"], "stage1.light"),
    ],
)
def test_a_light_that_no_image_would_be_seen_in_is_refused(preset, changes, says):
    with pytest.raises(InputError, match=says):
        load_config(preset, changes)


def test_both_systems_light_images_in_training_alone():
    from cmir_ref import runs
    from cmir_ref.cmirnet.system import input_source

    data = worlds.pictures()
    for light in (0.0, 0.3):
        settings = worlds.config("stage1.augment=true", f"stage1.light={light}")
        made = {f"input.{m}/{k}": np.float32(1) for m in "ab" for k in ("mean", "std")}
        assert input_source(settings, "a", data, made).light == light
        text = load_config("image-text", [f"match.light={light}"])
        assert image_source(text, data.modalities["a"], made).light == light
    dark, lit = (
        runs.train(worlds.config("stage1.augment=true", f"stage1.light={light}"), data) for light in (0.0, 0.3)
    )
    assert any((dark.tensors[n] != w).any() for n, w in lit.tensors.items() if n.startswith("stage1.a/params"))
    assert all((dark.tensors[n] == w).all() for n, w in lit.tensors.items() if n.startswith("stage1.b/"))
