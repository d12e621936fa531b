"""Inputs that the rules of compare and claims share, read from the files that Snakemake names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from brainmet import signatures as signature_files
from brainmet.donor_scores import GeneSet, Scoring, gene_sets
from brainmet.donors import Cohort, declared
from brainmet.pseudobulk import read
from brainmet.readouts import Reader


def words(path: str | Path) -> dict[str, list[str]]:
    """Cell types by compartment word: `resources/signatures/compartments.yaml`."""
    return yaml.safe_load(Path(path).read_text())


def sets(files: Any, *, tier: int | Sequence[int]) -> list[GeneSet]:
    """The run's signatures as gene sets, from the rule's inputs `signatures, files, confounders`."""
    own = list(getattr(files, "files", []))
    return gene_sets(signature_files.configured(files.signatures, own, files.confounders, tier=tier, confounders=False))


def cohort(files: Any, signatures: Sequence[GeneSet], *, min_cells: int) -> Cohort:
    """Donor profiles of the run, from the rule's inputs `bulk, compartments`."""
    needed = {declared(s.compartment) for s in signatures}
    return Cohort(read(files.bulk), words(files.compartments), min_cells=min_cells, needed=needed)


def reader(files: Any, params: Mapping[str, Any]) -> Reader:
    """What measures the claims' readouts."""
    return Reader(
        read(files.bulk),
        words(files.compartments),
        sets(files, tier=params["tier"]),
        min_cells=params["min_cells"],
        min_share_cells=params["min_share_cells"],
        how=Scoring(**params["how"]),
    )
