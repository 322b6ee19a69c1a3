"""Mix-up and label smoothing: labels that are less sure, and what the losses make of them."""

import math
from functools import partial

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from strict.standin import xp as strict

from cmir_ref import runs
from cmir_ref.amfmn.system import init_labels, labels_task
from cmir_ref.backend import to_host
from cmir_ref.cmirnet import stage1
from cmir_ref.cmirnet.stage1 import stage1_task
from cmir_ref.config import SoftLabels, load_config
from cmir_ref.data import split_data
from cmir_ref.errors import InputError
from cmir_ref.gradcheck import check_gradient
from cmir_ref.ops.cross_entropy import cross_entropy, cross_entropy_backward
from cmir_ref.training.inputs import Source
from cmir_ref.training.soft_labels import draw_mixes, mix_rows, soft_labels
from cmir_ref.training.transfer import Sent

KINDS = pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
WHOLE, SEVERAL = np.array([2, 0, 1, 2]), np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]])


def soft(epsilon=0.0, m=0.0):
    return SoftLabels(label_smoothing=epsilon, mix_up=m)


def smooth(rows, kind, epsilon):
    """Entry by entry; of a softmax each row first by its sum."""
    out = np.zeros(np.shape(rows))
    for n, row in enumerate(rows):
        for k, y in enumerate(row):
            if kind == "sigmoid":
                out[n, k] = y * (1 - epsilon) + epsilon / 2
            elif sum(row):
                out[n, k] = y / sum(row) * (1 - epsilon) + epsilon / len(row)
    return out


# ---- the labels -----------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("labels", [WHOLE, SEVERAL], ids=["whole", "several"])
def test_labels_stay_what_they_are_without_either(kind, labels):
    assert soft_labels(labels, 3, kind, soft()) is labels


@KINDS
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("labels", [WHOLE, SEVERAL, SEVERAL.astype(bool), SEVERAL.astype("uint8"), WHOLE.astype("u1")])
def test_smoothed_labels_by_their_formula(kind, epsilon, labels):
    rows = np.eye(3)[labels] if labels.ndim == 1 else labels.astype(int)
    y = soft_labels(labels, 3, kind, soft(epsilon, 1.0))
    np.testing.assert_allclose(y, smooth(rows, kind, epsilon), rtol=1e-6, atol=1e-7)
    assert y.dtype == np.float32
    there = soft_labels(strict.asarray(labels), 3, kind, soft(epsilon, 1.0))
    np.testing.assert_array_equal(to_host(there), y)


def test_classes_that_nobody_has_get_their_share():
    np.testing.assert_allclose(soft_labels(np.array([0]), 5, "softmax", soft(0.5)), [[0.6, 0.1, 0.1, 0.1, 0.1]])


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 5), st.sampled_from(["softmax", "sigmoid"]))
def test_smoothed_labels_mixed_are_mixed_labels_smoothed(seed, n, k, kind):
    rng = np.random.default_rng(seed)
    labels, epsilon = (rng.random((n, k)) < 0.6).astype(int), rng.random()
    mix = next(draw_mixes([n], 0.5, rng, np))
    smoothed_first = mix_rows(soft_labels(labels, k, kind, soft(epsilon, 1.0)), mix)
    mixed = mix_rows(soft_labels(labels, k, kind, soft(0.0, 1.0)), mix)
    even = mixed.sum(axis=1, keepdims=True) / k if kind == "softmax" else 0.5
    np.testing.assert_allclose(smoothed_first, (1 - epsilon) * mixed + epsilon * even, atol=1e-6)
    assert (smoothed_first >= 0).all() and (smoothed_first <= 1).all(), "else the losses refuse them"


def test_each_sample_is_mixed_with_its_partner():
    x, rng = np.random.default_rng(0).normal(size=(6, 4, 3, 2)).astype("f4"), np.random.default_rng(1)
    mix = next(draw_mixes([6], 1.0, rng, np))
    for given_x in (x, x[:, 0, 0], x[:, :, 0]):
        out = mix_rows(given_x, mix)
        for k, (partner, share) in enumerate(mix.there):
            np.testing.assert_allclose(out[k], share * given_x[k] + (1 - share) * given_x[int(partner)], atol=1e-6)
        assert out.dtype == np.float32
    assert mix_rows(x, None) is x
    np.testing.assert_array_equal(mix_rows(x, Sent(None, np.float32([[k, 0.3] for k in range(6)]))), x)


