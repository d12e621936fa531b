"""Bulk tissue: a table of genes × profiles (text or xlsx), or a series matrix of arrays; a profile becomes a "cell".

A series matrix of arrays lists probes; they become genes through the platform's table (a file GPL… among the files).
One beside a table tells what the table's columns are: its titles name them, alone or in brackets.
"""

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pandas as pd

from brainmet.core.small_tables import WORKBOOK
from brainmet.errors import BrainmetError
from brainmet.ingest import dense_text
from brainmet.ingest.members import Member
from brainmet.ingest.one_cell import gather
from brainmet.ingest.profiles import ABOUT
from brainmet.ingest.raw import Raw, Request
from brainmet.ingest.text import decoded
from brainmet.ingest.workbook import from_frame, read_workbook

log = logging.getLogger(__name__)

SERIES = re.compile(r"series_matrix.*\.txt(\.gz)?$", re.IGNORECASE)
PLATFORM = re.compile(r"^GPL\d+", re.IGNORECASE)
SYMBOL = re.compile(r"^(gene[ _]?symbols?|symbols?|ilmn_gene)$", re.IGNORECASE)
BRACKETED = re.compile(r"\[([^\]]+)\]")
BEGIN, END = "!series_matrix_table_begin", "!series_matrix_table_end"
ACCESSIONS = "!Sample_geo_accession"
DESCRIBED = ("!Sample_title", "!Sample_source_name_ch1", "!Sample_characteristics_ch1")


def read(request: Request) -> Raw:
    """Read the profiles of a bulk cohort; beside another table a series matrix only describes its columns."""
    members = request.members
    plain = [m for m in members if not SERIES.search(m.name) and not PLATFORM.match(m.name)]
    tables = plain or [m for m in members if SERIES.search(m.name)]
    if len(tables) > 1 and (gathered := gather(tables, accessions=True)) is not None:
        return _described(gathered, members)
    if len(tables) != 1:
        names = ", ".join(member.name for member in (tables or members)[:6])
        raise BrainmetError(
            f"{request.name}: {len(tables)} files can be its table ({names}); correct match in the dataset file"
        )
    (member,) = tables
    if SERIES.search(member.name):
        return _series_matrix(member, [m for m in request.files if PLATFORM.match(m.name)])
    if WORKBOOK.search(member.name):
        raw = read_workbook(member, request.genes)
    else:
        raw = dense_text.read(Request(files=[member], genes=request.genes))
    return _described(raw, members)


def _described(raw: Raw, members: Sequence[Member]) -> Raw:
    """The profiles of a table with what series matrices among the files say of them."""
    described = [m for m in members if SERIES.search(m.name)]
    return replace(raw, obs=_columns_described(raw.barcodes, described)) if described else raw


def _columns_described(columns: np.ndarray, described: Sequence[Member]) -> pd.DataFrame | None:
    """What series matrices say of the columns of a table; None where their titles name none of them."""
    about_names: dict[str, str] = {}
    for member in described:
        head = decoded(member).partition(BEGIN)[0]
        for (title, about), accession in zip_longest(_about(head), _accessions(head)):
            about_names |= dict.fromkeys((title, *BRACKETED.findall(title), accession), about)
    # With one file per profile the accession stands in front of its name.
    columns = np.array([c if c in about_names else str(c).partition("_")[0] for c in columns], dtype=object)
    if not any(column in about_names for column in columns):
        first = next(iter(about_names), "nothing")
        log.warning("%s: its titles (%s, …) name no column of the table", described[0], first)
        return None
    return pd.DataFrame({ABOUT: [about_names.get(str(column), "") for column in columns]}, dtype=object)


def of_samples(text: str) -> dict[str, str]:
    """Title, source and characteristics of every sample of a series matrix, by accession."""
    head = text.partition(BEGIN)[0]
    return {accession: about for accession, (_, about) in zip(_accessions(head), _about(head), strict=False)}


def _series_matrix(member: Member, platforms: Sequence[Member]) -> Raw:
    text = decoded(member)
    if BEGIN not in text:
        raise BrainmetError(f"{member}: has no table of values; correct layout or files in the dataset file")
    head, _, body = text.partition(BEGIN)
    frame = pd.read_csv(io.StringIO(body.partition(END)[0].strip()), sep="\t", index_col=0)
    if frame.empty:
        raise BrainmetError(
            f"{member}: its table of values is empty, as in sequencing series; give the supplementary table"
        )
    names = frame.index.astype(str).to_numpy(object)
    if platforms:
        names = _symbols(names, platforms[0])
    # It is an export of a full table: a blank was not measured.
    raw = from_frame(frame, names, member, blank_may_be_zero=False)
    about = _about(head)
    if len(about) == len(raw.barcodes):
        raw = replace(raw, obs=pd.DataFrame({ABOUT: [text for _, text in about]}, dtype=object))
    return raw


def _accessions(head: str) -> list[str]:
    return next((_of_profiles(line) for line in head.splitlines() if line.startswith(ACCESSIONS)), [])


def _about(head: str) -> list[tuple[str, str]]:
    """Title of each profile, and title, source and characteristics in one; nothing where their numbers differ."""
    lines = [_of_profiles(line) for key in DESCRIBED for line in head.splitlines() if line.startswith(key)]
    if not lines or len({len(values) for values in lines}) > 1:
        return []
    return [(values[0], " | ".join(values)) for values in zip(*lines, strict=True)]


def _of_profiles(line: str) -> list[str]:
    """What a line of a series matrix says of each profile."""
    return [part.strip().strip('"').strip() for part in line.split("\t")[1:]]


def _symbols(probes: np.ndarray, platform: Member) -> np.ndarray:
    """Gene symbols of probes; a probe of several genes names none."""
    rows = [line for line in decoded(platform).splitlines() if line and line[0] not in "#!^"]
    frame = pd.read_csv(io.StringIO("\n".join(rows)), sep="\t", dtype=str, keep_default_na=False)
    column = next((name for name in frame.columns if SYMBOL.match(str(name))), None)
    if column is None:
        raise BrainmetError(f"{platform}: has no column of gene symbols ({', '.join(map(str, frame.columns[:12]))})")
    known = dict(zip(frame.iloc[:, 0], frame[column], strict=True))
    return np.array([("" if "///" in (s := known.get(p, "")) else s) or p for p in probes], dtype=object)
