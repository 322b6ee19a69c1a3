"""Fig. 1: cards that survive JSON, and the precision of exactly the queries shown."""

import json

import pytest
import worlds

from cmir_ref import runs, search
from cmir_ref.replicate.cmirnet import fig1
from cmir_ref.replicate.lab import Work
from cmir_ref.replicate.worlds import SMALL
from cmir_ref.reports.gallery import Card, Picture

QUIET = {d: dict.fromkeys(fig1.METRICS, 0.25) | {"queries": 12} for d in fig1.DIRECTIONS}
CARD = Card("pan", "7", (("river", True),), (Picture("data:,", "grey"),), None, "", True, 0.5)


@pytest.fixture(scope="module")
def work():
    config, data = worlds.config("stages=joint", "test_share=0.5"), worlds.features(paired=True, n=72)
    return Work(config, data, runs.parts_of(config, data), (None, None))


@pytest.fixture(scope="module")
def found(work):
    return json.loads(json.dumps(fig1.nearest(work, queries=4, shown=8)))


def made_up(own):
    rows = {d: [(CARD._replace(right=None), [CARD] * 8)] for d in fig1.DIRECTIONS}
    return json.loads(json.dumps({"rows": rows, "own": own, "most": dict.fromkeys(own, 1.0), "directions": QUIET}))


@pytest.mark.parametrize("direction", fig1.DIRECTIONS)
def test_precision_at_10_of_the_queries_shown(found, direction, work):
    run = fig1.shared_space(work)
    examples = search.examples(run, direction, count=4, k=10)
    right = [hit.labels == e.query.labels for e in examples for hit in e.hits]
    assert len(right) == 40 and found["own"][direction] == pytest.approx(sum(right) / 40)
    assert found["directions"][direction]["p@10"] == runs.evaluate(run)["directions"][direction]["p@10"]


@pytest.mark.parametrize("direction", fig1.DIRECTIONS)
def test_the_cards_are_the_nearest_and_never_the_query_itself(found, direction):
    rows = fig1.rows_of(found["rows"][direction])
    assert len(rows) == 4 and all(len(hits) == 8 for _, hits in rows)
    for query, hits in rows:
        distances = [hit.distance for hit in hits]
        assert distances == sorted(distances) and query.right is None
        assert {hit.modality for hit in hits} == {direction[-1]} and query.modality == direction[0]
        assert (query.modality, query.name) not in {(hit.modality, hit.name) for hit in hits}
        assert all(hit.right == any(shared for _, shared in hit.labels) for hit in hits)


@pytest.mark.parametrize("direction", fig1.DIRECTIONS)
def test_what_precision_at_10_can_be(found, direction, work):
    labels = [work.data.modalities["ab".index(m)].labels[work.parts.test["ab".index(m)]] for m in "ab"]
    sizes = [(labels["ab".index(direction[-1])] == c).sum() - (direction in ("a->a", "b->b")) for c in range(4)]
    assert found["most"][direction] == pytest.approx(sum(min(1, n / 10) for n in sizes) / 4) and min(sizes) < 10
    assert found["own"][direction] <= found["most"][direction]


def test_the_queries_are_of_different_classes(found):
    labels = [query.labels[0][0] for query, _ in fig1.rows_of(found["rows"]["a->b"])]
    assert sorted(labels) == ["class0", "class1", "class2", "class3"]


def test_a_card_survives_json():
    assert fig1.card_of(json.loads(json.dumps(CARD))) == CARD


def test_lines_and_remark():
    own = dict.fromkeys(fig1.DIRECTIONS, 0.25) | {"a->a": 0.85}
    table = fig1.table("tiles", made_up(own), "train")
    assert [line.about for line in table.lines] == [("PAN → MUL",), ("MUL → PAN",), ("PAN → PAN",), ("MUL → MUL",)]
    assert table.lines[2].more == ("12", "0.250", "0.850", "1.000") and table.lines[2].ap.mean == 0.25
    assert all(line.printed == "–" and line.command == "train" for line in table.lines)
    assert "PAN → PAN" in fig1.remark("tiles", made_up(own)) and "0.850" in fig1.remark("tiles", made_up(own))


def test_a_run_that_failed_has_no_figures_and_says_why():
    failed = {"failed": "epoch 3: nan"}
    assert all(line.ap.mean is None and line.more == ("–",) * 4 for line in fig1.table("tiles", failed, "").lines)
    assert "epoch 3: nan" in fig1.remark("tiles", failed)


class Kept:
    """A lab that has results already, and remembers what it was asked for."""

    def __init__(self, here, found):
        self.worlds, self.found, self.scale, self.asked = here, found, SMALL, []

    def config(self, world, seed, **settings):
        return worlds.config(f"seed={seed}", f"d_v={settings['d_v']}")

    def run(self, cells, name):
        self.asked += cells
        return self.found[: len(cells)]


@pytest.mark.parametrize("here", [["tiles", "places"], ["tiles", "few-tiles", "places", "real", "released"]])
def test_the_section(here):
    lab = Kept(
        here,
        [made_up(dict.fromkeys(fig1.DIRECTIONS, 0.5)), {"failed": "nan"}, made_up(dict.fromkeys(fig1.DIRECTIONS, 0.0))],
    )
    section = fig1.fig1(lab)
    shown = [w for w in ("tiles", "places", "real") if w in here]
    assert [t.title.split(":")[0] for t in section.tables] == shown and len(lab.asked) == len(shown)
    assert [title.split(":")[0] for title in section.galleries] == [w for w in shown if w != "places" for _ in range(4)]
    assert all(cell.config.d_v == 64 and cell.config.seed == 0 for cell in lab.asked)
    assert "no gallery" in section.remarks[1]
