"""Validated settings; `presets/*.toml` holds one file per experiment, which says where it departs from these defaults.

A comment that names "paper" or "code" marks a setting on which the paper and its released code disagree.
"""

import difflib
import json
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import InputError


class Section(BaseModel):
    """A table of settings: unknown keys are errors, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Orthogonality(Section):
    """The second term of eq. 1."""

    target: Literal["identity", "ones", "off"] = "identity"  # ones: the literal text; off: code
    weight: float = Field(1.0, ge=0)
    scaled: bool = False  # ‖ZᵀZ/N − I‖² instead of ‖ZᵀZ − I‖²
    before_relu: bool = False


class Weights(Section):
    """The weights of eq. 6, each named after the term that it multiplies."""

    alignment: float = Field(1.0, ge=0)  # λ₁, of L₂
    classification: float = Field(1.0, ge=0)  # λ₂, of L₃
    feature_norm: float = Field(1.0, ge=0)  # λ₃, of L₄
    reconstruction: float = Field(1.0, ge=0)  # λ₄, of L₅
    regulariser: float = Field(1.0, ge=0)  # λ₅, of R


class Schedule(Section):
    """How long and how fast a stage learns."""

    epochs: int = Field(40, ge=1)
    batch_size: int = Field(64, ge=1)
    lr: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)  # share of the steps over which lr rises from 0
    weight_decay: float = Field(0.0, ge=0)  # decoupled, on matrices and kernels only
    keep: Literal["best", "last"] = "best"  # the epoch that validates best, or the last whatever came of it


class Stage1(Schedule):
    """The pretrainers."""

    augment: bool = True  # flips and quarter turns of images, small shifts of sounds in time and pitch
    average_views: bool = False  # features are the mean over those flips and turns
    dropout: float = Field(0.5, ge=0, lt=1)  # between Z and the classifier of eq. 1
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "by-modality"  # as below, in eq. 1
    hidden: tuple[
        Annotated[int, Field(ge=1)], ...
    ] = ()  # widths between ready-made vectors and Z: 512 for 4096 → 512 → 128


class Stage2(Schedule):
    """The latent network."""

    feature_dropout: float = Field(0.0, ge=0, lt=1)  # of Z, as input and as target; not in paper or code


class Config(Section):
    """Every setting of one run."""

    scenario: Literal["pan-mul", "image-speech"]
    dataset: str = "ucmerced"  # ucmerced, dsrsid, folder, features, scenes
    scenes: int | None = Field(None, ge=1)  # how many of the simulated world, where it is the data set
    scenes_seed: int = Field(0, ge=0)  # of that world, apart from `seed`: another seed trains on the same scenes
    speech: str = "speech-features"  # bundled, or a folder <label>/<voice>.{wav,flac,ogg}
    speech_voice: str | None = None  # regular expression whose group 1 is the voice
    image_size: Literal[64, 128, 256] = 64  # side of RGB images, or of PAN (MUL is a quarter of it)
    sample_axis: int | None = None  # of DSRSID's arrays, where it cannot be told
    band_axis: int | None = None
    protocol: Literal["auto", "voices", "recordings", "paper"] = "auto"
    gallery: Literal["test", "train", "all"] = "test"
    test_share: float = Field(0.3, gt=0, lt=1)
    validation_share: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    d_z: int = Field(128, ge=1)
    d_v: int = Field(64, ge=1)
    distance: Literal["euclidean", "released"] = "euclidean"
    normalise_inputs: Literal["standardise", "centre", "none"] = "standardise"  # none: code
    normalise_features: Literal["standardise", "scale", "none"] = "none"  # of Z, before stage 2
    bias_init: Literal["zero", "xavier"] = "zero"  # xavier: code

    block_order: Literal["conv-pool-act-norm", "conv-act-norm-pool"] = "conv-pool-act-norm"  # paper, code
    batch_norm: Literal["train", "frozen"] = "train"  # frozen: code
    fused: bool = True  # the fast twins of ops/fused; False: the plain operations, same values
    orthogonality: Orthogonality = Orthogonality()

    encoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    decoder_depth: int = Field(3, ge=1)  # paper 3, code 1
    encoder_activation: Literal["relu", "hidden", "linear"] = "relu"  # relu: paper and code; hidden: V is linear
    decoder_activation: Literal["relu", "hidden", "linear"] = "relu"
    latent_dropout: Literal["none", "a", "b", "both"] = "none"  # code: a (PAN) for pan-mul, b (speech) for image-speech
    classifier: Literal["shared", "concatenated", "separate"] = "shared"  # separate: code
    label_loss: Literal["softmax", "sigmoid", "by-modality"] = "softmax"  # by-modality: sigmoid where multi-label
    head_decay: float = Field(0.0, ge=0)

    weights: Weights = Weights()
    reduction: Literal["sum", "mean"] = "mean"
    decoder_target: Literal["cross", "own"] = "cross"  # own: speech code
    target_gradient: Literal["stop", "flow"] = "stop"
    frobenius: Literal["squared", "unsquared"] = "squared"  # unsquared: code
    alpha: float = Field(0.0, ge=0)
    alpha_reading: Literal["elementwise", "norm", "released"] = "norm"
    regularized_layers: Literal["all", "last"] = "all"

    stages: Literal["separate", "joint", "end-to-end"] = "separate"  # joint: speech code; end-to-end: ablation
    update: Literal["together", "alternating"] = "together"  # alternating: Algorithm 1
    stage1: Stage1 = Stage1()
    stage2: Stage2 = Stage2()

    @model_validator(mode="after")
    def _fit_together(self):
        if self.scenario == "pan-mul" and self.image_size != 256:
            raise ValueError("image_size is the side of PAN, 256, in scenario pan-mul")
        if self.scenario == "pan-mul" and self.protocol in ("voices", "recordings"):
            raise ValueError(f"protocol {self.protocol} holds out recordings; pan-mul splits its pairs: use auto")
        return self


NEW_NAMES = {  # of the weights of eq. 6, by the names that earlier versions used
    "l2": "alignment",
    "l3": "classification",
    "l4": "feature_norm",
    "l5": "reconstruction",
    "r": "regulariser",
}


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(
        p.name.removesuffix(".toml") for p in (files(__package__) / "presets").iterdir() if p.name.endswith("toml")
    )


def load_config(preset: str | Path, overrides: Iterable[str] = (), **settings: Any) -> Config:
    """The settings of `preset` (a name of `preset_names()`, or a TOML file) with `key=value` overrides.

    A key of a table is written with a dot: `weights.reconstruction=0.1`. Raises `InputError` for an unknown preset,
    key or value.
    """
    text, source = _read(preset)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not valid TOML: {error}") from error
    for override in overrides:
        key, found, value = override.partition("=")
        if not found:
            raise InputError(f"--set {override}: expected key=value, for example --set weights.reconstruction=0.1")
        _put(values, key.strip(), _parse(value.strip()))
    for key, value in settings.items():
        nested = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = values[key] | value if nested else value
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{source}: {_first_problem(error)}") from error


def to_toml(config: Config) -> str:
    """All settings (but those that are None) as TOML text, which `load_config` reads back to an equal `Config`."""
    tables, lines = [], []
    for key, value in config.model_dump().items():
        if isinstance(value, dict):
            tables += ["", f"[{key}]", *(f"{k} = {_literal(v)}" for k, v in value.items() if v is not None)]
        elif value is not None:
            lines.append(f"{key} = {_literal(value)}")
    return "\n".join(lines + tables) + "\n"


def _read(preset: str | Path) -> tuple[str, str]:
    if str(preset).endswith(".toml"):
        try:
            return Path(preset).read_text(encoding="utf-8"), str(preset)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{preset}: not a readable settings file ({error.__class__.__name__})") from error
    if str(preset) not in preset_names():
        raise InputError(f"preset {preset}: unknown{_hint(str(preset), preset_names())}")
    return (files(__package__) / "presets" / f"{preset}.toml").read_text(encoding="utf-8"), f"preset {preset}"


def _parse(text: str) -> Any:
    """A TOML value, or the text itself where it is not one (so that strings need no quotes)."""
    try:
        parsed = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
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


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; it is one of {', '.join(known)}"


def with_new_names(values: dict) -> dict:
    """Settings of a run folder, which an earlier version may have written, under the names of today."""
    weights = {NEW_NAMES.get(name, name): value for name, value in values.get("weights", {}).items()}
    return values | {"weights": weights} if weights else values


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["loc"][:1] == ("weights",) and problem["loc"][-1] in NEW_NAMES:
        new = NEW_NAMES[problem["loc"][-1]]
        numbers = ", ".join(f"λ{i} {name}" for i, name in enumerate(NEW_NAMES.values(), start=1))
        return f"{key}: is weights.{new} now; the weights are named after the terms of eq. 6 ({numbers})"
    if problem["type"] == "extra_forbidden":
        *table, name = problem["loc"]
        section = Config.model_fields[table[0]].annotation if table else Config
        return f"{key}: no such setting{_hint(str(name), list(section.model_fields))}"
    message = problem["msg"].removeprefix("Value error, ")
    got = f", not {problem['input']!r}" if problem["type"] not in ("missing", "value_error") else ""
    return f"{key}: {message}{got}" if key else message
