"""Small text tables: features, barcodes, labels, cells."""

import io

import pandas as pd

from brainmet.errors import BrainmetError
from brainmet.ingest.members import Member

SEPARATORS = ("\t", ",", ";", " ")


def decoded(member: Member) -> str:
    """Text of a small file: UTF-8, UTF-16 with its mark, else Latin-1."""
    data = member.read()
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines(member: Member) -> list[str]:
    """Lines without their ends and without trailing empty lines."""
    found = decoded(member).splitlines()
    while found and not found[-1].strip():
        found.pop()
    return found


def separator(text: str) -> str:
    """The separator that cuts the first lines into the same number of parts, more than one; tab when none does."""
    head = [line for line in text.splitlines()[:20] if line.strip()]
    for mark in SEPARATORS:
        cuts = {line.count(mark) for line in head}
        # The header may be one short: a table written by R with row names.
        if (
            cuts
            and 0 not in cuts
            and (len(cuts) == 1 or (mark != " " and len(cuts) == 2 and max(cuts) - min(cuts) == 1))
        ):
            return mark
    return "\t"


def table(member: Member, *, sep: str = "auto", header: bool = True) -> pd.DataFrame:
    """A small table, all columns as text; the first column keeps its name, an empty name becomes `index`.

    Raises:
        BrainmetError: the rows do not have the same number of columns.
    """
    text = decoded(member)
    mark = separator(text) if sep == "auto" else sep
    try:
        frame = pd.read_csv(io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, header=0 if header else None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BrainmetError(f"{member}: cannot be read as a table ({error}); give its separator as sep:") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    frame.columns = pd.Index(["index" if str(c).startswith("Unnamed: 0") or c == "" else str(c) for c in frame.columns])
    return frame
