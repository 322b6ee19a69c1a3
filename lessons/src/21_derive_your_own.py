# ---
# jupyter:
#   lesson:
#     question: How do you derive, and check, the gradient of something that no lesson shows?
#     minutes: 35
#     needs: ["05", "20"]
#     derives: []
# ---

# %% [markdown]
# # 21 · Derive your own
#
# **How do you derive, and check, the gradient of something that no lesson shows?**
#
# All derivations of this course were made by one method, and you have seen it at work often enough to use it. Here it is, in six steps that need no ideas, on an operation that stands in no lesson: the *generalised mean*, which pools the places of a picture and learns by itself whether it wants to be a mean or a maximum.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
STEPS = {  # name: what it is made of
    "l": ["x"],
    "t": ["p", "l"],
    "e": ["t"],
    "m": ["e"],
    "k": ["m"],
    "q": ["k", "p"],
    "y": ["q"],
}
PLACES = {
    "x": (0, 0),
    "p": (1, 1),
    "l": (1, 0),
    "t": (2, 0),
    "e": (3, 0),
    "m": (4, 0),
    "k": (5, 0),
    "q": (6, 0),
    "y": (7, 0),
}
figure, axes = plt.subplots(figsize=(8.8, 2.0))
for name, parents in STEPS.items():
    for parent in parents:
        start, end = np.array(PLACES[parent]), np.array(PLACES[name])
        axes.annotate(
            "",
            end - 0.16 * (end - start) / np.linalg.norm(end - start),
            start,
            arrowprops={"arrowstyle": "->", "color": "#555555"},
        )
for name, place in PLACES.items():
    shade = "#E69F00" if name in "xp" else "#56B4E9" if name == "y" else "white"
    axes.text(
        *place, name, ha="center", va="center", bbox={"boxstyle": "circle", "fc": shade}
    )
axes.set(xlim=(-0.5, 7.5), ylim=(-0.6, 1.5))
axes.set_title("what is computed from what", fontsize=9)
axes.axis("off")
show(
    figure,
    "The generalised mean in seven steps. An arrow: is used by. On the way back every "
    "arrow is walked once, the other way; p has two.",
)

# %% [markdown]
# ## Step 1: write it in small steps, and name each
#
# Small means: it is a copy, a sum, a fetch or a product (lesson 20), or its slope can be looked up:
#
# | $y$ | $x^2$ | $1/x$ | $\sqrt x$ | $e^x$ | $\log x$ | $\sigma(x)$ | $\tanh x$ | $\max(x, 0)$ |
# |---|---|---|---|---|---|---|---|---|
# | slope | $2x$ | $-1/x^2$ | $1/(2\sqrt x)$ | $y$ | $1/x$ | $y(1-y)$ | $1-y^2$ | 1 where $x > 0$, else 0 |
#
# So here is the whole method on one example. With $x > 0$ of shape (N, M places, C) and a number $p$ (an array of shape (1,)):
#
# $$y_{nc} = \Big(\frac1M\sum_m x_{nmc}^{\,p}\Big)^{1/p}.$$
#
# $p=1$ is the mean, $p\to\infty$ the maximum. A power with a learned exponent is not in the table of slopes; $x^p = e^{p\log x}$ is. Each step keeps its result under its name, and adds a `nudge`, which step 5 will use. That is the whole trick of this page: **a forward that can be poked anywhere.**


# %%
def gem(x, p, nudge=None):
    c, at = {}, nudge or {}
    c["l"] = np.log(x) + at.get("l", 0)
    c["t"] = p * c["l"] + at.get("t", 0)
    c["e"] = np.exp(c["t"]) + at.get("e", 0)
    c["m"] = c["e"].sum(axis=1) / x.shape[1] + at.get("m", 0)
    c["k"] = np.log(c["m"]) + at.get("k", 0)
    c["q"] = c["k"] / p + at.get("q", 0)
    c["y"] = np.exp(c["q"]) + at.get("y", 0)
    return c["y"], c


rng = np.random.default_rng(21)
x = rng.uniform(0.2, 2, (2, 5, 3))
print(
    "   p      y of one channel     (mean "
    f"{x[0, :, 0].mean():.3f}, maximum {x[0, :, 0].max():.3f})"
)
for p in (1.0, 3.0, 100.0):
    print(f"{p:5.0f} {gem(x, np.array([p]))[0][0, 0]:12.3f}")
