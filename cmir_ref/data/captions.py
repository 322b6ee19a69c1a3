"""Images with sentences: the JSON layout of UCM-Captions, Sydney-Captions, RSICD and RSITMD.

{"images": [{"filename", "imgid", "split": "train" | "val" | "test", "sentences": [{"raw", …}, …], "keywords"?: […]}]}

Only `raw` is read: `tokens` differ from it where spelling was corrected. An image has any number of sentences.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..files import check_readable
from ..records import Dataset, Modality, Splits
from ..text import count_of, read_text
from .images import image_suffixes, read_images
from .locate import data_folder, files_called, find_file
from .ucmerced import CLASS_NAMES, LABEL_NAMES, load_multilabels
from .vocabulary import STOP_WORDS, make_lexicon, number_texts, words_of

SYDNEY = 613  # images of the Sydney archive, which is easily mistaken for another one
PARTS = {"train": "train", "val": "validation", "test": "test"}
COLOURS = frozenset(
    "black blue brown dark green grey gray light orange pink purple red silver white yellow".split()  # noqa: SIM905
)


class CaptionFile(NamedTuple):
    """What a caption file says, image by image."""

    path: Path
    names: tuple[str, ...]  # of the image files
    numbers: tuple[int, ...]  # imgid
    parts: tuple[str, ...]  # "train", "validation", "test", or "" where the file does not say
    sentences: tuple[tuple[str, ...], ...]
    keywords: tuple[tuple[str, ...], ...]
    tokens_differ: int  # sentences whose `tokens` are not the words of `raw`


def find_caption_file(root: str | Path | None) -> Path:
    """The one dataset_*.json at most three levels below `root`; raises `InputError` for none or several."""
    root = data_folder(root)
    found = sorted({p.resolve(): p for up in ("", "*/", "*/*/") for p in root.glob(f"{up}dataset_*.json")}.values())
    if not found:
        raise InputError(f"{root}: no dataset_*.json at most three levels below; give the folder that holds it")
    if len(found) > 1:
        raise InputError(f"two candidates for dataset_*.json: {found[0]} and {found[1]}; give the folder of one")
    return found[0]


def read_caption_file(path: str | Path) -> CaptionFile:
    """The images and sentences of a caption file; raises `InputError` for one that is no JSON or of another layout."""
    path = Path(path)
    check_readable(path)
    try:
        content = json.loads(read_text(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no valid JSON, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (OSError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error.__class__.__name__})") from error
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise InputError(f'{path}: another layout; expected {{"images": [{{"filename", "split", "sentences"}}, …]}}')
    rows = [_read_image_record(path, k, record) for k, record in enumerate(images)]
    names, numbers, parts, sentences, keywords, differ = zip(*rows, strict=True)
    numbers = tuple(range(len(names))) if set(numbers) == {None} else numbers
    for what, values, missing in (("split", parts, ""), ("imgid", numbers, None)):
        if missing in values and set(values) != {missing}:
            first, count = names[values.index(missing)], count_of(values.count(missing), "image")
            raise InputError(f"{path}: {count} without {what}, where others have one; the first is {first}")
    for what, values in (("filename", names), ("imgid", numbers)):
        if len(set(values)) < len(values):
            twice = next(v for v in values if values.count(v) > 1)
            raise InputError(f"{path}: {what} {twice!r} stands there twice; every image is named once")
    return CaptionFile(path, names, numbers, parts, sentences, keywords, sum(differ))


def _read_image_record(path: Path, k: int, record: Any) -> tuple:
    where = f"{path}: image {k}"
    if not isinstance(record, dict) or not isinstance(record.get("filename"), str):
        raise InputError(f'{where}: no "filename"; expected {{"filename", "split", "sentences": [{{"raw"}}, …]}}')
    name, sentences = record["filename"], record.get("sentences")
    if not isinstance(sentences, list) or not sentences:
        raise InputError(f"{where} ({name}) has no caption; give it one, or leave the image out")
    raws = [s.get("raw") if isinstance(s, dict) else None for s in sentences]
    if not all(isinstance(raw, str) for raw in raws):
        raise InputError(f'{where} ({name}): a sentence without "raw"; expected {{"raw": "There is a river ."}}')
    part = record.get("split") or ""
    if part not in (*PARTS, ""):
        raise InputError(f"{where} ({name}): split {part!r}; it is one of {', '.join(PARTS)}")
    keywords = record.get("keywords") or []
    if not isinstance(keywords, list) or not all(isinstance(word, str) for word in keywords):
        raise InputError(f"{where} ({name}): keywords must be a list of texts")
    tokens = [s.get("tokens") for s in sentences]
    differ = sum(
        isinstance(t, list) and " ".join(words_of(" ".join(map(str, t)))) != " ".join(words_of(raw))
        for t, raw in zip(tokens, raws, strict=True)
    )
    number = record.get("imgid")
    if not isinstance(number, int | float | str | None):
        raise InputError(f"{where} ({name}): imgid {number!r}; it is a number, or left out")
    if any("\ud800" <= c <= "\udfff" for text in (name, *raws, *keywords) for c in text):
        raise InputError(
            f"{where} ({name}): half of a character (\\ud800 to \\udfff alone) in its texts; write it whole"
        )
    return name, number, PARTS.get(part, ""), tuple(" ".join(r.split()) for r in raws), tuple(keywords), differ


def find_images(root: str | Path, captions: CaptionFile) -> list[Path]:
    """The image file of every record: by its name below `root`, else UC Merced's number imgid.

    The second way is that of UCM-Captions, whose names 1.tif … 2100.tif are not those of the archive: its `imgid` is
    100 · class + NN of the file `<class>NN.tif`. Of several, such as an image and its sketch, the one counts whose
    suffix is the record's. Raises `InputError` for several of it, and where images are missing: how many, and the
    first.
    """
    root, suffixes = Path(root), image_suffixes()
    files = [
        p for level in ("*/*/*/*", "*/*/*", "*/*", "*") for p in sorted(root.glob(level)) if _is_image(p, suffixes)
    ]
    of_name: dict[str, list[Path]] = {}
    for path in files:
        of_name.setdefault(_composed(path.name), []).append(path)
    by_name = {name: found for name in captions.names if (found := _ends_with(name, of_name))}
    missing = [name for name in captions.names if name not in by_name]
    if not missing:
        several = next((by_name[name] for name in captions.names if len(by_name[name]) > 1), None)
        if several:
            raise InputError(f"two candidates for {several[0].name}: {several[0]} and {several[1]}; keep one of them")
        return [by_name[name][0] for name in captions.names]
    columns: dict[int | None, list[Path]] = {}
    for path in files if _are_numbered(captions) else ():
        columns.setdefault(_column_of(path), []).append(path)
    if set(captions.numbers) <= columns.keys():
        return [_one_of(columns[n], name) for n, name in zip(captions.numbers, captions.names, strict=True)]
    count, number_of = len(set(files)), dict(zip(captions.names, captions.numbers, strict=True))
    missing = [name for name in missing if number_of[name] not in columns] or missing  # some by name, some by number
    hint = " (that is Sydney's archive)" if count == SYDNEY and len(captions.names) != SYDNEY else ""
    stem = _composed(Path(missing[0].replace("\\", "/")).stem).lower()
    if alike := next((path for path in files if _composed(path.stem).lower() == stem), None):
        hint += f", one of them {alike.relative_to(root)}: let the caption file name them as they are"
    raise InputError(
        f"{captions.path}: {len(captions.names)} images are named, {len(missing)} of them are not below {root}, the "
        f"first is {missing[0]}; {count} images are there{hint}"
    )


def _are_numbered(captions: CaptionFile) -> bool:
    """Whether the names are 1.tif, 2.tif, … as those of UCM-Captions; Sydney's are so, too, but of another archive."""
    return len(captions.names) != SYDNEY and all(Path(name).stem.isdigit() for name in captions.names)


