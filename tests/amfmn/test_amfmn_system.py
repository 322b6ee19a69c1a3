"""AMFMN through every shared function: training, resuming, evaluation, search."""

import json
import re
import warnings
from itertools import permutations

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from test_amfmn_settings import TINY

from cmir_ref import runs, search
from cmir_ref.amfmn import match, system
from cmir_ref.amfmn.bounds import beside, ceiling, own_pairs, recalls, same_texts
from cmir_ref.amfmn.caption_margins import caption_margins
from cmir_ref.amfmn.caption_prior import caption_prior
from cmir_ref.amfmn.eq29_margin import dynamic_margin
from cmir_ref.amfmn.label_objective import label_objective
from cmir_ref.amfmn.match import architecture, draw_captions, rounded_distances, vocabulary
from cmir_ref.amfmn.networks import image_network
from cmir_ref.amfmn.system import gaze_maps, trained_networks
from cmir_ref.config import load_config
from cmir_ref.data import load_data, read_query, split_data
from cmir_ref.data.vocabulary import make_lexicon, number_texts, words_read
from cmir_ref.errors import InputError
from cmir_ref.ranking import examples, items_of
from cmir_ref.records import Items
from cmir_ref.reports.gallery import examples_page
from cmir_ref.reports.terminal import show_evaluation
from cmir_ref.retrieval import recall_at_k
from cmir_ref.systems import SYSTEMS
from cmir_ref.training.inputs import Source
from cmir_ref.training.transfer import Sent

AMFMN = SYSTEMS["amfmn"]


@pytest.fixture(scope="module")
def config():
    return load_config("image-text", [*TINY, "text=both", "match.epochs=3", "pretrain=true"])


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return runs.train(config, worlds.captioned(), tmp_path_factory.mktemp("amfmn") / "run")


def test_it_is_read_back_and_goes_on_bit_for_bit(config, run, tmp_path):
    loaded = runs.load_run(run.path)
    assert json.dumps(runs.evaluate(loaded)) == json.dumps(runs.evaluate(run))
    assert loaded.dataset.modalities["b"].texts == run.dataset.modalities["b"].texts
    for stage in ("labels", "match"):
        with pytest.raises(worlds.Stop):
            runs.train(config, worlds.captioned(), tmp_path / stage, watch=worlds.Interrupt(stage, 1))
        again = runs.train(config, worlds.captioned(), tmp_path / stage, resume=True)
        assert all(np.array_equal(again.tensors[name], value) for name, value in run.tensors.items())


def test_the_trunk_goes_on_where_the_labels_left_it(config, run):
    before = {n: x for n, x in run.tensors.items() if n.startswith("labels/params/trunk.")}
    data = worlds.captioned()
    match = AMFMN.stages(config, {"a": "image", "b": "text"})[1]
    params, buffers = match.inherit(*match.init(config, data), run.tensors)
    assert before and all(np.array_equal(params[n.removeprefix("labels/params/")], x) for n, x in before.items())
    assert all(
        np.array_equal(buffers[n.removeprefix("labels/buffers/")], x)
        for n, x in run.tensors.items()
        if "labels/buf" in n
    )


def test_the_trunk_learns_labels_or_classes():
    """Of images with several labels each, which class they are of; a class of nearly every image is refused."""
    from cmir_ref.amfmn.system import targets_of_labels

    images = worlds.captioned().modalities["a"]
    several = images._replace(labels=np.eye(5, dtype=np.uint8)[images.labels] | np.eye(5, dtype=np.uint8)[4])
    classes = load_config("image-text", [*TINY, "pretrain=true", "labels.target=classes"])
    labels, count = targets_of_labels(load_config("image-text", TINY), several, 5)
    assert labels is several.labels and count == 5
    numbers, count = targets_of_labels(classes, several, 5)
    assert count == 3 and (np.asarray(images.groups)[numbers == numbers[0]] == images.groups[0]).all()
    for groups in (np.arange(len(images.x)).astype(str), np.full(len(images.x), "one")):
        with pytest.raises(InputError, match=r"36 images are of \d+ classes .*; set labels.target=labels"):
            targets_of_labels(classes, images._replace(groups=groups), 5)


def test_what_is_stored_is_what_encode_gives_of_one_sample_alone(run):
    data = worlds.captioned()
    for m in "ab":
        one = AMFMN.encode(run, m, data.modalities[m].x[7:8])
        for name, x in one.items():
            np.testing.assert_allclose(x[0], run.encoded[m][name][7], rtol=1e-4, atol=1e-5)


def test_views_are_averaged_where_the_epoch_is_chosen():
    """… as they are in what is stored and in what a query becomes: which way is up does not matter."""
    config = load_config(
        "image-text", [*TINY, "average_views=true", "match.augment=false", "match.light=0", "match.lr=0.01"]
    )
    run = runs.train(config, worlds.captioned())
    best = next(line for line in reversed(run.history) if line["best"])
    found = runs.evaluate(run, "validation", queries="validation")["mr"]
    assert best["validation"]["score"] == pytest.approx(found, abs=1e-9)
    image = worlds.captioned().modalities["a"].x[3:4]
    as_it_is, turned = (AMFMN.encode(run, "a", x)["v"] for x in (image, np.rot90(image, axes=(1, 2))))
    np.testing.assert_allclose(as_it_is, turned, rtol=1e-4, atol=1e-6)


