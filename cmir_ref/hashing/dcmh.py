"""DCMH: two networks whose outputs have large products where labels are shared, and approach one binary code.

n samples of modality a, m of b, c bits: outputs f (n, c), g (m, c); similar (n, m), 1 where two samples share a label,
else 0; codes b (…, c) of −1 and +1. (The paper writes F and G with a column a sample.)

    J = −Σ_ij (S_ij Θ_ij − log(1 + e^{Θ_ij})) + γ(‖B − F‖²_F + ‖B − G‖²_F) + η(‖Fᵀ1‖² + ‖Gᵀ1‖²),      Θ = ½ F Gᵀ

Source: Jiang & Li, "Deep cross-modal hashing", CVPR 2017. Here: dense networks on features take the place of its CNN-F
and bag-of-words networks, and Adam that of its gradient descent (`hashing.fit`).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..backend import Array, get_xp
from ..errors import InputError
from ..nets.mlp import mlp
from ..ops.frobenius import FrobeniusCache, frobenius, frobenius_backward
from ..ops.sums import column_sum
from ..params import dense
from .codes import check_features, signs


class LikelihoodCache(NamedTuple):
    f: Array
    g: Array
    slope: Array  # ∂ℓ/∂Θ


def likelihood(f: Array, g: Array, similar: Array) -> tuple[Array, LikelihoodCache]:
    """ℓ = Σ_ij log(1 + e^{Θ_ij}) − S_ij Θ_ij, Θ = ½ f gᵀ: minus the log likelihood of P(S_ij = 1) = σ(Θ_ij).

    f (n, c), g (m, c), similar (n, m) of 0 and 1. Computed as Σ_ij log(1 + e^{−|Θ|}) + ((1 − S) Θ where Θ > 0, −S Θ
    elsewhere), which overflows nowhere. Raises `InputError` for shapes that do not fit.
    """
    xp = get_xp(f, g)
    if f.shape[1:] != g.shape[1:] or similar.shape != (len(f), len(g)):
        raise InputError(f"similar {similar.shape} for outputs {f.shape} and {g.shape}: expected ({len(f)}, {len(g)})")
    s = similar.astype(f.real.dtype)
    theta = f @ g.T * 0.5
    positive = theta.real > 0
    small = xp.exp(xp.where(positive, -theta, theta))  # e^{−|Θ|} ≤ 1
    value = xp.log1p(small) + theta * xp.where(positive, 1 - s, -s)
    slope = ((1 - s) * xp.where(positive, 1, small) - s * xp.where(positive, small, 1)) / (1 + small)
    return value.sum(), LikelihoodCache(f, g, slope)


def likelihood_backward(dl: Array, cache: LikelihoodCache) -> tuple[Array, Array]:
    """(df, dg): with E = ∂ℓ/∂Θ = σ(Θ) − S and Θ_ij = ½ Σ_k f_ik g_jk,

    ∂ℓ/∂f_ik = ½ Σ_j E_ij g_jk        df = ½ E g dl
    ∂ℓ/∂g_jk = ½ Σ_i E_ij f_ik        dg = ½ Eᵀ f dl

    E is kept as (1 − S) σ(Θ) − S σ(−Θ), so that nothing cancels where the answer is right.
    """
    f, g, slope = cache
    slope = slope * (0.5 * dl)
    return slope @ g, slope.T @ f


class DcmhCache(NamedTuple):
    likelihood: LikelihoodCache
    quantisation: tuple[FrobeniusCache, FrobeniusCache]
    balance: tuple[FrobeniusCache, FrobeniusCache]
    gamma: float
    eta: float
    parts: dict[str, Array]


def dcmh(
    f: Array,
    g: Array,
    similar: Array,
    b_f: Array,
    b_g: Array,
    *,
    gamma: float = 1.0,
    eta: float = 1.0,
    rest_f: Array | None = None,
    rest_g: Array | None = None,
) -> tuple[Array, DcmhCache]:
    """J for outputs f (n, c) and g (m, c) with their codes b_f (n, c), b_g (m, c); the parts are in `cache.parts`.

    For all N pairs at once f, g and b_f = b_g = B have N rows. For a batch of the outputs of one network against all
    outputs of the other, `rest_f` (c,) is the sum of the first network's outputs outside of the batch. That J differs
    from the J of all pairs by terms that do not depend on f. Raises `InputError` for shapes that do not fit.
    """
    value, likelihood_cache = likelihood(f, g, similar)
    (q_f, q_f_cache), (t_f, t_f_cache) = _quantisation_and_balance("f", f, b_f, rest_f)
    (q_g, q_g_cache), (t_g, t_g_cache) = _quantisation_and_balance("g", g, b_g, rest_g)
    parts = {"likelihood": value, "quantisation": q_f + q_g, "balance": t_f + t_g}
    loss = parts["likelihood"] + gamma * parts["quantisation"] + eta * parts["balance"]
    return loss, DcmhCache(likelihood_cache, (q_f_cache, q_g_cache), (t_f_cache, t_g_cache), gamma, eta, parts)


def _quantisation_and_balance(name, out, b, rest):
    """‖B − F‖² and ‖Fᵀ1‖² of one network's outputs, each with its cache."""
    if b.shape != out.shape:
        raise InputError(f"b_{name} {b.shape} for outputs {out.shape}: a code for each output")
    dtype, total = out.real.dtype, column_sum(out)
    return frobenius(out - b.astype(dtype)), frobenius(total if rest is None else total + rest.astype(dtype))


