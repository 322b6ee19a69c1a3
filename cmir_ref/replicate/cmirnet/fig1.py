"""Fig. 1: what some queries find, as pictures and sounds, across modalities and within them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ... import runs, search
from ...reports.gallery import Card, Picture, cards
from ...reports.replication import Line, Score, Section, Table
from ..lab import Cell, Lab, Work, shared_space
from ..tables import train_command, words

WIDTH = 64
DIRECTIONS = ("a->b", "b->a", "a->a", "b->b")
WORLDS = ("tiles", "places", "real")
QUERIES, SHOWN = 4, 8
METRICS = ("map", "p@10", "mean_precision_at_tens", "chance", "queries")


def fig1(lab: Lab) -> Section:
    """Fig. 1 at the lab's scale, for each of its worlds, with seed 0."""
    worlds = [w for w in WORLDS if w in lab.worlds]
    configs = {w: lab.config(w, 0, d_v=WIDTH) for w in worlds}
    cells = [Cell(nearest, config, {"queries": QUERIES, "shown": SHOWN}) for config in configs.values()]
    found = dict(zip(worlds, lab.run(cells, "fig1"), strict=True))
    return Section(
        "fig1",
        "Fig. 1: what some queries find",
        f"{QUERIES} queries a direction, of as many classes as there are, with their {SHOWN} nearest results in the "
        f"test part; d_v = {WIDTH}, seed 0. " + "; ".join(f"{w}: {lab.scale.worlds[w].words}" for w in worlds) + ".",
        tables=tuple(table(w, found[w], train_command(configs[w])) for w in worlds),
        remarks=tuple(remark(w, found[w]) for w in worlds),
        galleries={
            f"{w}: {words(d, w)}": rows_of(found[w]["rows"][d])
            for w in worlds
            if "rows" in found[w]
            for d in DIRECTIONS
        },
    )


def nearest(work: Work, *, queries: int, shown: int) -> dict:
    """Of each direction: the cards of `queries` queries with their `shown` nearest results, precision at 10 of exactly
    these queries, what it can be at most, and the metrics of the whole test part.

    Where the loss is no longer finite, {"failed": why}.
    """
    try:
        run = shared_space(work)
    except FloatingPointError as error:
        return {"failed": str(error)}
    examples = {d: search.examples(run, d, count=queries, k=max(10, shown)) for d in DIRECTIONS}
    first = {d: [e._replace(hits=e.hits[:shown]) for e in found] for d, found in examples.items()}
    metrics = runs.evaluate(run, device=work.device)["directions"]
    return {
        "rows": cards(first, run.embeddings.modalities),
        "own": {d: mean([share(e.query.labels, e.hits[:10]) for e in found]) for d, found in examples.items()},
        "most": {d: mean([min(1, relevant(run, d, e.query.labels) / 10) for e in examples[d]]) for d in DIRECTIONS},
        "directions": {d: {name: metrics[d][name] for name in METRICS} for d in DIRECTIONS},
    }


def share(labels: Sequence[str], hits: Sequence[Any]) -> float:
    """The share of hits that have one of these labels."""
    return mean([float(not set(labels).isdisjoint(hit.labels)) for hit in hits])


def relevant(run: runs.Run, direction: str, labels: Sequence[str]) -> int:
    """How many items of the gallery have one of these labels; a query of the same modality is itself not counted."""
    query, gallery = direction.split("->")
    part = run.config.gallery
    _, found, _ = runs.side(run, gallery, part)
    itself = query == gallery and part != "train"
    return sum(not set(labels).isdisjoint(runs.label_names(run, y)) for y in found) - itself


def mean(values: Sequence[float]) -> float:
    """Their mean, 0 of none."""
    return sum(values) / max(len(values), 1)


def rows_of(rows: Sequence[Any]) -> list[tuple[Card, list[Card]]]:
    """The rows of a gallery from a cell's JSON, in which a card is a list."""
    return [(card_of(query), [card_of(hit) for hit in hits]) for query, hits in rows]


def card_of(said: Sequence[Any]) -> Card:
    """A card from JSON."""
    card = Card(*said)
    return card._replace(pictures=tuple(Picture(*p) for p in card.pictures), labels=tuple(map(tuple, card.labels)))


def table(world: str, found: Mapping[str, Any], command: str) -> Table:
    """A row a direction: the whole test part, and these queries."""
    return Table(
        f"{world}: these queries and all",
        ("direction",),
        tuple(line(world, d, found, command) for d in DIRECTIONS),
        ("queries", "P@10", f"P@10 of the {QUERIES} shown", "which is at most"),
        "The paper's Fig. 1 has no figures to compare with. All but the last two columns are of the whole test part; "
        "precision at 10 cannot exceed the number of relevant items over 10.",
    )


def line(world: str, direction: str, found: Mapping[str, Any], command: str) -> Line:
    """One direction; without figures for a failed run."""
    m = found["directions"][direction] if "directions" in found else dict.fromkeys(METRICS)
    tens, ap, chance = (Score((m[name],)) for name in ("mean_precision_at_tens", "map", "chance"))
    own, most = (f"{found[name][direction]:.3f}" if name in found else "–" for name in ("own", "most"))
    more = (str(m["queries"] or "–"), str(Score((m["p@10"],))), own, most)
    return Line((words(direction, world),), "–", tens, ap, chance, more, command)


def remark(world: str, found: Mapping[str, Any]) -> str:
    """How far the shown queries stand for all."""
    if "failed" in found:
        return f"{world}: no gallery, training failed ({found['failed']})."
    apart = {d: found["own"][d] - found["directions"][d]["p@10"] for d in DIRECTIONS}
    d = max(apart, key=lambda d: abs(apart[d]))
    return (
        f"{world}, how far the queries shown stand for all: farthest apart is {words(d, world)}, with a precision at "
        f"10 of {found['own'][d]:.3f} for these and {found['directions'][d]['p@10']:.3f} for the test part."
    )
