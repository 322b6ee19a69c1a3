# ---
# jupyter:
#   lesson:
#     question: How does a network read one word after another, and how does its error find the way back through time?
#     minutes: 40
#     needs: ["14"]
#     derives: [ops.gru_cell, ops.gru, ops.time_mean]
# ---

# %% [markdown]
# # 15 · Recurrence
#
# **How does a network read one word after another, and how does its error find the way back through time?**
#
# A sentence has no fixed length, and a layer with one weight for each word would be lost at the next sentence. So a network reads it as we do: one word after another, with a *state* that holds what has been read so far. The same weights are used at every step.
# The *gated recurrent unit*, GRU (Cho et al., 2014), is the smallest such reader that remembers; the network that reads captions in this package is one. Here two sentences are read that differ in their first word only.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.ops.gru import gru, gru_backward
from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(15)
T, C, D = 16, 4, 8
words = rng.normal(size=(T, C))
sentence = np.stack([words, words])
sentence[1, 0] = -2 * words[0]
u = rng.normal(size=(D, 3 * D)) / np.sqrt(D)
w = rng.normal(size=(C, 3 * D)) / np.sqrt(C)
figure, panels = plt.subplots(1, 2, figsize=(8.8, 2.5), sharey=True)
for axes, bias, title in (
    (panels[0], -1.0, "gate z near 0.3"),
    (panels[1], 3.0, "gate z near 0.95"),
):
    b = np.concatenate([np.zeros(D), np.full(D, bias), np.zeros(D)])
    states = gru(sentence, w, u, b, lengths=np.array([T, T]))[0]
    apart = np.abs(states[0] - states[1]).T
    axes.imshow(apart / apart[:, 0].max(), vmin=0, vmax=1, aspect="auto")
    axes.set(xlabel="word", ylabel="entry of the state", title=title)
show(
    figure,
    "How much the two states differ, word by word (bright: as much as the most changed "
    "entry did at the first word). Left the first word is forgotten after a few others, "
    "right it is still known at the end.",
)

# %% [markdown]
# ## One step
#
# A step takes the word $x$ ($C$ numbers) and the state $h$ ($D$ numbers) to a new state $h'$. Two gates of lesson 14 and one candidate, each a linear layer of the word and one of the state:
#
# $$r=\sigma(xW_r+b_r+hU_r),\quad z=\sigma(xW_z+b_z+hU_z),\quad n=\tanh\!\big(xW_n+b_n+r\odot(hU_n)\big),\quad h'=(1-z)\odot n+z\odot h .$$
#
# $z$ blends the candidate with the old state. $r$, the *reset gate*, says how much of the state the candidate may look at. Every piece is known: products with weights (lesson 02), slopes, a product of two computed numbers, a blend (lesson 14). What is new is only the book-keeping: **$h$ has four users**: the blend, the candidate's product, and both gates.
#
# | there | back |
# |---|---|
# | $h' = (1-z)\,n + z\,h$ | $\dot n=\dot h'(1-z)$, $\dot z=\dot h'(h-n)$, $\dot h \mathrel{+}= \dot h' z$ |
# | $n = \tanh(s_n)$ | $\dot s_n = \dot n\,(1-n^2)$ |
# | $s_n = xW_n + b_n + r\,q$ | $\dot r = \dot s_n\,q$, $\dot q=\dot s_n\,r$ |
# | $q = hU_n$ | $\dot h \mathrel{+}= \dot q\,U_n^\top$, $\dot U_n = h^\top\dot q$ |
# | $z=\sigma(s_z)$, $r=\sigma(s_r)$ | $\dot s_z=\dot z\,z(1-z)$, $\dot s_r=\dot r\,r(1-r)$ |
# | $s_z = xW_z+b_z+hU_z$, and $s_r$ alike | $\dot h \mathrel{+}= \dot s_z U_z^\top + \dot s_r U_r^\top$, $\dot U_z = h^\top\dot s_z$ … |
#
# and $x$ gets $\dot s_rW_r^\top+\dot s_zW_z^\top+\dot s_nW_n^\top$. As in lesson 05, the forward takes a `nudge` at each intermediate value, so that each line of the table can be measured.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(x, h, w, u, b, nudge=None):
    """One step, with every intermediate result by name; w, u, b in the order r, z, n."""
    c = {}

    def keep(name, value):
        c[name] = value + (nudge or {}).get(name, 0)
        return c[name]

    w_r, w_z, w_n = np.split(w, 3, axis=1)
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    b_r, b_z, b_n = np.split(b, 3)
    r = keep("r", sigmoid(keep("s_r", x @ w_r + b_r + h @ u_r)))
    z = keep("z", sigmoid(keep("s_z", x @ w_z + b_z + h @ u_z)))
    q = keep("q", h @ u_n)
    n = keep("n", np.tanh(keep("s_n", x @ w_n + b_n + r * q)))
    return keep("h'", (1 - z) * n + z * h), c


