"""Features of any folder of images, for whoever goes on with them: cut where asked, computed, and written."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import library
from ..errors import InputError
from ..files import whole_file, whole_folder
from .decode import image_size_of
from .features import write_features
from .images import image_suffixes, look_at_images, read_image
from .locate import say_passed_over
from .onnx_network import onnx_network
from .trunk import FeatureNetwork, compute_features, trunk_network

LEFT_BEHIND = ("Thumbs.db", "desktop.ini")  # by systems, beside hidden files


def choose_network(
    size: int | None = None,
    *,
    weights: str | Path | None = None,
    onnx: str | Path | None = None,
    output: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str = "cpu",
) -> FeatureNetwork:
    """EfficientNet-Lite0 or, with `onnx`, the network of that file; `output`, `mean` and `std` belong to the latter.

    Raises `InputError` for arguments that do not go together, and what either network raises.
    """
    own = {"output": output, "mean": mean, "std": std}
    given = {name: value for name, value in own.items() if value is not None}
    if onnx is None:
        if given:
            raise InputError(f"--{next(iter(given))} belongs to --onnx MODEL.onnx")
        return trunk_network(None if weights is None else str(weights), size or 224, library(device))
    if weights is not None or device != "cpu":
        raise InputError("--onnx runs its own weights, on the CPU; leave --weights and --device out")
    return onnx_network(onnx, size=size, **given)


def read_numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """The one or three numbers of an option, "124,116,104"; raises `InputError` for anything else."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not np.isfinite(numbers).all():
        raise InputError(f"{option} {text}: one number or three, with commas between them, as 124,116,104")
    return numbers


class ImageFeatures(NamedTuple):
    """Features of images, or of the tiles that they were cut into."""

    features: np.ndarray  # (N, D) float32
    paths: tuple[str, ...]  # below the folder, with /
    boxes: np.ndarray  # (N, 4) int: top, left, height and width in pixels of the image
    remarks: tuple[str, ...]  # what is said of how they were read


def list_image_files(folder: str | Path) -> tuple[list[Path], int]:
    """(all images below a folder, in the order of their paths, how many other files there are).

    Hidden files and what systems leave behind do not count. Raises `InputError` for a folder that is not there or
    holds no image.
    """
    folder, suffixes = Path(folder), image_suffixes()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of images")
    below, seen = [], set()
    for top, folders, names in os.walk(folder, followlinks=True):  # class folders may be links, as elsewhere
        folders[:] = [name for name in folders if not name.startswith(".")]
        if (real := os.path.realpath(top)) in seen:
            folders.clear()  # a link that leads back
            continue
        seen.add(real)
        below += [Path(top, name) for name in names]
    files = sorted(
        path
        for path in below
        if path.is_file()
        and path.name not in LEFT_BEHIND
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    images = [path for path in files if path.suffix.lower() in suffixes]
    if not images:
        raise InputError(f"{folder}: no images in it")
    return images, len(files) - len(images)


def tile_boxes(height: int, width: int, tile: int | None) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of the tiles that cover an image; without `tile`, the image itself.

    They lie side by side from the top left; the last of each row and column is moved back to the border, over its
    neighbour. A side shorter than `tile` is not cut.
    """
    if tile is None:
        return [(0, 0, height, width)]
    h, w = min(tile, height), min(tile, width)
    tops, lefts = ([*range(0, n - t, t), n - t] for n, t in ((height, h), (width, w)))
    return [(top, left, h, w) for top in tops for left in lefts]


def image_features(
    folder: str | Path, network: FeatureNetwork, *, tile: int | None = None, progress: bool = False
) -> ImageFeatures:
    """The features of all images below `folder`, one row an image or, with `tile`, one a tile.

    One image at a time is in memory. Raises `InputError` for what `list_image_files` and `read_image` refuse, and for a
    tile below 32 pixels.
    """
    if tile is not None and tile < 32:
        raise InputError(f"tile: {tile} pixels a side; 32 are the least that such a network makes something of")
    files, others = list_image_files(folder)
    span, remarks = look_at_images(files, progress=progress)
    sizes = [image_size_of(path) for path in files]
    boxes = [(path, box) for path, size in zip(files, sizes, strict=True) for box in tile_boxes(*size, tile)]

    def tiles() -> Iterator[np.ndarray]:
        opened, image = None, None
        for path, (top, left, h, w) in boxes:
            if path != opened:
                opened, image = path, read_image(path, span=span)
            yield image[top : top + h, left : left + w]

    features = compute_features(network, tiles(), len(boxes), progress=progress)
    paths = tuple(path.relative_to(folder).as_posix() for path, _ in boxes)
    return ImageFeatures(
        features, paths, np.array([box for _, box in boxes]), say_passed_over(others, "images") + remarks
    )


def write_image_features(out: str | Path, found: ImageFeatures, maker: str) -> Path:
    """Writes a new folder `out`: features.npz (features, paths, boxes, maker) and the released code's scores.mat.

    It is there whole or not at all; raises `InputError` where it exists or cannot be written.
    """
    with whole_folder(out) as folder:
        write_features(folder, scores=found.features)
        with whole_file(folder / "features.npz") as file:
            np.savez(file, **found._asdict() | {"paths": np.array(found.paths), "maker": np.array(maker)})
    return Path(out)
