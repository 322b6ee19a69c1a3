"""MATLAB files of every version as arrays in MATLAB's own axis order."""

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_file
from .hdf5 import check_filters, open_hdf5
from .mat5 import list_arrays

MOST_BYTES = 2**34  # of one array: what is larger is damaged, or no feature matrix


def read_mat(path: str | Path) -> dict[str, np.ndarray]:
    """The numeric arrays at the top of a .mat file, by name: up to v7 through SciPy, v7.3 through h5py.

    An HDF5 dataset written by MATLAB (it has the attribute MATLAB_class) has its axes reversed; they are turned back.
    Raises `InputError` for a file that is missing, damaged or no .mat file.
    """
    import h5py
    import scipy.io
    from scipy.io.matlab import matfile_version

    check_file(path)
    try:
        if h5py.is_hdf5(path):
            with open_hdf5(path) as file:
                arrays = {k: v for k, v in file.items() if isinstance(v, h5py.Dataset) and v.dtype.kind in "biuf"}
                for stored in arrays.values():
                    check_filters(stored, path)
                    if stored.nbytes > MOST_BYTES:
                        raise InputError(f"{path}: {stored.name} is of {stored.nbytes:.1e} bytes; too large to be read")
                fields = {k: v[()].T if "MATLAB_class" in v.attrs else v[()] for k, v in arrays.items()}
        else:
            with open(path, "rb") as file:
                old = matfile_version(file)[0] == 0  # version 4, which holds nothing but matrices
            fields = scipy.io.loadmat(path, variable_names=None if old else list_arrays(path))
    except InputError:
        raise
    except Exception as error:  # SciPy meets a damaged file with many types of exception
        raise InputError(f"{path}: not a readable .mat file ({_first_line(error)})") from error
    return {k: v for k, v in fields.items() if isinstance(v, np.ndarray) and v.dtype.kind in "biuf"}


def read_field(path: str | Path, name: str) -> np.ndarray:
    """Array `name` of a .mat file; raises `InputError` that lists the fields there are where it is not among them."""
    fields = read_mat(path)
    if name not in fields:
        there = ", ".join(sorted(fields)) or "none"
        raise InputError(f"{path}: no field {name!r} of real numbers that is not sparse; it has {there}")
    return fields[name]


def split_row(path: str | Path) -> tuple[str, int | None]:
    """`file.mat:17` as ("file.mat", 17), any other path as (path, None). Rows are counted from 0."""
    match = re.fullmatch(r"(.+\.mat):(\d+)", str(path), re.IGNORECASE)
    return (match[1], int(match[2])) if match else (str(path), None)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
