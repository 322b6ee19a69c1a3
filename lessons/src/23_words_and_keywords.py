# ---
# jupyter:
#   lesson:
#     question: How do words, a sentence and keywords become one text, and how alike are two captions?
#     minutes: 35
#     needs: ["15", "16", "18"]
#     derives: [ops.embedding]
# ---

# %% [markdown]
# # 23 · Words and keywords
#
# **How do words, a sentence and keywords become one text, and how alike are two captions?**
#
# Lesson 15 read sentences whose words were rows of numbers already, and lesson 18 had a margin that is told how alike two captions are. Where do the numbers of a word come from, and who tells the margin? AMFMN (Yuan et al., 2022) also reads *keywords*, each a thing and what it is like, "white airplane", and lets a gate blend them with the sentence's vector. Here are three scenes
# of the simulated world, with one of five captions each, and with keywords that are true, because whoever drew the scene wrote them down.

# %% tags=["folded"]
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref.data import read_image, samples_dir
from cmir_ref.data.captions import find_caption_file, find_images, read_caption_file
from cmir_ref.reports.lesson import begin, numbers, show

begin()
rng = np.random.default_rng(23)
told = read_caption_file(find_caption_file(samples_dir()))  # 84 bundled scenes
files = find_images(samples_dir(), told)
figure, panels = plt.subplots(1, 3, figsize=(8.8, 4))
for axes, i in zip(panels, (4, 40, 80), strict=True):
    axes.imshow(read_image(files[i], 128))
    axes.set_ylim(182, 0)  # room for words below the picture
    axes.axis("off")
    sentence = textwrap.fill(told.sentences[i][2].replace(" .", "."), 36)
    words = textwrap.fill(" · ".join(told.keywords[i]), 36)
    axes.text(0, 134, sentence, fontsize=9, va="top")
    axes.text(0, 154, words, fontsize=9, va="top", color="#0072B2")
show(
    figure,
    "Three simulated scenes. Black: one of five captions. Blue: the keywords. They know "
    "the colours and leave nothing out; the caption knows what is where.",
)

# %% [markdown]
# ## Words are rows of a table
#
# A word is no number, but its place in a list is one. The words of all captions in alphabetical order get the numbers 2, 3, …; 1 is the bar before a keyword, and 0 fills up what is shorter than the longest (lesson 15's padding). A *table* $A$ $(V, E)$ has a row of $E$ numbers for each, drawn at random and learned like any weight (many programs call it an *embedding*). **Reading is fetching a row:** $x_{nt} = A_{w_{nt}}$.
#
# It is a linear layer in disguise. Write a word as a row of zeros with a single 1 at its number: then $x = OA$, and lesson 02 has the way back, $\dot A = O^\top\dot x$. Row by row: **a word's row gets the sum of the gradients of all places where the word stands.** Nobody writes $O$ down. But whoever writes `dtable[w] += dx` instead gets something else: NumPy fetches all rows, adds, and puts them back, so
# that of a word that stands there ten times only the last place counts. No error says so.

# %%
from cmir_ref.data.vocabulary import make_lexicon, number_texts, split_at_bars
from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.embedding import embedding, embedding_backward


def numbered(sentences, keywords):
    """Word numbers of five captions (N, 5, T) and of the keywords (N, K, T'); V."""
    both = zip(sentences, keywords, strict=True)
    rows = [" | ".join((caption, *own)) for five, own in both for caption in five]
    lexicon = make_lexicon(rows)
    w, k = split_at_bars(number_texts(rows, lexicon))
    return w.reshape(-1, 5, w.shape[1]), k[::5], len(lexicon) + 3


w, k, V = numbered(told.sentences, told.keywords)
print(told.sentences[0][0], w[0, 0][w[0, 0] > 0], *told.keywords[0], k[0][k[0] > 0])

few, E = w[:8].reshape(40, -1), 4  # 40 sentences
table, dx = rng.normal(size=(V, E)), rng.normal(size=(*few.shape, E))
layer = np.tensordot(np.eye(V)[few], dx, 2 * [(0, 1)])  # Oᵀ dx, over all places
added, lost = np.zeros_like(table), np.zeros_like(table)
np.add.at(added, few, dx)
lost[few] += dx
wrong = np.flatnonzero(np.abs(lost - added).max(axis=1) > 1e-9)
several = np.flatnonzero(np.bincount(few.ravel()) > 1)
print(f"np.add.at against the layer: {np.abs(added - layer).max():.0e}")
print(f"`+=` is wrong in {len(wrong)} rows; {len(several)} are read more than once")
assert np.allclose(added, layer, rtol=1e-12) and np.array_equal(wrong, several)

# %% [markdown]
# One row is no word. Padding is the most frequent "word" of all, and if its row learned, it would learn from what stands *beside* a short caption. So number 0 reads as zeros whatever its row says, and **its gradient is 0**, always.

