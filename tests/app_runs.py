"""Tiny runs, trained from files, for the page of `cmir-ref serve`: one of each kind of query that there is."""

from pathlib import Path

import drawn_worlds
import numpy as np
import worlds
from PIL import Image, ImageDraw

from cmir_ref import runs
from cmir_ref.config import load_config
from cmir_ref.data import load_data

CLASSES = ("beach", "forest", "harbor")
TEXTS = (
    "match.epochs=1", "match.batch_size=8", "match.lr=0.01", "labels.epochs=1", "labels.batch_size=8", "d=6",
    "word_width=5", "min_count=1", "match.keep=last", "scenario=image-text", "average_views=false",
)  # fmt: skip
SHORT = ("stage1.epochs=1", "stage2.epochs=2")


def write_drawings(folder: Path, classes=CLASSES, count: int = 6) -> Path:
    """`<class>/<class>N.png`: rings, strokes or a cross, each elsewhere."""
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            sheet, at = Image.new("L", (96, 96), 255), 14 + 5 * k
            pen = ImageDraw.Draw(sheet)
            if c == 0:
                pen.ellipse((at, at, at + 40, at + 40), outline=0, width=3)
            elif c == 1:
                pen.line((at, 8, at, 88), fill=0, width=3)
            else:
                pen.line((8, at, 88, at + 8), fill=0, width=3)
                pen.line((at, 8, at + 9, 88), fill=0, width=3)
            sheet.save(folder / name / f"{name}{k}.png")
    return folder


def train_drawn(root: Path) -> Path:
    """A run of photos (a) and sketches (b) in `root`/drawn, trained on files in `root`/photos and `root`/sketches."""
    worlds.write_ucmerced(root / "photos", CLASSES, 6)
    sketches = write_drawings(root / "sketches")
    classes = "[" + ", ".join(f'"{c}"' for c in CLASSES) + "]"
    changes = ("dataset=ucmerced", f"sketches={sketches}", f"classes={classes}", "gallery=all", *SHORT)
    return _train("photo-sketch", drawn_worlds.overrides(*changes), root / "photos", root / "drawn")


def train_spoken(root: Path) -> Path:
    """A run of images (a) and speech (b) in `root`/spoken."""
    worlds.write_ucmerced(root / "places", worlds.CLASS_NAMES, 3)
    speech = worlds.write_speech(root / "speech", voices=("ann", "bob", "cem"))
    changes = worlds.overrides(*SHORT, f"speech={speech}", "protocol=recordings", "d_z=16", "gallery=all")
    return _train("image-speech", changes, root / "places", root / "spoken")


def train_written(root: Path) -> Path:
    """A run of images (a) and sentences (b) in `root`/written."""
    worlds.write_captions(root / "captions", 6)
    return _train("image-text", [*TEXTS, "dataset=captions", "gallery=all"], root / "captions", root / "written")


def train_features(root: Path) -> Path:
    """A run of vectors in `root`/vectors: nothing of it can be sent as a file."""
    runs.train(worlds.config(*SHORT), worlds.features(), root / "vectors")
    return root / "vectors"


def _train(preset: str, changes, data: Path, out: Path) -> Path:
    config = load_config(preset, list(changes))
    runs.train(config, load_data(config, data), out)
    return out


def png(pixels: np.ndarray, path: Path) -> Path:
    """Pixels as a PNG file."""
    Image.fromarray(pixels).save(path)
    return path
