"""Every planted bug is killed by the check that should find it, and whatever computes has a bug planted in it."""

import inspect
import os
import threading
from collections import Counter
from functools import cached_property
from typing import Literal, get_args, get_origin

import catalogue
import planting
import pytest
from catalogue import CATALOGUE
from planting import Bug, Checks, Outcome, changed, exchange, touched
from pydantic import BaseModel

from cmir_ref import retrieval
from cmir_ref.amfmn.settings import AmfmnSettings
from cmir_ref.checks import CHECKS
from cmir_ref.cmirnet.settings import CmirnetSettings
from cmir_ref.equations import EQUATIONS

NOT_COMPUTED = {  # settings whose effect is not in cmirnet, nets, training or retrieval
    "system", "scenario", "dataset", "scenes", "scenes_seed", "speech", "speech_voice", "image_size", "sample_axis",
    "band_axis", "split", "keywords", "sensors", "tile", "sketches", "classes", "start_from",
    "protocol", "gallery", "test_share", "validation_share",  # which data are read, and how they are split
}  # fmt: skip
PLAIN = {  # numbers and switches that are handed on as they are: sizes, lengths, rates, and the twins' switch
    "seed", "d_z", "fused", "stage1.epochs", "stage2.epochs", "stage1.batch_size", "stage2.batch_size", "stage1.lr",
    "stage2.lr", "trunk_size",
}  # fmt: skip
METRICS = {name for name in retrieval.__all__ if inspect.isfunction(getattr(retrieval, name))}
METRICS |= {"ties", "state", "scale", "effective_rank"}
ONE_OF_EACH_FILE = {planting.file_of(bug.killer): bug.killer for bug in CATALOGUE}
TAGS = {tag for bug in CATALOGUE for tag in bug.tags}


def settings(section: type[BaseModel] = CmirnetSettings, prefix: str = "") -> set[str]:
    """What has to be tagged: each value of a setting with named values ("reduction=sum"), else the setting."""
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= settings(kind, f"{prefix}{name}.")
        elif prefix + name not in NOT_COMPUTED | PLAIN:
            values = get_args(kind) if get_origin(kind) is Literal else ()
            found |= {f"{prefix}{name}={value}" for value in values} or {prefix + name}
    return found


@pytest.fixture(scope="session")
def checks():
    with Checks(set(ONE_OF_EACH_FILE)) as running:
        yield running


@pytest.fixture(scope="module")
def wrong():
    """All that some bug changes."""
    return set().union(*map(touched, CATALOGUE))


@pytest.mark.parametrize("bug", CATALOGUE, ids=lambda bug: bug.id)
def test_the_bug_is_killed(checks, bug):
    killed_by, why_not = checks.verdict(bug)
    assert killed_by, why_not


@pytest.mark.parametrize("killer", ONE_OF_EACH_FILE.values(), ids=ONE_OF_EACH_FILE)
def test_what_kills_them_passes_without_a_bug(checks, killer):
    assert checks.without_a_bug([killer]) == ""


def test_there_are_many_and_no_two_are_the_same():
    assert len(CATALOGUE) > 1000  # as lesson 12 says
    assert [id for id, count in Counter(bug.id for bug in CATALOGUE).items() if count > 1] == []
    assert len({(bug.file, bug.old, bug.new) for bug in CATALOGUE}) == len(CATALOGUE)


def test_every_operation_loss_and_network_has_a_bug_in_each_direction(wrong):
    pairs = {check.covers for check in CHECKS}
    assert {name for pair in pairs for name in (pair, f"{pair}_backward")} - wrong == set()
    assert "training.adam.adam" in wrong


def test_every_equation_has_a_bug(wrong):
    assert [e.number for e in EQUATIONS if not {e.function, f"{e.function}_backward"} & wrong] == []


def test_every_weight_and_every_value_of_a_reading_has_a_bug():
    assert not settings() - TAGS
    schedules = {"epochs", "batch_size", "lr", "warmup", "weight_decay", "average", "keep"}
    schedules |= {"augment", "schedule"}  # as above
    shared = {name for name in settings(AmfmnSettings) if name.split("=")[0].rpartition(".")[2] in schedules}
    assert not settings(AmfmnSettings) - shared - TAGS


def test_every_metric_has_a_bug():
    assert not METRICS - TAGS


