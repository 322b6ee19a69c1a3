"""DSRSID: 80 000 pairs of panchromatic and multi-spectral tiles (Li, Zhang, Huang, Zhu & Ma, IEEE TGRS 2018).

The tiles stay in the HDF5 file: a batch is read when it is asked for.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Dataset, Modality
from .hdf5 import check_filters, name_damage, open_hdf5
from .locate import files_called, find_file

FILE = "DSRSID.mat"
LABEL_NAMES = ("aquafarm", "cloud", "forest", "high building", "low building", "farmland", "river", "water")
FIELDS = {"pan": "PAN_IMAGES", "mul": "MUL_IMAGES"}
LABELS = "LAND_COVER_TYPES"
MOST_LABELS = 10**7  # beyond that a file is damaged
SIMULATED_MARK = b"the simulated world of cmir_ref"  # in the text that such a file begins with


class StoredImages:
    """A lazy (N, H, W, C) view of images in an HDF5 dataset whose axes stand in any order.

    `order` names the dataset's axes for N, H, W and, if it has one, C. Indexed by integers, slices or masks of samples.
    """

    def __init__(self, stored, order: tuple[int, ...]):
        self._stored, self._order = stored, order
        shape = tuple(stored.shape[axis] for axis in order)
        self.shape = shape if len(shape) == 4 else (*shape, 1)
        self.dtype = np.dtype(np.uint8) if stored.dtype.kind == "b" else stored.dtype.newbyteorder("=")
        self.ndim = 4

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        """The images `index` selects, as an array; `InputError` for a damaged file and for an image entirely black."""
        index = np.arange(len(self))[index]  # NumPy's own rules for negative numbers, masks and out of range
        wanted, back = np.unique(index, return_inverse=True)
        images = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        edges = np.flatnonzero(np.diff(wanted, prepend=-2, append=len(self) + 1) != 1)
        for start, stop in pairwise(edges):  # run by run: HDF5 is slow with lists
            images[start:stop] = self._read(wanted[start], wanted[stop - 1] + 1)
        black = ~images.any(axis=(1, 2, 3))
        if black.any():
            where = f"{self._stored.file.filename}: sample {wanted[np.argmax(black)]} of {self._stored.name}"
            raise InputError(f"{where} is entirely black; replace or remove it")
        return images[back.reshape(index.shape)]

    def _read(self, start: int, stop: int) -> np.ndarray:
        """Samples start to stop, (stop - start, H, W, C)."""
        where = [slice(None)] * self._stored.ndim
        where[self._order[0]] = slice(start, stop)
        try:
            block = self._stored[tuple(where)]
        except Exception as error:  # HDF5's own, or memory for a block of a size that cannot be
            raise InputError(f"{self._stored.file.filename}: {self._stored.name} is damaged or truncated") from error
        return block.transpose(self._order).reshape(stop - start, *self.shape[1:])


def load_dsrsid(root: str | Path, *, sample_axis: int | None = None, band_axis: int | None = None) -> Dataset:
    """The pairs of DSRSID.mat: PAN (N, 256, 256, 1) and MUL (N, 64, 64, 4), lazily, labels 0 … 7.

    The sample axis is the one as long as the labels, the band axis the one of length 4, and height and width are
    swapped where MATLAB wrote the field. Where lengths coincide, `sample_axis` (of PAN and MUL) and `band_axis` decide:
    axes in the file's order, as h5py shows it, negative from the end. Raises `InputError` for a file that is missing or
    not HDF5, missing fields, labels outside 1 … 8, counts that differ, and axes that remain ambiguous.
    """
    path = find_file(root, FILE)
    x = open_tiles(path, sample_axis=sample_axis, band_axis=band_axis)
    with open_hdf5(path) as file:
        labels = _labels(file, path)
    n = len(labels)
    ids, paths = tuple(map(str, range(n))), tuple(f"{path}:{k}" for k in range(n))
    groups = np.array(LABEL_NAMES)[labels]
    pan, mul = (Modality(name, "image", x[name], labels, ids, paths, groups) for name in FIELDS)
    return Dataset({"a": pan, "b": mul}, LABEL_NAMES, np.stack([np.arange(n)] * 2, axis=1))


def is_simulated(root: str | Path) -> bool:
    """Whether DSRSID.mat below `root` says in its first block that it holds the simulated world."""
    with open(find_file(root, FILE), "rb") as file:
        return SIMULATED_MARK in file.read(124)


def origin_of(root: str | Path | None) -> str:
    """Where DSRSID.mat below `root` comes from: "recorded", "simulated", or "absent" where there is none."""
    if root is None or not files_called(Path(root), FILE):
        return "absent"
    return "simulated" if is_simulated(root) else "recorded"


def open_tiles(
    path: str | Path, *, sample_axis: int | None = None, band_axis: int | None = None
) -> dict[str, StoredImages]:
    """The lazy tiles "pan" and "mul" of one file; errors as in `load_dsrsid`."""
    file = open_hdf5(path)  # stays open as long as the views live
    try:
        n = len(_labels(file, path))
        return {name: _view(file, path, name, n, sample_axis, band_axis) for name in FIELDS}
    except BaseException:
        file.close()
        raise


def _view(file, path: str | Path, name: str, n: int, sample_axis: int | None, band_axis: int | None) -> StoredImages:
    """The n lazy tiles of modality `name`."""
    stored = _field(file, path, FIELDS[name])
    where = f"{path}: {FIELDS[name]} of shape {stored.shape}"
    order = axes(stored.shape, n, 4 if name == "mul" else 1, where, sample_axis=sample_axis, band_axis=band_axis)
    if "MATLAB_class" in stored.attrs:  # MATLAB counts axes from the other end, so width comes before height
        order = (order[0], order[2], order[1], *order[3:])
    return StoredImages(stored, order)


def _datasets(file) -> list[tuple]:
    """(path, dataset) of every dataset, each once; HDF5's own walk never ends in some damaged files."""
    import h5py

    found, seen, groups = [], set(), [("", file)]
    while groups:
        at, group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            place = h5py.h5o.get_info(item.id).addr
            if place not in seen:
                seen.add(place)
                if isinstance(item, h5py.Dataset):
                    found.append((f"{at}/{name}", item))
                elif isinstance(item, h5py.Group):
                    groups.append((f"{at}/{name}", item))
    return found


