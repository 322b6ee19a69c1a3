# ---
# jupyter:
#   lesson:
#     question: Does α = 0 shrink the whole space to one point, and does α = 1 prevent it?
#     minutes: 40
#     needs: ["07"]
#     derives: [cmirnet.eq7_regulariser]
# ---

# %% [markdown]
# # 08 · Why α? Collapse, NaN and chance
#
# **Does α = 0 shrink the whole space to one point, and does α = 1 prevent it?**
#
# The paper adds a fifth term to its sum. It draws the encoders' weights to a number α and gives a reason: with α = 0 all weights go to zero, everything is mapped to one point, and retrieval scores 0. Its
# Table 4 has exactly that row of zeros. On this page each part of that sentence is tried out. Some of it holds, some holds only without labels, and the zeros have
# another cause. Here is the term for a "matrix" of two weights, in the three forms in which it has been written down.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()


def bowl(axes, reading, alpha):
    """R over a plane of two weights, and where it is smallest."""
    w = np.stack(
        np.meshgrid(np.linspace(-2.2, 2.2, 45), np.linspace(-2.2, 2.2, 45)), axis=-1
    )
    norm = np.sqrt((w * w).sum(axis=-1))
    value = {
        "element-wise": ((w - alpha) ** 2).sum(axis=-1),
        "norm": (norm - alpha) ** 2,
        "released": np.abs(norm - alpha),
    }[reading]
    axes.contour(
        w[..., 0], w[..., 1], value, levels=[0.1, 0.6], colors="#777777", linewidths=0.8
    )
    ring = np.linspace(0, 2 * np.pi, 90)
    point = alpha == 0 or reading == "element-wise"
    best = (alpha, alpha) if point else alpha * np.stack([np.cos(ring), np.sin(ring)])
    axes.plot(*best, "o" if point else "--", color="#D55E00", ms=5)
    axes.set(xlabel="one weight", ylabel="the other", aspect="equal")
    axes.set_title(f"{reading}, α = {alpha}", fontsize=8)


def draw(alphas):
    figure, panels = plt.subplots(
        len(alphas), 3, figsize=(4.8, 1.95 * len(alphas)), sharey=True, squeeze=False
    )
    for row, alpha in zip(panels, alphas, strict=True):
        for axes, reading in zip(
            row, ("element-wise", "norm", "released"), strict=True
        ):
            bowl(axes, reading, alpha)
    return figure


show(
    draw([1]),
    "Lines of equal R at α = 1. Orange, where it is 0: one point, or a ring of weights "
    "of length 1. Try `draw([0, 0.5, 2])`: at α = 0 it is the origin in all three.",
)

# %% [markdown]
# ## The regulariser (eq. 7)
#
# $$\mathcal R = \lVert w_a-\alpha\rVert_F^2 + \lVert w_b-\alpha\rVert_F^2 ,$$
#
# a sum of one term a matrix, so we look at one matrix $w$. What is a matrix minus a number? Three readings, three gradients, with $r = \lVert w\rVert_F = \sqrt{\sum w_{ij}^2}$:
#
# | reading | $R(w)$ | small steps | gradient |
# |---|---|---|---|
# | element-wise | $\sum_{ij}(w_{ij}-\alpha)^2$ | each weight by itself | $2(w-\alpha)$ |
# | norm | $(r-\alpha)^2$ | $\partial r/\partial w = \frac{2w}{2\sqrt{\sum w^2}} = w/r =: u$ | $2(r-\alpha)\,u$ |
# | released | $\lvert r-\alpha\rvert$ | slope of $\lvert x\rvert$ is its sign | $\operatorname{sign}(r-\alpha)\,u$ |
#
# The first is the equation to the letter. The last is what the released image–speech code computes, with α = 1 written into it. $u$ has length 1 and points away from
# zero, so the last two move $w$ along itself: longer or shorter, never round.

# %%
from cmir_ref.cmirnet.eq7_regulariser import regulariser, regulariser_backward
from cmir_ref.gradcheck import complex_step, relative_error

rng = np.random.default_rng(8)
w = rng.normal(size=(3, 2))
r = np.sqrt((w * w).sum())
by_hand = {
    "elementwise": lambda alpha: 2 * (w - alpha),
    "norm": lambda alpha: 2 * (r - alpha) * w / r,
    "released": lambda alpha: np.sign(r - alpha) * w / r,
}
print(
    "reading        α    R      by hand   package   (worst relative error against the "
    "complex step)"
)
worst = 0.0
for reading, gradient in by_hand.items():
    for alpha in (0.0, 1.0, 5.0):
        value, cache = regulariser(w, alpha, reading=reading)
        truth = complex_step(
            lambda x: regulariser(x[0], alpha, reading=reading)[0], [w], 0
        )
        ours = [
            relative_error(g, truth)[0]
            for g in (gradient(alpha), regulariser_backward(1.0, cache))
        ]
        print(
            f"{reading:12} {alpha:3.0f} {value:7.3f}   {ours[0]:.0e}     {ours[1]:.0e}"
        )
        worst = max(worst, *ours)
assert worst < 1e-13

# %% [markdown]
# Two places have no derivative: the released reading has a kink at $r = \alpha$, and both norm readings have $u = 0/0$ at $w = 0$. A code that computes the formula literally gets NaN there, and one NaN in a
# gradient makes every weight NaN at the next step. The package answers 0.

