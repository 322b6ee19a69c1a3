# ---
# jupyter:
#   lesson:
#     question: How does a picture say which of its own places matter, and how does one see where a network looks?
#     minutes: 40
#     needs: ["04", "16"]
#     derives: [ops.upsample, ops.global_mean, ops.strided_conv, ops.prelu]
# ---

# %% [markdown]
# # 22 · Where it looks
#
# **How does a picture say which of its own places matter, and how does one see where a network looks?**
#
# An image network makes maps: fine ones that see edges, coarse ones that see things. AMFMN (lesson 16) reads several of them at once, and makes a mask from them that weighs the image's own vector. The talk of 2021 (lesson 17) weighs a photo's features by a gate, and shows pictures, called Grad-CAM, of where the evidence for a class lies. All of it is one rule,
# that of a product of two computed numbers (lesson 14), and four small operations that no lesson had yet: maps made larger, a stride, a slope that is learned, a mean over all pixels.

# %% tags=["folded"]
import os

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.data import read_image, samples_dir
from cmir_ref.data.locate import find_file
from cmir_ref.ops.conv import conv
from cmir_ref.ops.max_pool import max_pool
from cmir_ref.ops.upsample import upsample
from cmir_ref.reports.lesson import begin, numbers, pictures, show

begin()
images = find_file(os.environ.get("CMIR_DATA") or samples_dir(), "Images")


def tile_of(kind, number):
    """A grey tile (64, 64) in [0, 1]: real where CMIR_DATA has UC Merced, else simulated."""
    path = images / kind / f"{kind}{number:02}.tif"
    return read_image(path, 64, bands=1)[..., 0] / 255


tile = tile_of("storagetanks", 0)
across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4.0
kernels = np.stack([across, across.T, -across, -across.T], axis=2)[:, :, None]
edges = np.maximum(conv(tile[None, :, :, None], kernels, np.zeros(4))[0], 0)
edges[:, [0, -1]] = edges[:, :, [0, -1]] = 0  # the edge that the padding makes
maps = [max_pool(edges, factor)[0] for factor in (2, 4, 8, 16)]  # 32, 16, 8, 4 pixels
seen = [m[0].max(axis=2) / maps[0].max() for m in maps]
TITLES = "a tile", "32 pixels", "16", "8", "4", "4, by copies", "4, by mixing"
larger = [
    upsample(maps[3], 16, kind)[0][0].max(axis=2) / maps[0].max()
    for kind in ("nearest", "bilinear")
]
show(
    pictures([[tile, *seen, *larger]], [TITLES], side=1.25),
    "A tile, the strength of its edges in maps of four sizes, and the coarsest map made "
    "as large as the tile in two ways.",
)

# %% [markdown]
# ## Maps of several scales (eq. 5 – 9)
#
# Maps of different sizes cannot be laid on top of each other. AMFMN brings them to one size (its equations 5 – 9): the fine ones become one *low* map, the coarse ones one *high* map, and the mean over all pixels of the coarsest gives the vector $v$ of the whole image:
#
# $$\text{low} = \text{Cat}(v_1, {\uparrow}v_2, \dots),\qquad \text{high} = \text{Cat}(v_l, {\uparrow}v_{l+1}, \dots),\qquad v = \text{mean}(v_L)\,w + b .$$
#
# Cat lays channels side by side; on the way back each map gets its own channels of the gradient. (The paper has five maps, three of them low; its program the four stages of a residual network, two of them low.)
#
# **Larger by repetition.** The nearest pixel: each number is copied to a square of $f\times f$ pixels. Lesson 20 has the rule: *copied there is summed back*. So a pixel hears the sum over its square.
#
# **The mean over all pixels**, $\bar x_{nc} = \frac1{HW}\sum_{pq}x_{npqc}$, is a sum: *summed there is copied back*. Every pixel hears $\dot{\bar x}_{nc}/(HW)$, wherever it is.

# %%
from cmir_ref.gradcheck import complex_step, relative_error

rng = np.random.default_rng(22)


def repeat(x, f):
    return x.repeat(f, axis=1).repeat(f, axis=2)


def repeat_back(dy, f):
    n, height, width, c = dy.shape
    return dy.reshape(n, height // f, f, width // f, f, c).sum(axis=(2, 4))


x, dy = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 6, 9, 4))
dmean = rng.normal(size=(2, 4))
pairs = {
    "repetition": (lambda a: (repeat(a[0], 3) * dy).sum(), repeat_back(dy, 3)),
    "mean": (
        lambda a: (a[0].mean(axis=(1, 2)) * dmean).sum(),
        np.broadcast_to(dmean[:, None, None] / 6, x.shape),
    ),
}
errors_of_maps = {}
for name, (f, ours) in pairs.items():
    errors_of_maps[name] = relative_error(ours, complex_step(f, [x], 0))[0]
    print(f"{name:10} off by {errors_of_maps[name]:.0e}")
assert max(errors_of_maps.values()) < 1e-13
assert np.array_equal(upsample(x, 3)[0], repeat(x, 3))

# %% [markdown]
# **Larger by mixing.** Bilinear: each new pixel is a mean of its neighbours, weighted by how near they are. That is linear, so it has a matrix $M$ with a row for each new pixel and a column for each old one, and for a map $Y = M_H\,X\,M_W^\top$, first along columns, then along rows. The way back through a matrix is its transpose (lesson 04): $\dot X = M_H^\top\,\dot Y\,M_W$. Repetition is a matrix, too, with a single 1 in each row. Look at both.

# %%
from cmir_ref.ops.upsample import interpolation, upsample_backward

matrices = {k: interpolation(4, 3, k, x) for k in ("nearest", "bilinear")}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(6.6, 3.4))
for axes, (kind, matrix) in zip(panels, matrices.items(), strict=True):
    axes.imshow(matrix, vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(matrix):
        shade = "white" if value < 0.5 else "black"
        text = f"{value:.2f}".rstrip("0").rstrip(".")
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=shade)
    axes.set(xlabel="old pixel", ylabel="new pixel", title=kind, xticks=range(4))
