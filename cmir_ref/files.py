"""Files and folders that appear whole or not at all, whatever ends the program while they are being written."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import InputError


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Writes `content` (text as UTF-8) to `path` as `whole_file` does, and returns `path`."""
    with whole_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write into, which becomes `path` once the body has ended well, and else is removed.

    It has another name in the same folder (`.NAME.….tmp`) until all of it is on the disk, and is then renamed. So a
    reader of `path` finds the old content or the new content, never a part of it. Raises `InputError`, which names
    `path` and the cause, where it cannot be written: no such folder, no permission, a full disk.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` once the body has ended well, and else is removed.

    Raises `InputError` where `folder` exists, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder}: exists already; name a folder that does not")
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o755)  # mkdtemp lets the owner alone read
        yield temporary
        os.rename(temporary, folder)
    except OSError as error:
        raise _cannot_be_written(folder, error) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: str | Path) -> None:
    """Removes the unfinished files that `whole_file` left in `folder` when the process was killed.

    Only for a folder that no other process writes into at the same time.
    """
    for path in Path(folder).glob(".*.*-????????.tmp"):
        path.unlink(missing_ok=True)


def _cannot_be_written(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written ({error.strerror or error})")