# %%
zero = np.zeros((3, 2))
with np.errstate(invalid="ignore"):
    literal = 2 * (0 - 1) * zero / np.sqrt((zero * zero).sum())
print("gradient at w = 0, α = 1. Formula of the norm reading:", literal[0])
for reading in by_hand:
    print(
        f"   package, {reading:12}",
        regulariser_backward(1.0, regulariser(zero, 1.0, reading=reading)[1])[0] + 0.0,
    )
assert np.isnan(literal).all()

five = np.array([[3.0, 4.0]])
at_five = ", ".join(
    f"{reading} {regulariser(five, 0.0, reading=reading)[0]:g}" for reading in by_hand
)
print(f"\nR at α = 0, ‖w‖ = 5: {at_five}")
start = np.random.default_rng(0).normal(size=(128, 128)) / np.sqrt(128)
print(
    f"a 128 × 128 matrix as it is drawn has ‖w‖ = {np.linalg.norm(start):.1f}; "
    f"element-wise α = 1 asks for {np.linalg.norm(np.ones((128, 128))):.0f}"
)
assert 11 < np.linalg.norm(start) < 12 and np.linalg.norm(np.ones((128, 128))) == 128

# %% [markdown]
# **About the paper.** *Equation 7 is not one function but three.* At α = 0 the first two are $\lVert w\rVert^2$, the "standard ℓ2 regulariser" of the text; the released one is $\lVert w\rVert$, whose pull
# does not fade near zero. And "α = 1" means a norm of 1, much *shorter* than a drawn matrix, in two readings, and a norm of 128, much longer, in the other.
#
# ## A world to try it in
#
# Two made-up modalities of three noisy classes, 24 pairs, 6 features each; the network of lesson 07; all five terms, the losses as means over the pairs, with weights λ₁ … λ₅ (lesson 09 derives this sum). Plain gradient descent, so that nothing
# an optimiser does can be blamed.

# %%
from cmir_ref.cmirnet.eq2_alignment import alignment, alignment_backward
from cmir_ref.cmirnet.eq3_classification import classification, classification_backward
from cmir_ref.cmirnet.eq4_feature_norm import feature_norm, feature_norm_backward
from cmir_ref.cmirnet.eq5_reconstruction import reconstruction, reconstruction_backward
from cmir_ref.cmirnet.latent import (
    Latent,
    init_latent,
    latent_network,
    latent_network_backward,
)

y = np.arange(24) % 3
classes = [rng.normal(size=(3, 6))[y] + 0.5 * rng.normal(size=(24, 6)) for _ in "ab"]
Z = tuple(np.maximum(x, 0.01) for x in classes)  # Z ≥ 0, as stage 1 leaves it
Z = tuple(z / np.sqrt((z * z).sum() / 24) for z in Z)  # rows of length 1 in the mean
LINEAR = Latent(
    d_v=3,
    encoder_depth=1,
    decoder_depth=1,
    encoder_activation="linear",
    decoder_activation="linear",
)
DEEP = LINEAR._replace(encoder_depth=3, encoder_activation="hidden")


def drawn(arch, seed=0):
    params = init_latent(arch, (6, 6), 3, np.random.default_rng(seed), "xavier")[0]
    return {name: value.astype(float) for name, value in params.items()}


def is_encoder_matrix(name):
    return name.startswith("encoder") and name.endswith("w")


# %%
def evaluate(params, lam, arch, alpha=0.0, reading="norm", mu=0.0):
    """(loss, gradients, output) of λ₁L2 + λ₂L3 + λ₃L4 + λ₄L5 + λ₅R + μ‖heads‖²."""
    out, cache = latent_network(params, Z, arch=arch, mode="inference")
    l2, c2 = alignment(out.v_a, out.v_b, reduction="mean")
    l3, c3 = classification(out.u_a, out.u_b, y, y)
    l4, c4 = feature_norm(out.v_a, out.v_b, reduction="mean")
    l5, c5 = reconstruction(out.from_a, out.from_b, *Z, reduction="mean")
    dv = [
        a + b
        for a, b in zip(
            alignment_backward(lam[0], c2),
            feature_norm_backward(lam[2], c4),
            strict=True,
        )
    ]
    upstream = type(out)(
        *dv,
        *classification_backward(lam[1], c3),
        *reconstruction_backward(lam[3], c5)[:2],
    )
    grads, _ = latent_network_backward(upstream, cache)
    loss = lam[0] * l2 + lam[1] * l3 + lam[2] * l4 + lam[3] * l5
    for name in params:
        weight, target, how = (
            (lam[4], alpha, reading) if is_encoder_matrix(name) else (mu, 0.0, "norm")
        )
        if name.endswith("w") and weight:
            value, c = regulariser(params[name], target, reading=how)
            loss, grads[name] = (
                loss + weight * value,
                grads[name] + regulariser_backward(weight, c),
            )
    return loss, grads, out


