"""Finding a data set's files by name."""

import glob
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..text import count_of

LEFT = ("Thumbs.db", "desktop.ini")  # files that systems leave behind, beside hidden ones


def data_root(given: str | Path | None = None) -> str | Path | None:
    """The folder that is searched for data: `given`, or CMIR_DATA; an empty text is none, not the current folder."""
    return given or os.environ.get("CMIR_DATA") or None


def data_folder(root: str | Path | None) -> Path:
    """`root` as an existing folder; raises `InputError` where none is given or it does not exist."""
    if root is None or root == "":
        raise InputError("no data folder: give --data DIR or set the environment variable CMIR_DATA")
    if not Path(root).is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the data sets")
    return Path(root)


def find_file(root: str | Path | None, name: str) -> Path:
    """The one file or folder called `name` at most three levels below `root` (or `root` itself, if called so).

    Raises `InputError` where there is none, and where there are two: the message names both paths.
    """
    root = data_folder(root)
    found = files_called(root, name)
    if not found:
        raise InputError(f"{root}: no {name} at most three levels below; give the folder that holds it")
    if len(found) > 1:
        raise InputError(
            f"two candidates for {name}: {found[0]} and {found[1]}; give the folder that holds the right one"
        )
    return found[0]


def find_folder(root: str | Path | None, given: str) -> Path:
    """The folder `given`: a path, or a name of one in the current folder or at most three levels below `root`.

    Raises `InputError` where there is none, and where there are two.
    """
    here = [Path(given)] if Path(given).is_dir() else []
    if Path(given).name != given:
        return data_folder(given)
    below = files_called(data_folder(root), given) if root else []
    found = {path.resolve(): path for path in (*here, *below)}
    if not found:
        where = f", or at most three levels below {root}" if root else ""
        raise InputError(f"{given}: no such folder here{where}; give the path of a folder")
    if len(found) > 1:
        one, two, *_ = found
        raise InputError(f"two candidates for {given}: {one} and {two}; give the path of the right one")
    return next(iter(found.values()))


def select_files(folder: Path, suffixes: Iterable[str]) -> tuple[list[Path], int]:
    """The files of `folder` with one of these suffixes (lower case) in any case, by name; how many others there are.

    Hidden files, which systems leave behind, and folders are neither.
    """
    there = [p for p in folder.iterdir() if not p.name.startswith(".") and p.name not in LEFT]
    for path in there:
        if path.suffix.lower() in suffixes and path.is_symlink() and not path.exists():
            raise InputError(f"{path}: a link to a file that is not there; bring the file, or remove the link")
    files = sorted(path for path in there if path.is_file())
    fits = [path for path in files if path.suffix.lower() in suffixes]
    return fits, len(files) - len(fits)


def refuse_deeper(folder: Path, suffixes: Iterable[str], kind: str) -> None:
    """Raises `InputError` where a folder of `folder` has files with one of these suffixes: half of a class is there."""
    deeper = next((below for below in subfolders(folder) if select_files(below, suffixes)[0]), None)
    if deeper is not None:
        raise InputError(f"{deeper}: {kind} below a class folder; put them into {folder}, or move the folder away")


def say_passed_over(count: int, kind: str) -> tuple[str, ...]:
    """What a report says of `count` files that are no `kind`: nothing where there are none."""
    return (f"{count_of(count, 'file')} passed over as no {kind}",) if count else ()


def say_loose(folder: Path, suffixes: Iterable[str], kind: str) -> tuple[str, ...]:
    """What a report says of files with these suffixes that lie beside the class folders of `folder`."""
    count = len(select_files(folder, suffixes)[0])
    return (f"{count_of(count, kind)} in no class folder passed over",) if count else ()


def files_called(root: Path, name: str) -> list[Path]:
    """Files and folders called `name` at most three levels below `root`, or `root` itself, if called so."""
    found = [root] if root.resolve().name == name else []
    escaped = glob.escape(name)
    for pattern in (escaped, f"*/{escaped}", f"*/*/{escaped}"):
        found += sorted(root.glob(pattern))
    return list({path.resolve(): path for path in found}.values())  # a link and its target are one candidate


def subfolders(folder: Path) -> list[Path]:
    """The folders directly below `folder` in the order of their names, hidden ones left out.

    Raises `InputError` for a link that may have been to one, and leads nowhere: a class would be missing unsaid.
    """
    there = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in there:
        if path.is_symlink() and not path.exists() and not path.suffix:
            raise InputError(f"{path}: a link to a folder that is not there; bring the folder, or remove the link")
    return [path for path in there if path.is_dir()]


def label_of(folder: Path) -> str:
    """The label that a folder's name is: accents composed, for file systems keep them in either form (NFC, NFD)."""
    return unicodedata.normalize("NFC", folder.name)
