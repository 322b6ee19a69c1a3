# ---
# jupyter:
#   lesson:
#     question: What does a convolution compute, and how does its error find the way back to the pixels?
#     minutes: 40
#     needs: ["02"]
#     derives: [ops.conv, ops.depthwise_conv, ops.max_pool, ops.fused]
# ---

# %% [markdown]
# # 04 · Convolution without magic
#
# **What does a convolution compute, and how does its error find the way back to the pixels?**
#
# A convolution looks at an image through a small window, and asks the same question everywhere. The window's 3 × 3 numbers, the *kernel*, are the
# question; one weighted sum per pixel is the answer. In this lesson it is written three times, each time shorter, until it is the linear layer of
# lesson 02 on rearranged numbers. Then the way back is that lesson's way back, rearranged once more.

# %% tags=["folded"]
import os

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.data import read_image, samples_dir
from cmir_ref.data.locate import find_file
from cmir_ref.reports.lesson import begin, numbers, show

begin()
images = find_file(os.environ.get("CMIR_DATA") or samples_dir(), "Images")
tile = (
    read_image(images / "storagetanks" / "storagetanks00.tif", 64, bands=1)[..., 0]
    / 255
)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def written(axes, matrix, title, form="{:.2f}", size=8, **how):
    """A small matrix with its numbers written in; blank where it is NaN."""
    axes.imshow(matrix, **how)
    for (i, j), value in np.ndenumerate(matrix):
        if not np.isnan(value):
            shade = axes.images[0].cmap(axes.images[0].norm(value))[:3]
            dark = np.dot(shade, (0.299, 0.587, 0.114)) < 0.5
            text = form.format(value).replace("-", "−")
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=size,
                color="white" if dark else "black",
            )
    axes.axis("off")
    axes.set_title(title)


rises = tile[1:-1, 2:] - tile[1:-1, :-2]
p, q = np.add(np.unravel_index(rises.argmax(), rises.shape), 1)  # the steepest place
patch = tile[p - 1 : p + 2, q - 1 : q + 2]
figure, (whole, near, kernel, product) = plt.subplots(1, 4, figsize=(8, 2.3))
whole.imshow(tile, cmap="gray", vmin=0, vmax=1)
whole.plot(q, p, "s", ms=8, mfc="none", mec="#E69F00", mew=2)
whole.axis("off")
whole.set_title("a tile")
written(near, patch, "the patch around one pixel", cmap="gray", vmin=0, vmax=1)
written(kernel, SOBEL, "the kernel", form="{:d}", cmap="PuOr", vmin=-3, vmax=3)
written(
    product,
    patch * SOBEL,
    f"products; sum {np.sum(patch * SOBEL):.2f}",
    cmap="PuOr",
    vmin=-2,
    vmax=2,
)
show(
    figure,
    "One pixel's answer: multiply the patch by the kernel, number by number, and add. "
    "This kernel asks: is it brighter to the right than to the left?",
)

# %% [markdown]
# ## The definition, as loops
#
# Images in this package have the axes $(N, H, W, C)$: samples, height, width, channels (a *channel* is a band of the sensor, or the answer to one
# earlier kernel). A kernel has the axes $(k, k, C, D)$: it reads $C$ channels and gives $D$ answers. With $r = (k-1)/2$, the kernel's reach,
#
# $$y_{npqd} = b_d + \sum_{i,j,c} x_{n,\;p+i-r,\;q+j-r,\;c}\; w_{ijcd} .$$
#
# At the border the window hangs over the edge. There we read zeros, so that $y$ is as high and as wide as $x$: this is called *SAME padding*.
# Below is that sentence as loops, slow, and without anything to doubt. The judge beside it is SciPy's `correlate`.

# %%
from scipy.signal import correlate2d


def conv_loops(x, w, b):
    n, height, width = x.shape[:3]
    k, d = w.shape[0], w.shape[-1]
    y = np.zeros((n, height, width, d)) + b
    for at, p, q in np.ndindex(n, height, width):
        for i, j in np.ndindex(k, k):
            row, column = p + i - k // 2, q + j - k // 2
            if 0 <= row < height and 0 <= column < width:  # beyond the border: zero
                y[at, p, q] += x[at, row, column] @ w[i, j]
    return y


