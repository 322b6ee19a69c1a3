"""The simulated world in one large file: the pairs of the small one, whatever interrupts their drawing."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from cmir_ref.data import large
from cmir_ref.data.dsrsid import load_dsrsid
from cmir_ref.data.large import map_fields, write_large_land_cover
from cmir_ref.data.samples import write_land_cover, write_samples
from cmir_ref.data.scenarios import load
from cmir_ref.errors import InputError

PAIRS = 88  # six portions, the last of eight: three are left when the third is killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file drawn by this process alone, without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    write_large_land_cover(folder, PAIRS, seed=3, workers=1)
    return folder


def test_it_holds_the_pairs_of_the_small_file(whole, tmp_path):
    write_land_cover(tmp_path, PAIRS, seed=3)
    ours, theirs = (load_dsrsid(folder, sample_axis=0, band_axis=1) for folder in (whole, tmp_path))
    for m in "ab":
        np.testing.assert_array_equal(ours.modalities[m].x[:], theirs.modalities[m].x[:])
        np.testing.assert_array_equal(ours.modalities[m].labels, theirs.modalities[m].labels)


def test_its_fields_are_mapped_where_hdf5_reads_them(whole):
    with h5py.File(whole / "DSRSID.mat") as file:
        for name, field in map_fields(whole / "DSRSID.mat").items():
            np.testing.assert_array_equal(field, file[large.dsrsid.FIELDS[name]][()])


def test_it_is_called_simulated(whole):
    wanted = {"dataset": "dsrsid", "sample_axis": 0, "band_axis": 1}
    assert load("pan-mul", whole, **wanted).note == "simulated scenes"


@pytest.mark.parametrize("portions", [0, 1, 2])
def test_a_killed_drawing_goes_on_to_the_same_bytes(whole, tmp_path, portions):
    words = ["samples", "land-cover", str(tmp_path), "--count", str(PAIRS), "--seed", "3", "--format", "dsrsid"]
    command = [sys.executable, "-m", "cmir_ref", *words]
    log = tmp_path / "DSRSID.mat.progress"
    drawing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > portions) and drawing.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    with open(log) as record:
        assert record.readline() == f"{PAIRS} pairs of seed 3\n"
    os.killpg(drawing.pid, signal.SIGKILL)
    drawing.wait()
    assert (tmp_path / "DSRSID.mat.partial").exists() and not (tmp_path / "DSRSID.mat").exists()
    kept = [int(line) for line in log.read_text().splitlines()[1:]]
    drawn, draw = [], large._draw_into
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "_draw_into", lambda *a: drawn.append(a[-1]) or draw(*a))
        write_large_land_cover(tmp_path, PAIRS, seed=3, workers=1)
    assert sorted(drawn + kept) == list(range(0, PAIRS, 16)) and len(kept) >= portions
    assert (tmp_path / "DSRSID.mat").read_bytes() == (whole / "DSRSID.mat").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["DSRSID.mat"]


def test_a_portion_whose_line_was_cut_is_drawn_again(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(large, "_draw_all", lambda *args: iter(()))
    monkeypatch.setattr(large.os, "replace", lambda *args: (_ for _ in ()).throw(OSError(5, "no")))
    with pytest.raises(InputError, match="cannot be written"):
        write_large_land_cover(tmp_path, PAIRS, seed=3)
    monkeypatch.undo()
    with open(tmp_path / "DSRSID.mat.progress", "a") as log:
        log.write("1")  # of 16
    write_large_land_cover(tmp_path, PAIRS, seed=3, workers=2)
    assert (tmp_path / "DSRSID.mat").read_bytes() == (whole / "DSRSID.mat").read_bytes()


def test_what_cannot_go_on_is_said(whole, tmp_path):
    with pytest.raises(InputError, match=r"DSRSID\.mat: is there already; name another folder, or remove it"):
        write_large_land_cover(whole, PAIRS, seed=3)
    large._create(tmp_path / "DSRSID.mat.partial", 8)
    (tmp_path / "DSRSID.mat.progress").write_text("8 pairs of seed 1\n")
    with pytest.raises(InputError, match="was begun with 8 pairs of seed 1; ask for these, or name another folder"):
        write_large_land_cover(tmp_path, 16, seed=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/DSRSID\.mat\.partial: cannot be written"):
        write_large_land_cover(tmp_path / "file", 8)
    with pytest.raises(InputError, match="objects: has no format dsrsid; dsrsid is one of land-cover"):
        write_samples("objects", tmp_path / "new", layout="dsrsid")
