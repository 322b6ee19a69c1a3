"""What the trunk is given, and features that are computed once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from worlds import config, picture, pictures

from cmir_ref.data import feature_cache, trunk
from cmir_ref.data.feature_cache import FeatureStore, content_digest
from cmir_ref.data.trunk import (
    FeatureNetwork,
    TrunkInput,
    TurnedImages,
    compute_features,
    frozen_features,
    frozen_images,
    resize_image,
    resize_matrix,
)
from cmir_ref.training.augment import symmetries

LITE0 = ("trunk=lite0", "trunk_size=32")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- the input ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_constant_image_stays_constant(n, size):
    matrix = resize_matrix(n, size)
    assert matrix.shape == (size, n) and matrix.dtype == np.float32 and matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    if n == size:
        np.testing.assert_array_equal(matrix, np.eye(n, dtype=np.float32))


@pytest.mark.parametrize(("n", "size"), [(32, 28), (60, 32), (21, 7), (5, 3)])
def test_where_an_image_shrinks_a_pixel_is_the_mean_over_its_area(n, size):
    image = picture(n, 1, 0)
    fine = np.repeat(np.repeat(image.astype(float), size, axis=0), size, axis=1)  # n · size along each side
    expected = fine.reshape(size, n, size, n, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_image(image[None], size)[0], expected, rtol=1e-4)


@pytest.mark.parametrize(("n", "size"), [(64, 224), (7, 21), (1, 3), (32, 33)])
def test_where_an_image_grows_it_is_linear_between_pixels(n, size):
    """As Pillow's BILINEAR has it."""
    image = picture(n, 1, 0)
    bands = [image[..., c].astype(np.float32) for c in range(3)]
    grown = [Image.fromarray(band).resize((size, size), Image.Resampling.BILINEAR) for band in bands]
    np.testing.assert_allclose(resize_image(image[None], size)[0], np.stack(grown, axis=-1), rtol=1e-4, atol=1e-3)


def test_bytes_become_minus_one_to_one_in_three_bands():
    x = np.zeros((2, 32, 32, 3), np.uint8)
    x[0, ..., 0], x[1] = 255, 127
    y = TrunkInput(32)(x)
    assert y.dtype == np.float32 and y.shape == (2, 32, 32, 3)
    assert (y[0, 5, 5] == [1.0, -127 / 128, -127 / 128]).all() and (y[1] == 0).all()


def test_grey_is_repeated_and_four_bands_are_turned_round():
    grey = np.full((1, 32, 32, 1), 191, np.uint8)
    assert (TrunkInput(32)(grey) == 0.5).all()
    four = np.broadcast_to(np.array([10, 20, 30, 40], np.uint8), (1, 32, 32, 4))  # blue, green, red, near infrared
    np.testing.assert_array_equal(TrunkInput(32)(four)[0, 0, 0], (np.float32([30, 20, 10]) - 127) / 128)


@pytest.mark.parametrize(("largest", "dtype"), [(65535, np.uint16), (32767, np.int16)])
def test_sixteen_bits_are_brought_to_the_range_of_bytes(largest, dtype):
    deep = np.full((1, 32, 32, 1), largest, dtype)
    np.testing.assert_allclose(TrunkInput(32)(deep), 1.0, rtol=1e-6)


@pytest.mark.parametrize("bands", [2, 5])
def test_other_bands_are_refused(refused, bands):
    with refused(f"images of {bands} bands"):
        TrunkInput(32)(np.zeros((1, 32, 32, bands), np.uint8))


# ---- features that are kept -----------------------------------------------------------------------------------------


class Counting:
    """A network whose features are an image's mean and largest value; it counts the images that it saw."""

    def __init__(self, maker="counting"):
        self.seen = 0
        self.network = FeatureNetwork(maker, lambda image: image.reshape(1, -1)[:, :4].astype(float), self.features)

    def features(self, x):
        self.seen += len(x)
        return np.stack([x.mean(axis=1), x.max(axis=1)], axis=1).astype(np.float32)


def some(n, seed=0):
    return np.random.default_rng(seed).integers(1, 255, (n, 6, 5, 3)).astype(np.uint8)


def test_what_is_known_is_not_computed(cache):
    images = some(70)
    first = Counting()
    features = compute_features(first.network, images, 70)
    assert first.seen == 70 and features.shape == (70, 2) and features.dtype == np.float32
    again = Counting()
    np.testing.assert_array_equal(compute_features(again.network, images[::-1], 70), features[::-1])
    assert again.seen == 0
    changed = images.copy()
    changed[40, 0, 0, 0] ^= 1
    compute_features(again.network, changed, 70)
    assert again.seen == 1
    other = Counting("another network, or another preprocessing")
    compute_features(other.network, images, 70)
    assert other.seen == 70


