"""What can be a factor: the arrays of a forward, and what it may have computed of them."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .evidence import Array, Evidence

MOST_BLOCKS = 4  # of an array that holds several side by side
SLOPE = "the slope of "
ODDS = "the two sides of a gate, "
NOTHING = 1e-9  # relative to the largest entry: below it, a number is what rounding leaves of 0


class Form(NamedTuple):
    """Something made of the forward's arrays that can be a factor."""

    words: str
    value: Array
    remark: str = ""


def pieces(e: Evidence) -> dict[str, Array]:
    """The forward's arrays that vary, and the blocks of those that hold several side by side, as gates' weights."""
    varied = {name: a for name, a in e.arrays.items() if a.size > 1 and a.min() < a.max()}
    width = e.y.shape[-1] if e.y is not None and e.y.ndim else e.jacobians().right.shape[-1:][0] if e.x.ndim else 0
    for name, a in list(varied.items()):
        if a.ndim and 1 < width < a.shape[-1] <= MOST_BLOCKS * width and a.shape[-1] % width == 0:
            for k in range(0, a.shape[-1], width):
                varied[f"{name}[{':, ' * (a.ndim - 1)}{k}:{k + width}]"] = a[..., k : k + width]
    for name, a in list(varied.items()):
        if a.ndim > 1 and e.x.ndim and a.shape[0] == e.x.shape[0] + 1:  # what is before the first step, and after each
            varied |= {f"{name}[:-1]": a[:-1], f"{name}[1:]": a[1:]}
    return varied


def forms(e: Evidence) -> Iterator[Form]:
    """The forward's arrays themselves, slopes that they tell, their differences, norms and sums by line, and masks."""
    varied = pieces(e)
    computed = {name: a for name, a in varied.items() if name.split("[")[0] not in (e.input, *e.others)}
    most = max((a.ndim for a in (e.x, *e.others.values())), default=0)  # an array for lines alone is no layer's output
    bounded = {n: a for n, a in computed.items() if a.ndim >= most and 1 not in a.shape and -1 < a.min() < a.max() < 1}
    for name, a in varied.items():
        exponential = a.min() > 0 and any(_is_log(b, a) for b in varied.values() if b.shape == a.shape)
        gate = _side_of_gate(name) if name in bounded and a.min() > 0 else ""
        yield Form(name, a, SLOPE + "exp" if exponential else gate)
    for name, a in bounded.items():
        yield from bounded_forms(name, a)
    for name, a in varied.items():
        if name not in bounded and a.min() > 0 and a.max() < 1:
            yield Form(f"1 − {name}", 1 - a)
    for (name, a), (other, b) in combinations(varied.items(), 2):
        if a.shape == b.shape and np.abs(a - b).max() > NOTHING * np.abs(a).max():
            yield Form(f"{name} − {other}", a - b)
    for name, a in varied.items():
        yield from line_forms(name, a)
    for name, a in varied.items():
        yield from unkept_forms(name, a)


def _is_log(a: Array, b: Array) -> bool:
    """Whether b is exp(a) or exp(−a)."""
    return bool((np.abs(np.abs(a) - np.abs(np.log(b))) <= NOTHING * np.abs(a).max()).all())


def line_forms(name: str, a: Array) -> Iterator[Form]:
    """The square of an array, and the norm and the sum of each line."""
    yield Form(f"{name}²", a * a)
    for axis in range(a.ndim) if a.ndim > 1 else ():
        yield Form(f"‖{name}‖ along axis {axis}", np.sqrt((a * a).sum(axis, keepdims=True)))
        total = a.sum(axis, keepdims=True)
        if np.abs(total).max() > NOTHING * np.abs(a).max():  # else it is what rounding leaves of 0
            yield Form(f"the sum of {name} along axis {axis}", total)


def unkept_forms(name: str, a: Array) -> Iterator[Form]:
    """What a forward may compute of an array and not keep: tanh, σ, their slopes, and the mask of a rectifier."""
    if a.min() < 0 < a.max():
        yield Form(f"{name} > 0", (a > 0) * 1.0)
        yield Form(f"{name} < 0", (a < 0) * 1.0)
    if np.abs(a).max() < 30:
        t, p = np.tanh(a), 1 / (1 + np.exp(-a))
        yield Form(f"exp({name})", np.exp(a), ODDS + name)
        yield Form(f"1 − tanh({name})²", 1 - t * t, SLOPE + "tanh")
        yield Form(f"σ({name}) (1 − σ({name}))", p * (1 - p), SLOPE + "σ")
        yield Form(f"tanh({name})", t)
        yield Form(f"σ({name})", p, f"half of the slope of σ at {name}")
        yield Form(f"1 − σ({name})", 1 - p, f"half of the slope of σ at {name}")


def bounded_forms(name: str, a: Array) -> Iterator[Form]:
    """What a computed array between −1 and 1 tells: the slope of the tanh or the σ that made it, and halves of it."""
    half = f"half of tanh's slope (1 − {name})(1 + {name})"
    yield Form(f"1 − {name}²", 1 - a * a, SLOPE + "tanh")
    if a.min() > 0:
        yield Form(f"{name} (1 − {name})", a * (1 - a), SLOPE + "σ")
        yield Form(f"1 − {name}", 1 - a, _side_of_gate(name))
    else:
        yield Form(f"1 − {name}", 1 - a, half)
    yield Form(f"1 + {name}", 1 + a, half)


def _side_of_gate(name: str) -> str:
    return f"if {name} is what σ gave, this is half of its slope {name} (1 − {name}), or a side of a gate"


def is_mask(a: Array) -> bool:
    """Whether all numbers are 0 or 1."""
    return bool(np.isin(a, (0, 1)).all())
