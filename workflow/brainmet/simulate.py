"""A simulated cohort with known truth: cells drawn around measured mean profiles, with the troubles of real data.

A cell's counts are Poisson draws around a Gamma-distributed rate (together negative binomial). The rate of a gene is
the cell's depth times a mixture of its type's mean expression and of the sample's ambient RNA. Study and sample act on
genes (batch); donor, clone and planted shifts act on malignant cells. Which shifts are true and which are traps is in
resources/demo/design.yaml. Every sample draws from a generator of its own: leaving one out changes no other.
"""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from brainmet.conditions import BRAIN_METASTASIS, PRIMARY
from brainmet.contract import is_malignant
from brainmet.core.names import matches_name
from brainmet.core.tables import columns
from brainmet.errors import BrainmetError
from brainmet.knowledge.cell_types import Named

log = logging.getLogger(__name__)

METASTASIS, REFERENCE = BRAIN_METASTASIS, PRIMARY
"""Conditions of the contrast that the shifts are planted for."""
LOW_DEPTH, DYING_DEPTH = 0.08, 0.5
"""Depth of low-quality and dying cells, relative to whole ones."""
DYING_MT = 8.0
"""Rise of mitochondrial genes in dying cells, whose cytoplasmic RNA has leaked."""
DOUBLET_DEPTH = 0.85
"""Two cells in one droplet give a little less than the sum of both."""
DONOR_JITTER = 0.2
"""Spread of a planted shift between donors, relative to the shift."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes of the simulation; meanings and ranges are those of `simulate:` in the configuration."""

    seed: int
    cells: int
    depth: float
    depth_sd: float
    overdispersion: float
    study_sd: float
    sample_sd: float
    donor_sd: float
    doublets: float
    heterotypic: float
    ambient: Sequence[float]
    low_quality: float
    dying: float
    direction: int

    def generator(self, *words: str) -> np.random.Generator:
        """A stream of random numbers of its own for these words: the same whatever else is drawn."""
        return np.random.default_rng([self.seed, *(zlib.crc32(word.encode()) for word in words)])


@dataclass(frozen=True)
class Knowledge:
    """What the cohort is built from.

    Attributes:
        genes: index Ensembl id; `symbol`, `arm` ("17q", "MT").
        profiles: profile → share of each gene, summing to 1.
        rna: profile → RNA content relative to a macrophage.
        design: resources/demo/design.yaml.
        signatures: id → (up, down) gene symbols.
    """

    genes: pd.DataFrame
    profiles: Mapping[str, np.ndarray]
    rna: Mapping[str, float]
    design: Mapping[str, Any]
    signatures: Mapping[str, tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True)
class Tumour:
    """Copy number and expression of one donor's malignant cells.

    Attributes:
        arms: clone → {arm: "gain" | "loss"}.
        shares: clone → share of the malignant cells.
        log2: genes; planted shifts and traps together.
        noise: genes; the donor's own factor on expression.
    """

    arms: Mapping[str, Mapping[str, str]]
    shares: Mapping[str, float]
    log2: np.ndarray
    noise: np.ndarray


def knowledge(
    profiles: pd.DataFrame, types: pd.DataFrame, design: Mapping[str, Any], signatures: Sequence[Mapping[str, Any]]
) -> Knowledge:
    """Put the shipped tables together.

    Args:
        profiles: `ensembl_id, symbol, arm`, then one column per profile, counts per million.
        types: `profile, rna`.
        design: parsed design file.
        signatures: entries with `id` and `genes: {up, down}`.
    """
    table = profiles.set_index("ensembl_id")
    names = [name for name in table.columns if name not in ("symbol", "arm")]
    shares = {name: table[name].to_numpy(float) / table[name].sum() for name in names}
    sets = {s["id"]: (tuple(s["genes"].get("up") or ()), tuple(s["genes"].get("down") or ())) for s in signatures}
    rna = dict(zip(types["profile"], types["rna"].astype(float), strict=True))
    return Knowledge(table[["symbol", "arm"]], shares, rna, design, sets)


