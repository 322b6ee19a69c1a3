"""What the checker found of a pair, and its words for it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .compare import Result
from .slopes import Slope

UNDECIDED = "not judged"  # the kind of a finding that is no mistake


class Finding(NamedTuple):
    """One wrong gradient: which entry is worst, by how much, how many are off, and what it looks like."""

    input: str
    entry: tuple[int, ...]
    ours: float | None
    measured: float | None
    off: int
    entries: int
    kind: str | None
    sentence: str
    where: str = ""  # which entries: "all", "the diagonal", "row 2", "the block [0:2, 1:3]"; empty without a pattern
    indices: tuple[tuple[int, ...], ...] = ()  # of all entries that are off

    @property
    def ratio(self) -> float | None:
        """ours / measured; None where nothing can be divided."""
        divisible = self.measured and self.ours is not None and np.isfinite(self.ours)
        return self.ours / self.measured if divisible else None


class Judgement(NamedTuple):
    """What came of a pair. The gradient is right where nothing is wrong and nothing is undecided."""

    results: list[Result]
    findings: list[Finding]  # what is wrong
    notes: list[str]  # what a reader should know
    undecided: list[Finding]  # what cannot be judged
    still: tuple[str, ...] = ()  # inputs whose gradient and its measurement are 0 at every entry
    kinks: Mapping[str, list[tuple[int, ...]]] = MappingProxyType({})  # inputs that lie on kinks, and at which entries

    @property
    def inputs(self) -> list[str]:
        """The inputs that were compared."""
        return list(dict.fromkeys(result.input for result in self.results if result.input != "all"))

    @property
    def wrong(self) -> list[str]:
        """The inputs with a wrong gradient."""
        wrong = [finding.input for finding in self.findings if finding.input != "all"]
        return [name for name in self.inputs if name in wrong] + [name for name in wrong if name not in self.inputs]

    @property
    def right(self) -> list[str]:
        """The inputs with a right gradient."""
        others = {*self.wrong, *(finding.input for finding in self.undecided)}
        return [name for name in self.inputs if name not in others]

    @property
    def summary(self) -> str:
        """Which inputs have a wrong gradient and which a right one; empty where none is wrong or there is one input."""
        if not self.wrong or len({*self.inputs, *self.wrong}) < 2:
            return ""
        return f"wrong: {', '.join(self.wrong)}; right: {', '.join(self.right) or 'none'}"

    @property
    def status(self) -> int:
        """The exit status: 0 right, 1 wrong, 2 where something cannot be judged."""
        return 1 if self.findings else 2 if self.undecided else 0


def describe(finding: Finding) -> Iterator[str]:
    """Which entry is wrong, by how much, and what it looks like; or what cannot be judged, and why."""
    name = finding.input + (f"[{', '.join(map(str, finding.entry))}]" if finding.entry else "")
    if finding.kind == UNDECIDED:
        yield f"{name}: {finding.ours:.6g}, and nothing measured to compare it with"
    elif finding.measured is not None:
        ours, measured = (f"{x:.{_digits(finding)}g}" for x in (finding.ours, finding.measured))
        ratio = "" if finding.ratio is None else f" ({_times(finding.ratio)} times)"
        told = finding.where in ("", "all") or finding.where in finding.sentence
        where = "" if told else f", {finding.where}"
        yield f"{name}: {ours}, measured {measured}{ratio}; {finding.off} of {finding.entries} entries are off{where}"
    else:
        yield "the pair as a whole" if finding.input == "all" else finding.input
    named = finding.kind and finding.kind != UNDECIDED
    yield f"  looks like: {finding.sentence}" if named else f"  {finding.sentence}"


def _digits(finding: Finding) -> int:
    """How many digits show that two numbers differ, at least 6."""
    enough = (n for n in range(6, 17) if f"{finding.ours:.{n}g}" != f"{finding.measured:.{n}g}")
    return next(enough, 17)


def _times(ratio: float) -> str:
    """A ratio in words: "2.5", or "1 + 3e-07" where it is so near to 1."""
    if abs(ratio - 1) > 1e-3:
        return f"{ratio:.4g}"
    return f"1 {'+' if ratio > 1 else '−'} {abs(ratio - 1):.1g}"


def of_the_whole(kind: str | None, sentence: str) -> Finding:
    """A mistake that is not one input's."""
    return Finding("all", (), None, None, 0, 0, kind, sentence)


def sides_text(slope: Slope) -> str:
    """The slopes on both sides of a kink, in words."""
    return f"{slope.value - slope.jump / 2:.4g} on one side and {slope.value + slope.jump / 2:.4g} on the other"
