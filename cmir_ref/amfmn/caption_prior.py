"""The prior similarity of captions, ς in [0, 1], that the margin of eq. 29 looks at: each caption against all captions
of each image, as products of sparse matrices over the distinct captions.

A caption is a list of words. I images, C distinct captions: ς (I, C).
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse

from ..data.stemming import stem
from ..data.vocabulary import STOP_WORDS, words_of

Words = Sequence[str]


def caption_prior(
    texts: Sequence[str], owners: Sequence[Sequence[int]], *, kind: str = "bleu-entity", stop_words: str = "before"
) -> np.ndarray:
    """ς (I, C) float32 of the distinct `texts` (C) and the images' captions: `owners[i]` are numbers of texts.

    "bleu-entity" (released code): the mean of `bleu`, 1 where the caption is one of the image's, and `entity_overlap`.
    "bleu-meteor" (paper, which gives no weights): the mean of `bleu` and `meteor`. Both of stemmed words. A caption
    without words is like none: 0.
    """
    sets = list(dict.fromkeys(tuple(sorted(own)) for own in owners))  # neighbours often share all their captions
    number = {own: i for i, own in enumerate(sets)}
    captions = [[stem(word) for word in words_of(text) if word != "|"] for text in texts]
    score = bleu(captions, sets)
    if kind == "bleu-entity":
        for i, own in enumerate(sets):
            score[i, [j for j in own if captions[j]]] = 1
        if stop_words == "before":
            bags = [[stem(word) for word in words_of(text) if word not in STOP_WORDS | {"|"}] for text in texts]
        else:
            bags = [[word for word in caption if word not in STOP_WORDS] for caption in captions]
        score += entity_overlap(bags, sets)
    elif kind == "bleu-meteor":
        score += meteor(captions, sets)
    else:
        raise ValueError(f"kind is {kind!r}; it is one of bleu-meteor, bleu-entity")
    return (score / 2).astype(np.float32)[[number[tuple(sorted(own))] for own in owners]]


def bleu(captions: Sequence[Words], owners: Sequence[Sequence[int]]) -> np.ndarray:
    """BLEU-4 (I, C) of each caption with an image's captions as references, uniform weights, no smoothing:

        min(1, e^{1 − r/c}) (p₁ p₂ p₃ p₄)^{1/4},  p_n = Σ_g min(count of g, its largest count in a reference)/Σ_g count

    over n-grams g; c is the caption's length, r the closest reference length, the shorter of two equally close ones.
    min(a, b) = Σ_k [a ≥ k][b ≥ k] makes the clipped counts a sum of products. 0 where any p_n is 0. Source: Papineni et
    al., ACL 2002.
    """
    lengths = np.array([len(caption) for caption in captions])
    log_precision = np.zeros((len(owners), len(captions)))
    for n in range(1, 5):
        grams = count_matrix([zip(*(caption[i:] for i in range(n)), strict=False) for caption in captions])
        most = sparse.vstack([_largest(grams, own) for own in owners]).tocsr()
        clipped = sum(
            ((most >= k).astype(np.float32) @ (grams >= k).astype(np.float32).T).toarray()
            for k in range(1, int(grams.max() if grams.nnz else 0) + 1)
        )
        total = np.maximum(lengths - n + 1, 1)
        with np.errstate(divide="ignore"):
            log_precision += np.log(np.maximum(clipped, 0) / total) / 4
    c = np.maximum(lengths, 1)
    closest = np.array(
        [[_closest(lengths[list(own)], c_j) for c_j in range(lengths.max(initial=0) + 1)] for own in owners]
    )
    r = closest.reshape(len(owners), -1)[:, lengths] if len(owners) else np.zeros_like(log_precision)
    return np.exp(log_precision + np.minimum(0, 1 - r / c))


def meteor(captions: Sequence[Words], owners: Sequence[Sequence[int]]) -> np.ndarray:
    """Exact METEOR (I, C), the best over an image's captions: 10 P R/(R + 9 P) · (1 − ½ (chunks/m)³).

    m words are matched, P = m/c, R = m/r; the k-th last use of a word matches its k-th last use in the reference, so
    uses are told apart by (word, k) and m counts the common ones. A chunk is a run of words that are matched in order:
    there are m less the common pairs of neighbours. Source: Banerjee & Lavie 2005, without stems and synonyms.
    """
    uses = []
    for caption in captions:
        seen: Counter = Counter()
        uses.append([(word, seen[word]) for word in reversed(caption) if not seen.update([word])][::-1])
    single = (count_matrix(uses) > 0).astype(np.float32)
    pairs = (count_matrix([pairwise(use) for use in uses]) > 0).astype(np.float32)
    m, together = (np.asarray((a @ a.T).toarray(), float) for a in (single, pairs))
    length = np.maximum([len(caption) for caption in captions], 1)
    p, r = m / length[None, :], m / length[:, None]  # rows are references
    some = np.maximum(m, 1)
    score = np.where(m > 0, 10 * p * r / np.where(m > 0, r + 9 * p, 1) * (1 - 0.5 * ((m - together) / some) ** 3), 0)
    return np.stack([score[list(own)].max(axis=0) if len(own) else np.zeros(len(captions)) for own in owners])


def entity_overlap(bags: Sequence[Words], owners: Sequence[Sequence[int]]) -> np.ndarray:
    """The mean over an image's captions of |words of it that the caption has|/|its words, repetitions counted| (I, C).

    `bags` are the words without stop words. A reference without words is left out; 0 where there is no other.
    """
    present = (count_matrix(bags) > 0).astype(np.float64)
    length = np.array([len(bag) for bag in bags])
    rows = [i for i, own in enumerate(owners) for j in own if length[j]]
    columns = [j for own in owners for j in own if length[j]]
    counts = np.bincount(rows, minlength=len(owners)) if rows else np.zeros(len(owners), int)
    weights = [1 / (length[j] * counts[i]) for i, j in zip(rows, columns, strict=True)]
    mean = sparse.csr_matrix((weights, (rows, columns)), shape=(len(owners), len(bags))) @ present
    return (mean @ present.T).toarray()


def count_matrix(lists: Sequence) -> sparse.csr_matrix:
    """How often each thing stands in each list, as a sparse matrix (lists, things)."""
    numbers: dict = {}
    counts = [Counter(things) for things in lists]
    rows = np.repeat(np.arange(len(counts)), [len(c) for c in counts])
    columns = [numbers.setdefault(thing, len(numbers)) for c in counts for thing in c]
    values = [value for c in counts for value in c.values()]
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(counts), max(len(numbers), 1)), dtype=np.float32)


def _largest(grams: sparse.csr_matrix, own: Sequence[int]) -> sparse.csr_matrix:
    """The largest count of each n-gram in these captions."""
    return sparse.csr_matrix(grams[list(own)].max(axis=0)) if len(own) else sparse.csr_matrix((1, grams.shape[1]))


def _closest(lengths: np.ndarray, c: int) -> int:
    """The length closest to c, the shorter of two."""
    return min(lengths.tolist(), key=lambda r: (abs(r - c), r), default=0)