def step_back(dnew, x, h, w, u, c):
    """The table from top to bottom: gradients at every chunk, and of x, h, w, u, b."""
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    d = {"n": dnew * (1 - c["z"]), "z": dnew * (h - c["n"])}
    d["s_n"] = d["n"] * (1 - c["n"] * c["n"])
    d["r"], d["q"] = d["s_n"] * c["q"], d["s_n"] * c["r"]
    d["s_z"] = d["z"] * c["z"] * (1 - c["z"])
    d["s_r"] = d["r"] * c["r"] * (1 - c["r"])
    sums = np.concatenate([d["s_r"], d["s_z"], d["s_n"]], axis=1)
    d["h"] = dnew * c["z"] + d["q"] @ u_n.T + d["s_z"] @ u_z.T + d["s_r"] @ u_r.T
    d["x"], d["w"], d["b"] = sums @ w.T, x.T @ sums, sums.sum(axis=0)
    d["u"] = np.concatenate([h.T @ d["s_r"], h.T @ d["s_z"], h.T @ d["q"]], axis=1)
    return d


# %%
from cmir_ref.gradcheck import complex_step, relative_error

rng = np.random.default_rng(1)
shapes = {"x": (3, 4), "h": (3, 5), "w": (4, 15), "u": (5, 15), "b": (15,)}
given = {name: 0.7 * rng.normal(size=shape) for name, shape in shapes.items()}
new, c = step(**given)
dnew = rng.normal(size=new.shape)
d = step_back(dnew, given["x"], given["h"], given["w"], given["u"], c)
errors = {}
for name, ours in d.items():
    if name in given:
        f = lambda a, name=name: (step(**given | {name: a[0]})[0] * dnew).sum()
        measured = complex_step(f, [given[name]], 0)
    else:
        f = lambda a, name=name: (step(**given, nudge={name: a[0]})[0] * dnew).sum()
        measured = complex_step(f, [0 * ours], 0)
    errors[name] = relative_error(ours, measured)[0]
print("chunk by chunk:", ", ".join(f"{name} {e:.0e}" for name, e in errors.items()))
assert max(errors.values()) < 1e-13

users = {
    "the blend": dnew * c["z"],
    "q, the candidate's product": d["q"] @ given["u"][:, 10:].T,
    "the gate z": d["s_z"] @ given["u"][:, 5:10].T,
    "the gate r": d["s_r"] @ given["u"][:, :5].T,
}
print("\nwhat h loses if one user is forgotten:")
for name, part in users.items():
    print(f"  {name:28} {np.abs(part).max() / np.abs(d['h']).max():6.0%}")
assert np.allclose(sum(users.values()), d["h"], rtol=1e-13)
assert min(np.abs(part).max() for part in users.values()) > 0.001

# %% [markdown]
# ## Two readings of one gate
#
# As first published, the reset gate stood *before* the product, $n=\tanh(xW_n+b_n+(r\odot h)U_n)$. Fast libraries put it *behind*, $r\odot(hU_n)$, because then $h$ is multiplied by all three $U$ at once. These are two functions, and weights trained for one are wrong for the other. They agree where $r$ is the same number in all entries,
# for then it can be taken out of the product.

# %%
from cmir_ref.ops.gru_cell import gru_cell, gru_cell_backward

after, before = (gru_cell(**given, reset=reset)[0] for reset in ("after", "before"))
print(
    f"same weights: the two readings differ by up to {np.abs(after - before).max():.3f}"
)
same_r = given | {
    "w": given["w"].copy(),
    "u": given["u"].copy(),
    "b": given["b"].copy(),
}
same_r["w"][:, :5] = same_r["u"][:, :5] = same_r["b"][:5] = 0  # r = 1/2 everywhere
agree = [gru_cell(**same_r, reset=reset)[0] for reset in ("after", "before")]
print(f"with r = ½ in every entry: by {np.abs(agree[0] - agree[1]).max():.0e}")
assert np.abs(after - before).max() > 0.01 and np.allclose(*agree, atol=1e-15)
assert np.allclose(new, after, atol=1e-15), "our step is the reading 'after'"

