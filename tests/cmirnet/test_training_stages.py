"""Both stages on tiny data: what moves, what is drawn anew, and that they learn."""

import re
from itertools import pairwise

import numpy as np
import pytest
import worlds

from cmir_ref import runs
from cmir_ref.cmirnet import stage1, system
from cmir_ref.cmirnet import stage2 as stage2_module
from cmir_ref.data import pairs_of
from cmir_ref.nets.conv_pretrainer import ConvPretrainer
from cmir_ref.nets.feature_pretrainer import FeaturePretrainer
from cmir_ref.nets.trunk_pretrainer import TrunkPretrainer
from cmir_ref.training.augment import symmetries
from cmir_ref.training.inputs import Source
from cmir_ref.training.loop import MOMENTUM, new_state, train_epochs


def identity(x):
    return x


def sources(data):
    return {m: Source(modality.x, modality.labels, modality.kind, identity) for m, modality in data.modalities.items()}


def stage2(config, data, pairs, rows):
    """(task, state) of stage 2 straight on the data's vectors."""
    shapes = {m: modality.x.shape[1:] for m, modality in data.modalities.items()}
    labels = {m: modality.labels for m, modality in data.modalities.items()}
    network = stage2_module.latent_settings(config, shapes, labels)
    task = stage2_module.stage2_task(config, network, sources(data), pairs, len(pairs(0)), dict.fromkeys("ab", rows))
    return task, new_state(*stage2_module.init_stage2(config, network, shapes, len(data.label_names)))


def losses_of(task, state):
    lines = []
    train_epochs(task, state, on_epoch=lambda _, epoch: lines.append(epoch.parts))
    return lines


@pytest.mark.parametrize("world", [worlds.features, worlds.pictures])
@pytest.mark.parametrize("stages", ["separate", "joint", "end-to-end"])
def test_what_a_network_begins_with_is_as_the_settings_ask(world, stages):
    """Every bias of every stage is 0 or drawn; the weights are those of the seed."""
    data, found = world(), []
    for change in ("bias_init=zero", "bias_init=xavier", "seed=1"):
        config = worlds.config(f"stages={stages}", change)
        every = system.stages(config, {m: modality.kind for m, modality in data.modalities.items()})
        found.append({f"{stage.name}/{k}": v for stage in every for k, v in stage.init(config, data)[0].items()})
    zeros, drawn, other = found
    assert any(name.startswith("stage2/") for name in zeros) and zeros.keys() == drawn.keys()
    for name, array in zeros.items():
        if name.endswith(".b"):
            assert not array.any() and drawn[name].all(), name
        elif name.endswith(".w"):
            assert not np.array_equal(array, other[name]), name


def test_a_pretrainer_is_built_as_the_settings_ask():
    changes = ("block_order=conv-act-norm-pool", "batch_norm=frozen", "fused=false")
    config = worlds.config(*changes, "stage1.dropout=0.3", "stage1.hidden=[7]")
    order, pools = "conv-act-norm-pool", (4, 4, 4)
    expected = ConvPretrainer(pools, block_order=order, batch_norm="frozen", dropout=0.3, fused=False)
    assert stage1.pretrainer(config, (256, 256, 1)).arch == expected
    assert stage1.pretrainer(config, (9,)).arch == FeaturePretrainer((7,), 0.3)
    for training, first in (("all", 0), ("last", 15)):  # the last of Lite0's sixteen blocks
        trunk = stage1.trained_trunk(config.model_copy(update={"trunk_training": training}))
        assert trunk.arch == TrunkPretrainer(first=first, dropout=0.3)


@pytest.mark.parametrize("classifier", ["shared", "separate", "concatenated"])
def test_the_loss_knows_which_classifier_the_network_has(classifier):
    data = worlds.features()
    network = system.network_of(worlds.config(f"classifier={classifier}"), data)
    assert network.readings.classifier == network.arch.classifier == classifier


