"""SVG files as text that is safe to draw: of lines and shapes, not too large, and without anything from elsewhere."""

import gzip
import re
import zlib
from pathlib import Path
from xml.parsers import expat

from ..errors import InputError

MOST_BYTES = 2**24  # unpacked
MOST_ELEMENTS = 100_000
DEEPEST = 64  # elements in each other; a renderer that recurses ends the process at some hundreds
NOT_DRAWN = (  # takes minutes, ends the process (a large tile of a pattern), or reads other files
    "filter", "foreignObject", "image", "marker", "mask", "pattern", "script",
)  # fmt: skip
MOST_LAYERS = 200  # elements that are drawn on a sheet of their own first: each takes as long as the whole drawing
LAYER = re.compile(r"(?:^|;)\s*(?:clip-path|isolation|mix-blend-mode|opacity)\s*:")
FILTER = re.compile(rb"filter:(?!none\b)")
VARIABLE = re.compile(rb"""(?:color|fill|stroke)(?:-[a-z]+)?[:=]["']?var\(""")  # the renderer draws nothing of it
LONGEST = 100  # times as long as wide: a longer sheet is none
PIXELS = {"": 1, "px": 1, "pt": 4 / 3, "pc": 16, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96, "em": 12, "ex": 6}
GZIP = b"\x1f\x8b"


def read_svg(path: str | Path) -> str:
    """The text of an SVG file, packed by gzip or not.

    Raises `InputError` for one that is damaged, larger than `MOST_BYTES` or `MOST_ELEMENTS`, nested deeper than
    `DEEPEST`, declares entities, holds what is no line and no shape (`NOT_DRAWN`) or colours by variables, clips within
    clips or more than `MOST_LAYERS` layers, does not say how large its sheet is, or has one that is more than `LONGEST`
    times as long as wide.
    """
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a readable SVG file ({error})") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{path}: an SVG file of more than {MOST_BYTES // 2**20} MiB; save it as a picture")
    _check(content, path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: an SVG file that is not in UTF-8; save it again as UTF-8") from None


def _check(content: bytes, path: str | Path) -> None:
    dense = b"".join(content.split())
    if FILTER.search(dense):  # in a sheet of styles, or an attribute
        raise InputError(f"{path}: holds <filter>; a drawing is of lines and shapes")
    if VARIABLE.search(dense):
        raise InputError(
            f"{path}: holds lines or areas whose colour is var(…), which would be missing; save it as a picture"
        )
    depth = count = layers = clips = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count, layers, clips
        depth, count, name = depth + 1, count + 1, name.rpartition(":")[2]
        if count == 1:
            _check_sheet(attributes, path)
        if name in NOT_DRAWN or attributes.get("filter", "none").strip() != "none":
            what = name if name in NOT_DRAWN else "filter"
            raise InputError(f"{path}: holds <{what}>; a drawing is of lines and shapes")
        clips += name == "clipPath"
        layer = LAYER.search(";".join([*(f"{key}:" for key in sorted(attributes)), attributes.get("style", "")]))
        layers += layer is not None
        if (nested := clips and layer and "clip-path" in layer[0]) or layers > MOST_LAYERS:
            what = "clips within clips" if nested else f"more than {MOST_LAYERS} clipped or transparent groups"
            raise InputError(f"{path}: holds {what}; save it as a picture")
        if depth > DEEPEST or count > MOST_ELEMENTS:
            limit = f"{DEEPEST} elements in each other, {MOST_ELEMENTS} in all"
            raise InputError(f"{path}: too large for a drawing, the limit is {limit}; save it as a picture")

    def end(name: str) -> None:
        nonlocal depth, clips
        depth -= 1
        clips -= name.rpartition(":")[2] == "clipPath"

    def entity(*_) -> None:
        raise InputError(f"{path}: declares entities, which are not read; save it as plain SVG")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.EntityDeclHandler = start, end, entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputError(f"{path}: not a readable SVG file ({error})") from error


def _check_sheet(attributes: dict[str, str], path: str | Path) -> None:
    """Raises `InputError` unless viewBox, or width and height, are those of a sheet: a thin one fills the memory."""
    numbers = [_number(n) for n in re.split(r"[\s,]+", attributes.get("viewBox", "").strip())]
    box = numbers[2:] if len(numbers) == 4 and all(n is not None for n in numbers) else None
    sides = []
    for i, side in enumerate(("width", "height")):
        said = attributes.get(side, "").strip() or "100%"
        number, unit = re.fullmatch(r"(.*?)\s*(%|[a-zA-Z]*)", said, re.DOTALL).groups()
        if unit not in (*PIXELS, "%"):  # "auto", "10rem": the renderer takes the viewBox
            number, unit = "100", "%"
        length = _number(number)
        factor = PIXELS.get(unit) if unit != "%" else box[i] / 100 if box else None
        sides.append(None if length is None or factor is None else length * factor)
    for w, h in (sides, *([box] if box else [])):
        if w is None or h is None:
            raise InputError(f"{path}: does not say how large its sheet is; give the svg element a viewBox")
        if not (0 < w < LONGEST * h and h < LONGEST * w):
            raise InputError(f"{path}: a sheet of {w:g} × {h:g}; a drawing is at most {LONGEST} times as long as wide")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < abs(number) < 1e9 or number == 0 else None
