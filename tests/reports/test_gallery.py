"""Galleries: what is shown of a sample, which are marked right, and what becomes of files that are gone or odd."""

import base64
import io
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
import worlds
from PIL import Image
from test_report import Page

from cmir_ref import runs, search
from cmir_ref.contract import DIRECTIONS
from cmir_ref.data import Modality, load_data, read_query, samples_dir
from cmir_ref.data.sketches import NotADrawing
from cmir_ref.ranking import Example, examples, galleries
from cmir_ref.reports import gallery
from cmir_ref.reports.gallery import (
    cards,
    examples_page,
    gallery_page,
    heated,
    look,
    photographs,
    place_words,
    recording,
    search_page,
    spectrogram,
    stretch,
)


class Sample(NamedTuple):
    modality: str
    id: str
    path: str | None
    labels: tuple[str, ...]
    distance: float = 0.5


def record(name, kind, shape=(4,), dtype="float32"):
    return Modality(name, kind, np.empty((0, *shape), dtype), np.zeros(0, int), (), None, np.zeros(0))


VECTORS = {"a": record("first", "features"), "b": record("second", "features")}
BUNDLED = str(samples_dir() / "DSRSID.mat")


def decoded(uri):
    """(kind, bytes) of a data URI."""
    kind, content = re.fullmatch(r"data:([a-z]+/[a-z]+);base64,(.+)", uri).groups()
    return kind, base64.b64decode(content)


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(decoded(uri)[1])).convert("RGB"))


# ---- which are right ------------------------------------------------------------------------------------------------


def test_right_is_a_shared_label():
    query = Sample("a", "q", None, ("sea", "ship"))
    hits = (Sample("b", "x", None, ("ship", "dock")), Sample("b", "y", None, ("sand",)), Sample("a", "z", None, ()))
    [(asked, found)] = cards({"": [Example(query, hits)]}, VECTORS)[""]
    assert asked.right is None and asked.modality == "first"
    assert [c.right for c in found] == [True, False, False]
    assert found[0].labels == (("ship", True), ("dock", False)) and found[0].modality == "second"
    page = gallery_page("t", "n", {"": [Example(query, hits)]}, VECTORS)
    assert page.count("card right") == 1 and page.count("card wrong") == 2
    assert len(re.findall(r"<span[^>]*>✓", page)) == 1 and len(re.findall(r"<span[^>]*>✗", page)) == 2
    assert "<b>ship</b>" in page and "<b>dock</b>" not in page


def test_who_says_which_are_right_is_asked_before_the_labels():
    """As of captions: those of another image of the same class are wrong."""
    hits = (Sample("b", "x", None, ("sea",)), Sample("b", "y", None, ("sand",)))
    [(_, found)] = cards({"": [Example(Sample("a", "q", None, ("sea",)), hits, (False, True))]}, VECTORS)[""]
    assert [c.right for c in found] == [False, True]


def test_without_the_querys_labels_nothing_is_marked():
    example = Example(Sample("a", "q", None, ()), (Sample("b", "x", None, ("sea",)),))
    page = gallery_page("t", "n", {"": [example]}, VECTORS)
    assert "card right" not in page and "card wrong" not in page and "<span title" not in page


def test_odd_names_are_only_text():
    odd = "<script>alert(\"1\")</script> & 'x' {{ 7 }}"
    example = Example(Sample("a", odd, odd, (odd,)), (Sample("b", odd, odd, (odd,)),))
    modalities = {"a": record(odd, "image", (64, 64, 3), "uint8"), "b": record("b", "sound", (96, 64, 1))}
    text = gallery_page(odd, odd, {odd: [example]}, modalities)
    assert "<script" not in text
    assert Page(text).text.count(odd) >= 8


# ---- what is shown --------------------------------------------------------------------------------------------------


def test_bands_become_colours():
    x = np.zeros((8, 8, 4), np.uint16)
    x[:, :4], x[:, 4:] = (100, 200, 300, 1000), (300, 200, 100, 50)
    true, false = photographs(x)
    left, right = pixels(true.uri)[4, 1], pixels(true.uri)[4, 6]
    assert left[0] > left[2] + 50 and right[2] > right[0] + 50, "red on the left, blue on the right"
    assert pixels(false.uri)[4, 1, 0] > 200 and pixels(false.uri)[4, 6, 0] < 60, "near infrared is red"
    assert "NIR" in false.text
    assert len(photographs(x[..., :1])) == len(photographs(x[..., :3])) == 1
    (radar,) = photographs(x[..., :2])
    assert radar.text == "first band" and radar.uri == photographs(x[..., :1])[0].uri


