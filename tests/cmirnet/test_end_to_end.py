import numpy as np
import pytest

from cmir_ref.cmirnet import Readings, Weights
from cmir_ref.cmirnet.contrastive import Contrast
from cmir_ref.cmirnet.end_to_end import end_to_end, end_to_end_backward
from cmir_ref.cmirnet.latent import Latent, init_latent
from cmir_ref.cmirnet.objective import objective, objective_backward
from cmir_ref.nets.conv_pretrainer import ConvPretrainer
from cmir_ref.nets.pretraining import choose_pretrainer
from cmir_ref.params import add_prefix, below

CONV = choose_pretrainer((64, 64, 1))._replace(arch=ConvPretrainer(pools=(2, 2, 1), channels=(2, 3, 4)))
DENSE = choose_pretrainer((3,))
Y = np.array([0, 1, 2, 1, 0, 2]), np.array([2, 1, 0, 1, 0, 0])
SETTINGS = {
    "arch": Latent(d_v=3, latent_dropout="both"),
    "weights": Weights(),
    "readings": Readings(alpha=0.5),
    "regularized_layers": "last",
    "contrast": Contrast(0.3, 0.5),
}


def drawn(fronts, dtype=np.float64):
    rng = np.random.default_rng(0)
    params, buffers = add_prefix("latent", init_latent(SETTINGS["arch"], (5, 5), 3, rng)[0]), {}
    for name, front, shape in zip(("front_a", "front_b"), fronts, ((4, 4, 1), (3,)), strict=True):
        if front is not None:
            own = front.init(front.arch, shape, 5, 3, rng)
            params, buffers = params | add_prefix(name, own[0]), buffers | add_prefix(name, own[1])
    params, buffers = (
        {k: (v + rng.uniform(0.1, 0.3, v.shape)).astype(dtype) for k, v in arrays.items()}
        for arrays in (params, buffers)
    )
    shapes = [shape if front else (5,) for front, shape in zip(fronts, ((4, 4, 1), (3,)), strict=True)]
    x = tuple(rng.normal(size=(6, *shape)).astype(dtype) for shape in shapes)
    masks = {name: rng.random((6, 5 if "_" in name else 3)) > 0.3 for name in ("front_a", "front_b", "a", "b")}
    return params, buffers, x, masks


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("fronts", [(CONV, DENSE), (CONV, None), (None, DENSE), (None, None)])
def test_the_objective_of_the_fronts_features_and_back(fronts, mode):
    params, buffers, x, masks = drawn(fronts)
    loss, cache = end_to_end(params, x, Y, fronts=fronts, mode=mode, buffers=buffers, masks=masks, **SETTINGS)
    grads = end_to_end_backward(1.0, cache)
    z, back = [], {}
    for name, front, x_m in zip(("front_a", "front_b"), fronts, x, strict=True):
        if front is not None:
            own = {"arch": front.arch, "mode": mode, "buffers": below(name, buffers), "masks": {"z": masks[name]}}
            out, front_cache = front.forward(below(name, params), x_m, **own)
            x_m, back[name] = out.z, (front, out, front_cache)
        z.append(x_m)
    expected, objective_cache = objective(below("latent", params), tuple(z), Y, mode=mode, masks=masks, **SETTINGS)
    assert loss == expected
    latent, dz = objective_backward(1.0, objective_cache)
    by_hand = add_prefix("latent", latent)
    for name, dz_m in zip(("front_a", "front_b"), dz, strict=True):
        if name in back:
            front, out, front_cache = back[name]
            zero = type(out)(np.zeros_like(out.logits), dz_m, np.zeros_like(out.s))
            by_hand |= add_prefix(name, front.backward(zero, front_cache)[0])
            assert np.any(grads[f"{name}.fc.w"]) and not np.any(grads[f"{name}.classifier.w"])
    assert grads.keys() == by_hand.keys() == params.keys()
    for name, g in grads.items():
        np.testing.assert_array_equal(g, by_hand[name])
    assert cache.statistics.keys() == (buffers.keys() if mode == "train" else set())


def test_float32_stays_float32():
    params, buffers, x, masks = drawn((CONV, DENSE), np.float32)
    loss, cache = end_to_end(params, x, Y, fronts=(CONV, DENSE), mode="train", buffers=buffers, masks=masks, **SETTINGS)
    arrays = [loss, *end_to_end_backward(np.float32(1), cache).values(), *cache.statistics.values()]
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