def test_each_sample_of_a_pair_comes_with_its_own_labels():
    """Features that are all the number of their sample tell which it is; the pairs here are any."""
    data, random = worlds.features(multi=True), np.random.default_rng(0)
    marked = {
        m: modality._replace(x=np.repeat(np.arange(len(modality.x), dtype=np.float32)[:, None], 5, axis=1))
        for m, modality in data.modalities.items()
    }
    pairs = np.stack([random.permutation(60), random.integers(0, 24, 60)], axis=1)
    task, _ = stage2(worlds.config(), data._replace(modalities=marked), lambda epoch: pairs, np.arange(12))
    met = []
    for x, y, _ in task.batches(0):
        rows = [x_m[:, 0].astype(int) for x_m in x]
        for modality, rows_m, y_m in zip(marked.values(), rows, y, strict=True):
            np.testing.assert_array_equal(y_m, modality.labels[rows_m])
        met += zip(*map(np.ndarray.tolist, rows), strict=True)
    assert sorted(met) == sorted(map(tuple, pairs.tolist()))


@pytest.mark.parametrize("stages", ["separate", "end-to-end"])
def test_an_image_is_stored_and_sought_as_the_mean_of_its_views(stages):
    """Then a turned one has the same embedding. The statistics of its batches have run along."""
    data, short = worlds.pictures(12), ("stage1.epochs=1", "stage2.epochs=1", "stage1.average_views=true")
    run = runs.train(worlds.config(f"stages={stages}", *short), data)
    turned = np.rot90(data.modalities["a"].x, axes=(1, 2))
    np.testing.assert_allclose(system.encode(run, "a", turned)["v"], run.encoded["a"]["v"], atol=1e-5)
    statistics = [array for name, array in run.tensors.items() if name.endswith(("norm.1.mean", "norm.1.var"))]
    assert len(statistics) == 2 and (statistics[0] != 0).all() and (statistics[1] != 1).all()


def test_stage_2_overfits_one_batch():
    data = worlds.features(paired=True, n=12)
    rows = np.arange(12)
    config = worlds.config(
        "stage2.epochs=300",
        "stage2.lr=0.02",
        "weights.regulariser=0",
        "weights.feature_norm=0",
        "weights.alignment=0.1",
    )
    lines = losses_of(*stage2(config, data, lambda epoch: np.stack([rows, rows], axis=1), rows))
    assert lines[-1]["loss"] < 0.03 * lines[0]["loss"]
    assert lines[-1]["classification"] < 0.1 < 1 < lines[0]["classification"]


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("paired", [False, True])
def test_every_loss_goes_down(multi, paired):
    longer = [f"{stage}.{change}" for stage in ("stage1", "stage2") for change in ("epochs=60", "lr=0.02")]
    run = runs.train(worlds.config(*longer), worlds.features(multi=multi, paired=paired))
    for stage, part in (("stage1.a", "ce"), ("stage1.b", "ce"), ("stage2", "loss")):
        lines = [line["parts"] for line in run.history if line["stage"] == stage]
        assert lines[-1]["loss"] < 0.9 * lines[0]["loss"], stage
        assert lines[-1][part] < lines[0][part], stage
    found = runs.evaluate(run)["directions"]
    assert found["a->b"]["map"] > found["a->b"]["chance"] + 0.15


def moves(update, classifier="shared"):
    """The names of the parameters that each Adam step of one stage-2 batch changed."""
    data = worlds.features(paired=True)
    config = worlds.config(f"update={update}", f"classifier={classifier}", "stages=end-to-end", "stage2.epochs=1")
    rows = np.arange(len(data.modalities["a"].x))
    task, state = stage2(config, data, lambda epoch: np.stack([rows[:16]] * 2, axis=1), rows)
    seen = []

    def watched(params, *rest):
        seen.append({name: array.copy() for name, array in params.items()})
        return task.gradients(params, *rest)

    end = train_epochs(task._replace(gradients=watched), state).params
    seen.append(end)
    return [{n for n in end if not np.array_equal(a[n], b[n])} for a, b in pairwise(seen)]


