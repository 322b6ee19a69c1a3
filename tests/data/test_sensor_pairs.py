"""Pairs of a user's own two sensors, written here as files: two folders, or a table."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from cmir_ref.config import load_config
from cmir_ref.data import load, load_data, read_query, split_data
from cmir_ref.data.sensor_pairs import load_sensor_pairs, side_for


def write(path, shape, seed=0, dtype="uint16", most=4000):
    """A file of random numbers, 16-bit bands unless told, and the numbers (H, W, C)."""
    x = np.random.default_rng([seed, *path.name.encode()]).integers(1, most, shape).astype(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, x[..., 0] if shape[2] == 1 else x, photometric="minisblack")
    else:
        Image.fromarray(x[..., 0] if shape[2] == 1 else x).save(path)
    return x


def write_pairs(root, names=("p", "q", "r.2", "s"), pan=(256, 256, 1), mul=(64, 64, 4)):
    """PAN and four-band MUL in 16 bits; the numbers of both by name."""
    return {
        "pan": {name: write(root / "pan" / f"{name}.tif", pan) for name in names},
        "mul": {name: write(root / "mul" / f"{name}.tif", mul) for name in names},
    }


def test_sixteen_bit_four_band_pairs_are_read_as_they_are(tmp_path):
    written = write_pairs(tmp_path)
    data = load_sensor_pairs(tmp_path)
    for m, sensor in zip("ab", ("pan", "mul"), strict=True):
        modality = data.modalities[m]
        assert (modality.name, modality.kind, modality.as_stored, modality.remarks) == (sensor, "image", True, ())
        assert modality.ids == ("p", "q", "r.2", "s") and modality.x.dtype == np.uint16
        for row, name in enumerate(modality.ids):
            np.testing.assert_array_equal(modality.x[row], written[sensor][name])
            assert modality.paths[row].endswith(f"{sensor}/{name}.tif")
    assert data.label_names == () and data.modalities["a"].labels.shape == (4, 0)
    assert data.pairing.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_names_decide_whatever_the_suffixes_and_other_files_are_passed_over(tmp_path):
    for name in "abc":
        write(tmp_path / "data" / "pan" / f"{name}.png", (64, 64, 1))
        write(tmp_path / "data" / "mul" / f"{name}.tif", (64, 64, 3))
    for other in ("Thumbs.db", ".DS_Store", "._a.png", "desktop.ini"):
        (tmp_path / "data" / "pan" / other).write_bytes(b"?")
    (tmp_path / "data" / "mul" / "a.tfw").write_text("a world file")
    data = load("pan-mul", tmp_path, dataset="pairs")
    assert data.modalities["a"].ids == ("a", "b", "c") and data.note == "1 file passed over as no images"


def test_class_folders_are_labels(tmp_path):
    for label, count in (("wood", 3), ("field", 4)):
        write_pairs_in(tmp_path, label, count)
    data = load("pan-mul", tmp_path, dataset="pairs")
    assert data.label_names == ("field", "wood")
    for modality in data.modalities.values():
        assert modality.labels.tolist() == [0] * 4 + [1] * 3 and modality.ids[0] == "field/0"
        assert list(modality.groups) == ["field"] * 4 + ["wood"] * 3


def write_pairs_in(root, label, count):
    for k in range(count):
        write(root / "pan" / label / f"{k}.tif", (64, 64, 1))
        write(root / "mul" / label / f"{k}.tif", (64, 64, 2))


def test_sensors_may_have_other_names_and_places(tmp_path):
    for k in range(3):
        write(tmp_path / "set" / "sar" / f"{k}.tif", (64, 64, 2), dtype="float32")
        write(tmp_path / "set" / "day" / "optical" / f"{k}.tif", (128, 128, 3), dtype="uint8", most=255)
    for sensors in (("sar", "optical"), ("set/sar", "set/day/optical")):
        data = load("pan-mul", tmp_path, dataset="pairs", sensors=sensors)
        assert [m.name for m in data.modalities.values()] == ["sar", "optical"]
        assert [m.x.shape for m in data.modalities.values()] == [(3, 64, 64, 2), (3, 128, 128, 3)]
        assert [m.x.dtype for m in data.modalities.values()] == [np.float32, np.uint8]


@pytest.mark.parametrize("text", [
    "pan/p.tif,mul/s.tif\npan/q.tif,mul/q.tif\n\npan/s.tif,mul/p.tif\n",
    "\ufeffPAN;MUL\r\npan/p.tif;mul/s.tif\r\n pan/q.tif ; mul/q.tif \r\npan/s.tif;mul/p.tif",
    "pan\tmul\npan/p.tif\tmul/s.tif\npan/q.tif\tmul/q.tif\npan/s.tif\tmul/p.tif",
    'first sensor,second sensor\n"pan/p.tif","mul/s.tif"\npan/q.tif,mul/q.tif\npan/s.tif,mul/p.tif',
])  # fmt: skip
def test_a_table_names_the_pairs(tmp_path, text):
    written = write_pairs(tmp_path / "deep")
    (tmp_path / "deep" / "pairs.csv").write_text(text, encoding="utf-8")
    data = load("pan-mul", tmp_path, dataset="pairs")
    assert data.modalities["a"].ids == ("pan/p", "pan/q", "pan/s") and data.label_names == ()
    for row, (a, b) in enumerate((("p", "s"), ("q", "q"), ("s", "p"))):
        np.testing.assert_array_equal(data.modalities["a"].x[row], written["pan"][a])
        np.testing.assert_array_equal(data.modalities["b"].x[row], written["mul"][b])


def test_a_table_of_files_in_class_folders(tmp_path):
    for label in ("field", "wood"):
        write_pairs_in(tmp_path, label, 2)
    lines = [f"pan/{label}/{k}.tif,mul/{label}/{1 - k}.tif" for label in ("wood", "field") for k in range(2)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    assert load("pan-mul", tmp_path, dataset="pairs").modalities["b"].labels.tolist() == [1, 1, 0, 0]


def test_folders_above_the_sensors_are_no_classes(tmp_path):
    write_pairs(tmp_path / "data")
    pairs = (("p", "s"), ("q", "q"), ("s", "p"))
    (tmp_path / "pairs.csv").write_text("".join(f"data/pan/{a}.tif,data/mul/{b}.tif\n" for a, b in pairs))
    data = load("pan-mul", tmp_path, dataset="pairs")
    assert data.label_names == () and data.modalities["a"].ids == ("data/pan/p", "data/pan/q", "data/pan/s")


@pytest.mark.parametrize(
    "line", ["pan\\{0}.tif,mul\\{0}.tif\r\n", "pan/{0}.tif,mul/{0}.tif,,\n"], ids=["Windows", "spreadsheet"]
)
def test_a_table_as_windows_and_spreadsheets_write_it(tmp_path, line):
    write_pairs(tmp_path)
    (tmp_path / "pairs.csv").write_bytes("".join(line.format(name) for name in "pqs").encode())
    assert load("pan-mul", tmp_path, dataset="pairs").modalities["b"].ids == ("pan/p", "pan/q", "pan/s")


@pytest.mark.parametrize(("text", "said"), [
    ("pan/p.tif,mul/p.tif\npan/q.tif\n", ("line 2", "1 column; expected two")),
    ("pan/p.tif,mul/p.tif,wood\n", ("line 1", "3 columns; expected two")),
    ("pan/p.tif,\n", ("line 1", "1 column;")),
    (",mul/p.tif\n", ("line 1", "its first column is empty; expected two")),
    ("a,b\npan/p.tif,mul/none.tif\n", ("line 2", "mul/none.tif", "no such file")),
    ("pan/p.tif,mul/p.tif\npan/q.tif,mul/p.tif\n", ("line 2", "mul/p.tif stands on line 1")),
    ("pan,mul\n\n", ("no pairs",)),
    ("", ("no pairs",)),
])  # fmt: skip
def test_a_table_that_is_wrong(tmp_path, refused, text, said):
    write_pairs(tmp_path)
    (tmp_path / "pairs.csv").write_text(text)
    with refused("pairs.csv", *said):
        load("pan-mul", tmp_path, dataset="pairs")


def test_a_table_in_no_text_and_of_two_classes(tmp_path, refused):
    write_pairs_in(tmp_path, "wood", 1), write_pairs_in(tmp_path, "field", 1)
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xe9,\x80")
    with refused("pairs.csv", "UTF-8"):
        load("pan-mul", tmp_path, dataset="pairs")
    (tmp_path / "pairs.csv").write_text("pan/wood/0.tif,mul/field/0.tif\n")
    with refused("pairs.csv, line 1", "different classes, field and wood"):
        load("pan-mul", tmp_path, dataset="pairs")
    write(tmp_path / "mul" / "0.tif", (64, 64, 4))
    (tmp_path / "pairs.csv").write_text("pan/wood/0.tif,mul/0.tif\n")
    with refused("pairs.csv, line 1", "different classes, none and wood"):
        load("pan-mul", tmp_path, dataset="pairs")


def test_sizes_come_from_the_data_or_are_brought_to_what_the_networks_take(tmp_path):
    for name, pan, mul, sides, said in (
        ("as-they-are", 128, 64, (128, 64), ""),
        ("equal", 256, 256, (256, 256), ""),
        ("finer-second", 64, 256, (64, 256), ""),
        ("large", 512, 128, (256, 128), "pan brought from 512 × 512 to 256 × 256 pixels"),
        ("small", 96, 24, (64, 64), "pan brought from 96 × 96 to 64 × 64 pixels; mul brought from 24 × 24 to 64 × 64"),
    ):
        written = write_pairs(tmp_path / name, pan=(pan, pan, 1), mul=(mul, mul, 4))
        data = load("pan-mul", tmp_path / name, dataset="pairs")
        assert [m.x.shape[1:3] for m in data.modalities.values()] == [(s, s) for s in sides]
        assert data.note.startswith(said) and bool(data.note) == bool(said)
        if name == "large":
            means = written["pan"]["p"].astype(float).reshape(256, 2, 256, 2).mean(axis=(1, 3))
            np.testing.assert_allclose(data.modalities["a"].x[0, ..., 0], means, atol=0.51)


def test_a_smaller_size_may_be_asked_for(tmp_path):
    write_pairs(tmp_path)
    config = load_config("pan-mul_pairs", ["image_size=128"])
    data = load_data(config, tmp_path)
    assert [m.x.shape[1] for m in data.modalities.values()] == [128, 64]
    assert [side_for([(300, 260)], most) for most in (256, 128, 64)] == [256, 128, 64]
    assert side_for([(300, 260), (100, 500)], 256) == side_for([(10, 10)], 256) == 64


def test_images_of_several_sizes_are_brought_to_one(tmp_path):
    for k, factor in enumerate((1, 2, 1)):
        write(tmp_path / "pan" / f"{k}.tif", (128 * factor, 192 * factor, 1))
        write(tmp_path / "mul" / f"{k}.tif", (64 * factor, 96 * factor, 4))
    data = load("pan-mul", tmp_path, dataset="pairs")
    assert [m.x.shape for m in data.modalities.values()] == [(3, 128, 128, 1), (3, 64, 64, 4)]
    assert "pan brought from 192 × 128 to 384 × 256 to 128 × 128 pixels" in data.note


def test_what_is_wrong_is_said_with_the_file(tmp_path, refused):
    def wrong(name, change, *said, keep=write_pairs):
        root = tmp_path / name
        keep(root)
        change(root)
        with refused(*said):
            load("pan-mul", root, dataset="pairs")

    def replace(where, *arguments, **named):
        return lambda root: write(root / where, *arguments, **named)

    wrong("alone", lambda r: (r / "mul/q.tif").unlink(), "pan/q.tif", "no counterpart", "mul; add it")
    wrong("alone2", lambda r: [(r / f"pan/{n}.tif").unlink() for n in "qs"], "mul/q.tif", "nor 1 more file;")
    wrong("empty", lambda r: [p.unlink() for p in (r / "mul").iterdir()], "mul: no images", "<class>")
    wrong("absent", lambda r: (r / "mul").rename(r / "ms"), "no mul at most three levels below")
    wrong(
        "ratio", replace("pan/q.tif", (250, 250, 1)), "pan/q.tif has 250 × 250", "mul/q.tif has 64 × 64", "whole ratio"
    )
    wrong("aspect", replace("pan/q.tif", (256, 128, 1)), "128 × 256", "whole ratio")
    wrong("bands", replace("mul/s.tif", (64, 64, 3)), "mul/s.tif: 3 bands", "mul/p.tif has 4")
    wrong("depth", replace("mul/s.tif", (64, 64, 4), dtype="uint8", most=255), "mul/s.tif: uint8", "uint16")
    wrong("broken", lambda r: (r / "mul/r.2.tif").write_bytes(b"II*\0no"), "mul/r.2.tif", "damaged")
    wrong("twice", lambda r: write(r / "mul/q.png", (64, 64, 1)), "q.tif: has the name of q.png")
    wrong("mixed", lambda r: write(r / "pan/wood/t.tif", (64, 64, 1)), "pan/p.tif: stands beside class folders")
    wrong("deeper", lambda r: write(r / "pan/wood/x/t.tif", (64, 64, 1)), "pan/wood/x", "class folder is not read")
    wrong("one", lambda r: None, "pan/p.tif: only 1 pair", keep=lambda r: write_pairs(r, names="p"))
    wrong("two", lambda r: None, "pan/p.tif: only 2 pairs", keep=lambda r: write_pairs(r, names="pq"))
    wrong("file", lambda r: [(r / "mul").rename(r / "m"), (r / "mul").write_text("")], "mul: is a file; set tile")
    with refused("two folders with different names"):
        load("pan-mul", tmp_path / "one", dataset="pairs", sensors=("pan", "pan"))


def test_all_parts_have_pairs_and_partners_stay_together(tmp_path):
    write_pairs(tmp_path, names=[f"{k:02d}" for k in range(20)], pan=(64, 64, 1))
    config = load_config("pan-mul_pairs")
    parts = split_data(config, load_data(config, tmp_path))
    assert [len(rows["a"]) for rows in parts] == [13, 1, 6]
    assert all((rows["a"] == rows["b"]).all() for rows in parts)
    assert sorted(np.concatenate([rows["a"] for rows in parts])) == list(range(20))


def test_what_learns_from_labels_is_refused_without_them(tmp_path, refused):
    write_pairs(tmp_path)
    for change, said in (
        ("stages=separate", "stages=end-to-end"),
        ("stages=joint", "stages=end-to-end"),
        ("weights.classification=0.5", "weights.classification=0"),
    ):
        with refused("pan/p.tif: is in no class folder", said):
            load_data(load_config("pan-mul_pairs", [change]), tmp_path)
    for label in ("field", "wood"):
        write_pairs_in(tmp_path / "labelled", label, 3)
    assert load_data(load_config("pan-mul", ["dataset=pairs"]), tmp_path / "labelled").label_names == ("field", "wood")


def test_a_query_is_read_band_by_band(tmp_path, refused):
    written = write_pairs(tmp_path, pan=(512, 512, 1))
    pan, mul = load("pan-mul", tmp_path, dataset="pairs").modalities.values()
    x, name = read_query(mul, tmp_path / "mul" / "q.tif")
    assert name == "q" and x.dtype == np.uint16
    np.testing.assert_array_equal(x[0], written["mul"]["q"])
    np.testing.assert_array_equal(read_query(pan, tmp_path / "pan" / "q.tif")[0], pan.x[[1]])  # brought to 256 again
    with refused("pan/q.tif: its bands are 1 of uint16, but those of mul are 4"):
        read_query(mul, tmp_path / "pan" / "q.tif")
    write(tmp_path / "bytes.tif", (64, 64, 4), dtype="uint8")
    with refused("bytes.tif: its bands are 4 of uint8, but those of mul are 4 of uint16"):
        read_query(mul, tmp_path / "bytes.tif")


@pytest.mark.parametrize(("header", "folders"), [("mul,pan\n", "x/"), ("", ""), ("mul,pan\n", ""), ("b,a\n", "")])
def test_a_table_may_have_the_sensors_the_other_way_round(tmp_path, header, folders):
    written = write_pairs(tmp_path / folders)
    lines = [f"{folders}mul/{name}.tif,{folders}pan/{name}.tif\n" for name in ("p", "q", "r.2", "s")]
    (tmp_path / "pairs.csv").write_text(header + "".join(lines))
    pan, mul = load_sensor_pairs(tmp_path).modalities.values()
    np.testing.assert_array_equal(pan.x[1], written["pan"]["q"])
    np.testing.assert_array_equal(mul.x[1], written["mul"]["q"])
