"""Images through a network that ImageNet trained: what it is given, and the features that come out.

n images, H × W pixels, C bands; S is the setting `trunk_size`, D = 1280 features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, get_xp, to_device, to_host
from ..errors import InputError
from ..nets.efficientnet_lite import LITE0, LiteOutput, last_stage, lite_blocks, lite_features, output_before
from ..progress import track
from ..records import Modality
from ..training.augment import symmetries
from ..training.transfer import Turned
from .feature_cache import FeatureStore, content_digest
from .weights import load_folded_trunk, load_trunk_weights

MEAN, SCALE = 127.0, 128.0  # of the network's training: bytes become (x − 127)/128
BLOCK = 32  # images at a time
CACHED_FROM = 16  # fewer images, such as one query, are computed anew


class TrunkInput(NamedTuple):
    """What makes the network's input (n, S, S, 3) of images (n, H, W, C) as a data set stores them."""

    size: int

    def __call__(self, images: Array) -> Array:
        """Three bands, S × S pixels, (x − 127)/128, float32.

        One band is repeated; of four (blue, green, red, near infrared) the first three are turned round. Integers are
        brought to 0 … 255 by the range of their dtype; other numbers have that range already. Where an image shrinks,
        each pixel is a mean over its area; where it grows, one between its neighbours.
        """
        xp, bands = get_xp(images), images.shape[-1]
        if bands not in (1, 3, 4):
            raise InputError(f"images of {bands} bands: the trunk takes grey, RGB, or blue, green, red, near infrared")
        x = (resize_image(images[..., 2::-1] if bands == 4 else images, self.size) - MEAN) / SCALE
        return xp.ascontiguousarray(xp.repeat(x, 3, axis=-1) if bands == 1 else x, dtype="float32")


def resize_image(images: Array, size: int) -> Array:
    """Images (n, H, W, C) as (n, size, size, C) float32, integers on the scale of bytes (see `TrunkInput`)."""
    xp, kind = get_xp(images), np.dtype(images.dtype)
    x = images.astype("float32") * np.float32(255 / np.iinfo(kind).max if kind.kind in "iu" else 1)
    for axis in (1, 2):
        if x.shape[axis] != size:
            matrix = to_device(resize_matrix(x.shape[axis], size), xp)
            x = xp.moveaxis(xp.tensordot(x, matrix, axes=(axis, 1)), -1, axis)
    return x


@lru_cache(maxsize=8)
def resize_matrix(n: int, size: int) -> np.ndarray:
    """(size, n) float32, rows that sum to 1: n pixels as `size`, means over areas or linear between neighbours."""
    if size >= n:
        where = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        return np.maximum(1 - np.abs(where[:, None] - np.arange(n)), 0).astype(np.float32)
    edges = np.arange(size + 1) * n / size
    low, high = np.maximum(edges[:-1, None], np.arange(n)), np.minimum(edges[1:, None], np.arange(n) + 1)
    return (np.maximum(high - low, 0) * size / n).astype(np.float32)


class FeatureNetwork(NamedTuple):
    """A network as `compute_features` asks it."""

    maker: str  # what its features depend on, besides the images: the same text, the same features
    prepare: Callable[[np.ndarray], Array]  # one image (1, H, W, C) as the network's input
    features: Callable[[Array], np.ndarray]  # a block of inputs -> (n, …), a row of each


def trunk_network(weights: str | None, size: int, xp: Any = np) -> FeatureNetwork:
    """EfficientNet-Lite0 for images brought to `size`: its 1 280 pooled features."""
    return _network_of(weights, size, xp, "pooled,", lambda net, x: lite_features(net, x, maps=False).pooled)


def maps_network(weights: str | None, size: int, xp: Any = np) -> FeatureNetwork:
    """EfficientNet-Lite0 for images brought to `size`: its maps and pooled features in one row, as `packed_maps`."""
    made = lambda network, x: packed_maps(lite_features(network, x), size)  # noqa: E731
    return _network_of(weights, size, xp, "maps and pooled, float16,", made)


def before_last_network(weights: str | None, size: int, xp: Any = np) -> FeatureNetwork:
    """EfficientNet-Lite0 up to its last stage: (h, w, C) float16 of an image, 1/32 of its side."""
    made = lambda network, x: output_before(network, x, last_stage(LITE0)).astype("float16")  # noqa: E731
    return _network_of(weights, size, xp, "before the last stage, float16,", made)


