"""Three senses: the spaces are stage 2's, radar belongs to its scenes, the choice of weights, rows and sentences."""

import json

import numpy as np
import pytest
import worlds

from cmir_ref import runs, two_stages
from cmir_ref.config import load_config
from cmir_ref.data import Dataset, Modality
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.cmirnet import senses
from cmir_ref.replicate.lab import Cell, Work, space
from cmir_ref.replicate.tables import train_command
from cmir_ref.replicate.worlds import FULL, SMALL
from cmir_ref.reports.replication import Score

CLASSES = ("cloud", "forest", "river", "water")


def settings(*changes):
    return load_config("pan-mul", worlds.overrides("dataset=scenes", "image_size=256", *changes))


def made_up(*changes, n=80):
    """A cell's work: n places of four classes, which two senses have features of, of width d_z."""
    config, random = settings(*changes), np.random.default_rng(4)
    y = np.arange(n) % 4
    modalities = tuple(
        Modality(name, "features", np.zeros((n, 1), np.float32), y, tuple(map(str, range(n))), None, y) for name in "ab"
    )
    data = Dataset(modalities, CLASSES, np.stack([np.arange(n)] * 2, axis=1))
    outputs = tuple(output(random, y, config.d_z) for _ in "ab")
    return Work(config, data, runs.parts_of(config, data), outputs)


def output(random, y, d):
    """What a good pretrainer gives: features of width d, and logits that are right."""
    z = (4 * random.standard_normal((4, d)))[y] + random.standard_normal((len(y), d))
    return PretrainerOutput(np.eye(4, dtype=np.float32)[y], z.astype(np.float32), z.astype(np.float32))


def radar(count, seed):
    """Pictures of four classes in the place of the radar images, which take long to draw."""
    y = np.arange(count) % 4
    x = np.stack([worlds.picture(64, c, k)[..., :1] for k, c in enumerate(y)]).astype(np.uint16)
    return Modality("radar", "image", x, y, tuple(map(str, range(count))), None, y)


@pytest.fixture(scope="module")
def cell():
    """What the cell of a seed gives for all three senses and for two of them."""
    work = made_up("stage2.epochs=40", "stage2.lr=0.01", "weights.feature_norm=0", "weights.regulariser=0", "d_v=12")
    random = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(senses, "radar_outputs", lambda work: output(random, work.data.modalities[0].labels, 12))
        return work, senses.radar_spaces(work, {"abc": [0.1, 5.0], "bc": [0.1]})


def test_the_space_of_two_is_that_of_stage_2():
    work = made_up("normalise_features=scale")
    z = {m: senses.fit_normaliser(z_m, work.parts.train[0], "scale")(z_m) for m, z_m in zip("ab", work.z, strict=True)}
    ours = senses.one_space(work.config, "ab", z, work.data.modalities[0].labels, work)
    theirs = space(work)
    for d, found in ours["directions"].items():
        assert found == theirs["directions"][d]
    assert ours["validation"] == {d: theirs["validation"][d] for d in ("a->b", "b->a")}


def test_a_cell_gives_all_directions_of_each_space(cell):
    work, found = cell
    assert json.loads(json.dumps(found)) == found
    assert set(found["spaces"]) == {"abc", "bc"} and set(found["spaces"]["abc"]) == {"0.1", "5"}
    three, two = found["spaces"]["abc"]["0.1"], found["spaces"]["bc"]["0.1"]
    assert list(three["directions"]) == list(senses.DIRECTIONS) and len(three["directions"]) == 9
    assert set(three["validation"]) == {"a->b", "a->c", "b->a", "b->c", "c->a", "c->b"}
    assert set(two["directions"]) == {"b->b", "b->c", "c->b", "c->c"}
    for direction in three["directions"].values():
        assert direction["map"] > direction["chance"] + 0.3
        assert direction["queries"] == len(work.parts.test[0])
    assert found["spaces"]["abc"]["5"]["directions"] != three["directions"]


def test_a_query_does_not_find_itself(cell):
    work, found = cell
    y = work.data.modalities[0].labels[work.parts.test[0]]
    alone = [senses.evaluate_direction(np.zeros((len(y), 1)), y, np.zeros((len(y), 1)), y, exclude=e)["chance"]
             for e in (None, np.arange(len(y)))]  # fmt: skip
    directions = found["spaces"]["abc"]["0.1"]["directions"]
    assert [directions[d]["chance"] for d in ("a->c", "c->c")] == pytest.approx(alone) and alone[0] > alone[1]


def test_weights_that_do_not_stay_finite_are_a_failed_run():
    work = made_up("stage2.lr=1e30")
    with np.errstate(all="ignore"):
        found = senses.one_space(
            work.config, "ab", dict(zip("ab", work.z, strict=True)), work.data.modalities[0].labels, work
        )
    assert set(found) == {"failed"} and "stage2" in found["failed"]