def test_equal_texts_tie_and_both_directions_compare_the_same(run):
    a, b = items_of(run, "a", "all"), items_of(run, "b", "all")
    d = AMFMN.distances(run, a, b)(slice(None))
    texts = run.dataset.modalities["b"].texts
    twins = [i for i, text in enumerate(texts) if text == texts[0]]
    assert len(twins) > 1 and all(np.array_equal(d[:, i], d[:, 0]) for i in twins)
    blocks = [AMFMN.distances(run, b, a)(slice(i, i + 5)) for i in range(0, len(texts), 5)]
    np.testing.assert_array_equal(np.concatenate(blocks), d.T)


@pytest.mark.parametrize(("text", "alike"), [("sentence", [0, 1, 2]), ("keywords", [0, 1, 3]), ("both", [0, 1])])
def test_texts_that_read_the_same_tie_and_are_one_text_beside(text, alike, monkeypatch):
    """Points and capitals are not read, nor what stands on the other side of the bar."""
    texts = ["a wide river | blue river", "A wide river. | blue, river", "a wide river | old bridge", "a | blue river"]
    data = worlds.captioned(n=24)
    b = data.modalities["b"]
    texts = (*texts, *b.texts[4:])
    b = b._replace(texts=texts, x=number_texts(texts, make_lexicon(texts)))
    data = data._replace(modalities=data.modalities | {"b": b})
    config = load_config("image-text", [*TINY, f"text={text}"])
    parts = split_data(config, data)._replace(
        train={"a": np.arange(24), "b": np.arange(48)}, test={"a": np.arange(24), "b": np.arange(48)}
    )
    margins = caption_margins(config, data, parts)
    assert [j for j in range(4) if margins.of_caption[j] == margins.of_caption[0]] == alike
    run = runs.train(config, data)
    read, network = [], match.text_network
    monkeypatch.setattr(match, "text_network", lambda p, w, *k, **to: (read.append(len(w)), network(p, w, *k, **to))[1])
    numbers = match.read_texts(b.x, run.tensors["vocabulary"])
    match.text_vectors(architecture(config), trained_networks(run)[0], numbers, np.arange(48), np)
    sides = {"sentence": (numbers.words,), "keywords": (numbers.keywords,), "both": numbers[:2]}[text]
    distinct = {tuple(side[j].tobytes() for side in sides) for j in range(48)}
    assert sum(read) == len(distinct) < 48, "each is read once: rounding would part them"
    name = "k" if text == "keywords" else "s"
    vectors = run.encoded["b"][name]
    assert [j for j in range(4) if np.array_equal(vectors[j], vectors[0])] == ([0, 1, 2] if name == "s" else alike)
    distances = AMFMN.distances(run, items_of(run, "a", "all"), items_of(run, "b", "all"), np)(slice(None))
    assert [j for j in range(4) if np.array_equal(distances[:, j], distances[:, 0])] == alike
    ceiling_of = AMFMN.facts(run._replace(parts=parts), "test")["beside"]["ceiling"]
    number = np.unique([words_read(t, text) for t in texts], return_inverse=True)[1]
    assert ceiling_of == ceiling(data.pairing[:, 0], number, 24)


def test_words_of_the_part_that_is_not_read_are_not_learned():
    data = worlds.captioned()
    parts = split_data(load_config("image-text", TINY), data)
    texts = data.modalities["b"].texts
    lexicon = make_lexicon(texts)
    for text, learned in (("sentence", False), ("keywords", True), ("both", True)):
        table = vocabulary(load_config("image-text", [*TINY, f"text={text}"]), data, parts)
        assert (table[lexicon["many"]] != table[-1]) == (learned or "near many" in " ".join(texts))
    only = tuple(t.replace("near many", "near") for t in texts)
    b = data.modalities["b"]._replace(texts=only, x=number_texts(only, make_lexicon(only)))
    data, lexicon = data._replace(modalities=data.modalities | {"b": b}), make_lexicon(only)
    for text, learned in (("sentence", False), ("keywords", True), ("both", True)):
        table = vocabulary(load_config("image-text", [*TINY, f"text={text}"]), data, parts)
        assert (table[lexicon["many"]] != table[-1]) == learned, text


@pytest.mark.parametrize("text", ["keywords", "both"])
def test_keywords_that_nobody_has_given_are_refused_before_training(text):
    data = worlds.captioned()
    b = data.modalities["b"]
    texts = tuple(t.split(" | ")[0] for t in b.texts)
    bare = b._replace(texts=texts, x=number_texts(texts, make_lexicon(texts)))
    data = data._replace(modalities=data.modalities | {"b": bare})
    with pytest.raises(InputError, match=f"text {text}: the captions have no keywords; set keywords=labels or filt"):
        runs.train(load_config("image-text", [*TINY, f"text={text}"]), data)
    runs.share_out(load_config("image-text", TINY), data)  # sentences need none


@pytest.mark.parametrize("change", [("min_count=1000",), ("text=keywords", "min_count=100"), ("stop_words=unknown",)])
def test_texts_of_which_no_word_is_learned_are_refused_before_training(change):
    """All of them would read alike."""
    data, count = worlds.captioned(), dict(c.split("=") for c in change).get("min_count", "1")
    if count == "1":
        only = ("this was here",) * len(data.modalities["b"].ids)
        b = data.modalities["b"]._replace(texts=only, x=number_texts(only, make_lexicon(only)))
        data = data._replace(modalities=data.modalities | {"b": b})
    with pytest.raises(InputError, match=f"^min_count {count}, stop_words .*: no word is learned"):
        runs.train(load_config("image-text", [*TINY, *change]), data)


