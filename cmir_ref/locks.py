"""Locks on folders: one process writes into a folder at a time, and the next is told which one that is."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

LOCK = ".lock"  # the file in a locked folder
FAR = 1 << 30  # the byte that Windows locks, beyond the number that others read
MOMENT = 1.0  # seconds that a killed process may keep its lock: a child it was just starting ends after it
BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # another process has it; any other error: no locks on this disk


class Held(InputError):
    """Another process works in the folder."""


@contextmanager
def locked(folder: str | Path, name: str = LOCK, *, wait: Callable[[str], object] | None = None) -> Iterator[bool]:
    """Keeps every other process out of `folder` (an existing one) while the body runs.

    The lock is one of the operating system on the file `name` in the folder, which also holds the number of the
    process: it ends with the process, however that ends, and the file goes with it where there is time. Raises `Held`,
    which names the process, where another has the lock; with `wait` it calls that with the reason, and waits. Raises
    `InputError` where the folder cannot be written. Yields whether there is a lock: some network disks know none.
    """
    path, told, until = Path(folder) / name, False, time.monotonic() + MOMENT
    while (taken := _take(path)) is None:
        if time.monotonic() < until and not _runs(path):
            time.sleep(0.02)
            continue
        reason = f"{folder}: in use by another process{_holder(path)}"
        if wait is None:
            raise Held(f"{reason}; wait for its end, or name another folder")
        if not told:
            wait(f"{reason}; waiting for it")
        told = True
        time.sleep(0.2)
    lock, sure = taken
    try:
        yield sure
    finally:
        if os.name == "nt":  # where an open file cannot be removed
            os.close(lock)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(lock)


def _take(path: Path) -> tuple[int, bool] | None:
    """(the open file with the number of this process in it, whether it is locked); None where another has it."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be written ({error.strerror})") from error
        try:
            sure = _lock(file)
            if sure is None:
                os.close(file)
                return None
            if os.name != "nt" and not _is(file, path):  # removed by its last holder after it was opened here
                os.close(file)
                continue
            os.ftruncate(file, 0)
            with suppress(OSError):  # a full disk: the lock holds, though nobody learns whose it is
                os.write(file, str(os.getpid()).encode())
        except BaseException:
            os.close(file)
            raise
        return file, sure


def _is(file: int, path: Path) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(file: int) -> bool | None:
    """Locks an open file until it is closed or the process ends; None where another has, False where none can."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in BUSY else False
    return True


def _runs(path: Path) -> bool:
    """Whether the process that wrote itself into a lock file still runs; True where that cannot be told."""
    if os.name != "nt":  # where signal 0 would end it
        with suppress(OSError, ValueError, OverflowError):
            number = int(path.read_bytes())
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                return False
    return True


def _holder(path: Path) -> str:
    """The number of the process that wrote itself into a lock file, in brackets."""
    with suppress(OSError, ValueError):
        return f" (pid {int(path.read_bytes())})"
    return ""
