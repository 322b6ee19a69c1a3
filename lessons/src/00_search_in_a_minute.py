# ---
# jupyter:
#   lesson:
#     question: Can a picture from one sensor find its like in the pictures of another, and a spoken word the places it names?
#     minutes: 10
#     needs: []
#     derives: []
# ---

# %% [markdown]
# # 00 · A search across two sensors in one minute
#
# **Can a picture from one sensor find its like in the pictures of another, and a spoken word the places it names?**
#
# A satellite carries a *panchromatic* camera (PAN: sharp, grey) and a *multi-spectral* one (MUL: four colours, one of them invisible, and four times
# coarser). Their pictures cannot be compared number by number. This lesson trains a small network, in seconds, that puts both into **one** space, where near means alike; then
# it does the same with aerial images and spoken words. Nothing is explained to the end here: that is what the other lessons are for.

# %% tags=["folded"]
import os

import matplotlib.pyplot as plt
import numpy as np

from cmir_ref import evaluate, load_config, load_data, train
from cmir_ref.cmirnet.system import encode
from cmir_ref.data import log_mel_patch, read_image, samples_dir
from cmir_ref.ranking import names_of_label
from cmir_ref.records import Dataset, Modality
from cmir_ref.reports.gallery import stretch
from cmir_ref.reports.lesson import begin, numbers, pictures, show, sound
from cmir_ref.retrieval import evaluate_direction, nearest

begin()
EVERY_TILE = np.arange(40)
tiles = load_data(load_config("demo-pan-mul", ["dataset=dsrsid"]), samples_dir())
pan, mul = (np.asarray(m.x[EVERY_TILE]) for m in tiles.modalities.values())
classes = tiles.label_names
kind_of_tile = tiles.modalities["a"].labels


def visible(x):
    """A PAN picture as grey, a MUL picture (blue, green, red, near infrared) in true
    colour, values 0 to 1."""
    return coarse(stretch(x[..., 0] if x.shape[-1] == 1 else x[..., [2, 1, 0]]))


def coarse(x):
    """Pixels 0 to 255 as 16 levels from 0 to 1: enough for a thumbnail, and the
    notebook stays small."""
    return np.round(x / 255 * 15) / 15


