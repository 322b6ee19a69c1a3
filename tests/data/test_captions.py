import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import worlds
from PIL import Image

from cmir_ref.data import split_data
from cmir_ref.data.captions import (
    _column_of,
    filter_keywords,
    find_images,
    load_captions,
    read_caption_file,
    with_captions,
)
from cmir_ref.data.samples import write_objects
from cmir_ref.data.scenarios import load
from cmir_ref.data.stemming import stem
from cmir_ref.data.ucmerced import CLASS_NAMES, LABEL_NAMES, load_multilabels
from cmir_ref.data.vocabulary import (
    LONGEST,
    learned_words,
    make_lexicon,
    number_texts,
    split_at_bars,
    words_of,
    words_read,
)
from cmir_ref.errors import InputError


def test_images_captions_pairing_and_the_files_own_parts(tmp_path):
    data = load_captions(worlds.write_captions(tmp_path))
    a, b = data.modalities["a"], data.modalities["b"]
    assert a.ids[:2] == ("agricultural00", "agricultural07")
    assert b.ids[:3] == ("agricultural00#0", "agricultural00#1", "agricultural07#0")
    assert b.texts[0] == "There is a agricultural ." and data.pairing[:3].tolist() == [[0, 0], [0, 1], [1, 2]]
    assert [len(part["a"]) for part in data.parts] == [12, 4, 4] and a.labels.shape == (20, len(data.label_names))
    table = load_multilabels(tmp_path)
    for name, row in zip(a.ids, a.labels, strict=True):
        known = table[100 * CLASS_NAMES.index(name[:-2]) + int(name[-2:])]
        assert {data.label_names[c] for c in np.flatnonzero(row)} == {LABEL_NAMES[c] for c in np.flatnonzero(known)}
    for part in data.parts:
        assert set(data.pairing[np.isin(data.pairing[:, 0], part["a"]), 1]) == set(part["b"])
    assert load_captions(tmp_path, own=False).parts is None


def test_any_number_of_captions_and_images_by_their_own_names(tmp_path):
    worlds.write_captions(tmp_path, filename="agricultural00.tif", sentences=[{"raw": "One ."}] * 3)
    path = tmp_path / "dataset_tiny.json"
    content = json.loads(path.read_text())
    beaches = [r | {"filename": f"beach{7 * k:02d}.tif"} for k, r in enumerate(content["images"][5:10])]
    content["images"] = content["images"][:1] + beaches
    path.write_text(json.dumps(content))
    data = load_captions(tmp_path)
    assert data.modalities["a"].ids == ("agricultural00", *(f"beach{7 * k:02d}" for k in range(5)))
    assert np.bincount(data.pairing[:, 0]).tolist() == [3, 2, 2, 2, 2, 2]


def test_a_seeded_split_keeps_the_captions_of_an_image_together(tmp_path):
    from cmir_ref.config import load_config

    worlds.write_captions(tmp_path)
    data = load("image-text", tmp_path, dataset="captions", split="random")
    parts = split_data(load_config("image-text", ["split=random"]), data)
    owner = dict(data.pairing[:, ::-1].tolist())
    for part in parts:
        assert {owner[j] for j in part["b"]} == set(part["a"]) and len(part["b"]) == 2 * len(part["a"])


def test_scenes_have_captions_and_true_keywords(tmp_path, monkeypatch):
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path))
    from cmir_ref.data.samples import samples_dir

    (tmp_path / "objects-63-seed0-v1").symlink_to(samples_dir())  # what comes with the package
    data = load("image-text", None, dataset="scenes", count=63)
    texts = data.modalities["b"].texts
    assert data.note == "simulated scenes" and len(texts) == 5 * len(data.modalities["a"].ids)
    assert all(" | " in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sentences": []}, "has no caption"),
        ({"sentences": [{"tokens": ["a"]}]}, 'a sentence without "raw"'),
        ({"split": "dev"}, "split 'dev'; it is one of train, val, test"),
        ({"filename": None}, 'no "filename"'),
        ({"imgid": 1}, None),
        ({"split": None}, "1 image without split, where others have one; the first is 1.tif"),
        ({"split": ""}, "1 image without split, where others have one; the first is 1.tif"),
        ({"imgid": 1.0}, None),  # as tables that have lost their whole numbers write it
        ({"imgid": [1]}, "imgid [1]; it is a number"),
        ({"imgid": None}, "1 image without imgid, where others have one; the first is 1.tif"),
        ({"sentences": [{"raw": "a cut \ud83d"}]}, "half of a character"),
        ({"filename": "8.tif"}, "stands there twice"),
        ({"sentences": [{"raw": "word " * 10_000}]}, "0 (1.tif): caption 1: 10000 words; a caption has at most"),
        ({"keywords": "red"}, "keywords must be a list"),
    ],
)
def test_a_record_that_does_not_fit_is_one_line(tmp_path, refused, changes, says):
    worlds.write_captions(tmp_path, **changes)
    with refused("dataset_tiny.json", *([says] if says else ["20 images are named, 1 of them"])):
        load_captions(tmp_path)


