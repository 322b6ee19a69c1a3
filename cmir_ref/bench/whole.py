"""Whole trainings of CMIR-NET, both stages, against a PyTorch script of the same work.

The same samples, parts, networks, batches, epochs, augmentations, eight views of an image, dropout, schedule and
validation after every epoch; few epochs, so that a turn takes seconds. Samples are random numbers: only time counts.
Both sides must give the same features of the first weights, seen in all eight ways.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backend import generator
from ..cmirnet.stage1 import apply_pretrainer, init_pretrainer, label_kind, pretrainer
from ..cmirnet.stage2 import init_stage2, latent_settings
from ..cmirnet.system import looks_often
from ..config import SharedSettings, load_config
from ..data import pairs_of, split_data
from ..records import Dataset, Modality
from ..runs import train
from ..training.inputs import Source, fit_normaliser
from .peers import Case, Side
from .steps import LAYOUTS, torch_latent_loss

CLASSES = 8
COMPARED = 4  # samples whose features both sides must agree on


class WholeTraining(NamedTuple):
    """A training: (name, kind, shape) of a and b, whether they are pairs, how many there are, epochs of both stages."""

    senses: tuple[tuple[str, str, tuple[int, int, int]], ...]
    paired: bool
    samples: int
    epochs: tuple[int, int]  # a tenth of the preset's


WHOLE_TRAININGS = {
    "pan-mul": WholeTraining((("pan", "image", (256, 256, 1)), ("mul", "image", (64, 64, 4))), True, 96, (6, 12)),
    "image-speech": WholeTraining(
        (("image", "image", (64, 64, 3)), ("speech", "sound", (96, 64, 1))), False, 192, (6, 8)
    ),
}


def cases(share: float = 1.0) -> list[Case]:
    """`whole/pan-mul` and `whole/image-speech`; PyTorch may lay out its arrays in either way.

    With a `share` of the samples and of the epochs.
    """
    result = []
    for scenario, work in WHOLE_TRAININGS.items():
        epochs = [max(1, int(share * n)) for n in work.epochs]
        settings = {"scenario": scenario, "samples": int(share * work.samples), "epochs": epochs}
        others = {
            layout.removesuffix("_format"): (f"{__name__}:torch_whole_side", settings | {"layout": layout})
            for layout in LAYOUTS
        }
        ours = (f"{__name__}:whole_side", settings)
        result.append(Case(f"whole/{scenario}", ours, "torch", others, tolerance=1e-4))
    return result


def whole_config(scenario: str, epochs: Sequence[int]) -> SharedSettings:
    """The preset, with so many epochs of stage 1 and of stage 2."""
    return load_config(scenario, [f"stage{k}.epochs={n}" for k, n in enumerate(epochs, start=1)])


def random_dataset(scenario: str, samples: int) -> Dataset:
    """Random samples of both senses, an eighth of them of each class; those of PAN and MUL are pairs."""
    rng, labels, modalities = np.random.default_rng(0), np.arange(samples) % CLASSES, {}
    for m, (name, kind, shape) in zip("ab", WHOLE_TRAININGS[scenario].senses, strict=True):
        x = rng.standard_normal((samples, *shape), dtype=np.float32)
        ids, groups = tuple(f"{name}{k}" for k in range(samples)), labels.astype(str)
        modalities[m] = Modality(name, kind, x, labels, ids, None, groups)
    pairing = np.stack([np.arange(samples)] * 2, axis=1) if WHOLE_TRAININGS[scenario].paired else None
    return Dataset(modalities, tuple(map(str, range(CLASSES))), pairing, "random numbers")


def first_networks(config: SharedSettings, data: Dataset) -> dict[str, tuple[dict, dict, Source]]:
    """(params, buffers, source) of each modality's pretrainer before training."""
    train_rows, found = split_data(config, data).train, {}
    for m, modality in data.modalities.items():
        params, buffers = init_pretrainer(config, f"stage1.{m}", modality.x.shape[1:], CLASSES, modality.kind)
        normaliser = fit_normaliser(modality.x, train_rows[m], config.normalise_inputs)
        found[m] = params, buffers, Source(modality.x, modality.labels, modality.kind, normaliser)
    return found


# ---- ours -----------------------------------------------------------------------------------------------------------


def whole_side(scenario: str, samples: int, epochs: Sequence[int]) -> Side:
    """`train`, without a folder."""
    config, data = whole_config(scenario, epochs), random_dataset(scenario, samples)
    features = {}
    for m, (params, buffers, source) in first_networks(config, data).items():
        network = pretrainer(config, source.x.shape[1:], source.kind)
        views = looks_often(config, source.kind)
        out = apply_pretrainer(network, params, buffers, source, np.arange(COMPARED), average_views=views)
        features[f"z.{m}"] = out.z
    return Side(features, lambda: train(config, data))