rng = np.random.default_rng(4)
x, w, b = (
    rng.normal(size=(2, 5, 4, 3)),
    rng.normal(size=(3, 3, 3, 2)),
    rng.normal(size=2),
)
y = conv_loops(x, w, b)
judge = (
    sum(correlate2d(x[1, :, :, c], w[:, :, c, 0], mode="same") for c in range(3)) + b[0]
)
print("x", x.shape, " w", w.shape, " b", b.shape, " →  y", y.shape)
print(f"largest difference from SciPy: {np.abs(y[1, :, :, 0] - judge).max():.0e}")
assert np.allclose(y[1, :, :, 0], judge, rtol=1e-13)

# %% [markdown]
# (What mathematicians call a convolution turns the kernel by 180° first; what is written above they call a cross-correlation. Every deep-learning library computes the
# latter and says "convolution". As the kernel is learned, the turn would change nothing.)
#
# ## Rows of patches: im2col
#
# The loops do the same sum at every pixel. So lay each pixel's patch out as **one row of a matrix**, and the kernel as a column: then all sums are one matrix product.
# The rearrangement is called *im2col*, "image to columns". Change `pixel` and run the cell again: where does its row lie, and when does it hold zeros?

# %%
from cmir_ref.ops.conv import im2col

little = np.arange(1, 17).reshape(4, 4)


# %% tags=["folded"]
def draw(pixel, axes_image, axes_rows):
    rows = im2col(little.reshape(1, 4, 4, 1), 3)
    at = 4 * pixel[0] + pixel[1]
    written(
        axes_image,
        little,
        f"patch of pixel {pixel}",
        form="{:d}",
        cmap="cividis",
        vmin=-8,
        vmax=16,
    )
    axes_image.add_patch(
        plt.Rectangle(
            (pixel[1] - 1.5, pixel[0] - 1.5), 3, 3, fill=False, ec="#D55E00", lw=2.5
        )
    )
    axes_image.set(xlim=(-1.6, 4.6), ylim=(4.6, -1.6))
    written(
        axes_rows,
        rows,
        f"row {at} of im2col",
        form="{:d}",
        size=6,
        cmap="cividis",
        vmin=-8,
        vmax=16,
        aspect="auto",
    )
    axes_rows.add_patch(
        plt.Rectangle((-0.5, at - 0.5), 9, 1, fill=False, ec="#D55E00", lw=2.5)
    )


# %%
pixel = (2, 1)  # change me
figure, panels = plt.subplots(1, 4, figsize=(8, 3.2), width_ratios=(1, 1.2, 1, 1.2))
draw(pixel, *panels[:2])
draw((0, 3), *panels[2:])
show(
    figure,
    "An image of 4 × 4 pixels becomes 16 rows of 9 numbers. Left a pixel inside, right "
    "a corner: what hangs over the edge (outside the image) is 0.",
)

# %% [markdown]
# The package builds the matrix tap by tap: for each of the 9 places in the window it copies the *whole image*, shifted. Nine copies instead of one loop a pixel. Then
#
# $$y = \mathrm{im2col}(x)\; w' + 1\,b^\top, \qquad w' = w \text{ as a } (k\,k\,C,\; D) \text{ matrix},$$
#
# and this *is* the linear layer of lesson 02, whose samples are now the pixels and whose features are the numbers in a patch.

# %%
import inspect

from cmir_ref.ops.conv import conv

print(inspect.getsource(im2col))
by_product = (im2col(x, 3) @ w.reshape(-1, 2) + b).reshape(2, 5, 4, 2)
assert np.allclose(by_product, y, rtol=1e-13) and np.allclose(
    conv(x, w, b)[0], y, rtol=1e-13
)
copies = im2col(np.ones((1, 64, 64, 32)), 3).size / (64 * 64 * 32)
print(
    "loops, product and cmir_ref.ops.conv agree; the price: the columns hold "
    f"{copies:.0f} times the image's numbers"
)

# %% [markdown]
# ## What kernels see
#
# Any 3 × 3 numbers make a kernel. This one is turned by an angle: $\cos\varphi$ times "brighter to the right" plus $\sin\varphi$ times "brighter below". Try angles between.


# %%
def edges(image, degrees):
    """How much brighter it gets in the direction `degrees` (0: rightwards, 90:
    downwards)."""
    angle = np.deg2rad(degrees)
    kernel = np.cos(angle) * SOBEL + np.sin(angle) * SOBEL.T
    return conv(image[None, :, :, None], kernel[:, :, None, None], np.zeros(1))[0][
        0, :, :, 0
    ]


