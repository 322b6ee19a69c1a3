# ---
# jupyter:
#   lesson:
#     question: What does a retrieval score measure, and what makes it lie?
#     minutes: 25
#     needs: ["07"]
#     derives: []
# ---

# %% [markdown]
# # 10 · Retrieval metrics you can trust
#
# **What does a retrieval score measure, and what makes it lie?**
#
# A query goes in, a *ranking* comes out: all items of the gallery, nearest first. Some of them are *relevant* (they share a label with the query), the others are not. A
# score turns that row of yes and no into one number. Here are six rankings with the best known of these numbers, *average precision* (AP), as exact fractions. At the
# end of this page you can compute each of them in your head, and you know five ways in which a number with the same name can be something else.

# %% tags=["folded"]
from fractions import Fraction
from math import comb

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
SIX = {
    "11100": "1",
    "10101": "34/45",
    "00111": "43/90",
    "01001": "9/20",
    "00001": "1/5",
    "10000": "1",
}
figure, axes = plt.subplots(figsize=(5.4, 2.5))
for row, (ranking, value) in enumerate(SIX.items()):
    for place, mark in enumerate(ranking):
        axes.add_patch(
            plt.Rectangle(
                (place, row + 0.1),
                0.9,
                0.8,
                fc="#0072B2" if mark == "1" else "#E8E8E8",
                ec="black",
            )
        )
    axes.text(5.6, row + 0.5, f"AP = {value}", va="center")
axes.set(
    xlim=(-0.2, 7.5),
    ylim=(6.1, -0.1),
    title="six rankings, best place left; dark: relevant",
)
axes.axis("off")
show(
    figure,
    "The first and the last ranking score 1: average precision asks how early the "
    "relevant items come, not how many there are.",
)

# %% [markdown]
# ## Average precision, by hand
#
# Walk down the ranking. *Precision at rank p* is the share of relevant items among the first p. Note it whenever the item at p is relevant, and take the mean of what you noted:
#
# $$\mathrm{AP} = \frac1R \sum_{p\,:\,\text{item } p \text{ relevant}} \frac{\text{relevant among the first } p}{p}.$$
#
# For `10101`: at rank 1 it is 1/1, at rank 3 it is 2/3, at rank 5 it is 3/5. The mean of the three is 34/45. In code it is a loop of four lines. Exact fractions leave no doubt.


# %%
def ap(ranking):
    found, total = 0, Fraction(0)
    for p, relevant in enumerate(ranking, start=1):
        if relevant:
            found += 1
            total += Fraction(found, p)
    return total / found


from cmir_ref.retrieval import average_precision

print("ranking   by hand   loop    package")
for ranking, by_hand in SIX.items():
    marks = np.array([int(c) for c in ranking])
    package = average_precision(np.arange(5.0)[None], marks[None] > 0)[0]
    print(f"{ranking}   {by_hand:>6}   {ap(marks)!s:>6}   {package:.6f}")
    assert ap(marks) == Fraction(by_hand) and abs(package - float(ap(marks))) < 1e-15

# %% [markdown]
# The same walk as a picture: precision against *recall*, the share of all relevant items that have been found so far. AP is the mean height of the marked points. Change the strings and look.


# %% tags=["folded"]
def draw(axes, ranking):
    marks = np.array([int(c) for c in ranking])
    precision, recall = (
        marks.cumsum() / np.arange(1, len(marks) + 1),
        marks.cumsum() / marks.sum(),
    )
    axes.plot(recall, precision, drawstyle="default", color="#999999", ls="-")
    axes.plot(recall[marks > 0], precision[marks > 0], "o", color="#0072B2", ls="none")
    axes.set(
        title=f"{ranking}\nAP = {float(ap(marks)):.3f}",
        xlabel="recall",
        ylabel="precision",
        ylim=(0, 1.05),
        xlim=(-0.03, 1.05),
    )


