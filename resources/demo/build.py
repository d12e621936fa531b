"""Build the mean expression profiles that the simulated cohort is drawn around.

    python resources/demo/build.py DATA resources/genes/human.tsv.gz resources/demo

`DATA` holds `GSE176078/` (one tumour of Wu 2021, 10x 3') and `GSE67835/` (adult cortex of Darmanis 2015, full-length
plates), as their archives serve them. Writes `profiles.tsv.gz` (genes × profiles, counts per million) and `types.tsv`;
README.md says how the numbers come about and what they are not. No marker or signature list is read.
"""

import argparse
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

BREAST = {
    "Cancer Epithelial": "malignant_epithelial",
    "CAFs": "fibroblast",
    "PVL": "pericyte",
    "Endothelial": "endothelial",
    "Myeloid": "macrophage_md",
    "T-cells": "t_cell",
    "B-cells": "b_cell",
    "Plasmablasts": "plasma",
}
NOT_MYELOID = ("DCs",)
"""Minor classes left out: dendritic cells are listed by the authors under Myeloid."""
BRAIN = {
    "astrocytes": "astrocyte",
    "microglia": "microglia",
    "neurons": "neuron",
    "oligodendrocytes": "oligodendrocyte",
    "OPC": "opc",
    "endothelial": "endothelial_brain",
}
LYMPHOCYTES = ("b_cell", "t_cell")
PRIOR_COUNTS = 5000
"""Counts of the pooled lymphocytes added to each lymphocyte profile: 17 B cells alone measure too few genes."""
RECEPTORS = "IG_|TR_"
"""Biotypes of immunoglobulin and T-cell receptor genes: the plates' table lacks them, brain cells get none."""
FEW_CELLS = ("b_cell",)
BROAD_CPM = 5
"""A gene that every type of both platforms expresses at this mean or above has a measurable platform ratio."""
KEEP_CPM = 5
"""Genes that are not protein-coding are kept when some profile reaches this."""
# Last base of the short arm, GRCh38: start of the band q11 in UCSC's cytoBand table (https://hgdownload.soe.ucsc.edu/goldenPath/hg38/).
CENTROMERES = {
    "1": 123_400_000, "2": 93_900_000, "3": 90_900_000, "4": 50_000_000, "5": 48_800_000, "6": 59_800_000,
    "7": 60_100_000, "8": 45_200_000, "9": 43_000_000, "10": 39_800_000, "11": 53_400_000, "12": 35_500_000,
    "13": 17_700_000, "14": 17_200_000, "15": 19_000_000, "16": 36_800_000, "17": 25_100_000, "18": 18_500_000,
    "19": 26_200_000, "20": 28_100_000, "21": 12_000_000, "22": 15_000_000, "X": 61_000_000, "Y": 10_400_000,
}  # fmt: skip


