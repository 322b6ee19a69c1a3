# ---
# jupyter:
#   lesson:
#     question: How well do this picture and that sentence fit, and what does a score for every pair hand back to each of the two?
#     minutes: 35
#     needs: ["06", "14"]
#     derives: [ops.unit_rows, ops.cosine]
# ---

# %% [markdown]
# # 16 · A score for two
#
# **How well do this picture and that sentence fit, and what does a score for every pair hand back to each of the two?**
#
# CMIR-NET puts both modalities into one space and measures distances there. The networks for sentences do something nearer to a question: for *each pair* of picture and sentence they compute a **score**. $N$ pictures and $M$ sentences make a whole matrix of scores, and it has to be one matrix product, or a search through ten thousand pictures takes a day. This lesson
# derives that product, the cosine, and a score in which the picture may first look at the sentence, still without ever writing the $N\times M\times D$ numbers down.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(16)
kinds = np.repeat(np.arange(4), 3)
pictures_of = 1.5 * rng.normal(size=10) + rng.normal(
    size=(4, 10)
)  # all have much in common
v = pictures_of[kinds] + 0.5 * rng.normal(size=(12, 10))
t = pictures_of[kinds] + 0.5 * rng.normal(size=(12, 10))
t *= np.exp(0.8 * rng.normal(size=(12, 1)))  # some sentences have long vectors
raw = v @ t.T
angle = raw / np.outer(np.linalg.norm(v, axis=1), np.linalg.norm(t, axis=1))
figure, panels = plt.subplots(1, 2, figsize=(8.8, 3.2))
for axes, score, title in zip(panels, (raw, angle), ("product", "cosine"), strict=True):
    largest = np.abs(score).max()
    axes.imshow(score, cmap="PuOr", vmin=-largest, vmax=largest)
    best = score.argmax(axis=1)
    axes.plot(best, range(12), "ks", mfc="none", ms=9, ls="none")
    axes.set(xlabel="sentence", ylabel="picture", title=title, xticks=[], yticks=[])
show(
    figure,
    "Scores of 12 pictures and 12 sentences, four kinds, three of each. The square "
    "marks each picture's best sentence. By the product, sentences with long vectors "
    "win; by the cosine, those of the right kind.",
)
by_product = (kinds[raw.argmax(axis=1)] == kinds).mean()
by_cosine = (kinds[angle.argmax(axis=1)] == kinds).mean()
print(
    f"best sentence of the right kind: product {by_product:.0%}, cosine {by_cosine:.0%}"
)
assert by_cosine > by_product + 0.2

# %% [markdown]
# ## A product of two variable matrices
#
# The rows of $A$ $(N, D)$ are pictures, those of $B$ $(M, D)$ sentences; $S = AB^\top$ holds all inner products, $s_{ij} = \sum_d a_{id}b_{jd}$. In lesson 02 one factor was data and the other weights. Now both are computed, and both want to know.
#
# Move $A$: $\delta S = \delta A\,B^\top$. With the upstream $\dot S$ and lesson 06's rule, $\langle\dot S,\,\delta A\,B^\top\rangle = \langle\dot S B,\,\delta A\rangle$. Move $B$: $\langle\dot S,\,A\,\delta B^\top\rangle = \langle \dot S^\top A,\,\delta B\rangle$. So
#
# $$\dot A = \dot S\,B, \qquad \dot B = \dot S^\top A .$$
#
# A picture moves towards the sentences whose score should rise, and away from the others, as far as each $\dot s_{ij}$ says. Mind the transpose in the second: with $N = M$ a forgotten one has the right shape.

# %%
from cmir_ref.gradcheck import complex_step, relative_error

a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
ds = rng.normal(size=(4, 4))
product = lambda x: ((x[0] @ x[1].T) * ds).sum()
error_of_product = max(
    relative_error(ds @ b, complex_step(product, [a, b], 0))[0],
    relative_error(ds.T @ a, complex_step(product, [a, b], 1))[0],
)
forgotten = relative_error(ds @ a, complex_step(product, [a, b], 1))[0]
print(f"both factors: off by {error_of_product:.0e}")
print(f"dB without the transpose has the right shape, and is {forgotten:.0%} off")
assert error_of_product < 1e-14 and forgotten > 0.2