show(
    figure,
    "The matrix that makes a line of 4 pixels three times as long. A row: of which old "
    "pixels the new one is made. A column: whom the old pixel has to listen to.",
)

# %%
for kind, matrix in matrices.items():
    print(f"{kind:8} rows sum to {matrix.sum(axis=1)}, columns to {matrix.sum(axis=0)}")
    assert np.allclose(matrix.sum(axis=1), 1) and np.allclose(matrix.sum(axis=0), 3)
    y, cache = upsample(x, 3, kind)
    ours = upsample_backward(dy, cache)
    f = lambda a, kind=kind: (upsample(a[0], 3, kind)[0] * dy).sum()
    errors_of_maps[kind] = relative_error(ours, complex_step(f, [x], 0))[0]
    both = (y * dy).sum() - (x * ours).sum()
    print(
        f"   backward off by {errors_of_maps[kind]:.0e}; ⟨Mx, u⟩ − ⟨x, Mᵀu⟩ = {both:.0e}"
    )
assert max(errors_of_maps.values()) < 1e-13

# %% [markdown]
# Rows sum to 1: a flat map stays flat. Columns sum to $f$, along each axis: every old pixel hears as much as every other one. And the whole of equations 5 – 9: the coarsest map has **two users**, the high map and the vector $v$, and what they say is added.

# %%
from cmir_ref.amfmn.eq5_features import Features, features, features_backward

sizes = (8, 3), (4, 2), (2, 4), (1, 5)  # pixels along a side, channels
small = [rng.normal(size=(2, side, side, c)) for side, c in sizes]
w, b = rng.normal(size=(5, 6)), rng.normal(size=6)
read = lambda a: features(tuple(a[:4]), a[4], a[5], low=2, side=2)
out, cache = read([*small, w, b])
up = Features(*(rng.normal(size=part.shape) for part in out))
loss = lambda a: sum((p * u).sum() for p, u in zip(read(a)[0], up, strict=True))
back, dw, db = features_backward(up, cache)
error_of_features = max(
    relative_error(ours, complex_step(loss, [*small, w, b], i))[0]
    for i, ours in enumerate([*back, dw, db])
)
by_high = repeat_back(up.high[..., 4:], 2)  # its channels of the high map, made smaller
by_v = (up.v @ w.T)[:, None, None]  # its one pixel is the mean
print("low", out.low.shape, " high", out.high.shape, " v", out.v.shape)
print(f"eq. 5 – 9, six inputs: off by {error_of_features:.0e}")
lost = np.abs(by_v).max() / np.abs(back[3]).max()
print(f"the coarsest map without what v says: {lost:.0%} off")
assert error_of_features < 1e-13 and lost > 0.1
assert np.allclose(back[3], by_high + by_v, rtol=1e-13)

# %% [markdown]
# ## What a stride leaves out
#
# A convolution with *stride* $s$ puts its window at every $s$-th pixel only, and its answer is $s$ times smaller along each side. In lesson 04's sum over taps nothing changes but where a tap reads:
#
# $$y_{pq} = \sum_{ij} x_{sp+i,\;sq+j}\;w_{ij} .$$
#
# Each tap fetches every $s$-th pixel, in NumPy the slice `[:, i::s, j::s]`, cut to the size of $y$. *Fetched there is added back*: on the way back the same slice of `dx` gets `dy @ w[i, j].T` added. Beside the line for the pixels there is that for the tap: $\dot w_{ij} = \sum x_{sp+i,sq+j}\,\dot y_{pq}$, and where a bias is added, $\dot b=\sum\dot y$.


# %%
def slices(x, i, j, s, size):
    """The pixels that tap (i, j) reads, a view: what is added to it is added to x."""
    return x[:, i : i + s * size[0] : s, j : j + s * size[1] : s]


