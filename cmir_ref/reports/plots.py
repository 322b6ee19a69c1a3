"""Figures of a run, as SVG text for a page. Colours are Okabe and Ito's, which colour-blind readers can tell apart;
every line also has a style of its own, for greyscale."""

import io
from itertools import cycle

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")


def svg(figure) -> str:
    """A matplotlib figure as an `<svg>` element, and the figure closed."""
    import matplotlib.pyplot as plt

    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def loss_curves(lines: list[dict], weights: dict[str, float]) -> str:
    """One stage: its loss and each weighted part against the epoch, beside the validation scores."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    epochs = [line["epoch"] for line in lines]
    looks = zip(cycle(COLOURS), cycle(STYLES), strict=False)
    for name, (colour, style) in zip(lines[-1]["parts"], looks, strict=False):
        weight = weights.get(name, 1.0)
        values = [weight * line["parts"][name] for line in lines]
        label = name if weight == 1 else f"{weight:g} · {name}"
        marker = "o" if len(lines) == 1 else None
        left.plot(epochs, values, style, color=colour, marker=marker, label=label, lw=2.4 if name == "loss" else 1.5)
    left.set(xlabel="epoch", ylabel="loss (mean of the epoch)")
    if all(value > 0 for line in lines for value in line["parts"].values()):
        left.set_yscale("log")
    left.legend(fontsize=8, frameon=False)
    looks = zip(cycle(COLOURS), cycle(STYLES), strict=False)
    for name, (colour, style) in zip(lines[-1]["validation"], looks, strict=False):
        right.plot(epochs, [line["validation"][name] for line in lines], style, color=colour, label=name)
    kept = max((line["epoch"] for line in lines if line["best"]), default=epochs[-1])
    right.axvline(kept, color="grey", lw=0.8)
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, 1.02))
    right.legend(title=f"kept: epoch {kept}", fontsize=8, title_fontsize=8, frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)


def precision_by_class(per_class: dict[str, dict[str, dict]]) -> str:
    """The paper's Fig. 3: precision at 50 of each class, one group of bars a class, one bar a direction."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted({name for classes in per_class.values() for name in classes})
    figure, axes = plt.subplots(figsize=(max(6.0, 0.5 * len(names) + 1.5), 3.0))
    width = 0.8 / len(per_class)
    for i, (direction, classes) in enumerate(per_class.items()):
        places = [k + (i + 0.5) * width - 0.4 for k in range(len(names))]
        values = [classes.get(name, {}).get("p@50", 0.0) for name in names]
        axes.bar(places, values, width, label=direction, color=COLOURS[i], hatch=("", "//")[i % 2], edgecolor="white")
    axes.set(ylabel="precision at 50", ylim=(0, 1.02), xlim=(-0.6, len(names) - 0.4))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return svg(figure)
