"""One training step of AMFMN, ours and PyTorch's, from the same start: trunk, MVSA, sentences, scores, loss, Adam.

Images 64 × 64 and sentences of 5 to 20 words as preset `image-text` has them: the small trunk and four maps, a bi-GRU's
mean, the soft gate, the sum over all negatives. Both sides use the closed form of the soft gate.
"""

import copy
from typing import Any

import numpy as np

from ..amfmn.match import architecture
from ..amfmn.networks import init_amfmn
from ..amfmn.objective import match_objective, match_objective_backward
from ..config import load_config
from ..params import Params
from .steps import Step, as_numpy, in_float64, with_adam, with_torchs_adam

SHAPE, WORDS, VOCABULARY = (64, 64, 3), 20, 320


def draw_match(batch: int, dtype: str = "float32"):
    """(arch, params, buffers), and a batch: x, words, margin, negative; float32 values in any dtype."""
    arch, rng = architecture(load_config("image-text")), np.random.default_rng(0)
    params, buffers = init_amfmn(arch, SHAPE, VOCABULARY, rng)
    cast = [{k: value.astype("float32").astype(dtype) for k, value in part.items()} for part in (params, buffers)]
    x = rng.standard_normal((batch, *SHAPE), dtype=np.float32)
    lengths = rng.integers(5, WORDS + 1, batch)
    lengths[0] = WORDS
    words = rng.integers(1, VOCABULARY + 1, (batch, WORDS)) * (np.arange(WORDS) < lengths[:, None])
    margin = rng.uniform(0.2, 0.6, (batch, batch)).astype("float32")
    negative = (rng.random((batch, batch)) < 0.95) & ~np.eye(batch, dtype=bool)
    return arch, *cast, (x.astype(dtype), words, margin.astype(dtype), negative)


def match_step(batch: int, dtype: str = "float32") -> Step:
    """The step by this package."""
    arch, params, buffers, (x, words, margin, negative) = draw_match(batch, dtype)
    params = Params(params)

    def gradients(n: int = batch) -> dict[str, Any]:
        loss, cache = match_objective(
            params, x[:n], words[:n], None, margin[:n, :n], negative[:n, :n], arch=arch, buffers=buffers
        )
        return {"loss": loss, **match_objective_backward(1.0, cache)[0]}

    return Step(gradients, with_adam(params, gradients, np))


GRU_PARTS = {"w": "weight_ih_l0", "u": "weight_hh_l0", "b": "bias_ih_l0"}