def _ends_with(name: str, of_name: Mapping[str, list[Path]]) -> list[Path]:
    """The files of a record's name, which may have folders before it: "images/x.png"."""
    parts = Path(_composed(name.replace("\\", "/"))).parts
    found = of_name.get(parts[-1] if parts else "", ())
    return [path for path in found if Path(_composed(str(path))).parts[-len(parts) :] == parts]


def _composed(name: str) -> str:
    """A file's name with its accents composed: file systems keep them in either form (NFC, NFD)."""
    return unicodedata.normalize("NFC", name)


def _one_of(paths: list[Path], name: str) -> Path:
    """The file for the record of this name."""
    found = [path for path in paths if path.suffix.lower() == Path(name).suffix.lower()] or paths
    if len(found) > 1:
        raise InputError(f"two candidates for {name}: {found[0]} and {found[1]}; keep one of them")
    return found[0]


def _column_of(path: Path) -> int | None:
    """100 · class + NN of UC Merced's file `<class>NN.tif`, or None."""
    name = re.fullmatch(r"([a-z]+)(\d\d)", path.stem)
    known = name and name[1] == path.parent.name and name[1] in CLASS_NAMES
    return 100 * CLASS_NAMES.index(name[1]) + int(name[2]) if known else None


def _is_image(path: Path, suffixes: Collection[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()


def load_captions(
    root: str | Path | None, *, size: int = 64, keywords: str = "given", own: bool = True, progress: bool = False
) -> Dataset:
    """Images (N, size, size, 3) as a, their captions as b, word numbers of the data set's lexicon, and the pairing.

    Labels of the images are UC Merced's 17 where the table is there, else the class: the folder, or the file's name
    without its number. Captions have their image's. `keywords` says what stands behind the bars of a caption: those
    "given" by the file, the names of the image's "labels", or "filtered" from the sentence itself. With `own` the parts
    are those that the file names (`split_of`).
    """
    root = data_folder(root)
    captions = read_caption_file(find_caption_file(root))
    paths = find_images(root, captions)
    groups = np.array([_class_of(path) for path in paths])
    labels, names = _labels_of(root, paths, groups)
    pictures = read_images(paths, size, progress=progress)
    ids = tuple(path.stem for path in paths)
    if len(set(ids)) < len(ids):  # as house/1.png and river/1.png
        ids = captions.names
    images = Modality(
        "image", "image", pictures.x, labels, ids, tuple(map(str, paths)), groups, None, pictures.span, pictures.remarks
    )
    records = [f"{captions.path}: image {k} ({name})" for k, name in enumerate(captions.names)]
    data = with_captions(images, names, captions.sentences, captions.keywords, keywords, records)
    parts = split_of(captions, data) if own else None
    drawn = own and any(captions.parts) and parts is None
    return data._replace(parts=parts, note="parts drawn by seed, as the file names not all" if drawn else "")


def with_captions(
    images: Modality,
    label_names: tuple[str, ...],
    sentences: tuple[tuple[str, ...], ...],
    given: tuple[tuple[str, ...], ...],
    keywords: str,
    records: Sequence[str],
) -> Dataset:
    """A data set of images and their sentences, with keywords of this kind; errors begin with one of `records`, an
    image each."""
    owner = np.repeat(np.arange(len(sentences)), [len(s) for s in sentences])
    own = [
        _keywords_of(images, label_names, i, given[i]) if keywords == "labels" else given[i] for i in range(len(given))
    ]
    texts = []
    for i, of_image in enumerate(sentences):
        for sentence in of_image:
            phrases = filter_keywords(sentence) if keywords == "filtered" else own[i]
            texts.append(" | ".join(text.replace("|", " ") for text in (sentence, *phrases)))
    called = [f"{record}: caption {k + 1}" for record, s in zip(records, sentences, strict=True) for k in range(len(s))]
    numbers = number_texts(texts, make_lexicon(texts), called)
    ids = tuple(f"{images.ids[i]}#{k}" for i, s in enumerate(sentences) for k in range(len(s)))
    captions = Modality("caption", "text", numbers, images.labels[owner], ids, None, images.groups[owner], tuple(texts))
    return Dataset({"a": images, "b": captions}, label_names, np.stack([owner, np.arange(len(texts))], axis=1))


def filter_keywords(sentence: str) -> list[str]:
    """Attribute and target from a sentence: every word that is no stop word, with the colour or number before it."""
    found, before = [], ""
    for word in words_of(sentence):
        if word in COLOURS or word in ("one", "two", "three", "four", "five", "many", "several"):
            before = word
        elif word not in STOP_WORDS and word.replace("-", "").isalpha():
            found.append(f"{before} {word}".strip())
            before = ""
        else:
            before = ""
    return list(dict.fromkeys(found))


def _keywords_of(images: Modality, names: tuple[str, ...], i: int, given: tuple[str, ...]) -> tuple[str, ...]:
    """The names of an image's labels as keywords."""
    label = images.labels[i]
    return tuple(names[c].replace("-", " ") for c in (np.flatnonzero(label) if np.ndim(label) else [int(label)]))


def _class_of(path: Path) -> str:
    """The class of an image: its folder where that is one of UC Merced's, else its name without number."""
    if path.parent.name in CLASS_NAMES:
        return path.parent.name
    return re.sub(r"[_\-\s]*\d+$", "", path.stem) or path.parent.name


def _labels_of(root: Path, paths: list[Path], groups: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of the images and their names."""
    columns = [_column_of(path) for path in paths]
    if None not in columns and files_called(root, "LandUse_multilabels.mat"):
        find_file(root, "LandUse_multilabels.mat")  # two of them are an error
        table = load_multilabels(root)[columns]
        occur = np.flatnonzero(table.any(axis=0))
        return table[:, occur], tuple(LABEL_NAMES[c] for c in occur)
    names, numbers = np.unique(groups, return_inverse=True)
    return numbers, tuple(names.tolist())


def split_of(captions: CaptionFile, data: Dataset) -> Splits | None:
    """The images of each part with all their captions; None where the file names no image to learn from, or none to
    test on. RSITMD's names none for validation: `split_data` draws that part from the training part.
    """
    a, b = np.asarray(data.pairing).T
    parts = {part: np.flatnonzero(np.array(captions.parts) == part) for part in PARTS.values()}
    if not (len(parts["train"]) and len(parts["test"])):
        return None
    return Splits(**{part: {"a": rows, "b": np.sort(b[np.isin(a, rows)])} for part, rows in parts.items()})