def test_partners_are_a_permutation_and_shares_are_of_beta():
    mixes = list(draw_mixes([50] * 400, 0.4, np.random.default_rng(0), np))
    partners, share = np.stack([mix.there[:, 0] for mix in mixes]), np.concatenate([m.there[:, 1] for m in mixes])
    assert (np.sort(partners, axis=1) == np.arange(50)).all() and len(np.unique(partners[:, 0])) == 50
    assert len(np.unique(share)) > 15_000, "each sample has its own"
    assert share.mean() == pytest.approx(0.5, abs=0.01) and share.var() == pytest.approx(0.25 / 1.8, rel=0.03)
    assert list(draw_mixes([3, 4], 0.0, np.random.default_rng(0), np)) == [None, None]
    for m in (1e-300, 1e300):
        assert np.isfinite(next(draw_mixes([50], m, np.random.default_rng(0), np)).there).all()


# ---- the losses -----------------------------------------------------------------------------------------------------


def naive(u, y, kind):
    """The mean of both cross entropies, number by number."""
    losses = []
    for logits, row in zip(u.tolist(), y.tolist(), strict=True):
        p = [math.exp(v) for v in logits]
        if kind == "softmax":
            losses.append(-sum(t * math.log(q / sum(p)) for t, q in zip(row, p, strict=True)))
        else:
            losses += [-t * math.log(q / (1 + q)) + (1 - t) * math.log(1 + q) for t, q in zip(row, p, strict=True)]
    return sum(losses) / len(losses)


@KINDS
def test_a_loss_of_mixed_labels_is_the_mixed_loss(kind):
    rng = np.random.default_rng(3)
    u, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    y, (mix,) = soft_labels(labels, 4, kind, soft(0.2, 1.0)), draw_mixes([5], 1.0, rng, np)
    mixed = mix_rows(y, mix)
    loss, cache = cross_entropy(u, mixed, kind=kind)
    assert loss == pytest.approx(naive(u, mixed, kind), rel=1e-6)
    partner, share = mix.there[:, 0].astype(int), mix.there[:, 1]
    apart = [share[k] * naive(u[[k]], y[[k]], kind) for k in range(5)]
    apart += [(1 - share[k]) * naive(u[[k]], y[[partner[k]]], kind) for k in range(5)]
    assert loss == pytest.approx(sum(apart) / 5, rel=1e-6)
    p = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True) if kind == "softmax" else 1 / (1 + np.exp(-u))
    slope = (p - mixed) / (5 if kind == "softmax" else 20)
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), slope, atol=1e-7)


@KINDS
@given(seed=st.integers(0, 2**32), n=st.integers(1, 5), k=st.integers(1, 4))
def test_the_gradient_with_soft_rows(kind, seed, n, k):
    rng = np.random.default_rng(seed)
    y = soft_labels(rng.integers(0, 2, (n, k)), k, kind, soft(rng.random() * 0.9, 1.0))
    y = mix_rows(y, next(draw_mixes([n], 1.0, rng, np)))
    forward = partial(cross_entropy, targets=y, kind=kind)
    for result in check_gradient(forward, cross_entropy_backward, [rng.normal(size=(n, k))]):
        assert result.right and result.error < 1e-5, result


