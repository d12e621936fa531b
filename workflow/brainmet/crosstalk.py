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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainmet import tables
from brainmet.documents import read_yaml
from brainmet.effects import fdr
from brainmet.errors import BrainmetError
from brainmet.ligands import consensus, find_pair
from brainmet.pseudobulk import Pseudobulk
from brainmet.type_profiles import CELLS, SUMMABLE, TypeProfiles, present, samples, strata
from brainmet.validate import validate

log = logging.getLogger(__name__)

RANKS = ("magnitude_rank", "specificity_rank")
Ranks = dict[tuple[str, str, str, str], tuple[float, float]]
"""The consensus ranks by ligand, receptor, sender and receiver."""
SCHEMA = Path(__file__).parent.parent / "schemas" / "crosstalk.schema.yaml"
TESTED, NOT_TESTED = "tested", "not_tested"
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
        sample = _Sample(profiles, axes.responses, min_cells, n_random, n_bins, seed)
        ranks: Ranks = {}
        if sample.enough.types:
            ranked = consensus(sample.enough, pairs, wanted, min_fraction=min_fraction)
            ranks = dict(zip(ranked.index, ranked[list(RANKS)].itertuples(index=False, name=None), strict=True))
        rows = [row for axis, pair in entries if (row := sample.row(axis, pair, parents, ranks))]
        log.info(
            "%s, donor %s: %d axes have sender and receiver",
            profiles.about["sample"],
            profiles.about["donor"],
            len(rows),
        )
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


