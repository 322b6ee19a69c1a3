# ---
# jupyter:
#   lesson:
#     question: What does a gate do to a number on the way there, and to a gradient on the way back?
#     minutes: 25
#     needs: ["03"]
#     derives: [ops.sigmoid, ops.tanh]
# ---

# %% [markdown]
# # 14 · Gates and slopes
#
# **What does a gate do to a number on the way there, and to a gradient on the way back?**
#
# So far the networks of this course added, and multiplied by *weights*; two numbers that have *both been computed* met only inside a softmax and a norm. The networks that read sentences, and those that let one picture look at another,
# are built on such products. One of the two numbers lies between 0 and 1 and is called a gate. It says how much of the other goes through. This lesson is about that product, about the two curves that are always
# around it, and about a mixture of an old value and a new one that can carry a gradient through fifty steps, as the picture shows.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 2.7))
time = np.arange(51)
news = np.where(time < 5, 1.0, 0.0) + 0.15 * np.sin(0.9 * time)
for keep, mark in ((0.0, "o"), (0.8, "s"), (0.99, "^")):
    h, course = 0.0, []
    for t in time:
        z = 0.0 if t < 5 else keep  # open for the first five steps, then a gate
        h = (1 - z) * news[t] + z * h
        course.append(h)
    left.plot(time, course, marker=mark, markevery=10, ms=4, label=f"z = {keep}")
    right.semilogy(
        time,
        np.maximum(keep**time, 1e-17),
        marker=mark,
        markevery=10,
        ms=4,
        label=f"z = {keep}",
    )
left.set(xlabel="step", ylabel="value h", title="h ← (1 − z) · news + z · h")
right.set(
    xlabel="steps back",
    ylabel="gradient that arrives",
    title="what the first value hears",
)
left.legend(fontsize=7)
show(
    figure,
    "Left: a value that was set in the first five steps. With the gate z near 1 it is "
    "kept, with z = 0 it is overwritten. Right: the same gate decides how much of a "
    "gradient finds the way back (at z = 0 nothing: the line lies at the edge).",
)

# %% [markdown]
# ## Two curves
#
# A gate has to lie between 0 and 1. The **sigmoid** of lesson 03 makes any number do so; its sister the **hyperbolic tangent** goes from −1 to 1:
#
# $$\sigma(x) = \frac{1}{1+e^{-x}}, \qquad \tanh(x) = \frac{e^{x}-e^{-x}}{e^{x}+e^{-x}} = 2\,\sigma(2x) - 1 .$$
#
# Their slopes. Write $\sigma = 1/s$ with $s = 1 + e^{-x}$. The slope of $1/s$ is $-1/s^2$, that of $s$ is $-e^{-x} = -(s - 1)$; together $(s-1)/s^2 = \frac1s\left(1 - \frac1s\right)$. With $p = \sigma(x)$:
#
# $$\sigma'(x) = p\,(1-p), \qquad\text{and for } y = \tanh(x):\quad \tanh'(x) = 4\,q(1-q) = 1 - y^2, \quad q = \sigma(2x) = \tfrac{1+y}{2}.$$
#
# Both slopes can be told from the *output* alone. So that is what a layer keeps for the way back; the input may be forgotten.

# %%
from cmir_ref.gradcheck import complex_step

x = np.linspace(-6, 6, 121)
p, y = 1 / (1 + np.exp(-x)), np.tanh(x)
by_hand = {"sigmoid": p * (1 - p), "tanh": 1 - y * y}
curves = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}
error_of_slopes = 0.0
for name, curve in curves.items():
    measured = complex_step(lambda a, curve=curve: curve(a[0]).sum(), [x], 0)
    off = np.abs(by_hand[name] - measured).max()
    error_of_slopes = max(error_of_slopes, off)
    print(
        f"{name:8} slope off by {off:.0e}; largest {by_hand[name].max():.2f} at 0, "
        f"at 6 only {by_hand[name][-1]:.0e}"
    )
