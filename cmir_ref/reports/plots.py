"""Figures of a run, as SVG text for a page.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; lines also differ in style, for greyscale.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from ..files import name_bytes_spelled

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
CLASSES = (*COLOURS, "#8C6D1F", "#7F7F7F")
STYLES = ("-", "--", "-.", ":")


@contextmanager
def plain_style() -> Iterator[None]:
    """matplotlib's defaults while a figure is drawn and saved, whatever a reader's matplotlibrc or notebook says.

    Afterwards the reader's style is as it was; pyplot and its backend are never touched. Also a decorator.
    """
    from matplotlib import style

    with style.context("default"):
        yield


@plain_style()
def losses(lines: list[dict], weights: dict[str, float]) -> str:
    """One stage: its loss and each weighted part against the epoch. `lines` are those of metrics.jsonl."""
    figure, axes = new_axes(4.8, 3.2)
    series = {}
    for name in lines[-1]["parts"]:
        weight = weights.get(name, 1.0)
        series[name if weight == 1 else f"{weight:g} · {name}"] = [weight * line["parts"][name] for line in lines]
    _draw(axes, [line["epoch"] for line in lines], series)
    axes.set(ylabel="loss (mean of the epoch)")
    if all(value > 0 for values in series.values() for value in values):
        axes.set_yscale("log")
    return svg(figure)


@plain_style()
def scores(lines: list[dict]) -> str:
    """One stage: its validation scores against the epoch, with a line at the epoch that was kept."""
    figure, axes = new_axes(4.8, 3.2)
    epochs = [line["epoch"] for line in lines]
    kept = max((line["epoch"] for line in lines if line["best"]), default=epochs[-1])
    axes.axvline(kept, color="grey", lw=0.8)
    series = {name: [line["validation"][name] for line in lines] for name in lines[-1]["validation"]}
    _draw(axes, epochs, series)
    axes.set(ylabel="validation score")
    if all(0 <= value <= 1 for values in series.values() for value in values):  # else they are losses, turned round
        axes.set_ylim(0, 1.02)
    return svg(figure)


@plain_style()
def bars_by_class(per_class: dict[str, dict[str, dict]], figure_name: str, words: str) -> str:
    """A figure such as "map" of each class, in words on the axis: a group of bars a class, one bar a direction."""
    names = sorted({name for classes in per_class.values() for name in classes})
    figure, axes = new_axes(max(10.0, 0.5 * len(names) + 1.5), 3.0)
    width = 0.8 / max(len(per_class), 1)
    for i, (direction, classes) in enumerate(per_class.items()):
        places = [k + (i + 0.5) * width - 0.4 for k in range(len(names))]
        values = [classes.get(name, {}).get(figure_name) or 0.0 for name in names]
        axes.bar(places, values, width, label=direction, color=COLOURS[i], hatch=("", "//")[i % 2], edgecolor="white")
    axes.set(ylabel=words, ylim=(0, 1.02), xlim=(-0.6, len(names) - 0.4))
    texts = map(name_bytes_spelled, names)
    axes.set_xticks(range(len(names)), texts, rotation=45, ha="right", parse_math=False)  # a "$" is only a "$"
    show_dollars(axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1)))
    return svg(figure)


@plain_style()
def spaces(spaces: dict[str, tuple], colours: list, names: list[str], modalities: tuple[str, str]) -> str:
    """Spaces side by side, each (points of a (N, 2), points of b (M, 2)) with the axes' shares of variance.

    `colours` gives each sample of a and of b the number of its name in `names`, or −1 for one that is not drawn.
    """
    figure, panels = new_axes(9.6, 4.9, columns=len(spaces))
    for axes, (title, (points, share)) in zip(panels, spaces.items(), strict=True):
        for place, (p, of) in enumerate(zip(points, colours, strict=True)):
            for c in range(len(names)):
                look = {"facecolors": CLASSES[c % len(CLASSES)]} if place == 0 else {"facecolors": "none"}
                axes.scatter(
                    *p[of == c].T,
                    s=22,
                    marker="o^"[place],
                    edgecolors=CLASSES[c % len(CLASSES)],
                    lw=1,
                    alpha=0.8,
                    **look,
                )
        axes.set_title(title, fontsize=11)
        axes.set(xlabel=f"principal component 1 ({share[0]:.0%})", ylabel=f"component 2 ({share[1]:.0%})")
        axes.set(xticks=[], yticks=[])
    figure.subplots_adjust(wspace=0.12)
    import matplotlib.lines as lines

    keys = [
        lines.Line2D([], [], ls="", marker="o", color="#444", label=modalities[0]),
        lines.Line2D([], [], ls="", marker="^", mec="#444", mfc="none", label=modalities[1]),
        *(
            lines.Line2D([], [], ls="", marker="s", color=CLASSES[c % len(CLASSES)], label=name_bytes_spelled(n))
            for c, n in enumerate(names)
        ),
    ]
    show_dollars(figure.legend(handles=keys, frameon=False, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 0.95)))
    return svg(figure)


@plain_style()
def gram(matrices: dict[str, Any]) -> str:
    """Matrices ZᵀZ/N side by side, each in units of its diagonal's mean."""
    figure, panels = new_axes(8.4, 3.7, columns=len(matrices))
    for axes, (title, g) in zip(panels, matrices.items(), strict=True):
        shown = axes.imshow(abs(g) / max(g.diagonal().mean(), 1e-12), cmap="magma_r", vmin=0, vmax=1)
        axes.set_title(title, fontsize=11)
        axes.set(xlabel="feature", ylabel="feature" if axes is panels[0] else "")
        axes.spines[["top", "right"]].set_visible(True)
    figure.colorbar(shown, ax=panels, label="entry / mean of the diagonal", shrink=0.85)
    return svg(figure)


