"""A run on a user's own pairs of two sensors: trained without labels, evaluated by partners, searched both ways."""

import json
import shutil

import numpy as np
import pytest
import tifffile
import worlds
from typer.testing import CliRunner

from cmir_ref import runs, search
from cmir_ref.app.answers import Question, answer
from cmir_ref.app.describe import describe_run
from cmir_ref.app.served import serve_run
from cmir_ref.cli import app
from cmir_ref.cmirnet.stage2 import numbers_of_pairs
from cmir_ref.config import load_config
from cmir_ref.data import digests_of, load_data
from cmir_ref.errors import InputError
from cmir_ref.retrieval import first_rank, recall_at_k

SHORT = ("image_size=64", "stage2.epochs=12", "stage2.batch_size=8", "d_v=16", "d_z=24", "stage2.lr=0.005")
PAIRS = 40


def write_scenes(root, labelled=False):
    """Pairs of 16 bits: PAN 64 × 64, and four bands of which each is a different share of the same scene."""
    rng, cells = np.random.default_rng(0), np.kron
    for k in range(PAIRS):
        scene = cells(rng.integers(200, 200 + 90 * (k + 1), (8, 8)), np.ones((8, 8))) * (1 + k % 5)
        place = f"{'fw'[k % 2]}/{k:02d}.tif" if labelled else f"{k:02d}.tif"
        pan = (scene + rng.integers(0, 100, scene.shape)).astype(np.uint16)
        mul = (scene[..., None] * [0.5, 0.7, 1.1, 1.6] + 50).astype(np.uint16)
        for sensor, x in (("pan", pan), ("mul", mul)):
            (root / sensor / place).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(root / sensor / place, x, photometric="minisblack")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of pairs without labels, and a run that learned from them."""
    root = tmp_path_factory.mktemp("site")
    write_scenes(root / "data")
    config = load_config("pan-mul_pairs", SHORT)
    run = runs.train(config, load_data(config, root / "data"), root / "run")
    return root, run


def test_pairs_alone_are_enough_to_learn_from(site):
    _, run = site
    result = runs.evaluate(run)
    assert list(result["directions"]) == ["a->b", "b->a"]
    for direction in result["directions"].values():
        assert direction["r@5"] > 0.8 and direction["chance_r@5"] == pytest.approx(5 / 12)
        assert direction["median_rank"] <= 2 and direction["chance_median_rank"] == 6.5
        assert direction["chance_r@1"] == pytest.approx(1 / 12) and direction["chance_r@10"] == pytest.approx(10 / 12)
        assert direction["queries"] == 12 and direction["without_relevant"] == 0 and direction["per_class"] == {}
    recalls = [result["directions"][d][f"r@{k}"] for d in ("a->b", "b->a") for k in (1, 5, 10)]
    assert result["mr"] == pytest.approx(np.mean(recalls))
    assert {"loss", "reconstruction", "contrastive"} == set(run.history[0]["parts"])
    assert run.history[-1]["validation"]["score"] > 0.5


def test_recalls_are_those_of_the_partner(site):
    _, run = site
    rows = run.parts.test["a"]
    v = {m: run.encoded[m]["v"][rows].astype(float) for m in "ab"}
    distances = -np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in v["b"]] for a in v["a"]])
    own = np.eye(len(rows), dtype=bool)
    found = runs.evaluate(run)["directions"]["a->b"]
    for k in (1, 5, 10):
        by_hand = np.mean([(distances[i] < distances[i, i]).sum() < k for i in range(len(rows))])
        assert recall_at_k(distances, own, k).mean() == pytest.approx(by_hand)
        assert found[f"r@{k}"] == pytest.approx(by_hand)
    assert found["median_rank"] == np.median(first_rank(distances, own))


def test_of_two_sensors_with_the_same_bands_an_image_is_of_the_one_that_has_it(tmp_path):
    """The image itself, or a copy of it; of an image that none has nothing is known, and it is read as the first's."""
    rng = np.random.default_rng(0)
    for sensor in ("pan", "mul"):
        (tmp_path / "data" / sensor).mkdir(parents=True)
        for k in range(6):
            x = rng.integers(1, 9999, (64, 64), np.uint16)
            tifffile.imwrite(tmp_path / "data" / sensor / f"{k}.tif", x, photometric="minisblack")
    data = load_data(load_config("pan-mul_pairs", SHORT), tmp_path / "data")
    known = {m: one._replace(digests=digests_of(one.x)) for m, one in data.modalities.items()}
    run = runs.Run(None, None, {}, {}, data._replace(modalities=known), None, [], 0.0)
    for letter, sensor in (("a", "pan"), ("b", "mul")):
        file, copy = tmp_path / "data" / sensor / "3.tif", tmp_path / f"copy of {sensor}.tif"
        shutil.copy(file, copy)
        assert [search.guess_modality(run, query) for query in (file, copy)] == [letter] * 2
    tifffile.imwrite(tmp_path / "new.tif", x + 1, photometric="minisblack")
    assert search.guess_modality(run, tmp_path / "new.tif") == "a"


def test_a_run_that_is_read_again_is_the_same(site):
    root, run = site
    again = runs.load_run(root / "run")
    assert again.dataset.label_names == () and again.dataset.modalities["b"].as_stored
    assert runs.evaluate(again)["directions"] == runs.evaluate(run)["directions"]


