"""Seven more operations, with mistakes that were written down after the kinds were made.

Rows as in `four_operations`. The right names are those that a reader of the reports found true; a row without a name is
one that no report names.
"""

import numpy as np


# MLP, scalar loss, nothing but inputs kept
def mlp(x, w1, b1, w2, b2, t):
    a = x @ w1 + b1
    h = np.where(a.real > 0, a, 0 * a)
    e = h @ w2 + b2 - t
    return (e * e).sum() / len(x), (x, w1, b1, w2, b2, t)


def mlp_backward(dy, cache):
    x, w1, b1, w2, b2, t = cache
    a = x @ w1 + b1
    h = np.maximum(a, 0)
    de = 2 * dy * (h @ w2 + b2 - t) / len(x)
    dh = de @ w2.T
    da = dh * (a > 0)
    return da @ w1.T, x.T @ da, da.sum(axis=0), h.T @ de, de.sum(axis=0), -de


def mlp_inputs(rng):
    s = {"x": (5, 3), "w1": (3, 6), "b1": (6,), "w2": (6, 2), "b2": (2,), "t": (5, 2)}
    return {k: rng.normal(size=v) for k, v in s.items()}


# tanh layer, vector output, nothing but inputs kept, named dict
def layer2(x, w1, b1, w2):
    h = np.tanh(x @ w1 + b1)
    return h @ w2, {"x": x, "w1": w1, "w2": w2, "h": h}


def layer2_backward(dy, c):
    dh = dy @ c["w2"].T
    da = dh * (1 - c["h"] ** 2)
    return da @ c["w1"].T, c["x"].T @ da, da.sum(axis=0), c["h"].T @ dy


def layer2_inputs(rng):
    s = {"x": (5, 3), "w1": (3, 6), "b1": (6,), "w2": (6, 4)}
    return {k: rng.normal(size=v) for k, v in s.items()}


# InfoNCE of two normalised batches, both directions
def nce(a, b, logt):
    na, nb = np.sqrt((a * a).sum(1, keepdims=True)), np.sqrt((b * b).sum(1, keepdims=True))
    u, v = a / na, b / nb
    s = u @ v.T * np.exp(logt)

    def lse(s, axis):
        m = s.real.max(axis=axis, keepdims=True)
        return np.log(np.exp(s - m).sum(axis=axis)) + m.squeeze(axis)

    n = len(s)
    own = s[np.arange(n), np.arange(n)]
    p = np.exp(s - lse(s, 1)[:, None])
    q = np.exp(s - lse(s, 0))
    return ((lse(s, 1) - own).mean() + (lse(s, 0) - own).mean()) / 2, (u, v, na, nb, s, p, q, logt)


def nce_backward(dy, cache):
    u, v, na, nb, s, p, q, logt = cache
    n = len(s)
    ds = dy * (p + q - 2 * np.eye(n)) / (2 * n)
    dlogt = (ds * s).sum()
    du, dv = ds @ v * np.exp(logt), ds.T @ u * np.exp(logt)
    return (du - u * (du * u).sum(1, keepdims=True)) / na, (dv - v * (dv * v).sum(1, keepdims=True)) / nb, dlogt


def nce_inputs(rng):
    return {"a": rng.normal(size=(4, 6)), "b": rng.normal(size=(4, 6)), "logt": np.array(0.7)}


# rms norm and residual with a gate
def rms_gate(x, g, w):
    s = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    h = x / s * g
    k = 1 / (1 + np.exp(-(h @ w)))
    return x + h * k, (x, g, w, s, h, k)


def rms_gate_backward(dy, cache):
    x, g, w, s, h, k = cache
    dk = dy * h
    da = dk * k * (1 - k)
    dh = dy * k + da @ w.T
    dg = (dh * x / s).sum(axis=(0, 1))
    dxn = dh * g
    dx = dy + (dxn - x / s * (dxn * x / s).mean(axis=-1, keepdims=True)) / s
    return dx, dg, h.reshape(-1, h.shape[-1]).T @ da.reshape(-1, da.shape[-1])


def rms_gate_inputs(rng):
    return {"x": rng.normal(size=(2, 3, 5)), "g": rng.uniform(0.5, 2, 5), "w": rng.normal(size=(5, 5))}


# embedding, mean over words, with lengths
def bag(table, words, mask):
    e = table[words]
    n = mask.sum(axis=1, keepdims=True)
    return (e * mask[..., None]).sum(axis=1) / n, (words, mask, n, table.shape)


def bag_backward(dy, cache):
    words, mask, n, shape = cache
    d = np.zeros(shape)
    np.add.at(d, words, (dy / n)[:, None] * mask[..., None])
    return d, None, None