# ---- PyTorch's ------------------------------------------------------------------------------------------------------


def torch_whole_side(scenario: str, samples: int, epochs: Sequence[int], layout: str) -> Side:
    """The script, its arrays in one of the two layouts."""
    config, data = whole_config(scenario, epochs), random_dataset(scenario, samples)
    networks = first_networks(config, data)
    features = {}
    for m, (params, buffers, source) in networks.items():
        net = TorchPretrainer(config, source, params, buffers, layout)
        features[f"z.{m}"] = net.features(slice(0, COMPARED)).numpy()
    return Side(features, lambda: train_with_torch(config, data, networks, layout))


def train_with_torch(config: SharedSettings, data: Dataset, networks: Mapping[str, tuple], layout: str) -> dict:
    """Both stages; returns V of all samples by letter."""
    parts, z = split_data(config, data), {}
    for m, (params, buffers, source) in networks.items():
        net = TorchPretrainer(config, source, params, buffers, layout)
        net.train(parts.train[m], parts.validation[m])
        z[m] = net.features(slice(None))
    return train_latent(config, data, parts, z)


class TorchPretrainer:
    """The convolution pretrainer of one modality, and how it is trained."""

    def __init__(self, config: SharedSettings, source: Source, params: Mapping, buffers: Mapping, layout: str):
        import torch

        self.config, self.kind, self.memory = config, source.kind, getattr(torch, layout)
        self.arch = pretrainer(config, source.x.shape[1:], source.kind).arch
        self.x = self.arrays(torch.from_numpy(source.normalise(source.x)).permute(0, 3, 1, 2))
        self.y = torch.from_numpy(source.labels)
        self.loss_kind = label_kind(config.stage1.label_loss, source.labels)
        self.leaves = {
            name: self.arrays(kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel).requires_grad_()
            for name, kernel in ((name, torch.from_numpy(value)) for name, value in params.items())
        }
        self.buffers = {name: torch.from_numpy(value).clone() for name, value in buffers.items()}

    def arrays(self, x: Any) -> Any:
        """A copy in the layout that was asked for."""
        return x.contiguous(memory_format=self.memory).clone() if x.ndim == 4 else x.clone()

    def outputs(self, x: Any, training: bool) -> tuple[Any, Any]:
        """(Z, logits) of images x (N, C, H, W)."""
        import torch
        from torch.nn import functional

        w = self.leaves
        for i, pool in enumerate(self.arch.pools, start=1):
            x = functional.conv2d(x, w[f"conv.{i}.w"], w[f"conv.{i}.b"], padding=1)
            x = functional.leaky_relu(functional.max_pool2d(x, pool), self.arch.slope, inplace=True)
            running = self.buffers[f"norm.{i}.mean"], self.buffers[f"norm.{i}.var"]
            norm = w[f"norm.{i}.gamma"], w[f"norm.{i}.beta"]
            x = functional.batch_norm(x, *running, *norm, training=training, eps=1e-3)
        z = torch.relu(x.permute(0, 2, 3, 1).flatten(1) @ w["fc.w"] + w["fc.b"])
        kept = functional.dropout(z, self.arch.dropout, training)
        return z, kept @ w["classifier.w"] + w["classifier.b"]

    def augmented(self, x: Any) -> Any:
        """Images under a random one of their eight symmetries; sounds moved by up to 6 frames and 2 bands."""
        import torch

        if self.kind == "image":
            view, out = torch.randint(0, 8, (len(x),)), torch.empty_like(x)
            for k, symmetry in enumerate(torch_symmetries()):
                out[view == k] = symmetry(x[view == k])
            return out
        n, _, frames, bands = x.shape
        later, higher = torch.randint(-6, 7, (n, 1, 1)), torch.randint(-2, 3, (n, 1, 1))
        row = (torch.arange(frames)[:, None] - later).clamp(0, frames - 1)
        band = (torch.arange(bands) - higher).clamp(0, bands - 1)
        return x[torch.arange(n)[:, None, None], 0, row, band][:, None]

    def train(self, rows: np.ndarray, validation: np.ndarray) -> None:
        """Stage 1."""
        import torch
        from torch.nn import functional

        schedule, orthogonality = self.config.stage1, self.config.orthogonality
        rows, validation, eye = torch.from_numpy(rows), torch.from_numpy(validation), torch.eye(self.config.d_z)
        steps = math.ceil(len(rows) / schedule.batch_size) * schedule.epochs
        optimiser, rate = torch_optimiser(self.leaves, schedule, steps)
        for _ in range(schedule.epochs):
            for batch in rows[torch.randperm(len(rows))].split(schedule.batch_size):
                optimiser.zero_grad()
                z, logits = self.outputs(self.augmented(self.x[batch]), training=True)
                loss = functional.cross_entropy(logits, self.y[batch])
                loss = loss + orthogonality.weight * ((z.T @ z / len(z) - eye) ** 2).sum()
                loss.backward()
                optimiser.step()
                rate.step()
            with torch.no_grad():
                logits = self.outputs(self.x[validation], training=False)[1]
                torch_precision(-logits, functional.one_hot(self.y[validation], CLASSES).bool())

    def features(self, rows: slice) -> Any:
        """Z, the mean over the views of an image."""
        import torch

        views = torch_symmetries() if self.kind == "image" and self.config.stage1.average_views else [lambda x: x]
        with torch.no_grad():
            blocks = [
                sum(self.outputs(view(x).contiguous(memory_format=self.memory), training=False)[0] for view in views)
                for x in self.x[rows].split(64)
            ]
        return torch.cat(blocks) / len(views)


