"""The stage "match" as a task of the training loop: images and one caption each, a margin for every pair."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, generator, get_xp, to_device, to_host
from ..data.trunk import map_sizes
from ..data.vocabulary import learned_words, make_lexicon, split_at_bars
from ..nets.conv_maps import ConvMaps
from ..nets.efficientnet_lite import LITE0
from ..nets.given_maps import GivenMaps
from ..records import Dataset, Splits
from ..training.adam import learning_rate
from ..training.inputs import Source, draw_masks, epoch_batches, steps_per_epoch
from ..training.loop import Task
from ..training.transfer import Sent, send_parts
from .bounds import own_pairs, recalls
from .caption_margins import caption_margins
from .eq1_similarity import TextComparison, similarity
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
    if settings.text != "both":  # the other part of a text is never read: none of its words is learned
        words, keywords = split_at_bars(x)
        x = words if settings.text == "sentence" else keywords
    return learned_words(x, make_lexicon(texts.texts), settings.min_count, settings.stop_words)


def word_numbers(texts: Sequence[str], table: np.ndarray) -> set[tuple[str, int]]:
    """Each learned word of these texts, with its number in the vocabulary `table`."""
    numbers = {(word, int(table[number])) for word, number in make_lexicon(texts).items()}
    return {(word, number) for word, number in numbers if 0 < number < table.max()}


class Texts(NamedTuple):
    """Captions as the network reads them, as arrays of any library."""

    words: Array  # (M, T)
    keywords: Array  # (M, K, T')
    lengths: np.ndarray  # (M,) of the sentences, on the host

    def on(self, xp: Any) -> "Texts":
        """The same as arrays of `xp`."""
        return self._replace(words=to_device(self.words, xp), keywords=to_device(self.keywords, xp))

    def width(self, index: np.ndarray) -> int:
        """Words of the longest of these captions, at least one."""
        return max(1, self.lengths[index].max(initial=0))

    def rows(self, index: np.ndarray | Sent) -> tuple[Array, Array]:
        """Words and keywords of these captions, no longer than the longest of them."""
        index = index if isinstance(index, Sent) else Sent(index, to_device(index, get_xp(self.words)))
        return self.words[index.there][:, : self.width(index.host)], self.keywords[index.there]


def read_texts(x: np.ndarray, table: np.ndarray) -> Texts:
    """Texts x (M, T), numbers of the lexicon, in the numbers of the vocabulary, taken apart at their bars."""
    words, keywords = (table[part] for part in split_at_bars(x))
    return Texts(words, keywords, (words > 0).sum(axis=1))


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
    texts, margins = read_texts(data.modalities["b"].x, table), caption_margins(settings, data, parts, xp)
    pairing, images, there = np.asarray(data.pairing), images.on(xp), texts.on(xp)
    train = parts.train["a"]
    steps = steps_per_epoch(len(train), schedule.batch_size)

    def batches(epoch):
        pairs = draw_captions(pairing, train, generator(seed, "match/captions", epoch))
        pairs = np.column_stack([pairs, margins.places(pairs)])
        order = list(epoch_batches(pairs, schedule.batch_size, seed, "match", epoch))
        views = generator(seed, "match/augment", epoch) if schedule.augment else None
        views = images.views([len(batch) for batch in order], views, xp)
        masks = [mask_shapes(arch, len(batch), texts.width(batch[:, 1])) for batch in order]
        masks = draw_masks(generator(seed, "match/dropout", epoch), masks, xp)
        for sent, view, kept in zip(send_parts(order, xp), views, masks, strict=True):
            image, caption, row, text = (Sent(sent.host[:, k], sent.there[:, k]) for k in range(4))
            yield images.read(image, view), *there.rows(caption), *margins.of(row, text), kept

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
        v = image_vectors(arch, params, buffers, images, rows["a"], xp, average_views=settings.average_views)
        s, k = text_vectors(arch, params, texts, rows["b"], xp)
        scores = to_host(similarity(comparison_params(params), v, s, k, comparison=arch.comparison)[0])
        if not np.isfinite(scores).all():
            return {"score": 0.0}
        return {"score": recalls(rounded_distances(scores), own_pairs(owner, len(rows["a"])))["mr"]}

    return Task(
        "match", schedule, steps, batches, gradients, validate, rate=rate_of(schedule, steps), lr_setting="match.lr"
    )


def mask_shapes(arch: Amfmn, n: int, words: int) -> dict[str, tuple[tuple[int, ...], float]]:
    """Shape and rate of each mask of dropout, for n images and sentences of so many words."""
    shapes = {"image": ((n, arch.d), arch.image_dropout), "words": ((n, words, arch.word_width), arch.word_dropout)}
    return {name: (shape, rate) for name, (shape, rate) in shapes.items() if rate}


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
    arch: Amfmn,
    params: Mapping,
    buffers: Mapping,
    images: Source,
    index: np.ndarray,
    xp: Any,
    on_step: Any = None,
    *,
    average_views: bool = False,
) -> Array:
    """v (n, d) of these images, in inference mode; with `average_views` the mean over their symmetries."""
    images, found = images.on(xp), []
    for start in range(0, len(index), BLOCK):
        rows = index[start : start + BLOCK]
        given = images.each_view(rows) if average_views else [images.read(rows)]
        given = [xp.ascontiguousarray(x) for x in given]
        v = [image_network(params, x, arch=arch, mode="inference", buffers=buffers)[0] for x in given]
        found.append(sum(v) / len(v))
        if on_step:
            on_step(min(start + BLOCK, len(index)), len(index), {})
    return xp.concatenate(found)


def text_vectors(arch: Amfmn, params: Mapping, texts: Texts, index: np.ndarray, xp: Any) -> TextVectors:
    """s and k (n, d) of these captions. What is read alike is read once, so that it has equal vectors, to the bit."""
    words, keywords = texts.words[index], texts.keywords[index].reshape(len(index), -1)
    read = {"sentence": [words], "keywords": [keywords], "both": [words, keywords]}[arch.text]
    _, first, inverse = np.unique(np.concatenate(read, axis=1), axis=0, return_index=True, return_inverse=True)
    blocks, there = [], texts.on(xp)
    for start in range(0, len(first), 4 * BLOCK):
        blocks.append(text_network(params, *there.rows(index[first[start : start + 4 * BLOCK]]), arch=arch)[0])
    back = to_device(inverse.reshape(-1), xp)
    return TextVectors(
        *(None if parts[0] is None else xp.concatenate(parts)[back] for parts in zip(*blocks, strict=True))
    )
