"""5 000 queries in a gallery of 75 000 × 64, as many as in the paper: the ten nearest, and average precision.

Embeddings are float32, eight classes of one spread about centres of their own.
"""

import numpy as np

from ..retrieval import evaluate_direction, nearest
from .peers import Case, Side
from .steps import CLASS_COUNT

QUERY_COUNT, ITEM_COUNT, DIMENSIONS, K = 5_000, 75_000, 64, 10
ONE_IN = 50  # scikit-learn ranks one query at a time: every 50th is timed, and its time multiplied


def cases(queries: int = QUERY_COUNT, items: int = ITEM_COUNT) -> list[Case]:
    """`retrieval/top10` against faiss' exact index, `retrieval/ap` against scikit-learn's average precision."""
    size = {"queries": queries, "items": items}

    def case(name, peer, variant, tolerance):
        sides = [(f"{__name__}:{side}", size) for side in (f"our_{name}", f"{peer}_{name}")]
        return Case(f"retrieval/{name}", sides[0], peer, {variant: sides[1]}, tolerance)

    return [
        case("top10", "faiss", "IndexFlatL2", 1e-5),
        case("ap", "sklearn", f"(1 query in {ONE_IN}, times {ONE_IN})", 1e-4),
    ]


def draw_embeddings(queries: int, items: int):
    """(query, labels, gallery, labels), the same for both sides."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASS_COUNT, DIMENSIONS))
    labels = [rng.integers(0, CLASS_COUNT, n) for n in (queries, items)]
    query, gallery = ((centres[y] + 2 * rng.standard_normal((len(y), DIMENSIONS))).astype(np.float32) for y in labels)
    return query, labels[0], gallery, labels[1]


def distances_of_hits(query: np.ndarray, gallery: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Distances (Q, K) of the items `hits` (Q, K), in float64: equal where two answers differ in ties alone."""
    d = query[:, None].astype(np.float64) - gallery[hits]
    return np.sqrt((d * d).sum(axis=2))


def our_top10(queries: int, items: int) -> Side:
    """The ten nearest, by `nearest`."""
    query, _, gallery, _ = draw_embeddings(queries, items)

    def turn():
        return nearest(query, gallery, K)[0]

    return Side({"distances": distances_of_hits(query, gallery, turn())}, turn)


def faiss_top10(queries: int, items: int) -> Side:
    """faiss' exact index on all cores; filling it is part of the turn, as preparing the gallery is of ours."""
    import faiss

    query, _, gallery, _ = draw_embeddings(queries, items)

    def turn():
        index = faiss.IndexFlatL2(DIMENSIONS)
        index.add(gallery)
        return index.search(query, K)[1]

    return Side({"distances": distances_of_hits(query, gallery, turn())}, turn)


def our_ap(queries: int, items: int) -> Side:
    """`evaluate_direction`: full rankings with ties, and every other metric that it gives."""
    query, labels, gallery, gallery_labels = draw_embeddings(queries, items)

    def turn(part=slice(None)):
        return evaluate_direction(query[part], labels[part], gallery, gallery_labels)

    return Side({"map": np.array(turn(slice(None, None, ONE_IN))["map"])}, turn)


def sklearn_ap(queries: int, items: int) -> Side:
    """scikit-learn's distances and its average precision of one query after the other."""
    from sklearn.metrics import average_precision_score
    from sklearn.metrics.pairwise import euclidean_distances

    query, labels, gallery, gallery_labels = draw_embeddings(queries, items)
    query, labels = query[::ONE_IN], labels[::ONE_IN]

    def turn():
        d = euclidean_distances(query, gallery)
        rows = zip(d, labels, strict=True)
        return np.mean([average_precision_score(gallery_labels == y, -row) for row, y in rows])

    return Side({"map": turn()}, turn, steps=len(query) / queries)
