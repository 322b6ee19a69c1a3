# ---
# jupyter:
#   lesson:
#     question: Which check finds which wrong gradient?
#     minutes: 35
#     needs: ["06"]
#     derives: []
# ---

# %% [markdown]
# # 12 · Bug hunt
#
# **Which check finds which wrong gradient?**
#
# A wrong gradient rarely crashes. It trains, a little worse, and the result looks like a bad hyper-parameter. Below, the same small network with batch normalisation is trained four times from the same start. One backward is right, three are wrong. All four learn. Which
# is which cannot be seen from the curves; from a gradient check it can. This lesson plants ten bugs and lets thirteen checks look for them.

# %% tags=["folded"]
from collections.abc import Callable
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.ops.batch_norm import batch_norm, batch_norm_backward
from cmir_ref.ops.linear import linear, linear_backward
from cmir_ref.ops.relu import relu, relu_backward
from cmir_ref.reports.lesson import begin, numbers, show

begin()


def forgets_the_variance(dy, cache):
    """Batch norm's way back in which the standard deviation is a constant."""
    return (
        (dy - dy.mean(axis=0)) * cache.scale * cache.gamma,
        (dy * cache.x_hat).sum(axis=0),
        dy.sum(axis=0),
    )


def train(
    norm_backward=batch_norm_backward, relu_back=relu_backward, dw_scale=1.0, steps=300
):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 2))
    target = np.sin(2 * x[:, :1]) * x[:, 1:]
    w, v = rng.normal(size=(2, 32)), rng.normal(size=(32, 1)) * 0.1
    gamma, beta, b, c = np.ones(32), np.zeros(32), np.zeros(32), np.zeros(1)
    losses = []
    for _ in range(steps):
        s, first = linear(x, w, b)
        n, norm = batch_norm(s, gamma, beta)
        h, act = relu(n)
        y, last = linear(h, v, c)
        losses.append(((y - target) ** 2).mean())
        dh, dv, dc = linear_backward(2 * (y - target) / len(x), last)
        ds, dgamma, dbeta = norm_backward(relu_back(dh, act), norm)
        _, dw, db = linear_backward(ds, first)
        for p, g in (
            (w, dw_scale * dw),
            (v, dv),
            (gamma, dgamma),
            (beta, dbeta),
            (b, db),
            (c, dc),
        ):
            p -= 0.03 * g
    return losses


figure, axes = plt.subplots(figsize=(5.6, 2.6))
runs = [
    train(),
    train(norm_backward=forgets_the_variance),
    train(dw_scale=1 / 128),
    train(relu_back=lambda dy, cache: dy * 1.0),
]
order = [2, 0, 3, 1]
for place, i in enumerate(order):
    axes.plot(
        runs[i],
        marker="os^D"[place],
        markevery=50,
        ms=4,
        label=f"backward {'PQRS'[place]}",
    )
axes.set(xlabel="step", ylabel="loss", yscale="log", title="which gradient is right?")
axes.legend()
show(
    figure,
    "Four runs, three of them with a planted bug. (The right one is the letter before "
    "R.)",
)

# %% [markdown]
# ## Ten planted bugs
#
# Each entry has a name, a forward that is right, and a backward that is almost right. All ten are texts that somebody could have written; the project's own tests plant more than a thousand of this kind, one at a time, and ask whether a test fails. `start` are values that parameters have
# before training.

# %%
from cmir_ref.ops.frobenius import frobenius
from cmir_ref.ops.max_pool import max_pool, max_pool_backward
from cmir_ref.ops.softmax_cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)


class Pair(NamedTuple):
    forward: Callable
    backward: Callable
    shapes: Callable  # (n, c) -> a shape for each input, by name
    start: dict | None = None


def writes_into_dy(dy, cache):
    dy *= cache.positive
    return dy