# %%
figure, panels = plt.subplots(1, 4, figsize=(9, 2.4))
for axes, ranking in zip(
    panels, ["1110000000", "1010100000", "0001110000", "0000000111"], strict=True
):
    draw(axes, ranking)
show(
    figure,
    "Three relevant items among ten, sinking from left to right. A hit moves the line "
    "to the right, and up if there were misses before it; a miss moves it straight "
    "down.",
)

# %% [markdown]
# ## Your turn: break a metric
#
# *Precision at k* (P@k) looks at the first k places only and does not care about their order. Write two rankings of 10 items with 4 relevant ones each, such that
# P@5 prefers the first and AP prefers the second.

# %% tags=["exercise"]
liked_by_precision_at_5 = "1100110000"  # yours
liked_by_ap = "1100110000"  # yours

# %% tags=["solution"]
liked_by_precision_at_5 = "0011100001"  # three in the first five, none of them early
liked_by_ap = "1100011000"  # two in the first five, at the very top

# %% tags=["check"]
pair = [
    np.array([int(c) for c in text]) for text in (liked_by_precision_at_5, liked_by_ap)
]
assert all(len(marks) == 10 and marks.sum() == 4 for marks in pair), (
    "each has 10 items, 4 of them relevant"
)
at_5, aps = [int(marks[:5].sum()) for marks in pair], [ap(marks) for marks in pair]
assert at_5[0] > at_5[1], (
    f"P@5 should prefer the first: {at_5[0]}/5 against {at_5[1]}/5"
)
assert aps[0] < aps[1], (
    f"AP should prefer the second: {aps[0]} against {aps[1]}; move its hits to the very "
    "top"
)
print(f"P@5 {at_5[0]}/5 > {at_5[1]}/5, but AP {aps[0]} < {aps[1]}")

# %% [markdown]
# ## First trap: ties
#
# Distances can be equal, and then the ranking is not determined. A sort will return *some* order, often the one in which the gallery happens to be stored. Here are five items; the
# middle three are equally far away, one of them relevant. Six orders are possible, and they do not score the same.

# %%
from itertools import permutations

distances, relevant = np.array([1, 2, 2, 2, 3]), np.array([1, 0, 0, 1, 0], dtype=bool)


def over_all_orders(distances, relevant):
    """AP of each order that sorts the distances, by brute force."""
    orders = [
        list(o)
        for o in permutations(range(len(distances)))
        if np.all(np.diff(distances[list(o)]) >= 0)
    ]
    return [ap(relevant[o]) for o in orders]


every = over_all_orders(distances, relevant)
for value in sorted(set(every), reverse=True):
    print(f"AP = {value!s:>5} in {every.count(value)} of {len(every)} orders")
expected = sum(every) / len(every)
package = average_precision(distances[None], relevant[None])[0]
print(f"mean {expected}; the package says {package:.6f}")
assert abs(package - float(expected)) < 1e-15

# %% [markdown]
# A score that depends on how a file is sorted is not a property of the method. The honest answer is the *expected value*: the mean over all orders of the tied items. Nobody runs
# through all orders: a tie of 20 has more than 10¹⁸. For a group of $n$ tied items, $r$ of them relevant, below $t$ others of which $R_t$ are relevant, rank $t+i$ holds
# a relevant item with probability $r/n$, and then $(i-1)\rho$ of the group's relevant items are expected above it, $\rho = \frac{r-1}{n-1}$. So the group adds to the sum over hits
#
# $$\sum_{i=1}^{n} \frac rn \cdot \frac{R_t + 1 + \rho\,(i-1)}{t+i}.$$
#
# Test that against brute force, on a hundred random rankings full of ties.

# %%
rng = np.random.default_rng(10)
worst = 0.0
for _ in range(100):
    d, r = rng.integers(0, 3, 6), rng.random(6) < 0.5
    if r.any():
        brute = over_all_orders(d, r)
        worst = max(
            worst,
            abs(
                average_precision(d[None], r[None])[0] - float(sum(brute) / len(brute))
            ),
        )
