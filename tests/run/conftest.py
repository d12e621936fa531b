"""The object that Snakemake gives a script."""

from types import SimpleNamespace

import pytest


class Wildcards(SimpleNamespace):
    """As Snakemake gives them: attributes with items()."""

    def items(self):
        return vars(self).items()


@pytest.fixture
def snakemake(tmp_path):
    wildcards = Wildcards(sample="S1")
    return SimpleNamespace(
        log=[str(tmp_path / "logs/qc/S1.log")], params={"n_mads": 3}, wildcards=wildcards, rule="qc",
        output=[str(tmp_path / "results/cells.parquet")], resources=SimpleNamespace(mem_mb=1500),
    )  # fmt: skip