# %% [markdown]
# ## T steps
#
# Reading is the same step again and again: $h_t = \text{step}(x_t, h_{t-1})$, from $h_0 = 0$. Two rules make the way back, and both are old:
#
# - **The state $h_t$ has two users:** whoever reads it (the loss, $\dot y_t$), and the next step, which hands back its $\dot h$. They are added.
# - **The weights are used at every step,** so their gradients are a *sum over time*.
#
# Nothing else happens in "backpropagation through time".


# %%
def read(x, w, u, b):
    """States (N, T, D) of sentences x (N, T, C), and what the way back needs."""
    h, states, caches = np.zeros((len(x), len(u))), [], []
    for t in range(x.shape[1]):
        before, (h, c) = h, step(x[:, t], h, w, u, b)
        states.append(h)
        caches.append((x[:, t], before, c))
    return np.stack(states, axis=1), caches


def read_back(dy, w, u, caches):
    dw, du, db, dh, dx = 0, 0, 0, 0, []
    for t, (x, before, c) in reversed(list(enumerate(caches))):
        d = step_back(dy[:, t] + dh, x, before, w, u, c)  # two users of h_t
        dw, du, db = dw + d["w"], du + d["u"], db + d["b"]  # used at each step
        dh = d["h"]
        dx.insert(0, d["x"])
    return np.stack(dx, axis=1), dw, du, db


x = rng.normal(size=(2, 5, 4))
weights = [given[k] for k in "wub"]
states, caches = read(x, *weights)
dy = rng.normal(size=states.shape)
ours = read_back(dy, weights[0], weights[1], caches)


def loss(arrays):
    h, total = np.zeros((2, 5)), 0.0
    for t in range(5):
        h = step(arrays[0][:, t], h, *arrays[1:])[0]
        total = total + (h * dy[:, t]).sum()
    return total


through_time = {
    name: relative_error(g, complex_step(loss, [x, *weights], i))[0]
    for i, (name, g) in enumerate(zip(("x", "w", "u", "b"), ours, strict=True))
}
print("five steps:", ", ".join(f"d{k} {e:.0e}" for k, e in through_time.items()))
assert max(through_time.values()) < 1e-13

last_only = step_back(dy[:, 4], *caches[4][:2], *weights[:2], caches[4][2])["u"]
share = np.abs(last_only).max() / np.abs(ours[2]).max()
print(f"the last step alone: its dU is {share:.0%} of the whole, by the largest entry")
assert not np.allclose(last_only, ours[2], rtol=0.1)

# %% [markdown]
# ## How far back is heard?
#
# Let only the *last* state matter, and ask how much of its gradient arrives at word $t$. A plain reader, $h_t=\tanh(x_tW+h_{t-1}U)$, multiplies by $U^\top$ and by slopes below 1 at every step. The GRU has a path around all of that, the blend. Change the bias of the gate $z$.

# %%
T, N, D = 30, 16, 12
x = rng.normal(size=(N, T, 6))
w, u = (
    rng.normal(size=(6, 3 * D)) / np.sqrt(6),
    rng.normal(size=(D, 3 * D)) / np.sqrt(D),
)
last = np.zeros((N, T, D))
last[:, -1] = rng.normal(size=(N, D))


def heard_by_gru(bias):
    """‖gradient‖ at each word, over that at the last one, of a loss on the last state."""
    b = np.concatenate([np.zeros(D), np.full(D, bias), np.zeros(D)])
    dx = gru_backward(last, gru(x, w, u, b, lengths=np.full(N, T))[1])[0]
    size = np.sqrt((dx * dx).sum(axis=(0, 2)))
    return size / size[-1]


def heard_by_plain():
    h, states = np.zeros((N, D)), []
    for t in range(T):
        h = np.tanh(x[:, t] @ w[:, :D] + h @ (0.8 * u[:, :D]))
        states.append(h)
    dh, size = last[:, -1], np.zeros(T)
    for t in reversed(range(T)):
        ds = dh * (1 - states[t] * states[t])
        size[t] = np.sqrt(((ds @ w[:, :D].T) ** 2).sum())
        dh = ds @ (0.8 * u[:, :D]).T
    return size / size[-1]