def coarser(x, times=2):
    """Images (N, H, W, C) with H and W divided by `times`: means over squares."""
    n, h, w, c = x.shape
    return x.reshape(n, h // times, times, w // times, times, c).mean(axis=(2, 4))


shown = [0, 1, 3, 5, 6]
figure = pictures(
    [
        [visible(coarser(pan[[k]], 4)[0]) for k in shown],
        [visible(mul[k]) for k in shown],
    ],
    [[classes[k] for k in shown], [""] * len(shown)],
    side=0.8,
)
show(
    figure,
    f"Tiles of five of the {len(classes)} kinds of land in the bundled sample, each "
    "seen by both cameras, PAN above and MUL below. It is a simulated world, in the "
    "file format of a real data set.",
)

# %% [markdown]
# ## Some measurements
#
# The sample has 40 tiles. We cut each into 16 patches, and keep the last 16 tiles away: the network will never see them, and later they are the archive that is searched.
#
# The full network learns from pixels (lesson 04). To be done within a minute, we hand it a few dozen *measurements* of each patch instead: how bright, how varied, how rough at several scales.


# %%
def patches(x, cut=4):
    """Images (N, H, W, C) as cut × cut times as many smaller ones, tile by tile."""
    n, h, w, c = x.shape
    return (
        x.reshape(n, cut, h // cut, cut, w // cut, c)
        .swapaxes(2, 3)
        .reshape(-1, h // cut, w // cut, c)
    )


def measure(x):
    """Images (N, H, W, C) as measurements (N, M): brightness, and at each scale
    contrast and roughness."""
    x = np.log1p(x.astype(np.float32))
    found = [
        x.mean(axis=(1, 2)),
        *np.quantile(x, (0.05, 0.25, 0.5, 0.75, 0.95), axis=(1, 2)),
    ]
    while x.shape[1] >= 4:
        found += [
            x.std(axis=(1, 2)),
            *(np.abs(np.diff(x, axis=a)).mean(axis=(1, 2)) for a in (1, 2)),
        ]
        x = coarser(x)
    return np.concatenate(found, axis=1).astype(np.float32)


pan_patches, mul_patches = patches(pan), patches(mul)
kind = np.repeat(kind_of_tile, 16)
learn, archive = np.arange(640) < 24 * 16, np.arange(640) >= 24 * 16


def modality(name, x, labels):
    """Measurements as the package wants them: a modality with names for its samples."""
    return Modality(
        name,
        "features",
        measure(x),
        labels,
        tuple(map(str, range(len(x)))),
        None,
        labels,
    )


sensors = {
    "a": ("pan", pan_patches),
    "b": ("mul", mul_patches),
}  # the package names modalities by letters
seen = {m: modality(name, x[learn], kind[learn]) for m, (name, x) in sensors.items()}
for m in seen.values():
    print(
        f"{m.name}: {len(m.x)} patches to learn from, {m.x.shape[1]} measurements each"
    )

# %% [markdown]
# ## Training
#
# Two stages, as in the paper. First each sensor on its own learns to tell the kinds of land apart (lesson 06). Then a second network maps both into the shared space, where a PAN patch and
# the MUL patch of the same place are pulled together (lesson 07). All settings come from a preset; a few are made smaller.

# %%
shrunk = [
    "stage1.epochs=20",
    "stage2.epochs=20",
    "stage1.lr=0.01",
    "stage2.lr=0.005",
    "test_share=0.05",
]
config = load_config("demo-pan-mul", ["dataset=dsrsid", *shrunk])
pairs = np.stack(
    [np.arange(len(seen["a"].x))] * 2, axis=1
)  # PAN patch k and MUL patch k show the same place
run = train(config, Dataset(seen, classes, pairs))

for stage, what in {
    "stage1.a": "PAN alone",
    "stage1.b": "MUL alone",
    "stage2": "shared space",
}.items():
    losses = [line["parts"]["loss"] for line in run.history if line["stage"] == stage]
    print(
        f"{what:13} loss {losses[0]:5.2f} → {losses[-1]:5.2f} in {len(losses)} epochs "
        "(rounds through all patches)"
    )

# %% [markdown]
# ## Searching
#
# Every patch of the archive becomes a point in the shared space, whichever camera took it. A search is then: which points are near? The **precision at 10** is the share of
# right answers (same kind of land) among the first ten.


# %%
def place(run, m, x):
    """Points (N, d_v) in the shared space of measurements that training never saw; `m`
    is "a" (PAN) or "b" (MUL)."""
    return encode(run, m, x)["v"]


v_pan, v_mul = (
    place(run, "a", measure(pan_patches[archive])),
    place(run, "b", measure(mul_patches[archive])),
)
truth = kind[archive]
found = evaluate_direction(v_pan, truth, v_mul, truth)
print(
    f"PAN asks, {len(v_mul)} MUL patches answer: precision at 10 is {found['p@10']:.2f}"
)
print(
    "                          by pure chance it would be "
    f"{found['chance_precision']:.2f}"
)
assert found["p@10"] > found["chance_precision"] + 0.15

# %% [markdown]
# Here are three searches. Put other numbers from 0 to 255 into the call. (Code that only draws is folded; a click on its three dots opens it.)


# %% tags=["folded"]
def draw(queries, k=6):
    """PAN patches and, beside each, the k MUL patches nearest to it."""
    answers, _ = nearest(v_pan[queries], v_mul, k)
    rows, titles = [], []
    for q, numbers_found in zip(queries, answers, strict=True):
        rows.append(
            [visible(coarser(pan_patches[archive][[q]])[0])]
            + [visible(mul_patches[archive][i]) for i in numbers_found]
        )
        marks = [
            f"{'✓' if truth[i] == truth[q] else '✗'} {classes[truth[i]]}"
            for i in numbers_found
        ]
        titles.append([f"{classes[truth[q]]}?", *marks])
    return pictures(rows, titles, side=0.85)


# %%
show(
    draw([20, 40, 200]),
    "Left a PAN patch as the question; right of it the nearest MUL patches, with a "
    "tick where the kind of land is the same. Some wrong answers are easy to forgive: "
    "clouds and roofs are both bright.",
)

# %% [markdown]
# And the space itself. It has 64 dimensions; the picture shows the two in which the points spread most. Each kind has a mark; what matters is that filled ones (PAN) and hollow ones (MUL) of one kind lie together.

# %% tags=["folded"]
both = np.concatenate([v_pan, v_mul])
flat = (both - both.mean(axis=0)) @ np.linalg.svd(
    both - both.mean(axis=0), full_matrices=False
)[2][:2].T


def draw_space(axes, shown):
    for number, name in enumerate(shown):
        these = truth == classes.index(name)
        look = {
            "color": f"C{number}",
            "marker": "osDv^P"[number],
            "ms": 4.5,
            "linestyle": "",
        }
        axes.plot(*flat[:256][these].T, label=f"{name}, PAN", **look)
        axes.plot(*flat[256:][these].T, label=f"{name}, MUL", mfc="none", **look)
    axes.set(xlabel="first principal axis", ylabel="second principal axis")


# %% tags=["folded"]
figure, axes = plt.subplots(figsize=(6, 2.6))
draw_space(axes, ["cloud", "forest", "water", "high building"])
axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
show(
    figure,
    "Four of the eight kinds in the shared space, patches that the network never saw. "
    "Name others in the call (six at most).",
)

# %% [markdown]
# ## Your turn
#
# Turn the search round: MUL asks, PAN answers. For each of the 256 MUL patches, find the numbers of the 10 nearest PAN patches. `nearest(query, gallery, k)` returns numbers and
# distances.

# %% tags=["exercise"]
answers = np.zeros((256, 10), int)  # yours

# %% tags=["solution"]
answers, distances = nearest(v_mul, v_pan, 10)

# %% tags=["check"]
wanted, apart = nearest(v_mul, v_pan, 10)
assert np.shape(answers) == (256, 10), (
    f"256 questions with 10 answers each, not {np.shape(answers)}; `nearest` returns "
    "numbers and distances, in this order"
)
answers = np.asarray(answers)
assert not np.allclose(answers, apart), (
    "these are the distances; the numbers of the patches come first"
)
assert answers.min() >= 0 and answers.max() < 256, (
    f"the archive's patches have the numbers 0 to 255, and here is {answers.max()}"
)
OTHERS = {
    "here PAN asked; swap the two": (v_pan, v_mul),
    "here MUL answered itself, and each patch finds itself first": (v_mul, v_mul),
    "here PAN answered itself; MUL asks": (v_pan, v_pan),
}
for what, (query, gallery) in OTHERS.items():
    other = nearest(query, gallery, 11)[0]
    assert not np.array_equal(answers, other[:, :10]), what
    assert not np.array_equal(answers, other[:, 1:]), f"{what} (a hit was dropped)"
assert not np.array_equal(answers, nearest(v_mul, v_pan, 11)[0][:, 1:]), (
    "the first hit was dropped: it is a PAN patch, not the MUL patch that asks"
)
assert not np.array_equal(answers, wanted[:, ::-1]), "nearest first, please"
assert not np.array_equal(answers, nearest(v_mul, -v_pan, 10)[0]), (
    "these are the patches opposite to the question, not the nearest"
)
same = np.mean(answers == wanted)
assert same == 1, (
    f"only {same:.0%} of the answers are the ten nearest PAN patches, nearest first"
)
precision = np.mean(truth[answers] == truth[:, None])
assert precision > found["chance_precision"] + 0.15
print(f"right: precision at 10 is {precision:.2f}")

# %% [markdown]
# ## A spoken word
#
# Nothing in this cares what a "sensor" is. Take aerial images, each with several labels (ship, dock, water), and recordings of these words in fifteen synthetic voices. There are no pairs
# here at all, only common labels. We measure images as above, and a recording by the strength of 16 bands of pitch in 12 stretches of time (lesson 11).

# %%
shrunk = ["stage1.epochs=40", "stage2.epochs=60", "stage1.lr=0.01", "stage2.lr=0.005"]
shrunk += [
    "stage1.keep=last",
    "stage2.keep=last",
]  # too few images to choose an epoch by
config = load_config(
    "demo-image-speech",
    ["dataset=ucmerced", "gallery=all", "stage2.feature_dropout=0", *shrunk],
)
root = os.environ.get("CMIR_DATA") or samples_dir()
data = load_data(config, root)
images, words = data.modalities["a"], data.modalities["b"]
few = np.concatenate(
    [np.flatnonzero(images.groups == g)[:10] for g in np.unique(images.groups)]
)  # at most 10 a place
photos = np.asarray(images.x[few])


def measure_sounds(x):
    """Log-mel patches (N, 96 times, 64 pitches, 1) as means over squares (N, 12 · 16)."""
    return x.reshape(len(x), 12, 8, 16, 4).mean(axis=(2, 4)).reshape(len(x), -1)


images = images._replace(
    kind="features",
    x=measure(photos),
    labels=images.labels[few],
    ids=tuple(images.ids[i] for i in few),
    paths=tuple(images.paths[i] for i in few),
    groups=images.groups[few],
)
words = words._replace(kind="features", x=measure_sounds(words.x))
heard = train(config, Dataset({"a": images, "b": words}, data.label_names, None))
scores = evaluate(heard)["directions"]["b->a"]
print(
    f"{len(photos)} images "
    f"({'UC Merced' if 'CMIR_DATA' in os.environ else 'simulated'}), {len(words.x)} "
    "recordings"
)
print(
    f"a word asks: precision at 10 is {scores['p@10']:.2f}, by chance "
    f"{scores['chance_precision']:.2f}"
)

# %% [markdown]
# The voices that ask were never heard in training; the archive is all images, also those that the network learned from. Listen to one. (Sounds play once the notebook runs.)

# %%
unheard = heard.parts.test["b"]
said = {
    data.label_names[words.labels[i]]: i for i in unheard
}  # one recording of each word
word = "ship"


def listen(path):
    """The samples (T,) of a sound file at 16 kHz, most of a second of them."""
    import librosa

    return librosa.load(path, sr=16000, duration=0.7)[0]


sound(listen(words.paths[said[word]]))

# %% tags=["folded"]
v_images, v_words = heard.encoded["a"]["v"], heard.encoded["b"]["v"]


def draw_word(chosen, k=4):
    """The k images nearest to each word."""
    answers, _ = nearest(v_words[[said[w] for w in chosen]], v_images, k)
    titles = [
        [
            f"{'✓' if w in names_of_label(heard, images.labels[i]) else '✗'} "
            f"{images.groups[i][:12]}"
            for i in row
        ]
        for w, row in zip(chosen, answers, strict=True)
    ]
    for w, line in zip(chosen, titles, strict=True):
        line[0] = f"“{w}”\n{line[0]}"
    return pictures(
        [[coarse(photos[i]) for i in row] for row in answers], titles, side=0.9
    )


# %%
show(
    draw_word([word, "tanks", "chaparral"]),
    "Each row: a spoken word, and the images nearest to it in the shared space, with a "
    "tick where the image carries that label.",
)

# %% [markdown]
# ## Your own file
#
# Put your own paths into `mine`: pictures from above, or recordings of one word (.wav, .flac, .ogg). As it stands there are a forest and a harbour that training never saw, and
# an unheard voice. Pictures are answered in words, recordings in the labels of pictures. With two or so pictures of each kind of place to learn from, as in the bundled sample, expect mistakes.


# %%
def ask(path, picture, bars, k=30):
    """Which words (or labels of images) are most frequent among the k points nearest
    to a file."""
    is_sound = str(path).lower().endswith((".wav", ".flac", ".ogg"))
    x = log_mel_patch(path) if is_sound else read_image(path, 64)
    others, points = (images, v_images) if is_sound else (words, v_words)
    v = place(
        heard,
        "b" if is_sound else "a",
        (measure_sounds if is_sound else measure)(x[None]),
    )
    hits = nearest(v, points, k)[0][0]
    names = np.concatenate([names_of_label(heard, others.labels[i]) for i in hits])
    names, counts = np.unique(names, return_counts=True)
    most = np.argsort(counts)[-4:]
    picture.imshow(x[..., 0].T[::-1] if is_sound else coarse(x))
    picture.axis("off")
    picture.set_title(os.path.basename(path), fontsize=7)
    bars.barh(names[most], counts[most], color="#56B4E9", edgecolor="black")
    bars.set(xlabel=f"of {k} nearest", ylabel="label")


unseen = {images.groups[i]: images.paths[i] for i in heard.parts.test["a"]}
mine = [unseen["forest"], unseen["harbor"], words.paths[said["grass"]]]

# %% tags=["folded"]
figure, panels = plt.subplots(
    1, 2 * len(mine), figsize=(2.6 * len(mine), 1.4), width_ratios=[1, 1.4] * len(mine)
)
for file, picture, bars in zip(mine, panels[::2], panels[1::2], strict=True):
    ask(file, picture, bars)
show(
    figure,
    "Three files (the third is a sound: time to the right, pitch upwards), and the "
    "labels most often found near them.",
)

# %%
print(
    f"over all unseen pictures, {evaluate(heard)['directions']['a->b']['p@10']:.0%} of "
    "the ten nearest words are right"
)

# %% [markdown]
# The same from a terminal, with the networks that learn from pixels and with your own data (minutes instead of seconds; [README](../README.md) has the figures):
#
# ```sh
# cmir-ref train image-speech --data path/to/data --set speech=bundled --out runs/speech
# cmir-ref retrieve runs/speech my_picture.jpg --to b
# ```
#
# ## The numbers this lesson stands by

# %%
turned = evaluate_direction(v_mul, truth, v_pan, truth)
numbers(
    precision_of_the_first_ten=found["p@10"],
    precision_by_chance=found["chance_precision"],
    precision_mul_asks_pan=turned["p@10"],
    patches_searched=len(v_mul),
)

# %% [markdown]
# ## What you learned
#
# Two networks can learn to put different senses into one space, and then a search is nothing but asking who is near. It needs no pairs, only labels in common. A
# score means something only beside what chance would give, and on samples that training has not seen.
#
# ## Next
#
# [01 · Three ways to measure a slope](01_three_slopes.ipynb): the first step towards knowing how all this is trained. In the package:
# [`runs.py`](../cmir_ref/runs.py) has `train` and `evaluate`, [`search.py`](../cmir_ref/search.py) `retrieve`, [`retrieval/neighbours.py`](../cmir_ref/retrieval/neighbours.py) the search.
