# gradient: checks/attention.py "class_scores/…", tests/gradcheck/test_networks.py

import numpy as np
import pytest

from cmir_ref.attention.grad_cam import cam_of_class, class_scores, grad_cam
from cmir_ref.cmirnet.latent import Latent, init_latent

ARCH = Latent(d_v=2, encoder_depth=2, decoder_depth=1)


def drawn(m):
    rng = np.random.default_rng(0)
    params = {n: w + rng.normal(0, 0.3, w.shape) for n, w in init_latent(ARCH, (6, 6), 3, rng)[0].items()}
    heads = {f"{m}.1.w": rng.normal(size=(12, 6)), f"{m}.1.b": rng.normal(size=6)}
    return params, rng.normal(size=(5, 4, 3)), 1 + rng.random(6), heads


@pytest.mark.parametrize("m", ["a", "b"])
def test_what_follows_a_map(m):
    params, x, factor, heads = drawn(m)
    u, _ = class_scores(params, x, factor, m=m, arch=ARCH, heads=heads)
    z = np.maximum(x.reshape(5, 12) @ heads[f"{m}.1.w"] + heads[f"{m}.1.b"], 0) * factor
    h = np.maximum(z @ params[f"encoder_{m}.1.w"] + params[f"encoder_{m}.1.b"], 0)
    v = h @ params[f"encoder_{m}.2.w"] + params[f"encoder_{m}.2.b"]
    np.testing.assert_allclose(u, v @ params["classifier.w"] + params["classifier.b"], rtol=1e-12)


def test_the_two_equations_of_the_paper():
    rng = np.random.default_rng(1)
    x, dx = rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 4, 3))
    x[5] = 0
    cams = grad_cam(x, dx)
    for n in range(6):
        alpha = [sum(dx[n, p, c] for p in range(4)) / 4 for c in range(3)]
        cam = [max(0.0, sum(alpha[c] * x[n, p, c] for c in range(3))) for p in range(4)]
        np.testing.assert_allclose(cams[n], np.array(cam) / (max(cam) or 1), rtol=1e-12)
    assert not cams[5].any() and cams.max() == 1


def test_each_sample_is_asked_for_its_own_class():
    params, x, factor, heads = drawn("a")
    settings = {"m": "a", "arch": ARCH, "heads": heads}
    classes = np.array([0, 1, 2, 0, 1])
    together = cam_of_class(params, x, factor, classes, **settings)
    for k, c in enumerate(classes):
        alone = cam_of_class(params, x[[k]], factor, np.array([c]), **settings)
        np.testing.assert_allclose(together[[k]], alone, rtol=1e-12)
    assert not np.array_equal(together, cam_of_class(params, x, factor, (classes + 1) % 3, **settings))
