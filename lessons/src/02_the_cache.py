# ---
# jupyter:
#   lesson:
#     question: How does a layer hand its error back, and what must it remember for that?
#     minutes: 20
#     needs: ["01"]
#     derives: [ops.linear, ops.relu, ops.sums]
# ---

# %% [markdown]
# # 02 · The cache: a linear layer and a leaky ReLU by hand
#
# **How does a layer hand its error back, and what must it remember for that?**
#
# A layer turns `x` into `y`. Training asks the opposite question: somebody tells us how the loss changes with `y`, and we must say how
# it changes with `x` and with the weights. The picture is the whole lesson: on the way there, each step puts something into a
# *cache*; on the way back it needs nothing else.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
figure, axes = plt.subplots(figsize=(6.4, 2.3))
axes.axis("off")
axes.set_title("there above, back below")
for i, (text, kept) in enumerate(
    [("x w + b", "x, w"), ("leaky ReLU", "s > 0"), ("loss", "…")]
):
    axes.text(
        2 * i + 1,
        1,
        text,
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.6", "fc": "#E8F1F8", "ec": "#0072B2"},
    )
    axes.text(2 * i + 1, 0.45, f"cache: {kept}", ha="center", va="center", fontsize=8)
    axes.annotate(
        "",
        (2 * i + 0.35, 1.15),
        (2 * i - 0.35, 1.15),
        arrowprops={"arrowstyle": "->", "color": "#0072B2"},
    )
    axes.annotate(
        "",
        (2 * i - 0.35, 0.85),
        (2 * i + 0.35, 0.85),
        arrowprops={"arrowstyle": "->", "color": "#D55E00", "ls": "--"},
    )
    axes.text(2 * i, 1.3, ["x", "s", "y"][i], ha="center", color="#0072B2")
    axes.text(2 * i, 0.6, ["dx", "ds", "dy"][i], ha="center", color="#D55E00")
axes.set(xlim=(-0.5, 5.8), ylim=(0.2, 1.6))
show(
    figure,
    "Values go forward (blue, solid), gradients come back (orange, dashed); each box "
    "keeps what its way back needs.",
)

# %% [markdown]
# ## One number first
#
# Let a single sample have $C$ inputs, and one output $s = \sum_c x_c w_c + b$. Somewhere behind it stands a loss $L$, a single number. All we
# are told is $\dot s = \partial L/\partial s$, here called `ds`: *the upstream gradient*. By the chain rule
#
# $$\frac{\partial L}{\partial w_c} = \dot s\,\frac{\partial s}{\partial w_c} = \dot s\,x_c, \qquad
# \frac{\partial L}{\partial x_c} = \dot s\,w_c, \qquad \frac{\partial L}{\partial b} = \dot s .$$
#
# To say $\partial L/\partial w$ one needs $x$; to say $\partial L/\partial x$ one needs $w$. So these two are remembered. Nothing else is.
#
# Is it true? Lesson 01 gave us a judge that does not guess: the complex step. Move one entry by $ih$, look at the imaginary part.

# %%
rng = np.random.default_rng(2)
x, w, b, ds = rng.normal(size=3), rng.normal(size=3), 0.7, -1.3


def moved(array, c, h=1e-30):
    array = array.astype(complex)
    array[c] += 1j * h
    return array


measured_dw = np.array([(ds * (x @ moved(w, c) + b)).imag / 1e-30 for c in range(3)])
measured_dx = np.array([(ds * (moved(x, c) @ w + b)).imag / 1e-30 for c in range(3)])
print("ds · x      ", ds * x)
print("measured dw ", measured_dw)
print("ds · w      ", ds * w)
print("measured dx ", measured_dx)
assert np.allclose(ds * x, measured_dw, rtol=1e-14, atol=0)
assert np.allclose(ds * w, measured_dx, rtol=1e-14, atol=0)

# %% [markdown]
# ## Then a batch
#
# With $N$ samples and $D$ outputs the same line gets two more indices, $s_{nd} = \sum_c x_{nc} w_{cd} + b_d$, and *every* output may push on the
# entry we ask about, so we sum over the indices that the entry does not have:
#
# | entry | who depends on it | gradient | as matrices |
# |---|---|---|---|
# | $w_{cd}$ | $s_{nd}$ of every sample $n$ | $\sum_n x_{nc}\,\dot s_{nd}$ | $\dot w = x^\top \dot s$ |
# | $x_{nc}$ | $s_{nd}$ of every output $d$ | $\sum_d \dot s_{nd}\,w_{cd}$ | $\dot x = \dot s\,w^\top$ |
# | $b_d$ | $s_{nd}$ of every sample $n$ | $\sum_n \dot s_{nd}$ | $\dot b = \dot s^\top 1$ |
#
# (The *matrix product* $AB$ has the entries $\sum_k a_{ik}b_{kj}$, a sum over the letter that both share; $A^\top$ is $A$ with rows and columns exchanged; `axis=0` runs over the samples. Lesson 20 has all three beside loops, for whoever is not at home there.)
#
# There is a check that costs nothing: $\dot w$ has the shape of $w$, $(C, D)$, and only $x^\top\dot s$ has it.
#
# Here are the sums, spelled as loops, and the products beside them. Read the loops as the definition and the products as a shorter way to write them.

