"""Image files: bands, resizing, and files that are none."""

import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from cmir_ref.data import read_image
from cmir_ref.data.bands import read_bands
from cmir_ref.data.geotiff import read_georeference
from cmir_ref.data.images import Span, image_copies, is_grey, look_at_images, read_images, span_of
from cmir_ref.errors import InputError


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


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bands", [1, 3])
def test_shrinking_in_any_ratio_takes_means_over_areas(tmp_path, bands, dtype):
    """4 × 4 areas of 10 × 7 pixels: each cut into 4 × 4 equal ones, all areas consist of whole ones."""
    x = (np.random.default_rng(0).integers(0, 256, (10, 7, bands)) * (257 if dtype == "uint16" else 1)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", x if bands == 3 else x[..., 0])
    cut = x.astype(float).repeat(4, axis=0).repeat(4, axis=1)
    means = cut.reshape(4, 10, 4, 7, bands).mean(axis=(1, 3)) / (257 if dtype == "uint16" and bands == 3 else 1)
    read = read_image(tmp_path / "a.tif", 4, bands=bands, span=Span(0, 65535) if bands == 3 else None)
    np.testing.assert_allclose(read, means, atol=0.5 + 1e-3)


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
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 1], np.rint(pixels * (255 / 65535)))
    assert is_grey(tmp_path / "a.png")


RAMP = np.linspace(0, 1, 64)[None, :] * np.ones((64, 1))


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ((RAMP * 255).astype(np.uint16), (0, 255)),
        ((RAMP * 4000).astype(np.uint16), (0, 4095)),
        ((28000 + RAMP * 3000).astype(np.uint16), (27648, 31231)),
        ((RAMP * 100_000 - 20_000).astype(np.int32), (-32768, 81919)),
        (RAMP.astype(np.float32) * 0.9, (0, 1)),
        (RAMP.astype(np.float32) * 35 - 30, (-32, 8)),
    ],
)
def test_deep_grey_images_keep_their_grey_values(tmp_path, values, span):
    """A straight line of values stays one, whatever their range; round ends hardly move."""
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert span_of([values]) == span
    read = read_image(tmp_path / "a.tif")
    exact = (values - span[0]) * (255.0 / (span[1] - span[0]))
    np.testing.assert_allclose(read, np.repeat(exact[..., None], 3, axis=2), atol=0.51)
    assert len(np.unique(read)) >= 60


