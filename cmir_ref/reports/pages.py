"""What all pages share: the templates, and how a direction is called."""

from collections.abc import Iterable
from functools import cache

from ..contract import DIRECTIONS
from ..records import Run


@cache
def environment():
    """The templates of this package; values are escaped, and a missing one is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("cmir_ref.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    return found


def direction_names(run: Run, directions: Iterable[str] = DIRECTIONS) -> dict[str, str]:
    """ "a->b" to "pan → mul", "a->ab" to "pan → pan or mul"."""
    modalities = run.dataset.modalities
    return {
        direction: " → ".join(" or ".join(modalities[m].name for m in side) for side in direction.split("->"))
        for direction in directions
    }