# %%
N, C, D = 4, 3, 2
x, w, b = rng.normal(size=(N, C)), rng.normal(size=(C, D)), rng.normal(size=D)
ds = rng.normal(size=(N, D))

loops = {"dx": np.zeros((N, C)), "dw": np.zeros((C, D)), "db": np.zeros(D)}
for n in range(N):
    for d in range(D):
        loops["db"][d] += ds[n, d]
        for c in range(C):
            loops["dw"][c, d] += x[n, c] * ds[n, d]
            loops["dx"][n, c] += ds[n, d] * w[c, d]
products = {"dx": ds @ w.T, "dw": x.T @ ds, "db": ds.sum(axis=0)}


def cmp(name, ours, other):
    """One line: how far two gradients are apart."""
    worst = np.max(np.abs(ours - other)) / np.max(np.abs(other))
    print(
        f"{name:6} "
        f"{'exact' if worst == 0 else 'equal' if worst < 1e-13 else 'DIFFERENT':10} "
        f"worst relative difference {worst:.0e}"
    )
    return worst


worst = max(cmp(name, products[name], loops[name]) for name in loops)
assert worst < 1e-13

# %% [markdown]
# ## The protocol
#
# Every operation in `cmir_ref` has this form, two pure functions side by side, and everything the second needs is handed over in the open:
#
# ```python
# y, cache  = op(x, w, …)
# dx, dw, … = op_backward(dy, cache)
# ```
#
# The package's own `linear` is the three lines you have just proved. Here is all of it; `column_sum` is the sum over samples, in two stages, so that long sums in `float32` stay
# accurate.

# %%
import inspect

from cmir_ref.ops.linear import linear, linear_backward

print(inspect.getsource(linear), inspect.getsource(linear_backward), sep="\n")

# %% [markdown]
# Why not an object that remembers its last input? Because CMIR-NET applies **one** classifier to **two** modalities before either way back begins. An
# object would have forgotten the first input when the second came. Watch it happen.

# %%
from cmir_ref.gradcheck import complex_step


class Layer:
    """The same mathematics as an object that remembers its last input."""

    def __init__(self, w):
        self.w = w

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, ds):
        return self.x.T @ ds


x_a, x_b = rng.normal(size=(N, C)), rng.normal(size=(N, C))
ds_a, ds_b = rng.normal(size=(N, D)), rng.normal(size=(N, D))
truth = complex_step(
    lambda arrays: sum(
        (ds * (x @ arrays[0])).sum() for x, ds in ((x_a, ds_a), (x_b, ds_b))
    ),
    [w],
    0,
)

layer = Layer(w)
layer.forward(x_a), layer.forward(x_b)
object_dw = layer.backward(ds_a) + layer.backward(ds_b)

(_, cache_a), (_, cache_b) = linear(x_a, w, 0 * b), linear(x_b, w, 0 * b)
pair_dw = linear_backward(ds_a, cache_a)[1] + linear_backward(ds_b, cache_b)[1]

error_of_pair = cmp("pair", pair_dw, truth)
error_of_object = cmp("object", object_dw, truth)
assert error_of_pair < 1e-13 < error_of_object

# %% [markdown]
# The second thing to see there: the shared `w` got *two* gradients, one a modality, and they are **added**. That is the sum of the table above again, over
# two batches instead of one.
#
# ## A kink: leaky ReLU
#
# $y = s$ where $s > 0$, and $y = a s$ elsewhere, with a small slope $a = 0.01$. Each output depends on its own input only, so the matrix of all
# $\partial y_i/\partial s_j$, the *Jacobian*, has entries on its diagonal and zeros elsewhere. Nobody stores that matrix; the way back
# multiplies by its diagonal, `where(s > 0, dy, a * dy)`, and the cache is one boolean a number.
#
# The linear layer mixes the features of a sample, never two samples, so its Jacobian is made of blocks. Here are both, measured.

# %%
from cmir_ref.ops.relu import leaky_relu, leaky_relu_backward


def jacobian(f, x):
    """∂f(x)_i/∂x_j by the complex step, both flattened."""
    columns = []
    for j in range(x.size):
        z = x.astype(complex).ravel()
        z[j] += 1e-30j
        columns.append(f(z.reshape(x.shape)).imag.ravel() / 1e-30)
    return np.stack(columns, axis=1)


