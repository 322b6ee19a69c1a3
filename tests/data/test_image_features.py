"""Features of a folder of images: which files, which tiles, whose network, and what is written."""

import json
import sys

import numpy as np
import pytest
import scipy.io
from PIL import Image
from worlds import picture

from cmir_ref import cli
from cmir_ref.data.image_features import image_features, list_image_files, tile_boxes
from cmir_ref.data.trunk import FeatureNetwork, frozen_features


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    """Five images of three formats and sizes, and what systems leave behind."""
    root = tmp_path / "images"
    (root / "b").mkdir(parents=True)
    (root / "a").mkdir()
    sides = {"a/1.png": 64, "a/2.tif": 100, "b/x.jpg": 40, "c.png": 64, "b/y.png": 64}
    for k, (name, side) in enumerate(sides.items()):
        Image.fromarray(picture(side, k, k)).save(root / name)
    (root / "Thumbs.db").write_bytes(b"x")
    (root / "a" / "._1.png").write_bytes(b"x")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "z.txt").write_text("")
    return root


MEANS = FeatureNetwork(
    "means", lambda image: image.mean(axis=(1, 2)), lambda x: np.asarray(x, np.float32)
)  # of each band


def call(monkeypatch, capsys, *words):
    """(exit status, standard output, standard error) of `cmir-ref features …`."""
    monkeypatch.setattr(sys, "argv", ["cmir-ref", "features", *map(str, words)])
    capsys.readouterr()
    try:
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    out = capsys.readouterr()
    return status, out.out, out.err


# ---- files and tiles ------------------------------------------------------------------------------------------------


def test_all_images_in_the_order_of_their_paths(folder):
    found = image_features(folder, MEANS)
    assert found.paths == ("a/1.png", "a/2.tif", "b/x.jpg", "b/y.png", "c.png")
    for path, row, box in zip(found.paths, found.features, found.boxes, strict=True):
        pixels = np.asarray(Image.open(folder / path))
        np.testing.assert_allclose(row, pixels.mean(axis=(0, 1)), rtol=1e-5)
        assert tuple(box) == (0, 0, *pixels.shape[:2])


def test_folders_that_are_links_are_walked_once(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (8, 8), "red").save(elsewhere / "z.png")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    before = ("a/1.png", "a/2.tif", "b/x.jpg", "b/y.png", "c.png")
    assert image_features(folder, MEANS).paths == (*before, "linked/z.png")


@pytest.mark.parametrize("name", ["notes.txt", "x.mat", "page.pdf"])
def test_files_that_are_no_images_are_passed_over_and_counted(folder, name):
    before, _ = list_image_files(folder)
    (folder / "b" / name).write_text("x")
    assert list_image_files(folder) == (before, 1)
    assert image_features(folder, MEANS).remarks == ("1 file passed over as no images",)


def test_deep_images_are_read_by_one_span_and_turned_ones_stand_upright(tmp_path):
    for name, level in (("low", 1000), ("high", 3000)):
        Image.fromarray(np.full((40, 40), level, np.uint16)).save(tmp_path / f"{name}.tif")
    found = image_features(tmp_path, MEANS)
    low, high = (found.features[found.paths.index(f"{name}.tif")].mean() for name in ("low", "high"))
    assert high > low + 100 and "more than 8 bits" in found.remarks[0]
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (64, 40), "white").save(tmp_path / "turned.png", exif=turned)
    found = image_features(tmp_path, MEANS, tile=32)
    boxes = found.boxes[[path == "turned.png" for path in found.paths]]
    assert (boxes[:, 0] + boxes[:, 2]).max() == 64 and (boxes[:, 1] + boxes[:, 3]).max() == 40


def test_no_folder_no_images_and_a_damaged_one(tmp_path, folder, refused):
    with refused("nowhere", "no such folder"):
        image_features(tmp_path / "nowhere", MEANS)
    (tmp_path / "empty").mkdir()
    with refused("empty", "no images"):
        image_features(tmp_path / "empty", MEANS)
    (folder / "b" / "x.jpg").write_bytes(b"\xff\xd8 no more")
    with refused(folder / "b" / "x.jpg"):
        image_features(folder, MEANS)


