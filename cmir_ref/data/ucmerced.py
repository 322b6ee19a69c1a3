"""UC Merced Land Use: 21 classes of aerial RGB images, with 17 labels of which an image carries one or several.

Images: Yang & Newsam, ACM SIGSPATIAL GIS 2010. Labels: Chaudhuri, Banerjee, Chaudhuri & Bhattacharya, IEEE TGRS 2018.
"""

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import Modality
from .images import read_images
from .locate import find_file, say_passed_over, select_files, subfolders
from .mat import read_field

LABEL_NAMES = (
    "airplane", "bare-soil", "buildings", "cars", "chaparral", "court", "dock", "field", "grass", "mobile-home",
    "pavement", "sand", "sea", "ship", "tanks", "trees", "water",
)  # fmt: skip
CLASS_NAMES = (
    "agricultural", "airplane", "baseballdiamond", "beach", "buildings", "chaparral", "denseresidential", "forest",
    "freeway", "golfcourse", "harbor", "intersection", "mediumresidential", "mobilehomepark", "overpass", "parkinglot",
    "river", "runway", "sparseresidential", "storagetanks", "tenniscourt",
)  # fmt: skip


def load_images(
    root: str | Path, *, size: int = 64, labels: str = "multi", progress: bool = False, name: str = "image"
) -> Modality:
    """The images below `Images/` as (N, size, size, 3) uint8; any subset of folders and files will do.

    `labels="multi"` gives multi-hot labels (N, 17) from LandUse_multilabels.mat, `labels="class"` the folder's number
    in `CLASS_NAMES` (N,). Files end in .tif or .tiff, in any case; others are passed over, and counted in the remarks.
    Raises `InputError` for an unknown or empty folder, an image that is not called `<class>NN.tif` or twice so, a
    label file of another shape, and what `read_image` and `find_file` refuse.
    """
    if labels not in ("multi", "class"):
        raise InputError(f"labels: {labels!r} is unknown; use multi (17 labels) or class (21 folders)")
    paths, columns, others = list_images(find_file(root, "Images"))
    classes = columns // 100
    label = load_multilabels(root)[columns] if labels == "multi" else classes
    pictures = read_images(paths, size, progress=progress)
    return Modality(
        name, "image", pictures.x, label, ids=tuple(path.stem for path in paths), paths=tuple(map(str, paths)),
        groups=np.array(CLASS_NAMES)[classes], span=pictures.span,
        remarks=say_passed_over(others, "images") + pictures.remarks,
    )  # fmt: skip


def load_multilabels(root: str | Path) -> np.ndarray:
    """LandUse_multilabels.mat as multi-hot uint8 (2100, 17): row 100 · class + NN of the image `<class>NN.tif`."""
    path = find_file(root, "LandUse_multilabels.mat")
    table = read_field(path, "labels")
    if table.shape != (17, 2100) or not np.isin(table, (0, 1)).all():
        raise InputError(f"{path}: labels must be 0 or 1 in a 17 × 2100 table, got shape {table.shape}")
    return table.T.astype(np.uint8)


def list_images(folder: Path) -> tuple[list[Path], np.ndarray, int]:
    """Paths and label columns (N,) of the images below `folder`, by their names; how many other files there are."""
    paths, columns, others = [], {}, 0
    for sub in subfolders(folder):
        if sub.name not in CLASS_NAMES:
            raise InputError(f"{sub}: unknown class folder; the 21 classes are {', '.join(CLASS_NAMES)}")
        files, passed_over = select_files(sub, (".tif", ".tiff"))
        if not files:
            raise InputError(f"{sub}: class folder without images; expected {sub.name}00.tif and so on")
        others += passed_over
        for path in files:
            number = re.fullmatch(rf"{sub.name}(\d\d)", path.stem)
            if not number:
                raise InputError(f"{path}: expected a name like {sub.name}00.tif")
            column = 100 * CLASS_NAMES.index(sub.name) + int(number[1])
            if column in columns:
                raise InputError(f"{path}: the same image as {columns[column].name}; keep one of them")
            columns[column] = path
            paths.append(path)
    if not paths:
        raise InputError(f"{folder}: no class folders; expected Images/<class>/<class>NN.tif")
    return paths, np.array(list(columns)), others
