# ---
# jupyter:
#   lesson:
#     question: How is a guess about labels scored, and why is its gradient just the guess minus the truth?
#     minutes: 30
#     needs: ["01", "02"]
#     derives: [ops.softmax_cross_entropy, ops.sigmoid_cross_entropy]
# ---

# %% [markdown]
# # 03 · Two cross-entropies
#
# **How is a guess about labels scored, and why is its gradient just the guess minus the truth?**
#
# Lesson 02 handed an upstream gradient backwards and never asked where the first one comes from. It comes from here: from comparing what a network says about a sample with
# what is true. There are two ways to compare. One suits "this is exactly one of six things", the other "any of six things may be in the
# picture", and both end in the same two letters. This picture is the result; the lesson is why.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
LABELS = ("cars", "dock", "grass", "pavement", "ship", "water")
rng = np.random.default_rng(3)
N, K = 5, len(LABELS)
u = rng.normal(size=(N, K)) * 1.5  # logits: what a network says, one row a sample
one = np.array([5, 0, 2, 4, 3])  # exactly one label a sample
many = np.array(
    [
        [0, 1, 0, 0, 1, 1],
        [1, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [1, 0, 1, 1, 0, 0],
    ]
)


def signed_map(axes, values, title, marked):
    """A signed matrix with its numbers; the true labels are framed."""
    axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.6 else "black"
        axes.text(
            j, i, f"{value:+.2f}", ha="center", va="center", fontsize=7, color=colour
        )
        if marked[i, j]:
            axes.add_patch(
                plt.Rectangle(
                    (j - 0.46, i - 0.46), 0.92, 0.92, fill=False, lw=1.5, ec="black"
                )
            )
    axes.set(title=title, xlabel="label", ylabel="sample", yticks=range(len(values)))
    axes.set_xticks(range(K), LABELS, fontsize=7, rotation=30)


figure, panels = plt.subplots(1, 2, figsize=(7.8, 2.5))
hot = np.eye(K)[one]
signed_map(
    panels[0],
    np.exp(u) / np.exp(u).sum(axis=1, keepdims=True) - hot,
    "softmax: exactly one is true",
    hot,
)
signed_map(panels[1], 1 / (1 + np.exp(-u)) - many, "sigmoid: each may be true", many)
show(
    figure,
    "The gradient at each logit (before the division by the number of terms). Framed: "
    "the truth. There the number is negative, so a step downhill raises the logit; "
    "elsewhere it is pushed down.",
)

# %% [markdown]
# ## From numbers to probabilities
#
# A network ends in a linear layer, which puts out any numbers at all, one for each class. They are called **logits**, here $u_k$. To read them as probabilities they must be
# positive and sum to 1. The exponential makes anything positive; dividing by the sum does the rest:
#
# $$p_k = \frac{e^{u_k}}{\sum_j e^{u_j}} \qquad\text{(softmax)}.$$
#
# Two things to see in the picture. Only *differences* of logits matter: add 100 to all, and numerator and denominator grow by the same factor. And multiplying all logits makes the
# largest win more clearly: change `scale`.


# %%
def softmax(u):
    e = np.exp(u)
    return e / e.sum(axis=-1, keepdims=True)


# %% tags=["folded"]
def draw_softmax(axes, scale, shift=0.0):
    logits = scale * np.array([-1.0, 0.5, 0.0, -0.5, 1.0, 1.6]) + shift
    axes.bar(LABELS, softmax(logits), color="#56B4E9", edgecolor="black")
    for k, value in enumerate(logits):
        axes.text(k, 1.02, f"{value:.1f}", ha="center", fontsize=6, rotation=50)
    axes.set(
        ylim=(0, 1.3),
        xlabel="label",
        ylabel="probability",
        title=f"scale {scale}, shift {shift:.0f}",
    )
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(axis="x", rotation=60, labelsize=7)


# %%
figure, panels = plt.subplots(1, 4, figsize=(7.4, 2.2), sharey=True)
for axes, (scale, shift) in zip(
    panels, ((0.3, 0), (1, 0), (1, 100), (4, 0)), strict=True
):
    draw_softmax(axes, scale, shift)
show(
    figure,
    "Bars: probabilities; above them the logits. A shift of all logits changes nothing "
    "(second and third panel).",
)

# %% [markdown]
# ## How wrong is a guess?
#
# Let $t$ be the true class. A good guess has $p_t$ near 1. The **cross-entropy** is $-\log p_t$: 0 for a sure and right guess, and without limit for a sure and wrong one. For a
# batch of $N$ samples we take the mean. With the truth as a row $y$ of zeros with one 1 (*one-hot*) it reads
#
# $$L = -\frac1N \sum_n \sum_k y_{nk} \log p_{nk} .$$

# %%
for p_true in (0.999, 0.9, 0.5, 1 / 6, 0.01, 1e-6):
    note = "  a blind guess among six" if p_true == 1 / 6 else ""
    print(
        f"p of the truth {p_true:8.6f}   loss {-np.log(p_true):6.3f} "
        f"{'■' * round(-2 * np.log(p_true))}{note}"
    )

# %% [markdown]
# ## In chunks
#
# Now the way back. Cut the loss into steps so small that each slope is known from lesson 01 ($e^x$ has the slope $e^x$, $\log x$ has $1/x$, $1/x$ has $-1/x^2$), and go back through them
# one at a time. The first two steps subtract each row's largest logit $m$. That changes nothing in $p$, as seen; why it is done comes later.
#
# `bump` adds something to one of the intermediate results, so that a slope can be measured *at each of them*.


# %%
def chunks(u, y, bump=None):
    """The softmax cross-entropy, every intermediate result by name."""
    bump, c = bump or {}, {}

    def keep(name, value):
        c[name] = value + bump.get(name, 0)
        return c[name]

    keep("u", u)
    keep("m", c["u"].real.max(axis=1, keepdims=True))
    keep("shifted", c["u"] - c["m"])
    keep("e", np.exp(c["shifted"]))
    keep("total", c["e"].sum(axis=1, keepdims=True))
    keep("inverse", 1 / c["total"])
    keep("p", c["e"] * c["inverse"])
    keep("log p", np.log(c["p"]))
    keep("loss", -(y * c["log p"]).sum() / N)
    return c


y = np.eye(K)[one]
c = chunks(u, y)
print(
    f"loss {c['loss']:.6f}; shapes:",
    ", ".join(f"{k} {np.shape(v)}" for k, v in c.items() if np.ndim(v)),
)

# %% [markdown]
# Going back, each line uses only the line before it. Two need care. `total` was spread over a whole row when dividing, so its gradient **sums** over the row; and `e` is used **twice**, in `p`
# and in `total`, so it gets two gradients, which add up.
#
# | forward | backward |
# |---|---|
# | $L = -\sum y\,\log p\,/N$ | $\dot{\log p} = -y/N$ |
# | $\log p$ | $\dot p = \dot{\log p}\,/\,p$ |
# | $p = e\cdot q$, with $q = 1/\text{total}$ | $\dot q = \sum_k \dot p_k e_k$, and $\dot e = \dot p\, q$ |
# | $q = 1/\text{total}$ | $\dot{\text{total}} = -\dot q\, q^2$ |
# | $\text{total} = \sum_k e_k$ | $\dot e \mathrel{+}= \dot{\text{total}}$ |
# | $e = e^{s}$ | $\dot s = \dot e\, e$ |
# | $s = u - m$ | $\dot u = \dot s$, and $\dot m = -\sum_k \dot s_k$ |

# %%
from cmir_ref.gradcheck import complex_step

d = {}
d["log p"] = -y / N
d["p"] = d["log p"] / c["p"]
d["inverse"] = (d["p"] * c["e"]).sum(axis=1, keepdims=True)
d["total"] = -d["inverse"] * c["inverse"] * c["inverse"]
d["e"] = d["p"] * c["inverse"] + d["total"]
d["shifted"] = d["e"] * c["e"]
d["m"] = -d["shifted"].sum(axis=1, keepdims=True)
d["u"] = d["shifted"]


def cmp(name, ours, other):
    """One line: how far two gradients are apart, against the largest entry (or 1,
    where both are zero)."""
    size = np.abs(other).max()
    worst = np.abs(ours - other).max() / (size if size > 1e-12 else 1)
    verdict = "exact" if worst == 0 else "equal" if worst < 1e-13 else "DIFFERENT"
    print(
        f"d {name:9} {verdict:10} worst difference {worst:.0e}   largest entry "
        f"{size:.2g}"
    )
    return worst


def measured(name):
    return complex_step(
        lambda arrays: chunks(u, y, {name: arrays[0]})["loss"],
        [np.zeros(np.shape(c[name]))],
        0,
    )


worst_chunk = max(cmp(name, d[name], measured(name)) for name in d)
assert worst_chunk < 1e-13

# %% [markdown]
# Look at `m`: its gradient is zero, to the last digit. It must be: the loss does not change when a whole row is shifted. So the code may treat the row maximum as a plain number, and never has to
# differentiate a maximum.
#
# ## Then in one line
#
# Eight lines back, and so much cancels that one is left. Take one sample with true class $t$ and write the loss without fractions:
#
# $$L = -\log\frac{e^{u_t}}{\sum_j e^{u_j}} = \log \sum_j e^{u_j} - u_t .$$
#
# The slope of the first part with respect to $u_k$ is $\dfrac{1}{\sum_j e^{u_j}}\, e^{u_k} = p_k$, by the chain rule. The slope of the second is 1 for $k = t$ and 0 elsewhere: that is $y_k$. So
#
# $$\frac{\partial L}{\partial u_k} = p_k - y_k ,$$
#
# **guess minus truth**, and over $N$ for the mean. That is the picture at the top. Each row sums to zero: whatever the true logit gains, the others lose.

# %%
in_one_line = (softmax(u) - y) / N
cmp("u", in_one_line, d["u"])
print("row sums:", np.abs(in_one_line.sum(axis=1)).max().round(17))
assert np.allclose(in_one_line, d["u"], rtol=1e-13, atol=1e-16)

# %% [markdown]
# ## Huge logits
#
# Networks in trouble put out logits of a thousand. Then $e^{1000}$ is more than `float64` can hold (its limit is about $e^{709}$; `float32` ends at $e^{88}$), the computer says `inf`, and
# `inf / inf` is `nan`, *not a number*, which spreads to every weight in one step. Going down is no better: $e^{-1000}$ is rounded to 0, and $-\log 0$ is `inf`, where the true loss is 1000.
#
# Both go away if the row maximum $m$ is taken out first, and the logarithm of the quotient is never taken as one (**log-sum-exp**):
#
# $$\log \sum_j e^{u_j} = m + \log \sum_j e^{u_j - m} .$$
#
# Every exponent is now at most 0, and one of them *is* 0, so the sum lies between 1 and $K$. No logarithm of 0, no overflow.


# %%
def naive(u, t):
    with np.errstate(all="ignore"):
        return -np.log(np.exp(u)[..., t] / np.exp(u).sum(axis=-1))


def stable(u, t):
    shifted = u - u.max(axis=-1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=-1)) - shifted[..., t]