def not_transposed(dy, cache):
    w = cache.w if cache.w.shape[0] == cache.w.shape[1] else cache.w.T
    return dy @ w, cache.x.T @ dy, dy.sum(axis=0)


def divides_by_classes(dy, cache):
    du = softmax_cross_entropy_backward(dy, cache)
    return du * (du.shape[0] / du.shape[1])


def without_gamma(dy, cache):
    _, dgamma, dbeta = batch_norm_backward(dy, cache)
    return dy * cache.scale, dgamma, dbeta


def another_epsilon(dy, cache):
    return batch_norm_backward(dy, cache._replace(scale=(cache.var + 1e-5) ** -0.5))


def zero_by_zero(dy, cache):
    with np.errstate(all="ignore"):
        return cache.x * (dy / cache.root)


# %% tags=["folded"]
def matrix(n, c):
    return {"x": (n, c)}


def affine(n, c):
    return {"x": (n, c), "w": (c, c if n == c else 2), "b": (c if n == c else 2,)}


def normed(n, c):
    return {"x": (n, c), "gamma": (c,), "beta": (c,)}


def frozen(x, gamma, beta):
    return batch_norm(x, gamma, beta, mode="frozen")


def cross_entropy(u):
    return softmax_cross_entropy(u, np.arange(len(u)) % 3)


def pool(x):
    return max_pool(x, 2)


def unsquared(x):
    return frobenius(x, squared=False)


ONES = {"gamma": 1.0, "beta": 0.0}

# %%
CATALOGUE = {
    "relu/upstream-ignored": Pair(relu, lambda dy, cache: 1.0 * cache.positive, matrix),
    "relu/writes-into-dy": Pair(relu, writes_into_dy, matrix),
    "relu/float64": Pair(
        relu, lambda dy, cache: dy * cache.positive.astype(float), matrix
    ),
    "linear/square-w-not-transposed": Pair(
        linear, not_transposed, affine, {"w": 1.0, "b": 0.0}
    ),
    "softmax/divided-by-classes": Pair(cross_entropy, divides_by_classes, matrix),
    "batch_norm/dx-forgets-the-variance": Pair(
        batch_norm, forgets_the_variance, normed, ONES
    ),
    "batch_norm/dx-without-gamma": Pair(frozen, without_gamma, normed, ONES),
    "batch_norm/another-epsilon": Pair(batch_norm, another_epsilon, normed, ONES),
    "max_pool/first-place-wins": Pair(
        pool,
        lambda dy, c: max_pool_backward(dy, c._replace(winner=0 * c.winner)),
        lambda n, c: {"x": (1, 2 * n, 4, c)},
    ),
    "frobenius/zero-by-zero": Pair(unsquared, zero_by_zero, matrix),
}
print(len(CATALOGUE), "bugs")

# %% [markdown]
# ## Thirteen checks
#
# Most checks measure the derivative of $\langle y, \dot y\rangle$, the output weighted by an upstream gradient, and compare. They differ in *how* they measure (lesson 01), in the *upstream*, and in the *point* at which they look. The rest measure nothing and ask for a
# property that every backward has: it is linear in the upstream gradient, it is finite where the inputs are 0, it keeps the dtype, and it leaves its arguments alone.

# %%
from cmir_ref.gradcheck import central_difference, complex_step, relative_error
from cmir_ref.gradcheck.numeric import random_direction, winners


def called(pair, n=5, c=3, ones=False, start=False, dtype=float, seed=0):
    """(inputs, dy, gradients) of a pair at random inputs, with a random upstream or
    one of ones."""
    rng = np.random.default_rng(seed)
    values = {
        name: random_direction(rng, shape) for name, shape in pair.shapes(n, c).items()
    }
    if start and pair.start:
        values = {
            name: np.full(v.shape, pair.start[name]) if name in pair.start else v
            for name, v in values.items()
        }
    inputs = [v.astype(dtype) for v in values.values()]
    y, cache = pair.forward(*inputs)
    dy = (
        np.ones(np.shape(y)) if ones else np.asarray(random_direction(rng, np.shape(y)))
    )
    grads = pair.backward(dy.astype(dtype).copy(), cache)
    return inputs, dy, list(grads) if isinstance(grads, tuple) else [grads]


