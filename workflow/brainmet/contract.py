"""The data contract: every key that crosses a file boundary, with its meaning, type and unit.

Modules use these names instead of string literals. The columns of tables are frozen in `workflow/schemas/tables/`
(one file per table, read by `brainmet.core.tables`); this module holds what the matrices carry and the vocabularies.
"""

from dataclasses import dataclass
from typing import Final

VERSION: Final = "1.0.0"
CELL_ID: Final = "cell_id"
UNKNOWN: Final = "unknown"
BY_HAND: Final = "set by hand"
"""How the reason of a cell begins whose type was set so; behind it stand the place and what it was called before."""
TARGET_SUM: Final = 1e4
"""Counts per cell after normalisation: log1p of counts per ten thousand, the field's usual scale."""


@dataclass(frozen=True)
class Key:
    """One key of the contract."""

    name: str
    slot: str
    dtype: str
    meaning: str


class Obs:
    """Columns that describe a cell. Index: cell id, `{sample}:{barcode}`, unique over the run."""

    DATASET: Final = "dataset"
    STUDY: Final = "study"
    SAMPLE: Final = "sample"
    DONOR: Final = "donor"
    CONDITION: Final = "condition"
    ORGANISM: Final = "organism"
    AUTHOR_LABEL: Final = "author_label"
    AUTHOR_CELL_TYPE: Final = "author_cell_type"
    TOTAL_COUNTS: Final = "total_counts"
    N_GENES: Final = "n_genes_by_counts"
    PCT_MT: Final = "pct_counts_mt"
    DOUBLET_SCORE: Final = "doublet_score"
    KEEP: Final = "keep"
    REASON: Final = "reason"
    CLUSTER: Final = "cluster"
    LINEAGE: Final = "lineage"
    CELL_TYPE: Final = "cell_type"
    CELL_ONTOLOGY: Final = "cell_ontology_term_id"
    CONFIDENCE: Final = "confidence"
    MALIGNANCY: Final = "malignancy"
    MALIGNANCY_SCORE: Final = "malignancy_score"
    TUMOUR_OF_ORIGIN: Final = "tumour_of_origin"
    N_CELLS: Final = "n_cells"


class Var:
    """Columns that describe a gene. Index: Ensembl id without version."""

    ENSEMBL: Final = "ensembl_id"
    SYMBOL: Final = "symbol"
    CHROMOSOME: Final = "chromosome"
    START: Final = "start"
    END: Final = "end"
    SOURCE_ID: Final = "source_id"


class Uns:
    """What a matrix says of itself."""

    CONTRACT_VERSION: Final = "contract_version"
    ORGANISM: Final = "organism"
    TECHNOLOGY: Final = "technology"
    SUSPENSION: Final = "suspension"
    VALUES: Final = "values"
    SIMULATED: Final = "simulated"
    CAUTION: Final = "caution"


class Tier:
    """How sure it is that a cell is malignant: `obs.malignancy`."""

    MALIGNANT: Final = "malignant"
    LIKELY_MALIGNANT: Final = "likely_malignant"
    UNCERTAIN: Final = "uncertain"
    NORMAL: Final = "normal"


