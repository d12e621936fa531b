"""What is shipped: every dataset file of the registry as one row of a table and of a page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmet import datasets
from brainmet.contract import UNKNOWN

EVIDENCE = {
    "A": "exact file names seen in code that reads them",
    "B": "a name or a sample is partly inferred",
    "C": "not verified",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Datasets</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }}
table {{ border-collapse: collapse; }} td.n {{ text-align: right; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #ddd; }}
th {{ position: sticky; top: 0; background: #fff; }}
details {{ max-width: 60rem; color: #555; }}
</style></head><body>
<h1>Datasets</h1>
<p>{number} dataset files with {samples} samples. Donors are those of the listed samples; “published” is what the paper
or a public catalogue says the series holds. Evidence: {evidence}.
The notes say what was verified and what was inferred.</p>
<table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def catalogue(files: Sequence[Path], *, layouts: Sequence[str]) -> pd.DataFrame:
    """Rows of `catalogue.tsv`, by id.

    Args:
        files: dataset files.
        layouts: names of the readers there are; others are marked.
    """
    return pd.DataFrame([_row(path, layouts) for path in sorted(files, key=lambda path: path.stem.lower())])


def page(table: pd.DataFrame) -> str:
    """The table as a page that needs nothing else."""
    shown = [name for name in table.columns if name not in ("note", "title", "doi", "cells_published", "verify")]
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in ["dataset", "cells", *shown[1:]])
    rows = "\n".join(_html(entry, shown) for entry in table.to_dict("records"))
    evidence = "; ".join(f"{grade} {meaning}" for grade, meaning in EVIDENCE.items())
    return PAGE.format(number=len(table), samples=table["n_samples"].sum(), evidence=evidence, head=head, rows=rows)


def note(text: str) -> str:
    """The comment that opens a dataset file, as one paragraph."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(line for line in lines if line)


def _row(path: Path, layouts: Sequence[str]) -> dict[str, Any]:
    entry = datasets.read(path)
    records = list(datasets.records({entry["id"]: entry}, exclude=[]).values())
    published: Mapping[str, Any] = entry.get("published") or {}
    return {
        "id": entry["id"],
        "title": entry["title"],
        "n_samples": len(records),
        "donors": _donors(records),
        "published": _counts(published.get("donors", {})) or str(published.get("note", "")),
        "cells_published": float(published["cells"]) if published.get("cells") else np.nan,
        "primary_site": _distinct(records, "primary_site"),
        "subtypes_known": sum(any(record[name] != UNKNOWN for name in ("er", "her2")) for record in records),
        "technology": _distinct(records, "technology"),
        "suspension": _distinct(records, "suspension"),
        "values": _distinct(records, "values"),
        "labels": _labels(entry),
        "layout": entry["layout"] if entry["layout"] in layouts else f"{entry['layout']} (no reader yet)",
        "source": _source(entry),
        "evidence": entry.get("evidence", "") or "",
        "doi": (entry.get("citation") or {}).get("doi") or "",
        "note": note(path.read_text()),
        "verify": bool((entry.get("citation") or {}).get("verify")),
    }


def _donors(records: Sequence[Mapping[str, Any]]) -> str:
    pairs = {(str(record["condition"]), str(record["donor"])) for record in records}
    return _counts(Counter(condition for condition, _ in pairs))


def _counts(numbers: Mapping[str, int]) -> str:
    return "; ".join(f"{numbers[name]} {name}" for name in sorted(numbers))


def _distinct(records: Sequence[Mapping[str, Any]], name: str) -> str:
    return "; ".join(sorted({str(record[name]) for record in records}))


def _labels(entry: Mapping[str, Any]) -> str:
    labels = entry.get("labels")
    if not labels:
        return "none"
    return f"{labels['column']}: {len(labels.get('map') or {})} mapped"


def _source(entry: Mapping[str, Any]) -> str:
    return "; ".join(
        sorted({key for file in entry["files"] for key in ("url", "path", "package", "rule") if key in file})
    )


def _html(entry: Mapping[str, Any], shown: Sequence[str]) -> str:
    check = " (address written from memory: to be checked)" if entry["verify"] else ""
    doi = f' <a href="https://doi.org/{escape(entry["doi"])}">paper</a>{check}' if entry["doi"] else ""
    about = f"<details><summary>{escape(entry['title'])}{doi}</summary>{escape(entry['note'])}</details>"
    cells = entry["cells_published"]
    number = f"{cells:,.0f}" if np.isfinite(cells) else ""
    first = f'<td><b>{escape(entry["id"])}</b>{about}</td><td class="n">{number}</td>'
    rest = "".join(f"<td>{escape(str(entry[name]))}</td>" for name in shown[1:])
    return f"<tr>{first}{rest}</tr>"
