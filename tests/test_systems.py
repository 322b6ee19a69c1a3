"""The contract of a system: a third one, registered by this test alone, passes through every shared function."""

import json
import sys

import numpy as np
import pytest
import worlds
from toy_system.system import SYSTEM as TOY

from cmir_ref import cli, runs, search
from cmir_ref.config import load_config
from cmir_ref.errors import InputError
from cmir_ref.ranking import examples, items_of, rank
from cmir_ref.retrieval import measure_direction
from cmir_ref.retrieval.relevant_items import positions
from cmir_ref.systems import SYSTEMS

PRESET = """system = "toy"
scenario = "image-speech"
dataset = "features"
speech = "speech-features"
protocol = "paper"
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(SYSTEMS, "toy", TOY)


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(PRESET)
    return path


@pytest.fixture
def root(tmp_path):
    """A folder with released features of images and of words."""
    from cmir_ref.data import write_features

    root = worlds.write_speech_features(worlds.write_ucmerced(tmp_path / "data"))
    write_features(root, scores=np.random.default_rng(0).random((2100, 6)))
    return root


def test_its_settings_are_its_own(preset):
    config = load_config(preset, ["width=5", "match.epochs=1"])
    assert (type(config), config.width, config.match.epochs) == (TOY.settings, 5, 1)
    with pytest.raises(InputError, match="alpha: no such setting"):
        load_config(preset, ["alpha=1"])
    with pytest.raises(InputError, match="system 'tyo' is unknown; did you mean toy"):
        load_config(preset, ["system=tyo"])


def test_it_trains_is_read_back_and_goes_on(preset, tmp_path):
    config, data = load_config(preset), worlds.features()
    run = runs.train(config, data, tmp_path / "run")
    loaded = runs.load_run(tmp_path / "run")
    assert json.dumps(runs.evaluate(loaded)) == json.dumps(runs.evaluate(run))
    assert list(run.encoded["a"]) == ["s"] and "means.a" in loaded.tensors
    with pytest.raises(worlds.Stop):
        runs.train(config, data, tmp_path / "again", watch=worlds.Interrupt("match", 1))
    resumed = runs.train(config, data, tmp_path / "again", resume=True)
    assert all(np.array_equal(resumed.tensors[name], value) for name, value in run.tensors.items())


def test_it_is_evaluated_by_its_own_distances(preset):
    run = runs.train(load_config(preset), worlds.features())
    result = runs.evaluate(run)
    assert list(result["directions"]) == ["a->b", "b->a", "a->a"] and result["state"] == "alive"
    assert result["directions"]["a->b"]["map"] > result["directions"]["a->b"]["chance"] + 0.2
    recalls = [result["directions"][d][f"r@{k}"] for d in ("a->b", "b->a") for k in (1, 5)]
    assert result["mr"] == pytest.approx(np.mean(recalls))
    query, gallery = items_of(run, "a", "test"), items_of(run, "b", "test")
    whole = TOY.distances(run, query, gallery)(slice(None))
    relevant = TOY.relevant(run, query, gallery)(slice(None))
    by_hand = measure_direction(lambda rows: whole[rows], lambda rows: relevant[rows], *whole.shape, xp=np)
    assert by_hand["map"] == result["directions"]["a->b"]["map"]


def test_what_is_stored_is_what_encode_gives(preset):
    data = worlds.features()
    run = runs.train(load_config(preset), data)
    one = TOY.encode(run, "a", data.modalities["a"].x[7:8])
    np.testing.assert_allclose(one["s"][0], run.encoded["a"]["s"][7], rtol=1e-6)


def test_the_commands_serve_it_without_a_change(preset, root, tmp_path, capsys, monkeypatch):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["cmir-ref", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, capsys.readouterr()

    status, shown = call("train", preset, "--data", root, "--out", tmp_path / "run", "--json")
    assert status == 0, shown.err
    assert json.loads(shown.out)["directions"].keys() == {"a->b", "b->a", "a->a"}
    assert (tmp_path / "run" / "report.html").read_text().count("<svg") >= 3
    status, shown = call("evaluate", tmp_path / "run")
    assert status == 0 and "Alive" in shown.out
    status, shown = call(
        "retrieve", tmp_path / "run", f"{root / 'speech.mat'}:17", "--from", "b", "--to", "a", "-k", "3", "--json"
    )
    hits = json.loads(shown.out)
    assert status == 0 and [hit["rank"] for hit in hits] == [1, 2, 3]
    run = runs.load_run(tmp_path / "run")
    gallery, query = items_of(run, "a", "test"), items_of(run, "b", "all")
    index, _ = rank(run, query, gallery, 3, exclude=positions(query, gallery))
    assert [hit["id"] for hit in hits] == [run.dataset.modalities["a"].ids[gallery.rows["a"][i]] for i in index[17]]
    assert search.retrieve(run, f"{root / 'speech.mat'}:17", "a", 3, modality="b")[0].id == hits[0]["id"]
    assert len(examples(run, "b->a", count=2)) == 2


def test_the_fast_path_of_vectors_is_the_contract_s_own(tmp_path):
    """CMIR-NET's `vectors` only save time: its `distances` rank the same."""
    system = SYSTEMS["cmirnet"]
    run = runs.train(worlds.config(), worlds.features())
    query, gallery = items_of(run, "a", "test"), items_of(run, "ab", "test")
    exclude = positions(query, gallery)
    fast, _ = rank(run, query, gallery, 9, exclude=exclude)
    levels = system.distances(run, query, gallery)(slice(None)).astype(float)
    levels[np.arange(len(query)), exclude[:, 0]] = np.inf
    np.testing.assert_array_equal(fast, np.argsort(levels, axis=1, kind="stable")[:, :9])