def torch_match_step(batch: int, layout: str) -> Step:
    """The step by autograd, in one of PyTorch's layouts, with its packed sequences and its fused Adam."""
    import torch
    from torch.nn import functional
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    arch, params, _, (x, words, margin, negative) = draw_match(batch)
    memory = getattr(torch, layout)
    lengths = torch.from_numpy((words > 0).sum(axis=1))
    x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)
    words, margin, negative = map(torch.from_numpy, (words, margin, negative))
    unit = torch.nn.GRU(arch.word_width, arch.d, batch_first=True, bidirectional=True)
    directions = {"forward": "", "backward": "_reverse"}
    of_unit = {  # our name -> the unit's
        f"sentence.{way}.{part}": name + end for way, end in directions.items() for part, name in GRU_PARTS.items()
    }
    with torch.no_grad():
        for ours, theirs in of_unit.items():
            getattr(unit, theirs).copy_(torch.from_numpy(params[ours].T))
        for end in directions.values():  # its second bias stays 0, and its gradient is not asked for
            getattr(unit, "bias_hh_l0" + end).zero_().requires_grad_(False)

    def kernel(value):
        return value.permute(3, 2, 0, 1).contiguous(memory_format=memory) if value.ndim == 4 else value

    leaves = {n: kernel(torch.from_numpy(v)).clone().requires_grad_() for n, v in params.items() if n not in of_unit}
    running = [[torch.full((c,), float(s)) for s in (0, 1)] for c in arch.trunk.channels]

    def unit_pixels(m):  # of length 1 along the channels
        return m / m.square().sum(1, keepdim=True).sqrt()

    def image(p, h, running):
        maps = []
        for i, pool in enumerate(arch.trunk.pools, start=1):
            h = functional.conv2d(h, p[f"trunk.conv.{i}.w"], p[f"trunk.conv.{i}.b"], padding=1)
            h = functional.leaky_relu(functional.max_pool2d(h, pool), arch.trunk.slope, inplace=True)
            norm = p[f"trunk.norm.{i}.gamma"], p[f"trunk.norm.{i}.beta"]
            h = functional.batch_norm(h, *running[i - 1], *norm, training=True, eps=1e-3)
            maps.append(h)
        maps = maps[arch.trunk.skipped :]
        v = maps[-1].mean((2, 3)) @ p["image.w"] + p["image.b"]
        low, high = maps[: arch.low], maps[arch.low :]
        low, high = (
            torch.cat([m if m.shape[2] == side else functional.interpolate(m, size=side) for m in part], 1)
            for part, side in ((low, low[0].shape[2]), (high, arch.side))
        )
        stride = low.shape[2] // arch.side
        fine = functional.conv2d(low, p["mvsa.low.w"], p["mvsa.low.b"], stride=stride)
        coarse = functional.conv2d(high, p["mvsa.high.w"], p["mvsa.high.b"])
        fine, coarse = functional.prelu(fine, p["mvsa.low.slope"]), functional.prelu(coarse, p["mvsa.high.slope"])
        mixed = unit_pixels(torch.cat([fine, coarse], 1) + high.mean(1, keepdim=True)).permute(0, 2, 3, 1)
        value = mixed @ p["mvsa.value.w"] + p["mvsa.value.b"]
        gate = torch.sigmoid(mixed @ p["mvsa.gate.w"] + p["mvsa.gate.b"])
        return v * torch.sigmoid((value * gate).flatten(1) @ p["mvsa.mask.w"] + p["mvsa.mask.b"])

    def sentence(p, unit, words, lengths):
        read = functional.embedding(words, p["words.table"], padding_idx=0)
        packed = pack_padded_sequence(read, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(unit(packed)[0], batch_first=True, total_length=words.shape[1])
        both = (states[..., : arch.d] + states[..., arch.d :]) / 2
        return both.sum(1) / lengths[:, None].to(both.dtype)

    def backward(p, unit, x, words, lengths, margin, negative, running):
        v, t = image(p, x, running), sentence(p, unit, words, lengths)
        gate = torch.sigmoid(v @ p["attention_s.gate.w"] + p["attention_s.gate.b"])
        q = gate.square() @ t.square().T
        scores = ((v / v.norm(dim=1, keepdim=True) * gate) @ t.T) / q.sqrt()
        own = scores.diagonal()
        terms = [functional.relu(margin - each + scores) * negative for each in (own[:, None], own[None, :])]
        loss = terms[0].sum() + terms[1].sum()
        loss.backward()
        return loss

    def gradients(n: int) -> dict[str, Any]:  # in float64: float32 changes winners of the pools
        exact, wide = in_float64(leaves), copy.deepcopy(unit).double()
        statistics = [[value.double() for value in pair] for pair in running]
        batch = x[:n].double(), words[:n], lengths[:n], margin[:n, :n].double(), negative[:n, :n], statistics
        found = {"loss": backward(exact, wide, *batch).detach()}
        found |= {k: leaf.grad.permute(2, 3, 1, 0) if leaf.ndim == 4 else leaf.grad for k, leaf in exact.items()}
        found |= {ours: getattr(wide, theirs).grad.t() for ours, theirs in of_unit.items()}
        return as_numpy(found)

    moved = leaves | {ours: getattr(unit, theirs) for ours, theirs in of_unit.items()}
    everything = (x, words, lengths, margin, negative, running)
    return Step(gradients, with_torchs_adam(moved, lambda: backward(leaves, unit, *everything)))
