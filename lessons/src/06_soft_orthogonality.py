# ---
# jupyter:
#   lesson:
#     question: What does soft orthogonality ask of features, can it be had, and what does it do to a network in training?
#     minutes: 40
#     needs: ["03", "04", "05"]
#     derives: [ops.frobenius, cmirnet.eq1_pretraining, nets.feature_pretrainer, nets.conv_pretrainer, nets.pretraining, cmirnet.pretraining_objective]
# ---

# %% [markdown]
# # 06 · Pretraining with soft orthogonality, equation 1
#
# **What does soft orthogonality ask of features, can it be had, and what does it do to a network in training?**
#
# CMIR-NET's first stage trains one classifier for each sensor, and keeps the 128 numbers before its last layer: the features $z$ of a sample. A classifier alone is content when a few of them do all the work and the rest
# repeat it. Equation 1 adds a term against repetition. Its instrument is the *Gram matrix* $Z^\top Z$: entry $(i, j)$ is the inner product of feature $i$ with feature $j$ over all samples.
# Its *eigenvalues*, the *spectrum*, say how much energy $Z$ has along each of $D$ directions at right angles; how many are not 0 is the *rank*, the number of independent things that the features say.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(6)


def gram_picture(axes, gram, title):
    """A Gram matrix with its numbers written in."""
    limit = np.abs(gram).max()
    axes.imshow(gram, cmap="PuOr", vmin=-limit, vmax=limit)
    for (i, j), value in np.ndenumerate(gram):
        text = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
        dark = abs(value) > 0.6 * limit
        axes.text(
            j,
            i,
            text,
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )
    axes.set(
        title=title,
        xlabel="feature",
        ylabel="feature",
        xticks=range(len(gram)),
        yticks=range(len(gram)),
    )


N, D = 40, 4
causes = np.linalg.qr(rng.normal(size=(N, 2)))[0]
redundant = causes @ rng.normal(size=(2, D)) / np.sqrt(2)  # four features, two causes
orthonormal = np.linalg.qr(rng.normal(size=(N, D)))[0]
figure, panels = plt.subplots(1, 3, figsize=(7.4, 2.3), width_ratios=(1, 1, 1.1))
gram_picture(panels[0], redundant.T @ redundant, "redundant: two causes")
gram_picture(panels[1], orthonormal.T @ orthonormal, "orthonormal")
for name, z, mark in (("redundant", redundant, "o"), ("orthonormal", orthonormal, "s")):
    panels[2].plot(
        range(1, D + 1), np.linalg.eigvalsh(z.T @ z)[::-1], marker=mark, label=name
    )
panels[2].set(title="spectrum", xlabel="number", ylabel="eigenvalue of ZᵀZ")
panels[2].legend()
show(
    figure,
    "Four features of 40 samples. Left: everything is a mixture of two things, and "
    "only two eigenvalues are not zero. Middle: the goal of eq. 1, the identity; all "
    "eigenvalues are 1.",
)

# %% [markdown]
# ## Soft orthogonality (eq. 1)
#
# With the cross entropy of lesson 03 and $Z$ an $N\times D$ matrix, one row a sample, the loss of the first stage is
#
# $$\mathcal L = \mathrm{CE}(\text{logits}, \text{labels}) + \lambda\,O(Z), \qquad O(Z) = \|Z^\top Z - I\|_F^2 .$$
#
# $\|A\|_F^2$, the squared *Frobenius norm*, is the sum of the squares of all entries: $O$ is the sum of squared differences between the Gram matrix and the identity. *Soft*, because it is a price and not a rule.
#
# The Frobenius norm first. $\partial/\partial a_{ij}\sum a^2 = 2a_{ij}$: every entry has its own square, so the gradient is $2A$. Without the square, $\sqrt{\sum a^2}$ has the gradient $A/\|A\|_F$. Both are measured:

# %%
from cmir_ref.gradcheck import check_gradient, complex_step
from cmir_ref.ops.frobenius import frobenius, frobenius_backward

A = rng.normal(size=(4, 3))
for squared, by_hand in ((True, 2 * A), (False, A / np.sqrt((A * A).sum()))):
    measured = complex_step(
        lambda arrays, squared=squared: frobenius(arrays[0], squared=squared)[0], [A], 0
    )
    package = frobenius_backward(1.0, frobenius(A, squared=squared)[1])
    print(
        f"{'squared' if squared else 'unsquared':10} by hand "
        f"{np.abs(by_hand - measured).max():.0e}   package "
        f"{np.abs(package - measured).max():.0e}"
    )
    assert np.allclose(by_hand, measured, rtol=1e-13) and np.allclose(
        package, measured, rtol=1e-13
    )

