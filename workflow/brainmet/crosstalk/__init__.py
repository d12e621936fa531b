"""Crosstalk between cell types of one sample: do the senders' and receivers' genes of known axes stand out?

Every axis is read in the way that its mechanism allows (`readout` of `resources/crosstalk/axes.yaml`):

* `lr`: geometric mean of ligand (in the sender) and receptor (in the receiver), complexes by their least expressed
  subunit; p against pairs of genes of the same expression, and by exact relabelling of the sample's types.
* `two_sided`: gap junctions, transporters, enzymes: the log ratio of each side's genes to the same genes in the other
  types; both sides must stand out (the larger p of the two counts).
* `downstream`: the receiver's response genes alone.

Sender and receiver always come from the same sample, and only profiles of types are read.
"""

import logging
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from brainmet.contract import Obs, Status
from brainmet.core import tables
from brainmet.core.documents import read_yaml
from brainmet.core.validate import validate
from brainmet.crosstalk.ligands import consensus, find_pair
from brainmet.errors import BrainmetError
from brainmet.pseudobulk import Pseudobulk
from brainmet.pseudobulk.type_profiles import CELLS, SUMMABLE, TypeProfiles, present, samples, strata
from brainmet.stats.effects import fdr

log = logging.getLogger(__name__)

RANKS = ("magnitude_rank", "specificity_rank")
Ranks = dict[tuple[str, str, str, str], tuple[float, float]]
"""The consensus ranks by ligand, receptor, sender and receiver."""
SCHEMA = Path(__file__).parents[2] / "schemas" / "crosstalk.schema.yaml"
SENDER, RECEIVER = "<sender>", "<receiver>"
MIN_TYPES = 3
"""Types of a sample below which there is no "elsewhere" to compare with."""


@dataclass(frozen=True)
class Axes:
    """Axes with the response sets and the references that they name."""

    entries: list[dict[str, Any]]
    responses: dict[str, dict[str, Any]]
    references: dict[str, dict[str, Any]] = field(default_factory=dict)


def load(path: str | Path) -> Axes:
    """Axes and response sets of a file.

    Raises:
        BrainmetError: the file breaks the schema, an id is used twice, or an axis names a response or a reference that
            the file does not hold.
    """
    path = Path(path)
    document = read_yaml(path)
    validate(document, read_yaml(SCHEMA), name=path.name)
    entries, responses = document["axes"], document["responses"]
    ids = [entry["id"] for entry in entries]
    if doubled := sorted({name for name in ids if ids.count(name) > 1}):
        raise BrainmetError(f"{path.name}: the id {doubled[0]} is used twice; give each axis its own")
    for entry in entries:
        if entry.get("response") not in {None, *responses}:
            raise BrainmetError(
                f"{path.name}: {entry['id']} names the response {entry['response']}; add it under responses"
            )
    for name, entry in [*((e["id"], e) for e in entries), *responses.items()]:
        if missing := [key for key in entry["references"] if key not in document["references"]]:
            raise BrainmetError(f"{path.name}: {name} names the reference {missing[0]}; add it under references")
    return Axes(entries, responses, document["references"])