def scalar(pair, dy):
    return lambda arrays: (pair.forward(*arrays)[0] * dy).sum()


def entries(pair, gate, measure=None, **how):
    """The worst relative error over all entries of all inputs, and whether it raises
    the alarm."""
    inputs, dy, grads = called(pair, **how)
    measure = measure or (lambda f, arrays, i: complex_step(f, arrays, i))
    return (
        max(
            relative_error(g, measure(scalar(pair, dy), inputs, i), floor=1e-8)[0]
            for i, g in enumerate(grads)
        )
        > gate
    )


def central(pair):
    inputs, dy, grads = called(pair)

    def both(arrays):
        y, cache = pair.forward(*arrays)
        return (y * dy).sum(), winners(cache)

    return (
        max(
            relative_error(g, central_difference(both, inputs, i), floor=1e-8)[0]
            for i, g in enumerate(grads)
        )
        > 1e-6
    )


def forward_difference(f, arrays, i, h=3e-3):
    h = np.float32(h)
    found = np.zeros(arrays[i].shape)
    for index in np.ndindex(found.shape):
        moved = [a.copy() for a in arrays]
        moved[i][index] += h
        found[index] = (f(moved) - f(arrays)) / h
    return found


# %% [markdown]
# Cheaper: one slope along a direction instead of one for each entry. And the properties, which need no derivative.


# %%
def along(pair, direction):
    """One number: the slope along a direction through all inputs at once."""
    inputs, dy, grads = called(pair)
    d = [direction(x.shape) for x in inputs]
    ours = sum((g * e).sum() for g, e in zip(grads, d, strict=True))
    measured = (
        scalar(pair, dy)([x + 1e-40j * e for x, e in zip(inputs, d, strict=True)]).imag
        / 1e-40
    )
    return abs(ours - measured) > 1e-10


def linear_in_dy(pair, factor):
    inputs, dy, grads = called(pair)
    _, cache = pair.forward(*inputs)
    again = pair.backward(factor * dy, cache)
    again = list(again) if isinstance(again, tuple) else [again]
    return any(
        not np.allclose(a, factor * g, rtol=1e-12, atol=1e-15)
        for a, g in zip(again, grads, strict=True)
    )


def finite_at_zero(pair):
    inputs = [np.zeros(shape) for shape in pair.shapes(5, 3).values()]
    y, cache = pair.forward(*inputs)
    grads = pair.backward(np.ones(np.shape(y)), cache)
    return not all(
        np.isfinite(g).all() for g in (grads if isinstance(grads, tuple) else [grads])
    )


def untouched(pair):
    inputs, dy, _ = called(pair)
    _, cache = pair.forward(*inputs)
    given = dy.copy()
    pair.backward(given, cache)
    return not np.array_equal(given, dy)


# %% [markdown]
# All thirteen by name. Each answers `True` where it raises the alarm.

# %%
rng = np.random.default_rng(12)
CHECKS = {
    "complex step": lambda p: entries(p, 1e-12),
    "central difference": central,
    "float32 forward difference": lambda p: entries(
        p, 0.03, forward_difference, dtype=np.float32
    ),
    "one random direction": lambda p: along(
        p, lambda shape: random_direction(rng, shape)
    ),
    "the direction of ones": lambda p: along(p, np.ones),
    "upstream of ones": lambda p: entries(p, 1e-12, ones=True),
    "square shapes only": lambda p: entries(p, 1e-12, n=3, c=3),
    "starting values 0 and 1": lambda p: entries(p, 1e-12, start=True),
    "zero upstream": lambda p: linear_in_dy(p, 0.0),
    "twice the upstream": lambda p: linear_in_dy(p, 2.0),
    "finite at zero": finite_at_zero,
    "dtype kept": lambda p: any(
        g.dtype != np.float32 for g in called(p, dtype=np.float32)[2]
    ),
    "arguments untouched": untouched,
}