@pytest.mark.parametrize("whole", [True, False])
def test_a_span_is_in_eighths_of_the_power_of_two_that_holds_the_values(whole):
    """By doubling; a whole number v takes the room from v to v + 1."""
    random, unit = np.random.default_rng(0), int(whole)
    bounds = np.sort(random.integers(-5000, 70_000, (300, 2)) >> random.integers(0, 14, (300, 1)), axis=1)
    bounds = np.concatenate([bounds, [[0, 4095], [1, 4096], [-4096, -1], [0, 1], [0, 4096]]]) / (1 if whole else 64)
    for low, high in bounds[bounds[:, 0] < bounds[:, 1]]:
        holds = 2.0**-20
        while holds < high + unit - low:
            holds *= 2
        first, last = (k * holds / 8 for k in (low // (holds / 8), -(-(high + unit) // (holds / 8))))
        assert span_of([np.array([low, high]).astype(int if whole else float)]) == (first, last - unit)


@pytest.mark.parametrize(("value", "span"), [(7, (0, 7)), (-3, (-3, 0)), (0, (0, 0)), (0.25, (0, 0.25))])
def test_the_span_of_one_value_is_from_0_to_it(value, span):
    assert span_of([np.full((2, 2), value)]) == span


def png_of_16_bits(path, pixels):
    """Writes (H, W, C) uint16, which Pillow cannot."""
    h, w, c = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", w, h, 16, {1: 0, 2: 4, 3: 2, 4: 6}[c], 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def tiff_of_16_bits(path, pixels, order, orientation=1):
    """Writes (H, W, 3) uint16 without compression, which Pillow cannot."""
    h, w, _ = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    tags = [(256, 3, 1, w), (257, 3, 1, h), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14),
            (274, 3, 1, orientation), (277, 3, 1, 3), (278, 3, 1, h), (279, 4, 1, len(data))]  # fmt: skip
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIHHH", 42, 14 + len(data), 16, 16, 16)
    fields = b""
    for tag, kind, count, value in tags:
        short = struct.pack(order + "HH", value, 0) if kind == 3 and count == 1 else struct.pack(order + "I", value)
        fields += struct.pack(order + "HHI", tag, kind, count) + short
    path.write_bytes(head + data + struct.pack(order + "H", len(tags)) + fields + b"\0" * 4)


def test_sixteen_bits_of_colour_keep_both_bytes(tmp_path):
    """Pillow keeps the upper byte alone: of 12 bits only 16 of 4096 values would be left."""
    pixels = np.random.default_rng(0).integers(0, 4096, (6, 9, 3)).astype(np.uint16)
    pixels[0, 0], pixels[0, 1] = 0, 4095
    png_of_16_bits(tmp_path / "a.png", pixels)
    tiff_of_16_bits(tmp_path / "a.tif", pixels, "<")
    tiff_of_16_bits(tmp_path / "b.tif", pixels, ">")
    for name in ("a.png", "a.tif", "b.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name), np.rint(pixels * (255 / 4095)))
    grey = read_image(tmp_path / "a.png", bands=1)[..., 0]
    np.testing.assert_allclose(grey, pixels @ [0.299, 0.587, 0.114] * (255 / 4095), atol=1.1)


def test_sixteen_bits_of_colour_on_white(tmp_path):
    pixels = np.full((4, 4, 4), 65535, np.uint16)
    pixels[..., :3] = 1000
    pixels[2:, :, 3] = 0
    png_of_16_bits(tmp_path / "a.png", pixels)
    read = read_image(tmp_path / "a.png", span=Span(0, 65535))
    assert (read[:2] == 4).all() and (read[2:] == 255).all()  # as of 8 bits, where the ink is dark, too
    pixels[0, 0, :3] = 65535
    png_of_16_bits(tmp_path / "a.png", pixels)
    assert (read_image(tmp_path / "a.png")[2:] == 255).all()


def test_orders_of_sixteen_bits_that_are_not_read(tmp_path, refused):
    png_of_16_bits(tmp_path / "a.png", np.full((4, 4, 2), 900, np.uint16))
    with refused("a.png", "LA;16B"):
        read_image(tmp_path / "a.png")


SCENE = np.linspace(0.2, 0.9, 48).reshape(6, 8)[..., None] * np.linspace(1, 0.4, 13)  # (6, 8, 13)
PLANES, PIXELS = {"planarconfig": "separate"}, {"planarconfig": "contig"}
BANDS = {  # how a TIFF file holds bands: its samples (6, 8, C), and what tifffile is told
    "eight bits, five bands": ((250 * SCENE[..., :5]).astype("u1"), PIXELS),
    "eight bits, thirteen planes": ((250 * SCENE).astype("u1"), PLANES),
    "eight bits, four planes of colour": ((250 * SCENE[..., :4]).astype("u1"), PLANES | {"photometric": "rgb"}),
    "sixteen bits that are no colour": ((4000 * SCENE[..., :3]).astype("u2"), PIXELS),
    "sixteen bits, planes": ((4000 * SCENE[..., :3]).astype("u2"), PLANES | {"photometric": "rgb"}),
    "sixteen bits, thirteen bands": ((4000 * SCENE).astype("u2"), PIXELS),
    "sixteen bits, one band": ((4000 * SCENE[..., :1]).astype("u2"), PIXELS),
    "whole numbers with a sign": ((4000 * SCENE[..., :4]).astype("i2"), PLANES),
    "fractions": (SCENE[..., :2].astype("f4"), PIXELS),
    "fractions in colour": (SCENE[..., :3].astype("f4"), PIXELS | {"photometric": "rgb"}),
}


def write_bands(path, x, planarconfig, photometric="minisblack", compression=None, tags=()):
    x = np.moveaxis(x, 2, 0) if planarconfig == "separate" else x
    if x.shape[-1] == 1:
        x, planarconfig = x[..., 0], None
    tifffile.imwrite(path, x, photometric=photometric, planarconfig=planarconfig, compression=compression,
                     extratags=tags, metadata=None)  # fmt: skip


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("case", BANDS)
def test_tiff_files_show_their_first_three_bands(tmp_path, capfd, case, compression):
    x, told = BANDS[case]
    write_bands(tmp_path / "a.tif", x, **told, compression=compression)
    first = x[..., :3] if x.shape[2] > 2 else np.repeat(x[..., :1], 3, axis=2)
    low, high = (0, 255) if x.dtype == np.uint8 else span_of([first])
    shown = (first.astype(float) - low) / (high - low) * 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.rint(shown.astype(np.float32)))
    pictures = read_images([tmp_path / "a.tif"], 4)
    said = "only the first three bands are shown of 1 image with more, as red, green and blue" in pictures.remarks
    assert said is (x.shape[2] > 3)
    assert is_grey(tmp_path / "a.tif") is (x.shape[2] < 3)
    assert capfd.readouterr().err == ""  # Pillow has a log of its own


def test_a_fourth_band_that_is_no_transparency(tmp_path):
    """GDAL calls the fourth band of eight bits alpha, whatever it is."""
    x = (250 * SCENE[..., :4]).astype("u1")
    place = [(33550, 12, 3, (10.0, 10.0, 0.0)), (33922, 12, 6, (0.0, 0, 0, 5e5, 5e6, 0))]
    clear = x.copy()
    clear[..., 3] = 255
    clear[:2, :, 3] = 0
    for name, pixels, tags in (("infrared", x, place), ("edge", clear, place), ("drawing", x, ())):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="rgb", extrasamples=["unassalpha"],
                         extratags=tags, metadata=None)  # fmt: skip
    np.testing.assert_array_equal(read_image(tmp_path / "infrared.tif"), x[..., :3])
    np.testing.assert_array_equal(read_image(tmp_path / "infrared.tif", bands=4), x)
    edge = read_image(tmp_path / "edge.tif")
    assert (edge[:2] == 255).all()
    np.testing.assert_array_equal(edge[2:], x[2:, :, :3])
    assert (read_image(tmp_path / "drawing.tif") >= x[..., :3]).all()  # is on white
    assert read_georeference(tmp_path / "infrared.tif").at(1, 2) == (500020, 4999990)


