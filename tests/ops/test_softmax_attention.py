# gradient: checks/ops.py "softmax_attention/…", tests/gradcheck/test_battery.py

import math

import numpy as np
import pytest

from cmir_ref.ops import softmax_attention, softmax_attention_backward


def drawn(n=3, m=4, p=5, d=2, c=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, m, d)), rng.normal(size=(n, p, d)), rng.normal(size=(n, p, c))


def by_hand(q, k, v, seen):
    """Query by query, key by key."""
    y = np.zeros((*q.shape[:2], v.shape[2]))
    for n, rows in enumerate(q):
        for m, row in enumerate(rows):
            keys = [p for p in range(k.shape[1]) if seen[n, m, p]]
            weights = [math.exp(sum(row * k[n, p]) / math.sqrt(q.shape[2])) for p in keys]
            for p, weight in zip(keys, weights, strict=True):
                y[n, m] += weight / sum(weights) * v[n, p]
    return y


@pytest.mark.parametrize("shape", [None, (3, 1, 5), (3, 4, 5), (1, 1, 5)])
def test_a_mean_of_the_values_that_are_seen(shape):
    q, k, v = drawn()
    mask = None
    if shape is not None:
        mask = np.random.default_rng(1).random(shape) < 0.6
        mask[:, :, 0] = True
    seen = np.ones((3, 4, 5), bool) if mask is None else np.broadcast_to(mask, (3, 4, 5))
    y, cache = softmax_attention(q, k, v, mask)
    np.testing.assert_allclose(y, by_hand(q, k, v, seen), rtol=1e-12)
    np.testing.assert_allclose(cache.a.sum(axis=2), 1, rtol=1e-14)
    assert (cache.a[~seen] == 0).all()


def test_a_query_that_sees_nothing_gets_nothing_and_gives_no_gradient():
    q, k, v = drawn()
    mask = np.ones((3, 1, 5), bool)
    mask[1] = False
    y, cache = softmax_attention(q, k, v, mask)
    grads = softmax_attention_backward(np.ones_like(y), cache)
    assert not y[1].any() and y[0].any()
    assert all(not g[1].any() and np.isfinite(g).all() for g in grads)


def test_padding_changes_nothing():
    q, k, v = drawn()
    y, _ = softmax_attention(q, k, v)
    far = np.full((3, 2, 2), 50.0)
    mask = np.arange(7)[None, None] < 5
    padded, _ = softmax_attention(q, np.concatenate([k, far], 1), np.concatenate([v, np.ones((3, 2, 3))], 1), mask)
    np.testing.assert_allclose(padded, y, rtol=1e-14)


def test_large_logits_stay_finite():
    q, k, v = (50 * x.astype("float32") for x in drawn())
    with np.errstate(over="raise", invalid="raise"):
        y, _ = softmax_attention(q, k, v)
    assert y.dtype == "float32" and np.isfinite(y).all()


def test_one_key_answers_for_itself():
    q, k, v = drawn(p=1)
    np.testing.assert_allclose(softmax_attention(q, k, v)[0], np.broadcast_to(v, (3, 4, 3)), rtol=1e-14)