@pytest.mark.parametrize(
    ("size", "tile", "boxes"),
    [
        ((300, 500), None, [(0, 0, 300, 500)]),
        ((64, 64), 64, [(0, 0, 64, 64)]),
        ((64, 130), 64, [(0, 0, 64, 64), (0, 64, 64, 64), (0, 66, 64, 64)]),
        ((50, 128), 64, [(0, 0, 50, 64), (0, 64, 50, 64)]),
        ((65, 40), 64, [(0, 0, 64, 40), (1, 0, 64, 40)]),
    ],
)
def test_tiles_cover_an_image(size, tile, boxes):
    assert tile_boxes(*size, tile) == boxes


@pytest.mark.parametrize("tile", [32, 33, 64, 99, 100, 101])
def test_every_pixel_is_in_a_tile_and_no_tile_is_twice(tile):
    for h, w in ((100, 64), (99, 200), (32, 301)):
        seen, boxes = np.zeros((h, w), int), tile_boxes(h, w, tile)
        for top, left, height, width in boxes:
            assert (height, width) == (min(tile, h), min(tile, w))
            seen[top : top + height, left : left + width] += 1
        assert seen.min() >= 1 and len(set(boxes)) == len(boxes)


def test_a_tile_is_a_part_of_the_image_at_its_own_resolution(folder):
    found = image_features(folder, MEANS, tile=50)
    assert found.paths.count("a/2.tif") == 4 and found.paths.count("b/x.jpg") == 1 and len(found.paths) == 17
    for path, row, (top, left, h, w) in zip(found.paths, found.features, found.boxes, strict=True):
        pixels = np.asarray(Image.open(folder / path))[top : top + h, left : left + w]
        np.testing.assert_allclose(row, pixels.mean(axis=(0, 1)), rtol=1e-5)


# ---- the command ----------------------------------------------------------------------------------------------------


def test_two_files_with_one_row_an_image(folder, tmp_path, monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, folder, tmp_path / "out", "--size", 64, "--json")
    assert status == 0 and json.loads(out) == {
        "out": str(tmp_path / "out"), "images": 5, "rows": 5, "width": 1280, "remarks": [],
    }  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["features.npz", "scores.mat"]
    with np.load(tmp_path / "out" / "features.npz", allow_pickle=False) as file:
        features, paths, maker = file["features"], file["paths"].tolist(), str(file["maker"])
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "out" / "scores.mat")["scores"], features)
    pixels = np.asarray(Image.open(folder / paths[0]))
    np.testing.assert_allclose(features[0], frozen_features(pixels[None], size=64)[0], rtol=1e-3, atol=1e-4)
    assert maker.startswith("lite0 ") and maker.endswith("at 64")


def test_nothing_is_written_where_something_is_wrong(folder, tmp_path, monkeypatch, capsys):
    (folder / "notes.png").write_text("")
    status, out, err = call(monkeypatch, capsys, folder, tmp_path / "out")
    assert (status, out, len(err.splitlines())) == (2, "", 1) and "notes.png" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mean", "1,2"], "--mean 1,2: one number or three"),
        (["--mean", "1,x,2"], "--mean"),
        (["--output", "fc7"], "--output belongs to --onnx"),
        (["--std", "1"], "--std belongs to --onnx"),
        (["--onnx", "m.onnx", "--weights", "w.pth"], "leave --weights"),
        (["--onnx", "m.onnx"], "m.onnx: no such file"),
        (["--weights", "w.safetensors"], "w.safetensors: no such file"),
        (["--tile", "8"], "tile"),
        (["--size", "8"], "size"),
    ],
)
def test_words_that_do_not_go_together(folder, tmp_path, monkeypatch, capsys, words, says):
    status, _, err = call(monkeypatch, capsys, folder, tmp_path / "out", *words)
    assert status == 2 and len(err.splitlines()) == 1 and says in err and not (tmp_path / "out").exists()


