# ---
# jupyter:
#   lesson:
#     question: What does batch normalisation do in training, to one query alone, and when its statistics never move?
#     minutes: 30
#     needs: ["02", "04"]
#     derives: [ops.batch_norm, ops.dropout]
# ---

# %% [markdown]
# # 05 · Batch norm, and the mode that was switched off
#
# **What does batch normalisation do in training, to one query alone, and when its statistics never move?**
#
# Behind a convolution some channels are large and some small, and this changes with every step of training. *Batch normalisation* (Ioffe & Szegedy, 2015) brings each channel to mean 0 and
# *variance* 1 (the mean of the squared distances from the mean; its root is the standard deviation), then lets the network choose a scale γ and a shift β of its own. It has one formula, but three modes, which differ in *whose* mean and variance they take. The figure
# shows all three on the same numbers: three channels of a first convolution on 21 tiles. In the code that was released with the paper, the rightmost one runs.

# %% tags=["folded"]
import os

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.data import read_image, samples_dir
from cmir_ref.data.locate import find_file
from cmir_ref.ops.batch_norm import batch_norm
from cmir_ref.ops.conv import conv
from cmir_ref.ops.relu import leaky_relu
from cmir_ref.reports.lesson import begin, numbers, show

begin()
folder = find_file(os.environ.get("CMIR_DATA") or samples_dir(), "Images")
tiles = (
    np.stack(
        [
            read_image(sorted(c.glob("*.tif"))[0], 32)
            for c in sorted(folder.iterdir())
            if c.is_dir()
        ]
    )
    / 255
)
rng = np.random.default_rng(5)


def features(images, gain, seed):
    """leaky ReLU(conv(images)) with random weights, `gain` times the usual; a gain for
    each channel that comes out."""
    shape = 3, 3, images.shape[-1], len(gain)
    kernel = (
        np.random.default_rng(seed).normal(size=shape)
        * gain
        * np.sqrt(2 / np.prod(shape[:3]))
    )
    return leaky_relu(conv(images, kernel, np.zeros(len(gain)))[0], 0.01)[0]


ones, zeros = np.ones(3), np.zeros(3)
before = features(tiles, (2, 6, 4), seed=6)
running_mean, running_var = (
    before[::2].mean(axis=(0, 1, 2)),
    before[::2].var(axis=(0, 1, 2)),
)
views = {
    "before": before,
    "train": batch_norm(before, ones, zeros, mode="train")[0],
    "inference": batch_norm(
        before, ones, zeros, running_mean, running_var, mode="inference"
    )[0],
    "frozen": batch_norm(before, ones, zeros, mode="frozen")[0],
}
figure, panels = plt.subplots(1, 4, figsize=(8.4, 2.3), sharey=True)
for axes, (name, values) in zip(panels, views.items(), strict=True):
    for c in range(3):
        axes.hist(
            values[..., c].ravel(),
            bins=np.linspace(-3, 6, 91),
            histtype="step",
            density=True,
            label=f"{c}",
        )
    for patch, style in zip(axes.patches, ("-", "--", "-."), strict=True):
        patch.set_linestyle(style)
    axes.set(
        title=name,
        xlabel="activation",
        ylabel="density" if name == "before" else " ",
        ylim=(0, 1.5),
    )
panels[0].legend(title="channel")
show(
    figure,
    "How the activations are spread (density: the share of them for each unit of width). "
    "Train takes this batch's mean and variance; inference takes running averages "
    "(here: of half the tiles), and nearly agrees. Frozen takes 0 and 1: nothing "
    "happens. The spikes, cut off at the top, are what the leaky ReLU has pressed "
    "towards 0.",
)