def test_radar_is_of_the_same_scenes_and_learns_from_the_training_part(monkeypatch):
    work = made_up("scenes_seed=7", "stage1.epochs=3", "stage1.batch_size=4", n=40)
    asked = []
    monkeypatch.setattr(senses, "load_radar", lambda count, *, seed: asked.append((count, seed)) or radar(count, seed))
    seen, stage1 = [], two_stages.stage1

    def watched(config, data, parts, place, *rest):
        seen.append((data.modalities[place].name, parts.train[place].tolist()))
        return stage1(config, data, parts, place, *rest)

    monkeypatch.setattr(two_stages, "stage1", watched)
    found = senses.radar_outputs(work)
    assert asked == [(40, 7)] and seen == [("radar", work.parts.train[0].tolist())]
    assert found.z.shape == (40, 12) and found.logits.shape == (40, 4)
    assert senses.right(found.logits, np.arange(40) % 4, CLASSES)["all"] > 0.5


def test_shares_of_each_class():
    logits = np.array([[2, 1, 0], [2, 1, 0], [0, 1, 2], [0, 1, 2]])
    shares = senses.right(logits, np.array([0, 1, 1, 2]), ("one", "two", "three"))
    assert shares == {"all": 0.5, "one": 1.0, "two": 0.0, "three": 1.0}


# ---- made-up results ------------------------------------------------------------------------------------------------


def result(group, ap, validation=0.5, cloud=None, sizes=20):
    """A space in which every direction has average precision `ap`; `cloud` that of clouds where radar takes part."""

    def direction(d):
        own = {name: {"map": ap, "queries": sizes} for name in CLASSES}
        if cloud is not None and "c" in d:
            own["cloud"] = {"map": cloud, "queries": sizes}
        return {"map": ap, "mean_precision_at_tens": ap / 2, "chance": 0.25, "per_class": own}

    directions = {f"{p}->{q}": direction(f"{p}->{q}") for p in group for q in group}
    return {"directions": directions, "validation": dict.fromkeys(senses.across(group), validation)}


class Kept:
    """A lab with made-up results: spaces of group g validate best at `best[g]` for the first seed alone."""

    scale = SMALL

    def __init__(self, best, seeds=2, three=0.7, two=0.6):
        self.best, self.seeds, self.ap, self.cells = best, range(seeds), {"abc": three}, []
        self.other = two

    def config(self, world, seed, reading="", **changes):
        return load_config(*self.scale.preset(world, reading), seed=seed, **changes)

    @property
    def few(self):
        return self.seeds

    def found(self, group, weight, seed):
        better = (weight == self.best[group]) == (seed == 0)
        return result(group, self.ap.get(group, self.other) + 0.01 * seed * (group == "abc"), 0.9 if better else 0.1)

    def run(self, cells, name):
        self.cells += cells
        return [self.computed(cell) for cell in cells]

    def computed(self, cell):
        seed = cell.config.seed
        if cell.function is space:
            return self.found("ab", cell.config.weights.alignment, seed)
        own = {g: {f"{w:g}": self.found(g, w, seed) for w in ws} for g, ws in cell.options["weights"].items()}
        shares = dict.fromkeys(("all", *CLASSES), 0.8)
        return {"stage1": {m: shares | ({"cloud": 0.1} if m == "c" else {}) for m in "abc"}, "spaces": own}


BEST = {"abc": 0.1, "ab": 0.02, "ac": 0.02, "bc": 0.1}


def test_each_space_has_the_weight_that_validates_best_for_the_first_seed():
    lab = Kept(BEST, seeds=3)
    trained = senses.train_all(lab)
    assert trained.chosen == BEST
    assert all(len(found) == 3 for found in trained.results.values()) and len(trained.stage1) == 3
    bare = [(c.config.seed, c.config.weights.alignment) for c in lab.cells if c.function is space]
    assert sorted(bare) == [(0, 0.02), (0, 0.1), (1, 0.02), (2, 0.02)]
    later = [c.options for c in lab.cells if c.function is senses.radar_spaces and c.config.seed]
    assert later == [{"weights": {"abc": [0.1], "ac": [0.02], "bc": [0.1]}}] * 2
    assert trained.command == train_command(lab.config("few-tiles", 0, weights={"alignment": 0.02}))


def test_a_cell_is_found_again_under_its_options():
    lab = Kept(BEST)
    senses.train_all(lab)
    cell = next(c for c in lab.cells if c.function is senses.radar_spaces)
    assert isinstance(cell, Cell) and json.loads(json.dumps(cell.options)) == cell.options


