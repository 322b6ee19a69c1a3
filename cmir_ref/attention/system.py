"""Photo ↔ sketch as a system: CMIR-NET's stages, with an attention between them, and the ways to search with it.

*Reconstruction* of Chaudhuri, Banerjee, Bhattacharya & Datcu, IGARSS 2021, from its abstract and the talk's slides.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, generator, to_device, to_host
from ..cmirnet import system as cmirnet
from ..cmirnet.stage1 import BLOCK, pretrainer
from ..contract import Gate, Stage, System
from ..data import pairs_of, read_query
from ..data.trunk import uses_trunk
from ..ops.fused.dense_layer import input_of
from ..params import below
from ..records import PARTS, Dataset, Encoded, Items, Run, Splits
from ..retrieval.distances import Levels
from ..retrieval.relevant_items import shared_label
from ..training.inputs import Source
from ..training.loop import Task
from .grad_cam import NO_ATTENTION, FeatureReading, cam_of_class
from .inference import (
    BY_CONTEXT,
    Attended,
    drawn_embeddings,
    drawn_sketches,
    embed_by_mean,
    embed_photos,
    embed_sketches,
    in_tiles,
    mean_distances,
    mean_gate,
    mean_mask,
    pair_distances,
    spread_contexts,
    variance_shares,
)
from .objective import ON_MAPS
from .settings import AttentionSettings
from .stage2 import Inputs, attended_task, form_of, init_attended

OF_NO_STAGE = frozenset(("gallery", "attended_inference"))  # say how something is searched, once all is trained
HEADS = "attention/heads"  # the names under which a run keeps the layers from map to features
LABEL_LEAK = "label leak: by attended_inference = matched each photo is embedded by a sketch of its own class"
SHOWN = 6  # pictures of each modality in a report
LOOKED_AT = 40  # photos, and sketches, of which the shares of the variance are taken


def check_sketches(settings: AttentionSettings, data: Dataset, parts: Splits, known: Run | None) -> None:
    """Raises `InputError` where a photo that will be searched, or searched with, has no sketch to attend it."""
    if settings.attention in BY_CONTEXT and settings.attended_inference == "matched":
        searched = PARTS if settings.gallery == "all" else ("test", settings.gallery)
        drawn_sketches(settings, data, parts, np.concatenate([getattr(parts, part)["a"] for part in searched]))


def attended_stages(settings: AttentionSettings, kinds: Mapping[str, str]) -> list[Stage]:
    """Stage 1 of photos and of sketches, as CMIR-NET's, and stage 2 with the attention.

    Where the classes are named, photos and their split are the same whatever the sketches are.
    """
    unseen = {"a": {"sketches"} if settings.classes else set(), "b": set()}
    separate = [
        stage._replace(sees=stage.sees - unseen[m], make=partial(make_features_and_maps, m))
        for stage in cmirnet.stages(settings, kinds)[:-1]
        for m in stage.name[-1]
    ]
    everything = frozenset(AttentionSettings.model_fields) - OF_NO_STAGE
    return [
        *separate,
        Stage("stage2", everything, start_attended, task_of_attended, fit=fit_stage2, make=make_attended),
    ]


def make_features_and_maps(
    m: str,
    settings: AttentionSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    data: Dataset,
    made: Mapping[str, Array],
    xp: Any,
    on_step: Callable | None = None,
) -> dict[str, np.ndarray]:
    """What CMIR-NET's stage 1 makes of modality m; for an attention on maps, too, the map (N, M, C) before its last
    layer, and that layer."""
    features = cmirnet.make_features(m, settings, params, buffers, data, made, xp, on_step)
    if settings.attention not in ON_MAPS:
        return features
    source = cmirnet.input_source(settings, m, data, made)
    head = {f"head.{m}.{part}": to_host(params[f"fc.{part}"]) for part in "wb"}
    return features | head | {f"map.{m}": maps_of(settings, params, buffers, source, xp)}


def maps_of(
    settings: AttentionSettings, params: Mapping[str, Array], buffers: Mapping[str, Array], source: Source, xp: Any
) -> np.ndarray:
    """The maps (N, M, C) of all samples of a source, M places of C channels, in inference mode."""
    network, source, maps = pretrainer(settings, source.x.shape[1:], source.kind), source.on(xp), []
    for start in range(0, len(source.x), BLOCK):
        x = source.read(np.arange(start, min(start + BLOCK, len(source.x))))
        _, cache = network.forward(params, x, arch=network.arch, mode="inference", buffers=buffers)
        n, h, w, c = cache.shape
        maps.append(to_host(input_of(cache.head.fc).reshape(n, h * w, c)))
    return np.concatenate(maps)


# ---- stage 2 -------------------------------------------------------------------------------------------------------


def fit_stage2(
    settings: AttentionSettings, data: Dataset, parts: Splits, made: Mapping[str, Array]
) -> dict[str, np.ndarray]:
    """The normalisers of the features; which sketches a mean attention is the mean of, the training part's; and the
    layers from map to features, where the attention reads maps."""
    fitted = cmirnet.fit_features(settings, data, parts, made) | {"attention/sketches": parts.train["b"]}
    if settings.attention in ON_MAPS:
        fitted |= {f"{HEADS}/{m}.1.{part}": made[f"head.{m}.{part}"] for m in "ab" for part in "wb"}
    return fitted


def start_attended(settings: AttentionSettings, data: Dataset) -> tuple[dict, dict]:
    """(params, buffers) of latent network and attention."""
    network = cmirnet.network_of(settings, data)
    on_maps = settings.attention in ON_MAPS
    channels = pretrainer(settings, data.modalities["a"].x.shape[1:]).arch.channels[-1] if on_maps else 0
    return init_attended(settings, network, len(data.label_names), channels)


def task_of_attended(
    settings: AttentionSettings, data: Dataset, parts: Splits, made: Mapping[str, Array], xp: Any
) -> Task:
    """The task of stage 2, over pairs of a class that are drawn anew for each epoch."""

    def pairs(epoch):
        return pairs_of(data, parts.train, generator(settings.seed, "pairs", epoch))

    network, inputs = cmirnet.network_of(settings, data), inputs_of_stage2(settings, data, made)
    return attended_task(settings, network, inputs, pairs, len(pairs(0)), parts, xp, data.apart)


def inputs_of_stage2(settings: AttentionSettings, data: Dataset, made: Mapping[str, Array]) -> Inputs:
    """Features of both modalities; or their maps, where the attention reads those."""
    features = cmirnet.stage2_sources(settings, data, made)
    if settings.attention not in ON_MAPS:
        return Inputs(features["a"], features["b"], features["b"], None)
    maps = {m: Source(made[f"map.{m}"], data.modalities[m].labels, "map", as_it_is) for m in data.modalities}
    b = maps["b"] if settings.attention == "mask" else features["b"]
    return Inputs(maps["a"], b, maps["b"], heads_of(made))


def as_it_is(x: Array) -> Array:
    """No normalisation."""
    return x


def heads_of(made: Mapping[str, Array]) -> dict[str, Array]:
    """The last layers of the pretrainers, from map to Z, with the scale of the features in their weights."""
    return {n: (w / made[f"features.{n[0]}/std"]).astype("float32") for n, w in below(HEADS, made, "/").items()}


def make_attended(
    settings: AttentionSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    data: Dataset,
    made: Mapping[str, Array],
    xp: Any,
    on_step: Callable | None = None,
) -> dict[str, np.ndarray]:
    """V (N, d_v) of both modalities, photos by the mean of the sketches; beside them what a pair is made of:
    "x" of photos and "context" of sketches. Raises `FloatingPointError` where V is not finite."""
    inputs, net = inputs_of_stage2(settings, data, made), attended_of(settings, data, params, made, xp)
    a, b, context = (source.on(xp).read(np.arange(len(source.x))) for source in inputs[:3])
    means = context[to_device(made["attention/sketches"], xp)]
    encoded = {
        "v.a": in_tiles(lambda rows: embed_by_mean(net, a[rows], means), len(a)),
        "v.b": in_tiles(lambda rows: embed_sketches(net, b[rows]), len(b)),
    }
    if settings.attention in BY_CONTEXT:
        encoded |= {"x.a": a, "context.b": context}
    if on_step:
        on_step(2, 2, {})
    encoded = {name: to_host(array) for name, array in encoded.items()}
    if not all(np.isfinite(encoded[name]).all() for name in ("v.a", "v.b")):
        raise FloatingPointError("stage2: the embeddings are no longer finite; try a smaller stage2.lr")
    return encoded


def attended_of(
    settings: AttentionSettings, data: Dataset, params: Mapping[str, Array], made: Mapping[str, Array], xp: Any
) -> Attended:
    """The trained attention and the encoders behind it, as arrays of `xp`."""
    heads = heads_of(made) if settings.attention in ON_MAPS else None
    heads = None if heads is None else {name: to_device(w, xp) for name, w in heads.items()}
    params = {name: to_device(w, xp) for name, w in params.items()}
    return Attended(form_of(settings), cmirnet.network_of(settings, data).arch, params, heads)


# ---- a run ---------------------------------------------------------------------------------------------------------


def encode_attended(run: Run, m: str, x: Any, xp: Any = np) -> Encoded:
    """What is stored of samples x (n, …) of modality m: one sample gives the same as within a batch.

    {"v": (n, d_v)}, of a photo by the mean of the training sketches, and what a pair is made of: "x" of photos,
    "context" of sketches, features (n, D) or maps (n, M, C), where a sketch has a part in the attention.
    """
    settings, modality = run.config, run.dataset.modalities[m]
    data = run.dataset._replace(modalities=run.dataset.modalities | {m: modality._replace(x=x)})
    cmirnet.check_trunk(run.config, run.tensors, m, run.path)
    params, buffers = cmirnet.trained(run, f"stage1.{m}", xp)
    made = dict(run.tensors)
    made |= make_features_and_maps(m, settings, params, buffers, data, made, xp)
    net = attended_of(settings, run.dataset, cmirnet.trained(run, "stage2")[0], made, xp)
    given = to_device(inputs_of(m, settings, data, made), xp)
    if m == "b":
        context = made["map.b"] if settings.attention in ON_MAPS else to_host(given)
        return {"v": to_host(embed_sketches(net, given))} | context_of(settings, "context", context)
    means = None
    if settings.attention in BY_CONTEXT:
        means = to_device(run.encoded["b"]["context"][run.tensors["attention/sketches"]], xp)
    return {"v": to_host(embed_by_mean(net, given, means))} | context_of(settings, "x", to_host(given))


def inputs_of(m: str, settings: AttentionSettings, data: Dataset, made: Mapping[str, Array]) -> np.ndarray:
    """What stage 2 is given of all samples of modality m: normalised features, or maps."""
    if settings.attention == "mask" or (settings.attention == "spatial" and m == "a"):
        return made[f"map.{m}"]
    return cmirnet.normaliser(f"features.{m}", made, settings.normalise_features)(made[f"z.{m}"])


def context_of(settings: AttentionSettings, name: str, array: np.ndarray) -> Encoded:
    """What is stored for pairs, where the attention is by a sketch."""
    return {name: array} if settings.attention in BY_CONTEXT else {}


def by_pair(settings: AttentionSettings) -> bool:
    """Whether each pair has an embedding of its own."""
    return settings.attention in BY_CONTEXT and settings.attended_inference == "pair"


def attended_vectors(run: Run, items: Items) -> np.ndarray | None:
    """V (N, d_v) of the items, photos by the sketches that the setting `attended_inference` names; None by pairs."""
    if by_pair(run.config):
        return None
    return np.concatenate([embeddings_of(run, m, items) for m in items.encoded])


def embeddings_of(run: Run, m: str, items: Items) -> np.ndarray:
    """V of the items of modality m: what is stored, or of photos that drawn sketches attend."""
    if m == "b" or run.config.attention not in BY_CONTEXT or run.config.attended_inference in ("mean", "pair"):
        return items.encoded[m]["v"]
    net = attended_of(run.config, run.dataset, cmirnet.trained(run, "stage2")[0], run.tensors, np)
    return drawn_embeddings(run, net, items)


def attended_distances(run: Run, query: Items, gallery: Items, xp: Any = np) -> Levels:
    """Distances in levels (see `retrieval.distances`) of the queries `rows` to the whole gallery: (B, G).

    By pairs only between a photo and a sketch; within a modality, and otherwise, of one embedding each.
    """
    if by_pair(run.config) and {*query.encoded, *gallery.encoded} == {"a", "b"}:
        net = attended_of(run.config, run.dataset, cmirnet.trained(run, "stage2")[0], run.tensors, xp)
        return pair_distances(net, query, gallery, run.config.distance, xp)
    v = (np.concatenate([embeddings_of(run, m, side) for m in side.encoded]) for side in (query, gallery))
    return mean_distances(run, *(to_device(array, xp) for array in v))


def attended_facts(run: Run, part: str | None = None) -> dict[str, Any]:
    """CMIR-NET's facts, and of the attention: its form, which sketch attends, and whose the variance of V_a is."""
    inference = run.config.attended_inference
    leak = run.config.attention in BY_CONTEXT and inference == "matched"
    return cmirnet.facts(run, part) | {
        "attention": run.config.attention,
        "attended_inference": f"{inference} (label leak)" if leak else inference,
        **({"warnings": [LABEL_LEAK]} if leak else {}),
        "variance_of_v_a": shares_of(run),
    }


