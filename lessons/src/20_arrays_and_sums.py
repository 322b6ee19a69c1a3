# ---
# jupyter:
#   lesson:
#     question: What do ∂, Σ, an axis and broadcasting mean, and what becomes of each on the way back?
#     minutes: 20
#     needs: ["01"]
#     derives: []
# ---

# %% [markdown]
# # 20 · Arrays and sums
#
# **What do ∂, Σ, an axis and broadcasting mean, and what becomes of each on the way back?**
#
# This is half a lesson, best read after 01. The derivations of this course are short because they speak of whole arrays. Whoever is not at home with axes loses the thread there, and not in the calculus. So here are the words, each beside a loop that says the same, and four rules that make most of every way back.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(20)
table = rng.integers(0, 9, (3, 4))
panels_of = {
    "x: shape (3, 4)": table,
    "x.sum(axis=0): (4,)": table.sum(axis=0)[None],
    "x.sum(axis=1): (3,)": table.sum(axis=1)[:, None],
    "x + row: (3, 4)": table + np.array([10, 20, 30, 40]),
    "x[[2, 0, 2]]: (3, 4)": table[[2, 0, 2]],
}
figure, panels = plt.subplots(1, 5, figsize=(8.8, 1.9))
for axes, (name, values) in zip(panels, panels_of.items(), strict=True):
    axes.imshow(values, vmin=-4, vmax=50, aspect="equal", alpha=0.5)
    for (i, j), value in np.ndenumerate(values):
        axes.text(j, i, str(value), ha="center", va="center", fontsize=8)
    axes.set_title(name, fontsize=7)
    axes.axis("off")
show(
    figure,
    "An array, its sums along either axis, a row added to every row, and rows that were "
    "fetched by their numbers, one of them twice.",
)

# %% [markdown]
# ## Arrays, axes, Σ
#
# An array `x` of shape $(N, D)$ is a table with $N$ rows and $D$ columns; $x_{nd}$ is the entry in row $n$ and column $d$, counted from 0. In this course a row is a *sample*. **Axis 0 runs down the rows, axis 1 along a row.** $\sum_n x_{nd}$ is a loop over $n$ with the other letter held: one number for each $d$. The axis that is named in `sum(axis=…)`
# is the one that *disappears*; `keepdims=True` leaves it there with length 1.

# %%
x = rng.normal(size=(3, 4))
down = np.zeros(4)
for d in range(4):
    for n in range(3):
        down[d] += x[n, d]
print("Σ_n x_nd by loops and by x.sum(axis=0):", np.abs(down - x.sum(axis=0)).max())
shapes = [x.sum(axis=0).shape, x.sum(axis=1).shape, x.sum(axis=1, keepdims=True).shape]
print("shapes:", *shapes)
assert np.allclose(down, x.sum(axis=0)) and shapes == [(4,), (3,), (3, 1)]

# %% [markdown]
# A **matrix product** $Y = XW$ is a Σ with a letter that both share: $y_{nk} = \sum_d x_{nd}\,w_{dk}$. The shared letter disappears. $X^\top$ has its rows and columns exchanged, so $\sum_n x_{nd}\,g_{nk}$, with the *rows* shared, is $X^\top G$.

# %%
w, g = rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
y, dw = np.zeros((3, 2)), np.zeros((4, 2))
for n in range(3):
    for d in range(4):
        for k in range(2):
            y[n, k] += x[n, d] * w[d, k]
            dw[d, k] += x[n, d] * g[n, k]
print(
    "product by loops:",
    np.abs(y - x @ w).max(),
    "  rows shared:",
    np.abs(dw - x.T @ g).max(),
)
assert np.allclose(y, x @ w) and np.allclose(dw, x.T @ g)

# %% [markdown]
# ## Broadcasting, and the accident
#
# Two shapes fit if, from the right, the lengths are equal or one of them is 1 (or missing). What is 1 is *copied*. A row (4,) is copied to every row; a column (3, 1) to every column. A vector of 3 numbers is no column: it is taken for a row.

# %%
column = x.mean(axis=1, keepdims=True)  # (3, 1)
print(
    "x − column:",
    (x - column).shape,
    "  its row means:",
    np.abs((x - column).mean(axis=1)).max().round(16),
)
square = rng.normal(size=(3, 3))
wrong = square - square.mean(axis=1)  # (3,): taken for a row, and no error says so
print("without keepdims, on a square array: row means", wrong.mean(axis=1).round(2))
outer = np.zeros(3) - np.zeros((3, 1))
print("(3,) minus (3, 1):", outer.shape, "where (3,) was meant")
assert np.abs((x - column).mean(axis=1)).max() < 1e-15
assert np.abs(wrong.mean(axis=1)).max() > 0.01 and outer.shape == (3, 3)

# %% [markdown]
# Many wrong gradients are exactly this. Test with sizes that all differ: a mistake then is an error, and not a number.
#
# ## ∂, and who has what shape
#
# $\partial L/\partial x_{nd}$ is lesson 01's slope of the number $L$ when this one entry is moved and all others are held. All of them together have the shape of $x$, and are called the gradient; this course writes $\dot x$ or `dx`. **The gradient of an array has the array's shape, always.** To derive one, move and look: if small moves $\delta x$ move $L$ by
# $\delta L = \sum_{nd} c_{nd}\,\delta x_{nd}$, then $c$ is the gradient, whatever it looks like.
#
# ## Four rules
#
# A network copies, sums, fetches and multiplies. For each, ask *which outputs does this entry reach*, and add up what they say.
#
# | there | which outputs does an entry reach? | back |
# |---|---|---|
# | **copied** (broadcast) | all its copies | **summed** over the copies |
# | **summed** | one, with slope 1 | **copied** to all that were summed |
# | **fetched** (`x[index]`) | each place that fetched it | **added** to where it came from |
# | **times** another | one, with the other as slope | **times** the other |
#
# The first two are each other's reverse. The third is the first with a list: an entry that was fetched twice hears twice, and one that was not fetched hears 0.

