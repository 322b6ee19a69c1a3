"""Image files as measurements, every band as the file holds it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cmir_ref.data import read_image
from cmir_ref.data.bands import fit_bands, read_bands
from cmir_ref.data.decode import bands_last, image_size_of

ROOT = Path(__file__).parents[2]
DRAWN = np.random.default_rng(0)


def drawn(*shape, dtype="uint16"):
    """Numbers from 1 to 199, or to 995 where there is room."""
    return (DRAWN.integers(1, 200, shape) * (1 if dtype == "uint8" else 5)).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tiff_of_any_depth_and_number_of_bands(tmp_path, dtype, bands, planes):
    x = drawn(20, 24, bands, dtype=dtype)
    stored = x if planes == "contig" else np.moveaxis(x, 2, 0)
    stored, form = (x[..., 0], {}) if bands == 1 else (stored, {"planarconfig": planes})
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="minisblack", **form)
    read = read_bands(tmp_path / "x.tif")
    np.testing.assert_array_equal(read, x)
    assert read.dtype == np.dtype(dtype)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_tiff_stands_upright(tmp_path, orientation):
    x = drawn(12, 20, 5)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="minisblack", extratags=[(274, 3, 1, orientation)])
    wanted = {3: x[::-1, ::-1], 6: np.rot90(x, -1), 8: np.rot90(x)}[orientation]
    np.testing.assert_array_equal(read_bands(tmp_path / "x.tif"), wanted)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_compressed_tiff_of_either_byte_order(tmp_path, compression, order):
    x = drawn(16, 16, 4)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="minisblack", compression=compression, byteorder=order)
    read = read_bands(tmp_path / "x.tif")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, x)


def test_a_tiff_that_says_nothing_of_its_axes(tmp_path):
    """As a plain `imwrite(path, array)` writes it: bands last, first, as pages, and with tiles inside."""
    for shape in ((24, 20, 4), (4, 24, 20), (24, 20, 8), (8, 24, 20), (24, 20), (1, 24, 20), (24, 20, 1)):
        x = drawn(*shape)
        tifffile.imwrite(tmp_path / "x.tif", x)
        expected = np.atleast_3d(x) if shape[-1] < 20 or len(shape) == 2 else np.moveaxis(x, 0, 2)
        np.testing.assert_array_equal(read_bands(tmp_path / "x.tif"), expected, str(shape))
    tifffile.imwrite(tmp_path / "y.tif", x := drawn(40, 40, 4), tile=(16, 16), photometric="minisblack")
    np.testing.assert_array_equal(read_bands(tmp_path / "y.tif"), x)
    tifffile.imwrite(tmp_path / "z.dat", x, bigtiff=True, photometric="minisblack")  # known by how it begins
    np.testing.assert_array_equal(read_bands(tmp_path / "z.dat"), x)


def test_a_compression_that_tifffile_lacks(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="the extra geo")
    x = drawn(16, 24, 4)
    about = {"driver": "GTiff", "width": 24, "height": 16, "count": 4, "dtype": "uint16", "compress": "lzw"}
    with rasterio.open(tmp_path / "x.tif", "w", **about) as file:
        file.write(np.moveaxis(x, 2, 0))
    np.testing.assert_array_equal(read_bands(tmp_path / "x.tif"), x)


def test_without_rasterio_such_a_file_is_refused(tmp_path, monkeypatch, refused):
    rasterio = pytest.importorskip("rasterio", reason="the extra geo")
    about = {"driver": "GTiff", "width": 24, "height": 16, "count": 4, "dtype": "uint16", "compress": "lzw"}
    with rasterio.open(tmp_path / "x.tif", "w", **about) as file:
        file.write(np.moveaxis(drawn(16, 24, 4), 2, 0))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with refused("x.tif", "LZW", "cmir-ref[geo]"):
        read_bands(tmp_path / "x.tif")


def test_other_files_as_pillow_stores_them(tmp_path):
    for mode, bands in (("L", 1), ("RGB", 3), ("RGBA", 4), ("CMYK", 4), ("P", 3)):
        suffix = "tif" if mode == "CMYK" else "png"
        image = Image.fromarray(drawn(8, 9, 3, dtype="uint8")).convert(mode)
        image.save(tmp_path / f"x.{suffix}")
        expected = np.asarray(image.convert("RGB") if mode == "P" else image).reshape(8, 9, bands)
        np.testing.assert_array_equal(read_bands(tmp_path / f"x.{suffix}"), expected, mode)
    Image.fromarray(x := drawn(8, 9)).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_bands(tmp_path / "deep.png")[..., 0], x)
    Image.fromarray(drawn(32, 32, 3, dtype="uint8")).save(tmp_path / "jpeg.tif", compression="jpeg")
    assert read_bands(tmp_path / "jpeg.tif").shape == (32, 32, 3)
    Image.fromarray(x).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_bands(tmp_path / "lzw.tif")[..., 0], x)
    assert read_bands(tmp_path / "lzw.tif").dtype == np.uint16


def test_numbers_that_are_too_wide_are_single_precision(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.full((4, 4), 0.1))
    assert read_bands(tmp_path / "x.tif").dtype == np.float32
    tifffile.imwrite(tmp_path / "x.tif", np.eye(8, dtype=bool))
    assert read_bands(tmp_path / "x.tif")[..., 0].tolist() == np.eye(8).tolist()


def test_what_is_refused(tmp_path, refused):
    tifffile.imwrite(tmp_path / "nan.tif", np.array([[1, np.nan]], np.float32))
    tifffile.imwrite(tmp_path / "black.tif", np.zeros((4, 4, 4), np.uint16), photometric="minisblack")
    tifffile.imwrite(tmp_path / "complex.tif", np.ones((4, 4), np.complex64))
    tifffile.imwrite(tmp_path / "many.tif", np.ones((2, 3, 8, 8), np.uint16), photometric="minisblack")
    whole = (tmp_path / "complex.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:100])
    (tmp_path / "text.tif").write_text("no image")
    said = {
        "nan": "NaN", "black": "entirely black", "complex": "complex64", "many": "rows, columns and bands",
        "cut": "damaged", "text": "not an image", "absent": "no such file",
    }  # fmt: skip
    for name, words in said.items():
        with refused(f"{name}.tif", words):
            read_bands(tmp_path / f"{name}.tif")


@pytest.mark.parametrize(("kind", "value"), [("float32", -9999), ("float32", -3.4028234663852886e38), ("uint16", 65535),
                                             ("int16", -32768), ("int32", -2147483647)])  # fmt: skip
def test_samples_that_a_file_says_are_no_data_are_refused(tmp_path, refused, kind, value):
    x = np.arange(1, 65, dtype=kind).reshape(8, 8)
    tagged = {"extratags": [(42113, "s", 0, str(value), True)]}
    tifffile.imwrite(tmp_path / "whole.tif", x, **tagged)
    np.testing.assert_array_equal(read_bands(tmp_path / "whole.tif")[..., 0], x)
    x[:2, :2] = value
    tifffile.imwrite(tmp_path / "corner.tif", x, **tagged)
    with refused("corner.tif", f"4 samples are {value:g}, which it says is no data"):
        read_bands(tmp_path / "corner.tif")
    tifffile.imwrite(tmp_path / "dark.tif", np.eye(8, dtype=kind), extratags=[(42113, "s", 0, "0", True)])
    with refused("dark.tif", "56 samples are 0, which it says is no data"):  # as tiles of it would be left out
        read_bands(tmp_path / "dark.tif")


def test_samples_outside_the_mask_of_a_file_are_refused(tmp_path, refused):
    x = np.arange(1, 65, dtype=np.uint8).reshape(8, 8)
    for name, mask in (("whole.tif", x > 0), ("edge.tif", x > 8)):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(x, photometric="minisblack")
            file.write(mask, photometric="mask", subfiletype=4)
    np.testing.assert_array_equal(read_bands(tmp_path / "whole.tif")[..., 0], x)
    with refused("edge.tif", "8 samples are masked out"):
        read_bands(tmp_path / "edge.tif")


def test_no_data_of_a_palette_is_a_number_in_it_and_no_colour(tmp_path, refused):
    colours = np.repeat(np.arange(256, dtype=np.uint16)[None, ::-1] * 257, 3, axis=0)
    tagged = {"extratags": [(42113, "s", 0, "255", True)]}
    tifffile.imwrite(tmp_path / "x.tif", np.eye(8, dtype=np.uint8), photometric="palette", colormap=colours, **tagged)
    assert read_bands(tmp_path / "x.tif").max() == 255
    tagged = {"extratags": [(42113, "s", 0, "1", True)]}
    tifffile.imwrite(tmp_path / "x.tif", np.eye(8, dtype=np.uint8), photometric="palette", colormap=colours, **tagged)
    with refused("x.tif", "24 samples are 1, which it says is no data"):  # three colours each
        read_bands(tmp_path / "x.tif")


def test_the_largest_whole_number_stays_the_largest():
    assert (fit_bands(np.full((8, 8, 1), 2**32 - 1, np.uint32), 4) == 2**32 - 1).all()


def test_pixels_that_shrink_are_means_over_their_area():
    x = drawn(12, 12, 4)
    fitted = fit_bands(x, 4)
    expected = np.rint(x.reshape(4, 3, 4, 3, 4).astype(float).mean(axis=(1, 3)))
    assert fitted.dtype == np.uint16
    np.testing.assert_array_equal(fitted, expected)
    reals = fit_bands(x.astype(np.float32) / 7, 4)
    np.testing.assert_allclose(reals, x.reshape(4, 3, 4, 3, 4).mean(axis=(1, 3)) / 7, rtol=1e-5)
    assert fit_bands(x, 12) is x


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(10, 7), (9, 8), (6, 11)])
def test_a_pixel_counts_by_what_of_it_lies_in_an_area(shape, dtype):
    """4 × 4 areas of any size: each pixel cut into 4 × 4 equal ones, all areas consist of whole ones."""
    x = drawn(*shape, 2, dtype="uint8").astype(dtype)
    cut = x.astype(float).repeat(4, axis=0).repeat(4, axis=1)
    means = cut.reshape(4, shape[0], 4, shape[1], 2).mean(axis=(1, 3))
    np.testing.assert_allclose(fit_bands(x, 4), means if dtype == "float32" else np.rint(means), rtol=1e-6)


def test_pixels_that_grow_lie_between_their_neighbours():
    x = np.array([[0, 100], [200, 300]], np.int16)[..., None]
    grown = fit_bands(x, 8)[..., 0]
    assert grown.shape == (8, 8) and grown.dtype == np.int16
    assert (np.diff(grown.astype(int), axis=1) >= 0).all() and grown[0, 0] == 0 and grown[-1, -1] == 300


def test_which_axis_has_the_bands():
    x = np.zeros((2, 5, 7))
    assert bands_last(x, "SYX", "x").shape == bands_last(x, "IYX", "x").shape == (5, 7, 2)
    assert bands_last(x[:, :, None], "CYQX", "x").shape == (5, 7, 2)
    assert bands_last(x, "YXS", "x").shape == (2, 5, 7)
    assert bands_last(np.zeros((7, 5, 2)), "QYX", "x").shape == (7, 5, 2)


def test_nothing_but_the_error_is_said_of_a_tiff_that_ends_early(tmp_path):
    """Its first page lies behind its end: tifffile would say so on standard error besides."""
    path = tmp_path / "early.tif"
    path.write_bytes(b"II*\0" + (720_972).to_bytes(4, "little") + bytes(1000))
    code = "import sys, cmir_ref.data as d\ntry: d.read_image(sys.argv[1])\nexcept ValueError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stderr == "" and done.stdout.startswith(f"{path}: damaged or truncated image")


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("shape, dtype", [((6, 9, 3), "uint8"), ((6, 9, 5), "uint16"), ((6, 9, 4), "float32")])
def test_the_size_of_a_tiff_is_in_its_head(tmp_path, shape, dtype, turn):
    path = tmp_path / "a.tif"
    tags = [(274, 3, 1, turn, True)]
    tifffile.imwrite(path, drawn(*shape, dtype=dtype), planarconfig="contig", photometric="minisblack", extratags=tags)
    size = image_size_of(path)
    assert size == read_image(path).shape[:2] == ((9, 6) if turn > 4 else (6, 9))
    with tifffile.TiffFile(path) as file:
        (start,) = file.pages[0].dataoffsets
    path.write_bytes(path.read_bytes()[: start + 1])
    assert image_size_of(path) == size, "no pixel is read"


@pytest.mark.parametrize("turn", [1, 6])
def test_the_size_of_other_images_is_in_their_head(tmp_path, turn):
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[274] = turn
    Image.fromarray(drawn(6, 9, 3, dtype="uint8")).save(path, exif=exif)
    assert image_size_of(path) == read_image(path).shape[:2] == ((9, 6) if turn > 4 else (6, 9))
    path.write_bytes(path.read_bytes()[:-30])
    assert image_size_of(path) == ((9, 6) if turn > 4 else (6, 9))


@pytest.mark.parametrize("pages", [1, 2, 4])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_pages_of_a_tiff_are_its_bands_whoever_wrote_it(tmp_path, pages, compression):
    pytest.importorskip("rasterio")
    x = drawn(20, 24, pages)
    first, *others = (Image.fromarray(np.ascontiguousarray(x[..., k])) for k in range(pages))
    first.save(tmp_path / "x.tif", save_all=True, append_images=others, compression=compression)
    np.testing.assert_array_equal(read_bands(tmp_path / "x.tif"), x)
    with tifffile.TiffWriter(tmp_path / "y.tif") as file:
        for k in range(pages):
            file.write(x[..., k], photometric="minisblack")
    np.testing.assert_array_equal(read_bands(tmp_path / "y.tif"), x)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "float64"])
def test_one_band_of_any_depth_in_a_compression_that_tifffile_lacks(tmp_path, dtype):
    """Pillow makes int32 of int16, and numbers below 0 of the largest uint32."""
    rasterio = pytest.importorskip("rasterio")
    low, high = (-99, 99) if dtype[0] != "u" else (2**31, 2**32 - 1)
    x = np.random.default_rng(0).integers(low, high, (20, 24, 1)).astype(dtype)
    about = {"driver": "GTiff", "height": 20, "width": 24, "count": 1, "dtype": dtype, "compress": "lzw"}
    with rasterio.open(tmp_path / "x.tif", "w", **about) as file:
        file.write(np.moveaxis(x, 2, 0))
    read = read_bands(tmp_path / "x.tif")
    assert read.dtype == (np.float32 if dtype == "float64" else np.dtype(dtype))
    np.testing.assert_array_equal(read, x)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_jpeg_2000_as_it_is_stored(tmp_path, bands):
    rasterio = pytest.importorskip("rasterio")
    x = drawn(64, 64, bands)
    about = {"driver": "JP2OpenJPEG", "height": 64, "width": 64, "count": bands, "dtype": "uint16"}
    with rasterio.open(tmp_path / "x.jp2", "w", QUALITY=100, REVERSIBLE="YES", NBITS=12, **about) as file:
        file.write(np.moveaxis(x, 2, 0))
    np.testing.assert_array_equal(read_bands(tmp_path / "x.jp2"), x)


def test_four_bands_of_a_deep_png_are_four(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    x = drawn(20, 24, 4)
    about = {"driver": "PNG", "height": 20, "width": 24, "count": 4, "dtype": "uint16"}
    with rasterio.open(tmp_path / "x.png", "w", **about) as file:
        file.write(np.moveaxis(x, 2, 0))
    np.testing.assert_array_equal(read_bands(tmp_path / "x.png"), x)
