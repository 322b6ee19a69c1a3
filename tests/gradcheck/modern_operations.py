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


# ---- a rotary embedding of neighbours, and scores -------------------------------------------------------------------


def rotary(q, k):
    t, n = np.arange(len(q))[:, None], q.shape[1] // 2
    c, s = np.cos(t * 10.0 ** -np.arange(n)), np.sin(t * 10.0 ** -np.arange(n))

    def turn(x):
        a, b = x[:, 0::2], x[:, 1::2]
        return np.stack([a * c - b * s, a * s + b * c], axis=2).reshape(x.shape)

    return turn(q) @ turn(k).T, (turn(q), turn(k), c, s)


def rotary_backward(dy, cache):
    q, k, c, s = cache

    def back(x):
        a, b = x[:, 0::2], x[:, 1::2]
        return np.stack([a * c + b * s, b * c - a * s], axis=2).reshape(x.shape)

    return back(dy @ k), back(dy.T @ q)


def rotary_inputs(rng):
    return {name: rng.normal(size=(4, 6)) for name in "qk"}


# ---- a gate over steps, and a recurrent network of one layer --------------------------------------------------------


def gated(x, g):
    h = [np.zeros(x.shape[1])]
    for t in range(len(x)):
        h.append(g[t] * h[-1] + (1 - g[t]) * x[t])
    return np.stack(h[1:]), (x, g, np.stack(h))


def gated_backward(dy, cache):
    x, g, h = cache
    dx, dg, dh = np.zeros(x.shape), np.zeros(g.shape), np.zeros(x.shape[1])
    for t in reversed(range(len(x))):
        dh = dh + dy[t]
        dx[t], dg[t] = dh * (1 - g[t]), dh * (h[t] - x[t])
        dh = dh * g[t]
    return dx, dg


def gated_inputs(rng):
    return {"x": rng.normal(size=(5, 3)), "g": rng.uniform(0.2, 0.9, (5, 3))}


def recurrent(x, w, u):
    h = [np.zeros((x.shape[1], len(u)))]
    for t in range(len(x)):
        h.append(np.tanh(x[t] @ w + h[-1] @ u))
    return np.stack(h[1:]), (x, h, w, u)


def recurrent_backward(dy, cache):
    x, h, w, u = cache
    dx, dw, du, dh = np.zeros(x.shape), np.zeros(w.shape), np.zeros(u.shape), 0
    for t in reversed(range(len(x))):
        da = (dy[t] + dh) * (1 - h[t + 1] ** 2)
        dx[t], dh = da @ w.T, da @ u.T
        dw += x[t].T @ da
        du += h[t].T @ da
    return dx, dw, du


def recurrent_inputs(rng):
    return {"x": rng.normal(size=(4, 2, 3)), "w": 0.7 * rng.normal(size=(3, 3)), "u": 0.7 * rng.normal(size=(3, 3))}


# ---- a running product ----------------------------------------------------------------------------------------------


def product(x):
    return np.cumprod(x, axis=1), (x, np.cumprod(x, axis=1))


def product_backward(dy, cache):
    x, y = cache
    return np.cumsum((dy * y)[:, ::-1], axis=1)[:, ::-1] / x


def product_inputs(rng):
    return {"x": rng.uniform(0.5, 2, (3, 4))}


# ---- a batch less its mean, and the running mean --------------------------------------------------------------------


def centred(x, running):
    m = x.mean(axis=0)
    return (x - m, 0.9 * running + 0.1 * m), len(x)


def centred_backward(dys, n):
    dy, dm = dys
    return dy - dy.mean(axis=0) + 0.1 * dm / n, 0.9 * dm


def centred_inputs(rng):
    return {"x": rng.normal(size=(4, 3)), "running": rng.normal(size=3)}


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
    ("rotary", "the wrong way",
     [("[a * c + b * s, b * c - a * s]", "[a * c - b * s, b * c + a * s]")], "q k: rotation", "is turned by an angle"),
    ("rotary", "not turned back", [("back(dy @ k)", "dy @ k")], "q: rotation", "2k and 2k + 1 along axis 1"),
    ("rotary", "one sign", [("b * c - a * s", "b * c + a * s")], "", "9 of 24"),
    ("gated", "g left out", [("dh * g[t]", "dh * 1")], "x g: recurrence", "the factor g of each step is missing"),
    ("gated", "the other side", [("dh = dh * g[t]", "dh = dh * (1 - g[t])")], "x g: recurrence",
     "the factor 1 − g of each step stands where g belongs"),
    ("gated", "nothing carried", [("dh = dh * g[t]", "dh = 0 * dh")], "x g: recurrence", "is left out"),
    ("gated", "the side of x", [("dh * (1 - g[t])", "dh * g[t]")], "x: other factor", "g stands where 1 − g belongs"),
    ("recurrent", "u not transposed", [("da @ u.T", "da @ u")], "x: recurrence; u: missing path", "to itself is right"),
    ("recurrent", "slope left out", [(" * (1 - h[t + 1] ** 2)", "")], "x: missing slope", "along axis 0 of x gives to"),
    ("recurrent", "slope of the step before", [("h[t + 1] ** 2", "h[t] ** 2")], "x: other factor",
     "1 − cache[1][:-1]² stands where 1 − y² belongs"),
    ("product", "not run backwards", [("np.cumsum((dy * y)[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(dy * y, axis=1)")],
     "x: recurrence", "it runs the wrong way"),
    ("centred", "1/n of the running mean", [("0.1 * dm / n", "0.1 * dm")], "x: factor of each line", "of output 1"),
]  # fmt: skip
