"""Drafts a dataset file for a folder of files or an accession of GEO, from what names tell of layout and samples.

What they do not tell, donors and conditions above all, is left to be set by hand, at marked places.
"""

import gzip
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from brainmet import datasets
from brainmet.core import damage
from brainmet.core.files import replacing
from brainmet.core.names import begins
from brainmet.datasets import OF_ALL
from brainmet.datasets.discover import (
    LAYOUTS,
    OF_CELLS,
    OF_GENES,
    FileGroup,
    entry,
    groups,
    matrices,
    of_one_matrix,
    unmatched,
)
from brainmet.errors import BrainmetError
from brainmet.fetch.archive import Archive, archive_url
from brainmet.ingest.bulk import SERIES as SERIES_MATRIX
from brainmet.ingest.bulk import of_samples
from brainmet.ingest.members import PACKED, Member, list_members, select
from brainmet.ingest.text import decoded
from brainmet.knowledge.genes import GeneTable

log = logging.getLogger(__name__)
SERIES = re.compile(r"GSE\d+")
SHIPPED = Path(__file__).parents[3] / "resources" / "datasets"
PLATE = 100
"""More tables than these are cells, not samples."""
ENTRIES = ("files", "all_files", "files_of_all_samples")
"""Names for the folder where its own is a sample's too, which would then be every sample's."""
SHOWN = 6


def draft(source: str | None, folder: Path, genes: GeneTable, archive: Archive) -> Path:
    """Write `{id}.yaml` for a folder of files or a series.

    Args:
        source: path of the folder, or an accession such as GSE234832, of which the lists of names and what is said of
            the samples are downloaded.
        folder: where the dataset file is written.
        genes: tells rows of genes from rows of cells.
        archive: where the lists and the descriptions come from.

    Returns:
        The file.

    Raises:
        BrainmetError: nothing is there that could be a matrix, or the file exists.
    """
    if not source:
        raise BrainmetError("draft: say for what: --config draft=FOLDER, or draft=GSE… for a series of GEO")
    target = _target(source, folder)
    findings = _from_series(source, archive) if _is_series(source) else _from_folder(target.stem, source)
    lines = _document(target.stem, findings)
    with replacing(target) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        dataset = _read_back(partial, target, findings.source)
        if findings.on_disk and findings.one_sample and not findings.one_file_per_cell:
            lines += _what_splits(dataset, findings.members, genes)
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the names of files tell.

    Attributes:
        source: the folder or accession.
        on_disk: whether the files are there to be read.
        entries: lines of `files:`.
        members: all files.
        layout: of the matrices.
        matrices: files of that layout.
        groups: files of each sample.
        about: what the archive tells of samples, by accession.
        notes: comments on what could not be had.
    """

    source: str
    on_disk: bool
    entries: list[str]
    members: list[Member]
    layout: str
    matrices: list[Member]
    groups: list[FileGroup]
    about: Mapping[str, str]
    notes: Sequence[str] = ()

    @property
    def matches(self) -> list[str]:
        """What the files of each sample begin with."""
        return [group.match for group in self.groups]

    @property
    def one_file_per_cell(self) -> bool:
        """Whether there are more tables than a series has samples."""
        return self.layout == "dense_text" and len(self.groups) > PLATE

    @property
    def one_sample(self) -> bool:
        """Whether names tell no samples apart."""
        return self.one_file_per_cell or len(self.groups) < 2


def _is_series(source: str) -> bool:
    return bool(SERIES.fullmatch(source)) and not Path(source).is_dir()


def _target(source: str, folder: Path) -> Path:
    """The dataset file to write.

    Raises:
        BrainmetError: there is nothing to draft it from, or it is there already.
    """
    series, root = _is_series(source), Path(source).absolute()
    id_ = source if series else re.sub(r"[^A-Za-z0-9_-]+", "_", root.name).strip("_-") or "mine"
    target = folder / f"{id_}.yaml"
    if target.exists():
        raise BrainmetError(f"{target} exists and may hold what you set by hand; delete or rename it for a new draft")
    if series and (SHIPPED / target.name).is_file():
        raise BrainmetError(
            f"{source} is shipped: datasets: [{source}] is all that a run needs; to change what it says copy "
            f"{SHIPPED / target.name} to {target}"
        )
    if not series and not root.is_dir():
        raise BrainmetError(
            f"draft: {source} is neither an accession (GSE…) nor a folder ({root} was looked for); correct it"
        )
    return target


def _from_series(accession: str, archive: Archive) -> Findings:
    """What the archive's lists tell of a series."""
    members = _published(accession, archive)
    about, notes = _described(accession, archive)
    layout, data = _layout(members, accession)
    return Findings(
        source=accession,
        on_disk=False,
        entries=_addresses(accession, members, data),
        members=members,
        layout=layout,
        matrices=data,
        groups=groups(members, select(data, None)),
        about=about,
        notes=notes,
    )