print(
    f"{'logits':>22}   naive, truth 1st   naive, truth 2nd   stable, truth 1st   "
    "stable, truth 2nd"
)
for big in (1.0, 100.0, 700.0, 1000.0, 1e4):
    row = np.array([big, 0.0, 0.0])
    print(
        f"{f'[{big:g}, 0, 0]':>22}"
        + "".join(f"{g(row, t) + 0:19.6g}" for g in (naive, stable) for t in (0, 1))
    )
loss_at_10000 = float(stable(np.array([1e4, 0.0, 0.0]), 1))
assert loss_at_10000 == 1e4


# %% tags=["folded"]
def draw_range(axes, number, reach):
    gaps = np.linspace(-reach, reach, 2001)
    rows = np.stack([gaps, 0 * gaps, 0 * gaps], axis=1).astype(number)
    axes.plot(gaps, stable(rows, 0), label="log-sum-exp")
    values = naive(rows, 0)
    axes.plot(gaps, np.where(np.isfinite(values), values, np.nan), lw=3, label="naive")
    axes.set(
        xlabel="logit of the true class", ylabel="loss", title=np.dtype(number).name
    )
    lost = gaps[~np.isfinite(values)]
    axes.axvspan(-reach, lost[lost < 0].max(), color="grey", alpha=0.2)
    axes.axvspan(lost[lost > 0].min(), reach, color="grey", alpha=0.2)
    axes.legend(loc="upper right", fontsize=7)
    return float(lost[lost > 0].min())


