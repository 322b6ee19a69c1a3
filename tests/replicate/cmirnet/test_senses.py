"""Three senses: the spaces are stage 2's, radar belongs to its scenes, the choice of weights, rows and sentences."""

import json

import numpy as np
import pytest
import worlds
from threadpoolctl import threadpool_limits

from cmir_ref import runs
from cmir_ref.config import load_config
from cmir_ref.data import Dataset, Modality, split_data
from cmir_ref.nets.head import PretrainerOutput
from cmir_ref.replicate.cmirnet import senses
from cmir_ref.replicate.lab import Cell, Work, space
from cmir_ref.replicate.run import text_facts
from cmir_ref.replicate.tables import train_command
from cmir_ref.replicate.worlds import FULL, SMALL
from cmir_ref.reports.experiment import render_text

CLASSES = ("cloud", "forest", "river", "water")


def settings(*changes):
    return load_config("pan-mul", worlds.overrides("dataset=scenes", "image_size=256", *changes))


def made_of(outputs):
    """What stage 1 makes, from a pretrainer's outputs for each modality."""
    return {f"{name}.{m}": x for m, o in zip("ab", outputs, strict=True) for name, x in o._asdict().items()}


def made_up(*changes, n=80):
    """A cell's work: n places of four classes, which two senses have features of, of width d_z."""
    config, random = settings(*changes), np.random.default_rng(4)
    y = np.arange(n) % 4
    modalities = {
        m: Modality(m, "features", np.zeros((n, 1), np.float32), y, tuple(map(str, range(n))), None, y) for m in "ab"
    }
    data = Dataset(modalities, CLASSES, np.stack([np.arange(n)] * 2, axis=1))
    outputs = tuple(output(random, y, config.d_z) for _ in "ab")
    return Work(config, data, split_data(config, data), made_of(outputs))


def output(random, y, d):
    """What a good pretrainer gives: features of width d, and logits that are right."""
    z = (4 * random.standard_normal((4, d)))[y] + random.standard_normal((len(y), d))
    return PretrainerOutput(np.eye(4, dtype=np.float32)[y], z.astype(np.float32), z.astype(np.float32))


def radar(count, seed):
    """Pictures of four classes in the place of the radar images, which take long to draw."""
    y = np.arange(count) % 4
    x = np.stack([worlds.picture(64, c, k)[..., :1] for k, c in enumerate(y)]).astype(np.uint16)
    return Modality("radar", "image", x, y, tuple(map(str, range(count))), None, y)


def radar_made(random, y):
    return {f"{name}.c": x for name, x in output(random, y, 12)._asdict().items()}


@pytest.fixture(scope="module")
def cell():
    """What the cell of a seed gives for all three senses and for two of them."""
    work = made_up("stage2.epochs=40", "stage2.lr=0.01", "weights.feature_norm=0", "weights.regulariser=0", "d_v=12")
    random = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(senses, "radar_features", lambda work: radar_made(random, work.data.modalities["a"].labels))
        return work, senses.train_spaces(work, {"abc": [0.1, 5.0], "bc": [0.1]})


@threadpool_limits.wrap(limits=1, user_api="blas")  # as in a cell
def test_the_space_of_two_is_that_of_stage_2():
    work = made_up("normalise_features=scale")
    z = {m: senses.fit_normaliser(z_m, work.parts.train["a"], "scale")(z_m) for m, z_m in work.z.items()}
    ours = senses.one_space(work.config, "ab", z, work.data.modalities["a"].labels, work)
    theirs = space(work)
    for d, found in ours["directions"].items():
        assert found == theirs["directions"][d]
    assert ours["validation"] == {d: theirs["validation"][d] for d in ("a->b", "b->a")}


def test_a_cell_gives_all_directions_of_each_space(cell):
    work, found = cell
    assert json.loads(json.dumps(found)) == found
    assert set(found["spaces"]) == {"abc", "bc"} and set(found["spaces"]["abc"]) == {"0.1", "5"}
    three, two = found["spaces"]["abc"]["0.1"], found["spaces"]["bc"]["0.1"]
    assert list(three["directions"]) == list(senses.WAYS) and len(three["directions"]) == 9
    assert set(three["validation"]) == {"a->b", "a->c", "b->a", "b->c", "c->a", "c->b"}
    assert set(two["directions"]) == {"b->b", "b->c", "c->b", "c->c"}
    for direction in three["directions"].values():
        assert direction["map"] > direction["chance"] + 0.3
        assert direction["queries"] == len(work.parts.test["a"])
    assert found["spaces"]["abc"]["5"]["directions"] != three["directions"]


