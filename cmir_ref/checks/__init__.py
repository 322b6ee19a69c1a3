"""Everything whose gradient is checked: one declaration for each operation, loss and network.

The command `cmir-ref gradcheck` and the tests read this list; a test fails if a public pair has no entry.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ..gradcheck import Finding, Pair, Result, check_gradient, judge
from ..gradcheck.step_sizes import Curves, step_errors
from . import amfmn, attention, cmirnet, hashing, nets, ops  # each adds its declarations to CHECKS
from .declarations import CHECKS, Check, declare, draw_targets, jitter, network_pair, raise_biases

__all__ = [
    "CHECKS",
    "Check",
    "CheckResult",
    "Pair",
    "amfmn",
    "attention",
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
    "run_all",
    "select",
    "step_curves",
    "tolerance",
]


class CheckResult(NamedTuple):
    """What came of one declaration: its comparisons, those that fail, what the mistakes look like, and the time."""

    check: Check
    results: list[Result]
    wrong: list[Result]
    findings: list[Finding]
    seconds: float


def regimes(check: Check) -> dict[str, dict[str, int]]:
    """The sizes to draw with by name: all different, all equal (a missing transpose), all one, and an empty batch."""
    empty = {name: 0 for name in check.sizes if name in "nm"}
    sizes = {"different": {}, "square": dict.fromkeys(check.sizes, 4), "one": dict.fromkeys(check.sizes, 1)}
    return sizes | ({"empty": empty} if empty else {})


def draw(check: Check, *, seed: int = 0, **sizes: int) -> Pair:
    """The pair with inputs drawn with `seed`; a declaration's draw does not depend on what else is checked."""
    return check.draw(np.random.default_rng([seed, *check.name.encode()]), **sizes)


def run(check: Check, *, seed: int = 0, sizes: Mapping[str, int] | None = None, **settings) -> list[Result]:
    """The results of one declaration on inputs drawn with `seed`; `settings` are those of `check_gradient`."""
    pair = draw(check, seed=seed, **(sizes or {}))
    names, inputs = list(pair.inputs), list(pair.inputs.values())
    return check_gradient(pair.forward, pair.backward, inputs, names=names, seed=seed, **settings)


def run_all(chosen: Iterable[Check], *, seed: int = 0) -> Iterator[CheckResult]:
    """Runs declarations one after the other; what fails gets a diagnosis."""
    for check in chosen:
        start = time.perf_counter()
        try:
            results = run(check, seed=seed)
        except ValueError:  # there is not even a gradient that can be compared; the findings say why
            results = [Result("all", "complex-step", math.inf, (), math.nan, math.nan, right=False)]
        wrong = [r for r in results if not (r.right and r.error <= tolerance(check, r.method))]
        findings = judge(draw(check, seed=seed)._replace(name=check.name), seed=seed).findings if wrong else []
        yield CheckResult(check, results, wrong, findings, time.perf_counter() - start)


def step_curves(chosen: Iterable[Check], *, seed: int = 0) -> dict[str, Curves]:
    """The error of the measured derivative against the step, by the name of the declaration."""
    pairs = {check.name: draw(check, seed=seed) for check in chosen}
    return {n: step_errors(p.forward, p.backward, list(p.inputs.values()), seed=seed) for n, p in pairs.items()}


def select(names: list[str]) -> Iterator[Check]:
    """The declarations whose name contains one of `names` (all of them for no names)."""
    return (check for check in CHECKS if not names or any(name in check.name for name in names))


def tolerance(check: Check, method: str) -> float:
    """The largest error that passes; whole networks add up the rounding of their layers."""
    return 1e-6 if method == "central-difference" else 1e-12 if check.network else 1e-13
