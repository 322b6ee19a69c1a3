"""Nothing of the test part reaches what is trained: only the test samples change, and every weight is bit-equal.

Validation samples choose the epoch that is kept, so they may change weights; test samples may change nothing but what
is stored of themselves, and their own figures.
"""

from functools import cache

import drawn_worlds
import numpy as np
import pytest
import worlds
from toy_system.system import SYSTEM as TOY
from toy_system.system import ToySettings

from cmir_ref import runs
from cmir_ref.attention.objective import KINDS_OF_ATTENTION
from cmir_ref.cmirnet.many_training import embed_many, init_many_network, many_network, many_task
from cmir_ref.config import load_config
from cmir_ref.records import Splits
from cmir_ref.systems import SYSTEMS
from cmir_ref.training.loop import new_state, train_epochs

LONG = ("stage1.epochs=8", "stage2.epochs=8", "stage1.lr=0.05", "stage2.lr=0.05", "stage2.schedule=constant")
CMIRNET = {  # settings under which something else is fitted, drawn, scored or kept
    "separate": LONG,
    "standardised": (*LONG, "normalise_features=standardise", "normalise_inputs=centre"),
    "scaled": (*LONG, "normalise_features=scale", "normalise_inputs=none"),
    "joint": (*LONG, "stages=joint"),
    "end to end": (*LONG, "stages=end-to-end"),
    "in turn": (*LONG, "update=alternating", "stage2.weight_decay=0.1"),
    "augmented": (*LONG, "stage1.augment=true", "stage1.average_views=true"),
    "last epoch": (*LONG, "stage1.keep=last", "stage2.keep=last"),
}
CONFIGS = {"cmirnet": {name: worlds.config(*changes) for name, changes in CMIRNET.items()}}
CONFIGS |= {"toy": {"match": ToySettings(system="toy", scenario="image-speech", dataset="features", protocol="paper")}}
CONFIGS |= {"attention": {kind: drawn_worlds.config(f"attention={kind}", *LONG[1:]) for kind in KINDS_OF_ATTENTION}}
SHORT = (
    "d=6",
    "word_width=5",
    "min_count=1",
    "labels.epochs=2",
    "match.epochs=6",
    "match.batch_size=8",
    "match.lr=0.03",
)
AMFMN = {"labels first": ("pretrain=true",), "both": ("text=both",), "rare words": ("min_count=20", "attention=fusion")}
CONFIGS |= {"amfmn": {name: load_config("image-text", [*SHORT, *changes]) for name, changes in AMFMN.items()}}
DATA = {
    "classes": lambda: worlds.features(),
    "multi-hot": lambda: worlds.features(multi=True),
    "pairs": lambda: worlds.features(paired=True),
    "pictures": lambda: worlds.pictures(24),
    "sketches": lambda: drawn_worlds.data(),
    "captions": lambda: worlds.captioned(),
}
ON_PICTURES = {"separate", "end to end", "augmented"}  # a convolution takes longer: only where images differ
CASES = [
    (system, name, data, protocol)
    for system, configs in CONFIGS.items()
    for name in configs
    for data in DATA
    for protocol in ("paper", "recordings", "voices")
    if (data != "pictures" or name in ON_PICTURES)
    and (protocol == "paper" or data == "classes")
    and (data == "sketches") == (system == "attention")
    and (data == "captions") == (system == "amfmn")
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(SYSTEMS, "toy", TOY)


def settings(system, name, protocol):
    config = CONFIGS[system][name]
    short = {"stage1": config.stage1.model_copy(update={"epochs": 2})} if name == "augmented" else {}
    return config.model_copy(update={"protocol": protocol} | short)


@cache
def trained(case, changed_part=""):
    """The run on the data of a case, with all samples of one part replaced by other numbers, and its parts."""
    system, name, data, protocol = case
    config, data = settings(system, name, protocol), DATA[data]()
    parts = runs.split_data(config, data)
    changed = {m: with_other(modality, rows_of(parts, m, changed_part)) for m, modality in data.modalities.items()}
    return runs.train(config, data._replace(modalities=changed)), parts


def rows_of(parts, m, part):
    """The samples of modality m that this part has alone: in the protocol "paper" all parts have all recordings."""
    if not part:
        return np.empty(0, int)
    others = [rows[m] for name, rows in parts._asdict().items() if name != part]
    return np.setdiff1d(getattr(parts, part)[m], np.concatenate(others))


def with_other(modality, rows):
    """The modality with other numbers for the samples `rows`: far larger where they are not pixels."""
    x, random = modality.x.copy(), np.random.default_rng(7)
    if modality.kind == "text":  # word numbers: those of other sentences
        x[rows] = modality.x[random.permutation(len(x))[: len(rows)]]
    elif x.dtype == np.uint8:
        x[rows] = random.integers(0, 256, x[rows].shape)
    else:
        x[rows] = 1 + 10 * random.standard_normal(x[rows].shape)
    return modality._replace(x=x)


def kept(run):
    """All that a run has learned, and what it was told on the way; not how long it took."""
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in run.history]
    return {name: array.tobytes() for name, array in run.tensors.items()}, lines


