# gradient: checks/attention.py "attend/…", "attended_objective/…", tests/gradcheck/test_networks.py

import numpy as np
import pytest

from cmir_ref.attention import channel_gate, cross_attention, spatial_mask
from cmir_ref.attention.objective import (
    KINDS_OF_ATTENTION,
    Attention,
    attend,
    attend_backward,
    attended_objective,
    attended_objective_backward,
)
from cmir_ref.cmirnet import Readings, Weights
from cmir_ref.cmirnet.latent import Latent, init_latent
from cmir_ref.cmirnet.objective import objective, objective_backward

LABELS = np.array([0, 1, 2, 0]), np.array([1, 1, 2, 0])
ARCH = Latent(d_v=3, encoder_depth=2, decoder_depth=1)
SETTINGS = {"arch": ARCH, "weights": Weights(0.7, 1.3, 0.4, 0.9, 0.6), "readings": Readings(alpha=0.5)}


def drawn(kind):
    rng = np.random.default_rng(0)
    maps = kind in ("spatial", "mask")
    x_a = rng.normal(size=(4, 2, 3) if maps else (4, 6))
    x_b = rng.normal(size=(4, 2, 3) if kind == "mask" else (4, 6))
    context = rng.normal(size=(4, 2, 3) if maps else (4, 6))
    shapes = {
        "none": {},
        "self": {"gate.w": (6, 6), "gate.b": (6,)},
        "channel": {"gate.w": (6, 6), "gate.b": (6,)},
        "spatial": {"gate.q": (3, 2), "gate.k": (3, 2), "gate.v": (3, 3)},
        "mask": {"gate.w": (3, 1), "gate.b": (1,)},
    }[kind]
    gate = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    heads = {f"{m}.1.{part}": rng.normal(size=(6, 6) if part == "w" else 6) for m in "ab" for part in "wb"}
    latent = {name: w + rng.normal(0, 0.3, w.shape) for name, w in init_latent(ARCH, (6, 6), 3, rng)[0].items()}
    return gate, (x_a, x_b, context), heads, latent


def by_hand(kind, gate, x_a, x_b, context, heads, residual=True):
    head = lambda m, x: np.maximum(x.reshape(4, 6) @ heads[f"{m}.1.w"] + heads[f"{m}.1.b"], 0)  # noqa: E731
    w, b = gate.get("gate.w"), gate.get("gate.b")
    if kind == "none":
        return x_a, x_b
    if kind in ("self", "channel"):
        return channel_gate(x_a, x_a if kind == "self" else context, w, b, residual=residual)[0], x_b
    if kind == "spatial":
        return head("a", cross_attention(x_a, context, gate["gate.q"], gate["gate.k"], gate["gate.v"])[0]), x_b
    masked = [spatial_mask(x, y, w, b, residual=residual)[0] for x, y in ((x_a, context), (x_b, x_b))]
    return head("a", masked[0]), head("b", masked[1])


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
def test_what_is_done_to_features_and_maps(kind):
    gate, batch, heads, _ = drawn(kind)
    for residual in (True, False):
        z, _ = attend(gate, *batch, attention=Attention(kind, residual), heads=heads)
        for ours, theirs in zip(z, by_hand(kind, gate, *batch, heads, residual), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS_OF_ATTENTION)
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_cmir_nets_losses_of_the_attended_features(kind, rate):
    gate, batch, heads, latent = drawn(kind)
    rng = np.random.default_rng(1)
    masks = {name: rng.random((4, 6)) > 0.4 for name in ("z_a", "z_b")}
    given = {"attention": Attention(kind), "heads": heads, "feature_dropout": rate, "masks": masks}
    loss, cache = attended_objective(gate | latent, batch, LABELS, **given, **SETTINGS)
    z = by_hand(kind, gate, *batch, heads)
    if rate:
        z = tuple(z_m * masks[name] / 0.6 for z_m, name in zip(z, ("z_a", "z_b"), strict=True))
    expected, _ = objective(latent, z, LABELS, **SETTINGS)
    assert loss == pytest.approx(expected, rel=1e-13)
    grads, dx = attended_objective_backward(1.0, cache)
    assert {n: g.shape for n, g in grads.items()} == {n: w.shape for n, w in (gate | latent).items()}
    assert [d.shape for d in dx] == [x.shape for x in batch]
    assert dx[2].any() == (kind not in ("none", "self"))
    alone, none = attended_objective_backward(1.0, cache, input_gradient=False)
    assert none is None and all(np.array_equal(alone[name], g) for name, g in grads.items())
    inference, _ = attended_objective(gate | latent, batch, LABELS, mode="inference", **given, **SETTINGS)
    assert (inference == loss) == (rate == 0)


