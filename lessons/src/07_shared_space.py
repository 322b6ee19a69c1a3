# ---
# jupyter:
#   lesson:
#     question: Where does each of the four losses push a point of the shared space?
#     minutes: 35
#     needs: ["03", "06"]
#     derives: [cmirnet.eq2_alignment, cmirnet.eq3_classification, cmirnet.eq4_feature_norm, cmirnet.eq5_reconstruction, nets.mlp, nets.head, cmirnet.latent]
# ---

# %% [markdown]
# # 07 · The shared space, one equation at a time
#
# **Where does each of the four losses push a point of the shared space?**
#
# Stage 1 (lesson 06) has turned each picture into a row of 128 numbers, its *features* $Z$. There are two kinds of pictures, *modalities* a and b, and their features have nothing
# to do with each other. Stage 2 maps both into one space, where row $V_a$ of a picture of kind a can be compared with row $V_b$ of kind b. Four losses shape that space. Here we
# take them one by one, in two dimensions, where a gradient is an arrow that one can see.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
COLOUR, SHAPE = ["#0072B2", "#D55E00", "#009E73"], "os^"
rng = np.random.default_rng(7)
y = np.repeat([0, 1, 2], 4)
angles = np.deg2rad([100, 215, 340])
v_a = 1.5 * np.stack(
    [np.cos(angles[y]), np.sin(angles[y])], axis=1
) + 0.45 * rng.normal(size=(12, 2))
v_b = 1.1 * np.stack(
    [np.cos(angles[y] - 0.9), np.sin(angles[y] - 0.9)], axis=1
) + 0.45 * rng.normal(size=(12, 2))


def scatter(axes, v_a, v_b, size=28):
    """Modality a filled, b hollow; a colour and a shape for each class."""
    for v, hollow in ((v_a, False), (v_b, True)):
        for c in range(3):
            face = "white" if hollow else COLOUR[c]
            axes.scatter(
                *v[y == c].T,
                s=size,
                marker=SHAPE[c],
                facecolors=face,
                edgecolors=COLOUR[c],
                zorder=3,
            )


def plane(axes, title, reach=2.6):
    """Equal axes of the shared space."""
    axes.set(
        xlim=(-reach, reach),
        ylim=(-reach, reach),
        xlabel="v[0]",
        ylabel="v[1]",
        title=title,
        aspect="equal",
    )


figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), width_ratios=[1.5, 1])
left.axis("off")
left.set_title("the network of stage 2, and who reads its embeddings")
left.set(xlim=(-0.6, 7.1), ylim=(0, 4))
for height, m, other in ((3, "a", "b"), (1, "b", "a")):
    for x, text in (
        (0, f"Z{m}"),
        (1.5, f"E{m}"),
        (3, f"V{m}"),
        (4.6, f"D{m}{other}"),
        (6.4, f"like Z{other}"),
    ):
        filled = text[0] == "V"
        box = {
            "boxstyle": "round,pad=0.4",
            "fc": "#F8EBD8" if filled else "#E8F1F8",
            "ec": "#0072B2",
        }
        left.text(x, height, text, ha="center", va="center", bbox=box)
    for x in (0.3, 1.9, 3.4, 5.05):
        left.annotate(
            "", (x + 0.75, height), (x, height), arrowprops={"arrowstyle": "->"}
        )
for height in (3.5, 0.4):
    left.text(6.1, height, "eq. 5: compare", ha="center", fontsize=8)
left.text(
    4.3,
    2,
    "one classifier w (eq. 3)",
    ha="center",
    va="center",
    bbox={"boxstyle": "round,pad=0.3", "fc": "white"},
)
for start, end in ((2.7, 2.3), (1.3, 1.7)):
    left.annotate("", (3.7, end), (3.25, start), arrowprops={"arrowstyle": "->"})
left.annotate(
    "",
    (2.95, 2.75),
    (2.95, 1.25),
    arrowprops={"arrowstyle": "<->", "color": "#D55E00", "ls": "--"},
)
left.text(
    2.8,
    2,
    "eq. 2: one place\neq. 4: short",
    ha="right",
    va="center",
    fontsize=8,
    color="#D55E00",
)
for one, other in zip(v_a, v_b, strict=True):
    right.plot(*np.stack([one, other]).T, color="#AAAAAA", lw=0.8, ls="-")
scatter(right, v_a, v_b)
plane(right, "12 pairs: a filled, b hollow")
show(
    figure,
    "Left: encoders E, one classifier, decoders D. Right: our toy, with a line between "
    "the two members of a pair.",
)

