"""Whole data sets by name, and single files as queries."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image

from cmir_ref.config import load_config
from cmir_ref.data import draw_pairs, load, load_data, read_query, split, wald, write_features
from cmir_ref.data.ucmerced import LABEL_NAMES


@pytest.fixture
def released(write_ucmerced):
    """A folder with UC Merced and the released speech features."""
    root, *_ = write_ucmerced()
    scipy.io.savemat(root / "speech.mat", {"features": np.random.default_rng(0).random((51, 8))})
    scipy.io.savemat(root / "splab.mat", {"splab": np.repeat(np.eye(17), 3, axis=0)})
    return root


def test_importing_is_light():
    heavy = "{'librosa', 'h5py', 'scipy', 'PIL', 'rich', 'cupy'}"
    subprocess.run(
        [sys.executable, "-c", f"import sys, cmir_ref.data; sys.exit(bool({heavy} & set(sys.modules)))"], check=True
    )


def test_image_speech(released):
    dataset = load("image-speech", released, dataset="ucmerced", image_size=16)
    image, speech = dataset.modalities.values()
    assert (image.name, image.x.shape, image.labels.shape) == ("image", (9, 16, 16, 3), (9, 17))
    assert (speech.name, speech.x.shape) == ("speech", (51, 8))
    assert (dataset.label_names, dataset.pairing, dataset.note) == (LABEL_NAMES, None, "")
    splits = split(dataset, seed=0)
    pairs = draw_pairs(image.labels, speech.labels, *splits.train.values(), np.random.default_rng(0))
    assert len(pairs) == image.labels[splits.train["a"]].sum()


def test_image_speech_with_recordings(released, write_speech, refused, make):
    folder = write_speech(labels=LABEL_NAMES[:3])
    with refused("class", "has no samples"):
        load("image-speech", released, dataset="ucmerced", speech=folder)
    images = released.parent / "own"
    for c in LABEL_NAMES[:2]:
        (images / c).mkdir(parents=True)
        Image.fromarray(make.picture(16, 16)).save(images / c / "x.png")
    with refused("17 labels", "recordings"):
        load("image-speech", images, dataset="folder")
    with refused("buildings", "unknown label"):
        load("image-speech", images, dataset="folder", speech=folder)
    for path in (folder / "buildings").iterdir():
        path.unlink()
    (folder / "buildings").rmdir()
    dataset = load("image-speech", images, dataset="folder", speech=str(folder), speech_voice="^(.)")
    assert dataset.modalities["b"].groups.tolist() == ["a", "b", "c"] * 2
    assert dataset.label_names == LABEL_NAMES[:2]


def test_image_speech_with_released_features(released):
    write_features(released, scores=np.random.default_rng(0).random((2100, 6)))
    assert load("image-speech", released, dataset="features").modalities["a"].x.shape == (2100, 6)


def test_pan_mul_of_uc_merced(released):
    dataset = load("pan-mul", released, dataset="ucmerced", image_size=32)
    pan, mul = dataset.modalities.values()
    assert (pan.x.shape, mul.x.shape) == ((9, 32, 32, 1), (9, 8, 8, 3))
    assert dataset.label_names == ("agricultural", "airplane", "forest")
    assert mul.labels.tolist() == np.repeat([0, 1, 2], 3).tolist()
    assert dataset.note == wald.NOTE
    assert load("pan-mul", released, dataset="ucmerced").modalities["a"].x.shape == (9, 256, 256, 1)


def test_pan_mul_of_other_data(write_dsrsid, tmp_path):
    root, _, mul, _ = write_dsrsid(mul=(3, 6))
    loaded = load("pan-mul", root, dataset="dsrsid", band_axis=0).modalities["b"]
    np.testing.assert_array_equal(loaded.x[:], mul)
    write_features(tmp_path, pan=np.ones((8, 3)), mul=np.ones((8, 4)), labels=np.arange(8))
    assert [m.x.shape for m in load("pan-mul", tmp_path, dataset="features").modalities.values()] == [(8, 3), (8, 4)]


def test_what_is_refused(tmp_path, refused):
    with refused("'sound-image'", "pan-mul, image-speech"):
        load("sound-image", tmp_path, dataset="ucmerced")
    with refused("'imagenet'", "dsrsid, ucmerced, folder, pairs, features"):
        load("pan-mul", tmp_path, dataset="imagenet")
    with refused("'dsrsid'", "image-speech"):
        load("image-speech", tmp_path, dataset="dsrsid")
    with refused("--data DIR", "CMIR_DATA"):
        load("pan-mul", None, dataset="ucmerced")
    with refused("image_size", "30"):
        load("pan-mul", tmp_path, dataset="ucmerced", image_size=30)
    with refused("no Images"):
        load("pan-mul", tmp_path, dataset="ucmerced")


def test_query_is_read_as_its_samples_were(released, write_speech):
    image, speech = load("image-speech", released, dataset="ucmerced", image_size=16).modalities.values()
    for modality in (image, speech, *load("pan-mul", released, dataset="ucmerced", image_size=32).modalities.values()):
        x, name = read_query(modality, modality.paths[4])
        np.testing.assert_array_equal(x, modality.x[np.array([4])])
        assert x.dtype == modality.x.dtype
        assert name in (modality.ids[4], "speech.mat:4")
    from cmir_ref.data import load_speech

    sound = load_speech(write_speech(), LABEL_NAMES)
    np.testing.assert_array_equal(read_query(sound, sound.paths[2])[0], sound.x[2:3])


def test_files_that_are_no_images_are_passed_over_and_said(tmp_path, refused, make):
    """Whatever Pillow does not decode, beside images whose endings are written in any case."""
    for c in "ab":
        (tmp_path / c).mkdir()
        for k, ending in enumerate(("png", "JPG", "Tiff")):
            image = Image.fromarray(make.picture(64, 64, k))
            image.save(tmp_path / c / f"{k}.{ending}")
    names = (
        "n.txt",
        "n.pdf",
        "n.eps",
        "n.H5",
        "n.hdf",
        "n.mpg",
        "n.grib",
        "n.bufr",
        "n.wmf",
        "n.palm",
        "none",
        "n.csv",
    )
    for name in names:
        (tmp_path / "a" / name).write_bytes(b"%PDF-1.4")
    (tmp_path / "b" / "notes.xml").write_text("<a/>")
    (tmp_path / "b" / "folder.png").mkdir()
    data = load("pan-mul", tmp_path, dataset="folder", image_size=64)
    assert data.modalities["a"].x.shape == (6, 64, 64, 1)
    assert data.note == f"{wald.NOTE}; {len(names) + 1} files passed over as no images"
    (tmp_path / "a" / "n.png").write_bytes(b"%PDF-1.4")
    with refused("n.png", "not an image"):
        load("pan-mul", tmp_path, dataset="folder", image_size=64)


@pytest.mark.parametrize("bands", [1, 3])
def test_a_deep_query_is_shown_as_its_data_set_was(bands, tmp_path):
    """By the values of the whole set, not by its own; the same from the folder of a run."""
    ramp = np.linspace(0, 1, 64)[None, :] * np.ones((64, 1))
    ramp = np.squeeze(np.stack([ramp, ramp.T, ramp[::-1]][:bands], axis=-1))
    for k, c in enumerate("ab"):
        (tmp_path / c).mkdir()
        tifffile.imwrite(tmp_path / c / "0.tif", (ramp * 1000 * (k + 1)).astype(np.uint16))
    data = load("pan-mul", tmp_path, dataset="folder", image_size=64)
    assert "images hold more than 8 bits: 0 to 2047 shown as 0 to 255" in data.note
    assert data.note.count("bits") == 1
    for letter in "ab":
        modality = data.modalities[letter]
        for k, c in enumerate("ab"):
            x, _ = read_query(modality, tmp_path / c / "0.tif")
            np.testing.assert_allclose(x[0].astype(float), modality.x[k], atol=1)


def test_query_of_stored_tiles(write_dsrsid, refused, tmp_path):
    root, *_ = write_dsrsid()
    sensors = load("pan-mul", root, dataset="dsrsid").modalities
    for modality in sensors.values():
        x, name = read_query(modality, modality.paths[7])
        np.testing.assert_array_equal(x, modality.x[7:8])
        assert name == "DSRSID.mat:7"
        with refused("rows 0 to 9"):
            read_query(modality, f"{root}/DSRSID.mat:10")
    write_dsrsid(mul=(3, 6))
    with refused("DSRSID.mat: no mul tiles of 3 × 5 × 4"):
        read_query(sensors["b"], f"{root}/DSRSID.mat:7")


def test_query_of_a_grey_image(released, tmp_path, refused):
    pan, mul = load("pan-mul", released, dataset="ucmerced", image_size=32).modalities.values()
    Image.fromarray(pan.x[1, :, :, 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_query(pan, tmp_path / "grey.png")[0], pan.x[1:2])
    assert read_query(mul, tmp_path / "grey.png")[0].shape == (1, 8, 8, 3)
    Image.fromarray(pan.x[1, :, :, 0].astype(np.uint16)).save(tmp_path / "deep.png")
    with refused("deep.png", "uint16", "uint8"):
        read_query(pan, tmp_path / "deep.png")


def test_queries_that_are_refused(released, tmp_path, refused):
    image, speech = load("image-speech", released, dataset="ucmerced", image_size=16).modalities.values()
    path = released / "speech.mat"
    with refused(f"{path}:51", "rows 0 to 50"):
        read_query(speech, f"{path}:51")
    with refused(path, "row of a file", f"{path}:17"):
        read_query(speech, path)
    with refused("none.mat", "no such file"):
        read_query(speech, tmp_path / "none.mat:3")
    with refused("splab.mat", "8 columns", "none"):
        read_query(speech, released / "splab.mat:3")
    with refused("speech.mat", "not an image"):
        read_query(image, path)
    with refused("HDF5"):
        read_query(image, f"{path}:3")
    x = np.ones((3, 8))
    x[1] = np.nan
    scipy.io.savemat(tmp_path / "nan.mat", {"x": x})
    with refused("nan.mat:1", "NaN"):
        read_query(speech, tmp_path / "nan.mat:1")


def test_query_among_unified_features(tmp_path):
    write_features(tmp_path, pan=np.ones((8, 3)), mul=np.ones((8, 3)), labels=np.arange(8))
    pan, mul = load("pan-mul", tmp_path, dataset="features").modalities.values()
    write_features(tmp_path, unified=(np.full((2, 3), 5.0), np.full((2, 3), 6.0)))
    assert read_query(mul, tmp_path / "unified_features.mat:1")[0].tolist() == [[5, 5, 5]]
    assert read_query(pan, tmp_path / "unified_features.mat:1")[0].tolist() == [[6, 6, 6]]


def test_every_tile_is_read_once_in_blocks_and_none_is_kept(write_dsrsid, monkeypatch, refused):
    root, *_ = write_dsrsid()
    read = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, key: read.append(self.name) or original(self, key))
    x = load("pan-mul", root, dataset="dsrsid").modalities["b"].x
    assert set(read) == {"/LAND_COVER_TYPES", "/PAN_IMAGES", "/MUL_IMAGES"} and not isinstance(x, np.ndarray)
    before = len(read)
    x[np.array([1, 2])]
    assert read[before:] == ["/MUL_IMAGES"]


def test_a_black_tile_is_found_on_loading(write_dsrsid, refused):
    root, _, mul, labels = write_dsrsid()
    mul[7] = 0
    (root / "DSRSID.mat").unlink()
    with h5py.File(root / "DSRSID.mat", "w") as file:
        file["PAN_IMAGES"], file["MUL_IMAGES"] = np.ones((10, 8, 12), np.uint16), mul
        file["LAND_COVER_TYPES"] = labels
    with refused("MUL_IMAGES", "sample 7", "black"):
        load("pan-mul", root, dataset="dsrsid")


def test_real_image_speech(real_data):
    dataset = load("image-speech", real_data, dataset="ucmerced")
    image, speech = dataset.modalities.values()
    assert (image.x.shape, speech.x.shape) == ((2100, 64, 64, 3), (255, 128))
    assert np.unique(image.groups, return_counts=True)[1].tolist() == [100] * 21
    red, green, _ = image.x[image.groups == "beach"].mean((0, 1, 2))
    assert green > red  # bands are RGB
    assert [len(part["a"]) for part in split(dataset, seed=0)] == [1323, 147, 630]
    everything = np.arange(2100), np.arange(255)
    assert len(draw_pairs(image.labels, speech.labels, *everything, np.random.default_rng(0))) == 7004


def test_real_pan_mul(real_data, tmp_path):
    (tmp_path / "Images").mkdir()
    for c in ("airplane", "harbor"):  # a subset, to be quick
        (tmp_path / "Images" / c).symlink_to((real_data / "ucmerced" / "Images" / c).resolve())
    dataset = load("pan-mul", tmp_path, dataset="ucmerced")
    pan, mul = dataset.modalities.values()
    assert (pan.x.shape, mul.x.shape) == ((200, 256, 256, 1), (200, 64, 64, 3))
    assert dataset.label_names == ("airplane", "harbor")
    blocks = pan.x[..., 0].reshape(200, 64, 4, 64, 4).mean(axis=(2, 4))
    luminance = mul.x @ np.array(wald.RGB_WEIGHTS)
    assert np.corrcoef(blocks.ravel(), luminance.ravel())[0, 1] > 0.95


def test_a_data_set_that_is_called_by_a_number_is_unknown_in_one_line(refused):
    config = load_config("pan-mul", ["dataset=3"])
    with refused("dataset: '3' is unknown for pan-mul; use scenes, dsrsid"):
        load_data(config)