def test_what_was_computed_before_an_interruption_is_kept():
    counting = Counting()

    def interrupted():
        yield from some(40)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_features(counting.network, interrupted(), 80)
    again = Counting()
    compute_features(again.network, some(40), 40)
    assert (counting.seen, again.seen) == (trunk.BLOCK, 40 - trunk.BLOCK)


def test_a_damaged_file_of_the_cache_is_computed_again(cache):
    images, first = some(5), Counting()
    features = compute_features(first.network, images, 5)
    (path,) = cache.glob("*/*.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    again = Counting()
    np.testing.assert_array_equal(compute_features(again.network, images, 5), features)
    assert again.seen == 5


def test_another_version_asks_for_new_features(monkeypatch):
    FeatureStore("x").keep([content_digest(b"1")], np.zeros((1, 2), np.float32))
    assert FeatureStore("x").known
    monkeypatch.setattr(feature_cache, "VERSION", feature_cache.VERSION + 1)
    assert not FeatureStore("x").known


def test_shape_and_dtype_are_a_part_of_a_sample():
    zeros = [np.zeros(s, t) for s, t in (((2, 3), "uint8"), ((3, 2), "uint8"), ((2, 3), "int8"), ((6,), "uint8"))]
    assert len({content_digest(x) for x in zeros} | {content_digest(bytes(6))}) == 5


def test_without_a_cache_to_write_into(tmp_path, monkeypatch, refused):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "file"))
    with refused("cannot be written", "CMIR_CACHE"):
        compute_features(Counting().network, some(2), 2)


def test_a_store_that_takes_no_further_file_says_where_else_to_keep_them(cache, refused):
    """As a full disk, or one that another user has made."""
    compute_features(Counting().network, some(2), 2)
    (path,) = cache.glob("*/*.safetensors")
    path.unlink()
    path.mkdir()
    with refused(path.name, "cannot be written", "set CMIR_CACHE to a folder that can be"):
        compute_features(Counting().network, some(2), 2)


def test_features_are_the_trunks_and_few_images_are_not_kept(cache, monkeypatch):
    images = pictures(18).modalities["a"].x
    whole = frozen_features(images, size=32)
    assert whole.shape == (18, 1280) and whole.dtype == np.float32 and whole.std() > 0
    kept = sorted(cache.rglob("*.safetensors"))
    alone = frozen_features(images[3:4], size=32)
    np.testing.assert_allclose(alone[0], whole[3], rtol=1e-3, atol=1e-4)
    assert sorted(cache.rglob("*.safetensors")) == kept and len(kept) == 1
    assert frozen_features(images[:0]).shape == (0, 1280)


@pytest.mark.parametrize("changes", [("trunk=conv", "trunk_size=224"), ("trunk_training=all",)])
def test_images_stay_images_where_no_frozen_trunk_is_asked_for(changes):
    modality = pictures(3).modalities["a"]
    assert frozen_images(config(*LITE0, *changes), modality) is modality
    found = frozen_images(config(*LITE0), modality)
    assert (found.kind, found.x.shape) == ("features", (3, 1280)) and found.ids == modality.ids
    found = frozen_images(config(*LITE0, "trunk_training=last"), modality)
    assert (found.kind, found.x.shape, found.x.dtype) == ("maps", (3, 1, 1, 192), np.float16)
    sketch = modality._replace(kind="sketch", x=modality.x[..., :1])
    assert frozen_images(config(*LITE0), sketch).kind == "features"
    sound = modality._replace(kind="sound")
    assert frozen_images(config(*LITE0), sound) is sound


@pytest.mark.parametrize(("training", "kind"), [("frozen", "features"), ("last", "maps")])
def test_the_frozen_part_sees_images_turned(cache, training, kind):
    modality = pictures(5).modalities["a"]
    found = frozen_images(config(*LITE0, "trunk_views=3", f"trunk_training={training}"), modality)
    assert found.kind == kind and len(found.x) == 5 and found.x.views == 3
    for k, view in enumerate(symmetries(modality.x.shape)[:3]):
        turned = modality._replace(x=np.ascontiguousarray(view(modality.x)))
        alone = frozen_images(config(*LITE0, f"trunk_training={training}"), turned).x
        np.testing.assert_allclose(found.x.rows[5 * k : 5 * k + 5], alone, rtol=2e-3, atol=2e-4)


def test_turned_images_are_read_in_any_order():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    views = symmetries(images.shape)
    turned = TurnedImages(images, views)
    assert len(turned) == 32 and turned.shape == (32, 6, 6, 3)
    for i, x in zip([31, 0, 13, 5], turned[np.array([31, 0, 13, 5])], strict=True):
        np.testing.assert_array_equal(x, views[i // 4](images[i % 4 : i % 4 + 1])[0])