reaches = {np.float64: 1000, np.float32: 150, np.float16: 25}
figure, panels = plt.subplots(1, 3, figsize=(7.4, 2.2))
fails = {
    np.dtype(n).name: draw_range(axes, n, r)
    for axes, (n, r) in zip(panels, reaches.items(), strict=True)
}
show(
    figure,
    "The same formula, two ways to compute it, at three precisions. All other logits "
    "are 0. In the grey parts the naive one is inf or nan; mind the axes: with 16-bit "
    "numbers that begins at a logit of 11.",
)

# %%
print(
    "the naive form first fails at a logit of",
    ", ".join(f"{v:.0f} in {k}" for k, v in fails.items()),
)

# %% [markdown]
# ## The other question: yes or no, K times
#
# An aerial image of a harbour shows ship *and* dock *and* water. Asking "which one is it?" is the wrong question. Ask $K$ separate ones: is there a ship? is there a dock? For one
# such question a single logit is enough. Squash it into $(0, 1)$ by the **sigmoid**
#
# $$p = \sigma(u) = \frac{1}{1 + e^{-u}}, \qquad L = -\,y \log p - (1 - y)\log(1 - p), \quad y \in \{0, 1\}.$$
#
# Again in chunks, a sum over all entries this time:

# %%
y_many = many.astype(float)