degrees = 45  # change me
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.1))
for axes, turn in zip(panels, (0, degrees, 90, 180), strict=True):
    axes.imshow(edges(tile, turn), cmap="gray", vmin=-2, vmax=2)
    axes.set_title(f"edges towards {turn}°")
    axes.axis("off")
show(
    figure,
    "Feature maps: grey is 0, white a rise in that direction, black a fall. 0° and "
    "180° are negatives of each other. Note the frame: SAME padding makes an edge "
    "where there is none.",
)

# %% [markdown]
# A network learns such kernels instead of being given them: 32, then 64, then 128 of them in CMIR-NET's three layers. To learn them it needs their gradient.
#
# ## The way back: three sums
#
# Somebody hands us `dy`, the gradient of the loss with respect to every output. Ask, as in lesson 02: *who depends on this entry?*
#
# | entry | who depends on it | gradient |
# |---|---|---|
# | $b_d$ | every pixel's answer $d$ | $\sum_{npq} \dot y_{npqd}$ |
# | $w_{ijcd}$ | every pixel's answer $d$, through one pixel of its patch | $\sum_{npq} x_{n,p+i-r,q+j-r,c}\;\dot y_{npqd}$ |
# | one pixel of $x$ | every patch that contains it: up to $k\cdot k$ of them | the sum over those patches |
#
# The first two are the linear layer's: $\dot b = \dot y^\top 1$ and $\dot w' = \mathrm{im2col}(x)^\top\,\dot y$. Measured by the complex step:

# %%
from cmir_ref.gradcheck import complex_step

dy = rng.normal(size=y.shape)
dy_rows = dy.reshape(-1, 2)
by_hand = {"dw": (im2col(x, 3).T @ dy_rows).reshape(w.shape), "db": dy_rows.sum(axis=0)}
loss = lambda arrays: (conv(*arrays)[0] * dy).sum()
measured = {
    "dw": complex_step(loss, [x, w, b], 1),
    "db": complex_step(loss, [x, w, b], 2),
}
for name, gradient in by_hand.items():
    print(name, f"worst difference {np.abs(gradient - measured[name]).max():.0e}")
    assert np.allclose(gradient, measured[name], rtol=1e-12)

# %% [markdown]
# The third needs one more thought. The linear layer tells us the gradient of the *rows of patches*: $\dot y\, w'^\top$. But the patches were copies of pixels, and a pixel was copied
# into several rows. How do gradients go back through a copy?
#
# im2col is itself a linear map: it picks numbers and places them elsewhere. So it has a matrix, $M$, of zeros and ones, and $\mathrm{im2col}(x) = Mx$. The way back through $Mx$ is $M^\top$.
# For an image of 4 × 4 this matrix is small enough to look at.

# %%
units = np.eye(16).reshape(16, 4, 4, 1)  # image number s has a single pixel: number s
M = im2col(units, 3).reshape(16, -1).T

# %% tags=["folded"]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=(4, 1.1))
left.imshow(M.T, cmap="cividis", aspect="auto")
left.set(
    xlabel="entry of the columns (patch after patch, 9 each)",
    ylabel="pixel",
    title="M transposed: one row a pixel",
)
left.set_yticks(range(0, 16, 5))
written(
    right,
    M.sum(axis=0).reshape(4, 4),
    "times a pixel is read",
    form="{:.0f}",
    cmap="cividis",
    vmin=0,
    vmax=9,
)
show(
    figure,
    "Each column of the left picture has at most a single 1 (bright): an entry of the "
    "columns was read from one pixel, or from the padding. Each row has one 1 for each "
    "patch that holds the pixel.",
)

# %%
assert np.array_equal(
    (M @ little.ravel()).reshape(16, 9), im2col(little.reshape(1, 4, 4, 1), 3)
)

# %% [markdown]
# Read forwards, $M$ *gathers*: each entry of the columns fetches one pixel. Read backwards, $M^\top$ *scatters*: each entry of the gradient goes to the pixel it was read from, and
# what meets there is **added**. Copy on the way there, sum on the way back.
#
# The dense $M$ proves the point, and would be absurd to store: for a PAN tile of 256 × 256 it has 39 billion entries.