# %% [markdown]
# In the toy there is no encoder yet: the points themselves may move. That is no trick. A gradient with respect to $V$ says where each point *should* go, and the encoder's way back (end of
# this page) turns that wish into a change of weights.
#
# ## Alignment (eq. 2)
#
# The two members of a pair show one thing, so they should land on one point:
#
# $$\mathcal L_2 = \lVert V_a - V_b\rVert_F^2 = \sum_i \lVert v_{a,i} - v_{b,i}\rVert^2 .$$
#
# Take one pair and let $d = v_a - v_b$. Move $v_a$ by a small $\epsilon$:
#
# $$(d+\epsilon)\cdot(d+\epsilon) = d\cdot d + 2\,d\cdot\epsilon + \epsilon\cdot\epsilon .$$
#
# What stands before $\epsilon$ is the slope: $2d$. Moving $v_b$ by $\epsilon$ makes $d$ smaller by $\epsilon$, so its slope is $-2d$. The complex step of lesson 01 says the same.

# %%
from cmir_ref.gradcheck import complex_step, relative_error


def judged(name, ours, f, inputs, which):
    """Prints how far a gradient is from the complex step of f, and returns that error."""
    error = relative_error(ours, complex_step(f, inputs, which))[0]
    print(f"{name:28} worst relative error {error:.0e}")
    assert error < 1e-12
    return error


def l2(v_a, v_b):
    d = v_a - v_b
    return (d * d).sum()


errors = [
    judged("dV_a =  2 (V_a - V_b)", 2 * (v_a - v_b), lambda v: l2(*v), [v_a, v_b], 0),
    judged("dV_b = -2 (V_a - V_b)", -2 * (v_a - v_b), lambda v: l2(*v), [v_a, v_b], 1),
]

# %% [markdown]
# The two gradients are equal and opposite: each pair pulls itself together, and its middle stays. No pair knows of another one, and no label occurs. Alone, this loss has a best answer that is worth nothing,
# all points in one place; lesson 08 is about that.
#
# **The released code took the root.** It minimises $\lVert V_a-V_b\rVert_F$, without the square, over the whole batch. With $E = \sum d^2$ the chain rule gives
# $\partial\sqrt E/\partial d = 2d / (2\sqrt E)$, so
#
# $$\dot V_a = \frac{V_a - V_b}{\lVert V_a - V_b\rVert_F}.$$
#
# That is an arrow of length 1, however near the pairs are, and 0/0 when they have met. The package knows both readings, and answers 0 where the formula has no answer.

# %%
from cmir_ref.cmirnet.eq2_alignment import alignment, alignment_backward

released = lambda v: alignment(*v, squared=False)[0]
by_package = alignment_backward(1.0, alignment(v_a, v_b, squared=False)[1])
errors.append(judged("unsquared: d / |d|", by_package[0], released, [v_a, v_b], 0))

print("\ngap of the pairs    |dV_a| squared    |dV_a| unsquared")
for gap in (1.0, 1e-3, 1e-6):
    near = v_a + gap * (v_b - v_a)
    sizes = [
        np.linalg.norm(alignment_backward(1.0, alignment(v_a, near, squared=s)[1])[0])
        for s in (True, False)
    ]
    print(f"{gap:16g} {sizes[0]:17.2e} {sizes[1]:19.2f}")
with np.errstate(invalid="ignore"):
    literal = (v_a - v_a) / np.sqrt(l2(v_a, v_a))
at_equality = alignment_backward(1.0, alignment(v_a, v_a, squared=False)[1])[0]
print(f"\nat equality, the formula: {literal[0]}   the package: {at_equality[0]}")
assert np.isnan(literal).all() and not at_equality.any()

# %% [markdown]
# **About the paper.** *Equation 2 is squared, the released code is not* (`pan-mul/Unified_XY.py` line 185, `img-speech/Unified_XY.py` line 268). The difference is not one of taste: an un-squared norm gives a gradient of constant length, so a fixed step cannot settle,
# and one exact meeting of all pairs (two dead ReLU layers are enough) makes every weight NaN. Change `rate` and watch where each reading ends.


# %%
def distances(squared, rate, steps=60):
    """‖V_a − V_b‖ over steps of gradient descent on L2 alone."""
    a, b, found = v_a, v_b, []
    for _ in range(steps):
        found.append(np.sqrt(l2(a, b)))
        da, db = alignment_backward(1.0, alignment(a, b, squared=squared)[1])
        a, b = a - rate * da, b - rate * db
    return found


# %% tags=["folded"]
def draw(axes, rate):
    for reading in ("squared", "unsquared"):
        axes.semilogy(distances(reading == "squared", rate), label=reading)
    axes.set(
        xlabel="step", ylabel="‖V_a − V_b‖", title=f"rate {rate}", ylim=(1e-12, 30)
    )


# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 2.5), sharey=True)
for axes, rate in zip(panels, (0.02, 0.1, 0.2), strict=True):
    draw(axes, rate)