@pytest.mark.parametrize("text", ["[]", '{"pictures": []}', '{"images": {}}', "{", '{"images": []}', '{"images": [3]}'])
def test_another_layout_is_one_line(tmp_path, refused, text):
    path = tmp_path / "dataset_odd.json"
    path.write_text(text)
    with refused(path):
        read_caption_file(path)


def test_images_lie_beside_the_file_or_in_folders_that_it_names(tmp_path):
    for folder, before in ((tmp_path / "flat", ""), (tmp_path / "deep", "images/"), (tmp_path / "win", "images\\")):
        (folder / "images").mkdir(parents=True)
        records = []
        for k in range(6):
            place = folder / ("images" if before else "") / f"river {k}.bmp"
            Image.fromarray(np.full((8, 8, 3), 40 * k + 9, np.uint8)).save(place)
            split = ("train", "train", "train", "train", "val", "test")[k]
            records.append(
                {"filename": f"{before}{place.name}", "split": split, "sentences": [{"raw": f"river {k} ."}]}
            )
        (folder / "dataset_own.json").write_text(json.dumps({"images": records}), encoding="utf-16")
        data = load_captions(folder)
        assert data.modalities["a"].x[:, 0, 0, 0].tolist() == [40 * k + 9 for k in range(6)]
        assert data.label_names == ("river",), "a class of UC Merced, without its table"


