"""Drawings as ink: any paper, light or dark, scanned, transparent, or lines in an SVG file.

A sketch is (side, side, 1) uint8, 0 where the paper is bare and 255 where the ink is full.
"""

import io
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import check_file
from ..progress import track
from ..records import Modality
from ..streams import hush_libraries
from ..text import count_of
from .bands import open_image
from .decode import is_tiff
from .images import image_suffixes
from .locate import data_folder, refuse_deeper, say_loose, say_passed_over, select_files, subfolders
from .pictures import check_size, deep_values, is_deep
from .svg import read_svg

FRAMED = 0.5  # the share of a drawing's edge that is bare, at the least: of 209 drawings none has more ink than 0.34
FAINTEST = 16  # of 255 grey values: less contrast than that is paper
PAPER = 0.5  # the share of a sheet that has about one colour, where that is the paper's everywhere
BARE, ONE_SIDE, THICK, LINES, FAINT = 0.6, 0.95, 0.02, 100, 0.02  # see `like_a_drawing`
WORKING_SIDE = 1024  # pixels: larger files are read smaller
LARGE_SVG = 100_000  # letters; a larger file may take seconds, and so may a small one with what is `SLOW`:
SLOW = re.compile(r"<(?:[\w.-]+:)?use\b|stroke-dasharray")  # parts that are used again, dashes of any shortness
PATIENCE = 30  # seconds for a large file
LETTERS = re.compile(r"<(?:[\w.-]+:)?(?:text|tspan|textPath)\b[^>]*>\s*[^<\s]")  # a text that is not empty
RENDER = """import json, sys, resvg_py
text, look = sys.stdin.buffer.read().decode(), json.loads(sys.argv[1])
sys.stdout.buffer.write(bytes(resvg_py.svg_to_bytes(svg_string=text, **look)))"""
SUFFIXES = (".svg", ".svgz")


class NotADrawing(UserWarning):
    """What was read as a sketch looks like a photo, or is not what the file shows."""


def read_sketch(path: str | Path, size: int) -> np.ndarray:
    """One drawing as ink (size, size, 1) uint8, whatever its paper and pen.

    Ink is what differs from the paper around it, in any colour; the darkest strokes become 255. A sheet that is not
    square is centred on a square one. Shrinking takes the maximum over each area, so that thin lines stay. Warns
    `NotADrawing` of what `doubt_about` says. Raises `InputError` for a file that is missing or damaged and for an empty
    drawing.
    """
    signed = ink_of(read_sheet(path), path)
    if doubt := doubt_about(signed, path):
        warnings.warn(f"{path}: {doubt}", NotADrawing, 2)
    return shrink(to_square(np.abs(signed)), size)


def doubt_about(signed: np.ndarray, path: str | Path) -> str:
    """What is said of a file that is read as a sketch and has this ink (H, W): "" where it is a drawing."""
    ink = np.abs(signed)
    edge = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if not like_a_drawing(signed):
        return "looks like a photo, not a drawing; it is read as ink all the same"
    if (edge > 0.2).mean() > 1 - FRAMED:
        return "what lies around the paper is read as ink; cut the picture to the paper"
    if Path(path).suffix.lower() in SUFFIXES and LETTERS.search(read_svg(path)):
        return "its text is not drawn; make lines of it, or save it as a picture"
    return ""


def is_drawing(path: str | Path) -> bool:
    """Whether a file is an SVG, or a picture that is bare paper for the most part; errors as in `read_sketch`."""
    if Path(path).suffix.lower() in SUFFIXES:
        return True
    return like_a_drawing(ink_of(read_sheet(path), path))