panels[0].legend()
show(
    figure,
    "Squared, the gap shrinks by the same factor at each step. Unsquared, it falls by "
    "the same length at each step, and then rattles at the size of a step.",
)

# %% [markdown]
# ## Classification (eq. 3)
#
# The space should also know what is in the pictures. A linear classifier reads each point, $U = V w_c + 1 b_c^\top$, and the cross entropy of lesson 03 compares its *logits* $U$ with the
# labels. The paper writes $V_{ab}$: the rows of both modalities, one under the other, $N = 2n$ rows, **one** classifier for all. We have every piece:
#
# | step | from | gradient |
# |---|---|---|
# | loss → logits | lesson 03 | $\dot U = (P - Y)/N$, with $P$ the softmax of $U$ |
# | logits → points | lesson 02 | $\dot V = \dot U\, w_c^\top$ |
# | logits → classifier | lesson 02 | $\dot w_c = V^\top\dot U$ and $\dot b_c = \dot U^\top 1$ |
#
# The rows of $\dot V$ that came from a go to a, the others to b. And since $V^\top\dot U$ sums over all rows, the shared $w_c$ adds up what both modalities say:
# $\dot w_c = V_a^\top \dot U_a + V_b^\top \dot U_b$.

# %%
w_c = 1.5 * np.stack([np.cos(angles - 0.5), np.sin(angles - 0.5)])
b_c = np.array([0.1, 0.0, -0.1])
Y, N = np.eye(3)[y], 2 * len(y)


def l3(v_a, v_b, w_c, b_c):
    u = np.concatenate([v_a, v_b]) @ w_c + b_c
    return (
        np.log(np.exp(u).sum(axis=1)) - (u * np.concatenate([Y, Y])).sum(axis=1)
    ).sum() / N


def softmax(u):
    return np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)


du_a, du_b = [(softmax(v @ w_c + b_c) - Y) / N for v in (v_a, v_b)]
inputs, f = [v_a, v_b, w_c, b_c], lambda x: l3(*x)
errors += [
    judged("dV_a = dU_a w_c^T", du_a @ w_c.T, f, inputs, 0),
    judged("dV_b = dU_b w_c^T", du_b @ w_c.T, f, inputs, 1),
    judged("dw_c, both modalities", v_a.T @ du_a + v_b.T @ du_b, f, inputs, 2),
    judged("db_c, both modalities", (du_a + du_b).sum(axis=0), f, inputs, 3),
]
print(
    "modality a alone would be off by "
    f"{relative_error(v_a.T @ du_a, complex_step(f, inputs, 2))[0]:.0%}"
)

# %% [markdown]
# The package splits the work at the logits: the loss gives `du_a, du_b`, the network's head (below) does the rest. Three readings of $V_{ab}$ are to be had:
#
# | `classifier` | what it does | who |
# |---|---|---|
# | shared | rows of both under each other, one $w_c$ | the paper's text, as read here |
# | separate | $w_{ca}$ for a, $w_{cb}$ for b, two means added | the released code |
# | concatenated | columns side by side, a pair is one row, $w_c$ is $(2 d_v, K)$ | the other reading of $V_{ab}$ |

# %%
from cmir_ref.cmirnet.eq3_classification import classification, classification_backward

u_a, u_b = v_a @ w_c + b_c, v_b @ w_c + b_c
for reading in ("shared", "separate"):
    ours = classification_backward(
        1.0, classification(u_a, u_b, y, y, classifier=reading)[1]
    )
    g = lambda u, reading=reading: classification(*u, y, y, classifier=reading)[0]
    errors += [
        judged(f"{reading}: dU_{m}", ours[i], g, [u_a, u_b], i)
        for i, m in enumerate("ab")
    ]
assert np.allclose(
    classification_backward(1.0, classification(u_a, u_b, y, y)[1])[0], du_a, atol=1e-16
)

# %% [markdown]
# **About the paper.** *One classifier or two?* The released code has two (`pan-mul/Unified_XY.py` lines 138 and 158, `img-speech/Unified_XY.py` lines 221 and 243). With two heads, each modality may put its classes wherever it likes; nothing in eq. 3 says that an airplane of a belongs near an airplane of b.
# Run both readings from the same start, points and heads free, this loss alone. The number above each picture is the *average precision* (AP) of a search: how far up the right
# answers stand, 1 if all come first (lesson 10 takes it apart).

# %%
from cmir_ref.retrieval import average_precision


def train_heads(reading, steps=400, rate=2.0, seed=3):
    """Points and heads after gradient descent on L3 alone; returns V_a, V_b."""
    random = np.random.default_rng(seed)
    a, b = 0.3 * random.normal(size=(2, 12, 2))
    w = (
        list(random.normal(size=(2, 2, 3)))
        if reading == "separate"
        else [random.normal(size=(2, 3))]
    )
    for _ in range(steps):
        cache = classification(a @ w[0], b @ w[-1], y, y, classifier=reading)[1]
        du = classification_backward(1.0, cache)
        dw = [v.T @ d for v, d in zip((a, b), du, strict=True)]
        a, b = a - rate * du[0] @ w[0].T, b - rate * du[1] @ w[-1].T
        for place in range(2):  # a shared head is reached by both
            w[place if reading == "separate" else 0] -= rate * dw[place]
    return a, b


