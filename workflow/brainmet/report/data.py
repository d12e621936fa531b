"""Cells packed for a page: coordinates in 16 bits, categories as codes, numbers in steps; gzipped, as base64."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from isal import igzip, isal_zlib

from brainmet.contract import Obs
from brainmet.report.figure import clean
from brainmet.report.palette import colours, in_order
from brainmet.report.places import places
from brainmet.report.wording import prose, words

CATEGORIES = (
    (Obs.CELL_TYPE, "Cell type"),
    (Obs.MALIGNANCY, "Malignancy"),
    (Obs.CONDITION, "Condition"),
    (Obs.SAMPLE, "Sample"),
    (Obs.DONOR, "Donor"),
    (Obs.STUDY, "Study"),
    (Obs.CLUSTER, "Cluster"),
    (Obs.LINEAGE, "Lineage"),
    ("state", "State"),
    (Obs.TUMOUR_OF_ORIGIN, "Tumour of origin"),
    (Obs.AUTHOR_LABEL, "Authors' label"),
    (Obs.AUTHOR_CELL_TYPE, "Authors' label as our type"),
)
WORDED = {
    *(Obs.CELL_TYPE, Obs.LINEAGE, Obs.MALIGNANCY, Obs.CONDITION),
    *("state", Obs.TUMOUR_OF_ORIGIN, Obs.AUTHOR_CELL_TYPE),
}
"""Categories of ids, which are shown as words; names given by others are shown as they are."""
NUMBERS = ((Obs.CONFIDENCE, "Confidence", 0.0, 1.0), (Obs.MALIGNANCY_SCORE, "Malignancy score", 0.0, 1.0))
MISSING = 255
"""Code of a missing number."""
STEPS, STEPS_SCORE, STEPS_GENE = 254, 30, 14
"""Steps between a number's low and high end; fewer for scores and genes, which are many: as fine as colours show."""


@dataclass(frozen=True)
class Packed:
    """Bytes of all cells, and what lies where in them."""

    meta: dict[str, Any]
    blob: bytes


def sampled(n: int, *, most: int, seed: int) -> np.ndarray:
    """Positions of at most `most` of `n` cells, drawn evenly over the file order, ascending."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])


def drawn(n: int, *, most: int, seed: int) -> np.ndarray:
    """Positions of the cells of the page in the order of drawing, a random one: no sample lies on top of the others."""
    return np.random.default_rng(seed).permutation(sampled(n, most=most, seed=seed))


def pack(
    annotation: pd.DataFrame,
    layout: pd.DataFrame,
    scores: pd.DataFrame,
    genes: pd.DataFrame,
    *,
    names: Mapping[str, str],
    uses: Mapping[str, str],
    max_cells: int,
    max_scores: int,
    max_gene_values: int,
    seed: int,
) -> Packed:
    """The cells of the page.

    Args:
        annotation: kept cells, columns of `annotation.parquet`.
        layout: the same cells, `umap_1, umap_2`.
        scores: the same cells, one column per signature.
        genes: log1p per ten thousand of genes of interest, of those cells at least that carry them.
        names: readable names of signatures.
        uses: what a gene of interest is there for.
        max_cells: cells on the page at most; of more, so many are drawn at random.
        max_scores: score values at most: with more, scores are carried for the first cells of a random order, the
            others stay grey.
        max_gene_values: the same for values of genes.
    """
    order = drawn(len(annotation), most=max_cells, seed=seed)
    cells, points = annotation.iloc[order], layout.iloc[order]
    writer = _Writer()
    columns = [
        writer.category(key, label, cells[key]) | {"places": _places(points, cells[key])}
        for key, label in CATEGORIES
        if key in cells and _tells(cells[key])
    ]
    columns += [writer.number(key, label, cells[key], low, high, steps=STEPS) for key, label, low, high in NUMBERS]
    n_scored = carried(len(order), scores.shape[1], most=max_scores)
    n_expressed = carried(len(order), genes.shape[1], most=max_gene_values)
    scored = scores.iloc[order[:n_scored]]
    columns += [
        writer.number(f"score:{key}", names.get(key, key), scored[key], *_range(scored[key]), steps=STEPS_SCORE)
        | {"group": "Signatures", "n": n_scored}
        for key in scores.columns
        if scored[key].notna().any()
    ]
    expressed = genes.reindex(cells.index[:n_expressed])
    columns += [
        writer.number(f"gene:{key}", key, expressed[key], 0.0, _top(expressed[key]), steps=STEPS_GENE)
        | {"group": "Genes of interest", "n": n_expressed, "note": uses.get(key, "")}
        for key in sorted(genes.columns)
        if expressed[key].notna().any()
    ]
    meta = {
        "n": len(order),
        "total": len(annotation),
        "scored": n_scored,
        "expressed": n_expressed if genes.shape[1] else len(order),
        "x": writer.position(points["umap_1"]),
        "y": writer.position(points["umap_2"]),
        "columns": columns,
        "reason": writer.text(cells[Obs.REASON], prose),
        "id": writer.text(pd.Series(cells.index.astype(str))),
    }
    return Packed(meta, bytes(writer.blob))


def carried(n_cells: int, n_columns: int, *, most: int) -> int:
    """How many of the cells carry values of so many columns."""
    return min(n_cells, most // max(1, n_columns))


def _places(points: pd.DataFrame, values: pd.Series) -> list[list[float] | None]:
    """Where the name of each level stands, in the order of the levels; none for those that have no place."""
    found = places(points[["umap_1", "umap_2"]].to_numpy(np.float64), values.astype(str))
    return [clean(found[level]) if level in found else None for level in in_order(values.astype(str))]


def _top(values: pd.Series) -> float:
    """The 99th percentile of what is above zero: the end of a gene's colour scale."""
    above = values.to_numpy(np.float64)
    above = above[np.isfinite(above) & (above > 0)]
    return float(f"{np.quantile(above, 0.99):.4g}") if above.size else 1.0


