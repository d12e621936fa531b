"""Differential expression of genes by pydeseq2, on pseudobulk, donors as replicates, the study as covariate.

Only studies that hold both groups on one platform take part, so that a study cannot pass for a condition. The model of
a compartment and contrast is `~ study + is_a`; a study whose donors were sampled in both groups has a column for each
donor in place of its own, so that donors are compared with themselves. Its result describes genes; verdicts come from
`compare`.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare.across_studies import verdict_of_design
from brainmet.compare.contrast import Contrast
from brainmet.compare.contrasts import MUCH_AMBIENT
from brainmet.compare.donors import PLATFORM, Profiles
from brainmet.compare.estimators import Design, pairing
from brainmet.contract import Obs, Uns
from brainmet.core.tables import columns
from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)


def expression(
    profiles_of: Mapping[str, Profiles],
    contrasts: Sequence[Contrast],
    *,
    design: Design,
    compartments: Sequence[str],
    min_counts: int,
    min_gene_counts: int,
    clean: Mapping[str, Profiles] | None = None,
) -> pd.DataFrame:
    """Rows of `de.tsv`: one row per gene where the model could be fitted, one row that says why where it could not.

    Args:
        profiles_of: donor profiles by compartment.
        contrasts: the contrasts.
        compartments: those to fit; a fit costs seconds.
        min_counts: donors below are left out.
        min_gene_counts: a gene needs this many counts in as many donors as the smaller group has.
        clean: the profiles less ambient RNA.
    """
    blocks = []
    for cell_type in compartments:
        for contrast in contrasts:
            profiles = profiles_of.get(cell_type)
            reason = f"no cells of {cell_type}" if profiles is None else ""
            if profiles is not None:
                chosen, reason = donors_of(profiles, contrast, design=design, min_counts=min_counts)
            if reason or profiles is None:
                blocks.append(
                    pd.DataFrame(
                        [{"ensembl_id": "", "symbol": "", "studies": "", "design": "", "reason": reason}]
                    ).assign(contrast=contrast.id, cell_type=cell_type)
                )
                log.info("%s, %s: %s", cell_type, contrast.id, reason)
                continue
            rows = fit(profiles.take(chosen), contrast, min_gene_counts=min_gene_counts)
            if clean is not None:
                share = ambient_shares(profiles.take(chosen), clean[cell_type], min_counts=min_gene_counts)
                rows["ambient_max"] = rows["ensembl_id"].map(share)
            log.info("%s, %s: %d genes, %d donors", cell_type, contrast.id, len(rows), chosen.sum())
            blocks.append(rows.assign(contrast=contrast.id, cell_type=cell_type, reason=""))
    table = pd.concat(blocks, ignore_index=True).reindex(columns=columns("de"))
    table["ambient_flag"] = table["ambient_max"] > MUCH_AMBIENT
    return table.sort_values(["cell_type", "contrast", "ensembl_id"], kind="stable", ignore_index=True)


def ambient_shares(raw: Profiles, clean: Profiles, *, min_counts: int) -> pd.Series:
    """By gene, the largest share over donors of its count that ambient RNA can explain, in donors with `min_counts` of
    it; NaN where no donor has so many."""
    both = raw.donors.index.intersection(clean.donors.index, sort=False)
    x, left = (p.counts[p.donors.index.get_indexer(both)] for p in (raw, clean))
    enough = x >= min_counts
    share = np.where(enough, 1 - np.divide(left, x, out=np.ones_like(x), where=enough), -np.inf).max(
        axis=0, initial=-np.inf
    )
    return pd.Series(np.where(np.isfinite(share), share, np.nan), raw.symbols.index)


def donors_of(profiles: Profiles, contrast: Contrast, *, design: Design, min_counts: int) -> tuple[np.ndarray, str]:
    """Mask of the donors that can be modelled together, and a sentence when there are none.

    One platform is modelled: the one with most profiles. Donors of both groups are pairs, or stay in one group
    (`Contrast.sides`).
    """
    deep = profiles.donors[Obs.TOTAL_COUNTS] >= min_counts
    of_site, _ = contrast.eligible(profiles.donors[deep], site=design.primary_site)
    counts = of_site[of_site[Uns.VALUES] == "counts"]
    if len(of_site) and not len(counts):
        return np.zeros(
            len(profiles.donors), bool
        ), f"not testable: not counts ({', '.join(sorted(set(of_site[Uns.VALUES])))})"
    kept: dict[str, list[str]] = {}
    for (_, platform), members in counts.groupby([Obs.STUDY, PLATFORM], sort=True):
        a, b = contrast.sides(members, min_donors=design.min_donors)
        if min(len(a), len(b)) >= design.min_donors:
            kept.setdefault(str(platform), []).extend([*a, *b])
    if not kept:
        _, reason = verdict_of_design(counts, contrast, design, across=False)
        uncounted = f"; {len(of_site) - len(counts)} profiles are not counts" if len(of_site) > len(counts) else ""
        return np.zeros(len(profiles.donors), bool), f"not testable: {reason}{uncounted}"
    platform = max(sorted(kept), key=lambda p: len(kept[p]))
    return profiles.donors.index.isin(kept[platform]), ""


def fit(profiles: Profiles, contrast: Contrast, *, min_gene_counts: int) -> pd.DataFrame:
    """One pydeseq2 model; genes measured in all donors with enough counts."""
    donors = profiles.donors
    is_a = (donors[Obs.CONDITION] == contrast.a).to_numpy()
    smaller = min(is_a.sum(), (~is_a).sum())
    use = profiles.measured() & ((profiles.counts >= min_gene_counts).sum(axis=0) >= smaller)
    counts = pd.DataFrame(
        np.rint(profiles.counts[:, use]).astype(np.int64),
        [f"d{i}" for i in range(len(donors))],
        profiles.symbols.index[use],
    )
    design = model(donors, is_a).set_axis(counts.index)
    check_rank(design)
    result = (
        _deseq(counts, design)
        if use.sum() >= 2
        else pd.DataFrame(columns=["baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj"])
    )
    names = {
        "baseMean": "base_mean",
        "log2FoldChange": "log2_fold_change",
        "lfcSE": "lfc_se",
        "pvalue": "p",
        "padj": "fdr",
    }
    result = result.rename(columns=names)[["base_mean", "log2_fold_change", "lfc_se", "stat", "p", "fdr"]]
    result.insert(0, "symbol", profiles.symbols.loc[result.index].to_numpy())
    result.insert(0, "ensembl_id", result.index.to_numpy(object))
    studies = ";".join(sorted(set(donors[Obs.STUDY])))
    return result.assign(n_a=int(is_a.sum()), n_b=int((~is_a).sum()), studies=studies, design=pairing(_twice(donors)))


def model(donors: pd.DataFrame, is_a: np.ndarray) -> pd.DataFrame:
    """Design matrix: intercept, whether the donor is of group a, and a column for each stratum but the first. A stratum
    is a study, or a donor of both groups."""
    strata = ("study_" + donors[Obs.STUDY]).where(
        ~_twice(donors), "donor_" + donors[Obs.STUDY] + "|" + donors[Obs.DONOR]
    )
    columns_ = {"intercept": 1.0, "is_a": is_a.astype(float)}
    columns_ |= {name: (strata == name).to_numpy(float) for name in sorted(set(strata))[1:]}
    return pd.DataFrame(columns_, index=donors.index)


def _twice(donors: pd.DataFrame) -> pd.Series:
    """Whether the donor of each profile has another one."""
    return donors.duplicated([Obs.STUDY, Obs.DONOR], keep=False)


def check_rank(design: pd.DataFrame) -> None:
    """Refuse a design whose columns cannot be told apart, naming the columns.

    Raises:
        BrainmetError: the design matrix is not of full rank.
    """
    if np.linalg.matrix_rank(design.to_numpy(float)) == design.shape[1]:
        return
    kept: list[str] = []
    for name in design.columns:
        if np.linalg.matrix_rank(design[[*kept, name]].to_numpy(float)) == len(kept):
            raise BrainmetError(
                f"differential expression: the model cannot separate {name} from {', '.join(kept)}, which change "
                "together; leave one of them out"
            )
        kept.append(name)


def _deseq(counts: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.ds import DeseqStats

    from brainmet.compare.dispersion import BatchInference

    inference = BatchInference(n_cpus=1)
    with warnings.catch_warnings():
        # On small data pydeseq2 takes the mean of the dispersions for their trend, and warns of it again and again.
        warnings.simplefilter("ignore")
        # No gene free of zeros, the usual state of pseudobulk, leaves median-of-ratios without genes.
        method = "ratio" if (counts > 0).all(axis=0).any() else "poscounts"
        model = DeseqDataSet(
            counts=counts,
            metadata=design[["is_a"]],
            design=design,
            size_factors_fit_type=method,
            inference=inference,
            quiet=True,
        )
        model.deseq2()
        of_interest = (design.columns == "is_a").astype(float)
        stats = DeseqStats(model, contrast=of_interest, inference=inference, quiet=True)
        stats.summary()
    return stats.results_df