# %%
x_small, w_small = rng.normal(size=(1, 4, 4, 1)), rng.normal(size=(3, 3, 1, 2))
dy_small = rng.normal(size=(1, 4, 4, 2))
d_columns = (
    dy_small.reshape(16, 2) @ w_small.reshape(9, 2).T
)  # the linear layer's way back
dx_dense = (M.T @ d_columns.ravel()).reshape(1, 4, 4, 1)
dx_measured = complex_step(
    lambda a: (conv(a[0], w_small, np.zeros(2))[0] * dy_small).sum(), [x_small], 0
)
print(
    f"M transposed against the complex step: {np.abs(dx_dense - dx_measured).max():.0e}"
)
assert np.allclose(dx_dense, dx_measured, rtol=1e-12)
print(f"entries of M for 256 × 256: {256**2 * 9 * 256**2:.1e}")

# %% [markdown]
# ## Your turn
#
# Write the gradient with respect to `x` without $M$: for every tap $(i, j)$ of the kernel, *add* what that tap says to the pixels it was read from. Hint: do it on a
# padded image of zeros, $(N, H + k - 1, W + k - 1, C)$, where tap $(i, j)$ of all pixels at once is the slice `[:, i : i + H, j : j + W]`, and cut the border off at the end.


# %% tags=["exercise"]
def conv_input_gradient(dy, w):
    """dx (N, H, W, C) for dy (N, H, W, D) and w (k, k, C, D)."""
    n, height, width = dy.shape[:3]
    k, c = w.shape[0], w.shape[2]
    padded = np.zeros((n, height + k - 1, width + k - 1, c))
    # yours: what is added to which part of `padded`?
    r = k // 2
    return padded[:, r : r + height, r : r + width]


# %% tags=["solution"]
def conv_input_gradient(dy, w):
    n, height, width = dy.shape[:3]
    k, c = w.shape[0], w.shape[2]
    padded = np.zeros((n, height + k - 1, width + k - 1, c))
    for i, j in np.ndindex(k, k):
        padded[:, i : i + height, j : j + width] += (
            dy @ w[i, j].T
        )  # += : several taps meet at a pixel
    r = k // 2
    return padded[:, r : r + height, r : r + width]


# %% tags=["check"]
def reached(answer, i, j):
    """Where an answer sends dy of the pixel (2, 3), for a kernel with the tap (i, j)."""
    tap, lit = np.zeros((3, 3, 1, 1)), np.zeros((1, 5, 7, 1))
    tap[i, j], lit[0, 2, 3] = 1, 1
    return [(int(p), int(q)) for p, q in np.argwhere(answer(lit, tap)[0, :, :, 0])]


own = np.random.default_rng(40)
for n, height, width, k, c, d in [
    (1, 4, 4, 1, 2, 3),
    (2, 5, 3, 3, 1, 2),
    (1, 2, 7, 3, 3, 2),
    (1, 6, 5, 5, 2, 1),
]:
    x_own, w_own = own.normal(size=(n, height, width, c)), own.normal(size=(k, k, c, d))
    up = own.normal(size=(n, height, width, d))
    case = f"{height} × {width} pixels, kernel {k} × {k}, {c} → {d} channels"
    try:
        answer = conv_input_gradient(up, w_own)
    except ValueError as refused:
        raise AssertionError(
            f"{case}: {refused}. A tap w[i, j] is (C, D), and dy has D channels; which "
            "way does it stand? Rows are counted by i, columns by j."
        ) from None
    assert np.shape(answer) == x_own.shape, (
        f"{case}: dx has shape {np.shape(answer)}, x has {x_own.shape}"
    )
    for i, j in np.ndindex(3, 3) if k == 3 else ():
        found, wanted = reached(conv_input_gradient, i, j), [(1 + i, 2 + j)]
        assert found == wanted, (
            f"a kernel with the one tap ({i}, {j}): pixel (2, 3) read pixel {wanted[0]}, "
            "so its dy belongs there; yours reaches "
            f"{found or 'none: is the tap left out, or what it wrote overwritten, = for +='}"
        )
    truth = complex_step(
        lambda a, w=w_own, up=up, d=d: (conv(a[0], w, np.zeros(d))[0] * up).sum(),
        [x_own],
        0,
    )
    off = np.abs(answer - truth).max() / np.abs(truth).max()
    times = (answer * truth).sum() / (truth * truth).sum()
    factor = np.allclose(answer, times * truth) and abs(times - 1) > 1e-6
    assert off < 1e-12, f"{case}: off by {off:.0e} (relative); " + (
        f"all are {times:.3g} times what they should be"
        if factor
        else "each tap alone is right, several are not: what meets at a pixel is added, +="
        if k > 1
        else "with a single tap nothing is moved: what multiplies dy?"
    )