# %% [markdown]
# **One feature.** Then $Z$ is a column $z$, the Gram matrix is a number $q = \sum_n z_n^2$, and $O = (q-1)^2$. The chain rule in two steps: $\delta O = 2(q-1)\,\delta q$, and $\delta q = \sum 2z_n\,\delta z_n$. So the gradient is $4z\,(q-1)$. It
# pushes $z$ to shrink where its energy $q$ is above 1 and to grow where it is below.
#
# **Many features.** The same two steps, with matrices. Write $G = Z^\top Z - I$ and $\langle A, B\rangle = \sum_{ij} A_{ij}B_{ij}$. When $Z$ makes a small move $\delta Z$ (a δ is a move, a dot or a d a gradient),
#
# | step | rule | says |
# |---|---|---|
# | 1 | the square | $\delta O = 2\,\langle G, \delta G\rangle$ |
# | 2 | the product, on both factors | $\delta G = \delta Z^\top Z + Z^\top\delta Z$ |
# | 3 | yours | $\delta O = \langle\,?\,,\; \delta Z\rangle$, and $?$ is the gradient |
#
# Steps 1 and 2 are checked along a random direction $\delta Z$: move $Z$ by $ih\,\delta Z$, and look at imaginary parts.

# %%
column = rng.normal(size=5)
by_hand = 4 * column * ((column**2).sum() - 1)
excess = lambda arrays: (arrays[0] * arrays[0]).sum() - 1
one_feature = np.abs(
    by_hand - complex_step(lambda arrays: excess(arrays) * excess(arrays), [column], 0)
).max()

Z, move, h = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), 1e-30
G, identity = Z.T @ Z - np.eye(3), np.eye(3)
moved = Z + 1j * h * move
G_moved = moved.T @ moved - identity
measured_move_of_G, measured_move_of_O = (
    G_moved.imag / h,
    (G_moved * G_moved).sum().imag / h,
)
step_2 = move.T @ Z + Z.T @ move
step_1 = 2 * (G * step_2).sum()
draw = np.random.default_rng(61).normal
A, B, C = draw(size=(4, 3)), draw(size=(4, 5)), draw(size=(5, 3))
sides = [(A * (B @ C)).sum(), ((B.T @ A) * C).sum(), ((A @ C.T) * B).sum()]
assert np.allclose(sides, sides[0], rtol=1e-12)
print(f"one feature: {one_feature:.0e}")
print(f"step 2, δG:  {np.abs(step_2 - measured_move_of_G).max():.0e}")
print(
    f"step 1, δO:  {abs(step_1 - measured_move_of_O) / abs(measured_move_of_O):.0e} (relative)"
)
assert (
    one_feature < 1e-12
    and np.allclose(step_2, measured_move_of_G, rtol=1e-12)
    and np.isclose(step_1, measured_move_of_O, rtol=1e-12)
)

# %% [markdown]
# ## Your turn
#
# Do step 3. Two rules for $\langle\cdot,\cdot\rangle$ suffice, and both only say that a sum may be done in another order. First, $\langle A, B\rangle = \langle A^\top, B^\top\rangle$. Second, write the product out:
# $\langle A, BC\rangle = \sum_{ij}A_{ij}\sum_k B_{ik}C_{kj}$. Sum over $i$ first, and $C_{kj}$ stands beside $\sum_i B_{ik}A_{ij}$, an entry of $B^\top A$; sum over $j$ first, and $B_{ik}$ stands beside $\sum_j A_{ij}C_{kj}$, an entry of $AC^\top$:
#
# $$\langle A, BC\rangle = \langle B^\top A,\, C\rangle = \langle A C^\top,\, B\rangle .$$
#
# Whoever multiplies a moving matrix from the left goes to the other side transposed, and so does whoever multiplies it from the right. (Lesson 02's $\dot w = x^\top\dot s$ and $\dot x = \dot s\,w^\top$ are these two.) Note that $G$ is symmetric. For a single feature your answer must be $4z(q-1)$.


# %% tags=["exercise"]
def orthogonality_gradient(z):
    """∂/∂Z ‖ZᵀZ − I‖²_F, shape (N, D)."""
    return 2 * z  # yours


# %% tags=["solution"]
def orthogonality_gradient(z):
    # ⟨G, δZᵀZ⟩ = ⟨Gᵀ, ZᵀδZ⟩ = ⟨G, ZᵀδZ⟩: both parts are equal
    # δO = 4⟨G, ZᵀδZ⟩ = 4⟨ZG, δZ⟩
    return 4 * z @ (z.T @ z - np.eye(z.shape[1]))


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import combination


