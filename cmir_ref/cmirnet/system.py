"""CMIR-NET as a system: its stages, what it stores of a sample, how samples are compared, and what it reports.

Stage 1 trains one pretrainer a modality, stage 2 the latent network on their features Z. Settings `stages`: "joint"
leaves out stage 1 of modalities that come as ready-made vectors, "end-to-end" trains all at once.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..backend import Array, generator, to_device, to_host
from ..contract import Stage, System
from ..data import pairs_of
from ..data.outlines import TRACERS
from ..data.speech import FLOOR
from ..data.trunk import TrunkInput, check_trunk, frozen_images, trunk_digest, trunk_in_words, uses_trunk
from ..errors import InputError
from ..params import below
from ..records import Dataset, Encoded, Items, Modality, Run, Splits
from ..retrieval import collapse, levels, prepare
from ..retrieval.distances import Levels
from ..retrieval.relevant_items import shared_label
from ..training.inputs import Normaliser, Source, fit_normaliser, level_bands, level_each, standardise_each
from ..training.loop import Task
from .settings import CmirnetSettings
from .stage1 import apply_pretrainer, init_pretrainer, pretrainer, stage1_task
from .stage2 import LatentSettings, embed, init_stage2, latent_settings, stage2_task

DATA = frozenset(  # settings that say which samples there are, and in which part
    (
        *("system", "scenario", "dataset", "sketches", "classes", "scenes", "scenes_seed", "image_size", "sample_axis"),
        *("band_axis", "split", "keywords", "sensors", "tile"),
        *("test_share", "validation_share", "seed"),
    )
)
SPEECH = frozenset(("speech", "speech_voice", "protocol"))  # the same of recordings, which no image depends on
STAGE1 = frozenset(  # settings of a pretrainer
    (
        *("d_z", "normalise_inputs", "normalise_sounds", "bias_init", "block_order", "batch_norm", "fused"),
        *("orthogonality", "stages", "stage1", "start_from", "trunk", "trunk_training", "trunk_weights"),
        *("trunk_size", "trunk_views"),
    )
)
OF_NO_STAGE = frozenset(("gallery",))  # says what is searched, once all is trained


def check_stages(settings: CmirnetSettings, data: Dataset, parts: Splits, known: Run | None) -> None:
    """Raises `InputError` where features are to be dropped, and stage 2 is given none: only samples, end to end; where
    labels of eq. 1 are to be softened, and no stage 1 learns it: all samples are vectors, joint."""
    dropped = settings.stage2.feature_dropout and settings.stages == "end-to-end"
    if dropped and all(as_read(settings, modality).kind != "features" for modality in data.modalities.values()):
        raise InputError("stage2.feature_dropout is of features, and end-to-end is given none here: set it to 0")
    softened = settings.stage1.mix_up or settings.stage1.label_smoothing
    if softened and not any(trains_stage1(settings, modality.kind) for modality in data.modalities.values()):
        raise InputError(
            f"stages {settings.stages}: vectors have no stage 1 there; set stage1.mix_up and stage1.label_smoothing to "
            "0, or stages=separate"
        )


def stages(settings: CmirnetSettings, kinds: Mapping[str, str]) -> list[Stage]:
    """Stage 1 of each modality that has one of its own, a's before b's, then stage 2."""
    separate = [
        Stage(
            name=f"stage1.{m}",
            sees=DATA | STAGE1 | (SPEECH if settings.scenario == "image-speech" and m == "b" else frozenset()),
            init=partial(init_stage1, m),
            task=partial(task_of_stage1, m),
            fit=partial(fit_inputs, m),
            make=partial(make_features, m),
        )
        for m, kind in kinds.items()
        if trains_stage1(settings, kind)
    ]
    everything = frozenset(CmirnetSettings.model_fields) - OF_NO_STAGE
    latent = Stage("stage2", everything, start_stage2, task_of_stage2, fit=fit_features, make=make_embeddings)
    return [*separate, latent]


def trains_stage1(settings: CmirnetSettings, kind: str) -> bool:
    """Whether a modality of this kind gets a pretrainer of its own: not when all is trained at once, nor, in the joint
    mode, when it comes as ready-made vectors."""
    return settings.stages == "separate" or (settings.stages == "joint" and kind != "features")


# ---- stage 1 --------------------------------------------------------------------------------------------------------


def init_stage1(m: str, settings: CmirnetSettings, data: Dataset) -> tuple[dict, dict]:
    """(params, buffers) of the pretrainer of modality m."""
    modality = as_read(settings, data.modalities[m])
    try:
        return init_pretrainer(settings, f"stage1.{m}", modality.x.shape[1:], len(data.label_names), modality.kind)
    except InputError as error:
        raise InputError(f"{modality.paths[0] if modality.paths else modality.name}: {error}") from None


def fit_inputs(
    m: str, settings: CmirnetSettings, data: Dataset, parts: Splits, made: Mapping[str, Array]
) -> dict[str, np.ndarray]:
    """The normaliser of modality m's samples, and which weights they went through."""
    modality, fitted = data.modalities[m], {}
    if uses_trunk(settings, modality):
        fitted = {f"input.{m}/trunk": trunk_digest(settings)}
    x = as_read(settings, modality)
    if fitted and x.kind != "features":  # its network was trained with a range of its own
        return fitted
    return fitted | normaliser_arrays(f"input.{m}", x.x, parts.train[m], settings.normalise_inputs)


