"""Operations of modern practice, right, and mistakes in their backwards: what each may rightly be called.

The rows are those of `four_operations`. A row without names is one that no report can name: it says where alone.
"""

import numpy as np

# ---- the factor of Cholesky, from the lower half of a matrix --------------------------------------------------------


def cholesky(a):
    return np.linalg.cholesky(a), (np.linalg.cholesky(a),)


def cholesky_backward(dy, cache):
    (l,) = cache  # noqa: E741
    p = np.tril(l.T @ np.tril(dy))
    p[np.diag_indices(len(l))] /= 2
    inverse = np.linalg.inv(l)
    s = inverse.T @ (p + p.T) @ inverse
    da = np.tril(s)
    da[np.diag_indices(len(l))] /= 2
    return da


def cholesky_inputs(rng):
    a = rng.normal(size=(4, 4))
    return {"a": a @ a.T + 4 * np.eye(4)}


# ---- contrast of two views with a learned temperature ---------------------------------------------------------------


def contrast(a, b, scale):
    s = a @ b.T * np.exp(scale)
    e = np.exp(s - s.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(np.diag(p)).mean(), (a, b, scale, s, p)


def contrast_backward(dy, cache):
    a, b, scale, s, p = cache
    ds = dy * (p - np.eye(len(p))) / len(p)
    return ds @ b * np.exp(scale), ds.T @ a * np.exp(scale), (ds * s).sum()


def contrast_inputs(rng):
    return {"a": rng.normal(size=(4, 5)), "b": rng.normal(size=(4, 5)), "scale": np.array(0.3)}


# ---- a loss of all pairs of rows ------------------------------------------------------------------------------------


def pairs(x):
    s = x @ x.T
    t = np.arange(25.0).reshape(5, 5) / 10
    return (s * s * t).sum(), (x, s, t)


def pairs_backward(dy, cache):
    x, s, t = cache
    ds = 2 * dy * s * t
    return (ds + ds.T) @ x


def pairs_inputs(rng):
    return {"x": rng.normal(size=(5, 3))}


# ---- attention, each place sees what is before it -------------------------------------------------------------------


def causal(q, k, v):
    s = np.where(np.tri(len(q)) > 0, q @ k.T, -1e30)
    e = np.exp(s - s.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)


def causal_backward(dy, cache):
    q, k, v, p = cache
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return ds @ k, ds.T @ q, p.T @ dy


def causal_inputs(rng):
    return {name: rng.normal(size=(4, 3)) for name in "qkv"}


# ---- a gated linear unit --------------------------------------------------------------------------------------------


def swiglu(x, a, b):
    p, q = x @ a, x @ b
    s = 1 / (1 + np.exp(-p))
    return p * s * q, (x, a, b, p, q, s)


def swiglu_backward(dy, cache):
    x, a, b, p, q, s = cache
    dp, dq = dy * q * (s + p * s * (1 - s)), dy * p * s
    return dp @ a.T + dq @ b.T, x.T @ dp, x.T @ dq


def swiglu_inputs(rng):
    return {"x": rng.normal(size=(3, 4)), "a": rng.normal(size=(4, 3)), "b": rng.normal(size=(4, 3))}


# ---- weights by rank, and weights of unit columns -------------------------------------------------------------------


def ranked(x, w):
    order = np.argsort(x.real, axis=1)
    return np.take_along_axis(x, order, 1) * w, (x, w, order)


def ranked_backward(dy, cache):
    x, w, order = cache
    dx = np.zeros(x.shape)
    np.put_along_axis(dx, order, dy * w, 1)
    return dx, (dy * np.take_along_axis(x, order, 1)).sum(axis=0)


def ranked_inputs(rng):
    return {"x": rng.normal(size=(3, 5)), "w": rng.normal(size=5)}


def unit(x, v, g):
    r = np.sqrt((v * v).sum(axis=0))
    return x @ (g * v / r), (x, v, g, r, g * v / r)


def unit_backward(dy, cache):
    x, v, g, r, w = cache
    dw = x.T @ dy
    dg = (dw * v / r).sum(axis=0)
    return dy @ w.T, g / r * dw - v * dg * g / r**2, dg


def unit_inputs(rng):
    return {"x": rng.normal(size=(4, 3)), "v": rng.normal(size=(3, 5)), "g": rng.uniform(0.5, 2, 5)}


# ---- the sum of exponentials up to each place -----------------------------------------------------------------------


def soft_maximum(x):
    return np.log(np.cumsum(np.exp(x), axis=1)), (np.exp(x), np.cumsum(np.exp(x), axis=1))


def soft_maximum_backward(dy, cache):
    e, c = cache
    return e * np.cumsum((dy / c)[:, ::-1], axis=1)[:, ::-1]


def soft_maximum_inputs(rng):
    return {"x": rng.normal(size=(2, 5))}


# ---- eigenvalues of a symmetric matrix ------------------------------------------------------------------------------


def eigenvalues(a):
    w, v = np.linalg.eigh((a + a.T) / 2)
    return w, (w, v)


def eigenvalues_backward(dy, cache):
    _, v = cache
    return (v * dy) @ v.T


def eigenvalues_inputs(rng):
    a = rng.normal(size=(4, 4))
    return {"a": a + a.T}


# ---- the nearest of some codes, and the distance to it --------------------------------------------------------------


def codes(z, e):
    k = ((z.real[:, None] - e.real) ** 2).sum(axis=2).argmin(axis=1)
    r = z - e[k]
    return (e[k], (r * r).mean()), (r, k, len(e))


def codes_backward(dys, cache):
    r, k, n = cache
    g = 2 * r * dys[1] / r.size
    de = np.zeros((n, r.shape[1]))
    np.add.at(de, k, dys[0] - g)
    return g, de


def codes_inputs(rng):
    return {"z": rng.normal(size=(5, 3)), "e": rng.normal(size=(4, 3))}


MISTAKES = [
    ("cholesky", "one entry of p", [("    inverse", "    p[1, 0] *= 2\n    inverse")], "", "in column 0"),
    ("cholesky", "one entry of dy",
     [("    p = np", "    dy = dy * (1 + (dy == dy[1, 0]))\n    p = np")], "", "in column 0"),
    ("cholesky", "diagonal not halved",
     [("    da[np.diag_indices(len(l))] /= 2\n", "")], "a: branch", "they are the diagonal"),
    ("cholesky", "the other half", [("da = np.tril(s)", "da = np.triu(s)")], "a: transpose", ".T"),
    ("contrast", "ds for its transpose", [("ds.T @ a", "ds @ a")], "b: transpose", "d.T @ a belongs"),
    ("contrast", "scale forgotten", [("ds @ b * np.exp(scale)", "ds @ b")], "a: factor", "exp(scale) is missing"),
    ("contrast", "the mean of scale", [("(ds * s).sum()", "(ds * s).mean()")], "", "1 of 1"),
    ("pairs", "rows alone", [("(ds + ds.T)", "ds")], "x: half of a shared input", "d.T beside d"),
    ("pairs", "rows twice", [("(ds + ds.T)", "2 * ds")], "x: half of a shared input", "counts twice"),
    ("causal", "ds for its transpose", [("ds.T @ q", "ds @ q")], "k: transpose", "d.T @ q belongs"),
    ("causal", "softmax's sum", [("(dp - (dp * p).sum(axis=1, keepdims=True))", "dp")],
     "q: missing term; k: missing path", "a multiple of y along axis 1 of y"),
    ("swiglu", "the slope of the gate", [("(s + p * s * (1 - s))", "s")],
     "a: factor of each output; x: missing path", "for each entry of y"),
    ("ranked", "w at the other end", [("order, dy * w, 1)", "order, dy, 1)\n    dx = dx * w")],
     "x: other factor", "multiply before what sums or reorders"),
    ("unit", "v for w", [("dy @ w.T", "dy @ v.T")], "x: other factor", "or the factor v stands where cache[4]"),
    ("soft_maximum", "e at the other end",
     [("e * np.cumsum((dy / c)[:, ::-1], axis=1)[:, ::-1]", "np.cumsum((dy * e / c)[:, ::-1], axis=1)[:, ::-1]")],
     "x: other factor", "multiply after what sums or reorders"),
    ("eigenvalues", "vectors transposed", [("(v * dy) @ v.T", "(v.T * dy) @ v")], "a: transpose", "a transpose of"),
    ("codes", "straight through",
     [("return g, de", "return g + dys[0], de")], "z: straight through", "part of y jumps"),
    ("codes", "the distance of a code", [("dys[0] - g", "dys[0]")], "e: parts left out", "dy[1] has no part"),
    ("codes", "sign", [("dys[0] - g", "dys[0] + g")], "", "y jumps as e moves"),
]  # fmt: skip