def dcmh_backward(dj: Array, cache: DcmhCache) -> tuple[Array, Array]:
    """(df, dg) = (½ (σ(Θ) − S) g + 2γ (f − b_f) + 2η 1 (1ᵀf + rest_fᵀ),  likewise with (σ(Θ) − S)ᵀ f) dj.

    Balance is ‖t‖² of the column sums t_k = Σ_i f_ik + rest_k: ∂/∂f_ik = 2 t_k, the same for every row.
    """
    grads = likelihood_backward(dj, cache.likelihood)
    return tuple(
        d + frobenius_backward(cache.gamma * dj, quantised) + frobenius_backward(cache.eta * dj, balanced)
        for d, quantised, balanced in zip(grads, cache.quantisation, cache.balance, strict=True)
    )


def shared_codes(f: Array, g: Array) -> Array:
    """The B that minimises J for given outputs f, g (N, c) of pairs: sgn(F + G), 0 counting as positive.

    ‖B − F‖² + ‖B − G‖² = const − 2⟨B, F + G⟩ as B ⊙ B = 1, so each entry takes the sign of f + g. Raises `InputError`
    for shapes that differ.
    """
    if f.shape != g.shape:
        raise InputError(f"outputs {f.shape} and {g.shape}: codes are shared by the two samples of a pair")
    return signs(f + g)


DEPTH = 2  # layers of a hashing network


def init_hash_network(width: int, bits: int, rng, *, hidden: int = 256) -> dict[str, Array]:
    """Parameters of width → hidden (ReLU) → bits (linear): He-normal weights, zero biases.

    The weights of the last layer are a tenth of that: otherwise the outputs of all samples start on one side, and the
    first epochs learn nothing but balance.
    """
    params = dense({"hash.1": (width, hidden), "hash.2": (hidden, bits)}, rng)
    params["hash.2.w"] *= 0.1
    return params


def relaxed_codes(params: Mapping[str, Array], z: Array) -> tuple[Array, list]:
    """Features z (N, D) to real outputs (N, c), which training pushes to ±1; `mlp_backward` is the backward."""
    return mlp(params, "hash", z, depth=DEPTH, activation="hidden")


def hash_codes(params: Mapping[str, Array], z: Array) -> Array:
    """Features z (N, D) to codes ±1 (N, c): the signs of the outputs.

    Raises `InputError` for features that are not finite or do not fit the network.
    """
    z, width = check_features(z, "z"), len(params["hash.1.w"])
    if z.shape[1] != width:
        raise InputError(f"z has {z.shape[1]} columns, but the network takes {width}")
    return signs(relaxed_codes(params, z)[0])
