"""Places in a large picture: slices, heat, peaks, map coordinates, and the command."""

import io
import json

import numpy as np
import pytest
import worlds
from PIL import Image
from scipy.ndimage import median_filter
from test_amfmn_settings import TINY

from cmir_ref import runs
from cmir_ref.config import load_config
from cmir_ref.data import wald
from cmir_ref.data.geotiff import read_georeference
from cmir_ref.errors import InputError
from cmir_ref.places import (
    Place,
    Slices,
    best_places,
    choose_sides,
    encode_slices,
    heat_map,
    image_letter,
    locate,
    read_sides,
    slice_boxes,
    slice_scores,
    with_one_view,
)
from cmir_ref.ranking import items_of, system_of
from cmir_ref.reports.located import heat_picture
from cmir_ref.systems import SYSTEMS

TILE = 64


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = load_config("image-text", TINY)  # a tile of a scene is looked at once
    return runs.train(config, worlds.captioned(), tmp_path_factory.mktemp("places") / "run")


@pytest.fixture(scope="module")
def mosaic():
    """4 × 5 tiles of the data set's images, and which image stands where."""
    x = worlds.captioned().modalities["a"].x
    numbers = np.random.default_rng(0).permutation(len(x))[:20].reshape(4, 5)
    return np.concatenate([np.concatenate([x[n] for n in row], axis=1) for row in numbers]), numbers


@pytest.fixture
def scene(mosaic, tmp_path):
    Image.fromarray(mosaic[0]).save(tmp_path / "scene.tif")
    return tmp_path / "scene.tif"


def test_slices_are_what_a_simulated_sensor_sees(tmp_path):
    """Of a run on Wald's pairs a slice becomes MUL's bands, with four pixels for one, as a file of it does."""
    photos = worlds.pictures(18)
    x = photos.modalities["a"].x[..., :3].repeat(4, axis=1).repeat(4, axis=2)
    data = wald.pair(photos.modalities["a"]._replace(x=x), photos.label_names)
    tiny = ("stage1.epochs=1", "stage1.average_views=false", "stage2.epochs=1", "test_share=0.4")
    run = runs.train(load_config("pan-mul", ["d_v=4", *tiny]), data, None)
    scene, side = np.concatenate(x[:2], axis=1), x.shape[1]
    gallery = items_of(run, "b", "all")
    slices = encode_slices(run, "b", scene, [side])
    rows = [list(gallery.rows["b"]).index(n) for n in (0, 1)]
    np.testing.assert_allclose(slices.encoded["v"][[0, 2]], gallery.encoded["b"]["v"][rows], rtol=1e-4, atol=1e-5)
    for name, picture in (("scene", scene), ("query", x[0])):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    found = locate(run, tmp_path / "scene.png", tmp_path / "query.png", modality="a")
    assert found.cell == side // 4  # slices of half a photo's side are the smallest
    with pytest.raises(InputError, match="a river: no such file"):
        locate(run, tmp_path / "scene.png", "a river")


