"""Large images of two sensors, made here as GeoTIFF, cut in tiles that know their place on the map."""

import json
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

rasterio = pytest.importorskip("rasterio", reason="the extra geo")

from cmir_ref import runs, search  # noqa: E402
from cmir_ref.cli import app  # noqa: E402
from cmir_ref.config import load_config  # noqa: E402
from cmir_ref.data import load, load_data, read_query  # noqa: E402
from cmir_ref.data.bands import read_bands  # noqa: E402
from cmir_ref.data.tiles import read_tile, split_tile, tile_path  # noqa: E402

CORNER, PIXEL = (500_000.0, 4_650_000.0), 0.5  # of PAN: metres east and north, and a pixel's side


def write(path, x, pixel, *, corner=CORNER, crs="EPSG:32633", **form):
    """A GeoTIFF of x (H, W, C) whose upper left corner is at `corner`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"driver": "GTiff", "height": x.shape[0], "width": x.shape[1], "count": x.shape[2], "dtype": x.dtype}
    place = rasterio.transform.from_origin(*corner, pixel, pixel)
    with rasterio.open(path, "w", crs=crs, transform=place, compress="lzw", **about, **form) as file:
        file.write(np.moveaxis(x, 2, 0))


def scene(rows=3, columns=4, tile=64, seed=0):
    """PAN of rows × columns tiles and a few pixels more, and MUL of four bands at a quarter of its size, in 16 bits."""
    rng = np.random.default_rng(seed)
    mul = rng.integers(1, 2000, (rows * tile // 4 + 2, columns * tile // 4 + 5, 4)).astype(np.uint16)
    pan = np.kron(mul.mean(axis=2, keepdims=True), np.ones((4, 4, 1))).astype(np.uint16) + 1
    return pan, mul


def write_scene(root, name="pan.tif", other="mul.tif", **scene_of):
    pan, mul = scene(**scene_of)
    write(root / name, pan, PIXEL)
    write(root / other, mul, 4 * PIXEL)
    return pan, mul


TWO_FILES = {"dataset": "pairs", "sensors": ("pan.tif", "mul.tif"), "tile": 64}


def test_two_large_files_are_cut_in_tiles(tmp_path):
    pan, _ = write_scene(tmp_path)
    data = load("pan-mul", tmp_path, **TWO_FILES)
    a, b = data.modalities.values()
    assert (a.name, b.name, a.tile, b.tile) == ("pan", "mul", 64, 16) and data.label_names == ()
    assert a.ids == b.ids == tuple(f"pan:{i},{j}" for i in range(3) for j in range(4))
    assert a.x.shape == (12, 64, 64, 1) and b.x.shape == (12, 64, 64, 4) and b.x.dtype == np.uint16
    np.testing.assert_array_equal(a.x[7], pan[64:128, 192:256])  # row 1, column 3
    assert "mul brought from 16 × 16 to 64 × 64 pixels" in data.note
    assert [split_tile(path)[1] for path in b.paths] == [(i, j) for i in range(3) for j in range(4)]


def test_a_tile_knows_its_centre_on_the_map(tmp_path):
    write_scene(tmp_path)
    for modality in load("pan-mul", tmp_path, **TWO_FILES).modalities.values():
        xy, systems = modality.places
        assert systems == ("EPSG:32633",) * 12
        for place, (_, (row, column)) in zip(xy, map(split_tile, modality.paths), strict=True):
            assert place == pytest.approx((500_000 + 32 * (column + 0.5), 4_650_000 - 32 * (row + 0.5)))


def test_folders_of_scenes_with_classes_or_without(tmp_path):
    for name, seed in (("north", 0), ("south", 1)):
        write_scene(tmp_path / "plain", f"pan/{name}.tif", f"mul/{name}.tif", rows=1, columns=2, seed=seed)
        write_scene(tmp_path / "classes", f"pan/{name}/x.tif", f"mul/{name}/x.tif", rows=1, columns=2, seed=seed)
    plain = load("pan-mul", tmp_path / "plain", dataset="pairs", tile=64)
    assert plain.modalities["a"].ids == ("north:0,0", "north:0,1", "south:0,0", "south:0,1")
    classes = load("pan-mul", tmp_path / "classes", dataset="pairs", tile=64)
    assert classes.label_names == ("north", "south") and classes.modalities["b"].labels.tolist() == [0, 0, 1, 1]


def test_tiles_without_data_are_left_out_of_both(tmp_path):
    pan, mul = scene()
    pan[10, 10] = 0  # declared as no data: tile 0,0
    mul[20:30, 20:30, 2] = 0  # tile 1,1 of MUL
    write(tmp_path / "pan.tif", pan, PIXEL, nodata=0)
    write(tmp_path / "mul.tif", mul, 4 * PIXEL, nodata=0)
    data = load("pan-mul", tmp_path, **TWO_FILES)
    assert len(data.modalities["a"].ids) == len(data.modalities["b"].ids) == 10
    assert not {"pan:0,0", "pan:1,1"} & set(data.modalities["a"].ids) and "2 tiles without data left out" in data.note


def test_near_infrared_of_water_is_no_transparency(tmp_path):
    """GDAL calls the fourth band of 8 bits alpha, and water is dark there."""
    rng = np.random.default_rng(0)
    pan, mul = rng.integers(1, 255, (256, 256, 1)).astype(np.uint8), rng.integers(1, 255, (64, 64, 4)).astype(np.uint8)
    mul[:32, :, 3] = 0
    write(tmp_path / "pan.tif", pan, PIXEL)
    write(tmp_path / "mul.tif", mul, 4 * PIXEL)
    data = load("pan-mul", tmp_path, **TWO_FILES)
    assert len(data.modalities["a"].ids) == 16 and "left out" not in data.note


def test_tiles_are_not_cut_of_a_file_with_pages(tmp_path, refused):
    write_scene(tmp_path)
    with tifffile.TiffWriter(tmp_path / "mul.tif") as file:
        for band in range(4):
            file.write(scene()[1][..., band], photometric="minisblack")
    with refused("mul.tif", "4 pages; tiles are cut of a file with one"):
        load("pan-mul", tmp_path, **TWO_FILES)


def test_files_without_a_place_have_tiles_without_one(tmp_path):
    pan, mul = scene()
    for name, x in (("pan", pan), ("mul", mul)):
        form = {"planarconfig": "contig"} if name == "mul" else {}
        tifffile.imwrite(tmp_path / f"{name}.tif", x.squeeze(), photometric="minisblack", **form)
    a, b = load("pan-mul", tmp_path, **TWO_FILES).modalities.values()
    assert a.places is None and b.places is None and len(a.ids) == 12


def test_what_does_not_cover_the_same_ground_is_refused(tmp_path, refused):
    pan, mul = scene()

    def wrong(name, *said, tile=64, pan=pan, mul=mul, pixel=4 * PIXEL, system="EPSG:32633", **form):
        write(tmp_path / name / "pan.tif", pan, PIXEL, crs=system)
        write(tmp_path / name / "mul.tif", mul, pixel, **form)
        with refused(*said):
            load("pan-mul", tmp_path / name, **(TWO_FILES | {"tile": tile}))

    wrong("moved", "pan.tif", "corners are 2 map units apart", corner=(CORNER[0] + 2, CORNER[1]))
    wrong("mute", "corners are 9 map units apart", corner=(CORNER[0], CORNER[1] + 9), system=None, crs=None)
    wrong("larger", "mul.tif", "map units apart", pixel=5 * PIXEL)
    wrong("system", "EPSG:32633 and EPSG:32634", "project", crs="EPSG:32634")
    wrong("ratio", "276 × 200 and 60 × 50", "whole ratio", mul=mul[:, :60])
    wrong("odd", "mul.tif: tile 66 is no whole number of its pixels", tile=66)
    wrong("huge", "pan.tif: no tile of 512 × 512", tile=512)
    wrong("few", "pan.tif: only 2 tiles in all", tile=128, pan=pan[:, : 4 * 64], mul=mul[:, :64])
    (tmp_path / "odd" / "mul.tif").write_text("no image")
    with refused("mul.tif: not an image"):
        load("pan-mul", tmp_path / "odd", **TWO_FILES)


def test_scenes_of_one_sensor_are_alike(tmp_path, refused):
    for name in ("p", "q"):
        write_scene(tmp_path, f"pan/{name}.tif", f"mul/{name}.tif")
    _, mul = scene()
    write(tmp_path / "mul" / "q.tif", mul[..., :3], 4 * PIXEL)
    with refused("mul/q.tif: 3 bands of uint16, but", "mul/p.tif has 4 bands"):
        load("pan-mul", tmp_path, dataset="pairs", tile=64)
    write(tmp_path / "mul" / "q.tif", np.kron(mul, np.ones((2, 2, 1))).astype(np.uint16), 2 * PIXEL)
    with refused("mul/q.tif: another ratio of sizes than", "mul/p.tif"):
        load("pan-mul", tmp_path, dataset="pairs", tile=64)


def test_without_rasterio_one_line_says_what_is_missing(tmp_path, monkeypatch, refused):
    write_scene(tmp_path)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with refused("cutting images in tiles needs rasterio", "pip install 'cmir-ref[geo]'"):
        load("pan-mul", tmp_path, **TWO_FILES)


def test_a_file_without_a_tile_is_refused_with_the_setting(tmp_path, refused):
    write_scene(tmp_path)
    with refused("pan.tif: is a file; set tile"):
        load("pan-mul", tmp_path, dataset="pairs", sensors=("pan.tif", "mul.tif"))


def test_names_of_tiles():
    assert split_tile(tile_path("a:b/scene.tif", 3, 12)) == ("a:b/scene.tif", (3, 12))
    assert split_tile("scene.tif") == ("scene.tif", None) and split_tile("x.mat:17") == ("x.mat:17", None)


def test_a_run_finds_tiles_with_their_places(tmp_path, refused):
    write_scene(tmp_path, rows=4, columns=5)
    changes = ["sensors=['pan.tif', 'mul.tif']", "tile=64", "stage2.epochs=1", "d_v=8", "d_z=8", "stage2.batch_size=8"]
    config = load_config("pan-mul_pairs", changes)
    data = load_data(config, tmp_path)
    run = runs.train(config, data, tmp_path / "run")
    again = runs.load_run(tmp_path / "run")
    np.testing.assert_array_equal(again.dataset.modalities["b"].places.xy, run.dataset.modalities["b"].places.xy)
    query = f"{tmp_path / 'mul.tif'}:2,3"
    assert search.guess_modality(again, query) == "b"
    b = data.modalities["b"]
    read = read_query(again.dataset.modalities["b"], query)[0]
    assert read.shape == (1, 64, 64, 4)
    np.testing.assert_array_equal(read[0], b.x[b.paths.index(query)])
    found = json.loads(
        CliRunner().invoke(app, ["retrieve", str(tmp_path / "run"), query, "--to", "a", "--json"]).stdout
    )
    for hit in found:
        row, column = split_tile(hit["path"])[1]
        assert (hit["x"], hit["y"], hit["system"]) == (500_016 + 32 * column, 4_649_984 - 32 * row, "EPSG:32633")
    table = CliRunner().invoke(app, ["retrieve", str(tmp_path / "run"), query, "--to", "a"]).output
    first = f"{found[0]['x']:.10g}, {found[0]['y']:.10g} (EPSG:32633)"
    assert "place on the map" in table and first in table
    page = (tmp_path / "run" / "retrieve.html").read_text(encoding="utf-8")
    assert first in page and "false colour" in page and "the file is gone" not in page
    with refused("mul.tif: no tile 9,0; it has 4 rows and 5 columns of 16 pixels"):
        search.retrieve(again, f"{tmp_path / 'mul.tif'}:9,0", "a")
    assert "place on the map" in CliRunner().invoke(app, ["retrieve", str(tmp_path / "run"), query]).output


def test_a_tile_of_a_scene_with_holes_is_known_by_its_head(tmp_path):
    """The other pixels of the scene are not read: it has a right to some without data."""
    pan, _ = write_scene(tmp_path)
    write(tmp_path / "new.tif", np.where(np.arange(len(pan))[:, None, None] < 64, 0, pan), PIXEL, nodata=0)
    modalities = load("pan-mul", tmp_path, **TWO_FILES).modalities
    assert search.same_bands(modalities, f"{tmp_path / 'new.tif'}:2,1") == ["a"]
    assert search.same_bands(modalities, f"{tmp_path / 'mul.tif'}:0,0") == ["b"]


def pictures(folder):
    """Files of one picture (128, 128) in containers that GDAL and Pillow take apart differently."""
    rng = np.random.default_rng(0)
    colours = np.asarray(Image.fromarray(rng.integers(1, 255, (16, 16, 3)).astype(np.uint8)).resize((128, 128)))
    picture, palette = Image.fromarray(colours), Image.fromarray(colours).quantize(60)
    for turn in (3, 6):
        tifffile.imwrite(
            folder / f"turned{turn}.tif", colours, photometric="rgb", extratags=[(274, "H", 1, turn, True)]
        )
    exif = Image.Exif()
    exif[274] = 6
    for ending in ("jpg", "png", "webp"):
        picture.save(folder / f"turned.{ending}", exif=exif)
    picture.save(folder / "plain.jpg")
    picture.save(folder / "plain.png")
    palette.save(folder / "palette.png")
    palette.save(folder / "palette.gif")
    palette.save(folder / "palette.tif")
    about = {"driver": "GTiff", "height": 128, "width": 128, "count": 3, "dtype": "uint8"}
    with rasterio.open(folder / "jpeg.tif", "w", compress="jpeg", photometric="YCBCR", **about) as file:
        file.write(colours.transpose(2, 0, 1))
    return sorted(folder.iterdir())


def test_a_tile_is_a_part_of_what_is_read_of_the_whole_file(tmp_path):
    for path in pictures(tmp_path):
        whole = read_bands(path)
        for row, column in ((0, 0), (0, 1), (1, 0)):
            part = whole[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
            np.testing.assert_array_equal(read_tile(path, 64, row, column), part, err_msg=path.name)


@pytest.mark.parametrize("how", ["tag", "mask", "palette"])
def test_a_file_and_a_tile_hold_no_data_by_the_same_marks(tmp_path, how, refused):
    """Of both halves one has data throughout, and is a tile; the file as a whole, and the other half, are refused."""
    x, path = np.full((64, 128), 7, np.uint8), tmp_path / "x.tif"
    x[5:9, 5:9] = 0
    if how == "mask":
        with tifffile.TiffWriter(path) as file:
            file.write(x + 1, photometric="minisblack")
            file.write(x > 0, photometric="mask", subfiletype=4)
    else:
        colours = np.repeat(np.arange(256, dtype=np.uint16)[None, ::-1] * 257, 3, axis=0)
        told = {"photometric": "palette", "colormap": colours} if how == "palette" else {}
        tifffile.imwrite(path, x, extratags=[(42113, "s", 0, "0", True)], **told)
    with refused("x.tif", "samples are"):
        read_bands(path)
    with refused("x.tif: tile 0,0 has pixels without data"):
        read_tile(path, 64, 0, 0)
    assert len(np.unique(read_tile(path, 64, 0, 1))) == 1


MARKS = ["RGBA.tif", "RGBA.png", "LA.png", "colour.png", "grey.png", "palette.png", "beside.tif", "beside.png"]
MARKS += ["aux.tif", "aux.png", "aux.jpg", "auxpalette.png", "auxpalette.tif"]
AUX = """<PAMDataset><PAMRasterBand band="{}"><NoDataValue le_hex_equiv="0">0.00E+00</NoDataValue></PAMRasterBand>
</PAMDataset>"""


@pytest.mark.parametrize("name", MARKS)
def test_transparency_and_masks_of_any_file_are_no_data(tmp_path, name, refused):
    """As above, of a picture whose upper left corner is black and marked in some way."""
    path, grey = tmp_path / name, np.full((64, 128), 7, np.uint8)
    grey[5:9, 5:9] = 0
    kind, cover = path.stem, np.where(grey, 255, 0).astype(np.uint8)
    if kind in ("RGBA", "LA"):
        picture = Image.fromarray(np.stack([grey] * (3 if kind == "RGBA" else 1) + [cover], axis=2), kind)
        picture.save(path)
    elif kind in ("colour", "grey", "palette"):
        picture = Image.fromarray(grey).convert({"colour": "RGB", "grey": "L", "palette": "P"}[kind])
        picture.save(path, transparency=(0, 0, 0) if kind == "colour" else 0)
    elif kind.startswith("aux"):
        coded = kind == "auxpalette"
        picture = Image.fromarray(grey) if coded else Image.fromarray(np.stack([grey + 9, grey, grey + 9], axis=2))
        picture = picture.convert("P") if coded else picture
        picture.save(path, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))
        path.with_name(f"{name}.aux.xml").write_text(AUX.format(1 if coded else 2))
    else:
        Image.fromarray(np.maximum(grey, 1)).save(path)
        write(tmp_path / "y.tif", grey[..., None], 1.0)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(tmp_path / "y.tif", "r+") as file:
            file.write_mask(cover)
        (tmp_path / "y.tif.msk").rename(f"{path}.msk")
    with refused(name, "samples are"):
        read_bands(path)
    with refused(f"{name}: tile 0,0 has pixels without data"):
        read_tile(path, 64, 0, 0)
    assert len(np.unique(read_tile(path, 64, 0, 1)[..., 0])) == 1


def test_a_tag_counts_beside_a_mask(tmp_path, refused):
    """GDAL forgets the one where the other is there."""
    x = np.full((64, 128), 7, np.uint8)
    x[5, 5] = 9
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(x, photometric="minisblack", extratags=[(42113, "s", 0, "9", True)])
        file.write(x > 0, photometric="mask", subfiletype=4)
    with refused("x.tif", "1 samples are 9, which it says is no data"):
        read_bands(tmp_path / "x.tif")
    with refused("x.tif: tile 0,0 has pixels without data"):
        read_tile(tmp_path / "x.tif", 64, 0, 0)


def test_a_band_that_is_called_transparent_and_is_none_marks_nothing(tmp_path):
    """Near infrared, as GDAL writes it: dark ground is data, in a file as a whole."""
    x = np.random.default_rng(0).integers(0, 255, (64, 64, 4)).astype(np.uint8)
    x[3, 3] = 0
    write(tmp_path / "x.tif", x, 1.0)
    np.testing.assert_array_equal(read_bands(tmp_path / "x.tif"), x)


def test_a_mask_of_another_size_is_refused(tmp_path, refused):
    for name, side in (("x.tif", 64), ("x.tif.msk", 32)):
        tifffile.imwrite(tmp_path / name, np.full((side, side), 255, np.uint8))
    with refused("x.tif.msk", "32 × 32 × 1 samples mask 64 × 64 × 1"):
        read_bands(tmp_path / "x.tif")


def test_a_turned_scene_lies_on_no_map(tmp_path):
    """Its tags are about pixels as they are stored."""
    pan, mul = scene()
    for name, x, pixel in (("pan", pan, PIXEL), ("mul", mul, 4 * PIXEL)):
        place = [(33550, "d", 3, (pixel, pixel, 0), True), (33922, "d", 6, (0, 0, 0, *CORNER, 0), True)]
        form = {"photometric": "minisblack", **({"planarconfig": "contig"} if name == "mul" else {})}
        turned = [(274, "H", 1, 6, True)]
        tifffile.imwrite(tmp_path / f"{name}.tif", x.squeeze(), extratags=turned + place, **form)
    data = load("pan-mul", tmp_path, **TWO_FILES)
    a = data.modalities["a"]
    assert a.places is None and len(a.ids) == 12 and a.ids[-1] == "pan:3,2"
    np.testing.assert_array_equal(a.x[0], np.rot90(pan, -1)[:64, :64])
