"""Gene signatures: read from files, matched to a sample's genes.

A signature is an entry of a YAML file (`workflow/schemas/signature.schema.yaml`) or a line of a `.gmt` file.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml

from brainmet.contract import Var
from brainmet.core.citations import identifiers, mark
from brainmet.core.documents import read_yaml
from brainmet.core.small_tables import decode
from brainmet.core.validate import validate
from brainmet.errors import BrainmetError

SCHEMA = Path(__file__).parents[2] / "schemas" / "signature.schema.yaml"
DOWN = re.compile(r"_(DN|DOWN|dn|down)$")
UP = re.compile(r"_(UP|up)$")
SEPARATORS = ("|", ";")
"""Marks between ids in the tables, which no id may hold."""


@dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        id: unique over the run; the column name of its scores.
        up: symbols that count for it.
        down: symbols that count against it.
        entry: everything its file says of it.
    """

    id: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    entry: dict[str, Any]

    @property
    def genes(self) -> tuple[str, ...]:
        """Up, then down."""
        return self.up + self.down


def load(files: Sequence[str | Path], *, tiers: Sequence[int] | None) -> list[Signature]:
    """Signatures of several files, in the order of the files and of their entries.

    Args:
        files: YAML files, or `.gmt` files.
        tiers: entries with another `tier` are left out; entries without one are always taken. None takes all.

    Raises:
        BrainmetError: a file is missing or malformed, or an id appears twice.
    """
    signatures: list[Signature] = []
    seen: dict[str, str] = {}
    for file in files:
        for signature in read(file):
            if tiers is not None and signature.entry.get("tier", tiers[0]) not in tiers:
                continue
            if signature.id in seen:
                raise BrainmetError(
                    f"{file}: signature {signature.id} is already in {seen[signature.id]}; rename one of them"
                )
            seen[signature.id] = str(file)
            signatures.append(signature)
    if not signatures:
        raise BrainmetError(f"no signature of tier {list(tiers or [])} in {', '.join(map(str, files))}; set score.tier")
    return signatures


def configured(
    shipped: str | Path,
    files: Sequence[str | Path],
    confounder_file: str | Path,
    *,
    tier: int | Sequence[int],
    confounders: bool,
) -> list[Signature]:
    """The signatures of a run: the shipped ones of the wanted tiers, the user's, and the confounders where wanted."""
    tiers = [tier] if isinstance(tier, int) else list(tier)
    return load([shipped, *files, *([confounder_file] if confounders else [])], tiers=tiers)


def read(file: str | Path) -> list[Signature]:
    """All signatures of one file.

    Raises:
        BrainmetError: the file is missing or malformed.
    """
    path = Path(file)
    if not path.is_file():
        raise BrainmetError(f"{path}: no such file; correct score.files (paths are relative to the working directory)")
    return _read_gmt(path) if path.suffix == ".gmt" else _read_yaml(path)


def _read_yaml(path: Path) -> list[Signature]:
    try:
        document = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BrainmetError(f"{path}: is not YAML ({' '.join(str(error).split())}); correct it") from error
    validate(document, _schema(), name=path.name)
    signatures = []
    for entry in document["signatures"]:
        genes = entry["genes"]
        up, down = tuple(genes["up"]), tuple(genes.get("down", ()))
        if both := sorted(set(up) & set(down)):
            raise BrainmetError(f"{path.name}: {entry['id']}: {', '.join(both)} both up and down; remove one")
        signatures.append(Signature(entry["id"], up, down, entry))
    return signatures


@cache
def _schema() -> dict[str, Any]:
    return read_yaml(SCHEMA)


def _read_gmt(path: Path) -> list[Signature]:
    """Sets of a `.gmt` file; `X_UP` and `X_DN` (or `X_DOWN`) become one signature X with two arms."""
    sets: dict[str, tuple[str, tuple[str, ...]]] = {}
    for number, line in enumerate(decode(path.read_bytes()).splitlines(), start=1):
        if not line.strip():
            continue
        name, *rest = (part.strip() for part in line.split("\t"))
        genes = tuple(dict.fromkeys(filter(None, rest[1:])))
        if problem := _problem(name, genes, sets):
            raise BrainmetError(f"{path}: line {number}: {problem}; correct it")
        sets[name] = (rest[0], genes)
    ups = {UP.sub("", name) for name in sets if UP.search(name)}
    downs = {DOWN.sub("", name): name for name in reversed(sets) if DOWN.search(name)}  # the first of several
    signatures = []
    for name, (description, genes) in sets.items():
        if DOWN.search(name) and DOWN.sub("", name) in ups:
            continue
        base = UP.sub("", name)
        paired = downs.get(base) if UP.search(name) else None
        down = tuple(gene for gene in sets[paired][1] if gene not in genes) if paired else ()
        entry = {
            "id": base if paired else name,
            "name": description or name,
            "list_origin": "user",
            "compartment": "any",
        }
        signatures.append(Signature(entry["id"], genes, down, entry))
    return signatures


def _problem(name: str, genes: Sequence[str], known: Collection[str]) -> str:
    """What is wrong with a line of a `.gmt` file; empty where nothing is."""
    if not name or not genes:
        return "it needs a name, a description and genes, tab-separated"
    if name in known:
        return f"the name {name} appears twice"
    if mark := next((mark for mark in SEPARATORS if mark in name), ""):
        return f"the name {name} holds {mark}, which separates names in the tables"
    return ""