def shares_of(run: Run) -> dict[str, float] | None:
    """Whose the variance of V_a(photo | sketch) is, over some photos and sketches of the test part, or None."""
    if run.config.attention not in BY_CONTEXT:
        return None
    net = attended_of(run.config, run.dataset, cmirnet.trained(run, "stage2")[0], run.tensors, np)
    rng = generator(run.config.seed, "attention/shares")
    photos, sketches = (rng.permutation(run.parts.test[m])[:LOOKED_AT] for m in "ab")
    x, context = run.encoded["a"]["x"][photos], run.encoded["b"]["context"][sketches]
    return variance_shares(np.stack([embed_photos(net, x[i : i + 1], context) for i in range(len(x))]))._asdict()


def heat_maps(run: Run) -> list[tuple[str, int, np.ndarray]]:
    """(letter, sample number, Grad-CAM (h, w) for its own class) of some test samples whose files are there.

    Photos are attended by the mean. There are none for a classifier that is not shared, a run without its stage 1, and
    images that went through a trunk, whose maps no run keeps.
    """
    settings, shown = run.config, []
    for m, modality in run.dataset.modalities.items():
        params, buffers = cmirnet.trained(run, f"stage1.{m}")
        if (
            settings.classifier != "shared"
            or "fc.w" not in params
            or modality.paths is None
            or uses_trunk(settings, modality)
        ):
            continue
        rows = [row for row in one_of_each_label(run, m) if Path(modality.paths[row]).is_file()][:SHOWN]
        if not rows:
            continue
        x = np.concatenate([read_query(modality, modality.paths[row])[0] for row in rows])
        data = run.dataset._replace(modalities={m: modality._replace(x=x)})
        maps = maps_of(settings, params, buffers, cmirnet.input_source(settings, m, data, run.tensors), np)
        cams = cams_of(run, m, maps, modality.labels[rows])
        side = int(np.sqrt(cams.shape[1]))
        shown += [(m, row, cam.reshape(side, side)) for row, cam in zip(rows, cams, strict=True)]
    return shown