# %%
nonsense = table.copy()
nonsense[0] = 99
pair = lambda a: embedding(a, few), lambda dy, c: (embedding_backward(dy, c),)
checked = check_gradient(*pair, [table])
error_of_table = max(r.error for r in checked if r.method == "complex-step")
x, cache = embedding(table, few)
dtable, padding = embedding_backward(dx, cache), (few == 0).mean()
print(f"{padding:.0%} of all places are padding; off by {error_of_table:.0e}")
print("gradient of row 0 as a word:", added[0].round(1), "  as padding:", dtable[0])
assert np.array_equal(embedding(nonsense, few)[0], x) and not dtable[0].any()
assert np.allclose(dtable[1:], added[1:]) and error_of_table < 1e-12

# %% [markdown]
# Sentence and keywords read the same table: it is used twice, so the two gradients are added (lesson 20).
#
# ## Keywords, each by itself (eq. 13)
#
# An image has $K$ keywords of a few words each. They have no order among each other, so they must not be read as one sentence. AMFMN lets a GRU (lesson 15) read **each by itself**, takes its last state $h_i$, and then
#
# $$m=\frac1K\sum_{i=1}^K h_i,\qquad k=\text{MLP}(m)=[\,mW_1+b_1\,]_+W_2+b_2 .$$
#
# (*MLP*, two linear layers and a ReLU between them: the paper does not say how many.) A sum does not know its order. And a mean hands back the same to all: **each keyword gets $\dot m/K$**, whatever it says; one that is not there gets 0. All that tells keywords apart, in learning, happens behind that, in the GRU.

# %%
from cmir_ref.amfmn.eq13_keywords import keywords_vector, keywords_vector_backward
from cmir_ref.ops.gru import gru, gru_backward

lengths = np.array([[2, 3, 0], [1, 0, 0]])  # an image of two keywords, one of one
share = (lengths > 0) / (lengths > 0).sum(axis=1, keepdims=True)


def mean_keyword(x, w, u, b):
    rows = x.reshape(6, 3, E)  # every keyword is a sentence of its own
    states, of_gru = gru(rows, w, u, b, lengths=lengths.ravel())
    last = states[:, -1].reshape(2, 3, -1)
    return (share[:, :, None] * last).sum(axis=1), of_gru


def mean_keyword_back(dm, of_gru):
    dstates = np.zeros((6, 3, dm.shape[1]))
    dstates[:, -1] = (share[:, :, None] * dm[:, None]).reshape(6, -1)
    dx, dw, du, db = gru_backward(dstates, of_gru)
    return dx.reshape(2, 3, 3, E), dw, du, db


given = [0.6 * rng.normal(size=n) for n in ((2, 3, 3, E), (E, 15), (5, 15), (15,))]
checked = check_gradient(mean_keyword, mean_keyword_back, given)
error_of_keywords = max(r.error for r in checked if r.method == "complex-step")
print(f"dx, dw, du, db through the mean: off by {error_of_keywords:.0e} at most")
assert error_of_keywords < 1e-12

p = dict(zip(("gru.w", "gru.u", "gru.b"), given[1:], strict=True))
for i in "12":
    p |= {f"mlp.{i}.w": rng.normal(size=(5, 5)), f"mlp.{i}.b": rng.normal(size=5)}
m, of_gru = mean_keyword(*given)
h, dk = m @ p["mlp.1.w"] + p["mlp.1.b"], rng.normal(size=(2, 5))
dm = (dk @ p["mlp.2.w"].T * (h > 0)) @ p["mlp.1.w"].T
theirs, cache = keywords_vector(p, given[0], lengths=lengths)
dx = keywords_vector_backward(dk, cache)[1]
assert np.allclose(theirs, np.maximum(h, 0) @ p["mlp.2.w"] + p["mlp.2.b"])
assert np.allclose(dx, mean_keyword_back(dm, of_gru)[0])

# %% [markdown]
# Three changes of order, of which only the first must say nothing:

# %%
four = rng.normal(size=(1, 4, 2, E))  # four keywords of two words
mixed, turned = four[:, [2, 0, 3, 1]], four[:, :, ::-1]


def moved(x, y, *shape):
    one, other = (a.reshape(1, *shape, E) for a in (x, y))
    n = np.full((1, shape[0]), shape[1])
    read = lambda a: keywords_vector(p, a, lengths=n)[0]
    return np.abs(read(one) - read(other)).max()


order = moved(four, mixed, 4, 2), moved(four, turned, 4, 2), moved(four, mixed, 1, 8)
print(f"keywords in another order:             k moves by {order[0]:.0e}")
print(f"the words of each keyword turned:      k moves by {order[1]:.0e}")
print(f"the same, read as one long sentence:   k moves by {order[2]:.0e}")
assert order[0] < 1e-14 < 0.01 < min(order[1:])

