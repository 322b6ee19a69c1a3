"""Small wrong functions and right ones, as a reader could write them: what is said of each is its status.

Every case is also a pair of this file, as `cmir-ref gradcheck --module` takes them.
"""

import numpy as np

R = np.random.default_rng(0)
X = R.normal(size=(4, 3))
W = R.normal(size=(3, 5))
B = R.normal(size=5)
P = R.uniform(0.5, 2, (4, 3))
CASES = {}  # name -> (the status that a judgement of it has, or "refused", the forward, the backward, the inputs)


def add(name, verdict, f, b, *inputs):
    """Notes a case, and defines it as a pair of this file: NAME, NAME_backward, NAME_inputs."""
    CASES[name] = verdict, f, b, inputs
    who = "case_" + "".join(c if c.isalnum() else "_" for c in name)
    globals().update({who: f, f"{who}_backward": b, f"{who}_inputs": lambda rng: [x.copy() for x in inputs]})


# ---- wrong
for sc in (1e-12, 1e-6, 1e6, 1e12):
    add(f"sign at {sc:g}", 1, lambda x, sc=sc: (sc * x * x, x), lambda dy, x, sc=sc: -2 * sc * x * dy, X)
    add(f"2 missing at {sc:g}", 1, lambda x, sc=sc: ((sc * x * x).sum(), x), lambda dy, x, sc=sc: sc * x * dy, X)
for lam in (1e-4, 1e-7, 1e-10):
    add(
        f"lambda {lam:g} forgotten",
        1,
        lambda w, lam=lam: ((w * w).sum() + lam * (np.where(w.real > 0, w, -w)).sum(), w),
        lambda dy, w: 2 * w * dy,
        X,
    )
    add(
        f"lambda abs {lam:g} forgotten",
        1,
        lambda w, lam=lam: ((w * w).sum() + lam * np.abs(w).sum(), w),
        lambda dy, w: 2 * w * dy,
        X,
    )
add(
    "sign of small part",
    1,
    lambda x: (x[0] ** 2 + 1e-9 * x[1] ** 2, x),
    lambda dy, x: np.stack([2 * x[0] * dy, -2e-9 * x[1] * dy]),
    X[:2],
)
add(
    "reused buffer wrong",
    1,
    (lambda buf: lambda x: (x * x, x))(None),
    (lambda buf: lambda dy, x: np.multiply(dy, x, out=buf))(np.empty((4, 3))),
    X,
)
add(
    "transposed square",
    1,
    lambda x, w: (x @ w, (x, w)),
    lambda dy, c: (dy @ c[1], c[0].T @ dy),
    R.normal(size=(3, 3)),
    R.normal(size=(3, 3)),
)
add(
    "relu at kink both 2",
    1,
    lambda x: (np.where(x.real > 0, x, 0 * x), x.real),
    lambda dy, x: dy * np.where(x > 0, 1, np.where(x == 0, 2, 0)),
    np.array([1.0, 0, -1, 0]),
)
add(
    "max with zeros negative",
    1,
    lambda x: (np.maximum(x.real, 0) + 0 * x if not np.iscomplexobj(x) else np.where(x.real > 0, x, 0), x.real),
    lambda dy, x: dy * (x > 0) - 0.5 * dy * (x == 0),
    np.array([0.0, 0, 1, -1]),
)
add(
    "max tie everyone",
    1,
    lambda x: (x[np.argmax(x.real)], x.real),
    lambda dy, x: dy * (x == x.max()),
    np.array([1.0, 2, 2, 0]),
)
add("bias not summed", 1, lambda x, b: (x + b, None), lambda dy, c: (dy, dy), X, X[0])
add("bias mean", 1, lambda x, b: (x + b, None), lambda dy, c: (dy, dy.mean(0)), X, X[0])
add("returns nan", 1, lambda x: (x * x, x), lambda dy, x: dy * x * np.nan, X)
add("one inf", 1, lambda x: (x * x, x), lambda dy, x: np.where(np.arange(12).reshape(4, 3) == 5, np.inf, 2 * x * dy), X)
add("scalar input wrong", 1, lambda x, s: (x * s, (x, s)), lambda dy, c: (dy * c[1], dy.sum()), X, np.array(1.7))
add("float32 backward", 1, lambda x: (x * x, x), lambda dy, x: (2 * x * dy).astype(np.float32), X)
add("zeros for small", 1, lambda x: (1e-13 * x, None), lambda dy, c: 0 * dy, X)
add("dy ignored", 1, lambda x: (x * x, x), lambda dy, x: 2 * x, X)
add("forgotten mean", 1, lambda x: (x.mean(), x.shape), lambda dy, s: np.full(s, dy), X)
add("swapped", 1, lambda a, b: (a * b * b, (a, b)), lambda dy, c: (2 * c[0] * c[1] * dy, c[1] * c[1] * dy), X, P)
add("list swapped", 1, lambda a, b: (a - b, None), lambda dy, c: [-dy, dy], X, P)
add("off 1e-6 relative", 1, lambda x: (x**3, x), lambda dy, x: 3 * (1 + 1e-6) * x * x * dy, X)
add(
    "softmax without sum",
    1,
    lambda x: (lambda e: (e / e.sum(1, keepdims=True),) * 2)(np.exp(x)),
    lambda dy, p: p * dy,
    X,
)
add("const gradient", 1, lambda x: (0 * x + 3.0, None), lambda dy, c: dy, X)
add(
    "writes into x",
    1,
    lambda x: (x * x, x),
    lambda dy, x: np.multiply(x, 2 * dy, out=x) if not np.iscomplexobj(x) else dy,
    X,
)
rng = np.random.default_rng(3)
add("random mask", 1, lambda x: (x * (rng.random(x.shape) > 0.3), None), lambda dy, c: dy, X)
# ---- right
for sc in (1e-12, 1e-6, 1e6, 1e12):
    add(f"right at {sc:g}", 0, lambda x, sc=sc: (sc * x * x, x), lambda dy, x, sc=sc: 2 * sc * x * dy, X)
    add(f"right input {sc:g}", 0, lambda x: (x * x * x, x), lambda dy, x: 3 * x * x * dy, sc * X)
