"""One colour for everything that is drawn more than once: cell types, conditions, malignancy, verdicts.

Lineages have a hue each (of Okabe and Ito's colour-blind-safe set where it goes round), types inside a lineage differ
in lightness; what still looks alike is told apart by legends that filter and by names on hover.
"""

from collections.abc import Iterable, Mapping

from brainmet.conditions import CONDITIONS
from brainmet.contract import UNKNOWN

CELL_TYPES: Mapping[str, str] = {
    "malignant_epithelial": "#b2182b",
    "malignant_luminal": "#d6604d",
    "malignant_her2": "#7f0f1e",
    "malignant_basal": "#e58a73",
    "malignant_melanocytic": "#5b1a18",
    "malignant_breast": "#d1495b",
    "malignant_lung": "#c2526a",
    "malignant_renal": "#8c3b46",
    "malignant_colorectal": "#a8324f",
    "malignant_glial": "#6b2d5c",
    "epithelial": "#f0a38c",
    "normal_luminal_hs": "#f4a582",
    "normal_luminal_asp": "#f7c6a8",
    "normal_myoepithelial": "#e9b7a0",
    "neuroendocrine": "#b35c44",
    "hepatocyte": "#c98b6b",
    "choroid_plexus": "#d9a6b3",
    "neuroglia": "#8d7fc7",
    "astrocyte": "#7b3fb5",
    "astrocyte_homeostatic": "#9b6fd0",
    "astrocyte_reactive": "#5a2489",
    "oligodendrocyte": "#cc79a7",
    "opc": "#e3a9c9",
    "neuron": "#3a2f8f",
    "neuron_excitatory": "#544ab5",
    "neuron_inhibitory": "#2a2166",
    "ependymal": "#b9a5e2",
    "immune": "#5aa7c7",
    "myeloid": "#4d9fd1",
    "microglia": "#0072b2",
    "microglia_homeostatic": "#3b93c9",
    "microglia_activated": "#00456e",
    "macrophage_md": "#56b4e9",
    "macrophage_ba": "#8fcdf0",
    "monocyte": "#1f8fa8",
    "dendritic": "#23b5c4",
    "cdc1": "#4cc5d1",
    "cdc2": "#7fd6de",
    "mregdc": "#128391",
    "pdc": "#9fdfe4",
    "neutrophil": "#2f5d7c",
    "mast": "#6f8fa6",
    "t_cell": "#009e73",
    "cd4_t": "#38b592",
    "cd8_t": "#00775a",
    "cd8_t_exhausted": "#005540",
    "treg": "#6fcbb0",
    "nk": "#7bbf3a",
    "b_cell": "#a5c93d",
    "plasma": "#5f7f1c",
    "vascular_stromal": "#cfae5a",
    "endothelial": "#e69f00",
    "endothelial_bbb": "#efb840",
    "endothelial_tumour": "#b87d00",
    "endothelial_venous": "#d99a2b",
    "endothelial_arterial": "#f3cb74",
    "lymphatic_endothelial": "#c98f4a",
    "pericyte": "#8c6d1f",
    "smooth_muscle": "#a98b43",
    "fibroblast": "#8b5a2b",
    "caf_matrix": "#6d4018",
    "adipocyte": "#d9c27a",
    "erythrocyte": "#c46b5e",
    "platelet": "#b08ea2",
    "cycling": "#6a6f7a",
    UNKNOWN: "#b8bcc4",
}

MALIGNANCY: Mapping[str, str] = {
    "malignant": "#b2182b",
    "likely_malignant": "#ef8a62",
    "uncertain": "#c9a227",
    "normal": "#2b7bba",
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
