"""Large pictures on the page: kept for further questions, and where in them a question finds its place."""

import secrets
from pathlib import Path
from typing import Any

import numpy as np

from ..data import read_image
from ..data.decode import image_size_of
from ..data.geotiff import read_georeference
from ..errors import InputError
from ..places import best_places, choose_sides, encode_slices, heat_map, slice_boxes, slice_scores
from ..records import Items
from ..reports.gallery import data_uri
from ..reports.located import heat_picture
from .served import Scene, ServedRun
from .uploads import suffix_by_content

LARGEST_SCENE = 16 * 10**6  # pixels of a large picture
MOST_SLICES = 20_000
SCENES = 2  # large pictures that are kept for further questions
LARGEST_HEAT = 900  # pixels of a side of the heat map


def open_scene(served: ServedRun, path: Path) -> dict[str, Any]:
    """Reads a large picture and keeps it, under a name that is told; raises `InputError` for one that is too large."""
    path = path.rename(path.with_suffix(suffix_by_content(path)))
    run = served.run
    letters = [m for m, x in run.dataset.modalities.items() if x.kind == "image" and x.x.dtype == np.uint8]
    if not letters or path.suffix not in (".png", ".jpg", ".gif", ".bmp", ".tif", ".webp"):
        raise InputError("your file: places are looked for in a picture (PNG, JPEG, TIFF, WebP), by a run of pictures")
    samples = run.dataset.modalities[letters[0]]
    height, width = image_size_of(path)
    if height * width > LARGEST_SCENE:
        most = LARGEST_SCENE // 10**6
        raise InputError(f"your file: {width} × {height} pixels; the page takes {most} million, cmir-ref locate more")
    pixels = read_image(path, bands=samples.x.shape[3], span=samples.span)
    sides = sorted(choose_sides(pixels.shape, samples.x.shape[1]))
    while len(sides) > 1 and len(slice_boxes(pixels.shape, sides)) > MOST_SLICES:
        sides = sides[1:]
    if len(slice_boxes(pixels.shape, sides)) > MOST_SLICES:
        raise InputError(f"your file: more than {MOST_SLICES} slices; cmir-ref locate takes more")
    slices, name = encode_slices(run, letters[0], pixels, sides, device=served.device), secrets.token_hex(8)
    served.scenes[name] = Scene(pixels, slices, read_georeference(path))
    while len(served.scenes) > SCENES:
        served.scenes.popitem(last=False)
    return {"scene": name, "width": pixels.shape[1], "height": pixels.shape[0], "slices": len(slices.boxes)}


def locate_in(served: ServedRun, scene: str, query: Items, k: int = 5) -> dict[str, Any]:
    """The heat map of a query over a large picture, and its best places; raises `InputError` where it is gone."""
    kept = served.scenes.get(scene)
    if kept is None:
        raise InputError("the large picture is no longer kept; give it again")
    ((m, encoded),) = query.encoded.items()
    if m == kept.slices.letter:
        raise InputError("places are looked for with a query of another kind than the picture's")
    served.scenes.move_to_end(scene)
    scores = slice_scores(served.run, kept.slices, m, encoded, device=served.device)
    heat = heat_map(kept.slices, scores)
    places = best_places(heat, kept.slices, k, kept.geo)
    picture = heat_picture(kept.pixels, heat, places, kept.slices.cell, LARGEST_HEAT)
    system = None if kept.geo is None else kept.geo.system
    return {
        "picture": data_uri("image/png", picture),
        "places": [place._asdict() for place in places],
        "system": system,
        "slices": len(kept.slices.boxes),
    }