# %% [markdown]
# ## One text out of two (eq. 26, 27)
#
# A sentence $s$ and keywords $k$, rows of $D$ numbers, become one text. Both are brought to length 1 (lesson 16), a gate (lesson 14) is made from both, and entry by entry the gate says whose number counts:
#
# $$\hat s=\frac{s}{\lVert s\rVert},\quad \hat k=\frac{k}{\lVert k\rVert},\quad g=\sigma\big(\hat sW_s+\hat kW_k+b\big),\quad y=g\odot\hat s+(1-g)\odot\hat k .$$
#
# $W_s$ and $W_k$ are the two halves of one matrix $W$, which the paper multiplies with $[\hat s,\hat k]$. Who uses $\hat s$? The blend, and the gate: **two roads**, and what comes back along them is added. From the end to the start, with $\dot s'$ for the gradient of $\hat s$:
#
# | there | back |
# |---|---|
# | $y=\hat k+g\odot(\hat s-\hat k)$ | $\dot s'=\dot y\odot g$, $\;\dot k'=\dot y\odot(1-g)$, $\;\dot g=\dot y\odot(\hat s-\hat k)$ |
# | $g=\sigma(z)$ | $\dot z=\dot g\odot g\odot(1-g)$ |
# | $z=\hat sW_s+\hat kW_k+b$ | $\dot s'\mathrel{+}=\dot zW_s^\top$, $\;\dot k'\mathrel{+}=\dot zW_k^\top$; $\;\dot W_s=\hat s^\top\dot z$, $\;\dot W_k=\hat k^\top\dot z$, $\;\dot b=\sum_n\dot z_n$ |
# | $\hat s=s/\lVert s\rVert$, and $k$ alike | $\dot s=(\dot s'-\hat s\,\langle\hat s,\dot s'\rangle)/\lVert s\rVert$ |
#
# Read the first line once more: where $\hat s$ and $\hat k$ say the same, the gate learns nothing; it learns where they differ.

# %%
from cmir_ref.amfmn.eq26_fusion import fusion, fusion_backward
from cmir_ref.ops.sigmoid import sigmoid
from cmir_ref.ops.unit_rows import unit_rows, unit_rows_backward


def fused(s, k, w, b):
    (s_hat, of_s), (k_hat, of_k), d = unit_rows(s), unit_rows(k), s.shape[1]
    g = sigmoid(s_hat @ w[:d] + k_hat @ w[d:] + b)[0]
    return k_hat + g * (s_hat - k_hat), (w, of_s, of_k, g)


def fused_back(dy, cache, heard=1):
    w, of_s, of_k, g = cache
    s_hat, k_hat, d = of_s.y, of_k.y, dy.shape[1]
    dz = heard * dy * (s_hat - k_hat) * g * (1 - g)
    ds = unit_rows_backward(dy * g + dz @ w[:d].T, of_s)
    dk = unit_rows_backward(dy * (1 - g) + dz @ w[d:].T, of_k)
    return ds, dk, np.concatenate([s_hat.T @ dz, k_hat.T @ dz]), dz.sum(axis=0)


given = [rng.normal(size=shape) for shape in ((3, 4), (3, 4), (8, 4), (4,))]
checked = check_gradient(fused, fused_back, given)
error_of_fusion = max(r.error for r in checked if r.method == "complex-step")
y, cache = fused(*given)
dy = rng.normal(size=y.shape)
ours, deaf = fused_back(dy, cache), fused_back(dy, cache, heard=0)
share_of_gate = np.linalg.norm(ours[0] - deaf[0]) / np.linalg.norm(ours[0])
print(f"ds, dk, dW, db: off by {error_of_fusion:.0e} at most")
print(f"without the road through the gate ds is {share_of_gate:.0%} off")
assert error_of_fusion < 1e-12 and share_of_gate > 0.05

s_, k_, w_f, b_f = given
p_f = {"w": w_f, "b": b_f}
theirs, cache = fusion(p_f, s_, k_)
grads, (ds, dk) = fusion_backward(dy, cache)
assert np.allclose(theirs, y)
assert all(map(np.allclose, (ds, dk, grads["w"], grads["b"]), ours))

# %% [markdown]
# ### Where one is longer, or missing
#
# **About the paper.** Figure 2 brings both texts to length 1 before the blend, and so does the released class (which the released network never calls). Equation 27 to the letter blends $g\odot s+(1-g)\odot k$, the vectors as they are; only the gate reads $\hat s$ and $\hat k$. Then the gate alone does not decide any more: whoever is *longer* is heard.

# %%
s_1, k_1 = unit_rows(s_)[0], unit_rows(k_)[0]
print("s as long as k, times  0.1    1   10: cosine of the text with k")
with_k = {}
for name, normalised in (("figure 2", True), ("eq. 27", False)):
    read = lambda s, how=normalised: fusion(p_f, s, k_1, normalised=how)[0]
    made = [unit_rows(read(c * s_1))[0] for c in (0.1, 1, 10)]
    with_k[name] = [(y[0] * k_1[0]).sum() for y in made]
    print(f"  {name:16}", " ".join(f"{c:5.2f}" for c in with_k[name]))
assert np.ptp(with_k["figure 2"]) < 1e-12 < 0.1 < np.ptp(with_k["eq. 27"])

# %% [markdown]
# What of a caption **without keywords**? The mean of none is 0. If the MLP answers 0, then $\hat k=0$ (lesson 16), and $y=g\odot\hat s$: the sentence alone, each entry weighed. But an MLP has biases, and a bias of a thousandth is an answer. Behind the division by its length, **"nothing" is as loud as any keywords**, and the same vector for every caption that has none.

