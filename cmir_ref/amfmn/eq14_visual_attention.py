"""Equations 14 to 19: multi-scale visual self-attention (MVSA), where an image's own maps say what of it matters.

N samples; low (N, H, W, C_l), high (N, h, w, C_h), v (N, D); E channels of each convolved map (3 in the released code).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..ops.linear import linear, linear_backward
from ..ops.padding import same_padding
from ..ops.prelu import prelu, prelu_backward
from ..ops.sigmoid import sigmoid, sigmoid_backward
from ..ops.strided_conv import strided_conv, strided_conv_backward
from ..ops.sums import column_sum
from ..ops.unit_rows import unit_rows, unit_rows_backward


class VisualAttentionCache(NamedTuple):
    params: Mapping[str, Array]
    steps: dict[str, tuple]  # the cache of each operation, by what it makes
    mixed: Array
    value: Array
    gate: Array
    mask: Array
    v: Array
    residual: str
    high_channels: int


def visual_attention(
    params: Mapping[str, Array],
    low: Array,
    high: Array,
    v: Array,
    *,
    activation: str = "prelu",
    unit: bool = True,
    residual: str = "raw",
) -> tuple[Array, VisualAttentionCache]:
    """F = v ⊙ σ(vec(value ⊙ gate) W_m + b_m): a mask over the D numbers of v, read off a map of the image (N, h, w).

        f = φ(conv_3×3(low)),  c = φ(conv_1×1(high)),  φ the PReLU      both (N, h, w, E)
        m = Cat(f, c) + the mean of a map over its channels             (N, h, w, 2E)
        value = m̂ · w_v + b_v,  gate = σ(m̂ · w_g + b_g)                 m̂ = m/‖m‖ at each pixel

    Readings, the paper's first: `activation` "prelu", or "none" (code); `unit` m̂, or m itself (code); `residual` is the
    mean of "raw" high, or of "convolved" c (code). The 3 × 3 kernel moves by H/h pixels; its padding is TensorFlow's
    "same", which is none for the released sizes.
    """
    xp = get_xp(low, high, v)
    stride, steps = low.shape[1] // high.shape[1], {}
    padding = same_padding(low.shape[1], low.shape[2], 3, stride)
    fine, steps["low"] = strided_conv(low, params["low.w"], stride=stride, padding=padding)
    coarse, steps["high"] = strided_conv(high, params["high.w"])
    fine, coarse = fine + params["low.b"], coarse + params["high.b"]
    if activation == "prelu":
        fine, steps["low.act"] = prelu(fine, params["low.slope"])
        coarse, steps["high.act"] = prelu(coarse, params["high.slope"])
    mean = (high if residual == "raw" else coarse).mean(axis=3, keepdims=True)
    mixed = xp.concatenate([fine, coarse], axis=3) + mean
    if unit:
        mixed, steps["unit"] = unit_rows(mixed)
    value = mixed @ params["value.w"] + params["value.b"]
    gate, steps["gate"] = sigmoid(mixed @ params["gate.w"] + params["gate.b"])
    pixels = (value * gate).reshape(len(v), value.shape[1] * value.shape[2])
    scores, steps["mask"] = linear(pixels, params["mask.w"], params["mask.b"])
    mask, steps["mask.act"] = sigmoid(scores)
    return v * mask, VisualAttentionCache(params, steps, mixed, value, gate, mask, v, residual, high.shape[3])


def visual_attention_backward(
    dout: Array, cache: VisualAttentionCache
) -> tuple[dict[str, Array], tuple[Array, Array, Array]]:
    """(grads, (dlow, dhigh, dv)), from the product with v back to the convolutions.

    value and gate multiply, so each gets the gradient times the other. Both read m̂, so two gradients add up there. The
    mean over channels is added to every one of the 2E channels: its gradient is their sum, shared out evenly over the
    channels that it is the mean of.
    """
    params, steps = cache.params, cache.steps
    grads, mixed = {}, cache.mixed
    dpixels, grads["mask.w"], grads["mask.b"] = linear_backward(
        sigmoid_backward(dout * cache.v, steps["mask.act"]), steps["mask"]
    )
    dpixels = dpixels.reshape(cache.value.shape)
    dvalue = dpixels * cache.gate
    dgate = sigmoid_backward(dpixels * cache.value, steps["gate"])
    rows = mixed.reshape(-1, mixed.shape[3])
    for name, d in (("value", dvalue), ("gate", dgate)):
        grads[f"{name}.w"], grads[f"{name}.b"] = rows.T @ d.reshape(-1, 1), column_sum(d)
    dmixed = dvalue @ params["value.w"].T + dgate @ params["gate.w"].T
    if "unit" in steps:
        dmixed = unit_rows_backward(dmixed, steps["unit"])
    e = mixed.shape[3] // 2
    dfine, dcoarse = dmixed[..., :e], dmixed[..., e:]
    dmean = dmixed.sum(axis=3, keepdims=True)
    if cache.residual == "convolved":
        dcoarse = dcoarse + dmean / e
    if "low.act" in steps:
        dfine, grads["low.slope"] = prelu_backward(dfine, steps["low.act"])
        dcoarse, grads["high.slope"] = prelu_backward(dcoarse, steps["high.act"])
    dlow, grads["low.w"] = strided_conv_backward(dfine, steps["low"])
    dhigh, grads["high.w"] = strided_conv_backward(dcoarse, steps["high"])
    grads["low.b"], grads["high.b"] = column_sum(dfine), column_sum(dcoarse)
    if cache.residual == "raw":
        dhigh = dhigh + dmean / cache.high_channels
    return grads, (dlow, dhigh, dout * cache.mask)
