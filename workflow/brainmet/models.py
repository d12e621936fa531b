"""Fidelity of preclinical models: how much a model's tumour and host cells look like those of patients.

A model is a sample whose condition is xenograft, organoid or cell_line, or whose organism is not human (mouse genes
enter by their orthologues). Each of its compartments is set beside the same compartment of the patients of one
condition, at a common depth: rank correlation over the genes that the patients express, and the scores of signatures.
How well patients resemble each other is the ceiling; a model cannot be asked for more. Patients who were measured as
the model was are compared with, and all patients only where there are too few of those.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmet.compare.donor_scores import log_cpm, thin
from brainmet.compare.donors import HUMAN, PLATFORM
from brainmet.conditions import ids
from brainmet.contract import Compartment, Obs, Status, Uns, is_malignant
from brainmet.core import tables
from brainmet.knowledge.signatures import Signature
from brainmet.pseudobulk import Pseudobulk
from brainmet.pseudobulk.type_profiles import TypeProfiles, donors
from brainmet.stats.ranks import rank_correlations

log = logging.getLogger(__name__)
KEYS = [Obs.DATASET, Obs.STUDY, Obs.DONOR, Obs.CONDITION, Uns.ORGANISM, PLATFORM, Uns.VALUES]
MEASURED = (Uns.TECHNOLOGY, Uns.SUSPENSION, Uns.VALUES)
"""What two profiles share that were measured in the same way; species apart, which differ between model and patient."""
MIN_PATIENTS = 3
"""Patients below which how they resemble each other is not known."""
N_NAMED = 10
"""Signatures named as furthest outside the patients."""


def fidelity(
    pseudobulk: Pseudobulk,
    signatures: Sequence[Signature],
    *,
    references: Sequence[str],
    min_cells: int,
    min_cpm: float,
    min_genes: int,
    seed: int,
) -> pd.DataFrame:
    """Models beside patients (`tables/fidelity.yaml`); a header where the run holds no model.

    Args:
        pseudobulk: sums by sample and cell type.
        signatures: whose scores are compared.
        references: conditions of patients to compare with, each by itself.
        min_cells: cells of the compartment that a model and a patient need.
        min_cpm: mean counts per million over the patients above which a gene takes part.
        min_genes: genes of a signature that must take part.
        seed: of the thinning to a common depth.
    """
    everyone = [profiles.merged(_compartments(profiles)) for profiles in donors(pseudobulk, KEYS)]
    models = [p for p in everyone if is_model(p.about)]
    rows: list[dict[str, Any]] = []
    for model in models:
        about = {key: str(model.about[key]) for key in KEYS}
        for reference in references:
            patients = [p for p in everyone if not is_model(p.about) and p.about[Obs.CONDITION] == reference]
            for compartment in model.types:
                row = about | {"compartment": compartment, "reference": reference}
                comparison = _Comparison(model, patients, compartment, min_cells=min_cells, min_cpm=min_cpm, seed=seed)
                rows.append(comparison.row(signatures, min_genes=min_genes) | row)
    log.info("%d models, %d donors in all", len(models), len(everyone))
    return pd.DataFrame(rows)[tables.columns("fidelity")] if rows else tables.empty("fidelity")


def is_model(about: Mapping[str, Any]) -> bool:
    """Whether a sample is a preclinical model."""
    return about[Obs.CONDITION] in ids(model=True) or about[Uns.ORGANISM] not in HUMAN


def _compartments(profiles: TypeProfiles) -> dict[str, list[str]]:
    """The malignant cells as one compartment, every other type as its own."""
    groups: dict[str, list[str]] = {}
    for name in profiles.types:
        groups.setdefault(Compartment.MALIGNANT if is_malignant(name) else name, []).append(name)
    return groups


class _Comparison:
    """One compartment of one model beside that of the patients, at a common depth."""

    def __init__(
        self,
        model: TypeProfiles,
        patients: Sequence[TypeProfiles],
        compartment: str,
        *,
        min_cells: int,
        min_cpm: float,
        seed: int,
    ) -> None:
        at = model.types.index(compartment)
        self.n_cells, self.min_cells = int(model.n_cells[at]), min_cells
        beside = [(p, p.types.index(compartment)) for p in patients if compartment in p.types]
        beside = [(p, i) for p, i in beside if p.n_cells[i] >= min_cells]
        alike = [(p, i) for p, i in beside if all(p.about[name] == model.about[name] for name in MEASURED)]
        self.same_platform = len(alike) >= MIN_PATIENTS or 0 < len(alike) == len(beside)
        beside = alike if self.same_platform else _one_each(beside)
        self.n_patients = len(beside)
        self.symbols = sorted(set(model.symbols).intersection(*(p.symbols for p, _ in beside)))
        rows = [model.sums[at, model.where(self.symbols)], *(p.sums[i, p.where(self.symbols)] for p, i in beside)]
        self.values = log_cpm(thin(np.array(rows), seed=seed))
        cpm = np.exp2(self.values[1:]).mean(axis=0) if beside else np.zeros(len(self.symbols))
        self.expressed = np.flatnonzero(cpm >= min_cpm)

    def row(self, signatures: Sequence[Signature], *, min_genes: int) -> dict[str, Any]:
        row = tables.blank("fidelity") | {"n_cells": self.n_cells, "n_patients": self.n_patients}
        row |= {"n_genes": len(self.expressed), "same_platform": self.same_platform, "status": Status.NOT_TESTED}
        if reason := self._reason():
            return row | {"reason": reason}
        rho = rank_correlations(self.values[:, self.expressed].T)
        between = np.where(np.eye(self.n_patients, dtype=bool), np.nan, rho[1:, 1:])
        each = np.nanmedian(between, axis=1)
        row |= {
            "rho": float(np.median(rho[0, 1:])),
            "rho_min": float(rho[0, 1:].min()),
            "rho_max": float(rho[0, 1:].max()),
        }
        row |= {"ceiling": float(np.median(each)), "ceiling_min": float(each.min())}
        row |= {"relative": row["rho"] / row["ceiling"] if row["ceiling"] > 0 else np.nan}
        return row | self._signatures(signatures, min_genes) | {"status": Status.TESTED, "reason": ""}

    def _reason(self) -> str:
        if self.n_cells < self.min_cells:
            return f"{self.n_cells} cells in the model, {self.min_cells} needed"
        if self.n_patients < MIN_PATIENTS:
            return f"{self.n_patients} patients with the compartment, {MIN_PATIENTS} needed"
        return "" if len(self.expressed) > 1 else "no gene is expressed in patients and measured in the model"

    def _signatures(self, signatures: Sequence[Signature], min_genes: int) -> dict[str, Any]:
        """Concordance of signature scores: rank correlation with the patients' median, scores outside their range."""
        scored = dict(self._scores(signatures, min_genes))
        if len(scored) < 2:
            return {"n_signatures": len(scored)}
        names, values = list(scored), np.array(list(scored.values()))
        model, patients = values[:, 0], values[:, 1:]
        spread = np.maximum(patients.max(axis=1) - patients.min(axis=1), np.finfo(float).eps)
        beyond = np.maximum(model - patients.max(axis=1), patients.min(axis=1) - model) / spread
        order = [i for i in np.argsort(-beyond, kind="stable") if beyond[i] > 0]
        named = ";".join(f"{names[i]}{'+' if model[i] > patients[i].max() else '-'}" for i in order[:N_NAMED])
        return {
            "n_signatures": len(names),
            "signature_rho": float(rank_correlations(np.column_stack([model, np.median(patients, axis=1)]))[0, 1]),
            "share_outside": len(order) / len(names),
            "expected_outside": 2 / (self.n_patients + 1),
            "outside": named,
        }

    def _scores(self, signatures: Sequence[Signature], min_genes: int) -> Iterator[tuple[str, np.ndarray]]:
        """Per signature and profile: mean of up less that of all expressed genes, the same of down taken off."""
        position = {self.symbols[i]: i for i in self.expressed}
        level = self.values[:, self.expressed].mean(axis=1)
        for signature in signatures:
            up, down = ([position[g] for g in genes if g in position] for genes in (signature.up, signature.down))
            if up and len(up) + len(down) >= min_genes:
                score = self.values[:, up].mean(axis=1) - level
                yield signature.id, score - (self.values[:, down].mean(axis=1) - level if down else 0)


def _one_each(profiles: Sequence[tuple[TypeProfiles, int]]) -> list[tuple[TypeProfiles, int]]:
    """One profile per patient, the one of most cells: a patient measured on two platforms counts once."""
    largest: dict[tuple[str, ...], tuple[TypeProfiles, int]] = {}
    for profile, row in profiles:
        patient = tuple(str(profile.about[key]) for key in (Obs.STUDY, Obs.DONOR, Obs.CONDITION))
        if patient not in largest or profile.n_cells[row] > largest[patient][0].n_cells[largest[patient][1]]:
            largest[patient] = profile, row
    return list(largest.values())