def crosstalk(
    pseudobulk: Pseudobulk,
    axes: Axes,
    pairs: pd.DataFrame,
    parents: Mapping[str, str],
    *,
    min_cells: int,
    min_fraction: float,
    n_random: int,
    n_bins: int,
    seed: int,
) -> pd.DataFrame:
    """Every axis in every sample that holds its sender and its receiver (`tables/crosstalk.yaml`).

    Args:
        pseudobulk: sums by sample and cell type, NaN where a gene is not measured, layer `n_cells_detected`.
        axes: axes and response sets.
        pairs: ligand-receptor resource for the consensus ranks (`ligands.consensus_pairs`).
        parents: parent of each state or type (`type_profiles.parents_of`).
        min_cells: cells that a type needs in a sample.
        min_fraction: share of cells that must detect a gene of a pair for its consensus rank (LIANA's expr_prop).
        n_random: random pairs or sets drawn for each test.
        n_bins: bins of expression from which random genes are drawn.
        seed: of the draws; each axis and sample has its own stream, so that other samples and names change nothing.
    """
    frames = []
    entries = [(axis, find_pair(pairs, axis["ligand"], axis["receptor"])) for axis in axes.entries]
    wanted = {pair for _, pair in entries if pair}
    for profiles in samples(pseudobulk, suspensions=CELLS, values=SUMMABLE):
        sample = Sample(profiles, min_cells=min_cells, n_random=n_random, n_bins=n_bins, seed=seed)
        ranks = _consensus_ranks(sample.enough, pairs, wanted, min_fraction=min_fraction)
        rows = []
        for axis, pair in entries:
            if sides := sample.sides(axis, parents):
                rows.append(_row(axis, pair, sample, sides, axes.responses, ranks))
        about = profiles.about
        log.info("%s, donor %s: %d axes have sender and receiver", about[Obs.SAMPLE], about[Obs.DONOR], len(rows))
        if rows:
            frames.append(_with_fdr(pd.DataFrame(rows)))
    if not frames:
        log.info("no sample holds sender and receiver of an axis: the table is empty")
        return tables.empty("crosstalk")
    return pd.concat(frames, ignore_index=True)[tables.columns("crosstalk")]


def _with_fdr(rows: pd.DataFrame) -> pd.DataFrame:
    """Benjamini-Hochberg within the sample, each readout a family of its own."""
    rows["fdr"] = np.nan
    for _, family in rows[rows["p"].notna()].groupby("readout", sort=True):
        rows.loc[family.index, "fdr"] = fdr(family["p"].to_numpy(float))
    return rows


def _consensus_ranks(
    profiles: TypeProfiles, pairs: pd.DataFrame, wanted: Collection[tuple[str, str]], *, min_fraction: float
) -> Ranks:
    """The consensus ranks of the wanted pairs between the types of a sample; none without types."""
    if not profiles.types:
        return {}
    ranked = consensus(profiles, pairs, wanted, min_fraction=min_fraction)
    return dict(zip(ranked.index, ranked[list(RANKS)].itertuples(index=False, name=None), strict=True))


@dataclass(frozen=True)
class Sides:
    """Sender, receiver and the other types of a sample.

    Attributes:
        profiles: units × genes; sender and receiver are one unit where an axis links a type to itself.
        sender, receiver: their rows.
        sender_types, receiver_types: types of the sample that make them up.
    """

    profiles: TypeProfiles
    sender: int
    receiver: int
    sender_types: tuple[str, ...]
    receiver_types: tuple[str, ...]

    def of(self, side: str) -> int:
        """Row of the unit whose ligand or receptor is read."""
        return self.sender if side == "ligand" else self.receiver


