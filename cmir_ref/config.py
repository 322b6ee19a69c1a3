"""The settings that every system has, and how settings are read: presets, `--set`, TOML.

`presets/*.toml` holds one file an experiment, which says where it departs from these defaults and from those of its
system (`cmirnet/settings.py`, …).
"""

import difflib
import json
import tomllib
from collections.abc import Container, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from .errors import InputError
from .text import read_text

OF_LITE0 = ("trunk_training", "trunk_weights", "trunk_views", "trunk_size")  # settings that no other trunk has
MOST = 10**9  # a count: an array twice as wide is still one that NumPy can be asked for, and say no


class SettingsTable(BaseModel):
    """A table of settings: unknown keys are errors, values do not change after validation, no number is true or
    false, no count is beyond MOST."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name].annotation
        if isinstance(value, bool) and {int, float} & {kind, *get_args(kind)}:  # Python takes True for 1
            raise ValueError(f"a number, not {str(value).lower()}")
        return value

    @field_validator("*")
    @classmethod
    def _can_be_counted(cls, value: Any, info: ValidationInfo) -> Any:
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and abs(number) > MOST and not info.field_name.endswith("seed"):
                raise ValueError(f"at most {MOST}, not {number}")
        return value


class Schedule(SettingsTable):
    """How long and how fast a stage learns."""

    epochs: int = Field(40, ge=1)  # passes over the training part
    batch_size: int = Field(64, ge=1)  # samples of a step, or pairs
    lr: float = Field(1e-3, gt=0)  # Adam's rate
    schedule: Literal["constant", "cosine"] = "cosine"  # cosine: falls to 0 over the epochs
    warmup: float = Field(0.0, ge=0, lt=1)  # share of the steps over which lr rises from 0
    weight_decay: float = Field(0.0, ge=0)  # decoupled, on matrices and kernels only
    average: float = Field(0.0, ge=0, lt=1)  # share of earlier epochs in the mean of weights that is kept; 0: none
    keep: Literal["best", "last"] = "best"  # the epoch that validates best; last: for fewer than 50 that validate


class Looks(SettingsTable):
    """How images are seen while a stage learns from them, each time anew."""

    augment: bool = True  # flips and quarter turns of images
    light: float = Field(0.0, ge=0)  # of images: the spread of gain and lift, in deviations of their values
    crops: float = Field(1.0, gt=0, le=1)  # of images: a random part of at least so much of the side, blown up; 1: all
    cut_out: float = Field(0.0, ge=0, lt=1)  # of every second image: a square becomes 0, of so much of the shorter side

    @property
    def beyond_turns(self) -> list[str]:
        """Those of these settings by which images are changed, besides flips and turns."""
        neutral = {name: field.default for name, field in Looks.model_fields.items() if name != "augment"}
        return [name for name, value in neutral.items() if getattr(self, name) != value]


class SoftLabels(SettingsTable):
    """What a classifier is told less surely than its labels are."""

    mix_up: float = Field(0.0, ge=0)  # m: samples and labels are mixed with those of another, by Beta(m, m); 0: not
    label_smoothing: float = Field(0.0, ge=0, lt=1)  # the share of a label that is spread evenly over all answers


def check_looks(looks: Looks, trunk: str, trunk_training: str, table: str) -> None:
    """Raises `ValueError` for a look that no image would have; `table` is that of these settings."""
    for name in looks.beyond_turns:
        off = f"{table}.{name}={Looks.model_fields[name].default:g}"
        if not looks.augment:
            raise ValueError(f"{table}.{name} is a part of augment: set {table}.augment=true, or {off}")
        if trunk == "lite0" and trunk_training != "all":
            gone = "those have gone through a frozen part of lite0"
            raise ValueError(f"{table}.{name} changes images, and {gone}: set {off}")


def check_protocol(settings: "SharedSettings", recordings: bool = False) -> None:
    """Raises `ValueError` for a protocol of recordings where there are none: a report would name it all the same."""
    if settings.protocol in ("voices", "recordings") and not recordings:
        raise ValueError(f"protocol {settings.protocol}: {settings.scenario} has no recordings to hold out; use auto")


def idle_of(what: str, idle: bool, *names: str) -> dict[str, str]:
    """{name: `what` the settings are of} where they are `idle`, else nothing: see `SharedSettings.idle`."""
    return dict.fromkeys(names, what) if idle else {}


class SharedSettings(SettingsTable):
    """What every system is told: which data, how they are split, which gallery is searched, and the seed."""

    system: str = "cmirnet"  # whose network and objective: a name of systems.SYSTEMS
    scenario: str  # what is searched with what: pan-mul, image-speech, photo-sketch, image-text
    dataset: str = "ucmerced"  # ucmerced, dsrsid, folder, pairs, features, captions, scenes
    sensors: tuple[str, str] = ("pan", "mul")  # of pairs: the folders of a and b, by name or by a path from the data's
    tile: int | None = Field(None, ge=8)  # of pairs: images are cut in tiles of so many pixels a side of the finer one
    scenes: int | None = Field(None, ge=1)  # how many of the simulated world, where it is the data set
    scenes_seed: int = Field(0, ge=0)  # of that world, apart from `seed`: another seed trains on the same scenes
    speech: str = "speech-features"  # speech-features, bundled, or a folder <label>/<voice>.{wav,flac,ogg,mp3,…}
    sketches: str = "drawings"  # drawings, scenes (the world's), canny, strokes, or a folder <class>/<drawing>
    classes: tuple[str, ...] = ()  # of photos and sketches, in any spelling; none: all that both have
    speech_voice: str | None = None  # regular expression whose group 1 is the voice
    image_size: Literal[64, 128, 256] = 64  # side of RGB images, or of PAN (MUL is a quarter of it); of pairs: at most
    sample_axis: int | None = None  # of DSRSID's arrays, where it cannot be told
    band_axis: int | None = None  # likewise, the axis of MUL's bands
    split: Literal["file", "random"] = "file"  # the parts that a caption file names, or drawn by seed and shares
    keywords: Literal["given", "labels", "filtered"] = "given"  # of a caption: the file's; its labels' names; its words
    protocol: Literal["auto", "voices", "recordings", "paper"] = "auto"  # auto: voices where they are known, else paper
    gallery: Literal["test", "train", "all"] = "test"  # the part that is searched; all: code
    test_share: float = Field(0.3, gt=0, lt=1)  # of all samples
    validation_share: float = Field(0.1, gt=0, lt=1)  # of what is not the test part
    seed: int = Field(0, ge=0)  # of every random draw of the run
    start_from: str | None = None  # a run folder: its weights are what every stage begins with (fine-tuning)
    distance: Literal["euclidean", "cosine", "released"] = "euclidean"  # cosine: ours; released: code, no metric
    trunk: Literal["conv", "lite0"] = "conv"  # lite0: images through ImageNet's weights, as paper and code have VGG-16
    trunk_training: Literal["frozen", "last", "all"] = "frozen"  # of lite0: what is trained on in stage 1
    trunk_weights: str | None = None  # a file of lite0's weights; without one, those of the extra `imagenet`
    trunk_views: int = Field(1, ge=1, le=8)  # in how many flips and turns lite0's frozen part sees an image
    trunk_size: int = Field(224, ge=32, le=1024, multiple_of=32)  # side that images are brought to for lite0

    @model_validator(mode="after")
    def _trunk_fits(self):
        for name in OF_LITE0 if self.trunk != "lite0" else ():
            off = SharedSettings.model_fields[name].default
            if getattr(self, name) != off:
                leave = "leave it out" if off is None else f"{name}={off}"
                raise ValueError(f"{name} is of lite0, and trunk is {self.trunk}: set trunk=lite0, or {leave}")
        if self.trunk_training == "all" and self.trunk_views > 1:
            raise ValueError("trunk_views are of lite0's frozen part, and all of it is trained on: set trunk_views=1")
        return self

    def idle(self, data: Any) -> dict[str, str]:
        """The settings (and tables of them) that change nothing for this data set and beside the others: by name, what
        each is of."""
        named = self.split == "file" and data.parts is not None
        sketched = self.scenario == "photo-sketch" and self.sketches in ("drawings", "scenes")
        by_file = "parts that are drawn, and the file names them"
        return (
            idle_of("recordings", self.scenario != "image-speech", "speech", "speech_voice")
            | idle_of("photos and sketches", self.scenario != "photo-sketch", "sketches", "classes")
            | idle_of("captions", self.scenario != "image-text", "split", "keywords")
            | idle_of("dataset pairs", self.dataset != "pairs", "sensors", "tile")
            | idle_of("dataset dsrsid", self.dataset != "dsrsid", "sample_axis", "band_axis")
            | idle_of("dataset scenes", self.dataset != "scenes", "scenes")
            | idle_of("the simulated world", not sketched and self.dataset != "scenes", "scenes_seed")
            | idle_of(by_file, named, "test_share")
            | idle_of(by_file, named and len(data.parts.validation["a"]) > 0, "validation_share")
        )

    @property
    def reads_maps(self) -> bool:
        """Whether of a frozen trunk its maps are read, not its pooled features alone."""
        return False

    @property
    def needs_labels(self) -> str:
        """What in these settings learns from labels, so that pairs alone are not enough; "" where nothing does."""
        return f"system {self.system}"

    @property
    def loss_weights(self) -> dict[str, float]:
        """What each part of a loss is multiplied by in the sum, by the part's name, where it is not 1."""
        return {}


