"""Sides run in processes of their own and are timed only when they agree."""

import numpy as np
import pytest

from cmir_ref.bench.peers import Case, ResultsDiffer, count_turns, interleave, relative_differences, require_equal

SIDES = """
import time
import numpy as np
from cmir_ref.bench.peers import Side

def side(value, seconds, size=0, steps=1):
    waste = np.ones(size)
    return Side({"loss": np.array(value), "none": np.zeros(0)}, lambda: time.sleep(seconds) or waste, steps)
"""


@pytest.fixture
def sides(tmp_path, monkeypatch):
    (tmp_path / "toy_sides.py").write_text(SIDES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda **settings: ("toy_sides:side", {"value": 1.0, "seconds": 0.0} | settings)


def test_the_best_of_the_others_is_reported(sides):
    others = {"slow": sides(seconds=0.5), "quick": sides(size=30_000_000)}
    case, seen = Case("toy", sides(seconds=0.01), "numpy", others), []
    entry = interleave(case, repeats=3, on_turn=lambda: seen.append(1))
    assert (entry.name, entry.other) == ("toy", f"numpy {np.__version__} quick")
    assert entry.ours_ms >= 10 and entry.ratio == entry.ours_ms / entry.other_ms
    assert entry.other_peak_mb > entry.peak_mb + 200  # each side's memory is its own
    assert len(seen) == count_turns(case, 3) == 12  # the first of each side is to warm up


def test_a_turn_of_many_steps_or_of_a_part_of_one(sides):
    many, part = (interleave(Case("toy", sides(seconds=0.1, steps=n)), repeats=1).ours_ms for n in (10, 0.1))
    assert 10 <= many < 100 and part >= 1000


def test_no_peer(sides):
    entry = interleave(Case("toy", sides()), repeats=1)
    assert (entry.other, entry.other_ms, entry.ratio, entry.other_peak_mb) == (None, None, None, None)


def test_sides_that_disagree_are_not_timed(sides):
    with pytest.raises(ResultsDiffer, match=r"toy: ours and numpy b differ in loss by 1\.0e-01"):
        interleave(Case("toy", sides(value=1.1), "numpy", {"b": sides()}))


def test_comparison():
    one = {"loss": np.array(2.0), "zero": np.array(1e-7)}
    require_equal(one, {"loss": np.array(2.001), "zero": np.array(0.0)}, "both", 1e-3)
    for other in ({"loss": np.array(2.0)}, {"loss": np.array(2.0), "zero": np.array(1e-2)}, one | {"loss": np.nan}):
        with pytest.raises(ResultsDiffer, match="both"):
            require_equal(one, other, "both", 1e-3)


def test_differences_are_relative_to_the_largest_value():
    wanted = {"large": np.array([1.0, -4.0]), "small": np.array([2e-3]), "zero": np.array([1e-9])}
    assert set(relative_differences(wanted, wanted).values()) == {0.0}
    assert relative_differences(wanted | {"large": np.array([1.0, -2.0])}, wanted)["large"] == 0.5
    assert relative_differences(wanted | {"zero": np.array([0.0])}, wanted)["zero"] == pytest.approx(2.5e-7)
