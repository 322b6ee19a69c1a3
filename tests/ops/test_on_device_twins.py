"""Pairs that are few launches on a GPU: on NumPy's arrays they are the plain operations."""
# gradient: checks/ops.py "fused/dense_layer/…", "fused/norm_terms/…", tests/gradcheck/test_battery.py

import numpy as np
import pytest

from cmir_ref.ops import conv, conv_backward, max_pool, max_pool_backward
from cmir_ref.ops.fused import (
    NormTerm,
    conv_on_device,
    conv_on_device_backward,
    dense_layer,
    dense_layer_backward,
    max_pool_on_device,
    max_pool_on_device_backward,
    norm_terms,
    norm_terms_backward,
    softmax_rows,
    softmax_rows_backward,
)
from cmir_ref.ops.fused.dense_layer import keep_where


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("active", [True, False])
def test_a_layer_entry_by_entry(active, mixed):
    x, w, b, dy = drawn((3, 4), (4, 2), (2,), (3, 2))
    b = b.astype("float32" if mixed else "float64")  # mixed numbers take the plain operations
    s = np.array([[sum(x[n, c] * w[c, d] for c in range(4)) + b[d] for d in range(2)] for n in range(3)])
    y, cache = dense_layer(x, w, b, active=active)
    np.testing.assert_allclose(y, np.maximum(s, 0) if active else s, atol=1e-14)
    delta = dy * (s > 0) if active else dy
    for found, wanted in zip(
        dense_layer_backward(dy, cache), (delta @ w.T, x.T @ delta, delta.sum(axis=0)), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-14)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_is_kept_is_kept_bit_by_bit(dtype):
    dy = np.array([[1.5, -2.0, np.inf, -np.inf], [np.nan, 0.0, -0.0, 1e-45]], dtype)[:, ::-1]
    for positive in (dy > 0, dy < 1, np.ones(dy.shape, bool), np.zeros(dy.shape, bool)):
        found = keep_where(positive, dy)
        assert found.dtype == dy.dtype and not np.shares_memory(found, dy)
        np.testing.assert_array_equal(found, np.where(positive, dy, 0))


def test_a_layer_keeps_infinities_and_nan():
    x = np.array([[np.inf], [-np.inf], [np.nan], [-1.0]])
    y, cache = dense_layer(x, np.ones((1, 1)), np.zeros(1), active=True)
    np.testing.assert_array_equal(y, [[np.inf], [0], [np.nan], [0]])
    with np.errstate(invalid="ignore"):  # of dw: infinity times 0
        dx = dense_layer_backward(np.array([[1.0], [np.inf], [np.nan], [-np.inf]]), cache)[0]
    np.testing.assert_array_equal(dx, [[1], [0], [0], [0]])


def test_a_convolution_is_the_plain_one():
    x, w, b, dy = drawn((2, 5, 4, 3), (3, 3, 3, 2), (2,), (2, 5, 4, 2))
    (y, cache), (plain, plain_cache) = conv_on_device(x, w, b), conv(x, w, b)
    np.testing.assert_array_equal(y, plain)
    for one, two in zip(conv_on_device_backward(dy, cache), conv_backward(dy, plain_cache), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_pool_is_the_plain_one():
    x, dy = drawn((2, 5, 4, 3), (2, 2, 2, 3))
    (y, cache), (plain, plain_cache) = max_pool_on_device(x, 2), max_pool(x, 2)
    np.testing.assert_array_equal(y, plain)
    np.testing.assert_array_equal(max_pool_on_device_backward(dy, cache), max_pool_backward(dy, plain_cache))


def test_norms_term_by_term():
    x, y, z = drawn((3, 4), (3, 4), (5,))
    terms = [
        NormTerm("pair", x, y, scale=0.5, weight=2.0),
        NormTerm("pair", x, kind="root", weight=3.0),
        NormTerm("gap", z, kind="gap-square", alpha=1.5),
        NormTerm("gap", z, kind="gap-size", alpha=0.5, weight=4.0),
    ]
    root, length = np.sqrt((x * x).sum()), np.sqrt((z * z).sum())
    values = [0.5 * ((x - y) ** 2).sum(), root, (length - 1.5) ** 2, abs(length - 0.5)]
    total, cache = norm_terms(terms)
    np.testing.assert_allclose(total, 2 * values[0] + 3 * values[1] + values[2] + 4 * values[3], rtol=1e-14)
    np.testing.assert_allclose(cache.values["gap"], values[2] + values[3], rtol=1e-14)
    slopes = [2 * (x - y), 3 * x / root, 2 * (length - 1.5) * z / length, 4 * np.sign(length - 0.5) * z / length]
    for found, slope in zip(norm_terms_backward(2.0, cache), slopes, strict=True):
        np.testing.assert_allclose(found, 2 * slope, atol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_cross_entropy_row_by_row(reduction):
    (u,), labels = drawn((4, 3)), np.array([2, 0, 1, 1])
    p = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    scale = 1 / 4 if reduction == "mean" else 1.0
    loss, cache = softmax_rows(u, labels, reduction=reduction)
    np.testing.assert_allclose(loss, -scale * sum(np.log(p[n, k]) for n, k in enumerate(labels)), rtol=1e-14)
    np.testing.assert_allclose(softmax_rows_backward(3.0, cache), 3 * scale * (p - np.eye(3)[labels]), atol=1e-14)
