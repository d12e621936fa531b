"""What a claim measures, as one value per donor.

Of expression: a signature, a gene, some genes, a mean of signatures, and differences of these. Of cells: a share. Of
other stages (`measures`): a correlation within donors, copy-number burden, the rank of an axis, detection, similarity.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from brainmet.claims import measures
from brainmet.compare import composition
from brainmet.compare.contrasts import Scorer
from brainmet.compare.donor_scores import GeneSet, Scoring
from brainmet.compare.donors import PLATFORM, Cohort, Profiles, declared, platforms
from brainmet.compare.donors import profiles as profiles_of
from brainmet.compare.estimators import DonorValues
from brainmet.contract import Compartment, Obs, Var
from brainmet.copy_number import gene_order
from brainmet.copy_number.burden import burden, shared_types

NAME = "readout"
FREE_OF_AMBIENT = ("share", "correlation", "crosstalk", "detected")
"""Kinds of readouts that taking off ambient RNA does not change."""
ARM_CPM = 10.0
"""Mean counts per million from which a gene tells of the dosage of its chromosome arm."""


@dataclass(frozen=True)
class Readout:
    """Donors, and the value of the readout in them (one column); `reason` says why there is none."""

    donors: pd.DataFrame
    values: DonorValues
    reason: str = ""
    scorers: Sequence[Scorer] = field(default=())

    def coverage(self, donors: pd.DataFrame, *, together: bool) -> tuple[float, str]:
        """Least share of the readout's genes measured in donors, scored `together` or each study by itself, and why it
        cannot be scored there; NaN and nothing for what is not of genes."""
        by_study = donors.groupby([Obs.STUDY, PLATFORM], sort=True)
        groups = [donors] if together else [members for _, members in by_study]
        found = []
        for scorer in self.scorers:
            for members in groups:
                index = members.index.intersection(scorer.profiles.donors.index, sort=False)
                found += [scorer.coverage(index)] if len(index) else []
        if not found:
            return np.nan, ""
        table = pd.concat(found)
        return float(table["coverage"].min()), next(filter(None, table["reason"]), "")


@dataclass(frozen=True)
class Tables:
    """What other stages found and claims read; a table that is not given has no rows."""

    correlations: pd.DataFrame
    crosstalk: pd.DataFrame


def read_in(word: str) -> str:
    """The compartment in which a claim is read, by its word."""
    return Compartment.ANY if word == Compartment.WHOLE else declared(word)


class Reader:
    """Measures readouts on one cohort.

    Args:
        cohort: donor profiles by compartment.
        clean: the same less ambient RNA, for the control; None where there is no control.
        words: cell types by compartment word.
        sets: the run's signatures.
        min_share_cells: cells that a donor needs in the denominator of a share.
        scoring: of donors.
        tables: what other stages found.
    """

    def __init__(
        self,
        cohort: Cohort,
        clean: Cohort | None,
        words: Mapping[str, Collection[str]],
        sets: Sequence[GeneSet],
        *,
        min_share_cells: int,
        scoring: Scoring,
        tables: Tables | None = None,
    ) -> None:
        self.cohort, self.words, self.min_share_cells = cohort, words, min_share_cells
        self.scoring, self.tables = scoring, tables
        self.sets = {s.id: s for s in sets}
        self._kept: dict[tuple[tuple[str, ...], int], Profiles] = {}
        self.cleaned = (
            Reader(clean, None, words, sets, min_share_cells=min_share_cells, scoring=scoring) if clean else None
        )

    def control(self, entry: Mapping[str, Any]) -> Readout | None:
        """The readout after ambient RNA is taken off; None for what is not read from the expression of one
        compartment, which that does not change."""
        whole = entry["compartment"] == Compartment.WHOLE
        if self.cleaned is None or whole or any(kind in entry["readout"] for kind in FREE_OF_AMBIENT):
            return None
        return self.cleaned.readout(entry)

    def readout(self, entry: Mapping[str, Any]) -> Readout:
        """The readout of a claim."""
        for kind, measure in self._kinds.items():
            if kind in entry["readout"]:
                return measure(entry, entry["readout"][kind])
        return self._expression(entry, entry["readout"])

    @property
    def _kinds(self) -> dict[str, Callable[[Mapping[str, Any], Any], Readout]]:
        return {
            "share": self._share,
            "correlation": self._correlation,
            "burden": self._burden,
            "crosstalk": self._crosstalk,
            "detected": self._detected,
            "similarity": self._similarity,
        }

    def _profiles(self, entry: Mapping[str, Any]) -> Profiles | None:
        """Donor profiles of a claim's cells; None without any."""
        found = self._of_types(self._types(entry), entry.get("min_cells", self.cohort.min_cells))
        return found if len(found.donors) else None

    def _types(self, entry: Mapping[str, Any]) -> tuple[str, ...]:
        """Cell types in which a claim is read."""
        return tuple(entry.get("types") or self.cohort.types.get(read_in(entry["compartment"]), ()))

    def _min_share_cells(self, entry: Mapping[str, Any]) -> int:
        """Cells that a donor needs for a share of them."""
        return int(entry.get("min_cells", self.min_share_cells))

    def _of_types(self, types: tuple[str, ...], min_cells: int) -> Profiles:
        """Donor profiles of cell types, kept: most claims read the same cells."""
        if (types, min_cells) not in self._kept:
            self._kept[types, min_cells] = profiles_of(self.cohort.bulk, types, min_cells=min_cells)
        return self._kept[types, min_cells]

    def _expression(self, entry: Mapping[str, Any], spec: Mapping[str, Any]) -> Readout:
        sets, absent = gene_sets_of(spec, self.sets)
        if absent:
            return self._nothing(f"the signature {absent} is not part of this run (score.tier)")
        profiles = self._profiles(entry)
        if profiles is None:
            return self._nothing(f"no cells of {entry['compartment']}")
        scorer = Scorer(profiles, sets, scoring=self.scoring)
        donors, taken_off = profiles.donors, []
        if "over" in spec or "over_arm" in spec:
            other = self._over(spec, profiles)
            if isinstance(other, str):
                return self._nothing(other)
            taken_off.append(Scorer(profiles, [other], scoring=self.scoring))
        if spec.get("minus"):
            names = [word for word in map(declared, spec["minus"]) if word in self.cohort]
            if not names:
                return self._nothing(f"no cells of {', '.join(spec['minus'])} to set against")
            # The same donor's cells that cannot express it: what ambient RNA brings cancels.
            types = tuple(sorted({t for name in names for t in self.cohort.types[name]}))
            others = self._of_types(types, self.cohort.min_cells)
            taken_off.append(Scorer(others, sets, scoring=self.scoring))
            donors = donors[donors.index.isin(others.donors.index)]
        return Readout(donors, _difference(scorer, taken_off), scorers=[scorer, *taken_off])

    def _over(self, spec: Mapping[str, Any], profiles: Profiles) -> GeneSet | str:
        """What the readout is set against in the same cells: other genes, or those of a chromosome arm."""
        if "over" in spec:
            sets, absent = gene_sets_of(spec["over"], self.sets)
            return f"the signature {absent} is not part of this run (score.tier)" if absent else sets[0]
        genes = self.cohort.bulk.var
        if Var.CHROMOSOME not in genes:
            return "places of genes are not known"
        use = profiles.measured()
        cpm = profiles.counts / np.maximum(np.nansum(profiles.counts, axis=1, keepdims=True), 1) * 1e6
        order = gene_order(genes, use & (np.nan_to_num(cpm).mean(axis=0) >= ARM_CPM))
        read = set(spec.get("genes", [spec.get("gene")]))
        symbols = profiles.symbols.to_numpy()[order.columns[order.arm == spec["over_arm"]]]
        found = tuple(symbol for symbol in symbols if symbol not in read)
        return GeneSet(spec["over_arm"], found, single=True) if found else f"no gene of {spec['over_arm']} is expressed"

    def _share(self, entry: Mapping[str, Any], share: Mapping[str, Sequence[str]]) -> Readout:
        cells, donors = composition.cells_of(self.cohort.bulk.obs)
        of, among = (
            {t for word in share[side] for t in self.words.get(word, ()) or (word,)} | set(share[side])
            for side in ("of", "among")
        )
        min_cells = self._min_share_cells(entry)
        parts = composition.share(cells, of, among, min_cells=min_cells)
        donors = donors.loc[parts.index]
        if not len(donors):
            cells_of = ", ".join(share["among"])
            reason = f"no donor with {min_cells} cells of {cells_of} from samples declared enrichment: none"
            return self._nothing(reason)
        if "b" not in entry["comparison"]:  # a level is read with all cells that there are
            odds = (parts["part"] + 0.5) / (parts["rest"] + 0.5)
            return Readout(donors, DonorValues.of_table(np.log2(odds).to_frame(NAME)))
        return Readout(donors, _values(lambda index: composition.log_odds(parts.loc[index])))

    def _correlation(self, entry: Mapping[str, Any], spec: Mapping[str, Any]) -> Readout:
        if self.tables is None:
            return self._nothing("cells were not correlated")
        table = self.tables.correlations
        z = measures.correlation(table, entry["id"], against_random="against" not in entry)
        reasons = table.loc[(table["claim"] == entry["id"]) & (table["reason"] != ""), "reason"]
        return self._of_donors(
            z, f"in no donor: {reasons.mode().iloc[0]}" if len(reasons) else "no donor with such cells"
        )

    def _burden(self, entry: Mapping[str, Any], spec: Any) -> Readout:
        bulk, profiles = self.cohort.bulk, self._profiles(entry)
        if profiles is None:
            return self._nothing(f"no cells of {entry['compartment']}")
        if Var.CHROMOSOME not in bulk.var:
            return self._nothing("places of genes are not known")

        def burdens(index: pd.Index) -> pd.Series:
            compared = profiles.take(profiles.donors.index.get_indexer(index))
            normal = shared_types(bulk, compared.donors, min_cells=self.min_share_cells)
            found = (
                burden(compared, normal, bulk.var, seed=self.scoring.seed) if len(normal) else pd.Series(dtype=float)
            )
            return found.reindex(index.intersection(found.index, sort=False))

        return Readout(profiles.donors, _values(burdens))

    def _crosstalk(self, entry: Mapping[str, Any], spec: Mapping[str, Any]) -> Readout:
        if self.tables is None:
            return self._nothing("crosstalk was not read")
        obs = self.cohort.bulk.obs
        platform = platforms(obs).groupby(obs[Obs.SAMPLE]).first()
        table = self.tables.crosstalk.assign(**{PLATFORM: self.tables.crosstalk[Obs.SAMPLE].map(platform)})
        if "axes" in spec:
            values = measures.crosstalk_rank(table, spec["axes"])
        else:
            values = measures.crosstalk_lead(table, spec["above"], spec["below"])
        return self._of_donors(values, "no donor in which all of these axes could be tested")

    def _detected(self, entry: Mapping[str, Any], gene: str) -> Readout:
        min_cells = self._min_share_cells(entry)
        share = measures.detected(self.cohort.bulk, self._types(entry), gene, min_cells=min_cells)
        missing = f"{gene} is not in the gene list, or no donor has {min_cells} cells"
        return self._of_donors(measures.log_odds(share), missing)

    def _similarity(self, entry: Mapping[str, Any], spec: Mapping[str, Any]) -> Readout:
        sets, absent = gene_sets_of({"mean": spec["of"]}, self.sets)
        profiles = self._profiles(entry)
        types = tuple(t for word in spec["to"] for t in self.cohort.types.get(declared(word), ()))
        others = self._of_types(types, self.cohort.min_cells)
        if absent or profiles is None or not len(others.donors):
            return self._nothing(f"no {'signature ' + absent if absent else 'cells of ' + ', '.join(spec['to'])}")
        scorer, other = Scorer(profiles, sets, scoring=self.scoring), Scorer(others, sets, scoring=self.scoring)
        target = other.scores(others.donors.index)
        values = _values(lambda index: measures.similarity(scorer.scores(index), target))
        return Readout(profiles.donors, values, scorers=[scorer, other])

    @cached_property
    def _everyone(self) -> pd.DataFrame:
        """All donors with single cells, whatever their types; counts are those of the tumour cells where there are
        any."""
        bulk = self.cohort.bulk
        donors = profiles_of(bulk, sorted(set(bulk.obs[Obs.CELL_TYPE])), min_cells=1).donors
        if Compartment.MALIGNANT not in self.cohort:
            return donors
        of_tumours = self.cohort[Compartment.MALIGNANT].donors[Obs.TOTAL_COUNTS].reindex(donors.index)
        return donors.assign(**{Obs.TOTAL_COUNTS: of_tumours.fillna(donors[Obs.TOTAL_COUNTS])})

    def _of_donors(self, values: pd.Series, missing: str) -> Readout:
        """A readout of values by study, donor, condition and platform."""
        keys = pd.MultiIndex.from_frame(self._everyone[measures.WHO])
        known = values.reindex(keys) if len(values) else pd.Series(np.nan, keys)
        table = pd.DataFrame({NAME: known.to_numpy(float)}, self._everyone.index).dropna()
        if not len(table):
            return self._nothing(missing)
        return Readout(self._everyone.loc[table.index], DonorValues.of_table(table))

    def _nothing(self, reason: str) -> Readout:
        return Readout(pd.DataFrame(), DonorValues.of_table(pd.DataFrame(columns=[NAME], dtype=float)), reason)


