"""Ids as words: how types, conditions, contrasts and axes are written on the page and in figures."""

import re

from brainmet.conditions import CONDITIONS
from brainmet.contract import Compartment, Status
from brainmet.knowledge.cell_types import shipped
from brainmet.report.palette import CELL_TYPES, MALIGNANCY

NAMES = {
    **{entry.id: entry.short for entry in shipped().entries.values() if entry.short},
    "b_plasma": "B and plasma",
    "t_nk": "T and NK",
    Compartment.TUMOUR: "tumour",
    "csf": "CSF",
    "ctc": "CTC",
    "10x_3prime": "10x 3′",
    "10x_5prime": "10x 5′",
    "smartseq": "Smart-seq",
    "HER2_pos": "HER2-positive",
    "HER2_neg": "HER2-negative",
    "low_counts": "low counts",
    "low_genes": "few genes",
    "high_mt": "high mitochondrial share",
    "qc": "quality control",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "macro_f1": "macro-F1",
    "lr": "ligand–receptor",
}
"""Ids that read badly with their underscores taken out."""
_IDS = {*CELL_TYPES, *CONDITIONS, *MALIGNANCY, *NAMES, "not_testable", Status.NOT_TESTED, "expected_counts"}
LISTED = 6
"""Names that a sentence lists."""
_TOKEN = re.compile(r"\w+")


def words(text: str) -> str:
    """An id, or a text of ids, as words."""
    return _TOKEN.sub(lambda token: _word(token[0]), text)


def prose(text: str) -> str:
    """A sentence with the ids of this package as words; samples, studies and files keep their names."""
    return _TOKEN.sub(lambda token: _word(token[0]) if token[0] in _IDS else token[0], text)


def start(text: str) -> str:
    """A text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(names: list[str]) -> str:
    """Names with commas; of more than `LISTED`, the first and how many more."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more


def counted(n: int, what: str) -> str:
    """A number of things in words: `1 donor`, `1,200 donors`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def compartment_words(name: str) -> str:
    """A compartment as words; `any` is all cells of a donor."""
    return "all cells" if name == Compartment.ANY else words(name)


def contrast_words(name: str) -> str:
    """`a_vs_b` as `a against b`."""
    return " against ".join(words(arm) for arm in name.split("_vs_"))


def axis_words(name: str, sender: str, receiver: str, sender_types: str = "", receiver_types: str = "") -> str:
    """`A__B__x_to_y` as `A–B · x → y`: ids name the cells again. Where a side was read in one other type, as states are
    read in the type they are a state of, that is said.
    """
    sides = [
        words(side) + (f" (read in {words(types)})" if types not in ("", side) and "+" not in types else "")
        for side, types in ((sender, sender_types), (receiver, receiver_types))
    ]
    return f"{'–'.join(name.split('__')[:2]).replace('_', ' ')} · {' → '.join(sides)}"


def _word(id_: str) -> str:
    if "__" in id_:
        *pair, cells = id_.split("__")
        return f"{'–'.join(pair)} ({' to '.join(words(c) for c in cells.split('_to_'))})"
    return NAMES.get(id_) or id_.replace("_", " ")
