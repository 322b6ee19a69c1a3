# ---
# jupyter:
#   lesson:
#     question: What does a loss look like that compares samples with each other, and when has it nothing left to say?
#     minutes: 35
#     needs: ["04", "16"]
#     derives: []
# ---

# %% [markdown]
# # 18 · Losses over pairs
#
# **What does a loss look like that compares samples with each other, and when has it nothing left to say?**
#
# Every loss so far looked at one sample, or at one pair that belongs together. Alignment (lesson 07) has a best answer that is worth nothing, all points in one place, because nobody says what should be *apart*. A **triplet** says it: this picture should be nearer to its own sentence than to that one, by a margin. A batch of $n$ pairs holds $n(n-1)$ such
# sentences for each direction, in one matrix of scores.

# %% tags=["folded"]
import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(18)
figure, panels = plt.subplots(1, 3, figsize=(8.8, 2.9))
base = np.clip(rng.normal(0.25, 0.25, (6, 6)), -0.6, 0.9)
for axes, gain, title in zip(
    panels, (0.0, 0.35, 0.7), ("before training", "half way", "at the end"), strict=True
):
    scores = base + gain * (np.eye(6) - 0.4)
    active = (0.2 - np.diag(scores)[:, None] + scores > 0) & ~np.eye(6, dtype=bool)
    axes.imshow(scores, cmap="PuOr", vmin=-1, vmax=1)
    for i, j in zip(*np.nonzero(active), strict=True):
        axes.plot(j, i, "kx", ms=7, ls="none")
    axes.set(xlabel="sentence", ylabel="picture", xticks=[], yticks=[])
    axes.set_title(f"{title}: {active.sum()} of 30 speak", fontsize=9)
show(
    figure,
    "Made-up scores of six pairs; the pairs themselves stand on the diagonal. A cross: this "
    "sentence comes too near to this picture. The fewer crosses, the less is learned.",
)

# %% [markdown]
# ## One triple
#
# Let $s_{ii}$ be the score of picture $i$ with its own sentence, $s_{ij}$ with another, and $\alpha$ the margin. The *hinge*
#
# $$\ell = \big[\alpha - s_{ii} + s_{ij}\big]_+ , \qquad [x]_+ = \max(x, 0)$$
#
# is 0 as soon as the own one leads by α, and then says nothing at all. Its slope is 0 or 1 (lesson 02's ReLU), so
#
# $$\dot s_{ij} = k, \qquad \dot s_{ii} = -k, \qquad k = [\,\alpha - s_{ii}+s_{ij} > 0\,].$$

# %%
from cmir_ref.gradcheck import complex_step

print("own score   other   hinge   gradient: own, other")
for own, other in ((0.9, 0.1), (0.5, 0.4), (0.2, 0.6)):
    hinge = lambda s: max(0.2 - s[0] + s[1], 0 * s[0], key=np.real)
    value = float(hinge((own, other)))
    k = value > 0
    slopes = [
        complex_step(lambda a, o=other: hinge((a[0], o)), [np.array(own)], 0),
        complex_step(lambda a, o=own: hinge((o, a[0])), [np.array(other)], 0),
    ]
    print(f"{own:8.1f} {other:9.1f} {value:7.1f}   {-float(k):5.0f} {float(k):5.0f}")
    assert np.allclose([-float(k), float(k)], slopes)

# %% [markdown]
# ## From one to n × n (eq. 30)
#
# Both directions, all others, all pairs at once, as AMFMN has it in its equation 30:
#
# $$L = \sum_{i\ne j}\big[\alpha_{ij} - s_{ii} + s_{ij}\big]_+ \;+\; \sum_{i\ne j}\big[\alpha_{ij} - s_{jj} + s_{ij}\big]_+ .$$
#
# The first sum compares sentences for a picture (a *row* of $S$ with its diagonal entry), the second pictures for a sentence (a *column*). In NumPy the diagonal is taken out and copied along rows and along columns. Lesson 04 has the rule: **copied there is summed back, gathered there is scattered back.** With the indicators $K^1$, $K^2$ of the two sums,
#
# $$\dot S = K^1 + K^2 - \text{diag}\Big(\sum_j K^1_{ij}\Big) - \text{diag}\Big(\sum_i K^2_{ij}\Big).$$
#
# Each of the two halves of the diagonal is one's own: forget it, and every score is pushed down, those of the pairs not up.


