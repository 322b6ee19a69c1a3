"""What `doctor --data` says of a caption file: counts, and what makes its retrieval figures easier or harder."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..text import count_of
from .captions import PARTS, CaptionFile, find_caption_file, find_images, read_caption_file
from .images import image_copies
from .vocabulary import words_of


def report_captions(root: str | Path, *, progress: bool = False) -> dict[str, str]:
    """Name -> text, for the caption file below `root`; raises `InputError` where there is none that can be read.

    Texts are equal where their words are. Images are equal where all their pixels are.
    """
    captions = read_caption_file(find_caption_file(root))
    digest = hashlib.sha256(captions.path.read_bytes()).hexdigest()[:12]
    texts = [[" ".join(words_of(sentence)) for sentence in of_image] for of_image in captions.sentences]
    return {
        "file": f"{captions.path} (SHA-256 {digest}…)",
        "images": _counts(captions),
        **describe_texts(texts, captions),
        "tokens": f"{count_of(captions.tokens_differ, 'sentence')} unlike the tokens; `raw` is read",
        "pixels": _pixels(root, captions, progress),
    }


def describe_texts(texts: Sequence[Sequence[str]], captions: CaptionFile) -> dict[str, str]:
    """What is said of the captions of each image, each as its words with one space between them."""
    all_texts = [text for of_image in texts for text in of_image]
    images_of = Counter(text for of_image in texts for text in set(of_image) if text)
    several = {text: n for text, n in images_of.items() if n > 1}
    blank = [name for name, of_image in zip(captions.names, texts, strict=True) if not all(of_image)]
    counts, words = [len(of_image) for of_image in texts], [len(text.split()) for text in all_texts]
    each = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    found = {
        "captions": f"{len(all_texts)}, {each} an image, {len(set(all_texts))} distinct; {np.mean(words):.1f} words",
        "blank": f"{len(all_texts) - sum(map(bool, all_texts))}" + (f", the first of {blank[0]}" if blank else ""),
        "shared": f"{count_of(len(several), 'text')} written for several images"
        + (f", the most frequent for {max(several.values())}" if several else ""),
    }
    known = {text for of_image, part in zip(texts, captions.parts, strict=True) if part == "train" for text in of_image}
    for part in ("validation", "test"):
        rows = [of_image for of_image, p in zip(texts, captions.parts, strict=True) if p == part]
        again = sum(text in known for of_image in rows for text in of_image)
        whole = sum(known.issuperset(of_image) for of_image in rows)
        if rows:
            found[part] = (
                f"{again} of {sum(map(len, rows))} captions stand word for word in the training part, "
                f"all captions of {whole} of {len(rows)} images"
            )
    return found


def _counts(captions: CaptionFile) -> str:
    """How many images there are, and in each part."""
    parts = Counter(captions.parts)
    named = ", ".join(f"{parts[part]} {part}" for part in PARTS.values() if parts[part])
    return f"{len(captions.names)}" + (f" ({named})" if named else " (the file names no parts)")


def _pixels(root: str | Path, captions: CaptionFile, progress: bool) -> str:
    """Which images are there more than once, pixel for pixel; what is wrong where they cannot be read."""
    try:
        paths = find_images(root, captions)
        twice = image_copies(paths, progress=progress)
    except InputError as error:
        return f"not looked at: {error}"
    across = [found for found in twice if len({captions.parts[i] for i in found}) > 1]
    first = next(iter(across or twice), None)
    example = "" if first is None else f", the first {' and '.join(paths[i].name for i in first)}"
    return f"{count_of(len(twice), 'image')} more than once, {len(across)} of them in more than one part{example}"
