"""The simulated world at DSRSID's size: all cores draw straight into one file, which a kill does not cost.

The file is DSRSID.mat in the layout that `samples.write_land_cover` describes, without compression, so that its two
fields lie there in one piece each and are mapped into memory. Until it is whole it is called DSRSID.mat.partial, and
DSRSID.mat.progress says which pairs are in it.
"""

import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import cannot_be_written
from ..locks import locked
from ..parallel import cores, worker_processes
from ..progress import track
from . import dsrsid

PAIRS_AT_ONCE = 16  # of one worker: a kill costs no more
SHAPES = {"pan": (256, 256), "mul": (4, 64, 64)}  # of a tile, as MATLAB's axes stand in the file
HEADER = b"MATLAB 7.3 MAT-file, HDF5 schema 1.00, " + dsrsid.SIMULATED_MARK


def write_large_land_cover(
    folder: str | Path, pairs: int, *, seed: int = 0, progress: bool = False, workers: int | None = None
) -> None:
    """`pairs` PAN–MUL pairs as `folder/DSRSID.mat`, the pairs of `write_land_cover`; goes on where it was killed.

    The file is the same, byte for byte, for any number of workers and interruptions. Raises `InputError` for a file
    that is whole already, one begun with another count or seed, where another process draws it, and where it cannot be
    written.
    """
    folder = Path(folder)
    partial, log = folder / f"{dsrsid.FILE}.partial", folder / f"{dsrsid.FILE}.progress"
    if (folder / dsrsid.FILE).exists():
        raise InputError(f"{folder / dsrsid.FILE}: is there already; name another folder, or remove it")
    begun = f"{pairs} pairs of seed {seed}\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if not log.exists():
                _create(partial, pairs)
                log.write_text(begun)
            lines = log.read_text().splitlines(keepends=True)
            if lines[:1] != [begun]:
                raise InputError(f"{partial}: was begun with {lines[0].strip()}; ask for these, or name another folder")
            done = {int(line) for line in lines[1:] if line.endswith("\n")}
            starts = [start for start in range(0, pairs, PAIRS_AT_ONCE) if start not in done]
            with open(log, "w") as record:
                record.write(begun + "".join(f"{start}\n" for start in sorted(done)))
                record.flush()
                drawn = _draw_all(partial, pairs, seed, starts, workers or cores())
                for start in track(drawn, len(starts), "drawing scenes", progress):
                    record.write(f"{start}\n")
                    record.flush()
            os.replace(partial, folder / dsrsid.FILE)
            log.unlink()
    except OSError as error:
        raise cannot_be_written(partial, error) from error


def _create(path: Path, pairs: int) -> None:
    """The file with its labels, and room for all of its tiles."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, shape in SHAPES.items():
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            layout.set_obj_track_times(False)  # the same bytes at any time
            layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((pairs, *shape))
            h5py.h5d.create(file.id, dsrsid.FIELDS[name].encode(), h5py.h5t.STD_U16LE, space, layout)
            file[dsrsid.FIELDS[name]].attrs["MATLAB_class"] = np.bytes_("uint16")
        labels = np.arange(pairs) % len(dsrsid.LABEL_NAMES)
        file.create_dataset(dsrsid.LABELS, data=labels[None] + 1.0).attrs["MATLAB_class"] = np.bytes_("double")
    with open(path, "r+b") as file:  # the block that HDF5 leaves free: a text, the version, the byte order
        file.write(HEADER.ljust(124) + b"\x00\x02IM")
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here, not a crash later


def map_fields(path: str | Path, mode: str = "r") -> dict[str, np.ndarray]:
    """The tiles "pan" (N, 256, 256) and "mul" (N, 4, 64, 64) of such a file, mapped into memory, as HDF5 shows them."""
    import h5py

    with h5py.File(path, "r") as file:
        places = {name: (file[field].id.get_offset(), file[field].shape) for name, field in dsrsid.FIELDS.items()}
    return {name: np.memmap(path, "<u2", mode, offset, shape) for name, (offset, shape) in places.items()}


def _draw_all(path: Path, pairs: int, seed: int, starts: list[int], workers: int) -> Iterator[int]:
    """Draws the pairs from each of `starts` on, and says which it has."""
    if workers <= 1 or len(starts) <= 1:
        for start in starts:
            yield _draw_into(path, pairs, seed, start)
        return
    with worker_processes(min(workers, len(starts))) as pool:
        for future in as_completed([pool.submit(_draw_into, path, pairs, seed, start) for start in starts]):
            yield future.result()


def _draw_into(path: Path, pairs: int, seed: int, start: int) -> int:
    """What a worker does: pairs `start` … into the file, written back before it says so."""
    from . import world

    fields = map_fields(path, "r+")
    for k in range(start, min(start + PAIRS_AT_ONCE, pairs)):
        pair = world.land_cover(seed, k, k % len(dsrsid.LABEL_NAMES))
        fields["pan"][k], fields["mul"][k] = pair.pan[..., 0].T, pair.mul.T
    for field in fields.values():
        field.flush()
    return start