# %% [markdown]
# ## A row of length 1
#
# To take the length out of the score, divide each row by it: $y = x/\lVert x\rVert$. Lesson 06 had the norm's gradient: $\delta\lVert x\rVert = \langle y,\delta x\rangle$. So
#
# $$\delta y = \frac{\delta x}{\lVert x\rVert} - \frac{x\,\langle y,\delta x\rangle}{\lVert x\rVert^2} = \frac{\delta x - y\,\langle y,\delta x\rangle}{\lVert x\rVert}, \qquad\text{and}\qquad \dot x = \frac{\dot y - y\,\langle y,\dot y\rangle}{\lVert x\rVert}.$$
#
# Two things to read off. **The share along $y$ is taken out**: longer or shorter does not change $y$, so no gradient may ask for it. (Lesson 05's batch norm did the same along the other axis.) And **it is divided by the length**: a long vector is hard to turn.


# %%
def unit(x):
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True))


x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
y, length = unit(x), np.sqrt((x * x).sum(axis=1, keepdims=True))
dx = (dy - y * (y * dy).sum(axis=1, keepdims=True)) / length
error_of_unit = relative_error(
    dx, complex_step(lambda a: (unit(a[0]) * dy).sum(), [x], 0)
)[0]
print(
    f"unit rows: off by {error_of_unit:.0e}; ⟨x, dx⟩ = "
    f"{np.abs((x * dx).sum(axis=1)).max():.0e}"
)
assert error_of_unit < 1e-13 and np.abs((x * dx).sum(axis=1)).max() < 1e-14

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(8.8, 2.9))
ring = np.linspace(0, 2 * np.pi, 200)
axes.plot(np.cos(ring), np.sin(ring), color="#999999", lw=0.8, ls="-")
point, wish = np.array([[1.6, 1.0]]), np.array([[1.0, -0.2]])
on = unit(point)
tangent = (wish - on * (on * wish).sum()) / np.linalg.norm(point)
for start, move, colour, name in (
    (on, wish, "#0072B2", "what the score asks of y"),
    (point, tangent, "#D55E00", "what reaches x"),
):
    axes.quiver(
        *start.T,
        *move.T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color=colour,
        label=name,
    )
axes.plot(*np.stack([0 * point, point])[:, 0].T, color="#999999", lw=0.8, ls=":")
axes.plot(*point.T, "ko", ms=4)
axes.plot(*on.T, "ks", ms=4)
axes.set(
    xlabel="x[0]", ylabel="x[1]", aspect="equal", xlim=(-1.2, 3.2), ylim=(-0.2, 1.4)
)
axes.legend(fontsize=7, loc="upper left")
show(
    figure,
    "The square is x brought to length 1. What reaches x is at a right angle to it, and "
    "shorter the longer x is.",
)

# %% [markdown]
# What about a row of zeros? It has no direction; the formula says 0/0, and one NaN ruins a run. The package leaves it 0, and its gradient 0: a sentence of which nothing is known fits nothing, and learns nothing from it.

# %%
from cmir_ref.ops.unit_rows import unit_rows, unit_rows_backward

with_zero = np.array([[3.0, 4.0], [0.0, 0.0]])
with np.errstate(invalid="ignore"):
    literal = unit(with_zero)[1]
out, cache = unit_rows(with_zero)
back = unit_rows_backward(np.ones((2, 2)), cache)
print(
    "a row of zeros: by the formula",
    literal,
    "  the package",
    out[1],
    "gradient",
    back[1],
)
assert np.isnan(literal).all() and not out[1].any() and not back[1].any()

# %% [markdown]
# Length has a way of its own. Every step of plain descent is at a right angle to $x$, so by Pythagoras each step makes $x$ **longer**, never shorter, and what is longer turns more slowly. A cosine brings its own falling learning rate.

