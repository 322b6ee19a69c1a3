# ---
# jupyter:
#   lesson:
#     question: How does one picture ask another, and how does one find out whether the answer only repeats the question?
#     minutes: 40
#     needs: ["03", "14"]
#     derives: [ops.softmax_attention]
# ---

# %% [markdown]
# # 17 · Attention
#
# **How does one picture ask another, and how does one find out whether the answer only repeats the question?**
#
# A layer mixes its inputs with weights that were learned once and for all. *Attention* computes the weights anew for each input: a **query** is compared with a number of **keys**, and takes the mean of the **values** that belong to them, weighted by how well each key agrees. A word can ask the other words of its sentence; a place of a photo can ask the
# places of a drawing. The talk of 2021 that follows CMIR-NET lets drawings attend photos. This lesson derives attention, and then puts a question to it that its inventors seldom ask.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
angles = np.radians([0, 60, 120, 200, 300])
keys = np.stack([np.cos(angles), np.sin(angles)], axis=1)
turn = np.radians(np.arange(0, 360, 15))
queries = np.stack([np.cos(turn), np.sin(turn)], axis=1)
figure, panels = plt.subplots(1, 3, figsize=(8.8, 2.5), sharey=True)
for axes, length in zip(panels, (1, 4, 30), strict=True):
    logits = length * queries @ keys.T
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    axes.imshow(share, vmin=0, vmax=1, aspect="auto")
    axes.set(xlabel="key", title=f"queries of length {length}", xticks=range(5))
    axes.set(ylabel="direction of the query, degrees")
    axes.set_yticks(range(0, 24, 6), range(0, 360, 90))
    axes.set_xticks(range(5), [f"{a:.0f}°" for a in np.degrees(angles)], fontsize=7)
show(
    figure,
    "Weights (dark 0, bright 1; a row sums to 1) that queries of all directions give "
    "to five keys. Short queries ask everybody, long ones the nearest key alone.",
)

# %% [markdown]
# ## Softmax alone
#
# Lesson 03 had the softmax glued to a cross entropy, and so much cancelled that $p-y$ was left. Here softmax stands in the *middle* of a network and must hand back any upstream. Move the logits by $\delta u$. Since $\log p_i = u_i - \log\sum_j e^{u_j}$, and the second part moves by $\sum_j p_j\,\delta u_j$,
#
# $$\delta p_i = p_i\Big(\delta u_i - \sum_j p_j\,\delta u_j\Big).$$
#
# Now let $\dot p$ come from above: $\sum_i\dot p_i\,\delta p_i = \sum_i \dot p_ip_i\,\delta u_i - \big(\sum_i\dot p_ip_i\big)\sum_j p_j\,\delta u_j$. What stands before $\delta u_j$ is
#
# $$\dot u_j = p_j\Big(\dot p_j - \sum_i p_i\,\dot p_i\Big).$$
#
# In words: *each share gains by how much it is wanted more than the average*. The sum over a row is 0, for shares can only be redistributed. And with the upstream of a cross entropy, $\dot p = -y/p$, it becomes $p - y$ again.

# %%
from cmir_ref.gradcheck import complex_step, relative_error

rng = np.random.default_rng(17)


