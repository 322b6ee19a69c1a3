"""The photo–sketch system: what it trains, stores and compares, and the identities that say what attention can do."""

import json
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import worlds
from drawn_worlds import OWN, config, data
from PIL import Image

from cmir_ref import runs, search
from cmir_ref.attention import inference as by_sketch
from cmir_ref.attention import system
from cmir_ref.attention.inference import TILE, draw_contexts, embed_photos, in_tiles, pair_distances, variance_shares
from cmir_ref.attention.objective import KINDS_OF_ATTENTION
from cmir_ref.attention.settings import AttentionSettings
from cmir_ref.attention.stage2 import Inputs
from cmir_ref.config import load_config
from cmir_ref.data import digests_of, pairs_of, read_query
from cmir_ref.errors import InputError
from cmir_ref.ranking import items_of, rank
from cmir_ref.records import Items
from cmir_ref.reports.terminal import show_evaluation
from cmir_ref.retrieval import average_precision, distance_of, prepare
from cmir_ref.search import insider
from cmir_ref.training.inputs import Source


@cache
def trained(*changes):
    return runs.train(config(*changes), data())


def seen_by(run, **settings):
    """The same networks, searched in another way."""
    return run._replace(config=run.config.model_copy(update=settings))


def block(run, p, q, part="all"):
    query, gallery = items_of(run, p, part), items_of(run, q, part)
    return run and system.SYSTEM.distances(run, query, gallery)(slice(None))


# ---- settings, stages ----------------------------------------------------------------------------------------------


def test_its_settings_are_cmir_nets_and_its_own():
    assert isinstance(config(), AttentionSettings) and config().loss_weights["alignment"] == 0.5
    with pytest.raises(InputError, match="stages"):
        config("stages=end-to-end")
    with pytest.raises(InputError, match="normalise_features is scale or none where attention is spatial"):
        config("attention=spatial", "normalise_features=standardise")
    with pytest.raises(InputError, match="scenario"):
        load_config("photo-sketch", ["scenario=pan-mul", "image_size=256"])


def test_every_setting_has_its_stages():
    sees = [stage.sees for stage in system.attended_stages(config(), {"a": "image", "b": "sketch"})]
    assert [s.name for s in system.attended_stages(config(), {"a": "image", "b": "sketch"})] == [
        "stage1.a",
        "stage1.b",
        "stage2",
    ]
    assert sees[2] | system.OF_NO_STAGE == {*AttentionSettings.model_fields}
    own = {*OWN} - {*worlds.TINY}
    assert not (sees[0] | sees[1]) & (own | {"distance"}) and {"sketches", "classes", "start_from"} <= sees[0]
    named = config('classes=["runway", "river"]')
    photo, sketch, _ = [stage.sees for stage in system.attended_stages(named, {"a": "image", "b": "sketch"})]
    assert photo == sees[0] - {"sketches"} and sketch == sees[1] and "sketches" in sketch


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("attention", KINDS_OF_ATTENTION),
        ("gate_pairs", ("same-class", "half-any")),
        ("gate_residual", ("true", "false")),
        ("update", ("together", "alternating")),
        ("stage2.feature_dropout", ("0", "0.5")),
    ],
)
def test_every_value_changes_what_is_trained(setting, values):
    found = [trained(f"{setting}={value}").encoded for value in values]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert not np.array_equal(one["a"]["v"], other["a"]["v"])


def test_the_width_of_queries_and_keys_matters_where_they_are():
    one, other = (trained("attention=spatial", f"gate_width={width}") for width in (4, 5))
    assert one.tensors["stage2/params/gate.q"].shape == (128, 4)
    assert not np.array_equal(one.encoded["a"]["v"], other.encoded["a"]["v"])


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
def test_it_is_trained_stored_and_read_back(kind, tmp_path):
    run = runs.train(config(f"attention={kind}"), data(), tmp_path / "run")
    loaded = runs.load_run(tmp_path / "run")
    assert json.dumps(runs.evaluate(loaded)) == json.dumps(runs.evaluate(run))
    assert (tmp_path / "run" / "report.html").exists()
    assert set(run.encoded["a"]) == ({"v", "x"} if kind in system.BY_CONTEXT else {"v"})
    for m in "ab":  # one sample alone gives what is stored of it
        x = data().modalities[m].x[[3]]
        for name, array in system.SYSTEM.encode(loaded, m, x).items():
            np.testing.assert_allclose(array[0], run.encoded[m][name][3], rtol=1e-4, atol=1e-5)


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path):
    run = trained()
    with pytest.raises(worlds.Stop):
        runs.train(config(), data(), tmp_path / "again", watch=worlds.Interrupt("stage2", 1))
    resumed = runs.train(config(), data(), tmp_path / "again", resume=True)
    assert all(np.array_equal(resumed.tensors[name], value) for name, value in run.tensors.items())


# ---- the identities ------------------------------------------------------------------------------------------------


