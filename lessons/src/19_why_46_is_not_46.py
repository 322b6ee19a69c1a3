# ---
# jupyter:
#   lesson:
#     question: A paper prints a mean recall of 46 per cent. How much of it is the method, and how much the gallery?
#     minutes: 30
#     needs: ["10"]
#     derives: []
# ---

# %% [markdown]
# # 19 · Why 46 is not 46
#
# **A paper prints a mean recall of 46 per cent. How much of it is the method, and how much the gallery?**
#
# Lesson 10 took the "mAP" of CMIR-NET apart. Papers on pictures and sentences print another score, *recall at k*, and it hides other things: sentences that occur several times, a class that can be told without reading, and a best score that is far below 100. AMFMN prints 46.08 for UCM-Captions. Here it stands among scores that **no training has made**; how they come about is
# this lesson.

# %% tags=["folded"]
import os

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.reports.lesson import begin, numbers, show

begin()
PRINTED = 46.08  # AMFMN on UCM-Captions, the mean of six recalls, in per cent
UCM = {  # its test part, 210 pictures with 5 captions each; counted below
    "chance": 2.52,
    "class": 46.88,
    "perfect": 70.39,
    "ceiling": 77.01,
}
WORDS = {
    "chance": "all scores equal",
    "class": "knows the class and nothing else",
    "perfect": "knows which sentence is whose, word for word",
    "ceiling": "the most that any score can reach",
}
figure, axes = plt.subplots(figsize=(8.8, 2.3))
bars = [(WORDS[k], v, "#56B4E9") for k, v in UCM.items()]
bars.insert(1, ("printed: AMFMN, trained", PRINTED, "#D55E00"))
for place, (_, value, colour) in enumerate(bars):
    axes.barh(place, value, color=colour, edgecolor="black")
    axes.text(value + 1, place, f"{value:.1f}", va="center", fontsize=8)
axes.set(xlabel="mean recall, %", ylabel="score", xlim=(0, 100))
axes.set_yticks(range(len(bars)), [name for name, *_ in bars], fontsize=8)
axes.invert_yaxis()
show(
    figure,
    "The test part of UCM-Captions. Blue: scores that nothing was trained for. A "
    "perfect "
    "reader gets 70, and whoever only knows the 21 classes as much as the paper.",
)

# %% [markdown]
# ## Recall at k
#
# A picture asks for its sentences: rank all of them, look at the first $k$. *Is one of its own there?* 1 or 0; the mean over all pictures is **recall at k**. A sentence asks for its picture alike. With $k=1,5,10$ and both directions that makes six numbers, and their mean is called **mR**.
#
# By hand, for one query and seven sentences, two of them its own:

# %%
from cmir_ref.retrieval import recall_at_k

distances = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]])
own = np.array([[0, 0, 1, 0, 1, 0, 0]], bool)
first = int(np.flatnonzero(own[0][np.argsort(distances[0])])[0]) + 1
print(f"the first own sentence stands at rank {first}")
for k in (1, 2, 3, 5):
    value = recall_at_k(distances, own, k)[0]
    print(f"recall at {k}: {value:.0f}")
    assert value == (k >= first)

# %% [markdown]
# Mind what it does not see: the second own sentence, and everything behind rank $k$. And mind the *unit*: tables print per cent, programs fractions; somebody once compared 0.04 with 4.2.
#
# ## First: what ties do
#
# What if several sentences have the *same* score? A sort puts them in some order, and which, depends on the sort. The fair answer is lesson 10's: the expectation over all orders. Let the first tie group that holds an own sentence have $n$ members, $r$ of them own, and $t$ items before it. Of its $n$ places $c=\min(k-t,\,n)$ are among the first $k$. That *no* own one gets such a place has the probability
#
# $$\frac{\binom{n-r}{c}}{\binom{n}{c}}, \qquad\text{so}\qquad R@k = 1-\binom{n-r}{c}\Big/\binom{n}{c}.$$
#
# In exact fractions, against all orders:

# %%
from fractions import Fraction
from itertools import permutations
from math import comb


def by_formula(n, r, c):
    return 1 - Fraction(comb(n - r, c), comb(n, c))


def by_all_orders(n, r, c):
    orders = list(permutations([1] * r + [0] * (n - r)))
    return Fraction(sum(any(order[:c]) for order in orders), len(orders))


print("n tied, r own, c places    formula   all orders")
for n, r, c in ((2, 1, 1), (4, 1, 2), (5, 2, 1), (5, 2, 3), (6, 3, 2)):
    print(
        f"{n:6} {r:6} {c:9} {by_formula(n, r, c)!s:>13} {by_all_orders(n, r, c)!s:>10}"
    )
    assert by_formula(n, r, c) == by_all_orders(n, r, c)