def map_sizes(size: int) -> tuple[tuple[int, int, int], ...]:
    """(h, w, C) of Lite0's five maps in a row of `packed_maps`: all as small as the last, 1/32 of the image's side."""
    return tuple((size // 32, size // 32, block.out) for block in lite_blocks(LITE0) if block.map)


def packed_maps(out: LiteOutput, size: int) -> Array:
    """(n, D) float16: the maps, finer ones as means over squares of pixels, then `pooled`.

    A row of 224 × 224 pixels is 53 kB; the maps themselves are 1.7 MB.
    """
    parts = []
    for map_, (h, w, c) in zip(out[:-1], map_sizes(size), strict=True):
        n, high, wide, _ = map_.shape
        squares = map_.reshape(n, h, high // h, w, wide // w, c)
        parts.append(squares.mean(axis=(2, 4)).reshape(n, h * w * c))
    return get_xp(*parts).concatenate([*parts, out.pooled], axis=1).astype("float16")


def _network_of(weights, size, xp, what, made) -> FeatureNetwork:
    """Lite0 as `compute_features` asks it, that makes features of an input by `made`."""
    network, prepare = load_folded_trunk(weights), TrunkInput(size)
    network = network._replace(arrays={name: to_device(array, xp) for name, array in network.arrays.items()})
    digest = load_trunk_weights(weights).digest
    return FeatureNetwork(
        maker=f"lite0 {digest} {what} (x - {MEAN:g})/{SCALE:g} at {size}",
        prepare=lambda image: prepare(to_device(image, xp)),
        features=lambda x: to_host(made(network, x)),
    )


def uses_trunk(settings: Any, modality: Modality) -> bool:
    """Whether the settings send this modality's samples through the trunk: pictures only, never sounds or vectors."""
    return settings.trunk == "lite0" and modality.kind in ("image", "sketch")


def frozen_images(settings: Any, modality: Modality, xp: Any = np, *, progress: bool = False) -> Modality:
    """The modality as the first network reads it: instead of images what the part of the trunk makes that is frozen.

    Of a frozen trunk these are its pooled features (N, 1280), or maps and pooled ones (N, D) where the settings read
    maps (`packed_maps`); where its last stage is trained on, maps (N, h, w, C) of the kind "maps". With the setting
    `trunk_views` they are `Turned`.
    """
    if not uses_trunk(settings, modality) or settings.trunk_training == "all":
        return modality
    last = settings.trunk_training == "last"
    network = before_last_network if last else maps_network if settings.reads_maps else trunk_network
    images, views = modality.x, symmetries(modality.x.shape)[: settings.trunk_views]
    images = images if len(views) == 1 else TurnedImages(images, views)
    x = frozen_features(images, settings.trunk_weights, settings.trunk_size, xp, network=network, progress=progress)
    x = x if len(views) == 1 else Turned(x, len(modality.x))
    return modality._replace(kind="maps" if last else "features", x=x)


class TurnedImages:
    """Images (N, H, W, C) under each of V symmetries, read as an array (V · N, H, W, C) that nobody stores."""

    def __init__(self, images: Any, views: Sequence[Callable[[np.ndarray], np.ndarray]]):
        self.images, self.views, self.shape = images, views, (len(views) * len(images), *images.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        view, row = np.divmod(index, len(self.images))
        x = np.asarray(self.images[row])
        out = np.empty_like(x)
        for k in np.unique(view):
            out[view == k] = self.views[k](x[view == k])
        return out


def frozen_features(
    images: Any,
    weights: str | None = None,
    size: int = 224,
    xp: Any = np,
    *,
    network: Callable[[str | None, int, Any], FeatureNetwork] = trunk_network,
    progress: bool = False,
) -> np.ndarray:
    """What `network` makes of images (N, H, W, C), from the cache where it is there.

    Raises `InputError` where the weights cannot be read, for images of other than 1, 3 or 4 bands, and where the cache
    cannot be written. With `progress` a bar on standard error counts the images.
    """
    if not len(images):
        return np.empty((0, LITE0.head), np.float32)
    one_by_one = (image for start in range(0, len(images), BLOCK) for image in _rows(images, start))
    cached = len(images) >= CACHED_FROM
    return compute_features(network(weights, size, xp), one_by_one, len(images), cached=cached, progress=progress)


def _rows(images: Any, start: int) -> np.ndarray:
    """The images of the block that begins at `start`, read at once where they lie in a file."""
    return np.asarray(images[np.arange(start, min(start + BLOCK, len(images)))])


def compute_features(
    network: FeatureNetwork, images: Iterable[np.ndarray], total: int, *, cached: bool = True, progress: bool = False
) -> np.ndarray:
    """Features (total, …) of images (H, W, C) of any size, a block at a time; what is known is not computed.

    What has been computed is kept in the cache block by block, so that an interrupted call loses little.
    """
    store = FeatureStore(network.maker) if cached else None
    rows, waiting = [], {}  # {number: (digest, input)}

    def compute():
        inputs = [x for _, x in waiting.values()]
        found = network.features(get_xp(inputs[0]).concatenate(inputs))
        for number, row in zip(waiting, found, strict=True):
            rows[number] = row
        if store:
            store.keep([digest for digest, _ in waiting.values()], found)
        waiting.clear()

    for number, image in enumerate(track(images, total, "features", progress)):
        digest = content_digest(image) if store else b""
        rows.append(store.known.get(digest) if store else None)
        if rows[-1] is None:
            waiting[number] = digest, network.prepare(image[None])
        if len(waiting) == BLOCK:
            compute()
    if waiting:
        compute()
    return np.stack(rows)


def trunk_digest(settings: Any) -> np.ndarray:
    """The digest of the trunk's weights as bytes, which a run keeps of each modality that went through them."""
    return np.frombuffer(bytes.fromhex(load_trunk_weights(settings.trunk_weights).digest), np.uint8)


def check_trunk(settings: Any, tensors: Mapping[str, np.ndarray], m: str, path: Path | None) -> None:
    """Raises `InputError` where a run's modality m went through other weights than those that are here now; `path` is
    its folder."""
    digest, file = tensors.get(f"input.{m}/trunk"), settings.trunk_weights
    if digest is None:
        return
    if path and file and not Path(file).is_file():
        raise InputError(f"{file}: no such file; where it was moved, name it as trunk_weights in {path}/config.toml")
    weights = load_trunk_weights(file)
    if digest.tobytes().hex() != weights.digest:
        raise InputError(f"{weights.source}: not the weights that {path or 'this run'} was trained with")


def trunk_in_words(settings: Any) -> str:
    """What the trunk is and how it is trained, for reports: it takes the place of a network of the paper's."""
    how = {"frozen": "frozen", "last": "its last blocks trained on", "all": "all of it trained on"}
    side = settings.trunk_size
    return f"EfficientNet-Lite0 with ImageNet weights, {how[settings.trunk_training]}, at {side} × {side}"