def test_without_attention_it_is_cmir_net_to_the_bit():
    _, batch, _, latent = drawn("none")
    loss, cache = attended_objective(latent, batch, LABELS, attention=Attention("none"), **SETTINGS)
    expected, plain = objective(latent, batch[:2], LABELS, **SETTINGS)
    assert loss == expected
    for name, g in objective_backward(1.0, plain)[0].items():
        np.testing.assert_array_equal(attended_objective_backward(1.0, cache)[0][name], g)


def test_a_gate_that_is_the_same_for_all_is_a_scaled_first_matrix():
    """With one gate ā for all sketches E_a absorbs diag(1 + ā): R1 can express nothing that CMIR-NET cannot."""
    gate, batch, _, latent = drawn("channel")
    same = batch[0], batch[1], np.broadcast_to(batch[2][:1], batch[2].shape)
    a = 1 / (1 + np.exp(-(batch[2][:1] @ gate["gate.w"] + gate["gate.b"])))
    scaled = latent | {"encoder_a.1.w": (1 + a).T * latent["encoder_a.1.w"]}
    off = {"weights": Weights(0.7, 1.3, 0.4, 0, 0)}  # R and Z as a target see the scale
    loss, _ = attended_objective(gate | latent, same, LABELS, attention=Attention("channel"), **SETTINGS | off)
    assert loss == pytest.approx(objective(scaled, batch[:2], LABELS, **SETTINGS | off)[0], rel=1e-13)


@pytest.mark.parametrize("kind", ["spatial", "mask"])
def test_maps_of_many_samples_are_read_as_each_alone(kind):
    """Blocks of samples, the last of them shorter, give what the samples one by one give; gradients add up."""
    gate, _, heads, _ = drawn(kind)
    rng = np.random.default_rng(2)
    x_a, x_b, context = (rng.normal(size=(70, 2, 3)) for _ in range(3))
    upstream = tuple(rng.normal(size=(70, 6)) for _ in range(2))
    x_b = x_b.reshape(70, 6) if kind == "spatial" else x_b
    given = {"attention": Attention(kind), "heads": heads}
    z, cache = attend(gate, x_a, x_b, context, **given)
    grads, dx = attend_backward(upstream, cache)
    rows = [slice(i, i + 1) for i in range(70)]
    ones = [attend(gate, x_a[i], x_b[i], context[i], **given) for i in rows]
    alone = [attend_backward((upstream[0][i], upstream[1][i]), one) for i, (_, one) in zip(rows, ones, strict=True)]
    for k in range(2):
        np.testing.assert_allclose(z[k], np.concatenate([one[0][k] for one in ones]), rtol=1e-12)
    for k in range(3):
        np.testing.assert_allclose(dx[k], np.concatenate([one[1][k] for one in alone]), rtol=1e-11, atol=1e-12)
    for name, g in grads.items():
        np.testing.assert_allclose(g, sum(one[0][name] for one in alone), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["spatial", "mask"])
def test_one_sketch_attends_many_photos_and_many_sketches_one(kind):
    gate, _, heads, _ = drawn(kind)
    rng = np.random.default_rng(3)
    many, one = rng.normal(size=(70, 2, 3)), rng.normal(size=(1, 2, 3))
    same = np.broadcast_to(one, many.shape)
    given = {"attention": Attention(kind), "heads": heads}
    for photos, sketches in ((many, one), (one, many)):
        (z, _), _ = attend(gate, photos, photos, sketches, **given)
        full = (same if x is one else x for x in (photos, photos, sketches))
        np.testing.assert_allclose(z, attend(gate, *full, **given)[0][0], rtol=1e-12)


def test_an_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="attention is 'spacial'; it is one of none, channel, self, spatial, mask"):
        attend({}, *drawn("none")[1], attention=Attention("spacial"))