def map_of(a, b):
    """Mean average precision, queries from a, gallery b."""
    return float(
        average_precision(
            ((a[:, None] - b[None]) ** 2).sum(axis=2), y[:, None] == y[None]
        ).mean()
    )


# %% tags=["folded"]
figure, panels = plt.subplots(1, 3, figsize=(8.6, 2.9))
for axes, (reading, seed) in zip(
    panels, [("shared", 3), ("separate", 3), ("separate", 4)], strict=True
):
    a, b = train_heads(reading, seed=seed)
    scatter(axes, a, b)
    plane(axes, f"{reading}, seed {seed}\nAP a → b = {map_of(a, b):.2f}", reach=3)
show(
    figure,
    "L3 alone. One head for both: a class is one direction, for filled and hollow "
    "alike. Two heads: each modality is well sorted, but by its own compass.",
)

# %%
ap = {
    r: np.mean([map_of(*train_heads(r, seed=s)) for s in range(8)])
    for r in ("shared", "separate")
}
print(
    f"AP a → b, mean of 8 starts: shared {ap['shared']:.2f}, separate "
    f"{ap['separate']:.2f}"
)
assert ap["shared"] > ap["separate"] + 0.2

# %% [markdown]
# ## Feature norm (eq. 4)
#
# $$\mathcal L_4 = \lVert V_a\rVert_F^2 + \lVert V_b\rVert_F^2, \qquad \dot V_a = 2V_a, \quad \dot V_b = 2V_b .$$
#
# It is eq. 2 with the partner at the origin, so there is nothing new to derive. A step of size $\eta$ multiplies every point by $1-2\eta$: the cloud keeps its shape and shrinks. Distances shrink with it,
# and their *order* does not change.

# %%
from cmir_ref.cmirnet.eq4_feature_norm import feature_norm, feature_norm_backward

dv_a, dv_b = feature_norm_backward(1.0, feature_norm(v_a, v_b)[1])
l4 = lambda v: (v[0] * v[0]).sum() + (v[1] * v[1]).sum()
errors += [
    judged("dV_a = 2 V_a", dv_a, l4, [v_a, v_b], 0),
    judged("dV_b = 2 V_b", dv_b, l4, [v_a, v_b], 1),
]
a, b = v_a, v_b
for _ in range(100):
    da, db = feature_norm_backward(1.0, feature_norm(a, b)[1])
    a, b = a - 0.05 * da, b - 0.05 * db
print(
    f"after 100 steps of 0.05: size × {np.linalg.norm(a) / np.linalg.norm(v_a):.2e}, "
    f"0.9^100 = {0.9**100:.2e}"
)
print(f"AP a → b before {map_of(v_a, v_b):.4f}, after {map_of(a, b):.4f}")
assert np.isclose(map_of(v_a, v_b), map_of(a, b))
outwards = [
    np.linalg.norm(train_heads("shared", steps=steps)[0]) for steps in (40, 400, 4000)
]
print(
    "L3 alone: ‖V_a‖ after 40, 400, 4000 steps: "
    f"{', '.join(f'{size:.2f}' for size in outwards)}"
)
assert outwards[0] < outwards[1] < outwards[2]

# %% [markdown]
# **About the paper.** *Equation 4 is not in the released code*: only commented-out remnants of it are (`pan-mul/Unified_XY.py` lines 183–184, `img-speech/Unified_XY.py` lines 266–267). By itself it adds no knowledge about pictures. Its use is to keep the other terms from
# growing the space without end: cross entropy is never satisfied, and with L3 alone the points walk outwards for as long as one trains.
#
# ## Reconstruction (eq. 5)
#
# A *decoder* $D_{ab}$ tries to rebuild the features of b from the point of a, and $D_{ba}$ those of a from the point of b:
#
# $$\mathcal L_5 = \lVert D_{ab}(V_a) - Z_b\rVert_F^2 + \lVert D_{ba}(V_b) - Z_a\rVert_F^2 .$$
#
# Start with a decoder of one linear layer, $H = V_a w_{ab}$. From the loss to $H$ it is eq. 2 again, from $H$ on it is lesson 02:
#
# $$\dot H = 2(H - Z_b), \qquad \dot w_{ab} = V_a^\top \dot H, \qquad \dot V_a = \dot H\, w_{ab}^\top, \qquad \dot Z_b = -\dot H .$$