def of_files(files: Sequence[str | Path], samples: Sequence[Mapping[str, Any]]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Each file with the sample whose `match` its name begins with, in the order of the files.

    Raises:
        BrainmetError: a file is that of no sample, or of several.
    """
    pairs = []
    for path in map(Path, files):
        owners = [sample for sample in samples if matches_name(path.name, sample["match"])]
        if len(owners) != 1:
            names = ", ".join(sample["id"] for sample in owners) or "no sample"
            raise BrainmetError(
                f"demo: the file {path.name} is matched by {names}; give each simulated file one sample by `match`"
            )
        pairs.append((path, owners[0]))
    return pairs


def simulate(sample: Mapping[str, Any], known: Knowledge, settings: Settings) -> tuple[sp.csr_matrix, pd.DataFrame]:
    """Counts (cells × genes, integers) of one sample and the truth about each cell.

    Args:
        sample: record with `id, study, donor, condition` and the fields that traps select on.
        known: profiles, design and signatures.
        settings: sizes.

    Returns:
        The counts, and a frame with `sample, truth_cell_type, truth_profile, truth_malignant, truth_clone,
        truth_doublet, truth_partner, truth_low_quality, truth_dying, truth_depth, truth_ambient`.
    """
    rng = settings.generator("cells", sample["id"])
    states = expression(sample, known, settings)
    shares = composition(sample, known, settings)
    cells = draw_cells(sample, shares, states, known, settings, rng)
    rates = _rates(cells, states, ambient_profile(sample, shares, states, known), known)
    counts = draw(rates, overdispersion=settings.overdispersion, rng=rng)
    log.info("%s: %d cells, median %d counts", sample["id"], len(cells), int(np.median(np.asarray(counts.sum(1)))))
    cells.insert(0, "sample", sample["id"])
    return counts, cells.drop(columns=["state", "partner_state"])


def expression(sample: Mapping[str, Any], known: Knowledge, settings: Settings) -> dict[str, np.ndarray]:
    """Mean expression (shares of genes, sum 1) of each state of a sample's cells.

    A state is a profile, or `profile/clone` for malignant cells.
    """
    n = len(known.genes)
    batch = settings.generator("study", sample["study"]).normal(0, settings.study_sd, n)
    batch = batch + settings.generator("sample", sample["id"]).normal(0, settings.sample_sd, n)
    everywhere = np.exp(batch) * 2.0 ** _trap_log2(sample, "any", known)
    cancer = tumour(sample, known, settings)
    states: dict[str, np.ndarray] = {}
    for name, mean in known.profiles.items():
        if not is_malignant(name):
            states[name] = _share(mean * everywhere)
            continue
        for clone in cancer.arms:
            factor = np.exp(cancer.noise) * 2.0 ** (cancer.log2 + arm_log2(cancer.arms[clone], known))
            states[f"{name}/{clone}"] = _share(mean * everywhere * factor)
    return states


def tumour(sample: Mapping[str, Any], known: Knowledge, settings: Settings) -> Tumour:
    """Copy number, planted shifts and noise of a sample's malignant cells."""
    number, rng = known.design["copy_number"], settings.generator("tumour", sample["donor"])
    candidates = [(arm, "gain") for arm in number["gains"]] + [(arm, "loss") for arm in number["losses"]]
    trunk = max(1, number["altered"] + settings.direction * number["shift"].get(sample["condition"], 0))
    order = rng.permutation(len(candidates))
    picked = [candidates[i] for i in order[: trunk + number["subclone"]["arms"]]]
    return Tumour(
        arms={"trunk": dict(picked[:trunk]), "subclone": dict(picked)},
        shares=clone_shares(known),
        log2=_planted_log2(sample, known, settings) + _trap_log2(sample, Named.CARCINOMA, known),
        noise=rng.normal(0, settings.donor_sd, len(known.genes)),
    )


def clone_shares(known: Knowledge) -> dict[str, float]:
    """Share of the malignant cells of every tumour in each of its clones."""
    share = known.design["copy_number"]["subclone"]["share"]
    return {"trunk": 1 - share, "subclone": share}


def arm_log2(arms: Mapping[str, str], known: Knowledge) -> np.ndarray:
    """log2 of each gene's dosage under these altered arms."""
    ratio = {arm: np.log2(known.design["copy_number"]["ratio"][state]) for arm, state in arms.items()}
    return known.genes["arm"].map(ratio).fillna(0.0).to_numpy(float)


def members(signature: str, known: Knowledge, *, spare_nulls: bool) -> np.ndarray:
    """Sign of each gene in a signature: 1 up, -1 down, 0 elsewhere (and for genes of null signatures, when spared)."""
    up, down = known.signatures[signature]
    symbols = known.genes["symbol"]
    sign = symbols.isin(up).to_numpy(float) - symbols.isin(down).to_numpy(float)
    if spare_nulls:
        spared = {gene for null in known.design["nulls"] for arm in known.signatures[null] for gene in arm}
        sign[symbols.isin(spared).to_numpy()] = 0
    return sign


def _planted_log2(sample: Mapping[str, Any], known: Knowledge, settings: Settings) -> np.ndarray:
    """Sum of the true shifts of a sample's malignant cells, each with the donor's own strength."""
    total, rng = np.zeros(len(known.genes)), settings.generator("shifts", sample["donor"])
    for shift in known.design["shifts"]:
        strength = shift["log2_shift"] * (1 + rng.normal(0, DONOR_JITTER)) * settings.direction
        if shift["condition"] == sample["condition"]:
            change = members(shift["signature"], known, spare_nulls=True) * strength
            total = np.where(np.abs(change) > np.abs(total), change, total)
    return total


def _trap_log2(sample: Mapping[str, Any], cell_type: str, known: Knowledge) -> np.ndarray:
    total = np.zeros(len(known.genes))
    for trap in known.design["traps"]:
        if trap["cell_type"] == cell_type and all(str(sample.get(k)) == str(v) for k, v in trap["where"].items()):
            total = total + members(trap["signature"], known, spare_nulls=True) * trap["log2_shift"]
    return total


def composition(sample: Mapping[str, Any], known: Knowledge, settings: Settings) -> dict[str, float]:
    """Share of each cell type in a sample: the condition's mean with planted shifts, and the sample's own spread."""
    mean = dict(known.design["composition"][sample["condition"]])
    for shift in known.design["composition_shifts"]:
        if shift["condition"] == sample["condition"]:
            mean[shift["cell_type"]] *= 2.0 ** (settings.direction * shift["log2_shift"])
    weights = np.array(list(mean.values()))
    rng = settings.generator("composition", sample["id"])
    shares = rng.dirichlet(weights / weights.sum() * known.design["concentration"])
    return dict(zip(mean, shares, strict=True))


def state_shares(
    sample: Mapping[str, Any], cell_type: str, known: Knowledge, clones: Mapping[str, float]
) -> dict[str, float]:
    """States that cells of a type take in a sample, with their shares."""
    if is_malignant(cell_type):
        return {f"{cell_type}/{clone}": share for clone, share in clones.items()}
    return known.design["profiles"][sample["condition"]].get(cell_type, {cell_type: 1.0})


def draw_cells(
    sample: Mapping[str, Any],
    shares: Mapping[str, float],
    states: Mapping[str, np.ndarray],
    known: Knowledge,
    settings: Settings,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One row per barcode: type, state, doublet partner, quality, expected depth and ambient share."""
    n, clones = settings.cells, clone_shares(known)
    kinds = rng.choice(np.array(list(shares), object), n, p=np.array(list(shares.values())))
    partners = _partners(kinds, settings, rng)
    state, partner_state = ([_state(sample, kind, known, clones, rng) for kind in of] for of in (kinds, partners))
    quality = rng.random(n)
    low = quality < settings.low_quality
    dying = ~low & (quality < settings.low_quality + settings.dying)
    content = np.array([_rna(one, known) + _rna(two, known) for one, two in zip(state, partner_state, strict=True)])
    content *= np.where(partners != "", DOUBLET_DEPTH, 1.0)
    content *= np.where(low, LOW_DEPTH, np.where(dying, DYING_DEPTH, 1.0))
    depth = settings.depth * known.design["depth"].get(sample["condition"], 1.0) * content
    depth *= np.exp(rng.normal(0, settings.depth_sd, n))
    lowest, highest = settings.ambient
    level = rng.uniform(lowest, highest)
    return pd.DataFrame(
        {
            "truth_cell_type": kinds,
            "truth_profile": np.array([s.partition("/")[0] for s in state], object),
            "truth_malignant": np.array([is_malignant(kind) for kind in kinds]),
            "truth_clone": np.array([s.partition("/")[2] for s in state], object),
            "truth_doublet": partners != "",
            "truth_partner": partners,
            "truth_low_quality": low,
            "truth_dying": dying,
            "truth_depth": depth,
            # Shares of cells scatter around the sample's level: Beta with the same mean.
            "truth_ambient": rng.beta(level * 40, (1 - level) * 40, n),
            "state": np.array(state, object),
            "partner_state": np.array(partner_state, object),
        },
        index=pd.Index([f"cell{i + 1:05d}" for i in range(n)], name="barcode", dtype=object),
    )


def _partners(kinds: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Type of the second cell of each doublet, "" for single cells."""
    doublet, other = rng.random(len(kinds)) < settings.doublets, rng.random(len(kinds)) < settings.heterotypic
    partners = np.full(len(kinds), "", object)
    for i in np.flatnonzero(doublet):
        pool = kinds[kinds != kinds[i]] if other[i] else kinds[kinds == kinds[i]]
        partners[i] = rng.choice(pool) if len(pool) else kinds[i]
    return partners


def _state(
    sample: Mapping[str, Any], kind: str, known: Knowledge, clones: Mapping[str, float], rng: np.random.Generator
) -> str:
    """The state that a cell of this type is in; "" for no cell."""
    if not kind:
        return ""
    shares = state_shares(sample, kind, known, clones)
    return list(shares)[rng.choice(len(shares), p=list(shares.values()))]


def _rna(state: str, known: Knowledge) -> float:
    return known.rna[state.partition("/")[0]] if state else 0.0


def ambient_profile(
    sample: Mapping[str, Any], shares: Mapping[str, float], states: Mapping[str, np.ndarray], known: Knowledge
) -> np.ndarray:
    """The sample's ambient RNA (shares of genes): its own mean profile, in metastases mixed with the brain around."""
    clones = clone_shares(known)
    profile = np.zeros(len(known.genes))
    for cell_type, share in shares.items():
        for state, part in state_shares(sample, cell_type, known, clones).items():
            profile += share * part * _rna(state, known) * states[state]
    profile = _share(profile)
    if not (around := known.design["ambient"].get(sample["condition"])):
        return profile
    tissue = _share(sum((states[name] * part for name, part in around["profiles"].items()), np.zeros(len(profile))))
    return (1 - around["share"]) * profile + around["share"] * tissue


def _rates(cells: pd.DataFrame, states: Mapping[str, np.ndarray], ambient: np.ndarray, known: Knowledge) -> np.ndarray:
    """Expected counts, cells × genes (float64)."""
    mitochondrial = (known.genes["arm"] == "MT").to_numpy()
    rates = np.empty((len(cells), len(known.genes)))
    for i, cell in enumerate(cells.itertuples(index=False)):
        mean = states[cell.state]
        if cell.partner_state:
            first, second = _rna(cell.state, known), _rna(cell.partner_state, known)
            mean = (first * mean + second * states[cell.partner_state]) / (first + second)
        if cell.truth_dying:
            mean = _share(np.where(mitochondrial, DYING_MT * mean, mean))
        rates[i] = cell.truth_depth * ((1 - cell.truth_ambient) * mean + cell.truth_ambient * ambient)
    return rates


def draw(rates: np.ndarray, *, overdispersion: float, rng: np.random.Generator) -> sp.csr_matrix:
    """Negative binomial counts with these means and variance mean + overdispersion × mean², as int32 CSR."""
    positive = np.flatnonzero(rates.ravel() > 0)
    mean = rates.ravel()[positive]
    values = rng.poisson(mean * rng.standard_gamma(1 / overdispersion, len(mean)) * overdispersion)
    seen = values > 0
    rows, columns = np.divmod(positive[seen], rates.shape[1])
    return sp.csr_matrix((values[seen].astype(np.int32), (rows, columns)), shape=rates.shape)


def _share(values: np.ndarray) -> np.ndarray:
    return values / values.sum()


def truth_arms(samples: Sequence[Mapping[str, Any]], known: Knowledge, settings: Settings) -> pd.DataFrame:
    """Every arm of every sample with malignant cells: state, share of these that carry it, log2 dosage."""
    ratio, rows = known.design["copy_number"]["ratio"], []
    arms = [arm for arm in known.genes["arm"].drop_duplicates() if arm not in ("MT", "Yp", "Yq")]
    for sample in samples:
        if not any(is_malignant(t) for t in known.design["composition"][sample["condition"]]):
            continue
        cancer = tumour(sample, known, settings)
        for arm in arms:
            carriers = [clone for clone in cancer.arms if arm in cancer.arms[clone]]
            state = cancer.arms[carriers[0]][arm] if carriers else "neutral"
            share = sum(cancer.shares[clone] for clone in carriers)
            rows.append((sample["id"], sample["donor"], arm, state, share, float(np.log2(ratio.get(state, 1.0)))))
    return pd.DataFrame(rows, columns=["sample", "donor", "arm", "state", "share", "log2_ratio"])


def truth_shifts(known: Knowledge, settings: Settings) -> pd.DataFrame:
    """What was planted and what was not, as the table `truth_shifts`.

    Besides signatures: composition (`share:TYPE`), altered arms (`cnv_burden`) and counts per cell (`depth`).
    """
    design, malignant = known.design, Named.CARCINOMA
    altered = design["copy_number"]["altered"]
    rows = [{**shift, "log2_shift": shift["log2_shift"] * settings.direction} for shift in design["shifts"]]
    for shift in design["composition_shifts"]:
        signature = f"share:{shift['cell_type']}"
        rows.append({**shift, "signature": signature, "log2_shift": shift["log2_shift"] * settings.direction})
    for condition, more in design["copy_number"]["shift"].items():
        change = np.log2(max(1, altered + settings.direction * more) / altered)
        burden = {"signature": "cnv_burden", "cell_type": malignant, "claim": design["copy_number"]["claim"]}
        rows.append({**burden, "condition": condition, "log2_shift": change})
    verdict = {1: "recovered", 0: "not_recovered", -1: "contradicted"}[settings.direction]
    rows = [{**row, "kind": "true" if settings.direction else "null", "verdict": verdict} for row in rows]
    for null in design["nulls"]:
        claim = design["null_claims"].get(null, "")
        no_change = {"kind": "null", "log2_shift": 0.0, "verdict": "not_contradicted"}
        rows.append({"signature": null, "cell_type": malignant, "claim": claim, **no_change})
    for trap in design["traps"]:
        study = trap["where"].get("study", "all")
        rows.append({"verdict": "not_recovered", **trap, "kind": "trap", "trap": trap["name"], "study": study})
    for condition, factor in design["depth"].items():
        depth = {"signature": "depth", "cell_type": "any", "condition": condition, "log2_shift": np.log2(factor)}
        rows.append({**depth, "kind": "trap", "trap": "depth"})
    table = pd.DataFrame([{"condition": METASTASIS, "study": "all", "trap": "", "claim": "", **row} for row in rows])
    table["verdict"] = table["verdict"].where(table["claim"] != "", "")
    table["contrast"] = table["condition"] + "_vs_" + REFERENCE
    table["direction"] = np.sign(table["log2_shift"].astype(float)).astype(int)
    return table[columns("truth_shifts")]