def excess_squared(z):
    excess = z.T @ z - np.eye(z.shape[1])
    return (excess * excess).sum(), z


def answered(do, z):
    return do * orthogonality_gradient(z)


for shape in ((5, 3), (3, 5), (4, 4), (7, 1)):
    z_own = np.random.default_rng(60).normal(size=shape)
    case = f"{shape[0]} samples, {shape[1]} features"
    try:
        answer = orthogonality_gradient(z_own)
    except ValueError as refused:
        raise AssertionError(
            f"{case}: {refused}. ZᵀZ − I is (D, D), Z is (N, D): which of the two orders "
            "fits?"
        ) from None
    assert np.shape(answer) == shape, (
        f"{case}: the gradient has shape {np.shape(answer)}, Z has {shape}"
    )
    gram = lambda a: ((a[0].T @ a[0]) * (a[0].T @ a[0])).sum()
    parts = {
        "the gradient of ‖ZᵀZ‖²": complex_step(gram, [z_own], 0),
        "that of −2‖Z‖² (the I)": complex_step(
            lambda a: -2 * (a[0] * a[0]).sum(), [z_own], 0
        ),
    }
    mixed = combination(answer, parts) if shape[1] > 1 else ""
    assert not mixed, (
        f"{case}: yours is {mixed}; each belongs there once "
        "(half of it: one of the two parts of δG)"
    )
    with_ones = complex_step(
        lambda a: ((a[0].T @ a[0] - 1) * (a[0].T @ a[0] - 1)).sum(), [z_own], 0
    )
    assert shape[1] == 1 or not np.allclose(answer, with_ones), (
        f"{case}: yours is right for ‖ZᵀZ − ones‖²; I has its ones on the diagonal alone"
    )
    said = explain(excess_squared, answered, {"z": z_own})
    assert not said, f"{case}:\n{said}\n(Z stands twice in ZᵀZ: do both reach it?)"
print("right, for more samples than features, for fewer, and for one feature")

# %% [markdown]
# $\nabla O = 4\,Z\,(Z^\top Z - I)$. The package also has a scaled form, which divides the Gram matrix by the number of samples, and the paper's literal target; both have the same gradient with other constants:

# %%
import inspect

from cmir_ref.cmirnet.eq1_pretraining import (
    pretraining_loss,
    soft_orthogonality,
    soft_orthogonality_backward,
)

print(inspect.getsource(soft_orthogonality_backward).split('"""')[-1])
error_of_orthogonality = 0.0
for name, reading in {
    "identity": {},
    "scaled": {"scaled": True},
    "ones": {"target": "ones"},
}.items():
    found = check_gradient(
        lambda z, r=reading: soft_orthogonality(z, **r),
        soft_orthogonality_backward,
        [Z],
    )
    error = max(r.error for r in found if r.method == "complex-step")
    error_of_orthogonality = max(error_of_orthogonality, error)
    print(f"{name:10} complex step {error:.0e}")
assert error_of_orthogonality < 1e-12

# %% [markdown]
# ## Can it be had? Four facts
#
# Before a term goes into a loss, minimise it alone. Nothing else pulls now; what remains is what it truly asks for.


# %%
def descend(z, steps=400, rate=0.05, floor=-np.inf, **reading):
    """Gradient descent on O alone; (Z, O at each step). `floor` 0 keeps Z ≥ 0."""
    course = []
    rate *= len(z) if reading.get("scaled") else 1
    for _ in range(steps):
        o, cache = soft_orthogonality(z, **reading)
        course.append(o)
        z = np.maximum(z - rate * soft_orthogonality_backward(1.0, cache), floor)
    return z, course


