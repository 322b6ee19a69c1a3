"""Four operations, right, and 56 typical mistakes in their backwards: what each may rightly be called.

A mistake is a change of the backward's text. Its row says for each input which kinds are right names; a report that
names any other kind, or another input, names it wrongly.
"""

import inspect

import numpy as np

from cmir_ref.gradcheck import Pair

# ---- triplet: both directions of a hinge over all pairs, with a matrix of margins --------------------------------


def triplet(s, alpha):
    n = len(s)
    positive, others = s[np.arange(n), np.arange(n)], 1 - np.eye(n)
    rows, columns = alpha + s - positive[:, None], alpha + s - positive
    a, b = (rows.real > 0) * others, (columns.real > 0) * others
    return (rows * a + columns * b).sum() / n, (rows, columns, a, b)


def triplet_backward(dy, cache):
    rows, columns, a, b = cache  # noqa: RUF059 - mistakes use them
    n = len(a)
    ds, dalpha = dy * (a + b) / n, dy * (a + b) / n
    ds[np.arange(n), np.arange(n)] = -dy * (a.sum(axis=1) + b.sum(axis=0)) / n
    return ds, dalpha


def triplet_inputs(rng):
    return {"s": rng.normal(size=(5, 5)), "alpha": rng.uniform(0.2, 1, (5, 5))}


# ---- layer normalisation -------------------------------------------------------------------------------------------


def layer_norm(x, gain, bias):
    c = x - x.mean(axis=1, keepdims=True)
    s = np.sqrt((c * c).mean(axis=1, keepdims=True) + 1e-5)
    h = c / s
    return gain * h + bias, (x, h, s, gain)


def layer_norm_backward(dy, cache):
    x, h, s, gain = cache  # noqa: RUF059 - mistakes use it
    dgain, dbias = (dy * h).sum(axis=0), dy.sum(axis=0)
    g = dy * gain
    mean, slope = g.mean(axis=1, keepdims=True), (g * h).mean(axis=1, keepdims=True)
    return (g - mean - h * slope) / s, dgain, dbias


def layer_norm_inputs(rng):
    return {"x": rng.normal(size=(6, 5)), "gain": rng.uniform(0.5, 2, 5), "bias": rng.normal(size=5)}


# ---- a step of a gated recurrent unit ------------------------------------------------------------------------------


def gru(x, h, wz, wr, wn, uz, ur, un, bz, br, bn, cn):
    z = 1 / (1 + np.exp(-(x @ wz + h @ uz + bz)))
    r = 1 / (1 + np.exp(-(x @ wr + h @ ur + br)))
    m = h @ un + cn
    n = np.tanh(x @ wn + bn + r * m)
    return (1 - z) * n + z * h, (x, h, wz, wr, wn, uz, ur, un, z, r, m, n)


def gru_backward(dy, cache):
    x, h, wz, wr, wn, uz, ur, un, z, r, m, n = cache
    dz = dy * (h - n)
    dn = dy * (1 - z)
    dh = dy * z
    da = dn * (1 - n * n)
    dr = da * m
    dm = da * r
    dsz = dz * z * (1 - z)
    dsr = dr * r * (1 - r)
    dx = dsz @ wz.T + dsr @ wr.T + da @ wn.T
    dh = dh + dsz @ uz.T + dsr @ ur.T + dm @ un.T
    dwz, dwr, dwn = x.T @ dsz, x.T @ dsr, x.T @ da
    duz, dur, dun = h.T @ dsz, h.T @ dsr, h.T @ dm
    dcn = dm.sum(axis=0)
    return dx, dh, dwz, dwr, dwn, duz, dur, dun, dsz.sum(axis=0), dsr.sum(axis=0), da.sum(axis=0), dcn


def gru_inputs(rng):
    shapes = {"x": (3, 4), "h": (3, 5)} | {f"w{g}": (4, 5) for g in "zrn"} | {f"u{g}": (5, 5) for g in "zrn"}
    shapes |= dict.fromkeys(("bz", "br", "bn", "cn"), (5,))
    return {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}