# %%
w_ab, w_ba = np.array([[0.9, 0.5], [-0.4, 1.0]]), np.array([[0.8, -0.6], [0.5, 0.7]])
middles = 1.6 * np.stack([np.cos(angles - 0.4), np.sin(angles - 0.4)], axis=1)
z_a, z_b = [middles[y] @ w + 0.15 * rng.normal(size=(12, 2)) for w in (w_ba, w_ab)]


def l5(v_a, w_ab, z_b):
    gap = v_a @ w_ab - z_b
    return (gap * gap).sum()


dh = 2 * (v_a @ w_ab - z_b)
inputs, f = [v_a, w_ab, z_b], lambda x: l5(*x)
errors += [
    judged("dV_a  = dH w_ab^T", dh @ w_ab.T, f, inputs, 0),
    judged("dw_ab = V_a^T dH", v_a.T @ dh, f, inputs, 1),
    judged("dZ_b  = -dH", -dh, f, inputs, 2),
]

# %% [markdown]
# The last line deserves a second look. If the targets are trained along, as the released image–speech code does, the loss can be made smaller by moving the *target*: $Z$ may shrink to please its decoder. The
# package drops $\dot Z$ there, unless the setting `target_gradient` says "flow".
#
# The package's function takes both reconstructions at once, and knows the released code's other reading: **own** targets, each decoder rebuilds the features of its own modality.

# %%
from cmir_ref.cmirnet.eq5_reconstruction import reconstruction, reconstruction_backward

from_a, from_b = v_a @ w_ab, v_b @ w_ba
arrays = [from_a, from_b, z_a, z_b]
for target in ("cross", "own"):
    ours = reconstruction_backward(1.0, reconstruction(*arrays, target=target)[1])
    f = lambda x, target=target: reconstruction(*x, target=target)[0]
    names = ("dfrom_a", "dfrom_b", "dZ_a", "dZ_b")
    errors += [
        judged(f"{target}: {name}", ours[i], f, arrays, i)
        for i, name in enumerate(names)
    ]

# %% [markdown]
# **About the paper.** *Rebuild the other, or oneself?* Equation 5 is cross-modal and squared. The released code takes un-squared norms here too (`pan-mul/Unified_XY.py` lines 183–184), and its image–speech version lets each
# modality rebuild itself (`img-speech/Unified_XY.py` lines 266–267). To see what the second change does, give both modalities one thing in common ($s$, hidden in both) and a thing of their own ($p_a$, $p_b$),
# fainter, equal or louder, and let a single number $v$ pass through encoder and decoder. What does $v$ keep?

# %%
n = 400
s, p_a, p_b = rng.normal(size=(3, n))
mix = {m: np.linalg.qr(rng.normal(size=(4, 4)))[0][:2] for m in "ab"}


def train_autoencoder(target, loudness, steps=600, rate=0.05):
    """v_a = Z_a e, H = v_a w, gradient descent on L5 alone; returns v_a."""
    z_a, z_b = (
        np.stack([s, loudness * p], axis=1) @ mix[m]
        for m, p in (("a", p_a), ("b", p_b))
    )
    random = np.random.default_rng(0)
    e, w = 0.3 * random.normal(size=(4, 1)), 0.3 * random.normal(size=(1, 4))
    goal = z_b if target == "cross" else z_a
    for _ in range(steps):
        v = z_a @ e
        dh = 2 * (v @ w - goal) / n
        e, w = e - rate * z_a.T @ (dh @ w.T), w - rate * v.T @ dh
    return v[:, 0]


print("         own part    |correlation| of v_a with what both share, with its own")
kept = {}
for target in ("cross", "own"):
    for loudness in (0.7, 1.0, 2.0):
        v = train_autoencoder(target, loudness)
        kept[target, loudness] = [abs(np.corrcoef(v, one)[0, 1]) for one in (s, p_a)]
        shared, own = kept[target, loudness]
        print(f"{target:8} × {loudness} {shared:26.2f} {own:26.2f}")
assert all(kept["cross", loudness][0] > 0.95 for loudness in (0.7, 1.0, 2.0))
assert kept["own", 2.0][1] > 0.95 and kept["own", 2.0][0] < 0.2
assert kept["own", 0.7][0] > 0.95 and kept["own", 0.7][1] < 0.2

# %% [markdown]
# Who has to rebuild the other one keeps what both share, however loud the rest is. Who has to rebuild itself keeps what is loudest: its own part where that is louder, and nothing then connects the two
# spaces; the shared part where that is (row × 0.7). So own targets are not wrong in themselves. They leave it to the data.
#
# ## Four pushes, side by side
#
# Now all four on the toy. Grey lines in the second picture are the borders of the (fixed) classifier; crosses in the fourth show where a decoder would be content: $Z_b w_{ab}^{-1}$.


