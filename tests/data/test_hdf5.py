"""What can be wrong with an HDF5 file, in one line that names it."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from cmir_ref.data import load_dsrsid
from cmir_ref.data.mat import read_field

HOLD = "import h5py, sys, time; h = h5py.File(sys.argv[1], sys.argv[2]); print(1, flush=True); time.sleep(60)"


def lack_filter(path, number):
    """Lets every gzip field of a file ask for another filter than gzip, whose number is 1."""
    raw, at = bytearray(path.read_bytes()), 0
    while (at := raw.find(b"deflate\0", at)) >= 0:
        raw[at - 8 : at - 6] = number.to_bytes(2, "little")
        at += 8
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("number", "name"), [(32001, "Blosc"), (32015, "Zstandard"), (307, "bzip2"), (40000, "deflate")]
)
def test_a_filter_that_this_machine_lacks_is_named(tmp_path, refused, number, name):
    for path, fields in (("DSRSID.mat", ("PAN_IMAGES", "MUL_IMAGES")), ("x.mat", ("features",))):
        with h5py.File(tmp_path / path, "w") as file:
            for field in fields:
                bands = (4,) if field == "MUL_IMAGES" else ()
                x = np.random.default_rng(0).integers(1, 99, (9, *bands, 16, 16)).astype("u2")
                file.create_dataset(field, data=x, chunks=(1, *x.shape[1:]), compression="gzip")
            file.create_dataset("LAND_COVER_TYPES", data=np.arange(9)[None] % 8 + 1.0)
        lack_filter(tmp_path / path, number)
    with refused("DSRSID.mat", f"filter {number} ({name})", "gzip"):
        load_dsrsid(tmp_path)
    with refused("x.mat", f"filter {number} ({name})", "gzip"):
        read_field(tmp_path / "x.mat", "features")


@pytest.mark.parametrize("mode", ["r+", "a"])
def test_a_file_that_another_process_writes_is_said_to_be_locked(tmp_path, refused, write_dsrsid, mode):
    path = write_dsrsid()[0] / "DSRSID.mat"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path), mode], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            for read in (lambda: load_dsrsid(path.parent), lambda: read_field(path, "LAND_COVER_TYPES")):
                with refused("DSRSID.mat", "locked by another process"):
                    read()
        finally:
            process.kill()
    load_dsrsid(path.parent)


def test_a_download_that_was_cut_is_said_to_be_truncated(write_dsrsid, refused):
    path = write_dsrsid(pan=(64, 64), mul=(16, 16))[0] / "DSRSID.mat"
    path.write_bytes(path.read_bytes()[:-4000])
    with refused("DSRSID.mat", "a truncated HDF5 file"):
        load_dsrsid(path.parent)


def test_fields_that_hold_no_numbers_are_named(tmp_path, refused):
    with h5py.File(tmp_path / "DSRSID.mat", "w") as file:
        file["LAND_COVER_TYPES"] = np.array([b"a", b"b"])
    with refused("DSRSID.mat", "LAND_COVER_TYPES", "expected numbers"):
        load_dsrsid(tmp_path)


def test_links_that_lead_nowhere_are_no_fields(tmp_path, refused):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["features"] = h5py.SoftLink("/nowhere")
        file["other"] = h5py.ExternalLink("gone.h5", "/x")
        file["x"] = np.ones(3)
    np.testing.assert_array_equal(read_field(tmp_path / "x.mat", "x"), 1)


def test_damage_of_any_kind_names_the_file(write_dsrsid, refused, monkeypatch):
    """h5py finds a type of numbers that there is not only when it is asked for it, as a ValueError."""
    folder = write_dsrsid()[0]
    for error in (ValueError("Insufficient precision\nin available types"), KeyError("x"), OSError("cut")):

        def fail(self, error=error):
            raise error

        monkeypatch.setattr(h5py.Dataset, "dtype", property(fail))
        with refused("DSRSID.mat", "damaged or truncated"):
            load_dsrsid(folder)
