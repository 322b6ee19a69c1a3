"""`lessons/cmir_net.py`, the whole method in one file: the gradients of the package, NumPy alone, short; it finds."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from cmir_ref.cmirnet.eq1_pretraining import pretraining_loss, pretraining_loss_backward
from cmir_ref.cmirnet.eq6_total import Readings, Weights
from cmir_ref.cmirnet.latent import Latent
from cmir_ref.cmirnet.objective import objective, objective_backward
from cmir_ref.nets.feature_pretrainer import FeaturePretrainer, feature_pretrainer, feature_pretrainer_backward
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.retrieval import average_precision

LESSONS = Path(__file__).parents[2] / "lessons"
sys.path[:0] = [str(LESSONS), str(Path(__file__).parent)]

import cmir_net  # noqa: E402
import cmir_net_scenes  # noqa: E402

TEXT = (LESSONS / "cmir_net.py").read_text(encoding="utf-8")
seeds = pytest.mark.parametrize("seed", [0, 1, 2])


def worst(ours, theirs):
    """The largest difference over all arrays, each relative to its largest entry."""
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[k] - theirs[k]).max() / np.abs(theirs[k]).max()) for k in ours)


@seeds
def test_stage_1_is_the_packages(seed):
    rng = np.random.default_rng(seed)
    params = cmir_net.draw_layers(rng, features=(7, 9, 5), classifier=(5, 4))
    x, y = rng.normal(size=(12, 7)), rng.integers(0, 4, 12)
    loss, grads = cmir_net.pretraining(params, x, y)

    names = {"features.1": "hidden.1", "features.2": "fc", "classifier.1": "classifier"}
    renamed = {name: names[name[:-2]] + name[-2:] for name in params}
    arch = FeaturePretrainer(hidden=(9,), dropout=0.0)
    out, cache = feature_pretrainer({renamed[k]: w for k, w in params.items()}, x, arch=arch, mode="inference")
    theirs, loss_cache = pretraining_loss(out.logits, out.z, y, weight=cmir_net.ORTHOGONALITY, scaled=True)
    dlogits, dz = pretraining_loss_backward(1.0, loss_cache)
    their_grads, _ = feature_pretrainer_backward(PretrainerOutput(dlogits, dz, np.zeros_like(dz)), cache)
    assert abs(loss - theirs) < 1e-12 * theirs
    assert worst({renamed[k]: g for k, g in grads.items()}, their_grads) < 1e-12


@seeds
def test_orthogonality_alone_has_the_packages_gradient(seed, monkeypatch):
    monkeypatch.setattr(cmir_net, "ORTHOGONALITY", 0.7)  # as heavy as the cross entropy: its own share is seen
    test_stage_1_is_the_packages(seed)


@seeds
@pytest.mark.parametrize("heavy", [None, "L2", "L3", "L4", "L5", "R"])
def test_stage_2_is_the_packages(seed, heavy, monkeypatch):
    weights = cmir_net.LAMBDA | ({heavy: 3.0} if heavy else {})
    monkeypatch.setattr(cmir_net, "LAMBDA", weights)
    rng = np.random.default_rng(seed)
    stacks = {"encoder_a": (5, 5, 3), "encoder_b": (6, 6, 3), "decoder_ab": (3, 6), "decoder_ba": (3, 5)}
    params = cmir_net.draw_layers(rng, **stacks, classifier=(3, 4))
    z_a, z_b, y = rng.uniform(size=(12, 5)), rng.uniform(size=(12, 6)), rng.integers(0, 4, 12)
    loss, grads = cmir_net.objective(params, z_a, z_b, y)

    renamed = {name: name.replace("classifier.1", "classifier") for name in params}
    theirs, cache = objective(
        {renamed[k]: w for k, w in params.items()},
        (z_a, z_b),
        (y, y),
        arch=Latent(d_v=3, encoder_depth=2, decoder_depth=1),
        weights=Weights(*(weights[name] for name in ("L2", "L3", "L4", "L5", "R"))),
        readings=Readings(alpha=cmir_net.ALPHA),
    )
    assert abs(loss - theirs) < 1e-12 * theirs
    assert worst({renamed[k]: g for k, g in grads.items()}, objective_backward(1.0, cache)[0]) < 1e-12


@seeds
def test_its_average_precision_is_the_packages(seed):
    rng = np.random.default_rng(seed)
    v, w, y, t = rng.normal(size=(9, 3)), rng.normal(size=(30, 3)), rng.integers(0, 3, 9), np.arange(30) % 3
    distance = ((v[:, None] - w[None]) ** 2).sum(axis=2)
    assert np.isclose(cmir_net.average_precision(v, w, y, t), average_precision(distance, y[:, None] == t).mean())


def test_adam_is_the_textbook_on_the_first_steps():
    """With a constant gradient each step is as long as the rate, whatever the gradient's size."""
    params = {"w": np.zeros(3)}
    slope = np.array([1e-3, 1.0, 1e3])
    rows = (np.arange(64),)
    cmir_net.train(params, lambda p, x: (0.0, {"w": slope}), rows, np.random.default_rng(0), epochs=4, rate=0.1)
    assert np.allclose(params["w"], -0.1 * (1 + 0.75 + 0.5 + 0.25), rtol=1e-4)  # the rate falls in a straight line


def test_both_stages_find_far_above_chance(capsys):
    there, back, chance = cmir_net.main()
    assert min(there, back) > 0.7 and 0.1 < chance < 0.2
    assert capsys.readouterr().out.count("\n") == 1, "one line is printed"


def test_it_is_short_and_needs_numpy_alone():
    assert len(TEXT.splitlines()) <= 250
    nodes = [n for n in ast.walk(ast.parse(TEXT)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {getattr(n, "module", None) or n.names[0].name for n in nodes}
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def test_all_seven_equations_are_in_it():
    assert [f"Equation {k}" for k in range(1, 8) if f"Equation {k}:" not in TEXT] == []


def test_its_data_are_scenes_of_the_simulated_world():
    kept = np.load(LESSONS / "cmir_net.npz")
    for start in (0, 477):
        for name, made in cmir_net_scenes.scenes(range(start, start + 3)).items():
            assert np.allclose(kept[name][start : start + 3], made, rtol=2e-2, atol=2e-2), name  # float16
    assert len(kept["y"]) == cmir_net_scenes.SCENES and set(np.bincount(kept["y"])) == {60}