print(f"largest difference between the formula and brute force: {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# How much can ties move a score? Take 200 items whose distances carry real information, and round the distances to a coarser and coarser grid. `draw(steps)` invites you to try other grids.


# %%
def ap_in_order(distances, relevant, tiebreak):
    return float(ap(relevant[np.lexsort([tiebreak, distances])]))


# %% tags=["folded"]
def draw(steps, items=200):
    rng = np.random.default_rng(0)
    relevant = (
        np.arange(items) >= items - 40
    )  # stored class by class, as files usually are: the relevant ones last
    exact = rng.normal(size=items) - 1.2 * relevant
    rows = []
    for step in steps:
        d = np.round(exact / step)
        best, worst = (
            ap_in_order(d, relevant, ~relevant),
            ap_in_order(d, relevant, relevant),
        )
        rows.append(
            [
                average_precision(d[None], relevant[None])[0],
                ap_in_order(d, relevant, np.arange(items)),
                best,
                worst,
            ]
        )
    mean, index, best, worst = np.transpose(rows)
    figure, axes = plt.subplots(figsize=(5.6, 2.8))
    axes.fill_between(
        steps, worst, best, color="#DDDDDD", label="between worst and best order"
    )
    axes.plot(steps, mean, marker="o", label="expected value")
    axes.plot(steps, index, marker="s", label="order of the file")
    axes.set(
        xscale="log",
        xlabel="grid step of the distances (coarser to the right)",
        ylabel="AP",
        ylim=(0, 1),
    )
    axes.legend()
    return figure


# %%
show(
    draw([0.001, 0.01, 0.1, 0.3, 1, 3, 10]),
    "The same distances, rounded. Right: everything ties; the order of the file "
    "(relevant items last) sinks to the worst case, the expected value to chance.",
)

# %% [markdown]
# ## Second trap: the constant embedding
#
# What if a network has collapsed, and maps *everything* to one point? All distances are zero, everything ties, and a stable sort returns the gallery as it is stored. Let a
# gallery hold eight classes of 50, stored class by class, and ask with one query of each class. The score below is the one that the released MATLAB prints as "MAP"; what it is comes next.

# %%
from cmir_ref.retrieval import collapse, evaluate_direction, mean_precision_at_tens

CLASSES = 8
gallery_labels = np.repeat(np.arange(CLASSES), 50)
query_labels = np.arange(CLASSES)
hits = query_labels[:, None] == gallery_labels[None]
nothing = np.zeros(hits.shape)
by_index = mean_precision_at_tens(nothing, hits, ties="index")
by_expectation = average_precision(nothing, hits)

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(5.6, 2.4))
axes.bar(
    query_labels - 0.2,
    by_index,
    0.4,
    label='ties by index: "MAP" of the released code',
    hatch="//",
)
axes.bar(
    query_labels + 0.2, by_expectation, 0.4, label="AP, ties at their expected value"
)
axes.set(
    xlabel="class of the query (as stored in the gallery)",
    ylabel="score",
    xticks=query_labels,
)
axes.legend()
show(
    figure,
    "An embedding that knows nothing. By index it scores 1 for the class stored first "
    "and exactly 0 for all others; the expected value is the same for all.",
)

# %%
assert by_index[0] == 1 and not by_index[1:].any() and np.ptp(by_expectation) < 1e-12
print("its state:", collapse(np.ones((5, 4)), np.ones((7, 4)))["state"])

# %% [markdown]
# **About the paper.** Table 4 prints mAP 0 (the mean of AP over the queries) and P@10 0 for α = 0, and the text reads this as failure. No tie-aware score gives 0 to a constant embedding: that needs an exact
# collapse *and* ties broken by index, with queries whose classes are not stored first. The next cell repeats it with words as queries and images as the gallery: all 2100 of UC Merced, stored from *agricultural* on, where `CMIR_DATA` names
# them, and the bundled scenes, whose first images are fewer and other ones, so that not all of them get 0.