assert error_of_slopes < 1e-15
assert by_hand["sigmoid"].max() == 0.25 and by_hand["tanh"].max() == 1
assert np.allclose(y, 2 / (1 + np.exp(-2 * x)) - 1, atol=1e-15)

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(8.8, 2.4))
for axes, (name, curve) in zip(panels, curves.items(), strict=True):
    axes.plot(x, curve(x), label=name)
    axes.plot(x, by_hand[name], label="its slope")
    axes.axhline(0, color="#999999", lw=0.6, ls="-")
    axes.set(xlabel="x", ylabel="value", title=name)
    axes.legend(fontsize=7)
show(
    figure,
    "Where a curve is flat, its slope is nearly 0: whoever has made up his mind hears "
    "no objection any more. The sigmoid passes on a quarter at most.",
)

# %% [markdown]
# One trap. $e^{-x}$ overflows where $x$ is far below zero: at −1000 a computer says `inf`. The sum $1/(1+\infty)$ happens to come out right, with a warning; on the way back $e^{-x}/(1+e^{-x})^2$ is `inf/inf`, and NaN.
# The form $p(1-p)$ never meets that, and $p$ itself is computed from $e^{-|x|}$, which is at most 1.

# %%
far = np.array([-1000.0, 1000.0])
with np.errstate(over="ignore", invalid="ignore"):
    literal = np.exp(-far) / (1 + np.exp(-far)) ** 2
small = np.exp(-np.abs(far))
p_far = np.where(far > 0, 1, small) / (1 + small)
print("slope by e⁻ˣ/(1 + e⁻ˣ)²:", literal, "  by p (1 − p):", p_far * (1 - p_far))
assert np.isnan(literal[0]) and not (p_far * (1 - p_far)).any()

# %% [markdown]
# ## A product of two computed numbers
#
# $y = a\,b$. Lesson 02 had $wx$, a weight and an input; here both are intermediate results, and both must hand a gradient on. Move each a little: $(a+\delta a)(b+\delta b) = ab + b\,\delta a + a\,\delta b + \delta a\,\delta b$. The last part is a product of
# two small things and falls out. So
#
# $$\dot a = \dot y\, b, \qquad \dot b = \dot y\, a :$$
#
# **each gets the upstream times the other one.** Three sentences follow, and they are worth more than the formula:
#
# - A gate that is shut ($b = 0$) lets nothing through *on either way*: the value is 0, and so is $\dot a$.
# - The gate itself hears something exactly where there was something to let through: $\dot b = \dot y\,a$.
# - If $a$ and $b$ were computed from the *same* $x$, then $x$ has two users, and what they say is **added**.
#
# The smallest example has all three: $y = x\,\sigma(x)$, a number that is its own gate.

# %%
rng = np.random.default_rng(14)
x = rng.normal(size=(3, 4))


def own_gate(x, nudge=None):
    """y = x σ(x), with every intermediate result; `nudge` adds to one of them."""
    at = lambda name: (nudge or {}).get(name, 0)
    gate = 1 / (1 + np.exp(-x)) + at("gate")
    y = x * gate + at("y")
    return y, gate


dy = rng.normal(size=x.shape)
y, gate = own_gate(x)
d_gate = dy * x  # the product, the gate's side
through_product = dy * gate  # the product, x's side
through_gate = d_gate * gate * (1 - gate)  # σ's slope
dx = through_product + through_gate

measured = complex_step(lambda a: (own_gate(a[0])[0] * dy).sum(), [x], 0)
nudged = complex_step(lambda a: (own_gate(x, {"gate": a[0]})[0] * dy).sum(), [0 * x], 0)
print(f"gradient at the gate: off by {np.abs(d_gate - nudged).max():.0e}")
print(f"gradient at x:        off by {np.abs(dx - measured).max():.0e}")
forgotten = np.abs(through_product - measured).max() / np.abs(measured).max()
print(f"with the path through the gate forgotten: {forgotten:.0%}")
assert np.abs(dx - measured).max() < 1e-15 and np.abs(d_gate - nudged).max() < 1e-15
assert forgotten > 0.05

