"""Files and folders that appear whole or not at all, whatever ends the program while they are being written."""

import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

LFS = b"version https://git-lfs.github.com/spec/"  # what a pointer of Git LFS begins with
LENGTH = 40  # of a name, in the name of what is unfinished: file systems allow 255 bytes in all


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Writes `content` (text as UTF-8) to `path` as `whole_file` does, and returns `path`.

    A byte of a file name that is not UTF-8, which Python keeps as half of a surrogate pair, stands there as "\\xe9".
    """
    with whole_file(path) as file:
        file.write(content if isinstance(content, bytes) else name_bytes_spelled(content).encode("utf-8"))
    return Path(path)


def name_bytes_spelled(text: str) -> str:
    """`text` with each byte of a name that is not UTF-8 as "\\xe9": what a page can show."""
    return re.sub("[\udc80-\udcff]", lambda m: f"\\x{ord(m[0]) - 0xDC00:02x}", text)


def keep_apart(written: str | Path, *read: str | Path) -> None:
    """Raises `InputError` where what is to be written is one of the files that are `read`; a sentence is no file."""
    for name in read:
        same = False
        with suppress(OSError, ValueError):
            same = Path(written).samefile(name)
        if same:
            raise InputError(f"{written}: is what is read, and would be overwritten; give another name")


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write into, which becomes `path` once the body has ended well, and else is removed.

    It has another name in the same folder (`.NAME.….tmp`) until all of it is on the disk, and is then renamed. So a
    reader of `path` finds the old content or the new content, never a part of it. Raises `InputError`, which names
    `path` and the cause, where it cannot be written: no such folder, no permission, a full disk.
    """
    path = Path(path)
    if path.is_dir():  # "" is the current folder
        raise cannot_be_written(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if path.exists() and not path.is_file():  # /dev/null, a pipe: renaming would put a file in its place
        raise cannot_be_written(path, OSError(errno.EINVAL, "a device or a pipe, not a file"))
    whole = Path(os.path.realpath(path)) if path.is_symlink() else path  # a link stays one
    temporary = whole.with_name(f".{whole.name[:LENGTH]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with suppress(OSError):  # who may read the old content may read the new
                os.chmod(temporary, whole.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, whole)
    except OSError as error:
        raise cannot_be_written(path, error) from error
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
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:LENGTH]}-", dir=folder.parent))
        temporary.chmod(0o755)  # mkdtemp lets the owner alone read
        yield temporary
        if folder.exists():
            raise InputError(f"{folder}: exists already; another process has just made it")
        os.rename(temporary, folder)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "errno = " not in str(error):  # HDF5's way to say what an OSError says
            raise
        raise cannot_be_written(folder, error) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


class _NothingYet(Exception):
    """Nothing is to be written yet."""


def check_place(path: str | Path, whole: Callable = whole_file) -> None:
    """Raises `InputError` as `whole` would, a file or a folder that cannot be written: before the work whose result
    goes there."""
    with suppress(_NothingYet), whole(path):
        raise _NothingYet


def remove_leftovers(folder: str | Path, *others: str) -> None:
    """Removes the unfinished files that `whole_file` left in `folder` when the process was killed, and `others`.

    Only for a folder that no other process writes into at the same time.
    """
    for path in (*Path(folder).glob(".*.*-????????.tmp"), *(Path(folder) / name for name in others)):
        path.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Adds a line to a text file; raises `InputError`, which names it and the cause, where it cannot be written."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())  # what is written after it, and counts on it, may not be on the disk before it
    except OSError as error:
        raise cannot_be_written(path, error) from error


def cannot_be_written(path: str | Path, error: Exception, advice: str = "") -> InputError:
    """The error that names the file and the cause: a full disk, a quota, no permission, a disk that is only read."""
    told = re.search(r"error message = '([^']+)'|^\[+\(.*\[Errno \d+\] ([^:']+)", str(error), re.DOTALL)  # HDF5, shutil
    cause = (told[1] or told[2]) if told else getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({cause}){advice}")


def check_readable(path: str | Path) -> None:
    """Raises `InputError`, which names the file and the cause, for one that is there but cannot be opened, or stands
    for a file that was not fetched."""
    try:
        with open(path, "rb") as file:
            pointer = file.read(len(LFS)) == LFS
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return  # the reader says what it expects
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if pointer:
        raise InputError(f"{path}: a pointer of Git LFS in place of the file; fetch it by `git lfs pull`")


def check_file(path: str | Path) -> None:
    """Raises `InputError` where there is no such file, and as `check_readable` does."""
    if not Path(path).is_file():
        raise InputError(f"{path}: {'a folder; give a file' if Path(path).is_dir() else 'no such file'}")
    check_readable(path)