def test_images_of_one_name_in_two_folders_have_ids_of_their_own(tmp_path):
    records = []
    for k in range(8):
        name = f"{('house', 'river')[k % 2]}/{k // 2}.png"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 30 * k + 9, np.uint8)).save(tmp_path / name)
        split = ("train", "train", "val", "test")[k // 2]
        records.append({"filename": name, "split": split, "sentences": [{"raw": f"scene {k} ."}]})
    (tmp_path / "dataset_own.json").write_text(json.dumps({"images": records}))
    data = load_captions(tmp_path)
    assert len(set(data.modalities["a"].ids)) == 8 and data.modalities["a"].ids[1] == "river/0.png"
    assert data.label_names == ("house", "river") and data.modalities["a"].labels.tolist() == [0, 1] * 4
    assert len(set(data.modalities["b"].ids)) == 8


def test_sydneys_captions_are_not_read_beside_uc_merceds_images(tmp_path, refused):
    """Its numbers 0 to 612 are, by chance, those of UC Merced's first seven classes, too."""
    for number in range(700):
        path = tmp_path / "Images" / CLASS_NAMES[number // 100] / f"{CLASS_NAMES[number // 100]}{number % 100:02d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    records = [{"filename": f"{k + 1}.tif", "imgid": k, "sentences": [{"raw": "a ."}]} for k in range(613)]
    path = tmp_path / "dataset_sydney.json"
    path.write_text(json.dumps({"images": records}))
    with refused("613 images are named, 613 of them are not below"):
        find_images(tmp_path, read_caption_file(path))
    path.write_text(json.dumps({"images": records[:600]}))
    assert find_images(tmp_path, read_caption_file(path))[101].name == "airplane01.tif"
    path.write_text(json.dumps({"images": [record | {"imgid": None} for record in records[:600]]}))
    assert find_images(tmp_path, read_caption_file(path))[101].name == "airplane01.tif", "numbered as they stand"
    named = [record | {"filename": f"scene{k}.tif"} for k, record in enumerate(records[:600])]
    path.write_text(json.dumps({"images": named}))
    with refused("600 images are named, 600 of them are not below"):
        find_images(tmp_path, read_caption_file(path))


def test_what_is_numbered_as_an_image_of_uc_merced():
    """By its folder and its name together: the table of labels has a line for each of them."""
    assert _column_of(Path("Images/beach/beach07.tif")) == 100 * CLASS_NAMES.index("beach") + 7
    others = "shore/beach07.tif", "forest/beach07.tif", "beach/beach7.tif", "beach/beach007.tif", "lake/lake07.tif"
    assert [_column_of(Path("Images") / path) for path in others] == [None] * 5


def test_files_in_a_folder_that_is_called_as_a_class_of_uc_merced(tmp_path):
    """The table of labels tells nothing of them: they are not numbered as its images."""
    worlds.write_captions(tmp_path, filename="shore.tif")
    Image.fromarray(worlds.picture(64, 1, 1)).save(tmp_path / "Images" / "beach" / "shore.tif")
    path = tmp_path / "dataset_tiny.json"
    records = json.loads(path.read_text())["images"]
    names = [f"{p.stem}.tif" for p in sorted((tmp_path / "Images").glob("*/*[0-9].tif"))]
    records[1:] = [record | {"filename": name} for record, name in zip(records[1:], names[1:], strict=True)]
    path.write_text(json.dumps({"images": records}))
    data = load_captions(tmp_path)
    assert data.label_names == ("agricultural", "beach", "forest", "harbor") and data.modalities["a"].labels[0] == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_file_without_a_validation_part_keeps_its_test_part(tmp_path, seed):
    """As RSITMD's: what validates is drawn from the training part."""
    from cmir_ref.config import load_config

    worlds.write_captions(tmp_path, count=10)
    path = tmp_path / "dataset_tiny.json"
    path.write_text(path.read_text().replace('"val"', '"train"'))
    data = load_captions(tmp_path)
    config = load_config("image-text", [f"seed={seed}", "validation_share=0.3"])
    assert data.parts is not None and not data.note
    parts = split_data(config, data)
    assert parts.test == data.parts.test
    together = np.sort(np.concatenate([parts.train["a"], parts.validation["a"]]))
    np.testing.assert_array_equal(together, data.parts.train["a"])
    assert np.bincount(data.modalities["a"].labels[parts.validation["a"]].argmax(axis=1)).sum() == 8
    owner = dict(data.pairing[:, ::-1].tolist())
    for part in parts:
        assert {owner[j] for j in part["b"]} == set(part["a"]) and len(part["b"]) == 2 * len(part["a"])
    path.write_text(path.read_text().replace('"test"', '"train"'))
    alone = load_captions(tmp_path)
    assert alone.parts is None and alone.note == "parts drawn by seed, as the file names not all"


def test_two_files_and_none_are_one_line(tmp_path, refused):
    worlds.write_captions(tmp_path)
    with refused("two candidates", "dataset_tiny.json", "dataset_other.json"):
        (tmp_path / "dataset_other.json").write_text("{}")
        load_captions(tmp_path)
    with refused("no dataset_*.json"):
        load_captions(worlds.write_ucmerced(tmp_path / "empty"))


def test_images_that_are_not_there_are_counted_and_sydneys_archive_is_named(tmp_path, refused):
    worlds.write_captions(tmp_path)
    for path in (tmp_path / "Images" / "beach").iterdir():
        path.unlink()
    (tmp_path / "Images" / "beach").rmdir()
    with refused("20 images are named, 5 of them are not below", "301.tif", "15 images are there"):
        load_captions(tmp_path)
    other = tmp_path / "Sydney_imgs"
    other.mkdir()
    for k in range(598):
        (other / f"scene{k}.tif").touch()
    with refused("613 images are there (that is Sydney's archive)"):
        load_captions(tmp_path)


def test_an_accent_of_a_files_name_may_be_composed_or_not(tmp_path):
    path = worlds.write_captions(tmp_path) / "dataset_tiny.json"
    content = json.loads(path.read_text())
    for k, record in enumerate(content["images"]):
        record["filename"] = unicodedata.normalize("NFC", f"Flüsse/hütte {k}.png")
        place = tmp_path / unicodedata.normalize("NFD", record["filename"])
        place.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 9 + k).save(place)
    path.write_text(json.dumps(content))
    assert load_captions(tmp_path).modalities["a"].x[:, 0, 0, 0].tolist() == [9 + k for k in range(20)]


def test_an_image_of_another_suffix_or_folder_is_named(tmp_path, refused):
    path = worlds.write_captions(tmp_path) / "dataset_tiny.json"
    content = json.loads(path.read_text())
    names = [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path, read_caption_file(path))]
    for change in (lambda n: n.replace(".tif", ".JPG"), lambda n: "C:\\images\\" + n.split("/")[-1].upper()):
        for record, name in zip(content["images"], names, strict=True):
            record["filename"] = change(name)
        path.write_text(json.dumps(content))
        with refused("20 of them are not below", f"20 images are there, one of them {names[0]}: let the caption file"):
            find_images(tmp_path, read_caption_file(path))