def bag_inputs(rng):
    return {
        "table": rng.normal(size=(6, 4)),
        "words": np.array([[0, 1, 2], [3, 3, 0], [1, 4, 4], [2, 0, 3]]),
        "mask": np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1]]) > 0,
    }


# max pool by 2
def pool(x):
    n, r, c, k = x.shape
    b = x.reshape(n, r // 2, 2, c // 2, 2, k).transpose(0, 1, 3, 5, 2, 4).reshape(n, r // 2, c // 2, k, 4)
    i = b.real.argmax(-1)
    return np.take_along_axis(b, i[..., None], -1)[..., 0], (i, x.shape)


def pool_backward(dy, cache):
    i, (n, r, c, k) = cache
    d = np.zeros((*dy.shape, 4))
    np.put_along_axis(d, i[..., None], dy[..., None], -1)
    d = d.reshape(n, r // 2, c // 2, k, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return d.reshape(n, r, c, k)


def pool_inputs(rng):
    return {"x": rng.normal(size=(2, 4, 6, 3))}


# batch norm over images, running-stat free
def bn(x, gamma, beta):
    m = x.mean(axis=(0, 1, 2))
    d = x - m
    v = (d * d).mean(axis=(0, 1, 2))
    inv = 1 / np.sqrt(v + 1e-5)
    return gamma * d * inv + beta, (d, inv, gamma)


def bn_backward(dy, cache):
    d, inv, gamma = cache
    h = d * inv
    axes = (0, 1, 2)
    dh = dy * gamma
    dx = inv * (dh - dh.mean(axis=axes) - h * (dh * h).mean(axis=axes))
    return dx, (dy * h).sum(axis=axes), dy.sum(axis=axes)


def bn_inputs(rng):
    return {"x": rng.normal(size=(2, 3, 4, 3)), "gamma": rng.uniform(0.5, 2, 3), "beta": rng.normal(size=3)}


MISTAKES = [
    ("mlp", "relu mask missing", [("dh * (a > 0)", "dh")], "", ""),
    ("mlp", "mask turned", [("(a > 0)", "(a < 0)")], "", ""),
    ("mlp", "2 missing", [("2 * dy", "dy")], "x w1 b1 w2 b2 t: factor", ""),
    ("mlp", "mean missing", [("/ len(x)", "")], "x w1 b1 w2 b2 t: factor", ""),
    ("mlp", "t sign", [("-de\n", "de\n")], "t: sign", ""),
    ("mlp", "b1 wrong axis", [("da.sum(axis=0)", "da.sum(axis=1)")], "b1: wrong axis", ""),
    ("mlp", "w2 with a for h", [("h.T @ de", "a.T @ de")], "", ""),
    ("mlp", "b2 not summed", [("de.sum(axis=0)", "de")], "b2: missing sum", ""),
    ("mlp", "w1 transposed", [("x.T @ da", "(x.T @ da).T")], "w1: transpose", ""),
    ("layer2", "slope", [('dh * (1 - c["h"] ** 2)', "dh")], "w1 b1: missing slope", ""),
    ("layer2", "slope half", [('dh * (1 - c["h"] ** 2)', 'dh * (1 - c["h"])')], "w1 b1: missing factor", ""),
    ("layer2", "slope as sigma", [('(1 - c["h"] ** 2)', 'c["h"] * (1 - c["h"])')], "w1 b1: other factor", ""),
    ("layer2", "b1 without slope", [("da.sum(axis=0)", "dh.sum(axis=0)")], "b1: missing slope", ""),
    ("layer2", "b1 axis", [("da.sum(axis=0)", "da.sum(axis=1)")], "b1: wrong axis", ""),
    ("layer2", "w1 x squared", [('c["x"].T @ da', '(c["x"]**2).T @ da')], "w1: missing factor", ""),
    ("nce", "own pair missing", [(" - 2 * np.eye(n)", "")], "a b: missing term", ""),
    ("nce", "own pair once", [("2 * np.eye(n)", "np.eye(n)")], "a b: missing term", ""),
    ("nce", "one direction", [("(p + q - 2 * np.eye(n))", "(p - np.eye(n))")], "", ""),
    ("nce", "1/n", [("(2 * n)", "2")], "a b logt: factor", ""),
    ("nce", "temperature", [("ds @ v * np.exp(logt)", "ds @ v")], "a: factor", ""),
    ("nce", "dlogt with exp", [("(ds * s).sum()", "(ds * s).sum() / np.exp(logt)")], "logt: factor", ""),
    ("nce", "projection", [("(du - u * (du * u).sum(1, keepdims=True))", "du")], "a: missing term", ""),
    ("nce", "norm", [(" / na, ", ", ")], "a: missing factor", ""),
    ("nce", "not transposed", [("ds.T @ u", "ds @ u")], "", ""),
    ("nce", "a for u", [("ds.T @ u * np", "ds.T @ (u * na) * np")], "", ""),
    ("rms_gate", "residual", [("dx = dy + (", "dx = (")], "x: missing path", ""),
    ("rms_gate", "gate path", [("dh = dy * k + da @ w.T", "dh = dy * k")], "", ""),
    ("rms_gate", "h path", [("dh = dy * k + da @ w.T", "dh = da @ w.T")], "", ""),
    ("rms_gate", "sigma slope", [("dk * k * (1 - k)", "dk")], "w: missing slope", ""),
    ("rms_gate", "sigma half", [("dk * k * (1 - k)", "dk * k")], "w: missing factor", ""),
    ("rms_gate", "norm path", [(" - x / s * (dxn * x / s).mean(axis=-1, keepdims=True)", "")], "x: missing term", ""),
    ("rms_gate", "norm path axis", [(".mean(axis=-1, keepdims=True)", ".mean(axis=1, keepdims=True)")], "", ""),
    ("rms_gate", "g forgotten", [("dxn = dh * g", "dxn = dh")], "", ""),
    ("rms_gate", "1/s", [("mean(axis=-1, keepdims=True)) / s", "mean(axis=-1, keepdims=True))")], "", ""),
    ("rms_gate", "dg one axis", [("sum(axis=(0, 1))", "sum(axis=1)")], "g: missing sum", ""),
    ("rms_gate", "w not transposed", [("da @ w.T", "da @ w")], "g: other factor", ""),
    (
        "rms_gate",
        "dw turned",
        [("h.reshape(-1, h.shape[-1]).T @ da.reshape(-1, da.shape[-1])", "da.reshape(-1, 5).T @ h.reshape(-1, 5)")],
        "w: transpose",
        "",
    ),
    (
        "bag",
        "assign for add",
        [
            (
                "np.add.at(d, words, (dy / n)[:, None] * mask[..., None])",
                "d[words] = (dy / n)[:, None] * mask[..., None]",
            )
        ],
        "table: parts left out",
        "",
    ),
    ("bag", "mask", [(" * mask[..., None]", " * np.ones(mask.shape)[..., None]")], "", ""),
    ("bag", "n", [("(dy / n)", "dy")], "table: missing factor", ""),
    ("bag", "n constant", [("(dy / n)", "(dy / 3)")], "table: factor of each line", ""),
    (
        "pool",
        "to all",
        [("np.put_along_axis(d, i[..., None], dy[..., None], -1)", "d += dy[..., None]")],
        "x: missing mask",
        "",
    ),
    ("pool", "mean", [("np.put_along_axis(d, i[..., None], dy[..., None], -1)", "d += dy[..., None] / 4")], "", ""),
    ("pool", "axes", [("transpose(0, 1, 4, 2, 5, 3)", "transpose(0, 1, 5, 2, 4, 3)")], "x: permutation", ""),
    ("pool", "first always", [("i[..., None], dy", "0 * i[..., None], dy")], "x: permutation", ""),
    (
        "bn",
        "axes 0 only",
        [
            ("axes = (0, 1, 2)", "axes = (0, 1, 2)"),
            ("dh.mean(axis=axes)", "dh.mean(axis=0)"),
            ("(dh * h).mean(axis=axes)", "(dh * h).mean(axis=0)"),
        ],
        "",
        "",
    ),
    (
        "bn",
        "axis 3",
        [
            ("dh.mean(axis=axes)", "dh.mean(axis=3, keepdims=True)"),
            ("(dh * h).mean(axis=axes)", "(dh * h).mean(axis=3, keepdims=True)"),
        ],
        "x: wrong axis",
        "",
    ),
    ("bn", "constants", [("(dh - dh.mean(axis=axes) - h * (dh * h).mean(axis=axes))", "dh")], "x: missing term", ""),
    ("bn", "gamma", [("dh = dy * gamma", "dh = dy")], "x: missing factor", ""),
    ("bn", "inv", [("inv * (dh", "(dh")], "x: missing factor", ""),
    ("bn", "h for d", [("(dy * h).sum", "(dy * d).sum")], "gamma: missing factor", ""),
    ("bn", "beta mean", [("dy.sum(axis=axes)", "dy.mean(axis=axes)")], "beta: factor", ""),
    ("bn", "beta axes", [("dy.sum(axis=axes)", "dy.sum(axis=(1, 2, 3))")], "beta: wrong axis", ""),
]
