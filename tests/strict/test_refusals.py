"""What the stand-in refuses, by which rule; what it allows; and, where there is a GPU, whether CuPy does the same."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
from strict.standin import RULES, DeviceArray, Refused, no_traffic, traffic
from strict.standin import xp as strict

# (rule, who refuses, the text of what is refused); d (3, 4) float32, s and t 0-d float32 and int64, i (2,) int64,
# m (3, 4) bool, h = d on the host, xp the library, rng the host's
TABLE = [
    ("no such name", "CuPy", "xp.errstate(all='ignore')"),
    ("no such name", "CuPy", "xp.vecdot(d, d)"),
    ("no such name", "CuPy", "xp.insert(d, 0, 1.0)"),
    ("no such name", "CuPy", "xp.geomspace(1, 2, 3)"),
    ("no such name", "CuPy", "xp.nditer(d)"),
    ("no such name", "CuPy", "xp.exp.at(d, i)"),
    ("no such name", "CuPy", "xp.multiply.at(d, i, 2.0)"),
    ("no such name", "CuPy", "d.resize(4, 3)"),
    ("no such name", "ours", "xp.product(d)"),  # NumPy has dropped it
    ("no such parameter", "CuPy", "xp.sum(d, initial=0)"),
    ("no such parameter", "CuPy", "d.max(where=m)"),
    ("no such parameter", "CuPy", "xp.exp(d, where=m)"),
    ("no such parameter", "CuPy", "xp.zeros(3, device='cpu')"),
    ("no such parameter", "CuPy", "xp.argsort(d, stable=True)"),
    ("no such parameter", "CuPy", "xp.lib.stride_tricks.as_strided(d, (2,), (4,), writeable=False)"),
    ("no such dtype", "CuPy", "d.astype('longdouble')"),
    ("no such dtype", "CuPy", "xp.asarray(['word'])"),
    ("no such dtype", "CuPy", "d << 1"),
    ("no such out", "CuPy", "d.min(out=s)"),
    ("no such out", "CuPy", "d.min(axis=1, out=d[:, 0])"),
    ("no such out", "CuPy", "xp.min(d, axis=1, out=d[:, 0])"),
    ("host array", "CuPy", "d + h"),
    ("host array", "CuPy", "h * d"),
    ("host array", "CuPy", "d @ h.T"),
    ("host array", "CuPy", "xp.maximum(d, h)"),
    ("host array", "CuPy", "xp.concatenate([d, h])"),
    ("host array", "CuPy", "xp.where(m, d, h)"),
    ("host array", "CuPy", "xp.sqrt(h)"),
    ("host array", "CuPy", "d.__setitem__(..., h)"),
    ("host array", "ours", "xp.sum(h)"),
    ("host function", "ours", "np.exp(d)"),
    ("host function", "ours", "np.sum(d)"),
    ("host function", "ours", "np.concatenate([d, d])"),
    ("host function", "ours", "np.zeros_like(d)"),
    ("host function", "ours", "np.maximum(d, 0)"),
    ("implicit transfer", "CuPy", "np.asarray(d)"),
    ("implicit transfer", "CuPy", "h.__setitem__(..., d)"),
    ("implicit transfer", "CuPy", "rng.choice(d)"),
    ("implicit transfer", "CuPy", "rng.normal(d)"),
    ("index", "CuPy", "range(t)"),
    ("index", "CuPy", "[1, 2, 3][t]"),
    ("index", "ours", "xp.arange(t)"),
    ("index", "CuPy", "d.sum(axis=t)"),
    ("loop", "ours", "[row for row in d]"),
    ("loop", "ours", "sum(d[0])"),
    ("loop", "ours", "max(d[0])"),
    ("host index", "ours", "d[[0, 1]]"),
    ("host index", "ours", "d[np.array([0, 1])]"),
    ("two masks", "ours", "d[d[:, 0] > 5, d[0] > 3]"),
    ("out of range", "ours", "d[i + 2]"),
    ("repeated index", "ours", "d.__setitem__(i - i, 1.0)"),
    ("device random", "ours", "xp.random.random(3)"),
    ("wait", "ours", "float(s)"),
    ("wait", "ours", "int(s)"),
    ("wait", "ours", "bool(s > 0)"),
    ("wait", "ours", "s.item()"),
    ("wait", "ours", "d.tolist()"),
    ("wait", "ours", "d.get()"),
    ("wait", "ours", "math.sqrt(s)"),
    ("wait", "ours", "f'{s}'"),
    ("wait", "ours", "d[m]"),
    ("wait", "ours", "d.__setitem__(m, 0)"),
    ("wait", "ours", "xp.nonzero(m)"),
    ("wait", "ours", "m.nonzero()"),
    ("wait", "ours", "xp.where(m)"),
    ("wait", "ours", "xp.unique(d)"),
    ("wait", "ours", "xp.bincount(i)"),
    ("upload", "ours", "xp.asarray(h)"),
    ("upload", "ours", "xp.array([1.0, 2.0])"),
    ("upload", "ours", "d.set(h)"),
    ("upload", "ours", "d.__setitem__(i, 1.0)"),
    ("upload", "ours", "xp.append(i, 3)"),
]


def names(xp):
    """What the texts of the table speak of."""
    h = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    device = {
        **{"d": h, "s": np.array(2, np.float32), "t": np.array(1)},
        **{"i": np.arange(2), "m": np.arange(12).reshape(3, 4) % 4 < 2},
    }
    there = {name: xp.asarray(value) for name, value in device.items()}
    return there | {"h": h.copy(), "xp": xp, "np": np, "math": math, "rng": np.random.default_rng(0)}


@pytest.mark.parametrize(("rule", "by", "text"), TABLE, ids=[text for *_, text in TABLE])
def test_the_stand_in_refuses(rule, by, text):
    known = names(strict)
    with pytest.raises(Refused) as caught, no_traffic() if rule in ("wait", "upload") else nullcontext():
        eval(text, known)
    assert caught.value.rule == rule
    if by == "CuPy":
        assert RULES[rule] == "CuPy"


def test_every_rule_is_in_the_table():
    assert {rule for rule, *_ in TABLE} == RULES.keys()


@pytest.mark.gpu
@pytest.mark.parametrize(("rule", "by", "text"), TABLE, ids=[text for *_, text in TABLE])
def test_the_table_says_what_cupy_does(rule, by, text, gpu):
    known = names(gpu)
    with pytest.raises(Exception) if by == "CuPy" else nullcontext():
        eval(text, known)


ALLOWED = [  # what CuPy does without a transfer
    "d + 1, 1 - d, d * np.float64(2), np.float64(2) * d, d @ d.T, -d, abs(d), d ** 2, d > 1, ~m, divmod(d, 2)",
    "d[0], d[0, 1], d[..., None], d[:2, ::-1], d[i], d[:, i], d[i[:, None], i]",
    "d.sum(axis=0, keepdims=True), d.reshape(4, 3), d.reshape((4, 3)), d.T, d.real, d.astype('float64'), d.copy()",
    "d.max(axis=1, out=xp.zeros(3, dtype=d.dtype)), d.sum(axis=1, out=xp.zeros(3, dtype=d.dtype))",
    "xp.where(m, d, 0), xp.concatenate([d, d], axis=1), xp.zeros((2, 3), dtype='float32'), xp.eye(3, dtype=d.dtype)",
    "xp.multiply(d, 2, out=d), xp.asarray(d), xp.add.at(d, i, s), xp.take_along_axis(d, m.astype('int64'), axis=1)",
    "d.__setitem__((i, i), s), d.__setitem__(slice(0, 2), d[1:]), d.__setitem__(0, 1.0), d.fill(1)",
    "xp.linalg, xp.float32(0.5), xp.inf, d.shape, d.dtype, len(d), xp.ndim(d), xp.isfinite(d).all(), d.ndim",
]


@pytest.mark.parametrize("text", ALLOWED)
def test_what_is_allowed_makes_no_traffic(text, xp):
    known = names(xp)
    with no_traffic():
        eval(text, known)


def test_traffic_is_counted():
    before = traffic.uploads.copy(), traffic.waits.copy()
    d = strict.asarray(np.ones(3))
    float(d.sum()), bool(d[d > 0].all()), d.get()
    assert traffic.uploads - before[0] == {"asarray": 1}
    assert traffic.waits - before[1] == {"float": 1, "mask": 1, "bool": 1, "get": 1}


def test_results_stay_on_the_device():
    d = strict.asarray(np.ones((2, 3), dtype=np.float32))
    for found in (d.sum(), d[0, 0], d.mean(axis=0), strict.sqrt(d).max(), d.sum() * 2.0):
        assert isinstance(found, DeviceArray) and found.dtype == np.float32
    assert isinstance(strict.nonzero(d)[0], DeviceArray) and strict.allclose(d, d).shape == ()


def test_what_is_uploaded_is_a_copy_and_a_number_in_brackets_gives_a_view():
    h = np.zeros(3)
    d = strict.asarray(h)
    first = d[0]
    d += 1
    assert h.sum() == 0 and float(first) == 1
