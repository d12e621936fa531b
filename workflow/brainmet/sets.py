"""Gene-set enrichment: gseapy's prerank of our signatures on the statistic of the differential expression, offline.

A competitive test: it asks whether a set's genes rank higher than other genes, and takes genes for independent,
which they are not. Its FDR describes; no verdict uses it.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from brainmet.contrasts import MUCH_AMBIENT
from brainmet.donor_scores import GeneSet
from brainmet.donors import declared
from brainmet.tables import columns, empty

log = logging.getLogger(__name__)


def sets(
    de: pd.DataFrame, gene_sets: Sequence[GeneSet], *, min_size: int, max_size: int, permutations: int, seed: int
) -> pd.DataFrame:
    """Rows of `gsea.tsv`: every set with enough ranked genes, in every compartment and contrast with a fitted model.

    Args:
        de: rows of `de.tsv`.
        gene_sets: signatures; up and down genes are ranked apart.
        min_size, max_size: genes of a set that are ranked.
        permutations: of genes.
    """
    home = {s.id: declared(s.compartment) for s in gene_sets}
    blocks = []
    for (cell_type, contrast), rows in de.groupby(["cell_type", "contrast"], sort=True):
        ranked = ranking(rows)
        if not len(ranked):
            reason = str(rows["reason"].iloc[0]) or "no gene was tested"
            blocks.append(
                pd.DataFrame(
                    [{"signature": "", "direction": "", "leading_edge": "", "reason": reason, "family": ""}]
                ).assign(cell_type=cell_type, contrast=contrast)
            )
            continue
        result = prerank(ranked, gene_sets, min_size=min_size, max_size=max_size, permutations=permutations, seed=seed)
        log.info("%s, %s: %d sets on %d genes", cell_type, contrast, len(result), len(ranked))
        share = rows.drop_duplicates("symbol").set_index("symbol")["ambient_max"].astype(float)
        edges = result["leading_edge"].str.split(";")
        result["ambient_max"] = [
            float(np.nanmedian(known)) if len(known := share.reindex(e).dropna()) else np.nan for e in edges
        ]
        family = np.where(result["signature"].map(home) == cell_type, "confirmatory", "exploratory")
        blocks.append(result.assign(cell_type=cell_type, contrast=contrast, family=family, reason=""))
    if not blocks:
        return empty("gsea")
    table = pd.concat(blocks, ignore_index=True)
    for name in columns("gsea"):
        if name not in table:
            table[name] = np.nan
    table["ambient_flag"] = table["ambient_max"] > MUCH_AMBIENT
    keys = ["cell_type", "contrast", "signature", "direction"]
    return table.sort_values(keys, kind="stable", ignore_index=True)[columns("gsea")]


def ranking(rows: pd.DataFrame) -> pd.Series:
    """Statistic by symbol, highest first, ties in order of symbol; of genes with one symbol the first counts."""
    tested = rows[rows["stat"].notna()].drop_duplicates("symbol").sort_values("symbol", kind="stable")
    return tested.set_index("symbol")["stat"].sort_values(ascending=False, kind="stable")


def prerank(
    ranked: pd.Series, gene_sets: Sequence[GeneSet], *, min_size: int, max_size: int, permutations: int, seed: int
) -> pd.DataFrame:
    """Enrichment of each set's up and down genes in a ranking: NES, p, FDR, leading edge in rank order."""
    names = {
        f"{s.id}|{side}": [g for g in genes if g in ranked.index]
        for s in gene_sets
        for side, genes in (("up", s.up), ("down", s.down))
    }
    names = {name: genes for name, genes in names.items() if min_size <= len(genes) <= max_size}
    kept = ["signature", "direction", "n_genes", "es", "nes", "p", "fdr", "leading_edge"]
    if not names or ranked.nunique() < 2:
        return pd.DataFrame(columns=kept)
    import gseapy

    result = gseapy.prerank(
        rnk=ranked,
        gene_sets=names,
        min_size=min_size,
        max_size=max_size,
        permutation_num=permutations,
        seed=seed,
        threads=1,
        outdir=None,
        no_plot=True,
        verbose=False,
    ).res2d
    parts = result["Term"].str.split("|", regex=False)
    return pd.DataFrame(
        {
            "signature": parts.str[0],
            "direction": parts.str[1],
            "n_genes": [len(names[term]) for term in result["Term"]],
            "es": result["ES"].astype(float),
            "nes": result["NES"].astype(float),
            "p": result["NOM p-val"].astype(float),
            "fdr": result["FDR q-val"].astype(float),
            "leading_edge": result["Lead_genes"].astype(str),
        }
    )
