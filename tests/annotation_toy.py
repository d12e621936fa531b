"""A small sample with four kinds of cells that carry their real markers, and gains on request."""

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from brainmet.copy_number import CENTROMERE
from brainmet.knowledge.cell_types import load_cell_types

ROOT = Path(__file__).parents[1]
TYPES = ROOT / "resources/markers/markers.yaml"
KINDS = ("epithelial", "fibroblast", "myeloid", "t_cell")


def options(section: str) -> dict:
    """The defaults of one part of `annotate` in the shipped config."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())["annotate"][section]


def toy(
    *, gain: tuple[str, ...], seed: int, n: int = 40, background: int = 2_200
) -> tuple[sp.csr_matrix, pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Counts, cells, genes and kind of each cell; epithelial cells have one copy more of the arms in `gain`."""
    rng, types = np.random.default_rng(seed), load_cell_types([TYPES])
    markers = {kind: types[kind].positive for kind in KINDS}
    named = sorted({gene for genes in markers.values() for gene in genes})
    names = named + [f"BG{i}" for i in range(background)]
    chromosome = np.array([str(i % 22 + 1) for i in range(len(names))], dtype=object)
    start = rng.integers(1, 140_000_000, len(names))
    genes = pd.DataFrame({"symbol": names, "chromosome": chromosome, "start": start, "end": start + 1_000})
    genes.index = pd.Index([f"ENSG{i:011d}" for i in range(len(names))], name="ensembl_id")
    arm = np.array([f"{c}{'p' if s < CENTROMERE[c] * 1e6 else 'q'}" for c, s in zip(chromosome, start, strict=True)])
    base = rng.lognormal(0, 0.7, len(names))
    base[: len(named)] = 0.05
    blocks = []
    for kind in KINDS:
        rate = base * rng.lognormal(0, 0.3, len(names))
        rate[[names.index(gene) for gene in markers[kind]]] = 6.0
        if kind == "epithelial":
            rate = rate * np.where(np.isin(arm, gain), 1.5, 1.0)
        depth = rng.lognormal(np.log(4_000), 0.3, n)
        blocks.append(rng.poisson(depth[:, None] * rate / rate.sum()))
    kind = np.repeat(np.array(KINDS, dtype=object), n)
    cells = pd.DataFrame(index=pd.Index([f"S:{i:04d}" for i in range(len(kind))], name="cell_id", dtype=object))
    for name, value in {"dataset": "D", "study": "D", "sample": "S", "donor": "S", "condition": "primary"}.items():
        cells[name] = value
    cells["author_label"], cells["author_cell_type"] = kind, kind
    return sp.csr_matrix(np.vstack(blocks).astype(np.float32)), cells, genes, kind