NEW_NAMES = {  # of the weights of eq. 6, by the names that earlier versions used
    "l2": "alignment",
    "l3": "classification",
    "l4": "feature_norm",
    "l5": "reconstruction",
    "r": "regulariser",
}


SAMPLE_KINDS = ("land-cover", "objects", "speech")  # what `cmir-ref samples` writes; here, for `--help` needs them


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(
        p.name.removesuffix(".toml") for p in (files(__package__) / "presets").iterdir() if p.name.endswith("toml")
    )


def load_config(preset: str | Path, overrides: Iterable[str] = (), **settings: Any) -> SharedSettings:
    """The settings of `preset` (a name of `preset_names()`, or a TOML file) with `key=value` overrides.

    A key of a table is written with a dot: `weights.reconstruction=0.1`. Raises `InputError` for an unknown preset,
    key or value.
    """
    text, source = read_preset(preset)
    values, said = _parsed(text, source), {}
    for override in overrides:
        key, found, value = override.partition("=")
        if not found:
            raise InputError(f"--set {override}: expected key=value, for example --set weights.reconstruction=0.1")
        said[key.strip()] = value.strip()
        _put(values, key.strip(), _parse(value.strip()))
    for key, value in settings.items():
        nested = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = values[key] | value if nested else value
    return _validated(values, source, said, settings)


