"""Stage 2 for any number of modalities on tiny features: for two it is stage 2 itself, for three all meet."""

import numpy as np
import pytest
import worlds

from cmir_ref.cmirnet.many_training import embed_many, init_many_network, many_network, many_task
from cmir_ref.cmirnet.stage2 import embed, init_stage2, latent_settings, stage2_task
from cmir_ref.errors import InputError
from cmir_ref.retrieval import evaluate_direction
from cmir_ref.training.inputs import Source
from cmir_ref.training.loop import new_state, train_epochs

ROWS = np.arange(60)


def senses(count=3, n=60, classes=4):
    """(features, labels) of n places, seen by senses of different widths."""
    random = np.random.default_rng(2)
    y = np.arange(n) % classes
    widths = (10, 8, 6)[:count]
    z = [2 * random.standard_normal((classes, d))[y] + random.standard_normal((n, d)) for d in widths]
    return tuple(z_m.astype(np.float32) for z_m in z), y


def built(config, z, y, train=ROWS, validation=ROWS):
    network = many_network(config, y)
    start = init_many_network(config, network, tuple(z_m.shape[1] for z_m in z), int(y.max()) + 1)
    return network, many_task(config, network, z, y, train, validation), new_state(*start)


def trained(config, z, y, **rows):
    """(network, the last state, each epoch's report)."""
    network, task, state = built(config, z, y, **rows)
    lines = []
    return network, train_epochs(task, state, on_epoch=lambda _, epoch: lines.append(epoch)), lines


@pytest.mark.parametrize(
    "changes",
    [
        ("stage2.weight_decay=0.01", "stage2.feature_dropout=0.3"),
        ("seed=3", "bias_init=xavier", "distance=cosine", "weights.contrastive=0.5", "temperature=0.3"),
    ],
    ids=" ".join,
)
def test_for_two_it_takes_the_steps_of_stage_2(changes):
    config, (z, y) = worlds.config("latent_dropout=none", *changes), senses(2)
    network, ours, lines = trained(config, z, y)
    sources = {m: Source(z_m, y, "features", lambda x: x) for m, z_m in zip("ab", z, strict=True)}
    shapes = {m: source.x.shape[1:] for m, source in sources.items()}
    two = latent_settings(config, shapes, dict.fromkeys("ab", y))
    pairs = np.stack([ROWS, ROWS], axis=1)
    task = stage2_task(config, two, sources, lambda epoch: pairs, len(pairs), dict.fromkeys("ab", ROWS))
    theirs_lines = []
    state = new_state(*init_stage2(config, two, shapes, 4))
    theirs = train_epochs(task, state, on_epoch=lambda _, epoch: theirs_lines.append(epoch))
    assert ours.params.keys() == theirs.params.keys()
    for name, value in theirs.params.items():
        np.testing.assert_array_equal(ours.params[name], value)
    assert [line.parts for line in lines] == [line.parts for line in theirs_lines]
    assert [line.validation for line in lines] == [line.validation for line in theirs_lines]
    v = embed_many(network, ours.params, z)
    for v_m, (m, source) in zip(v, sources.items(), strict=True):
        np.testing.assert_array_equal(v_m, embed(two, theirs.params, {}, m, source, ROWS))


def test_three_learn_to_find_each_other():
    config, (z, y) = (
        worlds.config("stage2.epochs=40", "stage2.lr=0.02", "weights.alignment=0.1", "weights.feature_norm=0"),
        senses(n=120),
    )
    train, held_out = np.split(np.arange(120), [80])
    network, state, lines = trained(config, z, y, train=train, validation=held_out)
    assert lines[-1].parts["loss"] < 0.6 * lines[0].parts["loss"]
    v = embed_many(network, state.params, tuple(z_m[held_out] for z_m in z))
    own, found = y[held_out], lines[-1].validation
    for p, q, i, j in (("a", "b", 0, 1), ("b", "c", 1, 2), ("c", "a", 2, 0), ("c", "b", 2, 1)):
        direction = evaluate_direction(v[i], own, v[j], own)
        assert found[f"{p}->{q}"] == direction["map"] > direction["chance"] + 0.3
    assert found["score"] == pytest.approx(np.mean([value for name, value in found.items() if name != "score"]))
    assert len(found) == 7


def test_rows_stay_together_and_come_once_an_epoch():
    z, y = senses()
    marked = tuple(np.repeat(ROWS[:, None].astype(np.float32), z_m.shape[1], axis=1) for z_m in z)
    _, task, _ = built(worlds.config("stage2.batch_size=7"), marked, y, train=ROWS[10:])
    seen, sizes = [], []
    for features, labels, masks in task.batches(3):
        places = features[0][:, 0].astype(int)
        assert all((z_m == places[:, None]).all() for z_m in features)
        np.testing.assert_array_equal(labels, y[places])
        assert {m: mask.shape for m, mask in masks.items()} == dict.fromkeys("abc", (len(places), 6))
        seen += places.tolist()
        sizes.append(len(places))
    assert len(set(seen)) == len(seen) == sum(sizes) and set(seen) <= set(ROWS[10:].tolist())
    assert len(sizes) == task.steps_per_epoch and len(seen) >= 49


def test_dropout_is_drawn_anew_for_each_modality_and_epoch():
    z, y = senses()
    _, task, _ = built(worlds.config(), z, y)
    masks = [[keep for *_, keep in task.batches(epoch)] for epoch in (0, 1, 0)]
    for m in "abc":
        first, second, again = (np.concatenate([keep[m] for keep in epoch]) for epoch in masks)
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, second) and abs(first.mean() - 0.5) < 0.1
    assert not np.array_equal(masks[0][0]["a"], masks[0][0]["b"])
    assert not np.array_equal(masks[0][0]["b"], masks[0][0]["c"])


def test_dropout_changes_what_is_learned():
    z, y = senses()
    ends = [trained(worlds.config(f"latent_dropout={which}"), z, y)[1].params.flat for which in ("none", "both", "a")]
    assert len({end.tobytes() for end in ends}) == 3


def test_weights_that_are_not_finite_score_nothing():
    z, y = senses()
    _, task, state = built(worlds.config(), z, y)
    broken = dict(state.params) | {"encoder_c.1.b": np.full_like(state.params["encoder_c.1.b"], np.inf)}
    with np.errstate(all="ignore"):
        assert set(task.validate(broken, {}).values()) == {0.0}
        with pytest.raises(FloatingPointError, match=r"stage2, epoch 1.*smaller stage2\.lr"):
            train_epochs(task, new_state(broken, {}))


@pytest.mark.parametrize("setting", ["classifier=separate", "stages=end-to-end", "update=alternating"])
def test_settings_for_two_alone_are_refused(setting):
    name, _, value = setting.partition("=")
    with pytest.raises(InputError, match=f"{name} {value}.*{name} has to be"):
        many_network(worlds.config(setting), np.arange(4))
