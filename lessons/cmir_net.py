"""CMIR-NET in one file: seven equations, their gradients by hand, a search. Read it from top to bottom.

Two sensors look at the same places from above. One sees fine detail in grey (PAN, here a), the other sees four colours
coarsely (MUL, here b). A query of one sensor shall find pictures of the same kind of land taken by the other. The
method: Chaudhuri, Banerjee, Bhattacharya, Datcu, Pattern Recognition Letters 131 (2020). It has two stages:

    x_a ─▶ features z_a ─▶ encoder ─▶ v_a ─▶ classifier: which land?       x: measurements of a picture
           (stage 1)       (stage 2)   │  ╲                                z: its features
                                       =    decoder: what is z_b?          v: its point in the space of both
                                       │  ╱
    x_b ─▶ features z_b ─▶ encoder ─▶ v_b ─▶ the same classifier           nearest in v is most alike

n pairs, K classes, D features, d dimensions of the space: x (n, C), z (n, D), v (n, d), logits u (n, K). `dx` is the
gradient ∂L/∂x and has the shape of x. Every loss below returns its value, and then its gradients.

    python lessons/cmir_net.py       NumPy is all that it needs, and a few seconds
"""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np

# ---------------------------------------------------------------------------------------------------------------------
# 1. Layers. One is H = φ(X W + 1bᵀ), φ a ReLU or nothing. A small move of X, W or b moves the sums S = X W + 1bᵀ by
#    δX W, X δW or 1 δbᵀ. So, if dS is the gradient at the sums, that at X is dS Wᵀ, that at W is Xᵀ dS, and b, which
#    was added to every row, gets the sum of the rows. The ReLU lets through what was positive, there and back.


def forward(params, name, x, kinks):
    """`x` through the layers name.1, name.2, …; `kinks` says which of them end in a ReLU. Returns output and cache."""
    cache = []
    for number, kink in enumerate(kinks, start=1):
        layer = f"{name}.{number}"
        sums = x @ params[layer + ".w"] + params[layer + ".b"]
        cache.append((layer, x, sums > 0 if kink else 1))
        x = np.maximum(sums, 0) if kink else sums
    return x, cache


def backward(params, dx, cache, grads):
    """The same way back: adds to `grads` what each weight gets, and returns the gradient at the first input."""
    for layer, x, passed in reversed(cache):
        dsums = dx * passed
        grads[layer + ".w"] += x.T @ dsums
        grads[layer + ".b"] += dsums.sum(axis=0)
        dx = dsums @ params[layer + ".w"].T
    return dx


def draw_layers(rng, **stacks):
    """Random weights of stacks given as name = (width in, …, width out), such that a ReLU neither swells nor dies."""
    params = {}
    for name, widths in stacks.items():
        for number, (rows, columns) in enumerate(pairwise(widths), start=1):
            params[f"{name}.{number}.w"] = rng.normal(size=(rows, columns)) * np.sqrt(2 / rows)
            params[f"{name}.{number}.b"] = np.zeros(columns)
    return params


# ---------------------------------------------------------------------------------------------------------------------
# 2. How wrong is a guess? The logits u become probabilities p = eᵘ/Σeᵘ, and the loss is −log of the true class's one.
#    As −log p_y = log Σeᵘ − u_y, its slope is p, less 1 at the true class: the guess minus the truth.


def cross_entropy(u, y):
    """L = −(1/n) Σ log p[y],  du = (p − Y)/n,  Y the true classes as rows of zeros and a one."""
    p = np.exp(u - u.max(axis=1, keepdims=True))  # a row's largest, taken away, changes no p; e⁷¹⁰ is too much
    p /= p.sum(axis=1, keepdims=True)
    truth = np.eye(u.shape[1])[y]
    return -np.log(p[np.arange(len(y)), y]).mean(), (p - truth) / len(y)


# ---------------------------------------------------------------------------------------------------------------------
# 3. Stage 1, for each sensor alone. A network learns to name the land, and what it knows just before it answers are the
#    features z. Equation 1 adds a price on features that repeat each other: over a batch, the products of all pairs of
#    features, ZᵀZ/n, should be 1 with themselves and 0 with others.

ORTHOGONALITY = 1e-5  # the weight of that price


def orthogonality(z):
    """O = ‖G‖²,  G = ZᵀZ/n − I,  dz = 4 Z G/n.    (δO = 2⟨G, δG⟩, δG = (δZᵀZ + ZᵀδZ)/n, and G is symmetric.)"""
    g = z.T @ z / len(z) - np.eye(z.shape[1])
    return (g * g).sum(), 4 * z @ g / len(z)