def test_alternating_moves_one_branch_at_a_time():
    of_a, of_b = moves("alternating")
    both = of_a & of_b
    assert both == {"latent.classifier.w", "latent.classifier.b"}  # the shared head belongs to both
    for moved, m, other in ((of_a, "a", "b"), (of_b, "b", "a")):
        own = (f"front_{m}.", f"latent.encoder_{m}.", f"latent.decoder_{m}{other}.", "latent.classifier.")
        assert all(name.startswith(own) for name in moved)
        assert all(any(name.startswith(prefix) for name in moved) for prefix in own)


def test_alternating_moves_separate_heads_with_their_branches():
    of_a, of_b = moves("alternating", "separate")
    assert not of_a & of_b
    assert "latent.classifier_a.w" in of_a and "latent.classifier_b.w" in of_b


def test_together_moves_everything_at_once():
    (moved,) = moves("together")
    layers = [
        f"latent.{name}.{layer}" for name in ("encoder_a", "encoder_b", "decoder_ab", "decoder_ba") for layer in "12"
    ]
    layers += ["latent.classifier", "front_a.fc", "front_b.fc"]  # but not the pretrainers' own heads, unseen by eq. 6
    assert moved == {f"{layer}.{p}" for layer in layers for p in "wb"}


@pytest.mark.parametrize(("setting", "trained"), [("separate", False), ("joint", True), ("end-to-end", True)])
def test_which_fronts_are_trained_along(setting, trained):
    data = worlds.features()
    fronts = system.network_of(worlds.config(f"stages={setting}"), data).fronts
    assert list(fronts) == (["a", "b"] if trained else [])


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [("by-modality", ["softmax", "sigmoid"]), ("softmax", ["softmax"] * 2), ("sigmoid", ["sigmoid"] * 2)],
)
def test_the_cross_entropy_of_a_modality(setting, kinds):
    integers = np.array([2, 0])
    assert [stage1.label_kind(setting, labels) for labels in (integers, np.eye(3)[integers])] == kinds


def test_pairs_are_drawn_anew_each_epoch(monkeypatch):
    drawn = []

    def watched(*args):
        drawn.append(pairs_of(*args))
        return drawn[-1]

    monkeypatch.setattr(system, "pairs_of", watched)
    data = worlds.features(multi=True)
    runs.train(worlds.config("stage2.epochs=3"), data)
    first, *epochs = drawn  # the first only counts them
    assert len(epochs) == 3 and {len(pairs) for pairs in epochs} == {len(first)}
    partners = [pairs[np.lexsort(pairs.T[::-1])][:, 1] for pairs in epochs]
    assert not np.array_equal(partners[0], partners[1]) and not np.array_equal(partners[1], partners[2])
    a, b = data.modalities.values()
    for pairs in epochs:
        assert a.labels[pairs[:, 0], b.labels[pairs[:, 1]]].all()


def test_running_statistics_of_a_convolution_pretrainer():
    data = worlds.pictures(12)
    source = sources(data)["a"]._replace(normalise=lambda x: x.astype(np.float32) / 255)
    config = worlds.config("stage1.epochs=1", "stage1.batch_size=12", "stage1.dropout=0")
    rows = np.arange(12)
    task = stage1.stage1_task(config, "stage1.a", source, rows, rows)
    state = new_state(*stage1.init_pretrainer(config, "stage1.a", (64, 64, 3), 3))
    (batch,) = task.batches(0)
    _, grads, statistics = task.gradients(state.params, state.buffers, batch, 0, 0)
    assert statistics.keys() == state.buffers.keys() and not grads.keys() & state.buffers.keys()
    before = {name: array.copy() for name, array in state.buffers.items()}
    after = train_epochs(task, state).buffers
    for name, value in statistics.items():
        np.testing.assert_allclose(after[name], MOMENTUM * before[name] + (1 - MOMENTUM) * value, rtol=1e-5, atol=1e-7)
        assert not np.array_equal(after[name], before[name])