# %% [markdown]
# ## One formula, three modes
#
# For each channel, with $M$ values in it (all samples, all pixels),
#
# $$y_m = \gamma\,\hat x_m + \beta, \qquad \hat x_m = s\,(x_m - \mu), \qquad s = \frac{1}{\sqrt{\sigma^2 + \varepsilon}},\qquad \varepsilon = 0.001 .$$
#
# | mode | μ and σ² | when | depend on $x$? |
# |---|---|---|---|
# | train | of this very batch | while training | yes: every sample moves them |
# | inference | running averages of earlier batches | validation, embedding, search | no |
# | frozen | 0 and 1 | in the released code, always | no |
#
# The three are checked here against the formula, spelled out.

# %%
x = rng.normal(size=(6, 3)) * (0.5, 1, 4) + (1, 0, -3)  # 6 values in each of 3 channels
gamma, beta = rng.normal(size=3), rng.normal(size=3)
mean, var = rng.normal(size=3), rng.uniform(0.5, 2, size=3)
for mode, m, v in (
    ("train", x.mean(axis=0), x.var(axis=0)),
    ("inference", mean, var),
    ("frozen", 0, 1),
):
    y, _ = batch_norm(x, gamma, beta, mean, var, mode=mode)
    formula = gamma * (x - m) / np.sqrt(v + 0.001) + beta
    print(
        f"{mode:10} mean {y.mean(axis=0).round(2)}  standard deviation "
        f"{y.std(axis=0).round(2)}"
    )
    assert np.allclose(y, formula, rtol=1e-12)
print(
    f"{'asked for':10} mean {beta.round(2)}  standard deviation {abs(gamma).round(2)}"
)

# %% [markdown]
# **About the paper.** *Batch norm was never on.* The text has a batch-normalisation layer in each block. The released code asks for it with `training=False`, at every place and in training too (`Pretrain_mulX.py`, lines 91–92, 101–102, 108–109; [docs/paper_and_code.md](../docs/paper_and_code.md), row 6). In that
# mode TensorFlow takes the running averages, which start at 0 and 1, and nobody ever updates them. What ran was $y = \gamma x/\sqrt{1.001} + \beta$: a scale and a shift per channel.
# A linear layer right behind could have learned that by itself: below, frozen norm and linear layer become *one* linear layer. A convolution behind it can too, but not at the border, where
# the shift meets the zeros that stand around the picture.

# %%
from cmir_ref.ops.linear import linear

w, b = rng.normal(size=(3, 4)), rng.normal(size=4)
frozen = batch_norm(x, gamma, beta, mode="frozen")[0]
assert np.allclose(frozen, gamma * x / np.sqrt(1.001) + beta, rtol=1e-14)

two_layers = linear(frozen, w, b)[0]
one_layer = linear(x, (gamma / np.sqrt(1.001))[:, None] * w, beta @ w + b)[0]
print(
    "frozen norm and linear layer against one linear layer: "
    f"{np.abs(two_layers - one_layer).max():.0e}"
)
assert np.allclose(two_layers, one_layer, rtol=1e-12)

draw = np.random.default_rng(50).normal
picture, kernel = draw(size=(1, 6, 6, 3)), draw(size=(3, 3, 3, 4))
scale = gamma / np.sqrt(1.001)
behind = conv(batch_norm(picture, gamma, beta, mode="frozen")[0], kernel, b)[0]
folded = conv(picture, scale[:, None] * kernel, beta @ kernel.sum(axis=(0, 1)) + b)[0]
gap = np.abs(behind - folded)[0].max(axis=2)
print(
    f"the same with a convolution: inside {gap[1:-1, 1:-1].max():.0e}, "
    f"at the border {gap.max():.1f}"
)
assert gap[1:-1, 1:-1].max() < 1e-12 and gap.max() > 0.1

# %% [markdown]
# Does it matter? Send the tiles through three blocks whose weights are a little too small or too large at the start. A norm that is on repairs each block's scale; a frozen one hands the mistake on, and
# three blocks make it the third power. Change the gain.


# %%
def scales(mode, gain):
    """Standard deviation of the activations before and after each of three blocks conv
    → leaky ReLU → norm."""
    h = (tiles - tiles.mean()) / tiles.std()
    found = [h.std()]
    for seed in range(3):
        h = batch_norm(
            features(h, gain * np.ones(16), seed), np.ones(16), np.zeros(16), mode=mode
        )[0]
        found.append(h.std())
    return found


