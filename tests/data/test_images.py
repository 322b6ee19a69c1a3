"""Image files: bands, resizing, and files that are none."""

import numpy as np
import pytest
from PIL import Image

from cmir_ref.data import read_image
from cmir_ref.data.images import is_grey, read_images


def test_orientation_and_bands(tmp_path, make):
    pixels = make.picture(6, 9)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    assert read_image(tmp_path / "a.png", bands=1).shape == (6, 9, 1)


def test_shrinking_takes_means(tmp_path, make):
    pixels = make.picture(32, 32)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    means = pixels.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 8), means, atol=1)


@pytest.mark.parametrize("side", [(30, 33), (5, 40), (4, 4)])
def test_any_size_becomes_square(tmp_path, make, side):
    Image.fromarray(make.picture(*side)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 16).shape == (16, 16, 3)


def test_sixteen_bits_keep_their_depth(tmp_path):
    pixels = np.arange(1, 13, dtype=np.uint16).reshape(3, 4) * 5000
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", bands=1)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read[..., 0], pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 1], pixels >> 8)
    assert is_grey(tmp_path / "a.png")


def test_four_bands(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", bands=4), pixels)
    means = pixels.reshape(4, 2, 4, 2, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 4, bands=4), means, atol=1)


def test_files_that_are_refused(tmp_path, refused, make):
    whole = tmp_path / "whole.png"
    Image.fromarray(make.picture(64, 64)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "black.png")
    reasons = {"cut": "truncated", "text": "not an image", "empty": "not an image", "black": "black", "no": "no such"}
    for name, reason in reasons.items():
        with refused(f"{name}.png", reason):
            read_image(tmp_path / f"{name}.png", 16)
    with refused("whole.png", "3 bands"):
        read_image(whole, bands=4)
    with refused("whole.png", "7 bands"):
        read_image(whole, bands=7)
    with refused("cut.png"):
        read_images([whole, tmp_path / "cut.png"], 8)