def task_of_stage1(
    m: str, settings: CmirnetSettings, data: Dataset, parts: Splits, made: Mapping[str, Array], xp: Any
) -> Task:
    """The task of modality m's pretrainer."""
    source, classes = input_source(settings, m, data, made), len(data.label_names)
    return stage1_task(settings, f"stage1.{m}", source, parts.train[m], parts.validation[m], xp, classes=classes)


def make_features(
    m: str,
    settings: CmirnetSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    data: Dataset,
    made: Mapping[str, Array],
    xp: Any,
    on_step: Callable | None = None,
) -> dict[str, np.ndarray]:
    """Features z (N, d_z) of modality m, and what stands beside them: logits (N, K), and s, z before its ReLU."""
    source = input_source(settings, m, data, made)
    network, rows = pretrainer(settings, source.x.shape[1:], source.kind), np.arange(len(source.x))
    views = looks_often(settings, source.kind)
    out = apply_pretrainer(network, params, buffers, source, rows, xp, on_step, average_views=views)
    return {f"{name}.{m}": to_host(part) for name, part in out._asdict().items()}


# ---- stage 2 --------------------------------------------------------------------------------------------------------


def fit_features(
    settings: CmirnetSettings, data: Dataset, parts: Splits, made: Mapping[str, Array]
) -> dict[str, np.ndarray]:
    """The normalisers of what the latent network is given: of features, or of samples where stage 1 made none."""
    fitted = {}
    for m in data.modalities:
        if f"z.{m}" in made:
            how = settings.normalise_features
            fitted |= normaliser_arrays(f"features.{m}", made[f"z.{m}"], parts.train[m], how)
        else:
            fitted |= fit_inputs(m, settings, data, parts, made)
    return fitted


def start_stage2(settings: CmirnetSettings, data: Dataset) -> tuple[dict, dict]:
    """(params, buffers) of the latent network, and of the pretrainers that are trained along."""
    network = network_of(settings, data)
    return init_stage2(settings, network, input_shapes(settings, data), len(data.label_names))


def task_of_stage2(settings: CmirnetSettings, data: Dataset, parts: Splits, made: Mapping[str, Array], xp: Any) -> Task:
    """The task of the latent network, over pairs that are drawn anew for each epoch where none are given."""

    def pairs(epoch):
        return pairs_of(data, parts.train, generator(settings.seed, "pairs", epoch))

    network, sources = network_of(settings, data), stage2_sources(settings, data, made)
    partners = None if data.label_names else data.pairing
    return stage2_task(settings, network, sources, pairs, len(pairs(0)), parts.validation, xp, partners)


