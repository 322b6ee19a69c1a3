"""Does an output jump as an input moves, as of rounding, of a sign or of an argmax?

Between its jumps such an output is flat, and its derivative is 0. A gradient that is passed straight through the step
is an estimate, and nothing measured can confirm it.
"""

from collections.abc import Callable

import numpy as np

from .numeric import random_direction
from .trial import Trial, flat_arrays, usual_size

LINES, LENGTH = 4, 8  # how many lines are searched, and how long they are, in usual sizes of an entry
HALVINGS = 40
JUMP = 1e-6  # relative to the largest output on the line: an output that is smooth moves far less on so short a way


def jumps(trial: Trial, i: int, some: np.ndarray | None = None) -> bool:
    """Whether any of the outputs, or of `some`, jumps on a line from the inputs on which input i alone moves."""
    x, rng = trial.inputs[i], np.random.default_rng([9, i])
    if i in trial.held:
        return False

    def at(t, way):
        y = flat_arrays(trial.call([x + t * way if j == i else a for j, a in enumerate(trial.inputs)])[0])
        return y if some is None else y[some]

    for _ in range(LINES):
        way = LENGTH * usual_size(x) * random_direction(rng, x.shape)
        try:
            with np.errstate(all="ignore"):
                if _jumps_on(lambda t, way=way: at(t, way)):
                    return True
        except Exception:  # a point may leave the function's domain
            continue
    return False


def _jumps_on(outputs: Callable[[float], np.ndarray]) -> bool:
    """Whether outputs(t) jumps somewhere between 0 and 1: of two halves, the one with the larger change is searched."""
    low, high = 0.0, 1.0
    below, above = outputs(low), outputs(high)
    size = np.maximum(np.abs(below), np.abs(above)).max(initial=0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        y = outputs(middle)
        if np.abs(y - below).max(initial=0) >= np.abs(above - y).max(initial=0):
            high, above = middle, y
        else:
            low, below = middle, y
    return bool(JUMP * size < np.abs(above - below).max(initial=0) <= 4 * size)  # and no pole, as of 1/x