def pretraining(params, x, y):
    """Equation 1: L = CE + λ O. Returns the loss and the gradient of every weight."""
    z, to_z = forward(params, "features", x, (True, True))
    u, to_u = forward(params, "classifier", z, (False,))
    ce, du = cross_entropy(u, y)
    price, dz = orthogonality(z)
    grads = defaultdict(float)  # a weight that nothing has reached yet has the gradient 0
    dz = ORTHOGONALITY * dz + backward(params, du, to_u, grads)  # z is used twice: both say where it should go
    backward(params, dz, to_z, grads)
    return ce + ORTHOGONALITY * price, grads


# ---------------------------------------------------------------------------------------------------------------------
# 4. Stage 2: from the features of both into one space. Five wishes, a term each.


def alignment(v_a, v_b):
    """Equation 2: L₂ = ‖V_a − V_b‖²/n. The two views of a place should be one point.    dV_a = 2(V_a − V_b)/n"""
    gap = v_a - v_b
    return (gap * gap).sum() / len(gap), 2 * gap / len(gap), -2 * gap / len(gap)


def classification(u_a, u_b, y):
    """Equation 3: L₃ = CE(V_ab w, Y). A point should tell its class, by one classifier for both; mean over 2n rows."""
    loss, du = cross_entropy(np.concatenate([u_a, u_b]), np.concatenate([y, y]))
    return loss, du[: len(y)], du[len(y) :]


def feature_norm(v_a, v_b):
    """Equation 4: L₄ = (‖V_a‖² + ‖V_b‖²)/n. Points should not run away.    dV_a = 2V_a/n"""
    n = len(v_a)
    return ((v_a * v_a).sum() + (v_b * v_b).sum()) / n, 2 * v_a / n, 2 * v_b / n


def reconstruction(from_a, from_b, z_a, z_b):
    """Equation 5: L₅ = (‖D(V_a) − Z_b‖² + ‖D(V_b) − Z_a‖²)/n. A point should know what the other sensor saw."""
    gap_a, gap_b = from_a - z_b, from_b - z_a
    return ((gap_a * gap_a).sum() + (gap_b * gap_b).sum()) / len(gap_a), 2 * gap_a / len(gap_a), 2 * gap_b / len(gap_b)


ALPHA = 1.0


def regulariser(w):
    """Equation 7: R = (‖w‖ − α)². An encoder's weights should not vanish, nor grow.    dw = 2(‖w‖ − α) w/‖w‖"""
    size = np.sqrt((w * w).sum())
    return (size - ALPHA) ** 2, 2 * (size - ALPHA) * w / size


# ---------------------------------------------------------------------------------------------------------------------
# 5. Equation 6: the weighted sum of all five, through the network, and back.

LAMBDA = {"L2": 0.02, "L3": 1.0, "L4": 0.001, "L5": 0.001, "R": 0.001}


def objective(params, z_a, z_b, y):
    """Equation 6: L = λ₁L₂ + λ₂L₃ + λ₃L₄ + λ₄L₅ + λ₅R. Returns the loss and the gradient of every weight."""
    v_a, to_v_a = forward(params, "encoder_a", z_a, (True, False))
    v_b, to_v_b = forward(params, "encoder_b", z_b, (True, False))
    u_a, to_u_a = forward(params, "classifier", v_a, (False,))
    u_b, to_u_b = forward(params, "classifier", v_b, (False,))  # the same weights: both will add to their gradient
    from_a, over_ab = forward(params, "decoder_ab", v_a, (True,))  # features are never negative, so a ReLU may end it
    from_b, over_ba = forward(params, "decoder_ba", v_b, (True,))

    l2, aligned_a, aligned_b = alignment(v_a, v_b)
    l3, du_a, du_b = classification(u_a, u_b, y)
    l4, short_a, short_b = feature_norm(v_a, v_b)
    l5, dfrom_a, dfrom_b = reconstruction(from_a, from_b, z_a, z_b)

    grads = defaultdict(float)
    dv_a = LAMBDA["L2"] * aligned_a + LAMBDA["L4"] * short_a
    dv_a += backward(params, LAMBDA["L3"] * du_a, to_u_a, grads)
    dv_a += backward(params, LAMBDA["L5"] * dfrom_a, over_ab, grads)
    backward(params, dv_a, to_v_a, grads)
    dv_b = LAMBDA["L2"] * aligned_b + LAMBDA["L4"] * short_b
    dv_b += backward(params, LAMBDA["L3"] * du_b, to_u_b, grads)
    dv_b += backward(params, LAMBDA["L5"] * dfrom_b, over_ba, grads)
    backward(params, dv_b, to_v_b, grads)

    loss = LAMBDA["L2"] * l2 + LAMBDA["L3"] * l3 + LAMBDA["L4"] * l4 + LAMBDA["L5"] * l5
    for name in params:
        if name.startswith("encoder") and name.endswith(".w"):
            r, dw = regulariser(params[name])
            loss, grads[name] = loss + LAMBDA["R"] * r, grads[name] + LAMBDA["R"] * dw
    return loss, grads


