"""The released pipeline's .mat files, and folders of images."""

import h5py
import numpy as np
import scipy.io
from PIL import Image

from cmir_ref.data import check, load_features, load_folder, load_scores, load_unified, write_features


def test_written_features_are_read_back(tmp_path):
    random = np.random.default_rng(0)
    pan, mul = random.random((2, 16, 128)).astype(np.float32)
    labels = np.arange(16) % 8
    names = [path.name for path in write_features(tmp_path, pan=pan, mul=mul, labels=labels)]
    assert (
        names
        == ["pan_features.mat", "mul_features.mat", "labels.mat"]
        == [p.name for p in map(tmp_path.joinpath, names)]
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)  # nothing unfinished stays
    assert scipy.io.loadmat(tmp_path / "labels.mat")["LAND_COVER_TYPES"].ravel().tolist() == (labels + 1).tolist()
    a, b = check(load_features(tmp_path)).modalities.values()
    np.testing.assert_array_equal(a.x, pan)
    np.testing.assert_array_equal(b.x, mul)
    np.testing.assert_array_equal(a.labels, labels)
    assert (a.name, b.name) == ("pan", "mul")


def test_features_in_matlab_73(tmp_path):
    pan = np.random.default_rng(0).random((16, 5))
    write_features(tmp_path, pan=pan, mul=pan, labels=np.arange(16) % 8)
    for name, matlab in (("pan_features.mat", True), ("mul_features.mat", False)):
        with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
            file["features"] = pan.T if matlab else pan
            if matlab:
                file["features"].attrs["MATLAB_class"] = np.bytes_("double")
    for m in load_features(tmp_path).modalities.values():
        np.testing.assert_array_equal(m.x, pan.astype(np.float32))
    with h5py.File(tmp_path / "mul_features.mat", "w") as file:
        file["features"] = pan > 0.5
    np.testing.assert_array_equal(load_features(tmp_path).modalities["b"].x, pan > 0.5)


def test_features_that_are_refused(tmp_path, refused):
    x, labels = np.ones((16, 5)), np.arange(16) % 8
    write_features(tmp_path, pan=x, mul=x[:-1], labels=labels)
    with refused("mul_features.mat", "15 × 5", "16 labels"):
        load_features(tmp_path)
    x[3, 1] = np.nan
    write_features(tmp_path, mul=x)
    with refused("_features.mat:3", "NaN"):
        check(load_features(tmp_path))
    x[3, 1] = 1e300
    write_features(tmp_path, pan=x, mul=x)
    with refused("pan_features.mat:3", "NaN or infinity in row 3", "finite, and below 3e38"):
        check(load_features(tmp_path))
    write_features(tmp_path, labels=labels + 3)
    with refused("labels.mat", "LAND_COVER_TYPES[5] is 9"):
        load_features(tmp_path)


def test_scores_and_unified(tmp_path, write_ucmerced):
    _, _, table = write_ucmerced()
    scores = np.random.default_rng(0).random((2100, 6)).astype(np.float32)
    write_features(tmp_path, scores=scores, unified=(scores[:, :2], scores[:7, 2:4]))
    m = load_scores(tmp_path)
    np.testing.assert_array_equal(m.x, scores)
    np.testing.assert_array_equal(m.labels, table.T)
    assert (m.ids[101], m.groups[101]) == ("airplane01", "airplane")
    x, y = load_unified(tmp_path / "unified_features.mat")
    np.testing.assert_array_equal(x, scores[:, :2])
    np.testing.assert_array_equal(y, scores[:7, 2:4])


def test_folder(tmp_path, refused, make):
    for c, suffix in (("b", "png"), ("a", "bmp")):
        (tmp_path / c).mkdir()
        Image.fromarray(make.picture(8, 8)).save(tmp_path / c / f"x.{suffix}")
    (tmp_path / "a" / "notes.txt").touch()
    m, names = load_folder(tmp_path, size=8)
    assert (names, m.ids, m.labels.tolist()) == (("a", "b"), ("a/x.bmp", "b/x.png"), [0, 1])
    np.testing.assert_array_equal(m.x[1], make.picture(8, 8))
    Image.fromarray(make.picture(8, 8)).save(tmp_path / "overview.png")
    said = ("1 file passed over as no images", "1 image in no class folder passed over")
    assert load_folder(tmp_path, size=8)[0].remarks[:2] == said
    (tmp_path / "a" / "deep").mkdir()
    assert len(load_folder(tmp_path, size=8)[0].x) == 2
    Image.fromarray(make.picture(8, 8)).save(tmp_path / "a" / "deep" / "y.png")
    with refused(tmp_path / "a" / "deep", "below a class folder"):
        load_folder(tmp_path)
    (tmp_path / "a" / "deep" / "y.png").unlink()
    (tmp_path / "c").mkdir()
    with refused(tmp_path / "c", "without images"):
        load_folder(tmp_path)
    with refused(tmp_path / "c", "no class folders"):
        load_folder(tmp_path / "c")