# %%
def pushes(v_a, v_b):
    """{term: (-dV_a, -dV_b)}: where each loss alone wants the points to go, heads
    held."""
    du = classification_backward(
        1.0, classification(v_a @ w_c + b_c, v_b @ w_c + b_c, y, y)[1]
    )
    dh = reconstruction_backward(
        1.0, reconstruction(v_a @ w_ab, v_b @ w_ba, z_a, z_b)[1]
    )
    found = {
        "L2, alignment": alignment_backward(1.0, alignment(v_a, v_b)[1]),
        "L3, classification": (du[0] @ w_c.T, du[1] @ w_c.T),
        "L4, feature norm": feature_norm_backward(1.0, feature_norm(v_a, v_b)[1]),
        "L5, reconstruction": (dh[0] @ w_ab.T, dh[1] @ w_ba.T),
    }
    return {name: (-a, -b) for name, (a, b) in found.items()}


# %% tags=["folded"]
def backdrop(axes, name):
    """Class regions behind L3, the decoders' goals behind L5."""
    if name.startswith("L3"):
        grid = np.stack(
            np.meshgrid(np.linspace(-2.6, 2.6, 140), np.linspace(-2.6, 2.6, 140)),
            axis=-1,
        )
        axes.contour(
            grid[..., 0],
            grid[..., 1],
            (grid @ w_c + b_c).argmax(axis=-1),
            levels=[0.5, 1.5],
            colors="#888888",
            linewidths=0.8,
        )
    if name.startswith("L5"):
        axes.plot(*(z_b @ np.linalg.inv(w_ab)).T, "x", ls="none", color="#555555", ms=5)


# %%
figure, panels = plt.subplots(1, 4, figsize=(11, 3.1))
for axes, (name, push) in zip(panels, pushes(v_a, v_b).items(), strict=True):
    backdrop(axes, name)
    longest = np.abs(np.concatenate(push)).max()
    for v, p in zip((v_a, v_b), push, strict=True):
        axes.quiver(
            *v.T,
            *(p / longest).T,
            angles="xy",
            scale_units="xy",
            scale=1.1,
            width=0.008,
            color="#555555",
        )
    scatter(axes, v_a, v_b, size=18)
    plane(axes, name)
show(
    figure,
    "The negative gradients, each panel to its own scale: to the partner, into the "
    "class's own region, to the origin, to where the decoder is content (crosses: "
    "goals of the filled points).",
)

# %% [markdown]
# Follow the arrows, and each loss shows what it would do if it were alone. Change `rate` or `steps`, or add two entries of `pushes` to see a compromise.


# %%
def move(name, rate, steps=150):
    """The paths (steps + 1, 12, 2) of both modalities under one loss."""
    paths = [(v_a, v_b)]
    for _ in range(steps):
        a, b = paths[-1]
        da, db = pushes(a, b)[name]
        paths.append((a + rate * da, b + rate * db))
    return [np.array(path) for path in zip(*paths, strict=True)]


RATES = {
    "L2, alignment": 0.02,
    "L3, classification": 1.0,
    "L4, feature norm": 0.004,
    "L5, reconstruction": 0.02,
}
figure, panels = plt.subplots(1, 4, figsize=(11, 3.1))
ends = {}
for axes, (name, rate) in zip(panels, RATES.items(), strict=True):
    backdrop(axes, name)
    paths = move(name, rate)
    for path in paths:
        for i in range(12):
            axes.plot(*path[:, i].T, color=COLOUR[y[i]], lw=0.8, ls="-")
    ends[name] = (paths[0][-1], paths[1][-1])
    scatter(axes, *ends[name], size=18)
    plane(axes, f"{name}\nAP a → b {map_of(v_a, v_b):.2f} → {map_of(*ends[name]):.2f}")
show(
    figure,
    "150 steps under each loss alone; the thin lines are the paths. L2 and L5 bring "
    "filled and hollow together, L3 sorts by class, L4 changes no ranking.",
)

# %% [markdown]
# ## The network around it
#
# Encoders and decoders are stacks of what lesson 02 built: linear, ReLU, linear, ReLU … (a *multi-layer perceptron*, MLP). With $H_0 = Z$, $S_l = H_{l-1}W_l + 1b_l^\top$ and $H_l = \phi(S_l)$, the way
# back is the same three lines at each layer, from the last to the first:
#
# $$\delta_l = \dot H_l \odot \phi'(S_l), \qquad \dot W_l = H_{l-1}^\top\delta_l,\quad \dot b_l = \delta_l^\top 1, \qquad \dot H_{l-1} = \delta_l W_l^\top .$$
#
# Here they are by hand for two layers, beside the package's loop over them.

# %%
from cmir_ref.nets.mlp import mlp, mlp_backward

