import numpy as np
import pytest

from cmir_ref.amfmn.eq1_similarity import similarity
from cmir_ref.amfmn.eq5_features import features
from cmir_ref.amfmn.eq10_sentence import sentence
from cmir_ref.amfmn.eq13_keywords import keywords_vector
from cmir_ref.amfmn.eq14_visual_attention import visual_attention
from cmir_ref.amfmn.eq30_triplet import triplet
from cmir_ref.amfmn.label_objective import label_objective
from cmir_ref.amfmn.networks import Amfmn, image_network, init_amfmn, text_network
from cmir_ref.amfmn.objective import match_objective, match_objective_backward
from cmir_ref.nets.conv_maps import ConvMaps, conv_maps
from cmir_ref.ops import dropout
from cmir_ref.params import below

TRUNK = ConvMaps(channels=(3, 4, 5), pools=(2, 1, 2), skipped=1, fused=False)
WORDS = np.array([[1, 2, 3, 4], [4, 2, 0, 0], [3, 0, 0, 0]])
KEYWORDS = np.array([[[1, 2], [3, 0]], [[4, 1], [0, 0]], [[0, 0], [0, 0]]])
X = np.random.default_rng(0).normal(size=(3, 16, 16, 3))


def draw(**reading):
    arch = Amfmn(TRUNK, low=1, side=4, d=6, word_width=4, word_dropout=0.3, image_dropout=0.4, **reading)
    params, buffers = init_amfmn(arch, (16, 16, 3), 4, np.random.default_rng(1))
    return arch, {name: p.astype(float) for name, p in params.items()}, buffers


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("mask", [True, False])
def test_an_image_step_by_step(mode, mask):
    arch, params, buffers = draw(mask=mask)
    kept = np.random.default_rng(2).random((3, 6)) > 0.4
    found, _ = image_network(params, X, arch=arch, mode=mode, buffers=buffers, dropout_mask=kept)
    maps, _ = conv_maps(below("trunk", params), X, arch=TRUNK, mode=mode, buffers=below("trunk", buffers))
    (low, high, v), _ = features(maps, params["image.w"], params["image.b"], low=1, side=4)
    v = dropout(v, kept, 0.4)[0]
    expected = visual_attention(below("mvsa", params), low, high, v)[0] if mask else v
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("text", ["sentence", "keywords", "both"])
def test_a_text_step_by_step(text, reset):
    arch, params, _ = draw(text=text, reset=reset)
    kept = np.random.default_rng(2).random((3, 4, 4)) > 0.3
    (s, k), _ = text_network(params, WORDS, KEYWORDS, arch=arch, dropout_mask=kept)
    assert (s is None, k is None) == (text == "keywords", text == "sentence")
    table = params["words.table"]
    if s is not None:
        x = dropout(table[WORDS] * (WORDS > 0)[..., None], kept, 0.3)[0]
        expected = sentence(below("sentence", params), x, lengths=np.array([4, 2, 1]), reset=reset)[0]
        np.testing.assert_allclose(s, expected, rtol=1e-12)
    if k is not None:
        lengths = np.array([[2, 1], [2, 0], [0, 0]])
        expected = keywords_vector(below("keywords", params), table[KEYWORDS], lengths=lengths, reset=reset)[0]
        np.testing.assert_allclose(k, expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("hardest", [False, True])
def test_the_loss_of_the_scores_of_both_networks(hardest, mode):
    arch, params, buffers = draw(text="both")
    rng, reading = np.random.default_rng(3), {"arch": arch, "mode": mode, "buffers": buffers}
    margin, negative = rng.uniform(0.2, 0.9, (3, 3)), ~np.eye(3, dtype=bool)
    masks = {"image": rng.random((3, 6)) > 0.4, "words": rng.random((3, 4, 4)) > 0.3}
    settings = {"hardest": hardest, "reduction": "mean"}
    loss, cache = match_objective(params, X, WORDS, KEYWORDS, margin, negative, masks=masks, **reading, **settings)
    v, _ = image_network(params, X, dropout_mask=masks["image"], **reading)
    (s, k), _ = text_network(params, WORDS, KEYWORDS, arch=arch, dropout_mask=masks["words"])
    scores, _ = similarity(params, v, s, k, comparison=arch.comparison)
    np.testing.assert_allclose(loss, triplet(scores, margin, negative, **settings)[0], rtol=1e-12)
    of_batch = {f"trunk.norm.{i}.{name}" for i in (1, 2, 3) for name in ("mean", "var")}
    assert set(cache.statistics) == (of_batch if mode == "train" else set())


def test_the_labels_from_the_mean_of_the_last_map():
    _, params, _ = draw()
    rng, y = np.random.default_rng(4), np.array([1, 0, 1])
    params = {n: p for n, p in params.items() if n.startswith("trunk.")}
    params |= {"classifier.w": rng.normal(size=(5, 2)), "classifier.b": rng.normal(size=2)}
    loss, cache = label_objective(params, X, y, arch=TRUNK, kind="softmax")
    maps, _ = conv_maps(below("trunk", params), X, arch=TRUNK, mode="train")
    u = maps[-1].mean(axis=(1, 2)) @ params["classifier.w"] + params["classifier.b"]
    expected = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(u, y, strict=True)])
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(cache.logits, u, rtol=1e-12)


def test_every_parameter_has_a_gradient_and_padding_has_none():
    arch, params, _ = draw(text="both")
    margin = np.full((3, 3), 0.9)
    _, cache = match_objective(params, X, WORDS, KEYWORDS, margin, ~np.eye(3, dtype=bool), arch=arch)
    grads, _ = match_objective_backward(1.0, cache)
    assert grads.keys() == params.keys()
    assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in params.items()}
    assert (grads["words.table"][0] == 0).all() and (grads["words.table"][1:] != 0).any()


def test_float32_stays_float32():
    arch, params, _ = draw(text="both")
    params, x = {name: p.astype("f4") for name, p in params.items()}, X.astype("f4")
    margin = np.full((3, 3), 0.9, "f4")
    loss, cache = match_objective(params, x, WORDS, KEYWORDS, margin, ~np.eye(3, dtype=bool), arch=arch)
    grads, _ = match_objective_backward(1.0, cache)
    assert {str(a.dtype) for a in (loss, *grads.values())} == {"float32"}
