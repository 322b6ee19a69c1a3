"""Other operations with mistakes that were written down after the kinds were made, as a control of their generality.

Rows as in `four_operations`. The right names were written down before the reports were read.
"""

import numpy as np

# ---- attention with a mask


def attention(q, k, v, allowed):
    s = q @ k.T / np.sqrt(q.shape[1])
    s = np.where(allowed, s, -1e9)
    e = np.exp(s - s.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)


def attention_backward(dy, cache):
    q, k, v, p = cache
    dp = dy @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    ds = ds / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, p.T @ dy, None


def attention_inputs(rng):
    allowed = np.arange(6) < np.array([[6], [4], [3], [5], [6]])
    return {
        "q": rng.normal(size=(5, 3)),
        "k": rng.normal(size=(6, 3)),
        "v": rng.normal(size=(6, 4)),
        "allowed": allowed,
    }


# ---- softmax cross entropy


def cross_entropy(u, labels):
    e = np.exp(u - u.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(u))
    return -np.log(p[rows, labels]).mean(), (p, labels)


def cross_entropy_backward(dy, cache):
    p, labels = cache
    du = p.copy()
    du[np.arange(len(p)), labels] -= 1
    return dy * du / len(p), None


def cross_entropy_inputs(rng):
    return {"u": rng.normal(size=(6, 4)), "labels": rng.integers(0, 4, 6)}


# ---- a step of a long short-term memory, all gates in one matrix


def lstm(x, h, c, w, u, b):
    a = x @ w + h @ u + b
    m = a.shape[1] // 4
    i, f, o = (1 / (1 + np.exp(-a[:, n * m : (n + 1) * m])) for n in range(3))
    g = np.tanh(a[:, 3 * m :])
    new = f * c + i * g
    return (o * np.tanh(new), new), (x, h, c, w, u, i, f, o, g, new)