# %%
import os

from cmir_ref.data import samples_dir
from cmir_ref.data.ucmerced import LABEL_NAMES, load_multilabels
from cmir_ref.retrieval import chance


def constant_embedding(root):
    """(images, P@10 by index of each of the first five words, tie-aware mAP of the
    same five)."""
    labels = load_multilabels(root)
    labels = labels[labels.any(axis=1)]
    hit = labels.T[:5] > 0
    flat = np.zeros(hit.shape)
    return (
        len(labels),
        [int(h[:10].sum()) / 10 for h in hit],
        float(average_precision(flat, hit).mean()),
    )


layouts = {"bundled sample": samples_dir()}
if os.environ.get("CMIR_DATA"):
    layouts["UC Merced, all labels"] = os.environ["CMIR_DATA"]
for name, root in layouts.items():
    images, at_10, expected_map = constant_embedding(root)
    print(f"{name}: {images} images, five words on a constant embedding")
    print(
        "  P@10 by index: ",
        ", ".join(f"{w} {p:.1f}" for w, p in zip(LABEL_NAMES, at_10, strict=False)),
    )
    print(f"  tie-aware mAP:  {expected_map:.3f}")
if len(layouts) == 1:
    print(
        "(These are scenes of our own, in another order than the paper's. Set CMIR_DATA "
        "to see UC Merced's.)"
    )

# %% [markdown]
# ## Third trap: a "MAP" without average precision
#
# The released MATLAB computes precision at 10, 20, 30, 40 and 50 and prints the mean of the five as MAP (`dist_codes/KNNcode.m` lines 110–126 and 149; its two scripts for speech go on to 100: `speech2imgKNN.m` lines 52–68 and 90, `img2speech.m` lines 53–69 and 90). Two facts follow, and one picture
# shows both:
#
# - a *perfect* ranking gets less than 1 where fewer than 50 items are relevant,
# - a ranking gets 1 as soon as its first 50 are right, however badly the other thousands are sorted.

# %%
items, counts = 1000, np.array([1, 3, 5, 10, 20, 30, 50, 100, 300])
perfect = np.arange(items)[None] < counts[:, None]  # relevant items first
half = np.stack(
    [
        np.isin(np.arange(items), np.r_[: min(50, c), items - max(c - 50, 0) : items])
        for c in counts
    ]
)
line = np.broadcast_to(np.arange(items), perfect.shape)

# %% tags=["folded"]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8))
for axes, rows, title in (
    (left, perfect, "perfect ranking"),
    (right, half, "first 50 right, all others last"),
):
    axes.plot(
        counts, average_precision(line, rows), marker="o", label="average precision"
    )
    axes.plot(
        counts,
        mean_precision_at_tens(line, rows),
        marker="s",
        label="mean precision at tens",
    )
    axes.set(
        xscale="log",
        xlabel="relevant items among 1000",
        ylabel="score",
        ylim=(0, 1.05),
        title=title,
    )
left.legend(loc="lower right")
show(
    figure,
    "Left: a ranking without a mistake, marked down. Right: at 300, five of six "
    "relevant items come at the very end, and the score is 1.",
)

# %%
perfect_of_ten = float(mean_precision_at_tens(line[3:4], perfect[3:4])[0])
most = mean_precision_at_tens(line, perfect)
print("relevant:     ", "".join(f"{c:6}" for c in counts))
print("most there is:", "".join(f"{m:6.2f}" for m in most))
assert most[counts < 50].max() < 1 and most[counts >= 50].min() == 1
assert average_precision(line, perfect).min() == 1
last_of_half = mean_precision_at_tens(line, half)[-1], average_precision(line, half)[-1]
assert last_of_half[0] == 1 and last_of_half[1] < 0.6