def test_without_attention_stage_2_is_cmir_nets_to_the_bit():
    """Same first weights, batches, masks and gradients: what differs from "none" is the attention alone."""
    from cmir_ref.cmirnet import stage2
    from cmir_ref.cmirnet.system import input_shapes, network_of, stage2_sources

    settings = config("attention=none", "stage2.feature_dropout=0.5")
    made = {}
    run = runs.train(settings, data(), made=made)
    given = {n: a for n, a in (run.tensors | made).items() if not n.startswith("map.")}
    network = network_of(settings, data())
    sources = stage2_sources(settings, data(), given)
    start, _ = stage2.init_stage2(settings, network, input_shapes(settings, data()), 3)
    pairs = np.stack([run.parts.train["a"]] * 2, axis=1) % 24
    theirs = stage2.stage2_task(settings, network, sources, lambda epoch: pairs, len(pairs), run.parts.validation)
    inputs = system.inputs_of_stage2(settings, data(), run.tensors | made)
    ours = system.attended_task(settings, network, inputs, lambda epoch: pairs, len(pairs), run.parts)
    for one, other in zip(ours.batches(1), theirs.batches(1), strict=True):
        loss, grads, _ = theirs.gradients(start, {}, other, 1, 0)
        again, same, _ = ours.gradients(start, {}, one, 1, 0)
        assert again == pytest.approx(loss, rel=1e-6) and same.keys() == grads.keys()
        for name, g in grads.items():
            np.testing.assert_allclose(same[name], g, rtol=1e-4, atol=1e-6)


def test_the_mean_gate_is_cmir_net_with_a_scaled_first_matrix():
    from cmir_ref.cmirnet.latent import encoder
    from cmir_ref.cmirnet.system import trained as weights

    run = trained()
    params, _ = weights(run, "stage2")
    contexts = run.encoded["b"]["context"][run.parts.train["b"]].astype(float)
    a = (1 / (1 + np.exp(-(contexts @ params["gate.w"] + params["gate.b"])))).mean(axis=0)
    scaled = params | {"encoder_a.1.w": (1 + a)[:, None] * params["encoder_a.1.w"]}
    net = system.attended_of(run.config, run.dataset, params, run.tensors, np)
    v, _ = encoder(scaled, "a", run.encoded["a"]["x"].astype(float), arch=net.arch)
    np.testing.assert_allclose(run.encoded["a"]["v"], v, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["channel", "spatial", "mask"])
def test_pairs_by_a_gate_that_says_nothing_are_those_of_the_mean(kind):
    """With W_g = 0 (or no values in the cross-attention) every sketch gates alike."""
    run = trained(f"attention={kind}")
    silent = {n: 0 * w for n, w in run.tensors.items() if n in ("stage2/params/gate.w", "stage2/params/gate.v")}
    run = run._replace(tensors=run.tensors | silent)
    x = {m: data().modalities[m].x for m in "ab"}
    run = run._replace(encoded={m: system.SYSTEM.encode(run, m, x[m]) for m in "ab"})
    for p, q in ("ab", "ba"):
        mean, pair = (block(seen_by(run, attended_inference=how), p, q) for how in ("mean", "pair"))
        assert np.abs(mean.astype(int) - pair).max() <= 20, "up to the rounding of float32"


def in_float64(run):
    """The run with its weights and embeddings in float64."""
    tensors = {n: a.astype(float) if a.dtype == np.float32 else a for n, a in run.tensors.items()}
    encoded = {m: {n: a.astype(float) for n, a in arrays.items()} for m, arrays in run.encoded.items()}
    return run._replace(tensors=tensors, encoded=encoded)