# ---- slices and heat ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 65, 3), (100, 230, 3), (131, 97, 1)])
@pytest.mark.parametrize("side", [9, 32, 64])
def test_slices_begin_half_a_side_apart_and_reach_every_border(shape, side):
    boxes = slice_boxes(shape, [side])
    assert len(np.unique(boxes, axis=0)) == len(boxes) and (boxes[:, 2] == side).all()
    for axis in (0, 1):
        starts = np.unique(boxes[:, axis])
        assert starts[0] == 0 and starts[-1] == shape[axis] - side
        gaps = np.diff(starts)
        assert (gaps[:-1] == side // 2).all() and (gaps <= side // 2).all()
    assert len(boxes) == len(np.unique(boxes[:, 0])) * len(np.unique(boxes[:, 1]))


@pytest.mark.parametrize("shape, sides", [((64, 96), (32, 16, 64)), ((70, 101), (32, 20)), ((40, 40), (40,))])
def test_heat_is_the_mean_of_the_sizes_means_at_the_middle_of_each_cell(shape, sides):
    boxes = slice_boxes(shape, sides)
    scores = np.random.default_rng(1).normal(size=len(boxes))
    slices = Slices(shape, boxes, "a", {})
    cell, expected = min(sides) // 2, []
    for i in range(-(-shape[0] // cell)):
        for j in range(-(-shape[1] // cell)):
            y, x = min((i + 0.5) * cell, shape[0] - 0.5), min((j + 0.5) * cell, shape[1] - 0.5)
            levels = []
            for side in sides:
                held = [
                    s for (t, q, w), s in zip(boxes, scores, strict=True)
                    if w == side and t <= y < t + side and q <= x < q + side
                ]  # fmt: skip
                levels.append(np.mean(held))
            expected.append(np.mean(levels))
    expected = np.reshape(expected, (-(-shape[0] // cell), -1))
    np.testing.assert_allclose(heat_map(slices, scores), median_filter(expected, 3, mode="nearest"), rtol=1e-12)


def test_one_hot_slice_alone_is_no_place_but_a_hot_tile_is():
    slices = Slices((256, 256), slice_boxes((256, 256), [32]), "a", {})
    middle = slices.boxes[:, :2] + 16
    tile = ((middle >= 96) & (middle < 160)).all(axis=1).astype(float)
    place = best_places(heat_map(slices, tile), slices, 1)[0]
    assert abs(place.row - 128) <= 16 and abs(place.column - 128) <= 16


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize(("shape", "side"), [((160, 240), 32), ((33, 97), 32), ((97, 131), 64), ((40, 55), 9)])
def test_places_come_by_heat_and_do_not_touch(k, shape, side):
    """Also where the last cells are narrow, and where a side is no two cells."""
    slices = Slices(shape, slice_boxes(shape, [side, 2 * side] if side < 20 else [side]), "a", {})
    cell = slices.cell
    heat = np.random.default_rng(2).normal(size=[-(-n // cell) for n in shape])
    places = best_places(heat, slices, k)
    assert [p.rank for p in places] == [*range(1, len(places) + 1)] and len(places) == min(k, len(places))
    assert places[0].heat == heat.max() and [p.heat for p in places] == sorted((p.heat for p in places), reverse=True)
    for i, p in enumerate(places):
        assert heat[int(p.row // cell), int(p.column // cell)] == p.heat and p.x is None
        assert all(max(abs(p.row - q.row), abs(p.column - q.column)) >= side for q in places[:i])


def test_a_plateau_is_met_in_its_middle():
    slices = Slices((160, 160), slice_boxes((160, 160), [32]), "a", {})
    heat = np.zeros((10, 10))
    heat[2:7, 3:8] = 1
    assert best_places(heat, slices, 1)[0][1:3] == (4.5 * 16, 5.5 * 16)


@pytest.mark.parametrize(
    "shape, side, sides, chosen",
    [
        ((512, 600, 3), 256, None, [256, 128, 512]),
        ((300, 600, 3), 256, None, [256, 128]),
        ((99, 99, 1), 64, [30, 30], [30]),
        ((99, 99, 1), 12, None, [12, 24]),  # tiles of 12 pixels: half of them is no slice
    ],
)
def test_sides_that_fit(shape, side, sides, chosen):
    assert choose_sides(shape, side, sides) == chosen


@pytest.mark.parametrize(
    "sides, says",
    [
        (None, "40 × 30 pixels; slices need at least 32"),
        ([31], "from 8 to 30"),
        ([7], "from 8 to 30"),
        ([], "no pixels"),
    ],
)
def test_sides_that_do_not_fit(sides, says):
    with pytest.raises(InputError, match=says):
        choose_sides((30, 40, 3), 64, sides)


def test_sides_are_read_from_a_text():
    assert read_sides("256, 128") == [256, 128]
    for wrong in ("", "a", "64;32", "1.5"):
        with pytest.raises(InputError, match="whole numbers of pixels"):
            read_sides(wrong)


# ---- a run ----------------------------------------------------------------------------------------------------------


def test_a_tile_scores_as_the_image_that_it_is(run, mosaic):
    scene, numbers = mosaic
    slices = encode_slices(run, "a", scene, [TILE])
    texts = items_of(run, "b", "all")
    one = {name: x[5:6] for name, x in texts.encoded["b"].items()}
    found = {tuple(box[:2] // TILE): s for box, s in zip(slices.boxes, slice_scores(run, slices, "b", one), strict=True)
             if not (box[:2] % TILE).any()}  # fmt: skip
    distances = system_of(run.config).distances(run, texts, items_of(run, "a", "all"), np)(slice(5, 6))[0]
    for (i, j), score in found.items():
        np.testing.assert_allclose(score, -distances[numbers[i, j]], atol=1e-6)
    assert len(found) == numbers.size


def test_heat_is_minus_a_distance_in_the_units_of_the_embeddings():
    other = runs.train(worlds.config("stage1.epochs=1", "stage2.epochs=1"), worlds.pictures())
    v, w = (other.encoded[m]["v"].astype(float) for m in "ab")
    slices = Slices((8, 8), np.array([[0, 0, 8]] * 5), "a", {"v": other.encoded["a"]["v"][:5]})
    scores = slice_scores(other, slices, "b", {"v": other.encoded["b"]["v"][2:3]})
    np.testing.assert_allclose(scores, -np.linalg.norm(v[:5] - w[2], axis=1), rtol=1e-3)


def test_slices_of_another_size_are_brought_to_the_run_s(run, mosaic):
    large = np.repeat(np.repeat(mosaic[0], 2, axis=0), 2, axis=1)
    one, two = encode_slices(run, "a", mosaic[0], [TILE]), encode_slices(run, "a", large, [2 * TILE])
    np.testing.assert_array_equal(one.boxes[:, :2] * 2, two.boxes[:, :2])
    np.testing.assert_allclose(one.encoded["v"], two.encoded["v"], atol=1e-6)


def test_a_pixel_of_a_larger_slice_is_the_nearest_whole_number_to_its_mean(run, mosaic, monkeypatch):
    monkeypatch.setitem(SYSTEMS, "amfmn", SYSTEMS["amfmn"]._replace(encode=lambda run, m, x, xp: {"x": x}))
    x = encode_slices(run, "a", mosaic[0], [2 * TILE]).encoded["x"]
    means = mosaic[0][: 2 * TILE, : 2 * TILE].reshape(TILE, 2, TILE, 2, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(x[0], np.rint(means))
    assert x.dtype == np.uint8


def test_slices_are_looked_at_once_by_the_networks_of_stage_1_too():
    config = load_config("photo-sketch", ["stage1.average_views=true", "trunk=lite0", "trunk_views=4"])
    once = with_one_view(config)
    assert (once.stage1.average_views, once.trunk_views) == (False, 1)
    assert once.stage1.model_dump() == config.stage1.model_dump() | {"average_views": False}


def test_slices_are_looked_at_once_where_images_are_seen_in_all_directions(run, mosaic):
    """Eight looks at each of some thousand slices would take eight times as long, for slices that overlap anyway."""
    changed = {"average_views": True, "trunk_views": 8}
    turned = run._replace(config=run.config.model_copy(update=changed))
    one, two = (encode_slices(r, "a", mosaic[0], [TILE]).encoded["v"] for r in (run, turned))
    np.testing.assert_array_equal(one, two)
    x = worlds.captioned().modalities["a"].x[:1]
    v = [system_of(r.config).encode(r, "a", x)["v"] for r in (run, turned)]
    assert not np.allclose(*v), "a single image is still seen in all directions"


def test_images_of_more_bits_are_not_compared_with_a_scene_s_bytes(run):
    assert image_letter(run, "b") == "a"
    a = run.dataset.modalities["a"]
    deep = run.dataset.modalities | {"a": a._replace(x=a.x.astype(np.uint16))}
    with pytest.raises(InputError, match=r"read as text \(b\); no images of 8 bits are compared with it"):
        image_letter(run._replace(dataset=run.dataset._replace(modalities=deep)), "b")


def test_the_same_for_a_file(run, mosaic, scene):
    found = locate(run, scene, "one house near many trees", 3, sides=[TILE])
    assert found.heat.shape == (8, 10) and len(found.places) == 3 and found.system is None
    assert found.slices == 7 * 9 and np.array_equal(found.scene, mosaic[0])


# ---- map coordinates ------------------------------------------------------------------------------------------------
METRES = {"scale": (2.0, 3.0, 0.0), "tiepoint": (0, 0, 0, 500.0, 9000.0, 0)}
KEYS_OF_UTM = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633)


def geotiff(path, **tags):
    numbers = {"scale": 33550, "tiepoint": 33922, "matrix": 34264, "keys": 34735, "orientation": 274}
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    info = ImageFileDirectory_v2()
    for name, value in tags.items():
        info.tagtype[numbers[name]] = 3 if name in ("keys", "orientation") else 12
        info[numbers[name]] = value
    Image.fromarray(worlds.picture(64, 0, 0)).save(path, tiffinfo=info)
    return path


@pytest.mark.parametrize(
    "tags, at, system",
    [
        ({**METRES, "keys": KEYS_OF_UTM}, (520.0, 8985.0), "EPSG:32633"),
        ({**METRES, "tiepoint": (10, 5, 0, 500.0, 9000.0, 0)}, (500.0, 9000.0), ""),
        ({"matrix": (0, 2.0, 0, 100, 3.0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1)}, (110.0, 80.0), ""),
        ({**METRES, "keys": (1, 1, 0, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)}, (519.0, 8986.5), "EPSG:4326"),
    ],
    ids=["north up", "another tiepoint", "turned", "pixel is point"],
)
def test_pixels_lie_on_the_map(tmp_path, tags, at, system):
    geo = read_georeference(geotiff(tmp_path / "geo.tif", **tags))
    assert geo.at(row=5, column=10) == pytest.approx(at) and geo.system == system


@pytest.mark.parametrize(
    "tags",
    [{}, {"scale": (1.0, 1.0, 0.0)}, {"tiepoint": (0, 0, 0, 1.0, 1.0, 0)}, {"matrix": (1.0, 2.0)},
     {"scale": (float("nan"), 1.0, 0.0), "tiepoint": (0, 0, 0, 1.0, 1.0, 0)},
     {"scale": (1.0, 1.0, 0.0), "tiepoint": (0, 0, 0, 1.0, 1.0, 0), "orientation": 6}],
)  # fmt: skip
def test_files_that_do_not_say_where_they_lie(tmp_path, tags):
    assert read_georeference(geotiff(tmp_path / "no.tif", **tags)) is None


def test_no_place_of_other_files(tmp_path):
    Image.fromarray(worlds.picture(64, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.tif").write_text("no picture")
    assert read_georeference(tmp_path / "a.png") is None and read_georeference(tmp_path / "b.tif") is None


@pytest.mark.parametrize(
    "name, world",
    [
        ("a.png", "a.pgw"),
        ("a.jpg", "a.JGW"),
        ("a.tif", "a.tfw"),
        ("a.tiff", "a.tiffw"),
        ("a.png", "a.wld"),
        ("a.b.png", "a.b.pngw"),
    ],
)
def test_world_files_say_where_the_first_pixels_centre_lies(tmp_path, name, world):
    """As GDAL reads them, which cuts tiles by them."""
    rasterio = pytest.importorskip("rasterio")
    Image.fromarray(worlds.picture(64, 0, 0)).save(tmp_path / name)
    (tmp_path / world).write_text("2.0\n0.25\n0.5\n-3.0\n500000.5\n5000000,25\n")
    geo = read_georeference(tmp_path / name)
    assert geo.at(0.5, 0.5) == (500000.5, 5000000.25) and geo.system == ""
    assert geo.at(1.5, 0.5) == (500001.0, 4999997.25) and geo.at(0.5, 1.5) == (500002.5, 5000000.5)
    with rasterio.open(tmp_path / name) as file:
        assert geo[:6] == pytest.approx(tuple(file.transform)[:6])
    (tmp_path / world).write_text("2.0\n0.0\n")
    assert read_georeference(tmp_path / name) is None


def test_an_image_that_gdal_made_of_a_geotiff_lies_where_that_lies(tmp_path):
    """It writes the place of a PNG beside it; beside a TIFF file that counts first, and turned pixels lie nowhere."""
    shutil, files = pytest.importorskip("rasterio.shutil"), (tmp_path / "b.png", tmp_path / "g.tif")
    first = geotiff(tmp_path / "a.tif", **METRES, keys=KEYS_OF_UTM)
    shutil.copy(first, tmp_path / "b.png", driver="PNG")
    assert (tmp_path / "b.png.aux.xml").is_file()
    assert read_georeference(tmp_path / "b.png") == read_georeference(first)
    geotiff(tmp_path / "g.tif", scale=(1.0, 1.0, 0.0), tiepoint=(0, 0, 0, 1.0, 1.0, 0))
    beside = [path.with_name(f"{path.name}.aux.xml") for path in files]
    beside[1].write_text(beside[0].read_text())
    assert read_georeference(files[1]) == read_georeference(first)
    geotiff(tmp_path / "g.tif", orientation=6)
    assert read_georeference(files[1]) is None


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_picture_and_page(run, scene, call, tmp_path):
    page = tmp_path / "found.html"
    done = call("locate", run.path, scene, "one house near many trees", "-k", 2, "--html", page, "--json")
    found = json.loads(done.out)
    assert found["system"] is None and [p["rank"] for p in found["places"]] == [1, 2]
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.size == (320, 256)
    assert "one house near many trees" in page.read_text() and "data:image/png;base64" in page.read_text()
    table = call("locate", run.path, scene, "--keywords", "red house", "--slices", "64,32").out
    assert table.splitlines()[0].split() == ["place", "row", "column", "heat"] and len(table.splitlines()) == 6
    assert (run.path / "locate.png").is_file()


def test_captions_that_are_found_are_shown_with_what_they_say(run, call, tmp_path):
    texts, path = run.dataset.modalities["b"].texts, tmp_path / "query.png"
    Image.fromarray(worlds.picture(64, 0, 0)).save(path)
    page = tmp_path / "page.html"
    found = call("retrieve", run.path, path, "--to", "b", "-k", 3, "--html", page, "--json").json
    ids = run.dataset.modalities["b"].ids
    assert [hit["text"] for hit in found] == [texts[ids.index(hit["id"])] for hit in found]
    table = call("retrieve", run.path, path, "--to", "b", "-k", 3, "--html", page).out.splitlines()[1:]
    assert all(hit["text"] in line for hit, line in zip(found, table, strict=True))
    assert all(hit["text"] in page.read_text() for hit in found)
    images = call("retrieve", run.path, "one house near many trees", "--to", "a", "--html", page, "--json").json
    assert all("text" not in hit for hit in images)


def test_a_geotiff_gets_map_coordinates(run, call, tmp_path):
    path = geotiff(tmp_path / "g.tif", scale=(2.0, 2.0, 0.0), tiepoint=(0, 0, 0, 100.0, 1000.0, 0), keys=KEYS_OF_UTM)
    found = json.loads(call("locate", run.path, path, "one house", "-k", 1, "--json").out)
    place = found["places"][0]
    assert found["system"] == "EPSG:32633"
    assert (place["x"], place["y"]) == (100 + 2 * place["column"], 1000 - 2 * place["row"])
    assert "EPSG:32633" in (run.path / "locate.html").read_text()


def test_what_is_read_is_not_overwritten(run, mosaic, refused, tmp_path):
    """The picture beside the page would have the name of the scene, or of the image that is looked for."""
    for name in ("scene.png", "scene.tif"):
        Image.fromarray(mosaic[0]).save(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    scene, sentence = tmp_path / "scene.png", "one house near many trees"
    for page in ("scene.html", "scene"):
        refused("locate", run.path, scene, sentence, "--html", tmp_path / page, says=["scene.png: is what is read"])
    tif = tmp_path / "scene.tif"
    refused("locate", run.path, tif, sentence, "--html", tif, says=["scene.tif: is what is read"])
    refused("retrieve", run.path, tif, "--to", "b", "--html", tif, says=["scene.tif: is what is read"])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("side, sides", [(103, [51]), (140, [51]), (70, [26]), (65, [12, 25, 51])])
def test_the_colours_lie_where_the_heat_is(side, sides):
    pixels = np.full((side, side, 3), 128, np.uint8)
    slices = Slices((side, side), slice_boxes((side, side), sides), "a", {})
    heat = np.zeros((-(-side // slices.cell),) * 2)
    heat[-2, -2] = 1
    png = heat_picture(pixels, heat, [], slices.cell)
    with Image.open(io.BytesIO(png)) as picture:
        red = np.asarray(picture.convert("RGB"), int)[..., 0]
    hot = np.argwhere(red > (red.min() + red.max()) / 2)
    cell = slices.cell
    assert abs(hot.mean(axis=0) - (len(heat) - 1.5) * cell).max() < 2, "the middle of the last but one cell"


@pytest.mark.parametrize("row, column", [(5, 5), (5, 790), (395, 790), (395, 400)])
def test_the_number_of_a_place_at_the_border_can_be_read(row, column):
    """Between 1 and 8 many pixels differ, though the mark beside them is the same; 14 pixels high at the least."""
    scene, heat = np.full((400, 800, 3), 90, np.uint8), np.zeros((20, 40))
    shown = []
    for rank in (1, 8):
        with Image.open(io.BytesIO(heat_picture(scene, heat, [Place(rank, row, column, 0.0)], 20))) as picture:
            shown.append(np.asarray(picture.convert("RGB"), int))
    differ = np.argwhere(np.abs(shown[0] - shown[1]).sum(axis=2) > 100)
    assert len(differ) > 30 and np.ptp(differ[:, 0]) >= 9


@pytest.mark.parametrize("shape", [(64, 96, 3), (70, 101, 3), (131, 97, 3)])
def test_places_lie_within_the_picture(shape):
    slices = Slices(shape[:2], slice_boxes(shape, [32]), "a", {})
    heat = np.random.default_rng(0).random([-(-n // slices.cell) for n in shape[:2]])
    places = best_places(heat, slices, 200, None)
    assert all(0 < p.row < shape[0] and 0 < p.column < shape[1] for p in places)
    heat[:] = 0
    heat[-1, -1] = 1
    (place,) = best_places(heat, slices, 1, None)
    whole = [slices.cell * (n - 1) for n in heat.shape]
    assert [place.row, place.column] == [(n + end) / 2 for n, end in zip(whole, shape[:2], strict=True)]


def test_bad_places_are_one_line(run, scene, refused, tmp_path):
    Image.fromarray(worlds.picture(20, 0, 0)).save(tmp_path / "small.png")
    sentence = "one house near many trees"
    refused("locate", run.path, tmp_path / "none.tif", sentence, says=["no such file"])
    refused("locate", run.path, tmp_path / "small.png", sentence, says=["slices need at least 32"])
    refused("locate", run.path, scene, sentence, "--slices", "64,x", says=["whole numbers of pixels"])
    refused("locate", run.path, scene, sentence, "--slices", "999", says=["from 8 to 256"])
    refused("locate", run.path, scene, "xyzzy", says=["none of its words"])
    refused("locate", run.path, scene, "", says=["no words"])
    refused("locate", run.path, scene, says=["no query"])
    refused("locate", run.path, scene, scene, says=["no images of 8 bits are compared with it"])
    refused("locate", run.path, scene, sentence, "--html", tmp_path / "a.png", says=["use .html"])
    assert not (tmp_path / "a.png").exists()