def signature(pair):
    """Which checks raise the alarm."""
    return tuple(bool(check(pair)) for check in CHECKS.values())


# %% [markdown]
# First the checks themselves: on the *right* backward of each operation, none may raise an alarm. A check with false alarms is soon switched off.

# %%
from cmir_ref.ops.frobenius import frobenius_backward

HEALTHY = {
    "relu": relu_backward,
    "linear": linear_backward,
    "softmax": softmax_cross_entropy_backward,
}
HEALTHY |= {
    "batch_norm": batch_norm_backward,
    "max_pool": max_pool_backward,
    "frobenius": frobenius_backward,
}
false_alarms = sum(
    sum(signature(p._replace(backward=HEALTHY[name.split("/")[0]])))
    for name, p in CATALOGUE.items()
)
print(f"{false_alarms} false alarms in {len(CATALOGUE) * len(CHECKS)} runs")
assert false_alarms == 0

# %% [markdown]
# ## The detection matrix

# %%
seen = np.array([signature(pair) for pair in CATALOGUE.values()])

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(7.6, 4.6))
axes.imshow(seen, cmap="cividis", vmin=-0.3, vmax=1.3, aspect="auto")
for (i, j), value in np.ndenumerate(seen):
    axes.text(
        j,
        i,
        "sees" if value else "·",
        ha="center",
        va="center",
        fontsize=6,
        color="black" if value else "white",
    )
axes.set(
    xticks=range(len(CHECKS)),
    yticks=range(len(CATALOGUE)),
    xlabel="check",
    ylabel="planted bug",
)
axes.set_xticklabels(CHECKS, rotation=50, ha="right", fontsize=7)
axes.set_yticklabels(CATALOGUE, fontsize=7)
show(
    figure,
    "No column is full. The complex step sees six of ten; each of the other four is "
    "seen by exactly one of the simple checks.",
)

# %%
caught = dict(zip(CHECKS, seen.sum(axis=0), strict=True))
best = max(caught, key=caught.get)
print(
    f"most: {best}, {caught[best]} of 10; all checks together: "
    f"{int(seen.any(axis=1).sum())} of 10"
)
assert seen.any(axis=1).all() and (seen[~seen[:, 0]].sum(axis=1) == 1).all()

# %% [markdown]
# Read it by rows:
#
# - *upstream-ignored*: an upstream of ones is what it assumes, so that check is blind. Zero or twice the upstream finds it with one call and no derivative at all.
# - *forgets-the-variance*: for an upstream of ones the true `dx` of batch normalisation is 0, and so is the wrong one. Frameworks' `y.sum().backward()` is exactly this blind check.
# - *without-gamma*: invisible at γ = 1, where every network starts. Check at random parameters.
# - *square-w-not-transposed* and *divided-by-classes*: one is wrong for square shapes only, the other right for square shapes only. Check both kinds.
# - *another-epsilon*: an error of about one part in a thousand. A float32 difference must be allowed some per cent for its own error, and is blind below.
# - *first-place-wins*: the gradient goes to the wrong pixel, but its sum is right. The direction of ones measures the sum.
# - *zero-by-zero*, *float64*, *writes-into-dy*: the derivative is right. What is wrong is a special point, the memory, or somebody else's array.
#
# ## How small a mistake can each method see?
#
# Multiply the right gradient by $1 + \delta$ and look at the error that each method reports. Where its curve leaves the diagonal, the method sees its own error instead of yours. Try another step `h`.