# %%
target = unit(rng.normal(size=(1, 6)))
start = rng.normal(size=(3, 1, 6))[0] * 0.5  # the same for all three rates
lengths, cosines = {}, {}
for rate in (0.1, 1.0, 3.0):
    x = start
    lengths[rate], cosines[rate] = [], []
    for _ in range(60):
        y, cache = unit_rows(x)
        lengths[rate].append(np.linalg.norm(x))
        cosines[rate].append(float((y * target).sum()))
        x = x + rate * unit_rows_backward(target, cache)

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(8.8, 2.3))
for rate in lengths:
    panels[0].plot(lengths[rate], label=f"rate {rate}")
    panels[1].plot(cosines[rate], label=f"rate {rate}")
panels[0].set(xlabel="step", ylabel="‖x‖")
panels[1].set(xlabel="step", ylabel="cosine with the goal")
panels[1].legend(fontsize=7)
show(
    figure,
    "Ascent on one cosine, from one start. The length only grows, most at the first, "
    "long steps.",
)

# %%
grows = all(np.all(np.diff(course) >= -1e-12) for course in lengths.values())
print("the length never falls:", grows)
assert grows

# %% [markdown]
# ## The cosine of all pairs
#
# $S = \hat A\hat B^\top$ is the product behind the two divisions, and its way back the three lines above in a row. For rows of length 1, $\lVert\hat a-\hat b\rVert^2 = 2 - 2\cos$: whoever ranks unit vectors by distance ranks them by cosine.

# %%
import inspect

from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.cosine import cosine, cosine_backward

print(inspect.getsource(cosine_backward))
a, b = rng.normal(size=(4, 6)), rng.normal(size=(5, 6))
found = check_gradient(cosine, cosine_backward, [a, b])
error_of_cosine = max(r.error for r in found if r.method == "complex-step")
s = cosine(a, b)[0]
apart = ((unit(a)[:, None] - unit(b)[None]) ** 2).sum(axis=2)
print(
    f"cosine: off by {error_of_cosine:.0e}; ‖â − b̂‖² = 2 − 2 cos: "
    f"{np.abs(apart - 2 + 2 * s).max():.0e}"
)
longer = cosine(7 * a, 0.1 * b)[0]
print(f"other lengths: the scores move by {np.abs(longer - s).max():.0e}")
assert error_of_cosine < 1e-12 and np.allclose(apart, 2 - 2 * s, atol=1e-14)
assert np.allclose(longer, s, atol=1e-14)

# %% [markdown]
# ## A sentence, seen by a picture
#
# A sentence names a river, a road and a field; this picture shows a road only. AMFMN (Yuan et al., 2022; its equations 1 – 4, and the soft form of its 20 – 25) lets the picture *look at* the sentence first: a gate $g_i=\sigma(v_iW+b)$, made from the picture, weighs the entries of each sentence's vector, and then comes the cosine,
#
# $$s_{ij} = \cos\big(v_i,\; g_i\odot t_j\big).$$
#
# Now the sentence's vector is another one for each picture: $N\times M$ vectors of $D$ numbers. For 1000 pictures, 5000 sentences and $D=512$, that is 10 GB, for numbers that are summed up at once. Write the sums out, and they fall apart into two products:
#
# $$\langle v_i,\,g_i\odot t_j\rangle = \langle v_i\odot g_i,\;t_j\rangle, \qquad \lVert g_i\odot t_j\rVert^2 = \sum_d g_{id}^2\,t_{jd}^2 = \langle g_i\odot g_i,\;t_j\odot t_j\rangle .$$
#
# So $S = P/\sqrt Q$ with $P = (\hat V\odot G)\,T^\top$ and $Q = (G\odot G)(T\odot T)^\top$. Two products, $N\times M$ numbers, nothing else.


# %%
def by_pairs(v, t, w, b):
    """Every gated sentence written out: (N, M, D) numbers."""
    g = 1 / (1 + np.exp(-(v @ w + b)))
    seen = g[:, None] * t[None]
    length = np.sqrt((seen * seen).sum(axis=2))
    return (unit(v)[:, None] * seen).sum(axis=2) / length


