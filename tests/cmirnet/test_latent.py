import numpy as np
import pytest

from cmir_ref.cmirnet import LatentOutput
from cmir_ref.cmirnet.latent import (
    Latent,
    classifier_names,
    decayed_matrices,
    encoder,
    init_latent,
    latent_network,
    latent_network_backward,
    regularised_matrices,
)

HEADS = ("shared", "separate", "concatenated")


def drawn(n=6, inputs=(5, 7), **settings):
    arch = Latent(**{"d_v": 3, "encoder_depth": 2, "decoder_depth": 2, "dropout": 0.2} | settings)
    rng = np.random.default_rng(0)
    params, buffers = init_latent(arch, inputs, 4, rng)
    assert buffers == {}
    params = {k: v.astype(float) + rng.normal(0, 0.3, v.shape) for k, v in params.items()}
    z = tuple(rng.normal(size=(n, d)) for d in inputs)
    return arch, params, z, {m: rng.random((n, 3)) > 0.5 for m in "ab"}


def stack(params, name, x, depth, activation):
    for i in range(1, depth + 1):
        x = x @ params[f"{name}.{i}.w"] + params[f"{name}.{i}.b"]
        if activation == "relu" or (activation == "hidden" and i < depth):
            x = np.maximum(x, 0)
    return x