def test_a_space_of_texts_that_is_one_point_is_called_by_its_modality(run):
    dead = {"b": {name: np.ones_like(x) for name, x in run.encoded["b"].items()}}
    facts = AMFMN.facts(run._replace(encoded=run.encoded | dead), None)
    assert facts["state"] == "half collapsed" and facts["one_point"] == ["b"]
    show_evaluation(runs.evaluate(run) | facts)


def test_what_stands_beside_is_of_the_gallery_that_is_searched(run):
    of = {part: runs.evaluate(run, part, queries=part) for part in ("validation", "test", "all")}
    for part, result in of.items():
        images, captions = (len(items_of(run, m, part)) for m in "ab")
        assert result["beside"]["chance"]["a->b r@1"] == pytest.approx(2 / captions)
        assert result["beside"]["chance"]["b->a r@1"] == pytest.approx(1 / images)
        assert result["duplicate_aware"]["mr"] >= result["mr"] - 1e-9
    assert of["test"] == runs.evaluate(run)
    assert not {"beside", "duplicate_aware", "map_over_classes"} & runs.evaluate(run, "all").keys()


def test_a_gallery_in_which_no_query_has_its_partner_has_a_report(tmp_path):
    """Test queries among training images: no recall, and so no table of recalls."""
    run = runs.train(load_config("image-text", [*TINY, "gallery=train"]), worlds.captioned(), tmp_path / "run")
    result = runs.evaluate(run)
    assert "mr" not in result and "Recalls of this very gallery" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("block", [1, 4, 64])
def test_the_score_of_the_labels_is_a_mean_over_images_whatever_the_blocks(block, monkeypatch):
    """… in inference mode: the loss of the whole validation part."""
    data, config = worlds.captioned(), load_config("image-text", [*TINY, "pretrain=true", "validation_share=0.3"])
    parts = split_data(config, data)
    made, (params, buffers) = system.fit_images(config, data, parts, {}), system.init_labels(config, data)
    task, rows = system.labels_task(config, data, parts, made, np), parts.validation["a"]
    x = system.image_source(config, data.modalities["a"], made).read(rows)
    y, arch = data.modalities["a"].labels[rows], match.trunk_of(config)
    loss = label_objective(params, x, y, arch=arch, kind="softmax", mode="inference", buffers=buffers)[0]
    monkeypatch.setattr(system, "BLOCK", block)
    assert len(rows) % 4 and task.validate(params, buffers)["score"] == pytest.approx(-float(loss), rel=1e-5)


@pytest.mark.parametrize("augment", [True, False])
def test_images_are_turned_for_the_labels_where_they_are_to_be(augment):
    data = worlds.captioned(n=18)
    changes = ("pretrain=true", f"match.augment={str(augment).lower()}", "match.light=0")
    config = load_config("image-text", [*TINY, *changes])
    parts = split_data(config, data)
    made = system.fit_images(config, data, parts, {})
    given = {x.tobytes() for x in system.image_source(config, data.modalities["a"], made).read(parts.train["a"])}
    (seen, _), *_ = system.labels_task(config, data, parts, made, np).batches(0)
    assert all(x.tobytes() in given for x in seen) != augment


def test_average_precision_over_classes_is_over_the_groups_of_images(run, monkeypatch):
    """Who knows an image's class alone is right there, whatever labels images of two classes share."""
    rows = run.parts.test
    owner = match.partners(np.asarray(run.dataset.pairing), rows["b"])
    classes = system.class_numbers(run, np.concatenate([rows["a"], owner]))
    d = (classes[: len(rows["a"]), None] != classes[len(rows["a"]) :]).astype(float)
    monkeypatch.setattr(system, "score_distances", lambda *_: lambda rows: d)
    assert system.stands_beside(run, "test")["map_over_classes"] == {"a->b": 1.0, "b->a": 1.0}


def test_a_caption_that_an_image_has_twice_counts_twice(run):
    """In the mean over its captions (released `calc_sim`): with one of three twice, that one has half of the weight."""
    data = worlds.captioned()
    texts, pairing = list(data.modalities["b"].texts), np.asarray(data.pairing)
    config = load_config("image-text", TINY)
    parts = split_data(config, data)
    image = parts.train["a"][0]
    mine = pairing[pairing[:, 0] == image, 1]
    margins = []
    for copied in (None, texts[mine[0]]):
        said = [copied if copied and j == mine[1] else text for j, text in enumerate(texts)]
        changed = data._replace(modalities=data.modalities | {"b": data.modalities["b"]._replace(texts=tuple(said))})
        margins.append(caption_margins(config, changed, parts))
    twice = margins[1]
    assert np.count_nonzero(twice.own[twice.of_image[image]] == twice.of_caption[mine[0]]) == 2


def test_the_released_order_puts_the_last_of_equals_first(run):
    released = run._replace(config=run.config.model_copy(update={"ties": "released"}))
    a, b = items_of(run, "a", "all"), items_of(run, "b", "all")
    d, before = (AMFMN.distances(r, a, b)(slice(None)) for r in (released, run))
    texts = run.dataset.modalities["b"].texts
    twins = [i for i, text in enumerate(texts) if text == texts[0]]
    assert (np.diff(d[:, twins], axis=1) < 0).all() and np.abs(d - before).max() < 1e-9
    copies = {n: np.repeat(x[:1], 3000, axis=0) for n, x in b.encoded["b"].items()}
    many = Items({"b": np.zeros(3000, int)}, {"b": copies})
    last = AMFMN.distances(released, a, many, np)(slice(None))
    assert (np.diff(last, axis=1) < 0).all() and np.abs(last - d[:, :1]).max() < 1e-9, "however many there are"


