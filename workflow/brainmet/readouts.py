"""What a claim measures, as one value a donor: a signature, a gene, a mean of signatures, or a share of cells."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from brainmet import composition
from brainmet.compare import Values
from brainmet.contract import Obs
from brainmet.contrasts import Scorer
from brainmet.donor_scores import GeneSet, Scoring
from brainmet.donors import ANY, Cohort, Profiles, declared
from brainmet.donors import profiles as profiles_of

NAME = "readout"
WHOLE = "whole_sample"
"""The compartment word for all cells of a donor."""


@dataclass(frozen=True)
class Readout:
    """Donors, and the value of the readout in them (one column); `reason` says why there is none."""

    donors: pd.DataFrame
    values: Values
    reason: str = ""
    scorers: Sequence[Scorer] = field(default=())

    def coverage(self) -> float:
        """Least share of the readout's genes measured; NaN for shares of cells."""
        shares = [share for scorer in self.scorers for share, _ in scorer.coverage.values()]
        return min(shares, default=np.nan)

    def why(self) -> str:
        """Why the readout cannot be scored; empty where it can."""
        return next((reason for scorer in self.scorers for _, reason in scorer.coverage.values() if reason), "")


class Reader:
    """Measures readouts on one cohort.

    Args:
        cohort: donor profiles by compartment.
        clean: the same less ambient RNA, for the control; None where there is no control.
        words: cell types by compartment word.
        sets: the run's signatures.
        min_share_cells: cells a donor needs in the denominator of a share.
        how: scoring.
    """

    def __init__(
        self,
        cohort: Cohort,
        clean: Cohort | None,
        words: Mapping[str, Collection[str]],
        sets: Sequence[GeneSet],
        *,
        min_share_cells: int,
        how: Scoring,
    ) -> None:
        self.cohort, self.words, self.how, self.min_share_cells = cohort, words, how, min_share_cells
        self.sets = {s.id: s for s in sets}
        self.cleaned = Reader(clean, None, words, sets, min_share_cells=min_share_cells, how=how) if clean else None

    def control(self, entry: Mapping[str, Any]) -> Readout | None:
        """The readout after ambient RNA is taken off; None for shares of cells and whole samples, which it does not
        change."""
        if self.cleaned is None or "share" in entry["readout"] or entry["compartment"] == WHOLE:
            return None
        return self.cleaned.readout(entry)

    def readout(self, entry: Mapping[str, Any]) -> Readout:
        """The readout of a claim."""
        spec = entry["readout"]
        if "share" in spec:
            return self._share(spec["share"])
        wanted = spec.get("mean") or [spec.get("signature") or spec["gene"]]
        if absent := [name for name in wanted if "gene" not in spec and name not in self.sets]:
            return self._nothing(f"the signature {absent[0]} is not part of this run (score.tier)")
        sets = (
            [GeneSet(spec["gene"], (spec["gene"],), single=True)]
            if "gene" in spec
            else [self.sets[name] for name in wanted]
        )
        sets = [_without(s, spec.get("without", [])) for s in sets]
        name = ANY if entry["compartment"] == WHOLE else declared(entry["compartment"])
        if name not in self.cohort:
            return self._nothing(f"no cells of {name}")
        profiles = self.cohort[name]
        scorer = Scorer(profiles, sets, how=self.how)
        if not spec.get("minus"):
            return Readout(profiles.donors, lambda index: _mean(scorer(index)), scorers=[scorer])
        return self._minus(profiles, scorer, sets, spec["minus"])

    def _minus(self, profiles: Profiles, scorer: Scorer, sets: Sequence[GeneSet], words: Sequence[str]) -> Readout:
        """The readout less that of cells of the same donor which cannot express it: what ambient RNA brings cancels."""
        names = [word for word in map(declared, words) if word in self.cohort]
        if not names:
            return self._nothing(f"no cells of {', '.join(words)} to set against")
        types = sorted({t for name in names for t in self.cohort.types[name]})
        others = profiles_of(self.cohort.bulk, types, min_cells=self.cohort.min_cells)
        other = Scorer(others, sets, how=self.how)
        donors = profiles.donors[profiles.donors.index.isin(others.donors.index)]

        def values(index: pd.Index) -> pd.DataFrame:
            own, reference = _mean(scorer(index)), _mean(other(index.intersection(others.donors.index, sort=False)))
            both = own.index.intersection(reference.index, sort=False)
            return own.loc[both] - reference.loc[both]

        return Readout(donors, values, scorers=[scorer, other])

    def _share(self, share: Mapping[str, Sequence[str]]) -> Readout:
        cells, donors = composition.cells_of(self.cohort.bulk.obs)
        of, among = (
            {t for word in share[side] for t in self.words.get(word, ()) or (word,)} | set(share[side])
            for side in ("of", "among")
        )
        odds = composition.share(cells, of, among, min_cells=self.min_share_cells).dropna()
        donors = donors.loc[odds.index]
        if not len(donors):
            return self._nothing(
                f"no unenriched donor with {self.min_share_cells} cells of {', '.join(share['among'])}"
            )
        table = odds.to_frame(NAME)
        return Readout(donors, lambda index: table.loc[index])

    def _nothing(self, reason: str) -> Readout:
        donors = pd.DataFrame()
        return Readout(donors, lambda index: pd.DataFrame(columns=[NAME], dtype=float), reason)


def _without(gene_set: GeneSet, genes: Collection[str]) -> GeneSet:
    up, down = (tuple(gene for gene in side if gene not in genes) for side in (gene_set.up, gene_set.down))
    return replace(gene_set, up=up, down=down)


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the signatures of a readout; NaN where one cannot be scored."""
    return table.mean(axis=1, skipna=False).to_frame(NAME)


def relabelled(donors: pd.DataFrame, comparison: Mapping[str, Any]) -> pd.DataFrame:
    """Donors whose `condition` is what the comparison compares: the condition itself, or another column (`by`),
    within donors that have the given values (`where`)."""
    for column, value in comparison.get("where", {}).items():
        donors = donors[donors[column].isin(value if isinstance(value, list) else [value])]
    by = comparison.get("by")
    return donors.assign(**{Obs.CONDITION: donors[by]}) if by else donors