# %%
none, lengths_0 = np.zeros((1, 1, 2, E)), np.zeros((1, 1), int)
loud = []
for offset in (0.0, 0.001):
    biases = {"mlp.1.b": np.zeros(5), "mlp.2.b": np.full(5, offset)}
    silent = keywords_vector(p | biases, none, lengths=lengths_0)[0]
    loud.append([np.linalg.norm(a) for a in (silent, unit_rows(silent)[0])])
    print(f"biases {offset}: length {loud[-1][0]:.4f}, behind L2 {loud[-1][1]:.0f}")
assert loud[0] == [0, 0] and loud[1][0] < 0.003 and np.isclose(loud[1][1], 1)

# %% [markdown]
# ### Your turn: equation 27 to the letter
#
# $y=g\odot s+(1-g)\odot k$ with the vectors as they are, and the gate from $\hat s$ and $\hat k$ as before. The forward is given. Write the way back for `s`, `k`, `w` and `b`. How many users has $s$ now, and through which of them does its length matter? The blank takes both vectors for normalised.


# %% tags=["exercise"]
def literal(s, k, w, b):
    (s_hat, of_s), (k_hat, of_k) = unit_rows(s), unit_rows(k)
    d = s.shape[1]
    g = sigmoid(s_hat @ w[:d] + k_hat @ w[d:] + b)[0]
    return g * s + (1 - g) * k, (s, k, w, of_s, of_k, g)


def literal_backward(dy, cache):
    s, k, w, of_s, of_k, g = cache
    return *fused_back(dy, (w, of_s, of_k, g))[:2], np.zeros_like(w), 0 * dy[0]  # yours


# %% tags=["solution"]
def literal_backward(dy, cache):
    s, k, w, of_s, of_k, g = cache
    d = s.shape[1]
    dz = dy * (s - k) * g * (1 - g)
    ds = dy * g + unit_rows_backward(dz @ w[:d].T, of_s)  # as it is, and by the gate
    dk = dy * (1 - g) + unit_rows_backward(dz @ w[d:].T, of_k)
    return ds, dk, np.concatenate([of_s.y.T @ dz, of_k.y.T @ dz]), dz.sum(axis=0)


# %% tags=["check"]
from cmir_ref.gradcheck import explain
from cmir_ref.reports.lesson import with_hints

for n, d in ((3, 4), (1, 4)):
    random = np.random.default_rng(n)
    given = {"s": (n, d), "k": (n, d), "w": (2 * d, d), "b": (d,)}
    given = {name: 1.5 * random.normal(size=shape) for name, shape in given.items()}
    said = with_hints(
        explain(literal, literal_backward, given),
        s="s is blended as it is; only what the gate hands back goes through ŝ",
        k="k is blended as it is, with 1 − g; only what the gate hands back goes through k̂",
        w="g reads ŝ and k̂: what does it hear? dy times s − k, as they are, then σ",
        b="as for w: dy times s − k, then σ, summed over the rows",
    )
    assert not said, f"{n} texts:\n{said}"
print("right, for three texts and for one")

# %% [markdown]
# ## How alike are two captions? (the prior)
#
# The margin of lesson 18 asks less of an image and a caption that might be its own. So before training every caption is compared with the captions of every image; AMFMN calls the result a prior similarity, ς. Words are stemmed first ("planes" and "plane" are one). Three counts are in use; the captions of the image are their *references*.
#
# **BLEU-4** (Papineni et al., 2002), made for translations. Of the caption's *n-grams*, runs of $n$ words, which share is in one of the references?
#
# $$p_n=\frac{\sum_g\min\big(\text{count of } g,\;\text{its largest count in a reference}\big)}{\sum_g\text{count of } g},\qquad \text{BLEU}=\min\big(1,e^{1-r/c}\big)\,(p_1p_2p_3p_4)^{1/4}$$
#
# The min *clips*: "the the the" must not count three times. A short caption makes no mistakes, so it pays the *brevity penalty*; $c$ is its length, $r$ the reference length nearest to it.
#
# **METEOR** (Banerjee & Lavie, 2005), of exact words. Of $m$ matched words, $P=m/c$ is the share of the caption and $R=m/r$ that of the reference; matched words that follow each other in both are one *chunk*. The best over the references counts of
#
# $$\frac{10\,PR}{R+9P}\Big(1-\tfrac12\big(\text{chunks}/m\big)^3\Big).$$
#
# $R$ weighs nine times as much as $P$; many chunks, words in another order, cost up to half.
#
# **Entities**: the share of a reference's words that the caption has, without "the", "of" and other stop words; the mean over the references.
#
# The paper takes BLEU-4 and METEOR, and gives no weights. The released script takes BLEU-4, set to 1 for an image's own captions, and entities. Here ς is the mean of the two.

# %%
from collections import Counter
from itertools import pairwise

from cmir_ref.data.stemming import stem
from cmir_ref.data.vocabulary import STOP_WORDS, words_of


def stems(text, left_out=()):
    return [stem(word) for word in words_of(text) if word not in left_out]


