"""Inputs that the rules of claims share, read from the files that Snakemake names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from brainmet.claims.readouts import Reader, Tables, read_in
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import PLATFORM, Cohort, compartments, platforms
from brainmet.compare.inputs import clean, sets, words
from brainmet.contract import Obs
from brainmet.core.tables import read_table
from brainmet.pseudobulk import read


def every_set(files: Any) -> list[GeneSet]:
    """Signatures of both tiers and the confounder sets: claims name what they need."""
    return sets(files, tier=[1, 2], confounders=True)


def typed_cells(path: str, samples: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Study, donor, condition, platform and type of every annotated cell; `samples` are the records by id."""
    cells = read_table(path, "annotation", [Obs.SAMPLE, Obs.STUDY, Obs.DONOR, Obs.CONDITION, Obs.CELL_TYPE])
    platform = platforms(pd.DataFrame.from_dict(samples, orient="index"))
    return cells.assign(**{PLATFORM: cells[Obs.SAMPLE].map(platform)})


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
        scoring=Scoring(**params["scoring"]),
        tables=Tables(**{name: read_table(getattr(files, name), name) for name in ("correlations", "crosstalk")}),
    )
