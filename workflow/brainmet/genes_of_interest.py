"""Genes of interest: some hundred genes whose values are kept cell by cell; no later step reads counts for them.

The antigens of antibody-drug conjugates, genes named by claims, further drug targets and the first markers of every
cell type. The page colours its map by them, druggability reads the antigens.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import pandas as pd

from brainmet.contract import CELL_ID, TARGET_SUM, Obs, Uns
from brainmet.core.counts import Counts
from brainmet.core.normalise import log_normalised
from brainmet.core.validate import guess
from brainmet.errors import BrainmetError
from brainmet.knowledge.signatures import positions

log = logging.getLogger(__name__)

COUNTED = ("counts", "expected_counts")
"""Values of which one can say that a cell shows a copy."""


def chosen(
    own: Sequence[str],
    drugs: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    cell_types: Sequence[Mapping[str, Any]],
    *,
    most: int,
) -> pd.DataFrame:
    """Which genes, and what for (`tables/genes_of_interest.yaml`).

    In this order until there are `most`: those of the config, antigens of antibody-drug conjugates, genes of claims,
    other drug targets, then the first marker of every cell type, the second, and so on. The config's genes and the
    antigens are never left out.

    Args:
        own: symbols of the config.
        drugs: entries of the drug list.
        claims: entries of the claims.
        cell_types: entries of the marker sets.
        most: genes in all.
    """
    always = [
        *((gene, "named in the config") for gene in own),
        *((gene, f"antigen of {e['name']}") for e in drugs if e["class"] == "adc" for gene in e["targets"]),
    ]
    rest = [
        *((c["readout"]["gene"], f"claim {c['id']}") for c in claims if "gene" in c["readout"]),
        *((gene, f"target of {e['name']}") for e in drugs for gene in e["targets"]),
        *_turns([(gene, f"marker of {t['name']}") for gene in t.get("positive") or ()] for t in cell_types),
    ]
    table = pd.DataFrame([*always, *rest], columns=["symbol", "use"]).drop_duplicates("symbol", ignore_index=True)
    return table.head(max(most, len({gene for gene, _ in always})))


def check_symbols(own: Sequence[str], known: Iterable[str]) -> None:
    """Hold the config's genes against the current symbols.

    Raises:
        BrainmetError: a symbol is not current.
    """
    symbols = set(known)
    for gene in own:
        if gene not in symbols:
            remedy = guess(gene.upper(), symbols) or "; give the current HGNC symbol"
            raise BrainmetError(f"config.yaml: genes_of_interest.own: no gene {gene!r}{remedy}")


def _turns(lists: Iterable[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The first of every list, then the second of every list, and so on."""
    return [item for item in chain.from_iterable(zip_longest(*lists)) if item is not None]


def genes_of_interest(counts: Counts, keep: np.ndarray, genes: Sequence[str]) -> pd.DataFrame:
    """Values of the genes in every kept cell of one sample; read in blocks.

    Args:
        counts: the sample.
        keep: by cell, whether it passed quality control.
        genes: symbols.

    Returns:
        Index cell id; `total_counts`, then one float32 column per gene, NaN when not measured in the sample. Where the
        sample's values are no counts, the total is NaN and the genes are log1p per ten thousand.
    """
    ids = pd.Index(counts.cells.index[np.asarray(keep, bool)], name=CELL_ID)
    kind = str(counts.uns.get(Uns.VALUES))
    where = positions(counts.genes)
    found = [gene for gene in genes if gene in where]
    columns = [where[gene] for gene in found]
    blocks = []
    for block in counts.chunks(keep):
        if kind in COUNTED:
            blocks.append(np.column_stack([block.sum(axis=1), block[:, columns].toarray()]))
        else:
            values = log_normalised(block, values=kind, columns=columns).toarray()
            blocks.append(np.column_stack([np.full(len(values), np.nan), values]))
    values = np.concatenate(blocks) if blocks else np.empty((0, 1 + len(found)))
    table = pd.DataFrame(np.asarray(values, np.float32), ids, [Obs.TOTAL_COUNTS, *found])
    if missing := [gene for gene in genes if gene not in where]:
        log.info("not measured: %s", ", ".join(missing))
    return table.reindex(columns=[Obs.TOTAL_COUNTS, *genes]).astype(np.float32)


def normalised(table: pd.DataFrame) -> pd.DataFrame:
    """The values of `genes_of_interest` as log1p per ten thousand, without the totals."""
    totals, genes = table[Obs.TOTAL_COUNTS], table.drop(columns=Obs.TOTAL_COUNTS)
    counted = totals.notna().to_numpy()
    result = genes.to_numpy(np.float32, copy=True)
    factors = TARGET_SUM / np.maximum(totals.to_numpy(np.float32)[counted], 1.0)
    result[counted] = np.log1p(result[counted] * factors[:, None])
    return pd.DataFrame(result, table.index, genes.columns)
