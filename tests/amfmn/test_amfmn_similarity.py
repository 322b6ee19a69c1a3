import tracemalloc

import numpy as np
import pytest

from cmir_ref.amfmn import eq1_similarity
from cmir_ref.amfmn.eq1_similarity import TextComparison, similarity, similarity_backward, soft_similarity
from cmir_ref.amfmn.eq20_guided_attention import ATTENTIONS, attention_names, guided_attention
from cmir_ref.amfmn.eq26_fusion import fusion

N, M, D = 3, 4, 5


def logistic(x):
    return 1 / (1 + np.exp(-x))


def cos(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def matrices(rng, prefix, kind):
    params = {f"{prefix}{name}.w": rng.normal(size=(D, D)) for name in attention_names(kind)}
    biased = [name for name in attention_names(kind) if not (kind == "fusion" and name.endswith("_t"))]
    return params | {f"{prefix}{name}.b": rng.normal(size=D) for name in biased}


def attended(p, v, t, kind):
    """One image and one text."""
    if kind == "none":
        return t
    if kind == "soft":
        return logistic(v @ p["gate.w"] + p["gate.b"]) * t
    if kind == "fusion":
        f = np.concatenate([v, t])
        value, gate = (f @ np.concatenate([p[f"{n}_v.w"], p[f"{n}_t.w"]]) + p[f"{n}_v.b"] for n in ("value", "gate"))
        return value * logistic(gate)
    f_v, f_t = v @ p["v.w"] + p["v.b"], t @ p["t.w"] + p["t.b"]
    return logistic(f_v * f_t if kind == "vector" else cos(f_v, f_t)) * f_t


def fused(p, s, k, kind, normalised):
    a, c = s / np.sqrt(s @ s), k / np.sqrt(k @ k)
    gate = 0.5 if kind == "fixed" else logistic(np.concatenate([a, c]) @ p["fusion.w"] + p["fusion.b"])
    return gate * (a if normalised else s) + (1 - gate) * (c if normalised else k)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_what_an_image_makes_of_a_text(kind):
    rng = np.random.default_rng(1)
    params, v, t = matrices(rng, "", kind), rng.normal(size=(N, D)), rng.normal(size=(N, D))
    y, _ = guided_attention(params, v, t, kind=kind)
    np.testing.assert_allclose(y, [attended(params, *pair, kind) for pair in zip(v, t, strict=True)], rtol=1e-10)
    every, _ = guided_attention(params, v[:, None], t[None], kind=kind)
    np.testing.assert_allclose(every, [[attended(params, a, b, kind) for b in t] for a in v], rtol=1e-10)


def test_another_attention_is_refused():
    with pytest.raises(ValueError, match="'hard'; it is one of none, soft"):
        guided_attention({}, np.ones((1, 1)), np.ones((1, 1)), kind="hard")


@pytest.mark.parametrize("kind", ["gate", "fixed"])
@pytest.mark.parametrize("normalised", [True, False])
def test_sentence_and_keywords_in_shares(kind, normalised):
    rng = np.random.default_rng(2)
    params, s, k = {"w": rng.normal(size=(2 * D, D)), "b": rng.normal(size=D)}, *rng.normal(size=(2, N, D))
    y, _ = fusion(params, s, k, kind=kind, normalised=normalised)
    named = {f"fusion.{name}": value for name, value in params.items()}
    np.testing.assert_allclose(
        y, [fused(named, *pair, kind, normalised) for pair in zip(s, k, strict=True)], rtol=1e-10
    )


def draw(texts, attention, seed=3):
    rng = np.random.default_rng(seed)
    params = {"fusion.w": rng.normal(size=(2 * D, D)), "fusion.b": rng.normal(size=D)} if texts == "sk" else {}
    for name in texts:
        params |= matrices(rng, f"attention_{name}.", attention)
    return params, rng.normal(size=(N, D)), {name: rng.normal(size=(M, D)) for name in texts}


def below(prefix, params):
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}