def _tells(values: pd.Series) -> bool:
    """Whether a column says anything."""
    return bool((values.astype(str) != "").any())


def _range(values: pd.Series) -> tuple[float, float]:
    """The 1st and 99th percentile: the ends of a colour scale."""
    finite = values.to_numpy(np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = np.quantile(finite, [0.01, 0.99]) if finite.size else (0.0, 1.0)
    return float(f"{low:.4g}"), float(f"{high if high > low else low + 1:.4g}")


class _Writer:
    """Columns one after the other, each at a multiple of four bytes."""

    def __init__(self) -> None:
        self.blob = bytearray()

    def put(self, values: np.ndarray) -> int:
        """Append an array, little endian; returns where it starts."""
        self.blob += b"\0" * (-len(self.blob) % 4)
        start = len(self.blob)
        self.blob += np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        return start

    def category(self, key: str, label: str, values: pd.Series) -> dict[str, Any]:
        text = values.astype(str)
        levels = in_order(text)
        codes = pd.Categorical(text, categories=levels).codes.astype(np.uint8 if len(levels) < 256 else np.uint16)
        palette = colours(levels)
        return {
            "key": key,
            "label": label,
            "kind": "category",
            "offset": self.put(codes),
            "bytes": codes.itemsize,
            "levels": levels,
            "shown": [words(level) for level in levels] if key in WORDED else levels,
            "colours": [palette[level] for level in levels],
        }

    def number(self, key: str, label: str, values: pd.Series, low: float, high: float, *, steps: int) -> dict[str, Any]:
        raw = values.to_numpy(np.float64)
        scaled = np.clip(np.round((raw - low) / (high - low) * steps), 0, steps)
        codes = np.where(np.isfinite(raw), scaled, MISSING).astype(np.uint8)
        return {
            "key": key,
            "label": label,
            "kind": "number",
            "offset": self.put(codes),
            "steps": steps,
            "low": low,
            "high": high,
        }

    def position(self, values: pd.Series) -> dict[str, Any]:
        raw = values.to_numpy(np.float64)
        low, high = (float(raw.min()), float(raw.max())) if len(raw) else (0.0, 1.0)
        scaled = (raw - low) / (high - low if high > low else 1.0) * 65535
        return {"offset": self.put(np.round(scaled).astype(np.uint16)), "low": low, "high": high}

    def text(self, values: pd.Series, write: Callable[[str], str] = str) -> dict[str, Any]:
        """Texts as codes into the distinct ones, each written by `write`."""
        codes, levels = pd.factorize(values.astype(str), sort=True)
        raw = np.frombuffer("\n".join(write(level).replace("\n", " ") for level in levels).encode(), dtype=np.uint8)
        return {"offset": self.put(codes.astype(np.uint32)), "text": self.put(raw), "bytes": len(raw)}


def squeeze(content: bytes) -> str:
    """Bytes gzipped (same bytes for the same content) as base64: 4 % larger than by zlib, in a tenth of the time."""
    return base64.b64encode(igzip.compress(content, compresslevel=isal_zlib.ISAL_BEST_COMPRESSION, mtime=0)).decode()


def as_json(content: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
