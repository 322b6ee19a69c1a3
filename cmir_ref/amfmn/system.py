"""AMFMN as a system: its stages, what it stores of a sample, how an image and a text are compared, what it reports."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..backend import Array, generator, to_device, to_host
from ..contract import Gate, Stage, System
from ..data import read_query, split_data
from ..data.trunk import check_trunk, frozen_images, trunk_digest, trunk_in_words
from ..data.vocabulary import words_read
from ..errors import InputError
from ..nets.conv_maps import init_conv_maps
from ..params import add_prefix, below, dense
from ..records import Dataset, Encoded, Items, Modality, Run, Splits
from ..retrieval import average_precision, collapse
from ..retrieval.metrics import relevance
from ..retrieval.relevant_items import paired
from ..training.inputs import Normaliser, Source, epoch_batches, fit_normaliser, steps_per_epoch
from ..training.loop import Task
from ..training.soft_labels import draw_mixes, mix_rows, soft_labels
from ..training.transfer import send_parts
from .bounds import RECALLS, beside, recalls, same_texts
from .eq1_similarity import similarity
from .eq20_guided_attention import guided_attention
from .label_objective import label_objective, label_objective_backward
from .match import (
    BLOCK,
    architecture,
    image_vectors,
    match_task,
    partners,
    read_texts,
    text_vectors,
    trunk_of,
    vocabulary,
    word_numbers,
)
from .networks import image_network, init_amfmn
from .objective import comparison_params
from .settings import AmfmnSettings

SHOWN = 8  # pictures of where MVSA looks in a report


def match_stages(settings: AmfmnSettings, kinds: Mapping[str, str]) -> list[Stage]:
    """The trunk on the labels, where that is asked for, and then images and texts together."""
    sees = frozenset(AmfmnSettings.model_fields) - {"gallery", "ties"}
    labels = Stage("labels", sees, init_labels, labels_task, fit=fit_images)
    match = Stage("match", sees, start_match, task_of_match, fit=fit_all, make=make_vectors)
    return [labels, match._replace(inherit=inherit_trunk)] if settings.pretrain else [match]


# ---- the stages -----------------------------------------------------------------------------------------------------


def fit_images(settings: AmfmnSettings, data: Dataset, parts: Splits, made: Mapping) -> dict[str, np.ndarray]:
    """The normaliser of the images, or of what a frozen trunk makes of them, and which weights they went through."""
    fitted = fit_normaliser(frozen_images(settings, data.modalities["a"]).x, parts.train["a"])
    frozen = {"input.a/trunk": trunk_digest(settings)} if settings.trunk == "lite0" else {}
    return {"input.a/mean": fitted.mean, "input.a/std": fitted.std} | frozen


def fit_all(settings: AmfmnSettings, data: Dataset, parts: Splits, made: Mapping) -> dict[str, np.ndarray]:
    """The normaliser of the images, and the vocabulary."""
    return fit_images(settings, data, parts, made) | {"vocabulary": vocabulary(settings, data, parts)}


def image_source(settings: AmfmnSettings, images: Modality, made: Mapping[str, Array]) -> Source:
    """The images, normalised; or what a frozen trunk makes of them."""
    images = frozen_images(settings, images)
    return Source(
        images.x,
        images.labels,
        images.kind,
        Normaliser(made["input.a/mean"], made["input.a/std"]),
        settings.match,
    )


def init_labels(settings: AmfmnSettings, data: Dataset) -> tuple[dict, dict]:
    """(params, buffers) of the trunk and its classifier."""
    rng, trunk = generator(settings.seed, "labels/init"), trunk_of(settings)
    params, buffers = init_conv_maps(trunk, data.modalities["a"].x.shape[3], rng)
    _, classes = targets_of_labels(settings, data.modalities["a"], len(data.label_names))
    head = dense({"classifier": (trunk.channels[-1], classes)}, rng)
    return add_prefix("trunk", params) | head, add_prefix("trunk", buffers)


def targets_of_labels(settings: AmfmnSettings, images: Modality, names: int) -> tuple[np.ndarray, int]:
    """(what the trunk learns of every image, how many of them there are): its labels, or the class that it is of.

    Raises `InputError` for "classes" where nearly every image is a class by itself, or all are of one.
    """
    if settings.labels.target == "labels":
        return images.labels, names
    classes, numbers = np.unique(np.asarray(images.groups), return_inverse=True)
    if not 1 < len(classes) <= len(numbers) / 2:
        raise InputError(
            f"labels.target classes: {len(numbers)} images are of {len(classes)} classes by their folders and names; "
            "set labels.target=labels"
        )
    return numbers, len(classes)


def labels_task(settings: AmfmnSettings, data: Dataset, parts: Splits, made: Mapping, xp: Any) -> Task:
    """The task of the trunk: the labels of the training images, or their classes."""
    schedule, seed, arch = settings.labels, settings.seed, trunk_of(settings)
    images = image_source(settings, data.modalities["a"], made).on(xp)
    train, validation = parts.train["a"], parts.validation["a"]
    targets, classes = targets_of_labels(settings, data.modalities["a"], len(data.label_names))
    kind, labels = "sigmoid" if targets.ndim == 2 else "softmax", to_device(targets, xp)
    soft = to_device(soft_labels(targets, classes, kind, schedule), xp)

    def batches(epoch):
        order = list(epoch_batches(train, schedule.batch_size, seed, "labels", epoch))
        views = generator(seed, "labels/augment", epoch) if settings.match.augment else None
        sizes = [len(index) for index in order]
        views = images.views(sizes, views, xp)
        mixes = draw_mixes(sizes, schedule.mix_up, generator(seed, "labels/mix", epoch), xp)
        for index, view, mix in zip(send_parts(order, xp), views, mixes, strict=True):
            yield mix_rows(images.read(index, view), mix), mix_rows(soft[index.there], mix)

    def gradients(params, buffers, batch, epoch, step):
        loss, cache = label_objective(params, *batch, arch=arch, kind=kind, buffers=buffers)
        statistics = {f"trunk.{name}": value for name, value in cache.trunk.statistics.items()}
        return {"loss": loss}, label_objective_backward(1.0, cache)[0], statistics

    def validate(params, buffers):
        losses = []
        for start in range(0, len(validation), BLOCK):
            index = validation[start : start + BLOCK]
            y = labels[to_device(index, xp)]
            settings_of = {"arch": arch, "kind": kind, "mode": "inference", "buffers": buffers}
            losses.append(float(label_objective(params, images.read(index), y, **settings_of)[0]) * len(index))
        return {"score": -sum(losses) / max(len(validation), 1)}

    steps = steps_per_epoch(len(train), schedule.batch_size)
    return Task("labels", schedule, steps, batches, gradients, validate, lr_setting="labels.lr")


def start_match(settings: AmfmnSettings, data: Dataset) -> tuple[dict, dict]:
    """(params, buffers) of all networks."""
    words = int(vocabulary(settings, data, split_data(settings, data)).max())
    shape = data.modalities["a"].x.shape[1:]
    return init_amfmn(architecture(settings), shape, words, generator(settings.seed, "match/init"))


def check_texts(settings: AmfmnSettings, data: Dataset, parts: Splits, known: Run | None) -> None:
    """Raises `InputError` where keywords are to be read and no text has any, as in UCM-Captions; where run `known`, if
    there is one, learned other words than these: the vectors of its words would be read as those of others; where the
    trunk that it learned would be lost; and where no word is learned at all, so that all texts read alike."""
    texts = data.modalities["b"].texts
    if settings.text != "sentence" and not any("|" in text for text in texts):
        raise InputError(f"text {settings.text}: the captions have no keywords; set keywords=labels or filtered")
    table = vocabulary(settings, data, parts)
    here = word_numbers(texts, table)
    there = here if known is None else word_numbers(known.dataset.modalities["b"].texts, known.tensors["vocabulary"])
    if here != there:
        same = f"{len(there)}, here {len(here)}, {len(here & there)} of them the same under the same number"
        raise InputError(
            f"{settings.start_from}: that run learned other words ({same}); begin with a run of these captions, with "
            "the same split, vocabulary, min_count and stop_words"
        )
    if known is not None and settings.pretrain and not known.config.pretrain:
        raise InputError(
            f"{settings.start_from}: that run's trunk has no stage on the labels, from which pretrain would begin anew "
            "and lose what it learned; set pretrain=false"
        )
    if not here:
        raise InputError(
            f"min_count {settings.min_count}, stop_words {settings.stop_words}: no word is learned, so that all texts "
            "would read alike; set min_count lower, or stop_words=kept"
        )


def inherit_trunk(params: dict, buffers: dict, made: Mapping[str, Array]) -> tuple[dict, dict]:
    """Both with the trunk that has learned the labels."""
    learned = {kind: below(f"labels/{kind}", made, "/") for kind in ("params", "buffers")}
    return params | {n: learned["params"][n] for n in params if n.startswith("trunk.")}, buffers | learned["buffers"]


def task_of_match(settings: AmfmnSettings, data: Dataset, parts: Splits, made: Mapping, xp: Any) -> Task:
    """The task of all networks together."""
    images = image_source(settings, data.modalities["a"], made)
    return match_task(settings, data, parts, images, made["vocabulary"], xp)


def make_vectors(
    settings: AmfmnSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    data: Dataset,
    made: Mapping[str, Array],
    xp: Any,
    on_step: Callable | None = None,
) -> dict[str, np.ndarray]:
    """v of every image, s and k of every caption, (N, d) each; raises `FloatingPointError` where one is not finite."""
    arch, images = architecture(settings), image_source(settings, data.modalities["a"], made)
    views, rows = settings.average_views, np.arange(len(images.x))
    v = image_vectors(arch, params, buffers, images, rows, xp, on_step, average_views=views)
    texts = read_texts(data.modalities["b"].x, made["vocabulary"])
    both = text_vectors(arch, params, texts, np.arange(len(texts.words)), xp)
    found = {"v.a": to_host(v)} | {f"{n}.b": to_host(t) for n, t in both._asdict().items() if t is not None}
    if not all(np.isfinite(array).all() for array in found.values()):
        raise FloatingPointError("match: the vectors are no longer finite; try a smaller match.lr")
    return found


# ---- a run ----------------------------------------------------------------------------------------------------------


def trained_networks(run: Run, xp: Any = np) -> tuple[dict[str, Array], dict[str, Array]]:
    """(params, buffers) of the networks, as arrays of `xp`."""
    tensors = below("match", run.tensors, "/")
    return tuple({k: to_device(v, xp) for k, v in below(kind, tensors, "/").items()} for kind in ("params", "buffers"))


def encode_sample(run: Run, m: str, x: Any, xp: Any = np) -> Encoded:
    """{"v"} of images x (n, H, W, C), {"s", "k"} of texts x (n, T): one sample gives the same as within a batch.

    Raises `InputError` for a text of which no word was learned.
    """
    arch, (params, buffers) = architecture(run.config), trained_networks(run, xp)
    if m == "a":
        check_trunk(run.config, run.tensors, m, run.path)
        source = image_source(run.config, run.dataset.modalities[m]._replace(x=x), run.tensors)
        views = run.config.average_views
        return {"v": to_host(image_vectors(arch, params, buffers, source, np.arange(len(x)), xp, average_views=views))}
    table = run.tensors["vocabulary"]
    texts = read_texts(np.asarray(x), table)
    read = {"sentence": texts.words, "keywords": texts.keywords, "both": np.append(texts.words, texts.keywords)}
    known = read[run.config.text]
    if not ((known > 0) & (known < table.max())).any():
        raise InputError("the query has no word that this run has learned; use words of its captions")
    vectors = text_vectors(arch, params, texts, np.arange(len(x)), xp)
    return {name: to_host(t) for name, t in vectors._asdict().items() if t is not None}


def score_distances(run: Run, query: Items, gallery: Items, xp: Any = np) -> Callable[[slice], Array]:
    """1 − S of the queries `rows` to the whole gallery (B, G), in either direction; to nine digits, so that equal texts
    tie.

    The ties of setting `ties` "released" go to the last of the gallery. Raises `InputError` for images among images.
    """
    letters = tuple("".join(side.rows) for side in (query, gallery))
    if set(letters) != {"a", "b"}:
        raise InputError(f"{'->'.join(letters)}: AMFMN compares images (a) with texts (b); search the other modality")
    wide = {
        m: {n: to_device(x.astype(np.float64), xp) for n, x in side.encoded[m].items()}
        for side, m in zip((query, gallery), letters, strict=True)
    }
    params = comparison_params(trained_networks(run, xp)[0])
    params = {name: p.astype(np.float64) for name, p in params.items()}
    compare = partial(similarity, params, comparison=architecture(run.config).comparison)
    v, s, k = wide["a"]["v"], wide["b"].get("s"), wide["b"].get("k")

    def of(rows: slice) -> Array:
        if letters[0] == "a":
            scores, _ = compare(v[rows], s, k)
        else:
            scores = compare(v, *(None if t is None else t[rows] for t in (s, k)))[0].T
        found = xp.round(1 - scores, 9)
        if run.config.ties == "released":
            items = found.shape[1]
            found = found - 5e-10 / items * xp.arange(items)  # less than a digit for the whole gallery
        return found

    return of


def match_facts(run: Run, part: str | None) -> dict[str, Any]:
    """Is the space alive? And of a `part` that is queries and gallery, what `stands_beside` its recalls."""
    vectors = {f"{n}.{m}": x for m, encoded in run.encoded.items() for n, x in encoded.items()}
    space, sides = collapse(*vectors.values()), dict(zip(ascii_lowercase, (name[-1] for name in vectors), strict=False))
    space["one_point"] = list(dict.fromkeys(sides[m] for m in space["one_point"]))  # s and k are both of b
    return {
        "d": run.config.d,
        "text": run.config.text,
        **({"trunk": trunk_in_words(run.config)} if run.config.trunk == "lite0" else {}),
        **space,
        **(stands_beside(run, part) if part else {}),
    }


def stands_beside(run: Run, part: str) -> dict[str, Any]:
    """What stands beside the recalls of a part: `beside` (`bounds.beside`), those where every caption that is word for
    word an image's counts (`duplicate_aware`), and average precision over the classes."""
    everything = {m: np.arange(len(run.dataset.modalities[m].ids)) for m in "ab"}
    rows = everything if part == "all" else getattr(run.parts, part)
    items = {m: Items({m: rows[m]}, {m: {n: x[rows[m]] for n, x in run.encoded[m].items()}}) for m in "ab"}
    d = to_host(score_distances(run, items["a"], items["b"])(slice(None)))
    back = d.T  # but where ties are "released": then the last of each gallery comes first
    if run.config.ties == "released":
        back = to_host(score_distances(run, items["b"], items["a"])(slice(None)))
    owner = np.searchsorted(rows["a"], partners(np.asarray(run.dataset.pairing), rows["b"]))
    said = [words_read(run.dataset.modalities["b"].texts[j], run.config.text) for j in rows["b"]]
    text = np.unique(said, return_inverse=True)[1]
    classes = class_numbers(run, rows["a"])
    same_class = relevance(classes, classes[owner])
    return {
        "duplicate_aware": recalls(d, same_texts(owner, text, len(classes)), back),
        "beside": beside(owner, text, classes),
        "map_over_classes": {
            "a->b": float(np.nanmean(average_precision(d, same_class))),
            "b->a": float(np.nanmean(average_precision(back, same_class.T))),
        },
    }