@pytest.mark.parametrize("classifier", HEADS)
@pytest.mark.parametrize("dropout", ["none", "b", "both"])
@pytest.mark.parametrize("mode", ["train", "inference"])
def test_every_output_from_its_formula(classifier, dropout, mode):
    arch, params, z, masks = drawn(
        classifier=classifier, latent_dropout=dropout, encoder_activation="hidden", decoder_activation="relu"
    )
    v = {m: stack(params, f"encoder_{m}", z_m, 2, "hidden") for m, z_m in zip("ab", z, strict=True)}
    for m in {"none": "", "b": "b", "both": "ab"}[dropout] if mode == "train" else "":
        v[m] = v[m] * masks[m] / 0.8
    u = lambda name, v: v @ params[f"{name}.w"] + params[f"{name}.b"]  # noqa: E731
    logits = {
        "shared": lambda: (u("classifier", v["a"]), u("classifier", v["b"])),
        "separate": lambda: (u("classifier_a", v["a"]), u("classifier_b", v["b"])),
        "concatenated": lambda: (u("classifier", np.hstack([v["a"], v["b"]])), None),
    }[classifier]()
    decoded = stack(params, "decoder_ab", v["a"], 2, "relu"), stack(params, "decoder_ba", v["b"], 2, "relu")
    out, _ = latent_network(params, z, arch=arch, mode=mode, masks=masks)
    for ours, theirs in zip(out, (v["a"], v["b"], *logits, *decoded), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("depths", [(1, 3), (3, 1)])
def test_encoder_and_decoder_have_depths_of_their_own(depths):
    arch, params, z, _ = drawn(encoder_depth=depths[0], decoder_depth=depths[1], encoder_activation="relu")
    out, cache = latent_network(params, z, arch=arch, mode="inference")
    v = stack(params, "encoder_a", z[0], depths[0], "relu")
    np.testing.assert_allclose(out.v_a, v, rtol=1e-12)
    np.testing.assert_allclose(out.from_a, stack(params, "decoder_ab", v, depths[1], "relu"), rtol=1e-12)
    assert latent_network_backward(out, cache)[0].keys() == params.keys()


def test_dropout_of_b_touches_b_alone():
    arch, params, z, masks = drawn(latent_dropout="b")
    dropped, _ = latent_network(params, z, arch=arch, mode="train", masks={"b": masks["b"]})
    whole, _ = latent_network(params, z, arch=arch, mode="inference")
    for field in LatentOutput._fields:
        same = np.array_equal(getattr(dropped, field), getattr(whole, field))
        assert same == (field in ("v_a", "u_a", "from_a"))


@pytest.mark.parametrize("classifier", HEADS)
@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_have_the_names_and_shapes_of_the_parameters(classifier, depth):
    arch, params, z, _ = drawn(classifier=classifier, encoder_depth=depth, decoder_depth=depth)
    out, cache = latent_network(params, z, arch=arch, mode="train")
    grads, dz = latent_network_backward(out, cache)
    assert {k: g.shape for k, g in grads.items()} == {k: w.shape for k, w in params.items()}
    assert [d.shape for d in dz] == [z_m.shape for z_m in z]


def test_the_shared_head_adds_up_both_modalities():
    arch, params, z, _ = drawn()
    out, cache = latent_network(params, z, arch=arch, mode="train")
    zeros = LatentOutput(*(np.zeros_like(part) for part in out))
    du_a, du_b = np.random.default_rng(1).normal(size=(2, *out.u_a.shape))
    grads = latent_network_backward(zeros._replace(u_a=du_a, u_b=du_b), cache)[0]
    np.testing.assert_allclose(grads["classifier.w"], out.v_a.T @ du_a + out.v_b.T @ du_b, rtol=1e-12)
    np.testing.assert_allclose(grads["classifier.b"], du_a.sum(axis=0) + du_b.sum(axis=0), rtol=1e-12)


def test_separate_heads_keep_them_apart():
    arch, params, z, _ = drawn(classifier="separate")
    out, cache = latent_network(params, z, arch=arch, mode="train")
    zeros = LatentOutput(*(np.zeros_like(part) for part in out))
    grads, dz = latent_network_backward(zeros._replace(u_a=np.ones_like(out.u_a)), cache)
    assert np.any(grads["classifier_a.w"]) and not np.any(grads["classifier_b.w"])
    assert np.any(dz[0]) and not np.any(dz[1])


def test_a_query_alone_has_the_embedding_it_has_in_the_batch():
    arch, params, z, _ = drawn()
    out, _ = latent_network(params, z, arch=arch, mode="inference")
    for modality, z_m, v in (("a", z[0], out.v_a), ("b", z[1], out.v_b)):
        np.testing.assert_array_equal(encoder(params, modality, z_m, arch=arch)[0], v)
        alone = encoder(params, modality, z_m[3:4], arch=arch)[0][0]
        np.testing.assert_allclose(alone, v[3], rtol=1e-12, atol=1e-14)  # not bit for bit: another kernel of BLAS


def test_shapes_of_the_parameters():
    arch = Latent(d_v=3, encoder_depth=2, decoder_depth=2)
    params, _ = init_latent(arch, (5, 7), 4, np.random.default_rng(0))
    assert {k: v.shape for k, v in params.items() if k.endswith("w")} == {
        "encoder_a.1.w": (5, 5), "encoder_a.2.w": (5, 3), "encoder_b.1.w": (7, 7), "encoder_b.2.w": (7, 3),
        "decoder_ab.1.w": (3, 7), "decoder_ab.2.w": (7, 7), "decoder_ba.1.w": (3, 5), "decoder_ba.2.w": (5, 5),
        "classifier.w": (3, 4),
    }  # fmt: skip
    assert {v.dtype for v in params.values()} == {np.dtype("float32")}
    assert init_latent(arch._replace(classifier="concatenated"), (5, 7), 4, np.random.default_rng(0))[0][
        "classifier.w"
    ].shape == (6, 4)
    assert (classifier_names("shared"), classifier_names("separate")) == (
        ("classifier",),
        ("classifier_a", "classifier_b"),
    )


def test_which_matrices_are_regularised_and_which_decay():
    _, params, *_ = drawn(classifier="separate")
    both = [f"encoder_{m}.{i}.w" for m in "ab" for i in (1, 2)]
    assert list(regularised_matrices(params, "all", 2)) == both
    assert list(regularised_matrices(params, "last", 2)) == both[1::2]
    decoders = {f"decoder_{m}.{i}.w" for m in ("ab", "ba") for i in (1, 2)}
    assert decayed_matrices(params).keys() == decoders | {"classifier_a.w", "classifier_b.w"}
    for name, w in (regularised_matrices(params, "all", 2) | decayed_matrices(params)).items():
        assert w is params[name]