def descend(
    params, rate, steps, lam, arch, free=lambda name: True, watch=None, **settings
):
    """Gradient descent; `watch(params, out)` is noted at each step."""
    seen = []
    for _ in range(steps):
        _, grads, out = evaluate(params, lam, arch, **settings)
        if watch:
            seen.append(watch(params, out))
        params = {k: p - rate * grads[k] if free(k) else p for k, p in params.items()}
    return (params, seen) if watch else params


def size(*arrays):
    return float(np.sqrt(sum((a * a).sum() for a in arrays)))


p0, full = drawn(DEEP), (0.1, 1.0, 0.1, 0.1, 1.0)
_, grads, _ = evaluate(p0, full, DEEP, alpha=1.0, mu=0.01)
direction = {k: rng.normal(size=v.shape) for k, v in p0.items()}
moved = {k: v + 1e-30j * direction[k] for k, v in p0.items()}
measured = evaluate(moved, full, DEEP, alpha=1.0, mu=0.01)[0].imag / 1e-30
print(
    "slope along a random direction: "
    f"{sum((grads[k] * direction[k]).sum() for k in p0):.12f}, measured {measured:.12f}"
)
assert np.isclose(
    measured, sum((grads[k] * direction[k]).sum() for k in p0), rtol=1e-12
)

# %% [markdown]
# ## Without labels the paper is right
#
# Leave out L3 and L5, the two terms that look at anything but $V$ and $w$. With α = 0 and a linear encoder each remaining term is a square of something linear in the parameters. Scale all
# parameters by $c$ and the loss becomes $c^2$ times as large: from any start the way to 0 leads downhill, and there is no other minimum.

# %%
LABEL_FREE = (1.0, 0.0, 1.0, 0.0, 1.0)
p0 = drawn(LINEAR)
loss = evaluate(p0, LABEL_FREE, LINEAR)[0]
for c in (0.1, 3.0):
    scaled = evaluate({k: c * v for k, v in p0.items()}, LABEL_FREE, LINEAR)[0]
    print(f"all parameters times {c}: loss times {scaled / loss:.12f}")
    assert np.isclose(scaled, c * c * loss)

CASES = [
    ("norm = element-wise", 0.0, "norm"),
    ("released", 0.0, "released"),
    ("norm", 1.0, "norm"),
    ("element-wise", 1.0, "elementwise"),
]
figure, axes = plt.subplots(figsize=(4.8, 2.3))
for label, alpha, reading in CASES:
    _, seen = descend(
        p0,
        0.05,
        600,
        LABEL_FREE,
        LINEAR,
        watch=lambda p, out: size(out.v_a, out.v_b),
        alpha=alpha,
        reading=reading,
    )
    axes.semilogy(seen, label=f"{label}, α = {alpha:.0f}", lw=1.6)
    if label.startswith("norm ="):
        steps_to_zero = int(np.argmax(np.array(seen) < 1e-8))
axes.axhline(1e-8, color="#999999", lw=0.6, ls="-")
axes.set(
    xlabel="step of gradient descent",
    ylabel="‖V‖",
    title="L2 + L4 + R alone",
    ylim=(1e-11, 30),
)
axes.legend(loc="center right", fontsize=8)
show(
    figure,
    "At α = 0 the embedding falls below 1e-8 (grey line) and on. The released penalty "
    "has a slope that does not fade, so it rattles about zero at the size of a step. α "
    "= 1 keeps ‖V‖ alive.",
)
print(f"α = 0: ‖V‖ < 1e-8 after {steps_to_zero} steps")
assert 0 < steps_to_zero < 600

# %% [markdown]
# ## With labels, zero is a saddle
#
# Now turn the cross entropy on. Put all encoder weights to zero: every picture gets the same logits, and the classifier can only guess the shares of the classes. Is that a minimum?
#
# First a tool. Around a place where the slope is zero, a function of two numbers looks like $f(s,t)=\frac12(a s^2+2b\,s t+c t^2)$: three second derivatives, written as a table $\begin{pmatrix}a&b\\b&c\end{pmatrix}$. Walk from the middle in the direction
# $(\cos\theta,\sin\theta)$ and $f$ bends by $a\cos^2\theta+2b\cos\theta\sin\theta+c\sin^2\theta$. The smallest and the largest bend over all directions are called the *eigenvalues* of the table, their product is its *determinant*
# $ac-b^2$. Both positive: up in every direction, a *minimum*. One negative: there is a way down, a *saddle*; the determinant is negative then, and no other number is needed to see it.

# %%
TABLES = {"minimum": (2, 0.5, 1), "edge": (2, 1.4142, 1), "saddle": (2, 2, 1)}
figure, panels = plt.subplots(1, 2, figsize=(7, 2.3))
angle = np.linspace(0, np.pi, 181)
for name, (a, b, c) in TABLES.items():
    bend = (
        a * np.cos(angle) ** 2
        + 2 * b * np.cos(angle) * np.sin(angle)
        + c * np.sin(angle) ** 2
    )
    low, high = np.linalg.eigvalsh([[a, b], [b, c]])
    print(
        f"{name:8} bends from {bend.min():5.2f} to {bend.max():.2f}; "
        f"eigenvalues {low:5.2f}, {high:.2f}; determinant {a * c - b * b:5.2f}"
    )
    assert np.allclose(
        [bend.min(), bend.max(), low * high], [low, high, a * c - b * b], atol=1e-3
    )
    panels[0].plot(np.degrees(angle), bend, label=name)
