"""Files are found by name, and only where there is one."""

import pytest

from cmir_ref.data.locate import files_called, find_file, select_files, subfolders


@pytest.mark.parametrize("inside", [".", "x", "x/y"])
def test_three_levels(inside, tmp_path, refused):
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    (tmp_path / inside / "speech.mat").touch()
    assert find_file(tmp_path, "speech.mat") == tmp_path / inside / "speech.mat"
    with refused(tmp_path, "splab.mat", "three levels"):
        find_file(tmp_path, "splab.mat")


def test_deeper_is_not_found(tmp_path, refused):
    (tmp_path / "x/y/z").mkdir(parents=True)
    (tmp_path / "x/y/z/speech.mat").touch()
    with refused("no speech.mat"):
        find_file(tmp_path, "speech.mat")


def test_two_candidates(tmp_path, refused):
    for sub in ("x", "y"):
        (tmp_path / sub).mkdir()
        (tmp_path / sub / "speech.mat").touch()
    with refused(tmp_path / "x/speech.mat", tmp_path / "y/speech.mat"):
        find_file(tmp_path, "speech.mat")


def test_a_link_is_no_second_candidate(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/speech.mat").touch()
    (tmp_path / "speech.mat").symlink_to("x/speech.mat")
    assert find_file(tmp_path, "speech.mat").name == "speech.mat"


def test_the_folder_itself(tmp_path):
    (tmp_path / "Images").mkdir()
    assert find_file(tmp_path / "Images", "Images") == tmp_path / "Images"


def test_no_folder(tmp_path, refused):
    with refused("--data DIR", "CMIR_DATA"):
        find_file(None, "speech.mat")
    with refused("nowhere", "no such folder"):
        find_file(tmp_path / "nowhere", "speech.mat")


def test_a_link_that_leads_nowhere_is_no_image_passed_over(tmp_path, refused):
    """As git-annex and DVC leave them until the files are fetched."""
    (tmp_path / "x.png").symlink_to(tmp_path / "annex" / "x")
    with refused("x.png", "a link to a file that is not there; bring the file"):
        select_files(tmp_path, {".png"})


def test_names_with_brackets_are_names(tmp_path):
    (tmp_path / "pan[1]").mkdir()
    assert files_called(tmp_path, "pan[1]") == [tmp_path / "pan[1]"]


def test_a_class_that_is_a_link_to_nowhere_is_refused(tmp_path, refused):
    (tmp_path / "wood").mkdir()
    (tmp_path / "notes.txt").symlink_to(tmp_path / "gone.txt")
    assert subfolders(tmp_path) == [tmp_path / "wood"]
    (tmp_path / "sea").symlink_to(tmp_path / "gone")
    with refused(tmp_path / "sea", "a link to a folder that is not there"):
        subfolders(tmp_path)