def softmax(u):
    e = np.exp(u - u.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_back(dp, p):
    return p * (dp - (p * dp).sum(axis=-1, keepdims=True))


u, dp = rng.normal(size=(2, 4, 5))
p, truth = softmax(u), np.eye(5)[[0, 3, 3, 1]]
measured = complex_step(lambda a: (softmax(a[0]) * dp).sum(), [u], 0)
error_of_softmax = relative_error(softmax_back(dp, p), measured)[0]
print(f"softmax with any upstream: off by {error_of_softmax:.0e}")
print(f"row sums: {np.abs(softmax_back(dp, p).sum(axis=1)).max():.0e}")
glued = np.abs(softmax_back(-truth / p, p) - (p - truth)).max()
print(f"with the upstream of a cross entropy it is p − y, to {glued:.0e}")
without = relative_error(p * dp, measured)[0]
print(f"without the mean over the row: {without:.0%} off")
assert error_of_softmax < 1e-13 and glued < 1e-14 and without > 0.1

# %% [markdown]
# ## Who uses Q, K, V
#
# With $M$ queries $Q$ $(M, D)$, and $P$ keys $K$ $(P, D)$ with a value each, $V$ $(P, C)$:
#
# $$U = \frac{QK^\top}{\sqrt D}, \qquad A = \text{softmax}(U) \text{ row by row}, \qquad Y = AV .$$
#
# Each is used once, in a product, and lesson 06 gave the rule for those, $\langle A, BC\rangle=\langle B^\top A, C\rangle=\langle AC^\top,B\rangle$:
#
# | there | back | says |
# |---|---|---|
# | $Y = AV$ | $\dot V = A^\top\dot Y$, $\dot A = \dot YV^\top$ | a value hears everybody who listened to it, as loud as they listened |
# | $A = \text{softmax}(U)$ | $\dot U = A\odot\big(\dot A - \sum_j A_{\cdot j}\dot A_{\cdot j}\big)$ | as above |
# | $U = QK^\top/\sqrt D$ | $\dot Q = \dot UK/\sqrt D$, $\dot K = \dot U^\top Q/\sqrt D$ | a query moves towards keys whose values were wanted |


# %%
def attention(q, k, v, nudge=None):
    at = lambda name: (nudge or {}).get(name, 0)
    u = q @ k.T / np.sqrt(q.shape[1]) + at("u")
    a = softmax(u) + at("a")
    return a @ v, a


q, k, v = rng.normal(size=(4, 6)), rng.normal(size=(5, 6)), rng.normal(size=(5, 3))
y, a = attention(q, k, v)
dy = rng.normal(size=y.shape)
d = {"v": a.T @ dy, "a": dy @ v.T}
d["u"] = softmax_back(d["a"], a)
d["q"], d["k"] = d["u"] @ k / np.sqrt(6), d["u"].T @ q / np.sqrt(6)
errors = {}
for name, ours in d.items():
    if name in "qkv":
        f = lambda x: (attention(*x)[0] * dy).sum()
        errors[name] = relative_error(
            ours, complex_step(f, [q, k, v], "qkv".index(name))
        )[0]
    else:
        f = lambda x, name=name: (attention(q, k, v, {name: x[0]})[0] * dy).sum()
        errors[name] = relative_error(ours, complex_step(f, [0 * ours], 0))[0]
print("chunk by chunk:", ", ".join(f"d{name} {e:.0e}" for name, e in errors.items()))
assert max(errors.values()) < 1e-13

# %% [markdown]
# ## Why √D?
#
# A product of two vectors with $D$ independent entries of size 1 is a sum of $D$ such things: its usual size is $\sqrt D$. Without the division logits grow with the width, the softmax becomes hard, and what it hands back vanishes: $A(1-A)\to0$, as with the sigmoid of lesson 14.

# %%
widths = np.array([1, 4, 16, 64, 256, 1024])
sizes = {}
for name, power in (("divided by √D", 0.5), ("not divided", 0.0)):
    rows = []
    for width in widths:
        many, few = rng.normal(size=(200, width)), rng.normal(size=(10, width))
        weight = softmax(many @ few.T / width**power)
        back = softmax_back(rng.normal(size=weight.shape), weight)
        rows.append((weight.max(axis=1).mean(), np.sqrt((back * back).mean())))
    sizes[name] = np.array(rows)

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(8.8, 2.4))
for column, title in enumerate(("largest weight of ten keys", "gradient at a logit")):
    for (name, rows), mark in zip(sizes.items(), "os", strict=True):
        panels[column].semilogx(widths, rows[:, column], marker=mark, label=name)
    kind = ("mean", "root mean square")[column]
    panels[column].set(xlabel="width D", ylabel=kind, title=title)
panels[0].legend(fontsize=7)
show(
    figure,
    "Random queries and keys. Not divided, a query of 1024 numbers listens to one key "
    "alone from the start, and less than half as much comes back.",
)

# %%
hard, soft = sizes["not divided"][-1], sizes["divided by √D"][-1]
print(
    f"D = 1024: largest weight {hard[0]:.2f}, divided {soft[0]:.2f}; "
    f"gradient {hard[1]:.3f}, divided {soft[1]:.3f}"
)
assert hard[0] > 0.95 and soft[0] < 0.5 and hard[1] < 0.5 * soft[1]