# %%
def triplet(s, margin):
    own = np.diagonal(s)
    other = ~np.eye(len(s), dtype=bool)
    rows, columns = margin - own[:, None] + s, margin - own[None, :] + s
    k1, k2 = other & (rows.real > 0), other & (columns.real > 0)
    return np.where(k1, rows, 0).sum() + np.where(k2, columns, 0).sum(), (k1, k2)


def triplet_back(dloss, cache):
    k1, k2 = (k.astype(float) for k in cache)
    return dloss * (k1 + k2 - np.diag(k1.sum(axis=1)) - np.diag(k2.sum(axis=0)))


s = rng.uniform(-1, 1, (5, 5))
value, cache = triplet(s, 0.2)
by_hand = triplet_back(1.0, cache)
measured = complex_step(lambda a: triplet(a[0], 0.2)[0], [s], 0)
loops = sum(
    max(0.2 - s[i, i] + s[i, j], 0) + max(0.2 - s[j, j] + s[i, j], 0)
    for i in range(5)
    for j in range(5)
    if i != j
)
print(f"matrix {value:.6f}, loops {loops:.6f}")
print(
    f"gradient off by {np.abs(by_hand - measured).max():.0e}; its sum is "
    f"{by_hand.sum():.0f}"
)
without = np.abs(by_hand - np.diag(np.diag(by_hand)) - measured)
print(f"diagonal forgotten: wrong in {int((without > 1e-9).sum())} of 25 entries")
assert np.isclose(value, loops) and np.abs(by_hand - measured).max() < 1e-15
assert by_hand.sum() == 0 and (without > 1e-9).sum() == 5

# %% [markdown]
# The gradient sums to 0: what the others lose, the own ones win. Its entries are whole numbers: how many complain.
#
# ## Two traps of a check
#
# The hinge has a kink, and a flat side. Both fool a gradient check, in opposite ways.

# %%
from cmir_ref.gradcheck import explain


def loss(s):
    return triplet(s, 0.2)


def wrong_back(dloss, cache):
    return dloss * (cache[0].astype(float) + cache[1])  # no diagonal


far = 10 * np.eye(4) + 0.1 * rng.normal(size=(4, 4))  # every pair leads by far
silent = explain(loss, wrong_back, {"s": far})
heard = explain(loss, wrong_back, {"s": s})
print(
    "wrong backward, no hinge active:  ", silent.splitlines()[0] if silent else "right!"
)
print("wrong backward, some are active:  ", heard.splitlines()[0])
value_far, (k1, k2) = loss(far)
print(
    f"there the loss is {value_far:.0f} and {int(k1.sum() + k2.sum())} hinges speak: "
    "any backward that returns 0 is right"
)
assert silent == "" and heard != "" and value_far == 0

# %% [markdown]
# A check at a place where the loss is 0 says nothing. Look at the loss first. And at a kink itself every slope between 0 and 1 is right, so that a measurement by differences disagrees with all of them. Draw inputs at random; a kink has no width.
#
# ## Sum over all, or the hardest?
#
# With 64 pairs each picture has 63 others. Two ways to count them: all that violate the margin, or only the **hardest**, the one that violates it most (VSE++, 2018). The second is lesson 04's max-pool: only the winner is heard. Train both on made-up pictures and sentences; vectors are free, scores are cosines.

# %%
from cmir_ref.amfmn.eq30_triplet import triplet as package_triplet
from cmir_ref.amfmn.eq30_triplet import triplet_backward
from cmir_ref.ops.cosine import cosine, cosine_backward
from cmir_ref.retrieval import recall_at_k
from cmir_ref.training.adam import adam

theirs, cache = package_triplet(s, np.full((5, 5), 0.2), ~np.eye(5, dtype=bool))
assert np.isclose(theirs, value) and np.array_equal(
    triplet_backward(1.0, cache), by_hand
)

N, WIDTH, D = 48, 24, 8
hidden = rng.normal(size=(4 * N, 6))
mixes = rng.normal(size=(2, 6, WIDTH))
views = [hidden @ mix + 2.0 * rng.normal(size=(4 * N, WIDTH)) for mix in mixes]


