"""Features that were computed before, in the user's cache folder, found again by the content of each sample.

A store is a folder for one network and one preprocessing; a file in it holds the features of a few samples under the
digests of what was read. So a file that was renamed is found, and one that changed is not.
"""

import hashlib
from pathlib import Path

import numpy as np

from .. import params
from ..errors import InputError
from ..files import cannot_be_written
from .cache import cache_dir

ADVICE = "; set CMIR_CACHE to a folder that can be"
VERSION = 1  # of what is computed: raise it whenever features would come out differently


class FeatureStore:
    """The features of one network and preprocessing, which `maker` tells apart from all others."""

    def __init__(self, maker: str):
        self.folder = cache_dir() / f"features-{hashlib.sha256(f'{VERSION} {maker}'.encode()).hexdigest()[:20]}"
        self.known: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            tensors, _ = params.load_tensors(path)
            digests, features = tensors["digests"], tensors["features"]
        except (InputError, KeyError):  # damaged from outside: what it held is computed again
            return
        self.known |= {digest.tobytes(): row for digest, row in zip(digests, features, strict=True)}

    def keep(self, digests: list[bytes], features: np.ndarray) -> None:
        """Keeps the features (n, D) of samples with these digests.

        Raises `InputError` where the cache cannot be written: a training would compute them again and again.
        """
        name = hashlib.sha256(b"".join(digests)).hexdigest()[:20]
        rows = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_be_written(self.folder, error, ADVICE) from error
        try:
            params.save_tensors(self.folder / f"{name}.safetensors", {"digests": rows, "features": features})
        except InputError as error:  # a full disk, a store that another user has made
            raise InputError(f"{error}{ADVICE}") from error
        self.known |= dict(zip(digests, features, strict=True))


def content_digest(sample: np.ndarray | bytes) -> bytes:
    """The digest of one sample: of a file's bytes, or of an array's numbers, shape and dtype."""
    if isinstance(sample, bytes):
        return hashlib.sha256(sample).digest()
    head = f"{sample.shape} {sample.dtype}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(sample).tobytes()).digest()
