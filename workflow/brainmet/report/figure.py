"""What a view of the page is made of: a figure as data. Nothing is drawn here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

BAR = {"thickness": 10, "outlinewidth": 0, "lenmode": "pixels", "len": 180, "y": 1, "yanchor": "top"}
"""A colour bar at the upper right, however high the figure is."""


@dataclass(frozen=True)
class Variant:
    """One state of a figure: traces and layout as plotly.js takes them, and the numbers behind them."""

    label: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    frame: pd.DataFrame


@dataclass(frozen=True)
class Figure:
    """A figure with its words; without variants, `empty` says in a sentence why nothing is shown."""

    id: str
    title: str
    caption: str
    source: str
    empty: str
    choose: str = ""
    variants: list[Variant] = field(default_factory=list)

    def described(self) -> str:
        """One sentence for those who do not see the figure."""
        return f"{self.title}. {self.caption}"

    def spec(self) -> dict[str, Any]:
        """The figure as JSON."""
        shown = [{"label": v.label, "data": v.data, "layout": v.layout, "table": table(v.frame)} for v in self.variants]
        return {"title": self.title, "alt": self.described(), "choose": self.choose, "variants": shown}


def table(frame: pd.DataFrame, rows: int | None = None) -> dict[str, Any]:
    """A table by columns, floats with five digits, missing values null; at most `rows` rows of `total`."""
    shown = frame if rows is None else frame.head(rows)
    return {"columns": list(shown.columns), "values": [clean(shown[c]) for c in shown.columns], "total": len(frame)}


def clean(values: Iterable[Any]) -> list[Any]:
    """Values that JSON can hold: rounded floats, null for missing and infinite ones."""
    if isinstance(values, np.ndarray | pd.Series) and values.dtype.kind in "fiub":
        # By its type, not value by value: a page holds most of a million numbers.
        numbers = np.asarray(values)
        if numbers.dtype.kind != "f":
            return numbers.tolist()
        finite = np.isfinite(numbers).tolist()
        return [float(f"{x:.5g}") if known else None for x, known in zip(numbers.tolist(), finite, strict=True)]
    return [_clean(value) for value in values]


def _clean(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return value if value is None or isinstance(value, int) else str(value)


def grid(frame: pd.DataFrame) -> list[list[Any]]:
    """A matrix by rows."""
    return [clean(row) for row in frame.to_numpy()]


def heat_map(
    matrix: pd.DataFrame,
    *,
    scale: list[list[Any]],
    label: str,
    middle: float | None = None,
    limit: tuple[float, float] | None = None,
    row_name: Callable[[Any], str] = str,
    column_name: Callable[[Any], str] = str,
    text: Callable[[Any, Any], str] | None = None,
    mark: Callable[[Any, Any], bool] | None = None,
    mark_font: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Trace of a matrix: rows downwards, with a colour bar.

    Args:
        matrix: values; its rows and columns are ids.
        scale: colours, as plotly takes them.
        label: name of the colour bar.
        middle: value in the middle of a scale of two colours.
        limit: lowest and highest value of the scale.
        row_name, column_name: how a row and a column are written.
        text: what pointing at a row and column says; the value by default.
        mark: whether a row and column carries a dot.
        mark_font: size and colour of the dots.
    """
    cells = [[(row, column) for column in matrix.columns] for row in matrix.index]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [column_name(column) for column in matrix.columns],
        "y": [row_name(row) for row in matrix.index],
        "z": grid(matrix),
        "colorscale": scale,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "colorbar": {"title": {"text": label, "side": "right"}, **BAR},
        "hovertemplate": "%{y}<br>%{x}<br>%{z}<extra></extra>",
    }
    if middle is not None:
        reach = spread(matrix.to_numpy() - middle)
        trace |= {"zmin": middle - reach, "zmax": middle + reach}
    if limit is not None:
        trace |= {"zmin": limit[0], "zmax": limit[1]}
    if text is not None:
        trace |= {"customdata": [[text(*at) for at in row] for row in cells]}
        trace |= {"hovertemplate": "%{customdata}<extra></extra>"}
    if mark is not None:
        trace |= {"text": [["•" if mark(*at) else "" for at in row] for row in cells]}
        trace |= {"texttemplate": "%{text}", "textfont": {"size": 15} | dict(mark_font or {})}
    return trace


def spread(values: np.ndarray) -> float:
    """The 98th percentile of the distances from zero, so that one outlier does not wash out a colour scale."""
    finite = np.abs(values[np.isfinite(values)].astype(float))
    return float(f"{max(np.quantile(finite, 0.98), 1e-6):.4g}") if finite.size else 1.0


def rows_high(n: int, *, row: int = 20, least: int = 190, frame: int = 120) -> int:
    """Height in pixels of a figure with `n` rows."""
    return max(least, frame + row * n)


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title}, **more}


def reversed_axis(**more: Any) -> dict[str, Any]:
    """A category axis whose first entry is on top."""
    return {"autorange": "reversed", "type": "category", "automargin": True, **more}


def interval_bars(effect: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Mapping[str, Any]:
    """Error bars of an interval around effects, as plotly takes them."""
    middle, lower, upper = (np.asarray(v, float) for v in (effect, low, high))
    return {
        "type": "data",
        "symmetric": False,
        "array": clean(upper - middle),
        "arrayminus": clean(middle - lower),
        "thickness": 1.4,
        "width": 0,
    }
