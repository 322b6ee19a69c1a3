"""Which check kills which planted bug: `python tests/planted/report.py [text in an id or a file …]`."""

import argparse
import sys
from collections import Counter, defaultdict

from catalogue import CATALOGUE
from planting import Checks, file_of
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table


def main(wanted: list[str]) -> int:
    """Prints the table and returns 1 where a bug survives, or a check fails without one."""
    bugs = [bug for bug in CATALOGUE if not wanted or any(text in f"{bug.id} {bug.file}" for text in wanted)]
    table = Table("bug", "file", "killed by", title="Planted bugs")
    killers, survivors = Counter(), 0
    by_file = defaultdict(set)
    for bug in bugs:
        by_file[file_of(bug.killer)].add(bug.killer)
    with Checks(set(by_file)) as checks, Progress(console=Console(stderr=True)) as progress:
        for bug in progress.track(bugs, description="planting"):
            test, why_not = checks.verdict(bug)
            said = test.removeprefix("tests/") or f"NOT KILLED: {why_not}"
            table.add_row(bug.id, bug.file, escape(said), style="" if test else "red")
            survivors += not test
            killers[test.partition("[")[0].removeprefix("tests/")] += bool(test)
        together = [sorted(by_file[file]) for file in sorted(by_file)]
        broken = list(filter(None, map(checks.without_a_bug, progress.track(together, description="without a bug"))))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    for test, count in killers.most_common():
        if count:
            console.print(f"{count:5}  {test}", highlight=False)
    for why in broken:
        console.print(why, style="red", highlight=False)
    console.print(f"{len(bugs) - survivors} of {len(bugs)} planted bugs killed by {len(+killers)} tests")
    return int(survivors > 0 or bool(broken))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="*", help="Only bugs with one of these in their name or file.")
    sys.exit(main(parser.parse_args().text))
