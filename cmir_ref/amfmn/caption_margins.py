"""What the triplet loss is told of a batch: the margin of every image with every text, and which pairs are negatives.

I training images, C distinct training captions; a batch has N pairs.
"""

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, get_xp, to_device
from ..data.vocabulary import words_read
from ..records import Dataset, Splits
from ..training.transfer import Sent, on_device
from .eq29_margin import dynamic_margin
from .settings import AmfmnSettings


class CaptionMargins(NamedTuple):
    """All margins, made once; on a device they lie there, and a batch sends nothing."""

    of_image: np.ndarray  # of a sample number of a: its row of `alpha`, −1 beyond the training part
    of_caption: np.ndarray  # of a sample number of b: its column
    alpha: Any  # (I, C) of each image with each distinct text; None where all are `gamma`
    gamma: float
    own: Array | None  # (I, K) the columns of an image's own captions, −1 for none; None where they count as negatives

    def places(self, pairs: np.ndarray) -> np.ndarray:
        """(N, 2): row and column of these pairs (N, 2) of sample numbers."""
        return np.stack([self.of_image[pairs[:, 0]], self.of_caption[pairs[:, 1]]], axis=1)

    def of(self, rows: Sent, columns: Sent) -> tuple[Array, Array]:
        """Margins float32 and negatives (N, N) of N images with N texts, pair i being image i with text i."""
        xp, n, text = get_xp(columns.there), len(columns.host), columns.there
        negative = ~xp.eye(n, dtype=bool)
        if self.own is not None:
            negative &= ~(self.own[rows.there][:, None, :] == text[None, :, None]).any(axis=2)
        if self.alpha is None:
            return xp.full((n, n), self.gamma, dtype="float32"), negative
        if isinstance(self.alpha, np.ndarray):
            return self.alpha[rows.host[:, None], columns.host], negative
        return self.alpha[rows][:, text], negative


def caption_margins(settings: AmfmnSettings, data: Dataset, parts: Splits, xp: Any = np) -> CaptionMargins:
    """The margins (eq. 29) and own captions of the training part, as arrays of `xp`."""
    a, b = np.asarray(data.pairing).T
    texts = [words_read(text, settings.text) for text in data.modalities["b"].texts]
    rows, used, margin = parts.train["a"], parts.train["b"], settings.margin
    distinct, number = np.unique([texts[j] for j in used], return_inverse=True)
    of_caption = np.full(len(texts), -1)
    of_caption[used] = number
    of_image = np.full(len(data.modalities["a"].ids), -1)
    of_image[rows] = np.arange(len(rows))
    inside = np.isin(b, used)
    image, text = of_image[a[inside]], of_caption[b[inside]]
    order = np.lexsort((text, image))  # a text that an image has twice stays twice: it counts twice in a mean over all
    owners = np.split(text[order], np.searchsorted(image[order], np.arange(1, len(rows))))
    alpha = own = None
    if margin.kind == "dynamic":
        from .caption_prior import caption_prior  # SciPy's sparse matrices: a fifth of the time of `cmir-ref presets`

        prior = caption_prior(distinct.tolist(), owners, kind=margin.prior, stop_words=margin.stop_words)
        alpha = on_device(dynamic_margin(prior, margin.gamma, margin.beta), xp)
    if settings.own_captions == "masked":
        own = np.full((len(rows), max(map(len, owners))), -1)
        for row, columns in zip(own, owners, strict=True):
            row[: len(columns)] = columns
        own = to_device(own, xp)
    return CaptionMargins(of_image, of_caption, alpha, margin.gamma, own)
