import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import NO_FOLDERS, load_config, preset_names, to_toml
from cmir_ref.data.outlines import TRACERS
from cmir_ref.data.scenarios import WORLDS_SKETCHES
from cmir_ref.errors import InputError

PRESETS = preset_names()


def test_each_scenario_has_three_presets_one_with_imagenets_weights_and_one_for_the_demo():
    kinds = ("{}", "{}_lite0", "{}_paper", "{}_released", "demo-{}")
    names = [kind.format(s) for s in ("image-speech", "image-text", "pan-mul") for kind in kinds]
    kinds = ("demo-{}", "{}", "{}_lite0", "{}_mask", "{}_spatial")  # its text and program are unknown
    names += [*(kind.format("photo-sketch") for kind in kinds), "pan-mul_pairs"]  # of the user's own sensors
    names += ["image-text_conv", "image-speech_voices"]  # a larger network from scratch; other speakers
    assert sorted(names) == PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_being_written_and_read(preset, tmp_path):
    config = load_config(preset)
    assert config.scenario in preset
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert load_config(path) == load_config(str(path)) == config


@pytest.mark.parametrize("scenario", ["image-speech", "pan-mul", "image-text"])
def test_the_presets_of_a_scenario_differ(scenario):
    assert len({to_toml(load_config(f"{scenario}{kind}")) for kind in ("", "_lite0", "_paper", "_released")}) == 4


@pytest.mark.parametrize("scenario", ["image-speech", "pan-mul"])
def test_the_presets_with_imagenets_weights_say_so_and_train_its_last_blocks(scenario):
    config = load_config(f"{scenario}_lite0")
    assert (config.trunk, config.trunk_training, config.dataset) == ("lite0", "last", "ucmerced")
    assert "lite0" not in {load_config(name).trunk for name in PRESETS if not name.endswith("_lite0")}


def test_the_paper_and_the_released_code_as_far_as_they_are_certain():
    paper, released = load_config("image-speech_paper"), load_config("image-speech_released")
    assert (paper.encoder_depth, paper.classifier, paper.frobenius, paper.alpha) == (3, "shared", "squared", 1.0)
    assert (paper.decoder_target, paper.update, paper.block_order) == ("cross", "alternating", "conv-pool-act-norm")
    assert (released.encoder_depth, released.frobenius, released.stages) == (1, "unsquared", "joint")
    assert (released.classifier, released.decoder_target, released.alpha_reading) == ("separate", "own", "released")
    assert (released.orthogonality.target, released.latent_dropout) == ("off", "b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_marks_of_editors(tmp_path, encoding, newline):
    """Notepad writes the mark of UTF-8, PowerShell UTF-16 with one."""
    text = newline.join(['scenario = "image-speech"', 'speech_voice = "é(.*)"', "[weights]", "alignment = 0.25", ""])
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "a.toml").write_bytes((mark + text).encode(encoding))
    config = load_config(tmp_path / "a.toml")
    assert config.weights.alignment == 0.25 and config.speech_voice == "é(.*)"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfea", b"scenario = \xe9", b"a = " + b"[" * 20_000, b"a = " + b"9" * 9999, b"\xef\xbb\xbf\xef\xbb\xbfa = 1",
     b"a = 1979-99-99", b"\0"],
)  # fmt: skip
def test_settings_that_are_no_text_or_no_toml_are_one_line(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.toml: ") as error:
        load_config(tmp_path / "a.toml")
    assert "\n" not in str(error.value)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])), st.floats(0, 1e300), st.lists(st.integers(1, 10))
)
def test_any_setting_survives_being_written_and_read(text, number, widths):
    config = load_config(
        "image-speech", dataset=text, speech_voice=text, alpha=number, stage1={"hidden": widths, "augment": False}
    )
    assert CmirnetSettings.model_validate(tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\x7fb"])
def test_control_characters_survive_too(text):
    assert tomllib.loads(to_toml(load_config("image-speech", speech=text)))["speech"] == text


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("distance=released", lambda c: c.distance, "released"),  # no quotes needed
        ('distance = "released"', lambda c: c.distance, "released"),
        ("speech=/data/my speech", lambda c: c.speech, "/data/my speech"),
        (r"speech_voice=^(\w+)_\d=$", lambda c: c.speech_voice, r"^(\w+)_\d=$"),
        ("weights.reconstruction=0.1", lambda c: c.weights.reconstruction, 0.1),
        ("weights.regulariser=1e-5", lambda c: c.weights.regulariser, 1e-5),
        ("alpha=2", lambda c: c.alpha, 2.0),
        ("seed=3", lambda c: c.seed, 3),
        (f"seed={10**20}", lambda c: c.seed, 10**20),  # counts nothing
        ("stage1.batch_size=1000000000", lambda c: c.stage1.batch_size, 10**9),
        ("orthogonality.scaled=true", lambda c: c.orthogonality.scaled, True),
        ("fused=false", lambda c: c.fused, False),
        ("stage1.hidden=[512, 256]", lambda c: c.stage1.hidden, (512, 256)),
        ("stage1.hidden=[]", lambda c: c.stage1.hidden, ()),
        ("dataset=", lambda c: c.dataset, ""),
        ("speech=2026-11-28", lambda c: c.speech, "2026-11-28"),  # names, whatever TOML reads in them
        ("speech=1e3", lambda c: c.speech, "1e3"),
        ("start_from = 007", lambda c: c.start_from, "007"),
        ("start_from=true", lambda c: c.start_from, "true"),
        ("speech_voice='7'", lambda c: c.speech_voice, "7"),
        (f"dataset={'[' * 3000}", lambda c: c.dataset, "[" * 3000),  # more than TOML's reader can nest
        (f"dataset={'9' * 5000}", lambda c: c.dataset, "9" * 5000),  # more digits than Python reads
    ],
)
def test_overrides(override, read, value):
    assert read(load_config("image-speech", [override])) == value