# %%
from cmir_ref.gradcheck import complex_step

x, row = rng.normal(size=(3, 4)), rng.normal(size=4)
other, index = rng.normal(size=(3, 4)), np.array([2, 0, 2, 2])
up = rng.normal(size=(3, 4))
up_row, up_four = rng.normal(size=4), rng.normal(size=(4, 4))

fetched = np.zeros_like(x)
np.add.at(fetched, index, up_four)
rules = {  # the function of one array, the array, the gradient by the rule
    "copied → summed": (lambda r: ((x + r) * up).sum(), row, up.sum(axis=0)),
    "summed → copied": (
        lambda a: (a.sum(axis=0) * up_row).sum(),
        x,
        np.broadcast_to(up_row, x.shape),
    ),
    "fetched → added": (lambda a: (a[index] * up_four).sum(), x, fetched),
    "times → times the other": (lambda a: ((a * other) * up).sum(), x, up * other),
}
errors = {}
for name, (f, at, by_rule) in rules.items():
    measured = complex_step(lambda a, f=f: f(a[0]), [at], 0)
    errors[name] = np.abs(by_rule - measured).max()
    print(f"{name:24} gradient {by_rule.shape}, off by {errors[name]:.0e}")
assert max(errors.values()) < 1e-14
assert not fetched[1].any(), "row 1 was never fetched"

lost = np.zeros_like(x)
lost[index] += up_four  # looks the same, and keeps the last of several only
print(
    "`lost[index] += …` loses", int((np.abs(lost - fetched) > 1e-12).sum()), "entries"
)
assert (np.abs(lost - fetched) > 1e-12).sum() == 4

# %% [markdown]
# ## Used twice
#
# One rule more, and it stands above the others: **who is used in two places gets two gradients, and they are added.** Centre a table by its row means, $c = x - \bar x$. Then $x$ is used twice: directly, and in the mean.
#
# | there | back |
# |---|---|
# | $m_n = \frac1D\sum_d x_{nd}$ (summed) | $\dot x_{nd} \mathrel{+}= \dot m_n/D$ (copied) |
# | $c_{nd} = x_{nd} - m_n$ ($m$ copied) | $\dot x_{nd} \mathrel{+}= \dot c_{nd}$, and $\dot m_n = -\sum_d\dot c_{nd}$ (summed) |

# %%
dc = up
dm = -dc.sum(axis=1, keepdims=True)
dx = dc + dm / x.shape[1]
centre = lambda a: ((a[0] - a[0].mean(axis=1, keepdims=True)) * up).sum()
measured = complex_step(centre, [x], 0)
print(
    f"centred rows: off by {np.abs(dx - measured).max():.0e}; each row of dx sums to "
    f"{np.abs(dx.sum(axis=1)).max():.0e}"
)
print(f"with the mean's path forgotten: off by {np.abs(dc - measured).max():.2f}")
assert np.abs(dx - measured).max() < 1e-14 < 0.1 < np.abs(dc - measured).max()

# %% [markdown]
# ## Your turn: all four in one
#
# A table of words `e` $(V, D)$; a text fetches the rows of its words, `index` $(T,)$. Each entry is multiplied by a gain for its column, `gain` $(D,)$, and then all words are summed: $y_d = g_d\sum_t e_{\text{index}_t,d}$. Write the way back for both. Which rule undoes which? The blank fetches where it should add.


# %% tags=["exercise"]
TEXT = np.array([1, 4, 1, 0, 1])


def bag(e, gain):
    words = e[TEXT]  # (T, D)
    return (words * gain).sum(axis=0), (e, gain, words)


def bag_backward(dy, cache):
    e, gain, words = cache
    de = np.zeros_like(e)
    de[TEXT] += dy * gain  # yours: word 1 stands there three times
    return de, dy  # yours


# %% tags=["solution"]
def bag_backward(dy, cache):
    e, gain, words = cache
    dproduct = np.broadcast_to(dy, words.shape)  # summed there, copied back
    de = np.zeros_like(e)
    np.add.at(de, TEXT, dproduct * gain)  # fetched there, added back
    return de, (dproduct * words).sum(axis=0)  # copied there, summed back


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

given = {"e": rng.normal(size=(6, 3)), "gain": rng.normal(size=3)}
said = with_hints(
    explain(bag, bag_backward, given),
    e="how often is a word fetched, and what multiplies it on its way to y?",
    gain="it was copied to every word of the text",
)
assert not said, said
print("right, for the table of words and for the gain")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    worst_error_of_the_four_rules=max(errors.values()),
    entries_lost_by_fetching_twice=(np.abs(lost - fetched) > 1e-12).sum(),
)

# %% [markdown]
# ## What you learned
#
# An axis that is summed disappears, one of length 1 is copied, and a vector is a row. The gradient has the shape of its array; copied there is summed back, summed there is copied back, fetched there is added back, and times there is times the other back. Whatever is used twice gets the sum of two gradients.
#
# ## Next
#
# [02 · The cache](02_the_cache.ipynb), where the rules meet a layer. In the package: [`ops/linear.py`](../cmir_ref/ops/linear.py) is the product, [`ops/embedding.py`](../cmir_ref/ops/embedding.py) the table of words.