def _from_folder(id_: str, source: str) -> Findings:
    """What the names in a folder tell. The folder goes by the dataset's name, or by another where that is the beginning
    of a sample's: all files would then be that sample's.
    """
    root = Path(source).absolute()
    for name in (id_, *ENTRIES):
        members = list_members(_local(name, root))
        layout, data = _layout(members, source)
        samples = groups(members, select(data, None))
        if len(samples) < 2 or not any(begins(name, group.match) for group in samples):
            break
    return Findings(
        source=source,
        on_disk=True,
        entries=[f"  - {{name: {_quoted(name)}, path: {_quoted(str(root))}}}"],
        members=members,
        layout=layout,
        matrices=data,
        groups=samples,
        about=_told([decoded(member) for member in members if SERIES_MATRIX.search(member.name)]),
    )


def _document(id_: str, findings: Findings) -> list[str]:
    """Lines of the dataset file."""
    lines = [*_head(id_, findings.source, not findings.on_disk), *findings.notes]
    lines += ["files:", *findings.entries, f"layout: {findings.layout}", "samples:"]
    if findings.one_sample:
        lines.append(f'  - {{id: "{id_}", donor: "{id_}", condition: other}}')
    else:
        lines += _lines(findings.groups, findings.about)
    if findings.one_file_per_cell:
        lines.append(
            f"# {len(findings.groups)} tables of one cell each; split_by: {{barcode: '…(…)…'}} may tell samples"
        )
    lines += [
        f"# {name} may describe cells: name it under cells: or labels:, with its column of barcodes as barcode:"
        for name in _tables(findings.members, findings.layout, findings.matches)
    ]
    if findings.on_disk:
        lines += _not_read(findings.members, findings.matrices, findings.matches)
    return lines


def _read_back(partial: Path, target: Path, source: str) -> dict[str, Any]:
    """The dataset that was written, before it has its name: what cannot be read must not be left as a draft."""
    with TemporaryDirectory() as folder:
        named = Path(shutil.copy(partial, Path(folder) / target.name))
        try:
            return datasets.read(named)
        except BrainmetError as error:
            reason = str(error).replace(f"{named}: ", "")
            raise BrainmetError(
                f"draft: the names in {source} make no dataset file ({reason}); rename files or folders, or write the "
                "file by hand (docs/adding.md)"
            ) from error


def _not_read(members: Sequence[Member], data: Sequence[Member], matches: Sequence[str]) -> list[str]:
    """A comment on matrices of other layouts that are no sample's, such as a second series in the folder."""
    others = {m for layout in LAYOUTS if layout != "dense_text" for m in matrices(members, layout)} - set(data)
    rest = sorted(unmatched([member.full_name for member in others], matches))
    more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
    how = "if one is a sample, give it a line with its own layout"
    return [f"# not read, of another layout: {', '.join(rest[:SHOWN])}{more} ({how})"] if rest else []


def _head(id_: str, source: str, series: bool) -> list[str]:
    page = f"# https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc={source} describes the samples."
    return [
        f"# Drafted from the names of the files of {_quoted(source)}.",
        "# Set condition and donor of every sample, and what is said of all; docs/adding.md lists the words.",
        "# Where a table has them, name it (covariates: TABLE, or with columns: {donor: ITS COLUMN, condition: …}) and",
        "# take both out of the lines of the samples.",
        *([page] if series else []),
        "schema: 1",
        f"id: {_quoted(id_)}",
        "organism: human        # human | mouse | human_mouse",
        "technology: unknown    # 10x_3prime | 10x_5prime | smartseq | other",
        "suspension: unknown    # cell | nucleus",
        "primary_site: unknown  # breast, lung, ...: where the tumours come from; most claims are of breast alone",
        "enrichment: unknown    # none | CD45_pos | EPCAM_pos | ...; shares of cell types need none",
    ]


def _local(id_: str, root: Path) -> list[tuple[str, Path]]:
    files = datasets.on_disk({"name": id_, "path": str(root)}, Path("draft"))
    return [(file["name"], Path(file["path"])) for file in files]


