"""Commands that write what others read: features of images, samples of the simulated world, pages of the lessons."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..config import MOST, SAMPLE_KINDS
from ..errors import InputError
from ..progress import on_terminal
from .shared import Device, DeviceOption, JsonOption, SeedOption, check_device, one_of

SampleFormat = one_of("SampleFormat", ["dsrsid"])


def command_features(
    images: Annotated[Path, typer.Argument(metavar="IN", help="A folder of images, with or without folders in it.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    size: Annotated[
        int | None, typer.Option("--size", min=32, max=MOST, help="Side that images are brought to (224).")
    ] = None,
    tile: Annotated[
        int | None, typer.Option("--tile", min=32, max=MOST, help="Cut images into tiles of this side.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="EfficientNet-Lite0's weights of your own.")
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option("--onnx", metavar="MODEL.onnx", help="A network of your own (extra `onnx`).")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", help="Which value of that network.")] = None,
    mean: Annotated[str | None, typer.Option("--mean", help="Its mean, of bytes, as 124,116,104.")] = None,
    std: Annotated[str | None, typer.Option("--std", help="Its standard deviation, likewise.")] = None,
    device: DeviceOption = Device.cpu,
    as_json: JsonOption = False,
) -> None:
    """Write features of images, by a network that ImageNet trained.

    EfficientNet-Lite0 (extra `imagenet`), or any ONNX file. OUT gets features.npz and scores.mat, as the released code
    reads them: one row an image, or a tile.
    """
    from ..data.image_features import choose_network, image_features, read_numbers, write_image_features
    from ..files import check_place, whole_folder

    check_device(device)
    check_place(out, whole_folder)
    own = {"output": output, "mean": read_numbers("--mean", mean), "std": read_numbers("--std", std)}
    network = choose_network(size, weights=weights, onnx=onnx, device=device, **own)
    found = image_features(images, network, tile=tile, progress=on_terminal())
    write_image_features(out, found, network.maker)
    rows, width = found.features.shape
    if as_json:
        counts = {"images": len(set(found.paths)), "rows": rows, "width": width}
        print(json.dumps({"out": str(out), **counts, "remarks": found.remarks}, indent=2))
    else:
        print(f"{out}: {rows} rows of {width} features from {len(set(found.paths))} images")
        for remark in found.remarks:
            print(remark)


def command_samples(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What is written: {', '.join(SAMPLE_KINDS)}.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    count: Annotated[int | None, typer.Option("--count", help="Pairs or scenes (default: 80 or 84).")] = None,
    layout: Annotated[
        SampleFormat | None,
        typer.Option("--format", help="land-cover as one large file, drawn by all cores; goes on where it was killed."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write samples of the simulated world.

    In the formats of the real data sets: DSRSID's land covers, UC Merced's objects, spoken labels.
    """
    from ..data import write_samples

    written = write_samples(kind, out, count=count, seed=seed, progress=on_terminal(), layout=layout)
    if as_json:
        print(json.dumps({"kind": kind, "out": str(out), "count": written, "seed": seed}, indent=2))
    else:
        print(f"{out}: {written} {kind} samples")


def command_lessons(
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="DIR", help="Write them as pages that need no network, and open nothing."),
    ] = None,
) -> None:
    """Open the lessons in JupyterLab (extra `lessons`).

    They are in a checkout of the repository.
    """
    from importlib.util import find_spec

    folder = next((f for f in (Path("lessons"), Path(__file__).parents[2] / "lessons") if (f / "src").is_dir()), None)
    if folder is None:
        raise InputError("lessons: not here; they are in a checkout of the repository, start there")
    if html is not None:
        from ..reports.lesson_pages import write_lesson_pages

        typer.echo(f"{len(write_lesson_pages(folder, html))} pages; begin with {html / 'index.html'}")
        return
    if find_spec("jupyterlab") is None:
        raise InputError("lessons: JupyterLab is not installed; pip install 'cmir-ref[lessons]'")
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(folder)]))