# %% [markdown]
# How much can a sort give away? Take a network that has collapsed: all scores are equal. Sort "from the first item on", and a query whose sentences are stored first gets everything. Sort the other way, and another one does.

# %%
flat = np.zeros((6, 30))
six = np.repeat(np.arange(6), 5)
relevant = np.arange(6)[:, None] == six
from_front = relevant[:, :5].any(axis=1)
expected = recall_at_k(flat, relevant, 5)
print("recall at 5 of six pictures, 30 sentences, all scores equal")
print(
    "  in the order of the file:",
    from_front.astype(int),
    f"mean {from_front.mean():.3f}",
)
print("  expected over all orders:", expected.round(3))
chance = float(1 - Fraction(comb(25, 5), comb(30, 5)))
assert np.allclose(expected, chance) and from_front.sum() == 1

# %% [markdown]
# A worse one: NaN. A sort that is read from behind puts NaN *first*. A network whose scores of the own pairs are all NaN gets a recall of 100 per cent. The package refuses scores that are not finite.

# %%
broken = np.random.default_rng(0).normal(size=(6, 30))
broken[relevant] = np.nan
top = np.argsort(broken, axis=1)[:, ::-1][:, 0]
hit = relevant[np.arange(6), top].mean()
print(f"own pairs NaN, sorted and reversed: recall at 1 is {hit:.0%}")
try:
    recall_at_k(-broken, relevant, 1)
except Exception as refused:
    print("the package:", refused)
else:
    raise AssertionError("NaN was ranked")
assert hit == 1

# %% [markdown]
# ## Second: sentences that occur twice
#
# Annotators wrote five captions for each picture, and wrote the same ones again. Two equal sentences have equal scores with any picture, *whatever the network*: they tie, exactly. Count them in the bundled scenes (and in UCM-Captions, where `CMIR_DATA` names it).

# %%
from cmir_ref.amfmn.bounds import beside, own_pairs, recalls, same_texts
from cmir_ref.data import samples_dir
from cmir_ref.data.captions import find_caption_file, find_images, read_caption_file


def gallery(file, part):
    """Of the pictures of a part: whose each caption is, its number, and the captions."""
    rows = [i for i, name in enumerate(file.parts) if name == part]
    owner = np.repeat(np.arange(len(rows)), [len(file.sentences[i]) for i in rows])
    sentences = np.array([sentence for i in rows for sentence in file.sentences[i]])
    return owner, np.unique(sentences, return_inverse=True)[1], sentences, rows


scenes = read_caption_file(find_caption_file(samples_dir()))
owner, text, sentences, rows = gallery(scenes, "train")
folders = [find_images(samples_dir(), scenes)[i].parent.name for i in rows]
kind = np.unique(folders, return_inverse=True)[1]
copies = np.bincount(text)
common = sentences[np.flatnonzero(text == copies.argmax())[0]]
several = len({o for o, t in zip(owner, text, strict=True) if t == copies.argmax()})
print(f"{len(kind)} pictures, {len(owner)} captions, {len(copies)} different ones")
print(f"the most frequent ({copies.max()} times): {common}")
print(f"… of {several} different pictures")
assert len(copies) < 0.8 * len(owner) and several > 1

# %% [markdown]
# Let a **perfect** reader know of each picture and each sentence whether the sentence, word for word, was written for it. No reader can know more. Its recall is not 1: where another picture has the same sentence, its score is the same too, and which of the pictures was meant is a draw.

# %%
own = own_pairs(owner, len(kind))
same = same_texts(owner, text, len(kind))
perfect = recalls(1.0 - same, own)
print("                 1      5     10")
for way, name in (("a->b", "picture asks"), ("b->a", "sentence asks")):
    print(f"{name:13}", "".join(f"{perfect[f'{way} r@{k}']:7.3f}" for k in (1, 5, 10)))
print(f"mean of the six: {perfect['mr']:.3f}")
assert perfect["b->a r@1"] < 0.9

# %% [markdown]
# ## Third: the most that can be had
#
# Could a *less* honest reader do better than the perfect one? Yes. A picture need not treat its five sentences alike. It does best to put first the one that fewest others share: of $n$ copies, $o$ of them its own, the first $k$ then hold one of its own with probability $1-\binom{n-o}{k}/\binom nk$. A sentence does best to put first the $k$ pictures that have it most often. Each figure by itself, that is the **ceiling**.