@pytest.mark.parametrize("epsilon", [0.1, 0.6])
def test_pytorch_smooths_in_the_same_way(epsilon):
    """Its CrossEntropyLoss(label_smoothing=ε), of classes and of distributions, and its gradient."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")
    rng = np.random.default_rng(0)
    u, several = rng.normal(size=(6, 4)), (rng.random((6, 4)) < 0.5) | np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1]]
    for labels in (rng.integers(0, 4, 6), several.astype(int)):
        y = soft_labels(labels, 4, "softmax", soft(epsilon))
        loss, cache = cross_entropy(u, y, kind="softmax")
        logits = torch.tensor(u, requires_grad=True)
        target = torch.tensor(labels if labels.ndim == 1 else labels / labels.sum(axis=1, keepdims=True))
        other = torch.nn.CrossEntropyLoss(label_smoothing=epsilon)(logits, target)
        other.backward()
        assert loss == pytest.approx(other.item(), rel=1e-6)
        np.testing.assert_allclose(cross_entropy_backward(1.0, cache), logits.grad.numpy(), atol=1e-7)


@KINDS
def test_pytorch_reads_mixed_rows_in_the_same_way(kind):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")
    rng = np.random.default_rng(1)
    u, labels = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    (mix,) = draw_mixes([6], 0.7, rng, np)
    loss, cache = cross_entropy(u, mix_rows(soft_labels(labels, 4, kind, soft(0.0, 0.7)), mix), kind=kind)
    logits = torch.tensor(u, requires_grad=True)
    share = torch.tensor(mix.there[:, 1:].astype(float))
    hot = torch.nn.functional.one_hot(torch.tensor(labels), 4).double()
    loss_of = {
        "softmax": torch.nn.functional.cross_entropy,
        "sigmoid": torch.nn.functional.binary_cross_entropy_with_logits,
    }[kind]
    other = loss_of(logits, share * hot + (1 - share) * hot[mix.there[:, 0].astype(int)])
    other.backward()
    assert loss == pytest.approx(other.item(), rel=1e-6)
    np.testing.assert_allclose(cross_entropy_backward(1.0, cache), logits.grad.numpy(), atol=1e-7)


# ---- the stages -----------------------------------------------------------------------------------------------------


def batches_of_stage1(*changes, labels=None, epoch=0, classes=4):
    """(x, y) of an epoch of samples whose first number is their own, in batches of 6."""
    rng = np.random.default_rng(0)
    x = np.concatenate([np.arange(13)[:, None], rng.normal(size=(13, 4))], axis=1).astype("f4")
    source = Source(x, rng.integers(0, 4, 13) if labels is None else labels, "features", lambda x: x)
    config = worlds.config("stage1.batch_size=6", *changes)
    task = stage1_task(config, "stage1.a", source, np.arange(13), np.arange(3), classes=classes)
    return source, [batch[:2] for batch in task.batches(epoch)]


def test_samples_and_labels_of_a_batch_are_mixed_alike():
    source, batches = batches_of_stage1("stage1.mix_up=1", "stage1.label_smoothing=0.1")
    _, plain = batches_of_stage1()
    shares = []
    for (x, y), (first, labels) in zip(batches, plain, strict=True):
        for mixed, row in zip(x, y, strict=True):
            fits = []
            for own in first:
                for other in first:
                    distance = ((own - other) ** 2).sum()
                    share = ((mixed - other) * (own - other)).sum() / distance if distance else 1.0
                    if np.allclose(mixed, share * own + (1 - share) * other, atol=1e-5) and -1e-6 <= share <= 1 + 1e-6:
                        fits.append((share, int(own[0]), int(other[0])))
            hot = np.eye(4)[source.labels]
            wanted = [0.9 * (s * hot[own] + (1 - s) * hot[other]) + 0.025 for s, own, other in fits]
            assert wanted and min(abs(row - w).max() for w in wanted) < 1e-4
            shares.append(fits[0][0])
        assert y.dtype == np.float32 and labels.dtype == source.labels.dtype
    assert 0.05 < np.median(np.minimum(shares, 1 - np.array(shares))) < 0.45


def test_stage_1_is_validated_by_the_labels_as_they_are():
    scores, rows = [], np.arange(13)
    for change in ("stage1.label_smoothing=0", "stage1.label_smoothing=0.2", "stage1.mix_up=1"):
        source, config = batches_of_stage1()[0], worlds.config(change)
        task = stage1_task(config, "stage1.a", source, rows, rows, classes=4)
        scores.append(task.validate(*stage1.init_pretrainer(config, "stage1.a", (5,), 4)))
    assert scores[0] == scores[1] == scores[2] and 0 < scores[0]["score"] < 1


def test_each_epoch_is_mixed_anew(monkeypatch):
    """Where the order of an epoch is that of the last."""
    monkeypatch.setattr(stage1, "epoch_batches", lambda rows, *_: iter([rows[:6], rows[6:]]))
    (_, first), (_, again), (_, second) = (batches_of_stage1("stage1.mix_up=1", epoch=k) for k in (0, 0, 1))
    for k in range(2):
        assert (first[k][0] == again[k][0]).all() and (first[k][0] != second[k][0]).any()


def test_several_labels_are_a_distribution_before_they_are_mixed():
    """A sample of three labels weighs no more than its partner of one."""
    labels = np.zeros((13, 3), int)
    labels[:, 0] = 1
    labels[::2] = 1
    _, batches = batches_of_stage1("stage1.mix_up=1", "stage1.label_loss=softmax", labels=labels, classes=3)
    y = np.concatenate([y for _, y in batches])
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert ((y[:, 1] > 0.01) & (y[:, 1] < 0.32)).any() and y.max(axis=0)[1] <= 1 / 3 + 1e-6
    _, batches = batches_of_stage1("stage1.mix_up=1", labels=labels, classes=3)
    y = np.concatenate([y for _, y in batches])
    np.testing.assert_allclose(y[:, 0], 1)
    assert y.max(axis=0)[1] > 0.9, "each label is a question by itself"


def batches_of_labels(data, *changes):
    """All (x, y) of an epoch of AMFMN's trunk, in its order."""
    settings = load_config("image-text", ["pretrain=true", "match.augment=false", "match.light=0", *changes])
    made = {"input.a/mean": np.zeros(3, "f4"), "input.a/std": np.ones(3, "f4")}
    task = labels_task(settings, data, split_data(settings, data), made, np)
    return task, [np.concatenate(each) for each in zip(*task.batches(0), strict=True)]