def strided(x, w, s):
    k = w.shape[0]
    size = [(side - k) // s + 1 for side in x.shape[1:3]]
    return sum(slices(x, i, j, s, size) @ w[i, j] for i, j in np.ndindex(k, k))


def strided_back(dy, x, w, s):
    dx, dw, size = np.zeros_like(x), np.zeros_like(w), dy.shape[1:3]
    for i, j in np.ndindex(w.shape[:2]):
        pixels = slices(dx, i, j, s, size)
        pixels += dy @ w[i, j].T
        dw[i, j] = np.einsum("npqc,npqd->cd", slices(x, i, j, s, size), dy)
    return dx, dw


from cmir_ref.ops.strided_conv import strided_conv, strided_conv_backward

x, w = rng.normal(size=(2, 9, 7, 2)), rng.normal(size=(3, 3, 2, 4))
error_of_stride = 0.0
for s in (1, 2, 4):
    y = strided(x, w, s)
    up = rng.normal(size=y.shape)
    ours = strided_back(up, x, w, s)
    f = lambda a, s=s, up=up: (strided(*a, s) * up).sum()
    off = max(
        relative_error(d, complex_step(f, [x, w], i))[0] for i, d in enumerate(ours)
    )
    error_of_stride = max(error_of_stride, off)
    theirs, cache = strided_conv(x, w, stride=s)
    assert np.allclose(theirs, y, rtol=1e-12)
    for a, c in zip(strided_conv_backward(up, cache), ours, strict=True):
        assert np.allclose(a, c, rtol=1e-12)
    print(f"stride {s}: {x.shape[1:3]} → {y.shape[1:3]} pixels, off by {off:.0e}")
assert error_of_stride < 1e-12

# %% [markdown]
# If the stride is larger than the kernel, the windows leave gaps, and a pixel in a gap is read by nobody: its gradient is 0. In AMFMN's released program the low map goes through exactly such a layer, 3 × 3 with stride 4 and no padding, from 64 × 64 pixels to 16 × 16. How many of its pixels are never read?

# %%
reads = {
    s: strided_conv_backward(
        np.ones((1, (64 - 3) // s + 1, (64 - 3) // s + 1, 1)),
        strided_conv(np.zeros((1, 64, 64, 1)), np.ones((3, 3, 1, 1)), stride=s)[1],
    )[0][0, :, :, 0]
    for s in (1, 2, 4)
}
unread = (reads[4] == 0).mean()

# %% tags=["folded"]
figure, panels = plt.subplots(1, 3, figsize=(6.6, 2.5))
for axes, (s, times) in zip(panels, reads.items(), strict=True):
    axes.imshow(times[:8, :8], vmin=0, vmax=9)
    for (i, j), value in np.ndenumerate(times[:8, :8]):
        shade = "white" if value < 5 else "black"
        axes.text(
            j, i, f"{value:.0f}", ha="center", va="center", fontsize=6, color=shade
        )
    axes.set_title(f"stride {s}")
    axes.axis("off")
show(
    figure,
    "How often a 3 × 3 kernel reads each pixel, in the upper left corner of 64 × 64: up to "
    "nine times, up to four times, once or never.",
)

# %%
print(f"stride 4: {unread:.1%} of the 64 × 64 pixels are read by no window")
assert unread == 7 / 16

# %% [markdown]
# Seven pixels of sixteen. What they show is not lost altogether, since each pixel of a map has seen its neighbours in the layers before. But of the numbers of the map the layer reads nine sixteenths.
#
# ## A slope that is learned
#
# Lesson 02's leaky ReLU multiplies what is negative by a small fixed slope. The *PReLU* (He et al., 2015) learns that slope, one number $a_c$ for each channel:
#
# $$y = \begin{cases} x & x>0\\ a_c\,x & \text{else}\end{cases}\qquad \dot x = \begin{cases}\dot y & x>0\\ a_c\,\dot y & \text{else}\end{cases}\qquad \dot a_c = \sum_{x\le 0} \dot y\,x .$$
#
# The third line is new, and both of its halves are known. Where $x\le0$, $y$ is a product, so the slope gets the upstream times the other factor; elsewhere $y$ does not use it. And one slope was copied to all pixels of all samples, so the gradients are summed over them. **The slope hears only from what is negative.** At $x=0$ the package takes the slope's side; a slope of 1 makes a straight line, and 0 a ReLU.

# %%
from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.prelu import prelu, prelu_backward

x, slope = rng.normal(size=(2, 4, 5, 3)), np.array([0.25, -0.5, 1.0])
dy = rng.normal(size=x.shape)
curve = lambda a: (np.where(a[0].real > 0, a[0], a[1] * a[0]) * dy).sum()
dx = np.where(x > 0, dy, slope * dy)
dslope = np.where(x > 0, 0, dy * x).sum(axis=(0, 1, 2))
error_of_prelu = max(
    relative_error(ours, complex_step(curve, [x, slope], i))[0]
    for i, ours in enumerate((dx, dslope))
)
theirs = prelu_backward(dy, prelu(x, slope)[1])
print(f"PReLU by hand: off by {error_of_prelu:.0e}")
quiet = prelu_backward(dy, prelu(np.abs(x), slope)[1])[1]
print("gradient of the slopes where nothing is negative:", quiet)
assert error_of_prelu < 1e-13 and not quiet.any()
assert all(
    np.allclose(a, c, rtol=1e-13) for a, c in zip(theirs, (dx, dslope), strict=True)
)

# %% [markdown]
# ## A mask that a picture makes for itself (eq. 14 – 19)
#
# Now the pieces are there for AMFMN's *multi-scale visual self-attention*, MVSA, its equations 14 – 19. From low and high a mask $\mu$ is made, $D$ numbers between 0 and 1, and it weighs the $D$ numbers of $v$:
#
# | what | there | back |
# |---|---|---|
# | the answer | $F = v\odot\mu$ | $\dot v=\dot F\odot\mu$, $\dot\mu=\dot F\odot v$ |
# | the mask | $\mu=\sigma(t)$, $t = \text{vec}(p)\,W_m+b_m$ | $\dot t=\dot\mu\,\mu(1-\mu)$, $\dot p=\dot tW_m^\top$ as a map |
# | one number a place | $p = u\odot g$ | $\dot u=\dot p\odot g$, $\dot g=\dot p\odot u$ |
# | value and gate | $u=\hat m\,w_u+b_u$, $g=\sigma(s)$, $s=\hat m\,w_g+b_g$ | $\dot s = \dot g\,g(1-g)$, $\dot{\hat m}=\dot u\,w_u^\top+\dot s\,w_g^\top$ |
# | length 1 at each place | $\hat m=m/\lVert m\rVert$ | $\dot m=(\dot{\hat m}-\hat m\langle\hat m,\dot{\hat m}\rangle)/\lVert m\rVert$ (lesson 16) |
# | both scales together | $m=\text{Cat}(f,c)+r$ | $\dot f,\dot c$: their channels of $\dot m$; $\dot r$: the sum over all channels |
# | brightness | $r$ = mean of high over its channels | $\dot{\text{high}}\mathrel{+}=\dot r/C$ |
# | from fine and coarse | $f=\varphi(\text{conv}_{3\times3}(\text{low}))$, $c=\varphi(\text{conv}_{1\times1}(\text{high}))$, $\varphi$ a PReLU | the two sections above; $\dot{\text{high}}\mathrel{+}=$ that of the convolution |
#
# The stride of the 3 × 3 kernel is chosen so that low becomes as small as high. Three times something has two users: $\hat m$ (value and gate), high (the convolution and the mean), and, outside of it, the coarsest map. This is the paper's reading, in which the package takes the length over the channels of a place; the released program has no PReLU, no length 1, and takes $r$ from $c$ (the settings `map_activation`, `unit_maps`, `residual`). As in lesson 15 a `nudge` at each step lets every line of the table be measured.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mvsa(w, low, high, v, nudge=None):
    """F, and every intermediate result by its name; w holds the weights by name."""
    c = {}

    def keep(name, value):
        c[name] = value + (nudge or {}).get(name, 0)
        return c[name]

    bend = lambda x, a: np.where(x.real > 0, x, a * x)
    stride = low.shape[1] // high.shape[1]
    fine = keep("fine", strided(low, w["low.w"], stride) + w["low.b"])
    coarse = keep("coarse", high @ w["high.w"][0, 0] + w["high.b"])
    f = keep("f", bend(fine, w["low.slope"]))
    k = keep("c", bend(coarse, w["high.slope"]))
    r = keep("r", high.mean(axis=3, keepdims=True))
    m = keep("m", np.concatenate([f, k], axis=3) + r)
    m_hat = keep("m^", m / np.sqrt((m * m).sum(axis=3, keepdims=True)))
    u = keep("u", m_hat @ w["value.w"] + w["value.b"])
    g = keep("g", sigmoid(keep("s", m_hat @ w["gate.w"] + w["gate.b"])))
    p = keep("p", u * g)
    t = keep("t", p.reshape(len(v), -1) @ w["mask.w"] + w["mask.b"])
    mu = keep("mu", sigmoid(t))
    return keep("F", v * mu), c


def mvsa_back(df, w, low, high, v, c):
    """The table from top to bottom: gradients of every step, weight and input."""
    d = {"v": df * c["mu"], "mu": df * v}
    d["t"] = d["mu"] * c["mu"] * (1 - c["mu"])
    d["mask.w"] = c["p"].reshape(len(v), -1).T @ d["t"]
    d["mask.b"] = d["t"].sum(axis=0)
    d["p"] = (d["t"] @ w["mask.w"].T).reshape(c["p"].shape)
    d["u"], d["g"] = d["p"] * c["g"], d["p"] * c["u"]
    d["s"] = d["g"] * c["g"] * (1 - c["g"])
    rows = c["m^"].reshape(-1, c["m^"].shape[3])
    for name, at in (("value", "u"), ("gate", "s")):
        d[f"{name}.w"] = rows.T @ d[at].reshape(-1, 1)
        d[f"{name}.b"] = d[at].sum(axis=(0, 1, 2))
    d["m^"] = d["u"] @ w["value.w"].T + d["s"] @ w["gate.w"].T
    along = (c["m^"] * d["m^"]).sum(axis=3, keepdims=True)
    length = np.sqrt((c["m"] * c["m"]).sum(axis=3, keepdims=True))
    d["m"] = (d["m^"] - c["m^"] * along) / length
    d["f"], d["c"] = np.split(d["m"], 2, axis=3)
    d["r"] = d["m"].sum(axis=3, keepdims=True)
    for name, after, before in (("low", "f", "fine"), ("high", "c", "coarse")):
        flat = c[before] <= 0
        d[before] = np.where(flat, w[f"{name}.slope"] * d[after], d[after])
        d[f"{name}.slope"] = (flat * d[after] * c[before]).sum(axis=(0, 1, 2))
        d[f"{name}.b"] = d[before].sum(axis=(0, 1, 2))
    stride = low.shape[1] // high.shape[1]
    d["low"], d["low.w"] = strided_back(d["fine"], low, w["low.w"], stride)
    by_conv, d["high.w"] = strided_back(d["coarse"], high, w["high.w"], 1)
    d["high"] = by_conv + d["r"] / high.shape[3]
    return d


# %%
from cmir_ref.amfmn.eq14_visual_attention import (
    visual_attention,
    visual_attention_backward,
)

E, D = 2, 5  # channels of each convolved map, numbers of v
shapes = {"low.w": (3, 3, 3, E), "low.b": (E,), "low.slope": (E,)}
shapes |= {"high.w": (1, 1, 4, E), "high.b": (E,), "high.slope": (E,)}
shapes |= {"value.w": (2 * E, 1), "value.b": (1,), "gate.w": (2 * E, 1), "gate.b": (1,)}
shapes |= {"mask.w": (4, D), "mask.b": (D,)}
w = {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}
given = {"low": (2, 8, 8, 3), "high": (2, 2, 2, 4), "v": (2, D)}
given = {name: rng.normal(size=shape) for name, shape in given.items()}
answer, c = mvsa(w, **given)
df = rng.normal(size=answer.shape)
d = mvsa_back(df, w, **given, c=c)
errors = {}
for name, ours in d.items():
    if name in w:
        f = lambda a, name=name: (mvsa(w | {name: a[0]}, **given)[0] * df).sum()
        measured = complex_step(f, [w[name]], 0)
    elif name in given:
        f = lambda a, name=name: (mvsa(w, **given | {name: a[0]})[0] * df).sum()
        measured = complex_step(f, [given[name]], 0)
    else:
        f = lambda a, name=name: (mvsa(w, **given, nudge={name: a[0]})[0] * df).sum()
        measured = complex_step(f, [0 * ours], 0)
    errors[name] = relative_error(ours, measured)[0]
steps = [name for name in errors if name not in w and name not in given]
for what, names in ("steps", steps), ("weights", w), ("inputs", given):
    print(f"{what:8}", ", ".join(f"{name} {errors[name]:.0e}" for name in names))
assert max(errors.values()) < 1e-12

theirs, cache = visual_attention(w, **given)
grads, (dlow, dhigh, dv) = visual_attention_backward(df, cache)
assert np.allclose(theirs, answer, rtol=1e-12)
everything = grads | {"low": dlow, "high": dhigh, "v": dv}
assert all(np.allclose(d[name], g, rtol=1e-10) for name, g in everything.items())
without_mean = relative_error(d["high"] - d["r"] / 4, d["high"])[0]
print(
    f"the package says the same; high without the path through r: {without_mean:.0%} off"
)
assert without_mean > 0.05

# %% [markdown]
# Here are the same steps on the tile at the top, whose maps of 32 and 16 pixels make low, and those of 8 and 4 high.

# %% tags=["folded"]
cat = lambda fine, coarse: np.concatenate([fine, upsample(coarse, 2)[0]], axis=3)
drawing = np.random.default_rng(3)
shapes = {"low.w": (3, 3, 8, 3), "high.w": (1, 1, 8, 3), "value.w": (6, 1)}
shapes |= {"gate.w": (6, 1), "mask.w": (64, D)}
of_tile = {name: drawing.normal(size=shape) for name, shape in shapes.items()}
of_tile |= {f"{name}.b": np.zeros(3) for name in ("low", "high")}
of_tile |= {f"{name}.slope": np.full(3, 0.25) for name in ("low", "high")}
of_tile |= {"value.b": np.zeros(1), "gate.b": np.zeros(1), "mask.b": np.zeros(D)}
low, high = cat(*maps[:2]), cat(*maps[2:])
steps_of_tile = visual_attention(of_tile, low, high, np.ones((1, D)))[1]
value, gate = steps_of_tile.value[0, :, :, 0], steps_of_tile.gate[0, :, :, 0]
from_0_to_1 = lambda a: (a - a.min()) / (a.max() - a.min())
panels = [tile, *(from_0_to_1(a[0].mean(axis=2)) for a in (low, high))]
panels += [from_0_to_1(a) for a in (value, gate, value * gate)]
show(
    pictures(
        [panels],
        [("the tile", "low", "high", "value u", "gate g", "p = u ⊙ g")],
        side=1.4,
    ),
    "From two maps to one number a place. The weights are drawn at random: what is "
    "computed, not what a training would make of it. Each picture from its least to its "
    "largest value.",
)

# %% [markdown]
# What does such a mask look at? Two experiments, with weights that were drawn and not learned: they are about the formula.
#
# **Where.** Move the whole picture by one pixel of its high map, what leaves on one side coming in on the other. The mean over all pixels does not notice. The mask does: $p$ has a number for each place, and $W_m$ a row for each. So MVSA brings back the *where* that the mean has thrown away; and a picture that is moved gets another mask. $p$ (eq. 18) is therefore what the package draws, as |p|, where a run's report says where MVSA looks.
#
# **Contrast.** Make all maps seven times as large, as those of a picture with more contrast may be. (The biases of the two convolutions are 0, as they are at the start.) A PReLU and a mean grow with them, and so does $m$; $\hat m$ does not. With the length taken out, as the paper has it, the mask stays. The released program leaves that step out, and there the mask follows the contrast.

# %%
w |= {"low.b": np.zeros(E), "high.b": np.zeros(E)}
mask_of = lambda low, high, **reading: (
    visual_attention(w, low, high, given["v"], **reading)[1].mask
)
low, high = given["low"], given["high"]
still = mask_of(low, high)
moved = mask_of(np.roll(low, 4, axis=2), np.roll(high, 1, axis=2))
of_place = np.abs(moved - still).max()
of_mean = np.abs(
    np.roll(high, 1, axis=2).mean(axis=(1, 2)) - high.mean(axis=(1, 2))
).max()
print(f"moved by one place: the mean by {of_mean:.0e}, the mask by {of_place:.2f}")
of_contrast = {}
for name, unit in (("with length 1 (paper)", True), ("without (program)", False)):
    change = mask_of(7 * low, 7 * high, unit=unit) - mask_of(low, high, unit=unit)
    of_contrast[name] = np.abs(change).max()
    print(f"seven times the contrast, {name}: the mask by {of_contrast[name]:.0e}")
assert of_mean < 1e-15 and of_place > 0.01
assert (
    of_contrast["with length 1 (paper)"]
    < 1e-14
    < 0.01
    < of_contrast["without (program)"]
)

# %% [markdown]
# ## A gate that cannot be shut: R1
#
# The gate of the talk (no formula of it is public; the package's *reconstruction* R1, after public code of the same authors) is made from a sketch's features $s$ and weighs the $D$ features $x$ of a photo:
#
# $$a=\sigma(sW+b),\qquad y = x\odot(1+a).$$
#
# The product rule again: $\dot x=\dot y\odot(1+a)$ and $\dot a=\dot y\odot x$, then $\dot u=\dot a\,a(1-a)$ and the three lines of a linear layer. What does the 1 do? It is a *residual*: $x$ is used twice, once as it is and once through the gate, and the two gradients are added. A plain gate $y=x\odot a$ that is shut hands back nothing (lesson 14). This one hands back **at least $\dot y$ and at most twice as much**, whatever the sketch says. The gate's own gradient is the same in both.

# %%
from cmir_ref.attention.gate import (
    channel_gate,
    channel_gate_backward,
    spatial_mask,
    spatial_mask_backward,
)

print("   u     plain: there, back    residual: there, back    the gate hears")
factors = {}
for logit in (-10.0, 0.0, 10.0):
    one, u = np.ones((1, 1)), np.full((1, 1), logit)
    row = []
    for residual in (False, True):
        y, cache = channel_gate(one, one, u, np.zeros(1), residual=residual)
        dx, _, _, du = channel_gate_backward(one, cache)
        row += [y.item(), dx.item(), du.item()]
    factors[logit] = row
    print(
        f"{logit:5.0f} {row[0]:12.5f} {row[1]:8.5f} {row[3]:14.5f} {row[4]:8.5f} {row[5]:17.5f}"
    )
    assert row[2] == row[5] and 1 <= row[4] <= 2
assert factors[-10.0][1] < 1e-4 < 1 <= factors[-10.0][4]

arrays = [rng.normal(size=shape) for shape in ((3, 4), (3, 5), (5, 4), (4,))]
error_of_gate = max(
    r.error
    for residual in (True, False)
    for r in check_gradient(
        lambda *a, residual=residual: channel_gate(*a, residual=residual),
        channel_gate_backward,
        arrays,
    )
    if r.method == "complex-step"
)
print(f"R1 against the complex step: {error_of_gate:.0e}")
assert error_of_gate < 1e-12

# %% [markdown]
# The other side of it: who cannot be shut cannot leave anything out. One feature can be raised to twice another at most. And a search that keeps one vector a photo takes the *mean* gate $\bar a$ over many sketches. Then the gate says nothing that the next layer could not have said without it: with the first matrix $E$ of the encoder behind,
#
# $$\big(x\odot(1+\bar a)\big)E = x\,\big(\text{diag}(1+\bar a)\,E\big).$$
#
# It is CMIR-NET with other weights. What R1 was worth in measured runs stands in [docs/attended.md](../docs/attended.md).
#
# The same gate for **places** in place of features is the package's R3: a mask $m_p$, one number for each place, copied to all $C$ channels there. *Copied there is summed back:* $\dot m_p=\sum_c\dot y_{pc}\,x_{pc}$.

# %%
x, s, w_gate, b_gate = arrays
gate = channel_gate(x, s, w_gate, b_gate)[1].a.mean(axis=0)
encoder = rng.normal(size=(4, 3))
gated = (
    channel_gate(x, np.zeros((3, 5)), w_gate, np.log(gate / (1 - gate)))[0] @ encoder
)
absorbed = np.abs(gated - x @ ((1 + gate)[:, None] * encoder)).max()
places = [rng.normal(size=shape) for shape in ((2, 6, 4), (2, 6, 3), (3, 1), (1,))]
found = check_gradient(spatial_mask, spatial_mask_backward, places)
error_of_places = max(r.error for r in found if r.method == "complex-step")
print(f"the mean gate, against other weights behind it: {absorbed:.0e}")
print(f"R3 against the complex step: {error_of_places:.0e}")
assert absorbed < 1e-14 and error_of_places < 1e-12

# %% [markdown]
# ## Grad-CAM: the product rule as a picture
#
# A network says "plane". Because of what in the picture? Let the last map be $x_{pc}$ ($M$ places of $C$ channels), and the score of a class the simplest there is, a linear layer behind the mean over all places:
#
# $$u = b+\sum_c w_c\,\frac1M\sum_p x_{pc},\qquad\text{so}\qquad \frac{\partial u}{\partial x_{pc}}=\frac{w_c}M .$$
#
# Multiply each number of the map by its gradient and add over the channels: one number $L_p=\sum_c\frac{w_c}{M}\,x_{pc}$ for each place. Nothing is left over: $\sum_pL_p = u-b$. **The score is shared out to the places.** *Grad-CAM* (Selvaraju et al., 2017) is this for any network behind the map: the weight of channel $c$ is the mean of its gradient over the places, and only evidence *for* the class is kept,
#
# $$\alpha_c=\frac1M\sum_p\frac{\partial u}{\partial x_{pc}},\qquad L_p=\Big[\sum_c\alpha_c\,x_{pc}\Big]_+ ,$$
#
# divided by its largest value. Compare R1: there a channel is weighed by $1+a_c$, and the answer changes; here by $\alpha_c$, and we only look.
#
# A picture of that kind convinces easily. So let us test it where the truth is known. Onto pieces of real or simulated tiles we draw a *tank*, a *plane* (a cross) or a *ship* (a diagonal). The network is of this lesson's pieces: 32 kernels that are patches of the training pictures, with stride 2; a PReLU; the mean over all places; and a linear layer, found by least squares and not by training.

# %%
SIDE, K, KERNELS = 32, 7, 32
GROUNDS = ("agricultural", "beach", "chaparral", "forest", "golfcourse", "river")
row, column = np.mgrid[-4:5, -4:5]
THINGS = {
    "tank": row * row + column * column <= 17,
    "plane": (abs(row) <= 1) | (abs(column) <= 1),
    "ship": abs(row + column) <= 1,
}
NAMES = list(THINGS)


def scene(tiles, kinds, random):
    """A picture (32, 32) with a thing in each half, and the corners of the things."""
    i, j = random.integers(0, 64 - SIDE, 2)
    piece = tiles[random.integers(len(tiles))][i : i + SIDE, j : j + SIDE]
    x, corners = 0.2 + 0.5 * np.rot90(piece, random.integers(4)), []
    for kind, half in zip(kinds, random.permutation(2), strict=False):
        top, left = random.integers(0, SIDE - 8), random.integers(0, SIDE // 2 - 8)
        left += half * SIDE // 2
        x[top : top + 9, left : left + 9][THINGS[NAMES[kind]]] = random.uniform(0.75, 1)
        corners.append((top, left))
    return x, corners


def single(tiles, n, random):
    """n pictures of one thing each (n, 32, 32, 1) about 0, and which thing it is."""
    kinds = random.integers(0, 3, n)
    return np.stack([scene(tiles, [k], random)[0] for k in kinds])[
        ..., None
    ] - 0.5, kinds


def patches(x, random):
    """Kernels (7, 7, 1, 32) of length 1: patches of the pictures that are not flat."""
    found = []
    while len(found) < KERNELS:
        n, i, j = random.integers(0, (len(x), SIDE - K, SIDE - K))
        patch = x[n, i : i + K, j : j + K] - x[n, i : i + K, j : j + K].mean()
        if patch.std() > 0.15:
            found.append(patch / np.sqrt((patch * patch).sum()))
    return np.stack(found, axis=-1)


def last_map(x, kernel):
    """(n, 16, 16, 32): what of each kernel is there, above a threshold of ½."""
    u, _ = strided_conv(x, kernel, stride=2, padding=(2, 3, 2, 3))
    return prelu(u - 0.5, np.full(KERNELS, 0.25))[0]


# %%
from cmir_ref.ops.global_mean import global_mean, global_mean_backward

random = np.random.default_rng(0)
learn, unseen = (
    [tile_of(kind, n) for kind in GROUNDS for n in two] for two in ((0, 1), (2, 3))
)
x, kinds = single(learn, 600, random)
kernel = patches(x, random)
means = global_mean(last_map(x, kernel))[0]
table = np.hstack([means, np.ones((600, 1))])
w_class = np.linalg.lstsq(table, np.eye(3)[kinds], rcond=None)[0]
w_class, b_class = w_class[:-1], w_class[-1]
x, kinds = single(unseen, 300, random)
m = last_map(x, kernel)
means, cache = global_mean(m)
scores = means @ w_class + b_class
right = (scores.argmax(axis=1) == kinds).mean()
print(f"unseen pictures named right: {right:.0%} (by chance 33 %)")

dm = global_mean_backward(
    np.eye(3)[kinds] @ w_class.T, cache
)  # of each one's own score
shared_out = (m * dm).sum(axis=(1, 2, 3))
own = scores[np.arange(300), kinds] - b_class[kinds]
print(f"Σ over places of L against u − b: {np.abs(shared_out - own).max():.0e}")
assert right > 0.6 and np.abs(shared_out - own).max() < 1e-12

# %% [markdown]
# Now pictures with **two** things, one in each half, which the network has never seen. It is asked for one of them. Where does the evidence lie?

# %%
from cmir_ref.attention.grad_cam import grad_cam


def gradients(m, kind, weights):
    """Of the score of one class a picture, with respect to the last map m."""
    return global_mean_backward(weights[:, kind].T, global_mean(m)[1])


def cam(m, kind, weights):
    """Grad-CAM (n, 16, 16) of the score of one class a picture."""
    dm = gradients(m, kind, weights)
    rows = m.reshape(len(m), -1, KERNELS), dm.reshape(len(m), -1, KERNELS)
    return grad_cam(*rows).reshape(m.shape[:3])


def heat(m, kind, weights):
    """The same as large as the picture, (n, 32, 32)."""
    return upsample(cam(m, kind, weights)[..., None], 2, "bilinear")[0][..., 0]


two = [(i, j) for i in range(3) for j in range(3) if i != j]
asked, other = np.array(two * 40).T
drawn = [scene(unseen, kinds, random) for kinds in zip(asked, other, strict=True)]
x = np.stack([picture for picture, _ in drawn])[..., None] - 0.5
m = last_map(x, kernel)


def brightest(maps):
    """Shares of pictures whose brightest place lies on the first thing, on the second."""
    places = [np.unravel_index(a.argmax(), a.shape) for a in maps]
    on = lambda p, corner: 0 <= p[0] - corner[0] < 9 and 0 <= p[1] - corner[1] < 9
    hits = [[on(p, c) for c in cs] for p, (_, cs) in zip(places, drawn, strict=True)]
    return np.mean(hits, axis=0)


any_weights = random.normal(size=(10, *w_class.shape))
found = {
    "asked for the first": brightest(heat(m, asked, w_class)),
    "asked for the second": brightest(heat(m, other, w_class)),
    "weights drawn, ten times": np.mean(
        [brightest(heat(m, asked, w)) for w in any_weights], axis=0
    ),
}
print("the brightest place lies …")
for name, (first, second) in found.items():
    print(f"{name:25} on the first {first:4.0%}, on the second {second:4.0%}")

# %% tags=["folded"]
looked = [heat(m[:4], kind[:4], w_class) for kind in (asked, other)]
looked.append(heat(m[:4], asked[:4], any_weights[0]))
figure, panels = plt.subplots(4, 4, figsize=(5.4, 5.4))
for at, column_of in enumerate(panels.T):
    column_of[0].imshow(x[at, :, :, 0] + 0.5, cmap="gray", vmin=0, vmax=1)
    column_of[0].set_title(f"{NAMES[asked[at]]} and {NAMES[other[at]]}", fontsize=8)
    titles = f"{NAMES[asked[at]]}?", f"{NAMES[other[at]]}?", "weights drawn"
    for axes, maps_of, title in zip(column_of[1:], looked, titles, strict=True):
        axes.imshow(x[at, :, :, 0] + 0.5, cmap="gray", vmin=0, vmax=1)
        axes.imshow(maps_of[at], cmap="inferno", vmin=0, vmax=1, alpha=0.6)
        axes.set_title(title, fontsize=8)
for axes in panels.flat:
    axes.axis("off")
show(
    figure,
    "The first four pictures of two things. Below each where the evidence for either of "
    "them lies, and last the same network with a last layer of random numbers.",
)

# %%
assert found["asked for the first"][0] > found["asked for the first"][1] + 0.2
assert found["asked for the second"][1] > found["asked for the second"][0] + 0.2
assert abs(np.diff(found["weights drawn, ten times"]).item()) < 0.2
assert found["weights drawn, ten times"].sum() > 0.6

# %% [markdown]
# The map follows the question: ask for the other thing, and more often than not the brightest place is on that one. The last row is the control that belongs beside every such figure. With random weights the brightest place lies on *a* thing in most pictures, too, perhaps because things have strong edges; only on which one is a matter of luck. A single map of that kind looks just as convincing. What shows that a network knows something is that the map changes with the question.
#
# ## Two traps of such pictures
#
# **There is nearly always a brightest place.** A map divided by its largest value is 1 somewhere, if a single place speaks for the class: also when the class is not in the picture at all. The number before the division knows; the picture hides it.
#
# **The mean over places** is exact only behind a mean over places. CMIR-NET's layer to $Z$ reads each place with weights of its own. Take the smallest such score, "the left half less the right half" of one channel: the gradient is 1 on the left and −1 on the right, its mean is 0, and the picture is black, though every place speaks.

# %%
largest = {}
for name, kind in (("there", asked), ("not there", 3 - asked - other)):
    evidence = (m * gradients(m, kind, w_class)).sum(axis=3).max(axis=(1, 2))
    bright = cam(m, kind, w_class).max(axis=(1, 2))
    largest[name] = np.median(evidence)
    print(f"asked for what is {name + ':':10} brightest {bright.max():.0f}, ", end="")
    print(f"before the division {largest[name]:.4f} (median)")
    assert (bright > 0.999).mean() > 0.95
assert largest["not there"] < 0.8 * largest["there"]

halves = np.ones((1, 4, 1))
halves_gradient = np.array([1.0, 1.0, -1.0, -1.0]).reshape(1, 4, 1)
black = grad_cam(halves, halves_gradient)
place_by_place = (halves * halves_gradient).sum(axis=2)
print("left less right: Grad-CAM", black[0], "  place by place", place_by_place[0])
assert not black.any() and np.abs(place_by_place).min() == 1

# %% [markdown]
# For the talk's pictures the package goes back through all that follows the map: layer to $Z$, gate (R1 by its mean is a factor), encoder, classifier. Each is a step of an earlier lesson, and the chain is checked like any other.

# %%
from cmir_ref.attention.grad_cam import class_scores, class_scores_backward
from cmir_ref.cmirnet.latent import Latent, init_latent

arch = Latent(d_v=4, encoder_depth=2, decoder_depth=1)
params = init_latent(arch, (5, 5), 3, np.random.default_rng(1))[0]
params = {name: array.astype(float) for name, array in params.items()}
heads = {"a.1.w": rng.normal(size=(6 * 2, 5)), "a.1.b": rng.normal(size=5)}
gate = rng.uniform(size=5)
of_map = lambda x: class_scores(params, x, 1 + gate, m="a", arch=arch, heads=heads)
checked = check_gradient(of_map, class_scores_backward, [rng.normal(size=(3, 6, 2))])
error_of_chain = max(r.error for r in checked if r.method == "complex-step")
print(f"from the logits to the map, through the gate: off by {error_of_chain:.0e}")
assert error_of_chain < 1e-12

# %% [markdown]
# ## Your turn: a gate that a map makes for itself
#
# A map $x$ (N, M places, C) gates its own channels. Its mean over the places goes through a layer and a sigmoid, and the gate is applied to every place (after *squeeze and excitation*, Hu et al., 2018, here with a single layer and with R1's residual):
#
# $$\bar x=\frac1M\sum_p x_p,\qquad a=\sigma(\bar x\,w+b),\qquad y_p=x_p\odot(1+a).$$
#
# Write the way back for `x`, `w` (C, C) and `b` (C,). Who uses $x$? To how many places was $a$ copied? The blank knows one user of $x$.


# %% tags=["exercise"]
def squeezed_gate(x, w, b):
    mean = x.sum(axis=1) / x.shape[1]
    a = 1 / (1 + np.exp(-(mean @ w + b)))
    return x * (1 + a[:, None]), (x, w, mean, a)


def squeezed_gate_backward(dy, cache):
    x, w, mean, a = cache
    return dy * (1 + a[:, None]), np.zeros_like(w), np.zeros(len(w))  # yours


# %% tags=["solution"]
def squeezed_gate_backward(dy, cache):
    x, w, mean, a = cache
    da = (dy * x).sum(axis=1)  # a was copied to every place
    du = da * a * (1 - a)
    dmean = du @ w.T
    dx = (
        dy * (1 + a[:, None]) + dmean[:, None] / x.shape[1]
    )  # the product, and the mean
    return dx, mean.T @ du, du.sum(axis=0)


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

for samples, many in ((3, 2), (1, 5)):
    random = np.random.default_rng(many)
    given = {"x": (samples, many, 4), "w": (4, 4), "b": (4,)}
    given = {name: random.normal(size=shape) for name, shape in given.items()}
    said = with_hints(
        explain(squeezed_gate, squeezed_gate_backward, given),
        x="who uses x? the product at its own place, and the mean, which has 1/M of it",
        w="the gate hears dy times x, summed over the places to which it was copied; then σ",
        b="the gate hears dy times x, summed over the places to which it was copied; then σ",
    )
    assert not said, f"{samples} maps of {many} places:\n{said}"
print("right, for three maps of two places and for one of five")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_upsampling_and_mean=max(errors_of_maps.values()),
    error_of_the_stride=error_of_stride,
    share_of_pixels_a_3x3_kernel_with_stride_4_never_reads=unread,
    error_of_prelu=error_of_prelu,
    error_of_mvsa_by_hand=max(errors.values()),
    error_of_the_gate=error_of_gate,
    brightest_on_the_thing_asked_for=found["asked for the first"][0],
    brightest_on_the_other_thing=found["asked for the first"][1],
    brightest_on_it_with_random_weights=found["weights drawn, ten times"][0],
)

# %% [markdown]
# ## What you learned
#
# Maps are brought to one size by copies, whose gradients are summed, or by a matrix, whose transpose brings them back; a stride leaves pixels out if it is larger than the kernel, and a learned slope hears only from what is negative. A mask that a picture makes from its maps is a product of two computed numbers, several times; with a residual a gate hands back at least
# what it was given, and can leave nothing out. Grad-CAM is that product read as a picture: exact behind a mean over places, bright somewhere nearly always, and to be believed when it changes with the question.
#
# ## Next
#
# [17 · Attention](17_attention.ipynb), if you have not read it: there places ask places. In the package: [`amfmn/eq5_features.py`](../cmir_ref/amfmn/eq5_features.py), [`amfmn/eq14_visual_attention.py`](../cmir_ref/amfmn/eq14_visual_attention.py), [`attention/gate.py`](../cmir_ref/attention/gate.py),
# [`attention/grad_cam.py`](../cmir_ref/attention/grad_cam.py), [`ops/strided_conv.py`](../cmir_ref/ops/strided_conv.py), [`ops/upsample.py`](../cmir_ref/ops/upsample.py). Train with any of it: `cmir-ref train image-text`, `cmir-ref train photo-sketch`.
