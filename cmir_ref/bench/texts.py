"""AMFMN against PyTorch, float32: a recurrent unit over sentences, the scores of all pairs, and a step."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..amfmn.eq1_similarity import soft_similarity
from ..ops.fused import gru_by_length, gru_by_length_backward
from ..parallel import single_threaded_blas
from ..training.loop import keep_freed_memory
from .match_steps import match_step, torch_match_step
from .peers import Case, Side
from .steps import BATCH, CHECKED, LAYOUTS

SENTENCES, WORDS, WIDTH, STATE = 64, 20, 64, 128  # of a batch: lengths from 5 to 20, as those of captions
IMAGES, TEXTS, VECTOR = 1000, 5000, 128
STEPS_A_TURN = 10


def cases(images: int = IMAGES, texts: int = TEXTS, batch: int = BATCH) -> list[Case]:
    """`gru` (forward and backward of a batch), `amfmn/scores` (the soft gate, all pairs) and `amfmn/step`."""
    sizes = {"images": images, "texts": texts}
    pairs = {"gru": ("gru", {}), "amfmn/scores": ("scores", sizes)}
    both = [
        Case(name, (f"{__name__}:{side}_side", given), "torch", {"": (f"{__name__}:torch_{side}_side", given)}, 1e-3)
        for name, (side, given) in pairs.items()
    ]
    others = {
        layout.removesuffix("_format"): (f"{__name__}:torch_match_side", {"batch": batch, "layout": layout})
        for layout in LAYOUTS
    }
    return [*both, Case("amfmn/step", (f"{__name__}:match_side", {"batch": batch}), "torch", others, 1e-9)]


def draw_sentences() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """(x, w, u, b), lengths, and the gradient of the states, which is 0 beyond a sentence's end."""
    rng = np.random.default_rng(0)
    shapes = {"x": (SENTENCES, WORDS, WIDTH), "w": (WIDTH, 3 * STATE), "u": (STATE, 3 * STATE), "b": (3 * STATE,)}
    arrays = {name: 0.1 * rng.standard_normal(shape).astype("f4") for name, shape in shapes.items()}
    lengths = rng.integers(5, WORDS + 1, SENTENCES)
    lengths[0] = WORDS
    dy = rng.standard_normal((SENTENCES, WORDS, STATE)).astype("f4")
    return arrays, lengths, dy * (np.arange(WORDS) < lengths[:, None])[..., None]


def gru_side() -> Side:
    """This package's unit."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    arrays, lengths, dy = draw_sentences()

    def step():
        y, cache = gru_by_length(*arrays.values(), lengths=lengths)
        return y, gru_by_length_backward(dy, cache)

    y, grads = step()
    ends = y[np.arange(SENTENCES), lengths - 1]
    return Side({"ends": ends, **dict(zip(arrays, grads, strict=True))}, lambda: _repeat(step), STEPS_A_TURN)


def torch_gru_side() -> Side:
    """PyTorch's, over packed sequences; its second bias stays 0, and its gradient is not asked for."""
    import torch

    torch.set_num_threads(1)
    arrays, lengths, dy = draw_sentences()
    unit = torch.nn.GRU(WIDTH, STATE, batch_first=True)
    with torch.no_grad():
        values = arrays["w"].T, arrays["u"].T, arrays["b"], np.zeros_like(arrays["b"])
        for parameter, value in zip(unit.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    w, u, b, b_u = unit.parameters()
    b_u.requires_grad_(False)
    x, upstream = torch.from_numpy(arrays["x"]).requires_grad_(), torch.from_numpy(dy)
    counts = torch.from_numpy(lengths)

    def step():
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, counts, batch_first=True, enforce_sorted=False)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(unit(packed)[0], batch_first=True)
        return y, torch.autograd.grad(y, (x, w, u, b), upstream)

    y, (dx, dw, du, db) = step()
    ends = y.detach().numpy()[np.arange(SENTENCES), lengths - 1]
    result = {"ends": ends, "x": dx.numpy(), "w": dw.numpy().T, "u": du.numpy().T, "b": db.numpy()}
    return Side(result, lambda: _repeat(step), STEPS_A_TURN)


def draw_vectors(images: int, texts: int) -> tuple[np.ndarray, ...]:
    """v, t, and the weights and bias of the gate."""
    rng = np.random.default_rng(1)
    shapes = (images, VECTOR), (texts, VECTOR), (VECTOR, VECTOR), (VECTOR,)
    return tuple(
        rng.standard_normal(shape).astype("f4") / scale for shape, scale in zip(shapes, (1, 1, 8, 1), strict=True)
    )


def scores_side(images: int, texts: int) -> Side:
    """This package's closed form."""
    threadpool_limits(1, user_api="blas")
    keep_freed_memory()
    arrays = draw_vectors(images, texts)
    return Side({"scores": soft_similarity(*arrays)[0]}, lambda: soft_similarity(*arrays))


def torch_scores_side(images: int, texts: int) -> Side:
    """PyTorch, as the released code writes it but for blocks of images: a text for every pair, then its cosine."""
    import torch

    torch.set_num_threads(1)
    v, t, w, b = map(torch.from_numpy, draw_vectors(images, texts))

    def step():
        rows = []
        for some in v.split(8):
            text = torch.sigmoid(some @ w + b)[:, None] * t[None]
            rows.append(torch.nn.functional.cosine_similarity(some[:, None], text, dim=2))
        return torch.cat(rows)

    with torch.no_grad():
        found = step().numpy()
    return Side({"scores": found}, torch.no_grad()(step))


def match_side(batch: int) -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    exact = match_step(batch, "float64").gradients(min(CHECKED, batch))
    keep_freed_memory()
    step = match_step(batch).step

    def turn():
        with single_threaded_blas():
            step()

    return Side(exact, turn)


def torch_match_side(batch: int, layout: str) -> Side:
    """The same step by PyTorch, its arrays in one of the two layouts."""
    gradients, step = torch_match_step(batch, layout)
    return Side(gradients(min(CHECKED, batch)), step)


def _repeat(step: Any) -> None:
    for _ in range(STEPS_A_TURN):
        step()
