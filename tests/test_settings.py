"""Every setting changes the result of an otherwise identical tiny run, each of its values differently."""

from contextlib import suppress
from functools import cache
from itertools import combinations
from typing import Literal, NamedTuple, get_args, get_origin

import numpy as np
import pytest
import worlds
from pydantic import BaseModel

from cmir_ref import runs
from cmir_ref.cmirnet import system
from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.config import load_config
from cmir_ref.data import load_data, protocol_of
from cmir_ref.errors import InputError
from cmir_ref.records import Run

WORLDS = {
    "vectors": lambda: worlds.features(multi=True),
    "classes": lambda: worlds.features(),
    "images": lambda: worlds.pictures(18),
    "sounds": lambda: worlds.sounds(),
    "sketches": lambda: worlds.sketches(18),
}


END_TO_END = ("stages=end-to-end", "stage2.epochs=1")


class Case(NamedTuple):
    """Values of one setting that must all differ in their result; None: all that its type allows."""

    values: tuple[str, ...] | None = None
    world: str = "vectors"
    given: tuple[str, ...] = ()  # other settings under which this one matters


CASES = {
    "protocol": Case(("paper", "recordings", "voices")),  # auto is one of them, by the data set
    "gallery": Case(),
    "test_share": Case(("0.3", "0.5")),
    "validation_share": Case(("0.1", "0.4")),
    "seed": Case(("0", "1")),
    "d_z": Case(("12", "16")),
    "d_v": Case(("6", "5")),
    "distance": Case(),
    "trunk": Case(world="images"),
    "trunk_training": Case(world="images", given=("trunk=lite0", "trunk_size=32", "stage1.epochs=2")),
    "trunk_size": Case(("32", "64"), world="images", given=("trunk=lite0",)),
    "trunk_views": Case(("1", "2"), world="images", given=("trunk=lite0", "trunk_size=32", "stage1.augment=true")),
    "normalise_inputs": Case(),
    "normalise_sounds": Case(world="sounds"),
    "normalise_features": Case(),
    "bias_init": Case(),
    "block_order": Case(world="images"),
    "batch_norm": Case(world="images"),
    "orthogonality.target": Case(),
    "orthogonality.weight": Case(("0.1", "0.5")),
    "orthogonality.scaled": Case(("true", "false")),
    "orthogonality.before_relu": Case(("true", "false")),
    "encoder_depth": Case(("1", "3")),
    "decoder_depth": Case(("1", "3")),
    "encoder_activation": Case(),
    "decoder_activation": Case(),
    "latent_dropout": Case(),
    "classifier": Case(world="classes"),
    "label_loss": Case(),
    "head_decay": Case(("0", "0.1")),
    "weights.alignment": Case(("0", "0.5")),
    "weights.classification": Case(("0.5", "1")),
    "weights.feature_norm": Case(("0", "0.1")),
    "weights.reconstruction": Case(("0", "0.1")),
    "weights.regulariser": Case(("0", "0.1")),
    "weights.contrastive": Case(("0", "0.1")),
    "temperature": Case(("0.1", "0.5"), given=("weights.contrastive=0.1",)),
    "reduction": Case(),
    "decoder_target": Case(),
    "target_gradient": Case(
        given=("stages=end-to-end", "weights.reconstruction=1")
    ),  # given features have no gradient to stop
    "frobenius": Case(),
    "alpha": Case(("0", "1")),
    "alpha_reading": Case(given=("weights.regulariser=0.1",)),
    "regularized_layers": Case(given=("weights.regulariser=0.1",)),
    "stages": Case(world="images"),
    "update": Case(),
    "stage1.epochs": Case(("2", "3")),
    "stage1.batch_size": Case(("8", "16")),
    "stage1.lr": Case(("0.005", "0.01")),
    "stage1.schedule": Case(),
    "stage1.warmup": Case(("0", "0.5")),
    "stage1.weight_decay": Case(("0", "0.1")),
    "stage1.average": Case(("0", "0.5")),
    "stage1.keep": Case(given=("stage1.epochs=12", "stage1.lr=0.1", "stage1.schedule=constant")),
    "stage1.augment": Case(("true", "false"), world="images"),
    "stage1.light": Case(("0", "0.2", "0.4"), world="images", given=("stage1.augment=true",)),
    "stage1.crops": Case(("1", "0.8", "0.4"), world="images", given=("stage1.augment=true",)),
    "stage1.cut_out": Case(("0", "0.3", "0.6"), world="images", given=("stage1.augment=true",)),
    "stage1.mix_up": Case(("0", "0.2", "1")),
    "stage1.label_smoothing": Case(("0", "0.1", "0.3")),
    "stage1.voices": Case(("true", "false"), world="sounds", given=("stage1.augment=true",)),
    "stage1.redraw": Case(("yes", "no"), world="sketches", given=("stage1.augment=true",)),
    "stage1.sound_passes": Case(("1", "2", "3"), world="sounds"),
    "stage1.average_views": Case(("true", "false"), world="images"),
    "stage1.average_tempos": Case(("true", "false"), world="sounds"),
    "stage1.dropout": Case(("0", "0.5")),
    "stage1.label_loss": Case(),
    "stage1.hidden": Case(("[]", "[9]", "[9, 7]")),
    "stage2.epochs": Case(("2", "3")),
    "stage2.batch_size": Case(("8", "16")),
    "stage2.lr": Case(("0.005", "0.01")),
    "stage2.schedule": Case(),
    "stage2.warmup": Case(("0", "0.5")),
    "stage2.weight_decay": Case(("0", "0.1")),
    "stage2.feature_dropout": Case(("0", "0.5")),
    "stage2.average": Case(("0", "0.5")),
    "stage2.keep": Case(given=("stage2.epochs=12", "stage2.lr=0.1", "stage2.schedule=constant")),
}
ELSEWHERE = {
    "system": "chooses whose settings these are: tests/test_systems.py",
    "scenario": "chooses the data set's kind; test_cli.py trains both",
    "dataset": "says which files are read: tests/data",
    "sensors": "says which folders are read: tests/data/test_sensor_pairs.py",
    "tile": "says how files are cut: tests/data/test_tiles.py",
    "scenes": "says how many are generated when data are loaded: test_scenes below",
    "scenes_seed": "says which are generated when data are loaded: test_scenes below",
    "speech": "says which files are read: tests/data, and test_a_folder_of_recordings in test_cli.py",
    "split": "whether a caption file's parts are used: tests/data/test_captions.py",
    "keywords": "of captions: tests/amfmn/test_amfmn_settings.py",
    "sketches": "says which files are read: tests/data/test_photo_sketch.py",
    "classes": "says which of them: tests/data/test_photo_sketch.py",
    "start_from": "what a run begins with: tests/test_runs.py",
    "speech_voice": "says how file names are read: tests/data/test_speech.py",
    "image_size": "acts when files are read: test_image_size below",
    "sample_axis": "says how a file is read: tests/data/test_dsrsid.py",
    "band_axis": "says how a file is read: tests/data/test_dsrsid.py",
    "trunk_weights": "says which file is read: tests/cmirnet/test_trunk_stages.py",
    "fused": "changes nothing: test_fused below",
    "stage2.graph": "changes nothing, and does nothing on the host: tests/strict/test_graph.py",
}


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory):
    """Features of frozen trunks are kept here, not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMIR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def fields(section: type[BaseModel] = CmirnetSettings, prefix: str = "") -> dict:
    """Dotted name -> annotation of every setting."""
    found = {}
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields(field.annotation, f"{prefix}{name}.")
        else:
            found[prefix + name] = field.annotation
    return found


def values_of(setting: str) -> tuple[str, ...]:
    annotation = fields()[setting]
    return CASES[setting].values or get_args(annotation)


@cache
def world(name: str):
    return WORLDS[name]()


@cache
def trained(name: str, *changes: str) -> tuple[Run, dict[str, np.ndarray]]:
    """A run, and what its stages made of all samples."""
    made = {}
    return runs.train(worlds.config(*changes), world(name), made=made), made


@cache
def result(name: str, *changes: str) -> dict[str, np.ndarray]:
    """Everything a run ends with: tensors, embeddings, and the figures of its evaluation."""
    run, _ = trained(name, *changes)
    evaluation = runs.evaluate(run)
    figures = {f"map {d}": np.array(m["map"]) for d, m in evaluation["directions"].items()}
    return run.tensors | {f"v_{m}": encoded["v"] for m, encoded in run.encoded.items()} | figures


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_every_setting_has_a_case():
    assert CASES.keys() | ELSEWHERE.keys() == fields().keys(), "a setting needs a case here, or a reason"
    assert not CASES.keys() & ELSEWHERE.keys()


def test_every_choice_is_tried():
    partly = {"protocol", "stage1.redraw"}  # auto is one of the others
    for setting, annotation in fields().items():
        if setting in CASES.keys() - partly and get_origin(annotation) is Literal:
            assert CASES[setting].values is None, f"{setting}: leave the values out, so that a new one is tried too"
    for setting in partly:
        assert set(values_of(setting)) == set(get_args(fields()[setting])) - {"auto"}


def test_tiny_names_every_setting():
    optional = {"scenario", "tile", "scenes", "speech_voice", "start_from", "sample_axis", "band_axis", "trunk_weights"}
    assert worlds.TINY.keys() == fields().keys() - optional


def test_the_same_settings_give_the_same_result():
    again = runs.train(worlds.config(), world("vectors"))
    assert all(np.array_equal(again.tensors[k], result("vectors")[k]) for k in again.tensors)


@pytest.mark.parametrize("setting", CASES)
def test_changes_the_result(setting):
    case = CASES[setting]
    values = values_of(setting)
    assert len(values) > 1
    found = {value: result(case.world, *case.given, f"{setting}={value}") for value in values}
    for one, other in combinations(values, 2):
        assert not same(found[one], found[other]), f"{setting}: {one} and {other} give the same"


def names(idle: dict[str, str], setting: str) -> bool:
    """Whether a setting, or its table, is among the idle ones."""
    return setting in idle or setting.partition(".")[0] in idle


@pytest.mark.parametrize("setting", CASES)
def test_no_setting_is_called_idle_where_it_acts(setting):
    case = CASES[setting]
    for value in values_of(setting):
        config = worlds.config(*case.given, f"{setting}={value}")
        assert not names(config.idle(world(case.world)), setting)


@pytest.mark.parametrize(
    "given",
    [("weights.regulariser=0",), ("orthogonality.weight=0",), ("orthogonality.target=off",), END_TO_END],
    ids=" ".join,
)
@pytest.mark.parametrize("where", ["vectors", "images", "sounds"])
def test_what_is_called_idle_changes_nothing(where, given):
    """All of them at once have another value, but those of which none is allowed: these do not act in silence."""
    kept = [change.partition("=")[0] for change in given]
    idle = worlds.config(*given).idle(world(where))
    changes = []
    for setting in CASES:
        for value in reversed(values_of(setting)) if names(idle, setting) and setting not in kept else ():
            with suppress(InputError):
                if worlds.config(*given, *changes, f"{setting}={value}") != worlds.config(*given, *changes):
                    changes.append(f"{setting}={value}")
                    break
    assert len(changes) > 3 and same(result(where, *given, *changes), result(where, *given)), changes


PAIRED = {  # a second value of each setting that training all at once reads; TINY and EVERYTHING have the first
    "d_v": "5", "bias_init": "xavier", "normalise_inputs": "centre", "encoder_depth": "3", "decoder_depth": "1",
    "encoder_activation": "linear", "decoder_activation": "relu", "latent_dropout": "a", "classifier": "concatenated",
    "label_loss": "softmax", "head_decay": "0.2", "weights.alignment": "0.3", "weights.classification": "0.7",
    "weights.feature_norm": "0.2", "weights.reconstruction": "0.3", "weights.regulariser": "0.3", "reduction": "sum",
    "decoder_target": "own", "target_gradient": "stop", "frobenius": "unsquared", "alpha": "0.8",
    "alpha_reading": "elementwise", "regularized_layers": "last", "update": "alternating", "stage1.hidden": "[9]",
    "stage2.batch_size": "12", "stage2.lr": "0.02", "stage2.schedule": "constant", "stage2.warmup": "0.5",
    "stage2.weight_decay": "0.3", "stage2.feature_dropout": "0.4", "seed": "1", "d_z": "11",
}  # fmt: skip
EVERYTHING = (
    *("stages=end-to-end", "target_gradient=flow", "stage2.epochs=1", "latent_dropout=both", "stage2.batch_size=16"),
    *("weights.regulariser=0.1", "weights.reconstruction=0.5", "head_decay=0.1", "stage2.feature_dropout=0.2"),
)


@cache
def ends(*changes: str) -> tuple[bytes, ...]:
    """The weights after one epoch of all at once, and its losses."""
    run = runs.train(worlds.config(*EVERYTHING, *changes), world("vectors"))
    parts = [repr(line["parts"]).encode() for line in run.history]
    return (*parts, *(array.tobytes() for array in run.tensors.values()))


@pytest.mark.parametrize("setting", PAIRED)
def test_a_setting_acts_beside_any_other(setting):
    """Settings that meet in one line: none is lost where another has its second value too."""
    one = f"{setting}={PAIRED[setting]}"
    assert ends(one) != ends()
    for name, value in PAIRED.items():
        if name > setting:
            both = ends(one, f"{name}={value}")
            assert both not in (ends(one), ends(f"{name}={value}")), f"{one} and {name}={value}"


STAGE2_ONLY = {
    *("d_v", "distance", "normalise_features", "encoder_depth", "decoder_depth", "encoder_activation"),
    *("decoder_activation", "latent_dropout", "classifier", "label_loss", "head_decay", "weights", "reduction"),
    *(
        "temperature",
        "decoder_target",
        "target_gradient",
        "frobenius",
        "alpha",
        "alpha_reading",
        "regularized_layers",
        "update",
    ),
    "stage2",
}


def test_every_setting_has_its_stages():
    """What stage 1 sees is written by hand: a new setting has to be placed."""
    places = [system.DATA, system.SPEECH, system.STAGE1, system.OF_NO_STAGE, STAGE2_ONLY]
    assert sorted(name for place in places for name in place) == sorted(CmirnetSettings.model_fields)


@pytest.mark.parametrize("setting", CASES)
def test_stage_1_depends_on_nothing_that_it_does_not_see(setting):
    """Cells of `replicate` share what stage 1 made wherever the settings that it sees are equal."""
    case = CASES[setting]
    ends = [trained(case.world, *case.given, f"{setting}={value}") for value in values_of(setting)]
    for stage in runs.stages_of(worlds.config(*case.given), world(case.world))[:-1]:
        letter = stage.name[-1]
        made = [
            {k: v for k, v in run.tensors.items() if k.startswith((f"{stage.name}/", f"input.{letter}/"))}
            | {k: v for k, v in made.items() if k in (f"z.{letter}", f"logits.{letter}", f"s.{letter}")}
            for run, made in ends
        ]
        assert setting.split(".")[0] in stage.sees or all(m and same(made[0], m) for m in made), stage.name


def test_augmentation_acts_where_pretrainers_are_trained_along():
    given = ("stages=end-to-end", "stage2.epochs=1")
    assert not same(*(result("images", *given, f"stage1.augment={a}") for a in ("true", "false")))


OF_EQ_1 = (
    *("normalise_features", "orthogonality.target", "orthogonality.weight", "orthogonality.scaled"),
    *("orthogonality.before_relu", "stage1.epochs", "stage1.batch_size", "stage1.lr", "stage1.schedule"),
    *("stage1.warmup", "stage1.weight_decay", "stage1.average", "stage1.keep", "stage1.dropout", "stage1.label_loss"),
    "stage1.sound_passes",
)


@pytest.mark.parametrize("setting", OF_EQ_1)
def test_what_end_to_end_leaves_out_is_that_of_eq_1(setting):
    """As docs/design.md says of `stages`; all the others act there, if they act on such samples at all."""
    given = ("stages=end-to-end", "stage2.epochs=2")
    one, *others = (result("classes", *given, f"{setting}={value}") for value in values_of(setting))
    assert all(same(one, other) for other in others)


def test_features_are_dropped_where_there_are_any(tmp_path):
    given = ("stages=end-to-end", "stage2.epochs=1")
    assert not same(*(result("images", *given, f"stage2.feature_dropout={d}") for d in ("0", "0.5")))  # of b
    images = world("images").modalities["a"]
    both = world("images")._replace(modalities={"a": images, "b": images})
    with pytest.raises(InputError, match="feature_dropout is of features, and end-to-end is given none here: set it"):
        runs.train(worlds.config(*given, "stage2.feature_dropout=0.5"), both, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_are_softened_where_a_stage_learns_from_them(tmp_path):
    """Ready-made vectors are trained along where stages are joint: of these two, none has a stage 1."""
    for change in ("stage1.mix_up=0.4", "stage1.label_smoothing=0.1"):
        with pytest.raises(InputError, match=r"stages joint: vectors have no stage 1 there; set stage1\.mix_up"):
            runs.train(worlds.config("stages=joint", change), world("vectors"), tmp_path / "run")
        assert not same(result("images", "stages=joint", change), result("images", "stages=joint"))
    assert not (tmp_path / "run").exists()


def test_other_voices_speak_where_pretrainers_are_trained_along():
    voices, given = ("stage1.voices=true", "stage1.voices=false"), ("stages=end-to-end", "stage2.epochs=1")
    assert not same(*(result("sounds", *given, "stage1.augment=true", v) for v in voices))


def test_target_gradient_matters_only_where_features_are_trained():
    assert same(result("vectors", "target_gradient=stop"), result("vectors", "target_gradient=flow"))


def test_auto_is_one_of_the_protocols():
    assert protocol_of(worlds.config("protocol=auto")) == "paper"
    assert protocol_of(worlds.config("protocol=auto", "speech=some/folder")) == "voices"
    assert same(result("vectors", "protocol=auto"), result("vectors", "protocol=paper"))


@pytest.mark.parametrize("order", ["conv-pool-act-norm", "conv-act-norm-pool"])
def test_fused(order):
    """The fast twins give the plain operations' result up to rounding."""
    short = (f"block_order={order}", "stage1.epochs=1", "stage2.epochs=1", "stage1.lr=1e-4")
    plain, fused = (result("images", *short, f"fused={f}") for f in ("false", "true"))
    assert plain.keys() == fused.keys()
    for name in plain:
        np.testing.assert_allclose(fused[name], plain[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_image_size(tmp_path):
    worlds.write_released(tmp_path)
    data = {size: load_data(worlds.config(f"image_size={size}"), tmp_path) for size in (64, 128)}
    assert {size: d.modalities["a"].x.shape for size, d in data.items()} == {s: (20, s, s, 3) for s in (64, 128)}
    short = ("stage1.epochs=1", "stage2.epochs=1")
    small, large = (runs.train(worlds.config(*short, f"image_size={s}"), d).tensors for s, d in data.items())
    assert small["stage1.a/params/fc.w"].shape == large["stage1.a/params/fc.w"].shape == (2048, 12)
    assert not np.array_equal(small["stage1.a/params/fc.w"], large["stage1.a/params/fc.w"])


def test_scenes(tmp_path, monkeypatch):
    """How many scenes, and of which world: the same ones whatever the run's own seed is."""
    monkeypatch.setenv("CMIR_CACHE", str(tmp_path))

    def tiles(*changes):
        given = worlds.overrides("dataset=scenes", "image_size=256", *changes)
        return np.asarray(load_data(load_config("pan-mul", given)).modalities["b"].x[:])

    first = tiles("scenes=8")
    assert first.shape == (8, 64, 64, 4) and tiles("scenes=9").shape == (9, 64, 64, 4)
    assert np.array_equal(first, tiles("scenes=8", "seed=5"))
    assert not np.array_equal(first, tiles("scenes=8", "scenes_seed=1"))


@pytest.mark.parametrize(
    ("preset", "changes", "says"),
    [
        ("pan-mul", ["trunk_views=8"], "trunk_views is of lite0, and trunk is conv: set trunk=lite0, or trunk_views=1"),
        ("pan-mul_lite0", ["trunk=conv"], "trunk_training is of lite0.* or trunk_training=frozen"),
        (
            "image-text",
            ["trunk_weights=mine.safetensors"],
            "trunk is small: set trunk=lite0, or leave it out",
        ),
        ("photo-sketch", ["trunk_size=128"], "trunk_size is of lite0.* or trunk_size=224"),
        ("pan-mul_lite0", ["trunk_training=all", "trunk_views=2"], "all of it is trained on: set trunk_views=1"),
        (
            "photo-sketch_mask",
            ["stage1.average_views=true"],
            "attention mask reads maps: set stage1.average_views=f",
        ),
        ("photo-sketch_spatial", ["stage1.average_views=true"], "attention spatial reads maps: set stage1.average_v"),
    ],
)
def test_what_no_trunk_would_act_on_is_refused(preset, changes, says):
    with pytest.raises(InputError, match=says):
        load_config(preset, changes)


@pytest.mark.parametrize(
    ("preset", "changes", "says"),
    [
        ("photo-sketch", ["protocol=voices"], "protocol voices: photo-sketch has no recordings to hold out; use auto"),
        ("image-text", ["protocol=recordings"], "protocol recordings: image-text has no recordings"),
        ("pan-mul", ["protocol=voices"], "protocol voices: pan-mul has no recordings"),
        ("image-speech_voices", ["stage1.augment=false"], "stage1.voices is a part of augment: .* stage1.voices=false"),
        (
            "photo-sketch",
            ["stage1.redraw=yes", "stage1.augment=false"],
            "is a part of .* stage1.redraw=auto",
        ),
        ("photo-sketch_lite0", ["stage1.redraw=yes"], "gone through a frozen part of lite0: set stage1.redraw=auto"),
        (
            "photo-sketch",
            ["attention=none", "attended_inference=pair"],
            "attention is none: set attended_inf.*=mean",
        ),
        ("photo-sketch", ["attention=self", "gate_pairs=half-any"], "and attention is self: set gate_pairs=same-class"),
        (
            "photo-sketch_spatial",
            ["gate_residual=false"],
            "channel, self, mask, and .* spatial: set gate_res.*=true",
        ),
        (
            "image-text_lite0",
            ["trunk_width=2"],
            "trunk_width 2 is of a trunk that learns; leave it at 1",
        ),
        ("image-text_lite0", ["upsampling=bilinear"], "upsampling is of maps of several sizes.* leave it at nearest"),
    ],
)
def test_what_these_data_or_networks_do_not_have_is_refused(preset, changes, says):
    with pytest.raises(InputError, match=says):
        load_config(preset, changes)