@pytest.mark.parametrize("how", ["none", "standardise", "scale"])
def test_nothing_is_fitted_learned_or_kept_by_the_test_part(how, monkeypatch):
    work = made_up(f"normalise_features={how}", "stage2.epochs=8", "stage2.lr=0.05", "stage2.schedule=constant")
    random, y = np.random.default_rng(5), work.data.modalities["a"].labels
    of_radar = radar_made(random, y)
    found = []
    for part in ("", "test", "validation"):
        rows = getattr(work.parts, part)["a"] if part else []
        z = {name: array.copy() for name, array in (work.made | of_radar).items()}
        for name in (name for name in z if name.startswith("z.")):
            z[name][rows] = 9 * random.standard_normal(z[name][rows].shape)
        monkeypatch.setattr(senses, "radar_features", lambda work, z=z: {"z.c": z["z.c"], "logits.c": z["logits.c"]})
        spaces = senses.train_spaces(work._replace(made=z), {"abc": [0.1], "bc": [0.1]})["spaces"]
        found.append([{g: s["0.1"][figures] for g, s in spaces.items()} for figures in ("validation", "directions")])
    assert found[0][0] == found[1][0] != found[2][0]
    assert found[0][1] != found[1][1]


def test_a_query_does_not_find_itself(cell):
    work, found = cell
    y = work.data.modalities["a"].labels[work.parts.test["a"]]
    alone = [senses.evaluate_direction(np.zeros((len(y), 1)), y, np.zeros((len(y), 1)), y, exclude=e)["chance"]
             for e in (None, np.arange(len(y)))]  # fmt: skip
    directions = found["spaces"]["abc"]["0.1"]["directions"]
    assert [directions[d]["chance"] for d in ("a->c", "c->c")] == pytest.approx(alone) and alone[0] > alone[1]


def test_weights_that_do_not_stay_finite_are_a_failed_run():
    work = made_up("stage2.lr=1e30")
    with np.errstate(all="ignore"):
        found = senses.one_space(work.config, "ab", work.z, work.data.modalities["a"].labels, work)
    assert set(found) == {"failed"} and "stage2" in found["failed"]


def test_radar_is_of_the_same_scenes_and_learns_from_the_training_part(monkeypatch):
    work = made_up("scenes_seed=7", "stage1.epochs=3", "stage1.batch_size=4", n=40)
    asked = []
    monkeypatch.setattr(senses, "load_radar", lambda count, *, seed: asked.append((count, seed)) or radar(count, seed))
    seen, train_stage = [], runs.train_stage

    def watched(stage, config, data, parts, *rest):
        seen.append((stage.name, data.modalities["a"].name, parts.train["a"].tolist()))
        return train_stage(stage, config, data, parts, *rest)

    monkeypatch.setattr(runs, "train_stage", watched)
    found = senses.radar_features(work)
    assert asked == [(40, 7)] and seen == [("stage1.a", "radar", work.parts.train["a"].tolist())]
    assert found["z.c"].shape == (40, 12) and found["logits.c"].shape == (40, 4)
    assert senses.shares_right(found["logits.c"], np.arange(40) % 4, CLASSES)["all"] > 0.5


def test_shares_of_each_class():
    logits = np.array([[2, 1, 0], [2, 1, 0], [0, 1, 2], [0, 1, 2]])
    shares = senses.shares_right(logits, np.array([0, 1, 1, 2]), ("one", "two", "three"))
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
    return {"directions": directions, "validation": dict.fromkeys(senses.directions_across(group), validation)}


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

    def space(self, group, weight, seed):
        better = (weight == self.best[group]) == (seed == 0)
        return result(group, self.ap.get(group, self.other) + 0.01 * seed * (group == "abc"), 0.9 if better else 0.1)

    def run(self, cells, name):
        self.cells += cells
        return [self.computed(cell) for cell in cells]

    def computed(self, cell):
        seed, weights = cell.config.seed, cell.options["weights"]
        spaces = {g: {f"{w:g}": self.space(g, w, seed) for w in ws} for g, ws in weights.items()}
        shares = dict.fromkeys(("all", *CLASSES), 0.8)
        return {"stage1": {m: shares | ({"cloud": 0.1} if m == "c" else {}) for m in "abc"}, "spaces": spaces}