# %% [markdown]
# **About the paper.** DSRSID has hundreds of relevant items for each query, and thousands where all its tiles are searched, so its "MAP" tells about the first 50 places only. Multi-label galleries have rare labels, so a perfect method could not reach 1.
# The two scenarios' numbers in Tables 1 and 3 are therefore not on one scale, and neither is an average precision. Such a score means something beside the most that its gallery allows, the row "most there is".
#
# ## Fourth trap: chance is not the prevalence
#
# Shuffle a gallery. Precision at any rank is then $r/n$ on average, the *prevalence*. AP is not: rank 1 is special, since a hit there scores a full 1. The whole gallery is one tie, so
# the formula above, with $t = 0$, says it all:
#
# $$\mathbb E[\mathrm{AP}] = \frac1n\sum_{i=1}^n \frac{1+\rho(i-1)}{i} = \rho + (1-\rho)\frac{H_n}{n},\qquad \rho=\frac{r-1}{n-1},\quad H_n = 1+\tfrac12+\dots+\tfrac1n .$$

# %%
n, r = 6, 2
orders = [ap(np.array(o)) for o in permutations([1] * r + [0] * (n - r))]
rho, harmonic = Fraction(r - 1, n - 1), sum(Fraction(1, i) for i in range(1, n + 1))
print(
    f"2 relevant among 6: all {len(orders)} orders {sum(orders) / len(orders)}, formula "
    f"{rho + (1 - rho) * harmonic / n}, prevalence {Fraction(r, n)}"
)
assert sum(orders) / len(orders) == rho + (1 - rho) * harmonic / n

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(5.4, 2.8))
share = np.linspace(0, 1, 200)
for n in (10, 50, 1000):
    r = np.arange(1, n + 1)
    axes.plot(
        r / n,
        chance(r, n)[0],
        marker="o" if n == 10 else None,
        ms=4,
        label=f"gallery of {n}",
    )
axes.plot(share, share, color="black", ls=":", label="prevalence")
axes.set(
    xlabel="share of relevant items",
    ylabel="AP of a random order",
    xlim=(0, 0.6),
    ylim=(0, 0.7),
)
axes.legend()
show(
    figure,
    "A random order beats the prevalence, clearly so in a small gallery with few "
    "relevant items. One in ten gives 0.29, not 0.10.",
)

# %%
one_in_ten = float(chance(np.array([1]), 10)[0][0])

# %% [markdown]
# **About the paper.** It says that the features Z, before stage 2, retrieve below 15 %, and takes this as a weak baseline. For eight classes of equal size a random ranking has a precision of 12.5 %, and for the words and images of
# UC Merced, as the next cell counts, it has 20 %: "below 15 %" is what a random ranking scores.

# %%
# images with each of the 17 labels, of 2100
UC_MERCED = np.array([
    100, 718, 691, 886, 115, 105, 100, 104, 975,
    102, 1300, 294, 100, 102, 100, 1009, 203,
])  # fmt: skip
if os.environ.get("CMIR_DATA"):
    counted = load_multilabels(os.environ["CMIR_DATA"]).astype(int).sum(axis=0)
    assert np.array_equal(counted, UC_MERCED), counted
of_words = float(chance(UC_MERCED, 2100)[0].mean())
eight = float(chance(np.array([100]), 800)[1][0])
print(f"a word asks all 2100 images at random: AP {of_words:.3f}, mean of 17 words")
print(f"one of eight classes of equal size at random: precision {eight}")
assert 0.19 < of_words < 0.22 and eight == 0.125

# %% [markdown]
# ## Fifth trap: finding oneself
#
# In a uni-modal search (PAN → PAN) the query may be in the gallery. Its distance to itself is 0, so it takes rank 1, and it is relevant. The package leaves it out (`exclude`). The table says what it is worth not to.