def sigmoid_chunks(u, y, bump=None):
    bump, c = bump or {}, {}

    def keep(name, value):
        c[name] = value + bump.get(name, 0)
        return c[name]

    keep("u", u)
    keep("e", np.exp(-c["u"]))
    keep("below", 1 + c["e"])
    keep("p", 1 / c["below"])
    keep("yes", np.log(c["p"]))
    keep("no", np.log(1 - c["p"]))
    keep("loss", -(y * c["yes"] + (1 - y) * c["no"]).sum())
    return c


c = sigmoid_chunks(u, y_many)
d = {"yes": -y_many, "no": -(1 - y_many)}
d["p"] = d["yes"] / c["p"] - d["no"] / (1 - c["p"])
d["below"] = -d["p"] / (c["below"] * c["below"])
d["e"] = d["below"]
d["u"] = -d["e"] * c["e"]

for name in d:
    slopes = complex_step(
        lambda a, n=name: sigmoid_chunks(u, y_many, {n: a[0]})["loss"],
        [np.zeros((N, K))],
        0,
    )
    worst_chunk = max(worst_chunk, cmp(name, d[name], slopes))
assert worst_chunk < 1e-13

# %% [markdown]
# And in one line. Since $1 - \sigma(u) = \sigma(u)\,e^{-u}$ and $-\log\sigma(u) = \log(1 + e^{-u}) = \log(1 + e^{u}) - u$, both cases of $y$ are in
#
# $$L = \log(1 + e^u) - u\,y, \qquad \frac{\partial L}{\partial u} = \frac{e^u}{1 + e^u} - y = \sigma(u) - y .$$
#
# Guess minus truth again. (The two chunks from $p$ back to $u$ are the slope of the sigmoid itself: $1/s$ has $-1/s^2$, $s = 1 + e^{-u}$ has $-e^{-u}$, together $e^{-u}/s^2 = p\,(1-p)$. Here it cancels against the logarithms; where a sigmoid stands alone, as in lesson 14, it does not.) It is no accident: with *two* classes and the logits $(u, 0)$, softmax is $e^u/(e^u + 1)$, which *is* the sigmoid.
#
# Huge logits: take the larger of $u$ and 0 out, $\log(1 + e^u) = \max(u, 0) + \log(1 + e^{-|u|})$. (`log1p(x)` is $\log(1 + x)$ without losing a tiny $x$.)