panels[0].axhline(0, color="#999999", lw=0.8, ls="-")
panels[0].set(xlabel="direction θ, degrees", ylabel="bend of f")
panels[0].legend(fontsize=7)
side = np.linspace(-1, 1, 41)
s, t = np.meshgrid(side, side)
panels[1].contour(
    s,
    t,
    s * s + 2 * s * t + t * t / 2,
    levels=[-0.3, -0.1, 0, 0.1, 0.5, 1.5],
    colors="black",
    linewidths=0.8,
)
panels[1].set(xlabel="s", ylabel="t", title="the saddle from above", aspect="equal")
show(
    figure,
    "Left: how much a function of two numbers bends, direction by direction. The "
    "saddle's line crosses zero. Right: its level lines; dashed is below the middle.",
)

# %% [markdown]
# Now two questions, one after the other. *Is it stationary*, that is: is the gradient zero there? With a classifier $w_c \neq 0$ it is not: $\dot w_a = Z_a^\top\dot U w_c^\top$ does not vanish. With $w_c = 0$ as well, it is: $w$ gets its
# gradient through $w_c$, and $w_c$ gets its own through $V$.

# %%
L3_AND_R = (0.0, 1.0, 0.0, 0.0, 1.0)
origin = {k: np.zeros_like(v) for k, v in p0.items()} | {
    "classifier.b": np.log(np.bincount(y) / 24)
}
for label, params in (
    ("w = 0, any w_c", origin | {"classifier.w": p0["classifier.w"]}),
    ("w = 0, w_c = 0", origin),
):
    grads = evaluate(params, L3_AND_R, LINEAR)[1]
    print(f"{label:16} ‖gradient‖ = {size(*grads.values()):.1e}")
assert size(*grads.values()) < 1e-15

# %% [markdown]
# *Is it a minimum?* Walk from there in a plane: $w = s\,u\,e^\top$ and $w_c = t\,e\,v^\top$, one direction for the weights, one for the classifier. The logits change by $st$, a product; the penalty by $\lambda_5 s^2$. So
#
# $$\mathcal L \approx \mathcal L_0 + \lambda_5 s^2 - \lambda_2\,\sigma\, s\,t, \qquad M = \tfrac1N Z^\top(Y - \bar p),$$
#
# where σ is the largest *singular value* of $M$ (how strongly the best direction $u$ of the features goes with the best direction $v$ of the labels). Nothing punishes $t^2$. The table of second
# derivatives is $\begin{pmatrix}2\lambda_5 & -\lambda_2\sigma\\ -\lambda_2\sigma & 0\end{pmatrix}$, and its smaller eigenvalue $\lambda_5-\sqrt{\lambda_5^2+\lambda_2^2\sigma^2}$ is negative for **every** λ₅: a
# *saddle*, uphill in one direction, downhill in another.

# %%
hot = np.eye(3)[np.concatenate([y, y])]
stacked = np.zeros((48, 12))
stacked[:24, :6], stacked[24:, 6:] = Z
M = stacked.T @ (hot - hot.mean(axis=0)) / 48
U, sigmas, V = np.linalg.svd(M)
sigma, u, v = sigmas[0], U[:, 0], V[0]
e = np.array([1.0, 0, 0])


def plane(s, t, l5):
    """The loss less its value at the origin, s and t steps along the two directions."""
    params = origin | {
        "encoder_a.1.w": s * np.outer(u[:6], e),
        "encoder_b.1.w": s * np.outer(u[6:], e),
    }
    params["classifier.w"] = t * np.outer(e, v)
    return evaluate(params, (0, 1, 0, 0, l5), LINEAR)[0] - np.log(3)


def curvature(l5, h=1e-3):
    """Smallest eigenvalue of the measured 2 × 2 matrix of second derivatives."""
    ss = (plane(h, 0, l5) + plane(-h, 0, l5)) / h**2
    tt = (plane(0, h, l5) + plane(0, -h, l5)) / h**2
    st = (plane(h, h, l5) - plane(h, -h, l5) - plane(-h, h, l5) + plane(-h, -h, l5)) / (
        4 * h**2
    )
    return np.linalg.eigvalsh([[ss, st], [st, tt]])[0]


print("  λ₅    measured curvature    λ₅ − √(λ₅² + σ²)")
for l5 in (0.1, 1.0, 10.0):
    print(f"{l5:5.1f} {curvature(l5):16.6f} {l5 - np.hypot(l5, sigma):20.6f}")
    assert np.isclose(curvature(l5), l5 - np.hypot(l5, sigma), atol=1e-6)


# %% tags=["folded"]
def draw_saddle(axes, l5):
    """L − L₀ on a grid of both sizes."""
    s, t = np.linspace(-0.6, 0.6, 5), np.linspace(6, -6, 5)
    height = np.array([[plane(a, b, l5) for a in s] for b in t])
    axes.imshow(height, cmap="PuOr_r", vmin=-0.3, vmax=0.3, aspect="auto")
    for (i, j), value in np.ndenumerate(height):
        axes.text(
            j,
            i,
            f"{round(value, 2) + 0.0:.2f}",
            ha="center",
            va="center",
            fontsize=6,
            color="black" if abs(value) < 0.2 else "white",
        )
    axes.set(
        xticks=range(5),
        xticklabels=[f"{a:.1f}" for a in s],
        yticks=range(5),
        yticklabels=[f"{b:.0f}" for b in t],
    )
    axes.set(
        title=f"λ₅ = {l5}",
        xlabel="s: size of the weights",
        ylabel="t: size of the classifier",
    )