def test_tags_name_what_there_is():
    assert not TAGS - settings() - settings(AmfmnSettings) - METRICS


# ---- the machinery itself -------------------------------------------------------------------------------------------

KILLER = "ops/test_relu.py::test_relu"
RELU = "return xp.where(x.real <= 0, 0, x), Relu"


def relu(old: str, new: str, killer: str = KILLER) -> Bug:
    return Bug("relu", "ops/relu.py", old, new, killer)


@pytest.mark.parametrize(
    ("bug", "why"),
    [
        (relu("no such text", "x"), "occurs 0 times, not once"),
        (relu("xp.where(x.real <= 0, 0, x)", "x"), "occurs 2 times, not once"),
        (relu("where x > 0, 0 elsewhere; at the kink relu'(0) = 0", "a comment"), "survives"),
        (relu(RELU, RELU.replace("0, x", "0,  x")), "means the same"),
        (relu(RELU, RELU.replace("0, x", "0, y")), "the code does not run: NameError"),
        (relu(RELU, RELU.replace("0, x", "0, -x"), "ops/test_relu.py::test_no"), "no such test"),
        (
            relu("return xp.where(cache.positive, dy, 0)", "return dy"),
            "survives",
        ),  # the killer is a test of the forward function
        (relu("from typing import NamedTuple", "from typing import Any, NamedTuple"), "can be changed in memory"),
    ],
    ids=lambda x: x.new if isinstance(x, Bug) else "",
)
def test_what_is_no_bug_or_not_killed_is_said(checks, bug, why):
    killed_by, why_not = checks.verdict(bug)
    assert not killed_by and why in why_not


def test_a_bug_ends_with_its_check(checks):
    bug = relu(RELU, RELU.replace("0, x", "0, -x"))
    verdicts = [checks.verdict(bug) for _ in range(2)]
    assert verdicts == [(f"tests/{KILLER}", "")] * 2
    assert checks.ask([KILLER], None) == Outcome()


def test_a_check_that_fails_without_a_bug_is_said(checks, monkeypatch):
    assert checks.without_a_bug([KILLER]) == ""
    assert checks.without_a_bug([KILLER, "ops/test_relu.py::test_no"]) == "ops/test_relu.py::test_no: no such test"
    wrong = relu(RELU, RELU.replace("0, x", "0, -x"))
    monkeypatch.setattr(checks, "ask", lambda killers, bug, ask=checks.ask: ask(killers, wrong))
    assert checks.without_a_bug([KILLER]) == f"tests/{KILLER} fails without a bug: AssertionError"


def test_a_check_that_hangs_or_dies_kills_nothing():
    assert planting.in_fork(lambda: os._exit(3), 60) == Outcome(problem="its process died")
    assert planting.in_fork(threading.Event().wait, 0.1) == Outcome(problem="no end after 0.1 s")


def test_functions_methods_and_constants_are_exchanged(monkeypatch):
    class Right:
        def one(self):
            return 1

        @classmethod
        def two(cls, number=2):
            return number

        @property
        def three(self):
            return 3

        @cached_property
        def four(self):
            return 4

    class Wrong:
        def one(self):
            return -1

        @classmethod
        def two(cls, number=-2):
            return number

        @property
        def three(self):
            return -3

        @cached_property
        def four(self):
            return -4

    kept = Right.two
    exchange("Right", Right, Wrong)
    assert (Right().one(), kept(), Right().three, Right().four) == (-1, -2, -3, -4)
    table = catalogue.CATALOGUE
    monkeypatch.setattr(catalogue, "CATALOGUE", table)  # undone afterwards, here and where it was imported to
    monkeypatch.setitem(globals(), "CATALOGUE", table)
    exchange("CATALOGUE", table, [])
    assert catalogue.CATALOGUE == CATALOGUE == []


def test_a_bug_names_what_it_changes():
    assert touched(relu(RELU, RELU.replace("0, x", "1, x"))) == {"ops.relu.relu"}
    betas = Bug("", "training/adam.py", "= 0.9, 0.999, 1e-8", "= 0.9, 0.99, 1e-8", "")
    assert touched(betas) == {f"training.adam.{name}" for name in ("BETA1", "BETA2", "EPSILON")}
    text, _ = changed(betas)
    assert "0.9, 0.99, 1e-8" in text
