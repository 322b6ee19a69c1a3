"""Simulated scenes made on first use and found again afterwards, in the user's cache folder."""

import os
from pathlib import Path

from cmir_ref.data.samples import whole_folder, write_land_cover, write_objects
from cmir_ref.errors import InputError

VERSION = 1  # of what the generator draws: raise it whenever a scene would come out differently


def cache_dir() -> Path:
    """`CMIR_CACHE`, or the folder that this system keeps caches in."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("CMIR_CACHE") or user_cache_dir("cmir_ref"))


def cached_scenes(kind: str, count: int, *, seed: int = 0, progress: bool = False) -> Path:
    """The folder with `count` samples of `kind` ("land-cover", 164 KB each, or "objects", 50 KB), made if need be.

    A folder is there whole or not at all; two processes that make one at the same time both find it. Raises
    `InputError` for a count below 1, and where the cache cannot be written.
    """
    if count < 1:
        raise InputError(f"count {count}: at least 1 scene is needed")
    folder = cache_dir() / f"{kind}-{count}-seed{seed}-v{VERSION}"
    if folder.is_dir():
        return folder
    try:
        with whole_folder(folder) as out:
            if kind == "land-cover":
                write_land_cover(out, count, seed=seed, progress=progress, compress=False)
            else:
                write_objects(out, count, seed=seed, progress=progress)
    except InputError:
        if not folder.is_dir():  # else another process was first
            raise
    return folder