figure, panels = plt.subplots(1, 2, figsize=(5.8, 2.2))
for axes, l5 in zip(panels, (0.02, 1.0), strict=True):
    draw_saddle(axes, l5)
show(
    figure,
    "L − L₀ about the origin (middle cell), for a light and a heavy λ₅. Where s and t "
    "have one sign there is a way down (violet, negative): narrow when λ₅ is large, "
    "but always there.",
)

# %% [markdown]
# And is there a minimum somewhere else? Take any weights and classifier, make the first $c$ times smaller and the second $c$ times larger: the logits, and with them L3, are the same, and R is $c^2$ times cheaper.

# %%
from cmir_ref.retrieval import collapse, evaluate_direction

print("   c     L3        R      AP a → b")
for c in (1, 2, 10):
    scales = {
        k: 1 / c if k.startswith("encoder") else c if k == "classifier.w" else 1
        for k in p0
    }
    params = {k: scales[k] * value for k, value in p0.items()}
    l3_only, _, out = evaluate(params, (0, 1, 0, 0, 0), LINEAR)
    r_only = evaluate(params, (0, 0, 0, 0, 1), LINEAR)[0]
    print(
        f"{c:4} {l3_only:8.4f} {r_only:8.4f} "
        f"{evaluate_direction(out.v_a, y, out.v_b, y)['map']:8.4f}"
    )

# %% [markdown]
# So no minimum is attained at all: descent may shrink the *scale* of $V$ for ever while the classifier grows. Distances keep their order, and a ranking does not see it.
#
# **About the paper.** *"The loss has its global minimum 0 at w = 0" (below eq. 7) holds for L2 + L4 + R only.* With L3 or L5 in the sum, zero weights cost the labels' entropy or the features' energy, and one regularised layer leaves them.
#
# ## When the heads are decayed too
#
# The valley exists because $t$ is free. Put a price on it, $\mu\lVert w_c\rVert^2$ (*weight decay*): the matrix gets $2\mu$ in its corner, and its determinant $4\lambda_5\mu - \lambda_2^2\sigma^2$ becomes positive at
#
# $$\mu^* = \frac{\lambda_2^2\sigma^2}{4\lambda_5}.$$
#
# Beyond it the origin is a minimum. That is a prediction with a number in it; here is what descent finds.

# %%
l3 = 1 / sigma  # so that λ₂σ = 1
mu_star = 1 / (4 * 0.5)
shares, left = (0.25, 0.5, 0.8, 0.95, 1.05, 1.25, 2.0), {}
for share in shares:
    found = descend(p0, 0.2, 1200, (0, l3, 0, 0, 0.5), LINEAR, mu=share * mu_star)
    left[share] = size(*[v for k, v in found.items() if is_encoder_matrix(k)])

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(4.6, 2.2))
axes.semilogy(shares, list(left.values()), "o-")
axes.axvline(1, color="#999999", ls="--", lw=0.8)
axes.set(
    xlabel="decay of the heads, in units of μ*",
    ylabel="‖w‖ after 1200 steps",
    title="one linear layer, L3 + R, α = 0",
)
show(
    figure,
    "Below the threshold the weights live; beyond it they die, slowly next to it. The "
    "line is the prediction.",
)

# %%
print("decay / μ*  " + "".join(f"{share:9.2f}" for share in left))
print("‖w‖         " + "".join(f"{value:9.1e}" for value in left.values()))
assert left[0.8] > 0.1 and left[1.25] < 1e-6

# %% [markdown]
# ## Three layers: now zero is a minimum
#
# The paper's encoder has three layers, all in R. Let each have size $s$. The data terms see the *product* of the matrices, so close to zero they gain about $g\,s^3$; the penalty costs $3\lambda_5 s^2$. For small $s$ a square beats
# a cube, whatever $g$ and λ₅ are. With one layer a slope beats a square, and with two layers it depends. A caricature in one number:


# %%
def caricature(s, depth, l5, g=1.0):
    """Price of depth layers of size s, gain g of the data, and a data term that
    saturates."""
    return depth * l5 * s**2 - g * s**depth + 0.5 * s ** (2 * depth)


# %% tags=["folded"]
def draw_depth(l5):
    figure, axes = plt.subplots(figsize=(3.8, 2.2))
    s = np.linspace(0, 1.3, 100)
    for depth in (1, 2, 3):
        axes.plot(
            s,
            caricature(s, depth, l5),
            label=f"{depth} layer{'s' if depth > 1 else ''}",
        )
    axes.set(
        xlabel="size s of each layer",
        ylabel="loss − loss at 0",
        title=f"λ₅ = {l5}",
        ylim=(-0.9, 0.3),
    )
    axes.legend(fontsize=8)
    return figure


show(
    draw_depth(0.2),
    "Look at the left end. One layer falls from zero at every λ₅; three layers first "
    "rise: zero is a trap. Try `draw_depth(0.4)` and `draw_depth(0.02)`: the trap is "
    "as wide as λ₅ is large.",
)