def test_what_stands_beside_is_in_the_released_order_both_ways(run):
    """Of a space that is one point all ties are between images, too: what is evaluated takes the last of them first."""
    dead = {m: {name: np.ones_like(x) for name, x in encoded.items()} for m, encoded in run.encoded.items()}
    released = run._replace(encoded=dead, config=run.config.model_copy(update={"ties": "released"}))
    a, b, found = items_of(released, "a", "test"), items_of(released, "b", "test"), AMFMN.facts(released, "test")
    texts = [words_read(run.dataset.modalities["b"].texts[j], "both") for j in b.rows["b"]]
    of_image = dict(run.dataset.pairing[:, ::-1].tolist())
    last = {texts[k] for k, j in enumerate(b.rows["b"]) if of_image[j] == a.rows["a"][-1]}
    assert found["duplicate_aware"]["b->a r@1"] == pytest.approx(np.mean([text in last for text in texts]))
    expected = AMFMN.facts(run._replace(encoded=dead), "test")
    assert found["map_over_classes"]["b->a"] != pytest.approx(expected["map_over_classes"]["b->a"])


def test_each_direction_beside_is_of_its_own_distances(run, monkeypatch):
    """In the released order the one is not the other turned round: here captions find all, and images nothing."""
    rows = run.parts.test
    own = rows["a"] == match.partners(np.asarray(run.dataset.pairing), rows["b"])[:, None]
    of = {"a": 0.0 * own.T, "b": 1.0 - own}
    monkeypatch.setattr(system, "score_distances", lambda run, query, _: lambda rows: of["".join(query.rows)])
    released = run._replace(config=run.config.model_copy(update={"ties": "released"}))
    found, turned = (system.stands_beside(r, "test")["duplicate_aware"] for r in (released, run))
    assert found["b->a r@1"] == 1 > turned["b->a r@1"] and found["a->b r@1"] == turned["a->b r@1"] < 1


def test_images_are_not_compared_with_images(run):
    with pytest.raises(InputError, match="AMFMN compares images"):
        AMFMN.distances(run, items_of(run, "a", "test"), items_of(run, "a", "test"))


def test_a_sentence_keywords_or_both_find_images(run):
    for query in ("a red house", search.text_query(run, None, "red house, many trees"), "a house | red house"):
        assert search.guess_modality(run, query) == "b"
        hits = search.retrieve(run, query, "a", 3)
        assert [hit.rank for hit in hits] == [1, 2, 3] and {hit.modality for hit in hits} == {"a"}
    for name in ("my pictures/river 1.png", "river 1.TIFF"):
        with pytest.raises(InputError, match=f"{name}: no such file"):
            search.retrieve(run, name, "b", 3)
    with pytest.raises(InputError, match="looks like sound"):
        search.retrieve(run, "my words/river 1.wav", "a", 3)


def test_a_sentence_and_keywords_are_one_text(run):
    both = search.text_query(run, "a red house", "many  trees,, green river ")
    assert both == "a red house | many trees | green river"
    assert search.text_query(run, "a red house", None) == "a red house"
    assert search.text_query(run, None, "many trees") == "| many trees"
    for nothing in ((None, None), ("", " , ")):
        with pytest.raises(InputError, match=r"^no query: give a file or a sentence, or --keywords"):
            search.text_query(run, *nothing)


@pytest.mark.parametrize("text, unread", [("sentence", "keywords"), ("keywords", "sentence"), ("both", "")])
def test_what_a_run_does_not_read_of_a_query_is_said(run, text, unread):
    run = run._replace(config=run.config.model_copy(update={"text": text}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for one in (("a red house", None), ("a red house", " , "), (None, "many trees"), ("a red house", "many trees")):
            assert not caught
            search.text_query(run, *one)
    said = [(w.category, str(w.message).startswith(f"the {unread} count")) for w in caught]
    assert said == [(search.NotRead, True)] * bool(unread)


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        (" | red house | many trees", "red house many trees | red house | many trees"),
        ("one red house near many trees", "one red house near many trees | red house | near | many trees"),
        ("the red house|", "the red house | red house"),
    ],
)
def test_keywords_alone_are_the_sentence_and_a_sentence_gives_its_keywords(run, short, whole):
    texts = worlds.captioned().modalities["b"]
    np.testing.assert_array_equal(read_query(texts, short)[0], read_query(texts, whole)[0])
    assert search.retrieve(run, short, "a", 5) == search.retrieve(run, whole, "a", 5)


