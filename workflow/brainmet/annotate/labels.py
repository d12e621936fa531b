"""Labels of references as types of the resource: by the user's map, by id or name, else by the words in them."""

import logging
import re
from collections.abc import Iterable, Mapping
from types import ModuleType

import numpy as np
import pandas as pd

from brainmet.annotate import NOTE, VOTE
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import CellTypes

log = logging.getLogger(__name__)

WORDS = (
    ("pdc", r"\bpdcs?\b|plasmacytoid"),
    ("plasma", r"plasma"),
    ("t_cell", r"nkt|\bt[ _-]?cells?\b|thymocyte|treg|\bcd[48]\b|\bmait|\bt(cm|em|rm|h)\b|regulatory t|\bgdt|\bt\("),
    ("nk", r"\bnks?\b|natural killer|\bilc"),
    ("b_cell", r"\bb[ _-]?cells?\b|pre-b|pro-b"),
    ("mast", r"\bmast|basophil"),
    ("neutrophil", r"neutro|granulocyte"),
    ("dendritic", r"\bc?dcs?\d?\b|dendritic"),
    ("microglia", r"microgli"),
    ("monocyte", r"monocyt"),
    ("macrophage_md", r"macroph|kupffer|\btams?\b"),
    ("myeloid", r"myeloid|mnp"),
    ("endothelial", r"endotheli"),
    ("pericyte", r"pericyte|mural|\bpvl"),
    ("smooth_muscle", r"smooth muscle|\bsmc"),
    ("fibroblast", r"fibro|\bcafs?\b|mesenchym"),
    ("opc", r"\bopcs?\b|oligo\w* (precursor|progenitor)"),
    ("oligodendrocyte", r"oligo"),
    ("astrocyte", r"astro|bergmann|glioblast"),
    ("ependymal", r"ependym"),
    ("choroid_plexus", r"choroid"),
    ("neuroendocrine", r"(neuro|entero)endocrine"),
    ("neuron", r"neuro|\bexc|\binh|purkinje|granule"),
    ("hepatocyte", r"hepatocyt"),
    (
        "epithelial",
        r"epitheli|luminal|cancer|carcinoma|malignant|keratinocyte|ciliated|goblet|enterocyt|pneumocyt|acinar",
    ),
    ("erythrocyte", r"erythr|\brbcs?\b"),
    ("platelet", r"platelet|megakaryo"),
)
"""Words of published labels, the more special before the more general."""


def as_types(labels: Iterable[str], types: CellTypes, given: Mapping[str, str]) -> dict[str, str]:
    """The broad type that each label stands for; labels that no type fits are left out.

    Raises:
        BrainmetError: the given map names a type that is not in the resource.
    """
    if wrong := sorted({kind for kind in given.values() if kind not in types}):
        raise BrainmetError(
            f"config.yaml: annotate: map: type {wrong[0]!r} is not known; known types are the ids in resources/markers"
        )
    names = {entry.name.lower(): entry.id for entry in types.entries.values()}
    taken, lost = {}, []
    for label in sorted(set(labels)):
        plain = label.lower()
        kind = given.get(label) or (label if label in types else names.get(plain))
        kind = kind or next((kind for kind, words in WORDS if re.search(words, plain)), "")
        broad = types.broad_of.get(kind, "")
        if broad:
            taken[label] = broad
        else:
            lost.append(label)
    log.info("labels taken as types: %s; not taken: %s", taken, ", ".join(lost) or "none")
    return taken


def votes(shares: pd.DataFrame, kinds: Mapping[str, str], *, source: str) -> pd.DataFrame:
    """Votes by type from probabilities by label: cells × labels. Types that the reference lacks have no column."""
    known = shares[[label for label in shares if label in kinds]]
    by_type = known.T.groupby([kinds[label] for label in known], sort=True).sum().T
    total = by_type.sum(axis=1).to_numpy(np.float64)
    result = by_type.div(np.where(total > 0, total, 1.0), axis=0).fillna(0.0).astype(np.float32).add_prefix(VOTE)
    result.insert(0, NOTE, [f"{source}: {label}" for label in shares.idxmax(axis=1)] if len(shares) else "")
    return result


def library(name: str, method: str) -> ModuleType:
    """An optional library.

    Raises:
        BrainmetError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BrainmetError(
            f"config.yaml: annotate.methods: {method} needs the library {name}, which is not installed "
            f"({error}); install the optional references: uv sync --extra references"
        ) from error