def train(margin, hardest=False, steps=240, seed=0, rate=0.01):
    """Two linear encoders; (share of active hinges, recall at 5 of unseen) by step."""
    random = np.random.default_rng(seed)
    w = [random.normal(size=(WIDTH, D)) / np.sqrt(WIDTH) for _ in views]
    moments = [(np.zeros_like(x), np.zeros_like(x)) for x in w]
    other, active, recall = ~np.eye(N, dtype=bool), [], []
    for t in range(1, steps + 1):
        rows = random.choice(3 * N, N, replace=False)
        x = [v[rows] for v in views]
        scores, cosines = cosine(x[0] @ w[0], x[1] @ w[1])
        margins = margin(rows) if callable(margin) else np.full((N, N), margin)
        _, cache = package_triplet(
            scores, margins, other, hardest=hardest, reduction="mean"
        )
        dv = cosine_backward(triplet_backward(1.0, cache), cosines)
        for i in range(2):
            adam(w[i], x[i].T @ dv[i], *moments[i], t, rate)
        every = package_triplet(scores, margins, other)[1]
        active.append((every.texts.sum() + every.images.sum()) / (2 * N * (N - 1)))
        if t % 20 == 0:
            unseen = cosine(views[0][3 * N :] @ w[0], views[1][3 * N :] @ w[1])[0]
            recall.append(float(recall_at_k(-unseen, np.eye(N, dtype=bool), 5).mean()))
    return np.array(active), recall, w


ways = {"all": train(0.2), "hardest": train(0.2, hardest=True)}

# %% tags=["folded"]
figure, panels = plt.subplots(1, 2, figsize=(8.8, 2.4))
for (name, (active, recall, _)), mark in zip(ways.items(), "os", strict=True):
    panels[0].plot(100 * active, label=name)
    panels[1].plot(range(20, 241, 20), recall, marker=mark, ms=4, label=name)
panels[0].set(xlabel="step", ylabel="hinges that speak, %", ylim=(0, 70))
panels[1].set(xlabel="step", ylabel="recall at 5, unseen pairs", ylim=(0, 1))
panels[1].axhline(5 / N, color="#999999", lw=0.8, ls=":")
panels[0].legend(fontsize=7)
show(
    figure,
    "Left: the share of triples that still violate the margin. Right: how often the own "
    "sentence is among the first five (dotted: by chance).",
)

# %%
first, last = (ways["all"][0][part].mean() for part in (slice(0, 5), slice(-20, None)))
print(f"hinges that speak: {first:.0%} at the start, {last:.1%} at the end")
print("recall at 5:", ", ".join(f"{k} {r[-1]:.2f}" for k, (_, r, _) in ways.items()))
assert first > 0.2 and last < 0.2 * first
assert min(recall[-1] for _, recall, _ in ways.values()) > 3 * 5 / N

# %% [markdown]
# **The share of active hinges is the curve to watch.** It is to a triplet loss what the accuracy is to a classifier: near 0 there is nothing left to learn from *this* margin and *this* batch, however bad the search may still be; at 50 % nothing has been learned yet. The loss itself hides it, because it mixes how many with how much.
#
# ## A margin that looks at the captions
#
# "A plane on the runway" and "an airplane stands on a runway" are two captions of two pictures. To ask that the first picture's score with the second caption be lower *by 0.2* is to ask for a mistake. AMFMN's margin (equation 29) looks at how alike two captions are, ς between 0 and 1, and asks for less where they are:
#
# $$\alpha_{ij} = \gamma\;\frac{e^{\beta}-e^{\beta\varsigma_{ij}}}{e^{\beta}-1} .$$
#
# γ where they have nothing in common, 0 where they are the same. It is a number *given* to the loss: no gradient goes through it.

# %%
from cmir_ref.amfmn.eq29_margin import dynamic_margin

alike = np.linspace(0, 1, 101)

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(8.8, 2.2))
for beta in (0.0, 2.0, 5.0):
    axes.plot(alike, dynamic_margin(alike, 0.2, beta), label=f"β = {beta:g}")
axes.set(xlabel="likeness ς of two captions", ylabel="margin α", ylim=(0, 0.22))
axes.legend(fontsize=7)
show(figure, "γ = 0.2. The larger β, the longer the full margin is asked for.")

# %%
ends = dynamic_margin(np.array([0.0, 0.5, 1.0]), 0.2, 5.0)
print(f"β = 5: margin at ς = 0, ½, 1: {ends.round(3)}")
assert np.allclose(ends[[0, 2]], [0.2, 0]) and ends[1] > 0.18

# %% [markdown]
# What does that change when captions repeat? Let every four pictures of the training part share one sentence, word for word. With a fixed margin each of them is asked to prefer its own sentence to the same sentence: $\alpha - s_{ii} + s_{ij}$ with $s_{ij} = s_{ii}$ is α, whatever is learned.

# %%
whose = np.arange(4 * N) // 4
training = np.arange(4 * N) < 3 * N
views[1][training] = views[1][4 * whose[training]]


