"""The terms by which CELLxGENE describes a sample, from what its dataset file says.

Schema 7.1 (github.com/chanzuckerberg/single-cell-curation).

A field that holds a term already (`EFO:0009922`) is used as it is; else the term follows from condition, primary
site and technology; what nobody stated is `unknown` where the schema allows it.
"""

import re
from typing import Any

from brainmet.conditions import CONDITIONS, PRIMARY
from brainmet.contract import UNKNOWN, Obs, Uns

ORGANISMS = {"human": "NCBITaxon:9606", "mouse": "NCBITaxon:10090", "human_mouse": "NCBITaxon:9606"}
ASSAYS = {"10x_3prime": "EFO:0030003", "10x_5prime": "EFO:0030004", "smartseq": "EFO:0008930"}
ANY_ASSAY = "EFO:0008913"
"""Single-cell RNA sequencing."""
SITES = {
    "breast": ("UBERON:0000310", "MONDO:0007254"),
    "lung": ("UBERON:0002048", "MONDO:0008903"),
    "skin": ("UBERON:0002097", "MONDO:0005105"),
    "melanoma": ("UBERON:0002097", "MONDO:0005105"),
    "kidney": ("UBERON:0002113", "MONDO:0002367"),
    "colon": ("UBERON:0001155", "MONDO:0021063"),
    "brain": ("UBERON:0000955", "MONDO:0001657"),
}
"""Primary site: its tissue and its cancer."""
ANY_TISSUE, CANCER = "UBERON:0000465", "MONDO:0004992"
SEXES = {"female": "PATO:0000383", "male": "PATO:0000384", "f": "PATO:0000383", "m": "PATO:0000384"}
ADULT, ADULT_YEARS = "HsapDv:0000258", 19
_TERM = re.compile(r"^[A-Za-z]+[:_][A-Za-z0-9_]+( \|\| [A-Za-z]+[:_][A-Za-z0-9_]+)*$")


def terms(record: dict[str, Any]) -> dict[str, str | bool]:
    """Columns that CELLxGENE requires for the cells of a sample, without the cell type.

    Args:
        record: the sample's record (`brainmet.datasets.records`).
    """
    tissue_type = CONDITIONS[record[Obs.CONDITION]].tissue_type
    found: dict[str, str | bool] = {
        "assay_ontology_term_id": _stated(record, "assay") or ASSAYS.get(record[Uns.TECHNOLOGY], ANY_ASSAY),
        "tissue_ontology_term_id": _stated(record, "tissue") or _tissue(record),
        "tissue_type": tissue_type,
        "disease_ontology_term_id": _stated(record, "disease") or _disease(record),
        "sex_ontology_term_id": _stated(record, "sex") or SEXES.get(str(record["sex"]).lower(), UNKNOWN),
        "self_reported_ethnicity_ontology_term_id": _stated(record, "ethnicity") or UNKNOWN,
        "development_stage_ontology_term_id": _stated(record, "development_stage") or _stage(record),
        "suspension_type": {"cell": "cell", "nucleus": "nucleus"}.get(record[Uns.SUSPENSION], "na"),
        # The cells were published before, by the authors of the series.
        "is_primary_data": False,
    }
    if tissue_type == "cell line":
        names = ("sex", "self_reported_ethnicity", "development_stage")
        found |= {f"{name}_ontology_term_id": "na" for name in names}
    return found


def _stated(record: dict[str, Any], field: str) -> str | None:
    value = str(record[field])
    return value if _TERM.match(value) else None


def _tissue(record: dict[str, Any]) -> str:
    if record[Obs.CONDITION] == PRIMARY:
        return SITES.get(record["primary_site"], (ANY_TISSUE, ""))[0]
    return CONDITIONS[record[Obs.CONDITION]].tissue or ANY_TISSUE


def _disease(record: dict[str, Any]) -> str:
    return CONDITIONS[record[Obs.CONDITION]].disease or SITES.get(record["primary_site"], ("", CANCER))[1]


def _stage(record: dict[str, Any]) -> str:
    years = re.match(r"\d+(\.\d+)?", str(record["age"]))
    return ADULT if years and float(years.group()) >= ADULT_YEARS and record[Uns.ORGANISM] == "human" else UNKNOWN
