"""The heat map of `places.locate` over its scene, as a picture and as a page."""

import io
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import keep_apart, write_whole
from .gallery import data_uri, magma_palette
from .pages import environment

LARGEST = 1600  # pixels of a side of the picture
SHARE = 0.45  # of the heat's colours in it


def heat_picture(scene: np.ndarray, heat: np.ndarray, places: list, cell: int, largest: int = LARGEST) -> bytes:
    """PNG: the scene (H, W, C) in grey, the heat (rows, columns) over it in colours, and a numbered ring at each place.

    `places` have `rank`, `row` and `column` in pixels of the scene; the picture has at most `largest` a side.
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(scene[..., 0] if scene.shape[2] == 1 else scene[..., :3]).convert("L").convert("RGB")
    high, wide = scene.shape[:2]
    picture.thumbnail((largest, largest), Image.Resampling.BOX)
    low, top = heat.min(), heat.max()
    grey = np.rint((heat - low) / max(top - low, 1e-12) * 255).astype(np.uint8)
    colours = Image.fromarray(magma_palette()[grey]).resize((cell * heat.shape[1], cell * len(heat)))
    colours = colours.crop((0, 0, wide, high)).resize(picture.size)
    picture = Image.blend(picture, colours, SHARE)
    draw, scale = ImageDraw.Draw(picture), picture.width / wide
    for place in places:
        x, y, r = place.column * scale, place.row * scale, max(6, picture.width // 100)
        draw.ellipse((x - r, y - r, x + r, y + r), outline="white", width=3)
        look = {"font_size": max(14, 2 * r), "stroke_width": 2}
        box = draw.textbbox((0, 0), str(place.rank), **look)
        left = x + r + 3 if x + r + 3 + box[2] < picture.width else x - r - 3 - box[2]  # within the picture
        above = min(max(y - (box[1] + box[3]) / 2, -box[1]), picture.height - box[3])
        draw.text((left, above), str(place.rank), fill="white", stroke_fill="black", **look)
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def check_heat_page(page: str | Path, *read: str) -> None:
    """Raises `InputError` for a page that is called .png itself, or that replaces, with its picture, what is `read`."""
    if Path(page).suffix.lower() == ".png":
        raise InputError(f"{page}: the page is HTML, and its picture gets the name that ends in .png; use .html")
    for written in (Path(page), Path(page).with_suffix(".png")):
        keep_apart(written, *read)


def write_located(page: str | Path, query: str, scene: str, found) -> Path:
    """Writes the page, and beside it the picture as .png under the same name; returns the page's path.

    `found` is what `places.locate` gave. Raises `InputError` as `check_heat_page`.
    """
    check_heat_page(page, query, scene)
    picture = heat_picture(found.scene, found.heat, found.places, found.cell)
    text = environment().get_template("located.html")
    given = {"title": f"{query}: where in {Path(scene).name}", "picture": data_uri("image/png", picture)}
    write_whole(Path(page).with_suffix(".png"), picture)
    return write_whole(page, text.render(**given, query=query, scene=scene, found=found))
