"""Writers of small data sets in the true layout of the real ones."""

import os
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from cmir_ref.data import Dataset, Modality
from cmir_ref.errors import InputError


@pytest.fixture
def refused():
    """`with refused("part", …)`: the body must raise an InputError of one line that has all the parts in it."""

    @contextmanager
    def check(*parts):
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        assert [part for part in parts if str(part) not in message] == [], message

    return check


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip that says what is missing."""
    if not os.environ.get("CMIR_DATA"):
        pytest.skip("CMIR_DATA is not set: tests on real data need the folder that holds them")
    return Path(os.environ["CMIR_DATA"])


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An RGB picture that no flip, transposition or exchange of bands leaves as it is."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 20, (height, width, 3))
    return (np.stack([200 * y / height, 120 * x / width, 60 + 90 * y * x / height / width], -1) + noise).astype(
        np.uint8
    )


@pytest.fixture
def write_ucmerced(tmp_path):
    """Write `Images/<class>/<class>NN.tif` and LandUse_multilabels.mat; returns folder, pictures by id and table."""

    def write(classes=("agricultural", "airplane", "forest"), numbers=(0, 3, 41), side=(32, 32), root=tmp_path / "ucm"):
        table = np.zeros((17, 2100), np.uint8)
        table[np.random.default_rng(0).integers(0, 17, 2100), np.arange(2100)] = 1
        table[16, ::3] = 1
        pictures = {}
        for c in classes:
            (root / "Images" / c).mkdir(parents=True)
            for k in numbers:
                pictures[f"{c}{k:02d}"] = picture(*side, seed=k)
                Image.fromarray(pictures[f"{c}{k:02d}"]).save(root / "Images" / c / f"{c}{k:02d}.tif")
        scipy.io.savemat(root / "LandUse_multilabels.mat", {"labels": table})
        return root, pictures, table

    return write


@pytest.fixture
def write_dsrsid(tmp_path):
    """Write DSRSID.mat in MATLAB's reversed axis order (or as given) and return folder, PAN, MUL (NHWC) and labels."""

    def write(n=10, order=(0, 1, 2, 3), matlab=True, labels=None, pan=(8, 12), mul=(3, 5), group="", **extra):
        random = np.random.default_rng(1)
        x_pan = random.integers(1, 1024, (n, *pan)).astype(np.uint16)
        x_mul = random.integers(1, 1024, (n, *mul, 4)).astype(np.uint16)
        labels = np.arange(n) % 8 + 1 if labels is None else np.asarray(labels)
        stored = {
            "MUL_IMAGES": x_mul.transpose(order),
            "PAN_IMAGES": x_pan.transpose([axis for axis in order if axis != 3]),
            "LAND_COVER_TYPES": labels.astype(np.float64)[:, None],
            **extra,
        }
        (tmp_path / "DSRSID.mat").unlink(missing_ok=True)  # an earlier one may still be open
        with h5py.File(tmp_path / "DSRSID.mat", "w", userblock_size=512) as file:
            for name, array in stored.items():
                field = file.create_dataset(f"{group}/{name}", data=array.T if matlab else array)
                if matlab:
                    field.attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
        return tmp_path, x_pan[..., None], x_mul, labels

    return write


@pytest.fixture
def write_speech(tmp_path):
    """Write `<label>/<voice>.wav`: a tone a label, between silences; returns the folder."""
    import soundfile

    def write(labels=("airplane", "trees"), voices=("ann", "bob", "cem"), suffix="wav", rate=16000):
        folder = tmp_path / "speech"
        for i, label in enumerate(labels):
            (folder / label).mkdir(parents=True)
            for j, voice in enumerate(voices):
                t = np.arange(int(0.3 * rate)) / rate
                tone = 0.4 * np.sin(2 * np.pi * (300 + 200 * i + 20 * j) * t)
                silence = np.zeros(rate // 5)
                soundfile.write(folder / label / f"{voice}.{suffix}", np.r_[silence, tone, silence], rate)
        return folder

    return write


def modality(labels, *, name="a", kind="features", groups=None, x=None) -> Modality:
    """A modality in memory with these labels."""
    n = len(labels)
    groups = np.array(["g"] * n) if groups is None else np.asarray(groups)
    x = np.ones((n, 3), np.float32) if x is None else x
    ids = tuple(f"{name}{k}" for k in range(n))
    return Modality(name, kind, x, np.asarray(labels), ids, tuple(f"{name}.mat:{k}" for k in range(n)), groups)


@pytest.fixture(scope="session")
def make():
    """`make.modality(labels, …)` and `make.dataset(a, b, classes, pairing)` in memory."""

    class Make:
        @staticmethod
        def dataset(a, b, classes, pairing=None):
            return Dataset({"a": a, "b": b}, tuple(f"class{c}" for c in range(classes)), pairing)

    Make.modality, Make.picture = staticmethod(modality), staticmethod(picture)
    return Make