def gaze_maps(run: Run) -> list[tuple[str, int, np.ndarray]]:
    """("a", sample number, map (h, w)) of some test images whose files are there, one of each class: what the mask of
    MVSA is read from, |value ⊙ gate| (eq. 18), from 0 at an image's least to 1 at its most. None without MVSA.
    """
    images, arch = run.dataset.modalities["a"], architecture(run.config)
    if not arch.mask or images.paths is None:
        return []
    test = run.parts.test["a"]
    first = np.unique(class_numbers(run, test), return_index=True)[1]
    rows = [int(row) for row in test[first] if Path(images.paths[row]).is_file()][:SHOWN]
    if not rows:
        return []
    x = np.concatenate([read_query(images, images.paths[row])[0] for row in rows])
    source, (params, buffers) = image_source(run.config, images._replace(x=x), run.tensors), trained_networks(run)
    given = source.read(np.arange(len(rows)))
    _, cache = image_network(params, given, arch=arch, mode="inference", buffers=buffers)
    looks = [part.attention for part in cache.blocks]
    maps = np.concatenate([np.abs(look.value * look.gate)[..., 0] for look in looks])
    least, most = (edge(maps, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return [("a", row, one) for row, one in zip(rows, (maps - least) / np.maximum(most - least, 1e-12), strict=True)]


def class_numbers(run: Run, rows: np.ndarray) -> np.ndarray:
    """The class of these images as a number: the group that each belongs to."""
    return np.unique(np.asarray(run.dataset.modalities["a"].groups)[rows], return_inverse=True)[1]


def gate_of_pair_with_text(run: Run, query: Items, item: Items) -> Gate | None:
    """The gate of eq. 20 to 25 that the image of a pair put before the text's vector; None without attention."""
    kind = architecture(run.config).comparison.attention
    encoded = query.encoded | item.encoded
    name = next((n for n in "sk" if n in encoded["b"]), None)
    if kind == "none" or name is None:
        return None
    params = below(f"attention_{name}", trained_networks(run)[0])
    gate = guided_attention(params, encoded["a"]["v"], encoded["b"][name], kind=kind)[1].gate[0]
    what = {"s": "sentence", "k": "keywords"}[name]
    return Gate(f"what the image multiplied the {len(gate)} numbers of the {what} by", gate)


SYSTEM = System(
    settings=AmfmnSettings,
    stages=match_stages,
    encode=encode_sample,
    distances=score_distances,
    relevant=paired,
    facts=match_facts,
    check=check_texts,
    heat=gaze_maps,
    heat_words=(
        "Where MVSA looks",
        "What a mask is read from: |value ⊙ gate| at each pixel of the maps (eq. 18), orange where it is large.",
        "where MVSA looks",
    ),
    directions=("a->b", "b->a"),
    recall_at=RECALLS,
    gate=gate_of_pair_with_text,
)