@pytest.mark.parametrize("bands", [2, 5])
def test_other_bands_than_an_image_has(tmp_path, refused, bands):
    for name, x, told in (("odd.tif", SCENE[..., :5], {}), ("plain.tif", SCENE[..., :3], {"photometric": "rgb"})):
        write_bands(tmp_path / name, (250 * x).astype("u1"), "contig", **told)
        with refused(name, f"cannot hold the {bands} bands"):
            read_image(tmp_path / name, bands=bands)
    with refused("odd.tif", "5 bands of uint8; expected 4"):
        read_image(tmp_path / "odd.tif", bands=4)


@pytest.mark.parametrize("bands", [1, 3])
def test_no_data_is_bright_and_counts_for_no_span(tmp_path, bands):
    x = (3000 * SCENE[..., :bands]).astype("i2")
    x[0, :2] = -9999
    write_bands(tmp_path / "a.tif", x, "contig", tags=[(42113, "s", 0, "-9999")])
    shown = read_image(tmp_path / "a.tif")
    brightest = int(x[..., 0].max())
    low, high = span_of([x[x > 0]])
    assert (shown[0, :2] == round((x.max() - low) / (high - low) * 255)).all() and brightest > 0
    assert look_at_images([tmp_path / "a.tif"])[0] == (low, high)
    write_bands(tmp_path / "dark.tif", x.clip(0), "contig", tags=[(42113, "s", 0, "0")])
    assert (read_image(tmp_path / "dark.tif")[0, :2] == 0).all()


AUX = "<PAMDataset>{}</PAMDataset>"
AUX_BAND = '<PAMRasterBand band="{}"><NoDataValue>9</NoDataValue></PAMRasterBand>'