for lam in (1e-4, 1e-7, 1e-10):
    add(
        f"lambda {lam:g}",
        0,
        lambda w, lam=lam: ((w * w).sum() + lam * (np.where(w.real > 0, w, -w)).sum(), w.real),
        lambda dy, w, lam=lam: (2 * w + lam * np.sign(w)) * dy,
        X,
    )
    add(
        f"lambda abs {lam:g}",
        0,
        lambda w, lam=lam: ((w * w).sum() + lam * np.abs(w).sum(), w.real),
        lambda dy, w, lam=lam: (2 * w + lam * np.sign(w)) * dy,
        X,
    )
buf = np.empty((4, 3))
add("reused buffer right", 0, lambda x: (x * x, x), lambda dy, x: np.multiply(2 * dy, x, out=buf), X)
ybuf = np.empty((4, 3))


def fy(x):
    if np.iscomplexobj(x):
        return x * x, x
    np.multiply(x, x, out=ybuf)
    return ybuf, x.copy()


add("reused y", 0, fy, lambda dy, x: 2 * x * dy, X)
add("view of dy", 0, lambda x: (x.T, None), lambda dy, c: dy.T, X)
add(
    "relu at 0",
    0,
    lambda x: (np.where(x.real > 0, x, 0 * x), x.real),
    lambda dy, x: dy * (x > 0),
    np.array([1.0, 0, -1, 0]),
)
add("np.maximum(x,0)", 0, lambda x: (np.maximum(x, 0), x.real), lambda dy, x: dy * (x > 0), np.array([1.0, 0, -1, 0]))
add("abs at 0", 0, lambda x: (np.abs(x), x.real), lambda dy, x: dy * np.sign(x), np.array([1.0, 0, -1, 2]))
add(
    "argmax tie first",
    0,
    lambda x: (x[np.argmax(x.real)], x.real),
    lambda dy, x: dy * (np.arange(4) == np.argmax(x)),
    np.array([1.0, 2, 2, 0]),
)
add(
    "max tie shared",
    0,
    lambda x: (x.real.max() if not np.iscomplexobj(x) else x[np.argmax(x.real)], x.real),
    lambda dy, x: dy * (x == x.max()) / (x == x.max()).sum(),
    np.array([1.0, 2, 2, 0]),
)
add("bias", 0, lambda x, b: (x + b, None), lambda dy, c: (dy, dy.sum(0)), X, X[0])
add("scalar", 0, lambda x, s: (x * s, (x, s)), lambda dy, c: (dy * c[1], (dy * c[0].real).sum()), X, np.array(1.7))
add("scalar only", 0, lambda s: (s * s, s), lambda dy, s: 2 * s * dy, np.array(1.7))
add(
    "integer held",
    0,
    lambda x, i: (x[i], (x.shape, i)),
    lambda dy, c: ((lambda g: (np.add.at(g, c[1], dy), g)[1])(np.zeros(c[0])), None),
    X,
    np.array([0, 2, 2]),
)
add("integer differentiated", 0, lambda x: (x * x, x), lambda dy, x: 2 * x * dy, np.array([1, 2, 3]))
add("const", 0, lambda x: (0 * x + 3.0, None), lambda dy, c: 0 * dy, X)
rn = np.random.default_rng(5)


def order(x):
    p = rn.permutation(300)
    return (np.sin(x)[:, None] * np.linspace(0.1, 1, 300)[p]).sum(1), x


add("order of sums", 0, order, lambda dy, x: dy * np.cos(x) * np.linspace(0.1, 1, 300).sum(), R.normal(size=3))
add(
    "std",
    0,
    lambda x: (np.sqrt(((x - x.mean()) ** 2).mean()), x),
    lambda dy, x: dy * (x - x.mean()) / x.size / x.std(),
    X,
)
add(
    "mixed sizes",
    0,
    lambda x, y: ((x * x).sum() * 1e12 + (y**3).sum() * 1e-8, (x, y)),
    lambda dy, c: (2e12 * c[0] * dy, 3e-8 * c[1] ** 2 * dy),
    X,
    P,
)
# ---- cannot be judged
add(
    "float32 forward",
    1,
    lambda x: ((x * x).astype(np.float32) if not np.iscomplexobj(x) else x * x, x),
    lambda dy, x: 2 * x * dy,
    X,
)
add("y nan", "refused", lambda x: (np.log(x), x), lambda dy, x: dy / x, X)
add("zero size", "refused", lambda x: (x * x, x), lambda dy, x: 2 * x * dy, np.zeros((0, 3)))
add("hidden small", 2, lambda x: (1 + 1e-20 * np.abs(x), x.real), lambda dy, x: 1e-20 * np.sign(x) * dy, X)