def precision(caption, references, n):
    """(clipped count, count) of the n-grams."""
    grams = lambda words: Counter(zip(*(words[i:] for i in range(n)), strict=False))
    own, known = grams(caption), [grams(r) for r in references]
    clipped = sum(min(count, max(r[g] for r in known)) for g, count in own.items())
    return clipped, sum(own.values())


def bleu_by_hand(caption, references):
    p = [precision(caption, references, n) for n in (1, 2, 3, 4)]
    if not all(clipped for clipped, _ in p):
        return 0.0  # of a blank caption too, where the formula says 0/0
    c = len(caption)
    r = min((len(r) for r in references), key=lambda r: (abs(r - c), r))
    return min(1, np.exp(1 - r / c)) * np.prod([a / b for a, b in p]) ** 0.25


def meteor_of_one(caption, reference):
    uses = lambda words: [(w, words[i:].count(w)) for i, w in enumerate(words)]
    place = {use: i for i, use in enumerate(uses(reference))}  # the last with the last
    at = [place.get(use, -9) for use in uses(caption)]
    m = sum(a >= 0 for a in at)
    if m == 0:
        return 0.0
    chunks = m - sum(b == a + 1 for a, b in pairwise(at))
    p, r = m / len(caption), m / len(reference)
    return 10 * p * r / (r + 9 * p) * (1 - 0.5 * (chunks / m) ** 3)


def meteor_by_hand(caption, references):
    return max(meteor_of_one(caption, r) for r in references)


def entities_by_hand(caption, references):
    return np.mean([sum(w in caption for w in set(r)) / len(r) for r in references])


OF_THE_IMAGE = (
    "two white planes are on the runway",
    "two planes are parked on the grey runway",
)
HANDFUL = (
    "two white planes are parked on the runway",
    "two white planes are",
    "the the the the the the the",
    "on the runway two parked planes",
    "a dense forest",
    "",
)
references = [stems(text) for text in OF_THE_IMAGE]
entities = [stems(text, STOP_WORDS) for text in OF_THE_IMAGE]
hand = []
print(f"{'':43}p1  p2  p3  p4   BLEU METEOR entities")
for text in HANDFUL:
    c = stems(text)
    p_n = [precision(c, references, n) for n in (1, 2, 3, 4)]
    hand.append((bleu_by_hand(c, references), meteor_by_hand(c, references)))
    hand[-1] += (entities_by_hand(stems(text, STOP_WORDS), entities),)
    print(
        f"{text or '(blank)':42}",
        *(f"{a}/{b}" for a, b in p_n),
        *(f"{x:6.2f}" for x in hand[-1]),
    )
assert precision(stems(HANDFUL[2]), references, 1) == (1, 7), "clipped"
assert np.isclose(hand[1][0], np.exp(1 - 7 / 4)), "no mistake, and less than half"
assert hand[3][0] == 0 < 0.5 < hand[3][1], "all words right, and no four in a row"
assert hand[5] == (0, 0, 0)

# %% [markdown]
# The last line needs a decision. A caption without words has no n-grams, 0/0, and no length to divide by. Such captions exist: those of four images of the released RSITMD lists are blank (`train_caps.txt`, lines 9631 and following). The released script takes the mean of an empty list there (`generate_t2i_sim_matrix.py`:56–57), which is NaN; a NaN in one margin makes the loss NaN, and then every weight. Here ς is **0**:
# what says nothing is like nothing, and the full margin is asked for.
#
# ## All pairs are matrix products
#
# UCM-Captions have 2100 images and 10 500 captions, which makes 22 million comparisons: too many for loops. But with $[\,a\ge k\,]$ for 1 where it is so and 0 elsewhere,
#
# $$\min(a,b)=\sum_{k\ge1}[\,a\ge k\,]\,[\,b\ge k\,],\qquad\text{so}\qquad \sum_g\min(R_{ig},C_{jg})=\sum_k\Big([R\ge k]\,[C\ge k]^\top\Big)_{ij}.$$
#
# $C$ $(J, G)$ counts the n-grams of each caption, $R$ $(I, G)$ holds the largest counts in each image's captions. As $k$ has to go only to the largest count there is, BLEU of all pairs is a handful of products, of matrices that are nearly all zeros.

# %%
from cmir_ref.amfmn.caption_prior import bleu, caption_prior, entity_overlap, meteor

captions = [text for five in told.sentences[:12] for text in five]
c, bags = ([stems(text, out) for text in captions] for out in ((), STOP_WORDS))
owners = np.arange(60).reshape(12, 5)  # the captions of image i
loops, apart = {}, {}
for words, by_hand, package in (
    (c, bleu_by_hand, bleu),
    (c, meteor_by_hand, meteor),
    (bags, entities_by_hand, entity_overlap),
):
    name, found = package.__name__, np.zeros((12, 60))
    for i, j in np.ndindex(12, 60):
        found[i, j] = by_hand(words[j], [words[o] for o in owners[i]])
    loops[name] = found
    apart[name] = np.abs(found - package(words, owners)).max()
    print(f"{name}: the package's products against the loops {apart[name]:.0e}")
