"""The modules of a stage, found without importing them."""

import pytest
from brainmet.datasets.checks import layouts
from brainmet.run import code


def names(*stages):
    return {path.split("brainmet/")[-1] for path in code.modules(*stages)}


def test_direct_and_indirect_imports():
    assert names("core.counts") >= {"core/counts.py", "contract.py", "core/files.py", "errors.py"}
    assert "core/files.py" in names("core.tables")


def test_a_package_is_part_of_its_modules():
    """An import of a module executes the `__init__.py` of every package above it, and what that imports."""
    assert names("qc.dropped") >= {"__init__.py", "qc/__init__.py", "qc/doublets.py", "qc/dropped.py"}
    assert "compare/__init__.py" in names("bulk")  # it imports compare.donor_scores


def test_imports_inside_functions_count(tmp_path):
    path = tmp_path / "m.py"
    path.write_text(
        "def f():\n    from brainmet.core import tables\n    import brainmet.core.counts\n    import numpy\n"
    )
    found = [p.relative_to(code.PACKAGE).as_posix() for p in code.imports(path)]
    assert found == ["__init__.py", "core/__init__.py", "core/counts.py", "core/tables.py"]


def test_no_layout_depends_on_the_reader_of_another():
    readers = {f"ingest/{layout}.py" for layout in layouts()}
    for layout in layouts():
        used = names("ingest", f"ingest.{layout}") & readers
        assert used == {f"ingest/{layout}.py"} | ({"ingest/dense_text.py"} if layout == "bulk" else set())


def test_the_demo_is_not_simulated_anew_for_the_reader_of_dataset_files():
    assert not [name for name in names("simulate") if name.startswith("datasets/")]


@pytest.mark.parametrize("stage", ["contrasts", "nulls", "de", "gsea", "donor_scores", "confounders"])
def test_an_edit_of_the_claims_reruns_no_contrast(stage):
    assert not [path for path in names(f"compare.{stage}", "compare.inputs") if path.startswith("claims/")]


def test_an_unknown_module_is_refused():
    with pytest.raises(ValueError, match="no such module"):
        code.modules("nothing")


def test_constants_are_read_without_importing(tmp_path):
    path = tmp_path / "method.py"
    path.write_text('import does_not_exist\nSCOPE = "sample"\nREQUIRES: tuple[str, ...] = ("counts", "cells")\n')
    assert code.constants(path, "SCOPE", "REQUIRES") == {"SCOPE": "sample", "REQUIRES": ("counts", "cells")}