# ---- cosine of each row with each row ------------------------------------------------------------------------------


def cosine(a, b):
    na, nb = (np.sqrt((v * v).sum(axis=1, keepdims=True)) for v in (a, b))
    u, v = a / na, b / nb
    return u @ v.T, (u, v, na, nb, u @ v.T)


def cosine_backward(dy, cache):
    u, v, na, nb, y = cache
    along_a, along_b = (dy * y).sum(axis=1, keepdims=True), (dy * y).sum(axis=0)[:, None]
    return (dy @ v - u * along_a) / na, (dy.T @ u - v * along_b) / nb


def cosine_inputs(rng):
    return {"a": rng.normal(size=(5, 4)), "b": rng.normal(size=(3, 4))}


# ---- the mistakes --------------------------------------------------------------------------------------------------

OWN = "ds[np.arange(n), np.arange(n)] = -dy * (a.sum(axis=1) + b.sum(axis=0)) / n"
MEANS = "g.mean(axis=1, keepdims=True), (g * h).mean(axis=1, keepdims=True)"
PROJECTED = "(dy @ v - u * along_a) / na, (dy.T @ u - v * along_b) / nb"
# the operation, what is wrong, changes of the backward's text, right names by input, and words that lead to it
MISTAKES = [
    (
        "triplet",
        "positive forgotten",
        [(OWN, "ds[np.arange(n), np.arange(n)] = 0")],
        "s: entries dropped",
        "the diagonal",
    ),
    (
        "triplet",
        "positive of one direction",
        [("(a.sum(axis=1) + b.sum(axis=0))", "a.sum(axis=1)")],
        "s: wrong count, diagonal",
        "the diagonal",
    ),
    (
        "triplet",
        "positive's sums over wrong axes",
        [("a.sum(axis=1) + b.sum(axis=0)", "a.sum(axis=0) + b.sum(axis=1)")],
        "s: wrong count, diagonal",
        "the diagonal",
    ),
    ("triplet", "positive's sign", [("= -dy *", "= dy *")], "s: branch", "factor -1 on 5 of 25"),
    (
        "triplet",
        "positive counted once",
        [("(a.sum(axis=1) + b.sum(axis=0))", "1")],
        "s: wrong count, diagonal",
        "the diagonal",
    ),
    (
        "triplet",
        "hinge's mask missing",
        [("n = len(a)", "n = len(a)\n    a = b = 1 - np.eye(n)")],
        "s alpha: wrong count, missing mask",
        "too many: a mask",
    ),
    (
        "triplet",
        "hinge's mask turned round",
        [("n = len(a)", "n = len(a)\n    a, b = (1 - np.eye(n)) * (rows <= 0), (1 - np.eye(n)) * (columns <= 0)")],
        "s alpha: wrong count, another mask, mask turned round",
        "another mask",
    ),
    (
        "triplet",
        "one direction forgotten",
        [("n = len(a)", "n = len(a)\n    b = 0 * b")],
        "s: wrong count; alpha: wrong count, factor, branch",
        "entries have too few, 0 too many",
    ),
    ("triplet", "1/n forgotten", [(" / n", "")], "s alpha: factor", "1/n of a mean is missing"),
    ("triplet", "dy ignored", [("dy * ", "")], "s alpha: upstream ignored", "multiply by dy"),
    ("triplet", "all signs", [("return ds, dalpha", "return -ds, -dalpha")], "s alpha: sign", "−1 times"),
    (
        "triplet",
        "own pair not left out",
        [("n = len(a)", "n = len(a)\n    a, b = rows > 0, columns > 0")],
        "s alpha: wrong count",
        "a mask of terms",
    ),
    ("triplet", "swapped", [("return ds, dalpha", "return dalpha, ds")], "s alpha: swapped", "the other way round"),
    (
        "layer_norm",
        "path through the mean",
        [("(g - mean - h", "(g - h")],
        "x: missing term",
        "a constant along axis 1",
    ),
    ("layer_norm", "path through the variance", [(" - h * slope", "")], "x: missing term", "through a variance"),
    ("layer_norm", "both paths", [("(g - mean - h * slope)", "g")], "x: missing term", "mean and variance"),
    (
        "layer_norm",
        "statistics over axis 0",
        [(MEANS, "g.mean(axis=0), (g * h).mean(axis=0)")],
        "x: wrong axis",
        "sums over axis 0 stand where sums over axis 1",
    ),
    (
        "layer_norm",
        "mean over axis 0",
        [("mean, slope = g.mean(axis=1, keepdims=True)", "mean, slope = g.mean(axis=0)")],
        "x: wrong axis",
        "sums over axis 0 stand where sums over axis 1",
    ),
    (
        "layer_norm",
        "variance over axis 0",
        [("(g * h).mean(axis=1, keepdims=True)", "(g * h).mean(axis=0)")],
        "x: wrong axis",
        "sums over axis 0 stand where sums over axis 1",
    ),
    ("layer_norm", "gain forgotten", [("g = dy * gain", "g = dy")], "x: missing factor", "gain is missing"),
    ("layer_norm", "1/σ forgotten", [(" / s, dgain", ", dgain")], "x: missing factor", "cache[2] is too much"),
    ("layer_norm", "1/σ twice", [(" / s, dgain", " / s / s, dgain")], "x: missing factor", "cache[2] is missing"),
    (
        "layer_norm",
        "another ε",
        [("x, h, s, gain = cache", "x, h, s, gain = cache\n    s = np.sqrt(s * s - 1e-5 + 1e-3)")],
        "x: factor of each line",
        "another ε",
    ),
    (
        "layer_norm",
        "sign of the variance's path",
        [("- h * slope", "+ h * slope")],
        "x: missing term",
        "or wrong: a multiple of cache[1]",
    ),
    (
        "layer_norm",
        "a sum for the mean",
        [("mean, slope = g.mean(", "mean, slope = g.sum(")],
        "x: missing term",
        "or wrong: a constant along axis 1",
    ),
    (
        "layer_norm",
        "dgain without h",
        [("(dy * h).sum(axis=0)", "dy.sum(axis=0)")],
        "gain: swapped, missing factor",
        "cache[1] is missing",
    ),
    (
        "layer_norm",
        "dgain with x for h",
        [("(dy * h).sum(axis=0)", "(dy * x).sum(axis=0)")],
        "gain: other factor",
        "x stands where cache[1] belongs",
    ),
    ("layer_norm", "dbias a mean", [("dy.sum(axis=0)", "dy.mean(axis=0)")], "bias: factor", "N = 6"),
    ("gru", "z's slope", [("dz * z * (1 - z)", "dz")], "wz uz bz: missing slope; x h: missing path", "the slope of σ"),
    (
        "gru",
        "z's slope half written",
        [("dz * z * (1 - z)", "dz * z")],
        "wz uz bz: missing factor; x h: missing path",
        "half of its slope",
    ),
    (
        "gru",
        "r's slope half written",
        [("dr * r * (1 - r)", "dr * (1 - r)")],
        "wr ur br: missing factor; x h: missing path",
        "half of its slope",
    ),
    (
        "gru",
        "n's slope",
        [("dn * (1 - n * n)", "dn")],
        "wr ur br wn un bn cn: missing slope; x h: missing path",
        "the slope of tanh",
    ),
    (
        "gru",
        "n's slope half written",
        [("dn * (1 - n * n)", "dn * (1 - n)")],
        "wr ur br wn un bn cn: missing factor; x h: missing path",
        "half of tanh's slope",
    ),
    (
        "gru",
        "a branch of z's product",
        [("dy * (h - n)", "dy * h")],
        "wz uz bz: other factor; x h: missing path",
        "a branch of the product",
    ),
    ("gru", "sign of z's product", [("dy * (h - n)", "dy * (n - h)")], "wz uz bz: sign; x h: missing path", "−1 times"),
    (
        "gru",
        "gate turned round",
        [("dn = dy * (1 - z)", "dn = dy * z")],
        "wr ur br wn un bn cn: other factor; x h: missing path",
        "stands where 1 − cache[8] belongs",
    ),
    (
        "gru",
        "r forgotten",
        [("dm = da * r", "dm = da")],
        "un: missing factor; cn: swapped, missing factor; h: missing path",
        "cache[9] is missing",
    ),
    ("gru", "r forgotten for un", [("h.T @ dm", "h.T @ da")], "un: missing factor", "cache[9] is missing"),
    (
        "gru",
        "r forgotten for cn",
        [("dcn = dm.sum", "dcn = da.sum")],
        "cn: swapped, missing factor",
        "cache[9] is missing",
    ),
    (
        "gru",
        "m forgotten",
        [("dr = da * m", "dr = da")],
        "wr ur br: missing factor; x h: missing path",
        "cache[10] is missing",
    ),
    ("gru", "h's way past the gates", [("dh = dh + dsz", "dh = dsz")], "h: missing path", "add dy times cache[8]"),
    ("gru", "h's way through un", [(" + dm @ un.T", "")], "h: missing path", "through un"),
    ("gru", "un not transposed", [("dm @ un.T", "dm @ un")], "h: missing path", "is a transpose of un missing?"),
    (
        "gru",
        "written into dy",
        [("dn = dy * (1 - z)", "dy *= 1 - z\n    dn = dy")],
        "all: written in place",
        "dy was written into",
    ),
    ("cosine", "1/‖a‖", [(" / na, (dy.T", ", (dy.T")], "a: missing factor", "cache[2] is too much"),
    ("cosine", "1/‖b‖", [(" / nb\n", "\n")], "b: missing factor", "cache[3] is too much"),
    ("cosine", "1/‖a‖²", [(" / na, (dy.T", " / na**2, (dy.T")], "a: missing factor", "cache[2] is missing"),
    (
        "cosine",
        "another ε",
        [("u, v, na, nb, y = cache", "u, v, na, nb, y = cache\n    na = na + 1e-3")],
        "a: factor of each line",
        "another ε",
    ),
    (
        "cosine",
        "a's projection",
        [("(dy @ v - u * along_a)", "(dy @ v)")],
        "a: missing term",
        "a multiple of a along axis 1",
    ),
    (
        "cosine",
        "b's projection",
        [("(dy.T @ u - v * along_b)", "(dy.T @ u)")],
        "b: missing term",
        "a multiple of b along axis 1",
    ),
    (
        "cosine",
        "sign of the projection",
        [("- u * along_a", "+ u * along_a")],
        "a: missing term",
        "or wrong: a multiple of a along axis 1",
    ),
    (
        "cosine",
        "projection without y",
        [("along_a, along_b = (dy * y)", "along_a, along_b = dy")],
        "a: missing term",
        "a multiple of a along axis 1",
    ),
    ("cosine", "b not normalised", [("dy @ v - u", "dy @ (v * nb) - u")], "a: missing path", "through b"),
    ("cosine", "swapped", [(PROJECTED, ", ".join(PROJECTED.split(", ")[::-1]))], "a b: swapped", "the other way round"),
    ("cosine", "a's sign", [("return (dy @ v - u", "return -(dy @ v - u")], "a: sign", "−1 times"),
    (
        "cosine",
        "dy ignored",
        [("u, v, na, nb, y = cache", "u, v, na, nb, y = cache\n    dy = np.ones_like(dy)")],
        "a b: upstream ignored",
        "multiply by dy",
    ),
]


def pair_of(operation, changes=(), space=None):
    """The operation with a changed backward."""
    space = globals() if space is None else space
    text = inspect.getsource(space[f"{operation}_backward"])
    for right, wrong in changes:
        assert right in text, f"{operation}: {right} does not stand in its backward"
        text = text.replace(right, wrong)
    made = {"np": np}
    exec(text, made)
    inputs = space[f"{operation}_inputs"](np.random.default_rng(0))
    return Pair(space[operation], made[f"{operation}_backward"], inputs, operation)
