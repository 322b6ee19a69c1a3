"""The simulated world as files: written here, read by the readers of the real data sets."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image

from cmir_ref.config import SAMPLE_KINDS
from cmir_ref.data import load, load_dsrsid, samples_dir, ucmerced, write_samples
from cmir_ref.data import samples as module

ROOT = Path(__file__).parents[2]


class Toy:
    """A world that is quick to draw, with the interface of `data.world`."""

    classes = ("harbor", "airplane", "harbor")

    @staticmethod
    def land_cover(seed, item, label):
        random = np.random.default_rng([seed, item])
        pan, mul = (random.integers(1, 1024, shape).astype(np.uint16) for shape in ((256, 256, 1), (64, 64, 4)))
        return SimpleNamespace(pan=pan, mul=mul, label=label)

    @classmethod
    def object_scene(cls, seed, item):
        random = np.random.default_rng([seed, item])
        rgb = np.kron(random.integers(0, 256, (8, 8, 3)), np.ones((32, 32, 1))).astype(np.uint8)
        labels = (np.arange(17) % 4 == item % 4).astype(np.uint8)
        captions = tuple(f"A scene, number {item}.{j}." for j in range(5))
        keywords = ("red tennis court",)
        return SimpleNamespace(
            rgb=rgb, sketch=rgb[..., 0], labels=labels, captions=captions, keywords=keywords,
            scene_class=cls.classes[item % len(cls.classes)],
        )  # fmt: skip

    @staticmethod
    def generate(function, items, workers=2, progress=False):
        return (function(*item) for item in items)


@pytest.fixture
def toy(monkeypatch):
    import cmir_ref.data

    monkeypatch.setitem(sys.modules, "cmir_ref.data.world", Toy)
    monkeypatch.setattr(cmir_ref.data, "world", Toy, raising=False)
    return Toy


def test_land_cover_is_read_as_dsrsid(toy, tmp_path):
    assert write_samples("land-cover", tmp_path / "out", count=10, seed=3) == 10
    dataset = load_dsrsid(tmp_path / "out")
    pan, mul = dataset.modalities.values()
    assert (pan.x.shape, mul.x.shape, pan.x.dtype) == ((10, 256, 256, 1), (10, 64, 64, 4), np.uint16)
    assert pan.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    for k in (0, 9):
        scene = toy.land_cover(3, k, k % 8)
        np.testing.assert_array_equal(pan.x[k : k + 1][0], scene.pan)
        np.testing.assert_array_equal(mul.x[k : k + 1][0], scene.mul)


def test_land_cover_is_laid_out_as_matlab_does(toy, tmp_path):
    write_samples("land-cover", tmp_path / "out", count=8)
    path = tmp_path / "out" / "DSRSID.mat"
    header = path.read_bytes()[:128]
    assert header.startswith(b"MATLAB 7.3 MAT-file")
    assert header[124:] == b"\x00\x02IM"  # version 2.0, little-endian
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        shapes = {"PAN_IMAGES": (8, 256, 256), "MUL_IMAGES": (8, 4, 64, 64), "LAND_COVER_TYPES": (1, 8)}
        assert {name: field.shape for name, field in file.items()} == shapes
        assert [file[name].attrs["MATLAB_class"] for name in shapes] == [b"uint16", b"uint16", b"double"]
        assert file["PAN_IMAGES"].compression == "gzip"


def test_objects_are_read_as_uc_merced(toy, tmp_path):
    write_samples("objects", tmp_path / "out", count=7)
    folder = tmp_path / "out"
    m = ucmerced.load_images(folder, size=256)
    assert m.ids == ("airplane00", "airplane01", "harbor00", "harbor01", "harbor02", "harbor03", "harbor04")
    for row, item in ((1, 4), (4, 3)):  # the second airplane, the third harbor
        scene = toy.object_scene(0, item)
        np.testing.assert_array_equal(m.labels[row], scene.labels)
        assert np.abs(m.x[row].astype(int) - scene.rgb).mean() < 6  # JPEG
        sketch = folder / "sketches" / m.groups[row] / f"{m.ids[row]}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(sketch)), scene.sketch)
    assert ucmerced.load_multilabels(folder).any(axis=1).sum() == 7


def test_captions_have_the_layout_of_ucm_captions(toy, tmp_path):
    write_samples("objects", tmp_path / "out", count=4)
    captions = json.loads((tmp_path / "out" / "dataset_scenes.json").read_text())
    assert [r["imgid"] for r in captions["images"]] == [100, 1000, 1001, 1002]  # 100 · class + NN
    first = captions["images"][0]
    assert (first["filename"], first["split"], first["sentids"]) == ("101.tif", "train", [500, 501, 502, 503, 504])
    assert first["sentences"][2] == {
        "tokens": ["A", "scene", "number", "1.2"], "raw": "A scene, number 1.2 .", "imgid": 100, "sentid": 502
    }  # fmt: skip
    assert first["keywords"] == ["red tennis court"]


def test_ucm_captions_itself_has_that_layout(real_data, toy, tmp_path):
    write_samples("objects", tmp_path / "out", count=1)
    ours, real = (
        json.loads(path.read_text())
        for path in (tmp_path / "out" / "dataset_scenes.json", real_data / "ucm_captions" / "dataset_UCM.json")
    )

    def layout(value):
        if isinstance(value, dict):
            return {k: layout(v) for k, v in value.items() if k != "keywords"}
        return [layout(value[0])] if isinstance(value, list) else type(value)

    assert layout(ours) == layout(real)


def test_a_class_has_room_for_100(toy, tmp_path, refused, monkeypatch):
    with refused("2101 object scenes", "room for 2100"):
        write_samples("objects", tmp_path / "out", count=2101)
    monkeypatch.setattr(module, "A_CLASS", 3)
    with refused("7 object scenes", "3 a class"):
        write_samples("objects", tmp_path / "out", count=7)
    assert list(tmp_path.iterdir()) == []


def test_its_kinds_are_those_of_the_command():
    assert tuple(module.KINDS) == SAMPLE_KINDS


def test_speech(tmp_path):
    assert write_samples("speech", tmp_path / "out") == 255
    assert len(list((tmp_path / "out").glob("*/*.flac"))) == 255


def test_nothing_is_left_of_what_fails(toy, tmp_path, refused, monkeypatch):
    (tmp_path / "there").mkdir()
    for kind, folder, count, parts in (
        ("clouds", "new", 1, ("clouds", "land-cover, objects, speech")),
        ("objects", "there", 1, ("there", "exists already")),
        ("land-cover", "new", 0, ("count 0", "at least 1")),
        ("speech", "new", 3, ("speech", "17 labels in 15 voices")),
    ):
        with refused(*parts):
            write_samples(kind, tmp_path / folder, count=count)
    (tmp_path / "file").write_text("")
    with refused("cannot be written"):
        write_samples("objects", tmp_path / "file" / "out", count=1)

    def interrupted(function, items, **_):
        yield function(*items[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(toy, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_samples("land-cover", tmp_path / "new", count=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "there"]


def test_command_line(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "cmir_ref", "samples", *map(str, arguments)], capture_output=True, text=True
        )

    done = run("speech", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"kind": "speech", "out": str(tmp_path / "out"), "count": 255, "seed": 0}
    for arguments in (
        ("speech", tmp_path / "out"),
        ("sound", tmp_path / "new"),
        ("objects", tmp_path / "n", "--count=0"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
        assert done.stderr.startswith("error: ")


def test_the_bundled_sample():
    folder = samples_dir()
    files = [f for f in folder.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 20e6
    assert (folder / "README.md") in files
    dataset = load("pan-mul", folder, dataset="dsrsid")
    assert np.bincount(dataset.modalities["a"].labels, minlength=8).min() >= 3
    image = load("image-speech", folder, dataset="ucmerced", speech="bundled").modalities["a"]
    assert 75 <= len(image.x) <= 90
    ids = {Path(p).stem for p in (folder / "sketches").glob("*/*.png")}
    assert ids == set(image.ids)
    columns = {r["imgid"] for r in json.loads((folder / "dataset_scenes.json").read_text())["images"]}
    assert columns == set(np.flatnonzero(ucmerced.load_multilabels(folder).any(axis=1)).tolist())
    assert len(columns) == len(ids)


def test_the_bundled_sample_is_what_the_generator_draws():
    """Where this fails the world has changed: make data_samples anew, and raise `cache.VERSION`."""
    from cmir_ref.data.world import land_cover, object_scene

    folder = samples_dir()
    for m, part in zip(load_dsrsid(folder).modalities.values(), ("pan", "mul"), strict=True):
        for k in (3, 9):
            drawn = getattr(land_cover(0, k, k % 8), part).astype(int)
            assert np.mean(np.abs(drawn - m.x[k : k + 1][0]) <= 2) > 0.999  # libraries may round otherwise
    images = ucmerced.load_images(folder, size=256)
    for k in (0, 26):
        scene = object_scene(0, k)
        row = images.ids.index(f"{scene.scene_class}{k // 21:02d}")
        np.testing.assert_array_equal(images.labels[row], scene.labels)
        assert np.abs(images.x[row] - scene.rgb.astype(int)).mean() < 5  # JPEG
