"""A stack of fully connected layers, each perhaps followed by a ReLU.

Parameters `{name}.1.w`, `{name}.1.b`, `{name}.2.w`, … ; x (N, C), y (N, D).
"""

from collections.abc import Mapping

from ..backend import Array
from ..ops.fused.dense_layer import dense_layer, dense_layer_backward

ACTIVATIONS = ("relu", "hidden", "linear")


def mlp(
    params: Mapping[str, Array], name: str, x: Array, *, depth: int, activation: str = "relu"
) -> tuple[Array, list]:
    """H_l = φ(H_{l−1} W_l + 1 b_lᵀ) for l = 1 … depth.

    `activation` says where the ReLU φ is: "relu" after every layer (the paper's "three FC + ReLU layers"), "hidden"
    after all but the last, "linear" nowhere.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; it is one of {', '.join(ACTIVATIONS)}")
    caches = []
    for layer in range(1, depth + 1):
        active = activation == "relu" or (activation == "hidden" and layer < depth)
        x, cache = dense_layer(x, params[f"{name}.{layer}.w"], params[f"{name}.{layer}.b"], active=active)
        caches.append((f"{name}.{layer}", cache))
    return x, caches


def mlp_backward(dy: Array, caches: list, *, input_gradient: bool = True) -> tuple[dict[str, Array], Array | None]:
    """(grads, dx), from the last layer to the first; dx is None unless `input_gradient`.

    δ_l = dH_l ⊙ φ'(S_l)    dW_l = H_{l−1}ᵀ δ_l    db_l = δ_lᵀ 1    dH_{l−1} = δ_l W_lᵀ
    """
    grads = {}
    for name, cache in reversed(caches):
        needed = input_gradient or cache is not caches[0][1]
        dy, grads[f"{name}.w"], grads[f"{name}.b"] = dense_layer_backward(dy, cache, input_gradient=needed)
    return grads, dy