# %%
rng = np.random.default_rng(1)
print(
    "random embeddings   chance   AP without itself   AP with itself     (means of 20 "
    "draws)"
)
self_match = {}
for per_class in (2, 5, 20, 100):
    labels, found = np.repeat(np.arange(5), per_class), []
    for _ in range(20):
        v = rng.normal(size=(len(labels), 16))
        out, within = (
            evaluate_direction(v, labels, v, labels, exclude=own)
            for own in (np.arange(len(v)), None)
        )
        found.append((out["chance"], out["map"], within["map"]))
    self_match[per_class] = np.mean(found, axis=0)
    print(
        "5 classes of {:<8} {:.3f}   {:.3f}               {:.3f}".format(
            per_class, *self_match[per_class]
        )
    )

# %% [markdown]
# Random vectors, and a score of 0.7 in the first row. The fewer the relevant items, the larger the gift.
#
# ## One table
#
# Now all of it at once. Four methods answer 160 queries in a gallery of 400, eight classes: a good one, a middling one, a random one and a collapsed one. The gallery is stored class by class, and all queries come from the
# *last* class, as the released script asks 50 queries of a single class.

# %%
rng = np.random.default_rng(3)
centres = rng.normal(size=(CLASSES, 16))
asked = np.full(160, CLASSES - 1)


def noisy(labels, noise):
    return centres[labels] + noise * rng.normal(size=(len(labels), 16))


methods = {
    name: (noisy(asked, noise), noisy(gallery_labels, noise))
    for name, noise in {"good": 0.7, "middling": 1.5, "random": 1e6}.items()
}
methods["collapsed"] = np.ones((160, 16)), np.ones((400, 16))
table = {}
print(
    f"{'method':10} {'mAP':>6} {'P@10':>6} {'tens, index':>12} {'tens, expected':>15} "
    f"{'chance mAP':>11}"
)
for name, (q, g) in methods.items():
    found = evaluate_direction(q, asked, g, gallery_labels)
    fair = evaluate_direction(q, asked, g, gallery_labels, ties="expected")
    table[name] = found
    print(
        f"{name:10} {found['map']:6.3f} {found['p@10']:6.3f} "
        f"{found['mean_precision_at_tens']:12.3f} "
        f"{fair['mean_precision_at_tens']:15.3f} {found['chance']:11.3f}"
    )

# %% [markdown]
# (Each class has 50 items in the gallery, so that a perfect order gets 1 in every column.) The collapsed method is *worse than random* in one column and equal to chance in all others. And here are the precision–recall curves: each is the walk of Figure 2, averaged over queries at fixed recall.

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(5.2, 3))
recall = np.linspace(0.02, 1, 50)
for (name, (q, g)), mark in zip(methods.items(), "os^D", strict=True):
    curves = []
    for row in ((q[:, None] - g[None]) ** 2).sum(axis=2):
        order = np.lexsort([rng.random(len(row)), row])  # ties in a random order
        marks = (gallery_labels == asked[0])[order]
        curves.append(
            np.interp(
                recall,
                marks.cumsum()[marks] / marks.sum(),
                (marks.cumsum() / np.arange(1, len(marks) + 1))[marks],
            )
        )
    axes.plot(
        recall,
        np.mean(curves, axis=0),
        marker=mark,
        markevery=8,
        ms=4,
        label=f"{name}: mAP {table[name]['map']:.2f}",
    )
axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.05))
axes.legend()
show(
    figure,
    "Precision against recall, mean over 160 queries. The area under a curve is close "
    "to its mAP; random and collapsed run down to the prevalence, 1/8.",
)

# %% [markdown]
# ## Your turn: the first hit, without luck
#
# Another score looks at the first hit only: the *reciprocal rank* is 1 divided by its place. Ties trouble it as they trouble AP. Write `fair_reciprocal_rank(distances, relevant)` for one query: the mean over all orders of the tied items. The blank takes ties as they come. Which groups matter? And with what probability does the first hit of a group of $n$ items with $r$ relevant ones stand at its place $i$? (`comb(n, k)` counts the choices of k out of n. Or go through all orders, if you find nothing shorter.) The check does the latter.