print("right, for square and for odd shapes")

# %% [markdown]
# This is what the package does; `col2im` is $M^\top$. A pair of functions is a transpose exactly when $\langle Mx, u\rangle = \langle x, M^\top u\rangle$ for every $x$ and $u$: a test
# that needs no derivative at all.

# %%
from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.conv import col2im, conv_backward

print(
    inspect.getsource(col2im),
    inspect.getsource(conv_backward).split('"""')[-1],
    sep="\n",
)
u = rng.normal(size=(2 * 5 * 4, 27))
print(
    "⟨Mx, u⟩ =",
    (im2col(x, 3) * u).sum(),
    " ⟨x, Mᵀu⟩ =",
    (x * col2im(u, x.shape, 3)).sum(),
)
found = [
    r
    for r in check_gradient(conv, conv_backward, [x, w, b])
    if r.method == "complex-step"
]
error_of_conv = max(r.error for r in found)
print(f"conv_backward against the complex step: {error_of_conv:.0e}")
assert np.isclose(
    (im2col(x, 3) * u).sum(), (x * col2im(u, x.shape, 3)).sum(), rtol=1e-12
)

# %% [markdown]
# ## One kernel a channel
#
# EfficientNet-Lite0, which reads the images of the presets `…_lite0`, does not let a kernel see all channels. In a *depthwise* convolution channel $c$ of $y$ sees channel $c$ of $x$ alone, under a
# kernel of its own; $w$ is (k, k, C). A 1 × 1 convolution beside it, the linear layer of lesson 02 at every pixel, mixes the channels. Where and what are two questions now, and they need fewer numbers.
#
# It is the convolution above with a kernel that is zero wherever $c\ne d$: $w^{\text{full}}_{ijcd} = w_{ijc}\,[c = d]$. So nothing is new in its way back. Each $w_{ijc}$ stands in one entry of $w^{\text{full}}$,
# and that entry's gradient is its own.


# %%
def depthwise(x, w):
    """y (N, H, W, C) for x (N, H, W, C) and w (k, k, C)."""
    height, width = x.shape[1:3]
    r = w.shape[0] // 2
    padded = np.pad(x, ((0, 0), (r, r), (r, r), (0, 0)))
    return sum(
        padded[:, i : i + height, j : j + width] * w[i, j]
        for i, j in np.ndindex(w.shape[:2])
    )


w_each = rng.normal(size=(3, 3, 3))
w_full = w_each[..., None] * np.eye(3)  # (3, 3, 3, 3), zero where c ≠ d
assert np.allclose(depthwise(x, w_each), conv(x, w_full, np.zeros(3))[0], rtol=1e-13)
weights = {"one convolution": 9 * 64 * 128, "depthwise, then 1 × 1": 9 * 64 + 64 * 128}
for name, count in weights.items():
    print(f"{name:22} {count:6,} weights for 3 × 3 and 64 → 128 channels")

# %% [markdown]
# Write its way back. As above, `padded` is an image with a border of zeros, of which tap $(i, j)$ of all pixels is a slice.


# %% tags=["exercise"]
def depthwise_back(dy, x, w):
    """(dx, dw) for dy (N, H, W, C)."""
    height, width = x.shape[1:3]
    r = w.shape[0] // 2
    padded = np.pad(x, ((0, 0), (r, r), (r, r), (0, 0)))
    d_padded, dw = np.zeros_like(padded), np.zeros_like(w)
    # yours: for each tap, what joins a part of `d_padded`, and what is `dw[i, j]`?
    return d_padded[:, r : r + height, r : r + width], dw


