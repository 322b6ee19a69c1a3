"""A progress bar for checks that take long."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def show_if_slow(items: Iterable[Item], total: int, *, after: float = 2.0) -> Iterator[Item]:
    """Yields `items`; on a terminal, once they have taken `after` seconds, a bar on standard error counts them."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    start, task = time.monotonic(), None
    bar = Progress(console=Console(stderr=True), transient=True)
    try:
        for count, item in enumerate(items):
            if task is not None:
                bar.update(task, completed=count)
            elif time.monotonic() - start >= after:
                bar.start()
                task = bar.add_task("entries", total=total, completed=count)
            yield item
    finally:
        if task is not None:
            bar.stop()
