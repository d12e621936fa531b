"""What a sample's condition means: the one table that annotation, comparison, export and the page read.

A new condition is one row here, and its name in the schemas of dataset files and of the configuration.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

PRIMARY, BRAIN_METASTASIS, GLIOMA, CELL_LINE = "primary", "brain_metastasis", "glioma", "cell_line"
BRAIN, BREAST = "UBERON:0000955", "UBERON:0000310"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One kind of tissue or culture that a sample can be.

    Attributes:
        id: name in dataset files, in the configuration and in tables.
        colour: on the page and in figures.
        in_brain: the tissue is of the brain; None where the condition leaves that open.
        epithelium: normal epithelial cells that the tissue can hold: those of a `breast`; `none`, nor any of a
            carcinoma; `foreign`, such cells came with a tumour; `open` where the condition does not tell.
        normal: the tissue is declared to hold no tumour.
        model: a preclinical model, grown outside of a patient.
        tissue: Uberon term for CELLxGENE; empty where the condition names none.
        disease: MONDO or PATO term for CELLxGENE; empty where the primary site tells.
        tissue_type: CELLxGENE's word for it.
    """

    id: str
    colour: str
    in_brain: bool | None = None
    epithelium: Literal["breast", "none", "foreign", "open"] = "open"
    normal: bool = False
    model: bool = False
    tissue: str = ""
    disease: str = ""
    tissue_type: Literal["tissue", "cell line", "organoid"] = "tissue"


_ROWS: Final = (
    Condition(id=PRIMARY, colour="#0072b2", in_brain=False, epithelium="breast"),
    Condition(id=BRAIN_METASTASIS, colour="#d55e00", in_brain=True, epithelium="foreign", tissue=BRAIN),
    Condition(id="extracranial_metastasis", colour="#cc79a7", in_brain=False, epithelium="foreign"),
    Condition(
        id="lymph_node_metastasis", colour="#e69f00", in_brain=False, epithelium="foreign", tissue="UBERON:0000029"
    ),
    Condition(id="leptomeningeal", colour="#a6400a", in_brain=True, epithelium="foreign", tissue="UBERON:0000391"),
    Condition(id="csf", colour="#56b4e9", epithelium="foreign", tissue="UBERON:0001359"),
    Condition(id="ctc", colour="#7b3fb5", epithelium="foreign", tissue="UBERON:0000178"),
    Condition(
        id="normal_brain", colour="#009e73", in_brain=True, epithelium="none", normal=True, tissue=BRAIN,
        disease="PATO:0000461",
    ),
    Condition(id="peritumoural_brain", colour="#7bbf3a", in_brain=True, normal=True, tissue=BRAIN),
    Condition(
        id="normal_breast", colour="#7fb8dd", in_brain=False, epithelium="breast", normal=True, tissue=BREAST,
        disease="PATO:0000461",
    ),
    Condition(
        id=GLIOMA, colour="#5b1a18", in_brain=True, epithelium="none", tissue=BRAIN, disease="MONDO:0021042"
    ),
    Condition(id=CELL_LINE, colour="#6a6f7a", epithelium="foreign", model=True, tissue_type="cell line"),
    Condition(id="xenograft", colour="#9aa0aa", epithelium="foreign", model=True),
    Condition(id="organoid", colour="#c0c5cd", epithelium="foreign", model=True, tissue_type="organoid"),
    Condition(id="other", colour="#8b8f98"),
)  # fmt: skip
CONDITIONS: Final = MappingProxyType({row.id: row for row in _ROWS})
"""All conditions by id, in the order in which tables and figures list them."""


def ids(**properties: object) -> tuple[str, ...]:
    """Conditions that have all the given properties, as in `ids(in_brain=True, normal=False)`."""
    return tuple(
        id_ for id_, row in CONDITIONS.items() if all(getattr(row, name) == value for name, value in properties.items())
    )
