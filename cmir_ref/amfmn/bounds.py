"""What stands beside every recall: chance, what the class alone gives, a perfect model, and the most there can be.

Images a (A,) and captions b (B,): `owner` (B,) the image of each caption, `text` (B,) equal numbers for equal texts.
"""

import numpy as np

from ..retrieval import recall_at_k
from ..retrieval.metrics import relevance

RECALLS = (1, 5, 10)


def recalls(distances: np.ndarray, relevant: np.ndarray, back: np.ndarray | None = None) -> dict[str, float]:
    """r@1, r@5, r@10 (means over the queries that have a relevant item) of distances (A, B), images the queries as
    "a->b" and captions the queries as "b->a", and mr, the mean of the six; ties at their expectation.

    `back` (B, A) are the distances of "b->a" where they are not the same. Raises `InputError` for distances that are
    not finite.
    """
    found, back = {}, distances.T if back is None else back
    for name, d, r in (("a->b", distances, relevant), ("b->a", back, relevant.T)):
        found |= {f"{name} r@{k}": float(np.nanmean(recall_at_k(d, r, k))) for k in RECALLS}
    return found | {"mr": float(np.mean(list(found.values())))}


def own_pairs(owner: np.ndarray, images: int) -> np.ndarray:
    """Whether a caption is the image's own (A, B)."""
    return np.arange(images)[:, None] == owner[None, :]


def same_texts(owner: np.ndarray, text: np.ndarray, images: int) -> np.ndarray:
    """Whether a caption is word for word one of the image's (A, B): the duplicate-aware relevance."""
    has = np.zeros((images, int(text.max(initial=-1)) + 1), bool)
    has[owner, text] = True
    return has[:, text]


def beside(owner: np.ndarray, text: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """The recalls of this very gallery under scores that no training made, by name.

    chance     all scores are equal
    class      an image and a caption fit where the caption's image is of the same class; random within. It tells equal
               texts of two classes apart, which no scores of (image, text) do, and may so lie above the ceiling
    perfect    they fit where the caption is word for word one of the image's
    ceiling    the most that any scores of (image, text) can reach, each figure by itself (`ceiling`)
    """
    images = len(labels)
    own, same = own_pairs(owner, images), same_texts(owner, text, images)
    fits = relevance(labels, labels[owner])
    scores = {"chance": np.zeros(own.shape), "class": 1.0 - fits, "perfect": 1.0 - same}
    return {name: recalls(d, own) for name, d in scores.items()} | {"ceiling": ceiling(owner, text, images)}


def ceiling(owner: np.ndarray, text: np.ndarray, images: int) -> dict[str, float]:
    """The largest expected recalls of any function of (image, text): equal texts tie, whatever it says of them.

    An image does best to rank first one of its own texts, which has n copies of which o are its own: it finds one of
    them among k with probability 1 − C(n − o, k)/C(n, k). A text does best to rank first the k images that have it most
    often: m of its n copies then find their image.
    """
    counts = np.zeros((images, int(text.max(initial=-1)) + 1), int)
    np.add.at(counts, (owner, text), 1)
    copies, found = counts.sum(axis=0), {}
    for k in RECALLS:
        missed = np.ones(counts.shape)
        for i in range(k):
            missed *= np.maximum(copies - counts - i, 0) / np.maximum(copies - i, 1)
        best = np.where(counts > 0, 1 - missed, 0).max(axis=1)
        found[f"a->b r@{k}"] = float(best[counts.any(axis=1)].mean())
        found[f"b->a r@{k}"] = float(np.sort(counts, axis=0)[::-1][:k].sum() / len(owner))
    return found | {"mr": float(np.mean(list(found.values())))}