def test_every_system_is_asked():
    assert SYSTEMS.keys() == CONFIGS.keys()


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_test_samples_change_no_weight_no_normaliser_and_no_best_epoch(case):
    run, parts = trained(case)
    other, _ = trained(case, "test")
    tensors, lines = kept(run)
    other_tensors, other_lines = kept(other)
    assert [name for name in tensors if tensors[name] != other_tensors.get(name)] == []
    assert tensors.keys() == other_tensors.keys() and lines == other_lines
    changed = 0
    for m in run.encoded:
        rows = rows_of(parts, m, "test")
        for one, two in zip(run.encoded[m].values(), other.encoded[m].values(), strict=True):
            np.testing.assert_array_equal(np.delete(one, rows, axis=0), np.delete(two, rows, axis=0))
            changed += len(rows) and (one[rows] != two[rows]).any(axis=1).mean() > 0.5
    assert changed  # the samples were other samples


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("name", ["separate", "end to end"])
def test_other_parts_do_change_it(name, part):
    """What the tests above hold equal would show a leak: samples that may be seen are seen."""
    case = ("cmirnet", name, "pairs", "paper")
    assert kept(trained(case)[0]) != kept(trained(case, part)[0])


def test_test_labels_change_no_weight(monkeypatch):
    data, config = worlds.features(multi=True), worlds.config(*LONG)
    parts = runs.split_data(config, data)
    monkeypatch.setattr(runs, "split_data", lambda config, data: parts)  # which stratifies by labels: the same parts
    a, hot = data.modalities["a"], data.modalities["a"].labels.copy()
    hot[parts.test["a"]] = 1 - hot[parts.test["a"]]
    other = data._replace(modalities=data.modalities | {"a": a._replace(labels=hot)})
    one, two = (kept(runs.train(config, d)) for d in (data, other))
    assert one == two


@pytest.mark.parametrize("changes", [(), ("stage2.feature_dropout=0.3", "latent_dropout=both")])
def test_of_many_modalities(changes):
    """Stage 2 for three: rows that are neither for training nor for validation."""
    config = worlds.config("stage2.epochs=8", "stage2.lr=0.05", "stage2.schedule=constant", *changes)
    random, y = np.random.default_rng(0), np.arange(60) % 4
    z = tuple(random.standard_normal((4, d))[y] + random.standard_normal((60, d)) for d in (5, 6, 7))
    parts = Splits(*(np.arange(start, 60, 3) for start in range(3)))
    ends = []
    for changed in (np.empty(0, int), parts.test, parts.validation):
        other = tuple(z_m.astype(np.float32) for z_m in z)
        for z_m in other:
            z_m[changed] *= -7
        network = many_network(config, y)
        task = many_task(config, network, other, y, parts.train, parts.validation)
        state = new_state(*init_many_network(config, network, (5, 6, 7), 4))
        scores = []
        state = train_epochs(task, state, on_epoch=lambda _, epoch, scores=scores: scores.append(epoch.validation))
        ends.append(
            (
                state.best_epoch,
                scores,
                [v[parts.train].tobytes() for v in embed_many(network, state.best_params, other)],
            )
        )
    assert ends[0] == ends[1] != ends[2]