# %% [markdown]
# ## Masks
#
# Padding must not be asked (lesson 15). The weight of a key is exactly 0 if its logit is $-\infty$: so a mask says which keys are seen, and the others get $-\infty$ before the softmax. One case needs a decision: a query that sees *no* key has $e^{-\infty}/0$, NaN. The package answers 0, and hands back 0.

# %%
from cmir_ref.ops.softmax_attention import softmax_attention, softmax_attention_backward

mask = np.array(
    [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool
)
batch = [x[None] for x in (q, k, v)]
y, cache = softmax_attention(*batch, mask[None])
print("weights, a query a row:")
print(cache.a[0].round(2))
grads = softmax_attention_backward(np.ones_like(y), cache)
with np.errstate(invalid="ignore"):
    literal = softmax(np.where(mask[3], q[3] @ k.T, -np.inf))
print("the query that sees nothing: by the formula", literal[0], "  here", y[0, 3])
assert np.isnan(literal).all() and not y[0, 3].any() and not grads[0][0, 3].any()
assert not cache.a[0][~mask].any()

hidden = mask[:3].copy()
hidden[:, 4] = False
other = [q[None, :3], k[None].copy(), v[None].copy()]
for array in other[1:]:
    array[0, 4] = 1e3  # nonsense in a key that nobody sees
clean = softmax_attention(q[None, :3], k[None], v[None], hidden[None])[0]
moved = np.abs(softmax_attention(*other, hidden[None])[0] - clean).max()
print(f"nonsense in a hidden key moves the answers by {moved:.0f}")
assert moved == 0

# %% [markdown]
# ## Photo and sketch
#
# Let a photo's map be $X$ ($M$ places of $C$ numbers), a sketch's map $S$. Each place of the photo asks the places of the sketch, and adds what it is told:
#
# $$O = X + \text{softmax}\!\Big(\frac{(XW_q)(SW_k)^\top}{\sqrt D}\Big)\,SW_v .$$
#
# Who uses what? $X$ is used twice: added, and as the queries. $S$ twice: as keys and as values. So $\dot X = \dot O + \dot QW_q^\top$ and $\dot S = \dot KW_k^\top + \dot VW_v^\top$, and the weights get what lesson 02 says. (No formula of the talk is public; this is a *reconstruction*, the attention of Vaswani et al., 2017, with one head. The package says so too, and calls it R2.)

# %%
from cmir_ref.attention.cross_attention import cross_attention, cross_attention_backward
from cmir_ref.gradcheck import check_gradient

shapes = (2, 3, 4), (2, 5, 4), (4, 3), (4, 3), (4, 4)
arrays = [rng.normal(size=shape) for shape in shapes]
found = check_gradient(cross_attention, cross_attention_backward, arrays)
error_of_cross = max(r.error for r in found if r.method == "complex-step")
o, cache = cross_attention(*arrays)
do = rng.normal(size=o.shape)
dq, dk, dv = softmax_attention_backward(do, cache.attention)
by_hand = do + dq @ arrays[2].T, dk @ arrays[3].T + dv @ arrays[4].T
theirs = cross_attention_backward(do, cache)
print(f"photo and sketch, five inputs: off by {error_of_cross:.0e}")
assert error_of_cross < 1e-12
assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(by_hand, theirs, strict=False))

# %% [markdown]
# ## Does the query leak?
#
# Now build a search with it. Train on pairs of one class: the photo's vector is made *with* its sketch, $v_p(p\,|\,s)$, the sketch's without. Both are classified by one head and drawn together (lesson 07). Then search: a sketch is the query, and each photo of the gallery is attended **by that query**, as it was in training. The training loss is
# splendid. What can go wrong?
#
# In training photo and sketch are *always* of one class. So a network that hears the sketch can name the class without looking at the photo. At the search it meets pairs of different classes for the first time, and if it has learned to answer "what did you ask?" in place of "what do I see?", then every photo resembles every query.
#
# Four ways to attend the same photos, with the same trained weights, show it. Photos here are noisy, sketches are clearer.