def test_an_override_changes_nothing_beside_it_and_the_last_one_counts():
    config = load_config("image-speech_paper", ["weights.reconstruction=0.1", "weights.reconstruction=0.2"])
    base = load_config("image-speech_paper")
    assert config == base.model_copy(update={"weights": base.weights.model_copy(update={"reconstruction": 0.2})})
    assert load_config("image-speech_paper", d_v=7) == base.model_copy(update={"d_v": 7})


@pytest.mark.parametrize(
    ("override", "pieces"),
    [
        ("no_such_thing=1", ["no_such_thing", "no such setting"]),
        ("encoder_dept=1", ["did you mean encoder_depth?"]),
        ("weights.l6=1", ["weights.l6", "no such setting", "it is one of alignment, classification, feature_norm"]),
        ("weights.l5=1", ["weights.l5: is weights.reconstruction now", "λ4 reconstruction, λ5 regulariser"]),
        ("stage1.epoch=1", ["stage1.epoch", "did you mean stage1.epochs?"]),
        ("epochs=1", ["epochs: no such setting; did you mean stage1.epochs or stage2.epochs?"]),
        ("classifier=sharde", ["classifier", "'shared', 'concatenated' or 'separate'", "'sharde'"]),
        ("seed=abc", ["seed", "integer", "'abc'"]),
        ("seed=1.5", ["seed", "integer", "1.5"]),
        ("stage1.epochs=true", ["stage1.epochs: a number, not true"]),
        ("scenes=false", ["scenes: a number, not false"]),
        ("d_z=99999999999999999999", ["d_z: at most 1000000000, not 99999999999999999999"]),
        ("stage1.epochs=1000000001", ["stage1.epochs: at most 1000000000, not 1000000001"]),
        ("stage1.hidden=[4, 9223372036854775808]", ["stage1.hidden: at most 1000000000, not 9223372036854775808"]),
        ("band_axis=-9223372036854775809", ["band_axis: at most"]),
        ("seed=-1", ["seed", "greater than or equal to 0", "-1"]),
        ("weights.alignment=-1", ["weights.alignment", "-1"]),
        ("weights.alignment=nan", ["weights.alignment", "nan"]),
        ("test_share=1", ["test_share", "less than 1"]),
        ("stage1.lr=0", ["stage1.lr", "greater than 0"]),
        ("stage1.hidden=[1, x]", ["stage1.hidden"]),
        ("stage1.hidden=[1, 'x']", ["stage1.hidden.1", "integer"]),
        ("image_size=100", ["image_size", "64, 128 or 256"]),
        ("fused=maybe", ["fused", "boolean"]),
        ("weights=1", ["weights"]),
        ("classes=[3]", ["classes.0", "string"]),
        ("system=3", ["system 3 is unknown", "it is one of cmirnet"]),
        ("system=[1]", ["system [1] is unknown"]),
        ("system.x=1", ["system {'x': 1} is unknown"]),
        ("seed", ["--set seed", "key=value", "for example"]),
        ("seed.x=1", ["seed"]),
        ("d_v.x=1", ["d_v is not a table"]),
    ],
)
def test_a_wrong_override_is_refused_in_one_line_with_a_hint(override, pieces):
    with pytest.raises(InputError) as caught:
        load_config("image-speech_paper", [override])
    message = str(caught.value)
    assert "\n" not in message and message.startswith("--set "), message
    assert [piece for piece in pieces if piece not in message] == [], message


@pytest.mark.parametrize(
    ("preset", "pieces"),
    [
        ("pan-mul_papr", ["pan-mul_papr", "unknown", "did you mean pan-mul_paper?"]),
        ("xyz", ["xyz", "unknown", "image-speech", "pan-mul_released"]),
        ("missing.toml", ["missing.toml", "not a readable settings file"]),
    ],
)
def test_an_unknown_preset_is_refused_in_one_line_with_a_hint(preset, pieces):
    with pytest.raises(InputError) as caught:
        load_config(preset)
    assert "\n" not in str(caught.value)
    assert [piece for piece in pieces if piece not in str(caught.value)] == [], str(caught.value)


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        (b"scenario = ", "not valid TOML"),
        (b"\xff\xfea", "not a readable settings file"),
        (b"", "scenario"),
        (b'scenario = "sound"', "scenario"),
        (b'scenario = "pan-mul"\nimage_size = 64', "image_size is the side of PAN, 256"),
        (b'scenario = "image-speech"\n[weights]\nl9 = 1', "weights.l9: no such setting"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, piece):
    path = tmp_path / "mine.toml"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ") and piece in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_preset_says_wrongly_is_no_fault_of_set(tmp_path):
    (tmp_path / "mine.toml").write_text('scenario = "image-speech"\nd_v = 0', encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.toml: d_v: .*, not 0"):
        load_config(tmp_path / "mine.toml", ["seed=3"], d_z=4)
    with pytest.raises(InputError, match=r"^d_z: .*, not 0"):
        load_config("image-speech", ["seed=3"], d_z=0)


def test_settings_do_not_change():
    config = load_config("image-speech")
    for section, name in ((config, "seed"), (config.weights, "alignment")):
        with pytest.raises(ValidationError):
            setattr(section, name, 5)


def test_the_names_that_are_no_folders_are_those_that_data_know():
    assert set(NO_FOLDERS) == {"speech-features", "bundled", *WORLDS_SKETCHES, *TRACERS}