gains = (0.3, 1.0, 3.0)  # change me
figure, panels = plt.subplots(1, 3, figsize=(8, 2.2), sharey=True)
for axes, gain in zip(panels, gains, strict=True):
    axes.semilogy(scales("train", gain), marker="o", label="train")
    axes.semilogy(scales("frozen", gain), marker="s", label="frozen")
    axes.set(
        title=f"weights × {gain}",
        xlabel="blocks passed",
        ylabel="std of activations",
        xticks=range(4),
    )
panels[0].legend()
show(
    figure,
    "With the norm on (solid) the scale is the same behind each block whatever the "
    "weights. Frozen (dashed), it falls or grows with each block.",
)

# %% [markdown]
# ## The way back, in chunks
#
# The train mode is the hard one: $x_m$ acts on $y_m$ directly, and on *every* $y$ through μ and σ². Do not differentiate it at once. Cut it into steps so small that each has a one-line derivative,
# and walk back over them:
#
# | there | back |
# |---|---|
# | $\mu = \frac1M\sum x_m$ | $\dot x_m \mathrel{+}= \dot\mu/M$ |
# | $c_m = x_m - \mu$ | $\dot x_m \mathrel{+}= \dot c_m,\quad \dot\mu = -\sum \dot c_m$ |
# | $\sigma^2 = \frac1M\sum c_m^2$ | $\dot c_m \mathrel{+}= 2c_m\,\dot{\sigma^2}/M$ |
# | $s = (\sigma^2+\varepsilon)^{-1/2}$ | $\dot{\sigma^2} = -\tfrac12 s^3\,\dot s$ |
# | $\hat x_m = s\,c_m$ | $\dot c_m \mathrel{+}= s\,\dot{\hat x}_m,\quad \dot s = \sum \dot{\hat x}_m c_m$ |
# | $y_m = \gamma\hat x_m + \beta$ | $\dot{\hat x}_m = \gamma\,\dot y_m,\quad \dot\gamma = \sum\dot y_m\hat x_m,\quad \dot\beta = \sum\dot y_m$ |
#
# To *measure* the gradient at an intermediate value, the forward takes a `nudge`: something to add to that value. The complex step then nudges it.


# %%
def forward(x, gamma, beta, **nudge):
    at = lambda name: nudge.get(name, 0)
    mean = x.sum(axis=0) / len(x) + at("mean")
    centred = x - mean + at("centred")
    var = (centred * centred).sum(axis=0) / len(x) + at("var")
    s = (var + 0.001) ** -0.5 + at("s")
    x_hat = s * centred + at("x_hat")
    return gamma * x_hat + beta, (centred, s, x_hat)


dy = rng.normal(size=x.shape)
_, (centred, s, x_hat) = forward(x, gamma, beta)
M = len(x)
d = {}  # from the last chunk to the first
d["gamma"], d["beta"], d["x_hat"] = (dy * x_hat).sum(axis=0), dy.sum(axis=0), gamma * dy
d["s"] = (d["x_hat"] * centred).sum(axis=0)
d["var"] = -0.5 * s**3 * d["s"]
d["centred"] = s * d["x_hat"] + 2 * centred * d["var"] / M
d["mean"] = -d["centred"].sum(axis=0)
d["x"] = d["centred"] + d["mean"] / M

# %% [markdown]
# Each chunk beside its measurement:

# %%
from cmir_ref.gradcheck import complex_step, relative_error

given = {"x": x, "gamma": gamma, "beta": beta}
errors = {}
for name, ours in d.items():
    if name in given:
        position = list(given).index(name)
        measured = complex_step(
            lambda a: (forward(*a)[0] * dy).sum(), [x, gamma, beta], position
        )
    else:
        measured = complex_step(
            lambda a, name=name: (
                forward(x, gamma, beta, **{name: a[0]})[0] * dy
            ).sum(),
            [0 * ours],
            0,
        )
    errors[name] = relative_error(ours, measured)[0]
    print(f"d{name:8} largest {np.abs(ours).max():8.1e}   error {errors[name]:.0e}")