# %% tags=["folded"]
def draw(axes, h_central, h_forward):
    deltas = 10.0 ** np.arange(-16, 0.1, 1)
    inputs, dy, grads = called(
        CATALOGUE["batch_norm/another-epsilon"]._replace(backward=batch_norm_backward)
    )
    f = scalar(CATALOGUE["batch_norm/another-epsilon"], dy)
    small = [a.astype(np.float32) for a in inputs]
    measured = {
        "complex step": complex_step(f, inputs, 0),
        f"central difference, h = {h_central:g}": central_difference(
            lambda a: (f(a), b""), inputs, 0, step=h_central
        ),
        f"float32 forward, h = {h_forward:g}": forward_difference(
            scalar(CATALOGUE["batch_norm/another-epsilon"], dy.astype(np.float32)),
            small,
            0,
            h_forward,
        ),
    }
    for (name, m), mark in zip(measured.items(), "os^", strict=True):
        axes.loglog(
            deltas,
            [max(relative_error((1 + e) * grads[0], m)[0], 1e-17) for e in deltas],
            marker=mark,
            ms=4,
            label=name,
        )
    axes.plot(deltas, deltas, color="black", ls=":", lw=0.8)
    axes.set(xlabel="mistake δ in the gradient", ylabel="error reported")
    axes.legend(fontsize=7)
    return {name: relative_error(grads[0], m)[0] for name, m in measured.items()}


# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3))
floors = draw(left, 6e-6, 3e-3)
draw(right, 1e-3, 1e-5)
show(
    figure,
    "Left: good steps. Right: a central step that is too long, a float32 step that is "
    "too short. The complex step has no step to get wrong.",
)
for name, floor in floors.items():
    print(f"{name:32} its own error {floor:.0e}")

# %% [markdown]
# ## What the package says of each
#
# `cmir_ref.gradcheck.explain` measures the same way, then undoes one known mistake after another until the rest is rounding: then it names it. An empty answer means that values are right.

# %%
from cmir_ref.gradcheck import explain

named = 0
for name, pair in CATALOGUE.items():
    n, c = (3, 3) if "square" in name else (5, 3)
    said = explain(
        pair.forward,
        pair.backward,
        dict(zip(pair.shapes(n, c), called(pair, n, c)[0], strict=True)),
    )
    named += "looks like" in said
    lines = [line.strip() for line in said.splitlines()] or [
        "(nothing: at these inputs the values are right)"
    ]
    print(f"{name}\n    " + "\n    ".join(lines[:2]))

# %% [markdown]
# ## Your turn: three boxes to be repaired
#
# Three operations that no lesson has, each with a backward that somebody else wrote. You can call it, but its text is folded: do not look. Each has two mistakes, and not all of them are wrong numbers. Find out what is wrong, then hand in three backwards that are right. You may call the box and mend what it answers, or write your own from the forward.
#
# A way to find a mistake, not only to see that there is one:
#
# 1. Call the four properties first: they cost nothing, and their names say what is wrong.
# 2. Call `explain`. Which inputs are wrong, and which are right? What stands between the two is where to look.
# 3. Look at a *single* number: an input of one row, an upstream of zeros and a single 1. What should the box answer, and what does it?
# 4. Where the forward has steps, nudge them one by one (lesson 03): the last step whose gradient is still right has the mistake before it.
# 5. Mend one thing, and begin again at 1.


# %%
def unit_rows(x):
    """y = x / sqrt(x·x + 1), row by row: no row is longer than 1."""
    root = np.sqrt((x * x).sum(axis=1, keepdims=True) + 1)
    return x / root, (x, root)


def swish(x):
    """y = x σ(x), entry by entry: a ReLU with a soft corner."""
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def distance(a, b):
    """y = ‖a − b‖ for each row; where the two rows agree its gradient is to be 0."""
    y = np.sqrt(((a - b) * (a - b)).sum(axis=1))
    return y, (a, b, y)


# %% tags=["folded"]
def box_1(dy, cache):
    x, root = cache
    dy /= root
    return dy