def by_products(v, t, w, b):
    g = 1 / (1 + np.exp(-(v @ w + b)))
    p, q = (unit(v) * g) @ t.T, (g * g) @ (t * t).T
    return p / np.sqrt(q), (g, p, q)


v, t = rng.normal(size=(4, 6)), rng.normal(size=(5, 6))
w, bias = rng.normal(size=(6, 6)), rng.normal(size=6)
s, (g, p, q) = by_products(v, t, w, bias)
two_ways = np.abs(s - by_pairs(v, t, w, bias)).max()
print(f"two products against all pairs written out: {two_ways:.0e}")
print(
    f"numbers for 1000 × 5000 × 512: {1000 * 5000 * 512:,} against {2 * 1000 * 5000:,}"
)
assert two_ways < 1e-14

# %% [markdown]
# The way back uses only what stands above. $S = P\,Q^{-1/2}$ gives $\dot P = \dot S/\sqrt Q$ and $\dot Q = -\tfrac12\,\dot S\odot S/Q$; then two products of variable matrices, each with two ends. Who uses $t$? Both products, once squared. Who uses $g$? Both as well.
#
# | who | from $P$ | from $Q$ |
# |---|---|---|
# | $t$ | $\dot P^\top(\hat v\odot g)$ | $2\,t\odot(\dot Q^\top g^2)$ |
# | $g$ | $\hat v\odot(\dot P\,t)$ | $2\,g\odot(\dot Q\,t^2)$ |
# | $\hat v$ | $g\odot(\dot P\,t)$ | |

# %%
ds = rng.normal(size=s.shape)
dp, dq = ds / np.sqrt(q), -0.5 * ds * s / q
v_hat, size = unit(v), np.sqrt((v * v).sum(axis=1, keepdims=True))
dt = dp.T @ (v_hat * g) + 2 * t * (dq.T @ (g * g))
dg = v_hat * (dp @ t) + 2 * g * (dq @ (t * t))
dv_hat = g * (dp @ t)
du = dg * g * (1 - g)
dv = (dv_hat - v_hat * (v_hat * dv_hat).sum(axis=1, keepdims=True)) / size + du @ w.T
by_hand = {"v": dv, "t": dt, "w": v.T @ du, "b": du.sum(axis=0)}
f = lambda x: (by_products(*x)[0] * ds).sum()
errors = {}
for i, (name, ours) in enumerate(by_hand.items()):
    errors[name] = relative_error(ours, complex_step(f, [v, t, w, bias], i))[0]
print("guided score:", ", ".join(f"d{name} {e:.0e}" for name, e in errors.items()))
assert max(errors.values()) < 1e-13

from cmir_ref.amfmn.eq1_similarity import soft_similarity, soft_similarity_backward

theirs = soft_similarity_backward(ds, soft_similarity(v, t, w, bias)[1])
assert all(np.allclose(a, b) for a, b in zip(by_hand.values(), theirs, strict=True))

# %% [markdown]
# ## Why the scalar gate vanishes
#
# AMFMN's paper draws another gate: *one number* for each pair. With a linear layer $f$ of the picture and another one, $h$, of the sentence it is $\lambda_{ij}=\sigma(\cos(f_i,h_j))$, and the sentence becomes $\lambda_{ij}h_j$. Look at what comes next. It is a cosine, and a cosine does not see a length:
#
# $$\cos(v_i,\lambda_{ij}h_j) = \cos(v_i,h_j)\qquad\text{for every }\lambda_{ij}>0 .$$
#
# The gate is computed, trained, and drawn in the figure; it changes no score, and **its gradient is exactly 0**. No check of gradients complains: zero *is* right. Only the question "what changes if I take it away?" finds it. (Below both layers are left out, $f=v$ and $h=t$.)


# %%
def scalar_gated(v, t, scale):
    """Scores with a scalar gate σ(scale · cos) on each sentence of each pair."""
    plain = unit(v) @ unit(t).T
    gate = 1 / (1 + np.exp(-scale * plain))
    seen = gate[:, :, None] * t[None]
    return (unit(v)[:, None] * seen).sum(axis=2) / np.sqrt((seen * seen).sum(axis=2))