@pytest.mark.parametrize("text", ["sentence", "keywords", "both"])
def test_keywords_alone_search_every_kind_of_run(text):
    run = runs.train(load_config("image-text", [*TINY, f"text={text}"]), worlds.captioned())
    for query in ("red house", " | red house"):
        assert len(search.retrieve(run, query, "a", 4, modality="b")) == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [("", "no words"), (" . , !", "no words"), ("xylophone zebra", "none of its words"), ("house " * 300, "300 words")],
)
def test_a_query_that_says_nothing_is_one_line(run, query, says):
    with pytest.raises(InputError, match=says) as error:
        search.retrieve(run, query, "a", modality="b")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "query"),
    [("sentence", "xylophone | red house"), ("keywords", "one house | xylophone"), ("both", "rare")],
)
def test_a_query_without_a_learned_word_in_what_is_read_is_one_line(text, query):
    """Neither what stands on the other side of the bar nor a word that was too rare to learn says anything."""
    data = worlds.captioned(n=18)
    texts = (data.modalities["b"].texts[0].replace("red", "rare red"), *data.modalities["b"].texts[1:])
    b = data.modalities["b"]._replace(texts=texts, x=number_texts(texts, make_lexicon(texts)))
    data = data._replace(modalities=data.modalities | {"b": b})
    run = runs.train(load_config("image-text", [*TINY, f"text={text}", "min_count=2"]), data)
    with pytest.raises(InputError, match=r"^the query has no word that this run has learned; use words of its capt"):
        search.retrieve(run, query, "a", modality="b")


def test_a_file_is_no_sentence(run, tmp_path, monkeypatch):
    """Its name would be read as one: that of its folder is a label."""
    (tmp_path / "class0").mkdir()
    file = tmp_path / "class0" / "house.png"
    Image.fromarray(worlds.captioned().modalities["a"].x[0]).save(file)
    monkeypatch.chdir(file.parent)
    for ask in (
        lambda: search.evaluate_folder(run, tmp_path, modality="b"),
        lambda: search.retrieve(run, str(file), "a", modality="b"),
        lambda: search.retrieve(run, "house.png", "a", modality="b"),
    ):
        with pytest.raises(InputError, match=r"house\.png: is a file, and caption is text; give a sent"):
            ask()
    assert search.evaluate_folder(run, tmp_path)["directions"]["a->b"]["queries"] == 1
    assert search.retrieve(run, "one house. red house" + 40 * " and trees", "a", modality="b")


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [4, 0, 5, 2, 1, 3]])
def test_every_image_is_drawn_with_one_of_its_captions(order):
    pairing = np.array([[0, 0], [0, 3], [2, 1], [2, 2], [2, 4], [5, 5]])[order]
    drawn = [draw_captions(pairing, np.array([0, 2, 5]), np.random.default_rng(seed)) for seed in range(40)]
    assert {tuple(row) for pairs in drawn for row in pairs.tolist()} == {tuple(row) for row in pairing.tolist()}


def begun(stage, *changes):
    """(task, params, buffers, module) of a stage before anything is trained."""
    data, config = worlds.captioned(n=18), load_config("image-text", [*TINY, "pretrain=true", *changes])
    stages = {one.name: one for one in AMFMN.stages(config, {})}
    parts, made = split_data(config, data), {}
    for one in stages.values():
        made |= one.fit(config, data, parts, made)
    one = stages[stage]
    return one.task(config, data, parts, made, np), *one.init(config, data), {"labels": system, "match": match}[stage]


@pytest.mark.parametrize("stage", ["labels", "match"])
def test_whatever_an_epoch_draws_is_drawn_for_this_epoch(stage, monkeypatch):
    task, _, _, module = begun(stage)
    asked, generator = [], module.generator
    monkeypatch.setattr(module, "generator", lambda *purpose: (asked.append(purpose), generator(*purpose))[1])
    list(task.batches(3))
    assert {purpose[2:] for purpose in asked} == {(3,)} and len(set(asked)) == len(asked) > 1


@pytest.mark.parametrize("stage", ["labels", "match"])
def test_a_stage_learns_from_the_training_part_alone(stage, monkeypatch):
    task, *_ = begun(stage)
    read, asked = Source.read, []
    monkeypatch.setattr(Source, "read", lambda self, index, view: asked.append(index.host) or read(self, index, view))
    for epoch in range(6):  # each leaves out an incomplete batch
        list(task.batches(epoch))
    train = split_data(load_config("image-text", TINY), worlds.captioned(n=18)).train["a"]
    assert set(np.concatenate(asked)) == set(train)


@pytest.mark.parametrize("stage", ["labels", "match"])
def test_a_step_gives_all_gradients_and_all_running_statistics(stage):
    task, params, buffers, _ = begun(stage)
    _, grads, statistics = task.gradients(params, buffers, next(iter(task.batches(0))), 0, 0)
    assert buffers and statistics.keys() == buffers.keys() and grads.keys() == params.keys()


def test_each_mask_of_dropout_has_its_own_rate():
    arch = architecture(load_config("image-text", [*TINY, "image_dropout=0.4", "word_dropout=0.3"]))
    assert match.mask_shapes(arch, 3, 7) == {"image": ((3, 6), 0.4), "words": ((3, 7, 5), 0.3)}
    assert match.mask_shapes(arch._replace(image_dropout=0.0), 3, 7).keys() == {"words"}


def test_what_is_fitted_is_fitted_to_the_training_part():
    """The normaliser of the images, and the vocabulary, unless it is to be of all texts."""
    data, config = worlds.captioned(n=18), load_config("image-text", TINY)
    parts, (a, b) = split_data(config, data), data.modalities.values()
    x = np.full_like(a.x, 255)
    x[parts.train["a"]] = a.x[parts.train["a"]]
    texts = tuple(text if j in parts.train["b"] else f"unheard {text}" for j, text in enumerate(b.texts))
    other = {"a": a._replace(x=x), "b": b._replace(texts=texts, x=number_texts(texts, make_lexicon(texts)))}
    one, two = (system.fit_all(config, d, parts, {}) for d in (data, data._replace(modalities=other)))
    for name in ("input.a/mean", "input.a/std"):
        np.testing.assert_array_equal(one[name], two[name])
    assert one["vocabulary"].max() == two["vocabulary"].max()