# %% tags=["solution"]
def depthwise_back(dy, x, w):
    height, width = x.shape[1:3]
    r = w.shape[0] // 2
    padded = np.pad(x, ((0, 0), (r, r), (r, r), (0, 0)))
    d_padded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(w.shape[:2]):
        d_padded[:, i : i + height, j : j + width] += dy * w[i, j]
        seen = padded[:, i : i + height, j : j + width]
        dw[i, j] = (dy * seen).sum(axis=(0, 1, 2))
    return d_padded[:, r : r + height, r : r + width], dw


# %% tags=["check"]
own = np.random.default_rng(41)
for n, height, width, k, c in [(1, 4, 4, 1, 2), (2, 5, 3, 3, 4), (1, 2, 7, 5, 1)]:
    x_own, w_own = own.normal(size=(n, height, width, c)), own.normal(size=(k, k, c))
    up = own.normal(size=x_own.shape)
    case = f"{n} image of {height} × {width} pixels, {k} × {k}, {c} channels"
    total = lambda arrays, up=up: (depthwise(*arrays) * up).sum()
    try:
        answers = depthwise_back(up, x_own, w_own)
    except ValueError as refused:
        raise AssertionError(
            f"{case}: {refused}. dy, a slice of the pixels and w[i, j] have one entry a "
            "channel: multiplied entry by entry, no sum over channels"
        ) from None
    for at, (name, answer) in enumerate(zip(("dx", "dw"), answers, strict=True)):
        truth = complex_step(total, [x_own, w_own], at)
        assert np.shape(answer) == truth.shape, (
            f"{case}: {name} has shape {np.shape(answer)}, not {truth.shape}"
        )
        turned = depthwise(up, w_own) if at == 0 else np.flip(truth, axis=(0, 1))
        hint = "every tap sends something, and += adds what meets at a pixel"
        if not np.any(answer):
            hint = "all of it is 0"
        elif np.allclose(answer, turned):
            hint = "the kernel is turned round: tap (i, j) goes back to where it read"
        elif name == "dw":
            hint = "dw[i, j] sums over samples and pixels, each channel by itself"
        assert np.allclose(answer, truth, rtol=1e-12, atol=1e-13), (
            f"{case}, {name}: {hint}"
        )
print("right: dx and dw, for one channel and for four")

# %%
from cmir_ref.ops.depthwise_conv import depthwise_conv, depthwise_conv_backward

border = (1, 1, 1, 1)  # zeros above, below, left and right
theirs, kept = depthwise_conv(x, w_each, padding=border)
assert np.allclose(theirs, depthwise(x, w_each), rtol=1e-13)
dy_each = rng.normal(size=theirs.shape)
pairs = zip(
    depthwise_conv_backward(dy_each, kept),
    depthwise_back(dy_each, x, w_each),
    strict=True,
)
depthwise_against_package = max(np.abs(one - two).max() for one, two in pairs)
print(f"yours against the package's: {depthwise_against_package:.0e}")
assert depthwise_against_package < 1e-13

# %% [markdown]
# ## Pooling: only the winner is heard
#
# A feature map says for each pixel how much of an edge is there. To recognise a storage tank it is enough to know roughly where. *Max-pooling* keeps the largest value of each $f\times f$ window,
# and the map becomes $f$ times smaller along each side. Which pixel had it is the *winner*, and the only thing to remember for the way back.

# %%
from cmir_ref.ops.max_pool import max_pool, max_pool_backward

strength = np.abs(edges(tile, 0))
strength[:, [0, -1]] = 0  # the edge that the padding makes
figure, panels = plt.subplots(1, 4, figsize=(7.2, 2.1))
for axes, factor in zip(panels, (1, 2, 4, 8), strict=True):  # change the factors
    pooled = max_pool(strength[None, :, :, None], factor)[0][0, :, :, 0]
    axes.imshow(pooled, cmap="cividis", vmin=0, vmax=2)
    axes.set_title(f"f = {factor}: {pooled.shape[0]} × {pooled.shape[1]}")
    axes.axis("off")
show(
    figure,
    "Edge strength, pooled. Up to f = 4 one still sees the tanks; at f = 8 only that "
    "something is there.",
)

# %% [markdown]
# The way back follows. Near $x$ the winner stays the same, so $y = x_{\text{winner}}$: the slope is 1 at the winner and 0 at all others. Look closely at a corner of the map above.

# %%
corner = strength[8:14, 12:19]  # 6 × 7: the last column fills no window
pooled, cache = max_pool(corner[None, :, :, None], 2)
upstream = np.round(np.random.default_rng(1).normal(size=pooled.shape), 1)
back = max_pool_backward(upstream, cache)[0, :, :, 0]