@pytest.mark.parametrize("how", ["tag", "aux", "mask"])
@pytest.mark.parametrize("kind", ["grey of 8 bits", "colours of 8 bits", "palette", "grey of 16 bits", "five bands"])
def test_no_data_is_bright_however_a_file_says_so(tmp_path, kind, how):
    """By a tag, or beside it, as `read_bands` knows it: turned pixels, too."""
    bands = {"colours of 8 bits": 3, "five bands": 5}.get(kind, 1)
    dtype = np.uint16 if kind in ("grey of 16 bits", "five bands") else np.uint8
    x = np.random.default_rng(0).integers(10, 200, (32, 48, bands)).astype(dtype)
    missing = np.zeros((32, 48), bool)
    missing[:4, :9] = True
    x[missing] = 9
    colours = {"photometric": "palette", "colormap": np.repeat(np.arange(256, dtype="u2")[None] * 257, 3, axis=0)}
    told = colours if kind == "palette" else {"photometric": "rgb" if bands == 3 else "minisblack"}
    told |= PIXELS if bands > 1 else {}
    tags = [(274, "H", 1, 3, True), *([(42113, "s", 0, "9", True)] if how == "tag" else [])]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, x if bands > 1 else x[..., 0], extratags=tags, metadata=None, **told)
    if how == "aux":
        (tmp_path / "a.tif.aux.xml").write_text(AUX.format("".join(AUX_BAND.format(k + 1) for k in range(bands))))
    if how == "mask":
        tifffile.imwrite(tmp_path / "a.tif.msk", np.where(missing, 0, 255).astype("u1"))
    shown = read_image(path, span=Span(0, 255))
    expected = np.where(missing[..., None], x[~missing].max(), x)[::-1, ::-1, : 3 if bands > 1 else 1]
    np.testing.assert_array_equal(shown, np.broadcast_to(expected, shown.shape))
    if dtype is np.uint16 and bands == 1:
        assert look_at_images([path])[0] == span_of([x[~missing]])
    with pytest.raises(InputError, match="samples are"):
        read_bands(path)


def test_tiff_files_of_webp_are_read_by_gdal(tmp_path, refused, monkeypatch, capfd):
    """As much imagery on the web is packed: Pillow's libtiff called it damaged, and wrote lines of its own."""
    rasterio = pytest.importorskip("rasterio")
    x = np.random.default_rng(0).integers(1, 255, (3, 16, 16)).astype(np.uint8)
    look = {"driver": "GTiff", "height": 16, "width": 16, "count": 3, "dtype": "uint8", "compress": "webp"}
    with rasterio.open(tmp_path / "a.tif", "w", **look, WEBP_LOSSLESS=True) as file:
        file.write(x)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(x, 0, 2))
    assert capfd.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with refused("a.tif: its compression (WEBP) needs rasterio; pip install"):
        read_image(tmp_path / "a.tif")


def test_a_tiff_file_of_many_bands_that_is_cut(tmp_path, refused):
    write_bands(tmp_path / "a.tif", (4000 * SCENE).astype("u2"), "contig")
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
    with refused("a.tif", "damaged or truncated"):
        read_image(tmp_path / "a.tif")


def test_copies_have_the_same_pixels_and_the_same_shape(tmp_path):
    for k, (height, width, value) in enumerate(
        [(4, 6, 70), (4, 6, 71), (6, 4, 70), (4, 6, 70), (6, 4, 70), (4, 6, 70)]
    ):
        Image.fromarray(np.full((height, width), value, np.uint8)).save(tmp_path / f"{k}.png")
    assert image_copies([tmp_path / f"{k}.png" for k in range(6)]) == [[0, 3, 5], [2, 4]]


def test_one_span_for_a_whole_set(tmp_path):
    """An image half as bright as another stays so; 8-bit images beside them stay as they are."""
    (tmp_path / "8").mkdir()
    for k, top in enumerate((1000, 2000)):
        Image.fromarray((RAMP * top).astype(np.uint16)).save(tmp_path / f"{k}.tif")
    eight = np.full((64, 64), 77, np.uint8)
    Image.fromarray(eight).save(tmp_path / "2.tif")
    pictures = read_images([tmp_path / f"{k}.tif" for k in range(3)], 64)
    assert pictures.span == (0, 2047)
    assert pictures.x[0].max() == round(1000 * 255 / 2047) and pictures.x[1].max() == round(2000 * 255 / 2047)
    assert (pictures.x[2] == 77).all()
    assert pictures.remarks == ("2 of 3 images hold more than 8 bits: 0 to 2047 shown as 0 to 255",)
    alone = read_image(tmp_path / "0.tif", span=pictures.span)
    np.testing.assert_array_equal(alone, pictures.x[0])


