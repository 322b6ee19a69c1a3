"""A step of the loop as a CUDA graph: the host says once what to launch, and from then on one word for all of it.

A graph does the same to the same arrays. So what differs from step to step is copied into arrays that stay where they
are, and what a step writes (parameters, moments, running statistics) it writes in place. `backend.capture` has the
rest. The values are those of the plain step, bit for bit: the same kernels run.
"""

from collections.abc import Callable
from typing import Any

from ..backend import Array, Graph, capture
from ..progress import tell

KINDS = 4  # of batches, by their shapes, that get a graph each: usually two, the whole ones and an epoch's last


class StepGraphs:
    """Calls `work(*inputs)`, by a graph where `inputs` have shapes that it has seen twice.

    The first time a step is computed plainly, which compiles its kernels; the second time it is captured. Where that
    fails, one line says why, and all further steps are plain ones.
    """

    def __init__(self, name: str, xp):
        self.name, self.xp, self.works = name, xp, True
        self.graphs: dict[tuple, tuple[Any, Graph] | None] = {}  # by shapes and dtypes: the fixed inputs, the graph

    def __call__(self, work: Callable, inputs: tuple) -> Any:
        arrays = leaves(inputs)
        kind = tuple((array.shape, str(array.dtype)) for array in arrays)
        if not self.works or (kind not in self.graphs and len(self.graphs) == KINDS):
            return work(*inputs)
        if kind not in self.graphs:
            self.graphs[kind] = None
            return work(*inputs)
        if self.graphs[kind] is None:
            fixed = copy_nested(inputs)
            try:
                self.graphs[kind] = fixed, capture(lambda: work(*fixed), self.xp)
            except Exception as error:  # whatever this CuPy or this driver does not capture: the plain step is as right
                self.works = False
                line = (str(error).splitlines() or [""])[0]
                tell(f"{self.name}: no CUDA graph, steps are launched one by one: {line}")
                return work(*inputs)
        fixed, graph = self.graphs[kind]
        for place, array in zip(leaves(fixed), arrays, strict=True):
            place[...] = array
        graph.launch()
        return graph.results


def leaves(nested: Any) -> list[Array]:
    """The arrays within tuples and dictionaries, in order."""
    if isinstance(nested, tuple | dict):
        return [array for part in (nested.values() if isinstance(nested, dict) else nested) for array in leaves(part)]
    return [nested]


def copy_nested(nested: Any) -> Any:
    """The same tuples and dictionaries with copies of the arrays."""
    if isinstance(nested, dict):
        return {name: copy_nested(part) for name, part in nested.items()}
    return tuple(map(copy_nested, nested)) if isinstance(nested, tuple) else nested.copy()