def _published(accession: str, archive: Archive) -> list[Member]:
    """Supplementary files of a series and those that its archive lists."""
    if archive.closed:
        raise BrainmetError("draft: fetch: offline is true; name a folder of files instead of an accession")
    url = archive_url(f"geo:{accession}/filelist.txt")
    names = archive.names(url)
    if not names:
        raise BrainmetError(
            f"{accession}: the archive lists no files at {url.rpartition('/')[0]}; correct the accession, see whether "
            "the archive can be reached, or download its files into a folder and name the folder instead"
        )
    packed = next((name for name in names if name.endswith("_RAW.tar")), "")
    lines = archive.read(url).decode().splitlines() if packed and "filelist.txt" in names else []
    inside = [line.split("\t")[1] for line in lines if line.startswith("File\t")]
    if packed and not inside:
        raise BrainmetError(
            f"{accession}: what {packed} holds is not known: {url} could not be had; try again, or download the "
            "archive into a folder and name the folder instead"
        )
    outside = [Member(name, Path(name)) for name in names if name not in (packed, "filelist.txt")]
    return [*outside, *(Member(name, Path(packed), (name,)) for name in inside)]


def _described(accession: str, archive: Archive) -> tuple[dict[str, str], list[str]]:
    """What the series matrices tell of samples, by accession; and a comment for each that could not be had."""
    about = archive_url(f"geo:{accession}/{accession}_series_matrix.txt.gz")
    texts, untold = [], []
    for name in filter(SERIES_MATRIX.search, archive.names(about)):
        try:
            texts.append(_series_matrix(f"{about.rpartition('/')[0]}/{name}", archive))
        except BrainmetError as error:
            log.warning("%s; the samples stand without what it says of them", error)
            untold.append(f"# {error}; it tells title and source of the samples: draft again to have them here")
    return _told(texts), untold


def _series_matrix(url: str, archive: Archive) -> str:
    """The text of a series matrix.

    Raises:
        BrainmetError: it cannot be had, or is damaged.
    """
    data = archive.read(url)
    try:
        return gzip.decompress(data).decode(errors="replace")
    except damage.PACKED as error:
        raise BrainmetError(f"{url}: what came is damaged ({error})") from error


def _told(series_matrices: Sequence[str]) -> dict[str, str]:
    """Title, source and characteristics of samples, by accession."""
    return {accession: about for text in series_matrices for accession, about in of_samples(text).items()}


def _lines(samples: Sequence[FileGroup], told: Mapping[str, str]) -> list[str]:
    """One line per sample, with what the archive tells of it, or with the names of its files."""
    accessions = [group.match.split("_")[0].split(".")[0] for group in samples]
    return [
        entry(group.id, group.match, told.get(accession, group.names))
        for group, accession in zip(samples, accessions, strict=True)
    ]


def _layout(members: Sequence[Member], source: str) -> tuple[str, list[Member]]:
    """The layout that most often holds raw counts among those there are, and its matrices."""
    fits = {layout: fitting for layout in LAYOUTS if (fitting := matrices(members, layout))}
    if set(fits) - {"tenx_triplet", "dense_text"} and not any("barcodes" in member.name.lower() for member in members):
        fits.pop("tenx_triplet", None)  # Without barcodes anywhere it is something else, such as velocities.
    if fits:
        return next(iter(fits.items()))
    names = ", ".join(sorted(member.full_name for member in members)[:6]) or "nothing"
    raise BrainmetError(f"{source}: no file looks like a count matrix (there are {names}); see docs/adding.md")


def _addresses(accession: str, members: Sequence[Member], data: Sequence[Member]) -> list[str]:
    """Entries of `files:` for the archive and for what lies beside it and may be needed; the rest as a comment."""
    archives = dict.fromkeys(str(member.path) for member in data if member.inside)
    beside = [member for member in members if not member.inside]
    needed = [m.name for m in beside if m in data or OF_CELLS.search(m.name) or OF_ALL.search(m.name)]
    rest = [member.name for member in beside if member.name not in needed]
    lines = [f"  - {{name: {_quoted(n)}, url: {_quoted(f'geo:{accession}/{n}')}}}" for n in (*archives, *needed)]
    return [*lines, *([f"  # not read: {', '.join(rest)}"] if rest else [])]


def _tables(members: Sequence[Member], layout: str, samples: Sequence[str]) -> list[str]:
    """Names of tables beside the matrices, of one table per sample what all end with; of tables that may hold counts
    themselves those that are named for cells."""
    table = re.compile(rf"{LAYOUTS['dense_text']}{PACKED}", re.IGNORECASE)
    named = [member.name for member in members if table.search(member.name) and "analysis" not in member.folders]
    named = [n for n in named if OF_CELLS.search(n) or (layout != "dense_text" and not OF_GENES.search(n))]
    of_sample = {n: next((match for match in samples if begins(n, match)), "") for n in named}
    return sorted({n[len(match) :].lstrip("_.-") for n, match in of_sample.items()})


def _what_splits(dataset: Mapping[str, Any], members: Sequence[Member], genes: GeneTable) -> list[str]:
    """What the cells of one matrix could be told apart by, as comments; or why it cannot be read yet."""
    try:
        return of_one_matrix(dataset, members, genes)
    except BrainmetError as error:
        return [f"# {error}"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
