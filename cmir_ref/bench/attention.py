"""Photo ↔ sketch: a step of stage 2 with R1 and with R2, batch 64, and the scores of all pairs by R1, float32."""

import numpy as np
from threadpoolctl import threadpool_limits

from ..attention.inference import Attended, embed_by_mean, embed_sketches, pair_distances
from ..attention.objective import attended_objective, attended_objective_backward
from ..attention.settings import AttentionSettings
from ..attention.stage2 import form_of, init_attended
from ..cmirnet.stage2 import LatentSettings, latent_settings
from ..config import load_config
from ..params import Params
from ..records import Items
from ..training.loop import keep_freed_memory
from .latent import side_of
from .peers import Case, Side
from .steps import BATCH, FEATURES, Step, torch_arrays, torch_latent_loss, torch_step, with_adam

PRESETS = {"channel": "photo-sketch", "spatial": "photo-sketch_spatial"}
CLASSES = 14
PLACES, CHANNELS = 16, 128  # of the maps of 64 × 64 pixels
SKETCHES, PHOTOS = 1000, 10_000
SEARCHED = 128  # sketches of a turn: all would take half a minute
STEPS_A_TURN = 10


def cases(sketches: int = SKETCHES, photos: int = PHOTOS) -> list[Case]:
    """`attention/step/channel` (R1) and `attention/step/spatial` (R2) against PyTorch with one thread or two;
    `attention/pairs`: R1's distances of all pairs, which has no peer."""
    steps = [
        Case(
            f"attention/step/{kind}",
            (f"{__name__}:attended_side", {"kind": kind}),
            "torch",
            {
                f"{n} thread{'s'[: n - 1]}": (f"{__name__}:torch_attended_side", {"kind": kind, "threads": n})
                for n in (1, 2)
            },
        )
        for kind in PRESETS
    ]
    return [*steps, Case("attention/pairs", (f"{__name__}:pairs_side", {"sketches": sketches, "photos": photos}))]


def draw_attended(kind: str, batch: int) -> tuple[AttentionSettings, LatentSettings, dict, tuple, list, dict | None]:
    """(settings, network, params, (x_a, x_b, context), labels, heads) of stage 2 as the preset has it, no dropout.

    The values of R2 are drawn, which begin at 0: queries and keys would have no gradient.
    """
    settings, rng = load_config(PRESETS[kind], ["latent_dropout=none"]), np.random.default_rng(0)

    def draw(*shape, scale=1.0):
        return (scale * rng.random(shape)).astype("float32")

    y = [rng.integers(0, CLASSES, batch) for _ in "ab"]
    network = latent_settings(settings, dict.fromkeys("ab", (FEATURES,)), dict(zip("ab", y, strict=True)))
    params, _ = init_attended(settings, network, CLASSES, CHANNELS)
    params = {name: np.asarray(value, "float32") for name, value in params.items()}
    if kind == "channel":
        return settings, network, params, tuple(draw(batch, FEATURES) for _ in range(3)), y, None
    params["gate.v"] = draw(CHANNELS, CHANNELS, scale=2 / CHANNELS)
    heads = {"a.1.w": draw(PLACES * CHANNELS, FEATURES) - np.float32(0.5), "a.1.b": draw(FEATURES)}
    heads["a.1.w"] *= np.float32(2 / (PLACES * CHANNELS) ** 0.5)
    x = draw(batch, PLACES, CHANNELS), draw(batch, FEATURES), draw(batch, PLACES, CHANNELS)
    return settings, network, params, x, y, heads


def attended_step(kind: str, batch: int) -> Step:
    """Stage 2 with this attention, ours."""
    settings, network, params, x, y, heads = draw_attended(kind, batch)
    params = Params(params)
    terms = {name: value for name, value in network._asdict().items() if name != "fronts"}
    terms |= {"attention": form_of(settings), "heads": heads}

    def gradients(n=batch):
        few = (tuple(part[:n] for part in both) for both in (x, y))
        loss, cache = attended_objective(params, *few, **terms)
        return {"loss": loss, **attended_objective_backward(1.0, cache, input_gradient=False)[0]}

    return Step(gradients, with_adam(params, gradients, np))


def torch_attended_step(kind: str, batch: int) -> Step:
    """The step of `attended_step` by autograd."""
    import torch
    from torch.nn import functional

    _, network, params, x, y, heads = draw_attended(kind, batch)
    y, (w, b) = torch_arrays(y), torch_arrays((heads or {"w": np.zeros(0), "b": np.zeros(0)}).values())

    def channel(leaves, x_a, context):
        return x_a * (1 + torch.sigmoid(torch.addmm(leaves["gate.b"], context, leaves["gate.w"])))

    def spatial(leaves, x_a, context):
        q, k, v = x_a @ leaves["gate.q"], context @ leaves["gate.k"], context @ leaves["gate.v"]
        o = x_a + functional.scaled_dot_product_attention(q, k, v)
        return torch.relu(torch.addmm(b.to(o.dtype), o.flatten(1), w.to(o.dtype)))

    def loss_of(leaves, x):
        z_a = (channel if kind == "channel" else spatial)(leaves, x[0], x[2])
        return torch_latent_loss(leaves, (z_a, x[1]), y, network)

    return torch_step(params, x, loss_of)


def attended_side(kind: str) -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    return side_of(attended_step(kind, BATCH), STEPS_A_TURN)


def torch_attended_side(kind: str, threads: int) -> Side:
    """The same step by PyTorch, with so many threads."""
    import torch

    torch.set_num_threads(threads)
    return side_of(torch_attended_step(kind, BATCH), STEPS_A_TURN)


def pairs_side(sketches: int, photos: int) -> Side:
    """R1's levels of every sketch to every photo, in blocks of queries as an evaluation asks for them."""
    settings, network, params, *_ = draw_attended("channel", BATCH)
    net, rng = Attended(form_of(settings), network.arch, params, None), np.random.default_rng(1)
    x, context = (rng.random((n, FEATURES)).astype("float32") for n in (photos, sketches))
    query = Items({"b": np.arange(sketches)}, {"b": {"v": embed_sketches(net, context), "context": context}})
    gallery = Items({"a": np.arange(photos)}, {"a": {"v": embed_by_mean(net, x, context), "x": x}})
    of = pair_distances(net, query, gallery, settings.distance)
    searched = min(SEARCHED, sketches)

    def turn():
        for start in range(0, searched, BATCH):
            of(slice(start, min(start + BATCH, searched)))

    return Side({"levels": of(slice(0, 1))}, turn, searched / sketches)
