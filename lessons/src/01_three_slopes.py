# ---
# jupyter:
#   lesson:
#     question: How can a computer measure a slope, and which measurement can be trusted?
#     minutes: 25
#     needs: []
#     derives: []
# ---

# %% [markdown]
# # 01 · Three ways to measure a slope
#
# **How can a computer measure a slope, and which measurement can be trusted?**
#
# Training a network means asking, millions of times, "if this number grew a little, would the error grow or shrink, and how fast?" That is a
# slope, or *derivative*. In this course every slope is worked out on paper, and paper has mistakes. So we first need a judge:
# a way to measure a slope that shares no reasoning with the paper. There are three; here is how wrong each of them is.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()


def f(x):
    return np.log(1 + np.exp(x * x))


def slope(x):
    return 2 * x * np.exp(x * x) / (1 + np.exp(x * x))


def forward(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def complex_slope(f, x, h):
    return f(x + 1j * h).imag / h


WAYS = {"forward": forward, "central": central, "complex step": complex_slope}
places = np.linspace(0.5, 1.5, 41)


def errors(way, steps, number=np.float64):
    """Relative error of one way, the median over `places`, for each step; all
    arithmetic in `number`."""
    x = places.astype(number)
    truth = slope(x.astype(np.float64))
    found = [
        np.median(np.abs(way(f, x, h) - truth) / truth) for h in steps.astype(number)
    ]
    return np.maximum(found, 1e-17)


STEPS = 10.0 ** np.arange(-1, -20.1, -0.25)


def draw(axes, number=np.float64):
    for (name, way), mark in zip(WAYS.items(), "os^", strict=True):
        axes.loglog(STEPS, errors(way, STEPS, number), marker=mark, ms=3, label=name)
    axes.set(xlabel="step h", ylabel="relative error of the slope", ylim=(3e-18, 10))
    axes.invert_xaxis()


figure, axes = plt.subplots(figsize=(6.4, 3))
draw(axes)
axes.legend(loc="center left", bbox_to_anchor=(0.02, 0.3))
show(
    figure,
    "The slope of f(x) = log(1 + exp(x²)), measured three ways. Smaller steps (to the "
    "right) help all three at first. Then two of them turn round and get worse; the "
    "third stays at the sixteenth digit (an error of exactly 0 is drawn at 1e-17).",
)

# %% [markdown]
# ## What a slope is, on x²
#
# Take $f(x) = x^2$, go a little step $h$ to the right, and ask how much $f$ has grown *per step*:
#
# $$\frac{(x+h)^2 - x^2}{h} = \frac{2xh + h^2}{h} = 2x + h .$$
#
# The slope is what remains when $h$ goes to zero: $2x$. What the computer gets with a step that is not zero is $2x + h$: too large by $h$.
# That is the **forward difference**. Now look to both sides, the **central difference**:
#
# $$\frac{(x+h)^2 - (x-h)^2}{2h} = \frac{4xh}{2h} = 2x .$$
#
# The extra terms have cancelled. The third way looks odd at first. Take the number $i$ with $i^2 = -1$, and step by $ih$, at a right angle to all real numbers:
#
# $$(x + ih)^2 = x^2 - h^2 + i\,2xh .$$
#
# The factor beside $i$, the *imaginary part*, divided by $h$, is $2x$. No subtraction took place anywhere. This is the **complex step**.
# As code, each is a line; Python writes $i$ as `1j`:
#
# ```python
# forward = (f(x + h) - f(x)) / h
# central = (f(x + h) - f(x - h)) / (2 * h)
# complex_slope = f(x + 1j * h).imag / h
# ```

# %%
print(
    f"{'h':>8} {'forward':>12} {'central':>12} {'complex step':>14}     slope of x² at "
    "3"
)
for h in (1.0, 0.1, 0.001):
    at = [way(lambda x: x * x, 3.0, h) for way in WAYS.values()]
    print(f"{h:8} {at[0]:12.6f} {at[1]:12.6f} {at[2]:14.6f}")

# %% [markdown]
# ## What is left over
#
# For a cube the leftovers of all three can be seen. Multiply out, and check each line below:
#
# | way | what it gives for $x^3$ | slope | left over |
# |---|---|---|---|
# | forward | $((x+h)^3 - x^3)/h$ | $3x^2$ | $3xh + h^2$ |
# | central | $((x+h)^3-(x-h)^3)/2h$ | $3x^2$ | $+h^2$ |
# | complex step | imaginary part of $(x+ih)^3$, over $h$ | $3x^2$ | $-h^2$ |
#
# It is the same for every smooth function. *Taylor's formula* says that near $x$ a smooth function is a polynomial in the step,
#
# $$f(x+h) = f(x) + f'(x)\,h + \tfrac12 f''(x)\,h^2 + \tfrac16 f'''(x)\,h^3 + \dots$$
#
# where $f'$ is the slope, $f''$ the slope of the slope, and so on. Put it into the three recipes: the forward difference is wrong by
# $\tfrac12 f'' h$, the central one by $\tfrac16 f''' h^2$, the complex step by $-\tfrac16 f''' h^2$. This is the **truncation error**: what we cut off.

# %%
x, h = 2.0, 0.01
leftover = {
    name: way(lambda x: x * x * x, x, h) - 3 * x * x for name, way in WAYS.items()
}
expected = {"forward": 3 * x * h + h * h, "central": h * h, "complex step": -h * h}
for name, value in leftover.items():
    print(f"{name:13} left over {value:+.8f}   by the table {expected[name]:+.8f}")
    assert abs(value - expected[name]) < 1e-11

# %% [markdown]
# So: make $h$ tiny, and all three are right? The first picture says no. The reason is that a computer keeps a limited number of digits: about 16 in
# `float64`, about 7 in `float32`. Subtract two numbers that agree in their first ten digits, and only six digits of the answer mean anything. That
# is **cancellation**. Watch the digits die.

# %%
x, true = 1.0, slope(1.0)
print(f"{'h':>7}   {'f(x + h)':<20} {'f(x)':<20} {'difference / h':<20} correct digits")
for exponent in (2, 5, 8, 11, 14, 16):
    h = 10.0**-exponent
    found = forward(f, x, h)
    digits = 0 if found == 0 else max(0, -np.log10(abs(found - true) / true))
    print(
        f"{h:7.0e}   {f(x + h):<20.16f} {f(x):<20.16f} {found:<20.16f} "
        f"{'■' * round(digits)} {digits:.0f}"
    )
print(f"{'true slope':>50} {true:.16f}")

# %% [markdown]
# ## Why it is a V
#
# Two errors, then. Truncation falls with $h$. Rounding *grows* as $h$ falls: each value of $f$ is off by about $\varepsilon |f|$, where
# $\varepsilon$ is the spacing of the computer's numbers near 1 ($2\cdot10^{-16}$, or $10^{-7}$ in `float32`), and it is divided by $h$:
#
# $$\text{forward: } \tfrac12|f''|\,h + \frac{\varepsilon|f|}{h}, \qquad \text{central: } \tfrac16|f'''|\,h^2 + \frac{\varepsilon|f|}{h} .$$
#
# On logarithmic axes a power of $h$ is a straight line, so each sum is a V. It is lowest where both parts are alike: near $h = \sqrt\varepsilon$
# with an error of about $\sqrt\varepsilon$ (half of all digits) for the forward difference, near $h = \sqrt[3]\varepsilon$ with about $\varepsilon^{2/3}$ (two
# thirds of them) for the central one. The complex step has no difference, so no second part: no V.
#
# Change `number` and `way` and draw again.


# %% tags=["folded"]
def draw_v(axes, way, number):
    """The measured error of one way, and the two lines that it should follow."""
    eps = float(np.finfo(number).eps)
    steps = STEPS[eps / 10 < STEPS]
    axes.loglog(
        steps, errors(way, steps, number), "o", ms=3, color="black", label="measured"
    )
    power = 1 if way is forward else 2
    axes.loglog(steps, steps**power, label="truncation ∝ h or h²")
    if way is not complex_slope:
        axes.loglog(steps, eps / steps, label="rounding ∝ ε/h")
        axes.axvline(eps ** (1 / (power + 1)), color="grey", lw=0.8, ls=":")
    axes.set(xlabel="step h", ylabel="relative error", ylim=(eps / 30, 10))
    axes.invert_xaxis()


# %%
figure, panels = plt.subplots(2, 3, figsize=(8, 4.2))
for line, number in zip(panels, (np.float64, np.float32), strict=True):
    for axes, (name, way) in zip(line, WAYS.items(), strict=True):
        draw_v(axes, way, number)
        axes.set_title(f"{name}, {np.dtype(number).name}")
figure.legend(
    *panels[0, 0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    fontsize=8,
)
show(
    figure,
    "Each V is a falling line plus a rising one; the dotted line is where theory puts "
    "the bottom. In float32 the best central difference keeps four or five digits, "
    "the complex step all seven.",
)


def best(way, number):
    found = errors(way, STEPS, number)
    return STEPS[found.argmin()], found.min()


print(f"{'':9} {'':14} {'best h':>9} {'its error':>10}")
for number in (np.float64, np.float32):
    for name, way in list(WAYS.items())[:2]:
        print(
            f"{np.dtype(number).name:9} {name:14} {best(way, number)[0]:9.0e} "
            f"{best(way, number)[1]:10.0e}"
        )
flat = errors(complex_slope, 10.0 ** np.arange(-9, -300, -10.0))
print(
    "float64   complex step   any h from 1e-9 to 1e-299, error at most "
    f"{flat.max():.0e}"
)
assert flat.max() < 1e-15

# %% [markdown]
# ## Where did the slope of f come from? The chain rule
#
# Our test function is $f(x) = \log(1 + e^{x^2})$. To find its slope on paper, take it apart into steps so small that each slope can be looked up:
#
# | step | what it does | its own slope | |
# |---|---|---|---|
# | $u = x^2$ | square | $2x$ | seen above |
# | $v = e^u$ | grow | $e^u$ | $e^u$ is its own slope |
# | $w = 1 + v$ | shift | $1$ | |
# | $y = \log w$ | undo growth | $1/w$ | $w = e^y$ grows by $w$ for each unit of $y$; so $y$ by $1/w$ for each of $w$ |
#
# A small change $h$ of $x$ becomes a change $2x\,h$ of $u$; that becomes $e^u\cdot 2x\,h$ in $v$, and so on. **Slopes of steps in a row multiply.** That is the
# chain rule. Backpropagation is nothing else, worked from the last step to the first; where a number is used twice, its slopes are added (lesson 02).

# %%
x = 0.8
u = x * x
v = np.exp(u)
w = 1 + v
y = np.log(w)
along = {"u": 2 * x, "v": v, "w": 1.0, "y": 1 / w}
product = 1.0
print("step   value     own slope   product so far")
for (name, own), value in zip(along.items(), (u, v, w, y), strict=True):
    product *= own
    print(f"  {name}   {value:8.5f}   {own:8.5f}   {product:8.5f}")
measured = complex_slope(f, x, 1e-40)
print(
    f"complex step of f at {x}:        {measured:8.5f}, apart by "
    f"{abs(product - measured):.0e}"
)
assert abs(product - measured) < 1e-15

# %% [markdown]
# ## Where the complex step fails
#
# It is the best judge we have, and it can be fooled in silence. The rule behind it: the code must do to $x + ih$ what Taylor's formula does, add, multiply, divide, and take
# smooth functions. Some functions throw the imaginary part away instead:
#
# - `abs` of a complex number is its *length* $\sqrt{x^2+h^2}$, a real number: imaginary part 0, so "slope 0". `np.linalg.norm` is built from it, and NumPy's `var` and `std` likewise.
# - `x > 0` has no meaning for complex numbers. Python refuses; NumPy compares real parts, and *if those are equal, imaginary parts*. At exactly 0 the step itself decides.
#
# The mends: square with `x * x`, take roots with `sqrt`, and ask `x.real > 0`.

# %%
cases = {
    "abs(x)": (np.abs, 0.5, 1.0),
    "where(x.real > 0, x, −x)": (lambda x: np.where(x.real > 0, x, -x), 0.5, 1.0),
    "linalg.norm([x, 1])": (lambda x: np.linalg.norm(np.array([x, 1])), 0.75, 0.6),
    "sqrt(x·x + 1·1)": (lambda x: np.sqrt(x * x + 1), 0.75, 0.6),
    "var([x, 0])": (lambda x: np.var(np.array([x, 0])), 3.0, 1.5),
    "mean of squared deviations": (
        lambda x: ((x - x / 2) * (x - x / 2) + (0 - x / 2) * (0 - x / 2)) / 2,
        3.0,
        1.5,
    ),
}
print(f"{'':28} {'true':>5} {'central':>8} {'complex':>8}")
answers = {}
for name, (g, x, true) in cases.items():
    answers[name] = float(complex_slope(g, np.complex128(x), 1e-40))
    verdict = "" if abs(answers[name] - true) < 1e-12 else "  wrong, without a word"
    print(
        f"{name:28} {true:5.1f} {central(g, x, 1e-6):8.3f} "
        f"{answers[name]:8.3f}{verdict}"
    )
assert answers["abs(x)"] == answers["linalg.norm([x, 1])"] == 0

# %% [markdown]
# Did you see how they were caught? The *central* difference disagreed. It is a hundred thousand times coarser, and still useful: it never asks for complex numbers. Two judges who fail
# in different ways are worth more than one good one.
#
# ## Kinks
#
# $|x|$ and $\max(x, 0)$ have a corner at 0: slope one number on the left, another on the right, none in the corner. Near it, the central difference mixes both sides; in it, each
# way gives an answer of its own, and none is right, because there is nothing to be right about. Change `h` and watch the mixed zone grow.

# %%
grid = np.linspace(-0.12, 0.12, 241)


def ramp(x):
    return np.where(x.real > 0, x, 0)


figure, panels = plt.subplots(1, 3, figsize=(8, 2.2), sharey=True)
for axes, h in zip(panels, (0.08, 0.04, 0.01), strict=True):
    axes.plot(grid, forward(ramp, grid, h), label="forward")
    axes.plot(grid, central(ramp, grid, h), label="central")
    axes.plot(grid, complex_slope(ramp, grid, h), label="complex step")
    axes.set(xlabel="x", ylabel="measured slope", title=f"max(x, 0), h = {h}")
panels[0].legend(fontsize=7, loc="lower right")
show(
    figure,
    "Within h of the corner the differences are wrong. The complex step leaves the "
    "real part where it is, so it always sees one side only.",
)
at_corner = [
    float(way(ramp, 0.0 if way is not complex_slope else np.complex128(0), 1e-3))
    for way in WAYS.values()
]
print(
    "in the corner:",
    ", ".join(
        f"{name} {value:.1f}" for name, value in zip(WAYS, at_corner, strict=True)
    ),
)

# %% [markdown]
# ## Many inputs, and one direction
#
# A network has thousands of inputs and one loss. The *gradient* is the list of all slopes, one for each input with the others held still. The package's functions take a function of a
# list of arrays:

# %%
from cmir_ref.gradcheck import central_difference, complex_step, directional

rng = np.random.default_rng(1)
A, x = rng.normal(size=(6, 4)), rng.normal(size=4)


def loss(arrays):
    s = A @ arrays[0]
    return (s * s).sum() + np.log(1 + np.exp(s)).sum()


s = A @ x
paper = A.T @ (2 * s + 1 / (1 + np.exp(-s)))  # by the chain rule; lesson 02 says how
by_complex = complex_step(loss, [x], 0)
by_central = central_difference(lambda arrays: (loss(arrays), b""), [x], 0)
print("paper       ", paper)
print(
    "complex step",
    by_complex,
    f"  off by {np.abs(by_complex - paper).max() / np.abs(paper).max():.0e}",
)
print(
    "central     ",
    by_central,
    f"  off by {np.abs(by_central - paper).max() / np.abs(paper).max():.0e}",
)

# %% [markdown]
# Every input costs one more evaluation of the whole network. For a million inputs that is too much. Instead, move *all* inputs at once along one direction $d$: the growth of the loss
# per step is then the **directional derivative**, a weighted sum of all slopes. With $\partial L/\partial x_i$ for the slope of $L$ when $x_i$ *alone* is moved (the round ∂ says: all others are held),
#
# $$\frac{\partial L}{\partial d} = \sum_i \frac{\partial L}{\partial x_i}\, d_i ,$$
#
# and it costs one evaluation, for four inputs or four million. If it agrees with the gradient from paper for a few random directions, the whole gradient is right with
# near certainty, as long as no $d_i$ is close to zero (such an entry would hide).

# %%
angles = np.linspace(0, 2 * np.pi, 181)


# %% tags=["folded"]
def draw_circle(axes, x):
    """The slope of the loss in every direction of the plane of the first two inputs,
    measured and from paper."""
    s = A @ x
    gradient = A.T @ (2 * s + 1 / (1 + np.exp(-s)))
    around = [np.array([np.cos(t), np.sin(t), 0, 0]) for t in angles]
    axes.plot(angles, [gradient @ d for d in around], label="gradient · d")
    axes.plot(
        angles[::10],
        [directional(loss, [x], [d]) for d in around[::10]],
        "o",
        ms=3,
        label="measured",
    )
    steepest = np.arctan2(gradient[1], gradient[0]) % (2 * np.pi)
    axes.axvline(steepest, color="grey", lw=0.8, ls=":")
    axes.set(xlabel="angle of d", ylabel="slope along d")


figure, panels = plt.subplots(1, 3, figsize=(8, 2.2))
for axes, scale in zip(panels, (1.0, 0.3, -0.5), strict=True):
    draw_circle(axes, scale * x)
    axes.set_title(f"at {scale} x")
panels[2].legend(fontsize=7, loc="upper center")
show(
    figure,
    "One evaluation gives one dot. The slope is a cosine of the direction: largest "
    "along the gradient itself (dotted), zero across it.",
)

# %%
d = rng.choice([-1.0, 1.0], 4) * rng.uniform(0.1, 1, 4)
along_d = directional(loss, [x], [d])
print(f"measured {along_d:.12f}, from the gradient {paper @ d:.12f}")
wrong = paper * np.array([1, 1, 1.01, 1])
print(f"with one entry 1 % off: {wrong @ d:.12f}")
error_along_d = abs(along_d - paper @ d) / np.abs(paper * d).sum()
assert error_along_d < 1e-14 < abs(along_d - wrong @ d) / np.abs(paper * d).sum()

# %% [markdown]
# ## The judge of this package
#
# `check_gradient` puts all three together: complex step and central difference for every entry, and a few random directions. It is given a function, and a `backward` that claims to
# know its gradient. Here is one that is right, and one whose *function* loses the imaginary part: the judge sees that it is gone, asks neither the complex step nor the directions,
# and leaves the word to the central difference.

# %%
from cmir_ref.gradcheck import check_gradient


def length_backward(dy, cache):
    return dy * cache / np.sqrt((cache * cache).sum())


def verdicts(function):
    found = check_gradient(function, length_backward, [x])
    return {
        method: max(r.error for r in found if r.method == method)
        for method in {r.method: 0 for r in found}
    }


for name, function in {
    "sqrt of squares": lambda x: (np.sqrt((x * x).sum()), x),
    "linalg.norm": lambda x: (np.linalg.norm(x), x),
}.items():
    print(
        f"{name:16}",
        ", ".join(
            f"{method} {error:.0e}" for method, error in verdicts(function).items()
        ),
    )
assert list(verdicts(function)) == ["central-difference"]

# %% [markdown]
# ## Your turn
#
# Write the complex step for a function of *several* numbers: `f` takes an array $(n,)$ and returns a number; return all $n$ slopes. The blank uses forward differences. Your
# slopes must be right to twelve digits.


# %% tags=["exercise"]
def my_slopes(f, x):
    h = 1e-8
    return np.array([(f(x + h * e) - f(x)) / h for e in np.eye(len(x))])  # yours


# %% tags=["solution"]
def my_slopes(f, x):
    h = 1e-40
    return np.array([f(x + 1j * h * e).imag / h for e in np.eye(len(x))])


# %% tags=["check"]
trials = {
    "x·x summed": (lambda x: (x * x).sum(), lambda x: 2 * x),
    "product": (
        lambda x: x[0] * x[1] * x[2],
        lambda x: np.array([x[1] * x[2], x[0] * x[2], x[0] * x[1]]),
    ),
    "f of each": (lambda x: f(x).sum(), slope),
}
point = np.array([0.7, -1.1, 1.3])


def complaint(slopes, truth):
    """What is wrong with the slopes, in words; empty where nothing is."""
    if np.shape(slopes) != truth.shape:
        return f"three slopes are wanted, not an array of shape {np.shape(slopes)}"
    largest = np.abs(slopes).max()
    if largest > 1e20:
        return (
            "as large as 1/h: f's value is in it; only its imaginary part, .imag, is h "
            "times the slope"
        )
    if np.iscomplexobj(slopes):
        return "these are complex numbers: the slope is in the imaginary part, .imag"
    if largest == 0:
        return (
            "all 0: the imaginary part is lost. Does an array of real numbers drop it, or "
            "h vanish beside x?"
        )
    if largest < 1e-20:
        return "as small as h: the imaginary part is h times the slope, so divide by h"
    if np.allclose(slopes, truth.sum()) and not np.allclose(truth, truth.sum()):
        return "each is the sum of all three: move one entry at a time"
    off = np.abs(slopes - truth).max() / np.abs(truth).max()
    times = (slopes / truth).round(3)
    if off < 1e-12:
        return ""
    if off < 1e-3:
        return (
            f"off by {off:.0e}: a difference f(x + h) − f(x) loses digits, whatever h"
        )
    return f"yours are {times} times the slopes: the sign, or what is divided by?"


for name, (function, truth) in trials.items():
    said = complaint(my_slopes(function, point), truth(point))
    assert not said, f"{name}: {said}"
print("right: every slope to twelve digits")

# %% [markdown]
# And the second: in `float32`, as on a graphics card, only differences may be at hand. The blank takes the step that is best for `float64`. Find one that keeps four
# digits with the central difference.

# %% tags=["exercise"]
h32 = 6e-6  # yours

# %% tags=["solution"]
h32 = 5e-3  # the cube root of ε = 1.2e-7

# %% tags=["check"]
assert h32 > 0, "a step is a positive number"
off = errors(central, np.array([h32]), np.float32)[0]
advice = "smaller; this is truncation" if h32 > 5e-3 else "larger; this is rounding"
assert off < 1e-4, f"the slope is off by {off:.0e}: take a step that is {advice}"
print(f"right: off by {off:.0e} only")

# %% [markdown]
# ## The numbers this lesson stands by
#
# Steps as powers of ten; an error near 1e-16 means the last digit that there is.

# %%
numbers(
    error_of_complex_step=flat.max(),
    error_along_a_direction=error_along_d,
    power_of_the_best_central_step_float64=np.log10(best(central, np.float64)[0]),
    power_of_the_best_central_step_float32=np.log10(best(central, np.float32)[0]),
    power_of_the_best_forward_error_float64=np.log10(best(forward, np.float64)[1]),
    complex_step_of_abs=answers["abs(x)"],
)

# %% [markdown]
# ## What you learned
#
# A difference loses digits, so it has a best step and never more than two thirds of the digits; the complex step subtracts nothing and keeps them all. It is fooled by `abs`, norms and
# comparisons of complex numbers, which a central difference finds out, and in a kink there is no slope to find. Slopes in a row multiply, and one random direction tests a whole gradient
# at the price of one evaluation.
#
# ## Next
#
# [02 · The cache](02_the_cache.ipynb): gradients by hand, and this judge beside each of them. In the package:
# [`gradcheck/numeric.py`](../cmir_ref/gradcheck/numeric.py), [`gradcheck/check.py`](../cmir_ref/gradcheck/check.py); your own pair of functions: `cmir-ref gradcheck --module mine.py:name`.
