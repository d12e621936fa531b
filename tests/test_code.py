"""The modules of a stage, found without importing them."""

import pytest
from brainmet import code
from brainmet.dataset_checks import layouts


def names(*stages):
    return {path.split("brainmet/")[-1] for path in code.modules(*stages)}


def test_direct_and_indirect_imports():
    assert names("counts") >= {"counts.py", "contract.py", "files.py", "errors.py"}
    assert "files.py" in names("tables")


def test_imports_inside_functions_count(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("def f():\n    from brainmet import tables\n    import brainmet.counts\n    import numpy\n")
    assert [p.name for p in code.imports(path)] == ["__init__.py", "counts.py", "tables.py"]


def test_no_layout_depends_on_the_reader_of_another():
    readers = {f"ingest/{layout}.py" for layout in layouts()}
    for layout in layouts():
        used = names("ingest", f"ingest.{layout}") & readers
        assert used == {f"ingest/{layout}.py"} | ({"ingest/dense_text.py"} if layout == "bulk" else set())


def test_an_unknown_module_is_refused():
    with pytest.raises(ValueError, match="no such module"):
        code.modules("nothing")


def test_constants_are_read_without_importing(tmp_path):
    path = tmp_path / "method.py"
    path.write_text('import does_not_exist\nSCOPE = "sample"\nREQUIRES: tuple[str, ...] = ("counts", "cells")\n')
    assert code.constants(path, "SCOPE", "REQUIRES") == {"SCOPE": "sample", "REQUIRES": ("counts", "cells")}
