"""One colour for everything that is drawn more than once: cell types, conditions, malignancy, verdicts.

What looks alike is told apart by legends that filter and by names on hover.
"""

from collections.abc import Iterable, Mapping

from brainmet.conditions import CONDITIONS
from brainmet.contract import UNKNOWN, Tier
from brainmet.knowledge.cell_types import shipped

CELL_TYPES: Mapping[str, str] = {
    **{entry.id: entry.colour for entry in shipped().by_kin() if entry.colour},
    UNKNOWN: "#b8bcc4",
}
"""Those that `resources/markers` gives; a type of one's own gets one of the cycle below."""

MALIGNANCY: Mapping[str, str] = {
    Tier.MALIGNANT: "#b2182b",
    Tier.LIKELY_MALIGNANT: "#ef8a62",
    Tier.UNCERTAIN: "#c9a227",
    Tier.NORMAL: "#2b7bba",
}

DROPPED: Mapping[str, str] = {
    "kept": "#2b7bba",
    "low counts": "#e69f00",
    "low genes": "#f3cb74",
    "high mitochondrial share": "#b2182b",
    "doublet": "#7b3fb5",
    "empty": "#c0c5cd",
    "several": "#6a6f7a",
}

DIVERGING = [[0.0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#f7f7f7"], [0.75, "#f4a582"], [1.0, "#b2182b"]]
"""Blue, white, red: below, at and above zero."""
SEQUENTIAL = [
    [0.0, "#f6f8fb"],
    [0.2, "#cfe1ef"],
    [0.4, "#93c4de"],
    [0.6, "#4a98c9"],
    [0.8, "#1664ab"],
    [1.0, "#08306b"],
]
"""White to dark blue: from nothing to much."""

INK, MUTED, ACCENT, WARN = "#1f2530", "#5b6472", "#0b5c8a", "#a6400a"
DOUBTED = "#f0a33a"
"""A finding that something else explains."""
UNCLEAR = "#b8bcc4"
"""What is not told from chance."""
_CYCLE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7b3fb5",
    "#8b5a2b",
    "#7bbf3a",
    "#b2182b",
    "#1f8fa8",
    "#5f7f1c",
    "#6b2d5c",
    "#f0a38c",
    "#3a2f8f",
    "#a98b43",
    "#38b592",
    "#e3a9c9",
    "#2f5d7c",
    "#c2526a",
)
_NAMED = {**CELL_TYPES, **{id_: row.colour for id_, row in CONDITIONS.items()}, **MALIGNANCY}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Colour of each name: its own where the package knows it, else the next of a cycle, by position."""
    result = {}
    for position, name in enumerate(names):
        result[name] = _NAMED.get(name) or _CYCLE[position % len(_CYCLE)]
    if "" in result:
        result[""] = CELL_TYPES[UNKNOWN]
    return result


def in_order(names: Iterable[str]) -> list[str]:
    """Names in the palette's order (lineage by lineage, conditions as in the contract), others after them by name."""
    rank = {name: position for position, name in enumerate(_NAMED)}
    return sorted(
        set(names), key=lambda name: (name == UNKNOWN or name == "", rank.get(name, len(rank)), _natural(name))
    )


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by value before words by letters."""
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
