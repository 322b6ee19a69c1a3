"""Every setting changes the result of an otherwise identical tiny run, each of its values differently."""

from functools import cache
from itertools import combinations, count
from typing import Literal, NamedTuple, get_args, get_origin

import numpy as np
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cmir_ref import runs
from cmir_ref.amfmn.match import architecture, rate_of
from cmir_ref.amfmn.settings import AmfmnSettings, MatchSchedule
from cmir_ref.config import SharedSettings, load_config, settings_of, to_toml

TINY = (
    "match.epochs=1", "match.batch_size=8", "match.lr=0.01", "labels.epochs=1", "labels.batch_size=8", "d=6",
    "word_width=5", "min_count=1", "match.keep=last", "scenario=image-text", "average_views=false",
)  # fmt: skip


class Case(NamedTuple):
    """Values of one setting that must all differ in their result; None: all that its type allows."""

    values: tuple[str, ...] | None = None
    given: tuple[str, ...] = ()  # other settings under which this one matters


BOTH = ("text=both",)
LONG = ("match.epochs=4", "match.lr=0.03", "margin.gamma=0.2")  # a margin is felt where some pairs are beyond it
ELSEWHERE = {
    "scenario",  # there is but one
    *("labels.keep", "match.keep"),  # felt where scores fall: test_the_best_epoch_is_kept_or_the_last
    "labels.target",  # felt where an image has several labels: test_amfmn_system.py
    *("ties", "margin.stop_words"),  # felt where ties or margins are: test_amfmn_system.py
    "distance",  # there is but one
    "trunk",  # of those, lite0 needs ImageNet's weights: test_amfmn_lite0.py
}
CASES = {
    "text": Case(),
    "vocabulary": Case(given=("min_count=15",)),  # words that reach the count with the test captions alone
    "min_count": Case(("1", "15")),
    "stop_words": Case(),
    "trunk": Case(("small", "conv", "wide")),
    "trunk_width": Case(("1", "2")),
    "maps": Case(),
    "upsampling": Case(),
    "pretrain": Case(("true", "false")),
    "d": Case(("6", "7")),
    "word_width": Case(("5", "6")),
    "map_channels": Case(("2", "3")),
    "mvsa": Case(("true", "false")),
    "map_activation": Case(),
    "unit_maps": Case(("true", "false")),
    "residual": Case(),
    "sentence": Case(),
    "reset": Case(),
    "attention": Case(),
    "fusion": Case(given=BOTH),
    "unit_texts": Case(("true", "false"), BOTH),
    "word_dropout": Case(("0", "0.5")),
    "average_views": Case(("true", "false")),
    "image_dropout": Case(("0", "0.5")),
    "margin.kind": Case(given=LONG),
    "margin.gamma": Case(("0.2", "0.6")),
    "margin.beta": Case(("1", "9"), LONG),
    "margin.prior": Case(given=LONG),
    "negatives": Case(),
    "own_captions": Case(),
    "loss": Case(),
    "labels.epochs": Case(("1", "2"), ("pretrain=true",)),
    "labels.mix_up": Case(("0", "0.2", "1"), ("pretrain=true",)),
    "labels.label_smoothing": Case(("0", "0.1", "0.3"), ("pretrain=true",)),
    "labels.batch_size": Case(("8", "16"), ("pretrain=true",)),
    "labels.lr": Case(("0.01", "0.02"), ("pretrain=true",)),
    "labels.schedule": Case(given=("pretrain=true",)),
    "labels.warmup": Case(("0", "0.5"), ("pretrain=true",)),
    "labels.average": Case(("0", "0.5"), ("pretrain=true", "labels.epochs=2")),
    "labels.weight_decay": Case(("0", "0.1"), ("pretrain=true",)),
    "match.epochs": Case(("1", "2")),
    "match.batch_size": Case(("8", "12")),
    "match.lr": Case(("0.01", "0.02")),
    "match.schedule": Case(given=("match.epochs=2", "match.fall_every=1")),
    "match.fall_every": Case(("1", "2"), ("match.epochs=2",)),
    "match.warmup": Case(("0", "0.5")),
    "match.weight_decay": Case(("0", "0.1")),
    "match.average": Case(("0", "0.5"), ("match.epochs=2",)),
    "match.light": Case(("0", "0.2", "0.4")),
    "match.crops": Case(("1", "0.8", "0.4")),
    "match.cut_out": Case(("0", "0.3", "0.6")),
    "match.augment": Case(("true", "false"), ("match.light=0",)),
}


def fields(section: type[BaseModel] = AmfmnSettings, prefix: str = "") -> dict:
    """Dotted name -> annotation of every setting of AMFMN's own."""
    found = {}
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= fields(field.annotation, f"{prefix}{name}.")
        elif prefix or field.annotation != getattr(SharedSettings.model_fields.get(name), "annotation", None):
            found[prefix + name] = field.annotation
    return found


@cache
def world(keywords="given"):
    return worlds.captioned(keywords=keywords)


def result(*changes: str) -> dict[str, np.ndarray]:
    """Everything a run ends with: tensors, vectors, and the figures of its evaluation."""
    return result_of(to_toml(load_config("image-text", [*TINY, *changes])))


