"""What this machine has."""

import platform
from pathlib import Path

from .backend import GPUUnavailable, describe_gpu, library
from .data.caption_report import report_captions
from .data.images import image_copies
from .data.locate import data_folder, find_file
from .data.ucmerced import list_images
from .errors import InputError
from .packages import installed
from .parallel import cores
from .text import count_of

PACKAGES = (
    "cmir-ref",
    "numpy",
    "scipy",
    "h5py",
    "librosa",
    "pillow",
    "tifffile",
    "rasterio",
    "matplotlib",
    "safetensors",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "torch",
)
DATA_SETS = {
    "ucmerced": ("Images", "LandUse_multilabels.mat"),
    "speech-features": ("speech.mat", "splab.mat"),
    "dsrsid": ("DSRSID.mat",),
}


def examine(root: str | Path | None, *, progress: bool = False) -> dict[str, dict[str, str]]:
    """Versions, processor and BLAS, GPU, and which data sets lie below `root`, each as name -> text.

    Of a caption file there, also what its captions are like; without one, which images of UC Merced are there twice.
    """
    from threadpoolctl import threadpool_info

    packages = {"Python": platform.python_version()} | {name: installed(name) for name in PACKAGES}
    machine = {
        "system": platform.platform(),
        "cores": str(cores()),
    }
    for pool in threadpool_info():
        threads = count_of(pool["num_threads"], "thread")
        machine[pool.get("internal_api", pool["user_api"])] = f"{pool.get('version')}, {threads}"
    try:
        gpu = describe_gpu(library("cuda"))
    except GPUUnavailable as error:
        gpu = {"cuda": str(error).removeprefix("device cuda: ")}
    data_sets = {}
    for name, files in DATA_SETS.items():
        try:
            data_sets[name] = ", ".join(str(find_file(root, file)) for file in files)
        except InputError as error:
            data_sets[name] = f"not found: {error}"
    try:
        captions = report_captions(data_folder(root), progress=progress)
    except InputError as error:
        captions = {"captions": f"not found: {error}"}
        if not data_sets["ucmerced"].startswith("not found"):
            data_sets["ucmerced twice"] = describe_copies(find_file(root, "Images"), progress)
    return {"packages": packages, "machine": machine, "gpu": gpu, "data": data_sets, "captions": captions}


def describe_copies(folder: Path, progress: bool = False) -> str:
    """Which images of UC Merced hold the same pixels: a part may test what another has trained on."""
    try:
        paths, *_ = list_images(folder)
        twice = image_copies(paths, progress=progress)
    except InputError as error:
        return f"not looked at: {error}"
    first = f", the first {' and '.join(paths[i].stem for i in twice[0])}" if twice else ""
    return f"{count_of(len(twice), 'image')} more than once{first}"