# %% [markdown]
# And the real thing: all five terms on, labels and decoders too, three layers, from one drawn start. *Spread* is the mean distance of the embeddings of a modality from their own mean, AP the average precision from a to b (1 is perfect; lesson 10).


# %%
def outcome(lam, arch, alpha, reading="norm", steps=600, rate=0.03, seed=0):
    """What training leaves: spread, AP, chance, the effective rank of modality a,
    and the embeddings."""
    out = evaluate(
        descend(
            drawn(arch, seed), rate, steps, lam, arch, alpha=alpha, reading=reading
        ),
        lam,
        arch,
    )[2]
    both, found = collapse(out.v_a, out.v_b), evaluate_direction(out.v_a, y, out.v_b, y)
    rank = collapse(out.v_a, out.v_a)["effective_rank"]
    return {
        "spread": max(both["scale_a"], both["scale_b"]),
        "rank": rank,
        "v": out.v_a,
    } | {k: found[k] for k in ("map", "chance")}


ALPHAS, LAMBDAS = (0.0, 0.5, 1.0, 2.0), (0.01, 0.03, 0.1, 0.3, 1.0)
runs = {(a, l5): outcome((*full[:4], l5), DEEP, a) for a in ALPHAS for l5 in LAMBDAS}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(7, 2.1))
for axes, key, title, low, high in (
    (panels[0], "spread", "spread of V", 0.0, 0.4),
    (panels[1], "map", f"AP a → b (chance {runs[0.0, 1.0]['chance']:.2f})", 0.4, 0.75),
):
    table = np.array([[runs[a, l5][key] for l5 in LAMBDAS] for a in ALPHAS])
    axes.imshow(table, vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        colour = "white" if value < (low + high) / 2 else "black"
        axes.text(
            j,
            i,
            f"{value:.0e}" if value < 1e-3 else f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.set(
        title=title,
        xlabel="λ₅",
        ylabel="α",
        xticks=range(5),
        xticklabels=LAMBDAS,
        yticks=range(4),
        yticklabels=ALPHAS,
    )
show(
    figure,
    "Three regularised layers, norm reading. Top row, α = 0: alive for light λ₅, one "
    "point for heavy λ₅, and then AP is chance, not 0.",
)

# %%
dead, alive = runs[0.0, 1.0], runs[0.0, 0.01]
assert all(runs[2.0, l5]["map"] > runs[1.0, l5]["map"] - 0.05 for l5 in LAMBDAS)
assert (
    dead["spread"] < 1e-6
    and abs(dead["map"] - dead["chance"]) < 0.1
    and alive["map"] > dead["map"] + 0.2
)

# %% [markdown]
# **About the paper.** *α = 0 collapses at λ₅ = 1 and not at λ₅ = 0.01, with labels on.* So its two data sets need no magic: UC Merced's λ₅ is 1 with data terms of 0.01, and α = 0 is called fatal there; DSRSID's λ₅ goes down to 0.001 with data terms of 1, and α = 0 is
# best there. In this world λ₅ decides whether the space lives; α decides only where λ₅ is heavy (right column: at λ₅ = 1, α = 0 is dead, and α = 1 and 2 are not).
#
# **About the paper.** *That α = 1 beats α = 2 (62 to 32 in Table 4) has no basis in the equations*, and no such step shows in the lower rows above: α = 1 is nowhere ahead of α = 2 by more than a few hundredths. Lesson 13 has the same on images and speech. [docs/alpha.md](../docs/alpha.md) has the same on held-out pairs.
#
# ## Dead units
#
# There is one more way to zero, and no λ matters to it: a ReLU that is never positive. Weights and bias at 0 make $V = 0$, and $\phi' = 0$ lets no loss through. What is left is R's own gradient.

# %%
RELU = LINEAR._replace(encoder_activation="relu")
still = p0 | {k: 0 * value for k, value in p0.items() if k.startswith("encoder")}
for alpha, reading in (
    (0.0, "norm"),
    (1.0, "norm"),
    (1.0, "released"),
    (1.0, "elementwise"),
):
    grads = evaluate(still, full, RELU, alpha=alpha, reading=reading)[1]
    print(
        f"all five losses on, α = {alpha:.0f}, {reading:12} ‖∂L/∂w_a‖ = "
        f"{size(grads['encoder_a.1.w']):.3f}"
    )
    assert (size(grads["encoder_a.1.w"]) > 0) == (reading == "elementwise")

# %% [markdown]
# Only the element-wise reading wakes them. In the norm readings $w$ may even live while its units are dead: a norm of 1 says nothing about what a ReLU lets through.
#
# ## The released penalty at α = 0
#
# $\lambda_5\lVert w\rVert$ has slope $\lambda_5$ in every direction, however small $w$ is. A single layer with labels dies if that is more than the data's own slope at zero, and only then. Hold the heads and compare.

# %%
data_only = (0.3, 1.0, 0.3, 0.5, 0.0)
at_zero = {k: 0 * v if is_encoder_matrix(k) else v for k, v in p0.items()}
slopes = [
    size(evaluate(at_zero, data_only, LINEAR)[1][f"encoder_{m}.1.w"]) for m in "ab"
]
print("λ₅ as a share of the data's slope    ‖w_a‖ released    ‖w_a‖ norm (squared)")
for share in (0.8, 1.25):
    lam = (*data_only[:4], share * slopes[0])
    ends = [
        descend(p0, rate, steps, lam, LINEAR, is_encoder_matrix, reading=reading)
        for reading, rate, steps in (("released", 2e-3, 2500), ("norm", 0.02, 400))
    ]
    found = [size(end["encoder_a.1.w"]) for end in ends]
    print(f"{share:18.2f} {found[0]:29.3f} {found[1]:18.3f}")
assert found[0] < 0.02 < found[1]

# %% [markdown]
# **About the paper.** *The released penalty can kill one layer despite labels; the printed one cannot.* (A trace of 0.00x is the step rattling about zero.)
#
# ## Element-wise α = 1: alive, in one dimension
#
# The literal reading draws *every* weight to 1. All columns of $w$ have the same target, so with a heavy λ₅ all columns become equal, and $V = Zw$ has equal columns too: every embedding is $c\,(1,1,\dots,1)$. One number
# a picture. The *effective rank* of lesson 06, $(\sum\lambda)^2/\sum\lambda^2$ of the covariance's eigenvalues, counts the dimensions that are in use.

# %%
READINGS = {"element-wise": "elementwise", "norm": "norm", "released": "released"}
ones = {
    label: outcome(full, LINEAR, 1.0, reading, steps=500)
    for label, reading in READINGS.items()
}
print(
    "reading        dimensions in use   singular values of V_a, as shares of the "
    "largest"
)

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(4.2, 2.2))
for label, mark in zip(READINGS, "os^", strict=True):
    spectrum = np.linalg.svd(
        ones[label]["v"] - ones[label]["v"].mean(axis=0), compute_uv=False
    )
    print(
        f"{label:14} {ones[label]['rank']:10.2f}          "
        f"{np.round(spectrum / spectrum[0], 2)}"
    )
    norms = []
    for alpha in (0.0, 0.5, 1.0, 2.0, 3.0):
        end = descend(p0, 0.03, 300, full, LINEAR, alpha=alpha, reading=READINGS[label])
        norms.append(size(end["encoder_a.1.w"]))
    axes.plot((0.0, 0.5, 1.0, 2.0, 3.0), norms, marker=mark, label=label)
axes.set(xlabel="α", ylabel="‖w_a‖ after training")
axes.legend(fontsize=8)
show(
    figure,
    "The norm readings set ‖w‖ to about α, element-wise sets it to about α√18, for 18 "
    "weights. Same letter, other scale.",
)

# %%
print(
    "AP a → b:",
    ", ".join(f"{label} {run['map']:.2f}" for label, run in ones.items()),
    f"(chance {dead['chance']:.2f})",
)
assert ones["element-wise"]["rank"] < 1.2

# %% [markdown]
# **About the paper.** *To the letter, α = 1 does not avoid a trivial solution, it picks another one*: not one point, but one line.
#
# ## Chance, and zero
#
# Suppose the space has collapsed. What does retrieval score? All distances are equal, all items tie, and the ranking is whatever the sort makes of a tie. A *stable* sort (MATLAB's) leaves them in the order of
# the gallery. Here is a gallery of 200 items in five classes, stored class by class as UC Merced is, and one query of each class. All embeddings are the same point.

# %%
from cmir_ref.retrieval import average_precision, mean_precision_at_tens

labels = np.repeat(np.arange(5), 40)
tied = np.zeros((1, 200))


def by_index(hits):
    """Average precision with ties in the order of the gallery."""
    return float((np.cumsum(hits) / np.arange(1, 201))[hits].mean())


print("class of the query   AP by index   AP expected   released mean precision")
scores = []
for c in range(5):
    hits = labels == c
    scores.append(
        (
            by_index(hits),
            float(average_precision(tied, hits[None])[0]),
            float(mean_precision_at_tens(tied, hits[None])[0]),
        )
    )
    print(f"{c:10} {scores[-1][0]:19.3f} {scores[-1][1]:13.3f} {scores[-1][2]:19.3f}")
indexed, expected, released = np.array(scores).T
first = labels == 0
most = mean_precision_at_tens(1.0 - first[None], first[None])[0]
print(f"(The most that 40 relevant items allow in the last column: {most:.2f}.)")
assert indexed[0] == 1 and released[1:].max() < 0.2 and released[2:].max() == 0

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(4.4, 1.9))
starts = np.arange(0, 161, 5)
rolled = [np.roll(labels == 0, start) for start in starts]
axes.plot(starts, [by_index(hits) for hits in rolled], label="AP, ties by index")
axes.plot(
    starts,
    [average_precision(tied, hits[None])[0] for hits in rolled],
    label="AP, expected over all orders",
)
axes.plot(
    starts,
    [mean_precision_at_tens(tied, hits[None])[0] for hits in rolled],
    label="released mean precision, ties by index",
)
axes.set(
    xlabel="where the relevant block stands in the gallery",
    ylabel="score",
    title="one point, one query, nothing learned",
    ylim=(-0.03, 1.03),
)
axes.legend()
show(
    figure,
    "The same embedding scores 1, 0.1 or 0, as the gallery happens to be stored. The "
    "expected value over all orders does not move: it is chance.",
)