def by_captions(rows):
    likeness = (whose[rows][:, None] == whose[rows]).astype(float)
    return dynamic_margin(likeness, 0.2, 5.0)


rows = np.arange(N)  # twelve groups of four
twins = (whose[rows][:, None] == whose[rows]) & ~np.eye(N, dtype=bool)
speak, recalls = {}, {}
for name, margin in (("fixed", 0.2), ("by captions", by_captions)):
    course = [train(margin, seed=seed) for seed in range(3)]
    recalls[name] = np.mean([recall[-1] for _, recall, _ in course])
    w = course[0][2]
    scores = cosine(views[0][rows] @ w[0], views[1][rows] @ w[1])[0]
    asked = margin(rows) if callable(margin) else np.full((N, N), margin)
    _, cache = package_triplet(scores, asked, ~np.eye(N, dtype=bool))
    speak[name] = cache.texts[twins].mean(), cache.texts[~twins].mean()
    print(
        f"{name:12} pictures that complain of their own sentence: {speak[name][0]:4.0%}; "
        f"of others: {speak[name][1]:4.0%}; recall at 5, unseen {recalls[name]:.2f}"
    )
assert speak["fixed"][0] > 0.9 > 0.5 > speak["by captions"][0]

# %% [markdown]
# With a fixed margin those hinges never fall silent, and pull at every step to no end. (In the second row rounding may let one of two equal scores stand above 0.) Whether that costs recall is a matter of the data: three seeds of this small world, last column, are no proof either way.
#
# ## Your turn: the softmax over a row
#
# Instead of hinges, let every row be a classification: which sentence belongs to this picture? (CLIP, 2021, without its second direction.)
#
# $$L = \frac1n\sum_i\Big(\log\sum_j e^{s_{ij}/\tau} - \frac{s_{ii}}{\tau}\Big).$$
#
# Write the way back for `s` and for the temperature `tau`, an array of shape `(1,)`. Lesson 03 has the inner part. Who uses τ? The blank treats it as a plain number and forgets that it divides.


# %% tags=["exercise"]
def row_loss(s, tau):
    u = s / tau
    e = np.exp(u - u.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return -np.log(np.diagonal(p)).sum() / len(s), (s, tau, p)


def row_loss_backward(dloss, cache):
    s, tau, p = cache
    return dloss * (p - np.eye(len(s))) / len(s), np.zeros(1)  # yours


# %% tags=["solution"]
def row_loss_backward(dloss, cache):
    s, tau, p = cache
    du = dloss * (p - np.eye(len(s))) / len(s)
    return du / tau, np.array([-(du * s).sum() / tau[0] ** 2])  # u = s/τ: ∂u/∂τ = −s/τ²


# %% tags=["check"]
from cmir_ref.reports.lesson import with_hints

for n in (2, 5):
    random = np.random.default_rng(n)
    given = {"s": random.normal(size=(n, n)), "tau": np.array([0.7])}
    said = with_hints(
        explain(row_loss, row_loss_backward, given),
        s="guess minus truth, the truth on the diagonal; a mean over rows; and u = s/τ",
        tau="u = s/τ, so τ divides every score: its slope, and its sign?",
    )
    assert not said, f"{n} pairs:\n{said}"
print("right, for two pairs and for five")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    gradient_of_the_matrix_off_by=np.abs(by_hand - measured).max(),
    entries_wrong_without_the_diagonal=int((without > 1e-9).sum()),
    hinges_that_speak_at_the_start=first,
    recall_at_5_all=ways["all"][1][-1],
    recall_at_5_hardest=ways["hardest"][1][-1],
    twins_that_complain_with_a_fixed_margin=speak["fixed"][0],
)

# %% [markdown]
# ## What you learned
#
# A triplet asks that the own one lead by a margin, and says nothing once it does; over a batch it is a matrix of scores, a diagonal that is copied along rows and columns, and summed back. Where no hinge is active a check passes whatever was written. The share of active hinges is the curve to watch, and a margin
# should not ask a picture to prefer its own caption to the same caption.
#
# ## Next
#
# [23 · Words and keywords](23_words_and_keywords.ipynb): who tells the margin how alike two captions are. [19 · Why 46 is not 46](19_why_46_is_not_46.ipynb): what a recall measures when captions repeat. In the package: [`amfmn/eq30_triplet.py`](../cmir_ref/amfmn/eq30_triplet.py), [`amfmn/eq29_margin.py`](../cmir_ref/amfmn/eq29_margin.py),
# [`amfmn/caption_prior.py`](../cmir_ref/amfmn/caption_prior.py).