@pytest.mark.parametrize("kind", ["channel", "spatial", "mask"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean", "released"])
def test_pairs_are_what_each_pair_alone_gives(kind, distance, monkeypatch):
    run = seen_by(trained(f"attention={kind}"), attended_inference="pair", distance=distance)
    net = system.attended_of(run.config, run.dataset, system.cmirnet.trained(run, "stage2")[0], run.tensors, np)
    found = {d: block(run, *d) for d in ("ab", "ba")}
    later = system.SYSTEM.distances(run, items_of(run, "a", "all"), items_of(run, "b", "all"))(slice(5, 9))
    np.testing.assert_array_equal(later, found["ab"][5:9])
    v_a, v_b = (run.encoded[m]["v"] for m in "ab")
    in_words = {d: distance_of(prepare(*v, distance), found[d]) for d, v in (("ab", (v_a, v_b)), ("ba", (v_b, v_a)))}
    np.testing.assert_allclose(in_words["ab"], in_words["ba"].T, rtol=1e-5, atol=1e-5)
    for i, j in ((0, 0), (4, 7), (29, 23)):
        v = system.embed_photos(net, run.encoded["a"]["x"][[i]], run.encoded["b"]["context"][[j]])
        p, q = v[0].astype(float), v_b[j].astype(float)
        expected = {"cosine": 1 - p @ q / np.sqrt((p @ p) * (q @ q)), "euclidean": np.sqrt(((p - q) ** 2).sum())}
        if distance in expected:
            assert in_words["ab"][i, j] == pytest.approx(expected[distance], rel=1e-3, abs=1e-5)
    exact = in_float64(run)  # in float32 a product of another size rounds otherwise, on some processors by 500 levels
    whole = block(exact, *"ab").astype(int)
    monkeypatch.setattr("cmir_ref.attention.inference.TILE", 7)
    assert np.abs(block(exact, *"ab") - whole).max() <= 1


def test_every_way_to_attend_ranks_differently():
    found = [
        block(seen_by(trained(), attended_inference=how), "b", "a") for how in ("mean", "pair", "random", "matched")
    ]
    for i, one in enumerate(found):
        assert all(not np.array_equal(one, other) for other in found[:i])


def test_matched_reads_labels_and_the_others_do_not():
    """With the photos' labels in another order only `matched` ranks otherwise: it is told them."""
    run = trained("attention=spatial")
    a = run.dataset.modalities["a"]
    moved = a._replace(labels=(a.labels + 1) % 3)
    other = run._replace(dataset=run.dataset._replace(modalities=run.dataset.modalities | {"a": moved}))
    for how in ("mean", "pair", "random", "matched"):
        same = np.array_equal(*(block(seen_by(r, attended_inference=how), "b", "a") for r in (run, other)))
        assert same == (how != "matched"), how


def copying_run():
    """A cross-attention that copies the sketch, and photos of noise: all that V_a can say is the sketch's class."""
    run, random = trained("attention=spatial"), np.random.default_rng(0)
    labels = run.dataset.modalities["b"].labels
    context = np.zeros((24, 16, 128), np.float32)
    context[np.arange(24), :, labels] = 1
    head = np.tile(np.eye(128, 12, dtype="f4"), (16, 1)) / 16
    given = {"gate.q": 0, "gate.k": 0, "gate.v": 9 * np.eye(128), "encoder_a.1.w": np.eye(12), "encoder_a.1.b": 0}
    given |= {"encoder_a.2.w": np.eye(12, 6), "encoder_a.2.b": 0}
    tensors = {f"stage2/params/{n}": (0 * run.tensors[f"stage2/params/{n}"] + w).astype("f4") for n, w in given.items()}
    tensors |= {"attention/heads/a.1.w": head, "attention/heads/a.1.b": np.zeros(12, "f4")}
    tensors["features.a/std"] = np.ones(12, "f4")
    noise = random.random((30, 16, 128)).astype("f4")
    encoded = {"a": run.encoded["a"] | {"x": noise}, "b": {"v": np.eye(6, dtype="f4")[labels], "context": context}}
    return run._replace(tensors=run.tensors | tensors, encoded=encoded)


def precision_under_true_labels(run, how):
    run = seen_by(run, attended_inference=how)
    query, gallery = items_of(run, "b", "test"), items_of(run, "a", "test")
    true = data().modalities["a"].labels[gallery.rows["a"]]
    relevant = run.dataset.modalities["b"].labels[query.rows["b"]][:, None] == true
    return float(average_precision(system.SYSTEM.distances(run, query, gallery)(slice(None)), relevant).mean())


def test_a_leak_of_the_label_is_worth_all_and_falls_with_false_labels():
    """Of photos that are noise: told their class all are found, told another's none; asked honestly it is chance."""
    run = copying_run()
    a = run.dataset.modalities["a"]
    false = a._replace(labels=(a.labels + 1) % 3)
    lied = run._replace(dataset=run.dataset._replace(modalities=run.dataset.modalities | {"a": false}))
    assert precision_under_true_labels(run, "matched") == 1
    assert precision_under_true_labels(lied, "matched") < 0.4
    assert precision_under_true_labels(run, "pair") < 0.7 and precision_under_true_labels(run, "mean") < 0.7
    assert precision_under_true_labels(run, "pair") == precision_under_true_labels(lied, "pair")


# ---- which sketch --------------------------------------------------------------------------------------------------


def test_matched_never_takes_a_photos_own_sketch():
    world = data(apart=True)
    parts = runs.split_data(config(), world)
    for seed in range(5):
        drawn = draw_contexts("matched", world, parts, seed)
        labels = world.modalities["a"].labels
        some = np.concatenate([parts.train["a"], parts.test["a"]])  # the validation part has one photo of each class
        assert (drawn[some] != some).all() and (labels[drawn[some]] == labels[some]).all()
        assert drawn[-1] == -1 and (drawn[parts.validation["a"]] == -1).all()
        for part in (parts.train, parts.test):
            assert np.isin(drawn[part["a"]], part["b"]).all()
        assert len(np.unique(drawn[parts.train["a"]])) > 6, "each photo has a draw of its own"


def test_random_takes_sketches_of_the_training_part():
    parts = runs.split_data(config(), data())
    drawn = draw_contexts("random", data(), parts, 0)
    assert np.isin(drawn, parts.train["b"]).all() and len(np.unique(drawn)) > 5
    assert (drawn != draw_contexts("random", data(), parts, 1)).any()


def test_no_photo_is_attended_by_what_was_traced_from_it():
    """In training with sketches of any class, and by a sketch that is drawn at random."""
    settings, world = config("gate_pairs=half-any"), data(apart=True)
    parts, own = runs.split_data(settings, world), np.arange(30)
    numbers = Source(np.arange(30, dtype="f4")[:, None], world.modalities["a"].labels, "features", system.as_it_is)
    pairs = pairs_of(world, parts.train, np.random.default_rng(0))
    network = system.cmirnet.network_of(settings, world)
    inputs = Inputs(numbers, numbers, numbers, None)
    task = system.attended_task(settings, network, inputs, lambda _: pairs, len(pairs), parts, np, world.apart)
    attended = [x for epoch in range(30) for x, *_ in task.batches(epoch)]
    assert all((photo != context).all() for photo, _, context in attended)
    labels = world.modalities["a"].labels
    assert any((labels[p.astype(int)] != labels[c.astype(int)]).any() for p, _, c in attended)
    assert all((draw_contexts("random", world, parts, seed)[:-1] != own).all() for seed in range(20))


def numbered_task(settings, world):
    """(task, pairs, parts) of stage 2 on samples that are their own numbers."""
    parts = runs.split_data(settings, world)
    a, b = (
        Source(np.arange(len(m.x), dtype="f4")[:, None], m.labels, "features", system.as_it_is)
        for m in world.modalities.values()
    )
    pairs = pairs_of(world, parts.train, np.random.default_rng(0))
    network = system.cmirnet.network_of(settings, world)
    task = system.attended_task(settings, network, Inputs(a, b, b, None), lambda _: pairs, len(pairs), parts)
    return task, pairs, parts


def test_half_of_the_photos_are_attended_by_any_sketch_of_the_training_part():
    """… drawn evenly, and anew in each epoch; the others by the sketch of their pair."""
    task, pairs, parts = numbered_task(config("gate_pairs=half-any"), data())
    epochs = [np.concatenate([np.hstack(x) for x, *_ in task.batches(epoch)]).astype(int) for epoch in range(40)]
    every, known = np.concatenate(epochs), parts.train["b"]
    assert {tuple(row) for row in every[:, :2].tolist()} == {tuple(row) for row in pairs.tolist()}
    other = every[every[:, 1] != every[:, 2]]
    assert len(other) / len(every) == pytest.approx((1 - 1 / len(known)) / 2, abs=0.05)
    counts = np.bincount(other[:, 2], minlength=len(data().modalities["b"].x))
    assert counts[known].min() > 0.6 * len(other) / len(known) and counts.sum() == counts[known].sum()
    attending = [dict(map(tuple, epoch[:, [0, 2]].tolist())) for epoch in epochs]
    assert all(one != two for one, two in pairwise(attending))
    labels = data().modalities["b"].labels
    for (_, sketch, _), (_, y), _ in task.batches(0):
        assert (y == labels[sketch[:, 0].astype(int)]).all(), "the label is that of the pair's sketch"
    plain, *_ = numbered_task(config("gate_pairs=same-class"), data())
    assert all((sketch == context).all() for (_, sketch, context), *_ in plain.batches(0))


def test_masks_keep_the_shares_that_the_settings_say():
    """Half of the embeddings, and nine in ten of the features."""
    task, *_ = numbered_task(config("latent_dropout=both", "stage2.feature_dropout=0.1"), data())
    masks = [mask for epoch in range(40) for *_, mask in task.batches(epoch)]
    kept = {name: np.concatenate([np.ravel(mask[name]) for mask in masks]).mean() for name in masks[0]}
    assert kept == pytest.approx({"z_a": 0.9, "z_b": 0.9, "a": 0.5, "b": 0.5}, abs=0.03)


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
def test_in_turn_the_attention_moves_with_the_photo_s_branch(kind):
    settings = config(f"attention={kind}", "update=alternating")
    names = system.start_attended(settings, data())[0].keys()
    of_a, of_b = numbered_task(settings, data())[0].alternating
    assert all(name.startswith(of_a) or name.startswith(of_b) for name in names), "each moves in a turn"
    assert not any(name.startswith("gate.") and (name.startswith(of_b) or not name.startswith(of_a)) for name in names)


def test_embeddings_that_are_no_longer_finite_are_the_worst():
    run = trained()
    made, params = dict(run.tensors), system.cmirnet.trained(run, "stage2")[0]
    for m in "ab":
        made |= system.cmirnet.make_features(
            m, run.config, *system.cmirnet.trained(run, f"stage1.{m}"), data(), made, np
        )
    task = system.task_of_attended(run.config, data(), run.parts, made, np)
    found = task.validate(params, {})
    assert found["score"] == pytest.approx((found["a->b"] + found["b->a"]) / 2) and found["score"] > 0
    assert set(task.validate(params | {"gate.b": params["gate.b"] * np.nan}, {}).values()) == {0.0}


def test_a_traced_sketch_never_finds_its_own_photo():
    run = runs.train(config(), data(apart=True))
    query, gallery = items_of(run, "b", "test"), items_of(run, "a", "test")
    from cmir_ref.retrieval.relevant_items import positions

    exclude = positions(query, gallery, run.dataset.apart)
    assert (gallery.rows["a"][exclude] == query.rows["b"][:, None]).all()
    index, _ = rank(run, query, gallery, len(gallery), exclude=exclude)
    assert all(row not in gallery.rows["a"][found] for row, found in zip(query.rows["b"], index, strict=True))


def test_the_epoch_is_chosen_without_a_photos_own_sketch():
    """What validation says of the kept epoch is what `evaluate` says of the validation part afterwards."""
    settings, world = config("attended_inference=mean", "stage2.epochs=3", "validation_share=0.3"), data(60, apart=True)
    run = runs.train(settings, world)
    best = max(h["validation"]["score"] for h in run.history if h["stage"] == "stage2")
    there = runs.evaluate(run, "validation", queries="validation")["directions"]
    assert best == pytest.approx(np.mean([there[d]["map"] for d in ("a->b", "b->a")]), abs=1e-6)
    free = runs.evaluate(run._replace(dataset=run.dataset._replace(apart=None)), "validation", queries="validation")
    assert best != pytest.approx(np.mean([free["directions"][d]["map"] for d in ("a->b", "b->a")]), abs=1e-3)


def test_features_of_one_length_are_so_in_training_and_afterwards():
    """What stage 2 is trained on and what is stored for pairs: a mean square of 1 for each sample."""
    settings, world = config("normalise_features=unit"), data()
    run = runs.train(settings, world)
    made = dict(run.tensors)
    for m in "ab":
        networks = system.cmirnet.trained(run, f"stage1.{m}")
        made |= system.cmirnet.make_features(m, settings, *networks, world, run.tensors, np)
    for m, source in system.cmirnet.stage2_sources(settings, world, made).items():
        read, alive = source.read(np.arange(len(source.x))), source.x.any(axis=1)
        np.testing.assert_allclose((read[alive] ** 2).mean(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(system.inputs_of(m, settings, world, made), read)


def test_what_cannot_be_paired_is_refused_before_anything_is_trained(tmp_path):
    """One photo of a class to learn from, and no sketch of that class but its own."""
    with pytest.raises(InputError, match="no partner of its class but the one that was made of it"):
        runs.train(config("test_share=0.4", "validation_share=0.3"), data(9, apart=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("gallery", "refused"), [("test", False), ("train", False), ("all", True)])
def test_what_cannot_be_matched_is_refused_before_anything_is_trained(gallery, refused, tmp_path):
    """The validation part has one photo of each class, and no sketch of that class but its own."""
    settings = config("attended_inference=matched", f"gallery={gallery}", "stage1.epochs=1", "stage2.epochs=1")
    if not refused:
        runs.train(settings, data(apart=True), tmp_path / "run")
        return
    with pytest.raises(InputError, match="one in a part may have no other sketch of its class"):
        runs.train(settings, data(apart=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    runs.share_out(settings.model_copy(update={"attention": "self"}), data(apart=True))  # no sketch attends there


@pytest.mark.parametrize("gallery", ["test", "train"])
def test_only_photos_that_are_searched_need_a_matched_sketch(gallery):
    """Here the training part has one photo, and no sketch but its own."""
    settings, world = config("attended_inference=matched", f"gallery={gallery}"), data(apart=True)
    parts = runs.split_data(settings, world)
    parts = parts._replace(train={m: rows[:1] for m, rows in parts.train.items()})
    if gallery == "test":
        system.check_sketches(settings, world, parts, None)
    else:
        with pytest.raises(InputError, match="no other sketch of its class"):
            system.check_sketches(settings, world, parts, None)


def test_a_photo_from_outside_has_no_matched_sketch():
    run = seen_by(trained(), attended_inference="matched")
    one = Items({"a": np.array([-1])}, {"a": {name: array[:1] for name, array in run.encoded["a"].items()}})
    with pytest.raises(InputError, match=r"matched: a photo from outside has no class, .*search with mean or pair"):
        system.SYSTEM.distances(run, one, items_of(run, "b", "test"))
    for how in ("mean", "pair", "random"):
        assert system.SYSTEM.distances(seen_by(run, attended_inference=how), one, items_of(run, "b", "test"))(
            slice(1)
        ).any()


def test_a_label_leak_is_always_called_one(capsys):
    result = runs.evaluate(seen_by(trained(), attended_inference="matched"))
    assert result["attended_inference"] == "matched (label leak)"
    show_evaluation(result)
    assert "warning: label leak" in capsys.readouterr().out
    show_evaluation(runs.evaluate(trained()))
    assert "leak" not in capsys.readouterr().out
    honest = system.attended_facts(seen_by(trained("attention=self"), attended_inference="matched"))
    assert "warnings" not in honest and honest["attended_inference"] == "matched", "no sketch attends there"


@pytest.mark.parametrize("kind", ["none", "self"])
def test_where_no_sketch_attends_all_ways_to_search_are_one(kind):
    ways = [seen_by(trained(f"attention={kind}"), attended_inference=how) for how in ("mean", "pair", "matched")]
    mean, *others = (block(run, "b", "a") for run in ways)
    assert all(np.array_equal(mean, other) for other in others)


# ---- searching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["mean", "pair", "random"])
def test_a_file_finds_photos_and_a_folder_is_evaluated(how, tmp_path):
    from PIL import Image

    run = seen_by(trained(), attended_inference=how)
    for c in range(3):
        (tmp_path / f"Class {c}").mkdir()
        sheet = data().modalities["b"].x[c, ..., 0]
        Image.fromarray(255 - sheet).save(tmp_path / f"Class {c}" / "x.png")
    file = tmp_path / "Class 0" / "x.png"
    assert search.guess_modality(run, file) == "b"
    hits = search.retrieve(run, file, to="a", k=4)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4] and {hit.modality for hit in hits} == {"a"}
    result = search.evaluate_folder(run, tmp_path)
    assert list(result["directions"]) == ["b->a", "a->b"] and result["directions"]["b->a"]["queries"] == 3
    as_photos = search.evaluate_folder(run, tmp_path, modality="a")["directions"]
    assert list(as_photos) == ["a->b", "b->a"] and as_photos["a->b"]["queries"] == 3
    with pytest.raises(InputError, match="matched: a photo from outside has no class"):
        search.evaluate_folder(seen_by(run, attended_inference="matched"), tmp_path, modality="a")
    query, _ = search.encode_query(run, file, "b")
    gallery = items_of(run, "a", "test")
    index, _ = rank(run, Items({"b": np.array([-1])}, {"b": query}), gallery, 4)
    assert [hit.id for hit in hits] == [run.dataset.modalities["a"].ids[gallery.rows["a"][i]] for i in index[0]]
    (tmp_path / "Class 0" / "Thumbs.db").write_bytes(b"?")
    (tmp_path / "Class 0" / "a notes.txt").write_bytes(b"?")
    assert "3 queries of" in search.evaluate_folder(run, tmp_path)["data"]
    assert search.evaluate_folder(run, tmp_path)["data"].endswith("; 1 file passed over as no queries")
    named = run._replace(dataset=run.dataset._replace(label_names=("class1.0", "class 0", "Class 1")))
    with pytest.raises(InputError, match="Class 2: no label of this run"):
        search.labelled_files(named, tmp_path)
    alike = run._replace(dataset=run.dataset._replace(label_names=("class 2", "class_0", "CLASS 0", "Class 1")))
    with pytest.raises(InputError, match=r"Class 0: class_0 or CLASS 0\? name it as one of these"):
        search.labelled_files(alike, tmp_path)
    exact = run._replace(dataset=run.dataset._replace(label_names=("class 2", "Class 0", "CLASS 0", "Class 1")))
    assert [label for label, _ in search.labelled_files(exact, tmp_path)[0]] == [1, 3, 0]
    (tmp_path / "castle").mkdir()
    with pytest.raises(InputError, match="castle: no label of this run; it has class0, class1, class2"):
        search.evaluate_folder(run, tmp_path)


@pytest.mark.parametrize("how", ["random", "matched"])
def test_a_photo_of_the_run_is_attended_by_the_sketch_that_was_drawn_for_it(how, tmp_path, monkeypatch):
    """As a file it finds what `evaluate` ranks: the same items at the same distances."""
    run = seen_by(copying_run(), attended_inference=how)
    photos, sketches, file = items_of(run, "a", "test"), items_of(run, "b", "test"), tmp_path / "photo.png"
    (index, distances), read = rank(run, photos, sketches, 99), search.read_and_encode
    for k, row in enumerate(photos.rows["a"]):
        Image.fromarray(data().modalities["a"].x[row]).save(file)
        stored = {name: array[[row]] for name, array in run.encoded["a"].items()}  # the networks' last digits aside
        monkeypatch.setattr(search, "read_and_encode", lambda *a, stored=stored: (stored, *read(*a)[1:]))
        hits = search.retrieve(run, file, "b", 99, modality="a")
        assert [hit.distance for hit in hits] == pytest.approx(distances[k], abs=1e-6)
        assert [hit.id for hit in hits] == [run.dataset.modalities["b"].ids[sketches.rows["b"][i]] for i in index[k]]


@pytest.mark.parametrize("how", ["mean", "random"])
def test_a_folder_of_the_run_s_photos_gives_the_figures_of_the_run(how, tmp_path):
    """None finds the sketch that was traced from it, and each is attended as in the run."""
    world = data(apart=True)
    run = seen_by(runs.train(config(), world), attended_inference=how)
    photos = world.modalities["a"]
    for label, x, name in zip(photos.labels, photos.x, photos.ids, strict=True):
        (tmp_path / world.label_names[label]).mkdir(exist_ok=True)
        Image.fromarray(x).save(tmp_path / world.label_names[label] / f"{name}.png")
    found = search.evaluate_folder(run, tmp_path, modality="a", gallery="all")
    for direction in ("a->b", "b->a"):
        expected = runs.evaluate_run_direction(run, direction, "all", "all", np)
        assert found["directions"][direction]["map"] == pytest.approx(expected["map"], rel=1e-6)
    assert f"{len(run.parts.train['a'])} of {len(photos.ids)} queries hold the same" in found["warnings"][-1]


def test_tiles_are_put_together_in_order():
    x = np.arange(3 * TILE + 1)
    np.testing.assert_array_equal(in_tiles(lambda rows: x[rows], len(x)), x)


def test_pairs_are_scored_in_bounded_memory():
    import tracemalloc

    run = seen_by(trained(), attended_inference="pair")
    many = {n: np.repeat(a[:1], 20_000, axis=0) for n, a in run.encoded["a"].items()}
    gallery = Items({"a": np.full(20_000, -1)}, {"a": many})
    net = system.attended_of(run.config, run.dataset, system.cmirnet.trained(run, "stage2")[0], run.tensors, np)
    of = pair_distances(net, items_of(run, "b", "test"), gallery, run.config.distance)
    tracemalloc.start()
    of(slice(0, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 3 * 20_000 * 8 + 20 * 2**20


def test_by_pairs_a_search_gives_distances_of_embeddings():
    run = seen_by(trained(), attended_inference="pair")
    net = system.attended_of(run.config, run.dataset, system.cmirnet.trained(run, "stage2")[0], run.tensors, np)
    sketches, photos = items_of(run, "b", "test"), items_of(run, "a", "all")
    for distance in ("euclidean", "cosine"):
        index, found = rank(seen_by(run, distance=distance), sketches, photos, 3)
        own = sketches.encoded["b"]
        for i, rows in enumerate(index):
            v = embed_photos(net, photos.encoded["a"]["x"][rows], own["context"][i : i + 1]).astype(float)
            w = own["v"][i].astype(float)
            wanted = np.linalg.norm(v - w, axis=1)
            if distance == "cosine":
                wanted = 1 - v @ w / np.linalg.norm(v, axis=1) / np.linalg.norm(w)
            np.testing.assert_allclose(found[i], wanted, rtol=1e-3, atol=1e-4)


# ---- pictures


@pytest.fixture
def with_files(tmp_path):
    """`data()` with a file for every photo and sketch."""
    from PIL import Image

    modalities = {}
    for m, modality in data().modalities.items():
        paths = []
        for name, x in zip(modality.ids, modality.x, strict=True):
            paths.append(str(tmp_path / f"{m}-{name}.png"))
            Image.fromarray(255 - x[..., 0] if m == "b" else x).save(paths[-1])
        modalities[m] = modality._replace(paths=tuple(paths))
    return data()._replace(modalities=modalities)


@pytest.mark.parametrize("kind", ["channel", "spatial"])
def test_the_report_shows_where_the_evidence_lies(kind, with_files, tmp_path):
    run = runs.train(config(f"attention={kind}"), with_files, tmp_path / "run")
    shown = system.heat_maps(run)
    assert [m for m, _, _ in shown] == ["a"] * 3 + ["b"] * 3
    for m, row, cam in shown:
        assert row in run.parts.test[m] and cam.shape == (4, 4) and 0 <= cam.min() <= cam.max() <= 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("Grad-CAM for its own class") == 6 and "a reconstruction" in page
    assert system.heat_maps(trained()) == [], "without files there is nothing to show"


@pytest.mark.parametrize(
    "changes",
    [
        *((f"attention={kind}", "normalise_features=scale") for kind in KINDS_OF_ATTENTION),
        ("normalise_features=standardise",),
        ("normalise_features=unit",),
    ],
)
def test_the_evidence_is_that_of_the_network_which_embeds(changes, with_files, monkeypatch):
    """The classes whose evidence is shown have the logits of what the run stores of these samples."""
    from cmir_ref.attention import grad_cam

    logits, of_maps = [], grad_cam.class_scores

    def class_scores(*arguments, **settings):
        logits.append(of_maps(*arguments, **settings)[0])
        return of_maps(*arguments, **settings)

    monkeypatch.setattr(grad_cam, "class_scores", class_scores)
    run = trained("stage1.epochs=1", "stage2.epochs=6", *changes)
    run = run._replace(dataset=with_files)
    shown, params = system.heat_maps(run), system.cmirnet.trained(run, "stage2")[0]
    for m, found in zip("ab", logits, strict=True):
        stored = run.encoded[m]["v"][[row for letter, row, _ in shown if letter == m]]
        expected = stored @ params["classifier.w"] + params["classifier.b"]
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_each_picture_is_of_its_samples_own_class_pixel_by_pixel(with_files, monkeypatch):
    """At most so many of each modality, of files that are there, and where the classes have one classifier."""
    asked = []

    def ramp(params, maps, factor, classes, **_):
        asked.extend(classes.tolist())
        return np.tile(np.arange(maps.shape[1]), (len(maps), 1))

    monkeypatch.setattr(system, "cam_of_class", ramp)
    run = trained()._replace(dataset=with_files)
    shown = system.heat_maps(run)
    assert asked == [with_files.modalities[m].labels[row] for m, row, _ in shown] == [0, 1, 2] * 2
    assert all(np.array_equal(cam, np.arange(16).reshape(4, 4)) for *_, cam in shown)
    Path(with_files.modalities["a"].paths[shown[0][1]]).unlink()
    assert [(m, row) for m, row, _ in system.heat_maps(run)] == [(m, row) for m, row, _ in shown[1:]]
    monkeypatch.setattr(system, "SHOWN", 1)
    assert [m for m, *_ in system.heat_maps(run)] == ["a", "b"]
    assert not system.heat_maps(seen_by(run, classifier="separate"))


def test_the_evidence_is_of_the_sketches_whose_mean_attends(monkeypatch):
    given, run = {}, trained("attention=spatial")
    monkeypatch.setattr(system, "cam_of_class", lambda *_, **settings: given.update(settings))
    monkeypatch.setattr(by_sketch, "CONTEXTS", 3)
    system.cams_of(run, "a", None, None)
    of_the_part = run.encoded["b"]["context"][run.tensors["attention/sketches"]]
    assert len(given["contexts"]) == 3
    np.testing.assert_array_equal(given["contexts"], by_sketch.spread_contexts(of_the_part))


# ---- whose variance ------------------------------------------------------------------------------------------------


def test_shares_of_the_variance_by_hand():
    photo, sketch = np.array([[-3.0], [3.0]])[:, None], np.array([[-1.0], [1.0]])[None]
    assert variance_shares(photo + 0 * sketch) == (1, 0, 0)
    assert variance_shares(0 * photo + sketch) == (0, 1, 0)
    assert variance_shares(photo * sketch) == (0, 0, 1)
    assert variance_shares(photo + sketch) == pytest.approx((0.9, 0.1, 0))
    assert variance_shares(np.ones((2, 3, 4))) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["channel", "spatial", "mask"])
def test_shares_add_up(kind):
    shares = system.shares_of(trained(f"attention={kind}"))
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) >= 0
    assert system.shares_of(trained("attention=none")) is None


def test_shares_are_of_the_test_part():
    """Which has fewer photos and sketches than are looked at, so that all of them are."""
    run = trained()
    net = system.attended_of(run.config, run.dataset, system.cmirnet.trained(run, "stage2")[0], run.tensors, np)
    x, contexts = run.encoded["a"]["x"][run.parts.test["a"]], run.encoded["b"]["context"][run.parts.test["b"]]
    assert max(len(x), len(contexts)) <= system.LOOKED_AT
    v = np.stack([embed_photos(net, np.repeat(photo[None], len(contexts), axis=0), contexts) for photo in x])
    assert tuple(system.shares_of(run).values()) == pytest.approx(variance_shares(v), abs=1e-5)


@pytest.mark.parametrize("training", ["frozen", "last", "all"])
def test_photos_and_sketches_may_go_through_imagenet_s_network(tmp_path, monkeypatch, training):
    """One of them alone gives what is stored of it. Forms that read maps are refused."""
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path / "cache"))
    run = runs.train(config("trunk=lite0", "trunk_size=32", f"trunk_training={training}"), data(), tmp_path / "run")
    assert {run.tensors[f"stage1.{m}/params/fc.w"].shape[0] for m in "ab"} == {1280}
    loaded = runs.load_run(tmp_path / "run")
    for m in "ab":
        for name, array in system.SYSTEM.encode(loaded, m, data().modalities[m].x[[3]]).items():
            np.testing.assert_allclose(array[0], run.encoded[m][name][3], rtol=1e-4, atol=1e-5)
    assert not list(system.heat_maps(loaded))
    with pytest.raises(InputError, match="trunk is conv where attention is spatial"):
        config("attention=spatial", "normalise_features=scale", "trunk=lite0")


# ---- which gate acted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", ["true", "false"])
def test_the_channel_gate_of_a_pair_is_its_sketchs_and_else_the_mean(residual):
    run = trained(f"gate_residual={residual}")
    params, _ = system.cmirnet.trained(run, "stage2")
    sketch, photo = insider(run, "b", 3), insider(run, "a", 5)

    def factor(rows):
        u = run.encoded["b"]["context"][rows] @ params["gate.w"] + params["gate.b"]
        return (residual == "true") + (1 / (1 + np.exp(-u))).mean(axis=0)

    mean, own = factor(run.tensors["attention/sketches"]), factor([3])
    for pair, inference, expected in (
        ((sketch, photo), "pair", own), ((photo, sketch), "pair", own), ((photo, photo), "pair", mean),
        ((sketch, photo), "mean", mean),
    ):  # fmt: skip
        gate = system.SYSTEM.gate(seen_by(run, attended_inference=inference), *pair)
        np.testing.assert_allclose(gate.values, expected, rtol=1e-4)
        assert ("this sketch" in gate.title) == (expected is own)
    for how in ("random", "matched"):
        assert system.SYSTEM.gate(seen_by(run, attended_inference=how), sketch, photo) is None


def test_the_mask_of_a_pair_is_a_map_and_other_forms_have_no_gate():
    run = trained("attention=mask")
    params, _ = system.cmirnet.trained(run, "stage2")
    gate = system.SYSTEM.gate(seen_by(run, attended_inference="pair"), insider(run, "a", 1), insider(run, "b", 2))
    u = run.encoded["b"]["context"][2] @ params["gate.w"] + params["gate.b"]
    np.testing.assert_allclose(gate.values.ravel(), (1 / (1 + np.exp(-u)))[:, 0], rtol=1e-4)
    assert gate.values.shape[0] == gate.values.shape[1]
    for kind in ("none", "self", "spatial"):
        run = trained(f"attention={kind}")
        assert system.SYSTEM.gate(run, insider(run, "a", 1), insider(run, "b", 2)) is None


@pytest.mark.parametrize("form", ["spatial", "mask"])
@pytest.mark.parametrize("count", [1, 20, 32, 33, 63, 95, 127, 882])
def test_the_mean_attention_is_that_of_sketches_from_the_whole_part(form, count, monkeypatch):
    """They stand class behind class: the first 32 of 63 would be those of half the classes."""
    asked = []

    def attend(params, x, none, context, **_):
        asked.append(int(context[0, 0]))
        return ((x,),)

    monkeypatch.setattr(by_sketch, "attend", attend)
    monkeypatch.setattr(by_sketch, "encoder", lambda params, m, z, arch: (z, None))
    net = SimpleNamespace(form=SimpleNamespace(kind=form), params={}, heads={}, arch=None)
    x = np.ones((5, 1))
    np.testing.assert_allclose(by_sketch.embed_by_mean(net, x, np.arange(count)[:, None]), x)
    assert len(asked) == len(set(asked)) == min(count, 32)
    assert max(np.diff([*asked, count])) <= -(-count // 32) and asked[0] == 0


def test_a_photo_of_the_run_is_no_sketch(tmp_path, monkeypatch):
    """However much bare ground it has."""
    finished = trained()
    monkeypatch.setattr(search, "is_drawing", lambda path: True)
    path = str((tmp_path / "own.png").resolve())
    photos = finished.dataset.modalities["a"]
    known = finished.dataset.modalities | {"a": photos._replace(paths=(path, *photos.ids[1:]))}
    run = finished._replace(dataset=finished.dataset._replace(modalities=known))
    assert search.guess_modality(run, path) == "a" and search.guess_modality(run, tmp_path / "new.png") == "b"


@pytest.mark.parametrize("m", ["a", "b"])
def test_a_copy_of_a_sample_is_read_as_that_sample_is(tmp_path, monkeypatch, m):
    """Whatever a picture of that kind would be taken for."""
    finished = trained()
    monkeypatch.setattr(search, "is_drawing", lambda path: m == "a")
    side, copy = finished.dataset.modalities[m].x.shape[1], tmp_path / "copy.png"
    image = np.full((side, side, 3), 255, np.uint8)
    image[4:9, 2:-2] = 0
    Image.fromarray(image).save(copy)
    known = finished.dataset.modalities[m]
    digests = digests_of(read_query(known, copy)[0]).repeat(len(known.ids))
    known = finished.dataset.modalities | {m: known._replace(digests=digests)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = finished._replace(dataset=finished.dataset._replace(modalities=known))
        assert search.guess_modality(run, copy) == m != search.guess_modality(finished, copy)