def test_only_images_are_augmented():
    generator = np.random.default_rng(0)
    for data, changes in ((worlds.pictures(12), True), (worlds.features(), False)):
        source = sources(data)["a"]
        (view,) = source.views([12], generator, np)
        assert np.array_equal(source.read(np.arange(12), view), source.read(np.arange(12))) != changes


def test_averaged_views_do_not_depend_on_the_way_up():
    data, config, rows = worlds.pictures(12), worlds.config(), np.arange(12)
    source = sources(data)["a"]._replace(normalise=lambda x: x.astype(np.float32) / 255)
    turned = source._replace(x=np.rot90(source.x, axes=(1, 2))[:, ::-1])
    network = stage1.pretrainer(config, (64, 64, 3))
    weights = stage1.init_pretrainer(config, "stage1.a", (64, 64, 3), 3)

    def features(source, **how):
        return stage1.apply_pretrainer(network, *weights, source, rows, **how).z

    average = features(source, average_views=True)
    np.testing.assert_allclose(average, features(turned, average_views=True), atol=1e-5)
    views = [features(source._replace(x=view(source.x))) for view in symmetries(source.x.shape)]
    np.testing.assert_allclose(average, np.mean(views, axis=0), rtol=1e-4, atol=1e-5)
    assert not np.allclose(features(source), features(turned), atol=1e-3)


def test_dropout_of_stage_1_is_drawn_anew():
    data = worlds.features()
    task = stage1.stage1_task(worlds.config("stage1.dropout=0.2"), "stage1.a", sources(data)["a"], *[np.arange(60)] * 2)
    masks = [np.concatenate([mask for _, _, mask in task.batches(epoch)]) for epoch in (0, 1, 0)]
    np.testing.assert_array_equal(masks[0], masks[2])
    assert not np.array_equal(masks[0], masks[1])
    assert 0.7 < masks[0].mean() < 0.9


def test_dropout_of_stage_2_is_drawn_anew():
    rows = np.arange(60)
    config = worlds.config("latent_dropout=both", "stages=end-to-end", "stage1.dropout=0.2")
    pairs = np.stack([rows, rows], axis=1)
    task, _ = stage2(config, worlds.features(paired=True), lambda epoch: pairs, rows)
    epochs = [list(task.batches(epoch)) for epoch in (0, 1, 0)]
    for name in ("a", "b", "front_a", "front_b"):
        first, second, again = (np.concatenate([keep[name] for _, _, keep in batches]) for batches in epochs)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, second)
        assert abs(first.mean() - (0.8 if name.startswith("front") else 0.5)) < 0.1
    keep = epochs[0][0][2]
    assert not np.array_equal(keep["a"], keep["b"]) and not np.array_equal(keep["front_a"], keep["front_b"])


@pytest.mark.parametrize("labels", [np.array([1, 0]), np.array([[0, 1, 1], [1, 0, 0]])])
def test_classification_scores(labels):
    logits = np.array([[0.0, 5, 1], [3, 9, 1]])
    found = stage1.classification_scores(logits, labels)
    assert found == {"score": pytest.approx(0.75), "top1": 0.5}


def test_samples_without_a_label_are_not_scored():
    logits, labels = np.array([[0.0, 5], [3, 9]]), np.array([[0, 1], [0, 0]])
    assert stage1.classification_scores(logits, labels) == {"score": 1.0, "top1": 1.0}
    assert stage1.classification_scores(logits, 0 * labels) == {"score": 0.0, "top1": 0.0}


def test_validation_survives_queries_without_relevant_items():
    data = worlds.features(multi=True)
    a, b = data.modalities.values()
    labels = a.labels.copy()
    rows = np.arange(5)
    labels[rows] = 0
    data = data._replace(modalities={"a": a._replace(labels=labels), "b": b})
    task, state = stage2(worlds.config(), data, lambda epoch: np.stack([np.arange(10, 20)] * 2, axis=1), rows)
    scores = task.validate(state.params, state.buffers)
    assert scores["score"] == 0.0