assert max(errors.values()) < 1e-12

# %% [markdown]
# Look once more at `dmean`, the sum over both parts of `dcentred`. The part through the variance is zero: $\sum 2c_m\,\dot{\sigma^2}/M = 0$, as $\sum c_m = 0$. A mean is where the sum of squares is smallest, and at a
# smallest place the slope is zero. Therefore $\dot\mu = -s\sum\dot{\hat x}_m$, and the rest can be put together on paper.
#
# ## Your turn: one line
#
# Insert the chunks into each other until $\dot x_m$ is written with $s$, $\dot{\hat x}$, $\hat x$ and means over the batch alone. Three hints: $c_m = \hat x_m/s$; $\frac1M\sum$ is a mean; everything
# has a factor $s$.


# %% tags=["exercise"]
def one_line(dx_hat, x_hat, s):
    """dx (M, C) of the train mode, for the gradient dx_hat = γ dy."""
    return s * dx_hat  # yours: this is the inference mode, which holds μ and σ² fixed


# %% tags=["solution"]
def one_line(dx_hat, x_hat, s):
    return s * (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0))


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import combination


def normalise(x, mean=None, s=None):
    """x̂ and s, with a mean or an s that does not move where one is given."""
    centred = x - (x.mean(axis=0) if mean is None else mean)
    s = ((centred * centred).mean(axis=0) + 1e-3) ** -0.5 if s is None else s
    return centred * s, (centred * s, s)


random = np.random.default_rng(50)
for shape in ((6, 3), (4, 4)):
    x_own, up = random.normal(size=shape), random.normal(size=shape)
    _, (hat, scale) = normalise(x_own)
    try:
        answer = one_line(up, hat, scale)
    except ValueError as refused:
        raise AssertionError(
            f"{refused}: all means are over the batch, axis 0, one number a feature"
        ) from None
    assert np.shape(answer) == shape, f"dx has shape {np.shape(answer)}, x has {shape}"
    measured = lambda **still: complex_step(
        lambda a: (normalise(a[0], **still)[0] * up).sum(), [x_own], 0
    )
    alone = measured(mean=x_own.mean(axis=0), s=scale)
    with_mean = measured(s=scale)
    paths = {
        "x̂ with μ and σ² held": alone,
        "what comes through μ": with_mean - alone,
        "what comes through σ²": measured() - with_mean,
    }
    mixed = combination(answer, paths)
    assert not mixed, f"yours is {mixed}; each belongs there once"
    said = explain(normalise, lambda dy, cache: one_line(dy, *cache), {"x": x_own})
    assert not said, f"{said}\n(all means are over the batch, and s multiplies all)"
off = np.abs(one_line(d["x_hat"], x_hat, s) - d["x"]).max() / np.abs(d["x"]).max()
assert off < 1e-13, f"off by {off:.1e} of the largest entry"
print(f"right: {off:.0e} from the chunks")

# %% [markdown]
# ## What the line says
#
# $$\dot x_m = s\,\Big(\dot{\hat x}_m - \operatorname{mean}(\dot{\hat x}) - \hat x_m\operatorname{mean}(\dot{\hat x}\,\hat x)\Big)$$
#
# Two things are taken out of the gradient: its mean, and its share along $\hat x$. No wonder: adding a constant to all of $x$ changes nothing behind a norm, nor does stretching $x$, so a
# gradient that asks for either asks in vain. This is the package's own line, and both statements are checked below (the second up to ε, which stretching does notice).

# %%
import inspect

from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.batch_norm import batch_norm_backward

print(inspect.getsource(batch_norm_backward).split('"""')[-1])
found = check_gradient(batch_norm, batch_norm_backward, [x, gamma, beta])
for mode in ("inference", "frozen"):
    found += check_gradient(
        lambda x, g, b, mode=mode: batch_norm(x, g, b, mean, var, mode=mode),
        batch_norm_backward,
        [x, gamma, beta],
    )
