"""The stage "match" as a task of the training loop: images and one caption each, a margin for every pair."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..backend import Array, generator, to_device, to_host
from ..data.trunk import map_sizes
from ..data.vocabulary import learned_words, make_lexicon, split_at_bars
from ..nets.conv_maps import ConvMaps
from ..nets.efficientnet_lite import LITE0
from ..nets.given_maps import GivenMaps
from ..records import Dataset, Splits
from ..training.adam import learning_rate
from ..training.inputs import Source, epoch_batches, steps_per_epoch
from ..training.loop import Task
from .bounds import own_pairs, recalls
from .caption_prior import caption_prior
from .eq1_similarity import TextComparison, similarity
from .eq29_margin import dynamic_margin
from .networks import Amfmn, TextVectors, image_network, text_network
from .objective import comparison_params, match_objective, match_objective_backward
from .settings import AmfmnSettings

BLOCK = 64  # samples at a time where nothing is learned


def trunk_of(settings: AmfmnSettings) -> ConvMaps | GivenMaps:
    """The trunk that the settings ask for, for images of 64 pixels; larger ones are pooled more in the first block.

    "lite0" is frozen: its maps are given.
    """
    if settings.trunk == "lite0":
        return GivenMaps(map_sizes(settings.trunk_size), LITE0.head, 5 - settings.maps)
    first, width = 2 * settings.image_size // 64, settings.trunk_width
    if settings.trunk == "conv":
        channels, pools, skipped = (32, 64, 128), (first, 2, 4), 0
    elif settings.trunk == "wide":
        channels, pools, skipped = (32, 64, 128, 128), (first, 2, 2, 2), 0
    else:
        channels, pools, skipped = (16, 16, 32, 48, 64), (first, 1, 2, 2, 2), 5 - settings.maps
    return ConvMaps(tuple(width * c for c in channels), pools, skipped)


def architecture(settings: AmfmnSettings) -> Amfmn:
    """The networks and their readings."""
    trunk = trunk_of(settings)
    count = len(trunk.shapes((64, 64, 3)))
    return Amfmn(
        trunk,
        low=count - 1 if count == 3 else count // 2 + (count == 5),
        side=settings.trunk_size // 32 if settings.trunk == "lite0" else 8,
        upsampling=settings.upsampling,
        mask=settings.mvsa,
        activation=settings.map_activation,
        unit=settings.unit_maps,
        residual=settings.residual,
        sentence=settings.sentence,
        reset=settings.reset,
        text=settings.text,
        comparison=TextComparison(settings.attention, settings.fusion, settings.unit_texts),
        d=settings.d,
        word_width=settings.word_width,
        map_channels=settings.map_channels,
        word_dropout=settings.word_dropout,
        image_dropout=settings.image_dropout,
    )


def vocabulary(settings: AmfmnSettings, data: Dataset, parts: Splits) -> np.ndarray:
    """The number that the network reads for every number of the lexicon: see `data.vocabulary.learned_words`."""
    texts = data.modalities["b"]
    x = texts.x if settings.vocabulary == "all" else texts.x[parts.train["b"]]
    return learned_words(x, make_lexicon(texts.texts), settings.min_count, settings.stop_words)


class Texts(NamedTuple):
    """Captions as the network reads them."""

    words: np.ndarray  # (M, T)
    keywords: np.ndarray  # (M, K, T')

    def rows(self, index: np.ndarray, xp: Any = np) -> tuple[Array, Array]:
        """Words and keywords of these captions, no longer than the longest of them."""
        words, keywords = self.words[index], self.keywords[index]
        words = words[:, : max(1, (words > 0).sum(axis=1).max(initial=0))]
        return to_device(words, xp), to_device(keywords, xp)


def read_texts(x: np.ndarray, table: np.ndarray) -> Texts:
    """Texts x (M, T), numbers of the lexicon, in the numbers of the vocabulary, taken apart at their bars."""
    words, keywords = split_at_bars(x)
    return Texts(table[words], table[keywords])


def caption_margins(
    settings: AmfmnSettings, data: Dataset, parts: Splits
) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(images, captions) -> margins and negatives (N, N) of the pairs that these sample numbers of a and b make."""
    a, b = np.asarray(data.pairing).T
    texts = data.modalities["b"].texts
    rows, used = parts.train["a"], parts.train["b"]
    distinct, number = np.unique([texts[j] for j in used], return_inverse=True)
    of_caption = np.full(len(texts), -1)
    of_caption[used] = number
    of_image = np.full(len(data.modalities["a"].ids), -1)
    of_image[rows] = np.arange(len(rows))
    inside = np.isin(b, used)
    own = sparse.csr_matrix(
        (np.ones(inside.sum(), bool), (of_image[a[inside]], of_caption[b[inside]])), shape=(len(rows), len(distinct))
    )
    margin = settings.margin
    if margin.kind == "dynamic":
        owners = np.split(own.indices, own.indptr[1:-1])
        prior = caption_prior(distinct.tolist(), owners, kind=margin.prior, stop_words=margin.stop_words)
        alpha = dynamic_margin(prior, margin.gamma, margin.beta)

    def of(images: np.ndarray, captions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, j = of_image[images], of_caption[captions]
        negative = ~np.eye(len(i), dtype=bool)
        if settings.own_captions == "masked":
            negative &= ~own[i][:, j].toarray()
        if margin.kind == "fixed":
            return np.full(negative.shape, margin.gamma, np.float32), negative
        return alpha[i[:, None], j[None, :]], negative

    return of


def draw_captions(pairing: np.ndarray, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(images, 2): each image and one of its captions, drawn evenly."""
    pairing = pairing[np.argsort(pairing[:, 0], kind="stable")]
    start = np.searchsorted(pairing[:, 0], images)
    count = np.searchsorted(pairing[:, 0], images, side="right") - start
    return np.stack([images, pairing[start + (rng.random(len(images)) * count).astype(int), 1]], axis=1)


def match_task(
    settings: AmfmnSettings, data: Dataset, parts: Splits, images: Source, table: np.ndarray, xp: Any = np
) -> Task:
    """The task: one caption an image a step, of the training part's images."""
    schedule, seed, arch = settings.match, settings.seed, architecture(settings)
    texts, margins = read_texts(data.modalities["b"].x, table), caption_margins(settings, data, parts)
    pairing, images = np.asarray(data.pairing), images.on(xp)
    train = parts.train["a"]
    steps = steps_per_epoch(len(train), schedule.batch_size)

    def batches(epoch):
        pairs = draw_captions(pairing, train, generator(seed, "match/captions", epoch))
        views = generator(seed, "match/augment", epoch) if schedule.augment else None
        drops = generator(seed, "match/dropout", epoch)
        for batch in epoch_batches(pairs, schedule.batch_size, seed, "match", epoch):
            words, keywords = texts.rows(batch[:, 1], xp)
            masks = {}
            if arch.image_dropout:
                masks["image"] = drops.random((len(batch), arch.d)) >= arch.image_dropout
            if arch.word_dropout:
                masks["words"] = drops.random((*words.shape, arch.word_width)) >= arch.word_dropout
            given = (*margins(*batch.T), {name: to_device(mask, xp) for name, mask in masks.items()})
            yield images.read(batch[:, 0], views), words, keywords, *(to_device(g, xp) for g in given[:2]), given[2]

    def gradients(params, buffers, batch, epoch, step):
        x, words, keywords, margin, negative, masks = batch
        loss, cache = match_objective(
            params,
            x,
            words,
            keywords,
            margin,
            negative,
            arch=arch,
            buffers=buffers,
            masks=masks,
            hardest=settings.negatives == "hardest",
            reduction=settings.loss,
        )
        grads, _ = match_objective_backward(1.0, cache)
        return {"loss": loss}, grads, cache.statistics

    rows = parts.validation
    owner = np.searchsorted(rows["a"], partners(pairing, rows["b"]))

    def validate(params, buffers):
        v = image_vectors(arch, params, buffers, images, rows["a"], xp)
        s, k = text_vectors(arch, params, texts, rows["b"], xp)
        scores = to_host(similarity(comparison_params(params), v, s, k, comparison=arch.comparison)[0])
        if not np.isfinite(scores).all():
            return {"score": 0.0}
        return {"score": recalls(rounded_distances(scores), own_pairs(owner, len(rows["a"])))["mr"]}

    return Task(
        "match", schedule, steps, batches, gradients, validate, rate=rate_of(schedule, steps), lr_setting="match.lr"
    )


def rate_of(schedule: Any, steps: int) -> Callable[[int], float]:
    """step -> learning rate: the schedule's own, or lr falling to 0.7 of itself every `fall_every` epochs."""
    rate = partial(learning_rate, steps=steps * schedule.epochs, lr=schedule.lr, warmup=schedule.warmup)
    if schedule.schedule != "steps":
        return partial(rate, schedule=schedule.schedule)
    return lambda step: rate(step) * 0.7 ** (step // (steps * schedule.fall_every))


def partners(pairing: np.ndarray, captions: np.ndarray) -> np.ndarray:
    """The image of each caption."""
    of = np.full(pairing[:, 1].max() + 1, -1)
    of[pairing[:, 1]] = pairing[:, 0]
    return of[captions]


def rounded_distances(scores: np.ndarray) -> np.ndarray:
    """1 − S to nine digits: what differs by the rounding of a product alone is tied."""
    return np.round(1 - scores.astype(np.float64), 9)


def image_vectors(
    arch: Amfmn, params: Mapping, buffers: Mapping, images: Source, index: np.ndarray, xp: Any, on_step: Any = None
) -> Array:
    """v (n, d) of these images, in inference mode."""
    images, found = images.on(xp), []
    for start in range(0, len(index), BLOCK):
        x = images.read(index[start : start + BLOCK])
        found.append(image_network(params, x, arch=arch, mode="inference", buffers=buffers)[0])
        if on_step:
            on_step(min(start + BLOCK, len(index)), len(index), {})
    return xp.concatenate(found)


def text_vectors(arch: Amfmn, params: Mapping, texts: Texts, index: np.ndarray, xp: Any) -> TextVectors:
    """s and k (n, d) of these captions. Equal texts are read once, so that they have equal vectors, to the bit."""
    both = np.concatenate([texts.words[index], texts.keywords[index].reshape(len(index), -1)], axis=1)
    _, first, inverse = np.unique(both, axis=0, return_index=True, return_inverse=True)
    blocks = []
    for start in range(0, len(first), 4 * BLOCK):
        blocks.append(text_network(params, *texts.rows(index[first[start : start + 4 * BLOCK]], xp), arch=arch)[0])
    back = to_device(inverse.reshape(-1), xp)
    return TextVectors(
        *(None if parts[0] is None else xp.concatenate(parts)[back] for parts in zip(*blocks, strict=True))
    )
