"""Simulated scenes made on first use, and the data set of them."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from test_samples import toy  # noqa: F401

from cmir_ref.data import cache, cached_scenes, load, load_speech, read_query, split
from cmir_ref.data.ucmerced import LABEL_NAMES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, toy):  # noqa: F811
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_made_once_and_found_again(folder, toy, monkeypatch):  # noqa: F811
    made = cached_scenes("land-cover", 3, seed=1)
    assert [p.name for p in folder.iterdir()] == [made.name]
    others = {
        cached_scenes("land-cover", 2, seed=1),
        cached_scenes("land-cover", 3),
        cached_scenes("objects", 3, seed=1),
    }
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    others.add(cached_scenes("land-cover", 3, seed=1))
    assert len(others | {made}) == 5
    monkeypatch.undo()
    monkeypatch.setenv("CMIR_CACHE", str(folder))
    monkeypatch.setattr(cache, "write_land_cover", None)
    assert cached_scenes("land-cover", 3, seed=1) == made


def test_the_cache_is_the_systems(monkeypatch, tmp_path):
    monkeypatch.delenv("CMIR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "cmir_ref" in cache.cache_dir().parts


def test_whole_or_not_at_all(folder, toy, monkeypatch, refused):  # noqa: F811
    def fails(function, items, **_):
        yield function(*items[0])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr(toy, "generate", fails)
        with refused("land-cover-2", "No space left"):
            cached_scenes("land-cover", 2)
        assert list(folder.iterdir()) == []
    assert (cached_scenes("land-cover", 2) / "DSRSID.mat").is_file()


def test_one_makes_the_samples_and_the_other_waits(folder, toy, monkeypatch, capsys):  # noqa: F811
    begun, drawn = Event(), []

    def slow(function, items, **_):
        begun.set()
        for item in items:
            time.sleep(0.3)
            drawn.append(item)
            yield function(*item)

    monkeypatch.setattr(toy, "generate", slow)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(cached_scenes, "land-cover", 2)
        assert begun.wait(60)
        assert cached_scenes("land-cover", 2) == first.result()
    assert len(drawn) == 2 and list(folder.iterdir()) == [first.result()]
    assert f"in use by another process (pid {os.getpid()}); waiting for it" in capsys.readouterr().err
    assert (first.result() / "DSRSID.mat").is_file()


def test_what_a_killed_process_left_is_removed(folder, toy):  # noqa: F811
    others = [".land-cover-2-seed0-v9-abcd", ".objects-2-seed0-v1-abcd"]
    for name in (f".land-cover-2-seed0-v{cache.VERSION}-abcd", *others):
        (folder / name).mkdir(parents=True)
        (folder / name / "DSRSID.mat").write_bytes(b"half")
    made = cached_scenes("land-cover", 2)
    assert sorted(p.name for p in folder.iterdir()) == sorted([*others, made.name])


def test_a_user_without_a_home_is_told(monkeypatch, refused):
    import platformdirs

    monkeypatch.delenv("CMIR_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: f"~/.cache/{name}")
    with refused("CMIR_CACHE", "no home folder"):
        cache.cache_dir()


def test_pan_mul_of_scenes(toy, refused):  # noqa: F811
    dataset = load("pan-mul", None, dataset="scenes", count=64, seed=5)  # 64 is a side of MUL, too
    pan, mul = dataset.modalities.values()
    assert (pan.x.shape, mul.x.shape, dataset.note) == ((64, 256, 256, 1), (64, 64, 64, 4), "simulated scenes")
    assert dataset.label_names == ("aquafarm", "cloud", "forest", "high building", "low building", "farmland", "river",
                                   "water")  # fmt: skip
    assert np.bincount(pan.labels).tolist() == [8] * 8
    np.testing.assert_array_equal(pan.x[np.array([11])][0], toy.land_cover(5, 11, 3).pan)
    assert [len(part["a"]) for part in split(dataset, seed=0)] == [40, 8, 16]
    with refused("class 'water' has no samples"):
        load("pan-mul", None, dataset="scenes", count=7)
    with refused("count 0"):
        load("pan-mul", None, dataset="scenes", count=0)
    pairs = load("pan-mul", None, dataset="scenes", count=9).modalities["b"]
    np.testing.assert_array_equal(read_query(pairs, pairs.paths[8])[0], pairs.x[8:9])


def test_image_speech_of_scenes(toy, write_speech, refused, folder):  # noqa: F811
    dataset = load("image-speech", None, dataset="scenes", speech="bundled", count=8)
    image, speech = dataset.modalities.values()
    assert (image.x.shape, image.labels.shape, speech.x.shape) == ((8, 64, 64, 3), (8, 17), (255, 96, 64, 1))
    assert (dataset.label_names, dataset.pairing, dataset.note) == (LABEL_NAMES, None, "simulated scenes")
    np.testing.assert_array_equal(read_query(image, image.paths[3])[0], image.x[3:4])
    larger = load("image-speech", None, dataset="scenes", speech="bundled", count=8, image_size=128)
    assert larger.modalities["a"].x.shape == (8, 128, 128, 3)
    with refused("count 1", "no scene shows 'bare-soil'"):
        load("image-speech", None, dataset="scenes", speech="bundled", count=1)
    own = write_speech(labels=LABEL_NAMES)
    sounds = load("image-speech", None, dataset="scenes", speech=own, count=8).modalities["b"]
    np.testing.assert_array_equal(sounds.x, load_speech(own, LABEL_NAMES).x)


def test_missing_speech_is_said_before_scenes_are_made(folder, refused):
    with refused("--data DIR", "CMIR_DATA"):
        load("image-speech", None, dataset="scenes")
    assert not folder.exists()


def test_bundled_speech_with_real_images(write_ucmerced):
    root, *_ = write_ucmerced()
    assert len(load("image-speech", root, dataset="ucmerced", speech="bundled").modalities["b"].x) == 255
