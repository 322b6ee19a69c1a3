"""Wald's protocol: what the simulated sensors do to energy and to frequencies."""

import numpy as np
import pytest

from cmir_ref.data import check, wald


def test_a_constant_image_stays_constant():
    image = np.broadcast_to(np.array([10, 200, 77], np.uint8), (16, 24, 3))
    assert (wald.mul(image) == image[:4, :6]).all()
    assert (wald.pan(image) == round(0.299 * 10 + 0.587 * 200 + 0.114 * 77)).all()
    np.testing.assert_allclose(wald.low_pass(64).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("gain", [0.15, 0.3])
@pytest.mark.parametrize("along", [0, 1])
def test_nyquist_is_attenuated_to_the_gain(gain, along):
    grating = np.cos(2 * np.pi * (np.arange(128) - 1.5) / 8)  # period 8 = two MUL pixels; peaks where MUL samples
    image = np.broadcast_to(grating[:, None] if along == 0 else grating, (128, 128))[..., None]
    seen = np.moveaxis(wald.mul(image, gain=gain)[..., 0], along, 0)[4:-4]
    np.testing.assert_allclose(seen, gain * np.broadcast_to((-1.0) ** np.arange(4, 28)[:, None], (24, 32)), atol=2e-3)


def test_low_frequencies_pass():
    wave = np.cos(2 * np.pi * np.arange(256) / 128)
    seen = wald.low_pass(256) @ wave
    np.testing.assert_allclose(seen[4:-4], np.cos(2 * np.pi * (4 * np.arange(64) + 1.5) / 128)[4:-4], atol=0.01)


def test_orientation_and_position(make):
    image = make.picture(64, 96)
    means = image.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    assert np.abs(wald.mul(image)[1:-1, 1:-1] - means[1:-1, 1:-1]).max() < 6  # a shift or a transposition is far more
    np.testing.assert_array_equal(wald.mul(image[None])[0], wald.mul(image))
    np.testing.assert_allclose(wald.pan(image)[..., 0], image @ [0.299, 0.587, 0.114], atol=0.51)


def test_any_number_of_bands_and_dtype():
    image = np.random.default_rng(0).random((8, 8, 5)).astype(np.float32)
    np.testing.assert_allclose(wald.pan(image)[..., 0], image.mean(axis=-1), rtol=1e-5)
    assert wald.mul(image).dtype == np.float32
    assert wald.mul((image * 65535).astype(np.uint16)).dtype == np.uint16


def test_pair(make, refused):
    x = np.stack([make.picture(16, 16, k) for k in range(4)])
    images = make.modality([0, 1, 0, 1], kind="image", x=x)
    dataset = check(wald.pair(images, ("class0", "class1")))
    pan, mul = dataset.modalities.values()
    assert (pan.name, pan.x.shape, pan.x.dtype) == ("pan", (4, 16, 16, 1), np.uint8)
    assert (mul.name, mul.x.shape, mul.x.dtype) == ("mul", (4, 4, 4, 3), np.uint8)
    assert dataset.note == "simulated sensors on real imagery"
    assert pan.ids == mul.ids == images.ids
    np.testing.assert_array_equal(mul.x[2], wald.mul(x[2]))
    with refused("15", "multiple of 4", "image_size"):
        wald.pair(images._replace(x=x[:, :15]), ("class0", "class1"))