# %% [markdown]
# **About the paper.** *The zeros of Table 4 say two things at once:* the space had collapsed so far that distances tied exactly, and ties were broken by the order of the gallery. A collapsed space scores chance, here 0.22. No honest
# metric gives 0 for it.
#
# ## Your turn: zero is stationary, or not
#
# Prove by code that at $w = 0$ the label-free loss with linear encoders $V = Zw$,
#
# $$\mathcal L = \lVert Z_aw_a - Z_bw_b\rVert_F^2 + \lVert Z_aw_a\rVert_F^2 + \lVert Z_bw_b\rVert_F^2 + \lVert w_a-\alpha\rVert_F^2 + \lVert w_b-\alpha\rVert_F^2 \quad\text{(element-wise)},$$
#
# is stationary at α = 0 and is not for any α > 0. Write $\partial\mathcal L/\partial w_a$ for *any* weights. The check looks at zero, and elsewhere.


# %% tags=["exercise"]
def gradient_of_w_a(w_a, w_b, z_a, z_b, alpha):
    return np.zeros_like(w_a)  # yours: L2, L4 and R each add something


# %% tags=["solution"]
def gradient_of_w_a(w_a, w_b, z_a, z_b, alpha):
    v_a, v_b = z_a @ w_a, z_b @ w_b
    return z_a.T @ (2 * (v_a - v_b) + 2 * v_a) + 2 * (w_a - alpha)


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import combination