features = 128
sizes = (16, 64, 128, 256)  # change me: samples in a batch
figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.4))
reached = {}
for n, mark in zip(sizes, "os^D", strict=True):
    z, course = descend(0.05 * np.random.default_rng(n).normal(size=(n, features)))
    reached[n] = course[-1], (z * z).sum(axis=1).mean()
    left.plot(course, label=f"{n} samples")
    right.plot(
        np.linalg.eigvalsh(z.T @ z)[::-1],
        marker=mark,
        markevery=(n // 8, 24),
        ms=4,
        label=f"{n} samples",
    )
left.set(xlabel="step", ylabel="O", title="128 features", xlim=(0, 100), ylim=(-5, 140))
right.set(
    xlabel="number of the eigenvalue",
    ylabel="eigenvalue of ZᵀZ",
    title="at the minimum",
)
right.legend()
show(
    figure,
    "Left: with fewer samples than features O stops far above 0. Right: n samples can "
    "carry n eigenvalues of 1; the rest stay 0, and each costs 1.",
)
print("samples   O at the minimum   128 − samples   mean ‖z‖² of a sample")
for n, (o, energy) in reached.items():
    print(f"{n:7} {o:15.4f} {max(features - n, 0):15} {energy:18.3f}")
    assert abs(o - max(features - n, 0)) < 1e-3
z = descend(0.05 * np.random.default_rng(64).normal(size=(64, features)))[0]
print(
    "64 samples: the samples' own inner products Z Zᵀ are the identity up to "
    f"{np.abs(z @ z.T - np.eye(64)).max():.0e}"
)
assert np.allclose(z @ z.T, np.eye(64), atol=1e-6)

# %% [markdown]
# **About the paper.** *Fact 1: in the paper's own setting the term cannot reach 0,* taken batch by batch, as training has to. With the *singular values* $s_i$ of $Z$ (their squares are the eigenvalues that are not 0), $O = \sum_i (s_i^2-1)^2 + (D - \text{rank})$. A batch of 64 samples has rank 64 at most, the features are 128:
# the minimum is 64. That constant does no harm to the gradient, but "orthogonal features" within one such batch there cannot be: what becomes orthogonal, at $N<D$, are the *samples* (last line), even two of one class, which the cross entropy would rather have alike.
#
# The last column holds the second fact. The sum over a batch wants $s_i = 1$ whatever the batch: from $N = D$ on, the more samples, the smaller each has to be. Divide the Gram matrix by $N$, and that is mended:

# %%
print("mean ‖z‖² of a sample at the minimum, 16 features")
print("samples      ‖ZᵀZ − I‖²     ‖ZᵀZ/N − I‖²")
energies = {}
for n in (8, 16, 64, 256, 1024):
    start = np.random.default_rng(n).normal(size=(n, 16))
    plain, scaled = (
        descend(start / np.sqrt(4 * n))[0],
        descend(start / 2, scaled=True)[0],
    )
    energies[n] = (plain * plain).sum() / n, (scaled * scaled).sum() / n
    print(f"{n:7} {energies[n][0]:14.4f} {energies[n][1]:14.4f}")
assert np.isclose(energies[64][0], 16 / 64) and np.isclose(
    energies[64][1], energies[1024][1]
)

# %% [markdown]
# **About the paper.** *Fact 2: the sum depends on the batch size.* From $N = D$ on, the scaled form wants the same of every batch: energy 1 in each feature ($\|z\|^2 = D$ on average). The plain sum wants $D/N$. A weight λ tuned at one batch size is
# wrong at another. (Below $N = D$ rank is missing: there the plain sum wants $\|z\|^2 = 1$, the scaled form $N$.)
#
# ## Fact 3: features that are not negative
#
# $Z$ in CMIR-NET is the output of a ReLU, so $Z\ge 0$. Two features are orthogonal if $\sum_n z_{ni}z_{nj} = 0$; with no negative term in the sum, *every* product must be 0: no sample may have both. Descend with $Z$ kept $\ge 0$, and look at
# the rows.

# %%
free, _ = descend(0.1 * np.abs(np.random.default_rng(2).normal(size=(36, 6))))
kept, course = descend(
    0.1 * np.abs(np.random.default_rng(2).normal(size=(36, 6))), steps=10000, floor=0
)
order = np.lexsort((-kept.max(axis=1), kept.argmax(axis=1)))
active = (kept > 0.01).sum(axis=1)

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(8, 2.6))
for axes, z, title, how in (
    (panels[0], free, "Z may be negative", {"cmap": "PuOr", "vmin": -0.6, "vmax": 0.6}),
    (panels[1], kept, "Z ≥ 0", {"cmap": "cividis", "vmin": 0, "vmax": 0.6}),
):
    picture = axes.imshow(z[order].T, aspect="auto", **how)
    axes.set(title=title, xlabel="sample (in the same order)", ylabel="feature")
    figure.colorbar(picture, ax=axes)
show(
    figure,
    "Both are minima of the same O. Left every sample has something of every feature; "
    "right each sample has one feature and nothing else.",
)

# %%
print(
    f"O: {course[-1]:.1e};  active features a sample: at most {active.max()}, on "
    f"average {active.mean():.2f}"
)
assert course[-1] < 1e-3 and active.max() == 1

