"""Counts false alarms: the battery's core on many seeds. `python tests/gradcheck/false_alarms.py --seeds 200`

Every declaration of `checks.CHECKS` in small shapes, every entry of every input, by complex step and by central
difference. All backward functions are right, so what exceeds its tolerance is a false alarm: there should be none.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # before NumPy: the cores go to processes

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from rich.console import Console
from rich.progress import track
from strategies import again, report, small

from cmir_ref.checks import CHECKS, run, tolerance
from cmir_ref.gradcheck import Result

METHODS = ("complex-step", "central-difference")


class Found(NamedTuple):
    """A result with the call that gives it again."""

    call: str
    kind: str
    result: Result
    alarm: bool


def task(i: int, seed: int) -> list[Found]:
    """All results of one declaration on one seed."""
    check = CHECKS[i]
    call, kind = again(check, seed, sizes=small(check)), "network" if check.network else "operation or loss"
    results = run(check, seed=seed, sizes=small(check), methods=METHODS)
    return [Found(call, kind, r, not (r.right and r.error <= tolerance(check, r.method))) for r in results]


def main() -> int:
    """The worst error of each kind and method, and every alarm; 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    console, start = Console(stderr=True), time.perf_counter()
    tasks = [(i, s) for s in range(args.first, args.first + args.seeds) for i in range(len(CHECKS))]
    comparisons, alarms, worst = 0, 0, {}
    with ProcessPoolExecutor(args.processes) as pool:
        done = pool.map(task, *zip(*tasks, strict=True), chunksize=8)
        for results in track(done, "declarations × seeds", total=len(tasks), console=console):
            for found in results:
                comparisons += 1
                if found.alarm:
                    alarms += 1
                    print(f"alarm: {report(found.result, found.call)}", flush=True)
                key = found.kind, found.result.method
                if key not in worst or not found.result.error <= worst[key].result.error:
                    worst[key] = found
    for (kind, method), found in sorted(worst.items()):
        print(f"worst of {kind} by {method}: {found.result.error:.1e}\n    {report(found.result, found.call)}")
    seconds = time.perf_counter() - start
    print(f"{alarms} false alarms in {comparisons} comparisons: {len(CHECKS)} declarations, {args.seeds} seeds, "
          f"{seconds:.0f} s")  # fmt: skip
    return 1 if alarms else 0


if __name__ == "__main__":
    raise SystemExit(main())