@pytest.mark.parametrize("texts", ["s", "k", "sk"])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("tile", [(32, 256), (2, 3)])
def test_the_cosine_of_every_pair_by_itself(texts, attention, tile, monkeypatch):
    monkeypatch.setattr(eq1_similarity, "TILE", tile)
    params, v, t = draw(texts, attention)
    comparison = TextComparison(attention, normalised=False)
    scores, _ = similarity(params, v, t.get("s"), t.get("k"), comparison=comparison)
    for i, j in np.ndindex(N, M):
        parts = [attended(below(f"attention_{n}.", params), v[i], t[n][j], attention) for n in texts]
        text = parts[0] if len(parts) == 1 else fused(params, *parts, "gate", False)
        np.testing.assert_allclose(scores[i, j], cos(v[i], text), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_tiles_change_no_gradient(attention, monkeypatch):
    params, v, t = draw("sk", attention)
    found = []
    for tile in ((32, 256), (2, 3)):
        monkeypatch.setattr(eq1_similarity, "TILE", tile)
        _, cache = similarity(params, v, t["s"], t["k"], comparison=TextComparison(attention))
        grads, inputs = similarity_backward(np.random.default_rng(0).normal(size=(N, M)), cache)
        found.append([grads[name] for name in params] + list(inputs))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_the_soft_gate_in_closed_form():
    params, v, t = draw("s", "soft")
    w, b = params["attention_s.gate.w"], params["attention_s.gate.b"]
    scores, _ = soft_similarity(v, t["s"], w, b)
    expected = [[cos(a, logistic(a @ w + b) * text) for text in t["s"]] for a in v]
    np.testing.assert_allclose(scores, expected, rtol=1e-10)
    none, _ = soft_similarity(v, 0 * t["s"], w, b)
    assert (none == 0).all()


@pytest.mark.parametrize("texts", ["s", "sk"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_what_is_no_number_has_no_score(attention, texts):
    """… and the scores of all others stay as they are."""
    params, v, t = draw(texts, attention)
    before = similarity(params, v, t["s"], t.get("k"), comparison=TextComparison(attention))[0]
    v[1, 2] = t["s"][3, 0] = np.nan
    scores = similarity(params, v, t["s"], t.get("k"), comparison=TextComparison(attention))[0]
    lost = (np.arange(N) == 1)[:, None] | (np.arange(M) == 3)
    assert np.isnan(scores[lost]).all()
    np.testing.assert_allclose(scores[~lost], before[~lost], rtol=1e-12)


def test_a_scalar_gate_turns_no_text_and_so_a_cosine_never_sees_it():
    params, v, t = draw("s", "scalar")
    before, _ = similarity(params, v, t["s"], comparison=TextComparison("scalar"))
    other = params | {"attention_s.v.w": -3 * params["attention_s.v.w"]}
    np.testing.assert_array_equal(similarity(other, v, t["s"], comparison=TextComparison("scalar"))[0], before)


def test_beside_keywords_the_scalar_gate_matters_where_vectors_are_added_as_they_are():
    params, v, t = draw("sk", "scalar")
    other = params | {"attention_s.v.w": -3 * params["attention_s.v.w"]}
    for normalised, same in ((True, True), (False, False)):
        comparison = TextComparison("scalar", normalised=normalised)
        one, two = (similarity(p, v, t["s"], t["k"], comparison=comparison)[0] for p in (params, other))
        assert np.allclose(one, two, rtol=1e-9) == same


def test_nothing_of_the_size_of_all_pairs_times_their_width_is_held():
    rng = np.random.default_rng(0)
    v, t = rng.normal(size=(300, 64)), rng.normal(size=(2000, 64))
    w = {"attention_s." + name: rng.normal(size=(64, 64)) for name in ("v.w", "t.w")}
    params = w | {"attention_s.v.b": np.zeros(64), "attention_s.t.b": np.zeros(64)}
    tracemalloc.start()
    similarity(params, v, t, comparison=TextComparison("vector"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 2000 * 64 * 8 / 4