def torch_symmetries() -> list[Callable]:
    """The eight flips and turns of square images (N, C, H, W)."""
    import torch

    return [
        lambda x, turn=turn, mirror=mirror: torch.rot90(x.flip(3) if mirror else x, turn, (2, 3))
        for turn in range(4)
        for mirror in (False, True)
    ]


def torch_optimiser(leaves: Mapping[str, Any], schedule: Any, steps: int) -> tuple[Any, Any]:
    """AdamW, which decays matrices and kernels alone, and the cosine schedule with its warm-up."""
    import torch

    decays = [leaf for leaf in leaves.values() if leaf.ndim > 1]
    others = [leaf for leaf in leaves.values() if leaf.ndim == 1]
    groups = [{"params": decays, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    warm = schedule.warmup * steps
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser := torch.optim.AdamW(groups, schedule.lr, fused=True),
        lambda k: min(1, (k + 1) / warm if warm else 1) * (1 + math.cos(math.pi * k / steps)) / 2,
    )
    return optimiser, rate


def torch_precision(distances: Any, relevant: Any) -> float:
    """Mean average precision of the rows; ties in the order of the columns."""
    import torch

    hits = relevant.gather(1, distances.argsort(dim=1)).double()
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / hits.sum(1).clamp(min=1)).mean())


def train_latent(config: SharedSettings, data: Dataset, parts: Any, z: Mapping[str, Any]) -> dict[str, Any]:
    """Stage 2 on features z; V of all samples by letter."""
    import torch
    from torch.nn import functional

    schedule, labels = config.stage2, {m: modality.labels for m, modality in data.modalities.items()}
    shapes = {m: tuple(x.shape[1:]) for m, x in z.items()}
    network = latent_settings(config, shapes, labels)
    params, _ = init_stage2(config, network, shapes, CLASSES)
    leaves = {name: torch.from_numpy(value.astype("float32")).requires_grad_() for name, value in params.items()}
    train = {m: torch.from_numpy(rows) for m, rows in parts.train.items()}
    scale = {m: x[train[m]].square().mean().sqrt().clamp(min=1e-8) for m, x in z.items()}
    z, y = {m: x / scale[m] for m, x in z.items()}, {m: torch.from_numpy(labels[m]) for m in z}
    pairs = pairs_of(data, parts.train, generator(config.seed, "pairs", 0))
    steps = math.ceil(len(pairs) / schedule.batch_size) * schedule.epochs
    optimiser, rate = torch_optimiser(leaves, schedule, steps)
    for epoch in range(schedule.epochs):
        drawn = torch.from_numpy(pairs_of(data, parts.train, generator(config.seed, "pairs", epoch)))
        for a, b in (rows.T for rows in drawn[torch.randperm(len(drawn))].split(schedule.batch_size)):
            optimiser.zero_grad()
            x = [functional.dropout(z[m][rows], schedule.feature_dropout) for m, rows in (("a", a), ("b", b))]
            torch_latent_loss(leaves, x, (y["a"][a], y["b"][b]), network).backward()
            optimiser.step()
            rate.step()
        with torch.no_grad():
            rows = {m: torch.from_numpy(parts.validation[m]) for m in z}
            v = {m: torch_embedding(leaves, m, z[m][rows[m]], network) for m in z}
            for p, q in ("ab", "ba"):
                torch_precision(torch.cdist(v[p], v[q]), y[p][rows[p]][:, None] == y[q][rows[q]])
    with torch.no_grad():
        return {m: torch_embedding(leaves, m, x, network) for m, x in z.items()}


def torch_embedding(leaves: Mapping[str, Any], m: str, z: Any, network: Any) -> Any:
    """V (N, d_v) of features z."""
    last = network.arch.encoder_depth
    for i in range(1, last + 1):
        z = z @ leaves[f"encoder_{m}.{i}.w"] + leaves[f"encoder_{m}.{i}.b"]
        z = z.relu() if i < last or network.arch.encoder_activation == "relu" else z
    return z