def test_bytes_are_shown_as_they_are_and_digital_numbers_are_stretched():
    dim = np.random.default_rng(0).integers(10, 40, (8, 8, 3))
    assert pixels(photographs(dim.astype(np.uint8))[0].uri).max() < 60
    assert pixels(photographs(dim.astype(np.uint16))[0].uri).max() > 200


def test_a_photograph_is_sharper_than_its_network_sees_it_and_what_a_sensor_sees_is_not(tmp_path):
    """What Wald's protocol makes of a file, and bands as they are stored, are shown as they were read."""
    file = tmp_path / "deep.tif"
    tifffile.imwrite(file, np.random.default_rng(0).integers(500, 2000, (256, 256, 3), np.uint16), photometric="rgb")
    photo, seen = record("image", "image", (64, 64, 3), "uint8"), []
    for modality in (photo, photo._replace(name="mul"), photo._replace(as_stored=True, x=photo.x.astype(np.uint16))):
        (picture,), _, note = look(modality, str(file))
        assert not note
        seen.append(pixels(picture.uri).shape[0])
    assert seen == [gallery.SIDE, 64, 64]
    (dark,), _, _ = look(photo._replace(span=(0, 20_000)), str(file))
    assert pixels(dark.uri).max() < 40, "by the values of all images of the run"


def test_one_file_is_shown_as_each_sensor_sees_it():
    shapes = {"pan": (256, 256, 1), "mul": (64, 64, 4)}
    sensors = {name: record(name, "image", shape, "uint16") for name, shape in shapes.items()}
    pan, mul = (Sample(name, "tile", f"{BUNDLED}:3", ()) for name in sensors)
    [(asked, (found,))] = cards({"": [Example(pan, (mul,))]}, sensors)[""]
    assert [p.text for p in (*asked.pictures, *found.pictures)] == [
        "panchromatic",
        "true colour",
        "false colour: NIR, red, green",
    ]


@pytest.mark.parametrize("kind", ["image", "sketch"])
def test_where_the_evidence_lies_is_orange(kind, tmp_path):
    """Elsewhere the file is seen in grey: a sketch dark on white."""
    sheet = np.full((64, 64), 255, np.uint8)
    sheet[:, 8:12] = 0
    Image.fromarray(sheet).convert("RGB").save(tmp_path / "sheet.png")
    modality = record(kind, kind, (64, 64, 1 if kind == "sketch" else 3), "uint8")
    heat = np.zeros((16, 16))
    heat[:, 12:] = 1
    (picture,) = heated(modality, str(tmp_path / "sheet.png"), heat, "where")
    shown = pixels(picture.uri).astype(int)
    assert picture.text == "where" and shown.shape == (gallery.SIDE, gallery.SIDE, 3)
    assert shown[48, 15].max() < 60 and shown[48, 40].min() > 240
    expected = 0.4 * 255 + 0.6 * np.array([255, 160, 20])
    assert np.abs(shown[48, 90] - expected).max() < 20


@pytest.mark.parametrize(("shape", "side"), [((256, 256, 1), 96), ((64, 64, 3), 64), ((300, 200, 3), 96)])
def test_thumbnails_are_small(shape, side):
    x = np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)
    (picture,) = photographs(x)
    assert max(pixels(picture.uri).shape) == side and len(picture.uri) < 16_000


def test_stretching():
    ramp = np.arange(256 * 4, dtype=np.uint16).reshape(32, 32)
    assert stretch(ramp).min() == 0 and stretch(ramp).max() == 255
    ramp[0, 0] = 60_000
    assert abs(np.median(stretch(ramp)) - 127) < 3, "one bright pixel does not darken the others"
    noise = 500 + np.random.default_rng(0).integers(-3, 4, (32, 32))
    assert np.ptp(stretch(noise).astype(int)) < 20, "noise is not made to look like a scene"
    assert 110 < np.median(stretch(noise)) < 145, "… and is in the middle of the grey values"
    for flat, grey in ((np.zeros((4, 4)), 0), (np.full((4, 4), 7, np.uint8), 127)):
        with np.errstate(all="raise"):
            assert stretch(flat).dtype == np.uint8 and (stretch(flat) == grey).all()


def test_spectrogram_has_low_frequencies_at_the_bottom():
    patch = np.full((96, 64, 1), -4.6, np.float32)
    patch[:48, :8] = 2.0
    image = pixels(spectrogram(patch)).astype(int).sum(axis=2)
    assert image.shape == (64, 96)
    assert image[-4, 20] > 500 and image[4, 20] < 50 and image[-4, 70] < 50
    with np.errstate(all="raise"):
        assert pixels(spectrogram(0 * patch)).shape == (64, 96, 3)