assert max(apart.values()) < 1e-12

known = sorted({word for words in c for word in words})
counts = np.array([[words.count(word) for word in known] for words in c])
most = counts[owners].max(axis=1)
one_by_one = np.minimum(most[:, None], counts).sum(axis=2)
products = sum(1 * (most >= k) @ (counts >= k).T for k in range(1, counts.max() + 1))
print("clipped words of 720 pairs, largest count", counts.max(), end=": ")
print("products and loops equal", np.array_equal(products, one_by_one))
assert np.array_equal(products, one_by_one) and counts.max() > 1
assert round(2100 * 10_500 / 1e6) == 22

own = np.arange(12)[:, None] == np.arange(60) // 5
paper = (loops["bleu"] + loops["meteor"]) / 2
script = (np.where(own, 1, loops["bleu"]) + loops["entity_overlap"]) / 2
off = [
    np.abs(paper - caption_prior(captions, owners, kind="bleu-meteor")).max(),
    np.abs(script - caption_prior(captions, owners, kind="bleu-entity")).max(),
]
print(f"ς of the paper and of the script, in 32 bits: off by {max(off):.0e}")
assert max(off) < 1e-6

# %% [markdown]
# ## What the margin makes of it
#
# Lesson 18's margin (its eq. 29) is $\alpha_{ij}=\gamma\,(e^\beta-e^{\beta\varsigma_{ij}})/(e^\beta-1)$: γ for strangers, 0 for twins. Here is all of it for six kinds of place, four images each, with their 120 captions.

# %% tags=["folded"]
from cmir_ref.amfmn.eq29_margin import dynamic_margin

KINDS = ("airplane", "beach", "forest", "harbor", "runway", "mediumresidential")
kind_of = [path.parent.name for path in files]
chosen = [i for kind in KINDS for i, other in enumerate(kind_of) if other == kind]
captions = [text for i in chosen for text in told.sentences[i]]
c, bags = ([stems(text, out) for text in captions] for out in ((), STOP_WORDS))
owners = np.arange(120).reshape(24, 5)
prior = caption_prior(captions, owners, kind="bleu-meteor")
margin = dynamic_margin(prior, 0.6, 5.0)
maps = bleu(c, owners), meteor(c, owners), entity_overlap(bags, owners), margin
figure, panels = plt.subplots(2, 2, figsize=(8.8, 4.6), sharex=True, sharey=True)
names = "BLEU-4", "METEOR", "entities", "margin of BLEU-4 and METEOR, γ = 0.6, β = 5"
for axes, values, name in zip(panels.flat, maps, names, strict=True):
    top = 0.6 if values is margin else 1
    shown = axes.imshow(values, vmin=0, vmax=top, aspect="auto")
    axes.set(title=name, xlabel="caption", ylabel="image of")
    axes.set_yticks(np.arange(1.5, 24, 4), KINDS, fontsize=7)
    figure.colorbar(shown, ax=axes)
show(
    figure,
    "Each caption (column, five an image) against each image's captions. Lone stripes "
    "are sentences built alike. Below right what the margin still asks for.",
)

