"""librosa, also where neither its own folder nor a home can be written (a container that is only read)."""

import atexit
import os
import shutil
import tempfile
from types import ModuleType

from ..errors import InputError
from .cache import cache_dir


def load_librosa() -> ModuleType:
    """librosa with the parts that are used here.

    Its compiler, numba, keeps what it compiled beside librosa, or else in the home folder. Where it can write neither,
    it is given a place in the cache folder of this package (`CMIR_CACHE`), or else a temporary one. Raises
    `InputError` where there is none at all.
    """
    import librosa

    try:
        touch_parts(librosa)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        set_compiler_cache(writable_folder())
        touch_parts(librosa)
    return librosa


def touch_parts(librosa: ModuleType) -> None:
    """Loads the parts of librosa, which come when they are first asked for; numba then looks for its cache."""
    _ = librosa.load, librosa.resample, librosa.effects.trim, librosa.filters.mel


def set_compiler_cache(folder: str) -> None:
    """Lets numba, in this process and in those that it starts, keep what it compiles in `folder`."""
    import numba

    os.environ["NUMBA_CACHE_DIR"] = folder
    numba.config.reload_config()


def writable_folder() -> str:
    """A folder of this user in the cache folder, or else a temporary one, which goes when the process ends.

    Nobody else may write into it: what numba reads there, it runs.
    """
    try:
        folder = cache_dir() / "numba"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except (OSError, InputError):
        pass
    try:
        temporary = tempfile.mkdtemp(prefix="cmir-ref-numba-")
    except OSError as error:
        raise InputError(
            "librosa's compiler has no place for what it compiles; set NUMBA_CACHE_DIR to a folder that can be written"
        ) from error
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary
