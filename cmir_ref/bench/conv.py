"""One step of stage 1 (loss, gradients, Adam) of the convolution pretrainer, batch 64, float32, against PyTorch."""

from ..nets.conv_pretrainer import CHANNELS, pools_for
from ..parallel import single_threaded_blas
from ..training.loop import keep_freed_memory
from .peers import Case, Side
from .steps import BATCH, CHECKED, ENTRIES, FEATURES, LAYOUTS, SHAPES, conv_step, torch_conv_step


def cases() -> list[Case]:
    """`conv/pan/paper` … `conv/mul/released-frozen`; PyTorch may lay out its arrays in either way."""
    result = []
    for net, order in ENTRIES:
        settings = {"shape": SHAPES[net], "order": order}
        others = {
            layout.removesuffix("_format"): (f"{__name__}:torch_conv_side", settings | {"layout": layout})
            for layout in LAYOUTS
        }
        ours = f"{__name__}:conv_side", settings
        result.append(Case(f"conv/{net}/{order}", ours, "torch", others, 1e-9, conv_operations(SHAPES[net])))
    return result


def conv_operations(shape: tuple[int, int, int], batch: int = BATCH) -> float:
    """Additions and multiplications of a step's convolutions and of the layer that makes Z.

    Each product has a forward and two backwards; nobody asks for the gradient of the image.
    """
    (height, width, before), total = shape, 0.0
    for i, (channels, pool) in enumerate(zip(CHANNELS, pools_for(height, width), strict=True)):
        total += (3 if i else 2) * 2 * 9 * before * channels * height * width
        height, width, before = height // pool, width // pool, channels
    return batch * (total + 3 * 2 * height * width * before * FEATURES)


def conv_side(shape: tuple[int, int, int], order: str, batch: int = BATCH) -> Side:
    """This package's step; products in one thread and memory kept, as in training."""
    exact = conv_step(tuple(shape), order, batch, dtype="float64").gradients(min(CHECKED, batch))
    keep_freed_memory()
    step = conv_step(tuple(shape), order, batch).step

    def turn():
        with single_threaded_blas():
            step()

    return Side(exact, turn)


def torch_conv_side(shape: tuple[int, int, int], order: str, layout: str) -> Side:
    """The same step by PyTorch, its arrays in one of the two layouts."""
    gradients, step = torch_conv_step(tuple(shape), order, BATCH, layout)
    return Side(gradients(CHECKED), step)
