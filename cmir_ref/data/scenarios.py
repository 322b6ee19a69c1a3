"""The scenarios: which data sets each knows, one function that loads them, and what is said of them.

Everything that depends on the name of a scenario stands here.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..progress import track
from ..records import Dataset, Modality, Splits
from . import ucmerced, wald
from .cache import cached_drawings, cached_scenes
from .captions import load_captions
from .class_names import match_classes, say_left_out
from .dsrsid import is_simulated, load_dsrsid
from .features import load_features, load_scores
from .folder import load_folder
from .locate import data_folder, data_root, find_folder, subfolders
from .outlines import TRACERS, trace_photos
from .samples import samples_dir
from .sensor_pairs import load_sensor_pairs
from .sketches import NotADrawing, load_sketches, read_sketch
from .speech import load_speech
from .speech_features import load_speech_features
from .splits import hold_out, split
from .trunk import frozen_images, trunk_in_words
from .validation import check

WORLDS_SKETCHES = ("scenes", "drawings")  # of the simulated world: whole scenes, or single things and small ones, too
SIMULATED = "simulated scenes"  # the note of what is drawn, not recorded


class Request(NamedTuple):
    """Which data are wanted: the settings of the same names, and `root`, the folder below which files are found."""

    root: str | Path | None
    dataset: str
    speech: str | Path = "speech-features"
    image_size: int | None = None
    speech_voice: str | None = None
    progress: bool = False
    sample_axis: int | None = None
    band_axis: int | None = None
    count: int | None = None
    seed: int = 0
    split: str = "file"
    keywords: str = "given"
    sketches: str | Path = "drawings"
    classes: tuple[str, ...] = ()
    sensors: tuple[str, str] = ("pan", "mul")
    tile: int | None = None


class Scenario(NamedTuple):
    """What is known of a scenario before its data are read. `settings` are those of a run."""

    load: Callable[[Request], Dataset]
    datasets: tuple[str, ...]
    count: int  # scenes of the simulated world unless told
    kinds: Callable[[Any], dict[str, str]]  # settings -> the kind of each modality, by letter
    sources: Callable[[Any], str]  # settings -> the data sets in words
    made_here: Callable[[Any], bool]  # settings -> whether all data are simulated or bundled, so that no file is needed
    titles: dict[str, str]  # of the modalities, in tables
    recall_at: Callable[[Any], tuple[int, ...]] = lambda settings: ()  # k of recalls, where a partner is looked for
    protocol: Callable[[Any], str] | None = None  # settings -> what "auto" stands for, where there are recordings
    ten_tens: bool = False  # whether the released scripts' "MAP" goes on to the precision at 100


def load_pan_mul(request: Request) -> Dataset:
    """PAN and MUL, paired: simulated `scenes`, `dsrsid`, the released code's `features`, a user's own `pairs` of two
    sensors, or images through simulated ones.

    The images of `ucmerced` or of a `folder` are seen by simulated sensors (Wald's protocol); `image_size` is then
    PAN's side, 256 unless told, and MUL's is a quarter of it.
    """
    if request.dataset == "scenes":
        folder = cached_scenes("land-cover", request.count, seed=request.seed, progress=request.progress)
        return check(load_dsrsid(folder, sample_axis=0, band_axis=1)._replace(note=SIMULATED))
    root = data_folder(request.root)
    if request.dataset == "dsrsid":
        tiles = load_dsrsid(root, sample_axis=request.sample_axis, band_axis=request.band_axis)
        tiles = tiles._replace(note=SIMULATED) if is_simulated(root) else tiles
        return read_through(check(tiles), request.progress)
    if request.dataset == "features":
        return check(load_features(root))
    if request.dataset == "pairs":
        given = {"tile": request.tile, "largest": request.image_size or 256, "progress": request.progress}
        return check(load_sensor_pairs(root, request.sensors, **given))
    images, names = load_image_modality(root, request.dataset, request.image_size or 256, "class", request.progress)
    return check(wald.pair(images, names, progress=request.progress))


def load_image_speech(request: Request) -> Dataset:
    """Images and spoken words, unpaired: the images of `ucmerced` (17 labels), a `folder`, `scenes` or `features`.

    `image_size` is their side, 64 unless told. `speech` is the released `speech-features` below the root, `speech` (the
    folder of that name below the root), `bundled` (the recordings that come with the package) or the path of a folder
    of recordings; `speech_voice` is the regular expression whose group 1 is the voice.
    """
    size = request.image_size or 64
    if request.dataset == "scenes":
        sounds = load_spoken_labels(request, ucmerced.LABEL_NAMES)  # what it lacks is said before anything is drawn
        folder = cached_scenes("objects", request.count, seed=request.seed, progress=request.progress)
        images = ucmerced.load_images(folder, size=size, progress=request.progress)
        for c in np.flatnonzero(~images.labels.any(axis=0))[:1]:
            raise InputError(f"count {request.count}: no scene shows {ucmerced.LABEL_NAMES[c]!r}; ask for more")
        return check(Dataset({"a": images, "b": sounds}, ucmerced.LABEL_NAMES, None, SIMULATED))
    root = data_folder(request.root)
    images, names = load_image_modality(root, request.dataset, size, "multi", request.progress)
    return check(Dataset({"a": images, "b": load_spoken_labels(request._replace(root=root), names)}, names, None))


def load_image_text(request: Request) -> Dataset:
    """Images and their sentences, paired: a caption file with its images (`captions`), or the world's `scenes`.

    `keywords` of a caption are those that the file gives (the world: what is there, true pairs of attribute and
    target), the names of the image's "labels", or "filtered" from the sentence. The `split` "file" is the file's own.
    """
    made = request.dataset == "scenes"
    root = (
        cached_scenes("objects", request.count, seed=request.seed, progress=request.progress) if made else request.root
    )
    settings = {"size": request.image_size or 64, "keywords": request.keywords, "own": request.split == "file"}
    data = load_captions(root, **settings, progress=request.progress)
    return check(data._replace(note=SIMULATED) if made else data)


def load_photo_sketch(request: Request) -> Dataset:
    """Photos and sketches, unpaired, of the classes that both have, or of those that are named.

    Photos: `ucmerced` by its 21 folders, a `folder`, or the world's `scenes`. Sketches: the world's (`drawings` or
    `scenes`), `canny` and `strokes`, traced from the photos (then a photo and its own sketch are kept apart), or the
    path of a folder `<class>/<drawing>`. Class names match without regard to case, plural and spelling; the photos'
    are kept.
    """
    size, sketches = request.image_size or 64, str(request.sketches)
    if request.dataset == "scenes":
        folder = cached_scenes("objects", request.count, seed=request.seed, progress=request.progress)
        photos, names = load_image_modality(folder, "ucmerced", size, "class", request.progress)
    else:
        photos, names = load_image_modality(data_folder(request.root), request.dataset, size, "class", request.progress)
    photos = photos._replace(name="photo")
    if sketches in TRACERS:
        photos, names = photos_of_classes(
            photos, names, [one for one, _ in match_classes(request.classes, names, names)]
        )
        traced = trace_photos(photos, sketches, size, request.seed, request.progress)
        apart = np.stack([np.arange(len(photos.x))] * 2, axis=1)
        note = "simulated sketches of real photos" if request.dataset != "scenes" else SIMULATED
        return check(Dataset({"a": photos, "b": traced}, names, None, note, apart))
    if sketches in WORLDS_SKETCHES:
        matched = match_classes(request.classes, names, ucmerced.CLASS_NAMES)
        drawn = load_drawings(request, [other for _, other in matched], size)
        if not request.classes:
            left = say_left_out(matched, names, [other for _, other in matched])  # not what the world draws besides
            drawn = drawn._replace(remarks=drawn.remarks + left)
        note = SIMULATED if request.dataset == "scenes" else "simulated sketches, real photos"
    else:
        folder = find_folder(request.root, sketches)
        theirs = [sub.name for sub in subfolders(folder)]
        matched = match_classes(request.classes, names, theirs)
        drawn, _ = load_sketches(folder, size=size, folders=[other for _, other in matched], progress=request.progress)
        if not request.classes:
            drawn = drawn._replace(remarks=drawn.remarks + say_left_out(matched, names, theirs))
        note = ""
    photos, names = photos_of_classes(photos, names, [one for one, _ in matched])
    return check(Dataset({"a": photos, "b": drawn}, names, None, note))


def photos_of_classes(photos: Modality, names: tuple[str, ...], chosen: list[str]) -> tuple[Modality, tuple[str, ...]]:
    """The photos of the classes `chosen`, in their order, and these names."""
    number = np.full(len(names), -1)
    number[[names.index(name) for name in chosen]] = np.arange(len(chosen))
    labels = number[photos.labels]
    rows = np.flatnonzero(labels >= 0)
    ids, paths = (tuple(items[row] for row in rows) for items in (photos.ids, photos.paths))
    groups = np.array(chosen)[labels[rows]]
    return photos._replace(x=photos.x[rows], labels=labels[rows], ids=ids, paths=paths, groups=groups), tuple(chosen)


def load_drawings(request: Request, classes: list[str], size: int) -> Modality:
    """The world's drawings of these classes, as many of each, `request.count` in all."""
    each = request.count // len(classes)
    if each < 2:
        raise InputError(f"scenes: {request.count} drawings of {len(classes)} classes; a class needs at least two")
    folders = [
        cached_drawings(str(request.sketches), c, each, seed=request.seed, progress=request.progress) for c in classes
    ]
    paths = [path for folder in folders for path in sorted(folder.glob("*.png"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotADrawing)  # they were drawn here, some densely
        x = np.stack([read_sketch(p, size) for p in track(paths, len(paths), "reading sketches", request.progress)])
    labels, groups = np.arange(len(classes)).repeat(each), np.array(classes).repeat(each)
    return Modality("sketch", "sketch", x, labels, tuple(p.stem for p in paths), tuple(map(str, paths)), groups)


SCENARIOS = {
    "pan-mul": Scenario(
        load=load_pan_mul,
        datasets=("scenes", "dsrsid", "ucmerced", "folder", "pairs", "features"),
        count=4000,
        kinds=lambda settings: dict.fromkeys("ab", "features" if settings.dataset == "features" else "image"),
        sources=lambda settings: settings.dataset,
        made_here=lambda settings: settings.dataset == "scenes",
        titles={"a": "PAN", "b": "MUL"},
        recall_at=lambda settings: (1, 5, 10) if settings.dataset == "pairs" else (),
    ),
    "image-speech": Scenario(
        load=load_image_speech,
        datasets=("scenes", "ucmerced", "folder", "features"),
        count=2100,
        kinds=lambda settings: {
            "a": "features" if settings.dataset == "features" else "image",
            "b": "features" if settings.speech == "speech-features" else "sound",
        },
        # the released speech features say nothing of voices, so that none can be held out
        protocol=lambda settings: "paper" if settings.speech == "speech-features" else "voices",
        sources=lambda settings: f"{settings.dataset} and {settings.speech}",
        made_here=lambda settings: settings.dataset == "scenes" and settings.speech == "bundled",
        titles={"a": "image", "b": "speech"},
        ten_tens=True,
    ),
    "image-text": Scenario(
        load=load_image_text,
        datasets=("captions", "scenes"),
        count=2100,
        kinds=lambda settings: {"a": "image", "b": "text"},
        sources=lambda settings: settings.dataset,
        made_here=lambda settings: settings.dataset == "scenes",
        titles={"a": "image", "b": "caption"},
    ),
    "photo-sketch": Scenario(
        load=load_photo_sketch,
        datasets=("scenes", "ucmerced", "folder"),
        count=1400,
        kinds=lambda settings: {"a": "image", "b": "sketch"},
        sources=lambda settings: f"{settings.dataset} and {settings.sketches} sketches",
        made_here=lambda settings: settings.dataset == "scenes" and settings.sketches in (*WORLDS_SKETCHES, *TRACERS),
        titles={"a": "photo", "b": "sketch"},
    ),
}


def load(scenario: str, root: str | Path | None, *, dataset: str, **wanted: Any) -> Dataset:
    """The data set of a scenario, read from the files below `root` and checked; `wanted` are fields of `Request`.

    Neither the simulated `scenes` (`count` of them, of the world `seed`, made on first use) nor `bundled` speech needs
    a `root`. Raises `InputError` for anything unknown, missing or wrong.
    """
    if scenario not in SCENARIOS:
        raise InputError(f"scenario: {scenario!r} is unknown; use {', '.join(SCENARIOS)}")
    known = SCENARIOS[scenario]
    if dataset not in known.datasets:
        raise InputError(f"dataset: {dataset!r} is unknown for {scenario}; use {', '.join(known.datasets)}")
    request = Request(root, dataset, **wanted)
    size = request.image_size
    if size is not None and (size < 4 or size % 4):
        raise InputError(f"image_size: {size} is not a positive multiple of 4")
    dataset = known.load(request._replace(count=known.count if request.count is None else request.count))
    remarks = [dataset.note, *(remark for modality in dataset.modalities.values() for remark in modality.remarks)]
    return dataset._replace(note="; ".join(filter(None, dict.fromkeys(remarks))))  # modalities of one file share them


def load_data(settings: Any, root: str | Path | None = None, *, progress: bool = False) -> Dataset:
    """The data set that `settings` name, found below `root` (default: the folder that CMIR_DATA names).

    Raises `InputError` for missing, damaged or contradictory files, and where the settings name a trunk, for weights
    that are not there. Features of a frozen trunk are computed here.
    """
    data = load(
        settings.scenario,
        data_root(root),
        dataset=settings.dataset,
        speech=settings.speech,
        image_size=settings.image_size,
        speech_voice=settings.speech_voice,
        progress=progress,
        sample_axis=settings.sample_axis,
        band_axis=settings.band_axis,
        count=settings.scenes,
        seed=settings.scenes_seed,
        split=settings.split,
        keywords=settings.keywords,
        sketches=settings.sketches,
        classes=settings.classes,
        sensors=settings.sensors,
        tile=settings.tile,
    )
    if not data.label_names and settings.needs_labels:
        raise InputError(f"{data.modalities['a'].paths[0]}: is in no class folder, but {settings.needs_labels}")
    if settings.trunk == "lite0":  # features once, with a bar: what asks for them later finds them in the cache
        for modality in data.modalities.values():
            frozen_images(settings, modality, progress=progress)
    return data


def split_data(settings: Any, data: Dataset) -> Splits:
    """The split that the settings ask for; the same serves all stages.

    Where the data name their own parts but none for validation, that is drawn from their training part.
    """
    if data.parts is not None and (len(data.parts.validation["a"]) or not settings.validation_share):
        return data.parts
    if data.parts is not None:
        return hold_out(data, settings.validation_share, seed=settings.seed)
    return split(
        data,
        protocol=protocol_of(settings),
        test=settings.test_share,
        validation=settings.validation_share,
        seed=settings.seed,
    )


def protocol_of(settings: Any) -> str:
    """The setting `protocol`, with "auto" resolved; "paper" where there are no recordings to hold out."""
    auto = SCENARIOS[settings.scenario].protocol or (lambda _: "paper")
    return auto(settings) if settings.protocol == "auto" else settings.protocol


def data_in_words(settings: Any, note: str) -> str:
    """What a run saw: its data sets, whether a sensor was simulated, through which trunk images went, and how
    recordings were held out."""
    parts = [SCENARIOS[settings.scenario].sources(settings), note]
    if settings.trunk == "lite0":
        parts.append(f"images through {trunk_in_words(settings)}")
    if SCENARIOS[settings.scenario].protocol is not None:
        parts.append(f"protocol {protocol_of(settings)}")
    return ", ".join(part for part in parts if part)


def read_through(dataset: Dataset, progress: bool = False, block: int = 64) -> Dataset:
    """`dataset` itself once every sample has been read: a damaged, black or non-finite one is an `InputError` now, not
    hours into the training."""
    modalities = dataset.modalities.values()
    total = sum(-(-len(m.x) // block) for m in modalities)
    blocks = ((m, start) for m in modalities for start in range(0, len(m.x), block))
    for m, start in track(blocks, total, "checking", progress):
        wrong = ~np.isfinite(m.x[start : start + block]).all(axis=(1, 2, 3))
        if wrong.any():
            row = start + int(np.argmax(wrong))
            raise InputError(f"{m.paths[row]}: NaN or infinity in {m.name} (rows count from 0); numbers must be finite")
    return dataset


def load_image_modality(
    root: Path, dataset: str, size: int, labels: str, progress: bool
) -> tuple[Modality, tuple[str, ...]]:
    """The image modality of a data set and its label names: of the folders there are, where labels are folders."""
    if dataset == "folder":
        return load_folder(root, size=size, progress=progress)
    if dataset == "features":
        return load_scores(root), ucmerced.LABEL_NAMES
    images = ucmerced.load_images(root, size=size, labels=labels, progress=progress)
    if labels == "multi":
        return images, ucmerced.LABEL_NAMES
    present, renumbered = np.unique(images.labels, return_inverse=True)
    return images._replace(labels=renumbered), tuple(ucmerced.CLASS_NAMES[c] for c in present)


def load_spoken_labels(request: Request, label_names: tuple[str, ...]) -> Modality:
    """The recordings, or features of recordings, in which these labels are spoken."""
    speech = str(request.speech)
    if speech == "speech-features":
        if label_names != ucmerced.LABEL_NAMES:
            raise InputError("speech: speech-features speak UC Merced's 17 labels only; give a folder of recordings")
        return load_speech_features(request.root)
    folder = samples_dir() / "speech" if speech == "bundled" else find_folder(request.root, speech)
    return load_speech(folder, label_names, voice_pattern=request.speech_voice, progress=request.progress)