# %% tags=["folded"]
figure, (there, result, arg, way) = plt.subplots(
    1, 4, figsize=(8.4, 2.5), width_ratios=(7, 3, 3, 7)
)
written(
    there,
    corner,
    "x: winners framed",
    cmap="cividis",
    vmin=0,
    vmax=corner.max(),
    size=7,
)
for i, j in np.ndindex(3, 3):
    tap = int(cache.winner[0, i, j, 0])
    corner_of = (2 * j + tap % 2 - 0.45, 2 * i + tap // 2 - 0.45)
    there.add_patch(plt.Rectangle(corner_of, 0.9, 0.9, fill=False, ec="#D55E00", lw=2))
    there.add_patch(
        plt.Rectangle((2 * j - 0.5, 2 * i - 0.5), 2, 2, fill=False, ec="white", lw=1)
    )
written(
    result, pooled[0, :, :, 0], "y", cmap="cividis", vmin=0, vmax=corner.max(), size=7
)
written(
    arg,
    cache.winner[0, :, :, 0].astype(float),
    "arg-max",
    form="{:.0f}",
    cmap="cividis",
    vmin=0,
    vmax=3,
)
shown = np.where(back == 0, np.nan, back)
written(
    way,
    shown,
    "dx: dy at the winners",
    form="{:.1f}",
    cmap="PuOr",
    vmin=-2,
    vmax=2,
    size=7,
)
show(
    figure,
    "Windows are framed in white, winners in orange. The arg-max map counts the places "
    "of a window row by row: 0 1 / 2 3. On the way back each window hands its dy to "
    "its winner; blanks get zero, and so does the last column.",
)

# %% [markdown]
# Two choices are hidden in there. **Ties**: where two pixels of a window are equal, the *first* wins (the black border of a satellite scene is full of ties). **Rows that fill no
# window** are left out, and their gradient is zero. Both are checked here, and the backward with distinct values.

# %%
flat, flat_cache = max_pool(np.zeros((1, 2, 2, 1)), 2)
assert np.array_equal(
    max_pool_backward(np.ones((1, 1, 1, 1)), flat_cache)[0, :, :, 0], [[1, 0], [0, 0]]
)
distinct = rng.permutation(2 * 5 * 7 * 3).reshape(2, 5, 7, 3) / 10
found = check_gradient(lambda x: max_pool(x, 2), max_pool_backward, [distinct])
error_of_pool = max(r.error for r in found if r.method == "complex-step")
print(f"max_pool_backward, 5 × 7 pixels, f = 2: {error_of_pool:.0e}")
assert error_of_pool < 1e-13

# %% [markdown]
# ## Convolution and pooling as one: what need not exist
#
# A block of CMIR-NET convolves, then pools by 4. Of the full-size map, 15 values out of 16 lose at once. Why then write it out at all? Go through the windows line by line: convolve the few pixel rows that one line of windows
# needs, pool them while they are at hand, keep the winners, forget the rest.


# %%
def conv_pool_by_lines(x, w, b, f):
    height, width = x.shape[1:3]
    k = w.shape[0]
    r = k // 2
    padded = np.pad(x, ((0, 0), (r, r), (r, r), (0, 0)))
    lines = []
    for top in range(0, height // f * f, f):
        strip = padded[:, top : top + f + k - 1]  # the rows these windows can see
        u = conv(strip, w, b)[0][:, r : r + f, r : r + width]
        lines.append(max_pool(u, f)[0])  # u is overwritten in the next round
    return np.concatenate(lines, axis=1)


plain = max_pool(conv(x, w, b)[0], 2)[0]
assert np.allclose(conv_pool_by_lines(x, w, b, 2), plain, rtol=1e-13)
print("line by line: equal to the plain pair")

# %% [markdown]
# `cmir_ref.ops.fused.conv_max_pool` does this in tiles that fit into the processor's cache, with samples shared out to threads. Two more thoughts make it fast: the bias can wait, as
# $\max(u) + b = \max(u + b)$; and the way back needs neither columns nor map, only `x`, `w` and the winners, because columns of a tile are quickly made anew.
# What is saved is counted here on the first block for one PAN tile: 32 kernels, pooled by 4. (Each thread has a workspace of about 3 MiB for its tile besides, however many samples there are.)

# %%
from cmir_ref.ops.fused import conv_max_pool, conv_max_pool_backward

one = rng.normal(size=(1, 256, 256, 1)).astype("float32")
kernels, shift = (
    rng.normal(size=(3, 3, 1, 32)).astype("float32") / 3,
    np.zeros(32, "float32"),
)
u, conv_cache = conv(one, kernels, shift)
plain, pool_cache = max_pool(u, 4)
fused, fused_cache = conv_max_pool(one, kernels, shift, 4)


def kept(*caches):
    return sum(a.nbytes for cache in caches for a in cache if isinstance(a, np.ndarray))


plain_bytes, fused_bytes = kept(conv_cache, pool_cache), kept(fused_cache)
print("bytes for one PAN tile        plain pair      fused")
print(f"full-size map on the way  {u.nbytes:14,}  {0:9,}")
print(f"kept for the way back     {plain_bytes:14,}  {fused_bytes:9,}")
print(f"largest difference of y: {np.abs(plain - fused).max():.0e} (float32)")
assert np.allclose(plain, fused, atol=1e-5)

# %% [markdown]
# Equal values are not enough: a fused pair owes its twin equal gradients too. In float64, on a shape that fills no whole tile and has rows left over:

# %%
x_odd, w_odd, b_odd = (
    rng.normal(size=(3, 13, 10, 4)),
    rng.normal(size=(3, 3, 4, 5)),
    rng.normal(size=5),
)
u, conv_cache = conv(x_odd, w_odd, b_odd)
plain, pool_cache = max_pool(u, 3)
fused, fused_cache = conv_max_pool(x_odd, w_odd, b_odd, 3)
dy_odd = rng.normal(size=plain.shape)
apart = [np.abs(fused - plain).max()]
ours = conv_max_pool_backward(dy_odd, fused_cache)
theirs = conv_backward(max_pool_backward(dy_odd, pool_cache), conv_cache)
for name, a, b_ in zip(("dx", "dw", "db"), ours, theirs, strict=True):
    apart.append(np.abs(a - b_).max())
    print(f"{name}  fused against plain: {apart[-1]:.0e}")
fused_against_plain = max(apart)
assert fused_against_plain < 1e-12

# %% [markdown]
# The released code of the paper pools *last*: convolution, leaky ReLU, normalisation, pool. Even then the pool may go first in the arithmetic, because a leaky ReLU only rises:
# the largest value stays the largest. Lesson 05 adds what happens when a normalisation with a negative factor turns the order round.

# %%
from cmir_ref.ops.relu import leaky_relu

last = max_pool(leaky_relu(u, 0.01)[0], 3)[0]
first = leaky_relu(max_pool(u, 3)[0], 0.01)[0]
assert np.array_equal(last, first)
print("pool(leaky ReLU(u)) = leaky ReLU(pool(u)): equal to the last bit")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_conv_backward=error_of_conv,
    depthwise_against_package=depthwise_against_package,
    weights_of_one_convolution=weights["one convolution"],
    weights_of_depthwise_and_1x1=weights["depthwise, then 1 × 1"],
    error_of_max_pool_backward=error_of_pool,
    fused_against_plain=fused_against_plain,
    times_a_middle_pixel_is_read=M.sum(axis=0).reshape(4, 4)[1, 1],
    bytes_kept_plain=plain_bytes,
    bytes_kept_fused=fused_bytes,
)

# %% [markdown]
# ## What you learned
#
# A convolution is a linear layer on rows of patches, and im2col makes those rows. On the way there each pixel is copied into every patch that holds it; on the way back what
# comes from those copies is added, which is the transpose. With one kernel a channel the same is done without a sum over channels. A pool hands its gradient to the winner, and since
# the others are lost anyway, convolution and pool together need never write out the full-size map.
#
# ## Next
#
# [05 · Batch norm, and the mode that was switched off](05_batch_norm.ipynb): the third piece of the block. In the package: [`ops/conv.py`](../cmir_ref/ops/conv.py),
# [`ops/depthwise_conv.py`](../cmir_ref/ops/depthwise_conv.py), [`ops/max_pool.py`](../cmir_ref/ops/max_pool.py), [`ops/fused/conv_max_pool.py`](../cmir_ref/ops/fused/conv_max_pool.py).
