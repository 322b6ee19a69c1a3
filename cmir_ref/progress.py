"""Progress on standard error: a bar for what takes a while, and one a stage of a training run, with the loss parts."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Any

SPELLED = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160)) if n not in (9, 10)}  # what steers a terminal


def on_terminal() -> bool:
    """Whether standard error is a terminal on which a bar can move; colour that is forced into a log makes it none."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def tell(line: str) -> None:
    """A line on standard error, beside the result; nothing where there is no standard error."""
    if sys.stderr is not None:
        print(line.translate(SPELLED), file=sys.stderr)


def hush_numpy() -> None:
    """Leaves out NumPy's warnings of overflows in this package's code: a loss that is not finite is said as such."""
    warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning, r"cmir_ref\.")


def terminal():
    """Standard error for rich, which asks the environment (FORCE_COLOR, TTY_COMPATIBLE) where it is not told."""
    from rich.console import Console

    return Console(stderr=True, force_terminal=on_terminal())


def track(items: Iterable, total: int, text: str, show: bool) -> Iterator:
    """Yield `items`; with `show`, a bar on standard error tells how many of `total` are done, and goes when all are."""
    if not show:
        yield from items
        return
    from rich.progress import track as bar

    yield from bar(items, description=text, total=total, console=terminal(), transient=True)


def show_if_slow(items: Iterable, total: int, *, after: float = 2.0) -> Iterator:
    """Yields `items`; on a terminal, once they have taken `after` seconds, a bar on standard error counts them."""
    if not on_terminal():
        yield from items
        return
    from rich.progress import Progress

    start, task = time.monotonic(), None
    bar = Progress(console=terminal(), transient=True)
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


def wait_for(work: Future, words: Callable[[], str]) -> Any:
    """What `work` gives, once another process has done it; on a terminal, `words()` say meanwhile how far it is."""
    if not on_terminal():
        return work.result()
    with terminal().status(words()) as line:
        while not wait([work], timeout=0.5).done:
            line.update(words())
    return work.result()


class Watch:
    """Follows a run; use as a context manager. On a terminal a live bar, elsewhere a line an epoch.

    `lines` are printed when the first stage begins: by then the input has proved good.
    """

    def __init__(self, lines: Iterable[str] = ()):
        from rich import progress as rich
        from rich.table import Column

        self.console = terminal()
        wide, whole = self.console.width >= 72, {"table_column": Column(no_wrap=True)}
        columns = (
            rich.TextColumn("{task.description:<12}" if wide else "{task.description}", **whole),
            rich.BarColumn(bar_width=24 if wide else 6),
            rich.MofNCompleteColumn(**whole),
            *([rich.TimeElapsedColumn(**whole)] if wide else []),
            rich.TimeRemainingColumn(**whole),
            rich.TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        )  # what a narrow terminal has no room for is the end of the text
        shown = self.console.is_terminal
        self.progress = rich.Progress(*columns, console=self.console, disable=not shown, expand=True)
        self.lines = list(lines)

    def __enter__(self) -> "Watch":
        self.progress.start()
        return self

    def __exit__(self, *_) -> None:
        self.progress.stop()

    def on_step(self, name: str, epochs: int = 1, done_epochs: int = 0):
        """The callback (done, steps, parts) of one stage; `done_epochs` are behind it already."""
        while self.lines:
            self.print(self.lines.pop(0))
        bar = self.progress.add_task(name, text="", total=None)
        state = {"before": done_epochs, "last": 0}

        def step(done: int, steps: int, parts: dict) -> None:
            if done <= state["last"]:
                state["before"] += 1
            state["last"] = done
            text = "  ".join(f"{k} {float(v):.3g}" for k, v in parts.items())
            self.progress.update(bar, completed=state["before"] * steps + done, total=epochs * steps, text=text)

        return step

    def on_epoch(self, epoch) -> None:
        """A line for logs, where there is no terminal to draw on."""
        if self.progress.disable:
            parts = "  ".join(f"{k} {v:.4g}" for k, v in epoch.parts.items())
            scores = "  ".join(f"{k} {v:.3f}" for k, v in epoch.validation.items())
            best = "  best" if epoch.best else ""
            where = f"{epoch.stage} {epoch.epoch}/{epoch.epochs}"
            line = f"{where}  {parts}  | validation {scores}{best}  {epoch.seconds:.1f} s"
            self.print(line)

    def print(self, line: str) -> None:
        """A line on standard error, above the bars."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