# %%
place, who = np.arange(24)[:, None], np.arange(120) // 5
groups = {"its own": place == who}
groups["same kind"] = (place // 4 == who // 4) & ~groups["its own"]
groups["another kind"] = place // 4 != who // 4
asked = {name: margin[where].mean() for name, where in groups.items()}
for name, where in groups.items():
    print(f"{name:13} mean ς {prior[where].mean():.2f}, mean margin {asked[name]:.3f}")
assert asked["its own"] < 0.05 < asked["same kind"] < 0.5 < asked["another kind"]

# %% [markdown]
# And its gradient? **None is needed.** ς is counted from the captions alone, once, before the training. No weight is in it, so no weight could learn from it; to the loss it is a given number, as a label is. (Counting has no slope either: a count moves by jumps, or not at all.)
#
# ### Your turn: words in common, over all words
#
# Another likeness, of two captions as bags of words, with repetitions: $J_{ij}=\sum_g\min(a_{ig},b_{jg})\big/\sum_g\max(a_{ig},b_{jg})$. Write it for all pairs of the rows of `a` $(I, G)$ and `b` $(J, G)$, without ever holding an array $(I,J,G)$. You have the min; what is $\max(a,b)$, when $a+b$ is known, too? Two blank captions are alike by 0.


# %% tags=["exercise"]
def in_common(a, b):
    return np.zeros((len(a), len(b)))  # yours


# %% tags=["solution"]
def in_common(a, b):
    top = int(max(a.max(), b.max()))
    both = sum(1.0 * (a >= k) @ (b >= k).T for k in range(1, top + 1))
    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - both  # min + max = a + b
    return both / np.where(either == 0, 1, either)


# %% tags=["check"]
import tracemalloc

random = np.random.default_rng(5)
a, b = (random.poisson(0.7, (n, 300)) for n in (60, 50))
a[0], b[0] = 0, 0
a[1, 1] = b[1, 1] = 9  # more than any other
low, high = (f(a[:, None], b).sum(axis=2) for f in (np.minimum, np.maximum))
over = np.maximum(high, 1)
tracemalloc.start()
with np.errstate(all="ignore"):
    found = np.asarray(in_common(a, b), float)
held = tracemalloc.get_traced_memory()[1] / (60 * 50 * 300)  # bytes a pair and word
tracemalloc.stop()
same = lambda other: np.allclose(found, other, rtol=0, atol=1e-9)
assert found.shape == (60, 50), f"one number a pair, (60, 50), not {found.shape}"
assert np.isfinite(found[0, 0]), "two blank captions: 0/0, which has to be given a 0"
assert not same(low / np.maximum(low + high, 1)), "what both have counts twice below"
assert not same(a @ b.T / over), "2 and 3 have 2 in common, not 6"
assert not same(1 * (a > 0) @ (b > 0).T / over), "is k as large as the largest count?"
off_at = np.argwhere(np.abs(found - low / over) > 1e-9).tolist()
assert not off_at, f"captions {off_at[0]}: {(low / over)[*off_at[0]]:.4f} is right"
assert held < 0.7, "these are the right numbers, but an array (I, J, G) was held"
print("right, blank captions too, and without an array (I, J, G)")

# %% [markdown]
# ## A sentence, keywords, or both?
#
# A small experiment, with the pieces of this lesson. 84 bundled scenes are searched, and 168 more of the same world are learned from. In place of an image network there is one linear layer, over 96 simple numbers of a picture: how bright, how coloured and how rough its 64 blocks are, in order of size. The loss is lesson 18's triplet, margin 0.2. A text asks: is its picture among the first five? Three networks read the caption, the keywords, or both. A fourth one reads both, but **half of its training texts come without keywords**. Then all are asked twice: with the whole query, and with its keywords taken away. Five seeds; the code is folded, for it is lesson 18's loop.

# %% tags=["folded"]
from cmir_ref.data.world import object_scene

drawn = [object_scene(0, i) for i in range(84, 252)]
of_files = [np.asarray(read_image(file, 64)) for file in files]
of_drawn = [s.rgb.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3)) for s in drawn]
blocks = np.stack([*of_files, *of_drawn]).reshape(-1, 8, 8, 8, 8, 3) / 255
simple = [blocks.mean(axis=(2, 4)), blocks.std(axis=(2, 4))]  # of 64 blocks
simple = [np.sort(x.reshape(-1, 64, 3), axis=1)[:, ::4] for x in simple]
v = np.concatenate(simple, axis=2).reshape(len(blocks), -1).astype("float32")
v = (v - v[84:].mean(axis=0)) / v[84:].std(axis=0)
assert v.shape == (252, 96)
w, k, V = numbered(
    [*told.sentences, *(s.captions for s in drawn)],
    [*told.keywords, *(s.keywords for s in drawn)],
)

# %% tags=["folded"]
from cmir_ref.amfmn.eq30_triplet import triplet, triplet_backward
from cmir_ref.amfmn.networks import (
    Amfmn,
    TextVectors,
    init_gru,
    text_network,
    text_network_backward,
)
from cmir_ref.ops.cosine import cosine, cosine_backward
from cmir_ref.ops.linear import linear, linear_backward
from cmir_ref.params import add_prefix, below, dense
from cmir_ref.retrieval import recall_at_k
from cmir_ref.training.adam import adam


def new_network(random, d=16, e=12):
    p = {"words.table": random.standard_normal((V, e)).astype("float32")}
    for name in ("sentence.forward", "sentence.backward", "keywords.gru"):
        p |= add_prefix(name, init_gru(e, d, random))
    shapes = {"keywords.mlp.1": (d, d), "keywords.mlp.2": (d, d), "fusion": (2 * d, d)}
    return p | dense(shapes | {"image": (v.shape[1], d)}, random)


def read_texts(p, way, words, phrases):
    arch = Amfmn(None, text=way)  # of its image network nothing is used
    t, cache = text_network(p, words, phrases, arch=arch)
    if way != "both":
        return (t.s if t.k is None else t.k), (cache, None)
    y, blend = fusion(below("fusion", p), t.s, t.k)
    return y, (cache, blend)


def read_texts_back(dy, cache):
    cache, blend = cache
    grads, (ds, dk) = ({}, (dy, dy)) if blend is None else fusion_backward(dy, blend)
    grads = add_prefix("fusion", grads)
    return grads | text_network_backward(TextVectors(ds, dk), cache)[0]


def learn(way, without, seed, steps=100, n=42):
    random, other = np.random.default_rng(seed), ~np.eye(n, dtype=bool)
    p, margin = new_network(random), np.full((n, n), 0.2, "float32")
    moments = {name: (np.zeros_like(a), np.zeros_like(a)) for name, a in p.items()}
    for t in range(1, steps + 1):
        i = random.choice(np.arange(84, len(v)), n, replace=False)
        words, there = w[i, random.integers(0, 5, n)], random.random(n) >= without
        image, of_image = linear(v[i], p["image.w"], p["image.b"])
        text, of_text = read_texts(p, way, words, k[i] * there[:, None, None])
        scores, of_scores = cosine(image, text)
        hinges = triplet(scores, margin, other, reduction="mean")[1]
        dimage, dtext = cosine_backward(triplet_backward(1.0, hinges), of_scores)
        grads = read_texts_back(dtext, of_text)
        _, grads["image.w"], grads["image.b"] = linear_backward(dimage, of_image)
        for name, grad in grads.items():
            adam(p[name], grad, *moments[name], t, 0.02)
    return p