x, upstream = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
net = {
    "e.1.w": rng.normal(size=(4, 3)),
    "e.1.b": rng.normal(size=3),
    "e.2.w": rng.normal(size=(3, 2)),
    "e.2.b": rng.normal(size=2),
}

s1 = x @ net["e.1.w"] + net["e.1.b"]
h1 = np.maximum(s1, 0)
s2 = h1 @ net["e.2.w"] + net["e.2.b"]
delta2 = upstream * (s2 > 0)
delta1 = (delta2 @ net["e.2.w"].T) * (s1 > 0)
by_hand = {
    "e.1.w": x.T @ delta1,
    "e.1.b": delta1.sum(axis=0),
    "e.2.w": h1.T @ delta2,
    "e.2.b": delta2.sum(axis=0),
}

out, caches = mlp(net, "e", x, depth=2)
grads, dx = mlp_backward(upstream, caches)
for i, name in enumerate(net):
    f = lambda arrays: (
        mlp(dict(zip(net, arrays, strict=True)), "e", x, depth=2)[0] * upstream
    ).sum()
    errors.append(judged(f"{name}, by hand", by_hand[name], f, list(net.values()), i))
    assert np.allclose(by_hand[name], grads[name], rtol=1e-13)
assert np.allclose(dx, delta1 @ net["e.1.w"].T, rtol=1e-13)

# %% [markdown]
# **A thing used twice.** In stage 1 the features $Z$ go to the classifier *and* to whoever reads them; the way back adds. The package's `head`, linear → ReLU → $Z$ → dropout → linear,
# has one such sum, and `latent_network` has one for each modality: a point $V$ goes to the losses L2 and L4, to the classifier and to a decoder, so
#
# $$\dot V_a = \underbrace{\dot V_a^{(2)} + \dot V_a^{(4)}}_{\text{losses}} + \underbrace{\dot U_a w_c^\top}_{\text{classifier}} + \underbrace{\delta_1 W_1^\top}_{\text{decoder}} .$$
#
# Both are compositions of pieces that we have; so a check of the whole, with a random upstream at every output, is a check of the glue.

# %%
from cmir_ref.cmirnet.latent import (
    Latent,
    init_latent,
    latent_network,
    latent_network_backward,
)
from cmir_ref.nets.head import PretrainerOutput, head, head_backward


def worst_of(params, forward, grads, upstream):
    """The worst relative error over all parameters; the scalar is the sum of upstream
    · output."""
    names = list(params)

    def f(arrays):
        out = forward(dict(zip(names, arrays, strict=True)))
        return sum(
            (d * o).sum() for d, o in zip(upstream, out, strict=True) if o is not None
        )

    found = [
        relative_error(grads[k], complex_step(f, list(params.values()), i))[0]
        for i, k in enumerate(names)
    ]
    return max(found), names[int(np.argmax(found))]


params = {
    "fc.w": rng.normal(size=(4, 3)),
    "fc.b": rng.normal(size=3),
    "classifier.w": rng.normal(size=(3, 2)),
    "classifier.b": rng.normal(size=2),
}
mask = rng.random((5, 3)) > 0.3
out, cache = head(params, x, mask, 0.3)
upstream = PretrainerOutput(*[rng.normal(size=part.shape) for part in out])
error_head, _ = worst_of(
    params,
    lambda p: head(p, x, mask, 0.3)[0],
    head_backward(upstream, cache)[0],
    upstream,
)
print(f"head, logits and Z and S pushed at once: worst {error_head:.0e}")

arch = Latent(d_v=2, encoder_depth=2, decoder_depth=2)
latent, _ = init_latent(arch, (4, 3), 3, np.random.default_rng(1), "xavier")
latent = {name: value.astype(float) for name, value in latent.items()}
z = rng.random((6, 4)), rng.random((6, 3))
forward = lambda p: latent_network(p, z, arch=arch, mode="inference")
out, cache = forward(latent)
upstream = type(out)(*[rng.normal(size=part.shape) for part in out])
error_latent, where = worst_of(
    latent,
    lambda p: forward(p)[0],
    latent_network_backward(upstream, cache)[0],
    upstream,
)
print(
    f"latent network, {len(latent)} parameter arrays, six outputs pushed at once: worst "
    f"{error_latent:.0e} ({where})"
)
assert max(error_head, error_latent) < 1e-12

# %% [markdown]
# ## Your turn: five gradients
#
# One more reading of eq. 3 is left: the *concatenated* head. A pair is one row $[v_a, v_b]$ of $2 d_v$ numbers, $u = [v_a, v_b]\,w_c$ with $w_c$ of shape $(2d_v, K)$, one label a pair. And let all Frobenius terms be
# *means over the n pairs*. Write the five gradients. Each is one line. (Before you run it: which way do the arrows of each one point?)