def test_the_tables():
    section = senses.senses(Kept(BEST))
    nine, beside, classes = section.tables
    assert [line.about[0] for line in nine.lines][:3] == ["PAN → PAN", "PAN → MUL", "PAN → radar"]
    assert len(nine.lines) == 9 and all(line.printed == "–" for table in section.tables for line in table.lines)
    assert nine.lines[0].ap.values == pytest.approx((0.7, 0.71)) and nine.lines[0].tens.values[0] == 0.35
    assert len(beside.lines) == 6 and beside.lines[0].about == ("PAN → MUL",)
    assert beside.lines[0].tens.values == (0.6, 0.6) and beside.lines[0].ap.values == pytest.approx((0.7, 0.71))
    assert beside.lines[0].more == ("+0.105 ± 0.007",)
    assert [bool(line.command) for line in beside.lines] == [True, False, True, False, False, False]
    assert [line.about[0] for line in classes.lines] == list(CLASSES)
    assert classes.lines[0].more == ("0.800 ± 0.000", "0.800 ± 0.000", "0.100 ± 0.000")
    assert section.figures[0].svg.startswith("<svg") and section.figures[0].png.startswith(b"\x89PNG")


def test_what_the_mean_precision_at_tens_can_reach():
    assert senses.bound([{"failed": "nan"}, result("abc", 0.5)], "a->b") == f"{(1 + 1 + 2 / 3 + 0.5 + 0.4) / 5:.3f}"
    tens = (1 + 19 / 20 + 19 / 30 + 19 / 40 + 19 / 50) / 5  # the query itself is neither relevant nor in the gallery
    assert senses.bound([result("abc", 0.5)], "a->a") == f"{tens:.3f}"
    assert senses.bound([result("abc", 0.5, sizes=50)], "a->c") == "1.000"
    assert senses.bound([result("abc", 0.5, sizes=5)], "a->c") == f"{(5 / 10 + 4 * 5 / 20) / 5:.3f}", "20 items in all"
    assert senses.bound([{"failed": "nan"}], "a->b") == "–"


@pytest.mark.parametrize(
    "three, two, said",
    [
        ([0.7, 0.72], [0.6, 0.6], "gives PAN–MUL 0.110 of average precision (more than its standard deviation"),
        ([0.5, 0.52], [0.6, 0.6], "costs PAN–MUL 0.090 of average precision (more than its standard deviation"),
        ([0.6, 0.7], [0.64, 0.64], "gives PAN–MUL 0.010 of average precision (no more than its standard deviation"),
        ([0.7], [0.6], "gives PAN–MUL 0.100 of average precision (one seed"),
    ],
)
def test_what_a_third_sense_costs(three, two, said):
    results = {"abc": [result("abc", v) for v in three], "ab": [result("ab", v) for v in two]}
    assert f"A third sense, radar, {said}" in senses.cost(senses.Trained(results, {}, {}, [], ""), "ab")


def test_a_failed_run_leaves_no_difference():
    results = {"abc": [{"failed": "nan"}, result("abc", 0.7)], "ab": [result("ab", 0.6)] * 2}
    difference = senses.gained(senses.Trained(results, {}, {}, [], ""), "ab", ["a->b"])
    assert difference.values[0] is None and difference.values[1] == pytest.approx(0.1)
    lost = {"abc": [{"failed": "nan"}], "ab": [result("ab", 0.6)]}
    assert "no run came to an end" in senses.cost(senses.Trained(lost, {}, {}, [], ""), "ab")
    assert senses.alive([{"failed": "nan"}]) == "No space of three senses came to an end."


def test_chance_is_the_measure_of_a_living_space():
    assert senses.alive([result("abc", 0.51)]).startswith("In the space of three senses 9 of 9")
    assert senses.alive([result("abc", 0.49)]).startswith("In the space of three senses 0 of 9")


def test_a_difference_has_its_sign():
    assert [senses.signed(Score((v,))) for v in (0.0123, -0.0123, None)] == ["+0.012", "−0.012", "–"]


def test_clouds_are_said_to_be_worse_for_radar_only_where_they_are():
    shares = {m: dict.fromkeys(("all", *CLASSES), 0.5) for m in "abc"}
    lower, not_lower = (senses.clouds([result("abc", 0.7, cloud=c)], [shares]) for c in (0.2, 0.8))
    assert "radar → MUL 0.200 against 0.700" in lower and "PAN → MUL 0.700 against 0.700" in lower
    assert lower.endswith("the ceiling is lower for radar.") and "ceiling" not in not_lower
    assert senses.clouds([{"failed": "nan"}], [shares]) == ""


def test_without_radar_images_there_is_no_table():
    lab = Kept(BEST)
    lab.scale = FULL
    section = senses.senses(lab)
    assert not section.tables and not lab.cells and "DSRSID" in section.lead and "no radar images" in section.lead
