import json
import shutil

import pytest
import worlds

from cmir_ref.data.caption_report import report_captions
from cmir_ref.doctor import examine


def write(root, change):
    """The tiny caption file of `worlds`, whose list of images `change` has been given."""
    path = worlds.write_captions(root) / "dataset_tiny.json"
    content = json.loads(path.read_text())
    change(content["images"])
    path.write_text(json.dumps(content))
    return report_captions(root)


def sentences(*raws):
    return [{"raw": raw} for raw in raws]


def test_the_tiny_file_as_it_is(tmp_path):
    found = report_captions(worlds.write_captions(tmp_path))
    assert found["images"] == "20 (12 train, 4 validation, 4 test)"
    assert found["captions"] == "40, 2 an image, 24 distinct; 5.0 words"  # "There is a c." of four classes, 20 numbers
    assert found["blank"] == "0" and found["shared"] == "4 texts written for several images, the most frequent for 5"
    for part in ("validation", "test"):
        assert found[part].startswith(
            "4 of 8 captions stand word for word in the training part, all captions of 0 of 4"
        )
    assert found["tokens"].startswith("0 sentences") and found["pixels"].startswith("0 images more than once")
    assert "dataset_tiny.json (SHA-256 " in found["file"]


def test_blanks_and_uneven_numbers_of_captions(tmp_path):
    def change(images):
        images[3]["sentences"] = sentences("A beach .", " . ", "")
        images[7]["sentences"] = sentences("!")

    found = write(tmp_path, change)
    assert found["captions"].startswith("40, 1 to 3 an image")
    assert found["blank"] == "3, the first of 22.tif"
    assert found["shared"].startswith("4 texts")  # blanks are none


def test_a_text_that_one_image_has_twice_is_of_one_image(tmp_path):
    def change(images):
        images[3]["sentences"] = sentences("A lone pier .", "a lone pier")

    assert write(tmp_path, change)["shared"].startswith("4 texts written for several images, the most frequent for 5")


def test_texts_are_equal_where_their_words_are(tmp_path):
    def change(images):
        images[0]["sentences"] = sentences("A  green Field.", "Two trees")
        images[4]["sentences"] = sentences("a green field .", "two trees !")  # of the test part

    found = write(tmp_path, change)
    assert "all captions of 1 of 4 images" in found["test"] and "all captions of 0 of 4" in found["validation"]


def test_tokens_that_say_something_else(tmp_path):
    def change(images):
        images[0]["sentences"] = [{"raw": "A farmland .", "tokens": ["a", "formland"]}, {"raw": "B", "tokens": ["b"]}]

    assert write(tmp_path, change)["tokens"] == "1 sentence unlike the tokens; `raw` is read"


@pytest.mark.parametrize(("one", "other", "across"), [(0, 1, 0), (0, 4, 1)])
def test_images_that_stand_twice(tmp_path, one, other, across):
    folder = worlds.write_captions(tmp_path) / "Images" / "beach"
    shutil.copy(folder / f"beach{7 * one:02d}.tif", folder / f"beach{7 * other:02d}.tif")
    said = f"1 image more than once, {across} of them in more than one part, the first beach00.tif and beach"
    assert report_captions(tmp_path)["pixels"].startswith(f"{said}{7 * other:02d}")


def test_images_that_are_not_there_are_told_and_the_texts_all_the_same(tmp_path):
    shutil.rmtree(worlds.write_captions(tmp_path) / "Images" / "beach")
    found = report_captions(tmp_path)
    assert "not looked at: " in found["pixels"] and "5 of them are not below" in found["pixels"]
    assert found["images"].startswith("20 ")


def test_doctor_tells_it(tmp_path):
    assert examine(worlds.write_captions(tmp_path))["captions"]["images"].startswith("20 ")
    assert examine(tmp_path / "nowhere")["captions"]["captions"].startswith("not found: ")
    assert "give --data" in examine(None)["captions"]["captions"]


def test_images_of_uc_merced_that_stand_twice_are_said_without_captions_too(tmp_path):
    """A training says so of its parts once it is over, an hour later."""
    folder = worlds.write_ucmerced(tmp_path) / "Images"
    assert examine(tmp_path)["data"]["ucmerced twice"] == "0 images more than once"
    shutil.copy(folder / "beach" / "beach07.tif", folder / "forest" / "forest14.tif")
    said = "1 image more than once, the first beach07 and forest14"
    assert examine(tmp_path)["data"]["ucmerced twice"] == said
    shutil.copy(folder / "beach" / "beach07.tif", folder / "forest" / "forest21.tif")  # three files are one image
    assert examine(tmp_path)["data"]["ucmerced twice"] == f"{said} and forest21"
    (folder / "beach" / "beach00.tif").write_bytes(b"no image")
    assert "not looked at: " in examine(tmp_path)["data"]["ucmerced twice"]
    assert "ucmerced twice" not in examine(worlds.write_captions(tmp_path / "captions"))["data"]