def box_2(dy, cache):
    x, s = cache
    return (dy * (s + x * s)).astype(float)


def box_3(dy, cache):
    a, b, y = cache
    with np.errstate(all="ignore"):
        da = dy[:, None] * (a - b) / y[:, None]
    return da, da


# %%
BOXES = {
    "box 1": Pair(unit_rows, box_1, matrix),
    "box 2": Pair(swish, box_2, matrix),
    "box 3": Pair(distance, box_3, lambda n, c: {"a": (n, c), "b": (n, c)}),
}


def alarms(pair):
    """The checks that raise the alarm."""
    return [name for name, check in CHECKS.items() if check(pair)]


for name, pair in BOXES.items():
    print(f"{name}: {len(alarms(pair))} of {len(CHECKS)} checks raise the alarm")
    assert alarms(pair)

# %% tags=["exercise"]
repaired = {"box 1": box_1, "box 2": box_2, "box 3": box_3}  # yours


# %% tags=["solution"]
def unit_rows_backward(dy, cache):
    x, root = cache  # x is used twice: above the line, and in the root
    return dy / root - x * (dy * x).sum(axis=1, keepdims=True) / root**3


def swish_backward(dy, cache):
    x, s = cache
    return dy * (s + x * s * (1 - s))


def distance_backward(dy, cache):
    a, b, y = cache
    agree = y == 0  # then a − b is 0 too, and 0 divided by anything is 0
    da = dy[:, None] * (a - b) / np.where(agree, 1, y)[:, None]
    return da, -da


repaired = {
    "box 1": unit_rows_backward,
    "box 2": swish_backward,
    "box 3": distance_backward,
}

# %% tags=["check"]
HINTS = {
    "arguments untouched": "who else may still need dy, or the cache?",
    "dtype kept": "float32 comes in, and float64 goes out",
    "finite at zero": "at zero the forward is finite and this is not: 0/0?",
    "zero upstream": "an upstream of 0 must give 0",
    "twice the upstream": "twice the upstream must give twice the gradient",
}
for name, pair in BOXES.items():
    mended = pair._replace(backward=repaired[name])
    for n, c in ((5, 3), (3, 3)):
        given = dict(zip(pair.shapes(n, c), called(pair, n, c)[0], strict=True))
        said = explain(pair.forward, mended.backward, given)
        assert not said, f"{name}, inputs of shape {(n, c)}:\n{said}"
    left = alarms(mended)
    assert not left, f"{name}: the numbers are right, but " + "; ".join(
        f"“{check}” raises the alarm" + (f" ({HINTS[check]})" if check in HINTS else "")
        for check in left
    )
print(f"{len(BOXES)} boxes repaired: {len(CHECKS)} checks, no alarm")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    false_alarms=false_alarms,
    seen_by_the_complex_step=caught["complex step"],
    seen_by_an_upstream_of_ones=caught["upstream of ones"],
    seen_by_a_float32_difference=caught["float32 forward difference"],
    seen_by_all_together=seen.any(axis=1).sum(),
    named_by_explain=named,
    own_error_of_the_complex_step=floors["complex step"],
)

# %% [markdown]
# ## What you learned
#
# A loss that falls is no proof of a gradient. One exact method at random inputs, random parameters, a random upstream and shapes of both kinds finds the wrong numbers; four cheap properties find the rest. To find *where* it is, go from the property to the wrong input, from there to a single number, and nudge the steps between. A check is judged by what it sees *and* by what it was shown not to see.
#
# ## Next
#
# [13 · Paper, code, GPU](13_paper_code_and_gpu.ipynb): bugs are not the only way in which two codes differ. In the package: [`gradcheck/check.py`](../cmir_ref/gradcheck/check.py),
# [`gradcheck/diagnose.py`](../cmir_ref/gradcheck/diagnose.py); on the command line, `cmir-ref gradcheck --module yours.py:name` does this for a file of your own.