def test_a_recording_can_be_played():
    path = samples_dir() / "speech" / "airplane" / "en-us-m3.flac"
    pictures, sound, note = look(record("speech", "sound", (96, 64, 1)), str(path))
    assert len(pictures) == 1 and note == "" and decoded(sound) == ("audio/flac", path.read_bytes())


@pytest.mark.parametrize(("ending", "kind"), [("WAV", "wav"), ("flac", "flac"), ("ogg", "ogg"), ("mp3", "mpeg")])
def test_a_recording_has_the_type_that_browsers_know(ending, kind, tmp_path):
    """Whatever the machine's own table says."""
    (tmp_path / f"word.{ending}").write_bytes(b"sound")
    assert decoded(recording(tmp_path / f"word.{ending}")) == (f"audio/{kind}", b"sound")


def test_a_recording_is_called_without_its_folder_which_is_its_label():
    word = Sample("b", "airplane/en-us-m3.flac", None, ("airplane",))
    [(asked, _)] = cards({"": [Example(word, ())]}, {"b": record("speech", "sound", (96, 64, 1))})[""]
    assert asked.name == "en-us-m3" and asked.labels == (("airplane", False),)


def test_a_long_recording_is_left_out(monkeypatch):
    monkeypatch.setattr(gallery, "LARGEST_SOUND", 100)
    assert recording(samples_dir() / "speech" / "airplane" / "en-us-m3.flac") is None


def test_tiles_of_a_mat_file():
    pan, sound, note = look(record("pan", "image", (256, 256, 1), "uint16"), f"{BUNDLED}:3")
    mul, _, _ = look(record("mul", "image", (64, 64, 4), "uint16"), f"{BUNDLED}:3")
    assert (len(pan), len(mul), sound, note) == (1, 2, None, "")


@pytest.mark.parametrize("inverted", [False, True])
def test_a_sketch_is_dark_on_white_in_the_size_of_the_page(tmp_path, inverted):
    sheet = np.full((300, 300), 255, np.uint8)
    sheet[140:160, 30:270] = 0
    Image.fromarray(255 - sheet if inverted else sheet).save(tmp_path / "line.png")
    (picture,), sound, note = look(record("sketch", "sketch", (64, 64, 1), "uint8"), str(tmp_path / "line.png"))
    shown = pixels(picture.uri)
    assert (sound, note, picture.text) == (None, "", "sketch") and shown.shape == (gallery.SIDE, gallery.SIDE, 3)
    assert np.median(shown) > 250 and shown[45:51, 20:76].mean() < 60


def test_what_the_run_was_told_of_its_drawings_is_not_told_again(tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 200, (64, 64), dtype=np.uint8)).save(photo)
    drawn = record("sketch", "sketch", (64, 64, 1), "uint8")
    with pytest.warns(NotADrawing):
        read_query(drawn, photo)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (picture,), _, note = gallery.look(drawn, str(photo))
    assert picture and not note


@pytest.mark.parametrize("path", ["gone.tif", "gone.mat:3", BUNDLED + ":999", BUNDLED, __file__, "", "."])
@pytest.mark.parametrize("kind", ["pan", "mul", "image", "sound"])
def test_a_file_that_cannot_be_shown_leaves_a_card(kind, path):
    shape = {"pan": (256, 256, 1), "mul": (64, 64, 4), "image": (64, 64, 3), "sound": (96, 64, 1)}[kind]
    modality = record(kind, "sound" if kind == "sound" else "image", shape, "uint16")
    pictures, sound, note = look(modality, path)
    assert pictures == () and sound is None
    assert ("gone" in note) == path.startswith("gone") and note
    example = Example(Sample("a", "the-query", path, ("x",)), ())
    assert "the-query" in gallery_page("t", "", {"": [example]}, dict.fromkeys("ab", modality))


class Placed(NamedTuple):
    x: float
    y: float
    system: str | None


def test_a_place_on_the_map_is_east_then_north():
    assert place_words(Placed(512340.25, 5401230.0, "EPSG:32633")) == "512340.25, 5401230 (EPSG:32633)"
    assert place_words(Placed(1.0, 2.0, None)) == "1, 2" and place_words(Sample("a", "q", None, ())) == ""


def test_rows_of_features_have_no_picture():
    assert look(VECTORS["a"], "speech.mat:17") == ((), None, "")
    assert "no picture" in gallery_page("t", "", {"": [Example(Sample("a", "q", None, ()), ())]}, VECTORS)