@plain_style()
def norms(series: dict[str, list[float]]) -> str:
    """The mean norm of V against the epoch, on a logarithmic axis."""
    figure, axes = new_axes(6.4, 3.4)
    _draw(axes, list(range(len(next(iter(series.values()))))), series)
    axes.set(yscale="log", ylabel="mean ‖v‖ of the test part")
    return svg(figure)


def svg(figure) -> str:
    """A matplotlib figure as an `<svg>` element."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    text, drawn = io.StringIO(), "".join(part.get_text() for part in figure.findobj(Text))
    # what matplotlib's own font lacks, as Chinese, is left to the reader's browser and its fonts
    look = {} if all(map(_in_own_font, set(drawn))) else {"svg.fonttype": "none"}
    with rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from ")  # "font", "current font"
        box = figure.get_tightbbox().padded(0.1)  # inches; "tight" would draw all of it once more to find out
        figure.savefig(text, format="svg", bbox_inches=box, metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def _in_own_font(character: str) -> bool:
    """Whether matplotlib's default font has a character."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    own = get_font(findfont(FontProperties("DejaVu Sans")))
    return character.isspace() or own.get_char_index(ord(character)) > 0


def show_dollars(legend) -> None:
    """Makes matplotlib write a "$" of a legend as it is, where it would begin a formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def new_axes(width: float, height: float, columns: int = 1):
    """(figure, axes) of matplotlib, in inches; a row of axes where there are several columns."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, columns)
    for one in [axes] if columns == 1 else axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw(axes, epochs: list[int], series: dict[str, list[float]]) -> None:
    """Lines over epochs, the legend above them."""
    looks = zip(cycle(COLOURS), cycle(STYLES), strict=False)
    marker = "o" if len(epochs) == 1 else None
    for i, ((name, values), (colour, style)) in enumerate(zip(series.items(), looks, strict=False)):
        axes.plot(epochs, values, style, color=colour, marker=marker, label=name, lw=2.4 if i == 0 else 1.5)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set(xlabel="epoch")
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
