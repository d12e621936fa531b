"""The cell types of `resources/markers`: lineages, types and states, what marks them, and how they nest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np

from brainmet.contract import MALIGNANT_PREFIX, UNKNOWN
from brainmet.core.documents import read_yaml
from brainmet.errors import BrainmetError

_SCHEMA = Path(__file__).parents[2] / "schemas" / "marker.schema.yaml"
_SHIPPED = Path(__file__).parents[3] / "resources" / "markers" / "markers.yaml"


class Named:
    """Ids of `resources/markers` that the rules on tumours name; all else of a type is read from the resource."""

    EPITHELIAL: Final = "epithelial"
    NEUROGLIA: Final = "neuroglia"
    IMMUNE: Final = "immune"
    STROMA: Final = "vascular_stromal"
    ENDOTHELIAL: Final = "endothelial"
    ASTROCYTE: Final = "astrocyte"
    OPC: Final = "opc"
    NEURON: Final = "neuron"
    CARCINOMA: Final = f"{MALIGNANT_PREFIX}epithelial"
    MELANOMA: Final = f"{MALIGNANT_PREFIX}melanocytic"
    GLIOMA: Final = f"{MALIGNANT_PREFIX}glial"


TUMOUR_LINEAGES = (Named.EPITHELIAL, Named.MELANOMA)
"""Lineages that the cells of a carcinoma or melanoma have in any tissue."""
NO_ORGAN = ("", "none", UNKNOWN)
"""Values of primary_site that name no organ."""


@dataclass(frozen=True)
class CellType:
    """One entry of the resource; see the head of `resources/markers/markers.yaml`."""

    id: str
    name: str
    short: str
    colour: str
    level: str
    parent: str | None
    coarse: str | None
    decide: str | None
    normal: bool
    origin: str
    sites: tuple[str, ...]
    tissue: str
    ontology: str
    yields_to: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclass(frozen=True)
class CellTypes:
    """All entries by id, in the order of the resource."""

    entries: Mapping[str, CellType]

    def __getitem__(self, name: str) -> CellType:
        return self.entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def decided(self, *ways: str) -> list[str]:
        """Ids that are called in one of the given ways (`broad`, `clear`, `within`, `origin`)."""
        return [entry.id for entry in self.entries.values() if entry.decide in ways]

    def origin_of(self, site: str) -> str:
        """Origin that a declared primary site means; the site itself where no entry names it, empty for none."""
        if site in NO_ORGAN:
            return ""
        wanted = site.casefold()
        entries = self.entries.values()
        return next((e.origin for e in entries if wanted in {word.casefold() for word in (e.origin, *e.sites)}), site)

    def markers(self) -> set[str]:
        """Positive genes of all entries that are not states."""
        return {gene for entry in self.entries.values() if entry.level != "state" for gene in entry.positive}

    def children(self, name: str, *, level: str) -> list[str]:
        """Ids of one level that refine an entry, directly or not."""
        return [
            entry.id for entry in self.entries.values() if entry.level == level and name in self.ancestors(entry.id)
        ]

    def ancestors(self, name: str) -> list[str]:
        """Parents of an entry, nearest first."""
        chain: list[str] = []
        while (parent := self.entries[name].parent) and parent not in chain:
            chain.append(parent)
            name = parent
        return chain

    def refining(self, names: Iterable[str]) -> list[str]:
        """Ids of the given entries and of all that refine them, in the order of the resource."""
        wanted = set(names)
        return [id_ for id_ in self.entries if wanted & {id_, *self.ancestors(id_)}]

    def of_tumours(self) -> list[str]:
        """Ids of entries whose cells can be a carcinoma's or melanoma's: by their lineage, unless they are `normal`."""
        return [id_ for id_, entry in self.entries.items() if self.lineage(id_) in TUMOUR_LINEAGES and not entry.normal]

    def by_kin(self) -> list[CellType]:
        """All entries, each followed by those that refine it."""

        def below(parent: str | None) -> Iterator[CellType]:
            for entry in self.entries.values():
                if entry.parent == parent:
                    yield entry
                    yield from below(entry.id)

        return list(below(None))

    def coarse(self, name: str) -> str:
        """Class in which agreement is measured; `unknown` for none."""
        return (self.entries[name].coarse if name in self.entries else None) or UNKNOWN

    def lineage(self, name: str) -> str:
        """Id of the lineage an entry belongs to; its topmost entry when it is in none; `unknown` for unknown."""
        if name not in self.entries:
            return UNKNOWN
        return [name, *self.ancestors(name)][-1]

    def ontology(self, name: str) -> str:
        """Cell Ontology id of an entry or of its nearest parent that has one; empty for none."""
        if name not in self.entries:
            return ""
        return next((self.entries[n].ontology for n in [name, *self.ancestors(name)] if self.entries[n].ontology), "")

    @cached_property
    def broad_of(self) -> dict[str, str]:
        """By entry, the broad or clear candidate that it is decided as: itself or the nearest such parent."""
        candidates = set(self.decided("broad", "clear"))
        chains = {name: [name, *self.ancestors(name)] for name in self.entries}
        return {name: next((n for n in chain if n in candidates), "") for name, chain in chains.items()}


def load_cell_types(paths: Iterable[str | Path]) -> CellTypes:
    """Read the files of cell types.

    Raises:
        BrainmetError: a file breaks the schema, an id is given twice, or an entry names another that is none.
    """
    from brainmet.core.validate import validate

    schema = read_yaml(_SCHEMA)
    entries: dict[str, CellType] = {}
    for path in paths:
        document = read_yaml(path)
        validate(document, schema, name=Path(path).name)
        for raw in document["cell_types"]:
            if raw["id"] in entries:
                raise BrainmetError(f"{path}: cell type {raw['id']} is defined twice; rename one of them")
            entries[raw["id"]] = _entry(raw)
    for entry in entries.values():
        if entry.parent and entry.parent not in entries:
            raise BrainmetError(
                f"cell type {entry.id}: its parent {entry.parent} is not an entry; define it or set parent: null"
            )
        if unknown := [name for name in entry.yields_to if name not in entries]:
            raise BrainmetError(f"cell type {entry.id}: yields_to: {unknown[0]} is not an entry; define or remove it")
    return CellTypes(entries)


@cache
def shipped() -> CellTypes:
    """The cell types that come with the package."""
    return load_cell_types([_SHIPPED])


def compartment_words(path: str | Path, type_files: Iterable[str | Path]) -> dict[str, list[str]]:
    """Types by the compartment word of signatures, drugs and claims, each with all types that refine it.

    Args:
        path: `resources/signatures/compartments.yaml`.
        type_files: the shipped file of cell types, then the user's own.
    """
    types = load_cell_types(type_files)
    words: dict[str, dict[str, list[str]]] = read_yaml(path)
    members = {}
    for word, said in words.items():
        without = types.refining(said.get("without", ()))
        members[word] = [id_ for id_ in types.refining(said["of"]) if id_ not in without]
    return members


def gene_columns(symbols: np.ndarray, genes: Iterable[str]) -> np.ndarray:
    """Columns of the listed genes that are measured, ascending; the first one of a symbol that occurs twice."""
    wanted = set(genes)
    first: dict[str, int] = {}
    for column, symbol in enumerate(symbols):
        if symbol in wanted and symbol not in first:
            first[symbol] = column
    return np.array(sorted(first.values()), dtype=np.int64)


def _entry(raw: dict) -> CellType:
    ontology = (raw.get("cell_ontology") or {}).get("id", "")
    return CellType(
        **{key: raw[key] for key in ("id", "name", "level", "parent", "coarse", "decide")},
        short=raw.get("short", ""),
        colour=raw.get("colour", ""),
        normal=raw.get("normal", False),
        origin=raw.get("origin", ""),
        sites=tuple(raw.get("sites", ())),
        tissue=raw.get("tissue", ""),
        ontology=ontology,
        yields_to=tuple(raw.get("yields_to", ())),
        positive=tuple(raw.get("positive") or ()),
        negative=tuple(raw.get("negative") or ()),
    )