assert np.allclose(gem(x, np.array([1.0]))[0], x.mean(axis=1))
assert np.allclose(gem(x, np.array([400.0]))[0], x.max(axis=1), rtol=0.01)

# %% [markdown]
# The forward itself is checked first, against something slow and obvious: here the two ends, else a loop. A perfect gradient of the wrong function helps nobody.
#
# ## Step 2: who uses each?
#
# Go through the forward and write down for every name in which lines it stands on the right:
#
# | name | used by |
# |---|---|
# | `x` | l |
# | `l` | t |
# | `p` | t, **and q** |
# | `t` | e |
# | `e` | m |
# | `m`, `k`, `q` | the next one |
#
# Two users: two gradients that are added. A computer can do this step too, by poking.

# %%
p = np.array([2.5])
base = gem(x, p)[1]
moved = gem(x, p + 0.1)[1]
print(
    "moving p moves:",
    *[name for name in base if not np.array_equal(base[name], moved[name])],
)
held = gem(x, p + 0.1, {"t": base["t"] - moved["t"]})[1]  # t held as it was
still = [name for name in base if not np.allclose(base[name], held[name], rtol=1e-12)]
print("with t held, it still moves:", *still, "  so q uses p directly")
assert still == ["q", "y"]

# %% [markdown]
# ## Step 3: an accumulator for each, all 0
#
# `d[name]` will hold $\partial L/\partial$name, with the shape of the thing. Starting them all at zero and only ever *adding* makes it impossible to forget that somebody is used twice.
#
# ## Step 4: walk backwards, a line for a line
#
# From the last line of the forward to the first. Each line adds to the accumulators of what stands on its right, times its own slope:
#
# | there | back |
# |---|---|
# | `y = exp(q)` | `d[q] += d[y] · y` |
# | `q = k / p` | `d[k] += d[q] / p`, `d[p] += −d[q] · k / p²`, summed: p was copied |
# | `k = log(m)` | `d[m] += d[k] / m` |
# | `m = e.sum(axis=1) / M` | `d[e] += d[m] / M`, copied along axis 1 |
# | `e = exp(t)` | `d[t] += d[e] · e` |
# | `t = p · l` | `d[l] += d[t] · p`, `d[p] += d[t] · l`, summed |
# | `l = log(x)` | `d[x] += d[l] / x` |
#
# Two lines that this example does not have, and many others do:
#
# | there | back |
# |---|---|
# | `u = a @ b` | `d[a] += d[u] @ b.T`, `d[b] += a.T @ d[u]` (lesson 02; the shapes leave no choice) |
# | `u = where(mask, a, b)` | `d[a] += where(mask, d[u], 0)`, `d[b] += where(mask, 0, d[u])` |
#
# A line with `axis=` or `keepdims=True` keeps its axis on the way back: a sum along axis 1 is copied along axis 1. Which axis is *summed* for a parameter is decided by where the parameter was copied, not by the axis of some mean in between: the gain of a layer normalisation, copied to all rows, is summed over rows whether the mean ran along them or across.


# %%
def gem_back(dy, x, p, c):
    d = {name: np.zeros_like(value) for name, value in c.items()}
    d |= {"x": np.zeros_like(x), "p": np.zeros_like(p)}
    d["y"] += dy
    d["q"] += d["y"] * c["y"]
    d["k"] += d["q"] / p
    d["p"] += -(d["q"] * c["k"]).sum() / p**2
    d["m"] += d["k"] / c["m"]
    d["e"] += d["m"][:, None] / x.shape[1]
    d["t"] += d["e"] * c["e"]
    d["l"] += d["t"] * p
    d["p"] += (d["t"] * c["l"]).sum()
    d["x"] += d["l"] / x
    return d


# %% [markdown]
# ## Step 5: nudge, from the end to the front
#
# Is it right? Measure *every* accumulator: poke that one intermediate value by $ih$, and read the imaginary part of the loss (lesson 01). The list is read **from the output backwards**, and the first line that is wrong is the line to look at. What stands after it may be wrong only because it comes after.

