"""Barcodes in their many spellings, and rows of tables found by them.

The same cell is `AAAC-1` in the matrix and `Breast_1_AAAC`, `aaac.1` or `AAAC` in the authors' table. Spellings are
tried from the strictest to the loosest; the first that joins is used, and never one under which two rows claim one cell
with different labels.
"""

import logging
import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from brainmet.errors import BrainmetError

log = logging.getLogger(__name__)

BASES = re.compile(r"(?<![ACGTacgt])([ACGTNacgtn]{10,24})(?![ACGTacgt])")
PAIR = re.compile(r"(?<![ACGTacgt])([ACGTacgt]{6,24}[_.\-][ACGTacgt]{6,24}(?:[_.\-][ACGTacgt]{6,24})?)(?![ACGTacgt])")


FAR_MORE, CHANCE = 2, 0.1
"""An ambiguous spelling that joins so many times the cells, and more of them than lie in other samples' rows by chance,
is what the table means."""


def as_written(name: str) -> str:
    """The name without blanks around it."""
    return name.strip()


def plain(name: str) -> str:
    """The name in capitals, with every mark a dash: R writes `AAAC.1` for `AAAC-1`."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name.strip()).strip("-").upper()


def without_lane(name: str) -> str:
    """The plain name without the number of the lane at its end."""
    return re.sub(r"-\d{1,3}$", "", plain(name))


def bases(name: str) -> str:
    """The longest run of bases in the name, or the runs of a combinatorial barcode; empty when there is none."""
    if pair := PAIR.search(name):
        return re.sub(r"[_.\-]", "-", pair.group(1)).upper()
    runs = BASES.findall(name)
    return max(runs, key=len).upper() if runs else ""


SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("as written", as_written),
    ("without case and marks", plain),
    ("without the lane number", without_lane),
    ("by the bases alone", bases),
)


def match_rows(
    barcodes: np.ndarray, keys: np.ndarray, *, values: np.ndarray, name: str, sample_names: Sequence[str] = ()
) -> np.ndarray:
    """Row of the table for every cell, -1 where there is none.

    Args:
        barcodes: cells, as the matrix names them.
        keys: the table's barcodes.
        values: what the table says of each key: rows of one barcode that agree are one.
        name: the table, for messages.
        sample_names: what this sample is called: a prefix or suffix that both sides may carry.

    Raises:
        BrainmetError: no spelling joins a cell, or one that is ambiguous joins far more than any that is not.
    """
    if not len(barcodes) or not len(keys):
        raise BrainmetError(
            f"{name}: the table has {len(keys)} rows and the matrix {len(barcodes)} cells; nothing can be joined"
        )
    prefixes = [plain(name) for name in sample_names]
    best, ambiguous, most = np.full(len(barcodes), -1), "", 0
    for label, spell in SPELLINGS:
        rows, ambiguity = _match(barcodes, keys, values, partial(_spelt, spell=spell, prefixes=prefixes))
        if ambiguity:
            ambiguous, most = ambiguous or f"{label}: {ambiguity}", max(most, int((rows >= 0).sum()))
        elif (rows >= 0).sum() > (best >= 0).sum():
            best = rows
            log.info("%s: %d of %d cells joined, %s", name, (rows >= 0).sum(), len(barcodes), label)
        if (best >= 0).all():
            break
    joined = int((best >= 0).sum())
    # Barcodes of one sample are in the rows of another by chance, but not those that carry a sample's name.
    bare = all(without_lane(str(key)) == bases(str(key)) for key in keys[best[best >= 0]])
    if joined and bare and most > max(FAR_MORE * joined, CHANCE * len(barcodes)):
        raise BrainmetError(
            f"{name}: {joined} of {len(barcodes)} cells are in the table, but {most} in a spelling that is ambiguous "
            f"({ambiguous}): it holds several samples under other numbers than the matrix; name its column of samples "
            "as sample: of labels or cells, or give one table per sample"
        )
    if not joined:
        why = f"ambiguous ({ambiguous})" if ambiguous else "in no spelling"
        raise BrainmetError(
            f"{name}: no barcode of the table matches a cell, {why}; the table begins with {str(keys[0])!r}, the "
            f"matrix with {str(barcodes[0])!r}: check barcode: and sample: of labels or cells in the dataset file"
        )
    return best


def is_listed(barcodes: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Mask of the cells that a table lists, in the spelling that finds most; ambiguity is left to `match_rows`."""
    best = np.zeros(len(barcodes), bool)
    for _, spell in SPELLINGS:
        known = {spell(str(key)) for key in keys} - {""}
        listed = np.array([spell(str(barcode)) in known for barcode in barcodes], dtype=bool)
        best = listed if listed.sum() > best.sum() else best
        if best.sum() >= len(known):
            break
    return best


def _spelt(text: str, *, spell: Callable[[str], str], prefixes: list[str]) -> str:
    """A barcode in one spelling, less a name of the sample before or behind it."""
    text = spell(text)
    for prefix in prefixes:
        if text.upper().startswith(f"{prefix}-"):
            text = text[len(prefix) + 1 :]
        if text.upper().endswith(f"-{prefix}"):
            text = text[: -len(prefix) - 1]
    return text


def _match(
    barcodes: np.ndarray, keys: np.ndarray, values: np.ndarray, spell: Callable[[str], str]
) -> tuple[np.ndarray, str]:
    """Row of the table for every cell in one spelling, -1 where there is none; and what makes it ambiguous, or ""."""
    where: dict[str, int] = {}
    clash: set[str] = set()
    for row, key in enumerate(keys):
        text = spell(str(key))
        if text and (first := where.setdefault(text, row)) != row and values[first] != values[row]:
            clash.add(text)
    cells = [spell(str(barcode)) for barcode in barcodes]
    taken: dict[str, int] = {}
    for text in cells:
        taken[text] = taken.get(text, 0) + 1
    rows = np.array([where.get(text, -1) if text else -1 for text in cells])
    for text, row in zip(cells, rows, strict=True):
        if row >= 0 and text in clash:
            return rows, f"{text} stands for rows with different values"
        if row >= 0 and taken[text] > 1:
            return rows, f"{text} stands for {taken[text]} cells"
    return rows, ""