# %% [markdown]
# **About the paper.** *Fact 3: behind a ReLU, exact orthogonality is a hard clustering.* Each sample may activate one feature at most, so 128 features can tell 128 groups apart, and within a group only how strong the one feature is. Only a *soft* term makes sense there. Or one asks
# for orthogonality *before* the ReLU, where numbers may be negative: the package has a setting for it, `orthogonality.before_relu`.
#
# ## Fact 4: the "vector of ones"
#
# The text below eq. 1 calls $I$ a "vector of ones". As a matrix of ones, $J = 11^\top$, the term asks that *every* inner product be 1, those of different features too.

# %%
start = 0.1 * np.random.default_rng(4).normal(size=(40, 4))
ends = {
    "identity": descend(start)[0],
    "ones": descend(start, steps=5000, rate=0.02, target="ones")[0],
}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 3, figsize=(7.4, 2.3), width_ratios=(1, 1, 1.1))
for axes, (target, z) in zip(panels, ends.items(), strict=False):
    gram_picture(axes, z.T @ z, f"target: {target}")
    panels[2].plot(
        range(1, 5),
        np.linalg.eigvalsh(z.T @ z)[::-1],
        marker="os"[target == "ones"],
        label=target,
    )
panels[2].set(title="spectrum", xlabel="number", ylabel="eigenvalue of ZᵀZ")
panels[2].legend()
show(
    figure,
    "The literal target is reached too, and there all four features are one and the "
    "same.",
)

# %%
spectrum = np.linalg.eigvalsh(ends["ones"].T @ ends["ones"])
second = spectrum[-2] / spectrum[-1]
alike = np.corrcoef(ends["ones"].T).min()
print(
    f"second eigenvalue: {second:.0e} of the first;  smallest correlation of two "
    f"features: {alike:.4f}"
)
assert (
    second < 1e-3
    and alike > 0.99
    and np.allclose(ends["ones"].T @ ends["ones"], 1, atol=0.01)
)

# %% [markdown]
# **About the paper.** *Fact 4: read literally, eq. 1 makes all features identical,* the opposite of its purpose. The slides of the talk say soft orthogonality, so the identity is meant. And: *the released code has no such term at all*, it trains on the cross
# entropy alone. The package has all three: `orthogonality.target` is `identity`, `ones` or `off`.
#
# ## A pretrainer is a chain of what you have
#
# Nothing new is needed. For vectors (here already the last layers): linear, ReLU, that is $Z$; dropout; linear; cross entropy. $Z$ is used **twice**, by the classifier and by $O$; so, as in lesson 02, its two gradients are **added**. By hand:

# %%
from cmir_ref.cmirnet.pretraining_objective import (
    pretraining_objective,
    pretraining_objective_backward,
)
from cmir_ref.nets.pretraining import choose_pretrainer
from cmir_ref.ops.dropout import dropout, dropout_backward
from cmir_ref.ops.linear import linear, linear_backward
from cmir_ref.ops.relu import relu, relu_backward
from cmir_ref.ops.softmax_cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)

network = choose_pretrainer(
    (10,)
)  # vectors of 10 numbers; its features are made 6, its classes 3
params, _ = network.init(network.arch, (10,), 6, 3, rng)
params = {
    name: p.astype(float) + 0.1 for name, p in params.items()
}  # biases of 0 could hide a mistake
x, labels, mask = (
    rng.normal(size=(8, 10)),
    rng.integers(0, 3, 8),
    rng.random((8, 6)) > 0.5,
)

s, fc = linear(x, params["fc.w"], params["fc.b"])
z, rectified = relu(s)
kept_z, dropped = dropout(z, mask, 0.5)
logits, classifier = linear(kept_z, params["classifier.w"], params["classifier.b"])
ce, entropy = softmax_cross_entropy(logits, labels)
o, orthogonal = soft_orthogonality(z)

by_hand = {}
dkept, by_hand["classifier.w"], by_hand["classifier.b"] = linear_backward(
    softmax_cross_entropy_backward(1.0, entropy), classifier
)
dz = dropout_backward(dkept, dropped) + soft_orthogonality_backward(
    0.01, orthogonal
)  # two users: added
_, by_hand["fc.w"], by_hand["fc.b"] = linear_backward(relu_backward(dz, rectified), fc)

# %% [markdown]
# The package writes the same chain once, as `feature_pretrainer` (with hidden layers of linear and ReLU in front where wanted), and joins it with eq. 1 in `pretraining_objective`. Beside our chain:

# %%
loss, cache = pretraining_objective(
    params, x, labels, network=network, masks={"z": mask}, weight=0.01
)
grads, _ = pretraining_objective_backward(1.0, cache)
print(f"loss     by hand {ce + 0.01 * o:.12f}   package {loss:.12f}")
for name, ours in by_hand.items():
    print(f"{name:13} worst difference {np.abs(ours - grads[name]).max():.0e}")
    assert np.allclose(ours, grads[name], rtol=1e-12)
assert np.isclose(pretraining_loss(logits, z, labels, weight=0.01)[0], loss)

# %% [markdown]
# For images the front is longer, three blocks, and every line of it is from an earlier lesson:
#
# | step | a MUL tile becomes | lesson |
# |---|---|---|
# | image | 64 × 64 × 4 | |
# | conv to 32, pool by 2, leaky ReLU, norm | 32 × 32 × 32 | 04, 02, 05 |
# | conv to 64, pool by 2, leaky ReLU, norm | 16 × 16 × 64 | |
# | conv to 128, pool by 4, leaky ReLU, norm | 4 × 4 × 128 = 2048 | |
# | linear, ReLU: the features $Z$ | 128 | 02 |
# | dropout, linear: the logits | classes | 05, 02 |
# | softmax cross entropy $+\ \lambda\,O(Z)$ | one number | 03, 06 |
#
# **About the paper.** *The kernels in the text do not fit together:* (3×3×ch×32), (3×3×32×**32**), (3×3×**64**×128). The third would read 64 channels where 32 arrive. The released code has 32 → 64 → 128, and so has this package. Here it is, composed
# by hand and by the package.

# %%
from cmir_ref.ops.batch_norm import batch_norm
from cmir_ref.ops.conv import conv
from cmir_ref.ops.max_pool import max_pool
from cmir_ref.ops.relu import leaky_relu

try:
    conv(np.zeros((1, 8, 8, 32)), np.zeros((3, 3, 64, 128)), np.zeros(128))
except ValueError:
    print("the text's third kernel refuses the second's 32 channels")
else:
    raise AssertionError("32 channels went into a kernel of 64")

mul = choose_pretrainer((64, 64, 4))
params, buffers = mul.init(mul.arch, (64, 64, 4), 128, 8, rng)
tiles = rng.normal(size=(2, 64, 64, 4)).astype("float32")
step = tiles
for i, pool in ((1, 2), (2, 2), (3, 4)):
    step = conv(step, params[f"conv.{i}.w"], params[f"conv.{i}.b"])[0]
    step = leaky_relu(max_pool(step, pool)[0], 0.01)[0]
    own = [
        params[f"norm.{i}.gamma"],
        params[f"norm.{i}.beta"],
        buffers[f"norm.{i}.mean"],
        buffers[f"norm.{i}.var"],
    ]
    step = batch_norm(step, *own, mode="inference")[0]
    print(f"behind block {i}: {step.shape}")
z = relu(linear(step.reshape(2, -1), params["fc.w"], params["fc.b"])[0])[0]
out, _ = mul.forward(params, tiles, arch=mul.arch, mode="inference", buffers=buffers)
print(f"Z {z.shape}: by hand against package {np.abs(z - out.z).max():.0e} (float32)")
print(f"parameters: {sum(p.size for p in params.values()):,}")
assert np.allclose(z, out.z, rtol=1e-4, atol=1e-4)

# %% [markdown]
# And its gradient as a whole? A network of thousands of parameters is too large to move entry by entry, but one can move *all at once* along a random direction $d$, and compare $\langle\nabla\mathcal L, d\rangle$ with the complex step along
# $d$. One evaluation judges every parameter; five directions are drawn.

# %%
from cmir_ref.gradcheck import directional
from cmir_ref.nets.conv_pretrainer import (
    ConvPretrainer,
    conv_pretrainer,
    conv_pretrainer_backward,
    init_conv_pretrainer,
)
from cmir_ref.nets.pretraining import Pretrainer