def like_a_drawing(signed: np.ndarray) -> bool:
    """Whether ink (H, W), negative where it is lighter than the paper, lies there as a pen leaves it.

    Most of the paper is bare, the ink is darker than it, or lighter, everywhere, and consists of lines, or has hardly
    anything faint. A photo differs from its surroundings on both sides, in areas, and by little and by much.

    The five numbers were chosen on every second one of 1050 photos of UC Merced, 377 real and simulated sketches and as
    many made anew as scans and photos of paper; of the others 2.1 % of the photos were taken for drawings, and none of
    the sketches, 2.1 % of those made anew, for photos.
    """
    from scipy import ndimage

    ink = np.abs(signed)
    on = ink > 0.5
    width = 2 * -(-max(ink.shape) // LINES) + 1  # a square that lines do not hold
    thick = ndimage.maximum_filter(ndimage.minimum_filter(on, width, mode="constant"), width)
    share_of_thick = (on & thick).sum() / max(1, on.sum())
    faint = ((ink > 0) & (ink < 0.25)).mean()
    one_side = abs(np.sign(signed[on]).mean()) if on.any() else 0.0
    bare = (ink == 0).mean()
    return bool(bare >= BARE and one_side >= ONE_SIDE and (share_of_thick <= THICK or faint <= FAINT))


def read_sheet(path: str | Path) -> np.ndarray:
    """The file as a sheet (H, W, 3) float32 of 0 … 255: what is transparent shows white paper, or black behind white
    ink. Raises `InputError` for a file that is missing, damaged, or an SVG without the package that reads it."""
    from PIL import Image, ImageOps

    path = Path(path)
    check_file(path)
    svg = path.suffix.lower() in SUFFIXES
    if not svg and is_tiff(path) and (values := _odd_tiff(path)) is not None:
        image = Image.fromarray(values) if values.dtype == np.uint8 else _stretched(values, path)
        return np.asarray(_small(image.convert("RGB")), np.float32)
    source = io.BytesIO(render_svg(path)) if svg else path
    try:
        with Image.open(source) as file:
            check_size(file.size, path)
            file.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                image = _stretched(np.asarray(image), path)
            alpha = "A" in image.getbands() or "transparency" in image.info
            pixels = np.asarray(_small(image.convert("RGBA" if alpha else "RGB")), np.float32)
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: not an image that Pillow can read; a drawing is an image or an SVG file") from None
    except (Image.DecompressionBombError, MemoryError):  # Pillow's own limit, about twice ours
        raise InputError(f"{path}: too large for a drawing; save it with fewer pixels") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail anywhere inside a decoder
        raise InputError(f"{path}: damaged or truncated image ({error})") from error
    if not alpha:
        return pixels
    colour, cover = pixels[..., :3], pixels[..., 3:] / 255
    on_white, on_black = colour * cover + 255 * (1 - cover), colour * cover
    return on_white if np.ptp(on_white) >= FAINTEST or np.ptp(on_black) < FAINTEST else on_black


def render_svg(path: Path) -> bytes:
    """The lines of an SVG file as PNG, transparent where nothing is drawn; errors as in `read_svg`."""
    try:
        import resvg_py
    except ImportError as error:
        raise InputError(f"{path}: SVG needs the package resvg-py; pip install 'cmir-ref[svg]'") from error
    text, side = read_svg(path), WORKING_SIDE // 2
    look = {"width": side, "height": side, "dpi": 96, "skip_system_fonts": True}  # a sheet of any shape fits into them
    try:
        if len(text) > LARGE_SVG or SLOW.search(text):
            return _render_apart(text, look, path)
        with hush_libraries():
            return bytes(resvg_py.svg_to_bytes(svg_string=text, **look))
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of a damaged file, or its own panic, which is no `Exception`
        raise InputError(f"{path}: not a readable SVG file ({' '.join(str(error).split())[:100]})") from error


def _render_apart(text: str, look: dict, path: Path) -> bytes:
    """As `svg_to_bytes`, by another process: while it draws, it keeps all other threads of its own waiting."""
    words = [sys.executable, "-P", "-c", RENDER, json.dumps(look)]
    try:
        done = subprocess.run(words, input=text.encode(), capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: too many strokes, not drawn in {PATIENCE} s; save it as a picture") from None
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return done.stdout


def _odd_tiff(path: Path) -> np.ndarray | None:
    """Colours of more than 8 bits of a TIFF file, and whatever of it Pillow does not show whole; None of all others."""
    with open_image(path) as (file, odd):
        if odd is None:  # of colours Pillow keeps the upper byte, which may be empty
            return deep_values(file, path) if file.mode == "RGB" and is_deep(file) else None
        return odd[..., :3] if odd.shape[2] > 2 else odd[..., 0]


def _small(image):
    """A Pillow image of at most `WORKING_SIDE` pixels a side."""
    from PIL import Image

    if max(image.size) > WORKING_SIDE:
        image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
    return image


def _stretched(values: np.ndarray, path: Path):
    """Values of more than 8 bits as an image of bytes, from the least to the largest value."""
    from PIL import Image

    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: NaN or infinity among its pixels; numbers must be finite")
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / (high - low or 1))).astype(np.uint8))


