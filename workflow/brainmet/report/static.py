"""Figures for a paper: a few SVG files, drawn without the page, in its colours."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from brainmet.contract import Obs
from brainmet.report.palette import DIVERGING, DROPPED, INK, MUTED, colours, in_order
from brainmet.report.places import places
from brainmet.report.signatures import donor_means, score_heat
from brainmet.report.wording import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: Any = {
    "font.size": 8, "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False,
    "svg.fonttype": "none",
    "axes.edgecolor": MUTED, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "svg.hashsalt": "brainmet", "legend.frameon": False,
}  # fmt: skip

_KEYS_PER_COLUMN = 28
_MOST_KEYS = 4 * _KEYS_PER_COLUMN
"""Levels on a map above which no keys stand beside it: their colours cannot be told apart."""


class Drawing(NamedTuple):
    """What puts a figure's content on an empty one, and its width and height in inches."""

    draw: Callable[["Figure"], None]
    size: tuple[float, float]


def drawings(
    annotation: pd.DataFrame, layout: pd.DataFrame, scores: pd.DataFrame, cells: pd.DataFrame, samples: Sequence[str]
) -> dict[str, Drawing]:
    """All figures of a run by name: maps, composition, quality, signatures.

    Args:
        annotation: kept cells; columns of `annotation.parquet`.
        layout: the same cells; `umap_1, umap_2`.
        scores: the same cells, one column per signature.
        cells: every barcode; `sample, keep, reason`.
        samples: ids in the order of the bars.
    """
    maps = {
        key: Drawing(umap(layout, annotation[key]), (map_wide(annotation[key]), 5))
        for key in (Obs.CELL_TYPE, Obs.SAMPLE, Obs.CONDITION, Obs.MALIGNANCY)
    }
    n, n_types = len(samples), annotation[Obs.CELL_TYPE].nunique()
    return maps | {
        "composition": Drawing(composition(annotation, samples), (7, bars_high(n, n_types))),
        "qc": Drawing(fate(cells, samples), (7, bars_high(n, len(DROPPED)))),
        "signatures": Drawing(signatures(donor_means(scores, annotation)), (9, 9)),
    }


def save(path: str | Path, draw: Callable[["Figure"], None], *, size: tuple[float, float], simulated: bool) -> None:
    """Draw a figure of `size` inches and write it as SVG: same bytes for the same content, text as text.

    Args:
        path: where to.
        draw: puts axes and content on the empty figure.
        size: width and height in inches.
        simulated: marks the figure as simulated.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from brainmet.core.files import replacing

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        if simulated:
            figure.text(
                0.5, 0.5, "SIMULATED", fontsize=34, color=INK, alpha=0.09, rotation=24, ha="center", va="center"
            )
        with replacing(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None})


def bars_high(rows: int, keys: int) -> float:
    """Height in inches of bars, one per row, that leaves room for the keys beside them."""
    return max(1.2 + 0.22 * rows, 0.5 + 0.17 * min(keys, _KEYS_PER_COLUMN))


def map_wide(values: pd.Series) -> float:
    """Width in inches of a map of a category: seven, and room for each further column of keys."""
    levels = values.astype(str).unique()
    if len(levels) > _MOST_KEYS:
        return 7
    return 7 + (-(-len(levels) // _KEYS_PER_COLUMN) - 1) * (0.4 + 0.06 * max(map(len, levels), default=0))


def umap(layout: pd.DataFrame, values: pd.Series) -> Callable[["Figure"], None]:
    """Cells in the plane, coloured by a category whose names stand where most cells are of their kind."""

    from matplotlib.colors import to_rgba_array
    from matplotlib.patheffects import withStroke

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        names = values.astype(str)
        levels = in_order(names)
        palette = colours(levels)
        order = np.random.default_rng(0).permutation(len(values))
        # Colours as numbers: matplotlib would read one name per cell.
        codes = pd.Categorical(names, categories=levels).codes
        shades = to_rgba_array([palette[level] for level in levels])[codes[order]]
        size = float(np.clip(20000 / max(1, len(values)), 0.4, 9))
        points = layout[["umap_1", "umap_2"]].to_numpy()[order]
        axes.scatter(points[:, 0], points[:, 1], c=shades, s=size, linewidths=0, rasterized=len(values) > 5000)
        axes.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
        axes.set_aspect("equal", "datalim")
        halo = [withStroke(linewidth=2.5, foreground="white")]
        for level, (x, y) in places(layout[["umap_1", "umap_2"]].to_numpy(), names).items():
            axes.text(x, y, words(level), ha="center", va="center", fontsize=7, weight="bold", path_effects=halo)
        if len(levels) <= _MOST_KEYS:
            _keys(axes, [(words(level) or "none", palette[level]) for level in levels])

    return draw


def composition(annotation: pd.DataFrame, samples: Sequence[str]) -> Callable[["Figure"], None]:
    """Shares of cell types by sample."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        counts = pd.crosstab(annotation[Obs.SAMPLE], annotation[Obs.CELL_TYPE]).reindex(samples, fill_value=0)
        _stack(axes, counts.div(counts.sum(axis=1).clip(lower=1), axis=0)[in_order(counts.columns)] * 100)
        axes.set_xlabel("% of kept cells")

    return draw


def fate(cells: pd.DataFrame, samples: Sequence[str]) -> Callable[["Figure"], None]:
    """What became of each sample's barcodes."""
    from brainmet.report.quality import fates

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        _stack(axes, fates(cells, list(samples)), DROPPED)
        axes.set_xlabel("barcodes")

    return draw


def signatures(means: pd.DataFrame) -> Callable[["Figure"], None]:
    """Heat map of signatures by type and condition; each signature over its largest absolute mean."""
    from matplotlib.colors import LinearSegmentedColormap

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        matrix = score_heat(means)
        if matrix.empty:
            axes.text(0.5, 0.5, "no signature could be scored", ha="center")
            axes.set_axis_off()
            return
        columns = [(t, c) for t in in_order(matrix.columns.get_level_values(0)) for c in in_order(matrix[t].columns)]
        matrix = matrix[columns]
        shades = LinearSegmentedColormap.from_list("diverging", [str(colour) for _, colour in DIVERGING])
        image = axes.pcolormesh(matrix.to_numpy(float), cmap=shades, vmin=-1, vmax=1, rasterized=True)
        axes.set_yticks(np.arange(len(matrix)) + 0.5, [words(str(n)) for n in matrix.index], fontsize=5)
        axes.set_xticks(
            np.arange(len(columns)) + 0.5, [f"{words(t)}, {words(c)}" for t, c in columns], rotation=90, fontsize=6
        )
        axes.invert_yaxis()
        figure.colorbar(image, ax=axes, shrink=0.3, label="mean score, scaled per signature")

    return draw


def _stack(axes: "Axes", table: pd.DataFrame, palette: Any = None) -> None:
    palette = palette or colours(table.columns)
    left = np.zeros(len(table))
    for name in table:
        axes.barh(np.arange(len(table)), table[name], left=left, color=palette[name], height=0.8)
        left += table[name].to_numpy(float)
    axes.set_yticks(np.arange(len(table)), list(table.index))
    axes.invert_yaxis()
    _keys(axes, [(words(str(name)), palette[name]) for name in table])


def _keys(axes: "Axes", entries: list[tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=label, markersize=5) for label, colour in entries
    ]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        fontsize=7,
        ncols=-(-len(entries) // _KEYS_PER_COLUMN) or 1,
    )