@cache
def result_of(settings: str) -> dict[str, np.ndarray]:
    run = runs.train(settings_of(settings, "a test"), world())
    evaluation = runs.evaluate(run)
    figures = {f"{d} {k}": np.array(x) for d, m in evaluation["directions"].items() for k, x in m.items() if "@" in k}
    return run.tensors | {f"{n}.{m}": x for m, encoded in run.encoded.items() for n, x in encoded.items()} | figures


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_every_setting_has_a_case_and_every_choice_is_tried():
    assert CASES.keys() | ELSEWHERE == fields().keys()
    for setting, annotation in fields().items():
        if get_origin(annotation) is Literal and setting not in ELSEWHERE:
            assert CASES[setting].values is None, setting


@pytest.mark.parametrize("setting", CASES)
def test_changes_the_result(setting):
    case = CASES[setting]
    values = case.values or get_args(fields()[setting])
    found = {value: result(*case.given, f"{setting}={value}") for value in values}
    assert len(found) > 1
    assert [pair for pair in combinations(found, 2) if same(found[pair[0]], found[pair[1]])] == []


@pytest.mark.parametrize("setting", CASES)
def test_no_setting_is_called_idle_where_it_acts(setting):
    case = CASES[setting]
    for value in case.values or get_args(fields()[setting]):
        idle = load_config("image-text", [*TINY, *case.given, f"{setting}={value}"]).idle(world())
        assert setting not in idle and setting.partition(".")[0] not in idle


@pytest.mark.parametrize("given", ["mvsa=false", "text=keywords", "margin.kind=fixed", "match.schedule=cosine"])
def test_what_is_called_idle_changes_nothing(given):
    """All of them at once have their last value."""
    idle = load_config("image-text", [*TINY, given]).idle(world())
    named = [setting for setting in CASES if setting in idle or setting.partition(".")[0] in idle]
    last = [f"{setting}={(CASES[setting].values or get_args(fields()[setting]))[-1]}" for setting in named]
    assert last and load_config("image-text", [*TINY, given, *last]) != load_config("image-text", [*TINY, given])
    assert same(result(given, *last), result(given)), last


def test_where_keywords_come_from_changes_the_result():
    texts = {how: world(how).modalities["b"].texts for how in ("given", "labels", "filtered")}
    assert texts["given"][0] == "This was a very red house . | red house | many trees"
    assert texts["filtered"][1] == "one house near many trees | one house | near | many trees"
    assert texts["labels"][0].startswith("This was a very red house . | ") and len(set(texts.values())) == 3


@pytest.mark.parametrize(("maps", "low"), [(4, 2), (5, 3)])
@pytest.mark.parametrize("trunk", ["small", "lite0"])
def test_how_many_maps_are_low(trunk, maps, low):
    """Paper: five, of which three are low; code: four and two."""
    arch = architecture(load_config("image-text", [f"trunk={trunk}", f"maps={maps}", "match.light=0"]))
    assert (len(arch.trunk.shapes((64, 64, 3))), arch.low) == (maps, low)


@pytest.mark.parametrize(("trunk", "maps"), [("conv", 3), ("wide", 4)])
def test_of_the_pretrainers_blocks_two_maps_are_low(trunk, maps):
    arch = architecture(load_config("image-text", [f"trunk={trunk}"]))
    assert (len(arch.trunk.shapes((64, 64, 3))), arch.low) == (maps, 2)


@pytest.mark.parametrize("trunk", ["small", "conv", "wide"])
def test_larger_images_are_pooled_more_at_once_to_maps_of_the_same_size(trunk):
    sizes = []
    for side in (64, 128, 256):
        trunk_of_side = architecture(load_config("image-text", [f"trunk={trunk}", f"image_size={side}"])).trunk
        sizes.append(trunk_of_side.shapes((side, side, 3)))
    assert sizes[0] == sizes[1] == sizes[2]


@given(steps=st.integers(1, 9), epochs=st.integers(1, 9), fall_every=st.integers(1, 9), warmup=st.floats(0, 0.9))
def test_in_steps_the_rate_falls_every_so_many_epochs(steps, epochs, fall_every, warmup):
    """By a loop over epochs; a warmup rises before, as for every schedule."""
    settings = MatchSchedule(lr=0.5, schedule="steps", epochs=epochs, fall_every=fall_every, warmup=warmup)
    rate, step, lr = rate_of(settings, steps), 0, 0.5
    for epoch in range(epochs):
        lr *= 0.7 if epoch and epoch % fall_every == 0 else 1
        for _ in range(steps):
            rising = min(1, (step + 1) / (warmup * steps * epochs)) if step < warmup * steps * epochs else 1
            assert rate(step) == pytest.approx(lr * rising)
            step += 1


@pytest.mark.parametrize("stage", ["labels", "match"])
def test_the_best_epoch_is_kept_or_the_last(stage, monkeypatch):
    """The score falls from epoch to epoch, whatever the rounding of a processor: the first is the best."""
    fit = runs.Folder.fit

    def falling(folder, task, *rest):
        scores = count(0, -1)
        return fit(folder, task._replace(validate=lambda params, buffers: {"score": float(next(scores))}), *rest)

    monkeypatch.setattr(runs.Folder, "fit", falling)
    changes = (*TINY, "pretrain=true", f"{stage}.epochs=3")
    ends = [runs.train(load_config("image-text", [*changes, f"{stage}.keep={k}"]), world()) for k in ("best", "last")]
    best, last = ({n: w for n, w in run.tensors.items() if n.startswith(f"{stage}/params/")} for run in ends)
    assert best.keys() == last.keys() and any((best[name] != last[name]).any() for name in best)
