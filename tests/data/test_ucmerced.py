"""UC Merced in its own layout."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from cmir_ref.data.ucmerced import CLASS_NAMES, LABEL_NAMES, load_images, load_multilabels


def test_images_meet_their_labels(write_ucmerced):
    root, pictures, table = write_ucmerced()
    m = load_images(root.parent, size=32)
    assert m.x.dtype == np.uint8
    assert m.ids == tuple(pictures)
    assert m.groups.tolist() == ["agricultural"] * 3 + ["airplane"] * 3 + ["forest"] * 3
    for x, labels, name in zip(m.x, m.labels, m.ids, strict=True):
        np.testing.assert_array_equal(x, pictures[name])
        np.testing.assert_array_equal(labels, table[:, 100 * CLASS_NAMES.index(name[:-2]) + int(name[-2:])])


def test_class_labels_need_no_label_file(write_ucmerced):
    root, _, _ = write_ucmerced()
    (root / "LandUse_multilabels.mat").unlink()
    assert load_images(root, size=8, labels="class").labels.tolist() == [0, 0, 0, 1, 1, 1, 7, 7, 7]


def test_other_sizes_are_resized(write_ucmerced):
    root, _, _ = write_ucmerced(side=(61, 64))
    assert load_images(root, size=16, progress=True).x.shape == (9, 16, 16, 3)


def test_what_is_refused(write_ucmerced, refused):
    root, _, _ = write_ucmerced()
    with refused("labels", "multi", "class"):
        load_images(root, labels="both")
    images = root / "Images"
    (images / "agricultural" / "agricultural7.tif").write_bytes(b"")
    with refused("agricultural7.tif", "agricultural00.tif"):
        load_images(root)
    (images / "agricultural" / "agricultural7.tif").unlink()
    (images / "river").mkdir()
    with refused(images / "river", "without images"):
        load_images(root)
    (images / "river").rename(images / "rivers")
    with refused(images / "rivers", "unknown class folder", "river,"):
        load_images(root)
    (images / "rivers").rmdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(images / "forest" / "forest03.tif")
    with refused("forest03.tif", "black"):
        load_images(root)


def test_endings_in_any_case_and_files_that_are_no_images(write_ucmerced, refused):
    """All images count whatever the case of their ending; notes beside them are passed over, and said."""
    root, pictures, _ = write_ucmerced()
    folder = root / "Images" / "forest"
    (folder / "forest00.tif").rename(folder / "forest00.TIF")
    (folder / "forest03.tif").rename(folder / "forest03.Tiff")
    for name in ("notes.txt", "map.pdf", "Thumbs.db", ".hidden"):
        (folder / name).write_text("no image")
    images = load_images(root, size=32)
    assert len(images.x) == len(pictures) and images.remarks == ("2 files passed over as no images",)
    (folder / "forest03.tif").write_bytes((folder / "forest03.Tiff").read_bytes())
    with refused("forest03.tif", "forest03.Tiff", "keep one"):
        load_images(root)


@pytest.mark.parametrize("table", [np.zeros((2100, 17)), np.full((17, 2100), 3)])
def test_label_tables_that_are_none(table, tmp_path, refused):
    scipy.io.savemat(tmp_path / "LandUse_multilabels.mat", {"labels": table})
    with refused("LandUse_multilabels.mat", "17 × 2100"):
        load_multilabels(tmp_path)


def test_label_files_that_are_none(tmp_path, refused):
    path = tmp_path / "LandUse_multilabels.mat"
    scipy.io.savemat(path, {"other": np.zeros((17, 2100))})
    with refused(path, "'labels'", "other"):
        load_multilabels(tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    with refused(path):
        load_multilabels(tmp_path)
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with refused(path, "a pointer of Git LFS in place of the file"):
        load_multilabels(tmp_path)
    path.write_text("<!doctype html>")
    with refused(path, "not a readable .mat file"):
        load_multilabels(tmp_path)


def test_real_labels(real_data):
    labels = load_multilabels(real_data)
    assert labels.sum() == 7004
    assert len(np.unique(labels, axis=0)) == 203
    assert labels[CLASS_NAMES.index("airplane") * 100 :][:100, LABEL_NAMES.index("airplane")].all()
