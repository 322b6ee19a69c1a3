"""The contract of a system: what a paper's folder gives to training, evaluation and search.

No base class and no registry: a paper's `system.py` ends in one value, `SYSTEM = System(…)`, and `systems.SYSTEMS`
lists them. `settings` below are those of a run, `made` holds what was fitted and what earlier stages made, by name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

CROSS = ("a->b", "b->a")  # from one modality to the other
DIRECTIONS = (*CROSS, "a->a", "b->b", "a->ab", "b->ab")


class Stage(NamedTuple):
    """One network that is trained, from what earlier stages made."""

    name: str  # "stage1.a", "stage2", "match"
    sees: frozenset[str]  # the settings it depends on: under these, replicate keeps what it made
    init: Callable  # (settings, data) -> params, buffers
    task: Callable  # (settings, data, parts, made, xp) -> training.loop.Task
    fit: Callable | None = None  # (settings, data, parts, made) -> arrays fitted to the training part, kept in the run
    inherit: Callable | None = None  # (params, buffers, made) -> both, with what an earlier stage's network has learned
    make: Callable | None = None  # (settings, params, buffers, data, made, xp, on_step) -> arrays of all samples


class Gate(NamedTuple):
    """What weighed the features, or the places of a map, when a query and an item were compared."""

    title: str
    values: Any  # (D,) one a feature, or (h, w)


class System(NamedTuple):
    """A paper's system. The last stage makes what is stored of each sample, `v.a` of a, `v.b` of b, as `encode` would.

    `distances` and `relevant` are given the run, the queries and the gallery once, and answer block by block, so that
    what all blocks share is computed once and memory stays bounded.
    """

    settings: type  # its settings, on top of the shared ones
    stages: Callable  # (settings, kinds of the modalities by letter) -> list[Stage]
    encode: Callable  # (run, modality's letter, x, xp) -> arrays by name: all that one sample alone determines
    distances: Callable  # (run, query, gallery, xp) -> (rows -> (B, G)), or `Levels`: smaller is nearer, equal is tied
    relevant: Callable  # (run, query, gallery, xp) -> (rows -> (B, G) bool): a shared label, or the pairing
    facts: Callable  # (run, part) -> what only this system reports, with "state", "scale" and "effective_rank"; `part`
    # is that of queries and gallery, None where these are two
    vectors: Callable | None = None  # (run, items) -> (N, d) where `distances` are those of one vector each, or None
    directions: tuple[str, ...] = DIRECTIONS  # which are evaluated; "a->ab" searches both modalities at once
    heat: Callable | None = None  # (run) -> [(modality's letter, sample number, (h, w) of 0 … 1)]: pictures of a report
    heat_words: tuple[str, str, str] = ("", "", "")  # heading of these pictures, what they show, and what each shows
    check: Callable | None = None  # (settings, data, parts, run or None): an `InputError` before anything is trained,
    # where these settings cannot do with these data, or cannot begin with that run
    recall_at: tuple[int, ...] = ()  # k of the recalls that are reported, where one item is the right one
    gate: Callable | None = None  # (run, query, item), Items of one sample each -> the Gate of that pair, or None
