"""Finding a data set's files by name."""

from pathlib import Path

from ..errors import InputError


def data_folder(root: str | Path | None) -> Path:
    """`root` as an existing folder; raises `InputError` where none is given or it does not exist."""
    if root is None:
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


def files_called(root: Path, name: str) -> list[Path]:
    """Files and folders called `name` at most three levels below `root`, or `root` itself, if called so."""
    found = [root] if root.resolve().name == name else []
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        found += sorted(root.glob(pattern))
    return list({path.resolve(): path for path in found}.values())  # a link and its target are one candidate


def subfolders(folder: Path) -> list[Path]:
    """The folders directly below `folder` in the order of their names, hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
