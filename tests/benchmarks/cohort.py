"""Cohorts of any size for measurements: the demo's biology (measured profiles, clones, ambient RNA), drawn fast.

States, compositions and cells are those of `brainmet.simulate`; the counts are drawn by a compiled loop over the genes,
so that ten thousand cells take seconds. Samples alternate between primary and brain metastasis, one donor each.

    uv run python -m tests.benchmarks.cohort FOLDER --samples 10 --cells 10000
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata
import numba
import numpy as np
import pandas as pd
import scipy.sparse as sp
import yaml
from brainmet import simulate

HOME = Path(__file__).parents[2]
CONDITIONS = ("primary", "brain_metastasis")
DEPTH = 4_700
"""Gives about 2,000 nonzeros a cell, as good 10x libraries have."""
ROOM = 12_000
"""Nonzeros that a cell can have."""


def samples(number: int) -> list[dict[str, Any]]:
    """Records of the cohort's samples: primary tumours and brain metastases of two studies in turn."""
    return [
        {
            "id": f"s{i:03d}",
            "donor": f"d{i:03d}",
            "study": f"study_{'ab'[i // 2 % 2]}",
            "condition": CONDITIONS[i % 2],
            **dict(zip(("er", "pr", "her2"), (("pos", "pos", "0"), ("neg", "neg", "0"))[i // 4 % 2], strict=True)),
        }
        for i in range(number)
    ]


def knowledge() -> simulate.Knowledge:
    """What the demo is drawn from."""
    shipped = HOME / "resources"
    sets = [
        entry
        for name in ("signatures", "confounders")
        for entry in yaml.safe_load((shipped / f"signatures/{name}.yaml").read_text())["signatures"]
    ]
    return simulate.knowledge(
        pd.read_csv(shipped / "demo/profiles.tsv.gz", sep="\t", keep_default_na=False),
        pd.read_csv(shipped / "demo/types.tsv", sep="\t"),
        yaml.safe_load((shipped / "demo/design.yaml").read_text()),
        sets,
    )


def settings(cells: int, seed: int) -> simulate.Settings:
    """Those of the shipped configuration, at this size."""
    shipped = yaml.safe_load((HOME / "config/config.yaml").read_text())["simulate"]
    return simulate.Settings(**shipped | {"cells": cells, "seed": seed, "depth": DEPTH})


@numba.njit(cache=True)
def draw(seed, means, first, second, share, ambient, level, depth, shape, room):
    """Negative binomial counts by inversion, cells × genes as CSR arrays; most genes end at the first comparison."""
    np.random.seed(seed)  # noqa: NPY002, all that numba knows
    indptr = np.zeros(first.size + 1, np.int64)
    indices, data = np.empty(first.size * room, np.int32), np.empty(first.size * room, np.int32)
    k = 0
    for i in range(first.size):
        for j in range(means.shape[1]):
            mean = means[first[i], j]
            if second[i] >= 0:
                mean = share[i] * mean + (1 - share[i]) * means[second[i], j]
            mean = depth[i] * ((1 - level[i]) * mean + level[i] * ambient[j])
            u = np.random.random()  # noqa: NPY002
            if u < 1 - mean or k == indices.size:  # The chance of zero is larger than 1 - mean.
                continue
            probability = np.exp(-shape * np.log1p(mean / shape))
            ratio, cumulated, x = mean / (mean + shape), probability, 0
            while u > cumulated and x < 20_000:
                probability *= (x + shape) / (x + 1.0) * ratio
                cumulated += probability
                x += 1
                if probability < 1e-14 and x > mean:
                    break
            if x > 0:
                indices[k], data[k] = j, x
                k += 1
        indptr[i + 1] = k
    return indptr, indices[:k].copy(), data[:k].copy()


def counts(sample: dict[str, Any], known: simulate.Knowledge, how: simulate.Settings) -> anndata.AnnData:
    """One sample: integer counts, `obs` with sample, donor, condition and truth, `var` by symbol."""
    states = simulate.expression(sample, known, how)
    shares = simulate.composition(sample, known, how)
    cells = simulate.draw_cells(sample, shares, states, known, how, how.generator("cells", sample["id"]))
    names = {name: i for i, name in enumerate(states)}
    rna = {name: known.rna[name.partition("/")[0]] for name in states} | {"": 0.0}
    own, other = (cells[column].map(rna).to_numpy(float) for column in ("state", "partner_state"))
    first, second = (cells[column].map(names).fillna(-1).to_numpy(int) for column in ("state", "partner_state"))
    arrays = (np.array(list(states.values())), first, second, own / (own + other))
    soup = simulate.ambient_profile(sample, shares, states, known)
    told = soup, cells["truth_ambient"].to_numpy(), cells["truth_depth"].to_numpy()
    seed = int(how.generator("draw", sample["id"]).integers(2**31))
    parts = []
    for start in range(0, len(cells), 1_000):
        rows = slice(start, start + 1_000)
        indptr, indices, data = draw(
            seed + start, arrays[0], *(a[rows] for a in arrays[1:]), told[0], *(t[rows] for t in told[1:]),
            1 / how.overdispersion, ROOM,
        )  # fmt: skip
        parts.append(sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, len(known.genes))))
    columns = ("id", "donor", "condition")
    obs = pd.DataFrame({name: sample[name] for name in columns}, index=cells.index).rename(columns={"id": "sample"})
    obs = obs.assign(truth=cells["truth_cell_type"], is_doublet=cells["truth_doublet"])
    obs.index = sample["id"] + "_" + obs.index.astype(str)
    X = sp.vstack(parts, format="csr").astype(np.float32)
    return anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=known.genes["symbol"].to_numpy(object)))


def dataset(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The dataset file over the samples' files."""
    types = sorted(knowledge().rna)
    return {
        "schema": 1,
        "id": "bench",
        "title": "Cohort drawn for measurements",
        "citation": {},
        "organism": "human",
        "technology": "10x_3prime",
        "suspension": "cell",
        "values": "counts",
        "files": [{"name": f"{r['id']}.h5ad", "path": f"{r['id']}.h5ad"} for r in records],
        "layout": "h5ad",
        "samples": [
            {"id": r["id"], "match": r["id"], "donor": r["donor"], "condition": r["condition"]}
            | {"study": r["study"], "primary_site": "breast", "er": r["er"], "pr": r["pr"], "her2": r["her2"]}
            for r in records
        ],
        "labels": {"column": "truth", "map": {name: name for name in types if name != "endothelial_brain"}},
        "evidence": "A",
    }


def write(folder: Path, records: Sequence[dict[str, Any]], *, cells: int, seed: int = 1) -> None:
    """Write the counts of these samples, `{id}.h5ad` uncompressed."""
    folder.mkdir(parents=True, exist_ok=True)
    known, how = knowledge(), settings(cells, seed)
    for record in records:
        counts(record, known, how).write_h5ad(folder / f"{record['id']}.h5ad")


def main() -> None:
    """Write a cohort and its dataset file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    records = samples(asked.samples)
    write(asked.folder, records, cells=asked.cells, seed=asked.seed)
    (asked.folder / "bench.yaml").write_text(yaml.safe_dump(dataset(records), sort_keys=False))


if __name__ == "__main__":
    main()
