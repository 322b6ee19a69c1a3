# gradient: checks/attention.py "cross_attention", tests/gradcheck/test_battery.py

import math

import numpy as np

from cmir_ref.attention import cross_attention


def drawn():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((2, 4, 3), (2, 5, 3), (3, 6), (3, 6), (3, 3))]


def test_each_place_adds_what_the_sketch_answers():
    x, y, w_q, w_k, w_v = drawn()
    o, _ = cross_attention(x, y, w_q, w_k, w_v)
    for n in range(2):
        for place in range(4):
            weights = [math.exp((x[n, place] @ w_q) @ (y[n, p] @ w_k) / math.sqrt(6)) for p in range(5)]
            answer = sum(weight * (y[n, p] @ w_v) for p, weight in enumerate(weights)) / sum(weights)
            np.testing.assert_allclose(o[n, place], x[n, place] + answer, rtol=1e-12)


def test_the_order_of_the_sketchs_places_does_not_matter():
    x, y, *w = drawn()
    np.testing.assert_allclose(cross_attention(x, y[:, ::-1], *w)[0], cross_attention(x, y, *w)[0], rtol=1e-12)


def test_without_values_the_photo_stays_as_it_is():
    x, y, w_q, w_k, w_v = drawn()
    np.testing.assert_array_equal(cross_attention(x, y, w_q, w_k, 0 * w_v)[0], x)