class Sample:
    """The types of one sample, and random genes of the same expression to compare with.

    Args:
        profiles: of the sample's types.
        min_cells: cells that a type needs.
        n_random: draws of each test.
        n_bins: bins of expression from which random genes are drawn.
        seed: of the draws.
    """

    def __init__(self, profiles: TypeProfiles, *, min_cells: int, n_random: int, n_bins: int, seed: int) -> None:
        self.profiles, self.min_cells, self.n_random, self.seed = profiles, min_cells, n_random, seed
        self.stream = zlib.crc32(np.ascontiguousarray(profiles.sums).tobytes())
        sizes = zip(profiles.types, profiles.n_cells, strict=True)
        self.enough = profiles.merged({name: [name] for name, n in sizes if n >= min_cells})
        self.overall = self.enough.log.mean(axis=0) if self.enough.types else np.zeros(len(profiles.symbols))
        self.bins = strata(self.overall, n_bins)
        self.members = {int(b): np.flatnonzero(self.bins == b) for b in np.unique(self.bins)}
        self._units: dict[tuple[tuple[str, ...], tuple[str, ...]], TypeProfiles] = {}

    def sides(self, axis: Mapping[str, Any], parents: Mapping[str, str]) -> Sides | None:
        """Sender and receiver of an axis; None where the sample lacks one, or both are read in the same type though
        they are meant to differ."""
        senders, receivers = (
            tuple(present(axis[side], self.profiles.types, parents)) for side in ("sender", "receiver")
        )
        if not senders or not receivers or (senders == receivers and axis["sender"] != axis["receiver"]):
            return None
        profiles = self._of(senders, receivers)
        sender = profiles.types.index(SENDER)
        receiver = sender if senders == receivers else profiles.types.index(RECEIVER)
        return Sides(profiles, sender, receiver, senders, receivers)

    def _of(self, senders: tuple[str, ...], receivers: tuple[str, ...]) -> TypeProfiles:
        """Sender, receiver and all other types with enough cells; kept, since axes share them."""
        if (senders, receivers) not in self._units:
            units: dict[str, Sequence[str]] = {
                name: [name] for name in self.enough.types if name not in (*senders, *receivers)
            }
            if senders != receivers:
                units[RECEIVER] = receivers
            self._units[senders, receivers] = self.profiles.merged(units | {SENDER: senders})
        return self._units[senders, receivers]

    def generator(self, axis: str) -> np.random.Generator:
        """The stream of an axis: its own, whatever else is tested."""
        return np.random.default_rng([self.seed, self.stream, zlib.crc32(axis.encode())])

    def random(self, columns: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Random genes, draws × genes: each from the bin of the gene it stands for, never one of those genes."""
        drawn = []
        for column in columns:
            pool = np.setdiff1d(self.members[int(self.bins[column])], columns)
            drawn.append(rng.choice(pool if len(pool) else np.array([column]), self.n_random))
        return np.column_stack(drawn)

    def alike(self, values: np.ndarray, columns: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """What the genes would show here, were they as specific as random genes of their expression: draws × genes.

        What a random gene has above its mean over the types is put on the mean of the gene it stands for: the most
        expressed gene of a bin does not look specific for being expressed.
        """
        drawn = self.random(columns, rng)
        return np.maximum(self.overall[columns] + values[drawn] - self.overall[drawn], 0)


@dataclass(frozen=True)
class Response:
    """Genes that should rise and fall in the receiver. An axis' own genes say nothing about its effect."""

    up: Sequence[str]
    down: Sequence[str]

    @classmethod
    def of(cls, axis: Mapping[str, Any], responses: Mapping[str, Mapping[str, Any]]) -> "Response | None":
        """The response that an axis names; None for one that names none."""
        if not axis.get("response"):
            return None
        entry = responses[axis["response"]]
        left_out = set() if axis["readout"] == "downstream" else {*axis["ligand"], *axis["receptor"]}
        up, down = ([gene for gene in entry.get(side, []) if gene not in left_out] for side in ("up", "down"))
        return cls(up, down)

    def columns(self, profiles: TypeProfiles) -> tuple[list[int], list[int]]:
        """Columns of the measured genes that should rise, and of those that should fall."""
        return profiles.where(self.up), profiles.where(self.down)

    def test(self, sample: Sample, sides: Sides, rng: np.random.Generator) -> dict[str, float]:
        """Genes in the receiver, up less down, as their mean above what is alike; and its p."""
        up, down = self.columns(sides.profiles)
        if not up and not down:
            return {"response_score": np.nan, "response_p": np.nan}
        values = sides.profiles.log[sides.receiver]
        observed, random = 0.0, np.zeros(sample.n_random)
        for columns, sign in ((up, 1), (down, -1)):
            if columns:
                observed += sign * float(values[columns].mean())
                random += sign * sample.alike(values, columns, rng).mean(axis=1)
        return {"response_score": observed - float(random.mean()), "response_p": _p(random, observed)}


class Readout(Protocol):
    """How an axis is read: a new way is one class, named in `READOUTS`."""

    def levels(self, axis: Mapping[str, Any], sides: Sides) -> dict[str, float]:
        """`ligand_mean, ligand_frac, receptor_mean, receptor_frac`: NaN where a side cannot be read."""

    def missing(self, axis: Mapping[str, Any], profiles: TypeProfiles, response: Response | None) -> str:
        """Why the genes that were measured do not suffice; empty when they do."""

    def test(self, axis: Mapping[str, Any], sample: Sample, sides: Sides, rng: np.random.Generator) -> dict[str, float]:
        """Score, p and what belongs to them; empty where the response is all."""


class LigandReceptor:
    """Geometric mean of ligand and receptor, complexes by their least expressed subunit."""

    def levels(self, axis: Mapping[str, Any], sides: Sides) -> dict[str, float]:
        """The least expressed subunit of each side; NaN where one is not measured."""
        return _levels(axis, sides, np.min, complete=True)

    def missing(self, axis: Mapping[str, Any], profiles: TypeProfiles, response: Response | None) -> str:
        """All subunits of both sides are needed."""
        for side in ("ligand", "receptor"):
            if absent := [gene for gene in axis[side] if gene not in profiles.columns]:
                return f"{'+'.join(absent)} is not measured"
        return ""

    def test(self, axis: Mapping[str, Any], sample: Sample, sides: Sides, rng: np.random.Generator) -> dict[str, float]:
        """The score against random pairs of the same expression, and against all other pairs of types."""
        profiles, s, r = sides.profiles, sides.sender, sides.receiver
        left, right = profiles.where(axis["ligand"]), profiles.where(axis["receptor"])
        ligand, receptor = profiles.log[:, left].min(axis=1), profiles.log[:, right].min(axis=1)
        score = float(np.sqrt(ligand[s] * receptor[r]))
        random_left = sample.alike(profiles.log[s], left, rng).min(axis=1)
        random_right = sample.alike(profiles.log[r], right, rng).min(axis=1)
        every = np.sqrt(np.outer(ligand, receptor))
        itself = np.eye(len(every), dtype=bool)
        others = every[itself if s == r else ~itself]
        return {
            "score": score,
            "p": _p(np.sqrt(random_left * random_right), score) if score > 0 else 1.0,
            "p_perm_types": float(np.mean(others >= score * (1 - 1e-12))),
            "p_perm_min": 1 / len(others),
            "sender_specificity": _share_below(ligand, s),
        }


class Means:
    """Each side by the mean of its genes."""

    def levels(self, axis: Mapping[str, Any], sides: Sides) -> dict[str, float]:
        """The mean of each side's measured genes."""
        return _levels(axis, sides, np.mean, complete=False)


class TwoSided(Means):
    """The log ratio of each side's genes to the same genes in the other types; both sides must stand out."""

    def missing(self, axis: Mapping[str, Any], profiles: TypeProfiles, response: Response | None) -> str:
        """One gene of each side is needed."""
        for side in ("ligand", "receptor"):
            if not profiles.where(axis[side]):
                return f"{'+'.join(axis[side])} is not measured"
        return ""

    def test(self, axis: Mapping[str, Any], sample: Sample, sides: Sides, rng: np.random.Generator) -> dict[str, float]:
        """The weaker side counts: the smaller score, the larger p."""
        profiles, scores, ps = sides.profiles, [], []
        for side in ("ligand", "receptor"):
            row, columns = sides.of(side), profiles.where(axis[side])
            contrast = profiles.log[row] - np.delete(profiles.log, row, axis=0).mean(axis=0)
            scores.append(float(contrast[columns].mean()))
            ps.append(_p(contrast[sample.random(columns, rng)].mean(axis=1), scores[-1]))
        ligand = profiles.log[:, profiles.where(axis["ligand"])].mean(axis=1)
        return {"score": min(scores), "p": max(ps), "sender_specificity": _share_below(ligand, sides.sender)}


class Downstream(Means):
    """The receiver's response genes alone."""

    def missing(self, axis: Mapping[str, Any], profiles: TypeProfiles, response: Response | None) -> str:
        """One gene that should rise is needed."""
        measured = response is not None and response.columns(profiles)[0]
        return "" if measured else "no response gene is measured"

    def test(self, axis: Mapping[str, Any], sample: Sample, sides: Sides, rng: np.random.Generator) -> dict[str, float]:
        """Nothing besides the response, whose score and p are those of the axis."""
        return {}


READOUTS: Mapping[str, Readout] = {"lr": LigandReceptor(), "two_sided": TwoSided(), "downstream": Downstream()}
"""By the word that an axis gives as its `readout`."""


def _row(
    axis: Mapping[str, Any],
    pair: tuple[str, str] | None,
    sample: Sample,
    sides: Sides,
    responses: Mapping[str, Mapping[str, Any]],
    ranks: Ranks,
) -> dict[str, Any]:
    """One axis in one sample: what it is of, what was measured, and its tests or why there are none."""
    readout, response = READOUTS[axis["readout"]], Response.of(axis, responses)
    row = tables.blank("crosstalk") | _described(axis, pair, sample, sides) | readout.levels(axis, sides)
    row["reason"] = _too_few(sample, sides) or readout.missing(axis, sides.profiles, response) or _alone(sides)
    row["status"] = Status.NOT_TESTED if row["reason"] else Status.TESTED
    if row["reason"]:
        return row
    rng = sample.generator(axis["id"])
    if response:
        row |= response.test(sample, sides, rng)
    tested = readout.test(axis, sample, sides, rng)
    row |= tested or {"score": row["response_score"], "p": row["response_p"]}
    return row | (_best_ranks(pair, sides, ranks) if axis["readout"] == "lr" else {})


def _described(axis: Mapping[str, Any], pair: tuple[str, str] | None, sample: Sample, sides: Sides) -> dict[str, Any]:
    """What a row is of: sample, axis, types."""
    about, n_cells = sample.profiles.about, sides.profiles.n_cells
    of_sample = (Obs.DATASET, Obs.STUDY, Obs.SAMPLE, Obs.DONOR, Obs.CONDITION, "primary_site")
    of_axis = ("kind", "sender", "receiver", "readout", "tier")
    return {
        **{key: about.get(key, "") for key in of_sample},
        **{key: axis[key] for key in of_axis},
        "axis": axis["id"],
        "axis_group": axis["axis"],
        "ligand": "+".join(axis["ligand"]),
        "receptor": "+".join(axis["receptor"]),
        "sender_types": "+".join(sides.sender_types),
        "receiver_types": "+".join(sides.receiver_types),
        "response": axis.get("response", ""),
        "n_sender": int(n_cells[sides.sender]),
        "n_receiver": int(n_cells[sides.receiver]),
        "liana_pair": "^".join(pair) if pair and axis["readout"] == "lr" else "",
    }


def _too_few(sample: Sample, sides: Sides) -> str:
    for side, row in (("sender", sides.sender), ("receiver", sides.receiver)):
        if (n := sides.profiles.n_cells[row]) < sample.min_cells:
            return f"{side} has {int(n)} cells, {sample.min_cells} needed"
    return ""


def _alone(sides: Sides) -> str:
    n = len(sides.profiles.types)
    return f"{n} types in the sample, {MIN_TYPES} needed to compare with" if n < MIN_TYPES else ""


def _levels(
    axis: Mapping[str, Any], sides: Sides, reduce: Callable[[np.ndarray], Any], *, complete: bool
) -> dict[str, float]:
    """Mean and share of cells of each side's genes, reduced to one; `complete`: NaN where a gene is not measured."""
    levels = {}
    for side in ("ligand", "receptor"):
        row, columns = sides.of(side), sides.profiles.where(axis[side])
        known = bool(columns) and (not complete or len(columns) == len(axis[side]))
        levels[f"{side}_mean"] = float(reduce(sides.profiles.log[row, columns])) if known else np.nan
        levels[f"{side}_frac"] = float(reduce(sides.profiles.fraction[row, columns])) if known else np.nan
    return levels


def _best_ranks(pair: tuple[str, str] | None, sides: Sides, ranks: Ranks) -> dict[str, float]:
    """Consensus ranks of the axis' entry in the resource: the best over the states of sender and receiver."""
    if pair is None:
        return {}
    keys = [(*pair, sender, receiver) for sender in sides.sender_types for receiver in sides.receiver_types]
    found = [ranks[key] for key in keys if key in ranks]
    return {name: float(min(rank[i] for rank in found)) for i, name in enumerate(RANKS) if found}


def _share_below(values: np.ndarray, row: int) -> float:
    """Share of the other units with a smaller value; NaN without others."""
    others = np.delete(values, row)
    return float(np.mean(others < values[row])) if len(others) else np.nan


def _p(null: np.ndarray, observed: float) -> float:
    """Share of draws at least as large, the observation counted as one of them."""
    return float((1 + np.sum(null >= observed - 1e-12)) / (1 + len(null)))