# %%
from cmir_ref.ops.softmax_cross_entropy import (
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from cmir_ref.retrieval import average_precision
from cmir_ref.training.adam import adam

KINDS, C, PLACES = 6, 12, 4
centres = 0.8 * np.random.default_rng(0).normal(size=(KINDS, C))


def maps(seed, each, noise):
    """`each` maps (PLACES, C) of each kind: its centre, noise of the whole, of the place."""
    random, y = np.random.default_rng([17, seed]), np.repeat(np.arange(KINDS), each)
    whole, place = (
        random.normal(size=(len(y), 1, C)),
        random.normal(size=(len(y), PLACES, C)),
    )
    return centres[y][:, None] + noise * (whole + place), y


def shuffled_within(y, random):
    return np.concatenate(
        [random.permutation(np.flatnonzero(y == c)) for c in range(KINDS)]
    )


def train(attends, seed, steps=150, rate=0.02):
    random = np.random.default_rng(seed)
    shapes = {
        "q": (C, 8),
        "k": (C, 8),
        "v": (C, C),
        "p": (C, 8),
        "s": (C, 8),
        "c": (8, KINDS),
    }
    w = {name: random.normal(size=shape) / 3 for name, shape in shapes.items()}
    w["v"] *= 0.3
    (photos, y), (sketches, _) = maps(1, 20, 1.2), maps(2, 20, 0.6)
    moments = {name: (np.zeros_like(a), np.zeros_like(a)) for name, a in w.items()}
    for t in range(1, steps + 1):
        s = sketches[shuffled_within(y, random)]  # another sketch of the same kind
        o, cache = photos, None
        if attends:
            o, cache = cross_attention(photos, s, w["q"], w["k"], w["v"])
        o, s = o.mean(axis=1), s.mean(axis=1)
        v_p, v_s = o @ w["p"], s @ w["s"]
        du = [
            softmax_cross_entropy_backward(1.0, softmax_cross_entropy(v @ w["c"], y)[1])
            for v in (v_p, v_s)
        ]
        pull = 0.1 * (v_p - v_s) / len(y)
        dv_p, dv_s = du[0] @ w["c"].T + pull, du[1] @ w["c"].T - pull
        grads = {"p": o.T @ dv_p, "s": s.T @ dv_s, "c": v_p.T @ du[0] + v_s.T @ du[1]}
        if attends:
            do = np.repeat((dv_p @ w["p"].T)[:, None] / PLACES, PLACES, axis=1)
            grads |= zip("qkv", cross_attention_backward(do, cache)[2:], strict=True)
        for name, g in grads.items():
            adam(w[name], g, *moments[name], t, rate)
    return w


# %%
def attended(w, photos, s):
    """v_p(p | s) of photos, each attended by a sketch of its own."""
    return cross_attention(photos, s, w["q"], w["k"], w["v"])[0].mean(axis=1) @ w["p"]


def ap(queries, gallery, same):
    """Gallery (G, 8), or (Q, G, 8) where each query makes a gallery of its own."""
    distance = ((queries[:, None] - gallery) ** 2).sum(axis=2)
    return average_precision(distance, same).mean()


rows, read_as_query = [], []
for seed in range(3):
    (photos, y), (sketches, _) = maps(100 + seed, 15, 1.2), maps(200 + seed, 15, 0.6)
    same, random = y[:, None] == y, np.random.default_rng(seed)
    w = train(False, seed)
    row = {"no attention": ap(sketches.mean(1) @ w["s"], photos.mean(1) @ w["p"], same)}
    w = train(True, seed)
    queries = sketches.mean(axis=1) @ w["s"]
    pair = np.stack(
        [attended(w, photos, np.broadcast_to(s, photos.shape)) for s in sketches]
    )
    row["by the query"] = ap(queries, pair, same)
    row["by a random sketch"] = ap(
        queries, attended(w, photos, sketches[random.permutation(len(y))]), same
    )
    row["by the mean over sketches"] = ap(queries, pair[::5].mean(axis=0), same)
    row["by one of the photo's own kind"] = ap(
        queries, attended(w, photos, sketches[shuffled_within(y, random)]), same
    )
    rows.append(row)
    read = (pair @ w["c"]).argmax(axis=2)
    read_as_query.append((read == y[:, None])[~same].mean())
scores = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
copies = float(np.mean(read_as_query))

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(8.8, 2.3))
axes.barh(list(scores), list(scores.values()), color="#56B4E9", edgecolor="black")
for place, value in enumerate(scores.values()):
    axes.text(value + 0.01, place, f"{value:.2f}", va="center", fontsize=8)
axes.set(xlabel="average precision, sketch → photo, mean of three seeds", xlim=(0, 1))
axes.set(ylabel="photos attended …")
axes.invert_yaxis()
show(
    figure,
    "The same trained network, the same photos. Only the sketch that attends them "
    "differs.",
)