error_of_batch_norm = max(r.error for r in found if r.method == "complex-step")
print(f"three modes against the complex step: {error_of_batch_norm:.0e}")
print(f"the mean of dx: {np.abs(d['x'].mean(axis=0)).max():.0e}")
remains = (d["x"] * x_hat).sum(axis=0) / (s * (d["x_hat"] * x_hat).sum(axis=0))
print(f"what remains of the share along x̂: {remains.round(6)} (three channels)")
print(f"ε/(σ² + ε):                        {(0.001 * s * s).round(6)}")
assert np.abs(d["x"].sum(axis=0)).max() < 1e-13 and error_of_batch_norm < 1e-12
assert np.allclose(remains, 0.001 * s * s, rtol=1e-9)

# %% [markdown]
# In lesson 02 the Jacobian of a linear layer had blocks: samples never mixed. Here are those of one channel with six samples.

# %%
jacobians = {}
for mode in ("train", "inference"):
    columns = []
    for j in range(M):
        z = x[:, :1].astype(complex)
        z[j] += 1e-30j
        columns.append(
            batch_norm(z, ones[:1], zeros[:1], mean[:1], var[:1], mode=mode)[
                0
            ].imag.ravel()
            / 1e-30
        )
    jacobians[mode] = np.stack(columns, axis=1)

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.9))
for axes, (mode, matrix) in zip(panels, jacobians.items(), strict=True):
    limit = np.abs(matrix).max()
    axes.imshow(matrix, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes.set(title=mode, xlabel="x of sample", ylabel="y of sample")
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            dark = abs(value) > 0.6 * limit
            text = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
show(
    figure,
    "In training every sample's output depends on every other sample of the batch. In "
    "inference each sample is alone. Blank is exactly zero.",
)

# %% [markdown]
# ## One query, alone
#
# The left picture is a problem for a search. A query comes alone; its embedding must not depend on who else asks at the same time. Take a small network, linear → leaky ReLU → norm → linear, with two outputs so
# that an embedding is a point. Embed **one and the same query** in forty different batches, once with the train mode, once with the inference mode. Change the batch sizes.

# %%
crowd = rng.normal(size=(400, 8)) @ rng.normal(size=(8, 8))
w1, w2 = rng.normal(size=(8, 6)) / 2, rng.normal(size=(6, 2)) / 2
hidden = leaky_relu(crowd @ w1, 0.01)[0]
running = hidden.mean(axis=0), hidden.var(axis=0)
query = crowd[:1]


def embed(batch, mode):
    h = leaky_relu(batch @ w1, 0.01)[0]
    return batch_norm(h, np.ones(6), np.zeros(6), *running, mode=mode)[0] @ w2


def in_company(size, mode, draws=40):
    """The query's embedding in `draws` batches of `size`, the query first."""
    company = np.random.default_rng(size)
    return np.stack(
        [
            embed(np.concatenate([query, company.choice(crowd, size - 1)]), mode)[0]
            for _ in range(draws)
        ]
    )


figure, panels = plt.subplots(1, 4, figsize=(8.6, 2.4), sharex=True, sharey=True)
for axes, size in zip(panels, (1, 2, 8, 64), strict=True):  # change the sizes
    axes.plot(*in_company(size, "train").T, "o", ms=3, alpha=0.6, label="train")
    axes.plot(*in_company(size, "inference").T, "x", ms=9, mew=2, label="inference")
    axes.set(title=f"batch of {size}", xlabel="embedding, first", ylabel="second")
panels[-1].legend()
show(
    figure,
    "The same query, 40 times each. Inference (orange) is one point in all panels. "
    "Train (blue) moves with the company; alone it is always at the origin, whatever "
    "the query.",
)

# %% [markdown]
# Why the origin? With a single sample, μ is the sample itself, so $\hat x = 0$: the query is erased, and what comes out is β. (Behind a convolution the pixels of one image make a batch of their own, and the
# erasure is not complete, but the dependence remains.) Hence the rule, which is a test in this package: alone or in a batch of 64, inference gives the same embedding.

# %%
alone = {mode: embed(query, mode) for mode in ("train", "inference")}
batch = np.concatenate([query, crowd[1:64]])
moved = {
    mode: float(np.abs(embed(batch, mode)[:1] - alone[mode]).max()) for mode in alone
}
for mode, distance in moved.items():
    print(f"{mode:10} the query moves by {distance:.1e} when 63 others come")
assert not alone["train"].any() and moved["inference"] < 1e-12 < moved["train"]

# %% [markdown]
# Where do the running averages come from? From the train mode, which hands its μ and σ² out in its cache; the training loop mixes them in, $\text{average} \leftarrow 0.9\,\text{average} + 0.1\,\text{batch}$. They are *buffers*: saved with
# the network, never trained. A layer that never does this keeps 0 and 1, which is how the released code came to run frozen.

# %%
figure, axes = plt.subplots(figsize=(6.4, 2.3))
draws = np.random.default_rng(3).choice(hidden[:, 0], (80, 32))
axes.plot(draws.mean(axis=1), color="grey", lw=0.8, label="each batch of 32")
for momentum in (0.5, 0.9, 0.98):  # change me
    average, course = 0.0, []
    for values in draws:
        average = momentum * average + (1 - momentum) * values.mean()
        course.append(average)
    axes.plot(course, label=f"running, {momentum}")
axes.axhline(running[0][0], color="black", lw=0.6)
axes.set(xlabel="training step", ylabel="mean of one channel")
axes.legend(ncols=4, loc="lower right", fontsize=8)
show(
    figure,
    "Little momentum follows every batch, much momentum is late. The thin line is the "
    "mean of all samples.",
)

# %% [markdown]
# ## A bias that cannot learn
#
# A layer adds a bias; a norm behind it takes the mean away. So the bias changes nothing, and its gradient must be zero. Which order of operations kills it? Three are compared: the norm directly behind the layer, a leaky
# ReLU between them (as in CMIR-NET, both in the paper's order and in the code's), and the frozen norm.

# %%
from cmir_ref.ops.linear import linear_backward
from cmir_ref.ops.relu import leaky_relu_backward


def bias_gradient(mode, kink):
    weights, bias = (
        np.random.default_rng(8).normal(size=(3, 4)),
        np.random.default_rng(9).normal(size=4),
    )
    u, first = linear(x, weights, bias)
    a, second = leaky_relu(u, 0.01) if kink else (u, None)
    y, third = batch_norm(a, np.ones(4), np.zeros(4), mode=mode)
    da, _, _ = batch_norm_backward(np.random.default_rng(7).normal(size=y.shape), third)
    return linear_backward(leaky_relu_backward(da, second) if kink else da, first)[2]


cases = {
    "norm (train)": ("train", False),
    "leaky ReLU, norm (train)": ("train", True),
    "norm (frozen)": ("frozen", False),
}
largest = {name: np.abs(bias_gradient(*case)).max() for name, case in cases.items()}
for name, value in largest.items():
    print(f"linear, {name:26} largest |db| {value:.1e}")
assert largest["norm (train)"] < 1e-14 < largest["leaky ReLU, norm (train)"]

# %% [markdown]
# The kink saves it: a leaky ReLU bends the distribution, and where it bends is the bias's choice.
#
# ## A norm that turns the order round
#
# Lesson 04 put the pool before a leaky ReLU. Before a norm too? Each channel is $\gamma\hat x+\beta$: for $\gamma>0$ the largest value stays the largest, for $\gamma<0$ the *smallest* becomes the largest.
# So pool $\sigma u$ with $\sigma=\operatorname{sign}\gamma$, and give the sign back. This is how `ops/fused` runs the released order, conv → leaky ReLU → norm → pool, without full-size maps.

# %%
from cmir_ref.ops.fused import conv_act_norm_pool
from cmir_ref.ops.max_pool import max_pool

pixels, kernel, bias = (
    rng.normal(size=(2, 8, 8, 3)),
    rng.normal(size=(3, 3, 3, 5)),
    rng.normal(size=5),
)
g, shift = np.array([1.0, -0.5, 2.0, -1.5, 0.3]), rng.normal(size=5)
u = conv(pixels, kernel, bias)[0]
a = leaky_relu(u, 0.01)[0]
last = max_pool(batch_norm(a, g, shift)[0], 4)[0]
sign = np.sign(g)
pooled = leaky_relu(sign * max_pool(sign * u, 4)[0], 0.01)[0]
first = batch_norm(
    pooled, g, shift, a.mean(axis=(0, 1, 2)), a.var(axis=(0, 1, 2)), mode="inference"
)[0]
fused = conv_act_norm_pool(pixels, kernel, bias, g, shift, factor=4)[0]
print(f"pool first against pool last: {np.abs(first - last).max():.0e}")
print(
    f"conv_act_norm_pool against the four operations: {np.abs(fused - last).max():.0e}"
)
assert np.allclose(first, last, rtol=1e-12) and np.allclose(fused, last, rtol=1e-10)

# %% [markdown]
# ## Dropout: a second thing that is on only in training
#
# Before its classifier CMIR-NET drops half of the features at random, so that no class can hang on a single one. Kept features are divided by $1 - \text{rate}$, so that their mean over all masks stays what it was and inference
# needs no change: $y = x\odot m/(1-\text{rate})$. Its Jacobian is diagonal, so $\dot x = \dot y\odot m/(1-\text{rate})$.
#
# In this package the mask is an **argument**. A function that draws its own mask has another value at every call, so it has no derivative one could measure, the way back would have to find out what was drawn, and a run that
# resumes would not go on as it would have.

# %%
from cmir_ref.ops.dropout import dropout, dropout_backward

z = rng.uniform(0.5, 1.5, size=(4, 5))
for rate in (0.2, 0.5, 0.8):
    masks = np.random.default_rng(2).random((20000, *z.shape)) >= rate
    many = dropout(np.broadcast_to(z, masks.shape), masks, rate)[0]
    print(
        f"rate {rate}: mean over masks / x = {(many.mean(axis=0) / z).mean():.3f},  "
        f"spread of one draw / x = {(many.std(axis=0) / z).mean():.2f}"
    )
mask = masks[0]
found = check_gradient(lambda z: dropout(z, mask, 0.5), dropout_backward, [z])
error_of_dropout = max(r.error for r in found if r.method == "complex-step")
print(f"dropout_backward against the complex step: {error_of_dropout:.0e}")
assert error_of_dropout < 1e-14

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_the_chunks=max(errors.values()),
    error_of_batch_norm_in_three_forms=error_of_batch_norm,
    error_of_dropout=error_of_dropout,
    query_moves_in_train=moved["train"],
    query_moves_in_inference=moved["inference"],
    bias_gradient_before_a_norm=largest["norm (train)"],
    bias_gradient_with_a_kink_between=largest["leaky ReLU, norm (train)"],
)

# %% [markdown]
# ## What you learned
#
# A batch norm in training ties all samples of a batch together, and its gradient loses its mean and its share along x̂. For a search it must run on running averages, or a query's embedding depends on its
# company. The released code ran neither mode, but a scale and a shift that were called batch norm.
#
# ## Next
#
# [06 · Pretraining with soft orthogonality](06_soft_orthogonality.ipynb): the pieces become the first stage of CMIR-NET, and get their loss. In the package: [`ops/batch_norm.py`](../cmir_ref/ops/batch_norm.py),
# [`ops/dropout.py`](../cmir_ref/ops/dropout.py), [`ops/fused/conv_act_norm_pool.py`](../cmir_ref/ops/fused/conv_act_norm_pool.py).