# %% tags=["exercise"]
def five(v_a, v_b, w_c, w_ab, z_b, Y):
    return {
        "L2 by v_b": np.zeros_like(v_b),  # yours: L2 = |v_a - v_b|^2 / n
        "L3 by w_c": np.zeros_like(
            w_c
        ),  # yours: L3 = mean cross entropy of [v_a, v_b] w_c and Y
        "L3 by v_b": np.zeros_like(v_b),  # yours
        "L4 by v_a": np.zeros_like(v_a),  # yours: L4 = (|v_a|^2 + |v_b|^2) / n
        "L5 by v_a": np.zeros_like(v_a),  # yours: L5 = |v_a w_ab - z_b|^2 / n
    }


# %% tags=["solution"]
def five(v_a, v_b, w_c, w_ab, z_b, Y):
    n, d = v_a.shape
    joined = np.concatenate([v_a, v_b], axis=1)
    du = (softmax(joined @ w_c) - Y) / n
    return {
        "L2 by v_b": -2 * (v_a - v_b) / n,
        "L3 by w_c": joined.T @ du,
        "L3 by v_b": du @ w_c[d:].T,  # the rows of w_c that met v_b
        "L4 by v_a": 2 * v_a / n,
        "L5 by v_a": 2 * (v_a @ w_ab - z_b) @ w_ab.T / n,
    }


# %% tags=["check"]
from cmir_ref.gradcheck import explain

random = np.random.default_rng(5)
wide = random.normal(size=(4, 3))
ce = lambda u: (np.log(np.exp(u).sum(axis=1)) - (u * Y).sum(axis=1)).mean()
joined = lambda a, b: np.concatenate([a, b], axis=1)
losses = {  # what moves, and the loss
    "L2 by v_b": (v_b, lambda x: l2(v_a, x) / 12),
    "L3 by w_c": (wide, lambda x: ce(joined(v_a, v_b) @ x)),
    "L3 by v_b": (v_b, lambda x: ce(joined(v_a, x) @ wide)),
    "L4 by v_a": (v_a, lambda x: l4([x, v_b]) / 12),
    "L5 by v_a": (v_a, lambda x: l5(x, w_ab, z_b) / 12),
}
QUESTIONS = {
    "L2 by v_b": "which way does v_b go to come nearer to v_a?",
    "L3 by w_c": "who met w_c? the rows [v_a, v_b]; and softmax is over classes",
    "L3 by v_b": "which rows of w_c meet v_b?",
    "L4 by v_a": "each entry of v_a stands there squared, and v_b does not move",
    "L5 by v_a": "what stands between v_a and v_a w_ab − z_b, and which way round?",
}
try:
    ours = five(v_a, v_b, wide, w_ab, z_b, Y)
except ValueError as refused:
    raise AssertionError(
        f"shapes do not fit: {refused}; is a transpose missing?"
    ) from None
wrong = []
for name, (moving, loss) in losses.items():
    said = explain(
        lambda x, loss=loss: (loss(x), x),
        lambda dloss, cache, name=name: dloss * ours[name],
        {name[6:]: moving},
    )
    wrong += [f"{name}:\n{said}\n({QUESTIONS[name]})"] if said else []
assert not wrong, "\n".join(wrong)
print("all five agree with what is measured")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    worst_error_of_eq_2_to_5=max(errors),
    error_of_head_and_latent_network=max(error_head, error_latent),
    ap_of_a_shared_head=ap["shared"],
    ap_of_separate_heads=ap["separate"],
    what_cross_targets_keep_of_the_shared_part=kept["cross", 2.0][0],
    what_own_targets_keep_of_a_fainter_shared_part=kept["own", 2.0][0],
    what_own_targets_keep_of_a_louder_shared_part=kept["own", 0.7][0],
    gap_left_by_the_unsquared_norm=distances(False, 0.2)[-1],
)

# %% [markdown]
# ## What you learned
#
# Alignment pulls the two members of a pair together, classification sorts by label, the feature norm shrinks everything alike, and reconstruction keeps what one modality tells about the other. Each gradient is
# a difference times 2, or $P - Y$, sent back through linear layers; a point that feeds several consumers gets the sum of what they say. The released code's readings, roots, two heads and own targets, are other
# losses with other results, and running both shows it.
#
# ## Next
#
# [08 · Why α?](08_why_alpha.ipynb): what keeps all of this from shrinking to one point. In the package: [`eq2_alignment.py`](../cmir_ref/cmirnet/eq2_alignment.py),
# [`eq3_classification.py`](../cmir_ref/cmirnet/eq3_classification.py), [`eq4_feature_norm.py`](../cmir_ref/cmirnet/eq4_feature_norm.py),
# [`eq5_reconstruction.py`](../cmir_ref/cmirnet/eq5_reconstruction.py), [`cmirnet/latent.py`](../cmir_ref/cmirnet/latent.py).