plain = unit(v) @ unit(t).T
for scale in (0.0, 1.0, 20.0):
    change = np.abs(scalar_gated(v, t, scale) - plain).max()
    print(f"scalar gate, scale {scale:4.0f}: the scores move by {change:.0e}")
    assert change < 1e-14
slope = complex_step(
    lambda x: (scalar_gated(v, t, x[0]) * ds).sum(), [np.array(2.0)], 0
)
print(f"gradient of its scale: {float(slope):.0e}")
assert abs(float(slope)) < 1e-13

k = rng.normal(size=t.shape)  # keywords, a second text beside the sentence
gate_t, gate_k = (
    1 / (1 + np.exp(-20 * (unit(v) @ unit(x).T)))[:, :, None] for x in (t, k)
)
mixed = gate_t * t[None] + gate_k * k[None]
mixed = (unit(v)[:, None] * mixed).sum(axis=2) / np.sqrt((mixed * mixed).sum(axis=2))
matters = np.abs(mixed - unit(v) @ unit(t + k).T).max()
print(f"in a sum of two gated texts it matters: the scores move by {matters:.2f}")
assert matters > 0.1

# %% [markdown]
# In a *sum* of two texts the lengths are shares, and there the scalar gates do something. The vector gate of the section before changes directions, and therefore scores, by itself.
#
# ## Your turn: a distance for every pair
#
# Scores by distance, for all pairs, without $N\times M\times D$ numbers: $s_{ij} = -\lVert a_i - b_j\rVert^2 = 2\,\langle a_i,b_j\rangle - \lVert a_i\rVert^2-\lVert b_j\rVert^2$. The forward is given. Write the way back for both. Each $a_i$ is used once for every column: what does it hear from its own square? The blank knows the product only.


# %% tags=["exercise"]
def closeness(a, b):
    squares_a, squares_b = (a * a).sum(axis=1), (b * b).sum(axis=1)
    return 2 * a @ b.T - squares_a[:, None] - squares_b[None, :], (a, b)


def closeness_backward(ds, cache):
    a, b = cache
    return 2 * ds @ b, 2 * ds.T @ a  # yours: the squares move too


# %% tags=["solution"]
def closeness_backward(ds, cache):
    a, b = cache
    da = 2 * ds @ b - 2 * a * ds.sum(axis=1)[:, None]
    db = 2 * ds.T @ a - 2 * b * ds.sum(axis=0)[:, None]
    return da, db


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

for n, m in ((4, 4), (3, 5)):
    random = np.random.default_rng(n)
    given = {"a": random.normal(size=(n, 3)), "b": random.normal(size=(m, 3))}
    said = with_hints(
        explain(closeness, closeness_backward, given),
        a="how often is the square of a_i used? once for every column",
        b="how often is the square of b_j used? once for every row",
    )
    assert not said, f"{n} × {m}:\n{said}"
print("right, for 4 × 4 pairs and for 3 × 5")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_a_product_of_two=error_of_product,
    error_of_unit_rows=error_of_unit,
    error_of_the_cosine=error_of_cosine,
    error_of_the_guided_score=max(errors.values()),
    two_products_against_all_pairs=two_ways,
    what_two_gated_texts_move=matters,
)

# %% [markdown]
# ## What you learned
#
# In $AB^\top$ each side gets the upstream times the other, one of them transposed. Bringing rows to length 1 takes the share along the row out of the gradient and divides by the length, so that lengths only grow. A gate on the entries of a sentence still leaves two products for all pairs; a gate that is
# one number for a pair is not seen by a cosine at all, and no gradient check can tell.
#
# ## Next
#
# [17 · Attention](17_attention.ipynb): weights that are computed anew for each question. In the package: [`ops/cosine.py`](../cmir_ref/ops/cosine.py), [`ops/unit_rows.py`](../cmir_ref/ops/unit_rows.py), and AMFMN's score in all its forms,
# [`amfmn/eq1_similarity.py`](../cmir_ref/amfmn/eq1_similarity.py).
