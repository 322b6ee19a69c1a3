"""What the paper printed, read a second time, as it stands there: a row a method or width, both directions abreast."""

import numpy as np

from cmir_ref.cmirnet.published import FIG3, FIG4, TABLE1, TABLE2, TABLE3, TABLE4

BOTH, FOUR = ("a->b", "b->a"), ("a->b", "b->a", "a->a", "b->b")


def rows(table, directions):
    """The figures of a table, a row a width."""
    return [[*np.ravel([row[d] for d in directions])] for row in table.values()]


def test_table_1():
    assert list(TABLE1) == [16, 32, 64] and rows(TABLE1, FOUR) == [
        [95.52, 97.10, 98.77, 99.00, 99.41, 99.82, 99.55, 99.69],
        [98.96, 98.99, 97.95, 97.99, 98.11, 98.40, 98.18, 98.60],
        [99.05, 99.40, 98.93, 98.60, 98.69, 99.40, 98.25, 98.40],
    ]


def test_table_2():
    """PAN → MUL and MUL → PAN, at 16 and at 32."""
    assert {name: [[sizes[n][d] for d in BOTH] for n in (16, 32)] for name, sizes in TABLE2.items()} == {
        "SCM": [[34.72, 36.71], [37.67, 38.71]],
        "DCMH": [[80.76, 80.23], [85.09, 84.45]],
        "SIDHCNN": [[95.53, 97.25], [96.43, 97.89]],
        "CMIR-NET": [[95.52, 98.77], [98.96, 97.95]],
    }


def test_tables_3_and_4():
    assert list(TABLE3) == [32, 64, 128] and rows(TABLE3, BOTH) == [
        [29.67, 60.91, 21.60, 40.11],
        [41.60, 63.15, 42.36, 51.29],
        [62.11, 64.81, 54.21, 56.00],
    ]
    nothing, same, worse = [0.0] * 4, [62.11, 64.81, 54.21, 56.00], [32.09, 52.77, 33.64, 45.01]
    assert list(TABLE4) == [0, 1, 2] and rows(TABLE4, BOTH) == [nothing, same, worse]


def test_figures_3_and_4():
    """The lists of numbers in the released programs: `createfigure.m`, and the comments of `KNNcode.m`."""
    assert [x["b->a"] for x in FIG3.values()] == [99.6, 99.9, 100.0, 99.6, 99.4, 99.7, 99.9, 100.0]
    assert [x["a->b"] for x in FIG3.values()] == [99.5, 99.8, 100.0, 99.5, 99.5, 99.8, 99.9, 100.0]
    assert [[FIG4[term][w] for term in ("L2", "L5", "L3", "nothing")] for w in ("tiles", "places")] == [
        [6.00, 12.40, 94.18, 99.05],
        [1.01, 7.88, 60.71, 64.81],
    ]
