"""How the two hashing networks learn: Adam on their objectives, and new codes after each epoch.

N pairs, features z_a (N, D_a), z_b (N, D_b) of columns of about unit scale (`inputs.fit_normaliser`), c bits.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from ..backend import Array, generator, get_xp, to_device, to_host
from ..errors import InputError
from ..nets.mlp import mlp_backward
from ..params import Params, flatten
from ..retrieval import relevance
from ..training.adam import adam, learning_rate
from ..training.inputs import epoch_batches, steps_per_epoch
from .codes import check_feature_pairs, label_rows
from .dcmh import dcmh, dcmh_backward, init_hash_network, relaxed_codes, shared_codes
from .sidhcnn import sidhcnn, sidhcnn_backward


class HashingSettings(NamedTuple):
    """How a hashing network is made and trained. γ and η are those of DCMH; μ, widths, rates and lengths are ours."""

    bits: int = 16
    hidden: int = 256
    gamma: float = 1.0
    eta: float = 1.0
    mu: float = 1.0  # the weight of similarity within a source: for `fit_sidhcnn` alone
    epochs: int = 100
    batch_size: int = 64
    lr: float = 1e-3  # falls along half a cosine
    seed: int = 0


class Hashing(NamedTuple):
    """Two trained networks: `hash_codes(hashing.a, z)` and `hash_codes(hashing.b, z)` are their codes."""

    a: Params
    b: Params
    codes: Array  # (N, c), the training pairs' B
    losses: list[float]  # the mean over each epoch's batches of J over the number of pairs compared


class Learner:
    """One network with its Adam: `step` is the only thing that changes it."""

    def __init__(self, name: str, z: Array, settings: HashingSettings, steps: int):
        xp = get_xp(z)
        start = generator(settings.seed, f"hashing/{name}")
        params = init_hash_network(z.shape[1], settings.bits, start, hidden=settings.hidden)
        self.params = Params({key: to_device(value, xp) for key, value in params.items()})
        self.z, self.lr, self.steps, self.t = z, settings.lr, steps, 0
        self.m, self.v = xp.zeros_like(self.params.flat), xp.zeros_like(self.params.flat)

    def outputs(self) -> Array:
        """The outputs (N, c) for all samples."""
        return relaxed_codes(self.params, self.z)[0]

    def forward(self, index: Array) -> tuple[Array, list]:
        """The outputs for some samples, and what `step` needs."""
        return relaxed_codes(self.params, self.z[index])

    def step(self, df: Array, cache: list) -> None:
        """One step of Adam against the gradient `df` of the outputs."""
        grad = flatten(mlp_backward(df, cache)[0], self.params)
        lr = learning_rate(self.t, self.steps, self.lr, "cosine")
        self.t += 1
        adam(self.params.flat, grad, self.m, self.v, self.t, lr)


def fit_dcmh(z_a: Array, z_b: Array, labels: Array, settings: HashingSettings | None = None) -> Hashing:
    """DCMH on pairs: in each epoch network a is trained, then network b, then B = sgn(F + G).

    A batch of the outputs of one network is compared with all outputs of the other, and J is divided by the number of
    pairs compared. Balance counts the outputs of a network for all samples as they are at that step. (The authors' code
    keeps those of earlier steps. Adam moves all outputs at once; a sum that lags behind then swings, and the labels no
    longer count. The price is a forward pass of all samples for each step.)
    labels (N,) or (N, C). Raises `InputError` for features that are not finite or not paired, labels that do not fit,
    and settings below their bounds; `FloatingPointError` where the loss is no longer finite.
    """

    def epoch(a, b, codes, similar, batches):
        for learner, other in ((a, b), (b, a)):
            g = other.outputs()
            for index in batches():
                f, cache = learner.forward(index)
                rest = learner.outputs().sum(axis=0) - f.sum(axis=0)
                weights = {"gamma": settings.gamma, "eta": settings.eta}
                j, j_cache = dcmh(f, g, similar(index), codes[index], codes, rest_f=rest, **weights)
                scale = 1 / (len(index) * len(codes))
                learner.step(dcmh_backward(scale, j_cache)[0], cache)
                yield j * scale

    settings = settings or HashingSettings()
    return _fit(z_a, z_b, labels, settings, epoch)


def fit_sidhcnn(z_a: Array, z_b: Array, labels: Array, settings: HashingSettings | None = None) -> Hashing:
    """The reconstruction of SIDHCNN (see its file) on pairs: both networks at once on a batch of pairs; then B.

    J compares the pairs of a batch with each other, and is divided by their number squared. Shapes and errors as
    `fit_dcmh`.
    """

    def epoch(a, b, codes, similar, batches):
        for index in batches():
            (f, cache_a), (g, cache_b) = a.forward(index), b.forward(index)
            weights = {"mu": settings.mu, "gamma": settings.gamma, "eta": settings.eta}
            j, cache = sidhcnn(f, g, similar(index)[:, index], codes[index], **weights)
            scale = 1 / len(index) ** 2
            df, dg = sidhcnn_backward(scale, cache)
            a.step(df, cache_a)
            b.step(dg, cache_b)
            yield j * scale

    settings = settings or HashingSettings()
    return _fit(z_a, z_b, labels, settings, epoch)


@threadpool_limits.wrap(limits=1, user_api="blas")
def _fit(z_a: Array, z_b: Array, labels: Array, settings: HashingSettings, epoch: Callable) -> Hashing:
    """Epochs of `epoch`, which steps both learners and yields each batch's loss; codes are renewed after each."""
    xp = get_xp(z_a, z_b, labels)
    for name, value in settings._asdict().items():
        least = "0 or more" if name in ("gamma", "eta", "mu", "seed") else "positive"
        if value < 0 or (value == 0 and least == "positive"):
            raise InputError(f"{name} is {value}: it has to be {least}")
    z_a, z_b = (z.astype("float32") for z in check_feature_pairs(z_a, z_b))
    hot = label_rows(labels, len(z_a))
    rows, steps = np.arange(len(z_a)), settings.epochs * steps_per_epoch(len(z_a), settings.batch_size)
    a, b = Learner("a", z_a, settings, steps), Learner("b", z_b, settings, steps)
    codes, losses = shared_codes(a.outputs(), b.outputs()), []

    def batches(number):
        for index in epoch_batches(rows, settings.batch_size, settings.seed, "hashing", number):
            yield to_device(index, xp)

    for number in range(settings.epochs):
        batch_losses = list(epoch(a, b, codes, lambda index: relevance(hot[index], hot), partial(batches, number)))
        losses.append(float(to_host(sum(batch_losses))) / len(batch_losses))
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"hashing, epoch {number + 1}: the loss is {losses[-1]}; try a smaller lr")
        codes = shared_codes(a.outputs(), b.outputs())
    return Hashing(a.params, b.params, codes, losses)
