"""Prior similarities of captions. nltk_scores.json was made by nltk 3.10.4: `sentence_bleu`, and the counts of
`meteor_score`'s exact stage, of Porter's stems of the simulated world's captions, shuffled and cut."""

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pytest

from cmir_ref.amfmn.caption_prior import bleu, caption_prior, entity_overlap, meteor
from cmir_ref.data.captions import load_captions
from cmir_ref.data.stemming import stem
from cmir_ref.data.vocabulary import words_of

NLTK = json.loads((Path(__file__).parent / "nltk_scores.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("score", "name"), [(bleu, "bleu"), (meteor, "meteor")])
def test_every_score_is_nltks(score, name):
    texts = sorted({text for row in NLTK for text in (row["caption"], *row["references"])})
    number = {text: i for i, text in enumerate(texts)}
    captions = [[stem(word) for word in words_of(text)] for text in texts]
    found = score(captions, [[number[text] for text in row["references"]] for row in NLTK])
    ours = [found[i, number[row["caption"]]] for i, row in enumerate(NLTK)]
    np.testing.assert_allclose(ours, [row[name] for row in NLTK], rtol=0, atol=1e-12)
    assert len({round(value, 6) for value in ours}) > 6


def test_a_word_counts_no_more_often_than_a_reference_has_it():
    """Of ten words "a b c d a b c d a b" the reference "a b c d a b" has six, so 6/10, and so on for two to four."""
    long, short = list("abcdabcdab"), list("abcdab")
    found = bleu([long, short], [[1]])[0, 0]
    assert found == pytest.approx((6 / 10 * 5 / 9 * 4 / 8 * 3 / 7) ** (1 / 4))


def test_a_word_that_the_caption_says_once_counts_once():
    """However often a reference says it, whose length is all that tells: twice the caption's."""
    assert bleu([list("abcd"), list("abcdabcd")], [[1]])[0, 0] == pytest.approx(math.exp(1 - 2))


def test_a_word_counts_no_more_often_than_any_one_reference_has_it():
    """Of eight words both references have four, and of seven, six and five runs three, two and one: not twice that."""
    found = bleu([list("abcdabcd"), list("abcd"), list("abcd")], [[1, 2]])[0, 0]
    assert found == pytest.approx((4 / 8 * 3 / 7 * 2 / 6 * 1 / 5) ** (1 / 4))


def test_entities_are_the_share_of_each_references_words():
    bags = [["white", "car", "road"], ["car", "car", "tree", "lake"], [], ["car", "tree"]]
    found = entity_overlap(bags, [[0, 1], [1, 2], [2], [0, 1, 0]])
    np.testing.assert_allclose(found[0], [(1 + 1 / 4) / 2, (1 / 3 + 3 / 4) / 2, 0, (1 / 3 + 2 / 4) / 2])
    np.testing.assert_allclose(found[1], [1 / 4, 3 / 4, 0, 2 / 4])
    assert (found[2] == 0).all()
    twice = [(1 + 1 / 4 + 1) / 3, (1 / 3 + 3 / 4 + 1 / 3) / 3]  # what an image has twice counts twice
    np.testing.assert_allclose(found[3, :2], twice)


TEXTS = ["There are two cars .", "Two cars are there .", "A green forest .", "", " . "]


@pytest.mark.parametrize("kind", ["bleu-entity", "bleu-meteor"])
def test_an_own_caption_is_near_strangers_are_far_and_blanks_are_nothing(kind):
    prior = caption_prior(TEXTS, [[1, 0], [2, 3], [3, 4], [], [0, 1]], kind=kind)
    assert np.isfinite(prior).all() and prior.min() >= 0 and prior.max() <= 1
    assert prior[0, 0] > 0.7 > 0.1 > prior[0, 2] and (prior[:, 3:] == 0).all() and (prior[2:4] == 0).all()
    np.testing.assert_array_equal(prior[4], prior[0])  # in whichever order


def test_the_released_formula_gives_an_own_caption_a_bleu_of_one():
    prior = caption_prior(TEXTS, [[0, 1]], kind="bleu-entity")
    words = [{"two", "car"}, {"two", "car"}]  # what is left of both without stop words
    assert prior[0, 0] == pytest.approx((1 + np.mean([len(w & words[0]) / 2 for w in words])) / 2)
    assert caption_prior(["a forest"], [[0]], kind="bleu-entity")[0, 0] == 1, "though it has no four words in a row"


def test_stop_words_after_stemming_are_those_that_a_list_of_words_knows():
    texts = ["this was very green", "this was very blue"]
    before, after = (caption_prior(texts, [[0]], stop_words=when)[0, 1] for when in ("before", "after"))
    assert before == 0 and after == pytest.approx(3 / 4 / 2)  # thi, wa and veri are left: 3 of 4 words


@pytest.mark.parametrize("when", ["before", "after"])
def test_entities_are_stems_without_stop_words(when):
    """Two captions agree in "car", and not in "the"."""
    prior = caption_prior(["the two cars", "the car", "the forest"], [[0]], stop_words=when)
    np.testing.assert_allclose(prior[0], [1, 1 / 2 / 2, 0])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["bleu-entity", "bleu-meteor"])
def test_bars_say_nothing(kind, when):
    """They stand between a sentence and its keywords: two texts do not agree in having some."""
    texts = ["two cars are there | cars | road", "a green forest | trees | forest", "one car on a road | car | road"]
    owners = [[0, 1], [2]]
    bare = caption_prior([text.replace("|", " ") for text in texts], owners, kind=kind, stop_words=when)
    np.testing.assert_array_equal(caption_prior(texts, owners, kind=kind, stop_words=when), bare)


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="'rouge'; it is one of bleu-meteor, bleu-entity"):
        caption_prior(TEXTS, [[0]], kind="rouge")


@pytest.mark.skipif(not os.environ.get("CMIR_DATA"), reason="CMIR_DATA is not set: the real captions are needed")
def test_all_pairs_of_the_real_captions(capsys):
    data = load_captions(os.environ["CMIR_DATA"])
    texts, number = np.unique(data.modalities["b"].texts, return_inverse=True)
    owners = np.split(number, np.flatnonzero(np.diff(data.pairing[:, 0])) + 1)
    start = time.process_time()
    prior = caption_prior(texts.tolist(), owners)
    with capsys.disabled():  # reported, never decided on: machines differ
        print(f"\nprior similarity of {prior.shape[0]} × {prior.shape[1]}: {time.process_time() - start:.1f} s")
    own = np.concatenate([prior[i, own] for i, own in enumerate(owners)])
    assert prior.shape == (2100, len(texts)) and own.mean() > 0.8 > 0.1 > prior.mean()