# ---------------------------------------------------------------------------------------------------------------------
# 6. Learning: many small steps downhill. Adam measures each step by the size that the entry's gradient usually has.


def train(params, loss_of, arrays, rng, epochs, rate=0.002, batch=64):
    """Adam over shuffled batches of the rows of `arrays`; its rate falls to 0 in a straight line. Changes `params`."""
    mean = dict.fromkeys(params, 0.0)  # of the gradients
    square = dict.fromkeys(params, 0.0)  # of their squares
    count = len(arrays[-1])
    starts = range(0, count - batch // 2, batch)
    steps, t = epochs * len(starts), 0
    for _ in range(epochs):
        order = rng.permutation(count)
        for start in starts:
            rows, t = order[start : start + batch], t + 1
            _, grads = loss_of(params, *(array[rows] for array in arrays))
            for name, g in grads.items():
                mean[name] = 0.9 * mean[name] + 0.1 * g
                square[name] = 0.999 * square[name] + 0.001 * g * g
                usual = np.sqrt(square[name] / (1 - 0.999**t)) + 1e-8  # both means began at 0: set that right
                params[name] = params[name] - rate * (1 - (t - 1) / steps) * mean[name] / (1 - 0.9**t) / usual


# ---------------------------------------------------------------------------------------------------------------------
# 7. Searching: the gallery by distance to the query. How good is an order? At each right answer take the share of right
#    answers so far; the mean of these is the average precision. 1 is a perfect order.


def average_precision(v_query, v_gallery, y_query, y_gallery):
    """The mean over all queries."""
    distance = ((v_query[:, None] - v_gallery[None]) ** 2).sum(axis=2)
    right = y_query[:, None] == y_gallery[np.argsort(distance, axis=1)]
    share = right.cumsum(axis=1) / np.arange(1, len(y_gallery) + 1)
    return ((share * right).sum(axis=1) / right.sum(axis=1)).mean()


def main(seed=0):
    """Both stages on the simulated scenes beside this file; prints how well one sensor finds the other."""
    data = np.load(Path(__file__).with_suffix(".npz"))  # 480 places: 25 measurements of PAN, 70 of MUL, a kind of land
    y, rng = data["y"].astype(int), np.random.default_rng(seed)
    unseen = np.zeros(len(y), dtype=bool)
    for kind in range(8):
        unseen[rng.permutation(np.flatnonzero(y == kind))[:18]] = True  # of 60 of each kind
    z = {}
    for sensor in ("a", "b"):
        x = data[f"x_{sensor}"].astype(float)
        x = (x - x[~unseen].mean(axis=0)) / x[~unseen].std(axis=0)
        params = draw_layers(rng, features=(x.shape[1], 64, 32), classifier=(32, 8))
        train(params, pretraining, (x[~unseen], y[~unseen]), rng, epochs=60)
        z[sensor], _ = forward(params, "features", x, (True, True))
        z[sensor] /= np.sqrt((z[sensor][~unseen] ** 2).mean())  # one scale for both, so that λ means the same
    ends = {"encoder_a": (32, 32, 16), "encoder_b": (32, 32, 16), "decoder_ab": (16, 32), "decoder_ba": (16, 32)}
    params = draw_layers(rng, **ends, classifier=(16, 8))
    train(params, objective, (z["a"][~unseen], z["b"][~unseen], y[~unseen]), rng, epochs=120)
    v_a, v_b = (forward(params, f"encoder_{m}", z[m][unseen], (True, False))[0] for m in ("a", "b"))
    there, back = (average_precision(q, g, y[unseen], y[unseen]) for q, g in ((v_a, v_b), (v_b, v_a)))
    chance = average_precision(rng.normal(size=v_a.shape), v_b, y[unseen], y[unseen])
    print(f"average precision PAN → MUL {there:.2f}, MUL → PAN {back:.2f}; of points drawn at random {chance:.2f}")
    return there, back, chance


if __name__ == "__main__":
    main()