def cams_of(run: Run, m: str, maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Grad-CAM (n, M) of modality m's maps (n, M, C) for these classes, through all that follows them in this run."""
    settings, kind = run.config, run.config.attention
    net = attended_of(settings, run.dataset, cmirnet.trained(run, "stage2")[0], run.tensors, np)
    heads, form, contexts, factor = {}, NO_ATTENTION, None, np.ones(settings.d_z, "float32")
    for letter in run.dataset.modalities:
        params, std = cmirnet.trained(run, f"stage1.{letter}")[0], run.tensors[f"features.{letter}/std"]
        heads |= {f"{letter}.1.{part}": (params[f"fc.{part}"] / std).astype("float32") for part in "wb"}
    if m == "a" and kind in BY_CONTEXT:
        contexts = run.encoded["b"]["context"][run.tensors["attention/sketches"]]
    if m == "a" and kind == "channel":
        factor, contexts = mean_gate(net, contexts), None
    elif m == "a" or kind == "mask":
        form, contexts = net.form, None if contexts is None else spread_contexts(contexts)
    shift = (run.tensors[f"features.{m}/mean"] / run.tensors[f"features.{m}/std"]).astype("float32")
    features = FeatureReading(shift, settings.normalise_features == "unit")
    given = {"arch": net.arch, "heads": heads, "features": features, "attention": form, "contexts": contexts}
    return cam_of_class(net.params, maps, factor, labels, m=m, **given)


def gate_of_pair(run: Run, query: Items, item: Items) -> Gate | None:
    """The gate or mask that acted between a photo and a sketch: the sketch's own by pairs, else the mean over many.

    Within a modality it is the mean one. There is none of a form that no sketch has a part in, of R2, whose attention
    is no gate, and where each photo has a sketch that was drawn for it.
    """
    kind = run.config.attention
    if kind not in ("channel", "mask") or run.config.attended_inference not in ("mean", "pair"):
        return None
    net = attended_of(run.config, run.dataset, cmirnet.trained(run, "stage2")[0], run.tensors, np)
    contexts, whose = (
        run.encoded["b"]["context"][run.tensors["attention/sketches"]],
        "the training sketches, on average,",
    )
    if by_pair(run.config) and {*query.encoded, *item.encoded} == {"a", "b"}:
        contexts, whose = (query.encoded | item.encoded)["b"]["context"], "this sketch"
    if kind == "channel":
        values = mean_gate(net, contexts)
        return Gate(f"what {whose} multiplied the {len(values)} features of a photo by", values)
    values = mean_mask(net, contexts)
    side = int(np.sqrt(len(values)))
    return Gate(f"where {whose} let a photo's map pass", values.reshape(side, side))


def one_of_each_label(run: Run, m: str) -> list[int]:
    """The first sample of each label in the test part of modality m."""
    rows = run.parts.test[m]
    _, first = np.unique(run.dataset.modalities[m].labels[rows], return_index=True)
    return [int(rows[i]) for i in first]


SYSTEM = System(
    settings=AttentionSettings,
    stages=attended_stages,
    encode=encode_attended,
    distances=attended_distances,
    relevant=shared_label,
    facts=attended_facts,
    vectors=attended_vectors,
    directions=("b->a", "a->b", "a->a", "b->b"),
    heat=heat_maps,
    heat_words=(
        "Where the evidence for the own class lies",
        "Grad-CAM on the last map of the pretrainer, through all that follows it; photos attended by the mean sketch.",
        "Grad-CAM for its own class",
    ),
    check=check_sketches,
    gate=gate_of_pair,
)