class Said(NamedTuple):
    modality: str
    id: str
    path: str | None
    labels: tuple[str, ...]
    text: str
    distance: float = 0.5


def test_of_a_caption_is_shown_what_it_says():
    text = gallery_page("t", "", {"": [Example(Said("a", "q#1", None, (), "a <b> pier"), ())]}, VECTORS)
    assert "no picture" not in text and '<p class="said">a &lt;b&gt; pier</p>' in text and "q#1" not in text


# ---- of a run -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(folder of the data, run) of a tiny run on images and sounds."""
    root = worlds.write_ucmerced(tmp_path_factory.mktemp("data"), count=6)
    worlds.write_speech(root / "speech")
    given = ("stage1.epochs=1", "stage2.epochs=1", "speech=speech", "protocol=voices")
    config = worlds.config(*given)
    return root, runs.train(config, load_data(config, root), tmp_path_factory.mktemp("runs") / "run")


def test_examples_are_of_many_classes_and_the_same_from_one_side(finished):
    _, run = finished
    by_direction = {d: examples(run, d, count=3, k=4) for d in DIRECTIONS}
    for direction, found in by_direction.items():
        query, searched = direction.split("->")
        assert len(found) == 3 and all(len(e.hits) <= 4 and e.query.modality == query for e in found)
        assert {h.modality for e in found for h in e.hits} <= set(searched)
        assert all(e.query.id not in [h.id for h in e.hits if h.modality == query] for e in found)
        assert all([h.rank for h in e.hits] == list(range(1, len(e.hits) + 1)) for e in found)
        distances = [[h.distance for h in e.hits] for e in found]
        assert all(d == sorted(d) for d in distances)
        assert [e.query for e in found] == [e.query for e in by_direction[f"{query}->{query}"]]
    assert len({e.query.labels for e in examples(run, "b->a", count=3)}) == 3
    assert by_direction["a->b"] == examples(run, "a->b", count=3, k=4)


def test_a_run_shows_what_queries_find_on_its_page(finished):
    _, run = finished
    text = (run.path / "report.html").read_text()
    page = Page(text)
    assert "<script" not in text and all(link.startswith(("data:", "#")) for link in page.links)
    assert "audio" in page.tags and "img" in page.tags
    for name in ("image → speech", "speech → image", "image → image or speech"):
        assert name in page.text
    assert not [p for p in run.path.iterdir() if p.suffix == ".tmp"]


def test_a_run_whose_data_are_gone(finished, tmp_path):
    root, run = finished
    moved = shutil.move(root, tmp_path / "elsewhere")
    try:
        text = examples_page(run, galleries(runs.load_run(run.path)), "test")
    finally:
        shutil.move(moved, root)
    assert "the file is gone" in text and "<img" not in text and "forest" in text
    assert "gallery: train part" in examples_page(run, {}, "train")


@pytest.mark.parametrize("letter", ["a", "b"])
def test_a_file_that_was_changed_since_the_run_read_it_is_told(finished, letter):
    """What is shown is not what was compared: another image, another recording, under the same name."""
    run = runs.load_run(finished[1].path)
    modality, row = run.dataset.modalities[letter], run.parts.test[letter][0]
    assert all(look(modality, path)[2] == "" for path in modality.paths)
    file, other = (Path(modality.paths[r]) for r in (row, run.parts.train[letter][0]))
    before = file.read_bytes()
    try:
        shutil.copy(other, file)
        pictures, sound, note = look(modality, str(file))
        text = examples_page(run, {"a->b": [Example(Sample(letter, "q", str(file), ()), ())]}, "test")
    finally:
        file.write_bytes(before)
    assert pictures == look(modality, str(other))[0] and (sound is not None) == (letter == "b")
    assert note == "not as the run has read it" and note in text


def test_a_known_query_is_judged_and_a_strange_one_is_not(finished, tmp_path):
    root, run = finished
    known = root / "Images" / "forest" / "forest00.tif"
    copy, strange = shutil.copy(known, tmp_path / "copy.tif"), tmp_path / "strange.tif"
    with Image.open(known) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(strange)
    for path, judged in ((known, True), (copy, True), (strange, False)):
        page = search_page(run, path, search.search_example(run, path, "b", 5, modality="a"))
        assert ("card right" in page or "card wrong" in page) is judged
        assert path.name in Page(page).text
    json.dumps([hit._asdict() for hit in search.retrieve(run, known, "b", 5)])