def test_an_epoch_is_scored_with_the_ties_of_an_evaluation(monkeypatch):
    """Scores that differ by the rounding of a product alone are tied."""
    task, params, buffers, _ = begun("match")
    rounding = lambda _, v, s, k, **__: (1e-11 * np.random.default_rng(0).random((len(v), len(s))), None)  # noqa: E731
    found = {}
    for name, scores in (("rounding", rounding), ("tied", lambda *a, **k: (0 * rounding(*a)[0], None))):
        monkeypatch.setattr(match, "similarity", scores)
        found[name] = task.validate(params, buffers)["score"]
    assert found["rounding"] == found["tied"] > 0


def margins_of(config, data, parts, pairs):
    """Margins and negatives of these pairs of sample numbers, on the host."""
    margins = caption_margins(config, data, parts)
    return margins.of(*(Sent(place, place) for place in margins.places(pairs).T))


@pytest.mark.parametrize("uneven", [False, True])
def test_margins_and_negatives_of_a_batch_are_those_of_its_pairs(uneven):
    """Whether all images have as many captions, or every other image has but one."""
    data = worlds.captioned()
    config = load_config("image-text", [*TINY, "margin.kind=fixed", "margin.gamma=0.3"])
    parts = split_data(config, data)
    if uneven:
        data = data._replace(pairing=np.array([(k, j) for k, j in data.pairing if k % 2 == 0 or j % 2 == 0]))
        parts = parts._replace(train=parts.train | {"b": np.intersect1d(parts.train["b"], data.pairing[:, 1])})
    rows = parts.train["a"][:6]
    pairs = draw_captions(np.asarray(data.pairing), rows, np.random.default_rng(0))
    margin, negative = margins_of(config, data, parts, pairs)
    texts = data.modalities["b"].texts
    own = {i: {texts[j] for k, j in data.pairing if k == i} for i in rows}
    expected = [[i != k and texts[j] not in own[i] for k, j in pairs] for i, _ in pairs]
    assert negative.tolist() == expected and set(margin.ravel().tolist()) == {np.float32(0.3)}
    kept = config.model_copy(update={"own_captions": "kept"})
    assert (margins_of(kept, data, parts, pairs)[1] == ~np.eye(6, dtype=bool)).all()


def test_the_margin_of_every_image_with_every_text_is_by_its_own_captions_alone():
    """One image at a time: eq. 29 of the prior of each text of the training part, with the captions of that image."""
    data = worlds.captioned(n=18)
    config = load_config("image-text", TINY)
    parts, texts = split_data(config, data), [words_read(t, "sentence") for t in data.modalities["b"].texts]
    margins, said = caption_margins(config, data, parts), sorted({texts[j] for j in parts.train["b"]})
    assert margins.alpha.shape == (len(parts.train["a"]), len(said))
    for i in parts.train["a"]:
        own = [said.index(texts[j]) for k, j in data.pairing if k == i]
        expected = dynamic_margin(caption_prior(said, [own])[0], config.margin.gamma, config.margin.beta)
        for j in parts.train["b"]:
            margin = margins.alpha[margins.of_image[i], margins.of_caption[j]]
            assert margin == pytest.approx(expected[said.index(texts[j])], abs=1e-6)


def test_stop_words_before_or_after_stemming_give_other_margins():
    data = worlds.captioned()
    found = []
    for when in ("before", "after"):
        config = load_config("image-text", [*TINY, f"margin.stop_words={when}"])
        parts = split_data(config, data)
        pairs = draw_captions(np.asarray(data.pairing), parts.train["a"][:8], np.random.default_rng(0))
        found.append(margins_of(config, data, parts, pairs)[0])
    assert found[0].shape == found[1].shape == (8, 8) and np.abs(found[0] - found[1]).max() > 1e-3


OWNER, TEXT = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 3, 3])


def test_galleries_mark_an_images_own_captions_and_no_others_of_its_class(run):
    own = {(run.dataset.modalities["a"].ids[i], run.dataset.modalities["b"].ids[j]) for i, j in run.dataset.pairing}
    found = {d: examples(run, d, count=9, k=99) for d in ("a->b", "b->a")}
    for e in found["a->b"]:
        assert list(e.right) == [(e.query.id, h.id) in own for h in e.hits] and sum(e.right) == 2
    for e in found["b->a"]:
        assert list(e.right) == [(h.id, e.query.id) in own for h in e.hits] and sum(e.right) == 1
    sharing = [any(label in e.query.labels for label in h.labels) for e in found["a->b"] for h in e.hits]
    assert sum(sharing) > sum(sum(e.right) for e in found["a->b"]), "some captions are of another image of its class"
    page = examples_page(run, {"a->b": found["a->b"]}, "test")
    assert page.count("card right") == sum(sum(e.right) for e in found["a->b"])