# %%
def ceiling_by_hand(owner, text, k):
    """Recall at k, pictures asking: each puts its rarest sentence first."""
    found = []
    for picture in np.unique(owner):
        mine = text[owner == picture]
        best = 0.0
        for sentence in np.unique(mine):
            n, o = int((text == sentence).sum()), int((mine == sentence).sum())
            best = max(best, 1 - comb(n - o, min(k, n)) / comb(n, min(k, n)))
        found.append(best)
    return float(np.mean(found))


bounds = beside(owner, text, kind)
for k in (1, 5):
    print(
        f"ceiling of recall at {k}: by hand {ceiling_by_hand(owner, text, k):.4f}, "
        f"package {bounds['ceiling'][f'a->b r@{k}']:.4f}"
    )
    assert np.isclose(ceiling_by_hand(owner, text, k), bounds["ceiling"][f"a->b r@{k}"])
assert bounds["ceiling"]["mr"] > bounds["perfect"]["mr"]

# %% [markdown]
# How much do copies cost? Take 100 pictures with five captions each, and let a share of all captions be one of a few stock sentences ("there is a lake").

# %%
shares, curves = np.linspace(0, 1, 9), []
for share in shares:
    random = np.random.default_rng(19)
    who = np.repeat(np.arange(100), 5)
    what = np.arange(500)
    stock = random.random(500) < share
    what[stock] = 500 + random.integers(0, 40, stock.sum())
    what = np.unique(what, return_inverse=True)[1]
    found = beside(who, what, np.arange(100) // 10)
    curves.append(
        [found[name]["mr"] for name in ("perfect", "ceiling", "class", "chance")]
    )

# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(8.8, 2.5))
for name, curve, mark in zip(
    ("perfect", "ceiling", "class", "chance"), np.transpose(curves), "os^D", strict=True
):
    axes.plot(100 * shares, curve, marker=mark, ms=4, label=name)
axes.set(xlabel="captions that are stock sentences, %", ylabel="mR", ylim=(0, 1.03))
axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
show(
    figure,
    "100 pictures of ten classes. The more captions repeat, the lower a perfect reader "
    "stands. What the class alone gives, and chance, do not care.",
)

# %%
assert curves[0][0] == 1 and curves[-1][0] < 0.5

# %% [markdown]
# ## Fourth: what the class gives away
#
# Suppose a network sees of a picture only *which kind of place* it is, and of a sentence only for which kind it was written. Within a kind all scores tie. That network cannot tell one beach from another, and in a gallery with ten pictures of each of 21 kinds it gets

# %%
who, classes = np.repeat(np.arange(210), 5), np.arange(210) // 10
without_copies = beside(who, np.arange(1050), classes)
row = without_copies["class"]
print("210 pictures, no two captions alike:")
for way in ("a->b", "b->a"):
    print(f"  {way}", "".join(f"{100 * row[f'{way} r@{k}']:7.1f}" for k in (1, 5, 10)))
print(f"  mR {100 * row['mr']:.2f} (chance {100 * without_copies['chance']['mr']:.2f})")
assert np.isclose(row["b->a r@10"], 1) and np.isclose(row["b->a r@1"], 0.1)
assert abs(100 * row["mr"] - UCM["class"]) < 0.5

# %% [markdown]
# About 47 per cent, and it takes no more than a classifier of 21 classes. **The printed 46.08 stands just below it.** That does not make the method bad: a mean of six recalls can hide one that is above the class at 1 and below it at 10. But "46 per cent" does not say that pictures and sentences were matched, and a difference of one point between two methods says less.
#
# ## All of it, for real
#
# The same four lines for the bundled scenes, and for UCM-Captions' own test part where it is there. And one more way to count: **duplicate-aware**, a sentence counts as right if it is word for word one of the picture's. Then a perfect reader gets 100.

# %%
aware = recalls(1.0 - same, same)["mr"]
print(
    f"bundled scenes ({len(kind)} pictures, {len(np.unique(kind))} kinds), mR in per "
    "cent"
)
for name in WORDS:
    print(f"  {name:8} {100 * bounds[name]['mr']:6.2f}   {WORDS[name]}")
print(f"  perfect, duplicate-aware {100 * aware:.0f}")
assert aware == 1
real = os.environ.get("CMIR_DATA")
if real and os.path.isdir(os.path.join(real, "ucm_captions")):
    file = read_caption_file(find_caption_file(os.path.join(real, "ucm_captions")))
    who, what, _, test = gallery(file, "test")
    found = beside(who, what, np.array([file.numbers[i] // 100 for i in test]))
    print("UCM-Captions, test part:")
    for name, value in UCM.items():
        print(f"  {name:8} {100 * found[name]['mr']:6.2f}   stored above: {value}")
        assert abs(100 * found[name]["mr"] - value) < 0.006
else:
    print(
        "(UCM-Captions is not here: its four figures are the stored ones of the "
        "picture.)"
    )

# %% [markdown]
# ## Fifth: how exact is a recall?
#
# 210 pictures ask. Each recall is a share of 210, and if each picture is a draw with probability $p$, its standard deviation is $\sqrt{p(1-p)/210}$. Another test part of the same kind would have given another number.

# %%
random = np.random.default_rng(190)
p, asked = 0.17, 210
draws = (random.random((20_000, asked)) < p).mean(axis=1)
by_rule = np.sqrt(p * (1 - p) / asked)
print(
    f"recall at 1 of {p:.0%}: ± {100 * by_rule:.1f} points by the rule, "
    f"± {100 * draws.std():.1f} in 20 000 draws; steps of {100 / asked:.2f}"
)
assert np.isclose(draws.std(), by_rule, rtol=0.03) and by_rule > 0.025

# %% [markdown]
# Two and a half points, from the queries alone, for one training run. Tables that decide by tenths of a point, each from a single run, say less than they print.
#
# So beside every recall belong: how many queries, which split, what is done with ties, and four scores that nobody trained. `cmir-ref evaluate` prints them.
#
# ## Your turn: recall without luck
#
# Write `fair_recall(distances, own, k)` for one query: the expectation over all orders of the tied items. The blank sorts and takes what comes.


# %% tags=["exercise"]
def fair_recall(distances, own, k):
    order = np.argsort(distances, kind="stable")
    return float(own[order][:k].any())  # yours: ties fall as the file is stored


# %% tags=["solution"]
def fair_recall(distances, own, k):
    nearest = distances[own].min()  # only the first group with an own one counts
    before, tied = (distances < nearest).sum(), distances == nearest
    n, r = int(tied.sum()), int((tied & own).sum())
    places = int(np.clip(k - before, 0, n))
    return 1 - comb(n - r, places) / comb(n, places)


# %% tags=["check"]
def all_orders(distances, own, k):
    hits, tried = 0, 0
    for order in permutations(range(len(own))):
        if np.all(np.diff(distances[list(order)]) >= 0):
            hits, tried = hits + own[list(order)][:k].any(), tried + 1
    return hits / tried


for d, marks in (
    ([1, 2, 3, 4], [0, 1, 0, 0]),
    ([1, 1, 1, 1], [0, 0, 0, 1]),
    ([1, 1, 1, 1], [0, 1, 0, 1]),
    ([1, 2, 1, 3], [0, 1, 1, 0]),
    ([2, 1, 2, 2, 3], [0, 0, 1, 1, 0]),
    ([5, 1, 1, 5, 5, 1], [1, 0, 0, 1, 0, 0]),
):
    for k in (1, 2, 4):
        d, marks = np.array(d), np.array(marks, dtype=bool)
        got, wanted = fair_recall(d, marks, k), all_orders(d, marks, k)
        assert abs(got - wanted) < 1e-12, (
            f"distances {d}, own {marks.astype(int)}, k = {k}: {got:.3f}, over all "
            f"orders {wanted:.3f}; how many places of the tie are among the first {k}?"
        )
print("right, for six rankings and three k")

# %% [markdown]
# ## The numbers this lesson stands by

# %%
numbers(
    recall_of_equal_scores=chance,
    captions_that_differ=len(copies),
    mr_of_a_perfect_reader=perfect["mr"],
    mr_of_the_ceiling=bounds["ceiling"]["mr"],
    mr_of_the_class_alone_without_copies=row["mr"],
    points_of_a_recall_at_1_of_17_per_cent=100 * by_rule,
)

# %% [markdown]
# ## What you learned
#
# A recall asks whether one right item is among the first k, and ties, copies, the classes and the size of the gallery set what it can be. A perfect reader of UCM-Captions gets 70, the class alone 47, and so a printed 46 says little about the reading of sentences. Chance, class, perfect and ceiling cost
# nothing to compute: they belong beside every figure.
#
# ## Next
#
# [20 · Arrays and sums](20_arrays_and_sums.ipynb), if a transpose ever surprised you, or [21 · Derive your own](21_derive_your_own.ipynb). In the package: [`amfmn/bounds.py`](../cmir_ref/amfmn/bounds.py),
# [`retrieval/recall.py`](../cmir_ref/retrieval/recall.py).