def finds(p, way, there):
    """Recall at 5 of the 84 pictures, asked by 420 texts with or without keywords."""
    phrases = np.repeat(k[:84], 5, axis=0) * there
    text = read_texts(p, way, w[:84].reshape(420, -1), phrases)[0]
    scores = cosine(text, linear(v[:84], p["image.w"], p["image.b"])[0])[0]
    own = np.arange(420)[:, None] // 5 == np.arange(84)
    return recall_at_k(-scores, own, 5).mean()


# %%
WAYS = {
    "sentence": ("sentence", 0),
    "keywords": ("keywords", 0),
    "both": ("both", 0),
    "both, half without": ("both", 0.5),
}
SEEDS = range(5)
trained = {name: [learn(*way, seed) for seed in SEEDS] for name, way in WAYS.items()}
recall = {
    (name, there): np.array([finds(p, WAYS[name][0], there) for p in trained[name]])
    for name in WAYS
    for there in (1, 0)
}
cell = lambda x: f"{x.mean():.2f} ± {x.std(ddof=1):.2f}"
print("recall at 5         query complete    its keywords taken away")
for name in WAYS:
    print(f"{name:20}{cell(recall[name, 1]):18}{cell(recall[name, 0])}")
ahead = {of: recall["both", 1] - recall[of, 1] for of in WAYS if of != "both"}
lead = {of: by.mean() / (by.std(ddof=1) / np.sqrt(5)) for of, by in ahead.items()}
for of, by in ahead.items():
    print(f"both less {of}:", by.round(2), f"{lead[of]:.1f} standard errors")

alone = np.array([finds(p, "sentence", 1) for p in trained["both"]])
print("the network of both, searched with its sentence's vector only:", cell(alone))

assert lead["sentence"] > 3 > abs(lead["keywords"])
assert ahead["both, half without"].mean() > 0
assert recall["both", 0].mean() < alone.mean() < recall["sentence", 1].mean() / 2
assert np.allclose(recall["keywords", 0], 5 / 84), "one text for all: chance"
assert recall["both", 0].max() < recall["both, half without", 0].min() / 2

# %% [markdown]
# *Both* find more than the sentence alone: the lead is more than three of its standard errors (the spread over seeds divided by √5). Against keywords alone it is not, and no order should be read into it: the keywords of this world are true and complete, and a sentence says less. With keywords that somebody guessed it may well be otherwise.
#
# The last column is the surprise. Without keywords the network of both is hardly better than chance, 5 of 84, where a network of sentences loses nothing. It never had to do without them, so its sentences learned little: searched with $\hat s$ only, it finds less than half of what the first network does. And the loud vector that "nothing" becomes spoils the rest. Where half of the training texts had none, it finds
# nearly as much as the sentence network when they are missing, and in these five runs pays with a little of what it finds when they are there. **What may be missing later has to be missing in training.**
#
# ## The numbers this lesson stands by

# %%
numbers(
    rows_that_plus_equals_gets_wrong=len(wrong),
    error_of_the_table=error_of_table,
    error_of_keywords=error_of_keywords,
    error_of_fusion=error_of_fusion,
    share_of_ds_through_the_gate=share_of_gate,
    bleu_of_a_short_right_caption=hand[1][0],
    margin_asked_within_a_kind=asked["same kind"],
    recall_of_the_sentence=recall["sentence", 1].mean(),
    recall_of_keywords=recall["keywords", 1].mean(),
    recall_of_both=recall["both", 1].mean(),
    recall_of_both_with_the_keywords_taken_away=recall["both", 0].mean(),
    the_same_where_half_were_without=recall["both, half without", 0].mean(),
)

# %% [markdown]
# ## What you learned
#
# Words are rows of a table; a row gets the sum over all places where its word stands, and padding gets nothing. Keywords are read one by one and averaged, so their order cannot matter and each hears the same. In a gated blend each text has two roads, through the values and through the gate; "no keywords" is a vector like any other, which a network must have met.
# How alike two captions are is counted, not learned: clipped n-grams for all pairs are a few matrix products, blank captions need a number by decision, and no gradient goes through it.
#
# ## Next
#
# [19 · Why 46 is not 46](19_why_46_is_not_46.ipynb), if you have not read it: what a recall over captions can reach. In the package: [`ops/embedding.py`](../cmir_ref/ops/embedding.py), [`amfmn/eq13_keywords.py`](../cmir_ref/amfmn/eq13_keywords.py), [`amfmn/eq26_fusion.py`](../cmir_ref/amfmn/eq26_fusion.py), [`amfmn/caption_prior.py`](../cmir_ref/amfmn/caption_prior.py). Train with it: `cmir-ref train image-text --set text=both`.
