"""Four operations that no lesson derives, derived by the method of lesson 21 and with nothing but it.

Each forward keeps its steps by name and takes a nudge at each; each backward is its lines from the last to the first.
"""

import numpy as np

LABELS = np.array([2, 0, 3, 1, 1])
MASK = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)


def keeper(c, nudge):
    def keep(name, value):
        c[name] = value + (nudge or {}).get(name, 0)
        return c[name]

    return keep


def smoothing(u, nudge=None):
    """The cross entropy of u (N, K) with labels that are 0.9 sure."""
    keep = keeper(c := {}, nudge)
    q = 0.9 * np.eye(u.shape[1])[LABELS] + 0.1 / u.shape[1]
    e = keep("e", np.exp(u))
    t = keep("t", e.sum(axis=1, keepdims=True))
    l = keep("l", np.log(t))  # noqa: E741
    g = keep("g", u - l)
    return keep("y", -(q * g).sum(keepdims=True) / len(u)), c


def smoothing_back(dy, u, c):
    d = {name: np.zeros_like(value) for name, value in c.items()} | {"u": np.zeros_like(u)}
    q = 0.9 * np.eye(u.shape[1])[LABELS] + 0.1 / u.shape[1]
    d["y"] += dy
    d["g"] += -d["y"] * q / len(u)
    d["u"] += d["g"]
    d["l"] += -d["g"].sum(axis=1, keepdims=True)
    d["t"] += d["l"] / c["t"]
    d["e"] += d["t"]
    d["u"] += d["e"] * c["e"]
    return d


def layer_norm(axis):
    """The pair for x (N, D) along either axis, with a gain (D,)."""

    def forward(x, gain, nudge=None):
        keep = keeper(c := {}, nudge)
        n = x.shape[axis]
        m = keep("m", x.sum(axis=axis, keepdims=True) / n)
        z = keep("z", x - m)
        v = keep("v", (z * z).sum(axis=axis, keepdims=True) / n)
        s = keep("s", np.sqrt(v + 1e-3))
        r = keep("r", 1 / s)
        h = keep("h", z * r)
        return keep("y", h * gain), c

    def back(dy, x, gain, c):
        d = {name: np.zeros_like(value) for name, value in c.items()}
        d |= {"x": np.zeros_like(x), "gain": np.zeros_like(gain)}
        n = x.shape[axis]
        d["y"] += dy
        d["gain"] += (d["y"] * c["h"]).sum(axis=0)
        d["h"] += d["y"] * gain
        d["z"] += d["h"] * c["r"]
        d["r"] += (d["h"] * c["z"]).sum(axis=axis, keepdims=True)
        d["s"] += -d["r"] / c["s"] ** 2
        d["v"] += d["s"] / (2 * c["s"])
        d["z"] += d["v"] * 2 * c["z"] / n
        d["x"] += d["z"]
        d["m"] += -d["z"].sum(axis=axis, keepdims=True)
        d["x"] += d["m"] / n
        return d

    return forward, back


def attention(q, k, v, nudge=None):
    """Attention of queries (3, D) to keys (4, D) where the mask lets them."""
    keep = keeper(c := {}, nudge)
    u = keep("u", q @ k.T / np.sqrt(q.shape[1]))
    w = keep("w", np.where(MASK, u, -np.inf))
    e = keep("e", np.exp(w))
    t = keep("t", e.sum(axis=1, keepdims=True))
    a = keep("a", e / t)
    return keep("y", a @ v), c


def attention_back(dy, q, k, v, c):
    d = {name: np.zeros_like(value) for name, value in c.items()}
    d |= {"q": np.zeros_like(q), "k": np.zeros_like(k), "v": np.zeros_like(v)}
    d["y"] += dy
    d["a"] += d["y"] @ v.T
    d["v"] += c["a"].T @ d["y"]
    d["e"] += d["a"] / c["t"]
    d["t"] += -(d["a"] * c["e"]).sum(axis=1, keepdims=True) / c["t"] ** 2
    d["e"] += d["t"]
    d["w"] += d["e"] * c["e"]
    d["u"] += np.where(MASK, d["w"], 0)
    d["q"] += d["u"] @ k / np.sqrt(q.shape[1])
    d["k"] += d["u"].T @ q / np.sqrt(q.shape[1])
    return d


def gru(x, h, w, u, b, nudge=None):
    """One step, the reset gate behind the product; w, u, b stand for r, z, n side by side."""
    keep = keeper(c := {}, nudge)
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n) = (np.split(a, 3, axis=-1) for a in (w, u, b))
    r = keep("r", 1 / (1 + np.exp(-(x @ w_r + h @ u_r + b_r))))
    z = keep("z", 1 / (1 + np.exp(-(x @ w_z + h @ u_z + b_z))))
    k = keep("k", h @ u_n)
    s = keep("s", x @ w_n + b_n + r * k)
    n = keep("n", np.tanh(s))
    return keep("y", (1 - z) * n + z * h), c


def gru_back(dy, x, h, w, u, b, c):
    d = {name: np.zeros_like(value) for name, value in c.items()}
    d |= {name: np.zeros_like(a) for name, a in zip("xhwub", (x, h, w, u, b), strict=True)}
    (w_r, w_z, w_n), (u_r, u_z, u_n) = (np.split(a, 3, axis=1) for a in (w, u))
    dw, du, db = (np.split(d[name], 3, axis=-1) for name in "wub")  # pieces of the same memory
    d["y"] += dy
    d["z"] += d["y"] * (h - c["n"])
    d["n"] += d["y"] * (1 - c["z"])
    d["h"] += d["y"] * c["z"]
    d["s"] += d["n"] * (1 - c["n"] ** 2)
    d["r"] += d["s"] * c["k"]
    d["k"] += d["s"] * c["r"]
    d["x"] += d["s"] @ w_n.T
    dw[2][...] += x.T @ d["s"]
    db[2][...] += d["s"].sum(axis=0)
    d["h"] += d["k"] @ u_n.T
    du[2][...] += h.T @ d["k"]
    for i, (gate, w_gate, u_gate) in enumerate((("r", w_r, u_r), ("z", w_z, u_z))):
        before = d[gate] * c[gate] * (1 - c[gate])
        d["x"] += before @ w_gate.T
        d["h"] += before @ u_gate.T
        dw[i][...] += x.T @ before
        du[i][...] += h.T @ before
        db[i][...] += before.sum(axis=0)
    return d
