"""The comparators: losses of hashing networks."""

from functools import partial

import numpy as np

from ..gradcheck import Pair
from ..hashing.dcmh import dcmh, dcmh_backward, likelihood, likelihood_backward
from ..hashing.sidhcnn import sidhcnn, sidhcnn_backward
from .declarations import declare, draw_arrays


def _draw_codes(rng, n, d):
    return (2 * rng.integers(0, 2, (n, d)) - 1).astype(np.int8)


@declare("hashing/likelihood", "hashing.dcmh.likelihood", sizes={"n": 5, "m": 4, "d": 3})
def _likelihood(rng, n, m, d):
    forward = partial(likelihood, similar=rng.random((n, m)) < 0.4)
    return Pair(forward, likelihood_backward, draw_arrays(rng, f=(n, d), g=(m, d)))


@declare(
    "hashing/dcmh",
    "hashing.dcmh.dcmh",
    sizes={"n": 5, "m": 4, "d": 3},
    variants={"": {"rest": False}, "batch": {"rest": True}},
)
def _dcmh(rng, rest, n, m, d):
    inputs = draw_arrays(rng, f=(n, d), g=(m, d))
    settings = {"similar": rng.random((n, m)) < 0.4, "b_f": _draw_codes(rng, n, d), "b_g": _draw_codes(rng, m, d)}
    rests = {name: rng.integers(-9, 9, d) if rest else None for name in ("rest_f", "rest_g")}
    forward = partial(dcmh, **settings, gamma=0.7, eta=0.3, **rests)
    return Pair(forward, dcmh_backward, inputs)


@declare("hashing/sidhcnn", "hashing.sidhcnn.sidhcnn", sizes={"n": 5, "d": 3})
def _sidhcnn(rng, n, d):
    inputs = draw_arrays(rng, f=(n, d), g=(n, d))
    similar, b = rng.random((n, n)) < 0.4, _draw_codes(rng, n, d)  # not symmetric: S and its transpose are told apart
    return Pair(partial(sidhcnn, similar=similar, b=b, mu=0.6, gamma=0.7, eta=0.3), sidhcnn_backward, inputs)
