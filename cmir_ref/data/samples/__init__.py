"""The simulated world as files, in the real data sets' own formats: what a reader of those reads, it reads here too."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...config import MOST
from ...errors import InputError
from ...files import whole_folder
from ...parallel import signals_held
from ...progress import on_terminal
from .. import dsrsid, ucmerced
from ..large import HEADER, write_large_land_cover

A_CLASS = 100  # images that UC Merced's layout has room for in a class
BUNDLED = {"land-cover": 40, "objects": 84}  # pairs and scenes in data_samples
SPLITS = ("train",) * 8 + ("val", "test")  # of UCM-Captions: 80, 10 and 10 % of each class


def samples_dir() -> Path:
    """The bundled sample: `cmir_ref/_samples` of an installed package, `data_samples` of a checkout."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_samples", package.parent / "data_samples"):
        if (folder / "speech").is_dir():
            return folder
    raise InputError(f"{package}: the bundled sample is missing; install cmir-ref anew, or run it from a checkout")


def write_land_cover(folder: Path, pairs: int, *, seed: int = 0, progress: bool = False, compress: bool = True) -> None:
    """`pairs` PAN–MUL pairs, pair k of class k modulo 8, as `folder/DSRSID.mat` in the layout of MATLAB v7.3.

    MATLAB sees PAN_IMAGES 256 × 256 × N and MUL_IMAGES 64 × 64 × 4 × N (uint16, 10 bit) and LAND_COVER_TYPES N × 1 from
    1 to 8; HDF5 holds these axes in reverse. Where N is 4, 64 or 256, readers must be told that `sample_axis` is 0.
    """
    from .. import world

    path = folder / dsrsid.FILE
    with hdf5_file(path) as file:

        def create(modality: str, *shape: int):
            packed = {"chunks": (1, *shape), "compression": "gzip", "shuffle": True} if compress else {}
            return file.create_dataset(dsrsid.FIELDS[modality], (pairs, *shape), "<u2", **packed)

        with signals_held():
            pan, mul = create("pan", 256, 256), create("mul", 4, 64, 64)
            labels = file.create_dataset(dsrsid.LABELS, data=_label(np.arange(pairs))[None] + 1.0)
            for field, kind in ((pan, "uint16"), (mul, "uint16"), (labels, "double")):
                field.attrs["MATLAB_class"] = np.bytes_(kind)
        items = [(seed, k, _label(k)) for k in range(pairs)]
        for k, pair in enumerate(world.generate(world.land_cover, items, progress=progress)):
            with signals_held():
                pan[k], mul[k] = pair.pan[..., 0].T, pair.mul.T
    with open(path, "r+b") as file:  # the block that HDF5 leaves free: a text, the version, the byte order
        file.write(HEADER.ljust(124) + b"\x00\x02IM")


@contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """A new HDF5 file, closed with the body. What is done with it is done under `signals_held`."""
    import h5py

    with StoreForHDF5(path) as store:
        with signals_held():
            file = h5py.File(store, "w", userblock_size=512)
        try:
            yield file
        finally:
            with signals_held():
                file.close()


