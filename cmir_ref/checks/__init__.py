"""Everything whose gradient is checked: one declaration for each operation, loss and network.

The command `cmir-ref gradcheck` and the tests read this list; a test fails if a public pair has no entry.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from ..gradcheck import Result, check_gradient
from . import cmirnet, hashing, nets, ops  # each adds its declarations to CHECKS
from .declarations import CHECKS, Check, Pair, declare, draw_targets, jitter, network_pair, raise_biases

__all__ = [
    "CHECKS",
    "Check",
    "Pair",
    "cmirnet",
    "declare",
    "draw",
    "draw_targets",
    "hashing",
    "jitter",
    "nets",
    "network_pair",
    "ops",
    "raise_biases",
    "regimes",
    "run",
    "select",
    "tolerance",
]


def regimes(check: Check) -> dict[str, dict[str, int]]:
    """The sizes to draw with by name: all different, all equal (a missing transpose), all one, and an empty batch."""
    empty = {name: 0 for name in check.sizes if name in "nm"}
    found = {"different": {}, "square": dict.fromkeys(check.sizes, 4), "one": dict.fromkeys(check.sizes, 1)}
    return found | ({"empty": empty} if empty else {})


def draw(check: Check, *, seed: int = 0, **sizes: int) -> Pair:
    """The pair with inputs drawn with `seed`; a declaration's draw does not depend on what else is checked."""
    return check.draw(np.random.default_rng([seed, *check.name.encode()]), **sizes)


def run(check: Check, *, seed: int = 0, sizes: Mapping[str, int] | None = None, **settings) -> list[Result]:
    """The results of one declaration on inputs drawn with `seed`; `settings` are those of `check_gradient`."""
    pair = draw(check, seed=seed, **(sizes or {}))
    names, inputs = list(pair.inputs), list(pair.inputs.values())
    return check_gradient(pair.forward, pair.backward, inputs, names=names, seed=seed, **settings)


def select(names: list[str]) -> Iterator[Check]:
    """The declarations whose name contains one of `names` (all of them for no names)."""
    return (check for check in CHECKS if not names or any(name in check.name for name in names))


def tolerance(check: Check, method: str) -> float:
    """The largest error that passes; whole networks add up the rounding of their layers."""
    return 1e-6 if method == "central-difference" else 1e-12 if check.network else 1e-13
