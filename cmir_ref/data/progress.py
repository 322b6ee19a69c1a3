"""A progress bar on standard error for loading that takes a while."""

from collections.abc import Iterable, Iterator


def track(items: Iterable, total: int, text: str, show: bool) -> Iterator:
    """Yield `items`; with `show`, a bar on standard error tells how many of `total` are done, and goes when all are."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import track as bar

    yield from bar(items, description=text, total=total, console=Console(stderr=True), transient=True)