def make_embeddings(
    settings: CmirnetSettings,
    params: Mapping[str, Array],
    buffers: Mapping[str, Array],
    data: Dataset,
    made: Mapping[str, Array],
    xp: Any,
    on_step: Callable | None = None,
) -> dict[str, np.ndarray]:
    """V (N, d_v) of every modality; raises `FloatingPointError` where it is not finite."""
    network, sources, v = network_of(settings, data), stage2_sources(settings, data, made), {}
    for m, source in sources.items():
        rows, views = np.arange(len(source.x)), looks_often(settings, source.kind)
        v[f"v.{m}"] = to_host(embed(network, params, buffers, m, source, rows, xp, average_views=views))
        if on_step:
            on_step(len(v), len(sources), {})
    if not all(np.isfinite(array).all() for array in v.values()):  # the last step can leave weights that overflow
        raise FloatingPointError("stage2: the embeddings are no longer finite; try a smaller stage2.lr")
    return v


def network_of(settings: CmirnetSettings, data: Dataset) -> LatentSettings:
    """What stage 2 trains on `data`."""
    return latent_settings(
        settings, input_shapes(settings, data), {m: modality.labels for m, modality in data.modalities.items()}
    )


def input_shapes(settings: CmirnetSettings, data: Dataset) -> dict[str, tuple[int, ...]]:
    """The shape of what stage 2 is given of a sample, by letter: features of stage 1, or the sample itself."""
    return {
        m: (settings.d_z,) if trains_stage1(settings, modality.kind) else as_read(settings, modality).x.shape[1:]
        for m, modality in data.modalities.items()
    }


# ---- what a network is given ----------------------------------------------------------------------------------------


def normaliser_arrays(name: str, x: Any, rows: np.ndarray, how: str) -> dict[str, np.ndarray]:
    """A normaliser, fitted to the samples `rows` of x, as the arrays that a run keeps."""
    fitted = fit_normaliser(x, rows, how)
    return {f"{name}/mean": fitted.mean, f"{name}/std": fitted.std}


def normaliser(name: str, made: Mapping[str, Array], how: str = "") -> Normaliser:
    """The normaliser of that name among the arrays that a run keeps, which was fitted so."""
    return Normaliser(made[f"{name}/mean"], made[f"{name}/std"], how == "unit")


def as_read(settings: CmirnetSettings, modality: Modality) -> Modality:
    """A modality as the first network reads it: of images what the frozen part of a trunk makes, where there is one."""
    return frozen_images(settings, modality)


def input_source(settings: CmirnetSettings, m: str, data: Dataset, made: Mapping[str, Array]) -> Source:
    """The samples of modality m, normalised."""
    modality = as_read(settings, data.modalities[m])
    kind = augmented_as(settings, modality.kind)
    if uses_trunk(settings, modality):
        return Source(modality.x, modality.labels, kind, TrunkInput(settings.trunk_size), settings.stage1)
    if kind == "maps":
        return Source(modality.x, modality.labels, kind, as_float32)
    if modality.kind != "sound":
        return Source(modality.x, modality.labels, kind, normaliser(f"input.{m}", made), settings.stage1)
    how = {"set": normaliser(f"input.{m}", made), "recording": standardise_each}
    how |= {"level": partial(level_each, floor=FLOOR), "bands": partial(level_bands, floor=FLOOR)}
    return Source(modality.x, modality.labels, kind, how[settings.normalise_sounds])


def augmented_as(settings: CmirnetSettings, kind: str) -> str:
    """The kind of augmentation that samples of this kind get.

    A sketch that was traced from a photo is as dense as its edges are: no hand draws so, and another pen blots it out.
    """
    if kind == "sound" and settings.stage1.voices:
        return "voice"
    traced = settings.stage1.redraw == "auto" and settings.sketches in TRACERS
    return "image" if kind == "sketch" and (traced or settings.stage1.redraw == "no") else kind


def looks_often(settings: CmirnetSettings, kind: str) -> bool:
    """Whether the features of a sample of this kind are a mean over several views of it."""
    return settings.stage1.average_tempos if kind in ("sound", "voice") else settings.stage1.average_views


def as_float32(x: Array) -> Array:
    """Maps are kept as float16, to take half the memory."""
    return x.astype("float32")


def stage2_sources(settings: CmirnetSettings, data: Dataset, made: Mapping[str, Array]) -> dict[str, Source]:
    """What stage 2 is given of every modality: stage 1's features, or the samples where there are none."""
    how = settings.normalise_features
    return {
        m: Source(made[f"z.{m}"], modality.labels, "features", normaliser(f"features.{m}", made, how))
        if f"z.{m}" in made
        else input_source(settings, m, data, made)
        for m, modality in data.modalities.items()
    }


