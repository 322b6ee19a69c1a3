"""DSRSID's HDF5 file, whatever order its axes have."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmir_ref.data import check, load, load_dsrsid
from cmir_ref.data.dsrsid import FIELDS, StoredImages, axes
from cmir_ref.errors import InputError

ORDERS = [(0, 1, 2, 3), (1, 2, 3, 0), (0, 3, 1, 2), (3, 0, 1, 2), (1, 2, 0, 3)]


@pytest.mark.parametrize("matlab", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_any_axis_order(write_dsrsid, order, matlab):
    root, pan, mul, labels = write_dsrsid(order=order, matlab=matlab)
    dataset = check(load_dsrsid(root))
    for modality, expected in zip(dataset.modalities.values(), (pan, mul), strict=True):
        assert modality.x.shape == expected.shape
        assert modality.x.dtype == np.uint16
        np.testing.assert_array_equal(modality.x[:], expected)
        np.testing.assert_array_equal(modality.labels, labels - 1)
    assert dataset.label_names[3] == "high building"
    np.testing.assert_array_equal(dataset.pairing, np.repeat(np.arange(10), 2).reshape(10, 2))


def test_fields_in_a_group_and_a_band_axis_of_one(write_dsrsid):
    one = np.random.default_rng(0).integers(1, 9, (10, 1, 8, 12))
    root, *_ = write_dsrsid(group="dataset", matlab=False, PAN_IMAGES=one)
    np.testing.assert_array_equal(load_dsrsid(root).modalities["a"].x[:], one.transpose(0, 2, 3, 1))


@settings(max_examples=30, deadline=None)
@given(index=st.lists(st.integers(-20, 19), max_size=25))
def test_a_view_indexes_as_an_array(index, tmp_path_factory):
    whole = np.random.default_rng(0).integers(1, 9, (3, 2, 20, 4))
    with h5py.File(tmp_path_factory.mktemp("view") / "x.mat", "w") as file:
        view = StoredImages(file.create_dataset("x", data=whole), (2, 0, 1, 3))
        index = np.array(index, int)
        np.testing.assert_array_equal(view[index], whole.transpose(2, 0, 1, 3)[index])


def test_other_indices(write_dsrsid):
    root, _, mul, _ = write_dsrsid()
    x = load_dsrsid(root).modalities["b"].x
    assert len(x) == 10
    np.testing.assert_array_equal(x[3], mul[3])
    np.testing.assert_array_equal(x[2:9:3], mul[2:9:3])
    np.testing.assert_array_equal(x[np.arange(10) > 6], mul[7:])
    with pytest.raises(IndexError):
        x[np.array([10])]


def test_ambiguous_axes_name_their_setting(write_dsrsid, refused):
    root, pan, mul, _ = write_dsrsid(n=8, pan=(8, 12))
    with refused("PAN_IMAGES", "sample_axis"):
        load_dsrsid(root)
    np.testing.assert_array_equal(load_dsrsid(root, sample_axis=-1).modalities["a"].x[:], pan)
    root, pan, mul, _ = write_dsrsid(mul=(4, 5))
    with refused("MUL_IMAGES", "band_axis"):
        load_dsrsid(root)
    np.testing.assert_array_equal(load_dsrsid(root, band_axis=0).modalities["b"].x[:], mul)
    with refused("band_axis 7"):
        load_dsrsid(root, band_axis=7)


def test_axes_that_fit_nothing(refused):
    for shape, bands in (((10, 5, 6, 3), 4), ((9, 5, 6, 4), 4), ((10, 5, 6), 4), ((10, 5), 1)):
        with refused("file", "no axes for 10 samples"):
            axes(shape, 10, bands, "file")


def test_bad_labels(write_dsrsid, refused):
    root, *_ = write_dsrsid(labels=[1, 2, 9, 0, 1, 1, 1, 1, 1, 1])
    with refused("DSRSID.mat", "LAND_COVER_TYPES[2] is 9", "1 to 8"):
        load_dsrsid(root)
    root, *_ = write_dsrsid(labels=np.arange(10) % 7 + 1)
    with refused("class 'water' has no samples"):
        check(load_dsrsid(root))
    root, *_ = write_dsrsid(labels=np.arange(9) % 8 + 1)
    with refused("PAN_IMAGES", "9 samples"):
        load_dsrsid(root)


def test_a_black_tile_is_named_when_it_is_read(write_dsrsid, refused):
    pan = np.ones((10, 8, 12), np.uint8)
    pan[6] = 0
    root, *_ = write_dsrsid(PAN_IMAGES=pan)
    x = load_dsrsid(root).modalities["a"].x
    assert x[:6].all()
    with refused("DSRSID.mat", "sample 6", "PAN_IMAGES", "black"):
        x[np.array([9, 6, 2])]


def test_files_that_are_refused(write_dsrsid, tmp_path, refused):
    with refused("DSRSID.mat", "three levels"):
        load_dsrsid(tmp_path)
    path = tmp_path / "DSRSID.mat"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with refused(path, "HDF5"):
        load_dsrsid(tmp_path)
    write_dsrsid()
    path.write_bytes(path.read_bytes()[:4000])
    with refused(path):
        load_dsrsid(tmp_path)
    with h5py.File(path, "w") as file:
        file["LAND_COVER_TYPES"] = np.arange(1, 9)
        file["other"] = 0
    with refused(path, "0 fields called PAN_IMAGES", "/other"):
        load_dsrsid(tmp_path)
    assert FIELDS["mul"] == "MUL_IMAGES"


def test_a_group_that_holds_itself_is_walked_once_through(tmp_path):
    with h5py.File(tmp_path / "DSRSID.mat", "w") as file:
        group = file.create_group("a")
        group["again"], group["file"] = group, file["/"]
    with pytest.raises(InputError, match=r"DSRSID\.mat: 0 fields called LAND_COVER_TYPES, exactly one is needed"):
        load_dsrsid(tmp_path)


def test_a_field_behind_thousands_of_others_is_found(tmp_path):
    """MATLAB keeps the cells of a cell array as datasets of a group that comes before the fields."""
    with h5py.File(tmp_path / "DSRSID.mat", "w") as file:
        cells = file.create_group("#refs#")
        for k in range(1200):
            cells[f"{k}"] = 0
        file["LAND_COVER_TYPES"] = np.ones((1, 3))
    with pytest.raises(InputError, match="0 fields called PAN_IMAGES"):
        load_dsrsid(tmp_path)


def test_what_is_wrong_with_numbers_names_the_file_and_the_row(write_dsrsid, refused):
    folder, pan, *_ = write_dsrsid()
    pan = pan[..., 0].astype(np.float32)
    pan[7, 2, 3] = np.nan
    write_dsrsid(PAN_IMAGES=pan)
    with refused("DSRSID.mat:7", "NaN or infinity in pan"):
        load("pan-mul", folder, dataset="dsrsid")


def test_masks_are_images_of_bytes(write_dsrsid):
    folder, pan, *_ = write_dsrsid()
    write_dsrsid(PAN_IMAGES=pan[..., 0] > 500)
    found = load_dsrsid(folder).modalities["a"].x
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:], pan > 500)