conv_functions = (init_conv_pretrainer, conv_pretrainer, conv_pretrainer_backward)
small = Pretrainer(
    *conv_functions, ConvPretrainer(pools=(2, 2, 4), channels=(3, 4, 5), fused=False)
)
params, buffers = small.init(small.arch, (16, 16, 4), 6, 3, rng)
params = {name: p.astype(float) + 0.01 for name, p in params.items()}
x, labels, masks = (
    rng.normal(size=(5, 16, 16, 4)),
    rng.integers(0, 3, 5),
    {"z": rng.random((5, 6)) > 0.5},
)
settings = {"network": small, "buffers": buffers, "masks": masks, "weight": 0.01}
loss, cache = pretraining_objective(params, x, labels, **settings)
grads, _ = pretraining_objective_backward(1.0, cache)
names, error_of_eq1 = list(params), 0.0
for _ in range(5):
    d = {name: rng.normal(size=p.shape) for name, p in params.items()}
    along = directional(
        lambda arrays: pretraining_objective(
            dict(zip(names, arrays, strict=True)), x, labels, **settings
        )[0],
        list(params.values()),
        list(d.values()),
    )
    ours = sum((grads[name] * d[name]).sum() for name in names)
    error_of_eq1 = max(
        error_of_eq1,
        abs(ours - along) / sum(np.abs(grads[n] * d[n]).sum() for n in names),
    )
print(
    f"eq. 1 through the whole conv pretrainer, {sum(p.size for p in params.values())} "
    f"parameters: {error_of_eq1:.0e}"
)
assert error_of_eq1 < 1e-12

# %% [markdown]
# ## In training: with and without
#
# Now the term in its place. The data are the 40 MUL tiles of the bundled sample, eight land-cover classes; 24 to train on, 16 held out. A training step is: loss, gradients, a step of Adam (lesson 09 takes that apart; here it is a
# better gradient descent), and running averages for the norms.

# %%
from cmir_ref.data import load_dsrsid, samples_dir
from cmir_ref.params import Params, flatten
from cmir_ref.training.adam import adam

sensor = load_dsrsid(samples_dir()).modalities["b"]
images, classes = sensor.x[np.arange(40)].astype(float), sensor.labels
images = (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2))
train, held_out = np.arange(40) < 24, np.arange(40) >= 24


def pretrain(network, x, steps, seed=0, features=16, lr=3e-3, **reading):
    """Trains on the samples `train`; what the network then makes of all samples, and
    the loss parts."""
    draws, parts = np.random.default_rng(seed), []
    params, buffers = network.init(network.arch, x.shape[1:], features, 8, draws)
    params = Params({name: p.astype(float) for name, p in params.items()})
    m, v = np.zeros_like(params.flat), np.zeros_like(params.flat)
    for t in range(1, steps + 1):
        masks = {"z": draws.random((train.sum(), features)) >= network.arch.dropout}
        _, cache = pretraining_objective(
            params, x[train], classes[train], network=network, masks=masks, **reading
        )
        adam(
            params.flat,
            flatten(pretraining_objective_backward(1.0, cache)[0], params),
            m,
            v,
            t,
            lr,
        )
        for name, value in getattr(cache.front, "statistics", {}).items():
            buffers[name] = 0.9 * buffers[name] + 0.1 * value
        parts.append(cache.loss.parts)
    return network.forward(
        params, x, arch=network.arch, mode="inference", buffers=buffers
    )[0], parts


def effective_rank(z):
    """(Σe)²/Σe² of the Gram matrix's eigenvalues: how many of them share the energy; D
    if all are equal."""
    e = np.linalg.eigvalsh(z.T @ z)
    return e.sum() ** 2 / (e * e).sum()


# %% [markdown]
# First many runs of the quick dense pretrainer, on tiles averaged down to vectors of 8 · 8 · 4 = 256 numbers: 16 features, the scaled form, several weights λ, three seeds each. Before you look: fact 3 makes a prediction about how many
# features a sample will use.

# %%
vectors = images.reshape(40, 8, 8, 8, 8, 4).mean(axis=(2, 4)).reshape(40, -1)
dense = choose_pretrainer((256,), hidden=(64,))
weights = (0, 0.001, 0.01, 0.1, 1)  # change me
found = {w: [] for w in weights}
for w in weights:
    for seed in range(3):
        out, parts = pretrain(dense, vectors, 200, seed, weight=w, scaled=True)
        z = out.z[train]
        found[w].append((effective_rank(z), (z > 0).mean() * 16, parts[-1]["ce"]))
table = np.array([found[w] for w in weights])

# %% tags=["folded"]
figure, panels = plt.subplots(1, 3, figsize=(8.4, 2.4))
for axes, values, label in zip(
    panels,
    table.transpose(2, 0, 1),
    ("effective rank of Z", "active features a sample", "cross entropy"),
    strict=True,
):
    axes.plot(range(len(weights)), values, "o", color="#0072B2", ms=4)
    axes.plot(range(len(weights)), values.mean(axis=1))
    axes.set(
        xlabel="weight of O",
        ylabel=label,
        xticks=range(len(weights)),
        xticklabels=weights,
        ylim=(0, None),
    )