def test_an_existing_folder_is_left_as_it_is(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    status, _, err = call(monkeypatch, capsys, folder, tmp_path / "out")
    assert status == 2 and "exists already" in err and not list((tmp_path / "out").iterdir())


# ---- a network of the user's own ------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    """`model(…)` writes a small ONNX network: the mean over pixels, times a matrix, rectified; two outputs."""
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    from onnx import TensorProto, helper, numpy_helper

    def write(file="m.onnx", batch="N", side="S", first=True, dtype=TensorProto.FLOAT, bands=3):
        w = np.arange(4 * bands, dtype=np.float32).reshape(bands, 4) / 10 - 0.5
        shape = [batch, bands, side, side] if first else [batch, side, side, bands]
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3] if first else [1, 2], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["y"]),
            helper.make_node("ReduceSum", ["y"], ["total"], keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info("y", dtype, [batch, 4]),
            helper.make_tensor_value_info("total", dtype, []),
        ]
        inputs = [helper.make_tensor_value_info("x", dtype, shape)]
        graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(w, "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), tmp_path / file)
        return tmp_path / file, w

    return write


def onnx_features(folder, *arguments, **settings):
    from cmir_ref.data.onnx_network import onnx_network

    return image_features(folder, onnx_network(*arguments, **settings)).features


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("batch", "side"), [("N", "S"), (1, 64), (2, 64), ("N", 48)])
def test_bands_first_or_last_and_fixed_or_open_sizes(folder, model, first, batch, side):
    path, w = model(first=first, batch=batch, side=side)
    found = onnx_features(folder, path, mean=(10, 20, 30), std=(2, 4, 8))
    from cmir_ref.data.trunk import resize_image

    for image, row in zip(list_image_files(folder)[0], found, strict=True):
        pixels = resize_image(np.asarray(Image.open(image))[None], side if isinstance(side, int) else 224)[0]
        mean = ((pixels - [10, 20, 30]) / [2, 4, 8]).mean(axis=(0, 1))
        np.testing.assert_allclose(row, np.maximum(mean @ w, 0), rtol=1e-3, atol=1e-3)


def test_any_value_of_the_graph_can_be_asked_for(folder, model):
    path, _ = model()
    hidden, y = onnx_features(folder, path, "hidden"), onnx_features(folder, path)
    assert hidden.shape == (5, 4) and hidden.min() < 0
    np.testing.assert_allclose(y, np.maximum(hidden, 0))
    assert onnx_features(folder, path, "mean", size=32).shape == (5, 3)


def test_the_command_runs_it(folder, model, tmp_path, monkeypatch, capsys):
    path, _ = model()
    words = ["--onnx", path, "--output", "hidden", "--mean", "124,116,104", "--std", "58", "--size", "64"]
    status, out, err = call(monkeypatch, capsys, folder, tmp_path / "out", *words)
    assert (status, err) == (0, "") and "5 rows of 4 features" in out


def test_what_is_no_such_network_is_refused(folder, model, tmp_path, refused):
    path, _ = model()
    with refused(path, "no value 'fc7'", "its outputs are y, total"):
        onnx_features(folder, path, "fc7")
    with refused(path, "output total", "a row for each"):
        onnx_features(folder, path, "total")
    fixed, _ = model("fixed.onnx", side=48)
    with refused(fixed, "48 pixels a side, not 64"):
        onnx_features(folder, fixed, size=64)
    grey, _ = model("grey.onnx", bands=1)
    with refused(grey, "one input of float images (N, 3, H, W)"):
        onnx_features(folder, grey)
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with refused(tmp_path / "bad.onnx", "not an ONNX network"):
        onnx_features(folder, tmp_path / "bad.onnx")
    with refused("std is above 0"):
        onnx_features(folder, path, std=(1, 0, 1))


def test_a_missing_package_is_one_line(folder, tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "m.onnx").write_bytes(b"")
    with refused("onnx", "pip install 'cmir-ref[onnx]'"):
        onnx_features(folder, tmp_path / "m.onnx")
