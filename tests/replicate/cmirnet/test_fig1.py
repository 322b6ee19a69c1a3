"""Fig. 1: cards that survive JSON, beside the metrics of the whole test part."""

import json

import pytest
import worlds

from cmir_ref import runs
from cmir_ref.data import split_data
from cmir_ref.replicate.cmirnet import fig1
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.run import text_facts
from cmir_ref.replicate.tables import DIRECTIONS
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.experiment import render_text
from cmir_ref.reports.gallery import Card, Picture
from cmir_ref.reports.replication import cards_from_json

QUIET = {d: dict.fromkeys(fig1.COLUMNS, 0.25) | {"queries": 12} for d in DIRECTIONS}
CARD = Card("pan", "7", (("river", True),), (Picture("data:,", "grey"),), None, "", True, 0.5)


@pytest.fixture(scope="module")
def work():
    config, data = worlds.config("stages=joint", "test_share=0.5"), worlds.features(paired=True, n=72)
    return Work(config, data, split_data(config, data), {})


@pytest.fixture(scope="module")
def found(work):
    return json.loads(json.dumps(fig1.nearest_of_run(work, queries=4, shown=8)))


def made_up():
    rows = {d: [(CARD._replace(right=None), [CARD] * 8)] for d in DIRECTIONS}
    return json.loads(json.dumps({"rows": rows, "directions": QUIET}))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_metrics_are_those_of_the_whole_test_part(found, direction, work):
    expected = runs.evaluate(fig1.shared_space(work))["directions"][direction]
    assert found["directions"][direction] == {name: expected[name] for name in fig1.COLUMNS}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_cards_are_the_nearest_and_never_the_query_itself(found, direction):
    rows = cards_from_json(found["rows"][direction])
    assert len(rows) == 4 and all(len(hits) == 8 for _, hits in rows)
    for query, hits in rows:
        distances = [hit.distance for hit in hits]
        assert distances == sorted(distances) and query.right is None
        assert {hit.modality for hit in hits} == {direction[-1]} and query.modality == direction[0]
        assert (query.modality, query.name) not in {(hit.modality, hit.name) for hit in hits}
        assert all(hit.right == any(shared for _, shared in hit.labels) for hit in hits)


def test_the_queries_are_of_different_classes(found):
    labels = [query.labels[0][0] for query, _ in cards_from_json(found["rows"]["a->b"])]
    assert sorted(labels) == ["class0", "class1", "class2", "class3"]


def test_a_card_survives_json():
    assert cards_from_json(json.loads(json.dumps([(CARD, [CARD])]))) == [(CARD, [CARD])]


class Kept:
    """A lab that has results already, and remembers what it was asked for."""

    few = range(1)

    def __init__(self, here, results):
        self.worlds, self.results, self.scale, self.asked = here, results, SMALL, []

    def config(self, world, seed, **settings):
        return worlds.config(f"seed={seed}", f"d_v={settings['d_v']}")

    def run(self, cells, name):
        self.asked += cells
        return self.results[: len(cells)]


@pytest.mark.parametrize("here", [["tiles", "places"], ["tiles", "few-tiles", "places", "real", "released"]])
def test_the_experiment(here):
    lab = Kept(here, [made_up(), {"failed": "epoch 3: nan"}, made_up()])
    experiment = fig1.fig1(lab)
    shown = [w for w in ("tiles", "places", "real") if w in here]
    assert list(experiment.tables) == shown and len(lab.asked) == len(shown)
    assert [t.split(":")[0] for t in experiment.galleries] == [w for w in shown if w != "places" for _ in range(4)]
    assert all(cell.config.d_v == 64 and cell.config.seed == 0 for cell in lab.asked)
    tiles, places = experiment.tables["tiles"].lines, experiment.tables["places"].lines
    assert [row.about for row in tiles] == [("PAN → MUL",), ("MUL → PAN",), ("PAN → PAN",), ("MUL → MUL",)]
    assert tiles[0].texts == {"queries": "12"} and tiles[0].scores["map"].mean == 0.25 and tiles[0].printed == "–"
    assert all(s.mean is None for row in places for s in row.scores.values()) and places[0].texts == {"queries": "–"}
    text = render_text("fig1", text_facts(lab, experiment))
    assert "No gallery, training failed (epoch 3: nan)." in text and text.count("No gallery") == 1