# %% tags=["exercise"]
def fair_reciprocal_rank(distances, relevant):
    order = np.argsort(distances, kind="stable")  # yours: ties as they are stored
    return 1 / (1 + int(np.argmax(relevant[order])))


# %% tags=["solution"]
def fair_reciprocal_rank(distances, relevant):
    nearest = distances[relevant].min()  # the first group that has a hit, and no other
    above, tied = int((distances < nearest).sum()), distances == nearest
    n, r = int(tied.sum()), int(relevant[tied].sum())
    # the first hit is at place i: i − 1 misses before it, r − 1 hits behind it
    ways = [comb(n - i, r - 1) for i in range(1, n - r + 2)]
    return sum(w / (above + i) for i, w in enumerate(ways, 1)) / sum(ways)


# %% tags=["check"]
def all_orders(distances, relevant):
    found = []
    for order in map(list, permutations(range(len(relevant)))):
        if np.all(np.diff(distances[order]) >= 0):
            found.append(Fraction(1, 1 + int(np.argmax(relevant[order]))))
    return sum(found) / len(found)


CASES = {  # distances, relevant, what to think of
    "no ties": (
        [3, 1, 2, 4],
        [1, 0, 1, 0],
        "sort by distance, and count places from 1",
    ),
    "two, either first": ([1, 1], [1, 0], "half of the orders give 1, half give 1/2"),
    "one of three": (
        [1, 1, 1],
        [0, 0, 1],
        "each place is as likely; the mean of 1/place",
    ),
    "two of three": (
        [1, 1, 1],
        [1, 0, 1],
        "the first of two hits: never at place 3, and more often at 1 than at 2",
    ),
    "behind a miss": ([1, 2, 2, 2], [0, 1, 0, 1], "places go on behind what is nearer"),
    "a tie of misses first": (
        [1, 1, 2, 2],
        [0, 0, 1, 0],
        "both misses stand before it",
    ),
    "a tie behind the hit": (
        [1, 2, 2],
        [1, 0, 1],
        "what is farther than the first hit changes nothing",
    ),
    "a hit in two groups": (
        [2, 1, 1, 2, 1],
        [1, 0, 1, 1, 0],
        "the first group that has a hit decides, alone",
    ),
}
for name, (d, marks, thought) in CASES.items():
    d, marks = np.array(d), np.array(marks, dtype=bool)
    got, wanted = fair_reciprocal_rank(d, marks), all_orders(d, marks)
    assert np.shape(got) == (), f"one number is wanted, not shape {np.shape(got)}"
    assert abs(got - float(wanted)) < 1e-12, (
        f"{name}, distances {d}, relevant {marks.astype(int)}: {float(got):.4f}, over all "
        f"orders {wanted} = {float(wanted):.4f}; {thought}"
    )
print("all eight rankings agree with the mean over all orders")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    ap_of_the_second_ranking=float(ap([1, 0, 1, 0, 1])),
    mean_over_six_tie_orders=float(expected),
    constant_embedding_by_index=float(by_index[1:].mean()),
    constant_embedding_expected=float(by_expectation.mean()),
    tens_of_a_perfect_ranking_of_ten=perfect_of_ten,
    chance_of_one_in_ten=one_in_ten,
    map_of_random_pairs_that_find_themselves=self_match[2][2],
)

# %% [markdown]
# ## What you learned
#
# Average precision is the mean of the precisions at the relevant items. Ties, self-matches and small galleries move it by as much as methods differ, so a score must say what it does about them and stand next to its chance. A number called "MAP" may be none: ask for
# the formula.
#
# ## Next
#
# [11 · Unpaired and multi-label: image and speech](11_image_and_speech.ipynb): where these metrics meet images with several labels and a split that can leak. In the package:
# [`retrieval/metrics.py`](../cmir_ref/retrieval/metrics.py), [`retrieval/distances.py`](../cmir_ref/retrieval/distances.py), [`retrieval/collapse.py`](../cmir_ref/retrieval/collapse.py).
