"""Drawings are read as ink, whatever they are drawn on and with."""

import gzip
import os
import re
import sys
import warnings
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFilter

from cmir_ref.data import is_drawing, load_sketches, read_sketch, sketches, world
from cmir_ref.data.sketches import NotADrawing, difference_from, ink_of, paper_of, shrink, to_square

SIDE = 200
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{}</svg>'
LINES = '<g stroke="{0}" fill="none" stroke-width="2"><path d="M10 20 H90"/><circle cx="50" cy="65" r="20"/></g>'


def drawing(paper, ink, mode="RGB"):
    """A line and a circle on a sheet."""
    sheet = Image.new(mode, (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(sheet)
    draw.line([20, 40, 180, 40], ink, 4)
    draw.ellipse([60, 90, 140, 170], None, ink, 4)
    return sheet


def shaded(sheet):
    """As a scanner sees a page beside a book's fold: from full light to a third of it, and grain."""
    pixels = np.asarray(sheet.convert("RGB"), float)
    light = np.linspace(1, 0.35, SIDE)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 2, pixels.shape)
    return Image.fromarray(np.clip(pixels * light + noise, 0, 255).astype(np.uint8))


def sixteen_bits(sheet):
    return Image.fromarray(np.asarray(sheet.convert("L"), np.uint16) * 200)


REFERENCE = drawing("white", "black")
SHEETS = {
    "pencil": drawing("white", (90, 90, 90)),
    "light pencil": drawing("white", (200, 200, 200)),
    "chalk": drawing((20, 60, 30), "white"),
    "red on yellow": drawing((250, 240, 150), (200, 20, 30)),
    "blueprint": drawing((20, 40, 120), (200, 220, 255)),
    "black on transparent": drawing((0, 0, 0, 0), (0, 0, 0, 255), "RGBA"),
    "white on transparent": drawing((255, 255, 255, 0), (255, 255, 255, 255), "RGBA"),
    "grey and alpha": drawing((255, 0), (0, 255), "LA"),
    "palette": REFERENCE.convert("P"),
    "one bit": REFERENCE.convert("1"),
    "scanned": shaded(REFERENCE),
    "scanned chalk": shaded(drawing((60, 60, 60), "white")),
    "sixteen bits": sixteen_bits(REFERENCE),
}


def saved(sheet, path):
    sheet.save(path)
    return path


@pytest.mark.parametrize("name", SHEETS)
def test_the_same_lines_on_any_paper(name, tmp_path):
    expected = read_sketch(saved(REFERENCE, tmp_path / "reference.png"), 64)
    found = read_sketch(saved(SHEETS[name], tmp_path / "other.png"), 64)
    assert found.shape == (64, 64, 1) and found.dtype == np.uint8
    ink, other = expected > 127, found > 127
    assert (ink & other).sum() / (ink | other).sum() > 0.85
    assert 0.04 < other.mean() < 0.25


@pytest.mark.parametrize("name", SHEETS)
def test_lines_on_any_paper_are_a_drawing(name, tmp_path):
    assert is_drawing(saved(SHEETS[name], tmp_path / "x.png"))


def test_a_colour_of_a_palette_may_be_transparent(tmp_path):
    """As a GIF or a small PNG has it; what that colour is, nobody sees."""
    sheet = REFERENCE.convert("1").convert("P")
    values = np.asarray(sheet) > 0
    sheet = Image.fromarray(values.astype(np.uint8), "P")
    sheet.putpalette([0, 0, 0, 0, 0, 0])
    sheet.save(tmp_path / "x.png", transparency=1)
    sheet.save(tmp_path / "x.gif", transparency=1)
    for path in (tmp_path / "x.png", tmp_path / "x.gif"):
        np.testing.assert_array_equal(read_sketch(path, 64), read_sketch(saved(REFERENCE, tmp_path / "y.png"), 64))


@pytest.mark.parametrize("quality", [30, 80])
def test_jpegs_keep_their_paper_clean(quality, tmp_path):
    REFERENCE.filter(ImageFilter.GaussianBlur(1)).save(tmp_path / "x.jpg", quality=quality)
    found = read_sketch(tmp_path / "x.jpg", 64)
    assert (found[:8] == 0).all() and found.max() == 255


@pytest.mark.parametrize("size", [64, 128])
def test_thin_lines_stay_where_a_sheet_shrinks(size, tmp_path):
    sheet = Image.new("L", (1500, 900), 255)
    ImageDraw.Draw(sheet).line([0, 300, 1500, 300], 0, 2)
    found = read_sketch(saved(sheet, tmp_path / "x.png"), size)[..., 0]
    rows = np.flatnonzero((found > 100).all(axis=1))
    assert len(rows) in (1, 2) and abs(rows.mean() / size - (300 + 300) / 1500) < 0.03, "centred on a square sheet"


def test_a_small_sheet_is_enlarged(tmp_path):
    sheet = Image.new("L", (20, 20), 255)
    ImageDraw.Draw(sheet).line([0, 10, 20, 10], 0, 1)
    assert (read_sketch(saved(sheet, tmp_path / "x.png"), 64)[..., 0].max(axis=1) > 200).sum() in (1, 2, 3, 4)


def test_shrinking_takes_the_maximum_and_squares_are_padded():
    ink = np.zeros((7, 7), np.float32)
    ink[6, 3] = 1
    assert np.argwhere(shrink(ink, 3)[..., 0]).tolist() == [[2, 1]]
    assert (shrink(np.full((4, 4), 0.5), 2) == 128).all(), "to the nearest whole number"
    assert to_square(np.ones((2, 6), np.float32)).sum(axis=1).tolist() == [0, 0, 6, 6, 0, 0]


@pytest.mark.parametrize(("side", "size"), [(7, 3), (100, 64), (127, 64), (64, 64), (1000, 48)])
def test_each_pixel_of_a_smaller_sheet_is_the_maximum_over_its_area(side, size):
    ink = np.random.default_rng(side).integers(0, 256, (side, side)) / 255
    ends = [side * k // size for k in range(size + 1)]
    areas = [[ink[a:b, c:d] for c, d in pairwise(ends)] for a, b in pairwise(ends)]
    np.testing.assert_array_equal(
        shrink(ink, size)[..., 0], [[round(255 * area.max()) for area in row] for row in areas]
    )


def test_a_photo_of_a_drawing_stands_upright(tmp_path):
    upright, exif = REFERENCE.convert("RGB"), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(
        read_sketch(tmp_path / "x.png", 64), read_sketch(saved(upright, tmp_path / "y.png"), 64)
    )


def test_ink_is_measured_by_the_strongest_strokes_and_not_by_a_speck():
    sheet = np.full((200, 200, 3), 190.0)
    sheet[50:52, 20:180], sheet[120:122, 20:180], sheet[160, 160] = 130, 250, 0
    ink = ink_of(sheet, "x.png")
    assert (ink[50:52, 20:180] == 1).all() and (ink[120:122, 20:180] == -1).all()
    assert not ink[60:110].any()


@pytest.mark.parametrize("band", range(3))
def test_ink_and_paper_may_differ_in_one_colour_alone(band):
    """Two papers, the larger one with a line."""
    sheet = np.full((64, 64, 3), 200.0)
    sheet[40:, :, band], sheet[20:22, :, band] = 120, 20
    np.testing.assert_array_equal(paper_of(sheet), [200, 200, 200])
    difference = difference_from(sheet, np.full(3, 200.0))
    assert difference[20:22].min() == 180 and difference[40:].min() == 80 and not difference[:20].any()


def test_the_paper_under_a_shadow_is_that_of_its_surroundings():
    """Pixel by pixel, on an oblong sheet, and under a broad stroke."""
    light = np.broadcast_to(np.linspace(250, 70, 256)[None, :, None], (128, 256, 3))
    sheet = light.copy()
    sheet[:, 120:128] = 0
    found, away = paper_of(sheet), np.r_[30:95, 155:220]  # of border and stroke
    np.testing.assert_allclose(found[:, away], light[:, away], atol=0.1)
    assert np.abs(found[:, 120:128] - light[:, 120:128]).max() < 8


@pytest.mark.parametrize("row", [1000, 1001])
def test_a_line_of_one_pixel_stays_where_a_large_sheet_is_read_smaller(row, tmp_path):
    """Whichever it is: every other row alone would not do."""
    sheet = np.full((2048, 200), 255, np.uint8)
    sheet[row] = 0
    assert read_sketch(saved(Image.fromarray(sheet), tmp_path / "x.png"), 64).max() == 255


def test_a_deep_sheet_is_stretched_from_its_least_to_its_largest_value(tmp_path, refused):
    sheet = np.asarray(REFERENCE.convert("L"), np.uint16)
    faint = Image.fromarray(64_000 + sheet)  # a hundredth of what 16 bits can hold
    expected = read_sketch(saved(REFERENCE, tmp_path / "reference.png"), 64)
    np.testing.assert_array_equal(read_sketch(saved(faint, tmp_path / "x.png"), 64), expected)
    with np.errstate(all="raise"), refused("flat.png", "an empty drawing"):
        read_sketch(saved(Image.fromarray(0 * sheet + 500), tmp_path / "flat.png"), 64)


LAUGHTER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><defs><g id="a">{}</g>{}</defs>
<use href="#{}"/></svg>"""


def laughing(depth):
    """A line, used seven times by what is used seven times, …: 7^depth lines in few letters."""
    groups, letters = [], "abcdefghijk"
    for inner, outer in pairwise(letters[: depth + 1]):
        groups.append(f'<g id="{outer}">' + f'<use href="#{inner}"/>' * 7 + "</g>")
    path = '<path d="M1 1C90 9 9 90 80 70" stroke="black" fill="none"/>'
    return LAUGHTER.format(10 * path, "".join(groups), letters[depth])


def test_an_svg_of_many_strokes_is_drawn_apart_and_not_for_ever(tmp_path, monkeypatch, refused):
    """A process of its own: while it draws, no other thread of this one would run."""
    path = tmp_path / "x.svg"
    path.write_text(laughing(1))
    apart = sketches.render_svg(path)
    with monkeypatch.context() as patch:
        patch.setattr(sketches, "SLOW", re.compile("nothing"))
        assert apart == sketches.render_svg(path)
    path.write_text(laughing(4))
    with monkeypatch.context() as patch:
        patch.setattr(sketches, "PATIENCE", 1)
        with refused(path, "too many strokes, not drawn in 1 s; save it as a picture"):
            read_sketch(path, 64)
        path.write_text(SVG.format('<path d="M1 1H99" stroke="black" stroke-dasharray=".001"/>' * 99))
        with refused(path, "too many strokes, not drawn in 1 s; save it as a picture"):
            read_sketch(path, 64)
    path.write_text(laughing(7))
    with refused(path, "not a readable SVG file (ValueError: SVG data parsing failed cause nodes limit reached)"):
        read_sketch(path, 64)


@pytest.mark.parametrize("sheet", [Image.new("L", (50, 50), 255), Image.new("RGBA", (50, 50), (0, 0, 0, 0))])
def test_an_empty_drawing_is_refused(sheet, tmp_path, refused):
    path = saved(sheet, tmp_path / "x.png")
    with refused(path, "an empty drawing"):
        read_sketch(path, 64)


def test_a_photo_is_read_with_a_warning(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 30, 3)).astype(np.uint8)
    path = saved(Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC), tmp_path / "x.png")
    with pytest.warns(NotADrawing, match=r"x\.png: looks like a photo"):
        read_sketch(path, 64)
    assert not is_drawing(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_sketch(saved(REFERENCE, tmp_path / "y.png"), 64).any() and is_drawing(tmp_path / "y.png")


@pytest.mark.parametrize(("size", "at"), [((340, 340), (30, 30)), ((340, 400), (30, 0)), ((400, 340), (0, 30))])
def test_a_sheet_on_a_dark_table_is_read_with_a_warning(size, at, tmp_path):
    """The table may show on two sides alone."""
    on_a_table = Image.new("L", (400, 400), 40)
    on_a_table.paste(REFERENCE.convert("L").resize(size), at)
    with pytest.warns(NotADrawing, match=r"x\.png: what lies around the paper is read as ink"):
        read_sketch(saved(on_a_table, tmp_path / "x.png"), 64)


@pytest.mark.parametrize("pixels", [3000, 1000])
def test_a_sheet_that_is_too_large(tmp_path, refused, monkeypatch, pixels):
    """Pillow's own limit is met first where a sheet has more than twice as many pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
    with refused("x.png", "too large"):
        read_sketch(saved(Image.new("L", (80, 80), 255), tmp_path / "x.png"), 64)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut off"])
@pytest.mark.parametrize("name", ["x.png", "x.svg"])
def test_damaged_files_are_one_line(content, name, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    with refused(tmp_path / name):
        read_sketch(tmp_path / name, 64)


def test_a_missing_file(tmp_path, refused):
    with refused(tmp_path / "x.svg", "no such file"):
        read_sketch(tmp_path / "x.svg", 64)


needs_svg = pytest.mark.skipif(find_spec("resvg_py") is None, reason="needs the extra svg")


@needs_svg
@pytest.mark.parametrize("colour", ["black", "white", "#c0392b"])
@pytest.mark.parametrize("suffix", [".svg", ".svgz"])
def test_lines_of_an_svg(colour, suffix, tmp_path):
    text = SVG.format(LINES.format(colour)).encode()
    path = tmp_path / f"x{suffix}"
    path.write_bytes(gzip.compress(text) if suffix == ".svgz" else text)
    found = read_sketch(path, 64) > 127
    expected = read_sketch(saved(REFERENCE, tmp_path / "reference.png"), 64) > 127
    assert (found & expected).sum() / (found | expected).sum() > 0.6 and is_drawing(path)


@needs_svg
def test_what_is_not_drawn_of_an_svg_is_said(tmp_path, refused, capfd):
    """Letters, of which there may be nothing else, and a line that ends the renderer by no `Exception`."""
    path = tmp_path / "x.svg"
    path.write_text(SVG.format('<text x="9" y="50">plane</text>'))
    with refused(path, "an empty drawing", "text of an SVG file is not drawn, save it as a picture"):
        read_sketch(path, 64)
    path.write_text(SVG.format('<path d="M10 10 L90 90" stroke="black" stroke-width="1e9"/>'))
    with refused(path, "not a readable SVG file (range start index"):
        read_sketch(path, 64)
    os.write(2, b"as before")
    assert capfd.readouterr().err == "as before"  # the renderer has lines of its own about it


@needs_svg
@pytest.mark.parametrize(
    ("text", "said"),
    [('<text x="9" y="50">plane</text>', True), ('<svg:text x="9"><tspan>\n a</tspan></svg:text>', True),
     ("<text><tspan/></text>", False), ('<text x="9" />', False), ("<title>plane</title>", False)],
)  # fmt: skip
def test_text_beside_lines_is_read_with_a_warning(tmp_path, text, said):
    path = tmp_path / "x.svg"
    sheet = SVG.replace("<svg", '<svg xmlns:svg="http://www.w3.org/2000/svg"')
    path.write_text(sheet.format(LINES.format("black") + text))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_sketch(path, 64).any()
    assert [str(w.message) for w in caught] == [
        f"{path}: its text is not drawn; make lines of it, or save it as a picture"
    ] * said


def test_without_the_reader_it_says_what_to_install(tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    (tmp_path / "x.svg").write_text(SVG.format(""))
    with refused("x.svg", "pip install 'cmir-ref[svg]'"):
        read_sketch(tmp_path / "x.svg", 64)


def folder_of(root, classes, each=3):
    for name in classes:
        (root / name).mkdir(parents=True)
        for k in range(each):
            saved(REFERENCE, root / name / f"{k}.png")
    return root


def test_a_folder_of_drawings(tmp_path):
    root = folder_of(tmp_path / "s", ["Runway", "Aeroplane"])
    for stray in (".DS_Store", "Thumbs.db", "print.pdf", "data.h5"):
        (root / "Runway" / stray).write_bytes(b"x")
    (root / "Runway" / "sub.png").mkdir()
    m, names = load_sketches(root, size=64)
    assert names == ("Aeroplane", "Runway") and m.kind == "sketch" and m.x.shape == (6, 64, 64, 1)
    assert m.labels.tolist() == [0, 0, 0, 1, 1, 1] and m.ids[3] == "Runway/0.png"
    m, names = load_sketches(root, size=64, folders=["Runway"])
    assert names == ("Runway",) and len(m.x) == 3


def test_what_is_passed_over_is_said_and_what_lies_deeper_is_refused(tmp_path, refused):
    root = folder_of(tmp_path / "s", ["Runway", "Aeroplane"])
    for name in ("a.pdf", "notes.txt"):
        (root / "Runway" / name).write_text("x")
    saved(REFERENCE, root / "overview.png")
    (root / "plan.SVG").touch()
    said = ("2 files passed over as no drawings", "2 drawings in no class folder passed over")
    assert load_sketches(root, size=32)[0].remarks == said
    folder_of(root / "Runway", ["more"])
    with refused(root / "Runway" / "more", "drawings below a class folder"):
        load_sketches(root, size=32)


def test_a_class_of_one_drawing_is_refused(tmp_path, refused):
    with refused("Runway", "1 drawing; a class needs at least two"):
        load_sketches(folder_of(tmp_path / "s", ["Runway"], 1), size=64)
    (tmp_path / "e").mkdir()
    with refused("no class folders"):
        load_sketches(tmp_path / "e", size=64)


@pytest.mark.parametrize("name", ["Aeroplane", "Buildings", "Freeway", "Runway", "Tenniscourt"])
def test_real_hand_sketches_are_mostly_paper(name, real_data):
    m, _ = load_sketches(real_data / "earth_on_canvas_sketches", size=64, folders=[name])
    assert len(m.x) == 25 and ((m.x > 127).mean(axis=(1, 2, 3)) > 0.005).all()
    assert ((m.x > 127).mean(axis=(1, 2, 3)) < 0.5).all()


def test_photos_are_no_drawings_and_drawings_are(real_data):
    """Of the real hand sketches all, of UC Merced's photos at most one in twenty-five."""
    photos = sorted((real_data / "ucmerced").rglob("*.tif"))[::21]
    sketches = sorted(p for p in (real_data / "earth_on_canvas_sketches").rglob("*.*") if p.suffix in (".png", ".jpg"))
    assert len(photos) == 100 and len(sketches) > 100
    assert sum(map(is_drawing, photos)) <= 4 and all(map(is_drawing, sketches))


def test_the_simulated_sketches_are_drawings(tmp_path):
    """Those of a class that is drawn densely, with hatching, too."""
    for k in range(6):
        sheet = Image.fromarray(world.drawing(5, "denseresidential", k).sketch)
        assert is_drawing(saved(sheet, tmp_path / "x.png"))


def on_even_ground(*others):
    """A picture whose ground is one colour for the most part, with a roof or a road (colour, box) here and there."""
    sheet = Image.new("RGB", (SIDE, SIDE), (120, 130, 110))
    for colour, box in others:
        ImageDraw.Draw(sheet).rectangle(box, colour)
    return sheet


@pytest.mark.parametrize(
    "picture",
    [
        on_even_ground(((240, 240, 240), (20, 90, 180, 94)), ((30, 30, 30), (20, 100, 180, 103))),
        on_even_ground(((40, 40, 40), (20, 60, 180, 90)), ((100, 110, 90), (20, 92, 180, 110))),
        on_even_ground(((80, 90, 70), (0, 110, 200, 200)), ((0, 0, 0), (20, 60, 180, 62))),
        on_even_ground(
            ((240, 250, 230), (20, 20, 180, 22)), *(((0, 0, 0), (20, y, 180, y + 2)) for y in (40, 60, 80, 100))
        ),
    ],
    ids=[
        "lighter and darker than the ground",
        "areas, a dark and a faint one",
        "on ground of which much is dim",
        "one of five lighter",
    ],
)
def test_what_no_pen_leaves_is_no_drawing(picture, tmp_path):
    assert not is_drawing(saved(picture, tmp_path / "x.png"))


def test_a_filled_shape_is_a_drawing(tmp_path):
    sheet = drawing("white", "black")
    ImageDraw.Draw(sheet).ellipse([60, 90, 140, 170], "black")
    assert is_drawing(saved(sheet, tmp_path / "x.png"))


def test_a_drawing_of_numbers_that_are_none_is_refused(tmp_path, refused):
    values = np.full((40, 40), 200, np.float32)
    values[10] = np.nan
    with refused("x.tif", "NaN or infinity among its pixels"):
        read_sketch(saved(Image.fromarray(values), tmp_path / "x.tif"), 32)


DEEP = {  # the numbers of a sheet whose paper is 1, as colours where they have three axes
    "half floats": lambda x: x.astype("f2"),
    "double floats": lambda x: x.astype("f8"),
    "whole numbers of 64 bits": lambda x: (1000 * x).astype("i8"),
    "floats in colour": lambda x: np.stack([x] * 3, axis=2).astype("f4"),
    "16 bits in planes": lambda x: np.stack([65535 * x] * 3).astype("u2"),
    "10 of 16 bits": lambda x: np.stack([1023 * x] * 3, axis=2).astype("u2"),
}


@pytest.mark.parametrize("name", DEEP)
def test_a_tiff_of_any_depth_shows_the_same_lines(name, tmp_path):
    """Pillow takes planes of 16 bits for those of 8, half of each in their place."""
    values = DEEP[name](np.asarray(REFERENCE.convert("L"), float) / 255)
    planes = {"planarconfig": "separate"} if len(values) == 3 else {}
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="rgb" if values.ndim == 3 else "minisblack", **planes)
    expected = read_sketch(saved(REFERENCE, tmp_path / "reference.png"), 64)
    np.testing.assert_array_equal(read_sketch(tmp_path / "x.tif", 64), expected)


@pytest.mark.parametrize("compression", ["webp", "lerc"])
def test_a_tiff_that_pillow_does_not_show_shows_the_same_lines(compression, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    x = np.asarray(REFERENCE.convert("RGB"))
    shape = {"height": len(x), "width": x.shape[1], "count": 3, "dtype": "uint8", "interleave": "pixel"}
    lossless = {"webp": {"webp_lossless": True}, "lerc": {"max_z_error": 0}}[compression]
    with rasterio.open(tmp_path / "x.tif", "w", driver="GTiff", compress=compression, **shape, **lossless) as file:
        file.write(np.moveaxis(x, 2, 0))
    expected = read_sketch(saved(REFERENCE, tmp_path / "reference.png"), 64)
    np.testing.assert_array_equal(read_sketch(tmp_path / "x.tif", 64), expected)
