"""EfficientNet-Lite0 with its true weights against PyTorch's own layers, layout and autograd."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[oracle]'")
import torch
import torch.nn.functional as F

from cmir_ref.data import weights as weights_module
from cmir_ref.data.images import read_image
from cmir_ref.data.weights import load_trunk_weights, read_torch_file, torch_names
from cmir_ref.gradcheck import relative_error
from cmir_ref.nets.efficientnet_lite import (
    LITE0,
    LiteOutput,
    efficientnet_lite,
    efficientnet_lite_backward,
    fold_lite,
    is_statistic,
    lite_features,
)

BLOCKS = (  # expansion, kernel, stride, channels, repeats: the table of the paper, once more
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
TAPS = (0, 2, 4, 10, 15)


def lite0(tensors, x, train=False):
    """(five maps, pooled) of x (N, 3, H, W), by PyTorch's tensors and names."""

    def padded(x, k, stride):
        sides = []
        for size in reversed(x.shape[2:]):
            zeros = max((-(-size // stride) - 1) * stride + k - size, 0)
            sides += [zeros // 2, zeros - zeros // 2]
        return F.pad(x, sides)

    def norm(x, name):
        running = (None, None) if train else (tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"])
        return F.batch_norm(x, *running, tensors[f"{name}.weight"], tensors[f"{name}.bias"], training=train, eps=1e-3)

    def convolve(x, name, stride=1, groups=1):
        w = tensors[f"{name}.weight"]
        return F.conv2d(padded(x, w.shape[-1], stride), w, stride=stride, groups=groups)

    x = F.relu6(norm(convolve(x, "_conv_stem", 2), "_bn0"))
    i, maps = 0, []
    for expansion, _, first, channels, repeats in BLOCKS:
        for stride in (first, *[1] * (repeats - 1)):
            p, h = f"_blocks.{i}.", x
            if expansion > 1:
                h = F.relu6(norm(convolve(h, p + "_expand_conv"), p + "_bn0"))
            h = F.relu6(norm(convolve(h, p + "_depthwise_conv", stride, h.shape[1]), p + "_bn1"))
            h = norm(convolve(h, p + "_project_conv"), p + "_bn2")
            x = x + h if stride == 1 and x.shape[1] == channels else h
            maps += [x] if i in TAPS else []
            i += 1
    return maps, F.relu6(norm(convolve(x, "_conv_head"), "_bn1")).mean((2, 3))


@pytest.fixture(scope="module")
def tensors():
    return {n: torch.tensor(t) for n, t in read_torch_file(weights_module._package_file()).items() if t.ndim}


@pytest.fixture(scope="module")
def pictures():
    """Of a side: 32 real images, every 65th of UC Merced, brought to that side and to −1 … 1."""
    if not os.environ.get("CMIR_DATA"):
        pytest.skip("CMIR_DATA is not set: tests on real data need the folder that holds them")
    paths = sorted(Path(os.environ["CMIR_DATA"]).glob("ucmerced/Images/*/*.tif"))[::65][:32]
    assert len(paths) == 32
    return lambda side: (np.stack([read_image(path, side) for path in paths]).astype(np.float64) - 127) / 128


@pytest.mark.parametrize(("dtype", "side", "gate"), [(np.float32, 224, 1e-4), (np.float64, 96, 1e-9)])
def test_maps_and_features_of_real_images(tensors, pictures, dtype, side, gate):
    x = pictures(side).astype(dtype)
    theirs = {name: t.to(getattr(torch, np.dtype(dtype).name)) for name, t in tensors.items()}
    with torch.inference_mode():
        maps, pooled = lite0(theirs, torch.tensor(x.transpose(0, 3, 1, 2)))
    expected = [m.numpy().transpose(0, 2, 3, 1) for m in maps] + [pooled.numpy()]
    arrays = {name: a.astype(dtype) for name, a in load_trunk_weights().arrays.items()}
    for one, other in zip(lite_features(fold_lite(LITE0, arrays), x), expected, strict=True):
        assert one.dtype == dtype and relative_error(one, other)[0] <= gate


@pytest.mark.parametrize("mode", ["inference", "train"])
def test_gradients_of_every_tensor(tensors, mode):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, 64, 64, 3))
    arrays = {name: a.astype(np.float64) for name, a in load_trunk_weights().arrays.items()}
    params = {name: a for name, a in arrays.items() if not is_statistic(name)}
    out, cache = efficientnet_lite(params, x, mode=mode, buffers=arrays, input_gradient=True)
    d = LiteOutput(*(rng.normal(size=part.shape) for part in out))
    grads, dx = efficientnet_lite_backward(d, cache)
    leaves = {name: t.double().requires_grad_("running" not in name) for name, t in tensors.items()}
    image = torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()
    maps, pooled = lite0(leaves, image, train=mode == "train")
    upstream = [torch.tensor(part.transpose(0, 3, 1, 2)) for part in d[:-1]] + [torch.tensor(d.pooled)]
    torch.autograd.backward([*maps, pooled], upstream)
    assert grads.keys() == params.keys()
    for name, theirs in torch_names().items():
        if not is_statistic(name):
            grad = leaves[theirs].grad.numpy()
            grad = grad.transpose(2, 3, 1, 0) if grad.ndim == 4 else grad
            # the statistics of a batch take a constant out again: a β that only they follow has no gradient
            assert relative_error(grads[name], grad.reshape(grads[name].shape), floor=1e-8)[0] <= 1e-8, name
    assert relative_error(dx, image.grad.numpy().transpose(0, 2, 3, 1))[0] <= 1e-8
