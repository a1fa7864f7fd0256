"""ROC and CMC as PNG pictures, in light and in dark colours. Rates are means over folds, in percent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pcfh.evaluation.results import DEPTH, REFERENCE, Results, summaries
from pcfh.evaluation.text_tables import label

_SIZE, _DPI = (5.6, 4.0), 130  # inches, and pixels of one
_STYLES: Mapping[str, tuple[str, str]] = {  # marker and dashes tell methods apart without colour
    "original": ("o", "-"),
    "generated": ("s", "--"),
    "fusion": ("D", "-"),
    "truth": ("^", ":"),
    REFERENCE: ("v", "-."),
}
_OTHER_STYLES = (("P", "-"), ("X", "--"), ("*", "-"), ("p", "--"))  # of tuned recognisers, in turn


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of a picture; those of lines by method, told apart by the colour-blind, too (Okabe and Ito).

    Methods that are not in ``lines`` take ``others`` in turn.
    """

    background: str
    ink: str
    lines: Mapping[str, str]
    others: tuple[str, ...]


LIGHT = Theme(
    background="#ffffff",
    ink="#1b1f24",
    lines={
        "original": "#0072b2",
        "generated": "#d55e00",
        "fusion": "#007a5a",
        "truth": "#5b5b5b",
        REFERENCE: "#9c4f7c",
    },
    others=("#a6761d", "#3b4cc0"),
)
DARK = Theme(
    background="#161b22",
    ink="#e6e6e6",
    lines={
        "original": "#56b4e9",
        "generated": "#e69f00",
        "fusion": "#2fd0a0",
        "truth": "#b8b8b8",
        REFERENCE: "#e59ac8",
    },
    others=("#f0e442", "#9fb4ff"),
)


def roc_png(results: Results, theme: Theme) -> bytes:
    """VR over FAR on a logarithmic axis, where every fold can measure it."""
    figure, (axes,) = empty_figure(theme)
    for number, method in enumerate(results.methods):
        curves = [dict(fold.methods[number].roc) for fold in results.folds]
        fars = sorted(set(curves[0]).intersection(*curves[1:]))
        rates = [100 * float(np.mean([curve[far] for curve in curves])) for far in fars]
        _line(axes, theme, results.methods, method, (fars, rates))
    axes.set_xscale("log")
    axes.set_xlabel("FAR")
    axes.set_ylabel("VR (%)")
    return finished_figure(figure, [axes], theme)


def cmc_png(results: Results, theme: Theme) -> bytes:
    """The share of probes whose person is among the k best."""
    figure, (axes,) = empty_figure(theme)
    ranks = [float(rank) for rank in range(1, DEPTH + 1)]
    for row in summaries(results):
        found = [100 * rank.mean for rank in row.ranks]
        _line(axes, theme, results.methods, row.method, (ranks, found))
    axes.set_xticks(ranks)
    axes.set_xlabel("rank k")
    axes.set_ylabel("found among the k best (%)")
    return finished_figure(figure, [axes], theme)


def empty_figure(theme: Theme, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty picture in the theme's colours, with some panels one below the other."""
    width, height = _SIZE
    figure = Figure(figsize=(width, height * panels), dpi=_DPI, facecolor=theme.background)
    bottom, top = 0.13 / panels, 1 - 0.03 / panels
    # A layout engine would draw it twice.
    figure.subplots_adjust(left=0.12, right=0.97, bottom=bottom, top=top, hspace=0.2)
    made = [figure.add_subplot(panels, 1, i + 1, facecolor=theme.background) for i in range(panels)]
    for axes in made:
        axes.grid(color=theme.ink, alpha=0.15)
        axes.tick_params(which="both", colors=theme.ink)
        for side in axes.spines.values():
            side.set_color(theme.ink)
    return figure, made


def _line(
    axes: Axes,
    theme: Theme,
    methods: Sequence[str],
    method: str,
    points: tuple[Sequence[float], Sequence[float]],
) -> None:
    """Draws the curve of one of the methods, given as x and y."""
    place = [name for name in methods if name not in _STYLES].index(method) if method not in _STYLES else 0
    marker, dashes = _STYLES.get(method, _OTHER_STYLES[place % len(_OTHER_STYLES)])
    axes.plot(
        *points,
        color=theme.lines.get(method, theme.others[place % len(theme.others)]),
        linestyle=dashes,
        marker=marker,
        markersize=4,
        label=label(method),
        markevery=max(1, len(points[0]) // 12),
    )


def finished_figure(figure: Figure, panels: Sequence[Axes], theme: Theme) -> bytes:
    """The PNG file; without the date, so that equal results give equal files."""
    for axes in panels:
        axes.xaxis.label.set_color(theme.ink)
        axes.yaxis.label.set_color(theme.ink)
        axes.legend(facecolor=theme.background, edgecolor="none", labelcolor=theme.ink, fontsize="small")
    buffer = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