# ---- a run ----------------------------------------------------------------------------------------------------------


def encode(run: Run, m: str, x: Any, xp: Any = np) -> Encoded:
    """{"v": (n, d_v)} of samples x (n, …) of modality m: one sample gives the same as within a batch."""
    settings, modality = run.config, run.dataset.modalities[m]
    data = run.dataset._replace(modalities={m: modality._replace(x=x)})
    made, rows = dict(run.tensors), np.arange(len(x))
    check_trunk(run.config, run.tensors, m, run.path)
    if trains_stage1(settings, modality.kind):
        params, buffers = trained(run, f"stage1.{m}", xp)
        source = input_source(settings, m, data, made)
        network = pretrainer(settings, source.x.shape[1:], source.kind)
        views = looks_often(settings, source.kind)
        out = apply_pretrainer(network, params, buffers, source, rows, xp, average_views=views)
        made[f"z.{m}"] = to_host(out.z)
    params, buffers = trained(run, "stage2", xp)
    source = stage2_sources(settings, data, made)[m]
    network, views = network_of(settings, run.dataset), looks_often(settings, source.kind)
    return {"v": to_host(embed(network, params, buffers, m, source, rows, xp, average_views=views))}


def trained(run: Run, stage: str, xp: Any = np) -> tuple[dict[str, Array], dict[str, Array]]:
    """(params, buffers) that a stage of the run ended with, as arrays of `xp`."""
    tensors = below(stage, run.tensors, "/")
    return tuple({k: to_device(v, xp) for k, v in below(kind, tensors, "/").items()} for kind in ("params", "buffers"))


def vectors(run: Run, items: Items) -> np.ndarray:
    """V (N, d_v) of the items."""
    return np.concatenate([encoded["v"] for encoded in items.encoded.values()])


def distances(run: Run, query: Items, gallery: Items, xp: Any = np) -> Levels:
    """Distances in V, in levels (see `retrieval.distances`), of the queries `rows` to the whole gallery: (B, G)."""
    space = prepare(to_device(vectors(run, query), xp), to_device(vectors(run, gallery), xp), run.config.distance)
    return Levels(space, partial(levels, space))


def facts(run: Run, part: str | None = None) -> dict[str, Any]:
    """Is the space alive? State, scale and rank of V, norm of each encoder matrix, share of units that never vary.

    `features` say where each modality's stage-1 features come from, and what is there in place of the paper's VGG-16.
    None of it depends on the `part` that was searched.
    """
    v = {m: encoded["v"] for m, encoded in run.encoded.items()}
    params, _ = trained(run, "stage2")
    matrices = {name.removeprefix("latent."): w for name, w in params.items() if name.endswith(".w")}
    encoders = [f"encoder_{m}.{i}.w" for m in v for i in range(1, run.config.encoder_depth + 1)]
    return {
        "d_v": run.config.d_v,
        **({"trunk": trunk_in_words(run.config)} if run.config.trunk != "conv" else {}),
        "features": {m: features_in_words(run.config, modality) for m, modality in run.dataset.modalities.items()},
        **collapse(*v.values()),
        "weight_norms": {name: float(np.linalg.norm(matrices[name])) for name in encoders},
        "dead_units": {m: float((v_m.max(axis=0) == v_m.min(axis=0)).mean()) for m, v_m in v.items()},
    }


def features_in_words(settings: CmirnetSettings, modality: Modality) -> str:
    """What makes the features of a modality: "pan: convolution pretrainer on 256 × 256 × 1 image"."""
    size = " × ".join(map(str, modality.x.shape[1:]))
    if uses_trunk(settings, modality):
        return f"{modality.name}: {trunk_in_words(settings)}, then a dense pretrainer"
    network, what = ("dense", "vectors") if modality.kind == "features" else ("convolution", modality.kind)
    return f"{modality.name}: {network} pretrainer on {size} {what}"


SYSTEM = System(
    settings=CmirnetSettings,
    stages=stages,
    encode=encode,
    distances=distances,
    relevant=shared_label,
    facts=facts,
    vectors=vectors,
    check=check_stages,
)
