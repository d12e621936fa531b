"""Breast cancer brain metastasis, from public count matrices to tested statements: pure functions, one module a stage."""