# %%
print(f"pairs of two kinds whose photo is read as the sketch's kind: {copies:.0%}")
assert scores["by one of the photo's own kind"] > scores["no attention"] + 0.1
assert scores["by the query"] < scores["no attention"] - 0.1
assert copies > 0.5

# %% [markdown]
# Read from the bottom. Attended by a sketch *of the photo's own kind* the search is better by far than without attention. But who could do that? To choose that sketch one has to know what the photo shows: the label was told to the network, through the back door. Attended by the query, which is the honest way, it is *worse* than no attention at all: most photos of
# another kind are read as what was asked for. A random sketch makes it worse still.
#
# So two things belong beside each figure of such a method: the search **without** attention, and the same weights attended by something that **cannot know**, a random sketch or the mean over many. If evaluation happens to walk through photos and sketches in one order of classes, the leaky row is what is measured, and nothing in the code looks wrong.
#
# A gate that only *scales* the photo's own numbers, $x\odot(1+\sigma(sW+b))$, lies between $x$ and $2x$ and can copy little; that is the form which the package has as its default (`attention/gate.py`). What adds the sketch's values can copy everything.
#
# ## Your turn: a temperature that is learned
#
# Let the queries be as sharp as they like: $A = \text{softmax}(\tau\,QK^\top)$ with a learned number $\tau$, and $Y = AV$. Write the way back for `q`, `k`, `v` and `tau` (an array of shape `(1,)`). Who uses $\tau$? Every logit. The blank forgets that shares can only be redistributed, and τ.


# %% tags=["exercise"]
def sharp_attention(q, k, v, tau):
    agreement = q @ k.T
    a = softmax(tau * agreement)
    return a @ v, (q, k, v, tau, agreement, a)


def sharp_attention_backward(dy, cache):
    q, k, v, tau, agreement, a = cache
    du = a * (dy @ v.T)  # yours: at tau · q kᵀ
    return tau * du @ k, tau * du.T @ q, a.T @ dy, np.zeros(1)


# %% tags=["solution"]
def sharp_attention_backward(dy, cache):
    q, k, v, tau, agreement, a = cache
    da = dy @ v.T
    du = a * (da - (a * da).sum(axis=1, keepdims=True))
    dtau = np.array([(du * agreement).sum()])
    return tau * du @ k, tau * du.T @ q, a.T @ dy, dtau


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

for many in (1, 4):
    random = np.random.default_rng(many)
    given = {"q": (many, 3), "k": (5, 3), "v": (5, 2), "tau": (1,)}
    given = {name: random.normal(size=shape) for name, shape in given.items()}
    said = with_hints(
        explain(sharp_attention, sharp_attention_backward, given),
        q="what is taken off each share's wish? and τ stands before the agreement",
        k="what is taken off each share's wish? and τ stands before the agreement",
        v="each value goes to every query, as much as that query's weight for it",
        tau="every logit has it: what does each logit ask for?",
    )
    assert not said, f"{many} queries:\n{said}"
print("right, for one query and for four")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    error_of_softmax_alone=error_of_softmax,
    error_of_attention_by_hand=max(errors.values()),
    error_of_photo_and_sketch=error_of_cross,
    ap_without_attention=scores["no attention"],
    ap_attended_by_the_query=scores["by the query"],
    ap_attended_by_the_label=scores["by one of the photo's own kind"],
    photos_read_as_the_query=copies,
)

# %% [markdown]
# ## What you learned
#
# In the middle of a network a softmax hands back each share's wish less the mean wish; attention is that between two products, and keys and values of one source are two users of it. Padding gets the weight 0 before the softmax, and a query that sees nothing gets 0 by decision. Whoever scores a pair with
# a network that sees both must show what it does with a partner that cannot know: else it may only repeat the question.
#
# ## Next
#
# [18 · Losses over pairs](18_losses_over_pairs.ipynb): training against what does *not* belong together, which is what was missing here. In the package: [`ops/softmax_attention.py`](../cmir_ref/ops/softmax_attention.py),
# [`attention/cross_attention.py`](../cmir_ref/attention/cross_attention.py), and the controls of this lesson as settings, [`attention/inference.py`](../cmir_ref/attention/inference.py).