@pytest.mark.parametrize("several", [True, False])
def test_the_trunk_of_amfmn_learns_from_mixed_images(several):
    data, changes = worlds.captioned(), ("labels.mix_up=1", "labels.label_smoothing=0.2", "labels.keep=last")
    if several:
        hot = np.eye(3, dtype=np.uint8)[data.modalities["a"].labels]
        data = data._replace(modalities=data.modalities | {"a": data.modalities["a"]._replace(labels=hot)})
    (plain, (x, y)), (task, (mixed, rows)) = batches_of_labels(data), batches_of_labels(data, *changes)
    hot = y if several else np.eye(3)[y]
    least, sums = (0.1, 1.1) if several else (0.2 / 3, 1)
    assert rows.min() >= least - 1e-6 and rows.max() <= 0.8 + least + 1e-6
    np.testing.assert_allclose(rows.sum(axis=1), sums, rtol=1e-5)
    assert ((rows > 0.2) & (rows < 0.7)).any() and hot.shape == rows.shape and x.shape == mixed.shape
    assert mixed.var(axis=0).mean() < 0.9 * x.var(axis=0).mean(), "means vary less"
    params, buffers = init_labels(load_config("image-text", ["pretrain=true"]), data)
    assert task.validate(params, buffers) == plain.validate(params, buffers), "scores are of the labels as they are"


@pytest.mark.parametrize("data", [worlds.sounds, worlds.features, lambda: worlds.features(multi=True)])
def test_samples_of_every_kind_are_mixed(data):
    plain, mixed = (runs.train(worlds.config("stage1.epochs=1", *m), data()) for m in ((), ("stage1.mix_up=0.4",)))
    for m in "ab":
        assert any(
            (plain.tensors[n] != w).any() for n, w in mixed.tensors.items() if n.startswith(f"stage1.{m}/params")
        )


@pytest.mark.parametrize("change", ["stage1.mix_up=0.4", "stage1.label_smoothing=0.1"])
def test_all_at_once_classifies_in_no_stage_1(change):
    with pytest.raises(InputError, match=r"of eq\. 1, which end-to-end leaves out: set both to 0"):
        load_config("image-speech", [change, "stages=end-to-end"])


@pytest.mark.parametrize(
    ("preset", "change"),
    [
        ("pan-mul", "stage1.mix_up=-1"),
        ("pan-mul", "stage1.label_smoothing=1"),
        ("image-text", "labels.label_smoothing=-0.1"),
        ("image-text", "labels.mix_up=inf"),
        ("image-text", "match.mix_up=1"),
        ("image-speech", "stage2.mix_up=1"),
    ],
)
def test_what_is_no_share_is_refused(preset, change):
    with pytest.raises(InputError, match=change.split("=")[0]):
        load_config(preset, [change])
