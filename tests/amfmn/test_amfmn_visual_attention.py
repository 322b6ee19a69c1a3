import math

import numpy as np
import pytest

from cmir_ref.amfmn.eq14_visual_attention import visual_attention

SHAPES = {"low.w": (3, 3, 2, 3), "low.b": (3,), "low.slope": (3,), "high.w": (1, 1, 4, 3), "high.b": (3,)}
SHAPES |= {"high.slope": (3,), "value.w": (6, 1), "value.b": (1,), "gate.w": (6, 1), "gate.b": (1,)}


def draw(side, h, d=5):
    rng = np.random.default_rng(side)
    params = {name: rng.normal(size=shape) for name, shape in (SHAPES | {"mask.w": (h * h, d), "mask.b": (d,)}).items()}
    return params, rng.normal(size=(2, side, side, 2)), rng.normal(size=(2, h, h, 4)), rng.normal(size=(2, d))


def naive(p, low, high, v, activation, unit, residual, before):
    """Pixel by pixel; `before` zeros stand above and left of the low map."""
    n, h, stride = len(low), high.shape[1], low.shape[1] // high.shape[1]
    act = lambda x, slope: np.where(x > 0, x, slope * x) if activation == "prelu" else x  # noqa: E731
    out = np.empty_like(v)
    for i in range(n):
        pixels = []
        for r, c in np.ndindex(h, h):
            fine = p["low.b"].copy()
            for a, b in np.ndindex(3, 3):
                y, x = stride * r + a - before, stride * c + b - before
                if 0 <= y < low.shape[1] and 0 <= x < low.shape[1]:
                    fine += low[i, y, x] @ p["low.w"][a, b]
            fine = act(fine, p["low.slope"])
            coarse = act(high[i, r, c] @ p["high.w"][0, 0] + p["high.b"], p["high.slope"])
            mean = coarse.mean() if residual == "convolved" else high[i, r, c].mean()
            m = np.concatenate([fine, coarse]) + mean
            m = m / math.sqrt((m * m).sum()) if unit else m
            gate = 1 / (1 + math.exp(-(m @ p["gate.w"][:, 0] + p["gate.b"][0])))
            pixels.append((m @ p["value.w"][:, 0] + p["value.b"][0]) * gate)
        out[i] = v[i] / (1 + np.exp(-(np.array(pixels) @ p["mask.w"] + p["mask.b"])))
    return out


@pytest.mark.parametrize("activation", ["prelu", "none"])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("residual", ["raw", "convolved"])
def test_a_mask_from_the_maps_pixel_by_pixel(activation, unit, residual):
    for side, h, before in ((8, 2, 0), (3, 3, 1)):
        params, *arrays = draw(side, h)
        reading = {"activation": activation, "unit": unit, "residual": residual}
        y, _ = visual_attention(params, *arrays, **reading)
        np.testing.assert_allclose(y, naive(params, *arrays, **reading, before=before), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("side", "h"), [(64, 16), (32, 8)])
def test_the_released_sizes_need_no_padding(side, h):
    params, low, high, v = draw(side, h, 2)
    one, _ = visual_attention(params, low, high, v)
    low[:, -1], low[:, :, -1] = 99, 99  # (64 − 3)//4 + 1 = 16 windows of three pixels: the last row is never read
    np.testing.assert_array_equal(visual_attention(params, low, high, v)[0], one)