def lstm_backward(dy, cache):
    dh_new, dc_new = dy
    x, h, c, w, u, i, f, o, g, new = cache
    t = np.tanh(new)
    do = dh_new * t
    dnew = dc_new + dh_new * o * (1 - t * t)
    di, df, dg = dnew * g, dnew * c, dnew * i
    da = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)], axis=1)
    return da @ w.T, da @ u.T, dnew * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_inputs(rng):
    shapes = {"x": (3, 2), "h": (3, 4), "c": (3, 4), "w": (2, 16), "u": (4, 16), "b": (16,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


# ---- convolution of images, no padding


def conv(x, w, b):
    _, rows, columns, _ = x.shape
    a, d = rows - w.shape[0] + 1, columns - w.shape[1] + 1
    y = sum(x[:, i : i + a, j : j + d] @ w[i, j] for i in range(w.shape[0]) for j in range(w.shape[1]))
    return y + b, (x, w)


def conv_backward(dy, cache):
    x, w = cache
    _, a, d, _ = dy.shape
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dx[:, i : i + a, j : j + d] += dy @ w[i, j].T
            dw[i, j] = np.einsum("nrcf,nrcg->fg", x[:, i : i + a, j : j + d], dy)
    return dx, dw, dy.sum(axis=(0, 1, 2))


def conv_inputs(rng):
    return {"x": rng.normal(size=(2, 5, 6, 3)), "w": rng.normal(size=(3, 3, 3, 4)), "b": rng.normal(size=4)}


# ---- batch normalisation and a rectifier with a slope for each channel


def norm_prelu(x, gamma, beta, slope):
    d = x - x.mean(axis=0)
    s = np.sqrt((d * d).mean(axis=0) + 1e-5)
    h = d / s
    t = gamma * h + beta
    positive = t.real > 0
    return np.where(positive, t, slope * t), (h, s, gamma, slope, t, positive)


def norm_prelu_backward(dy, cache):
    h, s, gamma, slope, t, positive = cache
    dslope = (dy * t * ~positive).sum(axis=0)
    dt = dy * np.where(positive, 1, slope)
    dgamma, dbeta = (dt * h).sum(axis=0), dt.sum(axis=0)
    dh = dt * gamma
    return (dh - dh.mean(axis=0) - h * (dh * h).mean(axis=0)) / s, dgamma, dbeta, dslope


def norm_prelu_inputs(rng):
    x = rng.normal(size=(7, 4))
    return {"x": x, "gamma": rng.uniform(0.5, 2, 4), "beta": rng.normal(size=4), "slope": rng.uniform(0.1, 0.5, 4)}


# the operation, what is wrong, changes of the backward's text, right names by input, and words that lead to it
MISTAKES = [
    (
        "attention",
        "softmax's sum forgotten",
        [(" - (dp * p).sum(axis=1, keepdims=True)", "")],
        "q k: missing term, missing path",
        "y",
    ),
    (
        "attention",
        "softmax's sum over the other axis",
        [("(dp * p).sum(axis=1, keepdims=True)", "(dp * p).sum(axis=0)")],
        "q k: wrong axis, missing path, missing term",
        "",
    ),
    ("attention", "scale forgotten", [("ds = ds / np.sqrt(q.shape[1])", "pass")], "q k: factor", "√"),
    ("attention", "scale twice", [("/ np.sqrt(q.shape[1])", "/ q.shape[1]")], "q k: factor", "√"),
    ("attention", "p forgotten", [("p * (dp", "(dp")], "q k: missing factor, missing term, missing path", ""),
    ("attention", "p for dv squared", [("p.T @ dy", "(p * p).T @ dy")], "v: missing factor", "too much"),
    ("attention", "dk for dq", [("return ds @ k, ds.T @ q,", "return ds @ k, -ds.T @ q,")], "k: sign", ""),
    ("attention", "dv with dp for p", [("p.T @ dy", "ds.T @ dy")], "v: upstream twice", ""),
    (
        "cross_entropy",
        "label not taken off",
        [("du[np.arange(len(p)), labels] -= 1", "pass")],
        "u: missing term, branch",
        "one-hot",
    ),
    ("cross_entropy", "mean forgotten", [(" / len(p)", "")], "u: factor", "N = 6"),
    ("cross_entropy", "mean over all", [("len(p), None", "p.size, None")], "u: factor", "C = 4"),
    ("cross_entropy", "dy ignored", [("dy * du", "du")], "u: upstream ignored", ""),
    ("cross_entropy", "sign", [("dy * du", "-dy * du")], "u: sign", ""),
    ("cross_entropy", "softmax squared", [("p.copy()", "p * p")], "u: missing term, missing factor", ""),
    (
        "cross_entropy",
        "only the label's entry",
        [("du = p.copy()", "du = p * 0\n    du[np.arange(len(p)), labels] = p[np.arange(len(p)), labels]")],
        "u: entries dropped",
        "",
    ),
    ("lstm", "slope of i", [("di * i * (1 - i)", "di")], "w u b: missing slope; x h: missing path", "the slope of σ"),
    (
        "lstm",
        "slope of f half written",
        [("df * f * (1 - f)", "df * f")],
        "w u b: missing factor; x h: missing path",
        "half",
    ),
    (
        "lstm",
        "slope of g",
        [("dg * (1 - g * g)", "dg")],
        "w u b: missing slope; x h: missing path",
        "the slope of tanh",
    ),
    (
        "lstm",
        "slope of tanh c",
        [("dh_new * o * (1 - t * t)", "dh_new * o")],
        "w u b x h c: missing slope, missing path, missing term, factor of each output",
        "",
    ),
    ("lstm", "c's own way", [("dc_new + dh_new * o", "dh_new * o")], "w u b x h c: parts left out", ""),
    ("lstm", "f forgotten for c", [("dnew * f,", "dnew,")], "c: missing factor", ""),
    ("lstm", "c for g", [("dnew * g, dnew * c", "dnew * c, dnew * g")], "w u: other multiple; x h: missing path", ""),
    ("lstm", "u not summed over gates", [("da @ u.T", "da[:, :4] @ u[:, :4].T")], "h: missing path", "u["),
    (
        "lstm",
        "gates in another order",
        [("[di * i * (1 - i), df * f * (1 - f),", "[df * f * (1 - f), di * i * (1 - i),")],
        "w u b: permutation; x h: missing path",
        "",
    ),
    ("conv", "w not transposed back: flipped", [("w[i, j].T", "w[-1 - i, -1 - j].T")], "x: flip", "flip"),
    ("conv", "dw flipped", [("dw[i, j] =", "dw[-1 - i, -1 - j] =")], "w: flip", "flipped along axes 0, 1"),
    ("conv", "taps not added", [("] += dy", "] = dy")], "x: parts left out", "= for +="),
    (
        "conv",
        "b a mean",
        [("dy.sum(axis=(0, 1, 2))", "dy.mean(axis=(0, 1, 2))")],
        "b: factor",
        "divided by n too often",
    ),
    (
        "conv",
        "b over the wrong axes",
        [("dy.sum(axis=(0, 1, 2))", "dy.sum(axis=(1, 2, 3))")],
        "b: wrong axis",
        "instead of",
    ),
    (
        "conv",
        "one tap left out",
        [("dx[:, i", "if (i, j) == (1, 1): continue\n            dx[:, i")],
        "x: parts left out; w: entries dropped",
        "",
    ),
    ("norm_prelu", "slope's mask forgotten", [(" * ~positive", "")], "slope: missing mask", "mask"),
    (
        "norm_prelu",
        "mask turned round",
        [("dy * t * ~positive", "dy * t * positive")],
        "slope: other factor, mask turned round, another mask",
        "",
    ),
    (
        "norm_prelu",
        "slope forgotten",
        [("np.where(positive, 1, slope)", "1")],
        "x gamma beta: missing factor, branch, factor of each output, other factor",
        "",
    ),
    (
        "norm_prelu",
        "slope where positive",
        [("np.where(positive, 1, slope)", "positive")],
        "x gamma beta: entries dropped, factor of each output, other factor, missing path",
        "",
    ),
    (
        "norm_prelu",
        "mean's path",
        [("(dh - dh.mean(axis=0) - h", "(dh - h")],
        "x: missing term",
        "a constant along axis 0",
    ),
    (
        "norm_prelu",
        "statistics over axis 1",
        [
            (
                "dh.mean(axis=0) - h * (dh * h).mean(axis=0)",
                "dh.mean(axis=1, keepdims=True) - h * (dh * h).mean(axis=1, keepdims=True)",
            )
        ],
        "x: wrong axis",
        "sums over axis 1 stand where sums over axis 0",
    ),
    ("norm_prelu", "gamma forgotten", [("dh = dt * gamma", "dh = dt")], "x: missing factor", "gamma"),
    (
        "norm_prelu",
        "variance for deviation",
        [(" / s, dgamma", " / (s * s), dgamma")],
        "x: missing factor, factor of each line",
        "",
    ),
    ("norm_prelu", "dgamma with t for h", [("(dt * h).sum", "(dt * t).sum")], "gamma: other factor", "t"),
    (
        "norm_prelu",
        "N − 1 for N",
        [("(dh * h).mean(axis=0)", "(dh * h).sum(axis=0) / (len(h) - 1)")],
        "x: missing term",
        "",
    ),
]
