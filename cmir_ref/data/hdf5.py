"""HDF5 files, and what can be wrong with them in one line."""

from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

PLUGINS = {  # registered filters that imagery is often stored with
    307: "bzip2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32008: "bitshuffle", 32013: "ZFP", 32015: "Zstandard",
    32026: "Blosc2",
}  # fmt: skip


def open_hdf5(path: str | Path):
    """`path` as an open h5py file to read.

    Raises `InputError` for a file that is missing, that another process is writing, or that is none.
    """
    import h5py

    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it") from None
    except Exception as error:  # h5py names a damaged file by many types of exception
        if "unable to lock file" in str(error):  # "sblock" stands in what it says of a truncated one
            raise InputError(f"{path}: locked by another process that has it open; close it there") from error
        cut = "a truncated" if "truncated" in str(error) else "not a readable"
        raise InputError(f"{path}: {cut} HDF5 file; a whole MATLAB v7.3 file is expected") from error


@contextmanager
def name_damage(path: str | Path):
    """Whatever fails within is an `InputError` that names the file: h5py meets damage with any type of exception."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or truncated HDF5 file ({line})") from error


def check_filters(stored, path: str | Path) -> None:
    """Raises `InputError` where a dataset is compressed by a filter that this machine lacks; it names the filter."""
    from h5py import h5z

    layout = stored.id.get_create_plist()
    for k in range(layout.get_nfilters()):
        number, *_, said = layout.get_filter(k)
        if not h5z.filter_avail(number):
            name = PLUGINS.get(number) or said.decode("ascii", "replace").strip("\0") or "unknown"
            raise InputError(
                f"{path}: {stored.name} is compressed by HDF5 filter {number} ({name}), which is not installed here; "
                "install it (pip install hdf5plugin), or store the file with gzip"
            )
