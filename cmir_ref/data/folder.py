"""Any folder of images, one subfolder a class."""

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Modality
from .images import image_suffixes, read_images
from .locate import data_folder, label_of, say_loose, say_passed_over, select_files, subfolders


def load_folder(
    root: str | Path, *, size: int = 64, progress: bool = False, name: str = "image"
) -> tuple[Modality, tuple[str, ...]]:
    """Images `<class>/<image>` of any format Pillow decodes, as (N, size, size, 3) uint8, and the class names.

    Labels are integers (N,), numbers of the folders in the order of their names. Other files are passed over, and
    counted in the remarks. Raises `InputError` where there is no class folder, for a class without images or with some
    in a folder of its own, and what `read_image` refuses.
    """
    root, suffixes = data_folder(root), image_suffixes()
    folders = subfolders(root)
    if not folders:
        raise InputError(f"{root}: no class folders; expected <class>/<image>")
    paths, labels, others = [], [], 0
    for label, sub in enumerate(folders):
        files, passed_over = select_files(sub, suffixes)
        deeper = next((below for below in subfolders(sub) if select_files(below, suffixes)[0]), None)
        if deeper is not None:
            raise InputError(f"{deeper}: images below a class folder; expected <class>/<image>")
        if not files:
            raise InputError(f"{sub}: class folder without images; add some, or remove the folder")
        paths, others = paths + files, others + passed_over
        labels += [label] * len(files)
    names = tuple(map(label_of, folders))
    ids = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    pictures, groups = read_images(paths, size, progress=progress), np.array(names)[labels]
    images = Modality(name, "image", pictures.x, np.array(labels), ids, tuple(map(str, paths)), groups)
    remarks = say_passed_over(others, "images") + say_loose(root, suffixes, "image")
    return images._replace(span=pictures.span, remarks=remarks + pictures.remarks), names
