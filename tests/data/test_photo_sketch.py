"""The scenario photo-sketch: which photos and sketches, how they are split and paired."""

import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cmir_ref.data import draw_pairs, load, pairs_of, sketches, split
from cmir_ref.data.locate import find_folder
from cmir_ref.errors import InputError

CLASSES = ("airplane", "runway", "tenniscourt")


@pytest.fixture
def photos(tmp_path, make):
    """A folder of photos, six of each class."""
    for c, name in enumerate((*CLASSES, "river")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(make.picture(80, 80, 10 * c + k)).save(tmp_path / "photos" / name / f"{k}.png")
    return tmp_path / "photos"


@pytest.fixture
def drawn(tmp_path):
    """A folder of drawings, four of each class, with names in another spelling."""
    for c, name in enumerate(("Aeroplane", "Runways", "Tennis Court", "Castle")):
        (tmp_path / "drawn" / name).mkdir(parents=True)
        for k in range(4):
            sheet = Image.new("L", (90, 60), 255)
            ImageDraw.Draw(sheet).line([5, 5 + 9 * c, 80, 20 + 9 * k], 0, 3)
            sheet.save(tmp_path / "drawn" / name / f"{k}.png")
    return tmp_path / "drawn"


def test_a_folder_of_photos_and_a_folder_of_drawings(photos, drawn):
    data = load("photo-sketch", photos, dataset="folder", sketches=str(drawn))
    a, b = data.modalities["a"], data.modalities["b"]
    assert (a.name, a.kind, a.x.shape) == ("photo", "image", (18, 64, 64, 3))
    assert (b.name, b.kind, b.x.shape) == ("sketch", "sketch", (12, 64, 64, 1))
    assert data.label_names == CLASSES, "by the photos' names"
    assert [a.ids[i].split("/")[0] for i in (0, 6, 12)] == list(CLASSES) and a.labels.tolist() == sorted([0, 1, 2] * 6)
    assert [b.ids[i].split("/")[0] for i in (0, 4, 8)] == ["Aeroplane", "Runways", "Tennis Court"]
    assert data.pairing is None and data.apart is None
    photos, sketches = "photos without sketches", "sketches without photos"
    assert data.note == f"{photos} of their class left out: river; {sketches} of their class left out: Castle"


def test_photos_of_classes_that_the_world_does_not_draw_are_said(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    (photos / "river").rename(photos / "Cafe")
    data = load("photo-sketch", photos, dataset="folder", sketches="drawings", count=63)
    assert "Cafe" not in data.label_names and "photos without sketches of their class left out: Cafe" in data.note


def test_the_folder_of_drawings_may_be_named_below_the_root(photos):
    with pytest.raises(InputError, match=r"castles: no such folder here, or at most three levels below .*photos"):
        load("photo-sketch", photos, dataset="folder", sketches="castles")


def test_a_name_is_that_of_a_folder_here_or_below_the_data(tmp_path, monkeypatch):
    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here / "one", data / "deep" / "two", data / "both", here / "both"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert find_folder(data, "one").samefile(here / "one") and find_folder(None, "one").samefile(here / "one")
    assert find_folder(data, "two") == data / "deep" / "two" and find_folder(data, "../here/one").is_dir()
    with pytest.raises(InputError, match=r"two candidates for both: .*here.*data.*; give the path of the right one"):
        find_folder(data, "both")
    with pytest.raises(InputError, match="none: no such folder here; give the path of a folder"):
        find_folder(None, "none")


def test_classes_may_be_chosen_in_any_spelling(photos, drawn):
    data = load("photo-sketch", photos, dataset="folder", sketches=str(drawn), classes=("tennis courts", "AIRPLANE"))
    assert data.label_names == ("airplane", "tenniscourt") and len(data.modalities["b"].x) == 8
    assert not data.note, "what was not asked for is not missing"
    with pytest.raises(
        InputError, match=r"class 'river' has no sketches; set classes=\[\] .*; class: photos \| sketches; airplane"
    ):
        load("photo-sketch", photos, dataset="folder", sketches=str(drawn), classes=("river",))


@pytest.mark.parametrize("how", ["canny", "strokes"])
def test_traced_sketches_are_kept_apart_from_their_photos(how, photos):
    data = load("photo-sketch", photos, dataset="folder", sketches=how, classes=CLASSES)
    a, b = data.modalities["a"], data.modalities["b"]
    assert len(a.x) == len(b.x) == 18 and data.note == "simulated sketches of real photos"
    np.testing.assert_array_equal(data.apart, np.stack([np.arange(18)] * 2, 1))
    for seed in range(3):
        parts = split(data, seed=seed)
        for part in parts:
            np.testing.assert_array_equal(part["a"], part["b"])
        pairs = np.concatenate([pairs_of(data, parts.train, np.random.default_rng(k)) for k in range(20)])
        assert (pairs[:, 0] != pairs[:, 1]).all() and (a.labels[pairs[:, 0]] == b.labels[pairs[:, 1]]).all()


@pytest.mark.parametrize("classes", [CLASSES, ("tennis courts", "AIRPLANE")])
def test_of_named_classes_photos_and_their_split_are_the_same_whatever_the_sketches_are(classes, photos, drawn):
    """Experiments share what was learned of the photos."""
    all_of_them = [
        load("photo-sketch", photos, dataset="folder", sketches=sketches, classes=classes)
        for sketches in ("canny", "strokes", str(drawn))
    ]
    first, *others = [(data.modalities["a"], data.label_names, split(data, seed=1)) for data in all_of_them]
    for photo, names, parts in others:
        assert photo.ids == first[0].ids and names == first[1]
        np.testing.assert_array_equal(photo.x, first[0].x)
        np.testing.assert_array_equal(photo.labels, first[0].labels)
        for part, other in zip(parts, first[2], strict=True):
            np.testing.assert_array_equal(part["a"], other["a"])


def test_unrelated_sketches_are_split_by_themselves(photos, drawn):
    data = load("photo-sketch", photos, dataset="folder", sketches=str(drawn))
    parts = split(data, seed=0)
    for m, count in (("a", 18), ("b", 12)):
        np.testing.assert_array_equal(np.sort(np.concatenate([part[m] for part in parts])), np.arange(count))
        assert all({*data.modalities[m].labels[part[m]]} == {0, 1, 2} for part in parts)


def test_a_photo_with_no_sketch_but_its_own_is_refused():
    with pytest.raises(InputError, match="no partner of its class but the one that was made of it"):
        draw_pairs(
            np.array([0]), np.array([0]), np.array([0]), np.array([0]), np.random.default_rng(0), np.array([[0, 0]])
        )


def test_what_was_drawn_here_is_not_doubted(photos, monkeypatch, tmp_path):
    """A harbour full of boats is so dense that it looks like a photo."""
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sketches, "like_a_drawing", lambda ink: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load("photo-sketch", photos, dataset="folder", sketches="scenes", classes=["river", "runway"], count=4)
    assert len(data.modalities["b"].x) == 4


def test_drawings_of_the_world(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    data = load("photo-sketch", photos, dataset="folder", classes=("airplane", "runway"), count=9)
    b = data.modalities["b"]
    assert len(b.x) == 8 and b.labels.tolist() == [0] * 4 + [1] * 4 and b.ids[4] == "runway000"
    assert data.note == "simulated sketches, real photos" and "drawings-runway-4" in b.paths[4]
    with pytest.raises(InputError, match="scenes: 3 drawings of 2 classes; a class needs at least two"):
        load("photo-sketch", photos, dataset="folder", classes=("airplane", "runway"), count=3)


def test_sketches_of_whole_scenes_are_another_choice(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    one, other = (
        load("photo-sketch", photos, dataset="folder", classes=("runway",), count=4, sketches=kind).modalities["b"]
        for kind in ("scenes", "drawings")
    )
    assert "sketches-runway-4" in one.paths[0] and not np.array_equal(one.x, other.x)


def test_earth_on_canvas_and_uc_merced(real_data):
    data = load("photo-sketch", real_data, dataset="ucmerced", sketches="earth_on_canvas_sketches")
    assert data.label_names == ("airplane", "buildings", "freeway", "runway", "tenniscourt")
    assert [len(m.x) for m in data.modalities.values()] == [500, 125]
