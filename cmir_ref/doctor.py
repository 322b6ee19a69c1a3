"""What this machine has."""

import os
import platform
from pathlib import Path

from .backend import GPUUnavailable, describe, library
from .data.locate import find
from .errors import InputError
from .packages import installed

PACKAGES = (
    "cmir-ref",
    "numpy",
    "scipy",
    "h5py",
    "librosa",
    "pillow",
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


def examine(root: str | Path | None) -> dict[str, dict[str, str]]:
    """Versions, processor and BLAS, GPU, and which data sets lie below `root`, each as name -> text."""
    from threadpoolctl import threadpool_info

    packages = {"Python": platform.python_version()} | {name: installed(name) for name in PACKAGES}
    machine = {
        "system": platform.platform(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
    for pool in threadpool_info():
        machine[pool.get("internal_api", pool["user_api"])] = f"{pool.get('version')}, {pool['num_threads']} threads"
    try:
        gpu = describe(library("cuda"))
    except GPUUnavailable as error:
        gpu = {"cuda": str(error).removeprefix("device cuda: ")}
    found = {}
    for name, files in DATA_SETS.items():
        try:
            found[name] = ", ".join(str(find(root, file)) for file in files)
        except InputError as error:
            found[name] = f"not found: {error}"
    return {"packages": packages, "machine": machine, "gpu": gpu, "data": found}
