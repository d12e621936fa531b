"""Gene-set enrichment: gseapy's prerank of our signatures on the statistic of the differential expression, offline.

Its p-values are those of fgsea (Korotkevich et al. 2021, doi 10.1101/060012): small ones are sampled step by step where
plain permutations, twenty times as slow, end at one in their number. A competitive test: it asks whether a set's genes
rank higher than others, and takes genes for independent, which they are not. Its FDR describes; no verdict uses it.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from brainmet.compare.contrasts import CONFIRMATORY, EXPLORATORY, MUCH_AMBIENT
from brainmet.compare.donor_scores import GeneSet, log_cpm
from brainmet.compare.donors import PLATFORM, Profiles, declared
from brainmet.contract import Obs
from brainmet.core.tables import columns, empty

log = logging.getLogger(__name__)

MIN_GSVA_DONORS = 5
"""Donors of a platform without which GSVA has nothing to compare a gene with."""


def sets(
    de: pd.DataFrame, gene_sets: Sequence[GeneSet], *, min_size: int, max_size: int, permutations: int, seed: int
) -> pd.DataFrame:
    """Rows of `gsea.tsv`: every set with enough ranked genes, in every compartment and contrast with a fitted model.

    Args:
        de: rows of `de.tsv`.
        gene_sets: signatures; up and down genes are ranked apart.
        min_size, max_size: genes of a set that are ranked.
        permutations: random gene sets by whose scores those of the sets are normalised.
    """
    home = {s.id: declared(s.compartment) for s in gene_sets}
    blocks = []
    for (cell_type, contrast), rows in de.groupby(["cell_type", "contrast"], sort=True):
        ranked = ranking(rows)
        result = prerank(ranked, gene_sets, min_size=min_size, max_size=max_size, permutations=permutations, seed=seed)
        if result.empty:
            reason = _refusal(ranked, rows, min_size=min_size, max_size=max_size)
            empty_row = {"signature": "", "direction": "", "leading_edge": "", "reason": reason, "family": ""}
            blocks.append(pd.DataFrame([empty_row]).assign(cell_type=cell_type, contrast=contrast))
            continue
        log.info("%s, %s: %d sets on %d genes", cell_type, contrast, len(result), len(ranked))
        share = rows.drop_duplicates("symbol").set_index("symbol")["ambient_max"].astype(float)
        edges = result["leading_edge"].str.split(";")
        result["ambient_max"] = [
            float(np.nanmedian(known)) if len(known := share.reindex(e).dropna()) else np.nan for e in edges
        ]
        family = np.where(result["signature"].map(home) == cell_type, CONFIRMATORY, EXPLORATORY)
        blocks.append(result.assign(cell_type=cell_type, contrast=contrast, family=family, reason=""))
    if not blocks:
        return empty("gsea")
    table = pd.concat(blocks, ignore_index=True).reindex(columns=columns("gsea"))
    table["ambient_flag"] = table["ambient_max"] > MUCH_AMBIENT
    keys = ["cell_type", "contrast", "signature", "direction"]
    return table.sort_values(keys, kind="stable", ignore_index=True)


def _refusal(ranked: pd.Series, rows: pd.DataFrame, *, min_size: int, max_size: int) -> str:
    """Why no set could be tested in a ranking."""
    if ranked.empty:
        return str(rows["reason"].iloc[0]) or "no gene was tested"
    if ranked.nunique() < 2:
        return "all genes have the same statistic: they cannot be ranked"
    return f"no set has {min_size} to {max_size} of the ranked genes"


def per_donor(
    profiles_of: Mapping[str, Profiles],
    gene_sets: Sequence[GeneSet],
    *,
    compartments: Sequence[str],
    min_size: int,
    max_size: int,
    seed: int,
) -> pd.DataFrame:
    """Rows of `donor_sets.tsv`: gseapy's ssGSEA and GSVA of every set in the pseudobulk of every donor, to look at.

    ssGSEA ranks the genes of one donor; GSVA compares a gene with the other donors of the platform, of which it needs
    `MIN_GSVA_DONORS` in all.
    """
    tables = []
    for cell_type in compartments:
        if cell_type not in profiles_of:
            continue
        profiles = profiles_of[cell_type]
        for _, donors in profiles.donors.groupby(PLATFORM, sort=True):
            of_platform = profiles.take(profiles.donors.index.isin(donors.index))
            tables.append(_of_donors(of_platform, gene_sets, min_size, max_size, seed).assign(cell_type=cell_type))
    return pd.concat(tables, ignore_index=True)[columns("donor_sets")] if tables else empty("donor_sets")


def _of_donors(
    profiles: Profiles, gene_sets: Sequence[GeneSet], min_size: int, max_size: int, seed: int
) -> pd.DataFrame:
    """Both scores of donors of one platform, on the genes measured in all of them."""
    import gseapy

    use = profiles.measured()
    values = pd.DataFrame(log_cpm(profiles.counts[:, use]).T, profiles.symbols.to_numpy()[use], profiles.donors.index)
    values = values[~values.index.duplicated()]
    terms, names = _terms(gene_sets, values.index, min_size=min_size, max_size=max_size)
    keys = [Obs.STUDY, Obs.DONOR, Obs.CONDITION]
    if not names:
        return pd.DataFrame(columns=[*keys, "signature", "direction", "ssgsea", "gsva"])
    shared = {
        "data": values,
        "gene_sets": names,
        "outdir": None,
        "min_size": min_size,
        "max_size": max_size,
        "seed": seed,
    }
    found = {"ssgsea": gseapy.ssgsea(**shared, threads=1, no_plot=True).res2d}
    if values.shape[1] >= MIN_GSVA_DONORS:
        found["gsva"] = gseapy.gsva(**shared, threads=1).res2d
    scores = {name: table.set_index(["Name", "Term"])["ES"].astype(float) for name, table in found.items()}
    table = pd.DataFrame(scores).reindex(columns=["ssgsea", "gsva"]).sort_index(kind="stable").reset_index()
    table = table.assign(**_sides(table["Term"], terms))
    return table.merge(profiles.donors[keys], left_on="Name", right_index=True, validate="many_to_one")


def _terms(
    gene_sets: Sequence[GeneSet], known: pd.Index, *, min_size: int, max_size: int
) -> tuple[dict[str, tuple[str, str]], dict[str, list[str]]]:
    """Up and down genes of each set that are known, each side a set of its own for gseapy.

    Returns:
        Signature and direction by term, and the genes by term, of those with `min_size` to `max_size` genes.
    """
    present = set(known)
    terms, genes_of = {}, {}
    for s in gene_sets:
        for side, listed in (("up", s.up), ("down", s.down)):
            genes = [gene for gene in dict.fromkeys(listed) if gene in present]
            if min_size <= len(genes) <= max_size:
                term = f"{s.id}|{side}"
                terms[term], genes_of[term] = (s.id, side), genes
    return terms, genes_of


def _sides(terms: pd.Series, names: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    """Signature and direction of each term."""
    return {
        "signature": [names[term][0] for term in terms],
        "direction": [names[term][1] for term in terms],
    }


def ranking(rows: pd.DataFrame) -> pd.Series:
    """Statistic by symbol, highest first, ties in order of symbol; of genes with one symbol the first counts."""
    tested = rows[rows["stat"].notna()].drop_duplicates("symbol").sort_values("symbol", kind="stable")
    return tested.set_index("symbol")["stat"].sort_values(ascending=False, kind="stable")


def prerank(
    ranked: pd.Series, gene_sets: Sequence[GeneSet], *, min_size: int, max_size: int, permutations: int, seed: int
) -> pd.DataFrame:
    """Enrichment of each set's up and down genes in a ranking: NES, p, FDR, leading edge in rank order."""
    terms, names = _terms(gene_sets, ranked.index, min_size=min_size, max_size=max_size)
    kept = ["signature", "direction", "n_genes", "es", "nes", "p", "fdr", "leading_edge"]
    if not names or ranked.nunique() < 2:
        return pd.DataFrame(columns=kept)
    import gseapy

    # Ties are in an order of ours already, and gseapy warns of them by a logger that it names anew at each call: only a
    # limit for all loggers reaches it.
    logging.disable(logging.WARNING)
    try:
        result = gseapy.prerank(
            rnk=ranked,
            gene_sets=names,
            min_size=min_size,
            max_size=max_size,
            method="multilevel",
            permutation_num=permutations,
            seed=seed,
            threads=1,
            outdir=None,
            no_plot=True,
            verbose=False,
        ).res2d
    finally:
        logging.disable(logging.NOTSET)
    return pd.DataFrame(
        {
            **_sides(result["Term"], terms),
            "n_genes": [len(names[term]) for term in result["Term"]],
            "es": result["ES"].astype(float),
            "nes": result["NES"].astype(float),
            "p": result["NOM p-val"].astype(float),
            "fdr": result["FDR q-val"].astype(float),
            "leading_edge": result["Lead_genes"].astype(str),
        }
    )