BEST = {"abc": 0.1, "ab": 0.02, "ac": 0.02, "bc": 0.1}


def test_each_space_has_the_weight_that_validates_best_for_the_first_seed():
    lab = Kept(BEST, seeds=3)
    trained = senses.train_all(lab)
    assert trained.weights == BEST
    assert all(len(results) == 3 for results in trained.results.values()) and len(trained.stage1) == 3
    first, *later = [c.options["weights"] for c in lab.cells]
    assert first == dict.fromkeys(BEST, [0.02, 0.1])  # noqa: RUF024 - only read
    assert later == [{group: [weight] for group, weight in BEST.items()}] * 2
    assert trained.command == train_command(lab.config("few-tiles", 0, weights={"alignment": 0.02}))


def test_a_cell_is_found_again_under_its_options():
    lab = Kept(BEST)
    senses.train_all(lab)
    cell = lab.cells[0]
    assert isinstance(cell, Cell) and json.loads(json.dumps(cell.options)) == cell.options


def test_the_tables():
    lab = Kept(BEST)
    experiment = senses.senses(lab)
    nine, beside, classes = (table.lines for table in experiment.tables.values())
    assert [line.about[0] for line in nine][:3] == ["PAN → PAN", "PAN → MUL", "PAN → radar"]
    assert len(nine) == 9 and all(line.printed == "–" for line in (*nine, *beside, *classes))
    assert nine[0].scores["map"].values == pytest.approx((0.7, 0.71))
    assert nine[0].scores["mean_precision_at_tens"].values[0] == 0.35
    assert len(beside) == 6 and beside[0].about == ("PAN → MUL",)
    assert beside[0].scores["two"].values == (0.6, 0.6) and beside[0].scores["three"].values == pytest.approx(
        (0.7, 0.71)
    )
    assert str(beside[0].scores["difference"]) == "0.105 ± 0.007"
    assert [bool(line.command) for line in beside] == [True, False, True, False, False, False]
    assert [line.about[0] for line in classes] == list(CLASSES)
    assert [str(classes[0].scores[m]) for m in "abc"] == ["0.800 ± 0.000", "0.800 ± 0.000", "0.100 ± 0.000"]
    assert experiment.figures[0].svg.startswith("<svg") and experiment.figures[0].png.startswith(b"\x89PNG")
    text = " ".join(render_text("senses", text_facts(lab, experiment)).split())
    assert "- radar to PAN–MUL: 0.105 ± 0.007 - MUL to PAN–radar: 0.105" in text
    assert "- PAN–MUL: 0.02 gives 0.900, 0.1 gives 0.100, so 0.02" in text


def test_what_the_mean_precision_at_tens_can_reach():
    def most(results, direction):
        return senses.most_tens(results, direction).values

    failed = [{"failed": "nan"}, result("abc", 0.5)]
    assert most(failed, "a->b") == (None, pytest.approx((1 + 1 + 2 / 3 + 0.5 + 0.4) / 5))
    tens = (1 + 19 / 20 + 19 / 30 + 19 / 40 + 19 / 50) / 5  # the query itself is neither relevant nor in the gallery
    assert most([result("abc", 0.5)], "a->a") == pytest.approx((tens,))
    assert most([result("abc", 0.5, sizes=50)], "a->c") == (1.0,)
    assert most([result("abc", 0.5, sizes=5)], "a->c") == pytest.approx(((5 / 10 + 4 * 5 / 20) / 5,)), "20 items in all"


def test_a_failed_run_leaves_no_difference():
    results = {"abc": [{"failed": "nan"}, result("abc", 0.7)], "ab": [result("ab", 0.6)] * 2}
    difference = senses.gain(senses.Trained(results, {}, {}, [], ""), "ab", ["a->b"])
    assert difference.values[0] is None and difference.values[1] == pytest.approx(0.1)


def test_without_radar_images_there_is_no_table():
    lab = Kept(BEST)
    lab.scale = FULL
    experiment = senses.senses(lab)
    assert not experiment.tables and not lab.cells
    text = " ".join(render_text("senses", text_facts(lab, experiment)).split())
    assert "DSRSID" in text and "no radar images" in text
