"""Gene identity: features of any age and spelling to the frozen gene table, offline.

A feature is known by its Ensembl id (any version, current or retired) or by a name (current symbol, previous symbol,
alias). The rule, in this order: id · retired id · current symbol · previous symbol · alias (unless its gene is in the
file under its own name) · the same after undoing what tools do to names (`HLA.A`, `TBCE-1`, `C1ORF112`; `egfr` where
`hla-a` is in the file too). Several features of one gene are summed, but antibodies and guides named after a gene give
way to its own row; a name that belongs to two genes belongs to none. What is left over is lost and listed.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from brainmet.contract import Var
from brainmet.errors import BrainmetError

LOST = -1
PLACED = (Var.SYMBOL, Var.CHROMOSOME, Var.START, Var.END)
MARKS = str.maketrans("-_. /", ".....")
ENSEMBL_ID = re.compile(r"(?<![A-Za-z0-9])(ENS(?:MUS)?G\d{11})(?!\d)")
GENOME_PREFIX = re.compile(r"^(GRCh3[78]|GRCm3[89]|hg19|hg38|mm10|mm39)[_.\-]+", re.IGNORECASE)
SUFFIX = re.compile(r"(?:[.\-]|__|_dup)\d{1,2}$")
NUMBER = re.compile(r"_?\d+|dup\d{1,2}")
"""What such a suffix leaves behind the first `_` of a name."""
NOT_GENES = re.compile(
    r"^(__)?(no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique)$|^N_(unmapped|multimapping|noFeature|ambiguous)$"
    r"|^ERCC[-_.]\d{5}$"
    r"|^(sum|total|library[_. ]?size|n_?(umi|gene|count|read|feature)s?(_?rna)?|total[_. ]?(umi|gene|count|read)s?)$",
    re.IGNORECASE,
)
"""Summary rows of HTSeq and STAR, sums over genes, and the spike-ins of ERCC: no genes."""
ANTIBODY = re.compile(
    r"[Tt]otal-?[Ss]eq|TOTALSEQ|[_\-.| ]Total[ABCD]$|(?<![A-Za-z0-9])(pAbO|ADT|adt|HTO|hto)(?![A-Za-z0-9])",
    re.MULTILINE,
)
"""Marks of antibodies and hashtags in the names of features: of BioLegend, BD Rhapsody, Seurat and CITE-seq-Count."""
MOUSE_NAME = re.compile(r"^[A-Z][a-z]+[0-9a-z]*(-[a-z0-9]+)?$")
SMALL_HUMAN = frozenset(("hla-a", "hla-b", "hla-c", "hla-dra", "hla.a", "hla.b", "hla.c", "hla.dra"))
"""Names in small letters that only a file of human genes has."""
EXCEL_DATE = re.compile(
    r"^(?:(\d{1,2})-(Mar|Sep|Dec)(?:-\d{2}|-\d{4})?|(Mar|Sep|Dec)-(\d{1,2})|\d{4}-(03|09|12)-(\d{2})(?: 00:00:00)?)$",
    re.IGNORECASE,
)
"""What a spreadsheet makes of MARCH1, SEPT7 and DEC1: `1-Mar`, `Sep-07`, `2021-03-01`."""
EXCEL_NAMES = {"mar": ("MARCHF{}", "MTARC{}"), "sep": ("SEPTIN{}",), "dec": ("DELEC{}",)}
EXCEL_SPECIAL = {("sep", 15): ("SELENOF",)}


@dataclass(frozen=True)
class GeneTable:
    """The frozen genes of one organism.

    The dictionaries are made when first asked for: a file of current ids needs one of them.

    Attributes:
        frame: index Ensembl id; symbol, chromosome, start, end, biotype, and for mouse human_id.
        lists: `previous`, `alias` and `previous_ids` of every gene, joined by `|`.
        organism: human or mouse.
    """

    frame: pd.DataFrame
    lists: dict[str, np.ndarray]
    organism: str

    @cached_property
    def row(self) -> dict[str, int]:
        """Position of every id in `frame`."""
        return dict(zip(self.frame.index.tolist(), range(len(self.frame)), strict=True))

    @cached_property
    def symbols(self) -> dict[str, str]:
        """Current symbol to Ensembl id.

        Several ids share a symbol now and then: the coding gene on a chromosome with the lowest id carries it.
        """
        rank = 2 * self.frame["biotype"].ne("protein_coding").to_numpy() + self.frame[Var.CHROMOSOME].eq("").to_numpy()
        order = np.argsort(rank, kind="stable")[::-1]  # The best comes last and overwrites the others.
        return dict(zip(self.frame[Var.SYMBOL].to_numpy()[order], self.frame.index.to_numpy()[order], strict=True))

    @cached_property
    def retired(self) -> dict[str, str]:
        """Retired Ensembl id to current id."""
        return self._inverted("previous_ids")

    @cached_property
    def previous(self) -> dict[str, str]:
        """Previous symbol to Ensembl id."""
        return self._inverted("previous")

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Alias symbol to Ensembl id."""
        return self._inverted("alias")

    @cached_property
    def loose(self) -> dict[str, str]:
        """Names in the spelling that R and upper-casing leave (`HLA.A`, `C1ORF112`), where that is still one gene."""
        spelled: dict[str, str] = {}
        for level in (self.symbols, self.previous):
            # All names at once: a call for each of 130,000 takes a second.
            names = "\n".join(level).translate(MARKS).upper().split("\n")
            for name, gene in zip(names, level.values(), strict=True):
                if spelled.setdefault(name, gene) != gene:
                    spelled[name] = ""
        return spelled

    def knows(self, name: str) -> bool:
        """Whether a feature name is a gene's id or name at once, without any repair."""
        bare = name.split(".", 1)[0] if name.startswith("ENS") else name
        return bare in self.row or name in self.symbols or name in self.previous

    def share_known(self, names: np.ndarray) -> float:
        """Share of names that are genes or hold an Ensembl id, of about 2,000 of them taken evenly."""
        some = [str(name) for name in names[:: max(1, len(names) // 2000)]]
        return float(np.mean([self.knows(name) or bool(ENSEMBL_ID.search(name)) for name in some])) if some else 0.0

    def _inverted(self, column: str) -> dict[str, str]:
        lists = self.lists[column]
        filled = np.flatnonzero(lists != "")
        pairs = zip(self.frame.index.to_numpy()[filled], lists[filled], strict=True)
        return {name: gene for gene, names in pairs for name in names.split("|")}


@dataclass(frozen=True)
class GeneMapping:
    """Where each feature goes.

    Attributes:
        gene: per feature the row of the gene table's frame, or LOST.
        how: per feature: id, retired_id, symbol, previous, alias, repaired, excel, lost, ambiguous, not_a_gene.
    """

    gene: np.ndarray
    how: np.ndarray

    def count(self, *ways: str) -> int:
        """Number of features mapped in one of the ways."""
        return int(np.isin(self.how, ways).sum())


def loosened(name: str) -> str:
    """A name in capitals with every mark between letters as a dot."""
    return name.strip().translate(MARKS).upper()


def read_genes(path: str | Path) -> GeneTable:
    """Read `human.tsv.gz` or `mouse.tsv.gz` of `resources/genes`, sorted by id.

    Raises:
        BrainmetError: the file is missing or is not a gene table.
    """
    import pyarrow as pa
    from pyarrow import csv

    # pyarrow takes a fifth of the time of pandas' own reader, and every sample's job waits for it.
    text = csv.ConvertOptions(
        column_types={Var.CHROMOSOME: pa.string(), Var.START: pa.int64(), Var.END: pa.int64()},
        strings_can_be_null=False,
    )
    try:
        with gzip.open(path) as stream:
            table = csv.read_csv(
                pa.BufferReader(stream.read()), parse_options=csv.ParseOptions(delimiter="\t"), convert_options=text
            )
        columns = {name: table[name].to_numpy() for name in table.column_names}
        lists = {name: columns.pop(name) for name in ("previous", "alias", "previous_ids")}
        frame = pd.DataFrame(columns, index=pd.Index(columns.pop(Var.ENSEMBL), name=Var.ENSEMBL, dtype=object))
        frame = frame[[name for name in (*PLACED, "biotype", "human_id") if name in columns]]
        if missing := {*PLACED, "biotype"} - set(frame.columns):
            raise KeyError(*sorted(missing))
    except (OSError, EOFError, zlib.error, KeyError, ValueError) as error:
        raise BrainmetError(f"{path}: cannot be read as a gene table ({error}); restore the shipped file") from error
    return GeneTable(frame=frame, lists=lists, organism="mouse" if frame.index[0].startswith("ENSMUSG") else "human")


def map_features(
    ids: Sequence[str] | np.ndarray | None, names: Sequence[str] | np.ndarray, table: GeneTable
) -> GeneMapping:
    """Map features to genes by the rule on top of this module.

    Args:
        ids: an id for every feature (empty where there is none), or None.
        names: a name for every feature; an Ensembl id is recognised here too.
        table: the organism's genes.
    """
    mapper = _Mapper(table, present=set(names))
    pairs = [mapper.feature(i, n) for i, n in zip(ids if ids is not None else [""] * len(names), names, strict=True)]
    gene = np.array([table.row[g] if g else LOST for g, _ in pairs], dtype=np.int64)
    how = np.array([w for _, w in pairs], dtype=object)
    shadowed = _shadowed(ids, gene, how)
    gene[shadowed], how[shadowed] = LOST, "ambiguous"
    how[how == "part"] = "repaired"
    return GeneMapping(gene=gene, how=how)


def _shadowed(ids: Sequence[str] | np.ndarray | None, gene: np.ndarray, how: np.ndarray) -> np.ndarray:
    """Mask of the features that give way to their gene's own row: two rows would be two genes to whoever made the file.

    An alias does, a name of which one part is a gene's (`PDCD1_TotalSeqB`, `TP53_sg1`), and a name whose id is none of
    Ensembl beside a row whose id is (an antibody of 10x that scanpy made unique, `CD19-1`).
    """
    known, alias, part, by_id = gene != LOST, how == "alias", how == "part", np.isin(how, ("id", "retired_id"))
    foreign = np.zeros(len(gene), bool)
    if ids is not None and by_id.any():
        rest = known & ~by_id
        foreign[rest] = [bool(id_.strip()) and not ENSEMBL_ID.search(id_) for id_ in np.asarray(ids, object)[rest]]
    return known & (
        (alias & np.isin(gene, gene[known & ~alias]))
        | (part & np.isin(gene, gene[known & ~alias & ~part]))
        | (foreign & np.isin(gene, gene[by_id]))
    )


class _Mapper:
    """The rule for one feature, with what must be known of the whole file."""

    def __init__(self, table: GeneTable, *, present: set[str]) -> None:
        self.table = table
        self.present = present
        # Fish write their genes in small letters too, but have no HLA.
        self.small = table.organism == "human" and not SMALL_HUMAN.isdisjoint(present)

    def feature(self, id_: str, name: str) -> tuple[str, str]:
        """Gene id (empty when lost) and the way it was found."""
        if id_ in self.table.row:
            return id_, "id"
        if "ENS" not in id_ and not name.startswith("ENS") and (gene := self.table.symbols.get(name)):
            return gene, "symbol"
        if NOT_GENES.match(name) or NOT_GENES.match(id_):
            return "", "not_a_gene"
        id_, name = GENOME_PREFIX.sub("", id_.strip()), GENOME_PREFIX.sub("", name.strip())
        for text in (id_, name):
            if found := ENSEMBL_ID.search(text):
                gene = found.group(1)
                if gene in self.table.row:
                    return gene, "id"
                if gene in self.table.retired:
                    return self.table.retired[gene], "retired_id"
        for text in dict.fromkeys((name, id_)):
            gene, way = self._name(text)
            if gene:
                return gene, way
        return "", "ambiguous" if EXCEL_DATE.match(name) else "lost"

    def _name(self, name: str) -> tuple[str, str]:
        table = self.table
        for level, way in ((table.symbols, "symbol"), (table.previous, "previous"), (table.aliases, "alias")):
            if name in level:
                return level[name], way
        if date := EXCEL_DATE.match(name):
            return self._excel(date)
        for repaired, way in self._repairs(name):
            for level in (table.symbols, table.previous):
                if repaired in level:
                    return level[repaired], way
        upper = name == name.upper() or "." in name or (self.small and name == name.lower())
        if upper and table.organism == "human" and (gene := table.loose.get(loosened(name))):
            return gene, "repaired"
        return "", "lost"

    def _repairs(self, name: str) -> Iterable[tuple[str, str]]:
        """What a name may have been, and whether that is the whole name without a number or a part of it."""
        if "|" in name:
            yield from ((part, "part") for part in name.split("|") if part)
        if "_" in name:
            first, rest = name.split("_", 1)
            way = "repaired" if NUMBER.fullmatch(rest) else "part"
            yield from ((part, way) for part in (first, rest) if not part.isdigit())
        if SUFFIX.search(name):
            yield SUFFIX.sub("", name), "repaired"

    def _excel(self, date: re.Match[str]) -> tuple[str, str]:
        day, month, month_first, day_last, month_number, day_iso = date.groups()
        number = int(day or day_last or day_iso)
        month = (month or month_first or {"03": "mar", "09": "sep", "12": "dec"}[month_number]).lower()
        candidates = EXCEL_SPECIAL.get((month, number)) or [name.format(number) for name in EXCEL_NAMES[month]]
        known = [self.table.symbols[name] for name in candidates if name in self.table.symbols]
        # 1-Mar is MARCH1 or MARC1: it is the one that the file does not name otherwise.
        spelt = {self._plain(name) for name in self.present}
        missing = [gene for gene in known if gene not in spelt]
        return (missing[0], "excel") if len(missing) == 1 else ("", "ambiguous")

    def _plain(self, name: str) -> str:
        return self.table.symbols.get(name) or self.table.previous.get(name) or ""


def likely_cause(ids: Sequence[str] | np.ndarray | None, names: Sequence[str] | np.ndarray, *, organism: str) -> str:
    """Why most features of a file are unknown, as a clause with the remedy."""
    sample = [str(n) for n in (ids if ids is not None and any(ids) else names)][:5000]
    both = [*sample, *(str(n) for n in names[:5000])]
    share = {
        "mouse": np.mean([bool(re.search(r"ENSMUSG\d", n)) for n in sample]),
        "human": np.mean([bool(re.search(r"ENSG\d", n)) for n in sample]),
        "entrez": np.mean([n.strip().isdigit() for n in sample]),
        "transcript": np.mean([n.startswith(("ENST", "ENSMUST", "NM_", "NR_", "uc0")) for n in both]),
        "probe": np.mean([n.endswith("_at") or n.startswith(("ILMN_", "A_23_", "A_24_")) for n in both]),
        "mouse_name": np.mean([bool(MOUSE_NAME.match(str(n))) for n in names[:5000]]),
        "human_name": np.mean([str(n) == str(n).upper() for n in names[:5000]]),
    }
    if organism == "human" and (share["mouse"] > 0.5 or share["mouse_name"] > 0.5):
        return "the genes are those of mouse; set organism: mouse"
    if organism == "mouse" and (share["human"] > 0.5 or (share["human_name"] > 0.8 and share["entrez"] < 0.5)):
        return "the genes are those of human; set organism: human"
    for key, text in (("entrez", "Entrez numbers"), ("transcript", "transcripts"), ("probe", "array probes")):
        if share[key] > 0.5:
            return f"the features are {text}; give a table with Ensembl gene ids or symbols"
    first = ", ".join(str(n) for n in names[:3])
    return (
        f"the features are neither Ensembl ids nor gene symbols of {organism} (the first are {first}); "
        "check organism and file"
    )