def test_an_image_of_ones_own_beside_those_that_have_numbers_is_refused(tmp_path, refused):
    """Some are found by name and the others by number: what each name means is then a guess."""
    path = worlds.write_captions(tmp_path) / "dataset_tiny.json"
    content = json.loads(path.read_text())
    content["images"].append(content["images"][0] | {"filename": "2101.tif", "imgid": 2100})
    Image.new("L", (8, 8), 9).save(tmp_path / "2101.tif")
    path.write_text(json.dumps(content))
    with refused("21 images are named, 20 of them are not below", "21 images are there"):
        find_images(tmp_path, read_caption_file(path))


# ---- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_image_is_not_mistaken_for_its_sketch(tmp_path, refused, suffix):
    """By number two files may be meant: the one counts whose suffix is the record's; where both have it, none does."""
    root = worlds.write_captions(tmp_path / "data")
    before = load_captions(root).modalities["a"]
    for path in before.paths:
        copy = root / "sketches" / Path(path).parent.name / f"{Path(path).stem}{suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), 255).save(copy)
    after = load_captions(root).modalities["a"]
    assert after.paths == before.paths
    np.testing.assert_array_equal(after.x, before.x)
    first = Path(before.paths[0])
    (root / "sketches" / first.parent.name / first.name).write_bytes(first.read_bytes())
    with refused("two candidates for", ".tif: ", "sketches", "keep one of them"):
        load_captions(root)


@pytest.mark.parametrize(("count", "seed"), [(21, 0), (24, 5)])
def test_the_worlds_captions_are_of_its_images(tmp_path, count, seed):
    write_objects(tmp_path / "scenes", count, seed=seed)
    images = load_captions(tmp_path / "scenes").modalities["a"]
    assert len(images.paths) == count and {Path(p).parents[1].name for p in images.paths} == {"Images"}
    assert np.abs(np.diff(images.x.astype(int), axis=3)).max() > 40, "they are in colour"


def test_words_and_bars():
    words = words_of("Two white-roofed Houses, 3 cars | red  car .")
    assert words == ["two", "white-roofed", "houses", "3", "cars", "|", "red", "car"]


@pytest.mark.parametrize("several", [False, True])
def test_keywords_may_be_the_names_of_an_image_s_own_labels(several):
    images, names = worlds.captioned(n=6).modalities["a"], ("tennis-court", "sea", "dock")
    hot = np.eye(3, dtype=np.uint8)[images.labels]
    hot[1:, 1] = 1
    images = images._replace(labels=hot if several else images.labels)
    texts = with_captions(images, names, (("a", "b"),) * 6, ((),) * 6, "labels", "abcdef").modalities["b"].texts
    words = [name.replace("-", " ") for name in names]
    for k, label in enumerate(images.labels):
        own = " | ".join(words[c] for c in (np.flatnonzero(label) if several else [label]))
        assert texts[2 * k : 2 * k + 2] == (f"a | {own}", f"b | {own}")


def test_a_bar_within_keywords_is_none():
    data = worlds.captioned(n=6)
    texts = with_captions(
        data.modalities["a"], ("a", "b", "c"), (("a | road",),) * 6, (("red|roof", "x"),) * 6, "given", "abcdef"
    )
    assert set(texts.modalities["b"].texts) == {"a   road | red roof | x"}