# %%
def stable_sigmoid(u, y):
    return np.maximum(u, 0) - u * y + np.log1p(np.exp(-np.abs(u)))


cmp("u", 1 / (1 + np.exp(-u)) - y_many, d["u"])
two = np.stack([u.ravel(), 0 * u.ravel()], axis=1)
assert np.allclose(stable(two, 0), stable_sigmoid(u.ravel(), 1), rtol=1e-12, atol=0)

grid = np.linspace(-6, 6, 121)

# %% tags=["folded"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.2))
for truth in (1.0, 0.0, 0.3):
    left.plot(grid, stable_sigmoid(grid, truth), label=f"y = {truth:g}")
    right.plot(grid, 1 / (1 + np.exp(-grid)) - truth, label=f"y = {truth:g}")
left.set(xlabel="logit u", ylabel="loss")
right.set(xlabel="logit u", ylabel="slope σ(u) − y")
left.legend()
right.axhline(0, color="grey", lw=0.8)
show(
    figure,
    "Far on the wrong side the loss is a straight line and its slope ±1: a hopeless "
    "sample pulls steadily, never infinitely. A truth of 0.3 has its lowest point "
    "where σ(u) = 0.3.",
)

# %% [markdown]
# ## Several labels: what each loss wants
#
# What if we insist on softmax, and give it the row with three ones? Two readings are possible. The package divides the row by its number of labels, so that its mass is 1, and all
# formulas hold. Without the division the row sum $r = \sum_k y_k$ appears: the loss is $\sum_k y_k (\log\sum_j e^{u_j} - u_k)$, and so
#
# $$\frac{\partial L}{\partial u_k} = r\,p_k - y_k .$$
#
# Who writes $p - y$ for it has a wrong gradient that *no* single-label test can see, because there $r = 1$.

# %%
row_sum = y_many.sum(axis=1, keepdims=True)
truth = complex_step(
    lambda a: (y_many * (np.log(np.exp(a[0]).sum(axis=1, keepdims=True)) - a[0])).sum(),
    [u],
    0,
)
print("p·r − y:", end=" ")
cmp("u", softmax(u) * row_sum - y_many, truth)
print("p − y:  ", end=" ")
error_without_row_sum = cmp("u", softmax(u) - y_many, truth)
assert error_without_row_sum > 0.1

# %% [markdown]
# Where do they lead? Let each loss pull one row of logits downhill, from zero, towards dock + ship + water. Change the number of `steps`.


# %%
def descend(gradient, steps, rate=0.5):
    v = np.zeros(K)
    for _ in range(steps):
        v = v - rate * gradient(v)
    return v