heard = {"plain": heard_by_plain()}
heard |= {f"GRU, bias of z {bias:g}": heard_by_gru(bias) for bias in (-1.0, 1.0, 4.0)}
figure, axes = plt.subplots(figsize=(8.8, 2.6))
for (name, size), mark in zip(heard.items(), "os^D", strict=True):
    axes.semilogy(range(1, T + 1), size, marker=mark, markevery=4, ms=4, label=name)
axes.set(xlabel="word", ylabel="gradient there / at the last")
axes.legend(fontsize=7, loc="lower right")
show(
    figure,
    "What the first words hear of the last state. With the gate open to the past (bias "
    "4, z near 0.98) they hear it nearly as loud as the last ones.",
)
print("the first of 30 words:", ", ".join(f"{k} {v[0]:.0e}" for k, v in heard.items()))
assert heard["plain"][0] < 1e-4 and heard["GRU, bias of z 4"][0] > 0.1

# %% [markdown]
# ## Lengths and masks
#
# Sentences of a batch have different lengths, and arrays have not: short ones are filled up with zeros, the *padding*. A zero is a word like any other to the formulas, so it has to be told apart. The rule: **where a sentence has no step $t$, its state passes through unchanged**, $h_t = h_{t-1}$. On the way back, so does the gradient; and a word that was not read gets exactly 0.
#
# A test that costs nothing: write nonsense into the padding, and nothing may change. Read backwards (from the last word to the first), the nonsense even comes *first*.

# %%
x = rng.normal(size=(3, 6, 4))
lengths = np.array([6, 4, 1])
nonsense = np.where(np.arange(6)[None, :, None] < lengths[:, None, None], x, 99.0)
for reverse in (False, True):
    options = {"lengths": lengths, "reverse": reverse}
    (one, cache), (other, _) = (gru(v, *weights, **options) for v in (x, nonsense))
    ends = one[:, 0] if reverse else one[:, -1]
    dx = gru_backward(rng.normal(size=one.shape), cache)[0]
    beyond = np.abs(dx[1, 4:]).max(), np.abs(dx[2, 1:]).max()
    way = "from the last word" if reverse else "from the first word"
    print(
        f"{way}: states move by {np.abs(one - other).max():.0f}, "
        f"gradient at the padding {max(beyond):.0f}, "
        f"last states about {np.abs(ends).mean():.2f}"
    )
    assert np.array_equal(one, other) and max(beyond) == 0
    unmasked = gru(nonsense, *weights, lengths=np.full(3, 6), reverse=reverse)[0]
    assert np.abs(unmasked - one).max() > 0.1, "without lengths the padding is read"

# %% [markdown]
# What does a sentence become, then? Either the last state, or the **mean over its own words**, $\frac{1}{T_n}\sum_{t<T_n}h_t$ and not $\frac1T\sum_{t<T}$: else a short sentence has a shorter vector, for no reason but its neighbours. AMFMN (equations 10 – 12) reads a sentence in both directions, and $h_t$ is then the mean $(\overrightarrow h_t+\overleftarrow h_t)/2$ of both states: on the way back each direction gets half.

# %%
from cmir_ref.ops.time_mean import time_mean

short = gru(x[2:, :1], *weights, lengths=np.array([1]))[0][0, 0]
padded = gru(x, *weights, lengths=lengths)[0]
right, wrong = time_mean(padded, lengths)[0][2], padded[2].mean(axis=0)
behind = np.where(np.arange(6)[:, None] < 1, padded[2], 0).mean(axis=0)
print(
    "a sentence of one word, alone against in a batch: "
    f"{np.abs(right - short).max():.0e}"
)
print(
    "divided by 6 instead of by 1: its length is "
    f"{np.linalg.norm(behind) / np.linalg.norm(short):.2f} of itself"
)
assert np.allclose(right, short, atol=1e-15)
assert np.isclose(np.linalg.norm(behind) / np.linalg.norm(short), 1 / 6)

# %% [markdown]
# ## Does it learn to remember?
#
# The hardest task there is for a short memory: the *first* word decides, and noise follows. Both readers get the same data, the same classifier, Adam, 150 steps; only the GRU's gate $z$ begins near 0.9, as a memory should. How long may the sentence be?

# %%
from cmir_ref.ops.softmax_cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from cmir_ref.training.adam import adam