def gene_sets_of(spec: Mapping[str, Any], known: Mapping[str, GeneSet]) -> tuple[list[GeneSet], str]:
    """Gene sets of a readout of expression, and the name of a signature that this run does not hold."""
    if "gene" in spec:
        return [GeneSet(spec["gene"], (spec["gene"],), single=True)], ""
    if "genes" in spec:
        return [GeneSet("+".join(spec["genes"]), tuple(spec["genes"]))], ""
    wanted = spec.get("mean") or [spec["signature"]]
    if absent := [name for name in wanted if name not in known]:
        return [], absent[0]
    return [_without(known[name], spec.get("without", [])) for name in wanted], ""


def _without(gene_set: GeneSet, genes: Collection[str]) -> GeneSet:
    up, down = (tuple(gene for gene in side if gene not in genes) for side in (gene_set.up, gene_set.down))
    return replace(gene_set, up=up, down=down)


def _difference(scorer: Scorer, taken_off: Sequence[Scorer]) -> DonorValues:
    """Mean of a scorer's sets less those of others, in the donors that have all of them."""

    def difference(index: pd.Index) -> pd.Series:
        found = _mean(scorer, index)
        for other in taken_off:
            reference = _mean(other, index.intersection(other.profiles.donors.index, sort=False))
            both = found.index.intersection(reference.index, sort=False)
            found = found[both] - reference[both]
        return found

    return _values(difference)


def _mean(scorer: Scorer, donors: pd.Index) -> pd.Series:
    """Mean over the signatures of a readout; NaN where one cannot be scored."""
    return scorer.scores(donors).mean(axis=1, skipna=False)


def _values(read: Callable[[pd.Index], pd.Series]) -> DonorValues:
    """Values of a readout by what reads them."""
    return DonorValues(pd.Index([NAME]), lambda index: read(index).to_frame(NAME))
