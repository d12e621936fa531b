"""Which signatures and cell types suffer from the genes that a sample does not measure."""

from collections.abc import Collection, Iterable, Mapping

import pandas as pd

SUFFERS = 0.8
"""A set with a smaller share of its genes in the sample's gene list is named."""


def affected(measured: Collection[str], sets: Mapping[str, Iterable[str]]) -> str:
    """Sets that lack genes, worst first, each with the share that is measured: `name 0.25; other 0.7`.

    Args:
        measured: symbols in the sample's gene list.
        sets: symbols by name; an empty set cannot lack anything.
    """
    lacking, known = [], frozenset(measured)
    for name, genes in sets.items():
        listed = set(genes)
        share = len(listed & known) / len(listed) if listed else 1.0
        if share < SUFFERS:
            lacking.append((share, name))
    return "; ".join(f"{name} {share:.2g}" for share, name in sorted(lacking))


def with_affected(
    lost: pd.DataFrame,
    measured: Iterable[Collection[str]],
    *,
    signatures: Mapping[str, Iterable[str]],
    types: Mapping[str, Iterable[str]],
) -> pd.DataFrame:
    """Rows of `genes_lost.tsv` with the signatures and the cell types that lack genes in each sample.

    Args:
        lost: one row per sample.
        measured: symbols in the gene list of each sample, in the order of the rows; read one after the other.
        signatures: symbols by signature.
        types: marker genes by cell type.
    """
    pairs = [(affected(genes, signatures), affected(genes, types)) for genes in measured]
    columns = ["signatures_affected", "types_affected"]
    return lost.assign(**pd.DataFrame(pairs, lost.index, columns, dtype=object))