C, D, N = 4, 10, 64


def batch(seed, T):
    random = np.random.default_rng([15, seed])
    x, y = random.normal(size=(N, T, C)), random.integers(0, 2, N)
    x[:, 0, 0] = np.where(y == 1, 2.0, -2.0)
    return x, y


def forward(p, x, kind):
    T = x.shape[1]
    if kind == "gru":
        states, cache = gru(x, p["w"], p["u"], p["b"], lengths=np.full(N, T))
        return states[:, -1], cache
    h, cache = np.zeros((N, D)), []
    for t in range(T):
        before, h = h, np.tanh(x[:, t] @ p["w"] + h @ p["u"] + p["b"])
        cache.append((x[:, t], before, h))
    return h, cache


def backward(dh, p, cache, kind):
    if kind == "gru":
        dy = np.zeros((*cache.shape[:2], D))
        dy[:, -1] = dh
        return dict(zip("wub", gru_backward(dy, cache)[1:], strict=True))
    g = dict.fromkeys("wub", 0)
    for x, before, h in reversed(cache):
        ds = dh * (1 - h * h)
        parts = {"w": x.T @ ds, "u": before.T @ ds, "b": ds.sum(axis=0)}
        g, dh = {k: g[k] + parts[k] for k in g}, ds @ p["u"].T
    return g


def learn(kind, T, seed=0, steps=150):
    """Share of right answers on unseen sentences of T words, every tenth step."""
    random = np.random.default_rng(seed)
    wide = 3 * D if kind == "gru" else D
    p = {
        "w": random.normal(size=(C, wide)) / np.sqrt(C),
        "u": random.normal(size=(D, wide)) / np.sqrt(D),
        "b": np.zeros(wide),
        "v": random.normal(size=(D, 2)) / np.sqrt(D),
    }
    if kind == "gru":
        p["b"][D : 2 * D] = 2.0  # begin with a gate that keeps
    moments = {k: (np.zeros_like(a), np.zeros_like(a)) for k, a in p.items()}
    course = []
    for t in range(1, steps + 1):
        x, y = batch(t, T)
        h, cache = forward(p, x, kind)
        du = softmax_cross_entropy_backward(
            1.0, softmax_cross_entropy(h @ p["v"], y)[1]
        )
        grads = backward(du @ p["v"].T, p, cache, kind) | {"v": h.T @ du}
        for k in p:
            adam(p[k], grads[k], *moments[k], t, 0.02)
        if t % 10 == 0:
            x, y = batch(100_000 + t, T)
            course.append(
                ((forward(p, x, kind)[0] @ p["v"]).argmax(axis=1) == y).mean()
            )
    return course


figure, panels = plt.subplots(1, 3, figsize=(8.8, 2.4), sharey=True)
end = {}
for axes, T in zip(panels, (20, 40, 60), strict=True):
    for kind, mark in (("plain", "o"), ("gru", "s")):
        course = np.mean([learn(kind, T, seed) for seed in range(2)], axis=0)
        end[kind, T] = course[-3:].mean()
        axes.plot(10 * np.arange(1, 16), course, marker=mark, ms=4, label=kind)
    axes.axhline(0.5, color="#999999", lw=0.8, ls=":")
    axes.set(xlabel="step of Adam", ylabel="right answers", title=f"{T} words")
panels[0].legend(fontsize=7)
show(
    figure,
    "The first word decides. Mean of two seeds on sentences that were never seen; "
    "dotted: guessing.",
)
for (kind, T), value in end.items():
    print(f"{T} words, {kind:5}: {value:.0%} right at the end")
assert end["gru", 20] > 0.9 and end["plain", 20] > 0.8
assert end["gru", 40] > 0.9 and end["gru", 40] > end["plain", 40] + 0.2
assert max(end["gru", 60], end["plain", 60]) < 0.7

# %% [markdown]
# Twenty words are no feat: both learn it. At forty the plain reader guesses, and the GRU does not. At sixty neither has found the way in 150 steps. A gate makes a memory longer, not endless.
#
# ## Your turn: the other reading
#
# Write the way back of one step with the reset gate *before* the product, $n=\tanh(xW_n+b_n+(r\odot h)U_n)$. Call $m=r\odot h$. Who uses $h$ now, and through what? The blank is the way back of the reading *after*, as above: wrong, for all five inputs, as the mistake in $\dot r$ and $\dot h$ reaches everything behind them.


