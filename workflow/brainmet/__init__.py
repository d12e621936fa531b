"""Breast cancer brain metastasis, from public count matrices to tested statements; one module a stage."""
