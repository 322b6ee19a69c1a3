"""What the tests of the battery share: layouts, sizes and values to draw, and the call that gives a failure again."""

import numpy as np
from hypothesis import strategies as st

from cmir_ref.checks import Check
from cmir_ref.gradcheck import Result, relative_error

ANY_SHAPE = 1e-11  # the gate for drawn shapes: in arrays of one or two entries a gradient may be what p − y leaves over
ROUNDED_ZERO = 1e-8  # what the declarations give is of the size of 1, or nothing but rounding
SMALL = {"n": 3, "m": 2, "c": 2, "d": 2, "k": 3, "f": 3, "p": 3, "q": 2, "r": 2}  # not h, w: a pool needs its window

LAYOUTS = {
    "C": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "transposed": lambda x: np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0),
}


def layouts(x: np.ndarray) -> st.SearchStrategy[np.ndarray]:
    """`x` in any layout in memory; its values, shape and dtype stay."""
    return st.sampled_from(sorted(LAYOUTS)).map(lambda name: LAYOUTS[name](x) if np.ndim(x) else x)


def small(check: Check) -> dict[str, int]:
    """Sizes of at most 3, pixels apart: quick, and still not all the same."""
    return {name: min(size, SMALL.get(name, size)) for name, size in check.sizes.items()}


def sizes(check: Check, most: int = 5) -> st.SearchStrategy[dict[str, int]]:
    """Any sizes of a declaration; a batch may be empty."""
    least = {name: 0 if name in "nm" else 1 for name in check.sizes}
    return st.fixed_dictionaries({name: st.integers(low, most) for name, low in least.items()})


def again(check: Check, seed: int, **settings) -> str:
    """The command that repeats `run(check, seed=seed, **settings)`."""
    if not settings:
        return f"cmir-ref gradcheck {check.name} --seed {seed}"
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    loop = f"[print(r) for c in CHECKS if c.name == {check.name!r} for r in run(c, seed={seed}, {given})]"
    return f'python -c "from cmir_ref.checks import *; {loop}"'


def report(result: Result, call: str) -> str:
    """One line of a failure: which entry is worst, both values, and how to see it again."""
    r = result
    return f"{r.input}{list(r.worst)} by {r.method}: {r.ours!r}, measured {r.measured!r}, error {r.error:.1e}; {call}"


def assert_close(found: np.ndarray, expected: np.ndarray, gate: float, call: str) -> None:
    """`relative_error` ≤ `gate`, absolute for rounded zeros; a failure names the worst entry, both values, the call."""
    assert np.shape(found) == np.shape(expected), f"{np.shape(found)}, expected {np.shape(expected)}; {call}"
    error, worst = relative_error(found, expected, floor=ROUNDED_ZERO)
    if not error <= gate:
        values = f"{np.asarray(found)[worst]!r}, expected {np.asarray(expected)[worst]!r}"
        raise AssertionError(f"entry {list(worst)}: {values}, error {error:.1e}; {call}")
