"""Sides run in processes of their own and are timed only when they agree."""

import numpy as np
import pytest

from cmir_ref.bench.peers import compare, interleaved

SIDES = """
import time
import numpy as np
from cmir_ref.bench.peers import Side

def side(value, seconds, size=0):
    waste = np.ones(size)
    return Side({"loss": np.array(value), "none": np.zeros(0)}, lambda: time.sleep(seconds) or waste)
"""


@pytest.fixture
def sides(tmp_path, monkeypatch):
    (tmp_path / "toy_sides.py").write_text(SIDES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda **settings: ("toy_sides:side", settings)


def test_the_best_of_the_others_is_reported(sides):
    others = {"slow": sides(value=1.0, seconds=0.5), "quick": sides(value=1.0, seconds=0.0, size=30_000_000)}
    entry = interleaved("toy", sides(value=1.0, seconds=0.01), others, repeats=3)
    assert (entry.name, entry.other) == ("toy", "quick")
    assert entry.ours_ms >= 10 and entry.ratio == entry.ours_ms / entry.other_ms
    assert entry.other_peak_mb > entry.peak_mb + 200  # each side's memory is its own


def test_sides_that_disagree_are_not_timed(sides):
    with pytest.raises(ValueError, match=r"toy: ours and other differ in loss by 1\.0e-01"):
        interleaved("toy", sides(value=1.1, seconds=0), {"other": sides(value=1.0, seconds=0)})


def test_comparison():
    one = {"loss": np.array(2.0), "zero": np.array(1e-7)}
    compare(one, {"loss": np.array(2.001), "zero": np.array(0.0)}, "both", 1e-3)
    for other in ({"loss": np.array(2.0)}, {"loss": np.array(2.0), "zero": np.array(1e-2)}, one | {"loss": np.nan}):
        with pytest.raises(ValueError, match="both"):
            compare(one, other, "both", 1e-3)