COUNTS_KEYS: Final = (
    Key(
        "X",
        "X",
        "uint16 | uint32 | float32",
        "counts, cells × genes, CSR with int64 indptr; float32 for expected counts, TPM and logs",
    ),
    Key(CELL_ID, "obs index", "string", "`{sample}:{barcode}`, unique over the run, in file order"),
    Key(Obs.DATASET, "obs", "string", "id of the dataset file"),
    Key(
        Obs.STUDY,
        "obs",
        "string",
        "study within which conditions are compared; the dataset id unless the sample names one",
    ),
    Key(Obs.SAMPLE, "obs", "string", "sample id, unique over the run"),
    Key(Obs.DONOR, "obs", "string", "donor id, the replicate of every test"),
    Key(Obs.CONDITION, "obs", "string", "where the sample was taken; docs/adding.md lists the words"),
    Key(Obs.AUTHOR_LABEL, "obs", "string", "label given by the authors, as published; empty when none"),
    Key(
        Obs.AUTHOR_CELL_TYPE,
        "obs",
        "string",
        "the same mapped to a type id of `resources/markers`; empty when unmapped",
    ),
    Key(
        "author_*",
        "obs",
        "string",
        "other columns of the authors' table of cells, as published; covariates of a sample",
    ),
    Key("truth_*", "obs", "string", "what is true of a simulated cell; simulated data only"),
    Key(Obs.ORGANISM, "obs", "string", "species of the cell; mixtures of human and mouse only"),
    Key(
        Var.ENSEMBL,
        "var index",
        "string",
        "Ensembl gene id without version (human; mouse genes enter by their orthologue)",
    ),
    Key(Var.SYMBOL, "var", "string", "current symbol of the frozen gene table"),
    Key(Var.CHROMOSOME, "var", "string", "1..22, X, Y, MT; empty when unknown"),
    Key(Var.START, "var", "int64", "first base of the gene, 1-based; 0 when unknown"),
    Key(Var.END, "var", "int64", "last base of the gene, 1-based; 0 when unknown"),
    Key(Var.SOURCE_ID, "var", "string", "the mouse genes whose counts these are, joined by `;`; mouse samples only"),
    Key(Uns.CONTRACT_VERSION, "uns", "string", "version of this contract"),
    Key(Uns.SIMULATED, "uns", "bool", "whether the counts are simulated"),
    Key(Uns.CAUTION, "uns", "string", "what a reader had to assume of the file; absent where it assumed nothing"),
    Key(Uns.ORGANISM, "uns", "string", "human, mouse or human_mouse"),
    Key(Uns.TECHNOLOGY, "uns", "string", "10x_3prime, 10x_5prime, smartseq or other"),
    Key(Uns.SUSPENSION, "uns", "string", "cell, nucleus or bulk"),
    Key(
        Uns.VALUES,
        "uns",
        "string",
        "counts, expected_counts, tpm or log: what the matrix was found to hold; logs are natural logs of 1 + x, those "
        "of bulk tissue as published",
    ),
)
"""What `results/samples/{sample}/counts.h5ad` holds."""

VALUES: Final = ("counts", "expected_counts", "tpm", "log")
LOG: Final = "log"
BULK: Final = "bulk"
"""Suspension of tissue that was measured as a whole."""


class Compartment:
    """Words for cells of several types: in tables, signatures, claims and the drug list."""

    MALIGNANT: Final = "malignant"
    """Tables: every type whose id starts with `malignant_`."""
    TUMOUR: Final = "tumor"
    """Signatures, claims and drugs: the same cells."""
    ANY: Final = "any"
    """Tables and drugs: the whole sample, where composition and expression are not told apart; signatures: no cells in
    particular."""
    WHOLE: Final = "whole_sample"
    """Claims: all cells of a donor."""


class Status:
    """Whether a row of a table holds a test; its `reason` says why not."""

    TESTED: Final = "tested"
    NOT_TESTED: Final = "not_tested"


class Null:
    """What a row of `nulls.tsv` is of: permuted labels or random sets, on profiles as they are or less ambient RNA."""

    LABELS: Final = "labels"
    RANDOM_SETS: Final = "random_sets"
    MEASURED: Final = "measured"
    LESS_AMBIENT: Final = "less_ambient"


MALIGNANT_TIERS: Final = (Tier.MALIGNANT, Tier.LIKELY_MALIGNANT)
MALIGNANT_PREFIX: Final = "malignant_"
"""Type ids of tumour cells start with this."""


def is_malignant(cell_type: str) -> bool:
    """Whether a type id is one of tumour cells."""
    return cell_type.startswith(MALIGNANT_PREFIX)


def sample_of(cell: str) -> str:
    """The sample that a cell id names."""
    return cell.split(":", 1)[0]


def barcode_of(cell: str) -> str:
    """The barcode that a cell id names."""
    return cell.split(":", 1)[1]


def markdown() -> str:
    """The keys of `counts.h5ad` as a Markdown table, for the documentation."""
    rows = [f"| `{k.name}` | {k.slot} | {k.dtype.replace('|', 'or')} | {k.meaning} |" for k in COUNTS_KEYS]
    return "\n".join(["| key | slot | type | meaning |", "|---|---|---|---|", *rows])
