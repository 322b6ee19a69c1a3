"""The plots of a replication, as `replication.Figure`s."""

import io
from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .experiment import Figure
from .plots import COLOURS, STYLES, new_axes, plain_style, show_dollars, svg
from .scores import Score

SHAPES = "os^Dv"
HATCHES = ("", "//", "..", "xx")
FRAME = ((-0.47, 0.47, 0.47, -0.47, -0.47), (-0.47, -0.47, 0.47, 0.47, -0.47))  # around a field of a map
LOGIT_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
WHISKER = {"ls": "", "ecolor": "black", "elinewidth": 0.8, "capsize": 2}

Curves = Mapping[str, Mapping[float, Score]]  # {series: {x: score}}


def figure_of(name: str, figure) -> Figure:
    """A matplotlib figure as both text and PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return Figure(name, svg(figure), file.getvalue())


def new_panels(rows: int, columns: int, size: tuple[float, float]):
    """(figure, axes (rows, columns)) of panels that share their scales, each of `size` in inches."""
    figure, axes = new_axes(size[0] * columns, size[1] * rows)
    axes.remove()
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


@plain_style()
def curves(name: str, panels: Mapping[str, Curves], *, x: str, y: str, scale: str = "linear") -> Figure:
    """Panels by title, with a line for each series and its standard deviation, over a logarithmic axis.

    `scale` is that of the other axis: "linear", or "logit", which is stretched towards 0 and 1.
    """
    figure, grid = new_panels(1, len(panels), (4.0 if len(panels) > 1 else 5.6, 3.0))
    for axes, (title, series) in zip(grid.flat, panels.items(), strict=True):
        looks = zip(cycle(COLOURS), cycle(STYLES), cycle(SHAPES), strict=False)
        for (label, points), (colour, style, shape) in zip(series.items(), looks, strict=False):
            means, spread = [s.mean for s in points.values()], [s.sd or 0.0 for s in points.values()]
            look = {"color": colour, "ls": style, "marker": shape, "ms": 4, "capsize": 2}
            axes.errorbar(list(points), means, spread, label=label, **look)
        axes.set(xscale="log", yscale=scale, xlabel=x)
        if scale == "logit":  # whose automatic limits know nothing of what is clipped
            known = [s.mean for one in panels.values() for points in one.values() for s in points.values() if s.mean]
            axes.set_yticks(LOGIT_TICKS, [f"{tick:g}" for tick in LOGIT_TICKS])
            axes.minorticks_off()
            axes.set_ylim(0.8 * min(known), 0.5 + 0.5 * min(max(known), 0.9999))
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel(y)
    labels = grid[0, 0].get_legend_handles_labels()
    show_dollars(figure.legend(*labels, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.97)))
    return figure_of(name, figure)


@plain_style()
def bars(
    name: str,
    series: Mapping[str, Mapping[str, Score]],
    *,
    y: str,
    outlines: Collection[str] = (),
    marks: str = "",
) -> Figure:
    """A group of bars for each name that a series gives a score, a bar for each series, from 0 up.

    The series called `outlines` are drawn as such, in the colour of the next; `marks` is a line across the group.
    """
    names = list(dict.fromkeys(n for one in series.values() for n in one))
    figure, axes = new_axes(max(6.0, 0.9 * len(names) + 1.5), 3.6)
    as_bars = {label: one for label, one in series.items() if label != marks}
    width = 0.8 / max(len(as_bars), 1)
    filled = 0
    for i, (label, one) in enumerate(as_bars.items()):
        x = [k + (i + 0.5) * width - 0.4 for k in range(len(names))]
        scores = [one.get(n, Score(())) for n in names]
        colour, hatch = COLOURS[filled % len(COLOURS)], HATCHES[filled % len(HATCHES)]
        look = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
        if label in outlines:
            look = {"facecolor": "white", "edgecolor": colour, "hatch": hatch, "lw": 1.2}
        filled += label not in outlines
        axes.bar(x, [s.mean or 0.0 for s in scores], width, label=label, **look)
        spread = [(at, s) for at, s in zip(x, scores, strict=True) if s.sd is not None]
        if spread:
            axes.errorbar([at for at, _ in spread], [s.mean for _, s in spread], [s.sd for _, s in spread], **WHISKER)
    for k, n in enumerate(names):
        if series.get(marks, {}).get(n, Score(())).mean is not None:
            label = marks if k == 0 else None
            axes.plot([k - 0.45, k + 0.45], [series[marks][n].mean] * 2, color="black", lw=1.2, ls=":", label=label)
    axes.set(ylabel=y, ylim=(0, 1.02), xlim=(-0.6, len(names) - 0.4))
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
    show_dollars(axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1)))
    return figure_of(name, figure)


class Map(NamedTuple):
    """The fields of a map: rows of `values`, None where there is none, and what is written into each."""

    title: str
    values: Sequence[Sequence[float | None]]
    texts: Sequence[Sequence[str]]
    framed: tuple[int, int] | None = None  # (row, column) of a field with a frame around it
    uprights: Mapping[str, tuple[int, float]] = MappingProxyType({})  # {style of a line: (row, where it crosses it)}


@plain_style()
def maps(
    name: str,
    grid: Sequence[Sequence[Map]],
    *,
    x: tuple[str, Sequence[str]],
    y: tuple[str, Sequence[str]],
    size: tuple[float, float] = (3.8, 3.2),
) -> Figure:
    """Maps of scores from 0 to 1 in rows of panels, each of `size` in inches; x and y: (name, texts of the ticks)."""
    figure, panels = new_panels(len(grid), len(grid[0]), size)
    for axes, one in zip(panels.flat, (one for row in grid for one in row), strict=True):
        values = np.array(one.values, float)
        axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(values):
            colour = "black" if value > 0.55 else "white"
            axes.text(j, i, one.texts[i][j], ha="center", va="center", fontsize=7.5, color=colour, linespacing=0.95)
        if one.framed is not None:
            i, j = one.framed
            axes.plot(np.array(FRAME[0]) + j, np.array(FRAME[1]) + i, color=COLOURS[4], lw=2.4)
        for style, (i, at) in one.uprights.items():
            axes.plot([at, at], [i - 0.5, i + 0.5], style, color=COLOURS[4], lw=2.4)
        axes.set_title(one.title, fontsize=10)
        axes.set_xticks(range(len(x[1])), x[1], fontsize=8)
        axes.set_yticks(range(len(y[1])), y[1])
        axes.tick_params(length=0)
    for axes in panels[-1]:
        axes.set_xlabel(x[0])
    for axes in panels[:, 0]:
        axes.set_ylabel(y[0])
    figure.subplots_adjust(wspace=0.05, hspace=0.22)
    return figure_of(name, figure)