# %%
from cmir_ref.gradcheck import complex_step, relative_error


def measure(forward, inputs, intermediates, dy):
    """∂⟨y, dy⟩/∂ of every intermediate value and every input, by the complex step."""
    found = {}
    for name in reversed(list(intermediates)):
        f = lambda a, name=name: (forward(*inputs.values(), {name: a[0]})[0] * dy).sum()
        found[name] = complex_step(f, [np.zeros(intermediates[name].shape)], 0)
    for i, name in enumerate(inputs):
        f = lambda a: (forward(*a)[0] * dy).sum()
        found[name] = complex_step(f, list(inputs.values()), i)
    return found


def first_wrong(ours, measured):
    """The first name, from the output backwards, whose gradient is not the measured one."""
    for name, truth in measured.items():
        if ours[name].shape != truth.shape:
            return name, f"shape {ours[name].shape} for {truth.shape}"
        off = relative_error(ours[name], truth)[0]
        if off > 1e-10:
            return name, f"off by {off:.0e}"
    return None, "all right"


inputs = {"x": x, "p": p}
y, c = gem(**inputs)
dy = rng.normal(size=y.shape)
truth = measure(gem, inputs, c, dy)
ours = gem_back(dy, x, p, c)
errors = {name: relative_error(ours[name], truth[name])[0] for name in truth}
print(
    "from the output backwards:", ", ".join(f"{k} {e:.0e}" for k, e in errors.items())
)
assert first_wrong(ours, truth)[0] is None and max(errors.values()) < 1e-12

# %% [markdown]
# Now break it. Five mistakes that people make, one at a time, in the text of the function; the nudge names the line.

# %%
import inspect

TEXT = inspect.getsource(gem_back)
MISTAKES = {
    "a slope left out": ('d["y"] * c["y"]', 'd["y"]'),
    "the mean taken for a sum": ("[:, None] / x.shape[1]", "[:, None]"),
    "a sign": ('-(d["q"] * c["k"])', '(d["q"] * c["k"])'),
    "log's slope upside down": ('d["k"] / c["m"]', 'd["k"] * c["m"]'),
    "one user forgotten": ('d["p"] += (d["t"] * c["l"]).sum()', "pass"),
}
named = {}
for what, (right, wrong) in MISTAKES.items():
    assert TEXT.count(right) == 1
    space = {"np": np}
    exec(TEXT.replace(right, wrong), space)
    named[what], how = first_wrong(space["gem_back"](dy, x, p, c), truth)
    print(f"{what:26} → look at the line that makes d[{named[what]}]: {how}")
assert named == {
    "a slope left out": "q",
    "the mean taken for a sum": "e",
    "a sign": "p",
    "log's slope upside down": "m",
    "one user forgotten": "p",
}

# %% [markdown]
# Where all intermediates are right and an *input* is wrong (`p` above), it is a product or a sum in the last lines, or a user was forgotten.
#
# `cmir-ref gradcheck --steps mine.py:gem` pokes a file of your own like this and names the first wrong line; [the manual](../docs/gradcheck.md) says what it wants of the file: a forward with `nudge` that returns its steps, and a backward that returns theirs.
#
# ## Step 6: a file of its own, and the checker
#
# Now make a pair of it (lesson 02): the forward returns its result and a cache, the backward takes `dy` and the cache and returns a gradient for each input. In a file of your own, `mine.py`, and with `cmir-ref gradcheck --module mine.py:gem` the checker draws inputs, measures in three ways, and names what it knows.
#
# Labels, a mask, an axis are no numbers that could be moved by a little. Either they are inputs all the same, and the backward returns `None` in their place; the checker then says that it left them out. Or they are arguments with a default, or constants of the file. (In `measure` above, keep them out of `inputs`.)

# %%
import subprocess
import sys
import tempfile
from pathlib import Path

MINE = """
import numpy as np

def gem(x, p):
    e = np.exp(p * np.log(x))
    m = e.sum(axis=1) / x.shape[1]
    y = np.exp(np.log(m) / p)
    return y, (x, p, e, m, y)

def gem_backward(dy, cache):
    x, p, e, m, y = cache
    dq = dy * y
    de = (dq / p / m)[:, None] / x.shape[1]
    dt = de * e
    dp = (dt * np.log(x)).sum() - (dq * np.log(m)).sum() / p[0] ** 2
    return dt * p / x, np.array([dp])

def gem_inputs(rng):
    return {"x": rng.uniform(0.2, 2, (2, 5, 3)), "p": np.array([2.5])}
"""