def test_nan_among_pixels(tmp_path, refused):
    values = RAMP.astype(np.float32)
    values[3, 4] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    with refused("a.tif", "NaN or infinity"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("bands", [1, 5])
def test_nan_that_is_no_data_is_bright(tmp_path, refused, bands):
    """As GDAL writes floats that are missing."""
    x = (3000 * SCENE[..., :bands]).astype(np.float32)
    x[0, :2] = np.nan
    write_bands(tmp_path / "a.tif", x, "contig", tags=[(42113, "s", 0, "nan")])
    shown = read_image(tmp_path / "a.tif")
    assert (shown[0, :2] == shown.max()).all() and (shown < shown.max()).any()
    assert look_at_images([tmp_path / "a.tif"])[0] == span_of([x[np.isfinite(x).all(axis=2)][:, :3]])
    with refused("a.tif", f"{2 * bands} samples are nan, which it says is no data"):
        read_bands(tmp_path / "a.tif")
    x[1, 1] = np.inf
    write_bands(tmp_path / "a.tif", x, "contig", tags=[(42113, "s", 0, "nan")])
    with refused("a.tif", "NaN or infinity"):
        read_image(tmp_path / "a.tif")


def test_transparent_drawings_are_on_white(tmp_path):
    """Black lines on nothing: of RGBA, of grey with alpha, of a palette and of a colour that counts as clear."""
    lines = np.zeros((8, 8), bool)
    lines[3] = True
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[lines, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    Image.fromarray(rgba).convert("LA").save(tmp_path / "la.png")
    palette = Image.fromarray(np.where(lines, 1, 0).astype(np.uint8), mode="P")
    palette.putpalette([9, 9, 9, 0, 0, 0])
    palette.save(tmp_path / "p.png", transparency=0)
    grey = Image.fromarray(np.where(lines, 0, 200).astype(np.uint8))
    grey.save(tmp_path / "l.png", transparency=200)
    for name in ("rgba", "la", "p", "l"):
        for bands in (1, 3):
            read = read_image(tmp_path / f"{name}.png", bands=bands)
            assert (read[3] == 0).all() and (read[~lines] == 255).all(), (name, bands)


def png_with_a_clear_colour(path, pixels, clear):
    """As `png_of_16_bits`, where a colour counts as clear."""
    png_of_16_bits(path, pixels)
    content, said = path.read_bytes(), b"tRNS" + struct.pack(f">{len(clear)}H", *clear)
    chunk = struct.pack(">I", len(said) - 4) + said + struct.pack(">I", zlib.crc32(said))
    path.write_bytes(content[:33] + chunk + content[33:])


@pytest.mark.parametrize("ink", [0, 4000, (0, 0, 9000)])
def test_transparent_drawings_of_16_bits_are_on_white(tmp_path, ink):
    """One ink is all that is there: on white, not on the brightest of the others."""
    lines = np.zeros((8, 8), bool)
    lines[3] = True
    drawn = np.zeros((8, 8, 4), np.uint16)
    drawn[lines, :3], drawn[lines, 3] = ink, 65535
    png_of_16_bits(tmp_path / "alpha.png", drawn)
    cleared = np.where(lines[..., None], drawn[..., :3], np.uint16(200)).astype(np.uint16)
    png_with_a_clear_colour(tmp_path / "colour.png", cleared, (200, 200, 200))
    png_with_a_clear_colour(tmp_path / "grey.png", cleared[..., :1], (200,))
    for name in ("alpha", "colour", "grey"):
        read = read_image(tmp_path / f"{name}.png", span=Span(0, 65535))
        shown = np.rint(np.array(ink) * 255 / 65535)
        assert (read[~lines] == 255).all() and (read[3] == (shown if name != "grey" else shown.flat[0])).all(), name


def test_what_is_transparent_on_a_map_is_no_brighter_than_the_rest(tmp_path):
    """It is no data, which counts for no span."""
    x = np.full((8, 8, 4), 3000, np.uint16)
    x[..., 0], x[..., 3], x[:2, :, 3], x[0, :, :3] = 4000, 65535, 0, 60000
    place = [(33550, 12, 3, (10.0, 10.0, 0.0)), (33922, 12, 6, (0.0, 0, 0, 5e5, 5e6, 0))]
    tifffile.imwrite(tmp_path / "a.tif", x, photometric="rgb", extrasamples=["unassalpha"], extratags=place)
    read = read_image(tmp_path / "a.tif", span=Span(0, 4000))
    assert (read[:2] == 255).all() and (read[2:] == (255, 191, 191)).all()
    assert look_at_images([tmp_path / "a.tif"])[0] == span_of([x[2:, :, :3]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_a_viewer(tmp_path, orientation, make):
    """All eight, of JPEG, of 8-bit and 16-bit PNG and of 16-bit TIFF: where the bright corner stands."""
    upright = np.full((8, 16), 40, np.uint16)
    upright[:3, :5] = 200
    turns = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
             6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}  # fmt: skip
    stored = turns[orientation](upright)  # what must be stored so that a viewer shows it upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored.astype(np.uint8)).save(tmp_path / "a.jpg", exif=exif, quality=100)
    Image.fromarray(stored.astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(stored * 16).save(tmp_path / "b.png", exif=exif)
    Image.fromarray(stored * 16).save(tmp_path / "b.tif", tiffinfo={274: orientation})
    tiff_of_16_bits(tmp_path / "c.tif", np.repeat(stored[..., None] * 16, 3, axis=2), "<", orientation)
    for name in ("a.jpg", "a.png", "b.png", "b.tif", "c.tif"):
        read = read_image(tmp_path / name, span=Span(0, 4095))[..., 0].astype(float)
        assert read.shape == upright.shape, name
        np.testing.assert_allclose(read, upright, atol=5, err_msg=name)


def test_odd_modes_are_shown_or_named(tmp_path, refused):
    Image.new("1", (8, 8), 1).save(tmp_path / "one.png")
    assert (read_image(tmp_path / "one.png") == 255).all()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    assert (read_image(tmp_path / "cmyk.tif") == (255, 0, 0)).all()
    Image.new("LAB", (8, 8), (120, 3, 4)).save(tmp_path / "lab.tif")
    with refused("lab.tif", "mode LAB"):
        read_image(tmp_path / "lab.tif")


def test_pages_after_the_first_are_said(tmp_path, make):
    first, second = (Image.fromarray(make.picture(16, 16)) for _ in range(2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    first.save(tmp_path / "b.gif", save_all=True, append_images=[second.rotate(90)])
    second.save(tmp_path / "c.tif")
    pictures = read_images([tmp_path / name for name in ("a.tif", "b.gif", "c.tif")], 16)
    assert pictures.remarks == ("only the first page is read of 2 images with several",)
    np.testing.assert_array_equal(pictures.x[0], np.asarray(first))


@pytest.mark.parametrize("limit", ["LONGEST_SIDE", "MOST_PIXELS"])
def test_limits_of_size_are_named(tmp_path, refused, monkeypatch, make, limit):
    Image.fromarray(make.picture(64, 48)).save(tmp_path / "a.png")
    monkeypatch.setattr(f"cmir_ref.data.pictures.{limit}", 60)
    with refused("a.png", "48 × 64 pixels are too large", "limit", "tiles"):
        read_image(tmp_path / "a.png")


def test_the_limit_of_pillow_is_named(tmp_path, refused, monkeypatch, make):
    Image.fromarray(make.picture(64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with refused("a.png", "too large", "limit"):
        read_image(tmp_path / "a.png")


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


def test_an_image_of_nothing_but_no_data_is_named(tmp_path, refused):
    """It would count for the span of all others."""
    for k in range(2):
        x = np.full((8, 8), -9999, np.int16) if k else np.arange(64, dtype=np.int16).reshape(8, 8)
        tifffile.imwrite(tmp_path / f"{k}.tif", x, extratags=[(42113, 2, 0, "-9999", True)])
    with refused("1.tif", "nothing but samples that are -9999, which it says is no data; remove it"):
        read_images([tmp_path / "0.tif", tmp_path / "1.tif"], 8)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, make, refused, monkeypatch):
    Image.fromarray(make.picture(8, 8)).save(tmp_path / "x.png")
    real = open

    def shut(path, *given, **named):
        if str(path).endswith("x.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *given, **named)

    monkeypatch.setattr("builtins.open", shut)
    with refused("x.png", "cannot be read (Permission denied)"):
        read_image(tmp_path / "x.png", 4)