def read_breast(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts summed by profile (symbols × profiles), and profile, n_cells, counts a cell."""
    prefix = folder / "GSM5354528_CID4465_"
    counts = sp.csr_matrix(scipy.io.mmread(io.BytesIO(gzip.decompress(Path(f"{prefix}matrix.mtx.gz").read_bytes()))).T)
    symbols = pd.read_csv(f"{prefix}features.tsv.gz", sep="\t", header=None)[1].to_numpy()
    barcodes = pd.read_csv(f"{prefix}barcodes.tsv.gz", header=None)[0].str.replace("-1", "", regex=False)
    labels = pd.read_csv(f"{prefix}Cell_Types_Annotations.csv.gz", index_col="Barcode").reindex(barcodes)
    kind = labels["celltype_major"].map(BREAST).where(~labels["celltype_minor"].isin(NOT_MYELOID)).to_numpy()
    return _sums(counts, symbols, kind, list(BREAST.values()))


def read_brain(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same for adult brain cells; HTSeq's summary rows are dropped."""
    table = pd.read_csv(folder / "GSE67835_counts.tsv.gz", sep="\t", index_col=0)
    table = table.drop(index=["no_feature", "ambiguous", "alignment_not_unique"], errors="ignore")
    cells = pd.read_csv(folder / "GSE67835_cells.csv.gz", index_col=0).reindex(table.columns)
    kind = cells["cell_type"].map(BRAIN).to_numpy()
    return _sums(sp.csr_matrix(table.to_numpy().T), table.index.str.strip().to_numpy(), kind, list(BRAIN.values()))


def _sums(
    counts: sp.csr_matrix, symbols: np.ndarray, kind: np.ndarray, names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    sums = {name: np.asarray(counts[kind == name].sum(0)).ravel() for name in names}
    cells = pd.DataFrame(
        {
            "profile": names,
            "n_cells": [int((kind == name).sum()) for name in names],
            "n_counts": [int(sums[name].sum()) for name in names],
            "median_counts": [float(np.median(np.asarray(counts[kind == name].sum(1)))) for name in names],
            "median_genes": [float(np.median(counts[kind == name].getnnz(axis=1))) for name in names],
        }
    )
    return pd.DataFrame(sums, index=symbols), cells


def resolve(table: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Rows named by Ensembl id: of the current symbol, else of an unambiguous previous one; rows of a gene summed."""
    current = genes.drop_duplicates("symbol", keep=False).set_index("symbol").index
    by_symbol = genes[genes["symbol"].isin(current)].set_index("symbol")["ensembl_id"]
    previous = genes.assign(previous=genes["previous"].str.split("|")).explode("previous")[["previous", "ensembl_id"]]
    previous = previous[(previous["previous"] != "") & ~previous["previous"].isin(by_symbol.index)]
    by_previous = previous.drop_duplicates("previous", keep=False).set_index("previous")["ensembl_id"]
    ids = table.index.map(pd.concat([by_symbol, by_previous]).to_dict())
    return table[ids.notna()].groupby(ids[ids.notna()]).sum()


def as_cpm(sums: pd.DataFrame) -> pd.DataFrame:
    """Each column scaled to a million."""
    return sums / sums.sum() * 1e6


def harmonise(breast: pd.DataFrame, brain: pd.DataFrame, mitochondrial: pd.Series) -> pd.DataFrame:
    """Plate profiles on the 10x scale.

    Genes that every type of both platforms expresses take the ratio of the platforms' geometric means (capture and
    transcript length act on the gene, whatever the cell); all others, among them each type's own genes, take one common
    factor, the ratio of the platforms' shares left for such genes. Mitochondrial genes, absent from the plates' table,
    are the 10x mean.
    """
    sure = breast.drop(columns=list(FEW_CELLS))
    broad = (sure >= BROAD_CPM).all(axis=1) & (brain >= BROAD_CPM).all(axis=1)
    ratio = np.exp(np.log(sure[broad]).mean(axis=1) - np.log(brain[broad]).mean(axis=1))
    nuclear = ~mitochondrial
    common = sure[~broad & nuclear].sum().median() / brain[~broad & nuclear].sum().median()
    factors = pd.Series(common, index=brain.index)
    factors[broad] = ratio
    scaled = brain.mul(factors, axis=0)
    mean = breast[mitochondrial].mean(axis=1)
    scaled = scaled[nuclear] / scaled[nuclear].sum() * (1e6 - mean.sum())
    return scaled.reindex(brain.index).where(nuclear, mean, axis=0)


def build(data: Path, gene_table: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Profiles with ensembl_id, symbol, arm first, and one row a profile of how it was measured."""
    genes = pd.read_csv(gene_table, sep="\t", dtype={"chromosome": str}, keep_default_na=False)
    breast, breast_cells = read_breast(data / "GSE176078")
    brain, brain_cells = read_brain(data / "GSE67835")
    breast, brain = resolve(breast, genes), resolve(brain, genes)
    genes = genes[genes["chromosome"] != ""].set_index("ensembl_id")
    alone = (genes["chromosome"] == "MT") | genes["biotype"].str.match(RECEPTORS)
    both = breast.index.intersection(brain.index).union(breast.index[alone.reindex(breast.index) == True])  # noqa: E712
    genes = genes.loc[genes.index.intersection(both)]
    breast, brain = breast.loc[genes.index], brain.reindex(genes.index).fillna(0)
    breast = as_cpm(breast)
    profiles = pd.concat([breast, harmonise(breast, as_cpm(brain), genes["chromosome"] == "MT")], axis=1)
    genes = genes[(genes["biotype"] == "protein_coding") | (profiles.max(axis=1) >= KEEP_CPM)]
    order = pd.to_numeric(genes["chromosome"].replace({"X": "23", "Y": "24", "MT": "25"}))
    genes = genes.assign(order=order).sort_values(["order", "start"], kind="stable")
    long = [
        bool(c in CENTROMERES and s > CENTROMERES[c]) for c, s in zip(genes["chromosome"], genes["start"], strict=True)
    ]
    arm = genes["chromosome"] + np.where(long, "q", np.where(genes["chromosome"] == "MT", "", "p"))
    rounded = profiles.loc[genes.index]
    rounded = rounded.where(rounded >= 0.5, 0).apply(lambda p: p.round(0).astype(int))
    rounded.insert(0, "symbol", genes["symbol"])
    rounded.insert(1, "arm", arm)
    return rounded.rename_axis("ensembl_id").reset_index(), _types(breast_cells, brain_cells)


def _types(breast: pd.DataFrame, brain: pd.DataFrame) -> pd.DataFrame:
    """Where each profile comes from and its relative RNA content (`rna`): macrophages and microglia are 1.

    From counts a cell in the breast data; plates have no such measure, the number of detected genes stands in.
    """
    breast = breast.assign(
        source="GSE176078", rna=breast["median_counts"] / breast.set_index("profile")["median_counts"]["macrophage_md"]
    )
    brain = brain.assign(
        source="GSE67835", rna=brain["median_genes"] / brain.set_index("profile")["median_genes"]["microglia"]
    )
    types = pd.concat([breast, brain], ignore_index=True)
    types["cell_type"] = types["profile"].replace({"endothelial_brain": "endothelial"})
    types["rna"] = types["rna"].round(2)
    return types[["profile", "cell_type", "source", "n_cells", "n_counts", "rna"]]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("genes", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    profiles, types = build(arguments.data, arguments.genes)
    text = profiles.to_csv(sep="\t", index=False, lineterminator="\n").encode()
    # mtime 0: the same table gives the same bytes.
    (arguments.out / "profiles.tsv.gz").write_bytes(gzip.compress(text, 9, mtime=0))
    types.to_csv(arguments.out / "types.tsv", sep="\t", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