def ink_of(sheet: np.ndarray, path: str | Path) -> np.ndarray:
    """How much ink (H, W) float32 of 0 … 1 lies on a sheet (H, W, 3), negative where it is lighter than the paper.

    The largest difference of a colour from the paper's. Full ink is the mean of the strongest thousandth; a fifth of it
    is dirt and compression. Raises `InputError` for an empty sheet.
    """
    paper = paper_of(sheet)
    difference = difference_from(sheet, paper)
    strongest = np.sort(difference, axis=None)[-max(4, difference.size // 1000) :]
    full = float(strongest.mean())
    if full < FAINTEST:
        svg = Path(path).suffix.lower() in SUFFIXES
        unseen = "; text of an SVG file is not drawn, save it as a picture" if svg else ""
        raise InputError(f"{path}: an empty drawing: nothing stands out from the paper{unseen}")
    ink = np.clip((difference / full - 0.2) / 0.6, 0, 1).astype(np.float32)
    return np.where((sheet - paper).sum(axis=2) > 0, -ink, ink)


def difference_from(sheet: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """The largest difference (H, W) of a sheet's channels (H, W, 3) from a colour, one for all or one a pixel."""
    red, green, blue = np.moveaxis(np.abs(sheet - colour), 2, 0)
    return np.maximum(np.maximum(red, green), blue)  # `max(axis=2)` takes ten times as long: three at a time


def paper_of(sheet: np.ndarray) -> np.ndarray:
    """The colour of the paper at each pixel (H, W, 3), or everywhere (3,).

    One colour, where more than half of the sheet has about the same; else, as under the shadow of a hand or a book's
    fold, the median of the surroundings, which thin lines do not move.
    """
    from scipy import ndimage

    red, green, blue = np.moveaxis(sheet.astype(np.uint8) >> 4, 2, 0).astype(np.uint16)
    rows = (red << 8 | green << 4 | blue).ravel()
    most = np.bincount(rows, minlength=4096).argmax()
    common = np.median(sheet.reshape(-1, 3)[rows == most], axis=0)
    if (difference_from(sheet, common) < FAINTEST).mean() > PAPER:
        return common
    height, width = sheet.shape[:2]
    step = max(1, min(height, width) // 64)
    small = sheet[: height // step * step, : width // step * step]
    small = np.median(small.reshape(height // step, step, width // step, step, 3), axis=(1, 3))
    window = max(3, min(small.shape[:2]) // 3)
    smooth = np.stack([ndimage.median_filter(small[..., c], window, mode="nearest") for c in range(3)], axis=2)
    y, x = (
        np.clip((np.arange(n) + 0.5) / step - 0.5, 0, s - 1)
        for n, s in ((height, len(smooth)), (width, smooth.shape[1]))
    )
    grid = np.meshgrid(y, x, indexing="ij")
    return np.stack([ndimage.map_coordinates(smooth[..., c], grid, order=1) for c in range(3)], axis=2)


def to_square(ink: np.ndarray) -> np.ndarray:
    """The ink (H, W) in the middle of a square of bare paper."""
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), ink.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    return square


def shrink(ink: np.ndarray, size: int) -> np.ndarray:
    """Ink (S, S) of 0 … 1 as (size, size, 1) uint8: each pixel the maximum over its area; a small sheet is enlarged."""
    from scipy import ndimage

    side = len(ink)
    if side < size:
        ink = np.clip(ndimage.zoom(ink, size / side, order=1, grid_mode=True, mode="nearest"), 0, 1)[:size, :size]
    else:
        edges = np.arange(size) * side // size
        ink = np.maximum.reduceat(np.maximum.reduceat(ink, edges, axis=0), edges, axis=1)
    return np.rint(255 * ink).astype(np.uint8)[..., None]


def load_sketches(
    root: str | Path, *, size: int = 64, folders: Sequence[str] | None = None, progress: bool = False
) -> tuple[Modality, tuple[str, ...]]:
    """Drawings `<class>/<file>` as ink (N, size, size, 1) uint8, and the class names, of `folders` or of all there are.

    Labels are numbers of the folders in that order. Raises `InputError` where there is no class folder, for a class of
    fewer than two drawings, and what `read_sketch` refuses.
    """
    root = data_folder(root)
    names = tuple(folders or (sub.name for sub in subfolders(root)))
    if not names:
        raise InputError(f"{root}: no class folders; expected <class>/<drawing>")
    paths, labels, others = [], [], 0
    for label, name in enumerate(names):
        files, passed_over = sketch_files(root / name)
        if len(files) < 2:
            raise InputError(f"{root / name}: {count_of(len(files), 'drawing')}; a class needs at least two")
        paths, others = paths + files, others + passed_over
        labels += [label] * len(files)
    x = np.stack([read_sketch(path, size) for path in track(paths, len(paths), "reading sketches", progress)])
    ids = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    groups = np.array(names)[labels]
    sketches = Modality("sketch", "sketch", x, np.array(labels), ids, tuple(map(str, paths)), groups)
    remarks = say_passed_over(others, "drawings") + say_loose(root, drawing_suffixes(), "drawing")
    return sketches._replace(remarks=remarks), names


def drawing_suffixes() -> set[str]:
    """The endings of files that may be drawings, lower case."""
    return {*image_suffixes(), *SUFFIXES}


def sketch_files(folder: Path) -> tuple[list[Path], int]:
    """The drawings of a class folder, in the order of their names; how many other files there are."""
    suffixes = drawing_suffixes()
    refuse_deeper(folder, suffixes, "drawings")
    return select_files(folder, suffixes)