def load_run_settings(path: Path) -> SharedSettings:
    """The settings of a run folder's config.toml, which an earlier version may have written with other names."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")  # bytes of names that are not UTF-8
    except OSError as error:
        raise InputError(f"{path}: not a readable settings file ({error.strerror})") from error
    return settings_of(text, str(path))


def settings_of(text: str, source: str) -> SharedSettings:
    """The settings that `to_toml` wrote, here or in an earlier version; errors name the `source`."""
    return _validated(with_new_names(_parsed(text, source)), source)


NO_FOLDERS = ("speech-features", "bundled", "drawings", "scenes", "canny", "strokes")  # values of speech and sketches


def first_difference(one: BaseModel, other: BaseModel) -> str | None:
    """The dotted name of the first setting in which two differ; None where they are the same.

    Where samples, a trunk's weights, or the run of `start_from`, lie is no difference: a run's checkpoint knows them by
    digests.
    """
    for name, value in one:
        theirs = getattr(other, name, None)
        if isinstance(value, BaseModel) and isinstance(theirs, BaseModel):
            if inner := first_difference(value, theirs):
                return f"{name}.{inner}"
        elif _without_place(name, value) != _without_place(name, theirs):
            return name
    return None


def _without_place(name: str, value: Any) -> Any:
    """What is left of a setting's value without the file or folder in which something lies."""
    if name in ("speech", "sketches"):
        return value if value in NO_FOLDERS else ""
    if name == "sensors":
        return [Path(path).name for path in value]
    return bool(value) if name in ("start_from", "trunk_weights") else value


def to_toml(config: SharedSettings) -> str:
    """All settings (but those that are None) as TOML text, which `load_config` reads back to equal settings."""
    tables, lines = [], []
    for key, value in config.model_dump().items():
        if isinstance(value, dict):
            tables += ["", f"[{key}]", *(f"{k} = {_literal(v)}" for k, v in value.items() if v is not None)]
        elif value is not None:
            lines.append(f"{key} = {_literal(value)}")
    return "\n".join(lines + tables) + "\n"