def checker(text):
    """Exit status and lines of `cmir-ref gradcheck --module mine.py:gem`."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "mine.py").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "cmir_ref",
            "gradcheck",
            "--module",
            "mine.py:gem",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, [line for line in done.stdout.splitlines() if line.strip()]


status, lines = checker(MINE)
print("\n".join(lines[:4]), f"\n… exit status {status}\n")
broken = checker(MINE.replace("- (dq * np.log(m)).sum() / p[0] ** 2", ""))
SAYS = ("p ", "p[", "looks like", "no known kind")
print("with one user of p forgotten:")
print("\n".join(line for line in broken[1] if line.lstrip().startswith(SAYS)))
print(f"… exit status {broken[0]}")
assert status == 0 and broken[0] == 1
assert any(line.startswith("p[0]") for line in broken[1])

# %% [markdown]
# What no check sees: a forward that is wrong (step 1); inputs at which nothing happens, as a hinge that is not active (lesson 18); and sizes that happen to be equal, where a transpose too many has the right shape. Let all sizes differ, and look at the values once.
#
# ## Your turn
#
# Here is a forward. There is no formula for it anywhere, and you need none. Name the steps, list the users, add up backwards. `x` is (N, D), `w` (D, K), `gain` (K,).


# %% tags=["exercise"]
def mystery(x, w, gain):
    a = x @ w
    c = a - a.mean(axis=1, keepdims=True)
    v = (c * c).mean(axis=0) + 0.1
    h = c / np.sqrt(v)
    y = np.tanh(h) * gain
    return y, (x, w, gain, c, v, h)


def mystery_backward(dy, cache):
    x, w, gain, c, v, h = cache
    dh = dy * gain
    da = dh / np.sqrt(v)  # yours: tanh, v and the mean are not in it yet
    return da @ w.T, x.T @ da, dy.sum(axis=0)


# %% tags=["solution"]
def mystery_backward(dy, cache):
    x, w, gain, c, v, h = cache
    t = np.tanh(h)
    dgain = (dy * t).sum(axis=0)  # gain was copied to every row
    dh = dy * gain * (1 - t * t)
    dc = dh / np.sqrt(v)  # c is used by h …
    dv = (dh * c).sum(axis=0) * -0.5 * v**-1.5  # v was copied to every row
    dc = dc + dv * 2 * c / len(c)  # … and by v
    da = dc - dc.mean(axis=1, keepdims=True)  # a is used by c and by the mean
    return da @ w.T, x.T @ da, dgain


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

for n, d, k in ((4, 3, 5), (6, 2, 3)):
    random = np.random.default_rng(n)
    given = {"x": (n, d), "w": (d, k), "gain": (k,)}
    given = {name: random.normal(size=shape) for name, shape in given.items()}
    path = "all of it goes through a: who uses a? who uses c? along which axis was each copied?"
    said = with_hints(
        explain(mystery, mystery_backward, given),
        x=path,
        w=path,
        gain="it was copied to every row",
    )
    assert not said, said
print("right, for x, w and gain, at two sizes")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    worst_error_of_the_generalised_mean=max(errors.values()),
    mistakes_whose_line_the_nudge_names=len(named),
    exit_status_of_the_checker_on_the_right_file=status,
    exit_status_on_the_wrong_one=broken[0],
)

# %% [markdown]
# ## What you learned
#
# Small named steps, the users of each, an accumulator that starts at 0, and a line back for every line there: that is all of backpropagation. A nudge at each intermediate value, read from the output backwards, names the first line that is wrong. A file with a pair and the checker make sure that it stays right.
#
# ## Next
#
# A layer normalisation along either axis, attention with a mask, a GRU step, a convolution with a hole: take one, write its forward, and do not look up its way back. Lessons 05, 15 and 17 have something near, but not the same. [12 · Bug hunt](12_bug_hunt.ipynb) says which check finds which mistake; the manual of the checker is [docs/gradcheck.md](../docs/gradcheck.md).