# %% [markdown]
# ## The blend
#
# The gate of the picture at the top does not open and shut one number. It mixes two:
#
# $$y = (1 - z)\,n + z\,h, \qquad z\in(0,1).$$
#
# Three things are used, and each has its line:
#
# | who | there | back |
# |---|---|---|
# | the new value | $(1-z)\,n$ | $\dot n = \dot y\,(1-z)$ |
# | the old value | $z\,h$ | $\dot h = \dot y\,z$ |
# | the gate | $-z\,n + z\,h$ | $\dot z = \dot y\,(h-n)$ |
#
# **A blend shares the gradient out as it shared out the values**: $\dot n + \dot h = \dot y$. Nothing is lost and nothing is made. And the gate hears $h - n$: it is asked to let more of the old one through if the old one would have been better.


# %%
def blend(n, h, z):
    return (1 - z) * n + z * h


n, h = rng.normal(size=(2, 3, 4))
z = rng.uniform(0.1, 0.9, (3, 4))
shares = {"n": dy * (1 - z), "h": dy * z, "z": dy * (h - n)}
error_of_blend = 0.0
for position, (name, ours) in enumerate(shares.items()):
    measured = complex_step(lambda a: (blend(*a) * dy).sum(), [n, h, z], position)
    error_of_blend = max(error_of_blend, np.abs(ours - measured).max())
    print(f"d{name}: off by {np.abs(ours - measured).max():.0e}")
assert error_of_blend < 1e-14
assert np.allclose(shares["n"] + shares["h"], dy, rtol=1e-14)

# %% [markdown]
# That is why gates were invented. Put fifty steps in a row. A plain chain $h \leftarrow \tanh(w\,h)$ multiplies the gradient by $w(1-h^2)$ at each step, a factor that is almost never 1, and fifty of them make it vanish (or, for large
# $w$ and small $h$, explode). A chain of blends multiplies it by $z$, and $z$ can be *learned* to be near 1. Change the weights and the gates.

# %%
STEPS = 50


def plain_chain(w, start=0.5):
    """|∂h_T/∂h_0| of h ← tanh(w h), for T = 0 … 50."""
    h, slope, found = start, 1.0, [1.0]
    for _ in range(STEPS):
        h = np.tanh(w * h)
        slope *= w * (1 - h * h)
        found.append(abs(slope))
    return found


def chain_of_blends(z):
    """The same of h ← (1 − z) n + z h with news n that do not look at h."""
    return list(z ** np.arange(STEPS + 1))


figure, axes = plt.subplots(figsize=(8.8, 2.7))
for w in (0.5, 1.0, 1.5):
    axes.semilogy(plain_chain(w), label=f"h ← tanh({w} h)")
for z in (0.9, 0.99):
    axes.semilogy(chain_of_blends(z), marker="s", markevery=10, label=f"blend, z = {z}")
axes.set(xlabel="steps T", ylabel="∂h at T / ∂h at 0", ylim=(1e-18, 10))
axes.legend(fontsize=7, loc="lower left")
show(
    figure,
    "Through plain steps a gradient fades: at w = 1 slowly, below it as a power of w, "
    "above it because tanh gets flat. Through blends it shrinks as slowly as the gate "
    "says.",
)
vanished, kept = plain_chain(0.5)[-1], chain_of_blends(0.99)[-1]
print(
    f"after {STEPS} steps: plain, w = 0.5: {vanished:.0e}; blend, z = 0.99: {kept:.2f}"
)
assert vanished < 1e-14 and kept > 0.6

# %% [markdown]
# ## When does a gate learn?
#
# A gate is the output of a sigmoid, $z = \sigma(u)$, so what reaches its own weights is
#
# $$\dot u = \dot y\,(h-n)\;z(1-z).$$
#
# Three factors, and each can be the one that is 0. Nobody complains ($\dot y = 0$). Old and new are the same ($h = n$): it does not matter which is taken. Or the gate is wide open or shut ($z(1-z)\approx 0$): it might be wrong, but it does not hear it. The third is a trap, and therefore the bias of a gate begins near 0 and not at 10.

# %%
cases = {  # dy, h, n, u
    "all is well": (1.0, 1.0, 0.0, 0.0),
    "nobody complains": (0.0, 1.0, 0.0, 0.0),
    "old = new": (1.0, 0.7, 0.7, 0.0),
    "gate wide open": (1.0, 1.0, 0.0, 10.0),
    "gate shut": (1.0, 1.0, 0.0, -10.0),
}
hears = {}
for name, (upstream, old, new, u) in cases.items():
    gate = 1 / (1 + np.exp(-u))
    hears[name] = abs(upstream * (old - new) * gate * (1 - gate))
    print(f"{name:18} z = {gate:.5f}   the gate's weights hear {hears[name]:.5f}")