s = linear(x, w, b)[0]
jacobians = {
    "linear, with respect to x": jacobian(lambda v: linear(v, w, b)[0], x),
    "leaky ReLU (slope 0.2)": jacobian(lambda v: leaky_relu(v, 0.2)[0], s),
}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.9))
for axes, (title, matrix) in zip(panels, jacobians.items(), strict=True):
    limit = np.abs(matrix).max()
    picture = axes.imshow(matrix, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes.set(
        title=title, xlabel="input entry (sample by sample)", ylabel="output entry"
    )
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            axes.text(
                j,
                i,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=6,
                color="white" if abs(value) > 0.6 * limit else "black",
            )
    figure.colorbar(picture, ax=axes)
show(
    figure,
    "The Jacobians. Blank entries are exactly zero: samples never mix (left), and "
    "behind a ReLU not even features do (right).",
)

# %% [markdown]
# And at the kink itself, $s = 0$? There the derivative does not exist: from the left the slope is $a$, from the right 1. A code must choose, and say so.
# `cmir_ref` takes the left one, everywhere. The picture zooms in: whatever difference you take *across* the kink measures something in between.

# %%
grid = np.linspace(-0.1, 0.1, 201)

# %% tags=["folded"]
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.6))
left.plot(grid, leaky_relu(grid, 0.2)[0])
left.set(xlabel="s", ylabel="y", title="leaky ReLU, slope 0.2, near its kink")
h = 0.02
left_right = (leaky_relu(grid + h, 0.2)[0] - leaky_relu(grid - h, 0.2)[0]) / (2 * h)
right.plot(
    grid,
    leaky_relu_backward(np.ones_like(grid), leaky_relu(grid, 0.2)[1]),
    label="by hand",
)
right.plot(grid, left_right, label=f"difference, h = {h}")
right.set(xlabel="s", ylabel="dy/ds", title="its slope")
right.legend(fontsize=7, loc="upper left")
show(
    figure,
    "Within h of the kink a central difference sees both sides. That is why gradient "
    "checks stay away from kinks.",
)

# %%
at_zero = float(leaky_relu_backward(np.ones(1), leaky_relu(np.zeros(1), 0.2)[1])[0])
assert at_zero == 0.2

# %% [markdown]
# ## Your turn
#
# Write the way back of a layer with a *scale*: $y_{nd} = g_d \sum_c x_{nc} w_{cd}$. Given: `dy` $(N, D)$, `cache = (x, w, g)`. Wanted: `dx, dw, dg`. Do as above: who
# depends on the entry, and which indices are summed?


# %% tags=["exercise"]
def scaled_linear(x, w, g):
    return (x @ w) * g, (x, w, g)


def scaled_linear_backward(dy, cache):
    x, w, g = cache
    return np.zeros_like(x), np.zeros_like(w), np.zeros_like(g)  # yours


# %% tags=["solution"]
def scaled_linear_backward(dy, cache):
    x, w, g = cache
    ds = dy * g  # back through the scale, then the linear layer as before
    return ds @ w.T, x.T @ ds, (dy * (x @ w)).sum(axis=0)


# %% tags=["check"]
from cmir_ref.gradcheck import check_gradient, explain
from cmir_ref.reports.lesson import with_hints

given = {"x": x, "w": w, "g": rng.normal(size=D)}
said = with_hints(
    explain(scaled_linear, scaled_linear_backward, given),
    x="x_nc reaches every output d of its sample: which index is summed?",
    w="w_cd meets x_nc in every sample n: which index is summed?",
    g="g_d multiplies column d of x w in every sample n: which index is summed?",
)
assert not said, said
found = [
    r
    for r in check_gradient(scaled_linear, scaled_linear_backward, list(given.values()))
    if r.method == "complex-step"
]
print(f"right: worst relative error {max(r.error for r in found):.0e}")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
found = check_gradient(linear, linear_backward, [x, w, b]) + check_gradient(
    leaky_relu, leaky_relu_backward, [s]
)
numbers(
    error_of_linear_and_relu=max(r.error for r in found if r.method == "complex-step"),
    error_of_an_object_that_forgets=error_of_object,
    slope_at_the_kink=at_zero,
)

# %% [markdown]
# ## What you learned
#
# A way back needs the upstream gradient and a cache, and for a linear layer the cache is its inputs. Each gradient sums over the indices its entry does not have; a
# weight used twice adds up both. At a kink a derivative is a choice, and a good code says which.
#
# ## Next
#
# [03 · Two cross-entropies](03_cross_entropies.ipynb): where the first upstream gradient comes from. In the package: [`ops/linear.py`](../cmir_ref/ops/linear.py),
# [`ops/relu.py`](../cmir_ref/ops/relu.py).