def test_bounds_worked_by_hand():
    """Text 0 has two copies, at images 0 and 1; image 2 has text 3 twice."""
    found = beside(OWNER, TEXT, np.array([0, 0, 1]))
    assert found["chance"]["a->b r@1"] == pytest.approx(1 / 3) and found["chance"]["b->a r@1"] == pytest.approx(1 / 3)
    assert found["class"]["a->b r@1"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert found["perfect"]["a->b r@1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)  # three tied texts, two of them own
    assert found["ceiling"]["a->b r@1"] == 1.0  # texts 1, 2 and 3 are nobody else's
    assert found["ceiling"]["b->a r@1"] == pytest.approx(5 / 6)  # one of the copies of text 0 misses its image
    same = same_texts(OWNER, TEXT, 3)
    assert same[0].tolist() == [True, True, True, False, False, False]
    assert recalls(1.0 - same, same)["mr"] == 1


def test_the_class_oracle_knows_equal_texts_of_two_classes_apart():
    """No function of (image, text) does: so it can be above the ceiling."""
    found = beside(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
    assert (found["class"]["b->a r@1"], found["ceiling"]["b->a r@1"]) == (1.0, 0.5)


def test_no_scores_go_beyond_the_ceiling():
    rng = np.random.default_rng(0)
    owner, text = np.repeat(np.arange(12), 2), rng.integers(0, 9, 24)
    most = ceiling(owner, text, 12)
    for seed in range(30):
        by_text = np.random.default_rng(seed).random((12, 9)) + 2 * same_texts(owner, text, 12)[:, [0]] * (seed % 2)
        found = recalls(-by_text[:, text], own_pairs(owner, 12))
        assert all(found[name] <= most[name] + 1e-12 for name in most)


@given(
    counts=arrays(int, st.tuples(st.integers(1, 3), st.integers(1, 4)), elements=st.integers(0, 3)).filter(np.any),
    k=st.sampled_from([1, 5, 10]),
)
def test_the_ceiling_is_the_most_of_all_orders(counts, k):
    """Every order of the texts for an image, and of the images for a text, is tried; a text's copies are tied."""
    images, texts = counts.shape
    owner, text = (np.repeat(place, counts.ravel()) for place in np.indices(counts.shape).reshape(2, -1))
    own = own_pairs(owner, images)
    ranks = np.array(list(permutations(range(texts))), float)
    of_images = [recall_at_k(ranks[:, text], own[[i] * len(ranks)], k).max() for i in range(images) if own[i].any()]
    assert ceiling(owner, text, images)[f"a->b r@{k}"] == pytest.approx(np.mean(of_images))
    ranks, found = np.array(list(permutations(range(images))), float), 0
    for t in np.unique(text):
        copies = own.T[text == t]
        found += max(sum(recall_at_k(rank[None], one[None], k)[0] for one in copies) for rank in ranks)
    assert ceiling(owner, text, images)[f"b->a r@{k}"] == pytest.approx(found / len(text))


def test_an_image_without_captions_is_not_averaged():
    found = recalls(np.zeros((3, 4)), own_pairs(np.array([0, 0, 1, 1]), 3))
    assert found["a->b r@1"] == pytest.approx(0.5) and found["b->a r@1"] == pytest.approx(1 / 3)


def test_what_differs_by_the_rounding_of_a_product_is_tied():
    scores = np.array([[0.3, 0.3 + 4e-10, 0.3 + 3e-9]])
    assert np.diff(rounded_distances(scores))[0, 0] == 0 > np.diff(rounded_distances(scores))[0, 1]


def test_networks_that_are_no_longer_finite_are_the_worst():
    """An epoch that cannot be scored is never the best."""
    data, config = worlds.captioned(n=18), load_config("image-text", TINY)
    made = AMFMN.stages(config, {})[0].fit(config, data, split_data(config, data), {})
    task = system.task_of_match(config, data, split_data(config, data), made, np)
    params, buffers = system.start_match(config, data)
    assert 0 < task.validate(params, buffers)["score"] <= 1
    with np.errstate(invalid="ignore"):
        assert task.validate(params | {"image.w": params["image.w"] * np.nan}, buffers)["score"] == 0


def test_scores_that_are_not_finite_are_refused():
    d = np.zeros((3, 6))
    d[1, 2] = np.nan
    with pytest.raises(InputError, match="not all of them are finite"):
        recalls(d, own_pairs(OWNER, 3))


def test_what_this_gallery_allows_stands_beside_the_recalls(run, capsys):
    """In the terminal and in the report: chance, class oracle, perfect and ceiling, in percent."""
    result = runs.evaluate(run)
    show_evaluation(result)
    shown, page = capsys.readouterr().out, (run.path / "report.html").read_text(encoding="utf-8")
    rows = {"this run": result["mr"], "chance: all": result["beside"]["chance"]["mr"]}
    rows |= {"class oracle": result["beside"]["class"]["mr"], "perfect: word": result["beside"]["perfect"]["mr"]}
    rows |= {"ceiling of": result["beside"]["ceiling"]["mr"], "word for word alike": result["duplicate_aware"]["mr"]}
    for words, mr in rows.items():
        line = next(line for line in shown.splitlines() if words in line)
        assert line.split()[-1] == f"{100 * mr:.1f}" and words in page
    assert result["beside"]["chance"]["mr"] < result["beside"]["class"]["mr"] < result["beside"]["ceiling"]["mr"]
    assert "own counterparts" in page and "at least one shared label" not in page
    assert "<h2>Recalls</h2>" in page and "<!-- recall at 10 -->" in page and "<!-- average precision -->" not in page
    classes = result["directions"]["b->a"]["per_class"]
    assert all(0 <= figures["r@1"] <= figures["r@10"] <= 1 for figures in classes.values())

    header = next(line for line in shown.splitlines() if "mR" in line and "R@10" in line)
    columns = [f"{d} {name}" for d in ("a->b", "b->a") for name in ("r@1", "r@5", "r@10")]
    assert re.findall(r"[ab]->[ab] R@\d+", header) == [name.replace("r@", "R@") for name in columns]
    for words, figures in {
        "class oracle": result["beside"]["class"],
        "ceiling of": result["beside"]["ceiling"],
    }.items():
        line = next(line for line in shown.splitlines() if words in line)
        assert line.split()[-7:-1] == [f"{100 * figures[name]:.1f}" for name in columns]
        row = page[page.index(words) :].split("</tr>")[0]
        assert re.findall(r"<td>([\d.]+)</td>", row)[:-1] == [f"{100 * figures[name]:.1f}" for name in columns]


CHANGED = {  # what the captions of the second run say
    "another word": lambda texts: tuple(text.replace("house", "hut") for text in texts),
    "a word less": lambda texts: tuple(text.replace("very ", "") for text in texts),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_run_does_not_begin_with_the_words_of_another(config, run, change):
    """As many words or not: the vector of a word would be read as that of another."""
    data = worlds.captioned()
    texts = data.modalities["b"]
    said = CHANGED[change](texts.texts)
    x = number_texts(said, make_lexicon(said))
    data.modalities["b"] = texts._replace(texts=said, x=x)
    again = config.model_copy(update={"start_from": str(run.path)})
    with pytest.raises(InputError, match="that run learned other words") as error:
        runs.train(again, data)
    assert "\n" not in str(error.value) and str(run.path) in str(error.value)


@pytest.mark.parametrize("count", [70, 90])
def test_a_run_does_not_begin_with_other_learned_words(config, run, count):
    again = load_config(
        "image-text", [*TINY, "text=both", "pretrain=true", f"start_from={run.path}", f"min_count={count}"]
    )
    with pytest.raises(InputError, match=r"\(\d+, here 0, 0 of them"):
        runs.train(again, worlds.captioned())


def test_a_trunk_that_learned_no_labels_is_not_lost(config, tmp_path):
    """The labels would begin with a trunk that has learned nothing, and theirs takes the place of the run's."""
    before = config.model_copy(update={"pretrain": False, "match": config.match.model_copy(update={"epochs": 1})})
    runs.train(before, worlds.captioned(), tmp_path / "run")
    again = config.model_copy(update={"start_from": str(tmp_path / "run")})
    with pytest.raises(InputError, match=r"run: that run's trunk has no stage on the labels.*set pretrain=false$"):
        runs.train(again, worlds.captioned())
    runs.share_out(again.model_copy(update={"pretrain": False}), worlds.captioned())


def test_a_run_goes_on_with_its_own_words(config, run):
    again = config.model_copy(update={"start_from": str(run.path), "seed": 5})
    begun = runs.train(again, worlds.captioned())
    np.testing.assert_array_equal(begun.tensors["vocabulary"], run.tensors["vocabulary"])


def test_the_report_shows_where_mvsa_looks(tmp_path):
    """Value times gate of an image alone, from 0 to 1; nothing without MVSA."""
    worlds.write_captions(tmp_path / "data", 10)
    config = load_config("image-text", [*TINY, "split=random"])
    run = runs.train(config, load_data(config, tmp_path / "data"), tmp_path / "run")
    shown = gaze_maps(run)
    assert len(shown) == 4 and len({run.dataset.modalities["a"].groups[row] for _, row, _ in shown}) == 4
    for m, row, found in shown:
        x = read_query(run.dataset.modalities[m], run.dataset.modalities[m].paths[row])[0]
        x = (x - run.tensors["input.a/mean"]) / run.tensors["input.a/std"]
        params, buffers = trained_networks(run)
        cache = (
            image_network(params, x, arch=architecture(run.config), mode="inference", buffers=buffers)[1]
            .blocks[0]
            .attention
        )
        product = np.abs(cache.value[0, ..., 0] * cache.gate[0, ..., 0])
        np.testing.assert_allclose(found, (product - product.min()) / np.ptp(product), atol=1e-5)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Where MVSA looks</h2>" in page and page.count('alt="where MVSA looks"') == 4
    assert not gaze_maps(run._replace(config=run.config.model_copy(update={"mvsa": False})))


@pytest.mark.parametrize("text, name", [("sentence", "s"), ("keywords", "k"), ("both", "s")])
def test_the_gate_of_a_pair_is_what_the_image_puts_before_the_text(text, name):
    run = runs.train(load_config("image-text", [*TINY, f"text={text}"]), worlds.captioned())
    params = {n.removeprefix("match/params/"): w for n, w in run.tensors.items()}
    image, caption = search.insider(run, "a", 4), search.insider(run, "b", 9)
    u = run.encoded["a"]["v"][4] @ params[f"attention_{name}.gate.w"] + params[f"attention_{name}.gate.b"]
    for pair in ((image, caption), (caption, image)):
        np.testing.assert_allclose(AMFMN.gate(run, *pair).values, 1 / (1 + np.exp(-u)), rtol=1e-4)


def test_without_attention_there_is_no_gate():
    run = runs.train(load_config("image-text", [*TINY, "attention=none"]), worlds.captioned())
    assert AMFMN.gate(run, search.insider(run, "a", 0), search.insider(run, "b", 0)) is None