assert hears["all is well"] == 0.25
assert hears["nobody complains"] == hears["old = new"] == 0
assert max(hears["gate wide open"], hears["gate shut"]) < 1e-4

# %% [markdown]
# ## The package's own

# %%
import inspect

from cmir_ref.gradcheck import check_gradient, explain
from cmir_ref.ops.sigmoid import sigmoid, sigmoid_backward
from cmir_ref.ops.tanh import tanh, tanh_backward

print(inspect.getsource(sigmoid), inspect.getsource(sigmoid_backward), sep="\n")
u = rng.normal(size=(4, 3)) * 3
error_of_package = max(
    r.error
    for pair in ((sigmoid, sigmoid_backward), (tanh, tanh_backward))
    for r in check_gradient(*pair, [u])
    if r.method == "complex-step"
)
print(f"both against the complex step: {error_of_package:.0e}")
assert error_of_package < 1e-13

# %% [markdown]
# ## Your turn: a layer that may do nothing
#
# A *highway* layer blends its own input with something new:
#
# $$g = \sigma(x\,u), \qquad n = \tanh(x\,w), \qquad y = g\odot n + (1-g)\odot x,$$
#
# with square matrices $u$ and $w$. Write the way back for `x`, `w` and `u`. First list who uses $x$: there are three. The blank knows one of them.


# %% tags=["exercise"]
def highway(x, w, u):
    g, n = 1 / (1 + np.exp(-(x @ u))), np.tanh(x @ w)
    return g * n + (1 - g) * x, (x, w, u, g, n)


def highway_backward(dy, cache):
    x, w, u, g, n = cache
    return dy * (1 - g), np.zeros_like(w), np.zeros_like(u)  # yours


# %% tags=["solution"]
def highway_backward(dy, cache):
    x, w, u, g, n = cache
    d_new = dy * g * (1 - n * n)  # at x w, behind the blend and tanh
    d_gate = dy * (n - x) * g * (1 - g)  # at x u, behind the blend and σ
    dx = dy * (1 - g) + d_new @ w.T + d_gate @ u.T
    return dx, x.T @ d_new, x.T @ d_gate


# %% tags=["check"]
from cmir_ref.reports.lesson import with_hints

for rows in (1, 5):
    random = np.random.default_rng(rows)
    arrays = {"x": (rows, 3), "w": (3, 3), "u": (3, 3)}
    arrays = {name: random.normal(size=shape) for name, shape in arrays.items()}
    said = with_hints(
        explain(highway, highway_backward, arrays),
        x="who uses x? three things do",
        w="what is new reaches y through the gate g; and tanh has a slope",
        u="what does the gate choose between? and σ has a slope",
    )
    assert not said, f"{rows} rows of x:\n{said}"
print("right, for one row and for five")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_the_slopes=error_of_slopes,
    error_of_the_blend=error_of_blend,
    error_of_sigmoid_and_tanh=error_of_package,
    what_x_loses_without_the_path_through_its_gate=forgotten,
    gradient_after_50_blends=kept,
)

# %% [markdown]
# ## What you learned
#
# The slopes of sigmoid and tanh are told by their outputs, $p(1-p)$ and $1-y^2$, and both fade where the curve is flat. In a product each factor gets the upstream times the other one, and a number that feeds both gets the sum. A blend shares the gradient out as it shared out the
# values, so a gate near 1 carries a gradient through many steps; a gate learns only where it is undecided, where old and new differ, and where somebody complains.
#
# ## Next
#
# [15 · Recurrence](15_recurrence.ipynb): three gates make a network that reads. In the package: [`ops/sigmoid.py`](../cmir_ref/ops/sigmoid.py), [`ops/tanh.py`](../cmir_ref/ops/tanh.py),
# and a gate between two modalities: [`attention/gate.py`](../cmir_ref/attention/gate.py).