def test_an_image_of_one_sensor_finds_those_of_the_other(site):
    root, run = site
    rank = {}
    for m, sensor, other in (("a", "pan", "b"), ("b", "mul", "a")):
        row = int(run.parts.test[m][0])
        query = root / "data" / sensor / f"{row:02d}.tif"
        assert search.guess_modality(run, query) == m
        hits = search.retrieve(run, query, other, k=12)
        assert [hit.modality for hit in hits] == [other] * 12 and all(hit.labels == () for hit in hits)
        rank[m] = next(hit.rank for hit in hits if hit.id == f"{row:02d}")
    assert max(rank.values()) <= 5
    new = root / "elsewhere.tif"  # no file of the run: its bands say which sensor it is of
    tifffile.imwrite(new, np.full((128, 128, 4), 900, np.uint16), photometric="minisblack")
    assert search.guess_modality(run, new) == "b"
    assert len(search.retrieve(run, new, "a", k=3)) == 3
    tifffile.imwrite(new, np.full((128, 128, 3), 900, np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match=r"elsewhere\.tif: its bands are 3 of uint16"):
        search.retrieve(run, new, "b")


def test_the_command_line_shows_recalls_with_chance(site):
    root, _ = site
    run = str(root / "run")
    shown = CliRunner().invoke(app, ["evaluate", run, "--html", str(root / "page.html")]).output
    assert "a->b R@10" in shown and "chance" in shown and "median rank" in shown
    figures = json.loads(CliRunner().invoke(app, ["evaluate", run, "--json"]).stdout)["directions"]
    assert {"r@1", "r@5", "r@10", "median_rank", "chance_r@10", "chance_median_rank"} <= set(figures["b->a"])
    query = str(root / "data" / "mul" / "03.tif")
    hits = json.loads(CliRunner().invoke(app, ["retrieve", run, query, "--to", "a", "--json"]).stdout)
    assert hits[0]["modality"] == "a" and hits[0]["path"].endswith(".tif") and hits[0]["labels"] == []
    report = (root / "run" / "report.html").read_text(encoding="utf-8")
    assert "R@10" in report and "median rank" in report and "the query’s own counterpart" in report
    pages = [report, (root / "page.html").read_text(), (root / "run" / "retrieve.html").read_text()]
    assert all("panchromatic" in page and "false colour" in page for page in pages)


def test_a_folder_of_labelled_queries_is_refused(site):
    root, run = site
    with pytest.raises(InputError, match="this run has no labels"):
        search.evaluate_folder(run, root / "data")


def test_a_page_serves_such_a_run(site):
    root, run = site
    served = serve_run(root / "run", "mine")
    told = describe_run(served)
    assert told["labels"] == [] and [m["name"] for m in told["modalities"]] == ["pan", "mul"]
    row = int(run.parts.test["a"][0])
    found = answer(served, Question(item=("a", row)), "b", 5)
    assert len(found["hits"]) == 5 and not json.dumps(found).count("cannot be shown")


def test_a_run_goes_on_where_it_was_stopped(site, tmp_path):
    """Weights without columns, of a classifier of no classes, are kept and read again."""
    root, run = site
    data = load_data(run.config, root / "data")
    shorter = run.config.model_copy(update={"stage2": run.config.stage2.model_copy(update={"epochs": 2})})
    first = runs.train(shorter, data, tmp_path / "run")
    again = runs.train(shorter, data, tmp_path / "run", resume=True)
    assert first.tensors["stage2/params/latent.classifier.w"].shape == (16, 0)
    for name, tensor in first.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)


def test_with_labels_classes_and_partners_are_both_reported(tmp_path):
    write_scenes(tmp_path, labelled=True)
    changes = ("weights.classification=1", *SHORT, "stage2.epochs=1")
    config = load_config("pan-mul_pairs", changes)
    run = runs.train(config, load_data(config, tmp_path))
    found = runs.evaluate(run)["directions"]
    assert list(found) == ["a->b", "b->a", "a->a", "b->b", "a->ab", "b->ab"]
    assert set(found["a->b"]["per_class"]) == {"f", "w"} and found["a->b"]["chance"] > 0.4
    assert found["a->b"]["chance_r@1"] == pytest.approx(1 / found["a->b"]["queries"])
    assert "r@1" not in found["a->a"] and "r@1" not in found["a->ab"]
    nowhere = runs.evaluate(run, "train")["directions"]["a->b"]  # partners of test queries stand in no other part
    assert nowhere["r@1"] is None and nowhere["median_rank"] is None and nowhere["map"] > 0


def test_stage_1_classifies_where_there_are_labels(tmp_path):
    write_scenes(tmp_path, labelled=True)
    short = ("dataset=pairs", "image_size=64", "stage1.epochs=1", "stage2.epochs=1", "stage1.average_views=false")
    config = load_config("pan-mul", [*short, "weights.contrastive=0.1"])
    run = runs.train(config, load_data(config, tmp_path))
    assert {line["stage"] for line in run.history} == {"stage1.a", "stage1.b", "stage2"}
    assert "contrastive" in run.history[-1]["parts"] and np.isfinite(runs.evaluate(run)["mr"])


def test_partners_have_one_number():
    pairs = np.array([[4, 1], [0, 3], [2, 0], [1, 2]])
    numbers = numbers_of_pairs(pairs, {"a": np.array([0, 1, 4]), "b": np.array([1, 2, 3])})
    assert numbers["a"].tolist() == [1, 3, 0] and numbers["b"].tolist() == [0, 3, 1]


def test_without_a_contrast_the_term_is_not_computed():
    run = runs.train(worlds.config("weights.contrastive=0"), worlds.features())
    assert "contrastive" not in run.history[-1]["parts"]