# %% tags=["exercise"]
def step_before(x, h, w, u, b):
    w_r, w_z, w_n = np.split(w, 3, axis=1)
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    b_r, b_z, b_n = np.split(b, 3)
    r, z = sigmoid(x @ w_r + b_r + h @ u_r), sigmoid(x @ w_z + b_z + h @ u_z)
    n = np.tanh(x @ w_n + b_n + (r * h) @ u_n)
    return (1 - z) * n + z * h, (x, h, w, u, r, z, n)


def step_before_backward(dnew, cache):
    x, h, w, u, r, z, n = cache
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    ds_n = dnew * (1 - z) * (1 - n * n)
    ds_z = dnew * (h - n) * z * (1 - z)
    dq, dr = ds_n * r, ds_n * (h @ u_n)  # yours: these are of the other reading
    du_n, through_n = h.T @ dq, dq @ u_n.T
    ds_r = dr * r * (1 - r)
    dh = dnew * z + through_n + ds_z @ u_z.T + ds_r @ u_r.T
    sums = np.concatenate([ds_r, ds_z, ds_n], axis=1)
    du = np.concatenate([h.T @ ds_r, h.T @ ds_z, du_n], axis=1)
    return sums @ w.T, dh, x.T @ sums, du, sums.sum(axis=0)


# %% tags=["solution"]
def step_before_backward(dnew, cache):
    x, h, w, u, r, z, n = cache
    u_r, u_z, u_n = np.split(u, 3, axis=1)
    ds_n = dnew * (1 - z) * (1 - n * n)
    ds_z = dnew * (h - n) * z * (1 - z)
    dm = ds_n @ u_n.T  # m = r ⊙ h is what went into the product
    dr, through_n = dm * h, dm * r
    du_n = (r * h).T @ ds_n
    ds_r = dr * r * (1 - r)
    dh = dnew * z + through_n + ds_z @ u_z.T + ds_r @ u_r.T
    sums = np.concatenate([ds_r, ds_z, ds_n], axis=1)
    du = np.concatenate([h.T @ ds_r, h.T @ ds_z, du_n], axis=1)
    return sums @ w.T, dh, x.T @ sums, du, sums.sum(axis=0)


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

said = with_hints(
    explain(step_before, step_before_backward, given),
    x="three products read the word",
    h="who uses it? the blend, both gates, and r ⊙ h",
    w="the word stands in three products; what does each of the sums hear?",
    u="what stands in the product with U_n: h, or r ⊙ h?",
    b="it was copied to every row of the batch",
)
assert not said, said
theirs = gru_cell(**given, reset="before")[0]
assert np.allclose(step_before(**given)[0], theirs), "the forward was changed"
print("right, for x, h, W, U and b")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
from cmir_ref.gradcheck import check_gradient

found = {
    reset: max(
        r.error
        for r in check_gradient(
            lambda *a, reset=reset: gru_cell(*a, reset=reset),
            gru_cell_backward,
            [given[k] for k in "xhwub"],
        )
        if r.method == "complex-step"
    )
    for reset in ("after", "before")
}
assert max(found.values()) < 1e-12
numbers(
    error_of_one_step_by_hand=max(errors.values()),
    error_through_five_steps=max(through_time.values()),
    error_of_the_packages_cell=max(found.values()),
    two_readings_differ_by=np.abs(after - before).max(),
    first_word_hears_in_a_plain_reader=heard["plain"][0],
    first_word_hears_in_a_gru=heard["GRU, bias of z 4"][0],
    right_answers_of_the_gru_at_40_words=end["gru", 40],
)

# %% [markdown]
# ## What you learned
#
# A recurrent step is made of known pieces, and its state is used in several places, whose gradients are added. Over time the state has two users, its reader and the next step, and the weights get the sum of all steps. A gate near 1 lets the first word hear the last state; and
# padding must be told apart, or the network reads it.
#
# ## Next
#
# [16 · A score for two](16_score_for_two.ipynb): what the sentence's vector is compared with. In the package: [`ops/gru_cell.py`](../cmir_ref/ops/gru_cell.py), [`ops/gru.py`](../cmir_ref/ops/gru.py), [`ops/time_mean.py`](../cmir_ref/ops/time_mean.py),
# and the reader of captions, [`amfmn/eq10_sentence.py`](../cmir_ref/amfmn/eq10_sentence.py).