def _field(file, path: str | Path, name: str):
    """The one dataset called `name`, at whatever depth of the file."""
    with name_damage(path):
        arrays = _datasets(file)
    found = [item for at, item in arrays if at.split("/")[-1] == name]
    if len(found) != 1:
        there = ", ".join(sorted(at for at, item in arrays if not found or item in found)) or "none"
        raise InputError(f"{path}: {len(found)} fields called {name}, exactly one is needed; it has {there}")
    with name_damage(path):
        if found[0].dtype.kind not in "biuf":
            raise InputError(f"{path}: {name} holds {found[0].dtype}; expected numbers")
        check_filters(found[0], path)
    return found[0]


def _labels(file, path: str | Path) -> np.ndarray:
    """The labels of the file, 0 … 7 (N,)."""
    stored = _field(file, path, LABELS)
    if not 0 < stored.size <= MOST_LABELS:
        raise InputError(f"{path}: {LABELS} holds {stored.size} labels; expected one for each sample")
    with name_damage(path):
        raw = stored[()].ravel()
    wrong = ~np.isin(raw, np.arange(1, len(LABEL_NAMES) + 1))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(f"{path}: {LABELS}[{first}] is {raw[first]}; labels are 1 to {len(LABEL_NAMES)}")
    return raw.astype(int) - 1


def axes(
    shape: tuple[int, ...], samples: int, bands: int, where: str,
    *, sample_axis: int | None = None, band_axis: int | None = None,
) -> tuple[int, ...]:  # fmt: skip
    """The axes of `shape` for (sample, first spatial, second spatial, band); no band axis for (N, H, W) with bands=1.

    Raises `InputError` that begins with `where` if no choice fits, or several do.
    """
    every = range(len(shape))
    given = {"sample_axis": sample_axis, "band_axis": band_axis if bands > 1 else None}
    for setting, axis in given.items():
        if axis is not None and not -len(shape) <= axis < len(shape):
            raise InputError(f"{where}: {setting} {axis} does not exist")
    sample, band = (None if axis is None else axis % len(shape) for axis in given.values())
    flat = len(shape) == 3 and bands == 1
    fits = [
        (s, b)
        for s in ([sample] if sample is not None else every)
        if shape[s] == samples
        for b in ([None] if flat else [band] if band is not None else every)
        if flat or (b != s and (shape[b] == bands or band is not None))
    ]
    if len(shape) not in ((3, 4) if bands == 1 else (4,)) or not fits:
        raise InputError(f"{where}: no axes for {samples} samples (as many as labels) of {bands}-band images")
    if len(fits) > 1:
        setting = "sample_axis" if len({s for s, _ in fits}) > 1 else "band_axis"
        raise InputError(f"{where}: more than one axis fits; set {setting} to the right one, 0 to {len(shape) - 1}")
    s, b = fits[0]
    spatial = [axis for axis in every if axis not in (s, b)]
    return (s, *spatial) if flat else (s, *spatial, b)
