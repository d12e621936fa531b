"""What a run records of its software."""

import re

from brainmet.provenance import versions

from tests.conftest import HOME


def test_versions_that_the_methods_text_names_are_recorded() -> None:
    text = (HOME / "workflow/report/methods.md.j2").read_text()
    named = set(re.findall(r"\bv\.(\w+)|\bv\['([^']+)'\]", text))
    assert ("xgboost", "") in named
    assert {first or second for first, second in named} - set(versions(None)) == set()
