"""A query never finds itself: every direction, every gallery and every source of queries is asked."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import soundfile
import worlds
from PIL import Image
from toy_system.system import SYSTEM as TOY
from toy_system.system import ToySettings

from cmir_ref import run_files, runs, search
from cmir_ref.data import load_data
from cmir_ref.data.mat import read_mat, split_row
from cmir_ref.ranking import are_relevant, examples, galleries, items_of, one_of_each_class, rank, sample_of
from cmir_ref.records import PARTS, Places
from cmir_ref.retrieval.relevant_items import positions
from cmir_ref.systems import SYSTEMS

EVERY_PART = (*PARTS, "all")
SHORT = ("stage1.epochs=1", "stage2.epochs=1")
CONFIGS = {
    "cmirnet": worlds.config(*SHORT),
    "released distance": worlds.config(*SHORT, "distance=released"),
    "toy": ToySettings(system="toy", scenario="image-speech", dataset="features", protocol="paper"),
}
DATA = {"classes": lambda: worlds.features(n=30), "pairs": lambda: worlds.features(paired=True, n=40)}


@pytest.fixture(scope="module", params=list(product(CONFIGS, DATA)), ids=" ".join)
def run(request):
    system, data = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SYSTEMS, "toy", TOY)
        yield runs.train(CONFIGS[system], DATA[data]())


def labelled(run, labels):
    """The run with other labels, given by letter, which count from 0."""
    modalities = {m: modality._replace(labels=labels[m]) for m, modality in run.dataset.modalities.items()}
    names = tuple(f"label {k}" for k in range(1 + max(map(max, labels.values()))))
    return run._replace(dataset=run.dataset._replace(modalities=modalities, label_names=names))


def counts(run):
    return {m: len(modality.ids) for m, modality in run.dataset.modalities.items()}


@pytest.mark.parametrize("queries", EVERY_PART)
@pytest.mark.parametrize("gallery", EVERY_PART)
def test_of_labels_that_are_a_sample_s_own_nothing_is_relevant(run, queries, gallery):
    """Where no two samples share a label, only the query itself could be found."""
    n = counts(run)
    own = labelled(run, {"a": np.arange(n["a"]), "b": n["a"] + np.arange(n["b"])})
    for direction, found in runs.evaluate(own, gallery, queries=queries)["directions"].items():
        asked = len(items_of(own, direction[0], queries))
        assert (found["map"], found["queries"], found["without_relevant"]) == (None, 0, asked), direction


@pytest.mark.parametrize("gallery", EVERY_PART)
def test_only_the_query_itself_is_left_out(run, gallery):
    """Where sample k of a and sample k of b share a label, its counterpart is all that is relevant."""
    n = counts(run)
    twins = labelled(run, {m: np.arange(n[m]) for m in n})
    for direction, found in runs.evaluate(twins, gallery, queries="all")["directions"].items():
        p, letters = direction.split("->")
        q = "ba"["ab".index(p)]
        there = items_of(twins, q, gallery).rows[q]
        partners = int((there < n[p]).sum()) if q in letters else 0
        assert found["queries"] == partners, direction


@pytest.mark.parametrize("gallery", EVERY_PART)
def test_examples_and_rankings_hold_everything_but_the_query(run, gallery):
    for direction in SYSTEMS[run.config.system].directions:
        letter, letters = direction.split("->")
        searched = items_of(run, letters, gallery)
        for example in examples(run, direction, count=9, k=1000, gallery=gallery):
            found = [(hit.modality, hit.id) for hit in example.hits]
            everything = [(m, run.dataset.modalities[m].ids[row]) for m, row in searched.samples()]
            itself = (example.query.modality, example.query.id)
            assert itself[0] == letter and sorted(found) == sorted(set(everything) - {itself})
            alone = search.insider(run, letter, run.dataset.modalities[letter].ids.index(example.query.id))
            (places,), (far,) = rank(run, alone, searched, 1000, exclude=positions(alone, searched))
            far = {everything[p]: distance for p, distance in zip(places, far.tolist(), strict=True)}
            shown = [hit.distance for hit in example.hits]
            assert shown == sorted(shown) == pytest.approx([far[sample] for sample in found], rel=1e-3, abs=1e-5)
            assert [hit.rank for hit in example.hits] == [*range(1, len(found) + 1)]
        query = items_of(run, letter, "all")
        where = positions(query, searched)
        index, _ = rank(run, query, searched, 1000, exclude=where)
        for k, (sample, places) in enumerate(zip(query.samples(), where.tolist(), strict=True)):
            assert [searched.samples()[p] for p in places if p >= 0] == [s for s in searched.samples() if s == sample]
            assert not set(places) & set(index[k].tolist())


@pytest.mark.parametrize("several", [False, True])
def test_queries_that_are_shown_go_round_the_classes_and_each_comes_once(run, several):
    m = "a"
    labels, names = np.arange(len(run.dataset.modalities[m].ids)) % 3, ("one", "two", "three", "none")
    if several:
        labels = np.eye(4, dtype=np.uint8)[labels] | (np.arange(len(labels)) % 2)[:, None] * np.uint8([0, 1, 1, 0])
    run = run._replace(dataset=run.dataset._replace(label_names=names))
    order = one_of_each_class(run, m, labels)
    assert sorted(order) == [*range(len(labels))]
    hot = labels[order] if several else np.eye(4, dtype=int)[labels[order]]
    assert hot[:3].any(axis=0).tolist() == [True, True, True, False]


def test_what_is_relevant_is_so_in_any_order_of_both_modalities(run):
    count = min(len(modality.labels) for modality in run.dataset.modalities.values())
    samples = [("ab"[k % 2], int(i)) for k, i in enumerate(np.random.default_rng(0).permutation(count)[:16])]
    for m, row in (("a", 4), ("b", count - 1)):
        alone = tuple(are_relevant(run, m, row, [sample])[0] for sample in samples)
        assert are_relevant(run, m, row, samples) == alone and len(set(alone)) == 2


def test_a_sample_whose_place_is_not_known_is_shown_without_one(run):
    m = run.dataset.modalities["a"]
    xy = np.full((len(m.ids), 2), np.nan)
    xy[1] = 7, 9
    placed = m._replace(places=Places(xy, ("", "EPSG:32633") + ("",) * (len(m.ids) - 2)))
    placed = run._replace(dataset=run.dataset._replace(modalities=run.dataset.modalities | {"a": placed}))
    shown = [sample_of(placed, "a", row)[-3:] for row in range(3)]
    assert shown == [(None, None, None), (7, 9, "EPSG:32633"), (None, None, None)]


@pytest.mark.parametrize("gallery", ["train", None])
def test_galleries_are_examples_of_every_direction(run, gallery):
    found = galleries(run, count=2, gallery=gallery)
    assert found == {d: examples(run, d, count=2, gallery=gallery) for d in found} and len(found) > 1


@pytest.fixture(scope="module", params=["rows of a file", "recordings"])
def on_disk(request, tmp_path_factory):
    """A run on files: images, and rows of a .mat file or recordings."""
    root = tmp_path_factory.mktemp("data")
    worlds.write_released(root)
    speech = "speech-features"
    if request.param == "recordings":
        speech = worlds.write_speech(root / "words", voices=("ann", "bob", "cem"))
    config = worlds.config(*SHORT, f"speech={speech}", "d_z=16")
    return runs.train(config, load_data(config, root))


@pytest.mark.parametrize("gallery", [*EVERY_PART, None])
def test_a_folder_of_all_recordings_finds_what_they_find_and_is_found_by_what_finds_them(on_disk, gallery):
    """The same figures as of these samples of the run, class by class."""
    b = on_disk.dataset.modalities["b"]
    if "wav" not in b.paths[0]:
        pytest.skip("rows of a file are in no folder")
    found = search.evaluate_folder(on_disk, Path(b.paths[0]).parents[1], modality="b", gallery=gallery)
    part = gallery or on_disk.config.gallery
    assert found["gallery"] == part and found["directions"].keys() == {"b->a", "a->b"}
    for direction, (queries, searched) in {"b->a": ("all", part), "a->b": (part, "all")}.items():
        expected = runs.evaluate_run_direction(on_disk, direction, queries, searched, np)
        figures = found["directions"][direction]
        assert figures.keys() == expected.keys()
        classes, per_class = figures.pop("per_class"), expected.pop("per_class")
        assert figures == pytest.approx(expected, rel=1e-6) and classes.keys() == per_class.keys()
        for name, figures_of_class in classes.items():
            assert figures_of_class == pytest.approx(per_class[name], rel=1e-6)


def test_a_folder_of_what_was_trained_on_is_said(on_disk, tmp_path):
    """A copy, wherever it lies, measures memory; of the other parts nothing is said, and no warnings are no list."""
    a, names = on_disk.dataset.modalities["a"], on_disk.dataset.label_names
    learned = {a.digests[row].item() for row in on_disk.parts.train["a"].tolist()}

    def add(row):
        folder = tmp_path / names[int(np.flatnonzero(a.labels[row])[0])]
        folder.mkdir(exist_ok=True)
        Image.open(a.paths[row]).save(folder / f"{row:02d}.png")

    for row in (row for row in on_disk.parts.test["a"].tolist() if a.digests[row].item() not in learned):
        add(row)
    before = search.evaluate_folder(on_disk, tmp_path)
    assert "warnings" not in before
    add(on_disk.parts.train["a"][0])
    (said,) = search.evaluate_folder(on_disk, tmp_path)["warnings"]
    count = len(list(tmp_path.glob("*/*.png")))
    assert said.startswith(f"1 of {count} queries hold the same as samples of the training part, such as {tmp_path}")
    assert f"{on_disk.parts.train['a'][0]:02d}.png; leave them out" in said


@pytest.mark.parametrize("to", ["a", "b", "all"])
@pytest.mark.parametrize("gallery", EVERY_PART)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("m", ["a", "b"])
def test_a_file_never_finds_itself(on_disk, m, part, gallery, to):
    modality, row = on_disk.dataset.modalities[m], getattr(on_disk.parts, part)[m][-1]
    searched = items_of(on_disk, "ab" if to == "all" else to, gallery).samples()
    hits = search.retrieve(on_disk, modality.paths[row], to, 10_000, modality=m, gallery=gallery)
    found = {(hit.modality, hit.id) for hit in hits}
    assert found == {(n, on_disk.dataset.modalities[n].ids[i]) for n, i in searched if (n, i) != (m, row)}
    assert len(hits) == len(searched) - ((m, row) in searched)


def copied(path, folder):
    """The same samples in another container, elsewhere, under another name."""
    file, row = split_row(path)
    if row is not None:
        scipy.io.savemat(folder / "copy.mat", {"other": next(iter(read_mat(file).values()))}, do_compression=True)
        return f"{folder / 'copy.mat'}:{row}"
    if file.endswith(".wav"):
        soundfile.write(folder / "copy.flac", *soundfile.read(file), subtype="PCM_16")
        return folder / "copy.flac"
    Image.open(file).save(folder / "copy.png")
    return folder / "copy.png"


@pytest.mark.parametrize("m", ["a", "b"])
def test_a_copy_of_a_file_never_finds_it(on_disk, m, tmp_path):
    modality, row = on_disk.dataset.modalities[m], on_disk.parts.test[m][-1]
    copy = copied(modality.paths[row], tmp_path)
    hits = search.retrieve(on_disk, copy, m, 10_000, modality=m, gallery="all")
    assert [hit.id for hit in hits] == [
        hit.id for hit in search.retrieve(on_disk, modality.paths[row], m, 10_000, modality=m, gallery="all")
    ]
    assert {hit.id for hit in hits} == set(modality.ids) - {modality.ids[row]}
    shown = search.search_example(on_disk, copy, m, modality=m).query
    assert shown.id == modality.ids[row] and shown.labels


@pytest.mark.parametrize("m", ["a", "b"])
def test_a_query_is_read_once(on_disk, m, monkeypatch):
    """To encode it, to know it among the samples, and to show it."""
    read, real = [], search.read_query
    monkeypatch.setattr(search, "read_query", lambda *given: (read.append(given), real(*given))[1])
    path = on_disk.dataset.modalities[m].paths[0]
    assert search.search_example(on_disk, path, "b", 3).query.id == on_disk.dataset.modalities[m].ids[0]
    assert len(read) == 1


def test_a_run_that_is_read_again_knows_its_files(on_disk, tmp_path):
    run_files.write_embeddings(tmp_path / "embeddings.npz", on_disk)
    _, dataset, *_ = run_files.read_embeddings(tmp_path / "embeddings.npz")
    for m, modality in dataset.modalities.items():
        np.testing.assert_array_equal(modality.digests, on_disk.dataset.modalities[m].digests)


def test_of_two_samples_that_hold_the_same_the_query_is_the_one_of_its_path(on_disk):
    modality = on_disk.dataset.modalities["a"]
    twins = modality._replace(digests=modality.digests[[0, 0, *range(2, len(modality.ids))]])
    run = on_disk._replace(dataset=on_disk.dataset._replace(modalities=on_disk.dataset.modalities | {"a": twins}))
    moved = run._replace(dataset=run.dataset._replace(modalities={"a": twins._replace(paths=None)}))
    path = modality.paths[0]
    assert search.row_of_query(run, "a", path) == search.row_of_query(moved, "a", path) == 0
    second = twins._replace(paths=(modality.paths[1], path, *modality.paths[2:]))
    assert search.row_of_query(run._replace(dataset=run.dataset._replace(modalities={"a": second})), "a", path) == 1


@pytest.mark.parametrize("digests", ["kept", "of an earlier version"])
@pytest.mark.parametrize("way", ["relative", "by a link", "round a corner"])
def test_a_file_is_known_by_whatever_way(on_disk, way, digests, tmp_path, monkeypatch):
    if digests != "kept":
        known = {m: modality._replace(digests=None) for m, modality in on_disk.dataset.modalities.items()}
        on_disk = on_disk._replace(dataset=on_disk.dataset._replace(modalities=known))
    modality, row = on_disk.dataset.modalities["a"], on_disk.parts.test["a"][0]
    path = Path(modality.paths[row])
    if way == "relative":
        monkeypatch.chdir(path.parent)
        path = Path(path.name)
    elif way == "by a link":
        (tmp_path / "link.tif").symlink_to(path)
        path = tmp_path / "link.tif"
    else:
        path = path.parent / ".." / path.parent.name / path.name
    hits = search.retrieve(on_disk, path, "a", 10_000, gallery="all")
    assert modality.ids[row] not in {hit.id for hit in hits} and len(hits) == len(modality.ids) - 1


def test_a_copy_of_what_was_trained_on_is_said(on_disk):
    """Under another name; sentences, and samples that all parts share, are no copies."""
    a = on_disk.dataset.modalities["a"]
    digests, (tested, other, *_), learned = a.digests.copy(), on_disk.parts.test["a"], on_disk.parts.train["a"][0]
    digests[[tested, other]] = digests[learned]
    data = on_disk.dataset._replace(modalities=on_disk.dataset.modalities | {"a": a._replace(digests=digests)})
    run = on_disk._replace(dataset=data)
    said = (
        f"2 of {len(run.parts.test['a'])} test samples of {a.name} hold the same as one of the training part, "
        f"such as {a.ids[tested]} and {a.ids[learned]}; keep one of them"
    )
    assert said in runs.evaluate(run)["warnings"] and said not in runs.evaluate(on_disk).get("warnings", ())
    assert not any(a.name in line for line in runs.evaluate(run, queries="train").get("warnings", ()))
    text = data._replace(modalities=data.modalities | {"a": data.modalities["a"]._replace(kind="text")})
    assert said not in runs.copies_in_words(run._replace(dataset=text), "test")