square = lambda x: (x * x).sum()
TERMS = {
    "L2": lambda w_a, w_b, z_a, z_b, alpha: square(z_a @ w_a - z_b @ w_b),
    "L4": lambda w_a, w_b, z_a, z_b, alpha: square(z_a @ w_a) + square(z_b @ w_b),
    "R": lambda w_a, w_b, z_a, z_b, alpha: square(w_a - alpha) + square(w_b - alpha),
}
for seed in range(20):
    random = np.random.default_rng(seed)
    z_a, z_b, w_a, w_b = (
        random.normal(size=shape) for shape in ((7, 4), (7, 5), (4, 3), (5, 3))
    )
    given = {"w_b": w_b, "z_a": z_a, "z_b": z_b, "alpha": random.uniform(0.1, 3)}
    try:
        answer = gradient_of_w_a(w_a, **given)
    except ValueError as refused:
        raise AssertionError(
            f"shapes do not fit: {refused}; w_a is (4, 3), z_a is (7, 4), v_a is (7, 3)"
        ) from None
    assert np.shape(answer) == w_a.shape, (
        f"the gradient has shape {np.shape(answer)}, w_a has {w_a.shape}: how does what "
        "is wanted of v_a = Z_a w_a come to w_a?"
    )
    parts = {
        name: complex_step(lambda x, term=term: term(x[0], **given), [w_a], 0)
        for name, term in TERMS.items()
    }
    mixed = combination(answer, parts)
    assert not mixed, f"yours is {mixed}; each term belongs there once"
    said = explain(
        lambda w_a: (sum(term(w_a, **given) for term in TERMS.values()), w_a),
        lambda dloss, w_a: dloss * gradient_of_w_a(w_a, **given),
        {"w_a": w_a},
    )
    assert not said, f"{said}\n(does every term reach w_a, and is −α in every entry?)"
    at_zero = [
        gradient_of_w_a(0 * w_a, 0 * w_b, z_a, z_b, a) for a in (0.0, given["alpha"])
    ]
    assert not at_zero[0].any(), "at w = 0 and α = 0 nothing pulls: exactly 0"
    assert np.allclose(at_zero[1], -2 * given["alpha"]), (
        "at w = 0 and α > 0 only R pulls: every entry is −2α"
    )
print(
    "stationary at α = 0, pulled by −2α in every entry at α > 0, and right everywhere "
    "else: 20 drawn worlds"
)

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    worst_error_of_eq_7=worst,
    steps_to_zero_without_labels=steps_to_zero,
    least_curvature_with_labels=curvature(1.0),
    norm_at_0_8_of_the_threshold=left[0.8],
    spread_of_three_layers_at_lambda5_1=dead["spread"],
    ap_of_three_layers_at_lambda5_0_01=alive["map"],
    dimensions_left_by_the_elementwise_reading=ones["element-wise"]["rank"],
    expected_ap_of_one_point=expected[0],
)

# %% [markdown]
# ## What you learned
#
# Without labels, α = 0 leads to one point from any start; with labels a single regularised layer has a saddle there, and only its scale shrinks. Several regularised layers under a heavy λ₅, heads decayed beyond μ*, or the released
# penalty make zero a real minimum. α > 0 removes it, at the price of all dimensions but one when it is read element by element; and a collapsed space scores chance, unless ties are broken by the order of the gallery.
#
# ## Next
#
# [09 · Training it](09_training.ipynb): all five terms at once, on pictures. In the package: [`eq7_regulariser.py`](../cmir_ref/cmirnet/eq7_regulariser.py), [`retrieval/collapse.py`](../cmir_ref/retrieval/collapse.py); every claim
# with its test: [docs/alpha.md](../docs/alpha.md).
