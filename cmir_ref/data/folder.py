"""Any folder of images, one subfolder a class."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Modality
from .images import read_images
from .locate import data_folder, label_of, subfolders


def load_folder(
    root: str | Path, *, size: int = 64, progress: bool = False, name: str = "image"
) -> tuple[Modality, tuple[str, ...]]:
    """Images `<class>/<image>` of any format Pillow reads, as (N, size, size, 3) uint8, and the class names.

    Labels are integers (N,), numbers of the folders in the order of their names. Raises `InputError` where there is no
    class folder, for a class without images, and what `read_image` refuses.
    """
    from PIL import Image

    root = data_folder(root)
    formats = Image.registered_extensions()
    folders = subfolders(root)
    if not folders:
        raise InputError(f"{root}: no class folders; expected <class>/<image>")
    paths, labels = [], []
    for label, sub in enumerate(folders):
        files = sorted(p for p in sub.iterdir() if p.suffix.lower() in formats and not p.name.startswith("."))
        if not files:
            raise InputError(f"{sub}: class folder without images; add some, or remove the folder")
        paths += files
        labels += [label] * len(files)
    names = tuple(map(label_of, folders))
    ids = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    x = read_images(paths, size, progress=progress)
    return Modality(name, "image", x, np.array(labels), ids, tuple(map(str, paths)), np.array(names)[labels]), names
