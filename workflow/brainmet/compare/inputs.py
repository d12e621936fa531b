"""Inputs that the rules of compare and claims share, read from the files that Snakemake names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from brainmet.ambient.pseudobulk import Ambience, cleaned, expected
from brainmet.claims.readouts import Reader, Tables, read_in
from brainmet.compare.donor_scores import GeneSet, Scoring, gene_sets
from brainmet.compare.donors import PLATFORM, Cohort, compartments, declared, platforms
from brainmet.core.tables import read_table
from brainmet.knowledge import signatures as signature_files
from brainmet.knowledge.cell_types import compartment_words
from brainmet.pseudobulk import read


def words(files: Any) -> dict[str, list[str]]:
    """Cell types by compartment word, from the rule's inputs `compartments, types`."""
    return compartment_words(files.compartments, files.types)


def sets(files: Any, *, tier: int | Sequence[int]) -> list[GeneSet]:
    """The run's signatures as gene sets, from the rule's inputs `signatures, files, confounders`."""
    return _configured(files, tier=tier, confounders=False)


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


def every_set(files: Any) -> list[GeneSet]:
    """Signatures of both tiers and the confounder sets: claims name what they need."""
    return _configured(files, tier=[1, 2], confounders=True)


def typed_cells(path: str, samples: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Study, donor, condition, platform and type of every annotated cell; `samples` are the records by id."""
    cells = read_table(path, "annotation", ["sample", "study", "donor", "condition", "cell_type"])
    platform = platforms(pd.DataFrame.from_dict(samples, orient="index"))
    return cells.assign(**{PLATFORM: cells["sample"].map(platform)})


def types_of(files: Any, claims: Sequence[Mapping[str, Any]], present: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Cell types in which each claim is read, by its id."""
    known = compartments(set(map(str, present)), words(files))
    return {claim["id"]: tuple(claim.get("types") or known.get(read_in(claim["compartment"]), ())) for claim in claims}


def reader(files: Any, params: Mapping[str, Any]) -> Reader:
    """What measures the claims' readouts."""
    raw = Cohort(read(files.pseudobulk), words(files), min_cells=params["min_cells"])
    return Reader(
        raw,
        clean(raw, params["ambient"]),
        words(files),
        every_set(files),
        min_share_cells=params["min_share_cells"],
        how=Scoring(**params["scoring"]),
        tables=Tables(**{name: read_table(getattr(files, name), name) for name in ("correlations", "crosstalk")}),
    )


def _configured(files: Any, *, tier: int | Sequence[int], confounders: bool) -> list[GeneSet]:
    """Gene sets from the rule's inputs `signatures, files, confounders`."""
    return gene_sets(
        signature_files.configured(files.signatures, files.files, files.confounders, tier=tier, confounders=confounders)
    )