def _validated(
    values: dict, source: str, said: Mapping[str, str] = MappingProxyType({}), given: Container[str] = ()
) -> SharedSettings:
    """`values` as the settings of the system that they name; a name that TOML reads as a number or a date (a folder
    2026-11-28) is taken as it was `said`. Errors name the `source`, or --set where a value was `said`, and for what was
    `given` by a caller the setting alone."""
    from .systems import SYSTEMS

    def whose(*place: str | int) -> str:
        path = ".".join(map(str, place)) + "."
        if place and any(path.startswith(f"{key}.") or f"{key}.".startswith(path) for key in said):
            return "--set "
        return "" if place[:1] and place[0] in given else f"{source}: "

    system = values.get("system", SharedSettings.model_fields["system"].default)
    if not isinstance(system, str) or system not in SYSTEMS:
        raise InputError(f"{whose('system')}system {system!r} is unknown{_hint(str(system), list(SYSTEMS))}")
    settings = SYSTEMS[system].settings
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        misread = {".".join(map(str, problem["loc"])) for problem in error.errors() if problem["type"] == "string_type"}
        names = {key: text for key, text in said.items() if key in misread}
        if not names:
            raise InputError(whose(*error.errors()[0]["loc"]) + _first_problem(error, settings)) from error
    for key, text in names.items():
        _put(values, key, text)
    return _validated(values, source, said, given)


def _parsed(text: str, source: str) -> dict:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(f"{source}: not valid TOML: nested too deeply") from error
    except ValueError as error:  # tomllib's own, and those of numbers and dates that Python does not hold
        raise InputError(f"{source}: not valid TOML: {error}") from error


def read_preset(preset: str | Path) -> tuple[str, str]:
    """(the TOML text, what errors call it) of a name of `preset_names()` or a file; raises `InputError` for another."""
    if str(preset).endswith(".toml"):
        try:
            return read_text(preset), str(preset)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{preset}: not a readable settings file ({error.__class__.__name__})") from error
    if str(preset) not in preset_names():
        raise InputError(f"preset {preset}: unknown{_hint(str(preset), preset_names())}")
    return (files(__package__) / "presets" / f"{preset}.toml").read_text(encoding="utf-8"), f"preset {preset}"


def _parse(text: str) -> Any:
    """A TOML value, or the text itself where it is not one (so that strings need no quotes)."""
    try:
        parsed = tomllib.loads(f"v = {text}")
    except (ValueError, RecursionError):  # no TOML, or a number or a nesting that Python does not hold
        return text
    return parsed["v"] if len(parsed) == 1 else text


def _put(values: dict, key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {key}: {table} is not a table of settings")
    values[last] = value


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's basic strings are JSON's
    return repr(value)


def _hint(name: str, known: list[str], table: str = "") -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {table}{close[0]}?" if close else f"; it is one of {', '.join(known)}"


def with_new_names(values: dict) -> dict:
    """Settings of a run folder, which an earlier version may have written, under the names of today."""
    weights = values.get("weights")
    if not isinstance(weights, dict):
        return values
    return values | {"weights": {NEW_NAMES.get(name, name): value for name, value in weights.items()}}


def _first_problem(error: ValidationError, settings: type[SharedSettings]) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["loc"][:1] == ("weights",) and problem["loc"][-1] in NEW_NAMES:
        new = NEW_NAMES[problem["loc"][-1]]
        numbers = ", ".join(f"λ{i} {name}" for i, name in enumerate(NEW_NAMES.values(), start=1))
        return f"{key}: is weights.{new} now; the weights are named after the terms of eq. 6 ({numbers})"
    if problem["type"] == "extra_forbidden":
        *table, name = map(str, problem["loc"])
        tables = {t: getattr(field.annotation, "model_fields", ()) for t, field in settings.model_fields.items()}
        if not table and (inside := [f"{t}.{name}" for t, names in tables.items() if name in names]):
            return f"{key}: no such setting; did you mean {' or '.join(inside)}?"
        known, prefix = (tables[table[0]], f"{table[0]}.") if table else (tables, "")
        return f"{key}: no such setting{_hint(name, list(known), prefix)}"
    message = problem["msg"].removeprefix("Value error, ")
    got = f", not {problem['input']!r}" if problem["type"] not in ("missing", "value_error") else ""
    return f"{key}: {message}{got}" if key else message