@pytest.mark.parametrize("stages", ["separate", "end-to-end"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine", "released"])
def test_the_epoch_is_chosen_by_what_the_run_is_evaluated_with(distance, stages):
    """What validation says of the kept epoch is what `evaluate` says of the validation part afterwards."""
    changes = (f"distance={distance}", f"stages={stages}", "stage2.epochs=4", "stage2.lr=0.05", "validation_share=0.4")
    run = runs.train(worlds.config(*changes, "protocol=recordings"), worlds.features())
    best = max(line["validation"]["score"] for line in run.history if line["stage"] == "stage2")
    there = runs.evaluate(run, "validation", queries="validation")["directions"]
    assert best == pytest.approx(np.mean([there[d]["map"] for d in ("a->b", "b->a")]), abs=1e-6)
    others = {"euclidean", "cosine", "released"} - {distance}
    for run in (run._replace(config=run.config.model_copy(update={"distance": other})) for other in others):
        there = runs.evaluate(run, "validation", queries="validation")["directions"]
        assert best != pytest.approx(np.mean([there[d]["map"] for d in ("a->b", "b->a")]), abs=1e-4)


def test_pairs_that_have_labels_are_validated_by_these():
    changes = ("stage2.epochs=4", "stage2.lr=0.05", "validation_share=0.4")
    run = runs.train(worlds.config(*changes), worlds.features(paired=True))
    best = max(line["validation"]["score"] for line in run.history if line["stage"] == "stage2")
    there = runs.evaluate(run, "validation", queries="validation")["directions"]
    assert best == pytest.approx(np.mean([there[d]["map"] for d in ("a->b", "b->a")]), abs=1e-6)


def test_embeddings_that_are_no_longer_finite_are_the_worst():
    rows = np.arange(12)
    task, state = stage2(worlds.config(), worlds.features(n=12), lambda epoch: np.stack([rows, rows], axis=1), rows)
    assert task.validate(state.params, state.buffers)["score"] > 0
    broken = {n: w * np.nan if n == "encoder_a.1.w" else w for n, w in state.params.items()}
    assert set(task.validate(broken, state.buffers).values()) == {0.0}


@pytest.mark.parametrize(("stage", "setting"), [("stage1.a", "stage1.lr"), ("stage2", "stage2.lr")])
def test_a_run_that_diverges_says_where(stage, setting):
    huge = worlds.config(f"{setting}=1e30", "weights.feature_norm=1")
    says = rf"{re.escape(stage)}, epoch \d.*smaller {re.escape(setting)}"
    with pytest.raises(FloatingPointError, match=says), np.errstate(all="ignore"):
        runs.train(huge, worlds.features())


def test_embeddings_that_the_last_step_made_infinite_are_not_stored():
    made = {}
    run = runs.train(worlds.config("stage1.epochs=1", "stage2.epochs=1"), worlds.features(n=20), made=made)
    params, buffers = system.trained(run, "stage2")
    params["encoder_b.1.b"] = params["encoder_b.1.b"] + np.inf
    says = r"stage2: the embeddings are no longer finite; try a smaller stage2\.lr"
    with pytest.raises(FloatingPointError, match=says), np.errstate(all="ignore"):
        system.make_embeddings(run.config, params, buffers, run.dataset, made | run.tensors, np)


def test_dropped_features_are_input_and_target_and_are_drawn_anew():
    data, rows = worlds.features(paired=True, n=12), np.arange(12)
    config = worlds.config("stage2.feature_dropout=0.25", "stage2.batch_size=12")
    pairs = np.stack([rows, rows], axis=1)
    task, _ = stage2(config, data, lambda epoch: pairs, rows)
    (first, _, _), *_ = task.batches(0)
    (again, _, _), *_ = task.batches(0)
    (later, _, _), *_ = task.batches(1)
    for m, x in enumerate(first):
        assert 0.1 < (x == 0).mean() < 0.4
        whole = data.modalities["ab"[m]].x
        assert np.array_equal(x, again[m]) and not np.array_equal(x == 0, later[m] == 0)
        assert all(any(np.allclose(row[row != 0], own[row != 0] / 0.75, atol=1e-6) for own in whole) for row in x)