class _Sample:
    """Tests of one sample."""

    def __init__(
        self,
        profiles: TypeProfiles,
        responses: Mapping[str, Any],
        min_cells: int,
        n_random: int,
        n_bins: int,
        seed: int,
    ) -> None:
        self.profiles, self.responses, self.min_cells, self.n_random, self.seed = (
            profiles,
            responses,
            min_cells,
            n_random,
            seed,
        )
        self.stream = zlib.crc32(np.ascontiguousarray(profiles.sums).tobytes())
        self.enough = profiles.merged(
            {t: [t] for t, n in zip(profiles.types, profiles.n_cells, strict=True) if n >= min_cells}
        )
        overall = self.enough.log.mean(axis=0) if self.enough.types else np.zeros(len(profiles.symbols))
        self.overall, self.bins = overall, strata(overall, n_bins)
        self.units: dict[tuple[tuple[str, ...], tuple[str, ...]], TypeProfiles] = {}
        self.members = {int(b): np.flatnonzero(self.bins == b) for b in np.unique(self.bins)}

    def row(
        self, axis: dict[str, Any], pair: tuple[str, str] | None, parents: Mapping[str, str], ranks: Ranks
    ) -> dict[str, Any] | None:
        """Result of one axis, None when the sample lacks its sender or receiver."""
        senders, receivers = (present(axis[side], self.profiles.types, parents) for side in ("sender", "receiver"))
        if not senders or not receivers or (senders == receivers and axis["sender"] != axis["receiver"]):
            return None
        profiles = self._units(tuple(senders), tuple(receivers))
        s = profiles.types.index(SENDER)
        r = s if senders == receivers else profiles.types.index(RECEIVER)
        about = self.profiles.about
        row = tables.blank("crosstalk")
        row |= {key: about.get(key, "") for key in ("dataset", "study", "sample", "donor", "condition", "primary_site")}
        row |= {key: axis[key] for key in ("kind", "sender", "receiver", "readout", "tier")}
        row |= {
            "axis": axis["id"],
            "axis_group": axis["axis"],
            "ligand": "+".join(axis["ligand"]),
            "receptor": "+".join(axis["receptor"]),
        }
        row |= {
            "sender_types": "+".join(senders),
            "receiver_types": "+".join(receivers),
            "response": axis.get("response", ""),
        }
        row |= {"n_sender": int(profiles.n_cells[s]), "n_receiver": int(profiles.n_cells[r])}
        row |= {"liana_pair": "^".join(pair) if pair and axis["readout"] == "lr" else ""}
        row |= self._sides(axis, profiles, s, r)
        row["reason"] = self._reason(axis, profiles, s, r)
        row["status"] = NOT_TESTED if row["reason"] else TESTED
        rng = np.random.default_rng([self.seed, self.stream, zlib.crc32(axis["id"].encode())])
        if row["reason"]:
            return row
        if axis.get("response"):
            row |= dict(zip(("response_score", "response_p"), self._response(axis, profiles, r, rng), strict=True))
        if axis["readout"] == "lr":
            row |= self._pair_test(axis, profiles, s, r, rng) | self._ranks(pair, senders, receivers, ranks)
        elif axis["readout"] == "two_sided":
            row |= self._two_sided(axis, profiles, s, r, rng)
        else:
            row |= {"score": row["response_score"], "p": row["response_p"]}
        return row

    def _units(self, senders: tuple[str, ...], receivers: tuple[str, ...]) -> TypeProfiles:
        """Sender, receiver and all other types with enough cells; kept, since axes share them."""
        if (senders, receivers) not in self.units:
            units = {t: [t] for t in self.enough.types if t not in (*senders, *receivers)} | {
                RECEIVER: receivers,
                SENDER: senders,
            }
            if senders == receivers:
                del units[RECEIVER]
            self.units[senders, receivers] = self.profiles.merged(units)
        return self.units[senders, receivers]

    def _sides(self, axis: dict[str, Any], profiles: TypeProfiles, s: int, r: int) -> dict[str, float]:
        """Mean and share of cells of each side: of the least expressed subunit, or the mean of a set."""
        out = {}
        for side, at in (("ligand", s), ("receptor", r)):
            columns = profiles.where(axis[side])
            reduce = np.min if axis["readout"] == "lr" else np.mean
            complete = columns and (axis["readout"] != "lr" or len(columns) == len(axis[side]))
            out[f"{side}_mean"] = float(reduce(profiles.log[at, columns])) if complete else np.nan
            out[f"{side}_frac"] = float(reduce(profiles.fraction[at, columns])) if complete else np.nan
        return out

    def _reason(self, axis: dict[str, Any], profiles: TypeProfiles, s: int, r: int) -> str:
        """Why the axis cannot be tested here; empty when it can."""
        for side, at in (("sender", s), ("receiver", r)):
            if profiles.n_cells[at] < self.min_cells:
                return f"{side} has {int(profiles.n_cells[at])} cells, {self.min_cells} needed"
        if axis["readout"] != "downstream":
            for side in ("ligand", "receptor"):
                found = profiles.where(axis[side])
                if not found or (axis["readout"] == "lr" and len(found) < len(axis[side])):
                    missing = [gene for gene in axis[side] if gene not in profiles.columns]
                    return f"{'+'.join(missing)} is not measured"
        elif not self._response_columns(axis, profiles)[0]:
            return "no response gene is measured"
        if len(profiles.types) < MIN_TYPES:
            return f"{len(profiles.types)} types in the sample, {MIN_TYPES} needed to compare with"
        return ""

    def _random(self, columns: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Random genes, draws × genes: each from the bin of the gene it stands for, never one of those genes."""
        drawn = []
        for column in columns:
            pool = np.setdiff1d(self.members[int(self.bins[column])], columns)
            drawn.append(rng.choice(pool if len(pool) else np.array([column]), self.n_random))
        return np.column_stack(drawn)

    def _alike(self, values: np.ndarray, columns: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """What the genes would show here, were they as specific as random genes of their expression: draws × genes.

        What a random gene has above its mean over the types is put on the mean of the gene it stands for: the most
        expressed gene of a bin does not look specific for being expressed.
        """
        drawn = self._random(columns, rng)
        return np.maximum(self.overall[columns] + values[drawn] - self.overall[drawn], 0)

    def _pair_test(
        self, axis: dict[str, Any], profiles: TypeProfiles, s: int, r: int, rng: np.random.Generator
    ) -> dict[str, float]:
        left, right = profiles.where(axis["ligand"]), profiles.where(axis["receptor"])
        ligand, receptor = profiles.log[:, left].min(axis=1), profiles.log[:, right].min(axis=1)
        score = float(np.sqrt(ligand[s] * receptor[r]))
        drawn = [self._alike(profiles.log[at], columns, rng).min(axis=1) for at, columns in ((s, left), (r, right))]
        every = np.sqrt(np.outer(ligand, receptor))
        allowed = np.eye(len(every), dtype=bool) if s == r else ~np.eye(len(every), dtype=bool)
        others = np.delete(ligand, s)
        return {
            "score": score,
            "p": _p(np.sqrt(drawn[0] * drawn[1]), score) if score > 0 else 1.0,
            "p_perm_types": float(np.mean(every[allowed] >= score * (1 - 1e-12))),
            "p_perm_min": 1 / int(allowed.sum()),
            "sender_specificity": float(np.mean(others < ligand[s])) if len(others) else np.nan,
        }

    def _two_sided(
        self, axis: dict[str, Any], profiles: TypeProfiles, s: int, r: int, rng: np.random.Generator
    ) -> dict[str, float]:
        scores, ps = [], []
        for side, at in (("ligand", s), ("receptor", r)):
            contrast = profiles.log[at] - np.delete(profiles.log, at, axis=0).mean(axis=0)
            columns = profiles.where(axis[side])
            score = float(contrast[columns].mean())
            scores.append(score)
            ps.append(_p(contrast[self._random(columns, rng)].mean(axis=1), score))
        ligand = profiles.log[:, profiles.where(axis["ligand"])].mean(axis=1)
        return {
            "score": min(scores),
            "p": max(ps),
            "sender_specificity": float(np.mean(np.delete(ligand, s) < ligand[s])),
        }

    def _response_columns(self, axis: dict[str, Any], profiles: TypeProfiles) -> tuple[list[int], list[int]]:
        """Columns of genes that should rise and fall; the axis' own genes say nothing about its effect."""
        response = self.responses[axis["response"]]
        own = set() if axis["readout"] == "downstream" else {*axis["ligand"], *axis["receptor"]}
        up, down = ([g for g in response.get(arm, []) if g not in own] for arm in ("up", "down"))
        return profiles.where(up), profiles.where(down)

    def _response(
        self, axis: dict[str, Any], profiles: TypeProfiles, r: int, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Response genes in the receiver, up less down, as their mean above what is alike; and its p."""
        up, down = self._response_columns(axis, profiles)
        if not up and not down:
            return np.nan, np.nan
        values = profiles.log[r]
        observed, random = 0.0, np.zeros(self.n_random)
        for columns, sign in ((up, 1), (down, -1)):
            if columns:
                observed += sign * float(values[columns].mean())
                random += sign * self._alike(values, columns, rng).mean(axis=1)
        return observed - float(random.mean()), _p(random, observed)

    def _ranks(
        self, pair: tuple[str, str] | None, senders: list[str], receivers: list[str], ranks: Ranks
    ) -> dict[str, float]:
        """Consensus ranks of the axis' entry in the resource: the best over the states of sender and receiver."""
        if pair is None:
            return {}
        found = [ranks[key] for a in senders for b in receivers if (key := (*pair, a, b)) in ranks]
        return {name: float(min(values)) for name, values in zip(RANKS, zip(*found, strict=True), strict=False)}


def _p(null: np.ndarray, observed: float) -> float:
    """Share of draws at least as large, the observation counted as one of them."""
    return float((1 + np.sum(null >= observed - 1e-12)) / (1 + len(null)))