target = many[0].astype(float)
pulls = {
    "softmax": (lambda v: softmax(v) - target / target.sum(), softmax),
    "sigmoid": (
        lambda v: 1 / (1 + np.exp(-v)) - target,
        lambda v: 1 / (1 + np.exp(-v)),
    ),
}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 4, figsize=(7.4, 2.1), sharey=True)
for axes, steps in zip(panels, (0, 2, 10, 200), strict=True):
    for (name, (gradient, squash)), at, hatch in zip(
        pulls.items(), (-0.2, 0.2), ("", "///"), strict=True
    ):
        axes.bar(
            np.arange(K) + at,
            squash(descend(gradient, steps)),
            0.4,
            label=name,
            hatch=hatch,
            edgecolor="black",
        )
    axes.set(title=f"{steps} steps", ylim=(0, 1), xlabel="label", ylabel="probability")
    axes.set_xticks(range(K), LABELS, rotation=60, fontsize=7)
panels[0].legend(fontsize=7, loc="upper left")
show(
    figure,
    "Softmax labels share one unit of belief: three true ones end at a third each. "
    "Sigmoid labels do not compete: each goes to 1 or 0 by itself.",
)

# %%
thirds = softmax(descend(pulls["softmax"][0], 2000))
alone = pulls["sigmoid"][1](descend(pulls["sigmoid"][0], 2000))
assert np.allclose(thirds[target > 0], 1 / 3, atol=1e-3)
assert np.abs(alone - target).max() < 1e-2

# %% [markdown]
# **About the paper.** Its eq. 3 is one cross-entropy for everything. The released code for images and speech takes the sigmoid one for images, which carry several labels, and softmax for
# spoken words, which carry one. In `cmir_ref` that is a setting, `label_loss`, and `by-modality` is what the code does.
#
# ## Mean over what?
#
# "The mean" hides a choice. Softmax makes *one* judgement a sample: divide by $N$. Sigmoid makes $K$: dividing by $N$ or by $N K$ differs by a factor of $K$ in every
# gradient, and so in how much this loss weighs beside the others of a network. The package divides by $NK$ and has `reduction="sum"` for those who want to divide themselves.

# %%
from cmir_ref.ops.sigmoid_cross_entropy import (
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_backward,
)
from cmir_ref.ops.softmax_cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)

print(f"{'':34} {'loss at logits 0':>17} {'largest gradient':>17}")
for name, op, back, targets in (
    ("softmax", softmax_cross_entropy, softmax_cross_entropy_backward, one),
    ("sigmoid", sigmoid_cross_entropy, sigmoid_cross_entropy_backward, y_many),
):
    for reduction in ("sum", "mean"):
        loss, cache = op(0 * u, targets, reduction=reduction)
        what = {
            "sum": "sum",
            "mean": "mean over N" if name == "softmax" else "mean over N·K",
        }[reduction]
        print(
            f"{name + ', ' + what:34} {loss:17.4f} "
            f"{np.abs(back(1.0, cache)).max():17.4f}"
        )
print(
    f"\nlog {K} = {np.log(K):.4f}: a blind guess among {K}. log 2 = {np.log(2):.4f}: a "
    "coin for each question."
)

# %% [markdown]
# These two starting values are worth knowing by heart: a training run whose first loss is far from $\log K$ (or $\log 2$) has a mistake before it has begun.
#
# ## The package's own
#
# Here is all of it: the stable forward, and the one line back. `dloss` multiplies, because the loss may be one term of a larger sum.

# %%
import inspect

for part in (softmax_cross_entropy, softmax_cross_entropy_backward):
    print(inspect.getsource(part))

# %%
for part in (sigmoid_cross_entropy, sigmoid_cross_entropy_backward):
    print(inspect.getsource(part))

# %% [markdown]
# Proof, in three parts: the same as our chunks; the judge of lesson 01; and finite at logits of ten thousand.

# %%
from cmir_ref.gradcheck import check_gradient

