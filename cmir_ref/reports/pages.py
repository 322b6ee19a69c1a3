"""What all pages share: the templates, and how a direction is called."""

from functools import cache
from typing import Any


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


def direction_names(run: Any) -> dict[str, str]:
    """`a->b` to "pan → mul", for each of the six directions."""
    a, b = (m.name for m in run.embeddings.modalities)
    words = {"a": a, "b": b, "ab": f"{a} or {b}"}
    directions = ("a->b", "b->a", "a->a", "b->b", "a->ab", "b->ab")
    return {name: " → ".join(words[part] for part in name.split("->")) for name in directions}
