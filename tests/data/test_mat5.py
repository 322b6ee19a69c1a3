"""Files of MATLAB's versions 5 to 7: what is listed is what SciPy reads, and what cannot be is refused before it."""

import numpy as np
import pytest
import scipy.io

from cmir_ref.data.mat import read_field, read_mat
from cmir_ref.data.mat5 import list_arrays

ARRAYS = {
    "double": np.arange(6.0).reshape(2, 3),
    "single": np.ones((1, 4), np.float32),
    "bytes": np.arange(3, dtype=np.uint8)[None],
    "cube": np.zeros((2, 3, 4), np.int16),
    "empty": np.zeros((0, 5)),
    "a_name_that_is_longer_than_eight": np.eye(2),
    "x": np.ones((1, 1)),
}
OTHERS = {
    "text": "a word",
    "cell": np.array([[np.eye(2), "b"]], dtype=object),
    "struct": {"field": np.eye(3)},
    "complex": np.array([[1 + 2j]]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_the_real_arrays_are_read_and_all_else_is_left(tmp_path, compressed):
    scipy.io.savemat(tmp_path / "a.mat", ARRAYS | OTHERS, do_compression=compressed)
    assert set(list_arrays(tmp_path / "a.mat")) == set(ARRAYS)
    read = read_mat(tmp_path / "a.mat")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


@pytest.mark.parametrize(
    ("at", "wrong"),
    [
        (176, b"\x09\x70\x00\x00"),  # a type of numbers that there is not: SciPy would read beyond its table
        (144, b"\x63\x00\x00\x00"),  # a class that there is not
        (160, b"\xff\xff\xff\xff"),  # minus one row
        (160, b"\xff\xff\xff\x7f"),  # more rows than bytes
        (180, b"\xff\xff\xff\x7f"),  # more bytes than the file has
        (132, b"\xff\xff\xff\x7f"),  # a variable beyond the end of the file
        (126, b"XX"),  # neither byte order
    ],
)
def test_what_a_file_cannot_say_is_refused(tmp_path, refused, at, wrong):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.arange(6.0).reshape(2, 3)})
    content = bytearray(path.read_bytes())
    content[at : at + len(wrong)] = wrong
    path.write_bytes(content)
    with refused("a.mat", "not a readable .mat file"):
        read_mat(path)


def test_version_4_holds_matrices_alone(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.eye(3)}, format="4")
    np.testing.assert_array_equal(read_field(tmp_path / "a.mat", "x"), np.eye(3))
