"""Metabolic tasks: scCellFie's scores of what the enzymes of a cell can do, from a database that the user supplies.

A task (ATP from glucose, synthesis of serine, …) is a set of reactions, a reaction a rule of genes. The numbers are
those of scCellFie (Armingol 2025, 10.1101/2025.05.09.653038; CellFie: Richelle 2021, 10.1016/j.crmeth.2021.100040)
without its smoothing over neighbours, so that a cell's score is its own. The library is optional (`uv sync --extra
metabolism`); its database, the files of `task_data/homo_sapiens` in its repository, is read from a folder that the
config names.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import CELL_ID, Uns
from brainmet.core.counts import Counts
from brainmet.core.normalise import per_ten_thousand
from brainmet.errors import BrainmetError
from brainmet.knowledge.signatures import positions

log = logging.getLogger(__name__)

ROWS = 1000
"""Cells at a time: scCellFie's tables are dense."""
FILES = {
    "rxn_info": "Rxn-Info-Recon2-2.json",
    "task_info": "Task-Info.csv",
    "task_by_rxn": "Task_by_Rxn.csv",
    "task_by_gene": "Task_by_Gene.csv",
    "rxn_by_gene": "Rxn_by_Gene.csv",
    "thresholds": "Thresholds.csv",
}
"""The database of human tasks, as scCellFie names its files; mouse genes enter by their orthologues."""
THRESHOLD = "sccellfie_threshold"


def load(folder: str | Path) -> dict[str, Any]:
    """scCellFie's database.

    Raises:
        BrainmetError: a file is missing or cannot be read.
    """
    import sccellfie

    folder = Path(folder)
    fix = "score.metabolic_tasks wants a folder with the files of task_data/homo_sapiens of scCellFie's repository"
    for name in FILES.values():
        if not (folder / name).is_file():
            raise BrainmetError(f"{folder / name}: no such file; {fix}")
    found = sccellfie.datasets.load_sccellfie_database(organism="human", task_folder=str(folder))
    for key, name in FILES.items():
        if found[key] is None:
            raise BrainmetError(f"{folder / name}: cannot be read; {fix}")
    if THRESHOLD not in found["thresholds"]:
        raise BrainmetError(f"{folder / FILES['thresholds']}: has no column {THRESHOLD}; {fix}")
    # The library takes genes in the order of their names for those of the thresholds.
    return found | {"thresholds": found["thresholds"].sort_index()}


def score_tasks(counts: Counts, cells: pd.DataFrame, database: Mapping[str, Any]) -> pd.DataFrame:
    """Scores of all tasks in the kept cells: the table scores_tasks, one column per task.

    Args:
        counts: the sample.
        cells: the table cells (`keep`), in the order of the counts.
        database: as `load` returns it.

    Returns:
        A task without a measured reaction is NaN. A gene without a threshold counts as not measured.
    """
    import sccellfie
    from anndata import AnnData

    keep = counts.kept(cells)
    names, known = sccellfie.preprocessing.prepare_inputs.CORRECT_GENES["human"], set(database["thresholds"].index)
    where = {gene: at for gene, at in positions(counts.genes).items() if names.get(gene, gene) in known}
    tasks = list(database["task_by_rxn"].index)
    genes = pd.DataFrame(index=list(where))
    parts = []
    for block in counts.chunks(keep, ROWS):
        # Of all genes, then those that are scored.
        scaled = per_ten_thousand(block, values=counts.uns[Uns.VALUES], columns=list(where.values()))
        data = AnnData(scaled, var=genes, uns={"normalization": {"method": "total_counts"}})
        result = sccellfie.run_sccellfie_pipeline(
            data, organism="human", sccellfie_db=dict(database), smooth_cells=False, verbose=False
        )
        scored = set(result["task_by_rxn"].index)
        # Tasks that are zero in all cells are left out there.
        table = result["adata"].metabolic_tasks.to_df().reindex(columns=tasks, fill_value=0.0)
        table.loc[:, [task not in scored for task in tasks]] = np.nan
        parts.append(table.to_numpy(np.float32))
    index = pd.Index(cells.index[keep], name=CELL_ID)
    values = np.vstack(parts) if parts else np.empty((0, len(tasks)), np.float32)
    log.info("%d of %d tasks have a measured reaction", int((~np.isnan(values)).any(axis=0).sum()), len(tasks))
    return pd.DataFrame(values, index, tasks)