def gmt(signatures: Iterable[Signature]) -> str:
    """Signatures as the text of a `.gmt` file: one line per set, two (`_UP`, `_DN`) for one with two arms."""
    lines = []
    for signature in signatures:
        name = str(signature.entry.get("name", signature.id)).replace("\t", " ")
        arms = [("", signature.up)] if not signature.down else [("_UP", signature.up), ("_DN", signature.down)]
        lines += ["\t".join([signature.id + suffix, name, *genes]) for suffix, genes in arms]
    return "\n".join(lines) + "\n"


def described(
    signatures: Iterable[Signature], references: Mapping[str, Mapping[str, Any]], hgnc: Mapping[str, str]
) -> pd.DataFrame:
    """What is known of each signature: the table `signatures`.

    Args:
        signatures: of the run.
        references: `resources/signatures/references.yaml`; a key without an entry is shown as it is.
        hgnc: names that HGNC has given to symbols since, by the symbol that count matrices carry.
    """
    rows = []
    for s in signatures:
        entry, expected = s.entry, s.entry.get("expected", {})
        cited = [_cited(key, references.get(key)) for key in entry.get("references", [])]
        rows.append(
            {
                "signature": s.id,
                "name": entry.get("name", s.id),
                "category": entry.get("category", "confounder" if "use" in entry else ""),
                "compartment": entry.get("compartment", ""),
                "tier": int(entry.get("tier", 0)),
                "readout": entry.get("readout", ""),
                "list_origin": entry.get("list_origin", ""),
                "verify": bool(entry.get("verify", False)),
                "expected": expected.get("direction", ""),
                "comparison": " ".join(str(expected.get("comparison", "")).split()),
                "n_up": len(s.up),
                "n_down": len(s.down),
                "up": ";".join(s.up),
                "down": ";".join(s.down),
                "hgnc": ";".join(f"{gene}={hgnc[gene]}" for gene in s.genes if gene in hgnc),
                "references": "; ".join(cited),
                "note": " ".join(str(entry.get("note", entry.get("use", ""))).split()),
                "msigdb": ";".join(entry.get("msigdb", [])),
            }
        )
    return pd.DataFrame(rows)


def _cited(key: str, entry: Mapping[str, Any] | None) -> str:
    """Key and first identifier of a reference, with the mark where it was not read."""
    return key if entry is None else " ".join([key, *identifiers(entry)[:1]]) + mark(entry)


def positions(genes: pd.DataFrame) -> dict[str, int]:
    """Symbol → row of a sample's genes; where several genes share a symbol, the one with the lowest Ensembl id."""
    order = np.argsort(genes.index.to_numpy(str), kind="stable")
    symbols = genes[Var.SYMBOL].to_numpy()
    first: dict[str, int] = {}
    for row in order:
        first.setdefault(str(symbols[row]), int(row))
    return first


def arms(signatures: Sequence[Signature], genes: pd.DataFrame) -> tuple[sp.csc_matrix, sp.csc_matrix]:
    """Membership of a sample's genes in the up and the down arms: genes × signatures, 0 or 1."""
    where = positions(genes)
    matrices = []
    for members in ([s.up for s in signatures], [s.down for s in signatures]):
        pairs = [
            (where[g], column) for column, symbols in enumerate(members) for g in dict.fromkeys(symbols) if g in where
        ]
        rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
        matrices.append(sp.csc_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(genes), len(signatures))))
    return matrices[0], matrices[1]


def coverage(
    signatures: Sequence[Signature],
    genes: pd.DataFrame,
    detected: np.ndarray,
    *,
    sample: str,
    min_genes: int,
    min_coverage: float,
) -> pd.DataFrame:
    """How much of each signature a sample's platform measures: the table coverage.

    Args:
        signatures: in the order of the scores.
        genes: the sample's gene list; measured means listed here, whether or not a count was seen.
        detected: for each gene, whether any kept cell has a count.
        sample: its id.
        min_genes: fewer measured genes than this: not scorable.
        min_coverage: a smaller share of the listed genes than this: not scorable.
    """
    up, down = arms(signatures, genes)
    both = up + down
    listed = np.array([len(set(signature.genes)) for signature in signatures])
    measured = np.asarray(both.sum(axis=0)).ravel().astype(int)
    seen = np.asarray(both.T @ np.asarray(detected, float)).ravel().astype(int)
    up_measured = np.asarray(up.sum(axis=0)).ravel().astype(int)
    reasons = []
    for n, total, n_up in zip(measured, listed, up_measured, strict=True):
        if n < min_genes:
            reasons.append(f"{n} of {total} genes measured, fewer than {min_genes}")
        elif n < min_coverage * total:
            reasons.append(f"{n} of {total} genes measured, less than {min_coverage:.0%}")
        else:
            reasons.append("" if n_up else "no up gene measured")
    return pd.DataFrame(
        {
            "sample": sample,
            "signature": [signature.id for signature in signatures],
            "n_listed": listed,
            "n_measured": measured,
            "n_detected": seen,
            "scorable": [not reason for reason in reasons],
            "reason": reasons,
        }
    )
