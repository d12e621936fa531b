"""Inputs that the rules of compare share, read from the files that Snakemake names."""

from collections.abc import Mapping, Sequence
from typing import Any

from brainmet.ambient.pseudobulk import Ambience, cleaned, expected
from brainmet.compare.donor_scores import GeneSet, gene_sets
from brainmet.compare.donors import Cohort, declared
from brainmet.knowledge import signatures as signature_files
from brainmet.knowledge.cell_types import compartment_words
from brainmet.pseudobulk import read


def words(files: Any) -> dict[str, list[str]]:
    """Cell types by compartment word, from the rule's inputs `compartments, types`."""
    return compartment_words(files.compartments, files.types)


def sets(files: Any, *, tier: int | Sequence[int], confounders: bool = False) -> list[GeneSet]:
    """The run's signatures as gene sets, from the rule's inputs `signatures, files, confounders`."""
    return gene_sets(
        signature_files.configured(files.signatures, files.files, files.confounders, tier=tier, confounders=confounders)
    )


def cohort(files: Any, signatures: Sequence[GeneSet], *, min_cells: int) -> Cohort:
    """Donor profiles of the run, from the rule's inputs `pseudobulk, compartments, types`."""
    needed = {declared(s.compartment) for s in signatures}
    return Cohort(read(files.pseudobulk), words(files), min_cells=min_cells, needed=needed)


def clean(raw: Cohort, ambient: Mapping[str, Any]) -> Cohort:
    """The same cohort less the ambient RNA that the samples' other types can explain."""
    return raw.with_bulk(cleaned(raw.bulk, expected(raw.bulk, how=Ambience(**ambient))))


def confounder_sets(files: Any) -> list[GeneSet]:
    """The shipped confounder sets."""
    return gene_sets(signature_files.load([files.confounders], tiers=None))