class StoreForHDF5(io.FileIO):
    """A new file that h5py writes into, in place of one of its own: HDF5 crashes the process where a disk is full.

    To HDF5 each write succeeds. The first that did not is raised at the end of the context, as the `OSError` it was.
    """

    def __init__(self, path: Path):
        super().__init__(path, "x+")
        self.failure: OSError | None = None

    def write(self, content: Any) -> int:
        """Writes `content` as a whole."""
        content = memoryview(content).cast("B")
        try:
            done = 0
            while done < len(content) and not self.failure:
                done += super().write(content[done:])
        except OSError as error:
            self.failure = error
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        """Makes the file as long as HDF5 wants it."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self.failure:
            raise self.failure


def _label(k):
    """The class of pair k, so that a longer set begins with a shorter one."""
    return k % len(dsrsid.LABEL_NAMES)


def write_objects(folder: Path, images: int, *, seed: int = 0, progress: bool = False) -> None:
    """`images` object scenes in the layout of UC Merced, with their sketches and captions.

    `Images/<class>/<class>NN.tif` (JPEG in TIFF, quality 85), `LandUse_multilabels.mat` (17 × 2100, zero where there is
    no image), `sketches/<class>/<class>NN.png`, and `dataset_scenes.json` in the layout of UCM-Captions, whose `imgid`
    is the image's column in the label table. Raises `InputError` for more images than the layout has room for, 2100.
    """
    import scipy.io
    from PIL import Image

    room = A_CLASS * len(ucmerced.CLASS_NAMES)
    if images > room:
        raise InputError(f"{images} object scenes: UC Merced's layout has room for {room}, {A_CLASS} a class")
    table = np.zeros((len(ucmerced.LABEL_NAMES), room), np.uint8)
    captions = []
    for column, scene in _placed(images, seed, progress):
        table[:, column] = scene.labels
        captions.append(_caption_record(column, scene))
        place = Path(scene.scene_class) / f"{scene.scene_class}{column % A_CLASS:02d}"
        for kind in ("Images", "sketches"):
            (folder / kind / scene.scene_class).mkdir(parents=True, exist_ok=True)
        picture = io.BytesIO()  # libtiff itself would report a full disk in words of its own
        Image.fromarray(scene.rgb).save(picture, "TIFF", compression="jpeg", quality=85)
        (folder / "Images" / f"{place}.tif").write_bytes(picture.getvalue())
        Image.fromarray(scene.sketch).save(folder / "sketches" / f"{place}.png")
    scipy.io.savemat(folder / "LandUse_multilabels.mat", {"labels": table}, do_compression=True)
    captions.sort(key=lambda record: record["imgid"])
    text = json.dumps({"images": captions, "dataset": "scenes"}, ensure_ascii=False)
    (folder / "dataset_scenes.json").write_text(text, encoding="utf-8")


def _placed(images: int, seed: int, progress: bool) -> Iterator[tuple[int, Any]]:
    """The first `images` scenes, each with its column, 100 · class + NN: NN counts the scenes of a class."""
    from .. import world

    taken = [0] * len(ucmerced.CLASS_NAMES)
    for scene in world.generate(world.object_scene, [(seed, k) for k in range(images)], progress=progress):
        c = ucmerced.CLASS_NAMES.index(scene.scene_class)
        if taken[c] == A_CLASS:
            raise InputError(
                f"{images} object scenes: UC Merced's layout has room for {A_CLASS} a class; ask for fewer"
            )
        yield A_CLASS * c + taken[c], scene
        taken[c] += 1


def _caption_record(column: int, scene) -> dict[str, Any]:
    """A scene's record in the JSON of UCM-Captions, and its attribute–target keywords."""
    number = int(column)
    ids = [len(scene.captions) * number + j for j in range(len(scene.captions))]
    texts = [caption.strip(" .") for caption in scene.captions]
    sentences = [
        {"tokens": text.replace(",", "").split(), "raw": f"{text} .", "imgid": number, "sentid": sentid}
        for text, sentid in zip(texts, ids, strict=True)
    ]
    return {
        "sentids": ids, "imgid": number, "sentences": sentences, "split": SPLITS[number % A_CLASS % len(SPLITS)],
        "filename": f"{number + 1}.tif", "keywords": list(scene.keywords),
    }  # fmt: skip


def write_speech(folder: Path) -> None:
    """The bundled spoken labels as `folder/<label>/<voice>.flac` (to speak them anew: `cmir_ref.data.voices`)."""
    shutil.copytree(samples_dir() / "speech", folder, dirs_exist_ok=True)


def write_samples(
    kind: str,
    folder: str | Path,
    *,
    count: int | None = None,
    seed: int = 0,
    progress: bool = False,
    layout: str | None = None,
) -> int:
    """`count` samples of `kind` in a new `folder`, whole or not at all; how many there are is returned.

    `land-cover` (DSRSID.mat, 80 pairs unless told), `objects` (UC Merced's layout, 84 scenes unless told) or `speech`
    (the 255 bundled clips). The `layout` "dsrsid" of land-cover is one uncompressed file drawn by all cores, which goes
    on where it was killed (`write_large_land_cover`). Raises `InputError` for an unknown kind, a folder that exists or
    cannot be written, a count below 1 or too large, a count of speech, and another layout.
    """
    if kind not in KINDS:
        raise InputError(f"{kind}: no such kind of samples; it is one of {', '.join(KINDS)}")
    if kind == "speech" and count is not None:
        raise InputError("speech: the clips are 17 labels in 15 voices; leave out the count")
    if count is not None and not 1 <= count <= MOST:
        raise InputError(f"count {count}: at least 1 is needed, and at most {MOST}")
    if layout is not None and (kind, layout) != ("land-cover", "dsrsid"):
        raise InputError(f"{kind}: has no format {layout}; dsrsid is one of land-cover")
    if layout == "dsrsid":
        write_large_land_cover(folder, count or USUAL_PAIRS, seed=seed, progress=progress)
        return count or USUAL_PAIRS
    with whole_folder(folder) as out:
        if kind == "speech":
            write_speech(out)
            return sum(1 for _ in out.glob("*/*.flac"))
        write, usual = KINDS[kind]
        write(out, count or usual, seed=seed, progress=progress)
        return count or usual


USUAL_PAIRS = 80
KINDS = {"land-cover": (write_land_cover, USUAL_PAIRS), "objects": (write_objects, 84), "speech": None}


def write_bundled(folder: str | Path) -> None:
    """The generated part of `data_samples/`, all but the spoken labels, in a new folder."""
    with whole_folder(folder) as out:
        write_land_cover(out, BUNDLED["land-cover"], progress=on_terminal())
        write_objects(out, BUNDLED["objects"], progress=on_terminal())