panels[0].axhline(16, color="grey", lw=0.8)
show(
    figure,
    "A dot for each seed, lines through the means. More weight: the 16 features share "
    "the work (left), each sample uses fewer (middle, as fact 3 has it), and the "
    "labels are fitted less closely (right).",
)

# %% [markdown]
# Then the convolution pretrainer on the tiles themselves, with 8, 16 and 32 channels to keep it quick: without the term (as the released code), with it, and with it before the ReLU.

# %%
quick = Pretrainer(
    *conv_functions, ConvPretrainer(pools=(2, 2, 4), channels=(8, 16, 32))
)
variants = {
    "without": {"target": "off"},
    "with O(Z)": {"scaled": True, "weight": 0.1},
    "before the ReLU": {"scaled": True, "weight": 0.1, "before_relu": True},
}
outs, ranks = {}, {}
print("                 effective rank          active    cross    top class right")
print("                    of Z   of S   features of 16  entropy   train  held out")
for name, reading in variants.items():
    outs[name], parts = pretrain(quick, images, 60, **reading)
    z, before = outs[name].z[train], outs[name].s[train]
    ranks[name] = effective_rank(z), effective_rank(before)
    right = outs[name].logits.argmax(axis=1) == classes
    print(
        f"{name:16} {ranks[name][0]:7.1f} {ranks[name][1]:6.1f} "
        f"{16 * (z > 0).mean():16.1f} {parts[-1]['ce']:8.2f}"
        f" {right[train].mean():7.2f} {right[held_out].mean():9.2f}"
    )

# %% tags=["folded"]
figure, panels = plt.subplots(1, 4, figsize=(8.6, 2.5), width_ratios=(1, 1, 1, 1.5))
for axes, (name, out), mark in zip(panels, outs.items(), "os^", strict=False):
    z = out.z[train]
    gram = z.T @ z / np.mean((z * z).sum(axis=0))
    axes.imshow(gram, cmap="cividis", vmin=0, vmax=1.5)
    axes.axis("off")
    axes.set_title(name)
    panels[3].semilogy(
        range(1, 17),
        np.linalg.eigvalsh(gram)[::-1].clip(1e-6),
        marker=mark,
        ms=3,
        label=name,
    )
panels[3].set(xlabel="number", ylabel="eigenvalue / mean energy", ylim=(1e-4, 30))
panels[3].legend(fontsize=7)
show(
    figure,
    "Gram matrices of the 16 features (dark 0, bright 1 and more) and their spectra. "
    "Without the term a few strong features overlap with many; with it the diagonal "
    "stands out and the spectrum is flat.",
)

# %% [markdown]
# The term does what it says: a flat spectrum, little overlap. *S* is $Z$ before its ReLU; asked for there, orthogonality comes there, and the ReLU undoes part of it. Whether it helps the *task* is another question, and
# sixteen held-out tiles are few: one tile is six points of a hundred. Give `pretrain` other seeds before you believe the last column. With seeds 0 to 4, when this was written, 7.2 tiles of 16 were right on average without the term, 5.2 with it and 4.8 with it before the ReLU: at
# this size, after 60 steps, it costs more than it gives.
#
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_orthogonality=error_of_orthogonality,
    error_of_eq1_through_the_network=error_of_eq1,
    minimum_for_64_samples_and_128_features=reached[64][0],
    active_features_at_most_if_not_negative=active.max(),
    correlation_of_features_for_target_ones=alike,
    effective_rank_without=ranks["without"][0],
    effective_rank_with=ranks["with O(Z)"][0],
)

# %% [markdown]
# ## What you learned
#
# The gradient of soft orthogonality is $4Z(Z^\top Z - I)$, three rules applied one after the other. Minimised alone, the term shows what it asks: rank that a small batch does not have, a scale that depends on the batch, one feature a sample behind a
# ReLU, and with ones for the identity the contrary of its purpose. In a pretrainer, which is a chain of the operations of lessons 02 to 05, it flattens the spectrum of the features and costs some cross entropy.
#
# ## Next
#
# [07 · The shared space](07_shared_space.ipynb): the second stage, one equation at a time. In the package: [`cmirnet/eq1_pretraining.py`](../cmir_ref/cmirnet/eq1_pretraining.py),
# [`cmirnet/pretraining_objective.py`](../cmir_ref/cmirnet/pretraining_objective.py), [`nets/conv_pretrainer.py`](../cmir_ref/nets/conv_pretrainer.py), [`nets/feature_pretrainer.py`](../cmir_ref/nets/feature_pretrainer.py).
