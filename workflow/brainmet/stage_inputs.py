"""Inputs that the rules of compare and claims share, read from the files that Snakemake names."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainmet import signatures as signature_files
from brainmet.ambience import Ambience, cleaned, expected
from brainmet.documents import read_yaml
from brainmet.donor_scores import GeneSet, Scoring, gene_sets
from brainmet.donors import Cohort, compartments, declared
from brainmet.pseudobulk import read
from brainmet.readouts import Reader, Tables
from brainmet.tables import read_table


def words(path: str | Path) -> dict[str, list[str]]:
    """Cell types by compartment word: `resources/signatures/compartments.yaml`."""
    return read_yaml(path)


def sets(files: Any, *, tier: int | Sequence[int]) -> list[GeneSet]:
    """The run's signatures as gene sets, from the rule's inputs `signatures, files, confounders`."""
    own = list(getattr(files, "files", []))
    return gene_sets(signature_files.configured(files.signatures, own, files.confounders, tier=tier, confounders=False))


def cohort(files: Any, signatures: Sequence[GeneSet], *, min_cells: int) -> Cohort:
    """Donor profiles of the run, from the rule's inputs `bulk, compartments`."""
    needed = {declared(s.compartment) for s in signatures}
    return Cohort(read(files.bulk), words(files.compartments), min_cells=min_cells, needed=needed)


def clean(raw: Cohort, ambient: Mapping[str, Any]) -> Cohort:
    """The same cohort less the ambient RNA that the samples' other types can explain."""
    bulk = cleaned(raw.bulk, expected(raw.bulk, how=Ambience(**ambient)))
    copy = Cohort(bulk, {}, min_cells=raw.min_cells)
    copy.types = raw.types
    return copy


def confounder_sets(files: Any) -> list[GeneSet]:
    """The shipped confounder sets."""
    return gene_sets(signature_files.load([files.confounders], tiers=None))


def every_set(files: Any) -> list[GeneSet]:
    """Signatures of both tiers and the confounder sets: claims name what they need."""
    own = list(getattr(files, "files", []))
    return gene_sets(
        signature_files.configured(files.signatures, own, files.confounders, tier=[1, 2], confounders=True)
    )


def types_of(files: Any, claims: Sequence[Mapping[str, Any]], present: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Cell types of each claim's compartment, by the compartment's word."""
    known = compartments(set(map(str, present)), words(files.compartments))
    every = {claim["compartment"]: known.get(declared(claim["compartment"]), ()) for claim in claims}
    own = {c["compartment"]: tuple(c["types"]) for c in claims if "types" in c and "correlation" in c["readout"]}
    return every | own


def reader(files: Any, params: Mapping[str, Any]) -> Reader:
    """What measures the claims' readouts."""
    words_, sets_ = words(files.compartments), every_set(files)
    raw = Cohort(read(files.bulk), words_, min_cells=params["min_cells"])
    how, min_share_cells = Scoring(**params["how"]), params["min_share_cells"]
    tables = Tables(**{name: read_table(getattr(files, name), name) for name in ("correlations", "crosstalk")})
    cleaned_ = clean(raw, params["ambient"])
    return Reader(raw, cleaned_, words_, sets_, min_share_cells=min_share_cells, how=how, tables=tables)