def test_a_letter_with_its_accent_is_one():
    assert words_of("Un caf\u00e9 | r\u00eevi\u00e8re") == words_of("Un cafe\u0301 | ri\u0302vie\u0300re")
    assert len(words_of("cafe\u0301")) == 1


def test_what_a_run_reads_of_a_text():
    text = "A white Plane , parked. | white plane | grey runway"
    read = {what: words_read(text, what) for what in ("sentence", "keywords", "both")}
    assert read["sentence"] == "a white plane parked" == words_read("a white plane parked", "sentence")
    assert read["keywords"] == "| white plane | grey runway" and read["both"] == " ".join(words_of(text))
    assert words_read("a road", "keywords") == ""


def test_a_sentence_and_its_keywords_have_a_limit_each():
    full = " ".join(["a"] * LONGEST)
    lexicon = make_lexicon([full])
    assert number_texts([f"{full} | {full}"], lexicon).shape == (1, 2 * LONGEST + 1)
    with pytest.raises(InputError, match=f"^two: {LONGEST + 1} words; a caption has at most {LONGEST}"):
        number_texts(["a", f"{full} a | a"], lexicon, ["one", "two"])
    with pytest.raises(InputError, match=f"text 0: {LONGEST + 1} words of keywords"):
        number_texts([f"a | {full} | a"], lexicon)


def test_numbers_are_those_of_the_lexicon_and_what_it_lacks_is_the_last():
    lexicon = make_lexicon(["a river | old bridge", "a road"])
    assert lexicon == {"a": 2, "bridge": 3, "old": 4, "river": 5, "road": 6}
    assert number_texts(["a road", "a zebra | old"], lexicon).tolist() == [[2, 6, 0, 0], [2, 7, 1, 4]]
    assert len(number_texts(["a " * LONGEST], lexicon)[0]) == LONGEST


def test_only_words_of_the_given_captions_are_learned():
    lexicon = make_lexicon(["the river", "a road"])  # a 2, river 3, road 4, the 5
    x = number_texts(["the river", "the river", "a"], lexicon)
    assert learned_words(x, lexicon, 2).tolist() == [0, 0, 3, 1, 3, 2, 3]
    assert learned_words(x, lexicon, 2, "unknown").tolist() == [0, 0, 2, 1, 2, 2, 2]
    beyond = number_texts(["a zebra | a", "a zebra | a"], lexicon)
    assert learned_words(beyond, lexicon, 2).tolist() == [0, 0, 1, 2, 2, 2, 2]


def test_a_text_is_taken_apart_at_its_bars():
    words, keywords = split_at_bars(np.array([[5, 6, 1, 7, 8, 1, 9], [5, 0, 0, 0, 0, 0, 0], [1, 7, 0, 0, 0, 0, 0]]))
    assert words.tolist() == [[5, 6], [5, 0], [0, 0]]
    assert keywords.tolist() == [[[7, 8], [9, 0]], [[0, 0], [0, 0]], [[7, 0], [0, 0]]]


def test_keywords_from_a_sentence():
    sentence = "Two white airplanes are parked beside a green field ."
    assert filter_keywords(sentence) == ["white airplanes", "parked", "beside", "green field"]
    assert filter_keywords("Two white-roofed houses , 3 cars") == ["two white-roofed", "houses", "cars"]
    assert filter_keywords("All is green and the trees are tall trees") == ["trees", "tall"], "a colour of nothing"


def test_stems_are_nltks():
    """Words that take every way through the algorithm; made with nltk 3.10.4's PorterStemmer."""
    stems = json.loads((worlds.Path(__file__).parent / "stems.json").read_text())
    assert len(stems) > 200 and {word: stem(word) for word in stems} == stems


def test_the_real_captions(real_data):
    data = load_captions(real_data)
    assert [len(part["a"]) for part in data.parts] == [1680, 210, 210] and len(data.modalities["b"].texts) == 10500
    assert data.modalities["a"].groups[100] == "airplane" and "airplanes" in data.modalities["b"].texts[500]