pairs = {
    "softmax": softmax_cross_entropy_backward,
    "sigmoid": sigmoid_cross_entropy_backward,
}
forwards = {"softmax": softmax_cross_entropy, "sigmoid": sigmoid_cross_entropy}
errors_found = {}
for name, op in forwards.items():
    chunked = (
        chunks(u, y)["loss"]
        if name == "softmax"
        else sigmoid_chunks(u, y)["loss"] / (N * K)
    )
    assert np.isclose(op(u, one)[0], chunked, rtol=1e-13, atol=0)
    errors_found[name] = []
    for targets in (one, many):
        for r in check_gradient(lambda v, op=op, t=targets: op(v, t), pairs[name], [u]):
            assert r.error < (1e-6 if r.method == "central-difference" else 1e-12), r
            errors_found[name] += [r.error] if r.method == "complex-step" else []
    loss, cache = op(1e4 * u, many)
    gradient = pairs[name](1.0, cache)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    print(
        f"{name}: gradient off by {max(errors_found[name]):.0e}; at logits near "
        f"±{np.abs(1e4 * u).max():.0f} loss {loss:.0f}"
    )

# %% [markdown]
# ## Your turn: softer truths, and samples that weigh differently
#
# Labels are sometimes wrong, so a network should not be sure of them. *Label smoothing* keeps 0.9 of the truth for the label and shares the rest out over all $K$ classes. And let each sample have a weight, `c` $(N,)$, of its own: the loss is the *weighted mean* of the losses of the samples. The forward is given. Write the way back for `u`
# **and for `c`**, with the upstream `dloss`. What does a single $c_n$ reach: its own sample's loss, and what else? The blank forgets the weights.


# %% tags=["exercise"]
def smoothed(u, c):
    q = 0.9 * np.eye(K)[one] + 0.1 / K
    shifted = u - u.real.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses = -(q * log_p).sum(axis=1)
    return (c * losses).sum() / c.sum(), (np.exp(log_p), q, c, losses)


def smoothed_backward(dloss, cache):
    p, q, c, losses = cache
    return dloss * (p - q) / len(p), np.zeros_like(c)  # yours


# %% tags=["solution"]
def smoothed_backward(dloss, cache):
    p, q, c, losses = cache
    loss = (c * losses).sum() / c.sum()
    du = dloss * c[:, None] * (p - q) / c.sum()
    return du, dloss * (losses - loss) / c.sum()  # c stands above and below the line


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

weights = {
    "equal weights": np.ones(N),
    "weights that sum to 1": rng.dirichlet(np.ones(N)),
    "any weights": rng.uniform(0.2, 3, N),
}
for name, c in weights.items():
    said = with_hints(
        explain(smoothed, smoothed_backward, {"u": u, "c": c}),
        u="a sample's share of the mean is c over the sum of all c; the truth is q",
        c="who uses it? a sample that is worse than the mean pulls it up by weighing more",
    )
    assert not said, f"{name}:\n{said}"
    print(f"{name:22} right")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_softmax_cross_entropy=max(errors_found["softmax"]),
    error_of_sigmoid_cross_entropy=max(errors_found["sigmoid"]),
    worst_chunk_by_hand=worst_chunk,
    error_without_the_row_sum=error_without_row_sum,
    loss_at_logits_of_10000=loss_at_10000,
    naive_float64_fails_from_logit=fails["float64"],
    softmax_belief_in_each_of_three_labels=thirds[1],
)

# %% [markdown]
# ## What you learned
#
# Softmax asks which one, sigmoid asks yes or no for each, and the gradient of both is the guess minus the truth. With several labels in a row, softmax's guess is multiplied by the row sum,
# which no single-label test can notice. The largest logit is taken out before the exponential, or a logit of a thousand turns every weight into `nan`.
#
# ## Next
#
# [04 · Convolution](04_convolution.ipynb): the layers that read an image before any logit. In the package:
# [`ops/softmax_cross_entropy.py`](../cmir_ref/ops/softmax_cross_entropy.py), [`ops/sigmoid_cross_entropy.py`](../cmir_ref/ops/sigmoid_cross_entropy.py).
